// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two entries a flow: they name each other, come and go together, and a flow that was lost is
 * rebuilt the same way, so that neither end notices (ARCHITECTURE.md).
 */
#include "tests/packet/packet.h"

#define EVERYWHERE (IN(AT_POD) | IN(AT_TX))

static void entries_name_each_other(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct fl_flow_head *head, *reply;
	struct fl_flow flow;

	talk_establish(&talk);
	flow = expect_flow(t, &talk.client);
	head = plane_head(t->p, t->family, flow.slot);
	reply = plane_head(t->p, t->family, flow.reply_slot);
	assert_int_equal(head->twin, flow.reply_slot);
	assert_int_equal(reply->twin, flow.slot);
	assert_true(fl_flow_generation_is(reply->word, head->twin_generation));
	assert_true(fl_flow_generation_is(head->word, reply->twin_generation));
	assert_int_equal(reply->word & FL_FLOW_STATE_MASK, FL_FLOW_ESTABLISHED);
	assert_int_equal(fl_flow_backend(reply), fl_flow_backend(head));
}

static size_t lone(const struct plane *p)
{
	struct fl_flow_table table = plane_flows(p);
	struct fl_flow_counts counts;

	fl_flow_count(&table, &counts);
	return counts.lone;
}

/*
 * Thousands of newcomers in a small table. An embryonic flow may lose one entry and keep the other;
 * what is left is no flow (the runner looks that it is no proven one's, and of UDP no original).
 */
static void embryonic_flows_go_by_halves(struct trial *t)
{
	uint64_t evicted;
	size_t flows;

	for (uint32_t i = 0; i < 4 * SMALL_BUCKETS * FL_FLOW_WAYS; i++) {
		struct packet packet = from_client(t, 1 + i / 60000, (uint16_t)(1000 + i % 60000));

		packet.payload = 0;
		feed(t, &packet);
		expect_outcome(t, PASSED);
	}
	evicted = plane_counter(t->p, FL_COUNTER_FLOW_EVICTED);
	assert_true(evicted > 0);
	expect_counter(t, FL_COUNTER_FLOW_EVICTED, evicted);
	flows = plane_count(t->p, t->family);
	/* each lone entry is of a flow of its own, and counted when its original goes */
	assert_true(plane_counter(t->p, FL_COUNTER_FLOW_NEW) - evicted - flows <= lone(t->p));
	assert_true(lone(t->p) > 0);
	assert_true(flows > SMALL_BUCKETS * FL_FLOW_WAYS / 2 * 5 / 10);
}

struct loss {
	struct row row;
	bool original, reply;
};

static const struct loss losses[] = {
	/* for TCP only a SYN makes a flow (test_opening.c) */
	{ROW("both entries", .protos = ONLY_UDP), true, true},
	{ROW("the original", .protos = ONLY_UDP), true, false},
	{ROW("the reply", .protos = ONLY_UDP), false, true},
};

/* In the middle of a conversation: the client's next packet goes where the last one went. */
static void lost_flow_is_rebuilt_the_same(struct trial *t)
{
	const struct loss *loss = t->row;
	struct fl_flow_table table = plane_flows(t->p);
	struct talk talk = talk_begin(t);
	struct packet before;
	struct fl_flow flow;

	talk_establish(&talk);
	before = talk.inner;
	flow = expect_flow(t, &talk.client);
	if (loss->original)
		plane_forget(t->p, t->family, flow.slot);
	if (loss->reply)
		plane_forget(t->p, t->family, flow.reply_slot);
	if (!loss->original) {
		/* the fast path does not look for the twin: the agent's sweep does */
		struct fl_sweep sweep = {0};

		flow_age(t->p, &flow, 2 * t->p->config.hz);
		for (int n = 0; n < FL_TIMEOUTS; n++)
			sweep.timeout[n] = t->p->config.timeout[n];
		fl_flow_sweep(&table, &sweep, plane_now(t->p), t->p->config.hz, USUAL_BUCKETS);
	}
	talk_expect_state(&talk, FL_FLOW_FREE);
	talk_send(&talk, ACK);
	expect_address(t, &talk.inner.dst, &before.dst);
	expect_address(t, &talk.inner.src, &before.src);
	assert_int_equal(talk.inner.sport, before.sport);
	talk_expect_request(&talk);
	assert_int_equal(lone(t->p), 0);
	talk_expect_both(&talk);
	talk_grow_old(&talk);
	talk_send(&talk, ACK);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
}

