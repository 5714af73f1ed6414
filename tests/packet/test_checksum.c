// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Checksums after the rewrite, against sums over the whole packet: the two zeroes of one's
 * complement, UDP without a checksum, and NAT there and back as identity for thousands of tuples.
 */
#include "tests/packet/packet.h"

#include <string.h>

static uint16_t checksum_of(const struct spec *s)
{
	struct frame f;
	uint32_t at = l4_offset(s->family) + (s->proto == IPPROTO_TCP ? 16 : 6);

	frame_build(s, &f);
	return (uint16_t)(f.b[at] << 8 | f.b[at + 1]);
}

/* Vary the source port until the packet (or, `after`, what becomes of it) has the checksum wanted.
 */
static bool search(struct spec *s, const struct spec *after, uint16_t wanted)
{
	for (uint32_t port = 1; port < 65536; port++) {
		struct spec t = after ? *after : *s;

		t.sport = (uint16_t)port;
		if (checksum_of(&t) != wanted)
			continue;
		s->sport = (uint16_t)port;
		return true;
	}
	return false;
}

static void test_both_zeroes(void **state)
{
	static const enum prog progs[] = {PROG_XDP, PROG_TC_INGRESS};
	static const uint16_t values[] = {0x0000, 0xffff, 0x0001, 0xfffe, 0x8000};
	int found = 0;

	for (int k = 0; k < KINDS; k++)
		for (size_t v = 0; v < N(values); v++)
			for (int before = 0; before < 2; before++) {
				const struct scene scene = scene_of(&kinds[k], AT_POD);
				struct frontend fe[SCENE_FRONTENDS];
				struct spec s, out;

				plane_reset(USUAL(state));
				scene_set(USUAL(state), &scene, fe);
				s = client_spec(USUAL(state), scene.family, scene.proto, 10, 1,
						&fe[0]);
				out = s;
				out.dst = addr(scene.family, AT_POD, 1);
				out.dport = BACKEND_PORT;
				if (!search(&s, before ? NULL : &out, values[v]))
					continue; /* UDP is never 0, TCP never 0xffff */
				found++;
				out.sport = s.sport;
				for (size_t i = 0; i < N(progs); i++) {
					struct result r;
					struct frame in;

					frame_build(&s, &in);
					run(USUAL(state), progs[i], DEV_EXT0, &in, &r);
					expect_packet(&r, &out, "corner of the checksum");
				}
			}
	assert_int_equal(found, KINDS * 2 * (N(values) - 1));
}

/* RFC 768: zero says there is none, and NAT has no business to make one up. IPv4 only. */
static void test_udp_without_checksum_stays_so(void **state)
{
	static const enum place places[] = {AT_POD, AT_TX};
	static const enum prog progs[] = {PROG_XDP, PROG_TC_INGRESS};

	for (size_t i = 0; i < N(places); i++)
		for (size_t k = 0; k < N(progs); k++) {
			const struct scene scene = {.proto = IPPROTO_UDP, .place = places[i]};
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct spec out, want;
			struct result r;
			struct frame in;
			struct talk t;

			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			t.client.no_checksum = true;
			frame_build(&t.client, &in);
			run(p, progs[k], DEV_EXT0, &in, &r);
			talk_send(&t, 0, &r);
			out = t.inner;
			if (places[i] == AT_TX) {
				out.ttl--;
				out.dst_mac = p->net->gateway_mac[AT_TX];
				out.src_mac = p->net->mac[DEV_EXT0];
			}
			expect_packet(&r, &out, "request");
			talk_reply(&t, 0, &r);
			want = spec_reverse(&t.client);
			if (places[i] == AT_TX) {
				want.ttl--;
				want.dst_mac = p->net->gateway_mac[AT_OUTSIDE];
				want.src_mac = p->net->mac[DEV_EXT0];
			}
			expect_packet(&r, &want, "reply");
		}
}

static struct fl_ip random_outsider(enum fl_family family, uint64_t *seed)
{
	struct fl_ip ip = addr(family, AT_OUTSIDE, 0);

	for (int i = family == FL_IPV4 ? 13 : 6; i < 16; i++)
		ip.b[i] = (uint8_t)next_random(seed);
	return ip;
}

#define ROUND_TRIPS 800

/* There and back: the reply is the mirror image of the request, byte for byte. */
static void test_nat_round_trip_is_identity(void **state)
{
	static const enum place places[] = {AT_POD, AT_TX};
	uint64_t seed = 0x9e3779b97f4a7c15;

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(places); i++) {
			struct scene scene = scene_of(&kinds[k], places[i]);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];

			scene.backends = 5;
			plane_reset(p);
			scene_set(p, &scene, fe);
			for (int n = 0; n < ROUND_TRIPS; n++) {
				struct talk t = talk_begin(
					p, &scene, &fe[next_random(&seed) % SCENE_FRONTENDS], 10,
					(uint16_t)(next_random(&seed) % 65535 + 1));
				struct spec out, back;
				struct result r;

				t.client.src = random_outsider(scene.family, &seed);
				t.client.payload = next_random(&seed) % 256;
				t.client.ttl = (uint8_t)(next_random(&seed) % 253 + 3);
				talk_send(&t, SYN, &r);
				out = t.inner;
				if (!t.local) {
					out.ttl--;
					out.dst_mac = p->net->gateway_mac[AT_TX];
					out.src_mac = p->net->mac[DEV_EXT0];
				}
				expect_packet(&r, &out, "request");
				talk_reply(&t, SYN | ACK, &r);
				back = spec_reverse(&t.client);
				back.flags = SYN | ACK;
				if (!t.local) {
					back.ttl--;
					back.dst_mac = p->net->gateway_mac[AT_OUTSIDE];
					back.src_mac = p->net->mac[DEV_EXT0];
				}
				expect_packet(&r, &back, "reply");
			}
			assert_int_equal(plane_counter(p, FL_REASON_FLOW_TABLE_FULL), 0);
		}
}

/*
 * The device summed the packet up for the stack (CHECKSUM_COMPLETE): after the rewrite that sum
 * must still be the packet's, or the stack throws it away.
 */
static void test_sum_of_the_hardware_stays_right(void **state)
{
	static const struct {
		enum prog prog;
		bool reply;
	} rows[] = {{PROG_TC_INGRESS, false}, {PROG_TC_EGRESS, true}};

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(rows); i++) {
			const struct scene scene = scene_of(&kinds[k], AT_POD);
			struct frontend fe[SCENE_FRONTENDS];
			struct result r;
			struct frame in;
			struct spec s;
			struct talk t;

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
			talk_establish(&t);
			s = rows[i].reply ? spec_reverse(&t.inner) : t.client;
			s.flags = ACK;
			frame_build(&s, &in);
			run_tc_hardware_sum(USUAL(state), rows[i].prog, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, TC_ACT_UNSPEC);
			assert_memory_not_equal(r.out.b, in.b, in.len);
		}
}

int checksum_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_zeroes),
		cmocka_unit_test(test_udp_without_checksum_stays_so),
		cmocka_unit_test(test_nat_round_trip_is_identity),
		cmocka_unit_test(test_sum_of_the_hardware_stays_right),
	};

	return run_topic("checksums", tests, N(tests), world);
}
