// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections whose backend is gone, of a Service that wants them reset: the client's next segment
 * is answered with the number that it acknowledges (RFC 9293, RFC 5961), and the flow is over.
 */
#include "tests/packet/packet.h"

#define EVERYWHERE (IN(AT_TX) | IN(AT_POD) | IN(AT_TC))

struct segment {
	struct row row;
	uint8_t flags;
	uint16_t payload;
};

static const struct segment segments[] = {
	{ROW("ACK"), ACK, 0},
	{ROW("data"), ACK | PSH, 500},
	{ROW("FIN"), ACK | FIN, 0},
	{ROW("FIN with data"), ACK | FIN | PSH, 7},
	{ROW("nothing acknowledged"), PSH, 9},
};

static void next_segment_is_reset(struct trial *t)
{
	const struct segment *segment = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	plane_abandon(t->p, t->family);
	talk.client.payload = segment->payload;
	talk_send(&talk, segment->flags);
	expect_reset(t, &talk.client);
	expect_flows(t, 0);
	/* once */
	talk_send(&talk, ACK);
	if (t->to->type == FL_FRONTEND_NODE_PORT) {
		expect_untouched(t);
	} else {
		expect_drop(t, FL_REASON_NO_FLOW);
	}
}

/* With a keepalive's number, one less, or after a segment that was lost. */
static void a_repeated_segment_is_reset(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet keepalive;

	talk_establish(&talk);
	talk_expect_both(&talk);
	plane_abandon(t->p, t->family);
	keepalive = talk.client;
	keepalive.flags = ACK;
	keepalive.payload = 0;
	keepalive.seq = talk.client_end.next - 1;
	keepalive.ack = talk.backend_end.next;
	feed_dev(t, talk.hook, talk.dev, &keepalive);
	expect_reset(t, &keepalive);
	expect_flows(t, 0);
}

/* Of what was sent last, the backend may have got nothing. */
static void what_was_sent_is_repeated(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet again;

	talk_establish(&talk);
	talk.client.payload = 1000;
	talk_send(&talk, ACK | PSH);
	again = talk.client;
	for (int i = 0; i < 400; i++)
		talk_send(&talk, ACK | PSH);
	plane_abandon(t->p, t->family);
	feed_dev(t, talk.hook, talk.dev, &again);
	expect_reset(t, &again);
	expect_flows(t, 0);
}

/* 7.9: the client begins anew from the same port. */
static void a_syn_begins_another_flow(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	plane_abandon(t->p, t->family);
	talk.client_end.over = true;
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
	talk_expect_state(&talk, FL_FLOW_NEW);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 1);
}

static void a_reset_is_not_answered(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	plane_abandon(t->p, t->family);
	talk_send(&talk, RST);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
}

struct guess {
	struct row row;
	uint32_t seq_off, ack_off;
};

static const struct guess guesses[] = {
	{ROW("far ahead"), 0x50000000, 0},
	{ROW("far behind"), 0xb0000000, 0},
	{ROW("near, another acknowledgement"), 1000, 0x50000000},
};

/* B10: who sees nothing of the connection can neither have it ended nor an answer sent for it. */
static void what_is_made_up_changes_nothing(struct trial *t)
{
	const struct guess *guess = t->row;
	struct talk talk = talk_begin(t);
	struct packet forged;

	talk_establish(&talk);
	plane_abandon(t->p, t->family);
	forged = talk.client;
	forged.flags = ACK;
	forged.seq = talk.client_end.next + guess->seq_off;
	forged.ack = talk.backend_end.next + guess->ack_off;
	feed_dev(t, talk.hook, talk.dev, &forged);
	expect_drop(t, FL_REASON_NO_FLOW);
	forged.flags = RST;
	feed_dev(t, talk.hook, talk.dev, &forged);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 1);
	talk_send(&talk, ACK);
	expect_reset(t, &talk.client);
}

/* What the backend has sent before it went is for the client. */
static void replies_still_get_home(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	plane_abandon(t->p, t->family);
	talk_reply(&talk, ACK | PSH);
	talk_expect_reply(&talk);
	talk_reply(&talk, ACK | FIN);
	talk_expect_reply(&talk);
	talk_send(&talk, ACK);
	expect_reset(t, &talk.client);
}

/* In mid-handshake: the client has been answered, and goes on. */
static void a_handshake_is_reset(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_bring_to(&talk, FL_FLOW_REPLIED);
	plane_abandon(t->p, t->family);
	talk_send(&talk, ACK);
	expect_reset(t, &talk.client);
	expect_flows(t, 0);
}

/* Not yet answered it tries again, and gets another backend. */
static void an_unanswered_syn_is_balanced_again(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	plane_abandon(t->p, t->family);
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
	talk_expect_state(&talk, FL_FLOW_NEW);
	expect_flows(t, 1);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 1);
}

static const struct test tests[] = {
	{"a client whose backend is gone is told with its next segment",
	 CHECK(next_segment_is_reset), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, ROWS(segments)},
	{"at every frontend", CHECK(next_segment_is_reset), .protos = ONLY_TCP, .hooks = ON_NETWORK,
	 .frontends = EVERY_FRONTEND, .rows = segments, .row_size = sizeof(segments[0]),
	 .n_rows = 2},
	{"also with a number of the past", CHECK(a_repeated_segment_is_reset), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS},
	{"even what was sent long before", CHECK(what_was_sent_is_repeated), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS},
	{"7.9: a SYN is no segment of it", CHECK(a_syn_begins_another_flow), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS},
	{"a reset is not answered by one", CHECK(a_reset_is_not_answered), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS},
	{"B10: what is made up changes nothing", CHECK(what_is_made_up_changes_nothing),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, ROWS(guesses)},
	{"what the backend has sent is for the client", CHECK(replies_still_get_home),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE},
	{"also where it leaves the node", CHECK(replies_still_get_home), .protos = ONLY_TCP,
	 .hooks = ON_EGRESS, .networks = IN(AT_POD)},
	{"a handshake is reset, too", CHECK(a_handshake_is_reset), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS},
	{"a SYN that was not answered is balanced again",
	 CHECK(an_unanswered_syn_is_balanced_again), .protos = ONLY_TCP, .hooks = ON_INGRESS},
};

const struct topic reset_topic = {"resets", TESTS(tests)};
