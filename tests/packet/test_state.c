// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The states of a flow, packet by packet (ARCHITECTURE.md): nothing is established without
 * evidence of both ends, what closes closes, and what is over begins again.
 */
#include "lb/api/view.h"
#include "tests/packet/packet.h"

#define EVERYWHERE (IN(AT_POD) | IN(AT_TX))

#define NEW FL_FLOW_NEW
#define REPLIED FL_FLOW_REPLIED
#define ESTABLISHED FL_FLOW_ESTABLISHED
#define HALF_CLOSED FL_FLOW_HALF_CLOSED
#define TIME_WAIT FL_FLOW_TIME_WAIT
#define CLOSING FL_FLOW_CLOSING

struct step {
	char from; /* 'c' client, 'b' backend, 't' nobody, for seconds; 0 ends */
	uint8_t flags;
	enum fl_flow_state state; /* afterwards */
};

struct sequence {
	struct row row;
	uint32_t restarts; /* how often a SYN begins another flow */
	struct step steps[12];
};

#define TCP_ROW(text) ROW(text, .protos = ONLY_TCP)
#define HANDSHAKE                                                                                  \
	{'c', SYN, NEW}, {'b', SYN | ACK, REPLIED},                                                \
	{                                                                                          \
		'c', ACK, ESTABLISHED                                                              \
	}

