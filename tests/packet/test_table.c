// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who makes room for newcomers in a full table: free before expired before embryonic, established
 * never. */
#include "tests/packet/packet.h"

#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

/* Entries made by hand: keys that no packet of the tests has, twins that are not there. */
static void fill(struct plane *p, enum fl_flow_state state_of_way[FL_FLOW_WAYS],
		 const uint32_t idle[FL_FLOW_WAYS])
{
	uint32_t now = plane_now(p);

	memset(p->maps.flows4, 0, p->maps.n_flows4 * sizeof(*p->maps.flows4));
	memset(p->maps.flows6, 0, p->maps.n_flows6 * sizeof(*p->maps.flows6));
	for (enum fl_family v = FL_IPV4; v < FL_FAMILIES; v++)
		for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++) {
			struct fl_flow_head *head = plane_head(p, v, slot);
			uint32_t way = slot % FL_FLOW_WAYS;

			head->word = 1 << FL_FLOW_GENERATION_SHIFT | state_of_way[way];
			head->proto = IPPROTO_TCP;
			head->twin_generation = 0xffffff;
			head->last_seen = now - idle[way];
			head->packets = slot;
		}
}

/* Run `n` new flows; the words of established entries must not change. */
static void newcomers(struct plane *p, const struct kind *kind, unsigned int n, int verdict)
{
	const struct scene scene = scene_of(kind, AT_POD);
	struct frontend fe[SCENE_FRONTENDS];

	scene_set(p, &scene, fe);
	for (unsigned int i = 0; i < n; i++) {
		struct spec s =
			client_spec(p, kind->family, kind->proto, 10, (uint16_t)(4000 + i), &fe[0]);
		struct result r;

		assert_int_equal(xdp(p, &s, &r), verdict);
		if (verdict == XDP_DROP)
			expect_no_flow(p, &s);
	}
}

/* Ways whose entries are still those that were filled in. */
static unsigned int survivors(const struct plane *p, enum fl_family family, uint32_t way)
{
	unsigned int n = 0;

	for (uint32_t slot = way; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot += FL_FLOW_WAYS)
		n += plane_head(p, family, slot)->word >> FL_FLOW_GENERATION_SHIFT == 1;
	return n;
}

static const uint32_t fresh[FL_FLOW_WAYS];

static void test_full_of_established_is_a_named_drop(void **state)
{
	enum fl_flow_state all[FL_FLOW_WAYS] = {FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED,
						FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED};

	for (int k = 0; k < KINDS; k++) {
		plane_reset(SMALL(state));
		fill(SMALL(state), all, fresh);
		newcomers(SMALL(state), &kinds[k], 100, XDP_DROP);
		assert_int_equal(plane_counter(SMALL(state), FL_REASON_FLOW_TABLE_FULL), 100);
		for (uint32_t way = 0; way < FL_FLOW_WAYS; way++)
			assert_int_equal(survivors(SMALL(state), kinds[k].family, way),
					 SMALL_BUCKETS);
	}
}

/* The second entry of a pair finds no room: the first is given back. */
static void test_half_room_is_given_back(void **state)
{
	enum fl_flow_state all[FL_FLOW_WAYS] = {FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED,
						FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED};
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_POD};
	struct plane *p = SMALL(state);
	struct frontend fe[SCENE_FRONTENDS];
	struct fl_flow flow;
	struct spec s;
	struct result r;

	for (int half = 0; half < 2; half++) {
		uint32_t slot;

		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, FL_IPV4, IPPROTO_TCP, 10, 4000, &fe[0]);
		xdp(p, &s, &r);
		flow = expect_flow(p, &s);
		slot = half ? flow.reply_slot : flow.slot;
		fill(p, all, fresh);
		plane_head(p, FL_IPV4, slot)->word = 7 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_FREE;
		assert_int_equal(xdp(p, &s, &r), XDP_DROP);
		assert_int_equal(plane_counter(p, FL_REASON_FLOW_TABLE_FULL), 1);
		assert_int_equal(plane_head(p, FL_IPV4, slot)->word & FL_FLOW_STATE_MASK,
				 FL_FLOW_FREE);
	}
}

struct order {
	const char *what;
	enum fl_flow_state state[FL_FLOW_WAYS];
	uint32_t idle_s[FL_FLOW_WAYS];
	int victim; /* the way that is given up first */
	uint32_t counter;
};

static const struct order orders[] = {
	{"free before all others",
	 {FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_FREE, FL_FLOW_REPLIED},
	 {59, 90000, 0, 59},
	 2,
	 FL_COUNTER_MAX},
	{"expired before embryonic",
	 {FL_FLOW_NEW, FL_FLOW_ESTABLISHED, FL_FLOW_NEW, FL_FLOW_REPLIED},
	 {59, 86500, 58, 59},
	 1,
	 FL_COUNTER_FLOW_EXPIRED},
	{"closing only when expired",
	 {FL_FLOW_CLOSING, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_CLOSING},
	 {29, 0, 86000, 31},
	 3,
	 FL_COUNTER_FLOW_EXPIRED},
	{"embryonic before established",
	 {FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, FL_FLOW_REPLIED},
	 {86000, 0, 0, 0},
	 3,
	 FL_COUNTER_FLOW_EVICTED},
	{"the oldest embryonic",
	 {FL_FLOW_NEW, FL_FLOW_REPLIED, FL_FLOW_NEW, FL_FLOW_ESTABLISHED},
	 {10, 50, 30, 1000},
	 1,
	 FL_COUNTER_FLOW_EVICTED},
};

