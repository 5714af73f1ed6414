// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fragments, and packets with options, through DSR: each behind an outer header of its own to the
 * node of the backend, and out of that there, in any order (robustness D3). */
#include "tests/packet/pieces.h"
#include "tests/packet/tunnel.h"
#include "tests/packet/wire.h"

#include <string.h>
#include <unistd.h>

#define PAYLOAD 1200
#define SIZE(t) ((uint16_t)(PAYLOAD + ((t)->proto == IPPROTO_TCP ? 20 : 8)))
#define PIECES(t)                                                                                  \
	{                                                                                          \
		{0, 480, true}, {480, 480, true},                                                  \
		{                                                                                  \
			960, (uint16_t)(SIZE(t) - 960), false                                      \
		}                                                                                  \
	}

static const struct order {
	struct row row;
	uint8_t at[3];
} orders[] = {
	{ROW("in order"), {0, 1, 2}},
	{ROW("the last one first"), {2, 0, 1}},
	{ROW("backwards"), {2, 1, 0}},
	{ROW("the middle first"), {1, 0, 2}},
};

/* Of one datagram for each trial: what is known of fragments outlives it. */
static uint32_t next_id(void)
{
	static uint32_t id = 0x2345;

	return ++id;
}

static struct packet large(const struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.payload = PAYLOAD;
	packet.may_be_fragmented = true;
	return packet;
}

static struct frame piece_of(const struct packet *packet, uint32_t id, struct piece piece)
{
	struct frame whole, frame;

	frame_build(packet, &whole);
	piece_build(&whole, id, piece, &frame);
	return frame;
}

static void feed_here(struct trial *t, const struct frame *frame)
{
	feed_frame(t, t->hook, hook_dev(t->hook), frame);
}

/* The running trial's, for its end. */
static int watched = -1;

static void stop_watching(struct trial *t)
{
	if (watched >= 0)
		close(watched);
	watched = -1;
}

/* The next frame that was sent besides and has the number and offset of this one, `at` bytes behind
 * its Ethernet header. */
static void expect_besides(struct trial *t, const struct frame *want, uint32_t at)
{
	const bool v4 = t->family == FL_IPV4;
	const uint32_t begin = ETH_HLEN + at + (v4 ? 4 : 42), n = v4 ? 4 : 6;

	do {
		wire_receive(t, watched, want, 0, NULL, &t->r.out);
	} while (memcmp(t->r.out.b + begin, want->b + begin, n) != 0);
	expect_frame(t, want);
}

/* The client's side */

/* As it leaves for the backend: one hop less, and nothing else changed. outer: of all fragments. */
static struct frame wrapped(const struct trial *t, struct packet packet, uint32_t id,
			    struct piece piece, const struct outer *outer)
{
	struct frame frame;

	packet.ttl--;
	packet.dst_mac = t->p->net->gateway_mac[t->network];
	packet.src_mac = t->p->net->mac[net_dev(t->network)];
	frame = piece_of(&packet, id, piece);
	frame_wrap(&frame, outer);
	return frame;
}

static void dispatched_in_any_order(struct trial *t)
{
	const struct piece pieces[] = PIECES(t);
	const struct order *order = t->row;
	struct packet packet = large(t);
	const uint32_t id = next_id();
	struct outer outer = {0};
	uint32_t held = 0;
	bool first = false;
	struct frame frame, want;

	watched = wire_open(t->p->net->peer_ifindex[net_dev(t->network)], false);
	for (uint32_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		frame = piece_of(&packet, id, pieces[at]);
		feed_here(t, &frame);
		if (at && !first) {
			expect_outcome(t, HELD);
			held++;
			continue;
		}
		if (!first)
			outer = outer_sent(t, 1);
		first = true;
		want = wrapped(t, packet, id, pieces[at], &outer);
		expect_sent_frame(t, net_dev(t->network), &want);
		for (uint32_t k = 0; !at && k < i; k++) {
			want = wrapped(t, packet, id, pieces[order->at[k]], &outer);
			expect_besides(t, &want, outer_size(t));
		}
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, held);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
}

/* The fragments of a datagram have one outer source, or by Geneve source port, those of another
 * flow another one. */