static const struct sequence sequences[] = {
	{TCP_ROW("handshake"), 0, {HANDSHAKE, {'b', ACK, ESTABLISHED}}},
	{TCP_ROW("a client alone proves nothing"),
	 0,
	 {{'c', SYN, NEW},
	  {'c', SYN, NEW},
	  {'c', ACK, NEW},
	  {'c', ACK | PSH, NEW},
	  {'c', FIN | ACK, NEW}}},
	{TCP_ROW("a reply alone proves nothing"),
	 0,
	 {{'c', SYN, NEW},
	  {'b', SYN | ACK, REPLIED},
	  {'b', SYN | ACK, REPLIED},
	  {'c', SYN, REPLIED},
	  {'c', SYN | ACK, REPLIED},
	  {'b', ACK, REPLIED}}},
	{TCP_ROW("a reply that acknowledges nothing is none"),
	 0,
	 {{'c', SYN, NEW}, {'b', ACK, NEW}, {'b', FIN | ACK, NEW}, {'b', RST | ACK, NEW}}},
	{TCP_ROW("FIN both ways"),
	 0,
	 {HANDSHAKE,
	  {'c', FIN | ACK, HALF_CLOSED},
	  {'b', ACK, HALF_CLOSED},
	  {'b', FIN | ACK, TIME_WAIT},
	  {'c', ACK, TIME_WAIT},
	  {'b', FIN | ACK, TIME_WAIT}}},
	{TCP_ROW("FIN both ways, the backend first"),
	 0,
	 {HANDSHAKE,
	  {'b', FIN | ACK, HALF_CLOSED},
	  {'c', ACK, HALF_CLOSED},
	  {'c', FIN | ACK, TIME_WAIT},
	  {'b', ACK, TIME_WAIT}}},
	{TCP_ROW("half closed, the backend goes on"),
	 0,
	 {HANDSHAKE,
	  {'c', FIN | ACK, HALF_CLOSED},
	  {'b', ACK | PSH, HALF_CLOSED},
	  {'c', ACK, HALF_CLOSED}}},
	{TCP_ROW("half closed, the backend resets"),
	 0,
	 {HANDSHAKE, {'c', FIN | ACK, HALF_CLOSED}, {'b', RST | ACK, CLOSING}}},
	{TCP_ROW("RST of the client"), 0, {HANDSHAKE, {'c', RST, CLOSING}, {'c', RST, CLOSING}}},
	{TCP_ROW("RST of the backend"), 0, {HANDSHAKE, {'b', RST | ACK, CLOSING}}},
	{TCP_ROW("RST that was not the client's: it goes on"),
	 0,
	 {HANDSHAKE, {'c', RST, CLOSING}, {'b', ACK | PSH, CLOSING}, {'c', ACK, ESTABLISHED}}},
	{TCP_ROW("RST that was not the backend's: it goes on"),
	 0,
	 {HANDSHAKE, {'b', RST, CLOSING}, {'c', ACK, CLOSING}, {'b', ACK, ESTABLISHED}}},
	{TCP_ROW("7.9: SYN on a closed flow begins another"),
	 1,
	 {HANDSHAKE,
	  {'c', FIN | ACK, HALF_CLOSED},
	  {'b', FIN | ACK, TIME_WAIT},
	  {'c', SYN, NEW},
	  {'b', SYN | ACK, REPLIED},
	  {'c', ACK, ESTABLISHED}}},
	{TCP_ROW("7.9: SYN after RST begins another"),
	 1,
	 {HANDSHAKE, {'c', RST, CLOSING}, {'c', SYN, NEW}}},
	{TCP_ROW("SYN with RST on a closing flow begins none"),
	 1,
	 {HANDSHAKE, {'c', RST, CLOSING}, {'c', SYN | RST, CLOSING}, {'c', SYN, NEW}}},
	{TCP_ROW("SYN with FIN on a closing flow begins none"),
	 0,
	 {HANDSHAKE, {'c', RST, CLOSING}, {'c', SYN | FIN, CLOSING}}},
	{TCP_ROW("SYN with ACK on a closing flow begins none"),
	 0,
	 {HANDSHAKE, {'c', RST, CLOSING}, {'c', SYN | ACK, CLOSING}}},
	{TCP_ROW("SYN on an open flow changes nothing"), 0, {HANDSHAKE, {'c', SYN, ESTABLISHED}}},
	{TCP_ROW("SYN, RST, ACK by a client that never hears an answer"),
	 0,
	 {{'c', SYN, NEW}, {'c', RST, NEW}, {'c', ACK, NEW}, {'c', ACK, NEW}}},
	{TCP_ROW("the same after an answer to another client"),
	 0,
	 {{'c', SYN, NEW}, {'b', SYN | ACK, REPLIED}, {'c', RST, REPLIED}, {'c', SYN, REPLIED}}},
	{TCP_ROW("two FINs of one side"),
	 0,
	 {HANDSHAKE, {'c', FIN | ACK, HALF_CLOSED}, {'c', FIN | ACK, HALF_CLOSED}}},
	{ROW("datagrams", .protos = ONLY_UDP),
	 0,
	 {{'c', 0, NEW},
	  {'c', 0, NEW},
	  {'b', 0, REPLIED},
	  {'b', 0, REPLIED},
	  {'c', 0, REPLIED},
	  {'b', 0, REPLIED},
	  {'t', 0, REPLIED},
	  {'b', 0, REPLIED},
	  {'c', 0, ESTABLISHED},
	  {'b', 0, ESTABLISHED}}},
	{ROW("datagrams of a client that never hears an answer", .protos = ONLY_UDP),
	 0,
	 {{'c', 0, NEW}, {'t', 0, NEW}, {'c', 0, NEW}, {'c', 0, NEW}}},
};

static void packets_change_the_state(struct trial *t)
{
	const struct sequence *sequence = t->row;
	struct talk talk = talk_begin(t);

	for (const struct step *s = sequence->steps; s->from; s++) {
		if (s->from == 'c') {
			talk_send(&talk, s->flags);
			talk_expect_request(&talk);
		} else if (s->from == 't') {
			talk_grow_old(&talk);
		} else {
			talk_reply(&talk, s->flags);
			talk_expect_reply(&talk);
		}
		if (talk_state(&talk) != s->state)
			trial_fail(t, "state of the flow after step %d: expected %s, got %s",
				   (int)(s - sequence->steps) + 1, fl_flow_state_name(s->state),
				   fl_flow_state_name(talk_state(&talk)));
		expect_flows(t, 1);
	}
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, sequence->restarts);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1 + sequence->restarts);
}

static void restart_keeps_backend_and_port(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet before;

	talk_establish(&talk);
	before = talk.inner;
	talk_reply(&talk, RST);
	talk_send(&talk, SYN);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 1);
	assert_int_equal(talk.inner.sport, before.sport);
	expect_address(t, &talk.inner.dst, &before.dst);
	talk_expect_request(&talk);
}

