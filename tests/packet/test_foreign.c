// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the datapath does not understand passes, byte for byte, at every hook, and leaves no trace.
 */
#include "tests/packet/packet.h"

#include <string.h>

/* Bytes to write over a packet that would be translated. */
struct change {
	struct row row;
	uint8_t at, len; /* offset in the frame, bytes */
	uint8_t bytes[4];
};

static const struct change not_understood[] = {
	{ROW("to a group of stations", .families = ONLY_IPV4, .hooks = ON_INGRESS), 0, 1, {0x01}},
	{ROW("header of 16 bytes", .families = ONLY_IPV4), 14, 1, {0x44}},
	{ROW("version 6", .families = ONLY_IPV4), 14, 1, {0x65}},
	{ROW("version 0", .families = ONLY_IPV4), 14, 1, {0x05}},
	{ROW("first fragment of GRE", .families = ONLY_IPV4), 20, 4, {0x20, 0, 64, 47}},
	{ROW("middle fragment of ICMP", .families = ONLY_IPV4), 20, 4, {0x20, 1, 64, 1}},
	{ROW("last fragment of SCTP", .families = ONLY_IPV4), 20, 4, {0x1f, 0xff, 64, 132}},
	{ROW("total length 0", .families = ONLY_IPV4), 16, 2, {0, 0}},
	{ROW("total length of the header", .families = ONLY_IPV4), 16, 2, {0, 20}},
	{ROW("total length below the L4 header", .families = ONLY_IPV4), 16, 2, {0, 27}},
	{ROW("ICMP", .families = ONLY_IPV4), 23, 1, {1}},
	{ROW("IGMP", .families = ONLY_IPV4), 23, 1, {2}},
	{ROW("IPIP", .families = ONLY_IPV4), 23, 1, {4}},
	{ROW("GRE", .families = ONLY_IPV4), 23, 1, {47}},
	{ROW("SCTP", .families = ONLY_IPV4), 23, 1, {132}},
	{ROW("source port 0", .families = ONLY_IPV4), 34, 2, {0, 0}},
	{ROW("destination port 0", .families = ONLY_IPV4), 36, 2, {0, 0}},
	{ROW("ARP", .families = ONLY_IPV4), 12, 2, {0x08, 0x06}},
	{ROW("VLAN", .families = ONLY_IPV4), 12, 2, {0x81, 0x00}},
	{ROW("double VLAN", .families = ONLY_IPV4), 12, 2, {0x88, 0xa8}},
	{ROW("MPLS", .families = ONLY_IPV4), 12, 2, {0x88, 0x47}},
	{ROW("IPv6 by its type", .families = ONLY_IPV4), 12, 2, {0x86, 0xdd}},
	{ROW("802.3 length", .families = ONLY_IPV4), 12, 2, {0x00, 0x40}},
	{ROW("to a group of stations", .families = ONLY_IPV6, .hooks = ON_INGRESS), 0, 1, {0x33}},
	{ROW("version 4", .families = ONLY_IPV6), 14, 1, {0x40}},
	{ROW("version 0", .families = ONLY_IPV6), 14, 1, {0x00}},
	{ROW("payload length 0", .families = ONLY_IPV6), 18, 2, {0, 0}},
	{ROW("payload length below the L4 header", .families = ONLY_IPV6), 18, 2, {0, 7}},
	{ROW("routing header", .families = ONLY_IPV6), 20, 1, {43}},
	{ROW("ESP", .families = ONLY_IPV6), 20, 1, {50}},
	{ROW("AH", .families = ONLY_IPV6), 20, 1, {51}},
	{ROW("no next header", .families = ONLY_IPV6), 20, 1, {59}},
	{ROW("SCTP", .families = ONLY_IPV6), 20, 1, {132}},
	{ROW("ip6ip6", .families = ONLY_IPV6), 20, 1, {41}},
	{ROW("source port 0", .families = ONLY_IPV6), 54, 2, {0, 0}},
	{ROW("destination port 0", .families = ONLY_IPV6), 56, 2, {0, 0}},
	{ROW("IPv4 by its type", .families = ONLY_IPV6), 12, 2, {0x08, 0x00}},
	{ROW("VLAN", .families = ONLY_IPV6), 12, 2, {0x81, 0x00}},
};

