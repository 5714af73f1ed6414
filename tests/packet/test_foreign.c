// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the datapath does not understand passes, byte for byte, at every hook, and leaves no trace.
 */
#include "tests/packet/packet.h"

#include <string.h>

static const enum prog ingress[] = {PROG_XDP, PROG_TC_INGRESS, PROG_POD_INGRESS};

static bool passed(enum prog prog, int verdict)
{
	return verdict == (prog == PROG_XDP ? XDP_PASS : TC_ACT_UNSPEC);
}

/* Bytes to write over a packet that would be translated. */
struct change {
	const char *what;
	uint8_t at, len; /* offset in the frame, bytes */
	uint8_t bytes[4];
};

static const struct change changes4[] = {
	{"to a group of stations", 0, 1, {0x01}},
	{"header of 24 bytes: an option", 14, 1, {0x46}},
	{"header of 60 bytes", 14, 1, {0x4f}},
	{"header of 16 bytes", 14, 1, {0x44}},
	{"version 6", 14, 1, {0x65}},
	{"version 0", 14, 1, {0x05}},
	{"first fragment", 20, 2, {0x20, 0}},
	{"middle fragment", 20, 2, {0x20, 1}},
	{"last fragment", 20, 2, {0x1f, 0xff}},
	{"total length 0", 16, 2, {0, 0}},
	{"total length of the header", 16, 2, {0, 20}},
	{"total length below the L4 header", 16, 2, {0, 27}},
	{"ICMP", 23, 1, {1}},
	{"IGMP", 23, 1, {2}},
	{"IPIP", 23, 1, {4}},
	{"GRE", 23, 1, {47}},
	{"SCTP", 23, 1, {132}},
	{"source port 0", 34, 2, {0, 0}},
	{"destination port 0", 36, 2, {0, 0}},
	{"ARP", 12, 2, {0x08, 0x06}},
	{"VLAN", 12, 2, {0x81, 0x00}},
	{"double VLAN", 12, 2, {0x88, 0xa8}},
	{"MPLS", 12, 2, {0x88, 0x47}},
	{"IPv6 by its type", 12, 2, {0x86, 0xdd}},
	{"802.3 length", 12, 2, {0x00, 0x40}},
};

static const struct change changes6[] = {
	{"to a group of stations", 0, 1, {0x33}},
	{"version 4", 14, 1, {0x40}},
	{"version 0", 14, 1, {0x00}},
	{"payload length 0", 18, 2, {0, 0}},
	{"payload length below the L4 header", 18, 2, {0, 7}},
	{"hop-by-hop options", 20, 1, {0}},
	{"routing header", 20, 1, {43}},
	{"fragment", 20, 1, {44}},
	{"ESP", 20, 1, {50}},
	{"AH", 20, 1, {51}},
	{"ICMPv6", 20, 1, {58}},
	{"no next header", 20, 1, {59}},
	{"destination options", 20, 1, {60}},
	{"SCTP", 20, 1, {132}},
	{"ip6ip6", 20, 1, {41}},
	{"source port 0", 54, 2, {0, 0}},
	{"destination port 0", 56, 2, {0, 0}},
	{"IPv4 by its type", 12, 2, {0x08, 0x00}},
	{"VLAN", 12, 2, {0x81, 0x00}},
};

static void try_changes(struct plane *p, const struct kind *kind, const struct change *changes,
			size_t n)
{
	const struct scene scene = scene_of(kind, AT_TX);
	struct frontend fe[SCENE_FRONTENDS];

	plane_reset(p);
	scene_set(p, &scene, fe);
	for (size_t i = 0; i < n; i++) {
		struct spec s = client_spec(p, kind->family, kind->proto, 10, 4000,
					    &fe[i % SCENE_FRONTENDS]);
		struct frame in;

		s.payload = 40;
		frame_build(&s, &in);
		memcpy(in.b + changes[i].at, changes[i].bytes, changes[i].len);
		for (size_t k = 0; k < N(ingress); k++) {
			struct result r;

			run(p, ingress[k], DEV_EXT0, &in, &r);
			if (!passed(ingress[k], r.verdict))
				fail_msg("%s: verdict %d", changes[i].what, r.verdict);
			expect_untouched(&r, &in, changes[i].what);
		}
	}
	assert_int_equal(plane_count(p, FL_IPV4) + plane_count(p, FL_IPV6), 0);
	for (uint32_t c = 1; c < FL_COUNTER_MAX; c++)
		assert_int_equal(plane_counter(p, c), 0);
}

static void test_not_understood_passes_untouched(void **state)
{
	for (int k = 0; k < KINDS; k++)
		if (kinds[k].family == FL_IPV4)
			try_changes(USUAL(state), &kinds[k], changes4, N(changes4));
		else
			try_changes(USUAL(state), &kinds[k], changes6, N(changes6));
}