struct timeout {
	struct row row;
	enum fl_flow_state state;
	enum fl_timeout timeout;
};

static const struct timeout timeouts[] = {
	{TCP_ROW("TCP new"), NEW, FL_TIMEOUT_TCP_EMBRYONIC},
	{TCP_ROW("TCP replied"), REPLIED, FL_TIMEOUT_TCP_EMBRYONIC},
	{TCP_ROW("TCP established"), ESTABLISHED, FL_TIMEOUT_TCP_ESTABLISHED},
	{TCP_ROW("TCP half closed"), HALF_CLOSED, FL_TIMEOUT_TCP_CLOSE_WAIT},
	{TCP_ROW("TCP closed"), TIME_WAIT, FL_TIMEOUT_TCP_TIME_WAIT},
	{TCP_ROW("TCP closing"), CLOSING, FL_TIMEOUT_TCP_CLOSING},
	{ROW("UDP new", .protos = ONLY_UDP), NEW, FL_TIMEOUT_UDP_EMBRYONIC},
	{ROW("UDP replied", .protos = ONLY_UDP), REPLIED, FL_TIMEOUT_UDP_ESTABLISHED},
	{ROW("UDP established", .protos = ONLY_UDP), ESTABLISHED, FL_TIMEOUT_UDP_ESTABLISHED},
};

/* A flow in the row's state, idle for its timeout and so many seconds. */
static struct talk idle_flow(struct trial *t, int seconds)
{
	const struct timeout *row = t->row;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_bring_to(&talk, row->state);
	flow = expect_flow(t, &talk.client);
	flow_age(t->p, &flow,
		 t->p->config.timeout[row->timeout] + (uint32_t)(seconds * (int)t->p->config.hz));
	return talk;
}

static void flow_lives_for_its_timeout(struct trial *t)
{
	struct talk talk = idle_flow(t, -1);

	/* for TCP, RST leaves an embryonic flow what it is */
	talk_send(&talk, RST);
	talk_expect_request(&talk);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void client_begins_anew_after_it(struct trial *t)
{
	struct talk talk = idle_flow(t, 1);

	talk_send(&talk, SYN);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 2);
	talk_expect_state(&talk, NEW);
}

static void reply_after_it_passes(struct trial *t)
{
	struct talk talk = idle_flow(t, 1);

	talk_reply(&talk, ACK);
	expect_untouched(t);
	expect_flows(t, 0);
}

/* The port it comes to, one that we masqueraded with, has become a node port since. */
static void reply_after_it_opens_no_flow(struct trial *t)
{
	struct talk talk = idle_flow(t, 1);

	service_add(t->p, &(struct service){.id = 2,
					    .type = FL_FRONTEND_NODE_PORT,
					    .family = t->family,
					    .port = talk.inner.sport,
					    .proto = t->proto,
					    .flags = MASQUERADE_ALL,
					    .ids = {{1}, {1}}});
	talk_reply(&talk, ACK);
	expect_untouched(t);
	expect_flows(t, 0);
}

struct silence {
	struct row row;
	bool client; /* is the one that is silent */
};

static const struct silence silences[] = {
	{ROW("the client is silent"), true},
	{ROW("the backend is silent"), false},
};

/* A download: one end is silent for longer than the timeout, the other is not. */
static void one_direction_keeps_both(struct trial *t)
{
	const struct silence *row = t->row;
	struct talk talk = talk_begin(t);
	enum fl_timeout timeout =
		t->proto == IPPROTO_TCP ? FL_TIMEOUT_TCP_ESTABLISHED : FL_TIMEOUT_UDP_ESTABLISHED;
	struct fl_flow flow;

	talk_establish(&talk);
	flow = expect_flow(t, &talk.client);
	plane_head(t->p, t->family, row->client ? flow.slot : flow.reply_slot)->last_seen =
		plane_now(t->p) - t->p->config.timeout[timeout] - t->p->config.hz;
	if (row->client) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
	} else {
		talk_reply(&talk, ACK);
		talk_expect_reply(&talk);
	}
	talk_expect_state(&talk, ESTABLISHED);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

