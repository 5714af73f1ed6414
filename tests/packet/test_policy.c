// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Verdicts by client class (rule 5.7) and source ranges (rules 5.6). */
#include "tests/packet/packet.h"

#include <linux/if_ether.h>

enum answer {
	FORWARDED,
	DROPPED,  /* silently, NO_LOCAL_ENDPOINT */
	REJECTED, /* port unreachable, REJECT_NO_ENDPOINT */
};

/* A row of table 5.7 as the planner hands it over: a verdict for each side of a frontend. */
struct row {
	const char *what;
	uint8_t internal, external; /* enum fl_service_verdict */
	enum answer outside, pod;
};

static const struct row rows[] = {
	{"endpoints for everybody", FL_VERDICT_FORWARD, FL_VERDICT_FORWARD, FORWARDED, FORWARDED},
	{"none anywhere", FL_VERDICT_REJECT, FL_VERDICT_REJECT, REJECTED, REJECTED},
	{"ClusterIP, iTP Local, none local", FL_VERDICT_DROP, FL_VERDICT_DROP, DROPPED, DROPPED},
	{"external, eTP Local, none local", FL_VERDICT_FORWARD, FL_VERDICT_DROP, DROPPED,
	 FORWARDED},
	{"not filled in", FL_VERDICT_NONE, FL_VERDICT_NONE, REJECTED, REJECTED},
};

static void set_verdicts(struct plane *p, const struct scene *scene, const struct frontend *fe,
			 const struct row *row)
{
	struct service service = {
		.id = 1,
		.family = scene->family,
		.proto = scene->proto,
		.flags = MASQUERADE_ALL,
		.verdict = {row->internal, row->external},
	};

	for (int side = 0; side < FL_SIDES; side++)
		service.ids[side][0] = service.verdict[side] == FL_VERDICT_FORWARD;
	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		service.type = fe[i].type;
		service.port = fe[i].port;
		service.ip = (struct fl_ip){.b = {0}};
		if (service.type != FL_FRONTEND_NODE_PORT)
			service.ip = fe[i].ip;
		service_add(p, &service);
	}
}

static void expect_answer(struct plane *p, const struct row *row, const struct spec *s,
			  enum answer answer)
{
	uint64_t drops = plane_counter(p, FL_REASON_NO_LOCAL_ENDPOINT);
	uint64_t rejects = plane_counter(p, FL_REASON_REJECT_NO_ENDPOINT);
	struct frame want;
	struct result r;

	xdp(p, s, &r);
	switch (answer) {
	case FORWARDED:
		if (r.verdict != XDP_TX)
			fail_msg("%s: verdict %d", row->what, r.verdict);
		expect_flow(p, s);
		break;
	case DROPPED:
		if (r.verdict != XDP_DROP)
			fail_msg("%s: verdict %d", row->what, r.verdict);
		drops++;
		break;
	case REJECTED:
		assert_int_equal(r.verdict, XDP_TX);
		frame_build_icmp(s, ICMP_PORT_UNREACHABLE, 0, &want);
		frame_expect(&r.out, &want, row->what);
		rejects++;
		break;
	}
	if (answer != FORWARDED)
		expect_no_flow(p, s);
	assert_int_equal(plane_counter(p, FL_REASON_NO_LOCAL_ENDPOINT), drops);
	assert_int_equal(plane_counter(p, FL_REASON_REJECT_NO_ENDPOINT), rejects);
}

/* 5.4.2, 5.7: the same frontend tells outside and pod clients different things. Pods are known by
 * their network. */
static void test_verdicts_by_client(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(rows); i++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct frontend fe[SCENE_FRONTENDS];

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			set_verdicts(USUAL(state), &scene, fe, &rows[i]);
			for (int f = 0; f < SCENE_FRONTENDS; f++) {
				struct spec s = client_spec(USUAL(state), scene.family, scene.proto,
							    10, (uint16_t)(4000 + f), &fe[f]);

				expect_answer(USUAL(state), &rows[i], &s, rows[i].outside);
				s.src = addr(scene.family, AT_REDIRECT,
					     200); /* another node's pod */
				expect_answer(USUAL(state), &rows[i], &s, rows[i].pod);
			}
		}
}

/* 5.3.2: without a detector everybody is outside. */
static void test_no_detector_nobody_is_a_pod(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec s;

		plane_reset(SMALL(state));
		scene_set(SMALL(state), &scene, fe);
		set_verdicts(SMALL(state), &scene, fe, &rows[3]);
		s = client_spec(SMALL(state), scene.family, scene.proto, 10, 4000, &fe[2]);
		s.src = addr(scene.family, AT_REDIRECT, 200);
		expect_answer(SMALL(state), &rows[3], &s, DROPPED);
	}
}

