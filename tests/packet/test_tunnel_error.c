// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DSR and ICMP errors (robustness D4, G23): what routers say of encapsulated packets is told to the
 * client whose packet is inside, and what they say of a backend's answers, which are the Service's,
 * goes to the backend the way the client's packets go.
 */
#include "tests/packet/tunnel.h"

#include <string.h>

static struct fl_ip router(const struct trial *t)
{
	return addr(t->family, AT_FOREIGN, 7);
}

static struct packet segment(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.flags = ACK;
	packet.payload = 1000;
	return packet;
}

/* The message about that packet as this node has encapsulated it, cut to `quoted` bytes. */
static void build_outer_error_between(struct trial *t, const struct packet *packet,
				      enum icmp_kind kind, uint32_t info, uint16_t quoted,
				      const struct outer *outer, struct fl_ip src, struct fl_ip dst,
				      struct frame *ret_frame)
{
	struct packet like = *packet;
	const struct icmp_error error = {.kind = kind,
					 .info = info,
					 .src = src,
					 .dst = dst,
					 .ttl = 60,
					 .dst_mac = t->p->net->mac[DEV_EXT0],
					 .src_mac = t->p->net->gateway_mac[AT_OUTSIDE],
					 .quoted = like,
					 .cut = quoted};
	struct frame inner;

	frame_build_error(&error, ret_frame);
	frame_build(packet, &inner);
	frame_wrap(&inner, outer);
	memcpy(ret_frame->b + l4_offset(t->family) + 8, inner.b + ETH_HLEN, quoted);
	frame_sum_icmp(ret_frame);
}

static void build_outer_error(struct trial *t, const struct packet *packet, enum icmp_kind kind,
			      uint32_t info, uint16_t quoted, const struct outer *outer,
			      struct frame *ret_frame)
{
	build_outer_error_between(t, packet, kind, info, quoted, outer, router(t), outer->src,
				  ret_frame);
}

static struct outer outer_of(const struct trial *t)
{
	return outer_sent(t, 1);
}

/* What the client gets: an answer from the address that it has asked, about its own packet. */
static void expect_told(struct trial *t, const struct packet *packet, enum icmp_kind kind,
			uint32_t info)
{
	struct packet asked = *packet;
	struct frame want;

	asked.dst_mac = t->p->net->mac[DEV_EXT0];
	asked.src_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	frame_build_icmp(&asked, kind, info, &want);
	expect_sent_frame(t, DEV_EXT0, &want);
}

struct message {
	struct row row;
	enum icmp_kind said;
	uint32_t info;
	enum icmp_kind told;
	uint32_t mtu[2][FL_FAMILIES]; /* by Geneve the latter */
};

static const struct message messages[] = {
	{ROW("too big"),
	 ICMP_PACKET_TOO_BIG,
	 1400,
	 ICMP_PACKET_TOO_BIG,
	 {{1380, 1360}, {1352, 1320}}},
	{ROW("too big, for the smallest"),
	 ICMP_PACKET_TOO_BIG,
	 1280,
	 ICMP_PACKET_TOO_BIG,
	 {{1260, 1280}, {1232, 1280}}},
	{ROW("too big, without a size", .families = ONLY_IPV4),
	 ICMP_PACKET_TOO_BIG,
	 0,
	 ICMP_PACKET_TOO_BIG,
	 {{556, 0}, {528, 0}}},
	{ROW("too big, for anything", .families = ONLY_IPV4),
	 ICMP_PACKET_TOO_BIG,
	 60,
	 ICMP_PACKET_TOO_BIG,
	 {{68, 0}, {68, 0}}},
	{ROW("no route"), ICMP_NO_ROUTE, 0, ICMP_HOST_UNREACHABLE, {{0}}},
	{ROW("port unreachable"), ICMP_PORT_UNREACHABLE, 0, ICMP_HOST_UNREACHABLE, {{0}}},
	{ROW("TTL exceeded"), ICMP_TTL_EXCEEDED, 0, ICMP_HOST_UNREACHABLE, {{0}}},
};

