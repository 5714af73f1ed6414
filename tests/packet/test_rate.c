// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Token buckets for new flows and for ICMP answers. The clock is the kernel's: time passes in the
 * tests by moving the bucket's stamp, and what really passes meanwhile is allowed for.
 */
#include "tests/packet/packet.h"
#include "tests/packet/tunnel.h"

/* What is limited. */
struct limit {
	enum rate rate;
	uint32_t per_second;
	enum fl_reason refused; /* counted for what is above the limit */
	uint32_t allowed;	/* and below it */
};

static const struct limit flow_limit = {RATE_NEW_FLOW, NEW_FLOW_RATE, FL_REASON_NEW_FLOW_RATE,
					FL_COUNTER_FLOW_NEW};
static const struct limit answer_limit = {RATE_REJECT, REJECT_RATE, FL_REASON_REJECT_RATE,
					  FL_REASON_REJECT_NO_ENDPOINT};

/* Each object has buckets of its own. */
static enum fl_bpf_object_id object_of(const struct trial *t)
{
	return t->hook == HOOK_XDP ? FL_OBJECT_XDP : FL_OBJECT_TC;
}

static void set_bucket(struct trial *t, const struct limit *limit, uint32_t stamp, uint32_t tokens)
{
	plane_rate_set(t->p, object_of(t), limit->rate,
		       (struct rate_bucket){.stamp = stamp, .parts = tokens * t->p->config.hz});
}

/* New packets of `n` more flows; returns how many were let through. */
static uint32_t more(struct trial *t, const struct limit *limit, uint32_t n, uint16_t *port)
{
	uint32_t passed = 0;

	/* the plane's tables are small, and which flows come through is a matter of time */
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
	for (uint32_t i = 0; i < n; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, (*port)++);

		if (feed(t, &packet) == DROPPED) {
			expect_drop(t, limit->refused);
			expect_no_flow(t, &packet);
		} else {
			expect_outcome(t, SENT);
			passed++;
		}
	}
	return passed;
}

/* What is answered with an ICMP error, and nothing is remembered of. */
struct answered {
	struct row row;
	bool no_endpoint;
	uint16_t other_port; /* than the Service's */
	uint8_t ttl;
	uint32_t counted;
};

static const struct answered answered[] = {
	{ROW("no endpoint"), true, 0, 64, FL_REASON_REJECT_NO_ENDPOINT},
	{ROW("unknown port"), false, 1, 64, FL_REASON_REJECT_UNKNOWN_PORT},
	{ROW("no hop left", .hooks = ON_NETWORK), false, 0, 1, FL_REASON_TTL_EXCEEDED},
};

/* Tokens that come by themselves while a test runs, and one for the fraction at its beginning. */
static uint32_t extra(struct trial *t, const struct limit *limit, uint32_t since)
{
	return (plane_now(t->p) - since) * limit->per_second / t->p->config.hz + 1;
}

struct bucket {
	struct row row;
	uint32_t tokens, ago_s; /* seconds since the last refill */
	bool full;		/* a second's worth must come through, otherwise the tokens */
};

static const struct bucket buckets[] = {
	{ROW("empty"), 0, 0, false},
	{ROW("three tokens"), 3, 0, false},
	{ROW("a second later"), 0, 1, true},
	{ROW("a hundred seconds later: no more"), 0, 100, true},
	{ROW("nearly full, a second later: no more"), 4, 1, true},
};

static void check_bucket(struct trial *t, const struct limit *limit)
{
	const struct bucket *row = t->row;
	uint32_t begin = plane_now(t->p), passed, least;
	uint16_t port = CLIENT_PORT;

	least = row->full ? limit->per_second : row->tokens;
	set_bucket(t, limit, begin - row->ago_s * t->p->config.hz, row->tokens);
	passed = more(t, limit, 30, &port);
	assert_in_range(passed, least, least + extra(t, limit, begin));
	expect_counter(t, limit->allowed, passed);
}

/* Packets that come faster than tokens do: the rate is kept, not nothing. */
static void check_stream(struct trial *t, const struct limit *limit)
{
	uint32_t begin = plane_now(t->p), passed = 0, seconds = 3;
	uint16_t port = CLIENT_PORT;

	set_bucket(t, limit, begin, 0);
	for (uint32_t jiffy = 0; jiffy < seconds * t->p->config.hz; jiffy++) {
		struct rate_bucket bucket = plane_rate_get(t->p, object_of(t), limit->rate);

		bucket.stamp--;
		plane_rate_set(t->p, object_of(t), limit->rate, bucket);
		passed += more(t, limit, 1, &port);
	}
	assert_in_range(passed, seconds * limit->per_second,
			seconds * limit->per_second + extra(t, limit, begin));
	expect_counter(t, limit->allowed, passed);
}

