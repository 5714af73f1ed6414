// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Promise 2: a thousand established flows in a small table survive any flood of packets that prove
 * nothing. */
#include "tests/packet/packet.h"

#include <string.h>

#include "lb/base/cleanup.h"

#define FLOWS 1000

struct flood {
	const char *what;
	uint8_t proto;
	uint32_t newcomers;
	uint8_t flags[4]; /* of the packets each of them sends, ended by 0 */
};

static const struct flood floods[] = {
	{"one SYN each", IPPROTO_TCP, 100000, {SYN}},
	{"two SYNs each", IPPROTO_TCP, 100000, {SYN, SYN}},
	{"SYN and ACK", IPPROTO_TCP, 50000, {SYN, ACK}},
	{"ACK alone", IPPROTO_TCP, 20000, {ACK}},
	{"SYN, RST, ACK", IPPROTO_TCP, 20000, {SYN, RST, ACK}},
	{"SYN, FIN, ACK", IPPROTO_TCP, 20000, {SYN, FIN | ACK, ACK}},
	{"three datagrams", IPPROTO_UDP, 20000, {ACK, ACK, ACK}},
};

/* Patch the tuple into a ready frame; sums are not looked at by anybody here. */
static void aim(struct frame *f, enum fl_family family, uint32_t number, uint8_t flags)
{
	uint32_t l4 = l4_offset(family), src = family == FL_IPV4 ? 26 : 22;

	f->b[src + (family == FL_IPV4 ? 1 : 13)] = (uint8_t)(number >> 16);
	f->b[src + (family == FL_IPV4 ? 2 : 14)] = (uint8_t)(number >> 8 & 0x3f);
	f->b[src + (family == FL_IPV4 ? 3 : 15)] = (uint8_t)number;
	f->b[l4] = (uint8_t)(4 + (number >> 14));
	f->b[l4 + 1] = (uint8_t)(number * 7);
	f->b[l4 + 13] = flags;
}

static void establish_all(struct plane *p, enum fl_family family, struct talk talks[FLOWS])
{
	const struct scene scene = {.family = family, .proto = IPPROTO_TCP, .place = AT_POD};
	struct scene udp = scene;
	struct frontend fe[SCENE_FRONTENDS];
	uint16_t port = 1000;

	plane_reset(p);
	scene_set(p, &scene, fe);
	for (int i = 0; i < FLOWS; i++) {
		talks[i] = talk_begin(p, &scene, &fe[0], 10, port++);
		assert_true(talk_establish_at_pod(&talks[i]));
	}
	udp.proto = IPPROTO_UDP;
	scene_set(p, &udp, NULL);
}

static size_t established(const struct plane *p, enum fl_family family)
{
	struct fl_flow_table table = plane_flows(p);
	struct fl_flow_counts counts;

	fl_flow_count(&table, &counts);
	return counts.flows[family][FL_FLOW_ESTABLISHED];
}

static void test_established_flows_survive_floods(void **state)
{
	struct plane *p = SMALL(state);
	struct talk talks[FLOWS];

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		establish_all(p, family, talks);
		assert_int_equal(established(p, family), FLOWS);
		for (size_t i = 0; i < N(floods); i++) {
			const struct flood *flood = &floods[i];
			uint32_t n = family == FL_IPV4 ? flood->newcomers : flood->newcomers / 10;
			struct spec s = talks[0].client;
			struct result r;
			struct frame f;

			s.proto = flood->proto;
			s.payload = 6;
			frame_build(&s, &f);
			for (uint32_t k = 0; k < n; k++)
				for (int j = 0; flood->flags[j] && j < 4; j++) {
					aim(&f, family, k + 256, flood->flags[j]);
					run_xdp(p, DEV_EXT0, &f, &r);
				}
			if (established(p, family) != FLOWS)
				fail_msg("%s: %zu of %d flows are established", flood->what,
					 established(p, family), FLOWS);
		}
		/* and they work */
		for (int i = 0; i < FLOWS; i++)
			talk_expect_at_pod(&talks[i]);
		assert_int_equal(established(p, family), FLOWS);
	}
}

int flood_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_established_flows_survive_floods),
	};

	return run_topic("floods", tests, N(tests), world);
}