static void one_source_for_all(struct trial *t)
{
	const uint32_t at =
		by_geneve(t) ? l4_offset(t->family) : ETH_HLEN + (t->family == FL_IPV4 ? 12 : 8);
	const uint32_t size = by_geneve(t) ? 2 : t->family == FL_IPV4 ? 4 : 16;
	const struct piece pieces[] = PIECES(t);
	unsigned int differ = 0;
	uint8_t seen[16][16];

	for (uint16_t i = 0; i < N(seen); i++) {
		struct packet packet = large(t);
		const uint32_t id = next_id();

		packet.sport += i;
		for (uint32_t k = 0; k < N(pieces); k++) {
			struct frame frame = piece_of(&packet, id, pieces[k]);

			feed_here(t, &frame);
			expect_outcome(t, SENT);
			if (!k)
				memcpy(seen[i], t->r.out.b + at, size);
			assert_memory_equal(seen[i], t->r.out.b + at, size);
		}
		differ += i && memcmp(seen[i], seen[i - 1], size);
	}
	assert_true(differ > 12);
	allow_counter(t, FL_COUNTER_FRAGMENT);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
}

#define LARGE 1384 /* bytes that fit without an outer header */

/* And with it: by eights. */
static uint16_t most_of(const struct trial *t)
{
	return (uint16_t)((NARROW_MTU - outer_size(t) - 20) & ~7U);
}

/* What does not fit with its outer header goes in smaller fragments, whole packets and what has
 * waited too, in order and not. */
static void too_big_in_smaller_ones(struct trial *t)
{
	const uint16_t most = most_of(t), rest = (uint16_t)(LARGE - most);
	const struct piece first = {0, LARGE, true}, second = {LARGE, LARGE, true},
			   parts[] = {{0, most, true},
				      {most, rest, true},
				      {LARGE, most, true},
				      {(uint16_t)(LARGE + most), rest, true}};
	const bool backwards = t->row != orders;
	const struct piece *fed[] = {backwards ? &second : &first, backwards ? &first : &second};
	struct packet packet = large(t);
	const uint32_t id = next_id();
	struct frame frame, want;
	struct outer outer = {0};

	packet.payload = 1800;
	watched = wire_open(t->p->net->peer_ifindex[net_dev(t->network)], false);
	for (uint32_t i = 0; i < 2; i++) {
		frame = piece_of(&packet, id, *fed[i]);
		feed_here(t, &frame);
		expect_outcome(t, backwards && !i ? HELD : SENT);
		if (t->outcome == HELD)
			continue;
		/* the last one comes back from the run */
		outer = outer_sent(t, 1);
		want = wrapped(t, packet, id, parts[fed[i]->at ? 3 : 1], &outer);
		expect_frame(t, &want);
	}
	for (uint32_t i = 0; i < N(parts); i++) {
		/* those that waited leave first */
		const struct piece *part = &parts[backwards ? (i + 2) % 4 : i];

		if (backwards ? part == &parts[1] : i % 2)
			continue;
		want = wrapped(t, packet, id, *part, &outer);
		expect_besides(t, &want, outer_size(t));
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, 2);
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, backwards);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	expect_counter(t, FL_REASON_TOO_BIG, 0);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
}

static void whole_ones_too(struct trial *t)
{
	const uint16_t most = most_of(t);
	struct packet packet = large(t);
	struct outer outer;
	struct frame want;

	packet.payload = (uint16_t)(LARGE - (SIZE(t) - PAYLOAD));
	watched = wire_open(t->p->net->peer_ifindex[net_dev(t->network)], false);
	for (int i = 0; i < 2; i++) {
		feed(t, &packet);
		expect_outcome(t, SENT);
		outer = outer_sent(t, 1);
		want = wrapped(t, packet, 0, (struct piece){most, (uint16_t)(LARGE - most), false},
			       &outer);
		expect_frame(t, &want);
		want = wrapped(t, packet, 0, (struct piece){0, most, true}, &outer);
		expect_besides(t, &want, outer_size(t));
	}
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	expect_counter(t, FL_COUNTER_FRAGMENT, 0);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
}

