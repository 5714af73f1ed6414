// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Backends on this node: destination rewritten on the way in, source on the way out; 5.4.3, design
 * section 6. */
#include "tests/packet/packet.h"

/* In by each ingress hook: only the destination changes; addresses of the link and TTL are the
 * stack's. */
static void test_destination_is_rewritten_and_passed(void **state)
{
	static const struct {
		enum prog prog;
		int verdict;
	} hooks[] = {{PROG_XDP, XDP_PASS}, {PROG_TC_INGRESS, TC_ACT_UNSPEC}};

	for (int k = 0; k < KINDS; k++)
		for (size_t h = 0; h < N(hooks); h++) {
			const struct scene scene = scene_of(&kinds[k], AT_POD);
			struct frontend fe[SCENE_FRONTENDS];

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			for (int i = 0; i < SCENE_FRONTENDS; i++) {
				struct spec s = client_spec(USUAL(state), scene.family, scene.proto,
							    10, 4000, &fe[i]),
					    out = s;
				struct fl_flow flow;
				struct result r;
				struct frame in;

				frame_build(&s, &in);
				run(USUAL(state), hooks[h].prog, DEV_EXT0, &in, &r);
				assert_int_equal(r.verdict, hooks[h].verdict);
				assert_int_equal(r.mark, 0);
				out.dst = addr(scene.family, AT_POD, 1);
				out.dport = BACKEND_PORT;
				flow = expect_flow(USUAL(state), &s);
				out.sport = flow.source_port; /* 4000, unless another frontend's
								 flow has it */
				if (i == 0)
					assert_int_equal(out.sport, 4000);
				expect_packet(&r, &out, "destination only");
				assert_true(fl_ip_equal(&flow.source, &s.src));
				assert_int_equal(flow.flags & FL_FLOW_TO_STACK, FL_FLOW_TO_STACK);
				assert_int_equal(flow.reply_flags & FL_FLOW_SNAT, 0);
				assert_int_equal(flow.backend_id, 1);
				assert_int_equal(flow.backend_generation,
						 USUAL(state)->maps.backends[1].generation);
			}
		}
}

/* The reply leaves with the frontend's address, whichever it was, at both egress hooks. */
static void test_reply_gets_the_frontend_back(void **state)
{
	static const enum prog egress[] = {PROG_TC_EGRESS, PROG_POD_EGRESS};

	for (int k = 0; k < KINDS; k++)
		for (size_t h = 0; h < N(egress); h++)
			for (int i = 0; i < SCENE_FRONTENDS; i++) {
				const struct scene scene = scene_of(&kinds[k], AT_POD);
				struct frontend fe[SCENE_FRONTENDS];
				struct spec reply, want;
				struct result r;
				struct frame in;
				struct talk t;

				plane_reset(USUAL(state));
				scene_set(USUAL(state), &scene, fe);
				t = talk_begin(USUAL(state), &scene, &fe[i], 10, 4000);
				talk_send(&t, SYN, &r);
				reply = spec_reverse(&t.inner);
				reply.flags = SYN | ACK;
				reply.payload = 11;
				frame_build(&reply, &in);
				run(USUAL(state), egress[h], DEV_EXT0, &in, &r);
				assert_int_equal(r.verdict, TC_ACT_UNSPEC);
				want = spec_reverse(&t.client);
				want.flags = reply.flags;
				want.payload = reply.payload;
				expect_packet(&r, &want, "reply");
			}
}

/* All the packets of a conversation, established ones too. */
static void test_conversation_stays_translated(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_POD);
		struct frontend fe[SCENE_FRONTENDS];
		struct talk t;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[2], 10, 4000);
		talk_establish(&t);
		for (uint16_t i = 0; i < 50; i++) {
			struct spec want;
			struct result r;

			t.client.payload = (uint16_t)(i * 29);
			assert_int_equal(talk_send(&t, ACK | PSH, &r), XDP_PASS);
			expect_packet(&r, &t.inner, "to the backend");
			assert_int_equal(talk_reply(&t, ACK, &r), TC_ACT_UNSPEC);
			want = spec_reverse(&t.client);
			want.flags = ACK;
			expect_packet(&r, &want, "to the client");
		}
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_FLOW_NEW), 1);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_FIB_LOOKUP), 0);
	}
}

/* What leaves and is nobody's reply is not ours. */
static void test_egress_leaves_other_packets_alone(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_POD);
		struct frontend fe[SCENE_FRONTENDS];
		struct talk t;
		struct result r;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		talk_send(&t, SYN, &r);
		for (int i = 0; i < 4; i++) {
			struct spec s = spec_reverse(&t.inner);
			struct frame in;

			s.flags = ACK;
			s.sport += i == 0;
			s.dport += i == 1;
			s.src = i == 2 ? addr(scene.family, AT_POD, 2) : s.src;
			s.dst = i == 3 ? addr(scene.family, AT_OUTSIDE, 11) : s.dst;
			frame_build(&s, &in);
			run_tc(USUAL(state), PROG_TC_EGRESS, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, TC_ACT_UNSPEC);
			expect_untouched(&r, &in, "not a reply");
		}
	}
}

/*
 * Two frontends, one backend, one client port: the second flow's reply would look like the first's.
 * It keeps the client's address and gets another port, and each reply finds its own frontend.
 */
static void test_collision_of_two_vips_gets_another_port(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_POD);
		struct frontend fe[SCENE_FRONTENDS];
		struct talk t[3];

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		for (int i = 0; i < 3; i++) {
			t[i] = talk_begin(USUAL(state), &scene, &fe[i], 10, 4000);
			talk_establish(&t[i]);
			assert_true(fl_ip_equal(&t[i].inner.src, &t[i].client.src));
			for (int j = 0; j < i; j++)
				assert_int_not_equal(t[i].inner.sport, t[j].inner.sport);
		}
		assert_int_equal(t[0].inner.sport, 4000);
		for (int i = 0; i < 3; i++) {
			struct result r;
			struct spec want;

			assert_int_equal(talk_send(&t[i], ACK, &r), XDP_PASS);
			expect_packet(&r, &t[i].inner, "kept port");
			talk_reply(&t[i], ACK, &r);
			want = spec_reverse(&t[i].client);
			want.flags = ACK;
			expect_packet(&r, &want, "own frontend");
		}
	}
}

int local_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_destination_is_rewritten_and_passed),
		cmocka_unit_test(test_reply_gets_the_frontend_back),
		cmocka_unit_test(test_conversation_stays_translated),
		cmocka_unit_test(test_egress_leaves_other_packets_alone),
		cmocka_unit_test(test_collision_of_two_vips_gets_another_port),
	};

	return run_topic("local backends", tests, N(tests), world);
}
