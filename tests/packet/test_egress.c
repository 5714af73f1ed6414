// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The way out, and the devices of pods: who is translated where, and who only once. */
#include "tests/packet/packet.h"

static int through(const struct plane *p, enum prog prog, enum dev dev, const struct spec *s,
		   struct result *r)
{
	struct frame in;

	frame_build(s, &in);
	run_tc(p, prog, dev, &in, r);
	return r->verdict;
}

static void expect_through(const struct plane *p, enum prog prog, enum dev dev,
			   const struct spec *s)
{
	struct frame in;
	struct result r;

	frame_build(s, &in);
	run_tc(p, prog, dev, &in, &r);
	assert_int_equal(r.verdict, TC_ACT_UNSPEC);
	expect_untouched(&r, &in, "passes");
}

struct row {
	const char *what;
	uint8_t flags;	 /* TCP */
	uint8_t verdict; /* enum fl_service_verdict, of the internal side */
	uint16_t more_flags;
	int expected;
	enum fl_reason reason;
};

/* 5.7.4: what the socket hooks left alone meets the same verdicts on its way out; open flows and
 * translated ones don't. */
static const struct row rows[] = {
	{"forwarded elsewhere", SYN, FL_VERDICT_FORWARD, 0, TC_ACT_UNSPEC, FL_REASON_NONE},
	{"no endpoint", SYN, FL_VERDICT_REJECT, 0, TC_ACT_REDIRECT, FL_REASON_REJECT_NO_ENDPOINT},
	{"none here", SYN, FL_VERDICT_DROP, 0, TC_ACT_SHOT, FL_REASON_NO_LOCAL_ENDPOINT},
	{"not in the ranges", SYN, FL_VERDICT_FORWARD, FL_SOURCE_RANGES, TC_ACT_SHOT,
	 FL_REASON_SOURCE_RANGE},
	{"in its middle", ACK, FL_VERDICT_DROP, 0, TC_ACT_UNSPEC, FL_REASON_NONE},
	{"an answer", SYN | ACK, FL_VERDICT_REJECT, 0, TC_ACT_UNSPEC, FL_REASON_NONE},
};

static void test_verdicts_on_the_way_out(void **state)
{
	for (size_t i = 0; i < N(rows); i++)
		for (int k = 0; k < KINDS; k++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct result r;
			struct spec s;

			if (scene.proto == IPPROTO_UDP && rows[i].flags != SYN)
				continue;
			plane_reset(p);
			scene_set(p, &scene, fe);
			service_add(p, &(struct service){
					       .id = 1,
					       .type = FL_FRONTEND_LOAD_BALANCER,
					       .ip = fe[2].ip,
					       .port = fe[2].port,
					       .proto = scene.proto,
					       .flags = rows[i].more_flags,
					       .verdict = {rows[i].verdict, FL_VERDICT_FORWARD},
					       .ids = {{1}, {1}}});
			s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[2]);
			s.src = addr(scene.family, AT_EXT0, 1);
			s.flags = rows[i].flags;
			if (through(p, PROG_TC_EGRESS, DEV_EXT0, &s, &r) != rows[i].expected)
				fail_msg("%s: verdict %d", rows[i].what, r.verdict);
			if (rows[i].reason)
				assert_int_equal(plane_counter(p, rows[i].reason), 1);
			assert_int_equal(plane_count(p, scene.family), 0);
		}
}

/* What was masqueraded on the way in meets the egress hook as well, which leaves it as it is. */
static void test_translated_packets_pass_the_way_out(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TC);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_flow flow;
		struct spec s, inner;
		struct result r;

		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		through(p, PROG_TC_INGRESS, DEV_EXT0, &s, &r);
		flow = expect_flow(p, &s);
		inner = translated(&s, &flow);
		expect_through(p, PROG_TC_EGRESS, DEV_EXT2, &inner);
		/* the backend's answer, back at this node, seen by an egress hook: the ingress one
		 * has translated it */
		inner = spec_reverse(&inner);
		inner.flags = SYN | ACK;
		expect_through(p, PROG_TC_EGRESS, DEV_EXT0, &inner);
		s = spec_reverse(&s);
		s.flags = SYN | ACK;
		expect_through(p, PROG_TC_EGRESS, DEV_EXT0, &s);
	}
}

/* East-west by packets: a pod asks a cluster IP, another pod of this node answers; each packet is
 * translated once. */
static void test_pod_to_pod(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_POD);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec s, inner, want;
		struct fl_flow flow;
		struct result r;

		scene.keep_source = true;
		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		s.src = addr(scene.family, AT_POD, 5);
		assert_int_equal(through(p, PROG_POD_INGRESS, DEV_POD, &s, &r), TC_ACT_UNSPEC);
		flow = expect_flow(p, &s);
		inner = translated(&s, &flow);
		expect_packet(&r, &inner, "asked");
		for (int established = 0; established < 2; established++) {
			struct spec reply = spec_reverse(&inner);

			expect_through(p, PROG_POD_EGRESS, DEV_POD, &inner);
			reply.flags = established ? ACK : SYN | ACK;
			expect_through(p, PROG_POD_INGRESS, DEV_POD, &reply);
			assert_int_equal(through(p, PROG_POD_EGRESS, DEV_POD, &reply, &r),
					 TC_ACT_UNSPEC);
			want = spec_reverse(&s);
			want.flags = reply.flags;
			expect_packet(&r, &want, "answered");
			s.flags = inner.flags = ACK;
			assert_int_equal(through(p, PROG_POD_INGRESS, DEV_POD, &s, &r),
					 TC_ACT_UNSPEC);
			expect_packet(&r, &inner, "asked again");
			assert_int_equal(expect_flow(p, &s).state, FL_FLOW_ESTABLISHED);
		}
	}
}

/* A pod's packet to a backend of another node: to the stack, which routes it. */
static void test_pod_to_another_node(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec s, inner, want;
		struct fl_flow flow;
		struct frame in;
		struct result r;

		scene.keep_source = true;
		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		s.src = addr(scene.family, AT_POD, 5);
		assert_int_equal(through(p, PROG_POD_INGRESS, DEV_POD, &s, &r), TC_ACT_UNSPEC);
		flow = expect_flow(p, &s);
		inner = translated(&s, &flow);
		expect_packet(&r, &inner, "asked");
		expect_through(p, PROG_TC_EGRESS, DEV_EXT0, &inner);
		inner = spec_reverse(&inner);
		inner.flags = SYN | ACK;
		frame_build(&inner, &in);
		run_xdp(p, DEV_EXT0, &in, &r);
		assert_int_equal(r.verdict, XDP_PASS);
		want = spec_reverse(&s);
		want.flags = SYN | ACK;
		expect_packet(&r, &want, "answered");
		expect_through(p, PROG_POD_EGRESS, DEV_POD, &want);
	}
}

int egress_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts_on_the_way_out),
		cmocka_unit_test(test_translated_packets_pass_the_way_out),
		cmocka_unit_test(test_pod_to_pod),
		cmocka_unit_test(test_pod_to_another_node),
	};

	return run_topic("the way out", tests, N(tests), world);
}