/* Where no router may fragment, the sender is told what fits: by the first one. */
static void too_big_is_answered(struct trial *t)
{
	const uint32_t id = next_id(), size = NARROW_MTU - (t->family == FL_IPV4 ? 20 : 48);
	struct packet packet = large(t);
	uint8_t type[2] = {t->family == FL_IPV4 ? 3 : 2, t->family == FL_IPV4 ? 4 : 0}, df;
	struct frame frame;
	const uint8_t *icmp = t->r.out.b + l4_offset(t->family);

	packet.payload = 1800;
	for (uint16_t at = 0; at < 2; at++) {
		frame = piece_of(
			&packet, id,
			(struct piece){(uint16_t)(at * size), (uint16_t)(size & ~7U), true});
		df = frame.b[ETH_HLEN + 6] | 0x40;
		if (t->family == FL_IPV4)
			frame_write(&frame, ETH_HLEN + 6, &df, 1);
		feed_here(t, &frame);
		if (at) {
			expect_drop(t, FL_REASON_FRAGMENT_REFUSED);
			break;
		}
		expect_outcome(t, SENT);
		assert_memory_equal(icmp, type, 2);
		assert_int_equal(icmp[6] << 8 | icmp[7], NARROW_MTU - outer_size(t));
		expect_counter(t, FL_REASON_TOO_BIG, 1);
	}
}

/* The backend's side */

static struct fl_ip node(const struct trial *t)
{
	return addr(t->family, AT_EXT0, 2);
}

static void know_the_node(struct trial *t)
{
	struct fl_ip peer = node(t);

	peer_add(t, &peer);
}

static void feed_wrapped(struct trial *t, struct frame frame, struct fl_ip from)
{
	const struct outer outer = outer_came(t, from, 1);

	frame_wrap(&frame, &outer);
	feed_here(t, &frame);
}

static struct frame unpacked(const struct trial *t, struct packet packet, uint32_t id,
			     struct piece piece)
{
	packet.dst = addr(t->family, AT_POD, 1);
	packet.dport = BACKEND_PORT;
	return piece_of(&packet, id, piece);
}

static void unpacked_in_any_order(struct trial *t)
{
	const struct piece pieces[] = PIECES(t);
	const struct order *order = t->row;
	struct packet packet = large(t);
	const uint32_t id = next_id();
	bool first = false;
	uint32_t held = 0;
	struct frame want;

	know_the_node(t);
	/* a node port is asked at the address of the node that the client has written to */
	if (t->to->type == FL_FRONTEND_NODE_PORT)
		packet.dst = node(t);
	watched = wire_open(t->p->net->ifindex[hook_dev(t->hook)], false);
	for (uint32_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		feed_wrapped(t, piece_of(&packet, id, pieces[at]), node(t));
		if (at && !first) {
			expect_outcome(t, HELD);
			held++;
			continue;
		}
		first = true;
		expect_outcome(t, PASSED);
		want = unpacked(t, packet, id, pieces[at]);
		expect_frame(t, &want);
		for (uint32_t k = 0; !at && k < i; k++) {
			want = unpacked(t, packet, id, pieces[order->at[k]]);
			expect_besides(t, &want, 0);
		}
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, held);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
	expect_flow(t, &packet);
}

