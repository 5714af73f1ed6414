// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A thousand established flows in a small table survive any flood of packets that prove
 * nothing. */
#include "tests/packet/packet.h"

#define FLOWS 1000

struct flood {
	struct row row;
	uint8_t proto; /* of the flood; the flows are TCP */
	uint32_t newcomers;
	uint8_t flags[4]; /* of the packets each of them sends, ended by 0 */
};

static const struct flood floods[] = {
	{ROW("one SYN each"), IPPROTO_TCP, 100000, {SYN}},
	{ROW("two SYNs each"), IPPROTO_TCP, 100000, {SYN, SYN}},
	{ROW("SYN and ACK"), IPPROTO_TCP, 50000, {SYN, ACK}},
	{ROW("ACK alone"), IPPROTO_TCP, 20000, {ACK}},
	{ROW("SYN, RST, ACK"), IPPROTO_TCP, 20000, {SYN, RST, ACK}},
	{ROW("SYN, FIN, ACK"), IPPROTO_TCP, 20000, {SYN, FIN | ACK, ACK}},
	{ROW("three datagrams"), IPPROTO_UDP, 20000, {ACK, ACK, ACK}},
};

/* Patch the tuple into a ready frame; no program looks at its sums. */
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

static size_t established(const struct trial *t)
{
	struct fl_flow_table table = plane_flows(t->p);
	struct fl_flow_counts counts;

	fl_flow_count(&table, &counts);
	return counts.flows[t->family][FL_FLOW_ESTABLISHED];
}

static void send_flood(struct trial *t, const struct packet *like)
{
	const struct flood *flood = t->row;
	bool few = t->family == FL_IPV6 || t->hook != HOOK_XDP;
	uint32_t n = few ? flood->newcomers / 10 : flood->newcomers;
	const enum prog prog = t->hook == HOOK_XDP ? PROG_XDP : PROG_TC_INGRESS;
	struct packet packet = *like;
	struct frame frame;

	packet.proto = flood->proto;
	packet.payload = 6;
	/* of no established flow, should one have the same addresses and ports */
	packet.seq += 0x10000000;
	frame_build(&packet, &frame);
	for (uint32_t k = 0; k < n; k++)
		for (int j = 0; j < 4 && flood->flags[j]; j++) {
			aim(&frame, t->family, k + 256, flood->flags[j]);
			run(t->p, prog, DEV_EXT0, &frame, &t->r);
			t->dropped +=
				t->r.verdict == (prog == PROG_XDP ? (int)XDP_DROP : TC_ACT_SHOT);
		}
}

static void established_flows_survive(struct trial *t)
{
	static struct talk talks[FLOWS];
	struct scene udp = {.family = t->family, .proto = IPPROTO_UDP, .network = AT_POD};

	for (uint16_t i = 0; i < FLOWS; i++) {
		talks[i] = talk_from(t, CLIENT_HOST, 1000 + i, t->to);
		assert_true(talk_establish_at_pod(&talks[i]));
	}
	scene_set(t->p, &udp, t->fe);
	assert_int_equal(established(t), FLOWS);
	send_flood(t, &talks[0].client);
	if (established(t) != FLOWS)
		trial_fail(t, "%zu of %d flows are established", established(t), FLOWS);
	for (int i = 0; i < FLOWS; i++)
		talk_expect_at_pod(&talks[i]);
	assert_int_equal(established(t), FLOWS);
	/* the newcomers crowd one another out, or find no room at all */
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
	allow_counter(t, FL_REASON_FLOW_TABLE_FULL);
	allow_counter(t, FL_REASON_NO_FLOW);
}

static const struct test tests[] = {
	{"B1: established flows survive a flood of packets that prove nothing",
	 CHECK(established_flows_survive), .protos = ONLY_TCP, .hooks = ON_XDP | ON_TC_INGRESS,
	 .networks = IN(AT_POD), .plane = PLANE_SMALL, ROWS(floods)},
};

const struct topic flood_topic = {"floods", TESTS(tests)};