struct half {
	struct row row;
	bool reply;	/* is what is lost */
	uint8_t closed; /* TCP: by the client (1), by the backend (2) */
};

static const struct half halves[] = {
	{ROW("the reply is lost"), true, 0},
	{ROW("the original is lost"), false, 0},
	{ROW("the reply is lost, the client has closed", .protos = ONLY_TCP), true, 1},
	{ROW("the original is lost, the client has closed", .protos = ONLY_TCP), false, 1},
	{ROW("the reply is lost, the backend has closed", .protos = ONLY_TCP), true, 2},
	{ROW("the original is lost, the backend has closed", .protos = ONLY_TCP), false, 2},
};

/* The twin is looked at where last_seen is written, once a second; what is lost is made again. */
static void half_a_flow_becomes_whole(struct trial *t)
{
	const struct half *half = t->row;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_establish(&talk);
	if (half->closed == 1)
		talk_send(&talk, FIN | ACK);
	if (half->closed == 2)
		talk_reply(&talk, FIN | ACK);
	flow = expect_flow(t, &talk.client);
	plane_forget(t->p, t->family, half->reply ? flow.reply_slot : flow.slot);
	plane_head(t->p, t->family, half->reply ? flow.slot : flow.reply_slot)->last_seen =
		plane_now(t->p) - 2 * t->p->config.hz;
	if (half->reply) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
		talk_reply(&talk, ACK);
	} else {
		talk_reply(&talk, ACK);
	}
	talk_expect_reply(&talk);
	talk_expect_both(&talk);
	talk_expect_state(&talk, half->closed ? FL_FLOW_HALF_CLOSED : FL_FLOW_ESTABLISHED);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
	assert_int_equal(lone(t->p), 0);
	/* TCP is believed on both sides of it */
	if (t->proto == IPPROTO_TCP) {
		if (half->closed != 1)
			talk_send(&talk, FIN | ACK);
		if (!half->closed)
			talk_expect_state(&talk, FL_FLOW_HALF_CLOSED);
		if (half->closed != 2)
			talk_reply(&talk, FIN | ACK);
		talk_expect_state(&talk, FL_FLOW_TIME_WAIT);
	}
}

/*
 * B2: a processor that is kept from publishing what it has claimed, as a virtual one may be for
 * milliseconds, costs the flow's other packets nothing; whichever of the two entries comes first.
 */
static void claim_of_a_stalled_processor_gives_way(struct trial *t)
{
	for (uint16_t i = 0; i < 16; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i));
		struct fl_flow_head *head;
		struct fl_flow flow;

		feed(t, &packet);
		flow = expect_flow(t, &packet);
		head = plane_head(t->p, t->family, flow.slot);
		head->word =
			fl_flow_word(fl_flow_generation(head->word), FL_FLOW_BUSY | FL_FLOW_CLAIM);
		feed(t, &packet);
		assert_int_not_equal(expect_flow(t, &packet).slot, flow.slot);
		assert_false(head->word & FL_FLOW_CLAIM);
		/* as that processor does when it goes on */
		plane_forget(t->p, t->family, flow.reply_slot);
	}
}

struct remnant {
	struct row row;
	enum fl_flow_state state; /* of the flow, when it lost an entry */
};

static const struct remnant remnants[] = {
	{ROW("the client has spoken"), FL_FLOW_NEW},
	{ROW("the backend has answered", .protos = ONLY_TCP), FL_FLOW_REPLIED},
};

/* A newcomer has the reply's entry, and its source port may be somebody else's: the original alone
 * translates nothing, and a SYN begins another flow. */
