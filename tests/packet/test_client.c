// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who is asking, and with which source it is sent on: rules 5.2 and 5.3, hairpins, and sources that
 * cannot be. */
#include "tests/packet/packet.h"

#include <string.h>

/* A flow from `src` by a program; returns its verdict. */
static int ask(struct plane *p, enum prog prog, enum dev dev, const struct spec *base,
	       const struct fl_ip *src, struct spec *ret_spec, struct result *ret_result)
{
	struct frame in;

	*ret_spec = *base;
	ret_spec->src = *src;
	frame_build(ret_spec, &in);
	run(p, prog, dev, &in, ret_result);
	return ret_result->verdict;
}

enum masked {
	KEPT, /* to the stack, the source as it was */
	MASQUERADED,
};

struct row {
	const char *what;
	enum prog prog;
	enum dev dev;
	enum place source;
	uint16_t flags; /* masquerade whom */
	enum masked outcome;
};

/* 5.3: the agent sets a bit per client class; the datapath finds the class. */
static const struct row rows[] = {
	{"outside", PROG_XDP, DEV_EXT0, AT_OUTSIDE, FL_MASQUERADE_OUTSIDE, MASQUERADED},
	{"outside, kept", PROG_XDP, DEV_EXT0, AT_OUTSIDE, FL_MASQUERADE_POD | FL_MASQUERADE_NODE,
	 KEPT},
	{"pod by network", PROG_XDP, DEV_EXT0, AT_TC, FL_MASQUERADE_POD, MASQUERADED},
	/* 5.3.6: the backend would answer it directly */
	{"pod of another node, kept by the agent", PROG_XDP, DEV_EXT0, AT_TC,
	 FL_MASQUERADE_OUTSIDE | FL_MASQUERADE_NODE, MASQUERADED},
	{"pod by device", PROG_POD_INGRESS, DEV_POD, AT_OUTSIDE, FL_MASQUERADE_POD, MASQUERADED},
	{"pod by device, kept", PROG_POD_INGRESS, DEV_POD, AT_OUTSIDE, FL_MASQUERADE_OUTSIDE, KEPT},
	{"outside, by tc", PROG_TC_INGRESS, DEV_EXT0, AT_OUTSIDE, FL_MASQUERADE_OUTSIDE,
	 MASQUERADED},
	{"nobody", PROG_TC_INGRESS, DEV_EXT0, AT_OUTSIDE, 0, KEPT},
};

static void test_masquerade_by_client(void **state)
{
	for (size_t i = 0; i < N(rows); i++)
		for (int k = 0; k < KINDS; k++) {
			struct scene scene = scene_of(&kinds[k], AT_TX);
			struct plane *p = USUAL(state);
			struct fl_ip src = addr(scene.family, rows[i].source, 99);
			struct frontend fe[SCENE_FRONTENDS];
			struct fl_flow flow;
			struct spec s, base;
			struct result r;

			scene.keep_source = true;
			scene.more_flags = rows[i].flags;
			plane_reset(p);
			scene_set(p, &scene, fe);
			base = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
			ask(p, rows[i].prog, rows[i].dev, &base, &src, &s, &r);
			flow = expect_flow(p, &s);
			if (fl_ip_equal(&flow.source, &src) != (rows[i].outcome == KEPT))
				fail_msg("%s: wrong source", rows[i].what);
			if (rows[i].outcome == KEPT) {
				struct spec want = translated(&s, &flow);

				assert_int_equal(r.verdict, rows[i].prog == PROG_XDP
								    ? XDP_PASS
								    : TC_ACT_UNSPEC);
				assert_int_equal(flow.source_port, 4000);
				expect_packet(&r, &want, rows[i].what);
			} else {
				assert_int_equal(r.verdict, rows[i].prog == PROG_XDP
								    ? XDP_TX
								    : TC_ACT_REDIRECT);
			}
		}
}

/* Unmasqueraded, yet to another node: the reply comes in from the network and is translated for the
 * stack. */
static void test_kept_source_to_another_node(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec want;
		struct result r;
		struct talk t;

		scene.keep_source = true;
		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		assert_int_equal(talk_send(&t, SYN, &r), XDP_PASS);
		assert_int_equal(talk_reply(&t, SYN | ACK, &r), XDP_PASS);
		want = spec_reverse(&t.client);
		want.flags = SYN | ACK;
		expect_packet(&r, &want, "reply for the stack");
	}
}

static struct fl_ip ip(const char *text)
{
	struct fl_ip a;

	assert_int_equal(fl_ip_parse(text, &a), 0);
	return a;
}

/* Sources that never come from a wire, and our own: the kernel knows what to do with them. */
static void test_impossible_sources_pass(void **state)
{
	static const char *const sources[FL_FAMILIES][9] = {
		{"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.9", "169.254.1.1", "224.0.0.1",
		 "239.1.1.1", "255.255.255.255", NULL},
		{"::", "::1", "fe80::1", "febf::9", "ff02::1", "ff0e::5", NULL},
	};
	static const enum prog progs[] = {PROG_XDP, PROG_TC_INGRESS, PROG_POD_INGRESS};

	for (int k = 0; k < KINDS; k++)
		for (size_t g = 0; g < N(progs); g++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct fl_ip ours = addr(scene.family, AT_EXT1, 1);
			struct frontend fe[SCENE_FRONTENDS];
			struct spec base;

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			base = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000,
					   &fe[0]);
			for (int i = 0; i < 9; i++) {
				const char *text = sources[scene.family][i];
				struct fl_ip src = text ? ip(text) : ours;
				struct result r;
				struct frame in;
				struct spec s;

				ask(USUAL(state), progs[g], DEV_EXT0, &base, &src, &s, &r);
				assert_int_equal(r.verdict,
						 progs[g] == PROG_XDP ? XDP_PASS : TC_ACT_UNSPEC);
				frame_build(&s, &in);
				expect_untouched(&r, &in, text ? text : "our own address");
				if (!text)
					break;
				base.dport++; /* 2.22 does not answer them either */
				ask(USUAL(state), progs[g], DEV_EXT0, &base, &src, &s, &r);
				base.dport--;
				frame_build(&s, &in);
				expect_untouched(&r, &in, text);
			}
			assert_int_equal(plane_count(USUAL(state), scene.family), 0);
		}
}