static void test_order_of_victims(void **state)
{
	for (size_t i = 0; i < N(orders); i++)
		for (int k = 0; k < KINDS; k++) {
			struct plane *p = SMALL(state);
			enum fl_flow_state states[FL_FLOW_WAYS];
			uint32_t idle[FL_FLOW_WAYS];
			unsigned int gone = 0;

			plane_reset(p);
			for (int way = 0; way < FL_FLOW_WAYS; way++) {
				states[way] = orders[i].state[way];
				idle[way] = orders[i].idle_s[way] * p->config.hz;
			}
			fill(p, states, idle);
			newcomers(p, &kinds[k], 10, XDP_PASS);
			for (uint32_t way = 0; way < FL_FLOW_WAYS; way++) {
				unsigned int left = survivors(p, kinds[k].family, way);

				if (orders[i].state[way] == FL_FLOW_FREE)
					continue;
				if ((int)way != orders[i].victim && left != SMALL_BUCKETS)
					fail_msg("%s: way %u went", orders[i].what, way);
				gone += SMALL_BUCKETS - left;
			}
			if (orders[i].counter == FL_COUNTER_MAX)
				assert_int_equal(gone, 0);
			else
				assert_int_equal(plane_counter(p, orders[i].counter), gone);
		}
}

/* A download with a silent client has one entry that looks expired: it is not, and neither goes. */
static void test_half_idle_flow_is_not_expired(void **state)
{
	for (int v = 0; v < FL_FAMILIES; v++) {
		struct plane *p = SMALL(state);
		const struct kind kind = {v, IPPROTO_TCP};
		enum fl_flow_state all[FL_FLOW_WAYS] = {FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED,
							FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED};
		uint32_t idle[FL_FLOW_WAYS] = {86500 * p->config.hz, 0, 86500 * p->config.hz, 0};

		plane_reset(p);
		fill(p, all, idle);
		for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++) {
			plane_head(p, v, slot)->twin = slot ^ 1;
			plane_head(p, v, slot)->twin_generation = 1;
		}
		newcomers(p, &kind, 100, XDP_DROP);
		for (uint32_t way = 0; way < FL_FLOW_WAYS; way++)
			assert_int_equal(survivors(p, v, way), SMALL_BUCKETS);
	}
}

/* An entry that another processor is filling is nobody's to take. */
static void test_busy_entries_are_left_alone(void **state)
{
	enum fl_flow_state all[FL_FLOW_WAYS] = {FL_FLOW_BUSY, FL_FLOW_BUSY, FL_FLOW_BUSY,
						FL_FLOW_BUSY};
	uint32_t idle[FL_FLOW_WAYS] = {0, 100000, 1000000, 10000000};

	for (int k = 0; k < KINDS; k++) {
		plane_reset(SMALL(state));
		fill(SMALL(state), all, idle);
		newcomers(SMALL(state), &kinds[k], 20, XDP_DROP);
	}
}

/* Every flow works in both directions, and none had to be made again. */
static void expect_all(struct plane *p, struct talk *talks, size_t n)
{
	uint64_t made = plane_counter(p, FL_COUNTER_FLOW_NEW);

	for (size_t i = 0; i < n; i++)
		talk_expect_at_pod(&talks[i]);
	assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), made);
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

/* What nobody may read just now. */
static void clear_other_half(struct plane *p)
{
	uint32_t half = !p->maps.meta->overflow_half;

	for (size_t i = 0; i < p->maps.n_overflow4; i++)
		p->maps.overflow4[i].half[half] = 0;
	for (size_t i = 0; i < p->maps.n_overflow6; i++)
		p->maps.overflow6[i].half[half] = 0;
}

/*
 * Established flows only, until one is refused: more than two thirds of the table are in use by
 * then, and every flow is still found in both directions, whichever of its buckets it went to. The
 * same after the agent made the overflow bits anew, and nothing is left of them when the flows are
 * gone.
 */
static void test_room_for_two_thirds(void **state)
{
	for (enum fl_family v = FL_IPV4; v < FL_FAMILIES; v++)
		for (uint32_t half = 0; half < 2; half++) {
			const struct scene scene = {
				.family = v, .proto = IPPROTO_TCP, .place = AT_POD};
			static struct talk talks[SMALL_BUCKETS * FL_FLOW_WAYS / 2 + 1];
			struct plane *p = SMALL(state);
			struct fl_flow_table table = plane_flows(p);
			struct frontend fe[SCENE_FRONTENDS];
			unsigned int bits;
			size_t n = 0;

			plane_reset(p);
			scene_set(p, &scene, fe);
			p->maps.meta->overflow_half = half;
			do
				talks[n] = talk_begin(p, &scene, &fe[0], 10, (uint16_t)(1000 + n));
			while (talk_establish_at_pod(&talks[n]) && ++n < N(talks));
			assert_int_equal(plane_counter(p, FL_REASON_FLOW_TABLE_FULL), 1);
			assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), n);
			assert_true(2 * n > SMALL_BUCKETS * FL_FLOW_WAYS * 2 / 3);
			clear_other_half(p);
			expect_all(p, talks, n);
			bits = overflow_bits(p, v);
			assert_true(bits > 0);
			rebuild(p);
			clear_other_half(p);
			/* one may have been set for the flow that was refused */
			assert_in_range(overflow_bits(p, v), bits - 1, bits);
			expect_all(p, talks, n);
			assert_int_equal(fl_flow_flush(&table, plane_now(p), NULL, NULL), n);
			rebuild(p);
			assert_int_equal(overflow_bits(p, v), 0);
		}
}

int table_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_of_established_is_a_named_drop),
		cmocka_unit_test(test_half_room_is_given_back),
		cmocka_unit_test(test_order_of_victims),
		cmocka_unit_test(test_half_idle_flow_is_not_expired),
		cmocka_unit_test(test_busy_entries_are_left_alone),
		cmocka_unit_test(test_room_for_two_thirds),
	};

	return run_topic("flow table", tests, N(tests), world);
}
