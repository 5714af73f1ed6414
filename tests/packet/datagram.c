// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tests/packet/datagram.h"

#include "tests/packet/packet.h"

uint32_t whole_next_id(void)
{
	static uint32_t id = 0x1234;

	return id++ & 0xffff;
}

struct whole whole_of(struct trial *t, enum hook hook, enum dev dev, const struct packet *packet)
{
	struct whole w = {
		.t = t, .packet = *packet, .id = whole_next_id(), .hook = hook, .dev = dev};

	frame_build(packet, &w.frame);
	return w;
}

struct whole whole_request(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.payload = PAYLOAD;
	packet.may_be_fragmented = true;
	return whole_of(t, t->hook, hook_dev(t->hook), &packet);
}

enum outcome whole_feed(const struct whole *w, struct piece piece)
{
	struct frame frame;

	piece_build(&w->frame, w->id, piece, &frame);
	return feed_frame(w->t, w->hook, w->dev, &frame);
}

void whole_learn(struct whole *w)
{
	struct fl_flow flow = expect_flow(w->t, &w->packet);

	w->want = translated(&w->packet, &flow);
	if (w->t->outcome == SENT) {
		w->want.ttl--;
		w->want.src_mac = w->t->p->net->mac[net_dev(w->t->network)];
		w->want.dst_mac = w->t->p->net->gateway_mac[w->t->network];
	}
	frame_build(&w->want, &w->wanted);
}

void whole_expect(const struct whole *w, struct piece piece, uint32_t *id)
{
	struct frame want;

	if (!fl_ip_equal(&w->want.src, &w->packet.src) && !*id)
		*id = piece_id(&w->t->r.out);
	else if (!*id)
		*id = w->id;
	piece_build(&w->wanted, *id, piece, &want);
	do_expect_frame(AT_LINE(w->t), &want);
}

void serve_none(struct trial *t)
{
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .verdict = {FL_VERDICT_REJECT, FL_VERDICT_REJECT}});
}
