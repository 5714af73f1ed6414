// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What makes room for newcomers in a full table: free entries before expired before embryonic,
 * established ones never. */
#include "tests/packet/packet.h"

#include <string.h>

#define SLOTS (SMALL_BUCKETS * FL_FLOW_WAYS)

/* What every bucket holds, way by way. */
struct filling {
	enum fl_flow_state state[FL_FLOW_WAYS];
	int32_t idle_s[FL_FLOW_WAYS]; /* negative: seen by a processor whose clock is ahead */
	bool udp[FL_FLOW_WAYS];
};

/* Entries made by hand: keys that no packet of the tests has, twins that are not there. */
static void fill(struct trial *t, const struct filling *filling)
{
	uint32_t now = plane_now(t->p);

	plane_flows_clear(t->p);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		struct fl_flow_head *head = plane_head(t->p, t->family, slot);
		uint32_t way = slot % FL_FLOW_WAYS;

		head->word = 1 << FL_FLOW_GENERATION_SHIFT | filling->state[way];
		head->proto = filling->udp[way] ? IPPROTO_UDP : IPPROTO_TCP;
		head->twin_generation = 0xffff;
		head->last_seen = now - (uint32_t)(filling->idle_s[way] * (int)t->p->config.hz);
		head->packets = slot;
	}
}

static void expect_newcomers_dropped(struct trial *t, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i));

		feed(t, &packet);
		expect_drop(t, FL_REASON_FLOW_TABLE_FULL);
		expect_no_flow(t, &packet);
	}
}

/* Entries of a way that are still those that were filled in. */
static unsigned int survivors(const struct trial *t, uint32_t way)
{
	unsigned int n = 0;

	for (uint32_t slot = way; slot < SLOTS; slot += FL_FLOW_WAYS)
		n += plane_head(t->p, t->family, slot)->word >> FL_FLOW_GENERATION_SHIFT == 1;
	return n;
}

static const struct filling all_established = {
	.state = {FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED,
		  FL_FLOW_ESTABLISHED},
};

static void full_of_established_is_a_named_drop(struct trial *t)
{
	fill(t, &all_established);
	expect_newcomers_dropped(t, 100);
	for (uint32_t way = 0; way < FL_FLOW_WAYS; way++)
		assert_int_equal(survivors(t, way), SMALL_BUCKETS);
}

/* An entry that another processor is filling is no packet's to take. */
static void busy_entries_are_left_alone(struct trial *t)
{
	static const struct filling busy = {
		.state = {FL_FLOW_BUSY, FL_FLOW_BUSY, FL_FLOW_BUSY, FL_FLOW_BUSY},
		.idle_s = {0, 400, 4000, 40000},
	};

	fill(t, &busy);
	expect_newcomers_dropped(t, 20);
}

struct half {
	struct row row;
	bool reply; /* it is the reply that finds room */
};

static const struct half halves[] = {
	{ROW("room for the original only"), false},
	{ROW("room for the reply only"), true},
};

/* The other entry of a pair finds no room: this one is given back. */
static void half_a_room_is_given_back(struct trial *t)
{
	const struct half *half = t->row;
	struct packet packet = packet_of(t);
	struct fl_flow_head *head;
	struct fl_flow flow;

	feed(t, &packet);
	flow = expect_flow(t, &packet);
	fill(t, &all_established);
	head = plane_head(t->p, t->family, half->reply ? flow.reply_slot : flow.slot);
	head->word = 7 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_FREE;
	feed(t, &packet);
	expect_drop(t, FL_REASON_FLOW_TABLE_FULL);
	assert_int_equal(head->word & FL_FLOW_STATE_MASK, FL_FLOW_FREE);
}

struct order {
	struct row row;
	struct filling filling;
	uint32_t victim; /* the way that is given up first */
	uint32_t counter;
};

