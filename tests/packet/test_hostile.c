// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What somebody would send to break the datapath, and what it would be if two programs, or two
 * directions, disagreed: each was a fault once. */
#include "tests/packet/packet.h"

#include <string.h>

/* As on a node: what XDP leaves for tc is run by tc. Returns the last verdict. */
static int both_stages(struct plane *p, enum dev dev, const struct spec *s,
		       struct result *ret_result)
{
	struct frame in;

	frame_build(s, &in);
	run_xdp(p, dev, &in, ret_result);
	if (ret_result->mark)
		run_tc(p, PROG_TC_INGRESS, dev, &in, ret_result);
	return ret_result->verdict;
}

/* The first stage makes the flow a closing one; idle for longer than such may be, it is not over
 * for the second. */
static void test_reset_of_an_idle_flow_arrives(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TC);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec back, inner;
		struct fl_flow flow;
		struct result r;
		struct spec s;

		if (scene.proto != IPPROTO_TCP)
			continue;
		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		both_stages(p, DEV_EXT0, &s, &r);
		flow = expect_flow(p, &s);
		inner = translated(&s, &flow);
		back = spec_reverse(&inner);
		back.flags = SYN | ACK;
		both_stages(p, DEV_EXT2, &back, &r);
		s.flags = ACK;
		both_stages(p, DEV_EXT0, &s, &r);
		flow_age(p, &flow, 3600 * p->config.hz);
		s.flags = RST;
		assert_int_equal(both_stages(p, DEV_EXT0, &s, &r), TC_ACT_REDIRECT);
		flow = expect_flow(p, &s);
		assert_int_equal(flow.state, FL_FLOW_CLOSING);
		assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 1);
	}
}

/* A packet that is opening and reset at once is neither: it does not begin another flow. */
static void test_syn_with_reset_restarts_nothing(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct talk t;

		if (scene.proto != IPPROTO_TCP)
			continue;
		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		talk_send(&t, RST, &r);
		talk_send(&t, SYN | RST, &r);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_FLOW_RESTARTED), 0);
		talk_send(&t, SYN, &r);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_FLOW_RESTARTED), 1);
	}
}

/* Nor does one that opens and ends at once: what makes a flow a closing one for XDP would begin
 * another for tc. */
static void test_syn_with_fin_restarts_nothing(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TC);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec back, inner;
		struct fl_flow flow;
		struct result r;
		struct spec s;

		if (scene.proto != IPPROTO_TCP)
			continue;
		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		both_stages(p, DEV_EXT0, &s, &r);
		flow = expect_flow(p, &s);
		inner = translated(&s, &flow);
		back = spec_reverse(&inner);
		back.flags = FIN | ACK;
		both_stages(p, DEV_EXT2, &back, &r);
		s.flags = SYN | FIN;
		assert_int_equal(both_stages(p, DEV_EXT0, &s, &r), TC_ACT_REDIRECT);
		assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_RESTARTED), 0);
		assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 1);
	}
}

/* An unknown port (2.22) asked for from an address of ours, or by the address itself: no answer. */
static void test_own_and_looping_sources_are_not_answered(void **state)
{
	static const enum prog progs[] = {PROG_XDP, PROG_TC_INGRESS, PROG_POD_INGRESS};

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(progs); i++)
			for (int looping = 0; looping < 2; looping++)
				for (int known = 0; known < 2; known++) {
					const struct scene scene = scene_of(&kinds[k], AT_TX);
					struct frontend fe[SCENE_FRONTENDS];
					struct frame in;
					struct result r;
					struct spec s;

					plane_reset(USUAL(state));
					scene_set(USUAL(state), &scene, fe);
					s = client_spec(USUAL(state), scene.family, scene.proto, 10,
							SERVICE_PORT, &fe[1]);
					s.src = looping ? s.dst : addr(scene.family, AT_EXT1, 1);
					s.dport = (uint16_t)(SERVICE_PORT + !known);
					frame_build(&s, &in);
					run(USUAL(state), progs[i], DEV_EXT0, &in, &r);
					assert_int_equal(r.verdict, i ? TC_ACT_UNSPEC : XDP_PASS);
					expect_untouched(&r, &in, "own or looping");
					expect_no_flow(USUAL(state), &s);
				}
}

/* 240.0.0.0/4 is used as if it were private; only the broadcast address is not an address. */
static void test_class_e_clients_are_served(void **state)
{
	const struct scene scene = {.family = FL_IPV4, .proto = IPPROTO_TCP, .place = AT_POD};
	struct frontend fe[SCENE_FRONTENDS];
	struct result r;
	struct spec s;

	scene_set(USUAL(state), &scene, fe);
	s = client_spec(USUAL(state), FL_IPV4, IPPROTO_TCP, 10, 4000, &fe[0]);
	assert_int_equal(fl_ip_parse("240.10.0.1", &s.src), 0);
	xdp(USUAL(state), &s, &r);
	expect_flow(USUAL(state), &s);
}

