// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DSR by Geneve: what test_dsr.c, test_unpack.c, test_mss.c and test_tunnel_error.c do not have of
 * it, since packets in IP headers alone have no such thing. Most of all, what else may come to the
 * same port (robustness D5).
 */
#include "tests/packet/pieces.h"
#include "tests/packet/tunnel.h"

#include <string.h>

static struct fl_ip node(const struct trial *t)
{
	return addr(t->family, AT_EXT0, 2);
}

/* Where in a frame. */
static uint32_t udp_at(const struct trial *t)
{
	return l4_offset(t->family);
}

static uint32_t geneve_at(const struct trial *t)
{
	return udp_at(t) + 8;
}

static uint32_t option_at(const struct trial *t)
{
	return geneve_at(t) + 8;
}

static void build(struct trial *t, const struct packet *packet, const struct outer *outer,
		  struct frame *ret_frame)
{
	frame_build(packet, ret_frame);
	frame_wrap(ret_frame, outer);
}

static void feed_wrapped(struct trial *t, const struct packet *packet, const struct outer *outer)
{
	struct frame frame;

	build(t, packet, outer, &frame);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

enum spoiled {
	NOTHING_OF_OURS, /* a network of somebody else's, with an Ethernet frame inside */
	OTHER_VNI,
	OTHER_VERSION,
	CONTROL,
	NOT_CRITICAL,
	NO_OPTION,
	OTHER_CLASS,
	OTHER_TYPE,
	LONGER_OPTION,
	MORE_OPTIONS,
	OTHER_INSIDE,
	OTHER_PORT,
	WITH_CHECKSUM,
	UDP_SHORTER,
	INNER_SHORTER,
	INNER_LONGER,
	CUT_IN_OPTION,
	CUT_IN_INNER,
	FROM_STRANGER_TO_NOBODY,
};

static const struct foreign {
	struct row row;
	enum spoiled what;
} foreigners[] = {
	{ROW("somebody else's network"), NOTHING_OF_OURS},
	{ROW("another VNI"), OTHER_VNI},
	{ROW("another version"), OTHER_VERSION},
	{ROW("a control message"), CONTROL},
	{ROW("no critical option"), NOT_CRITICAL},
	{ROW("no option"), NO_OPTION},
	{ROW("an option of another class"), OTHER_CLASS},
	{ROW("another option of the class"), OTHER_TYPE},
	{ROW("an option of another length"), LONGER_OPTION},
	{ROW("further options"), MORE_OPTIONS},
	{ROW("another protocol inside"), OTHER_INSIDE},
	{ROW("another port"), OTHER_PORT},
	{ROW("a checksum"), WITH_CHECKSUM},
	{ROW("UDP that is shorter than IP"), UDP_SHORTER},
	{ROW("less inside than there is room"), INNER_SHORTER},
	{ROW("more inside than there is room"), INNER_LONGER},
	{ROW("cut in the option"), CUT_IN_OPTION},
	{ROW("cut in what is inside"), CUT_IN_INNER},
	{ROW("ours, to no address of the node"), FROM_STRANGER_TO_NOBODY},
};

static void spoil(struct trial *t, enum spoiled what, struct frame *f)
{
	const bool v4 = t->family == FL_IPV4;
	uint8_t *udp = f->b + udp_at(t), *geneve = f->b + geneve_at(t),
		*option = f->b + option_at(t);
	uint8_t *ip = f->b + ETH_HLEN, *inner = f->b + ETH_HLEN + outer_size(t),
		*inner_len = inner + (v4 ? 2 : 4);
	uint8_t len[2] = {ip[v4 ? 2 : 4], ip[v4 ? 3 : 5]};

	switch (what) {
	case NOTHING_OF_OURS:
		geneve[0] = 0;
		geneve[1] = 0;
		geneve[2] = 0x65;
		geneve[3] = 0x58;
		memcpy(geneve + 4, "\x00\x00\x07", 3);
		break;
	case OTHER_VNI:
		geneve[6] ^= 1;
		break;
	case OTHER_VERSION:
		geneve[0] |= 0x40;
		break;
	case CONTROL:
		geneve[1] |= 0x80;
		break;
	case NOT_CRITICAL:
		geneve[1] = 0;
		option[2] &= 0x7f;
		break;
	case NO_OPTION:
		geneve[0] = 0;
		break;
	case OTHER_CLASS:
		option[1] ^= 1;
		break;
	case OTHER_TYPE:
		option[2] ^= 2;
		break;
	case LONGER_OPTION:
		option[3]++;
		break;
	case MORE_OPTIONS:
		geneve[0]++;
		break;
	case OTHER_INSIDE:
		geneve[2] = 0x88;
		geneve[3] = 0x47;
		break;
	case OTHER_PORT:
		udp[3]++;
		break;
	case WITH_CHECKSUM:
		udp[6] = 0x12;
		break;
	case UDP_SHORTER:
		udp[5]--;
		break;
	case INNER_SHORTER:
		inner_len[1] -= 1;
		break;
	case INNER_LONGER:
		inner_len[1] += 1;
		break;
	case CUT_IN_OPTION:
	case CUT_IN_INNER:
		f->len = what == CUT_IN_OPTION ? option_at(t) + 6
					       : (uint32_t)(inner - f->b) + l3_size(t) + 4;
		len[0] = 0;
		len[1] = (uint8_t)(f->len - ETH_HLEN - (v4 ? 0 : 40));
		frame_write(f, ETH_HLEN + (v4 ? 2 : 4), len, 2);
		udp[4] = 0;
		udp[5] = (uint8_t)(f->len - udp_at(t));
		break;
	case FROM_STRANGER_TO_NOBODY:
		ip[v4 ? 19 : 39] ^= 0x40;
		if (v4)
			frame_write(f, ETH_HLEN + 19, &(uint8_t){ip[19]}, 1);
		break;
	}
}

/* A CNI's own tunnel, and what is not whole: whoever sends it, it passes untouched. */
static void what_is_not_ours_stays_as_it_is(struct trial *t)
{
	const struct foreign *row = t->row;
	const struct fl_ip peer = node(t);

	peer_add(t, &peer);
	for (int known = 0; known < 2; known++) {
		struct packet packet = packet_of(t);
		struct outer outer = outer_came(t, peer, 1);
		struct frame frame;

		if (known) {
			feed_wrapped(t, &packet, &outer);
			expect_outcome(t, PASSED);
			expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
			packet.flags = ACK;
			packet.seq++;
		}
		build(t, &packet, &outer, &frame);
		if (row->what == FROM_STRANGER_TO_NOBODY) {
			outer.dst = addr(t->family, AT_FOREIGN, 9);
			build(t, &packet, &outer, &frame);
		} else {
			spoil(t, row->what, &frame);
		}
		feed_frame(t, t->hook, hook_dev(t->hook), &frame);
		expect_untouched(t);
		expect_flows(t, known);
	}
}

/* IPv4 options and IPv6 extension headers are taken out, too, if they are as long as what they are
 * in. */
static void odd_ones_have_to_fit(struct trial *t)
{
	const uint8_t alert[4] = {148, 4}, hop_by_hop[8] = {t->proto, 0, 1, 4};
	const bool v4 = t->family == FL_IPV4;
	const struct fl_ip peer = node(t);
	const struct outer outer = outer_came(t, peer, 1);
	struct packet packet = packet_of(t);
	struct frame plain, frame;

	peer_add(t, &peer);
	frame_build(&packet, &plain);
	for (int spare = -1; spare <= 1; spare++) {
		frame_insert(&plain, v4 ? alert : hop_by_hop, v4 ? 4 : 8, 0, &frame);
		frame_wrap(&frame, &outer);
		frame.b[ETH_HLEN + outer_size(t) + (v4 ? 3 : 5)] -= spare;
		feed_frame(t, t->hook, hook_dev(t->hook), &frame);
		if (spare)
			expect_untouched(t);
		else if (t->hook == HOOK_XDP)
			expect_left_to_tc(t);
		else
			expect_outcome(t, PASSED);
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, t->hook != HOOK_XDP);
}

/* The option says which port, too: of a pod that has several backends. */
static void port_that_is_no_backend(struct trial *t)
{
	const struct fl_ip peer = node(t);
	struct packet packet = packet_of(t);
	struct outer outer = outer_came(t, peer, 1);

	peer_add(t, &peer);
	outer.port++;
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_flows(t, 0);
}

/* A backend of this node, but of another Service. */
static void backend_of_another_service(struct trial *t)
{
	const struct fl_ip peer = node(t), pod = addr(t->family, AT_POD, 7);
	struct packet packet = packet_of(t);
	struct outer outer = outer_came(t, peer, 7);

	peer_add(t, &peer);
	backend_add(t->p, 7, &pod, BACKEND_PORT, t->proto, FL_BACKEND_LOCAL);
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_flows(t, 0);
}

/* To the other of the node's addresses, and while it sends IP in IP itself: nodes may change their
 * setting one by one. */
static void every_address_of_the_node_takes_it(struct trial *t)
{
	const struct fl_ip peer = node(t);

	peer_add(t, &peer);
	for (int i = 0; i < 2; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i));
		struct outer outer = {.src = peer,
				      .dst = addr(t->family, i ? AT_EXT1 : AT_EXT0, 1),
				      .geneve = true,
				      .pod = addr(t->family, AT_POD, 1),
				      .port = BACKEND_PORT,
				      .sport = 60000};

		feed_wrapped(t, &packet, &outer);
		packet.dst = outer.pod;
		packet.dport = BACKEND_PORT;
		expect_stack(t, &packet);
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 2);
}

