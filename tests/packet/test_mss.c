// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DSR: segments of a client get an outer header on their way, so its SYN is told what fits, and the
 * backend's SYN, which goes straight to the client, asks for no more than that (robustness G23).
 */
#include "tests/packet/tunnel.h"

#include <string.h>

#define ANYTHING 9999 /* more than fits */

/* Options of a SYN; FF FF stands for the MSS. */
struct options {
	struct row row;
	uint8_t len, at; /* bytes; where the MSS is, 0: it is left alone */
	uint8_t b[40];
};

static const struct options options[] = {
	{ROW("MSS alone"), 4, 2, {2, 4, 0xff, 0xff}},
	{ROW("as Linux has them"), 20, 2, {2, 4, 0xff, 0xff, 4, 2, 8, 10, 1, 2,
					   3, 4, 0,    0,    0, 0, 1, 3,  3, 7}},
	{ROW("at an odd place"), 8, 3, {1, 2, 4, 0xff, 0xff, 1, 1, 0}},
	{ROW("the last one"), 12, 10, {8, 6, 1, 2, 3, 4, 1, 1, 2, 4, 0xff, 0xff}},
	{ROW("behind as much as there may be"), 40, 38, {8, 34, 9, 9, 9, 9, 9, 9, 9,	9,
							 9, 9,	9, 9, 9, 9, 9, 9, 9,	9,
							 9, 9,	9, 9, 9, 9, 9, 9, 9,	9,
							 9, 9,	9, 9, 1, 1, 2, 4, 0xff, 0xff}},
	{ROW("of another length"), 8, 0, {2, 6, 0xff, 0xff, 0, 0, 1, 1}},
	{ROW("behind the end"), 8, 0, {0, 0, 0, 0, 2, 4, 0xff, 0xff}},
	{ROW("in the midst of another one"), 8, 0, {8, 8, 2, 4, 0xff, 0xff, 0, 0}},
	{ROW("cut off"), 4, 0, {1, 1, 2, 4}},
	{ROW("of no length"), 4, 0, {9, 0, 2, 4}},
	{ROW("none"), 0, 0, {0}},
};

/* A packet with these options, of which the MSS is `mss`. */
static void with_options(const struct packet *plain, const struct options *o, uint16_t mss,
			 struct frame *ret_frame)
{
	const uint32_t l4 = l4_offset(plain->family);
	struct packet packet = *plain;
	uint8_t *tcp = ret_frame->b + l4;
	uint16_t sum;

	packet.payload = o->len;
	frame_build(&packet, ret_frame);
	memcpy(tcp + 20, o->b, o->len);
	if (o->at) {
		tcp[20 + o->at] = (uint8_t)(mss >> 8);
		tcp[21 + o->at] = (uint8_t)mss;
	}
	tcp[12] = (uint8_t)((5 + o->len / 4) << 4);
	tcp[16] = tcp[17] = 0;
	sum = (uint16_t)~sum_l4(ret_frame, IPPROTO_TCP);
	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
}

/* The SYN leaves for its backend, and names this. */
static void expect_told(struct trial *t, const struct packet *packet, const struct options *o,
			uint16_t mss)
{
	const struct outer outer = outer_sent(t, 1);
	const struct packet inner = inner_sent(t, packet);
	struct frame want;

	with_options(&inner, o, mss, &want);
	frame_wrap(&want, &outer);
	expect_sent_frame(t, net_dev(t->network), &want);
}

static void tell(struct trial *t, const struct options *o, uint16_t mss, uint16_t want)
{
	struct packet packet = packet_of(t);
	struct frame frame;

	with_options(&packet, o, mss, &frame);
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	expect_told(t, &packet, o, want);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
}

/* What fits into the tunnel. */
static uint16_t most_of(const struct trial *t, uint32_t mtu)
{
	return (uint16_t)(mtu - outer_size(t) - l3_size(t) - 20);
}

