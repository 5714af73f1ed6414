// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The states of a flow, packet by packet (design section 4): nothing is established without
 * evidence of both ends, what closes closes, and what is over begins anew. Rules 5.7.3, 7.1
 * to 7.3, 7.8, 7.9.
 */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <arpa/inet.h>
#include <string.h>

struct step {
	char from; /* 'c' client, 'b' backend; 0 ends */
	uint8_t flags;
	enum fl_flow_state state; /* afterwards */
};

struct sequence {
	const char *what;
	uint8_t proto;
	struct step steps[10];
};

#define NEW FL_FLOW_NEW
#define REPLIED FL_FLOW_REPLIED
#define ESTABLISHED FL_FLOW_ESTABLISHED
#define CLOSING FL_FLOW_CLOSING
#define HANDSHAKE                                                                                  \
	{'c', SYN, NEW}, {'b', SYN | ACK, REPLIED},                                                \
	{                                                                                          \
		'c', ACK, ESTABLISHED                                                              \
	}

static const struct sequence sequences[] = {
	{"handshake", IPPROTO_TCP, {HANDSHAKE, {'b', ACK, ESTABLISHED}}},
	{"a client alone proves nothing",
	 IPPROTO_TCP,
	 {{'c', SYN, NEW},
	  {'c', SYN, NEW},
	  {'c', ACK, NEW},
	  {'c', ACK | PSH, NEW},
	  {'c', FIN | ACK, NEW}}},
	{"a reply alone proves nothing",
	 IPPROTO_TCP,
	 {{'c', SYN, NEW},
	  {'b', SYN | ACK, REPLIED},
	  {'b', SYN | ACK, REPLIED},
	  {'c', SYN, REPLIED},
	  {'c', SYN | ACK, REPLIED},
	  {'b', ACK, REPLIED}}},
	{"a flow found in its middle",
	 IPPROTO_TCP,
	 {{'c', ACK, NEW}, {'b', ACK, REPLIED}, {'c', ACK, ESTABLISHED}}},
	{"FIN both ways",
	 IPPROTO_TCP,
	 {HANDSHAKE,
	  {'c', FIN | ACK, ESTABLISHED},
	  {'b', ACK, ESTABLISHED},
	  {'b', FIN | ACK, CLOSING},
	  {'c', ACK, CLOSING},
	  {'b', FIN | ACK, CLOSING}}},
	{"half closed, the backend goes on",
	 IPPROTO_TCP,
	 {HANDSHAKE,
	  {'c', FIN | ACK, ESTABLISHED},
	  {'b', ACK | PSH, ESTABLISHED},
	  {'c', ACK, ESTABLISHED}}},
	{"RST of the client", IPPROTO_TCP, {HANDSHAKE, {'c', RST, CLOSING}, {'c', RST, CLOSING}}},
	{"RST of the backend", IPPROTO_TCP, {HANDSHAKE, {'b', RST | ACK, CLOSING}}},
	{"RST that the backend did not believe",
	 IPPROTO_TCP,
	 {HANDSHAKE, {'c', RST, CLOSING}, {'b', ACK | PSH, ESTABLISHED}}},
	{"RST that the client did not believe",
	 IPPROTO_TCP,
	 {HANDSHAKE, {'b', RST, CLOSING}, {'c', ACK, ESTABLISHED}}},
	{"7.9: SYN on a closed flow",
	 IPPROTO_TCP,
	 {HANDSHAKE,
	  {'c', FIN | ACK, ESTABLISHED},
	  {'b', FIN | ACK, CLOSING},
	  {'c', SYN, NEW},
	  {'b', SYN | ACK, REPLIED},
	  {'c', ACK, ESTABLISHED}}},
	{"7.9: SYN after RST", IPPROTO_TCP, {HANDSHAKE, {'c', RST, CLOSING}, {'c', SYN, NEW}}},
	{"SYN on an open flow changes nothing", IPPROTO_TCP, {HANDSHAKE, {'c', SYN, ESTABLISHED}}},
	{"SYN, RST, ACK by somebody who never hears an answer",
	 IPPROTO_TCP,
	 {{'c', SYN, NEW}, {'c', RST, NEW}, {'c', ACK, NEW}, {'c', ACK, NEW}}},
	{"the same after an answer to somebody else",
	 IPPROTO_TCP,
	 {{'c', SYN, NEW}, {'b', SYN | ACK, REPLIED}, {'c', RST, REPLIED}, {'c', SYN, REPLIED}}},
	{"two FINs of one side",
	 IPPROTO_TCP,
	 {HANDSHAKE, {'c', FIN | ACK, ESTABLISHED}, {'c', FIN | ACK, ESTABLISHED}}},
	{"datagrams",
	 IPPROTO_UDP,
	 {{'c', 0, NEW},
	  {'c', 0, NEW},
	  {'b', 0, REPLIED},
	  {'b', 0, REPLIED},
	  {'c', 0, ESTABLISHED},
	  {'b', 0, ESTABLISHED}}},
};

