// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What proves that a flow lives, and what ends it: the acknowledgement of the sequence number that
 * the backend chose, and segments in the window of their direction (RFC 9293, RFC 5961). All else
 * may be forged by somebody who sees nothing of the connection (B10).
 */
#include "tests/packet/packet.h"

#include <string.h>

#define EVERYWHERE (IN(AT_TX) | IN(AT_POD) | IN(AT_TC))

struct guess {
	struct row row;
	uint32_t off; /* of the right number */
};

/* No window is as large as this (1 GB is the limit of window scaling). */
static const struct guess guesses[] = {
	{ROW("far ahead"), 0x50000000},
	{ROW("far behind"), 0xb0000000},
};

/* The client's packet as it would be, with other numbers; the talk does not count it. */
static enum outcome forge(struct talk *talk, bool by_backend, uint8_t flags, uint32_t seq_off,
			  uint32_t ack_off)
{
	struct end *own = by_backend ? &talk->backend_end : &talk->client_end;
	struct end *other = by_backend ? &talk->client_end : &talk->backend_end;
	struct packet packet;

	if (by_backend && !talk->reply.proto)
		do_talk_reply(talk,
			      RST); /* before a handshake nothing comes of it but the packet */
	packet = by_backend ? talk->reply : talk->client;
	packet.flags = flags;
	packet.payload = 0;
	packet.seq = own->next + seq_off;
	packet.ack = flags & ACK ? other->next + ack_off : 0;
	return by_backend ? feed_dev(talk->t, talk->reply_hook, talk->reply_dev, &packet)
			  : feed_dev(talk->t, talk->hook, talk->dev, &packet);
}

static const struct guess acks[] = {
	{ROW("a number of no meaning"), 0x12345678},
	{ROW("one more"), 1},
	{ROW("one less"), 0xffffffff},
};

/* The spoofed client has not seen the SYN-ACK, so it can only guess what to acknowledge. */
static void blind_ack_proves_nothing(struct trial *t)
{
	const struct guess *guess = t->row;
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	talk_reply(&talk, SYN | ACK);
	forge(&talk, false, ACK, 0, guess->off);
	talk_expect_state(&talk, FL_FLOW_REPLIED);
	/* the real one does */
	talk_send(&talk, ACK);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
}

static void blind_ack_before_the_answer_proves_nothing(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	talk_reply(&talk, SYN | ACK);
	/* no field says which packet is acknowledged */
	forge(&talk, false, ACK, 0, 0 - talk.backend_end.next);
	talk_expect_state(&talk, FL_FLOW_REPLIED);
}

/*
 * Entries of UDP in a full table: two datagrams and an answer are no proof, so they are a rank of
 * their own, below TCP's, and go when they are idle.
 */
static void idle_udp_makes_room(struct trial *t)
{
	const uint32_t now = plane_now(t->p);

	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++) {
		struct fl_flow_head *head = plane_head(t->p, t->family, slot);

		head->word = 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED;
		head->proto = slot % 2 ? IPPROTO_UDP : IPPROTO_TCP;
		head->twin_generation = 0xffff;
		/* within the timeout of both */
		head->last_seen = now - 100 * t->p->config.hz;
	}
	for (uint16_t i = 0; i < 50; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + i);

		feed(t, &packet);
		expect_outcome(t, PASSED);
		expect_flow(t, &packet);
	}
	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot += 2)
		assert_int_equal(plane_head(t->p, t->family, slot)->word,
				 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED);
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
	allow_counter(t, FL_COUNTER_FLOW_EXPIRED);
}

struct forgery {
	struct row row;
	bool by_backend; /* in the direction of replies */
	uint8_t flags;
	uint32_t off;
};

static const struct forgery resets[] = {
	{ROW("RST of the client, far ahead"), false, RST, 0x50000000},
	{ROW("RST of the client, far behind"), false, RST, 0xb0000000},
	{ROW("RST and ACK of the client"), false, RST | ACK, 0x50000000},
	{ROW("RST of the backend, far ahead"), true, RST, 0x50000000},
	{ROW("RST and ACK of the backend, far behind"), true, RST | ACK, 0xb0000000},
};