/* On the way out only packets of a service without endpoints are dealt with. */
static void serve_for(struct trial *t)
{
	if (ON_EGRESS & 1 << t->hook)
		service_replace(t->p, t->fe,
				(struct service){.id = 1, .family = t->family, .proto = t->proto});
}

static void not_understood_passes(struct trial *t)
{
	const struct change *change = t->row;
	struct packet packet = packet_of(t);
	struct frame as_it_is, frame;

	serve_for(t);
	packet.payload = 40;
	frame_build(&packet, &as_it_is);
	frame = as_it_is;
	frame_write(&frame, change->at, change->bytes, change->len);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_untouched(t);
	assert_int_equal(plane_count(t->p, FL_IPV4) + plane_count(t->p, FL_IPV6), 0);
	for (uint32_t c = 1; c < FL_COUNTER_MAX; c++)
		expect_counter(t, c, 0);
	/* and without the change it would not pass */
	feed_frame(t, t->hook, hook_dev(t->hook), &as_it_is);
	expect_outcome(t, SENT);
	memset(t->looked_at, 0, sizeof(t->looked_at));
	if (ON_EGRESS & 1 << t->hook)
		expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
}

static const struct change of_no_matter[] = {
	{ROW("no DF", .families = ONLY_IPV4), 20, 1, {0x00}},
	{ROW("reserved bit", .families = ONLY_IPV4), 20, 1, {0xc0}},
	{ROW("type of service", .families = ONLY_IPV4), 15, 1, {0xb9}},
	{ROW("traffic class", .families = ONLY_IPV6), 14, 2, {0x6b, 0x90}},
	{ROW("flow label", .families = ONLY_IPV6), 15, 3, {0x01, 2, 3}},
};

static void these_bits_do_not_matter(struct trial *t)
{
	const struct change *change = t->row;
	struct packet packet = packet_of(t), want;
	struct frame frame;
	struct fl_flow flow;

	frame_build(&packet, &frame);
	frame_write(&frame, change->at, change->bytes, change->len);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_outcome(t, SENT);
	flow = expect_flow(t, &packet);
	want = translated(&packet, &flow);
	want.ttl--;
	want.dst_mac = t->p->net->gateway_mac[AT_TX];
	want.src_mac = t->p->net->mac[DEV_EXT0];
	frame_build(&want, &frame);
	frame_write(&frame, change->at, change->bytes, change->len);
	expect_frame(t, &frame);
}

/* The kernel makes no skb of less. */
static uint32_t shortest(const struct trial *t)
{
	return t->hook == HOOK_XDP ? ETH_HLEN : l4_offset(t->family);
}

struct known {
	struct row row;
	bool known;
};

static const struct known knowns[] = {
	{ROW("new flow"), false},
	{ROW("known flow"), true},
};