static uint16_t way_of(const struct trial *t)
{
	return most_of(t, t->network == AT_NARROW ? NARROW_MTU : 1500);
}

static void syn_is_told_what_fits(struct trial *t)
{
	tell(t, t->row, ANYTHING, way_of(t));
}

static void smaller_ones_stay(struct trial *t)
{
	const uint16_t most = way_of(t);

	for (uint16_t mss = (uint16_t)(most - 2); mss <= most; mss++)
		tell(t, &options[0], mss, mss);
	tell(t, &options[0], most + 1, most);
	tell(t, &options[2], 0, 0);
}

/* Also of a flow that is known, as when the SYN comes again. */
static void every_syn_is_told(struct trial *t)
{
	for (int i = 0; i < 3; i++)
		tell(t, &options[1], ANYTHING, way_of(t));
}

/* No sender of IPv6 makes packets of less than 1280 bytes: what a router could tell it later would
 * be of no use where the way takes no more than that with the outer header. */
static void syn_is_told_what_every_way_takes(struct trial *t)
{
	const uint32_t presumed = t->p->config.tunnel_mtu6;
	const uint16_t most = most_of(t, t->family == FL_IPV6 && presumed ? presumed : 1500);

	tell(t, &options[0], ANYTHING, most);
	tell(t, &options[1], most + 1, most);
	tell(t, &options[1], most, most);
	tell(t, &options[1], 1000, 1000);
}

/* What is said of the SYN, and what the answer to it asks for then. */
struct answer {
	struct row row;
	uint16_t syn, asked, want; /* 0: most that fits */
};

static const struct answer answers[] = {
	{ROW("more than fits"), ANYTHING, ANYTHING, 0},
	{ROW("what fits"), ANYTHING, 0, 0},
	{ROW("less"), ANYTHING, 1000, 1000},
	{ROW("the way before is narrow"), 1180, ANYTHING, 1180},
	{ROW("and less"), 1180, 900, 900},
};

/* The SYN comes by another node, and goes to the pod. */
static void tell_by_a_node(struct trial *t, uint16_t mss)
{
	const struct outer outer = outer_came(t, addr(t->family, AT_EXT0, 2), 1);
	struct packet packet = packet_of(t);
	struct frame frame;

	peer_add(t, &outer.src);
	with_options(&packet, &options[1], mss, &frame);
	frame_wrap(&frame, &outer);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	/* what the client asks for is its own matter: answers get no outer header */
	packet.dst = addr(t->family, AT_POD, 1);
	packet.dport = BACKEND_PORT;
	with_options(&packet, &options[1], mss, &frame);
	expect_outcome(t, PASSED);
	expect_frame(t, &frame);
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
}

/* The pod asks for one, and its SYN for another when it is on its way to the client. */
static void expect_asked(struct trial *t, uint16_t asked, uint16_t mss)
{
	struct packet packet = packet_of(t), answer = packet_reverse(&packet), want;
	struct frame frame;

	answer.src = addr(t->family, AT_POD, 1);
	answer.sport = BACKEND_PORT;
	answer.flags = SYN | ACK;
	answer.seq = BACKEND_ISN;
	answer.ack = packet.seq + 1;
	answer.src_mac = t->p->net->mac[DEV_EXT0];
	answer.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	want = answer;
	want.src = t->to->ip;
	want.sport = t->to->port;
	with_options(&answer, &options[2], asked, &frame);
	feed_frame(t, HOOK_TC_EGRESS, DEV_EXT0, &frame);
	with_options(&want, &options[2], mss, &frame);
	expect_outcome(t, PASSED);
	expect_frame(t, &frame);
}