/* An idle connection: neither end says anything that would repair a wrong state. */
static void blind_reset_ends_nothing(struct trial *t)
{
	const struct forgery *forgery = t->row;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_establish(&talk);
	talk_expect_both(&talk);
	forge(&talk, forgery->by_backend, forgery->flags, forgery->off, 0);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
	/* for longer than a closing flow may be idle */
	flow = expect_flow(t, &talk.client);
	flow_age(t->p, &flow, 600 * t->p->config.hz);
	talk_expect_both(&talk);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void blind_reset_and_syn_move_nothing(struct trial *t)
{
	const struct forgery *forgery = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk_expect_both(&talk);
	forge(&talk, forgery->by_backend, forgery->flags, forgery->off, 0);
	forge(&talk, false, SYN, 0x11111111, 0);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 0);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
	talk_expect_both(&talk);
}

static void blind_fins_close_nothing(struct trial *t)
{
	const struct guess *guess = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk_expect_both(&talk);
	forge(&talk, false, FIN | ACK, guess->off, 0);
	forge(&talk, true, FIN | ACK, guess->off, 0);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
	forge(&talk, false, SYN, 0x11111111, 0);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 0);
	talk_expect_both(&talk);
}

/*
 * Timeouts as the kernel and kube-proxy have them: one FIN, an hour (tcpCloseWaitTimeout); FINs of
 * both ends, two minutes (TIME_WAIT).
 */
#define CLOSE_WAIT_S 3600
#define TIME_WAIT_S 120

static void age(struct trial *t, const struct talk *talk, uint32_t seconds)
{
	struct fl_flow flow = expect_flow(t, &talk->client);

	flow_age(t->p, &flow, seconds * t->p->config.hz);
}

static const struct forgery closings[] = {
	{ROW("the client has closed"), false, FIN | ACK, 0},
	{ROW("the backend has closed"), true, FIN | ACK, 0},
};

static void half_closed_flow_ends_after_close_wait(struct trial *t)
{
	const struct forgery *closing = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	if (closing->by_backend) {
		talk_reply(&talk, FIN | ACK);
		talk_send(&talk, ACK);
	} else {
		talk_send(&talk, FIN | ACK);
		talk_reply(&talk, ACK);
	}
	age(t, &talk, CLOSE_WAIT_S - 10);
	talk_expect_both(&talk);
	age(t, &talk, CLOSE_WAIT_S + 10);
	talk_reply(&talk, ACK);
	expect_untouched(t);
	expect_flows(t, 0);
}

static void closed_flow_stays_for_time_wait(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk_send(&talk, FIN | ACK);
	talk_reply(&talk, FIN | ACK);
	talk_send(&talk, ACK);
	age(t, &talk, TIME_WAIT_S - 10);
	/* the backend has not got that ACK, and sends its FIN again */
	talk.backend_end.next--;
	talk_reply(&talk, FIN | ACK);
	talk_expect_reply(&talk);
	age(t, &talk, TIME_WAIT_S + 10);
	talk_reply(&talk, ACK);
	expect_untouched(t);
}

struct hole {
	struct row row;
	bool by_backend;
	uint32_t lost; /* bytes that did not come by */
	bool acknowledged;
	enum fl_flow_state state; /* after the FIN behind it */
};

static const struct hole holes[] = {
	{ROW("a segment of the client"), false, 1400, false, FL_FLOW_HALF_CLOSED},
	{ROW("a segment of the backend"), true, 1400, false, FL_FLOW_HALF_CLOSED},
	{ROW("a megabyte of the client"), false, 1 << 20, false, FL_FLOW_ESTABLISHED},
	{ROW("a megabyte of the client, acknowledged"), false, 1 << 20, true, FL_FLOW_HALF_CLOSED},
	{ROW("a megabyte of the backend, acknowledged"), true, 1 << 20, true, FL_FLOW_HALF_CLOSED},
};