static void new_flows_are_limited(struct trial *t)
{
	check_bucket(t, &flow_limit);
}

static void steady_new_flows_get_their_rate(struct trial *t)
{
	check_stream(t, &flow_limit);
}

static void without_endpoints(struct trial *t)
{
	service_replace(t->p, t->fe,
			(struct service){.id = 1, .family = t->family, .proto = t->proto});
}

static void answers_are_limited(struct trial *t)
{
	without_endpoints(t);
	check_bucket(t, &answer_limit);
}

/* Those of all kinds are taken from the same tokens. */
static void each_answer_takes_a_token(struct trial *t)
{
	const struct answered *row = t->row;
	const uint32_t begin = plane_now(t->p);
	uint32_t passed = 0;

	if (row->no_endpoint)
		without_endpoints(t);
	set_bucket(t, &answer_limit, begin, 3);
	for (uint16_t i = 0; i < 30; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + i);

		packet.dport += row->other_port;
		packet.ttl = row->ttl;
		if (feed(t, &packet) == DROPPED) {
			expect_drop(t, FL_REASON_REJECT_RATE);
		} else {
			expect_outcome(t, SENT);
			passed++;
		}
	}
	assert_in_range(passed, 3, 3 + extra(t, &answer_limit, begin));
	expect_counter(t, row->counted, passed);
	expect_flows(t, 0);
}

static void steady_answers_get_their_rate(struct trial *t)
{
	without_endpoints(t);
	check_stream(t, &answer_limit);
}

static void open_flows_are_not_limited(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	set_bucket(t, &flow_limit, plane_now(t->p), 0);
	for (int i = 0; i < 20; i++)
		talk_expect_both(&talk);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

#define LIMITED .plane = PLANE_LIMITED

/* Flows of clients that talk to a backend directly are new flows like others. */
static void direct_flows_are_limited(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet direct;

	talk_establish(&talk);
	plane_rate_set(t->p, t->hook == HOOK_XDP ? FL_OBJECT_XDP : FL_OBJECT_TC, RATE_NEW_FLOW,
		       (struct rate_bucket){.stamp = plane_now(t->p)});
	direct = talk.inner;
	direct.flags = SYN;
	feed(t, &direct);
	/* not ours to drop */
	expect_untouched(t);
	expect_no_flow(t, &direct);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

/* DSR: what another node has let through counts here as well. */
static void unpacked_flows_are_limited(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct fl_ip peer = addr(t->family, AT_EXT0, 2);
	struct outer outer = outer_came(t, peer, 1);

	peer_add(t, &peer);
	for (int i = 0; i < 2; i++) {
		struct frame frame;

		frame_build(&packet, &frame);
		frame_wrap(&frame, &outer);
		feed_frame(t, t->hook, hook_dev(t->hook), &frame);
		if (!i)
			expect_flow(t, &packet);
		else
			expect_drop(t, FL_REASON_NEW_FLOW_RATE);
		set_bucket(t, &flow_limit, plane_now(t->p), 0);
		packet.sport++;
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

static const struct test tests[] = {
	{"new flows have a rate, of which a second's worth can be saved up",
	 CHECK(new_flows_are_limited), .hooks = ON_INGRESS, LIMITED, ROWS(buckets)},
	{"answers have a rate, of which a second's worth can be saved up",
	 CHECK(answers_are_limited), .hooks = ON_INGRESS | ON_EGRESS, LIMITED, ROWS(buckets)},
	{"D4, D7: every kind of answer counts", CHECK(each_answer_takes_a_token),
	 .hooks = ON_INGRESS, LIMITED, ROWS(answered)},
	{"a steady stream of new flows gets its rate", CHECK(steady_new_flows_get_their_rate),
	 .protos = ONLY_UDP, .hooks = ON_INGRESS, LIMITED},
	{"a steady stream of rejected packets gets its answers",
	 CHECK(steady_answers_get_their_rate), .protos = ONLY_UDP, .hooks = ON_INGRESS, LIMITED},
	{"open flows are not limited", CHECK(open_flows_are_not_limited), .hooks = ON_INGRESS,
	 LIMITED},
	{"the limit of new flows holds for direct ones as well", CHECK(direct_flows_are_limited),
	 .hooks = ON_INGRESS, .networks = IN(AT_POD), .plane = PLANE_LIMITED,
	 .scene = {.keep_source = true}},
	{"and for those that another node has sent on", CHECK(unpacked_flows_are_limited),
	 .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD), LIMITED},
};

const struct topic rate_topic = {"rates", TESTS(tests)};