struct source {
	enum place place;
	unsigned int host;
	bool allowed;
};

static void add_ranges(struct plane *p, enum fl_family family)
{
	if (family == FL_IPV4) {
		range_add(p, 1, "192.0.2.0/28");
		range_add(p, 1, "192.0.2.64/32");
		range_add(p, 1, "10.1.2.0/24");
		range_add(p, 2, "0.0.0.0/0"); /* another service's */
		return;
	}
	range_add(p, 1, "2001:db8::/124");
	range_add(p, 1, "2001:db8::40/128");
	range_add(p, 1, "fd01:0:0:2::/64");
	range_add(p, 2, "::/0");
}

/* 5.6.3, 5.6.4: whoever is in no range is dropped, pods too. */
static void test_source_ranges(void **state)
{
	static const struct source sources[] = {
		{AT_OUTSIDE, 1, true},	{AT_OUTSIDE, 15, true},	   {AT_OUTSIDE, 16, false},
		{AT_OUTSIDE, 64, true}, {AT_OUTSIDE, 65, false},   {AT_FOREIGN, 1, false},
		{AT_TX, 200, true},	{AT_REDIRECT, 200, false},
	};

	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		uint64_t dropped = 0;

		scene.more_flags = FL_SOURCE_RANGES;
		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		add_ranges(USUAL(state), scene.family);
		for (size_t i = 0; i < N(sources); i++) {
			struct spec s = client_spec(USUAL(state), scene.family, scene.proto, 1,
						    4000, &fe[2]);
			struct result r;

			s.src = addr(scene.family, sources[i].place, sources[i].host);
			assert_int_equal(xdp(USUAL(state), &s, &r),
					 sources[i].allowed ? XDP_TX : XDP_DROP);
			if (!sources[i].allowed)
				expect_no_flow(USUAL(state), &s);
			dropped += !sources[i].allowed;
			assert_int_equal(plane_counter(USUAL(state), FL_REASON_SOURCE_RANGE),
					 dropped);
		}
	}
}

/* 5.6.7: without endpoints the disallowed are still dropped and the allowed rejected. */
static void test_source_ranges_come_before_verdicts(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct spec s;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		add_ranges(USUAL(state), scene.family);
		service_add(USUAL(state), &(struct service){.id = 1,
							    .type = FL_FRONTEND_LOAD_BALANCER,
							    .ip = fe[2].ip,
							    .port = fe[2].port,
							    .proto = scene.proto,
							    .flags = FL_SOURCE_RANGES});
		s = client_spec(USUAL(state), scene.family, scene.proto, 16, 4000, &fe[2]);
		assert_int_equal(xdp(USUAL(state), &s, &r), XDP_DROP);
		assert_int_equal(plane_counter(USUAL(state), FL_REASON_SOURCE_RANGE), 1);
		s.src = addr(scene.family, AT_OUTSIDE, 1);
		assert_int_equal(xdp(USUAL(state), &s, &r), XDP_TX);
		assert_int_equal(plane_counter(USUAL(state), FL_REASON_REJECT_NO_ENDPOINT), 1);
	}
}

/* 5.6.3: who is in when the ranges change stays in. */
static void test_source_ranges_leave_open_flows_alone(void **state)
{
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_TX};
	struct scene narrower = scene;
	struct frontend fe[SCENE_FRONTENDS];
	struct result r;
	struct talk t;

	scene_set(USUAL(state), &scene, fe);
	t = talk_begin(USUAL(state), &scene, &fe[2], 200, 4000);
	talk_establish(&t);
	narrower.more_flags = FL_SOURCE_RANGES;
	scene_set(USUAL(state), &narrower, fe);
	USUAL(state)->maps.backends[1].generation--; /* the same backend as before */
	add_ranges(USUAL(state), FL_IPV4);
	assert_int_equal(talk_send(&t, ACK, &r), XDP_TX);
	t.client.sport++;
	assert_int_equal(talk_send(&t, SYN, &r), XDP_DROP);
}

int policy_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts_by_client),
		cmocka_unit_test(test_no_detector_nobody_is_a_pod),
		cmocka_unit_test(test_source_ranges),
		cmocka_unit_test(test_source_ranges_come_before_verdicts),
		cmocka_unit_test(test_source_ranges_leave_open_flows_alone),
	};

	return run_topic("policies", tests, N(tests), world);
}
