// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Backends on this node: the destination is rewritten on the way in, the source on the way out. */
#include "tests/packet/packet.h"

/* The addresses of the link and the TTL are the stack's. */
static void only_the_destination_changes(struct trial *t)
{
	struct packet packet = packet_of(t), want = packet;
	struct fl_flow flow;

	feed(t, &packet);
	want.dst = addr(t->family, AT_POD, 1);
	want.dport = BACKEND_PORT;
	expect_stack(t, &want);
	flow = expect_flow(t, &packet);
	assert_int_equal(flow.backend_id, 1);
	assert_true(fl_flow_has_backend(&flow, &t->p->maps.backends[1]));
	assert_int_equal(flow.flags & (FL_FLOW_SNAT | FL_FLOW_TO_STACK), FL_FLOW_TO_STACK);
	assert_int_equal(flow.reply_flags & FL_FLOW_SNAT, 0);
}

static void reply_gets_the_frontend_back(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	talk.inner.payload = 11;
	talk_reply(&talk, SYN | ACK);
	talk_expect_reply(&talk);
}

static void conversation_stays_translated(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	for (uint16_t i = 0; i < 50; i++) {
		talk.client.payload = (uint16_t)(i * 29);
		talk_send(&talk, ACK | PSH);
		talk_expect_request(&talk);
		talk.inner.payload = (uint16_t)(1400 - i * 28);
		talk_reply(&talk, ACK);
		talk_expect_reply(&talk);
	}
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 0);
}

struct other {
	struct row row;
	uint16_t sport, dport; /* added */
	unsigned int pod, client;
};

static const struct other others[] = {
	{ROW("another port of the pod"), 1, 0, 1, CLIENT_HOST},
	{ROW("another port of the client"), 0, 1, 1, CLIENT_HOST},
	{ROW("another pod"), 0, 0, 2, CLIENT_HOST},
	{ROW("another client"), 0, 0, 1, CLIENT_HOST + 1},
};

static void other_packets_leave_untouched(struct trial *t)
{
	const struct other *other = t->row;
	struct talk talk = talk_begin(t);
	struct packet packet;

	talk_send(&talk, SYN);
	packet = packet_reverse(&talk.inner);
	packet.flags = ACK;
	packet.sport += other->sport;
	packet.dport += other->dport;
	packet.src = addr(t->family, AT_POD, other->pod);
	packet.dst = addr(t->family, AT_OUTSIDE, other->client);
	feed(t, &packet);
	expect_untouched(t);
}

/* The second flow's reply would look like the first's: it keeps the client's address and gets
 * another port, and each reply finds its own frontend. */
static void colliding_frontends_get_other_ports(struct trial *t)
{
	struct talk talk[SCENE_FRONTENDS];

	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		talk[i] = talk_from(t, CLIENT_HOST, CLIENT_PORT, &t->fe[i]);
		talk_establish(&talk[i]);
		assert_int_equal(talk[i].inner.sport == CLIENT_PORT, i == 0);
		assert_true(i == 0 || plane_may_use_port(t->p, talk[i].inner.sport));
		for (int j = 0; j < i; j++)
			assert_int_not_equal(talk[i].inner.sport, talk[j].inner.sport);
	}
	for (int i = 0; i < SCENE_FRONTENDS; i++)
		talk_expect_both(&talk[i]);
}

static const struct test tests[] = {
	{"in by each hook only the destination changes", CHECK(only_the_destination_changes),
	 .hooks = ON_INGRESS, .networks = IN(AT_POD), .frontends = EVERY_FRONTEND},
	{"the reply leaves with the frontend's address, whichever it was",
	 CHECK(reply_gets_the_frontend_back), .hooks = ON_EGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD), .frontends = EVERY_FRONTEND},
	{"established packets are translated like the first, without asking for a way",
	 CHECK(conversation_stays_translated), .hooks = ON_INGRESS, .networks = IN(AT_POD),
	 .frontends = EVERY_FRONTEND},
	{"what leaves and is no reply is not ours", CHECK(other_packets_leave_untouched),
	 .hooks = ON_EGRESS, .networks = IN(AT_POD), ROWS(others)},
	{"one client port at several frontends of one backend: each reply finds its own",
	 CHECK(colliding_frontends_get_other_ports), .hooks = ON_INGRESS, .networks = IN(AT_POD)},
};

const struct topic local_topic = {"local", TESTS(tests)};
