// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a known node has encapsulated and is for no Service, or makes no sense, stays as it is
 * (robustness D1, D5), even if it looks like a packet of a flow; and what is for a Service is
 * unpacked also where that has an address of this node.
 */
#include "tests/packet/pieces.h"
#include "tests/packet/tunnel.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

static struct outer by_the_node(struct trial *t, unsigned int pod)
{
	const struct fl_ip node = addr(t->family, AT_EXT0, 2);

	peer_add(t, &node);
	return outer_came(t, node, pod);
}

static void feed_behind(struct trial *t, const struct frame *inner, const struct outer *outer)
{
	struct frame frame = *inner;

	frame_wrap(&frame, outer);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

static void feed_wrapped(struct trial *t, const struct packet *packet, const struct outer *outer)
{
	struct frame frame;

	frame_build(packet, &frame);
	feed_behind(t, &frame, outer);
}

/* A connection that came by the node, whose addresses are remembered then. */
static void begin(struct trial *t, const struct outer *outer)
{
	struct packet packet = from_client(t, 50, CLIENT_PORT + 50);

	feed_wrapped(t, &packet, outer);
	expect_outcome(t, PASSED);
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
}

static void like_a_reply(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	struct talk talk = talk_begin(t);
	struct packet reply;

	begin(t, &outer);
	talk_establish(&talk);
	reply = packet_reverse(&talk.inner);
	reply.flags = ACK;
	reply.seq = talk.backend_end.next;
	reply.ack = talk.client_end.next;
	reply.payload = 10;
	reply.dst_mac = talk.client.dst_mac;
	reply.src_mac = talk.client.src_mac;
	for (int i = 0; i < 2; i++) {
		feed_wrapped(t, &reply, &outer);
		expect_untouched(t);
	}
	talk_expect_both(&talk);
}

/* Of a client that has a connection through the Service from the same port, so that its packets get
 * another one. */
static void straight_to_a_backend(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	struct talk talk = talk_begin(t);
	struct packet direct;

	begin(t, &outer);
	talk_establish(&talk);
	direct = talk.client;
	direct.dst = addr(t->family, AT_POD, 1);
	direct.dport = BACKEND_PORT;
	direct.flags = SYN;
	feed(t, &direct);
	expect_outcome(t, PASSED);
	assert_int_not_equal(expect_flow(t, &direct).source_port, direct.sport);
	direct.flags = ACK;
	for (int i = 0; i < 2; i++) {
		feed_wrapped(t, &direct, &outer);
		expect_untouched(t);
	}
}

static const struct source {
	struct row row;
	const char *v4, *v6; /* NULL: this node */
} sources[] = {
	{ROW("loopback"), "127.0.0.1", "::1"},
	{ROW("multicast"), "224.0.0.1", "ff02::1"},
	{ROW("this node"), NULL, NULL},
	{ROW("a cluster IP"), "10.96.0.10", "fd00:96::10"},
};

static void from_where_no_client_is(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	const struct source *source = t->row;
	struct packet packet = packet_of(t);
	const char *text = t->family == FL_IPV4 ? source->v4 : source->v6;

	packet.src = text ? ip(text) : addr(t->family, AT_EXT0, 1);
	packet.dst = addr(t->family, AT_FOREIGN, 5);
	feed_wrapped(t, &packet, &outer);
	expect_untouched(t);
	expect_flows(t, 0);
}

enum inside {
	A_PACKET,
	AN_OPTION,
	AN_ERROR,
};

static const struct length {
	struct row row;
	enum inside what;
	int16_t off; /* from what is right */
} lengths[] = {
	{ROW("too short for the packet"), A_PACKET, -1},
	{ROW("of the outer header alone"), A_PACKET, -500},
	{ROW("longer than the frame"), A_PACKET, 1},
	{ROW("too short for one with options"), AN_OPTION, -1},
	{ROW("too long for one with options"), AN_OPTION, 8},
	{ROW("too short for an error"), AN_ERROR, -1},
	{ROW("too long for an error"), AN_ERROR, 1},
};

static void with_an_option(const struct frame *plain, enum fl_family family, uint8_t proto,
			   struct frame *ret_frame)
{
	const uint8_t alert[] = {148, 4, 0, 0}, hop_by_hop[] = {proto, 0, 1, 4, 0, 0, 0, 0};

	if (family == FL_IPV4)
		frame_insert(plain, alert, sizeof(alert), 0, ret_frame);
	else
		frame_insert(plain, hop_by_hop, sizeof(hop_by_hop), 0, ret_frame);
}

/* About what the pod has sent to its client. */
static void an_error(struct trial *t, struct frame *ret_frame)
{
	const struct packet packet = packet_of(t);
	const struct icmp_error error = {
		.kind = ICMP_HOST_UNREACHABLE,
		.src = addr(t->family, AT_FOREIGN, 9),
		.dst = packet.dst,
		.ttl = 60,
		.dst_mac = packet.dst_mac,
		.src_mac = packet.src_mac,
		.quoted = packet_reverse(&packet),
	};

	frame_build_error(&error, ret_frame);
}

static void what_is_not_as_long_as_it_says(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	const struct length *row = t->row;
	const bool v6 = t->family == FL_IPV6;
	struct packet packet = packet_of(t);
	struct frame frame, plain;
	uint16_t len;

	/* of a flow, and of none */
	for (int i = 0; i < 2; i++) {
		packet.payload = 500;
		frame_build(&packet, &frame);
		if (row->what == AN_OPTION) {
			plain = frame;
			with_an_option(&plain, t->family, t->proto, &frame);
		} else if (row->what == AN_ERROR) {
			an_error(t, &frame);
		}
		len = (uint16_t)((int)(frame.len - ETH_HLEN + outer_size(t)) - (v6 ? 40 : 0) +
				 row->off);
		frame_wrap(&frame, &outer);
		len = htons(len);
		frame_write(&frame, ETH_HLEN + (v6 ? 4 : 2), &len, sizeof(len));
		if (by_geneve(t)) {
			/* the lengths agree, as they do where a sender is wrong */
			len = htons((uint16_t)(ntohs(len) - (v6 ? 0 : 20)));
			frame_write(&frame, l4_offset(t->family) + 4, &len, sizeof(len));
		}
		feed_frame(t, t->hook, hook_dev(t->hook), &frame);
		expect_untouched(t);
		if (!i) {
			expect_flows(t, 0);
			feed_wrapped(t, &packet, &outer);
			expect_outcome(t, PASSED);
		}
	}
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
}

/* Padding may follow the packet; of Geneve it is not ours then. */
static void padding_is_no_matter(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	struct packet packet = packet_of(t);
	struct frame frame;

	frame_build(&packet, &frame);
	frame_wrap(&frame, &outer);
	memset(frame.b + frame.len, 0, 20);
	frame.len += 20;
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_outcome(t, PASSED);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_NEW);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* As an external IP may be. */
static void make_it_an_address_of_the_node(struct trial *t)
{
	const uint32_t flags = FL_LOCAL_NODE;

	assert_int_equal(bpf_map_update_elem(t->p->maps.local_fd, &t->to->ip, &flags, 0), 0);
}

static void options_for_an_address_of_the_node(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	struct packet packet = packet_of(t), want = packet;
	struct frame plain, frame;

	make_it_an_address_of_the_node(t);
	frame_build(&packet, &plain);
	with_an_option(&plain, t->family, t->proto, &frame);
	feed_behind(t, &frame, &outer);
	want.dst = addr(t->family, AT_POD, 1);
	want.dport = BACKEND_PORT;
	frame_build(&want, &plain);
	with_an_option(&plain, t->family, t->proto, &frame);
	expect_outcome(t, PASSED);
	expect_frame(t, &frame);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

static void fragments_for_an_address_of_the_node(struct trial *t)
{
	static uint32_t id = 0x7000;
	const struct piece pieces[] = {{0, 480, true},
				       {480, t->proto == IPPROTO_TCP ? 40 : 28, false}};
	const struct outer outer = by_the_node(t, 1);
	struct packet packet = packet_of(t), want = packet;
	struct frame whole, wanted, frame;

	make_it_an_address_of_the_node(t);
	packet.payload = want.payload = 500;
	packet.may_be_fragmented = want.may_be_fragmented = true;
	want.dst = addr(t->family, AT_POD, 1);
	want.dport = BACKEND_PORT;
	frame_build(&packet, &whole);
	frame_build(&want, &wanted);
	id++;
	for (int i = 0; i < 2; i++) {
		piece_build(&whole, id, pieces[i], &frame);
		feed_behind(t, &frame, &outer);
		piece_build(&wanted, id, pieces[i], &frame);
		expect_outcome(t, PASSED);
		expect_frame(t, &frame);
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
	expect_counter(t, FL_COUNTER_FRAGMENT, 2);
}

/* 5.3.3: where a backend gets what it has sent itself its source is masqueraded; by the node that
 * it has asked, so by none before this one. */
static void who_is_its_own_backend(struct trial *t)
{
	const struct outer outer = by_the_node(t, 1);
	struct packet packet = packet_of(t);

	packet.src = addr(t->family, AT_POD, 1);
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_CONTENT);
	expect_flows(t, 0);
}

static void it_is_masqueraded_by_the_first_node(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct fl_flow flow;

	packet.src = addr(t->family, t->network, 1);
	feed(t, &packet);
	expect_outcome(t, SENT);
	flow = expect_flow(t, &packet);
	assert_true(flow.flags & FL_FLOW_SNAT);
	assert_false(fl_ip_equal(&flow.source, &packet.src));
}

#define HERE .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD)
#define BY_TC .hooks = ON_XDP_TC | ON_TC_INGRESS, .networks = IN(AT_POD)

static const struct test tests[] = {
	{"D5: for no Service, but with the tuple of a reply", CHECK(like_a_reply), HERE},
	{"D5: for no Service, but with that of a flow", CHECK(straight_to_a_backend), HERE},
	{"D5: for no Service, from where no client is", CHECK(from_where_no_client_is), HERE,
	 ROWS(sources)},
	{"D1: what is not as long as the outer header says", CHECK(what_is_not_as_long_as_it_says),
	 HERE, ROWS(lengths)},
	{"D1: padding is no part of it", CHECK(padding_is_no_matter), HERE},
	{"D2: options, for a Service at an address of this node",
	 CHECK(options_for_an_address_of_the_node), BY_TC},
	{"D3: fragments likewise", CHECK(fragments_for_an_address_of_the_node), BY_TC},
	{"5.3.3: no node sends a backend its own packets", CHECK(who_is_its_own_backend), HERE},
	{"5.3.3: since these are masqueraded", CHECK(it_is_masqueraded_by_the_first_node),
	 .hooks = ON_XDP | ON_TC_INGRESS, .scene = {.more_flags = FL_TUNNEL}, .plane = PLANE_SMALL},
};

const struct topic unpack_left_topic = {"unpack left", TESTS(tests)};
const struct topic unpack_left_geneve_topic = {"unpack left geneve", TESTS(tests),
					       .plane = PLANE_GENEVE};