/* Packets that are lost before they come by, or take another way. */
static void numbers_recover_from_a_hole(struct trial *t)
{
	const struct hole *hole = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk_expect_both(&talk);
	if (hole->by_backend)
		talk.backend_end.next += hole->lost;
	else
		talk.client_end.next += hole->lost;
	if (hole->acknowledged) {
		if (hole->by_backend)
			talk_send(&talk, ACK);
		else
			talk_reply(&talk, ACK);
	}
	if (hole->by_backend)
		talk_reply(&talk, FIN | ACK);
	else
		talk_send(&talk, FIN | ACK);
	talk_expect_state(&talk, hole->state);
}

/* Each end's hole is healed by what the other one has acknowledged, which has to be believed. */
static void hole_heals_within_a_second(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.client_end.next += 0x30000;
	talk_reply(&talk, ACK);
	age(t, &talk, 2);
	talk_expect_both(&talk);
	talk.backend_end.next += 0x30000;
	talk_send(&talk, ACK);
	talk_reply(&talk, FIN | ACK);
	talk_expect_state(&talk, FL_FLOW_HALF_CLOSED);
}

/* A port that is used again, at a backend that has not answered. */
static void client_tries_with_another_number(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	talk.client_end.initial += 0x40000000;
	talk_send(&talk, SYN);
	talk_reply(&talk, SYN | ACK);
	talk_expect_state(&talk, FL_FLOW_REPLIED);
	talk.client_end.initial += 0x40000000;
	talk_send(&talk, SYN);
	talk.backend_end.initial += 0x40000000;
	talk_reply(&talk, SYN | ACK);
	talk_send(&talk, ACK);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void answer_to_another_syn_is_none(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	forge(&talk, true, SYN | ACK, 0, 1);
	talk_expect_state(&talk, FL_FLOW_NEW);
	forge(&talk, true, SYN | ACK, 0, 0xffffffff);
	talk_expect_state(&talk, FL_FLOW_NEW);
	talk_reply(&talk, SYN | ACK);
	talk_expect_state(&talk, FL_FLOW_REPLIED);
}

static const struct test tests[] = {
	{"B10: TCP is proven by acknowledging the number that the backend chose",
	 CHECK(blind_ack_proves_nothing), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, ROWS(acks)},
	{"B10: what lies around a hole is believed again when it was acknowledged",
	 CHECK(numbers_recover_from_a_hole), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, ROWS(holes)},
	{"B10: and that without a FIN, within a second", CHECK(hole_heals_within_a_second),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE},
	{"B10: SYN after SYN, each with its own number", CHECK(client_tries_with_another_number),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE},
	{"B10: an answer to another SYN is none", CHECK(answer_to_another_syn_is_none),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE},
	{"B10: zero is no guess that is always right",
	 CHECK(blind_ack_before_the_answer_proves_nothing), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE},
	{"B1: idle flows of UDP make room in a full table, those of TCP do not",
	 CHECK(idle_udp_makes_room), .hooks = ON_INGRESS, .networks = IN(AT_POD),
	 .plane = PLANE_SMALL, .forged = true},
	{"B10: a reset out of window ends nothing", CHECK(blind_reset_ends_nothing),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(resets)},
	{"B10: a SYN after it moves no connection", CHECK(blind_reset_and_syn_move_nothing),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(resets)},
	{"B10: FINs out of window close nothing", CHECK(blind_fins_close_nothing),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(guesses)},
	{"a flow with one FIN lives for tcpCloseWaitTimeout",
	 CHECK(half_closed_flow_ends_after_close_wait), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = IN(AT_TX) | IN(AT_POD), ROWS(closings)},
	{"one with two FINs for TIME_WAIT", CHECK(closed_flow_stays_for_time_wait),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD)},
};

const struct topic proof_topic = {"proof", TESTS(tests)};
