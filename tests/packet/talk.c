// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Conversations through the datapath. */
#include "tests/packet/talk.h"

#include "lb/api/view.h"
#include "tests/packet/packet.h"

/* Where the packets of a backend meet the datapath. */
static void set_reply_way(struct talk *talk, enum hook hook, enum network network)
{
	bool local = network == AT_POD;

	talk->reply_dev = local ? hook_dev(hook) : net_dev(network);
	if (local)
		talk->reply_hook = hook == HOOK_POD_INGRESS ? HOOK_POD_EGRESS : HOOK_TC_EGRESS;
	else if (hook == HOOK_XDP && talk->reply_dev != DEV_EXT2)
		talk->reply_hook = HOOK_XDP;
	else
		talk->reply_hook = HOOK_TC_INGRESS;
}

struct talk talk_from(struct trial *t, unsigned int host, uint16_t port,
		      const struct frontend *frontend)
{
	struct talk talk = {
		.t = t,
		.client = from_client(t, host, port),
		.client_end = {CLIENT_ISN, CLIENT_ISN},
		.backend_end = {BACKEND_ISN, BACKEND_ISN},
		.hook = t->hook,
		.dev = hook_dev(t->hook),
		.masqueraded = t->network != AT_POD && !t->test->scene.keep_source,
		.own_frontend = frontend->type == FL_FRONTEND_NODE_PORT,
	};

	talk.client.dst = frontend->ip;
	talk.client.dport = frontend->port;
	set_reply_way(&talk, t->hook, t->network);
	/* a test of the way out: clients come in by XDP, or from a pod */
	if (ON_EGRESS & 1 << t->hook) {
		talk.reply_hook = t->hook;
		talk.hook = HOOK_XDP;
		talk.dev = DEV_EXT0;
		talk.client.dst_mac = t->p->net->mac[DEV_EXT0];
	}
	return talk;
}

struct talk talk_begin(struct trial *t)
{
	return talk_from(t, CLIENT_HOST, CLIENT_PORT, t->to);
}

/* Write the TCP numbers of a packet, and count on what it takes. */
static void number(struct packet *packet, struct end *from, const struct end *to)
{
	if (packet->proto != IPPROTO_TCP)
		return;
	if (packet->flags & SYN && from->over) {
		from->initial = from->next + 100000;
		from->over = false;
	}
	if (packet->flags & SYN)
		from->next = from->initial;
	packet->seq = from->next;
	packet->ack = packet->flags & ACK ? to->next : 0;
	from->next += packet->payload + !!(packet->flags & SYN) + !!(packet->flags & FIN);
	from->over |= !!(packet->flags & (FIN | RST));
}

enum outcome do_talk_send(struct talk *talk, uint8_t flags)
{
	struct trial *t = talk->t;
	struct fl_flow flow;

	talk->client.flags = flags;
	number(&talk->client, &talk->client_end, &talk->backend_end);
	do_feed(t, talk->hook, talk->dev, &talk->client);
	if (find_flow(t->p, &talk->client, &flow)) {
		struct packet inner = translated(&talk->client, &flow);

		inner.payload = talk->inner.payload;
		inner.ttl = talk->inner.ttl ? talk->inner.ttl : 64;
		talk->inner = inner;
	}
	return t->outcome;
}

/* As the backend's packet comes in, or where it is local, leaves. */
static struct packet reply_of(struct talk *talk, uint8_t flags)
{
	const struct net *net = talk->t->p->net;
	struct packet reply = packet_reverse(&talk->inner);
	enum dev dev = talk->reply_dev;

	reply.flags = flags;
	number(&reply, &talk->backend_end, &talk->client_end);
	if (ON_EGRESS & 1 << talk->reply_hook) {
		reply.src_mac = net->mac[dev];
		reply.dst_mac = net->gateway_mac[dev == DEV_POD ? AT_POD : AT_OUTSIDE];
	} else {
		reply.dst_mac = net->mac[dev];
		reply.src_mac = net->gateway_mac[talk->t->network];
	}
	return reply;
}

enum outcome do_talk_reply(struct talk *talk, uint8_t flags)
{
	talk->reply = reply_of(talk, flags);
	return do_feed(talk->t, talk->reply_hook, talk->reply_dev, &talk->reply);
}

/* Sent on by us: one hop less, and the addresses of the link it is sent to. */
static struct packet forwarded(const struct talk *talk, struct packet packet, enum network network)
{
	const struct net *net = talk->t->p->net;

	packet.ttl--;
	packet.dst_mac = net->gateway_mac[network];
	packet.src_mac = net->mac[net_dev(network)];
	return packet;
}

/* Backend of the trial's service, source as the rules of masquerading have it. */
static void expect_translation(const struct talk *talk)
{
	struct trial *t = talk->t;
	struct fl_flow flow = do_expect_flow(t, &talk->client);
	struct fl_ip backend = addr(t->family, t->network, flow.backend_id);
	uint8_t flags = talk->masqueraded ? FL_FLOW_SNAT : FL_FLOW_TO_STACK,
		reply_flags = talk->own_frontend ? flags & FL_FLOW_SNAT : flags;
	const uint8_t which = FL_FLOW_SNAT | FL_FLOW_TO_STACK;

	if (!fl_ip_equal(&flow.backend, &backend) || flow.backend_port != BACKEND_PORT)
		do_fail(t, "the flow leads elsewhere than to backend %u", flow.backend_id);
	if (talk->masqueraded ? !pool_allows(t->p, net_dev(t->network), &flow.source)
			      : !fl_ip_equal(&flow.source, &talk->client.src))
		do_fail(t, "the source is %s", talk->masqueraded ? "kept" : "masqueraded");
	if (talk->masqueraded && !plane_may_use_port(t->p, flow.source_port))
		do_fail(t, "source port %u is not for masquerading", flow.source_port);
	if ((flow.flags & which) != flags || (flow.reply_flags & which) != reply_flags)
		do_fail(t, "flags of the flow: original %#x, reply %#x", flow.flags,
			flow.reply_flags);
}