/* And those that send Geneve still take what comes in IP headers alone. */
static void both_dispatches_are_taken(struct trial *t)
{
	const struct fl_ip peer = node(t);
	struct packet packet = packet_of(t);
	struct outer outer = {.src = peer, .dst = addr(t->family, AT_POD, 1)};

	peer_add(t, &peer);
	feed_wrapped(t, &packet, &outer);
	packet.dst = outer.dst;
	packet.dport = BACKEND_PORT;
	expect_stack(t, &packet);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* The packet as it leaves for a backend. */
static void expect_wrapped(struct trial *t, const struct packet *packet, const struct outer *outer)
{
	const struct packet inner = inner_sent(t, packet);
	struct frame want;

	build(t, &inner, outer, &want);
	expect_sent_frame(t, net_dev(t->network), &want);
}

static void set_node(struct trial *t, uint32_t id, const struct fl_ip *ip)
{
	struct fl_backend_node *n = &t->p->maps.backend_nodes[id];

	memcpy(&n->addr, ip, sizeof(*ip));
	n->word += 2;
}

/* The pod's address is routed nowhere, and need not be. */
static void pods_need_no_route(struct trial *t)
{
	const struct fl_ip pod = addr(t->family, AT_NOWHERE, 1),
			   at = addr(t->family, t->network, 99);
	struct packet packet = packet_of(t);

	backend_add(t->p, 1, &pod, BACKEND_PORT, t->proto, 0);
	set_node(t, 1, &at);
	for (int i = 0; i < 5; i++) {
		struct outer outer;

		feed(t, &packet);
		outer = outer_sent(t, 1);
		outer.dst = at;
		outer.pod = pod;
		expect_wrapped(t, &packet, &outer);
		packet.flags = ACK;
		packet.seq = CLIENT_ISN + 1;
		packet.payload = 200;
	}
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 1);
}