static const struct order orders[] = {
	{ROW("free before all others"),
	 {{FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_FREE, FL_FLOW_REPLIED},
	  {59, 90000, 0, 59},
	  {0}},
	 2,
	 FL_COUNTER_MAX},
	{ROW("expired before embryonic"),
	 {{FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_NEW, FL_FLOW_REPLIED},
	  {59, 86500, 58, 59},
	  {0}},
	 1,
	 FL_COUNTER_FLOW_EXPIRED},
	{ROW("expired before closed"),
	 {{FL_FLOW_CLOSING, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_CLOSING},
	  {29, 0, 86000, 31},
	  {0}},
	 3,
	 FL_COUNTER_FLOW_EXPIRED},
	{ROW("half closed only when expired"),
	 {{FL_FLOW_HALF_CLOSED, FL_FLOW_ESTABLISHED, FL_FLOW_HALF_CLOSED, FL_FLOW_ESTABLISHED},
	  {3590, 86000, 3610, 86000},
	  {0}},
	 2,
	 FL_COUNTER_FLOW_EXPIRED},
	{ROW("embryonic before closed"),
	 {{FL_FLOW_TIME_WAIT, FL_FLOW_CLOSING, FL_FLOW_ESTABLISHED, FL_FLOW_NEW},
	  {100, 20, 0, 0},
	  {0}},
	 3,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("embryonic before idle UDP"),
	 {{FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_NEW},
	  {100, 0, 0, 0},
	  {true}},
	 3,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("closed before established"),
	 {{FL_FLOW_ESTABLISHED, FL_FLOW_CLOSING, FL_FLOW_HALF_CLOSED, FL_FLOW_ESTABLISHED},
	  {1000, 20, 1000, 1000},
	  {0}},
	 1,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("the oldest of closed and idle UDP"),
	 {{FL_FLOW_TIME_WAIT, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED},
	  {40, 1000, 90, 60},
	  {false, false, true, true}},
	 2,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("UDP in use never"),
	 {{FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_TIME_WAIT, FL_FLOW_ESTABLISHED},
	  {8, 8, 12, 8},
	  {true, true, false, true}},
	 2,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("embryonic before established"),
	 {{FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_REPLIED},
	  {86000, 0, 0, 0},
	  {0}},
	 3,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("the oldest embryonic"),
	 {{FL_FLOW_NEW, FL_FLOW_REPLIED, FL_FLOW_NEW, FL_FLOW_ESTABLISHED},
	  {10, 50, 30, 1000},
	  {0}},
	 1,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("one of a clock that is ahead is the youngest"),
	 {{FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_NEW, FL_FLOW_ESTABLISHED},
	  {-1, -1, 10, -1},
	  {0}},
	 2,
	 FL_COUNTER_FLOW_EVICTED},
};

static void victims_have_an_order(struct trial *t)
{
	const struct order *order = t->row;
	unsigned int gone = 0;

	fill(t, &order->filling);
	for (uint16_t i = 0; i < 10; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + i);

		feed(t, &packet);
		expect_outcome(t, PASSED);
	}
	for (uint32_t way = 0; way < FL_FLOW_WAYS; way++) {
		unsigned int left = survivors(t, way);

		if (order->filling.state[way] == FL_FLOW_FREE)
			continue;
		if (way != order->victim && left != SMALL_BUCKETS)
			trial_fail(t, "entries of way %u were taken", way);
		gone += SMALL_BUCKETS - left;
	}
	assert_int_equal(gone > 0, order->counter != FL_COUNTER_MAX);
	if (!gone)
		return;
	/* newcomers that meet in a bucket crowd one another out */
	assert_true(plane_counter(t->p, order->counter) >= gone);
	allow_counter(t, order->counter);
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
}

/* A download with a silent client has one entry that looks expired: it is not, and neither goes. */
static const struct filling half_idle = {
	.state = {FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED,
		  FL_FLOW_ESTABLISHED},
	.idle_s = {86500, 0, 86500, 0},
};

/* Ways 0 and 1, and 2 and 3, are the two entries of a flow. */
static void fill_with_pairs(struct trial *t, const struct filling *filling)
{
	fill(t, filling);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		struct fl_flow_head *head = plane_head(t->p, t->family, slot);

		head->twin = slot ^ 1;
		head->twin_generation = 1;
		head->flags = slot & 1 ? FL_FLOW_IS_REPLY : 0;
	}
}

static void expect_no_room_among(struct trial *t, const struct filling *filling)
{
	fill_with_pairs(t, filling);
	expect_newcomers_dropped(t, 100);
	for (uint32_t way = 0; way < FL_FLOW_WAYS; way++)
		assert_int_equal(survivors(t, way), SMALL_BUCKETS);
}

static void half_idle_flow_is_not_expired(struct trial *t)
{
	expect_no_room_among(t, &half_idle);
}

/* Of UDP the original goes first: another processor is about to say so in the reply as well. */
static void flow_that_has_just_proved_itself_stays(struct trial *t)
{
	static const struct filling proved = {
		.state = {FL_FLOW_ESTABLISHED, FL_FLOW_REPLIED, FL_FLOW_ESTABLISHED,
			  FL_FLOW_REPLIED},
		.udp = {true, true, true, true},
	};

	expect_no_room_among(t, &proved);
}

/* Its second entry is published first. */
static void flow_that_is_being_made_stays(struct trial *t)
{
	static const struct filling half_made = {
		.state = {FL_FLOW_BUSY, FL_FLOW_NEW, FL_FLOW_BUSY, FL_FLOW_NEW},
		.udp = {true, true, true, true},
	};

	expect_no_room_among(t, &half_made);
}

