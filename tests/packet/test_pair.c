// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two entries a flow: they name each other, come and go together, and a flow that was lost is
 * rebuilt the same way, so that neither end notices (design section 4).
 */
#include "tests/packet/packet.h"

static size_t lone(const struct plane *p)
{
	struct fl_flow_table table = plane_flows(p);
	struct fl_flow_counts counts;

	fl_flow_count(&table, &counts);
	return counts.lone;
}

static void test_entries_name_each_other(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_flow flow;
		struct fl_flow_head *head, *reply;
		struct talk t;

		plane_reset(p);
		scene_set(p, &scene, fe);
		t = talk_begin(p, &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		flow = expect_flow(p, &t.client);
		head = plane_head(p, scene.family, flow.slot);
		reply = plane_head(p, scene.family, flow.reply_slot);
		assert_int_equal(head->twin, flow.reply_slot);
		assert_int_equal(reply->twin, flow.slot);
		assert_int_equal(head->twin_generation, reply->word >> FL_FLOW_GENERATION_SHIFT);
		assert_int_equal(reply->twin_generation, head->word >> FL_FLOW_GENERATION_SHIFT);
		assert_int_equal(reply->word & FL_FLOW_STATE_MASK, FL_FLOW_ESTABLISHED);
		assert_int_equal(reply->backend, head->backend);
	}
}

/* Thousands of newcomers in a small table: whoever is evicted goes with its other half. */
static void test_no_half_flows_under_pressure(void **state)
{
	for (int v = 0; v < FL_FAMILIES; v++) {
		const struct scene scene = {.family = v, .proto = IPPROTO_UDP, .place = AT_POD};
		struct plane *p = SMALL(state);
		struct frontend fe[SCENE_FRONTENDS];

		plane_reset(p);
		scene_set(p, &scene, fe);
		for (uint32_t i = 0; i < 4 * SMALL_BUCKETS * FL_FLOW_WAYS; i++) {
			struct spec s = client_spec(p, v, IPPROTO_UDP, 1 + i / 60000,
						    (uint16_t)(1000 + i % 60000), &fe[0]);
			struct result r;

			s.payload = 0;
			assert_int_equal(xdp(p, &s, &r), XDP_PASS);
			if (i % 1024 == 0)
				assert_int_equal(lone(p), 0);
		}
		assert_int_equal(lone(p), 0);
		assert_true(plane_counter(p, FL_COUNTER_FLOW_EVICTED) > 0);
		assert_true(plane_count(p, v) > SMALL_BUCKETS * FL_FLOW_WAYS / 2 * 6 / 10);
	}
}

static void forget(struct plane *p, enum fl_family family, uint32_t slot)
{
	struct fl_flow_head *head = plane_head(p, family, slot);

	head->word = ((head->word >> FL_FLOW_GENERATION_SHIFT) + 1) << FL_FLOW_GENERATION_SHIFT |
		     FL_FLOW_FREE;
}

enum loss {
	LOSE_BOTH,
	LOSE_ORIGINAL,
	LOSE_REPLY,
	LOSSES,
};

/* A loss in the middle of a conversation: the client's next packet goes where the last one went. */
static void test_lost_flow_is_rebuilt_the_same(void **state)
{
	static const enum place places[] = {AT_POD, AT_TX};

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(places); i++)
			for (enum loss loss = 0; loss < LOSSES; loss++) {
				struct scene scene = scene_of(&kinds[k], places[i]);
				struct plane *p = USUAL(state);
				struct fl_flow_table table = plane_flows(p);
				struct fl_sweep sweep = {0};
				struct frontend fe[SCENE_FRONTENDS];
				struct fl_flow flow;
				struct spec before;
				struct result r;
				struct talk t;

				scene.backends = 5;
				plane_reset(p);
				scene_set(p, &scene, fe);
				t = talk_begin(p, &scene, &fe[1], 10, 4000);
				talk_establish(&t);
				before = t.inner;
				flow = expect_flow(p, &t.client);
				if (loss != LOSE_REPLY)
					forget(p, scene.family, flow.slot);
				if (loss != LOSE_ORIGINAL)
					forget(p, scene.family, flow.reply_slot);
				if (loss == LOSE_REPLY) {
					/* the hit path does not look for the twin: the agent's
					 * sweep does */
					flow_age(p, &flow, 2 * p->config.hz);
					for (int n = 0; n < FL_TIMEOUTS; n++)
						sweep.timeout[n] = p->config.timeout[n];
					fl_flow_sweep(&table, &sweep, plane_now(p), p->config.hz,
						      USUAL_BUCKETS);
				}
				assert_int_equal(talk_state(&t), FL_FLOW_FREE);
				talk_send(&t, ACK, &r);
				assert_true(fl_ip_equal(&t.inner.dst, &before.dst));
				assert_true(fl_ip_equal(&t.inner.src, &before.src));
				assert_int_equal(t.inner.sport, before.sport);
				assert_int_equal(lone(p), 0);
				expect_flow(p, &t.client);
				talk_reply(&t, ACK, &r);
				talk_send(&t, ACK, &r);
				assert_int_equal(talk_state(&t), FL_FLOW_ESTABLISHED);
			}
}

/* Two nodes, or the same after its memory was lost: the same client gets the same backend. */
static void test_same_backend_with_an_empty_table(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		uint32_t ids[50];

		scene.backends = 5;
		for (int again = 0; again < 2; again++) {
			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			for (uint16_t i = 0; i < N(ids); i++) {
				struct spec s = client_spec(USUAL(state), scene.family, scene.proto,
							    10, (uint16_t)(4000 + i * 17), &fe[0]);
				struct fl_flow flow;
				struct result r;

				xdp(USUAL(state), &s, &r);
				flow = expect_flow(USUAL(state), &s);
				if (again)
					assert_int_equal(flow.backend_id, ids[i]);
				ids[i] = flow.backend_id;
			}
		}
	}
}

/* A reply nobody asked for is not ours, and makes no flow. */
static void test_reply_alone_makes_nothing(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct frame in;
		struct result r;
		struct talk t;
		struct spec s;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		talk_send(&t, SYN, &r);
		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		s = spec_reverse(&t.inner);
		s.flags = SYN | ACK;
		frame_build(&s, &in);
		run_xdp(USUAL(state), DEV_EXT0, &in, &r);
		assert_int_equal(r.verdict, XDP_PASS);
		expect_untouched(&r, &in, "nobody asked");
		assert_int_equal(plane_count(USUAL(state), scene.family), 0);
	}
}

int pair_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_name_each_other),
		cmocka_unit_test(test_no_half_flows_under_pressure),
		cmocka_unit_test(test_lost_flow_is_rebuilt_the_same),
		cmocka_unit_test(test_same_backend_with_an_empty_table),
		cmocka_unit_test(test_reply_alone_makes_nothing),
	};

	return run_topic("pairs", tests, N(tests), world);
}