/* A node gets another address: flows follow it, once the next hops of before are no longer good. */
static void node_moves(struct trial *t)
{
	const struct fl_ip other = addr(t->family, t->network, 77);
	struct packet packet = packet_of(t);
	struct outer outer;

	feed(t, &packet);
	outer = outer_sent(t, 1);
	expect_wrapped(t, &packet, &outer);
	set_node(t, 1, &other);
	packet.flags = ACK;
	packet.seq++;
	for (int i = 0; i < 2; i++) {
		feed(t, &packet);
		outer = outer_sent(t, 1);
		outer.dst = other;
		expect_wrapped(t, &packet, &outer);
	}
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
}

static const struct unknown {
	struct row row;
	bool known_flow, being_written;
} unknowns[] = {
	{ROW("a new flow"), false, false},
	{ROW("a flow that is known"), true, false},
	{ROW("a new flow, while it is written"), false, true},
	{ROW("a flow that is known, while it is written"), true, true},
};

/* Nothing is sent to where the pod is no more than a guess. */
static void node_is_not_known(struct trial *t)
{
	const struct unknown *row = t->row;
	struct fl_backend_node *n = &t->p->maps.backend_nodes[1];
	struct packet packet = packet_of(t);

	if (row->known_flow) {
		feed(t, &packet);
		expect_outcome(t, SENT);
		packet.flags = ACK;
		packet.seq++;
		expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	}
	if (row->being_written)
		n->word++;
	else
		memset(&n->addr, 0, sizeof(n->addr));
	for (int i = 0; i < 2; i++) {
		feed(t, &packet);
		expect_drop(t, FL_REASON_NO_ROUTE);
	}
	expect_flows(t, row->known_flow);
}