/* The don't-fragment bit, the reserved bit and the traffic class are nobody's reason to pass. */
static void test_understood_whatever_these_bits_are(void **state)
{
	static const struct change changes[FL_FAMILIES][3] = {
		{{"DF", 20, 1, {0x40}}, {"reserved", 20, 1, {0x80}}, {"TOS", 15, 1, {0xb9}}},
		{{"class", 14, 2, {0x6b, 0x90}},
		 {"label", 15, 3, {0x01, 2, 3}},
		 {"", 14, 1, {0x60}}},
	};

	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		for (int i = 0; i < 3; i++) {
			struct spec s = client_spec(USUAL(state), scene.family, scene.proto, 10,
						    4000, &fe[0]);
			const struct change *c = &changes[scene.family][i];
			struct frame in;
			struct result r;

			frame_build(&s, &in);
			memcpy(in.b + c->at, c->bytes, c->len);
			run_xdp(USUAL(state), DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, XDP_TX);
			assert_memory_equal(r.out.b + c->at, c->bytes, c->len);
		}
	}
}

/* A packet that says it is longer than it is: the kernel drops it. */
static void test_truncated_at_every_length(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (int known = 0; known < 2; known++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct frame in, whole;
			struct result r;
			struct spec s;

			plane_reset(p);
			scene_set(p, &scene, fe);
			s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
			s.payload = 24;
			frame_build(&s, &whole);
			if (known)
				run_xdp(p, DEV_EXT0, &whole, &r);
			in = whole;
			for (in.len = ETH_HLEN; in.len < whole.len; in.len++) {
				run_xdp(p, DEV_EXT0, &in, &r);
				assert_int_equal(r.verdict, XDP_PASS);
				expect_untouched(&r, &in, "cut by XDP");
				/* the kernel makes no skb of less */
				if (in.len < l4_offset(scene.family))
					continue;
				run_tc(p, PROG_TC_INGRESS, DEV_EXT0, &in, &r);
				assert_int_equal(r.verdict, TC_ACT_UNSPEC);
				expect_untouched(&r, &in, "cut by tc");
			}
			if (!known)
				expect_no_flow(p, &s);
			run_xdp(p, DEV_EXT0, &whole, &r);
			assert_int_equal(r.verdict, XDP_TX);
		}
}

/* The same for answers: a rejected packet is answered in full or left alone. */
static void test_truncated_rejects(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct frame in, whole, want;
		struct spec s;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		fe[0].port++; /* 2.22 */
		s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe[0]);
		s.payload = 24;
		frame_build(&s, &whole);
		frame_build_icmp(&s, ICMP_PORT_UNREACHABLE, 0, &want);
		in = whole;
		for (in.len = ETH_HLEN; in.len <= whole.len; in.len++) {
			struct result r;

			run_xdp(USUAL(state), DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, in.len < whole.len ? XDP_PASS : XDP_TX);
			frame_expect(&r.out, r.verdict == XDP_PASS ? &in : &want, "rejected");
		}
	}
}

/* Ethernet pads short frames; what is behind the packet stays there. */
static void test_padding_of_short_frames_is_kept(void **state)
{
	const struct scene scene = {.proto = IPPROTO_UDP, .place = AT_TX};
	struct frontend fe[SCENE_FRONTENDS];
	struct frame in, want;
	struct spec s, out;
	struct fl_flow flow;
	struct result r;

	scene_set(USUAL(state), &scene, fe);
	s = client_spec(USUAL(state), FL_IPV4, IPPROTO_UDP, 10, 4000, &fe[0]);
	s.payload = 1;
	frame_build(&s, &in);
	memset(in.b + in.len, 0x5a, 60 - in.len);
	in.len = 60;
	run_xdp(USUAL(state), DEV_EXT0, &in, &r);
	assert_int_equal(r.verdict, XDP_TX);
	flow = expect_flow(USUAL(state), &s);
	out = translated(&s, &flow);
	out.ttl--;
	out.dst_mac = USUAL(state)->net->gateway_mac[AT_TX];
	out.src_mac = USUAL(state)->net->mac[DEV_EXT0];
	frame_build(&out, &want);
	memset(want.b + want.len, 0x5a, 60 - want.len);
	want.len = 60;
	frame_expect(&r.out, &want, "padded");
}

int foreign_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_understood_passes_untouched),
		cmocka_unit_test(test_understood_whatever_these_bits_are),
		cmocka_unit_test(test_truncated_at_every_length),
		cmocka_unit_test(test_truncated_rejects),
		cmocka_unit_test(test_padding_of_short_frames_is_kept),
	};

	return run_topic("foreign", tests, N(tests), world);
}