static void begin(struct trial *t)
{
	struct packet packet = packet_of(t);

	feed(t, &packet);
	expect_outcome(t, SENT);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
}

static void client_is_told(struct trial *t)
{
	const struct message *row = t->row;
	const struct outer outer = outer_of(t);
	struct packet packet = segment(t);
	const uint16_t least = (uint16_t)(outer_size(t) + l3_size(t) + 8);
	const uint16_t sizes[] = {least, (uint16_t)(least + 1), (uint16_t)(least + 12), 500};
	struct frame frame;

	begin(t);
	packet.ttl--;
	for (size_t i = 0; i < N(sizes); i++) {
		build_outer_error(t, &packet, row->said, row->info, sizes[i], &outer, &frame);
		feed_frame(t, t->hook, DEV_EXT0, &frame);
		expect_told(t, &packet, row->told, row->mtu[by_geneve(t)][t->family]);
		expect_counter(t, FL_COUNTER_ICMP_ERROR, i + 1);
	}
	expect_flows(t, 1);
}

static const struct size {
	struct row row;
	uint32_t info[FL_FAMILIES];
	bool too_small;
} sizes_said[] = {
	{ROW("a size"), {1300, 1300}, false},
	{ROW("the smallest that an IPv6 way takes", .families = ONLY_IPV6), {0, 1280}, false},
	/* RFC 8201, section 4; RFC 791: 68 bytes, for the packet inside */
	{ROW("a smaller one than any way takes"), {87, 1279}, true},
};

/* What a router has said of the way there, a new SYN is told at once. */
static void way_is_remembered(struct trial *t)
{
	const struct size *row = t->row;
	const uint32_t info = row->info[t->family], outer_bytes = outer_size(t);
	const uint32_t least = t->family == FL_IPV4 ? 68 : 1280;
	const uint32_t left = info > outer_bytes + least ? info - outer_bytes : least;
	static const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	const struct outer outer = outer_of(t);
	const uint32_t l4 = l4_offset(t->family), at = outer_size(t) + l4 + 22;
	struct packet packet = segment(t), syn = packet_of(t);
	struct frame frame;
	uint16_t sum;

	begin(t);
	packet.ttl--;
	build_outer_error(t, &packet, ICMP_PACKET_TOO_BIG, info, 200, &outer, &frame);
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	expect_told(t, &packet, ICMP_PACKET_TOO_BIG, left);
	syn.sport++;
	syn.payload = sizeof(mss);
	frame_build(&syn, &frame);
	memcpy(frame.b + l4 + 20, mss, sizeof(mss));
	frame.b[l4 + 12] = 6 << 4;
	memset(frame.b + l4 + 16, 0, 2);
	sum = (uint16_t)~sum_l4(&frame, IPPROTO_TCP);
	frame.b[l4 + 16] = (uint8_t)(sum >> 8);
	frame.b[l4 + 17] = (uint8_t)sum;
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	expect_outcome(t, SENT);
	assert_int_equal(t->r.out.b[at] << 8 | t->r.out.b[at + 1],
			 (row->too_small ? 1500 : info) - outer_bytes - l3_size(t) - 20);
	allow_counter(t, FL_COUNTER_ICMP_ERROR);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 2);
}

static const struct pretender {
	struct row row;
	bool itself;
} pretenders[] = {
	{ROW("from this node's own address"), false},
	{ROW("from a Service's address to itself"), true},
};

/* D6, D7: from where nobody sends, it is not looked at. */
static void errors_from_nobody_say_nothing(struct trial *t)
{
	const struct pretender *row = t->row;
	const struct outer outer = outer_of(t);
	struct packet packet = segment(t);
	struct fl_ip from = addr(t->family, AT_EXT1, 1), to = outer.src;
	struct frame frame;

	if (row->itself)
		from = to = packet.dst;
	begin(t);
	packet.ttl--;
	build_outer_error_between(t, &packet, ICMP_PACKET_TOO_BIG, 1400, 200, &outer, from, to,
				  &frame);
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	if (row->itself)
		expect_drop(t, FL_REASON_FRONTEND_SOURCE);
	else
		expect_untouched(t);
	expect_counter(t, FL_COUNTER_ICMP_ERROR, 0);
}