static void test_states(void **state)
{
	static const enum place places[] = {AT_POD, AT_TX};

	for (size_t i = 0; i < N(sequences); i++)
		for (int n = 0; n < 4; n++) {
			const struct sequence *q = &sequences[i];
			const struct scene scene = {
				.family = n & 1, .proto = q->proto, .place = places[n >> 1]};
			struct frontend fe[SCENE_FRONTENDS];
			struct talk t;

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
			for (const struct step *s = q->steps; s->from; s++) {
				struct result r;

				if (s->from == 'c')
					talk_send(&t, s->flags, &r);
				else
					talk_reply(&t, s->flags, &r);
				if (talk_state(&t) != s->state)
					fail_msg("%s: step %d left state %d", q->what,
						 (int)(s - q->steps), talk_state(&t));
				assert_int_equal(plane_count(USUAL(state), scene.family), 1);
			}
		}
}

/* 7.9: the flow that a SYN begins anew goes the same way, and is counted. */
static void test_restart_keeps_backend_and_port(void **state)
{
	for (int v = 0; v < FL_FAMILIES; v++) {
		const struct scene scene = {
			.family = v, .proto = IPPROTO_TCP, .place = AT_TX, .backends = 5};
		struct frontend fe[SCENE_FRONTENDS];
		struct spec before;
		struct result r;
		struct talk t;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		before = t.inner;
		talk_reply(&t, RST, &r);
		talk_send(&t, SYN, &r);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_FLOW_RESTARTED), 1);
		assert_int_equal(t.inner.sport, before.sport);
		assert_true(fl_ip_equal(&t.inner.dst, &before.dst));
	}
}

/* Bring a conversation into a state. */
static void bring_to(struct talk *t, enum fl_flow_state wanted)
{
	struct result r;

	talk_send(t, SYN, &r);
	if (wanted >= REPLIED)
		talk_reply(t, SYN | ACK, &r);
	if (wanted >= ESTABLISHED)
		talk_send(t, ACK, &r);
	if (wanted == CLOSING)
		talk_reply(t, RST, &r);
	assert_int_equal(talk_state(t), wanted);
}

static const struct {
	uint8_t proto;
	enum fl_flow_state state;
	enum fl_timeout timeout;
} timeouts[] = {
	{IPPROTO_TCP, NEW, FL_TIMEOUT_TCP_EMBRYONIC},
	{IPPROTO_TCP, REPLIED, FL_TIMEOUT_TCP_EMBRYONIC},
	{IPPROTO_TCP, ESTABLISHED, FL_TIMEOUT_TCP_ESTABLISHED},
	{IPPROTO_TCP, CLOSING, FL_TIMEOUT_TCP_CLOSING},
	{IPPROTO_UDP, NEW, FL_TIMEOUT_UDP_EMBRYONIC},
	{IPPROTO_UDP, REPLIED, FL_TIMEOUT_UDP_ESTABLISHED},
	{IPPROTO_UDP, ESTABLISHED, FL_TIMEOUT_UDP_ESTABLISHED},
};

/* Idle for less than the timeout of the state: the same flow. For more: another one, from the
 * client only. */