/* A mapped IPv4 source in an IPv6 packet must not be taken for IPv4. */
static void test_mapped_source_passes(void **state)
{
	const struct scene scene = {.family = FL_IPV6, .proto = IPPROTO_TCP, .place = AT_TX};
	struct fl_ip src = addr(FL_IPV4, AT_OUTSIDE, 10);
	struct frontend fe[SCENE_FRONTENDS];
	struct spec base, s;
	struct frame in;
	struct result r;

	scene_set(USUAL(state), &scene, fe);
	base = client_spec(USUAL(state), FL_IPV6, IPPROTO_TCP, 10, 4000, &fe[0]);
	assert_int_equal(ask(USUAL(state), PROG_XDP, DEV_EXT0, &base, &src, &s, &r), XDP_PASS);
	frame_build(&s, &in);
	expect_untouched(&r, &in, "mapped source");
}

/* ... nor a mapped destination, which would find the IPv4 frontend's key. */
static void test_mapped_destination_passes(void **state)
{
	static const uint16_t ports[] = {SERVICE_PORT, 81, NODE_PORT};

	const struct scene scene = {.family = FL_IPV4, .proto = IPPROTO_TCP, .place = AT_TX};
	struct frontend fe[SCENE_FRONTENDS];
	struct frame in;
	struct result r;
	struct spec s;

	scene_set(USUAL(state), &scene, fe);
	for (size_t i = 0; i < N(ports); i++) {
		struct frontend to = fe[ports[i] == NODE_PORT ? 3 : 0];

		to.port = ports[i];
		s = client_spec(USUAL(state), FL_IPV6, IPPROTO_TCP, 10, 4000, &to);
		assert_int_equal(xdp(USUAL(state), &s, &r), XDP_PASS);
		frame_build(&s, &in);
		expect_untouched(&r, &in, "mapped destination");
	}
	assert_int_equal(plane_count(USUAL(state), FL_IPV4) + plane_count(USUAL(state), FL_IPV6),
			 0);
}

/* 5.3.3: a pod that reaches itself through its service is masqueraded, whatever the policy, and
 * back again. */
static void test_hairpin(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_POD);
		struct plane *p = USUAL(state);
		struct fl_ip pod = addr(scene.family, AT_POD, 1),
			     node = addr(scene.family, AT_EXT0, 1);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec s, base, want;
		struct fl_flow flow;
		struct result r;
		struct frame in;

		scene.keep_source = true;
		plane_reset(p);
		scene_set(p, &scene, fe);
		base = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		assert_int_equal(ask(p, PROG_POD_INGRESS, DEV_POD, &base, &pod, &s, &r),
				 TC_ACT_REDIRECT);
		flow = expect_flow(p, &s);
		assert_true(fl_ip_equal(&flow.source, &node));
		assert_true(plane_may_use_port(p, flow.source_port));
		want = translated(&s, &flow);
		want.ttl--;
		want.dst_mac = p->net->gateway_mac[AT_POD];
		want.src_mac = p->net->mac[DEV_POD];
		expect_packet(&r, &want, "to itself");

		want = spec_reverse(&want);
		want.flags = SYN | ACK;
		want.ttl = 64;
		frame_build(&want, &in);
		run_tc(p, PROG_POD_INGRESS, DEV_POD, &in, &r);
		assert_int_equal(r.verdict, TC_ACT_REDIRECT);
		want = spec_reverse(&s);
		want.flags = SYN | ACK;
		want.ttl = 63;
		want.dst_mac = p->net->gateway_mac[AT_POD];
		want.src_mac = p->net->mac[DEV_POD];
		expect_packet(&r, &want, "from itself");
	}
}

/* Section 13 of the design, --masquerade-local: as kube-proxy does (5.4.4). */
static void test_local_backends_are_masqueraded_on_request(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_POD);
		struct plane *p = LIMITED(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_ip src = addr(scene.family, AT_OUTSIDE, 10),
			     node = addr(scene.family, AT_EXT0, 1);
		struct fl_flow flow;
		struct spec base, s;
		struct result r;

		for (int keep = 0; keep < 2; keep++) {
			scene.keep_source = keep;
			plane_reset(p);
			plane_rate_set(p, FL_OBJECT_TC, RATE_NEW_FLOW,
				       (struct rate_bucket){.stamp = plane_now(p),
							    .parts = 10 * p->config.hz});
			scene_set(p, &scene, fe);
			base = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
			ask(p, PROG_TC_INGRESS, DEV_EXT0, &base, &src, &s, &r);
			assert_int_equal(r.verdict, keep ? TC_ACT_UNSPEC : TC_ACT_REDIRECT);
			flow = expect_flow(p, &s);
			assert_true(fl_ip_equal(&flow.source, keep ? &src : &node));
		}
	}
}

int client_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masquerade_by_client),
		cmocka_unit_test(test_kept_source_to_another_node),
		cmocka_unit_test(test_impossible_sources_pass),
		cmocka_unit_test(test_mapped_source_passes),
		cmocka_unit_test(test_mapped_destination_passes),
		cmocka_unit_test(test_hairpin),
		cmocka_unit_test(test_local_backends_are_masqueraded_on_request),
	};

	return run_topic("clients", tests, N(tests), world);
}