/* The id of a backend that is gone has been given to another one, on another node. */
static void id_is_given_again(struct trial *t)
{
	const struct fl_ip other = addr(t->family, t->network, 2);
	struct packet packet = packet_of(t);

	feed(t, &packet);
	expect_outcome(t, SENT);
	backend_add(t->p, 1, &other, BACKEND_PORT, t->proto, 0);
	packet.flags = ACK;
	packet.seq++;
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_ROUTE);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
}

#define DSR                                                                                        \
	{                                                                                          \
		.more_flags = FL_TUNNEL                                                            \
	}
#define ALL_WAYS ON_XDP | ON_XDP_TC | ON_TC_INGRESS
#define HERE .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD)

static const struct test tests[] = {
	{"D5: Geneve that is not ours passes", CHECK(what_is_not_ours_stays_as_it_is), HERE,
	 .plane = PLANE_GENEVE, ROWS(foreigners)},
	{"D5: ... and odd packets that do not fit", CHECK(odd_ones_have_to_fit), HERE,
	 .plane = PLANE_GENEVE},
	{"D5: only for the backend's own port", CHECK(port_that_is_no_backend), HERE,
	 .plane = PLANE_GENEVE},
	{"D5: only for backends of that frontend", CHECK(backend_of_another_service), HERE,
	 .plane = PLANE_GENEVE},
	{"whatever this node sends in", CHECK(every_address_of_the_node_takes_it), HERE},
	{"... and the other way round", CHECK(both_dispatches_are_taken), HERE,
	 .plane = PLANE_GENEVE},
	{"pods need no route", CHECK(pods_need_no_route), .hooks = ALL_WAYS,
	 .networks = IN(AT_TX) | IN(AT_REDIRECT), .scene = DSR, .plane = PLANE_GENEVE},
	{"the node of a backend gets another address", CHECK(node_moves), .hooks = ALL_WAYS,
	 .scene = DSR, .plane = PLANE_GENEVE},
	{"no node, no packet", CHECK(node_is_not_known), .hooks = ALL_WAYS, .scene = DSR,
	 .plane = PLANE_GENEVE, ROWS(unknowns)},
	{"a backend's id is no other backend's node", CHECK(id_is_given_again), .hooks = ALL_WAYS,
	 .protos = ONLY_TCP, .scene = DSR, .plane = PLANE_GENEVE},
};

const struct topic geneve_topic = {"geneve", TESTS(tests)};
