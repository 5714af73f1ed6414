// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Robustness D1: a TCP header that says of itself what cannot be makes the packet none of a flow:
 * what is behind the packet would be taken for options, and numbers would be wrong.
 */
#include "tests/packet/packet.h"

#include <string.h>

struct header {
	struct row row;
	uint8_t words;	 /* that it says to have */
	uint8_t payload; /* bytes behind twenty */
	uint8_t padding; /* bytes behind the packet */
};

static const struct header headers[] = {
	{ROW("none"), 0, 0, 0},
	{ROW("less than there is"), 4, 40, 0},
	{ROW("more than there is"), 6, 0, 0},
	{ROW("as if padding belonged to it"), 6, 0, 4},
	{ROW("a byte more"), 10, 19, 40},
	{ROW("as long as can be"), 15, 39, 1},
};

static void build(const struct packet *packet, const struct header *h, struct frame *ret_frame)
{
	static const uint8_t mss[] = {2, 4, 0xff, 0xff};
	struct packet longer = *packet;
	uint8_t *tcp = ret_frame->b + l4_offset(packet->family);
	uint16_t sum;

	longer.payload = h->payload;
	frame_build(&longer, ret_frame);
	tcp[12] = (uint8_t)(h->words << 4);
	tcp[16] = tcp[17] = 0;
	sum = (uint16_t)~sum_l4(ret_frame, IPPROTO_TCP);
	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
	memset(ret_frame->b + ret_frame->len, 0, h->padding);
	if (h->padding >= sizeof(mss))
		memcpy(ret_frame->b + ret_frame->len, mss, sizeof(mss));
	ret_frame->len += h->padding;
}

static void it_passes(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct frame frame;

	build(&packet, t->row, &frame);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_untouched(t);
	expect_flows(t, 0);
}

/* Also if there is a flow. */
static void it_changes_no_flow(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet packet;
	struct frame frame;

	talk_establish(&talk);
	talk_expect_both(&talk);
	packet = talk.client;
	packet.flags = FIN | ACK;
	packet.seq = talk.client_end.next;
	packet.ack = talk.backend_end.next;
	build(&packet, t->row, &frame);
	feed_frame(t, talk.hook, talk.dev, &frame);
	expect_untouched(t);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
	talk_expect_both(&talk);
}

static const struct test tests[] = {
	{"D1: a TCP header of an impossible size passes", CHECK(it_passes), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD), .frontends = EVERY_FRONTEND,
	 ROWS(headers)},
	{"D1: also by DSR", CHECK(it_passes), .protos = ONLY_TCP, .hooks = ON_NETWORK,
	 .scene = {.more_flags = FL_TUNNEL}, ROWS(headers)},
	{"D1: it is of no flow", CHECK(it_changes_no_flow), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = IN(AT_TX) | IN(AT_POD), ROWS(headers)},
};

const struct topic tcp_header_topic = {"tcp headers", TESTS(tests)};
