// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Entries that found no room in their first bucket: the overflow bits lead to them, before and
 * after the agent has rebuilt these. */
#include "tests/packet/packet.h"

#define SLOTS (SMALL_BUCKETS * FL_FLOW_WAYS)

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
	struct fl_rebuild state = {0};
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
 * of its buckets it went to. The same after the agent rebuilt the overflow bits, and nothing is
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

static const struct test tests[] = {
	{"two thirds of the entries can be in use, and each is found", CHECK(room_for_two_thirds),
	 .protos = ONLY_TCP, .networks = IN(AT_POD), .plane = PLANE_SMALL, ROWS(bits)},
};

const struct topic overflow_topic = {"overflow", TESTS(tests)};