/* A device got another address: what is remembered of the old one is not refreshed but replaced. */
static void test_old_source_mac_is_not_remembered_again(void **state)
{
	static const uint8_t old[ETH_ALEN] = {0x02, 0x99, 0x99, 0x99, 0x99, 0x99};

	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_REDIRECT);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct talk t;

		plane_reset(p);
		scene_set(p, &scene, fe);
		t = talk_begin(p, &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		for (size_t i = 0; i < p->maps.n_next_hops; i++) {
			struct fl_next_hop *hop = &p->maps.next_hops[i];

			if (!hop->word)
				continue;
			memcpy(hop->src_mac, old, ETH_ALEN);
			hop->epoch = 0;
		}
		for (int n = 0; n < 3; n++) {
			assert_int_equal(talk_send(&t, ACK, &r), XDP_REDIRECT);
			assert_memory_equal(r.out.b + ETH_ALEN, p->net->mac[DEV_EXT1], ETH_ALEN);
		}
	}
}

/*
 * Buckets of established flows whose own direction has been silent past the timeout while the other
 * one is in use: they stay, and the newcomer finds the room that other buckets have.
 */
static void test_one_way_flows_crowd_out_nobody(void **state)
{
	const struct scene scene = {.family = FL_IPV4, .proto = IPPROTO_UDP, .place = AT_POD};
	const uint32_t quarter = SMALL_BUCKETS * FL_FLOW_WAYS / 4;
	struct plane *p = SMALL(state);
	uint32_t now = plane_now(p);
	struct frontend fe[SCENE_FRONTENDS];

	/* a quarter of the buckets is silent, one has the other directions, two are free */
	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++) {
		struct fl_flow_head *head = plane_head(p, FL_IPV4, slot);
		uint32_t nth = slot / quarter;

		if (nth > 1)
			continue;
		head->word = 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED;
		head->proto = IPPROTO_UDP;
		head->twin = nth ? slot - quarter : slot + quarter;
		head->twin_generation = 1;
		head->flags = nth ? FL_FLOW_IS_REPLY : 0;
		head->last_seen = nth ? now : now - 3600 * p->config.hz;
	}
	scene_set(p, &scene, fe);
	for (unsigned int i = 0; i < 100; i++) {
		struct spec s = client_spec(p, FL_IPV4, IPPROTO_UDP, 10 + i % 7,
					    (uint16_t)(4000 + i * 17), &fe[0]);
		struct result r;

		xdp(p, &s, &r);
	}
	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++)
		if (slot / quarter < 2)
			assert_int_equal(plane_head(p, FL_IPV4, slot)->word,
					 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED);
	/* a key has no room in one of 32 cases, and a flow needs two */
	assert_in_range(plane_counter(p, FL_COUNTER_FLOW_NEW), 86, 100);
}

/* A connection straight to the backend, from the port of a flow that kept its source: it is left
 * alone, and ends what is left of a flow that is over. */
static void test_direct_connection_ends_a_flow_that_is_over(void **state)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, ACK};

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(flags); i++) {
			const struct scene scene = scene_of(&kinds[k], AT_POD);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct spec direct;
			struct frame in;
			struct result r;
			struct talk t;

			if (scene.proto != IPPROTO_TCP)
				continue;
			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			talk_establish(&t);
			talk_send(&t, RST, &r);
			direct = t.inner;
			direct.flags = flags[i];
			frame_build(&direct, &in);
			run_xdp(p, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, XDP_PASS);
			expect_untouched(&r, &in, "direct");
			if (flags[i] == SYN)
				expect_no_flow(p, &t.client);
			else
				expect_flow(p, &t.client);
			assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_RESTARTED),
					 flags[i] == SYN);
		}
}

/* Beside a flow that lives, it gets another source port, and both are answered as what they asked.
 */
static void test_direct_connection_beside_a_flow(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_POD);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct talk t, direct;
		struct frame in;
		struct spec s;
		struct result r;

		plane_reset(p);
		scene_set(p, &scene, fe);
		t = talk_begin(p, &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		direct = t;
		direct.client = t.inner;
		/* no beginning: nobody's business */
		s = direct.client;
		s.flags = ACK;
		frame_build(&s, &in);
		run_xdp(p, DEV_EXT0, &in, &r);
		if (scene.proto == IPPROTO_TCP)
			expect_untouched(&r, &in, "in the middle");
		talk_establish(&direct);
		assert_true(fl_ip_equal(&direct.inner.src, &t.client.src));
		assert_true(plane_may_use_port(p, direct.inner.sport));
		talk_send(&direct, ACK, &r);
		expect_packet(&r, &direct.inner, "another source port only");
		talk_reply(&direct, ACK, &r);
		s = spec_reverse(&direct.client);
		expect_packet(&r, &s, "reply of the pod");
		talk_reply(&t, ACK, &r);
		s = spec_reverse(&t.client);
		s.flags = ACK;
		expect_packet(&r, &s, "reply of the service");
		assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 2);
	}
}

int hostile_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_of_an_idle_flow_arrives),
		cmocka_unit_test(test_syn_with_reset_restarts_nothing),
		cmocka_unit_test(test_syn_with_fin_restarts_nothing),
		cmocka_unit_test(test_own_and_looping_sources_are_not_answered),
		cmocka_unit_test(test_class_e_clients_are_served),
		cmocka_unit_test(test_old_source_mac_is_not_remembered_again),
		cmocka_unit_test(test_one_way_flows_crowd_out_nobody),
		cmocka_unit_test(test_direct_connection_ends_a_flow_that_is_over),
		cmocka_unit_test(test_direct_connection_beside_a_flow),
	};

	return run_topic("hostile", tests, N(tests), world);
}