void do_talk_expect_request(struct talk *talk)
{
	struct trial *t = talk->t;
	struct packet want = talk->client;

	do_expect_outcome(t, talk->masqueraded ? SENT : PASSED);
	expect_translation(talk);
	want.src = talk->inner.src;
	want.sport = talk->inner.sport;
	want.dst = talk->inner.dst;
	want.dport = talk->inner.dport;
	if (!talk->masqueraded) {
		do_expect_stack(t, &want);
		return;
	}
	want = forwarded(talk, want, t->network);
	do_expect_sent(t, net_dev(t->network), &want);
}

void do_talk_expect_reply(struct talk *talk)
{
	enum network client = client_network(talk->t->hook);
	struct packet want = talk->reply;

	want.src = talk->client.dst;
	want.sport = talk->client.dport;
	want.dst = talk->client.src;
	want.dport = talk->client.sport;
	if (ON_EGRESS & 1 << talk->reply_hook || (!talk->masqueraded && !talk->own_frontend)) {
		do_expect_stack(talk->t, &want);
		return;
	}
	want = forwarded(talk, want, client);
	do_expect_sent(talk->t, net_dev(client), &want);
}

void do_talk_expect_both(struct talk *talk)
{
	struct packet before = talk->inner;

	do_talk_send(talk, ACK);
	if (!fl_ip_equal(&before.src, &talk->inner.src) ||
	    !fl_ip_equal(&before.dst, &talk->inner.dst) || before.sport != talk->inner.sport ||
	    before.dport != talk->inner.dport)
		do_fail(talk->t, "the flow is translated in another way than before");
	do_talk_expect_request(talk);
	do_talk_reply(talk, ACK);
	do_talk_expect_reply(talk);
}

void talk_grow_old(const struct talk *talk)
{
	struct trial *t = talk->t;
	struct fl_flow flow;

	if (talk->client.proto == IPPROTO_UDP && find_flow(t->p, &talk->client, &flow))
		plane_head(t->p, t->family, flow.slot)->seq -= 3 * t->p->config.hz;
}

enum fl_flow_state talk_state(const struct talk *talk)
{
	struct fl_flow flow;

	return find_flow(talk->t->p, &talk->client, &flow) ? flow.state : FL_FLOW_FREE;
}

void do_talk_expect_state(const struct talk *talk, enum fl_flow_state state)
{
	enum fl_flow_state got = talk_state(talk);

	if (got != state)
		do_fail(talk->t, "state of the flow: expected %s, got %s",
			fl_flow_state_name(state), fl_flow_state_name(got));
}

void do_talk_bring_to(struct talk *talk, enum fl_flow_state state)
{
	do_talk_send(talk, SYN);
	if (state >= FL_FLOW_REPLIED)
		do_talk_reply(talk, SYN | ACK);
	if (state >= FL_FLOW_ESTABLISHED) {
		talk_grow_old(talk);
		do_talk_send(talk, ACK);
	}
	if (state == FL_FLOW_HALF_CLOSED || state == FL_FLOW_TIME_WAIT)
		do_talk_reply(talk, FIN | ACK);
	if (state == FL_FLOW_TIME_WAIT)
		do_talk_send(talk, FIN | ACK);
	if (state == FL_FLOW_CLOSING)
		do_talk_reply(talk, RST | ACK);
	do_talk_expect_state(talk, state);
}

void do_talk_establish(struct talk *talk)
{
	do_talk_bring_to(talk, FL_FLOW_ESTABLISHED);
}

bool talk_establish_at_pod(struct talk *talk)
{
	struct trial *t = talk->t;

	number(&talk->client, &talk->client_end, &talk->backend_end);
	if (feed_at(t, HOOK_XDP, &talk->client) == DROPPED)
		return false;
	talk->inner = talk->client;
	talk->inner.dst = addr(t->family, AT_POD, 1);
	talk->inner.dport = BACKEND_PORT;
	talk_reply(talk, SYN | ACK);
	talk_grow_old(talk);
	talk->client.flags = ACK;
	number(&talk->client, &talk->client_end, &talk->backend_end);
	assert_int_equal(feed_at(t, HOOK_XDP, &talk->client), PASSED);
	return true;
}

void talk_expect_at_pod(struct talk *talk)
{
	struct packet want;

	talk->client.flags = ACK;
	number(&talk->client, &talk->client_end, &talk->backend_end);
	want = talk->client;
	want.dst = talk->inner.dst;
	want.dport = talk->inner.dport;
	feed_at(talk->t, HOOK_XDP, &talk->client);
	expect_stack(talk->t, &want);
	talk_reply(talk, ACK);
	talk_expect_reply(talk);
}
