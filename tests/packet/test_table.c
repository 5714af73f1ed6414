// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What makes room for newcomers in a full table: free entries before expired before embryonic,
 * established ones never. */
#include "tests/packet/packet.h"

#include <string.h>

#define SLOTS (SMALL_BUCKETS * FL_FLOW_WAYS)

/* What every bucket holds, way by way. */
struct filling {
	enum fl_flow_state state[FL_FLOW_WAYS];
	uint32_t idle_s[FL_FLOW_WAYS];
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
		head->proto = IPPROTO_TCP;
		head->twin_generation = 0xffffff;
		head->last_seen = now - filling->idle_s[way] * t->p->config.hz;
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
	 {{FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_FREE, FL_FLOW_REPLIED}, {59, 90000, 0, 59}},
	 2,
	 FL_COUNTER_MAX},
	{ROW("expired before embryonic"),
	 {{FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_NEW, FL_FLOW_REPLIED}, {59, 86500, 58, 59}},
	 1,
	 FL_COUNTER_FLOW_EXPIRED},
	{ROW("closing only when expired"),
	 {{FL_FLOW_CLOSING, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_CLOSING},
	  {29, 0, 86000, 31}},
	 3,
	 FL_COUNTER_FLOW_EXPIRED},
	{ROW("embryonic before established"),
	 {{FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_REPLIED},
	  {86000, 0, 0, 0}},
	 3,
	 FL_COUNTER_FLOW_EVICTED},
	{ROW("the oldest embryonic"),
	 {{FL_FLOW_NEW, FL_FLOW_REPLIED, FL_FLOW_NEW, FL_FLOW_ESTABLISHED}, {10, 50, 30, 1000}},
	 1,
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
	if (gone)
		expect_counter(t, order->counter, gone);
}

/* A download with a silent client has one entry that looks expired: it is not, and neither goes. */
static void half_idle_flow_is_not_expired(struct trial *t)
{
	struct filling filling = all_established;

	filling.idle_s[0] = filling.idle_s[2] = 86500;
	fill(t, &filling);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		plane_head(t->p, t->family, slot)->twin = slot ^ 1;
		plane_head(t->p, t->family, slot)->twin_generation = 1;
	}
	expect_newcomers_dropped(t, 100);
	for (uint32_t way = 0; way < FL_FLOW_WAYS; way++)
		assert_int_equal(survivors(t, way), SMALL_BUCKETS);
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

/* Every flow works in both directions, and none had to be made again. */
static void expect_all(struct trial *t, struct talk *talks, size_t n)
{
	uint64_t made = plane_counter(t->p, FL_COUNTER_FLOW_NEW);

	for (size_t i = 0; i < n; i++)
		talk_expect_at_pod(&talks[i]);
	expect_counter(t, FL_COUNTER_FLOW_NEW, made);
}

/* What the agent does in a minute. */
static void rebuild(struct plane *p)
{
	struct fl_flow_table table = plane_flows(p);
	struct fl_overflow_rebuild state = {0};
	uint32_t half = p->maps.meta->overflow_half, hz = p->config.hz;

	for (int i = 0; i < 1000 && p->maps.meta->overflow_half == half; i++)
		fl_overflow_rebuild(&table, &state, (uint64_t)i * hz, hz, SMALL_BUCKETS / 64);
	assert_int_not_equal(p->maps.meta->overflow_half, half);
}

static unsigned int overflow_bits(const struct plane *p, enum fl_family family)
{
	const struct fl_overflow *o = family == FL_IPV4 ? p->maps.overflow4 : p->maps.overflow6;
	size_t n = family == FL_IPV4 ? p->maps.n_overflow4 : p->maps.n_overflow6;
	unsigned int bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (unsigned int)__builtin_popcountll(o[i].half[p->maps.meta->overflow_half]);
	return bits;
}

/* The half that no program may read just now. */
static void clear_other_half(struct plane *p)
{
	uint32_t half = !p->maps.meta->overflow_half;

	for (size_t i = 0; i < p->maps.n_overflow4; i++)
		p->maps.overflow4[i].half[half] = 0;
	for (size_t i = 0; i < p->maps.n_overflow6; i++)
		p->maps.overflow6[i].half[half] = 0;
}

struct bits {
	struct row row;
	uint32_t half; /* of the overflow bits, the one that is read at first */
};

static const struct bits bits[] = {
	{ROW("first half of the bits"), 0},
	{ROW("second half of the bits"), 1},
};

/*
 * Established flows only, until one is refused: each is still found in both directions, whichever
 * of its buckets it went to. The same after the agent made the overflow bits anew, and nothing is
 * left of them when the flows are gone.
 */
static void room_for_two_thirds(struct trial *t)
{
	const struct bits *row = t->row;
	static struct talk talks[SLOTS / 2 + 1];
	struct fl_flow_table table = plane_flows(t->p);
	unsigned int before;
	size_t n = 0;

	t->p->maps.meta->overflow_half = row->half;
	do
		talks[n] = talk_from(t, CLIENT_HOST, (uint16_t)(1000 + n), t->to);
	while (talk_establish_at_pod(&talks[n]) && ++n < N(talks));
	expect_counter(t, FL_REASON_FLOW_TABLE_FULL, 1);
	expect_counter(t, FL_COUNTER_FLOW_NEW, n);
	assert_true(2 * n > SLOTS * 2 / 3);
	clear_other_half(t->p);
	expect_all(t, talks, n);
	before = overflow_bits(t->p, t->family);
	assert_true(before > 0);
	rebuild(t->p);
	clear_other_half(t->p);
	/* one may have been set for the flow that was refused */
	assert_in_range(overflow_bits(t->p, t->family), before - 1, before);
	expect_all(t, talks, n);
	assert_int_equal(fl_flow_flush(&table, plane_now(t->p), NULL, NULL), n);
	rebuild(t->p);
	assert_int_equal(overflow_bits(t->p, t->family), 0);
}

#define SMALL .networks = IN(AT_POD), .plane = PLANE_SMALL
#define FORGED SMALL, .forged = true

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
	{"nor does it crowd out newcomers that have other buckets",
	 CHECK(one_way_flows_stay_and_newcomers_find_room), .hooks = ON_INGRESS, FORGED},
	{"two thirds of the entries can be in use, and each is found", CHECK(room_for_two_thirds),
	 .protos = ONLY_TCP, SMALL, ROWS(bits)},
};

const struct topic table_topic = {"table", TESTS(tests)};
