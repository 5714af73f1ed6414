// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rule 2.24, robustness D10: a ping of a Service's address is answered, once and as large as it
 * came; RFC 792, 4443. */
#include "tests/packet/packet.h"

#include <string.h>

#define EVERY_HOOK (ON_INGRESS | ON_EGRESS)

/* From the trial's client to the frontend's address. */
static struct packet ping_of(const struct trial *t)
{
	struct packet ping = packet_of(t);

	if (ON_EGRESS & 1 << t->hook) {
		/* of the node's, or of a pod's, on its way out */
		ping.src = addr(t->family, AT_POD, 3);
		ping.src_mac = t->p->net->mac[hook_dev(t->hook)];
		ping.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	}
	ping.payload = 56;
	return ping;
}

static void feed_ping(struct trial *t, const struct packet *ping)
{
	struct frame frame;

	frame_build_echo(ping, false, &frame);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

#define expect_echo(t, ping) do_expect_echo(AT_LINE(t), ping)
static void do_expect_echo(struct trial *t, const struct packet *ping)
{
	struct packet back = packet_reverse(ping);
	struct frame frame;

	back.src_mac = ping->dst_mac;
	back.dst_mac = ping->src_mac;
	back.ttl = 64;
	frame_build_echo(&back, true, &frame);
	do_expect_sent_frame(t, hook_dev(t->hook), &frame);
}

/* A cluster IP is every node's; another address is answered for only where the network says that
 * it is here. */
static bool is_answered(const struct trial *t, enum fl_frontend_type type)
{
	return type == FL_FRONTEND_CLUSTER_IP ||
	       (type != FL_FRONTEND_NODE_PORT && ON_NETWORK & 1 << t->hook);
}

struct size {
	struct row row;
	uint16_t payload;
	uint8_t ttl;
};

static const struct size sizes[] = {
	{ROW("56 bytes"), 56, 64},   {ROW("nothing"), 0, 64},
	{ROW("1 byte"), 1, 64},	     {ROW("1400 bytes"), 1400, 64},
	{ROW("the last hop"), 8, 1}, {ROW("no fewer hops than an answer has"), 8, 255},
};

static void ping_is_answered(struct trial *t)
{
	const struct size *size = t->row;
	struct packet ping = ping_of(t);

	ping.payload = size->payload;
	ping.ttl = size->ttl;
	feed_ping(t, &ping);
	if (!is_answered(t, t->to->type)) {
		expect_untouched(t);
		expect_counter(t, FL_COUNTER_ECHO, 0);
		return;
	}
	expect_echo(t, &ping);
	expect_counter(t, FL_COUNTER_ECHO, 1);
	expect_flows(t, 0);
}

static void no_answer_when_switched_off(struct trial *t)
{
	struct packet ping = ping_of(t);

	feed_ping(t, &ping);
	expect_untouched(t);
}

struct place {
	struct row row;
	enum network network;
	unsigned int host;
};

static const struct place places[] = {
	{ROW("of this node"), AT_EXT0, 1}, {ROW("of another device of it"), AT_EXT1, 1},
	{ROW("of a backend"), AT_TX, 1},   {ROW("of no service"), AT_SERVICE, 11},
	{ROW("of nobody"), AT_FOREIGN, 1},
};

static void other_addresses_are_left_alone(struct trial *t)
{
	const struct place *place = t->row;
	struct packet ping = ping_of(t);

	ping.dst = addr(t->family, place->network, place->host);
	feed_ping(t, &ping);
	expect_untouched(t);
}

/* An external IP that is also an address of the node: its stack answers. */
static void own_address_is_left_to_the_stack(struct trial *t)
{
	struct packet ping = ping_of(t);

	local_add(t->p, &ping.dst, FL_LOCAL_NODE);
	feed_ping(t, &ping);
	expect_untouched(t);
}

/* The answer would be for another balancer, or for this one. */
static void frontends_are_not_answered(struct trial *t)
{
	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		struct packet ping = ping_of(t);

		ping.src = t->fe[i].ip;
		feed_ping(t, &ping);
		/* on its way out, from the node itself */
		if (t->fe[i].type == FL_FRONTEND_NODE_PORT && ON_EGRESS & 1 << t->hook)
			expect_echo(t, &ping);
		else if (t->fe[i].type == FL_FRONTEND_NODE_PORT)
			expect_untouched(t);
		else
			expect_drop(t, FL_REASON_FRONTEND_SOURCE);
	}
}

struct liar {
	struct row row;
	const char *source;
};

static const struct liar liars[] = {
	{ROW("127.0.0.1", .families = ONLY_IPV4), "127.0.0.1"},
	{ROW("0.0.0.0", .families = ONLY_IPV4), "0.0.0.0"},
	{ROW("224.0.0.1", .families = ONLY_IPV4), "224.0.0.1"},
	{ROW("255.255.255.255", .families = ONLY_IPV4), "255.255.255.255"},
	{ROW("169.254.1.1", .families = ONLY_IPV4), "169.254.1.1"},
	{ROW("::1", .families = ONLY_IPV6), "::1"},
	{ROW("::", .families = ONLY_IPV6), "::"},
	{ROW("ff02::1", .families = ONLY_IPV6), "ff02::1"},
	{ROW("fe80::1", .families = ONLY_IPV6), "fe80::1"},
	{ROW("mapped IPv4", .families = ONLY_IPV6), "192.0.2.10"},
	{ROW("the address that is asked"), NULL},
};