/* The first one is of a flow that whole packets have made. */
static void unpacked_of_a_known_flow(struct trial *t)
{
	struct packet packet = large(t), small = packet_of(t);
	const uint32_t id = next_id();
	struct frame frame, want;

	know_the_node(t);
	frame_build(&small, &frame);
	feed_wrapped(t, frame, node(t));
	expect_outcome(t, PASSED);
	packet.flags = ACK;
	packet.seq++;
	feed_wrapped(t, piece_of(&packet, id, (struct piece){0, 480, true}), node(t));
	expect_outcome(t, PASSED);
	want = unpacked(t, packet, id, (struct piece){0, 480, true});
	expect_frame(t, &want);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

static const struct stranger {
	struct row row;
	enum { FROM_STRANGER, FROM_LOOPBACK, TO_OTHER_PORT } what;
	enum fl_reason reason, rest;
} strangers[] = {
	{ROW("from somebody else"), FROM_STRANGER, FL_REASON_TUNNEL_SOURCE,
	 FL_REASON_TUNNEL_SOURCE},
	{ROW("of a client that is none"), FROM_LOOPBACK, FL_REASON_TUNNEL_CONTENT,
	 FL_REASON_TUNNEL_CONTENT},
	{ROW("for no port of the frontend"), TO_OTHER_PORT, FL_REASON_TUNNEL_FRONTEND,
	 FL_REASON_FRAGMENT_REFUSED},
};

static void what_no_node_sends_is_dropped(struct trial *t)
{
	const struct stranger *row = t->row;
	struct packet packet = large(t);
	struct fl_ip from = row->what == FROM_STRANGER ? addr(t->family, AT_EXT0, 77) : node(t);
	const uint32_t id = next_id();

	know_the_node(t);
	if (row->what == FROM_LOOPBACK)
		packet.src = ip(t->family == FL_IPV4 ? "127.0.0.1" : "::1");
	if (row->what == TO_OTHER_PORT)
		packet.dport++;
	feed_wrapped(t, piece_of(&packet, id, (struct piece){0, 480, true}), from);
	expect_drop(t, row->reason);
	feed_wrapped(t, piece_of(&packet, id, (struct piece){480, 480, true}), from);
	expect_drop(t, row->rest);
	expect_flows(t, 0);
}

static void for_no_frontend_they_stay_as_they_are(struct trial *t)
{
	struct packet packet = large(t);
	const uint32_t id = next_id();

	know_the_node(t);
	packet.dst = addr(t->family, AT_FOREIGN, 5);
	feed_wrapped(t, piece_of(&packet, id, (struct piece){0, 480, true}), node(t));
	expect_untouched(t);
	feed_wrapped(t, piece_of(&packet, id, (struct piece){480, 480, true}), node(t));
	expect_untouched(t);
	expect_flows(t, 0);
}

/* What this node sends on to another one does not say what comes back from that: else two nodes
 * that do not agree about a backend would send a fragment to and fro. */
static void no_fragment_goes_round(struct trial *t)
{
	struct packet packet = large(t);
	const uint32_t id = next_id();
	struct frame frame = piece_of(&packet, id, (struct piece){0, 480, true});

	know_the_node(t);
	feed_here(t, &frame);
	expect_outcome(t, SENT);
	feed_wrapped(t, piece_of(&packet, id, (struct piece){480, 480, true}), node(t));
	expect_outcome(t, HELD);
	/* its backend is not here */
	feed_wrapped(t, frame, node(t));
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_counter(t, FL_REASON_FRAGMENT_REFUSED, 1);
	t->dropped++;
	expect_counter(t, FL_COUNTER_FRAGMENT, 1);
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, 1);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
}

/* A number comes again when its datagram is complete, in any order and from another port. */
static void numbers_come_again(struct trial *t)
{
	const struct piece pieces[] = PIECES(t);
	struct packet packet = large(t);
	const bool here = t->network == AT_POD;
	const uint32_t id = next_id();
	uint32_t held = 0;

	know_the_node(t);
	for (uint32_t round = 0; round < N(orders); round++) {
		bool first = false;

		for (uint32_t i = 0; i < N(pieces); i++) {
			const uint8_t at = orders[round].at[i];
			struct frame frame = piece_of(&packet, id, pieces[at]);

			if (here)
				feed_wrapped(t, frame, node(t));
			else
				feed_here(t, &frame);
			first |= !at;
			held += !first;
			expect_outcome(t, !first ? HELD : here ? PASSED : SENT);
		}
		packet.sport++;
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(orders) * N(pieces));
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, held);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
}

/* IPv4 options and IPv6 extension headers, whole packets. */
static void with_option(const struct trial *t, const struct packet *packet, struct frame *ret_frame)
{
	static const uint8_t alert[4] = {148, 4};
	uint8_t hop_by_hop[8] = {t->proto, 0, 1, 4};
	const bool v4 = t->family == FL_IPV4;
	struct frame plain;

	frame_build(packet, &plain);
	frame_insert(&plain, v4 ? alert : hop_by_hop, v4 ? 4 : 8, 0, ret_frame);
}

static void options_are_carried_along(struct trial *t)
{
	struct packet packet = packet_of(t), inner = inner_sent(t, &packet);
	struct frame frame, want;
	struct outer outer, without;

	with_option(t, &packet, &frame);
	feed_here(t, &frame);
	outer = outer_sent(t, 1);
	with_option(t, &inner, &want);
	frame_wrap(&want, &outer);
	expect_sent_frame(t, net_dev(t->network), &want);
	/* the rest of its flow is not on another way between the nodes */
	frame_build(&packet, &frame);
	feed_here(t, &frame);
	expect_outcome(t, SENT);
	without = outer_sent(t, 1);
	assert_int_equal(without.label, outer.label);
	assert_int_equal(without.sport, outer.sport);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
}

