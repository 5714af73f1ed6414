// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Robustness D3 and D2: fragments in any order, tiny, overlapping and alone; options of IPv4 and
 * extension headers of IPv6. */
#include "tests/packet/packet.h"
#include "tests/packet/pieces.h"
#include "tests/packet/wire.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define PAYLOAD 1200 /* of TCP or UDP, in the whole packet */

/* A packet of which the pieces are made, and how it is to come out. */
struct whole {
	struct trial *t;
	struct packet packet; /* as it is sent */
	struct packet want;   /* translated */
	struct frame frame, wanted;
	uint32_t id;
	enum hook hook;
	enum dev dev;
};

static uint32_t next_id(void)
{
	static uint32_t id = 0x1234;

	return id++ & 0xffff;
}

static struct whole whole_of(struct trial *t, enum hook hook, enum dev dev,
			     const struct packet *packet)
{
	struct whole w = {.t = t, .packet = *packet, .id = next_id(), .hook = hook, .dev = dev};

	frame_build(packet, &w.frame);
	return w;
}

/* From the client to the frontend. */
static struct whole request_of(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.payload = PAYLOAD;
	packet.may_be_fragmented = true;
	return whole_of(t, t->hook, hook_dev(t->hook), &packet);
}

static enum outcome feed_piece(const struct whole *w, struct piece piece)
{
	struct frame frame;

	piece_build(&w->frame, w->id, piece, &frame);
	return feed_frame(w->t, w->hook, w->dev, &frame);
}

/* How the whole comes out, by the flow that its first piece has made. */
static void learn(struct whole *w)
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

/* What came out of the last run is this piece of what the whole becomes. The number is another one
 * if the source is; ret_id: that of the first piece. */
static void expect_piece(const struct whole *w, struct piece piece, uint32_t *id)
{
	struct frame want;

	if (!fl_ip_equal(&w->want.src, &w->packet.src) && !*id)
		*id = piece_id(&w->t->r.out);
	else if (!*id)
		*id = w->id;
	piece_build(&w->wanted, *id, piece, &want);
	do_expect_frame(AT_LINE(w->t), &want);
}

#define HEADER(t) ((t)->proto == IPPROTO_TCP ? 20U : 8U)

static uint16_t total_of(const struct trial *t)
{
	return (uint16_t)(HEADER(t) + PAYLOAD);
}