static void impossible_sources_pass(struct trial *t)
{
	const struct liar *liar = t->row;
	struct packet ping = ping_of(t);

	ping.src = liar->source ? ip(liar->source) : ping.dst;
	feed_ping(t, &ping);
	if (liar->source)
		expect_untouched(t);
	else /* D7: the kernel would send it on, perhaps back to us */
		expect_drop(t, FL_REASON_FRONTEND_SOURCE);
}

/* Bytes to write over a ping that would be answered. */
struct change {
	struct row row;
	uint8_t at, len;
	uint8_t bytes[4];
};

static const struct change changes[] = {
	{ROW("to a group of stations", .families = ONLY_IPV4, .hooks = ON_INGRESS), 0, 1, {0x01}},
	{ROW("an option", .families = ONLY_IPV4), 14, 1, {0x46}},
	{ROW("first fragment", .families = ONLY_IPV4), 20, 2, {0x20, 0}},
	{ROW("last fragment", .families = ONLY_IPV4), 20, 2, {0, 7}},
	{ROW("shorter than its header", .families = ONLY_IPV4), 16, 2, {0, 27}},
	{ROW("longer than it is", .families = ONLY_IPV4), 16, 2, {0, 200}},
	{ROW("a reply", .families = ONLY_IPV4), 34, 1, {0}},
	{ROW("asking for the time", .families = ONLY_IPV4), 34, 1, {13}},
	{ROW("to a group of stations", .families = ONLY_IPV6, .hooks = ON_INGRESS), 0, 1, {0x33}},
	{ROW("longer than it is", .families = ONLY_IPV6), 18, 2, {0, 200}},
	{ROW("behind other headers", .families = ONLY_IPV6,
	     .hooks = ON_TC_INGRESS | ON_POD_INGRESS | ON_EGRESS),
	 20,
	 1,
	 {60}},
	{ROW("a reply", .families = ONLY_IPV6), 54, 1, {129}},
	{ROW("a neighbour's question", .families = ONLY_IPV6), 54, 1, {135}},
};

static void what_is_no_ping_passes(struct trial *t)
{
	const struct change *change = t->row;
	struct packet ping = ping_of(t);
	struct frame frame;

	frame_build_echo(&ping, false, &frame);
	frame_write(&frame, change->at, change->bytes, change->len);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_untouched(t);
}

/* Many at once: each its answer, and none is the source of another. */
static void answers_are_not_answered(struct trial *t)
{
	struct packet ping = ping_of(t);
	struct frame answer;

	for (int i = 0; i < 100; i++) {
		feed_ping(t, &ping);
		expect_echo(t, &ping);
		/* as if it came back */
		answer = t->r.out;
		memcpy(answer.b, t->in.b, 6);
		feed_frame(t, t->hook, hook_dev(t->hook), &answer);
		expect_untouched(t);
	}
	expect_counter(t, FL_COUNTER_ECHO, 100);
}

/* Its sum is 0 or 0xffff; receivers, of which the kernel is one, take the latter alone. */
static void zeroes_have_a_sum(struct trial *t)
{
	const uint32_t check = 14 + 20 + 2;
	struct packet ping = ping_of(t), back;
	struct frame frame;

	ping.payload = 0;
	frame_build_echo(&ping, false, &frame);
	memcpy(frame.b + check, (const uint8_t[6]){0xf7, 0xff}, 6);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	back = packet_reverse(&ping);
	back.src_mac = ping.dst_mac;
	back.dst_mac = ping.src_mac;
	back.ttl = 64;
	frame_build_echo(&back, true, &frame);
	memcpy(frame.b + check, (const uint8_t[6]){0xff, 0xff}, 6);
	do_expect_sent_frame(AT_LINE(t), hook_dev(t->hook), &frame);
	expect_counter(t, FL_COUNTER_ECHO, 1);
}

static const struct test tests[] = {
	{"2.24, D10: a ping of a Service's address is answered", CHECK(ping_is_answered),
	 .protos = ONLY_TCP, .hooks = EVERY_HOOK, .frontends = EVERY_FRONTEND, ROWS(sizes)},
	{"2.24: answerEcho: false", CHECK(no_answer_when_switched_off), .protos = ONLY_TCP,
	 .hooks = EVERY_HOOK, .frontends = EVERY_FRONTEND, .plane = PLANE_SMALL},
	{"2.24: no other address is answered for", CHECK(other_addresses_are_left_alone),
	 .protos = ONLY_TCP, .hooks = EVERY_HOOK, ROWS(places)},
	{"2.24: nor one that is the node's own", CHECK(own_address_is_left_to_the_stack),
	 .protos = ONLY_TCP, .hooks = EVERY_HOOK, .frontends = EVERY_FRONTEND},
	{"D7: a ping from a frontend is dropped", CHECK(frontends_are_not_answered),
	 .protos = ONLY_TCP, .hooks = EVERY_HOOK},
	{"D6: one from an address that cannot be is not answered", CHECK(impossible_sources_pass),
	 .protos = ONLY_TCP, .hooks = EVERY_HOOK, ROWS(liars)},
	{"D1: what is not a whole ping passes", CHECK(what_is_no_ping_passes), .protos = ONLY_TCP,
	 .hooks = EVERY_HOOK, ROWS(changes)},
	{"RFC 1071: the answer to a ping of zeroes has a checksum that is right",
	 CHECK(zeroes_have_a_sum), .hooks = EVERY_HOOK, .families = ONLY_IPV4, .protos = ONLY_TCP},
	{"D7: answers are not answered", CHECK(answers_are_not_answered), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS},
};

const struct topic echo_topic = {"echo", TESTS(tests)};
