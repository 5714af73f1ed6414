// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rule 5.7.1: an ICMP error to whoever asked, at every hook, about packets of any size; RFC 792,
 * RFC 4443. */
#include "tests/packet/packet.h"

#include <string.h>

static const struct {
	enum prog prog;
	int verdict;
} hooks[] = {
	{PROG_XDP, XDP_TX},
	{PROG_TC_INGRESS, TC_ACT_REDIRECT},
	{PROG_TC_EGRESS, TC_ACT_REDIRECT},
	{PROG_POD_INGRESS, TC_ACT_REDIRECT},
	{PROG_POD_EGRESS, TC_ACT_REDIRECT},
};

/* A service nobody serves. */
static void set_empty(struct plane *p, const struct scene *scene, struct frontend *ret_fe)
{
	struct frontend fe[SCENE_FRONTENDS];

	plane_reset(p);
	scene_set(p, scene, fe);
	service_add(p, &(struct service){.id = 1,
					 .type = FL_FRONTEND_CLUSTER_IP,
					 .ip = fe[0].ip,
					 .port = fe[0].port,
					 .proto = scene->proto});
	*ret_fe = fe[0];
}

static void test_port_unreachable_at_every_hook(void **state)
{
	static const uint16_t payloads[] = {0, 1, 2, 7, 8, 9, 500, 1400};

	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = USUAL(state);
		struct frontend fe;

		set_empty(p, &scene, &fe);
		for (size_t h = 0; h < N(hooks); h++)
			for (size_t i = 0; i < N(payloads); i++) {
				struct spec s =
					client_spec(p, scene.family, scene.proto, 10, 4000, &fe);
				struct frame in, want;
				struct result r;

				s.payload = payloads[i];
				frame_build(&s, &in);
				run(p, hooks[h].prog, DEV_EXT0, &in, &r);
				assert_int_equal(r.verdict, hooks[h].verdict);
				frame_build_icmp(&s, ICMP_PORT_UNREACHABLE, 0, &want);
				frame_expect(&r.out, &want, "port unreachable");
			}
		assert_int_equal(plane_counter(p, FL_REASON_REJECT_NO_ENDPOINT),
				 N(hooks) * N(payloads));
		assert_int_equal(plane_count(p, scene.family), 0);
	}
}

/* What is quoted is what the client sent: its checksum, its TTL, its DF, its flow label. */
static void test_quote_is_the_packet_as_it_was(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		uint32_t quoted = l4_offset(scene.family) + 8;
		uint32_t len = l4_offset(scene.family) - ETH_HLEN + 8;
		struct frontend fe;
		struct frame in;
		struct result r;
		struct spec s;

		set_empty(USUAL(state), &scene, &fe);
		s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe);
		s.ttl = 3;
		frame_build(&s, &in);
		if (scene.family == FL_IPV4)
			memcpy(in.b + ETH_HLEN + 4, "\xbe\xef\x40\x00", 4); /* id, DF */
		else
			memcpy(in.b + ETH_HLEN + 1, "\x0a\xbc\xde", 3);
		run_xdp(USUAL(state), DEV_EXT0, &in, &r);
		assert_int_equal(r.verdict, XDP_TX);
		assert_int_equal(r.out.len, quoted + len);
		assert_memory_equal(r.out.b + quoted, in.b + ETH_HLEN, len);
		/* both sums by the definition: over all, one comes out as all ones */
		if (scene.family == FL_IPV4) {
			assert_int_equal(sum16(0, r.out.b + ETH_HLEN, 20), 0xffff);
			assert_int_equal(
				sum16(0, r.out.b + ETH_HLEN + 20, r.out.len - ETH_HLEN - 20),
				0xffff);
		} else {
			assert_int_equal(sum_l4(&r.out, IPPROTO_ICMPV6), 0xffff);
		}
	}
}

/* 5.7.2: drops are silent, and at egress too (5.7.4). */
static void test_drop_is_silent(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t h = 0; h < N(hooks); h++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct plane *p = USUAL(state);
			struct frontend fe;
			struct frame in;
			struct result r;
			struct spec s;

			set_empty(p, &scene, &fe);
			service_add(p, &(struct service){
					       .id = 1,
					       .type = FL_FRONTEND_CLUSTER_IP,
					       .ip = fe.ip,
					       .port = fe.port,
					       .proto = scene.proto,
					       .verdict = {FL_VERDICT_DROP, FL_VERDICT_DROP}});
			s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe);
			frame_build(&s, &in);
			run(p, hooks[h].prog, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict,
					 hooks[h].prog == PROG_XDP ? XDP_DROP : TC_ACT_SHOT);
			assert_int_equal(plane_counter(p, FL_REASON_NO_LOCAL_ENDPOINT), 1);
			for (uint32_t c = FL_REASON_REJECT_NO_ENDPOINT; c <= FL_REASON_REJECT_RATE;
			     c++)
				assert_int_equal(plane_counter(p, c), 0);
		}
}

int reject_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_unreachable_at_every_hook),
		cmocka_unit_test(test_quote_is_the_packet_as_it_was),
		cmocka_unit_test(test_drop_is_silent),
	};

	return run_topic("rejections", tests, N(tests), world);
}