static void test_expiry(void **state)
{
	for (size_t i = 0; i < N(timeouts); i++)
		for (int n = 0; n < 4; n++) {
			const struct scene scene = {
				.family = n & 1, .proto = timeouts[i].proto, .place = AT_POD};
			bool by_reply = n >> 1;
			struct plane *p = USUAL(state);
			uint32_t timeout = p->config.timeout[timeouts[i].timeout],
				 hz = p->config.hz;
			struct frontend fe[SCENE_FRONTENDS];
			struct fl_flow flow;
			struct frame in;
			struct result r;
			struct spec reply;
			struct talk t;

			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			bring_to(&t, timeouts[i].state);
			flow = expect_flow(p, &t.client);
			flow_age(p, &flow, timeout - hz);
			talk_send(&t, RST,
				  &r); /* for TCP, RST keeps an embryonic flow what it is */
			assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 1);

			plane_reset(p);
			scene_set(p, &scene, fe);
			bring_to(&t, timeouts[i].state);
			flow = expect_flow(p, &t.client);
			flow_age(p, &flow, timeout + hz);
			if (!by_reply) {
				talk_send(&t, SYN, &r);
				assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 2);
				assert_int_equal(talk_state(&t), NEW);
				continue;
			}
			reply = spec_reverse(&t.inner);
			reply.flags = ACK;
			frame_build(&reply, &in);
			run_tc(p, PROG_TC_EGRESS, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, TC_ACT_UNSPEC);
			expect_untouched(&r, &in, "the flow is over");
			assert_int_equal(plane_count(p, scene.family), 0);
		}
}

/* A download: the client is silent for longer than the timeout, the backend is not. */
static void test_one_direction_keeps_both(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (int silent = 0; silent < 2; silent++) {
			const struct scene scene = scene_of(&kinds[k], AT_POD);
			struct plane *p = USUAL(state);
			enum fl_timeout which = scene.proto == IPPROTO_TCP
							? FL_TIMEOUT_TCP_ESTABLISHED
							: FL_TIMEOUT_UDP_ESTABLISHED;
			struct frontend fe[SCENE_FRONTENDS];
			struct fl_flow flow;
			struct result r;
			struct talk t;

			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			talk_establish(&t);
			flow = expect_flow(p, &t.client);
			plane_head(p, scene.family, silent ? flow.reply_slot : flow.slot)
				->last_seen =
				plane_now(p) - p->config.timeout[which] - p->config.hz;
			if (silent)
				talk_reply(&t, ACK, &r);
			else
				talk_send(&t, ACK, &r);
			assert_int_equal(talk_state(&t), ESTABLISHED);
			assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 1);
		}
}

/* last_seen is written at most once a second; packets and bytes always. */
static void test_touch(void **state)
{
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_TX};
	struct plane *p = USUAL(state);
	struct frontend fe[SCENE_FRONTENDS];
	struct fl_flow flow;
	struct fl_flow_head *head;
	struct result r;
	struct talk t;
	uint32_t then;

	scene_set(p, &scene, fe);
	t = talk_begin(p, &scene, &fe[0], 10, 4000);
	talk_establish(&t);
	flow = expect_flow(p, &t.client);
	assert_int_equal(flow.packets, 2);
	assert_int_equal(flow.bytes, 80);
	assert_int_equal(flow.reply_packets, 1);
	assert_int_equal(flow.reply_bytes, 40);
	head = plane_head(p, FL_IPV4, flow.slot);
	then = plane_now(p) - p->config.hz / 2;
	head->last_seen = then;
	talk_send(&t, ACK, &r);
	assert_int_equal(head->last_seen, then);
	head->last_seen = then - p->config.hz;
	talk_send(&t, ACK, &r);
	assert_true(plane_now(p) - head->last_seen < p->config.hz / 2);
}

int state_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_restart_keeps_backend_and_port),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_one_direction_keeps_both),
		cmocka_unit_test(test_touch),
	};

	return run_topic("flow states", tests, N(tests), world);
}