static void backend_asks_for_what_fits(struct trial *t)
{
	const struct answer *row = t->row;
	const uint16_t most = most_of(t, 1500);

	tell_by_a_node(t, row->syn);
	for (int i = 0; i < 2; i++)
		expect_asked(t, row->asked ? row->asked : most, row->want ? row->want : most);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* A SYN that comes again, by a narrower way; wider ones do not undo what it has said. */
static void a_second_syn_may_ask_for_less(struct trial *t)
{
	tell_by_a_node(t, 1400);
	tell_by_a_node(t, 1200);
	expect_asked(t, ANYTHING, 1200);
	tell_by_a_node(t, 1300);
	expect_asked(t, ANYTHING, 1200);
	tell_by_a_node(t, 1100);
	expect_asked(t, ANYTHING, 1100);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* The first one came from the client itself. */
static void a_second_syn_may_come_by_a_node(struct trial *t)
{
	const struct packet packet = packet_of(t);

	feed(t, &packet);
	expect_outcome(t, PASSED);
	expect_asked(t, ANYTHING, ANYTHING);
	tell_by_a_node(t, 1200);
	expect_asked(t, ANYTHING, 1200);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 0);
}

/* Whose segments get no outer header. */
static void other_flows_ask_for_anything(struct trial *t)
{
	struct packet packet = packet_of(t), answer = packet_reverse(&packet), want;
	struct frame frame;

	feed(t, &packet);
	expect_outcome(t, PASSED);
	answer.src = addr(t->family, AT_POD, 1);
	answer.sport = BACKEND_PORT;
	answer.flags = SYN | ACK;
	answer.ack = packet.seq + 1;
	want = answer;
	want.src = packet.dst;
	want.sport = packet.dport;
	with_options(&answer, &options[0], ANYTHING, &frame);
	feed_frame(t, HOOK_TC_EGRESS, DEV_EXT0, &frame);
	with_options(&want, &options[0], ANYTHING, &frame);
	expect_outcome(t, PASSED);
	expect_frame(t, &frame);
}

#define DSR                                                                                        \
	{                                                                                          \
		.more_flags = FL_TUNNEL                                                            \
	}

static const struct test tests[] = {
	{"G23: the MSS of a client's SYN is lowered to what fits into the tunnel",
	 CHECK(syn_is_told_what_fits), .protos = ONLY_TCP, .hooks = ON_NETWORK, .scene = DSR,
	 ROWS(options)},
	{"... and of the way there", CHECK(syn_is_told_what_fits), .protos = ONLY_TCP,
	 .hooks = ON_NETWORK, .networks = IN(AT_NARROW) | IN(AT_REDIRECT), .scene = DSR,
	 .rows = options, .row_size = sizeof(options[0]), .n_rows = 1},
	{"G23: in IPv6 no way is presumed to take more than it has to",
	 CHECK(syn_is_told_what_every_way_takes), .protos = ONLY_TCP, .hooks = ON_NETWORK,
	 .scene = DSR, .plane = PLANE_LIMITED},
	{"an MSS that fits stays", CHECK(smaller_ones_stay), .protos = ONLY_TCP,
	 .hooks = ON_NETWORK, .networks = IN(AT_TX) | IN(AT_NARROW), .scene = DSR},
	{"also when the SYN comes again", CHECK(every_syn_is_told), .protos = ONLY_TCP,
	 .hooks = ON_NETWORK, .scene = DSR},
	{"G23: so does the backend's SYN ask for no more", CHECK(backend_asks_for_what_fits),
	 .protos = ONLY_TCP, .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD),
	 .frontends = 7, ROWS(answers)},
	{"the smallest of several counts", CHECK(a_second_syn_may_ask_for_less), .protos = ONLY_TCP,
	 .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD), .frontends = 7},
	{"also where the first has not come so", CHECK(a_second_syn_may_come_by_a_node),
	 .protos = ONLY_TCP, .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD)},
	{"other flows ask for anything", CHECK(other_flows_ask_for_anything), .protos = ONLY_TCP,
	 .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD), .scene = DSR},
};

const struct topic mss_topic = {"mss", TESTS(tests)};
const struct topic mss_geneve_topic = {"mss by geneve", TESTS(tests), .plane = PLANE_GENEVE};