enum fault {
	NO_FLOW,
	OTHER_PORT,
	OTHER_BACKEND,
	OTHER_SOURCE,
	TOO_SHORT,
	OTHER_PROTO,
};

static const struct stranger {
	struct row row;
	enum fault fault;
} strangers[] = {
	{ROW("no flow at all"), NO_FLOW},	    {ROW("of another port"), OTHER_PORT},
	{ROW("to another backend"), OTHER_BACKEND}, {ROW("from somebody else"), OTHER_SOURCE},
	{ROW("cut before the ports"), TOO_SHORT},   {ROW("with another protocol"), OTHER_PROTO},
};

/* They are the stack's, which may have tunnels of its own. */
static void errors_about_other_tunnels_pass(struct trial *t)
{
	const struct stranger *row = t->row;
	struct outer outer = outer_of(t);
	struct packet packet = segment(t);
	uint16_t quoted = 200;
	struct frame frame;

	if (row->fault != NO_FLOW)
		begin(t);
	if (row->fault == OTHER_PORT)
		packet.sport++;
	if (row->fault == OTHER_BACKEND)
		*(by_geneve(t) ? &outer.pod : &outer.dst) = addr(t->family, t->network, 9);
	if (row->fault == TOO_SHORT)
		quoted = (uint16_t)(outer_size(t) + l3_size(t) + 3);
	if (row->fault == OTHER_PROTO)
		outer.proto = IPPROTO_GRE;
	build_outer_error(t, &packet, ICMP_PACKET_TOO_BIG, 1300, quoted, &outer, &frame);
	if (row->fault == OTHER_SOURCE) {
		frame.b[l4_offset(t->family) + 8 + (t->family == FL_IPV4 ? 15 : 23)] ^= 1;
		frame_sum_icmp(&frame);
	}
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	expect_untouched(t);
	expect_counter(t, FL_COUNTER_ICMP_ERROR, 0);
}

/* A backend's answer, as a router beyond it sees it, and what that says. */
static struct icmp_error about_answer(struct trial *t, const struct packet *asked, uint16_t l4)
{
	struct packet answer = packet_reverse(asked);

	answer.payload = 1200;
	answer.ttl = 17;
	return (struct icmp_error){.kind = ICMP_PACKET_TOO_BIG,
				   .info = 1280,
				   .src = router(t),
				   .dst = asked->dst,
				   .ttl = 60,
				   .dst_mac = t->p->net->mac[DEV_EXT0],
				   .src_mac = t->p->net->gateway_mac[AT_OUTSIDE],
				   .quoted = answer,
				   .cut = (uint16_t)(l3_size(t) + l4)};
}

struct quotation {
	struct row row;
	uint16_t l4;  /* bytes */
	bool unknown; /* this node has not seen the flow */
};

static const struct quotation quotations[] = {
	{ROW("the ports alone"), 4, false},
	{ROW("8 bytes"), 8, false},
	{ROW("more"), 500, false},
	{ROW("8 bytes, of a flow that another node has"), 8, true},
	{ROW("more, of such a flow"), 500, true},
};

static void error_goes_to_the_backend(struct trial *t)
{
	const struct quotation *row = t->row;
	const struct net *net = t->p->net;
	struct packet packet = packet_of(t);
	struct icmp_error error;
	struct outer outer;
	struct frame frame;

	if (!row->unknown)
		begin(t);
	error = about_answer(t, &packet, row->l4);
	frame_build_error(&error, &frame);
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	error.ttl--;
	error.dst_mac = net->gateway_mac[t->network];
	error.src_mac = net->mac[net_dev(t->network)];
	frame_build_error(&error, &frame);
	outer = outer_of(t);
	frame_wrap(&frame, &outer);
	expect_sent_frame(t, net_dev(t->network), &frame);
	expect_flows(t, row->unknown ? 0 : 1);
}