/* As long as another one has more room, the last entry of a bucket is spared. */
static void buckets_are_filled_evenly(struct trial *t)
{
	struct packet packet = packet_of(t);
	uint32_t bucket, now = plane_now(t->p);
	struct fl_flow flow;

	feed(t, &packet);
	flow = expect_flow(t, &packet);
	bucket = flow.slot / FL_FLOW_WAYS;
	plane_flows_clear(t->p);
	for (uint32_t way = 0; way < FL_FLOW_WAYS - 1; way++) {
		struct fl_flow_head *head =
			plane_head(t->p, t->family, bucket * FL_FLOW_WAYS + way);

		head->word = 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED;
		head->proto = IPPROTO_TCP;
		head->last_seen = now;
	}
	feed(t, &packet);
	flow = expect_flow(t, &packet);
	assert_int_not_equal(flow.slot / FL_FLOW_WAYS, bucket);
	/* and it is found there */
	feed(t, &packet);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 2);
}

#define QUARTER (SLOTS / 4)

/*
 * Buckets of established flows whose own direction has been silent past the timeout while the other
 * one is in use: they stay, and the newcomer finds the room that other buckets have.
 */
static void one_way_flows_stay_and_newcomers_find_room(struct trial *t)
{
	const uint32_t word = 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED;
	uint32_t now = plane_now(t->p);
	uint64_t made, dropped;

	/* a quarter of the buckets is silent, one has the other directions, two are free */
	for (uint32_t slot = 0; slot < 2 * QUARTER; slot++) {
		struct fl_flow_head *head = plane_head(t->p, t->family, slot);
		bool reply = slot >= QUARTER;

		head->word = word;
		head->proto = IPPROTO_UDP;
		head->twin = reply ? slot - QUARTER : slot + QUARTER;
		head->twin_generation = 1;
		head->flags = reply ? FL_FLOW_IS_REPLY : 0;
		head->last_seen = reply ? now : now - 3600 * t->p->config.hz;
	}
	for (unsigned int i = 0; i < 100; i++) {
		struct packet packet =
			from_client(t, CLIENT_HOST + i % 7, (uint16_t)(CLIENT_PORT + i * 17));

		feed(t, &packet);
	}
	for (uint32_t slot = 0; slot < 2 * QUARTER; slot++)
		assert_int_equal(plane_head(t->p, t->family, slot)->word, word);
	/* the five buckets of a key, a stride apart, are all among the full ones in one of 16
	 * cases, and a flow needs two keys: 88 are to be expected */
	made = plane_counter(t->p, FL_COUNTER_FLOW_NEW);
	dropped = plane_counter(t->p, FL_REASON_FLOW_TABLE_FULL);
	assert_in_range(made, 80, 100);
	assert_int_equal(made + dropped, 100);
	expect_counter(t, FL_REASON_FLOW_TABLE_FULL, dropped);
}

#define FORGED .networks = IN(AT_POD), .plane = PLANE_SMALL, .forged = true

static const struct test tests[] = {
	{"B1: a table full of established flows is a drop under its name",
	 CHECK(full_of_established_is_a_named_drop), .hooks = ON_INGRESS, FORGED},
	{"an entry that is being filled is left alone", CHECK(busy_entries_are_left_alone),
	 .hooks = ON_INGRESS, FORGED},
	{"an entry whose other half finds no room is given back", CHECK(half_a_room_is_given_back),
	 .hooks = ON_INGRESS, FORGED, ROWS(halves)},
	{"free before expired before embryonic, the oldest first", CHECK(victims_have_an_order),
	 .hooks = ON_INGRESS, FORGED, ROWS(orders)},
	{"a flow that is in use one way is not expired", CHECK(half_idle_flow_is_not_expired),
	 .hooks = ON_INGRESS, FORGED},
	{"a flow that has proved itself in one entry stays",
	 CHECK(flow_that_has_just_proved_itself_stays), .hooks = ON_INGRESS, FORGED},
	{"a flow that is being made stays", CHECK(flow_that_is_being_made_stays),
	 .hooks = ON_INGRESS, FORGED},
	{"buckets are filled evenly", CHECK(buckets_are_filled_evenly), .hooks = ON_INGRESS,
	 FORGED},
	{"a flow that is in use one way does not crowd out newcomers that have other buckets",
	 CHECK(one_way_flows_stay_and_newcomers_find_room), .hooks = ON_INGRESS, FORGED},
};

const struct topic table_topic = {"table", TESTS(tests)};