static void in_order(struct trial *t)
{
	struct whole w = request_of(t);
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	uint32_t id = 0;
	const enum outcome way = t->network == AT_POD ? PASSED : SENT;

	for (size_t i = 0; i < N(pieces); i++) {
		feed_piece(&w, pieces[i]);
		expect_outcome(t, way);
		if (!i)
			learn(&w);
		expect_piece(&w, pieces[i], &id);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_flows(t, 1);
}

/* No more than a header in front of it. */
static void last_one_of_a_byte(struct trial *t)
{
	struct whole w = request_of(t);
	const struct piece pieces[] = {{0, 480, true}, {480, 1, false}};
	uint32_t id = 0;

	for (size_t i = 0; i < N(pieces); i++) {
		feed_piece(&w, pieces[i]);
		if (!i)
			learn(&w);
		expect_piece(&w, pieces[i], &id);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
}

/* IPv4 counts its header, IPv6 only what is behind the first one. */
static void as_far_as_64_kb(struct trial *t)
{
	const bool v4 = t->family == FL_IPV4;
	struct whole w = request_of(t);
	struct piece last = {65512, v4 ? 3 : 7, false};
	uint32_t id = 0;

	if (!v4)
		last.at = 65480;
	feed_piece(&w, (struct piece){0, 480, true});
	learn(&w);
	id = w.id;
	if (!fl_ip_equal(&w.want.src, &w.packet.src))
		id = piece_id(&t->r.out);
	feed_piece(&w, last);
	expect_piece(&w, last, &id);
	last.size++;
	feed_piece(&w, last);
	expect_drop(t, FL_REASON_FRAGMENT_MALFORMED);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

static const struct order {
	struct row row;
	uint8_t at[3];
} orders[] = {
	{ROW("the last one first"), {2, 0, 1}},
	{ROW("backwards"), {2, 1, 0}},
	{ROW("the middle first"), {1, 0, 2}},
	{ROW("the middle, the last, the first"), {1, 2, 0}},
	{ROW("the first, then the last"), {0, 2, 1}},
};

/* Where copies of the packet are seen that the programs send besides. */
static int watch(const struct trial *t, enum dev dev, bool arriving)
{
	return wire_open(arriving ? t->p->net->ifindex[dev] : t->p->net->peer_ifindex[dev], false);
}

/* The running trial's, for its end. */
static int watched = -1;

static void stop_watching(struct trial *t)
{
	if (watched >= 0)
		close(watched);
	watched = -1;
}

/* The next frame that was sent besides is one of these pieces. */
static void expect_sent_besides(const struct whole *w, uint32_t id, struct piece piece)
{
	struct frame want;

	piece_build(&w->wanted, id, piece, &want);
	piece_receive(w->t, watched, &want, &w->t->r.out);
	do_expect_frame(AT_LINE(w->t), &want);
}

static void in_any_order(struct trial *t)
{
	const struct order *order = t->row;
	struct whole w = request_of(t);
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	uint32_t id = 0, held = 0;

	watched = watch(t, net_dev(t->network) == DEV_POD ? hook_dev(t->hook) : net_dev(t->network),
			t->network == AT_POD);
	for (size_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		feed_piece(&w, pieces[at]);
		if (at && !id) {
			expect_outcome(t, HELD);
			held++;
			continue;
		}
		expect_outcome(t, t->network == AT_POD ? PASSED : SENT);
		if (!at)
			learn(&w);
		expect_piece(&w, pieces[at], &id);
		/* and those that waited, in the order in which they came */
		for (size_t k = 0; !at && k < i; k++)
			expect_sent_besides(&w, id, pieces[order->at[k]]);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, held);
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_flows(t, 1);
}

/* A backend's answer is larger than the MTU. */
static void replies(struct trial *t)
{
	const struct order *order = t->row;
	struct talk talk = talk_begin(t);
	struct whole w;
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	uint32_t id = 0;

	talk_establish(&talk);
	talk.reply.payload = PAYLOAD;
	talk.reply.may_be_fragmented = true;
	talk.reply.flags = ACK;
	w = whole_of(t, talk.reply_hook, talk.reply_dev, &talk.reply);
	w.want = packet_reverse(&talk.client);
	w.want.flags = ACK;
	w.want.seq = talk.reply.seq;
	w.want.ack = talk.reply.ack;
	w.want.payload = PAYLOAD;
	w.want.may_be_fragmented = true;
	w.want.ttl = talk.reply.ttl;
	w.want.src_mac = talk.reply.src_mac;
	w.want.dst_mac = talk.reply.dst_mac;
	if (talk.masqueraded) {
		w.want.ttl--;
		w.want.src_mac = t->p->net->mac[hook_dev(t->hook)];
		w.want.dst_mac = t->p->net->gateway_mac[client_network(t->hook)];
	}
	frame_build(&w.want, &w.wanted);
	watched = watch(t, hook_dev(t->hook), false);
	for (size_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		feed_piece(&w, pieces[at]);
		if (at && !id) {
			expect_outcome(t, HELD);
			continue;
		}
		expect_outcome(t, talk.masqueraded ? SENT : PASSED);
		expect_piece(&w, pieces[at], &id);
		for (size_t k = 0; !at && k < i; k++)
			expect_sent_besides(&w, id, pieces[order->at[k]]);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_flows(t, 1);
}

struct bad {
	struct row row;
	struct piece before[2], piece; /* size 0: none */
	enum fl_reason reason;
};

static const struct bad bads[] = {
	{ROW("a first one without all of the header", .protos = ONLY_TCP),
	 {},
	 {0, 16, true},
	 FL_REASON_FRAGMENT_TINY},
	{ROW("one over the header", .protos = ONLY_TCP),
	 {},
	 {8, 64, true},
	 FL_REASON_FRAGMENT_TINY},
	{ROW("the last byte of the header", .protos = ONLY_TCP),
	 {},
	 {16, 64, true},
	 FL_REASON_FRAGMENT_TINY},
	{ROW("not a multiple of eight bytes"), {}, {0, 484, true}, FL_REASON_FRAGMENT_MALFORMED},
	{ROW("beyond 64 KB"), {}, {65496, 64, false}, FL_REASON_FRAGMENT_MALFORMED},
	{ROW("the same again"),
	 {{0, 480, true}, {480, 480, true}},
	 {480, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("the first one again"), {{0, 480, true}}, {0, 480, true}, FL_REASON_FRAGMENT_OVERLAP},
	{ROW("over the end of the first one"),
	 {{0, 480, true}},
	 {472, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("into the next one"),
	 {{0, 480, true}, {960, 64, true}},
	 {480, 488, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("all of the others"),
	 {{0, 480, true}, {640, 64, true}},
	 {480, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("over one that waits"),
	 {{480, 480, true}},
	 {952, 64, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("a first one over one that waits"),
	 {{472, 480, true}},
	 {0, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("a last one before another"),
	 {{0, 480, true}, {960, 64, true}},
	 {480, 240, false},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("a last one before another that waits"),
	 {{960, 64, true}},
	 {480, 240, false},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("one behind the last one"),
	 {{0, 480, true}, {960, 64, false}},
	 {1024, 64, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("another last one behind it"),
	 {{0, 480, true}, {960, 64, false}},
	 {1200, 64, false},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("another last one before it"),
	 {{0, 480, true}, {960, 64, false}},
	 {480, 64, false},
	 FL_REASON_FRAGMENT_OVERLAP},
};

static void bad_ones_are_refused(struct trial *t)
{
	const struct bad *bad = t->row;
	struct whole w = request_of(t);

	for (size_t i = 0; i < N(bad->before) && bad->before[i].size; i++) {
		feed_piece(&w, bad->before[i]);
		if (t->outcome == DROPPED)
			trial_fail(t, "dropped before the time");
	}
	feed_piece(&w, bad->piece);
	allow_counter(t, FL_COUNTER_FRAGMENT);
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_outcome(t, DROPPED);
	expect_counter(t, bad->reason, 1);
	/* what waited is dropped with the first one */
	if (!bad->piece.at && bad->before[0].at) {
		expect_counter(t, FL_REASON_FRAGMENT_REFUSED, 1);
		t->dropped++;
	}
}

/* A first one that is refused does not make its datagram complete, after which another one might
 * have the number. */
static void refused_bytes_do_not_count(struct trial *t)
{
	const struct piece first = {0, 480, true}, last = {472, 480, false};
	struct whole w = request_of(t);

	feed_piece(&w, last);
	expect_outcome(t, HELD);
	feed_piece(&w, first);
	expect_outcome(t, DROPPED);
	feed_piece(&w, last);
	expect_outcome(t, DROPPED);
	expect_counter(t, FL_REASON_FRAGMENT_OVERLAP, 2);
	expect_counter(t, FL_REASON_FRAGMENT_REFUSED, 1);
	t->dropped++; /* the one that waited */
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
}

struct datagram_end {
	struct row row;
	struct piece before[2], wrong;
};

/* With `wrong` as many bytes would have been seen as the datagram had then. */
static const struct datagram_end ends[] = {
	{ROW("too early"), {{0, 480, true}, {960, 240, true}}, {480, 64, false}},
	{ROW("behind the end"), {{0, 480, true}, {960, 64, false}}, {1024, 480, true}},
};

/* A datagram is not complete for what lies behind its end, after which another one might have the
 * number. */
static void datagrams_end_once(struct trial *t)
{
	const struct datagram_end *end = t->row;
	struct whole w = request_of(t);

	for (size_t i = 0; i < N(end->before); i++) {
		feed_piece(&w, end->before[i]);
		expect_outcome(t, t->network == AT_POD ? PASSED : SENT);
	}
	feed_piece(&w, end->wrong);
	expect_outcome(t, DROPPED);
	feed_piece(&w, end->before[0]);
	expect_outcome(t, DROPPED);
	expect_counter(t, FL_REASON_FRAGMENT_OVERLAP, 2);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

/* Neighbouring bytes are no overlap, whatever words their bits are in. */
static void neighbours_are_none(struct trial *t)
{
	struct whole w = request_of(t);
	uint32_t at = 0;

	for (uint32_t size = 64; at < 1200; size = size % 200 + 8) {
		const uint32_t left = 1200 - at;
		const struct piece piece = {(uint16_t)at, (uint16_t)(size < left ? size : left),
					    true};

		feed_piece(&w, piece);
		expect_outcome(t, SENT);
		at += piece.size;
	}
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

static void serve_none(struct trial *t)
{
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .verdict = {FL_VERDICT_REJECT, FL_VERDICT_REJECT}});
}

/* What a first one is refused for, the others are too. */
static void refused_with_the_first(struct trial *t)
{
	struct whole w = request_of(t);

	serve_none(t);
	feed_piece(&w, (struct piece){0, 480, true});
	expect_outcome(t, SENT);
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
	feed_piece(&w, (struct piece){480, 480, true});
	expect_drop(t, FL_REASON_FRAGMENT_REFUSED);
}

struct place {
	struct row row;
	enum network network;
	unsigned int host;
};

/* Nothing of a fragment says that it is ours but its addresses. */
static const struct place others[] = {
	{ROW("of nobody"), AT_FOREIGN, 1},
	{ROW("of a client"), AT_OUTSIDE, 30},
};

static void others_pass(struct trial *t)
{
	const struct place *place = t->row;
	struct whole w = request_of(t);
	const struct piece pieces[] = {{480, 480, true}, {0, 480, true}, {960, 64, false}};

	w.packet.dst = addr(t->family, place->network, place->host);
	frame_build(&w.packet, &w.frame);
	for (size_t i = 0; i < N(pieces); i++) {
		feed_piece(&w, pieces[i]);
		expect_untouched(t);
	}
	expect_flows(t, 0);
}

/* To an address of the node's, at a port that is nobody's: whole to the stack, in any order. */
static void the_nodes_own_arrive(struct trial *t)
{
	const struct order *order = t->row;
	struct whole w = request_of(t);
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	bool first = false;

	w.packet.dst = addr(t->family, AT_EXT0, 1);
	w.packet.dport = 9;
	w.want = w.packet;
	frame_build(&w.packet, &w.frame);
	w.wanted = w.frame;
	watched = watch(t, hook_dev(t->hook), true);
	for (size_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		feed_piece(&w, pieces[at]);
		if (at && !first) {
			expect_outcome(t, HELD);
			continue;
		}
		first = true;
		expect_untouched(t);
		for (size_t k = 0; !at && k < i; k++)
			expect_sent_besides(&w, w.id, pieces[order->at[k]]);
	}
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_flows(t, 0);
}

/* Two clients have the same numbers; to the backend, which sees one sender, they are different. */
static void numbers_are_told_apart(struct trial *t)
{
	struct whole one = request_of(t), other = one;
	uint32_t id[2];

	other.packet.sport++;
	other.packet.src = addr(t->family, client_network(t->hook), CLIENT_HOST + 1);
	frame_build(&other.packet, &other.frame);
	feed_piece(&one, (struct piece){0, 480, true});
	id[0] = piece_id(&t->r.out);
	feed_piece(&other, (struct piece){0, 480, true});
	id[1] = piece_id(&t->r.out);
	assert_int_not_equal(id[0], id[1]);
	feed_piece(&one, (struct piece){480, 480, true});
	assert_int_equal(piece_id(&t->r.out), id[0]);
	feed_piece(&other, (struct piece){480, 480, true});
	assert_int_equal(piece_id(&t->r.out), id[1]);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

/* A number comes again when its datagram is complete. */
static void numbers_come_again(struct trial *t)
{
	const uint16_t rest = (uint16_t)(total_of(t) - 480);
	struct whole w = request_of(t);

	for (int i = 0; i < 3; i++) {
		feed_piece(&w, (struct piece){0, 480, true});
		expect_outcome(t, SENT);
		feed_piece(&w, (struct piece){480, rest, false});
		expect_outcome(t, SENT);
	}
	/* also when the next begins with its end */
	feed_piece(&w, (struct piece){480, rest, false});
	expect_outcome(t, HELD);
	feed_piece(&w, (struct piece){0, 480, true});
	expect_outcome(t, SENT);
	expect_counter(t, FL_COUNTER_FRAGMENT, 8);
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, 1);
}

/* What a datagram becomes on its way to the stack is expected there, in a place of its own, which
 * is not that of the datagram itself while some of it still waits. */
static void whoever_sends_them(struct trial *t)
{
	struct packet packet = request_of(t).packet;
	const unsigned int datagrams = 3000;

	for (unsigned int i = 0; i < datagrams; i++) {
		struct whole w;

		packet.src = addr(t->family, client_network(t->hook), 1 + i % 200);
		w = whole_of(t, t->hook, hook_dev(t->hook), &packet);
		feed_piece(&w, (struct piece){480, (uint16_t)(total_of(t) - 480), false});
		expect_outcome(t, HELD);
		feed_piece(&w, (struct piece){0, 480, true});
		expect_outcome(t, PASSED);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, datagrams);
	expect_counter(t, FL_COUNTER_FRAGMENT, 2 * datagrams);
	/* of earlier trials */
	allow_counter(t, FL_REASON_FRAGMENT_ALONE);
	t->dropped += plane_counter(t->p, FL_REASON_FRAGMENT_ALONE);
}

/* The first one of a datagram is late, while more than can wait at a time come and go. */
static void those_that_wait_longer_are_not_lost(struct trial *t)
{
	enum { PIECES = 40, OTHERS = 600 };
	const struct piece first = {0, 480, true},
			   last = {480, (uint16_t)(total_of(t) - 480), false};
	struct whole late = request_of(t), w;
	uint32_t id = 0;

	for (uint16_t i = 0; i < PIECES; i++) {
		feed_piece(&late, (struct piece){480 + 16 * i, 16, true});
		expect_outcome(t, HELD);
	}
	for (int i = 0; i < OTHERS; i++) {
		w = whole_of(t, t->hook, hook_dev(t->hook), &late.packet);
		feed_piece(&w, last);
		expect_outcome(t, HELD);
		feed_piece(&w, first);
		expect_outcome(t, PASSED);
	}
	watched = watch(t, hook_dev(t->hook), true);
	feed_piece(&late, first);
	expect_outcome(t, PASSED);
	learn(&late);
	expect_piece(&late, first, &id);
	for (uint16_t i = 0; i < PIECES; i++)
		expect_sent_besides(&late, id, (struct piece){480 + 16 * i, 16, true});
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, PIECES + OTHERS);
	expect_counter(t, FL_COUNTER_FRAGMENT, PIECES + 1 + 2 * OTHERS);
}

/* More than can wait: the eldest go, each under its name, and fragments in order do not mind. */
static void a_flood_of_later_ones(struct trial *t)
{
	struct whole w = request_of(t), spoof = w;
	const unsigned int places = 256;

	for (unsigned int i = 0; i < places + 100; i++) {
		spoof.packet.src = addr(t->family, client_network(t->hook), 100);
		spoof.id = next_id();
		frame_build(&spoof.packet, &spoof.frame);
		feed_piece(&spoof, (struct piece){480, 480, false});
		expect_outcome(t, HELD);
	}
	if (plane_counter(t->p, FL_REASON_FRAGMENT_ALONE) < 100)
		trial_fail(t, "those that were forgotten are not counted");
	allow_counter(t, FL_REASON_FRAGMENT_ALONE);
	t->dropped += plane_counter(t->p, FL_REASON_FRAGMENT_ALONE);
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_flows(t, 0);
	feed_piece(&w, (struct piece){0, 480, true});
	expect_outcome(t, SENT);
	feed_piece(&w, (struct piece){480, (uint16_t)(total_of(t) - 480), false});
	expect_outcome(t, SENT);
	expect_counter(t, FL_COUNTER_FRAGMENT, 2);
}

/* Options and extension headers. */
struct extra {
	struct row row;
	uint8_t bytes[24], size;
	uint8_t next; /* IPv6: the header that they are */
	bool passes;  /* unchanged */
};

static const struct extra extras[] = {
	{ROW("router alert", .families = ONLY_IPV4), {148, 4, 0, 0}, 4, 0, false},
	{ROW("nothing but padding", .families = ONLY_IPV4), {1, 1, 1, 0}, 4, 0, false},
	{ROW("timestamps", .families = ONLY_IPV4), {68, 12, 5, 0}, 12, 0, false},
	{ROW("a loose route", .families = ONLY_IPV4), {131, 7, 4, 10, 0, 0, 9, 0}, 8, 0, true},
	{ROW("a strict route behind padding", .families = ONLY_IPV4),
	 {1, 137, 7, 4, 10, 0, 0, 9},
	 8,
	 0,
	 true},
	{ROW("an option of no length", .families = ONLY_IPV4), {148, 0, 0, 0}, 4, 0, true},
	{ROW("an option that reaches behind the header", .families = ONLY_IPV4),
	 {1, 148, 4, 0},
	 4,
	 0,
	 true},
	{ROW("an option whose length is behind the header", .families = ONLY_IPV4),
	 {1, 1, 1, 7},
	 4,
	 0,
	 true},
	{ROW("hop-by-hop", .families = ONLY_IPV6), {IPPROTO_UDP, 0, 1, 4}, 8, 0, false},
	{ROW("destination options", .families = ONLY_IPV6), {IPPROTO_UDP, 1, 1, 12}, 16, 60, false},
	{ROW("an atomic fragment", .families = ONLY_IPV6),
	 {IPPROTO_UDP, 0, 0, 0, 1, 2, 3, 4},
	 8,
	 44,
	 false},
	{ROW("a route", .families = ONLY_IPV6), {IPPROTO_UDP, 0, 4, 0}, 8, 43, true},
};

static void with_extra(const struct frame *plain, const struct extra *extra, uint8_t proto,
		       struct frame *ret_frame)
{
	uint8_t bytes[sizeof(extra->bytes)];

	memcpy(bytes, extra->bytes, sizeof(bytes));
	if (bytes[0] == IPPROTO_UDP && plain->b[12] == 0x86)
		bytes[0] = proto;
	frame_insert(plain, bytes, extra->size, extra->next, ret_frame);
}

static void headers_in_between(struct trial *t)
{
	const struct extra *extra = t->row;
	struct packet packet = packet_of(t);
	struct whole w = whole_of(t, t->hook, hook_dev(t->hook), &packet);
	struct frame frame, want;

	with_extra(&w.frame, extra, t->proto, &frame);
	feed_frame(t, w.hook, w.dev, &frame);
	if (extra->passes) {
		expect_untouched(t);
		expect_flows(t, 0);
		return;
	}
	learn(&w);
	with_extra(&w.wanted, extra, t->proto, &want);
	if (t->network == AT_POD)
		expect_outcome(t, PASSED);
	else
		expect_outcome(t, SENT);
	do_expect_frame(AT_LINE(t), &want);
	expect_flows(t, 1);
}

/* What is refused is answered as without them. */
static void headers_in_between_are_answered(struct trial *t)
{
	const struct extra *extra = t->row;
	struct packet packet = packet_of(t);
	struct frame plain, frame, want;

	serve_none(t);
	frame_build(&packet, &plain);
	with_extra(&plain, extra, t->proto, &frame);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	if (extra->passes) {
		expect_untouched(t);
		return;
	}
	frame_build_icmp(&packet, ICMP_PORT_UNREACHABLE, 0, &want);
	expect_outcome(t, SENT);
	do_expect_frame(AT_LINE(t), &want);
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
}

/* XDP has tc do it, if it may be ours. */
static void xdp_leaves_them_to_tc(struct trial *t)
{
	struct whole w = request_of(t);

	feed_piece(&w, (struct piece){0, 480, true});
	expect_left_to_tc(t);
	feed_piece(&w, (struct piece){480, 480, true});
	expect_left_to_tc(t);
	w.packet.dst = addr(t->family, AT_FOREIGN, 1);
	frame_build(&w.packet, &w.frame);
	feed_piece(&w, (struct piece){480, 480, true});
	expect_untouched(t);
}

#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)

static const struct test tests[] = {
	{"D3: fragments follow the first one", CHECK(in_order),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC),
	 .frontends = EVERY_FRONTEND},
	{"also a last one of a byte", CHECK(last_one_of_a_byte),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC)},
	{"as far as 64 KB", CHECK(as_far_as_64_kb),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS | ON_POD_INGRESS},
	{"D3: those that come before the first one wait for it", CHECK(in_any_order),
	 .undo = stop_watching, ROWS(orders), .hooks = BY_TC,
	 .networks = IN(AT_POD) | IN(AT_REDIRECT) | IN(AT_TC), .frontends = EVERY_FRONTEND},
	{"D3: the backend's fragments are the frontend's, in any order", CHECK(replies),
	 .undo = stop_watching, ROWS(orders), .hooks = BY_TC,
	 .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT)},
	{"D3: tiny and overlapping fragments are refused by name", CHECK(bad_ones_are_refused),
	 ROWS(bads), .hooks = BY_TC, .networks = IN(AT_TX) | IN(AT_POD)},
	{"D3: refused bytes do not make a datagram complete", CHECK(refused_bytes_do_not_count),
	 .hooks = BY_TC, .networks = IN(AT_TX) | IN(AT_POD)},
	{"D3: a datagram ends once", CHECK(datagrams_end_once), ROWS(ends), .hooks = BY_TC,
	 .networks = IN(AT_TX) | IN(AT_POD)},
	{"fragments side by side are no overlap", CHECK(neighbours_are_none), .hooks = BY_TC},
	{"a refused first one is answered, the others are dropped", CHECK(refused_with_the_first),
	 .hooks = BY_TC},
	{"fragments of others pass", CHECK(others_pass), ROWS(others),
	 .hooks = ON_XDP | ON_TC_INGRESS},
	{"the node's own arrive", CHECK(the_nodes_own_arrive), .undo = stop_watching, ROWS(orders),
	 .hooks = BY_TC},
	{"RFC 6864: masqueraded datagrams have numbers of their own", CHECK(numbers_are_told_apart),
	 .hooks = BY_TC},
	{"a number comes again", CHECK(numbers_come_again), .hooks = BY_TC},
	{"D3: those that wait are not lost, whoever sends them", CHECK(whoever_sends_them),
	 .hooks = ON_TC_INGRESS, .networks = IN(AT_POD)},
	{"D3: those that wait longer than others are not lost",
	 CHECK(those_that_wait_longer_are_not_lost), .undo = stop_watching, .hooks = ON_TC_INGRESS,
	 .networks = IN(AT_POD)},
	{"D3: a flood of fragments does not stop others", CHECK(a_flood_of_later_ones),
	 .hooks = ON_TC_INGRESS},
	{"D2: options and extension headers are carried along", CHECK(headers_in_between),
	 ROWS(extras), .hooks = BY_TC, .networks = IN(AT_POD) | IN(AT_TX)},
	{"... and what is refused is answered", CHECK(headers_in_between_are_answered),
	 ROWS(extras), .hooks = BY_TC, .protos = ONLY_UDP},
	{"XDP leaves fragments that may be ours to tc", CHECK(xdp_leaves_them_to_tc)},
};

const struct topic fragments_topic = {"fragments", TESTS(tests)};