/* And the other end of that tunnel. */
static void backend_gets_the_error(struct trial *t)
{
	const struct quotation *row = t->row;
	const struct outer outer = outer_came(t, addr(t->family, AT_EXT0, 2), 1);
	struct packet packet = packet_of(t);
	struct icmp_error error;
	struct frame frame;

	peer_add(t, &outer.src);
	if (!row->unknown) {
		frame_build(&packet, &frame);
		frame_wrap(&frame, &outer);
		feed_frame(t, t->hook, DEV_EXT0, &frame);
		expect_outcome(t, PASSED);
		expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
	}
	error = about_answer(t, &packet, row->l4);
	frame_build_error(&error, &frame);
	frame_wrap(&frame, &outer);
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	if (row->unknown) {
		expect_drop(t, FL_REASON_NO_FLOW);
		return;
	}
	error.dst = addr(t->family, AT_POD, 1);
	error.quoted.src = error.dst;
	error.quoted.sport = BACKEND_PORT;
	frame_build_error(&error, &frame);
	expect_outcome(t, PASSED);
	expect_frame(t, &frame);
	expect_counter(t, FL_COUNTER_ICMP_ERROR, 1);
}

/* D5: who is no node, and what is for no Service. */
static void strangers_get_nothing_unpacked(struct trial *t)
{
	struct outer outer = outer_came(t, addr(t->family, AT_EXT0, 77), 1);
	struct packet packet = packet_of(t);
	const struct fl_ip node = addr(t->family, AT_EXT0, 2);
	struct icmp_error error;
	struct frame frame;

	peer_add(t, &node);
	error = about_answer(t, &packet, 8);
	frame_build_error(&error, &frame);
	frame_wrap(&frame, &outer);
	feed_frame(t, t->hook, DEV_EXT0, &frame);
	expect_drop(t, FL_REASON_TUNNEL_SOURCE);
	packet.dst = addr(t->family, AT_FOREIGN, 5);
	error = about_answer(t, &packet, 8);
	for (int i = 0; i < 2; i++) {
		frame_build_error(&error, &frame);
		frame_wrap(&frame, &outer);
		feed_frame(t, t->hook, DEV_EXT0, &frame);
		expect_untouched(t);
		outer.src = node;
	}
}

#define DSR                                                                                        \
	{                                                                                          \
		.more_flags = FL_TUNNEL                                                            \
	}
#define ALL_WAYS ON_XDP | ON_XDP_TC | ON_TC_INGRESS
#define REMOTE (IN(AT_TX) | IN(AT_REDIRECT))
#define HERE .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD)

static const struct test tests[] = {
	{"D4: an error about an encapsulated packet is the client's", CHECK(client_is_told),
	 .hooks = ALL_WAYS, .networks = REMOTE, .scene = DSR, ROWS(messages)},
	{"... at every frontend", CHECK(client_is_told), .hooks = ON_XDP,
	 .frontends = EVERY_FRONTEND, .scene = DSR, .rows = messages,
	 .row_size = sizeof(messages[0]), .n_rows = 1},
	{"G23: the way to a backend is remembered for SYNs", CHECK(way_is_remembered),
	 .protos = ONLY_TCP, .hooks = ALL_WAYS, .scene = DSR, ROWS(sizes_said)},
	{"D6, D7: errors from nobody say nothing", CHECK(errors_from_nobody_say_nothing),
	 .hooks = ALL_WAYS, .networks = REMOTE, .scene = DSR, ROWS(pretenders)},
	{"errors about others' tunnels are left alone", CHECK(errors_about_other_tunnels_pass),
	 .hooks = ALL_WAYS, .scene = DSR, ROWS(strangers)},
	{"D4: an error about a backend's answer goes to the backend",
	 CHECK(error_goes_to_the_backend), .hooks = ALL_WAYS, .networks = REMOTE, .scene = DSR,
	 ROWS(quotations)},
	{"D4: and is unpacked there", CHECK(backend_gets_the_error), HERE, ROWS(quotations)},
	{"D5: only from nodes, and for Services", CHECK(strangers_get_nothing_unpacked), HERE},
};

const struct topic tunnel_error_topic = {"tunnel errors", TESTS(tests)};
const struct topic tunnel_error_geneve_topic = {"tunnel errors by geneve", TESTS(tests),
						.plane = PLANE_GENEVE};