/* What one end's RST makes of the timeout must not end the flow for the packet that carries it,
 * which tc looks at once more after XDP. */
static void reset_of_an_idle_flow_arrives(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_establish(&talk);
	flow = expect_flow(t, &talk.client);
	flow_age(t->p, &flow, 3600 * t->p->config.hz);
	talk_send(&talk, RST);
	talk_expect_request(&talk);
	talk_expect_state(&talk, CLOSING);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void packets_and_bytes_are_counted(struct trial *t)
{
	uint32_t headers = t->family == FL_IPV4 ? 40 : 60;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_establish(&talk);
	talk.client.payload = 100;
	talk_send(&talk, ACK);
	flow = expect_flow(t, &talk.client);
	assert_int_equal(flow.packets, 3);
	assert_int_equal(flow.bytes, 3 * headers + 100);
	assert_int_equal(flow.reply_packets, 1);
	assert_int_equal(flow.reply_bytes, headers);
}

/* The entries of a flow that has ended are the next one's, which counts from nothing. */
static void next_flow_counts_anew(struct trial *t)
{
	uint32_t headers = t->family == FL_IPV4 ? 40 : 60;
	struct talk talk = talk_begin(t);
	struct fl_flow old, new;

	talk_establish(&talk);
	talk_expect_both(&talk);
	old = expect_flow(t, &talk.client);
	flow_age(t->p, &old, (1 << 20) * t->p->config.hz);
	talk = talk_begin(t);
	talk_send(&talk, SYN);
	new = expect_flow(t, &talk.client);
	assert_int_equal(new.slot, old.slot);
	assert_int_equal(new.reply_slot, old.reply_slot);
	assert_int_equal(new.packets, 1);
	assert_int_equal(new.bytes, headers);
	assert_int_equal(new.reply_packets, 0);
	assert_int_equal(new.reply_bytes, 0);
}

static void last_seen_is_written_once_a_second(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct fl_flow_head *head;
	struct fl_flow flow;
	uint32_t then;

	talk_establish(&talk);
	flow = expect_flow(t, &talk.client);
	head = plane_head(t->p, t->family, flow.slot);
	/* again if the machine stood still meanwhile */
	do {
		then = plane_now(t->p) - t->p->config.hz / 2;
		head->last_seen = then;
		talk_send(&talk, ACK);
	} while (plane_now(t->p) - then >= t->p->config.hz);
	assert_int_equal(head->last_seen, then);
	head->last_seen = then - t->p->config.hz;
	then = plane_now(t->p);
	talk_send(&talk, ACK);
	assert_true(head->last_seen - then <= plane_now(t->p) - then);
}

static const struct test tests[] = {
	{"the state after each packet", CHECK(packets_change_the_state), .hooks = ON_INGRESS,
	 .networks = EVERYWHERE | IN(AT_TC), ROWS(sequences)},
	{"7.9: the flow that a SYN begins again goes the same way, and is counted",
	 CHECK(restart_keeps_backend_and_port), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, .scene = {.backends = 5}},
	{"a flow lives for the timeout of its state", CHECK(flow_lives_for_its_timeout),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(timeouts)},
	{"after it a packet of the client begins another flow", CHECK(client_begins_anew_after_it),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(timeouts)},
	{"and one of the backend is no reply any more", CHECK(reply_after_it_passes),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE, ROWS(timeouts)},
	{"even if its port is a node port now", CHECK(reply_after_it_opens_no_flow),
	 .hooks = ON_INGRESS, ROWS(timeouts)},
	{"packets of one direction keep both", CHECK(one_direction_keeps_both), .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, ROWS(silences)},
	{"a reset of an idle flow arrives and closes it", CHECK(reset_of_an_idle_flow_arrives),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE | IN(AT_TC)},
	{"packets and bytes are counted for each direction", CHECK(packets_and_bytes_are_counted),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE | IN(AT_TC)},
	{"a flow in the place of one that has ended counts from nothing",
	 CHECK(next_flow_counts_anew), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE},
	{"last_seen is written at most once a second", CHECK(last_seen_is_written_once_a_second),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE},
};

const struct topic state_topic = {"states", TESTS(tests)};
