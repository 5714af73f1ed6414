// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A client that talks to a backend directly, from a port it also uses through a frontend, would get
 * replies translated as that frontend's: its flow makes way, or it gets another source port. */
#include "tests/packet/packet.h"

#include <string.h>

struct opening {
	struct row row;
	uint8_t flags;
};

static const struct opening openings[] = {
	{ROW("SYN"), SYN},
	{ROW("SYN and ACK"), SYN | ACK},
	{ROW("ACK"), ACK},
};

/* It is left alone, and ends what is left of the flow. */
static void direct_connection_ends_a_flow_that_is_over(struct trial *t)
{
	const struct opening *opening = t->row;
	struct talk talk = talk_begin(t);
	struct packet direct;

	talk_establish(&talk);
	talk_send(&talk, RST);
	direct = talk.inner;
	direct.flags = opening->flags;
	feed(t, &direct);
	expect_untouched(t);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, opening->flags == SYN);
	if (opening->flags == SYN)
		expect_no_flow(t, &talk.client);
	else
		expect_flow(t, &talk.client);
}

/* From the client of `talk`, with its port, straight to its backend. */
static struct talk direct_from(const struct talk *talk)
{
	struct talk direct = *talk;

	direct.client = talk->inner;
	direct.client_end.next = direct.client_end.initial;
	direct.backend_end.next = direct.backend_end.initial;
	direct.client_end.over = direct.backend_end.over = false;
	direct.own_frontend = false;
	return direct;
}

/* One each way: only the client's port is another one to the backend. */
static void expect_direct_both(struct trial *t, struct talk *direct)
{
	struct packet want;

	talk_send(direct, ACK);
	want = direct->client;
	want.sport = direct->inner.sport;
	expect_stack(t, &want);
	talk_reply(direct, ACK);
	talk_expect_reply(direct);
}

/* Both are answered as what they asked. */
static void direct_connection_beside_a_flow(struct trial *t)
{
	struct talk talk = talk_begin(t), direct;

	talk_establish(&talk);
	direct = direct_from(&talk);
	if (t->proto == IPPROTO_TCP) {
		/* no beginning: not ours */
		direct.client.flags = ACK;
		feed(t, &direct.client);
		expect_untouched(t);
	}
	talk_establish(&direct);
	expect_address(t, &direct.inner.src, &talk.client.src);
	assert_true(plane_may_use_port(t->p, direct.inner.sport));
	for (int i = 0; i < 3; i++) {
		expect_direct_both(t, &direct);
		talk_expect_both(&talk);
	}
	expect_counter(t, FL_COUNTER_FLOW_NEW, 2);
}

/*
 * The backend has not seen the end of the last connection yet, or remembers it: a SYN with the same
 * ports would be answered by an ACK. What is left of the old connection is still answered as such.
 */
static void direct_connection_after_both_fins(struct trial *t)
{
	struct talk talk = talk_begin(t), direct;

	talk_bring_to(&talk, FL_FLOW_TIME_WAIT);
	direct = direct_from(&talk);
	talk_establish(&direct);
	expect_address(t, &direct.inner.src, &talk.client.src);
	assert_int_not_equal(direct.inner.sport, direct.client.sport);
	assert_true(plane_may_use_port(t->p, direct.inner.sport));
	talk_reply(&talk, ACK);
	talk_expect_reply(&talk);
	expect_direct_both(t, &direct);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 2);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 0);
}

struct moment {
	struct row row;
	enum fl_flow_state state;
};

static const struct moment without_a_port[] = {
	{ROW("beside an established flow"), FL_FLOW_ESTABLISHED},
	{ROW("after both FINs", .protos = ONLY_TCP), FL_FLOW_TIME_WAIT},
};

/* There is no room for a flow of its own: it goes as it is, for it is not ours to drop, and what
 * has ended makes way. */
static void direct_connection_without_a_port_passes(struct trial *t)
{
	const struct moment *moment = t->row;
	const bool ended = moment->state == FL_FLOW_TIME_WAIT;
	struct packet direct;
	struct talk talk;

	/* every port the client may get towards the backend is in use */
	for (uint32_t i = 0; i < SMALL_PORTS; i++) {
		const struct fl_port_range *range =
			&t->p->config.live.snat[i >= t->p->config.live.snat[0].count];
		uint32_t at =
			i - (range == t->p->config.live.snat ? 0 : t->p->config.live.snat[0].count);

		talk = talk_from(t, CLIENT_HOST, (uint16_t)(range->first + at), t->to);
		talk_establish(&talk);
	}
	talk = talk_begin(t);
	talk_bring_to(&talk, moment->state);
	direct = talk.inner;
	direct.flags = SYN;
	feed(t, &direct);
	expect_untouched(t);
	expect_no_flow(t, &direct);
	expect_flows(t, SMALL_PORTS + !ended);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, ended);
}

static const struct moment moments[] = {
	{ROW("of a flow that begins"), FL_FLOW_NEW},
	{ROW("of an established flow"), FL_FLOW_ESTABLISHED},
};

/* Behind an address of ours there is no client that could ask the backend itself: it is neither
 * given a flow, nor does it end the one whose source port it pretends to have. */
static void our_own_source_is_no_direct_connection(struct trial *t)
{
	const struct moment *moment = t->row;
	struct talk talk = talk_begin(t);
	struct packet forged;

	talk_bring_to(&talk, moment->state);
	/* as if other flows had that backend, which sees their clients' addresses */
	memset(t->p->maps.filter, 0xff, t->p->maps.n_filter * sizeof(*t->p->maps.filter));
	forged = talk.inner;
	forged.flags = SYN;
	forged.dst_mac = t->p->net->mac[DEV_EXT0];
	feed(t, &forged);
	expect_untouched(t);
	talk_expect_state(&talk, moment->state);
	expect_flows(t, 1);
}

/* What goes straight to a backend and meets an original, not a reply, is no such thing. */
static void reverse_of_an_original_is_left_alone(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet packet;

	talk_establish(&talk);
	packet = packet_reverse(&talk.client);
	packet.flags = SYN;
	feed(t, &packet);
	expect_untouched(t);
	expect_flows(t, 1);
	talk_expect_both(&talk);
}

static const struct test tests[] = {
	{"a direct connection ends a flow that is over",
	 CHECK(direct_connection_ends_a_flow_that_is_over), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = IN(AT_POD), ROWS(openings)},
	{"beside a flow that lives it gets another source port",
	 CHECK(direct_connection_beside_a_flow), .hooks = ON_INGRESS, .networks = IN(AT_POD),
	 .frontends = EVERY_FRONTEND},
	{"so it does after FINs of both ends", CHECK(direct_connection_after_both_fins),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = IN(AT_POD),
	 .frontends = EVERY_FRONTEND},
	{"without a port for it, it passes as it is",
	 CHECK(direct_connection_without_a_port_passes), .hooks = ON_INGRESS,
	 .networks = IN(AT_POD), .plane = PLANE_SMALL, ROWS(without_a_port)},
	{"D6: what has our own address as its source is no direct connection",
	 CHECK(our_own_source_is_no_direct_connection), .hooks = ON_NETWORK, ROWS(moments)},
	{"the mirror image of a client's packet is no direct connection",
	 CHECK(reverse_of_an_original_is_left_alone), .hooks = ON_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX)},
};

const struct topic direct_topic = {"direct", TESTS(tests)};