static void options_are_unpacked(struct trial *t)
{
	struct packet packet = packet_of(t), want = packet;
	struct frame frame;

	know_the_node(t);
	with_option(t, &packet, &frame);
	feed_wrapped(t, frame, node(t));
	expect_outcome(t, PASSED);
	want.dst = addr(t->family, AT_POD, 1);
	want.dport = BACKEND_PORT;
	with_option(t, &want, &frame);
	expect_frame(t, &frame);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

static void xdp_leaves_them_to_tc(struct trial *t)
{
	struct packet packet = large(t);
	struct frame frame = piece_of(&packet, next_id(), (struct piece){480, 480, true});

	feed_here(t, &frame);
	expect_left_to_tc(t);
	feed_wrapped(t, frame, node(t));
	expect_left_to_tc(t);
	packet.dst = addr(t->family, AT_FOREIGN, 1);
	feed_wrapped(t, piece_of(&packet, next_id(), (struct piece){480, 480, true}), node(t));
	expect_untouched(t);
}

#define DSR                                                                                        \
	{                                                                                          \
		.more_flags = FL_TUNNEL                                                            \
	}
#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)

static const struct test tests[] = {
	{"D3: fragments go behind outer headers, in any order", CHECK(dispatched_in_any_order),
	 .undo = stop_watching, ROWS(orders), .hooks = BY_TC,
	 .networks = IN(AT_REDIRECT) | IN(AT_TC), .frontends = EVERY_FRONTEND, .scene = DSR},
	{"tunnelSources: all of a datagram have one outer source", CHECK(one_source_for_all),
	 .hooks = BY_TC, .scene = DSR, .plane = PLANE_SMALL},
	{"D4: what is too big goes in smaller fragments", CHECK(too_big_in_smaller_ones),
	 .undo = stop_watching, .rows = orders, .row_size = sizeof(orders[0]), .n_rows = 2,
	 .families = ONLY_IPV4, .hooks = BY_TC, .networks = IN(AT_NARROW), .scene = DSR},
	{"... so does a whole packet without DF", CHECK(whole_ones_too), .undo = stop_watching,
	 .families = ONLY_IPV4, .hooks = BY_TC, .networks = IN(AT_NARROW), .scene = DSR},
	{"... with DF, and in IPv6, it is answered", CHECK(too_big_is_answered), .hooks = BY_TC,
	 .networks = IN(AT_NARROW), .scene = DSR},
	{"D3: fragments are unpacked, in any order", CHECK(unpacked_in_any_order),
	 .undo = stop_watching, ROWS(orders), .hooks = BY_TC, .networks = IN(AT_POD),
	 .frontends = EVERY_FRONTEND, .scene = DSR},
	{"... those of a flow that is known too", CHECK(unpacked_of_a_known_flow), .hooks = BY_TC,
	 .networks = IN(AT_POD), .scene = DSR},
	{"D5: what no node has encapsulated is dropped by name",
	 CHECK(what_no_node_sends_is_dropped), ROWS(strangers), .hooks = BY_TC,
	 .networks = IN(AT_POD), .scene = DSR},
	{"what is for no frontend stays as it is", CHECK(for_no_frontend_they_stay_as_they_are),
	 .hooks = BY_TC, .networks = IN(AT_POD), .scene = DSR},
	{"a number comes again", CHECK(numbers_come_again), .hooks = BY_TC,
	 .networks = IN(AT_POD) | IN(AT_REDIRECT), .scene = DSR},
	{"no fragment goes round", CHECK(no_fragment_goes_round), .hooks = BY_TC, .scene = DSR},
	{"D2: options are carried along", CHECK(options_are_carried_along), .hooks = BY_TC,
	 .networks = IN(AT_TX) | IN(AT_TC), .scene = DSR},
	{"D2: ... and unpacked", CHECK(options_are_unpacked), .hooks = BY_TC,
	 .networks = IN(AT_POD), .scene = DSR},
	{"XDP leaves them to tc", CHECK(xdp_leaves_them_to_tc), .scene = DSR},
};

const struct topic fragments_dsr_topic = {"DSR fragments", TESTS(tests)};
const struct topic fragments_dsr_geneve_topic = {"DSR fragments by Geneve", TESTS(tests),
						 .plane = PLANE_GENEVE};
