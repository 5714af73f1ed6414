// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Robustness D3: fragments in any order, alone, of others, and many. */
#include "tests/packet/packet.h"
#include "tests/packet/datagram.h"
#include "tests/packet/wire.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define HEADER(t) ((t)->proto == IPPROTO_TCP ? 20U : 8U)

static uint16_t total_of(const struct trial *t)
{
	return (uint16_t)(HEADER(t) + PAYLOAD);
}

static void in_order(struct trial *t)
{
	struct whole w = whole_request(t);
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	uint32_t id = 0;
	const enum outcome way = t->network == AT_POD ? PASSED : SENT;

	for (size_t i = 0; i < N(pieces); i++) {
		whole_feed(&w, pieces[i]);
		expect_outcome(t, way);
		if (!i)
			whole_learn(&w);
		whole_expect(&w, pieces[i], &id);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_flows(t, 1);
}

/* No more than a header in front of it. */
static void last_one_of_a_byte(struct trial *t)
{
	struct whole w = whole_request(t);
	const struct piece pieces[] = {{0, 480, true}, {480, 1, false}};
	uint32_t id = 0;

	for (size_t i = 0; i < N(pieces); i++) {
		whole_feed(&w, pieces[i]);
		if (!i)
			whole_learn(&w);
		whole_expect(&w, pieces[i], &id);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
}

/* IPv4 counts its header, IPv6 only what is behind the first one. */
static void as_far_as_64_kb(struct trial *t)
{
	const bool v4 = t->family == FL_IPV4;
	struct whole w = whole_request(t);
	struct piece last = {65512, v4 ? 3 : 7, false};
	uint32_t id = 0;

	if (!v4)
		last.at = 65480;
	whole_feed(&w, (struct piece){0, 480, true});
	whole_learn(&w);
	id = w.id;
	if (!fl_ip_equal(&w.want.src, &w.packet.src))
		id = piece_id(&t->r.out);
	whole_feed(&w, last);
	whole_expect(&w, last, &id);
	last.size++;
	whole_feed(&w, last);
	expect_drop(t, FL_REASON_FRAGMENT_MALFORMED);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

static const struct order {
	struct row row;
	uint8_t at[3];
} orders[] = {
	{ROW("the last one first"), {2, 0, 1}},
	{ROW("backwards"), {2, 1, 0}},
	{ROW("the middle first"), {1, 0, 2}},
	{ROW("the middle, the last, the first"), {1, 2, 0}},
	{ROW("the first, then the last"), {0, 2, 1}},
};

/* Where copies of the packet are seen that the programs send besides. */
static int watch(const struct trial *t, enum dev dev, bool arriving)
{
	return wire_open(arriving ? t->p->net->ifindex[dev] : t->p->net->peer_ifindex[dev], false);
}

/* The running trial's, for its end. */
static int watched = -1;

static void stop_watching(struct trial *t)
{
	if (watched >= 0)
		close(watched);
	watched = -1;
}

/* The next frame that was sent besides is one of these pieces. */
static void expect_sent_besides(const struct whole *w, uint32_t id, struct piece piece)
{
	struct frame want;

	piece_build(&w->wanted, id, piece, &want);
	piece_receive(w->t, watched, &want, &w->t->r.out);
	do_expect_frame(AT_LINE(w->t), &want);
}

static void in_any_order(struct trial *t)
{
	const struct order *order = t->row;
	struct whole w = whole_request(t);
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	uint32_t id = 0, held = 0;

	watched = watch(t, net_dev(t->network) == DEV_POD ? hook_dev(t->hook) : net_dev(t->network),
			t->network == AT_POD);
	for (size_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		whole_feed(&w, pieces[at]);
		if (at && !id) {
			expect_outcome(t, HELD);
			held++;
			continue;
		}
		expect_outcome(t, t->network == AT_POD ? PASSED : SENT);
		if (!at)
			whole_learn(&w);
		whole_expect(&w, pieces[at], &id);
		/* and those that waited, in the order in which they came */
		for (size_t k = 0; !at && k < i; k++)
			expect_sent_besides(&w, id, pieces[order->at[k]]);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, held);
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_flows(t, 1);
}

/* A backend's answer is larger than the MTU. */
static void replies(struct trial *t)
{
	const struct order *order = t->row;
	struct talk talk = talk_begin(t);
	struct whole w;
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	uint32_t id = 0;

	talk_establish(&talk);
	talk.reply.payload = PAYLOAD;
	talk.reply.may_be_fragmented = true;
	talk.reply.flags = ACK;
	w = whole_of(t, talk.reply_hook, talk.reply_dev, &talk.reply);
	w.want = packet_reverse(&talk.client);
	w.want.flags = ACK;
	w.want.seq = talk.reply.seq;
	w.want.ack = talk.reply.ack;
	w.want.payload = PAYLOAD;
	w.want.may_be_fragmented = true;
	w.want.ttl = talk.reply.ttl;
	w.want.src_mac = talk.reply.src_mac;
	w.want.dst_mac = talk.reply.dst_mac;
	if (talk.masqueraded) {
		w.want.ttl--;
		w.want.src_mac = t->p->net->mac[hook_dev(t->hook)];
		w.want.dst_mac = t->p->net->gateway_mac[client_network(t->hook)];
	}
	frame_build(&w.want, &w.wanted);
	watched = watch(t, hook_dev(t->hook), false);
	for (size_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		whole_feed(&w, pieces[at]);
		if (at && !id) {
			expect_outcome(t, HELD);
			continue;
		}
		expect_outcome(t, talk.masqueraded ? SENT : PASSED);
		whole_expect(&w, pieces[at], &id);
		for (size_t k = 0; !at && k < i; k++)
			expect_sent_besides(&w, id, pieces[order->at[k]]);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_flows(t, 1);
}

struct place {
	struct row row;
	enum network network;
	unsigned int host;
};

/* Nothing of a fragment says that it is ours but its addresses. */
static const struct place others[] = {
	{ROW("of nobody"), AT_FOREIGN, 1},
	{ROW("of a client"), AT_OUTSIDE, 30},
};

static void others_pass(struct trial *t)
{
	const struct place *place = t->row;
	struct whole w = whole_request(t);
	const struct piece pieces[] = {{480, 480, true}, {0, 480, true}, {960, 64, false}};

	w.packet.dst = addr(t->family, place->network, place->host);
	frame_build(&w.packet, &w.frame);
	for (size_t i = 0; i < N(pieces); i++) {
		whole_feed(&w, pieces[i]);
		expect_untouched(t);
	}
	expect_flows(t, 0);
}

/* To an address of the node's, at a port that is nobody's: whole to the stack, in any order. */
static void the_nodes_own_arrive(struct trial *t)
{
	const struct order *order = t->row;
	struct whole w = whole_request(t);
	const struct piece pieces[] = {
		{0, 480, true}, {480, 480, true}, {960, (uint16_t)(total_of(t) - 960), false}};
	bool first = false;

	w.packet.dst = addr(t->family, AT_EXT0, 1);
	w.packet.dport = 9;
	w.want = w.packet;
	frame_build(&w.packet, &w.frame);
	w.wanted = w.frame;
	watched = watch(t, hook_dev(t->hook), true);
	for (size_t i = 0; i < N(pieces); i++) {
		const uint8_t at = order->at[i];

		whole_feed(&w, pieces[at]);
		if (at && !first) {
			expect_outcome(t, HELD);
			continue;
		}
		first = true;
		expect_untouched(t);
		for (size_t k = 0; !at && k < i; k++)
			expect_sent_besides(&w, w.id, pieces[order->at[k]]);
	}
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_flows(t, 0);
}

/* Two clients have the same numbers; to the backend, which sees one sender, they are different. */
static void numbers_are_told_apart(struct trial *t)
{
	struct whole one = whole_request(t), other = one;
	uint32_t id[2];

	other.packet.sport++;
	other.packet.src = addr(t->family, client_network(t->hook), CLIENT_HOST + 1);
	frame_build(&other.packet, &other.frame);
	whole_feed(&one, (struct piece){0, 480, true});
	id[0] = piece_id(&t->r.out);
	whole_feed(&other, (struct piece){0, 480, true});
	id[1] = piece_id(&t->r.out);
	assert_int_not_equal(id[0], id[1]);
	whole_feed(&one, (struct piece){480, 480, true});
	assert_int_equal(piece_id(&t->r.out), id[0]);
	whole_feed(&other, (struct piece){480, 480, true});
	assert_int_equal(piece_id(&t->r.out), id[1]);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

/* A number comes again when its datagram is complete. */
static void numbers_come_again(struct trial *t)
{
	const uint16_t rest = (uint16_t)(total_of(t) - 480);
	struct whole w = whole_request(t);

	for (int i = 0; i < 3; i++) {
		whole_feed(&w, (struct piece){0, 480, true});
		expect_outcome(t, SENT);
		whole_feed(&w, (struct piece){480, rest, false});
		expect_outcome(t, SENT);
	}
	/* also when the next begins with its end */
	whole_feed(&w, (struct piece){480, rest, false});
	expect_outcome(t, HELD);
	whole_feed(&w, (struct piece){0, 480, true});
	expect_outcome(t, SENT);
	expect_counter(t, FL_COUNTER_FRAGMENT, 8);
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, 1);
}

/* What a datagram becomes on its way to the stack is expected there, in a place of its own, which
 * is not that of the datagram itself while some of it still waits. */
static void whoever_sends_them(struct trial *t)
{
	struct packet packet = whole_request(t).packet;
	const unsigned int datagrams = 3000;

	for (unsigned int i = 0; i < datagrams; i++) {
		struct whole w;

		packet.src = addr(t->family, client_network(t->hook), 1 + i % 200);
		w = whole_of(t, t->hook, hook_dev(t->hook), &packet);
		whole_feed(&w, (struct piece){480, (uint16_t)(total_of(t) - 480), false});
		expect_outcome(t, HELD);
		whole_feed(&w, (struct piece){0, 480, true});
		expect_outcome(t, PASSED);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, datagrams);
	expect_counter(t, FL_COUNTER_FRAGMENT, 2 * datagrams);
	/* of earlier trials */
	allow_counter(t, FL_REASON_FRAGMENT_ALONE);
	t->dropped += plane_counter(t->p, FL_REASON_FRAGMENT_ALONE);
}

/* The first one of a datagram is late, while more than can wait at a time come and go. */
static void those_that_wait_longer_are_not_lost(struct trial *t)
{
	enum { PIECES = 40, OTHERS = 600 };
	const struct piece first = {0, 480, true},
			   last = {480, (uint16_t)(total_of(t) - 480), false};
	struct whole late = whole_request(t), w;
	uint32_t id = 0;

	for (uint16_t i = 0; i < PIECES; i++) {
		whole_feed(&late, (struct piece){480 + 16 * i, 16, true});
		expect_outcome(t, HELD);
	}
	for (int i = 0; i < OTHERS; i++) {
		w = whole_of(t, t->hook, hook_dev(t->hook), &late.packet);
		whole_feed(&w, last);
		expect_outcome(t, HELD);
		whole_feed(&w, first);
		expect_outcome(t, PASSED);
	}
	watched = watch(t, hook_dev(t->hook), true);
	whole_feed(&late, first);
	expect_outcome(t, PASSED);
	whole_learn(&late);
	whole_expect(&late, first, &id);
	for (uint16_t i = 0; i < PIECES; i++)
		expect_sent_besides(&late, id, (struct piece){480 + 16 * i, 16, true});
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, PIECES + OTHERS);
	expect_counter(t, FL_COUNTER_FRAGMENT, PIECES + 1 + 2 * OTHERS);
}

static void forget_them(struct trial *t)
{
	plane_forget_fragments(t->p);
}

/* More than can wait: the eldest go, each under its name, and fragments in order do not mind. */
static void a_flood_of_later_ones(struct trial *t)
{
	struct whole w = whole_request(t), spoof = w;
	const unsigned int places = 256;

	for (unsigned int i = 0; i < places + 100; i++) {
		spoof.packet.src = addr(t->family, client_network(t->hook), 100);
		spoof.id = whole_next_id();
		frame_build(&spoof.packet, &spoof.frame);
		whole_feed(&spoof, (struct piece){480, 480, false});
		expect_outcome(t, HELD);
	}
	if (plane_counter(t->p, FL_REASON_FRAGMENT_ALONE) < 100)
		trial_fail(t, "those that were forgotten are not counted");
	allow_counter(t, FL_REASON_FRAGMENT_ALONE);
	t->dropped += plane_counter(t->p, FL_REASON_FRAGMENT_ALONE);
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_flows(t, 0);
	whole_feed(&w, (struct piece){0, 480, true});
	expect_outcome(t, SENT);
	whole_feed(&w, (struct piece){480, (uint16_t)(total_of(t) - 480), false});
	expect_outcome(t, SENT);
	expect_counter(t, FL_COUNTER_FRAGMENT, 2);
}

/*
 * A datagram that has come in full is remembered for what may come of it twice, and gives its place
 * to a newcomer only where no other is free: of the fuzzer's seed 20261128, scenario 11.
 */
static void what_is_complete_stays_while_there_is_room(struct trial *t)
{
	enum { COMPLETE = 32, OTHERS = 64 };
	const struct piece first = {0, 480, true},
			   last = {480, (uint16_t)(total_of(t) - 480), false};
	struct whole w = whole_request(t), complete[COMPLETE];
	uint64_t seed = 1;

	plane_forget_fragments(t->p);
	w.packet.dst = addr(t->family, AT_EXT0, 1);
	w.packet.dport = 9;
	for (size_t i = 0; i < COMPLETE; i++) {
		complete[i] = whole_of(t, t->hook, hook_dev(t->hook), &w.packet);
		complete[i].id = next_random(&seed) & 0xffff;
		whole_feed(&complete[i], last);
		expect_outcome(t, HELD);
		whole_feed(&complete[i], first);
		expect_untouched(t);
	}
	for (size_t i = 0; i < OTHERS; i++) {
		w.id = next_random(&seed) & 0xffff;
		whole_feed(&w, last);
		expect_outcome(t, HELD);
	}
	for (size_t i = 0; i < COMPLETE; i++) {
		whole_feed(&complete[i], last);
		expect_untouched(t);
	}
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
}

/* XDP has tc do it, if it may be ours. */
static void xdp_leaves_them_to_tc(struct trial *t)
{
	struct whole w = whole_request(t);

	whole_feed(&w, (struct piece){0, 480, true});
	expect_left_to_tc(t);
	whole_feed(&w, (struct piece){480, 480, true});
	expect_left_to_tc(t);
	w.packet.dst = addr(t->family, AT_FOREIGN, 1);
	frame_build(&w.packet, &w.frame);
	whole_feed(&w, (struct piece){480, 480, true});
	expect_untouched(t);
}

#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)

static const struct test tests[] = {
	{"D3: fragments follow the first one", CHECK(in_order),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC),
	 .frontends = EVERY_FRONTEND},
	{"also a last one of a byte", CHECK(last_one_of_a_byte),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC)},
	{"as far as 64 KB", CHECK(as_far_as_64_kb),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS | ON_POD_INGRESS},
	{"D3: those that come before the first one wait for it", CHECK(in_any_order),
	 .undo = stop_watching, ROWS(orders), .hooks = BY_TC,
	 .networks = IN(AT_POD) | IN(AT_REDIRECT) | IN(AT_TC), .frontends = EVERY_FRONTEND},
	{"D3: the backend's fragments are the frontend's, in any order", CHECK(replies),
	 .undo = stop_watching, ROWS(orders), .hooks = BY_TC,
	 .networks = IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT)},
	{"fragments of others pass", CHECK(others_pass), ROWS(others),
	 .hooks = ON_XDP | ON_TC_INGRESS},
	{"the node's own arrive", CHECK(the_nodes_own_arrive), .undo = stop_watching, ROWS(orders),
	 .hooks = BY_TC},
	{"RFC 6864: masqueraded datagrams have numbers of their own", CHECK(numbers_are_told_apart),
	 .hooks = BY_TC},
	{"a number comes again", CHECK(numbers_come_again), .hooks = BY_TC},
	{"D3: those that wait are not lost, whoever sends them", CHECK(whoever_sends_them),
	 .hooks = ON_TC_INGRESS, .networks = IN(AT_POD)},
	{"D3: those that wait longer than others are not lost",
	 CHECK(those_that_wait_longer_are_not_lost), .undo = stop_watching, .hooks = ON_TC_INGRESS,
	 .networks = IN(AT_POD)},
	{"D3: a flood of fragments does not stop others", CHECK(a_flood_of_later_ones),
	 .undo = forget_them, .hooks = ON_TC_INGRESS},
	{"what has come in full is remembered while there is room",
	 CHECK(what_is_complete_stays_while_there_is_room), .undo = forget_them,
	 .hooks = ON_TC_INGRESS},
	{"XDP leaves fragments that may be ours to tc", CHECK(xdp_leaves_them_to_tc)},
};

const struct topic fragments_topic = {"fragments", TESTS(tests)};