/* A packet that says it is longer than it is: the kernel drops it. */
static void cut_packet_passes(struct trial *t)
{
	const struct known *row = t->row;
	struct packet packet = packet_of(t);
	struct frame whole, cut;

	packet.payload = 24;
	frame_build(&packet, &whole);
	if (row->known)
		feed_frame(t, t->hook, hook_dev(t->hook), &whole);
	cut = whole;
	for (cut.len = shortest(t); cut.len < whole.len; cut.len++) {
		feed_frame(t, t->hook, hook_dev(t->hook), &cut);
		expect_untouched(t);
	}
	if (!row->known)
		expect_no_flow(t, &packet);
	feed_frame(t, t->hook, hook_dev(t->hook), &whole);
	expect_outcome(t, SENT);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void cut_packet_is_not_answered(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct frame whole, cut;

	packet.dport++; /* 2.22 */
	packet.payload = 24;
	frame_build(&packet, &whole);
	cut = whole;
	for (cut.len = shortest(t); cut.len < whole.len; cut.len++) {
		feed_frame(t, t->hook, hook_dev(t->hook), &cut);
		expect_untouched(t);
	}
	feed_frame(t, t->hook, hook_dev(t->hook), &whole);
	expect_answer(t, &packet, ICMP_PORT_UNREACHABLE, 0, FL_REASON_REJECT_UNKNOWN_PORT);
}

/* As of short Ethernet frames: what is behind the packet stays there. */
static void padding_is_kept(struct trial *t)
{
	struct packet packet = packet_of(t), want;
	struct frame frame;
	struct fl_flow flow;
	const uint32_t padding = 6;

	packet.payload = 1;
	frame_build(&packet, &frame);
	memset(frame.b + frame.len, 0x5a, padding);
	frame.len += padding;
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_outcome(t, SENT);
	flow = expect_flow(t, &packet);
	want = translated(&packet, &flow);
	want.ttl--;
	want.dst_mac = t->p->net->gateway_mac[AT_TX];
	want.src_mac = t->p->net->mac[DEV_EXT0];
	frame_build(&want, &frame);
	memset(frame.b + frame.len, 0x5a, padding);
	frame.len += padding;
	expect_frame(t, &frame);
}

struct envelope {
	struct row row;
	uint8_t proto;
	bool to_node; /* else to the address of the Service that the packet inside asks */
	bool dropped; /* as DSR has it, which no node has sent */
};

static const struct envelope envelopes[] = {
	{ROW("IPv4 inside", .families = ONLY_IPV4), IPPROTO_IPIP, false, true},
	{ROW("IPv4 inside, to the node", .families = ONLY_IPV4), IPPROTO_IPIP, true, false},
	{ROW("IPv6 by its number", .families = ONLY_IPV4), IPPROTO_IPV6, false, false},
	{ROW("IPv6 inside", .families = ONLY_IPV6), IPPROTO_IPV6, false, true},
	{ROW("IPv6 inside, to the node", .families = ONLY_IPV6), IPPROTO_IPV6, true, false},
	{ROW("IPv4 by its number", .families = ONLY_IPV6), IPPROTO_IPIP, true, false},
	{ROW("GRE"), IPPROTO_GRE, false, false},
	{ROW("GRE, to the node"), IPPROTO_GRE, true, false},
};

/* A packet that would be balanced, in another one, from anybody: it stays there. */
static void nothing_is_taken_out_of_an_envelope(struct trial *t)
{
	const struct envelope *row = t->row;
	const uint32_t header = l4_offset(t->family) - ETH_HLEN;
	const struct fl_ip node = addr(t->family, AT_EXT0, 1);
	struct packet packet = packet_of(t);
	struct frame frame;
	uint8_t *ip = frame.b + ETH_HLEN, len[2];

	packet.payload = 40;
	frame_build(&packet, &frame);
	memmove(ip + header, ip, frame.len - ETH_HLEN);
	frame.len += header;
	len[0] = (uint8_t)((frame.len - ETH_HLEN - (t->family == FL_IPV6 ? 40 : 0)) >> 8);
	len[1] = (uint8_t)(frame.len - ETH_HLEN - (t->family == FL_IPV6 ? 40 : 0));
	frame_write(&frame, ETH_HLEN + (t->family == FL_IPV4 ? 2 : 4), len, 2);
	frame_write(&frame, ETH_HLEN + (t->family == FL_IPV4 ? 9 : 6), &row->proto, 1);
	if (row->to_node)
		frame_write(&frame, ETH_HLEN + (t->family == FL_IPV4 ? 16 : 24),
			    node.b + (t->family == FL_IPV4 ? 12 : 0),
			    t->family == FL_IPV4 ? 4 : 16);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	if (row->dropped && t->hook != HOOK_POD_INGRESS)
		expect_drop(t, FL_REASON_TUNNEL_SOURCE);
	else
		expect_untouched(t);
	expect_flows(t, 0);
}

static const struct test tests[] = {
	{"D5: nothing is taken out of another packet", CHECK(nothing_is_taken_out_of_an_envelope),
	 .hooks = ON_INGRESS, ROWS(envelopes)},
	{"D1: what is not understood passes untouched and leaves no trace",
	 CHECK(not_understood_passes), .hooks = ON_INGRESS | ON_EGRESS, ROWS(not_understood)},
	{"DF, the reserved bit and the traffic class are no reason to pass",
	 CHECK(these_bits_do_not_matter), .hooks = ON_INGRESS, ROWS(of_no_matter)},
	{"D1: a packet that is shorter than it says passes untouched", CHECK(cut_packet_passes),
	 .hooks = ON_INGRESS, ROWS(knowns)},
	{"D1: a packet is rejected in full or left alone", CHECK(cut_packet_is_not_answered),
	 .hooks = ON_INGRESS},
	{"D1: padding behind the packet is kept", CHECK(padding_is_kept), .hooks = ON_INGRESS},
};

const struct topic foreign_topic = {"foreign", TESTS(tests)};