static void original_alone_is_over(struct trial *t)
{
	const struct remnant *remnant = t->row;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_bring_to(&talk, remnant->state);
	flow = expect_flow(t, &talk.client);
	plane_forget(t->p, t->family, flow.reply_slot);
	if (remnant->state == FL_FLOW_REPLIED) {
		talk_send(&talk, ACK);
		expect_drop(t, FL_REASON_NO_FLOW);
		expect_no_flow(t, &talk.client);
		t->expected[FL_COUNTER_FLOW_EVICTED]++;
	}
	assert_int_equal(plane_count(t->p, t->family), 0);
	talk = talk_begin(t);
	talk_establish(&talk);
	talk_expect_both(&talk);
	assert_int_equal(lone(t->p), 0);
	expect_counter(t, FL_COUNTER_FLOW_EVICTED, 1);
}

/* The other way round: what the backend says passes, and the client is served anew. */
static void reply_alone_is_over(struct trial *t)
{
	const struct remnant *remnant = t->row;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_bring_to(&talk, remnant->state);
	flow = expect_flow(t, &talk.client);
	plane_forget(t->p, t->family, flow.slot);
	talk_reply(&talk, SYN | ACK);
	expect_untouched(t);
	assert_int_equal(lone(t->p), 0);
	talk = talk_begin(t);
	talk_establish(&talk);
	talk_expect_both(&talk);
}

#define CLIENTS 50

/* Two nodes, or one after its memory was lost. */
static void same_backend_with_an_empty_table(struct trial *t)
{
	uint32_t ids[CLIENTS];

	for (int again = 0; again < 2; again++) {
		plane_flows_clear(t->p);
		for (uint16_t i = 0; i < CLIENTS; i++) {
			struct packet packet =
				from_client(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i * 17));
			uint32_t id;

			feed(t, &packet);
			id = expect_flow(t, &packet).backend_id;
			if (again)
				assert_int_equal(id, ids[i]);
			ids[i] = id;
		}
	}
}

static void reply_alone_makes_nothing(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	plane_flows_clear(t->p);
	talk_reply(&talk, SYN | ACK);
	expect_untouched(t);
	expect_flows(t, 0);
}

/* Both protocols at one frontend, from one port of a client. */
static void protocols_have_flows_of_their_own(struct trial *t)
{
	struct scene scene = {.family = t->family, .network = t->network};
	struct talk tcp = talk_begin(t), udp = tcp;

	for (int i = 0; i < 2; i++) {
		scene.proto = i ? IPPROTO_UDP : IPPROTO_TCP;
		scene_set(t->p, &scene, t->fe);
	}
	udp.client.proto = IPPROTO_UDP;
	talk_establish(&tcp);
	talk_establish(&udp);
	for (int i = 0; i < 3; i++) {
		talk_expect_both(&tcp);
		talk_expect_both(&udp);
	}
	expect_flows(t, 2);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 2);
}

static const struct test tests[] = {
	{"the entries of a flow name each other", CHECK(entries_name_each_other),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE},
	{"a flow that has proved nothing may lose its entries one by one",
	 CHECK(embryonic_flows_go_by_halves), .networks = IN(AT_POD), .plane = PLANE_SMALL},
	{"B8: an embryonic flow without its reply is over", CHECK(original_alone_is_over),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(remnants)},
	{"B8: an embryonic flow without its original is over", CHECK(reply_alone_is_over),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(remnants)},
	{"5.3.4: a lost flow is rebuilt the same", CHECK(lost_flow_is_rebuilt_the_same),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE, .scene = {.backends = 5}, ROWS(losses)},
	{"a flow that has lost one half is whole again within a second",
	 CHECK(half_a_flow_becomes_whole), .hooks = ON_INGRESS, .networks = EVERYWHERE,
	 .scene = {.backends = 5}, ROWS(halves)},
	{"B2: a claim that is not followed up is taken away",
	 CHECK(claim_of_a_stalled_processor_gives_way), .hooks = ON_INGRESS,
	 .networks = EVERYWHERE},
	{"the same client gets the same backend with an empty table",
	 CHECK(same_backend_with_an_empty_table), .hooks = ON_INGRESS, .scene = {.backends = 5}},
	{"1.10: TCP and UDP flows between the same ports are two",
	 CHECK(protocols_have_flows_of_their_own), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE},
	{"a reply that belongs to no flow is not ours", CHECK(reply_alone_makes_nothing),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE},
};

const struct topic pair_topic = {"pairs", TESTS(tests)};
