// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Checksums after the rewrite, against sums over the whole packet: the two zeroes of one's
 * complement, UDP without a checksum, and NAT there and back as identity for thousands of tuples.
 */
#include "tests/packet/packet.h"

#include <string.h>

static uint16_t checksum_of(const struct packet *s)
{
	uint32_t at = l4_offset(s->family) + (s->proto == IPPROTO_TCP ? 16 : 6);
	struct frame f;

	frame_build(s, &f);
	return (uint16_t)(f.b[at] << 8 | f.b[at + 1]);
}

/* The source port that gives the packet this checksum. */
static uint16_t port_for(struct packet s, uint16_t wanted)
{
	s.sport = 1;
	/* in one's complement, what the sum has less the port has more */
	s.sport = (uint16_t)((1 + 65535 + checksum_of(&s) - wanted) % 65535);
	if (checksum_of(&s) != wanted)
		fail_msg("no port gives the checksum %#x", wanted);
	return s.sport;
}

struct corner {
	struct row row;
	uint16_t value;
	bool before; /* the rewrite; otherwise after it */
};

/* UDP is never sent with 0, and a sum of TCP never comes out as ffff. */
static const struct corner corners[] = {
	{ROW("0000 before", .protos = ONLY_TCP), 0x0000, true},
	{ROW("ffff before", .protos = ONLY_UDP), 0xffff, true},
	{ROW("0001 before"), 0x0001, true},
	{ROW("fffe before"), 0xfffe, true},
	{ROW("8000 before"), 0x8000, true},
	{ROW("0000 after", .protos = ONLY_TCP), 0x0000, false},
	{ROW("ffff after", .protos = ONLY_UDP), 0xffff, false},
	{ROW("0001 after"), 0x0001, false},
	{ROW("fffe after"), 0xfffe, false},
	{ROW("8000 after"), 0x8000, false},
};

static void both_zeroes(struct trial *t)
{
	const struct corner *corner = t->row;
	struct packet packet = packet_of(t), want = packet;

	want.dst = addr(t->family, AT_POD, 1);
	want.dport = BACKEND_PORT;
	packet.sport = want.sport = port_for(corner->before ? packet : want, corner->value);
	feed(t, &packet);
	expect_stack(t, &want);
}

static void udp_without_checksum_stays_so(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk.client.no_checksum = true;
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, 0);
		talk_expect_request(&talk);
		talk_reply(&talk, 0);
		talk_expect_reply(&talk);
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

/* The reply is the mirror image of the request, byte for byte. */
static void nat_there_and_back_is_identity(struct trial *t)
{
	uint64_t seed = 0x9e3779b97f4a7c15;

	for (int n = 0; n < ROUND_TRIPS; n++) {
		const struct frontend *frontend = &t->fe[next_random(&seed) % SCENE_FRONTENDS];
		uint16_t port = (uint16_t)(next_random(&seed) % 65535 + 1);
		struct talk talk = talk_from(t, CLIENT_HOST, port, frontend);

		/* before they crowd one another out */
		if (n % 50 == 0)
			plane_flows_clear(t->p);
		talk.client.src = random_outsider(t->family, &seed);
		talk.client.payload = next_random(&seed) % 256;
		talk.client.ttl = (uint8_t)(next_random(&seed) % 253 + 3);
		talk_send(&talk, SYN);
		talk_expect_request(&talk);
		talk.inner.payload = next_random(&seed) % 256;
		talk_reply(&talk, SYN | ACK);
		talk_expect_reply(&talk);
	}
}

/* The device summed the packet up for the stack: if the sum is not the packet's after the rewrite,
 * the stack throws it away. The kernel compares them here. */
static void sum_of_the_hardware_stays_right(struct trial *t)
{
	bool out = ON_EGRESS & 1 << t->hook;
	enum prog prog = t->hook == HOOK_TC_INGRESS    ? PROG_TC_INGRESS
			 : t->hook == HOOK_POD_INGRESS ? PROG_POD_INGRESS
			 : t->hook == HOOK_TC_EGRESS   ? PROG_TC_EGRESS
						       : PROG_POD_EGRESS;
	struct talk talk = talk_begin(t);
	struct packet packet;
	struct frame frame;

	talk_establish(&talk);
	packet = out ? packet_reverse(&talk.inner) : talk.client;
	packet.payload = 100;
	packet.flags = ACK;
	frame_build(&packet, &frame);
	run_tc_hardware_sum(t->p, prog, hook_dev(t->hook), &frame, &t->r);
	assert_int_equal(t->r.verdict, talk.masqueraded ? TC_ACT_REDIRECT : TC_ACT_UNSPEC);
	assert_memory_not_equal(t->r.out.b, frame.b, frame.len);
	assert_true(frame_sums_right(&t->r.out));
}

static const struct test tests[] = {
	{"D8: both zeroes of one's complement, before and after the rewrite", CHECK(both_zeroes),
	 .hooks = ON_INGRESS, .networks = IN(AT_POD), ROWS(corners)},
	{"D8: zero says there is no checksum, and NAT makes none up",
	 CHECK(udp_without_checksum_stays_so), .families = ONLY_IPV4, .protos = ONLY_UDP,
	 .hooks = ON_INGRESS, .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_TC)},
	{"NAT there and back is identity", CHECK(nat_there_and_back_is_identity),
	 .hooks = ON_NETWORK, .networks = IN(AT_POD) | IN(AT_TX), .scene = {.backends = 5}},
	{"D8: a sum made by hardware is still the packet's after the rewrite",
	 CHECK(sum_of_the_hardware_stays_right), .hooks = ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX)},
	{"and after that of the way out", CHECK(sum_of_the_hardware_stays_right),
	 .hooks = ON_EGRESS, .networks = IN(AT_POD)},
};

const struct topic checksum_topic = {"checksums", TESTS(tests)};
