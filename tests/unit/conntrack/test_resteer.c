/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * 7.1 to 7.7: UDP flows and unconnected sockets leave a backend that their frontend does not serve,
 * and no others do; and what looking for them costs. Whether lb/sync says the right thing about
 * frontends is held by tests/unit/sync/test_stale.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "conntrack/resteer.h"
#include "tests/unit/conntrack/table_fixture.h"

#define SOCKET_BUCKETS 4

struct scene {
	struct fixture f;
	struct fl_socket_bucket sockets[SOCKET_BUCKETS];
	struct fl_resteer resteer;
	struct fl_mono now;
	uint64_t step_ns; /* that the clock goes on by, each time it is read */
	/* what is served where: at the frontend's own address and port, and at the node port */
	enum fl_serving own, node_port;
	bool local;   /* node ports are served at the address */
	size_t asked; /* about frontends */
	size_t asked_tcp;
};

static enum fl_serving serving(const struct fl_frontend_key *frontend,
			       const struct fl_addr *backend, __be16 port, void *ctx)
{
	struct scene *s = ctx;

	s->asked++;
	s->asked_tcp += frontend->proto == IPPROTO_TCP;
	assert_int_equal(ntohs(port), 8080);
	return frontend->addr.w[3] ? s->own : s->node_port;
}

static bool has_node_ports(const struct fl_addr *addr, void *ctx)
{
	return ((struct scene *)ctx)->local;
}

static struct fl_mono tick(void *arg)
{
	struct scene *s = arg;

	s->now.ns += s->step_ns;
	return s->now;
}

static const struct fl_resteer_ops ops = {serving, has_node_ports};
static struct fl_clock clock_of_test = {.mono = tick};

static int setup(void **state)
{
	static struct scene s;
	struct fl_maps maps = FL_MAPS_INIT;

	memset(&s, 0, sizeof(s));
	fixture_init(&s.f);
	s.now.ns = FL_NSEC_PER_SEC;
	clock_of_test.arg = &s;
	maps.flows4 = s.f.b4;
	maps.flows6 = s.f.b6;
	maps.n_flows4 = maps.n_flows6 = BUCKETS;
	maps.sockets = s.sockets;
	maps.n_sockets = SOCKET_BUCKETS;
	fl_resteer_init(&s.resteer, &ops, &s, &clock_of_test, &maps);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	fl_resteer_fini(&s->resteer);
	return 0;
}

/* The frontends of the fixture's flows. */
static struct fl_frontend_key frontend_of(enum fl_family family)
{
	struct fl_frontend_key key = {.port = htons(80), .proto = IPPROTO_UDP};

	key.addr = family == FL_IPV6
			   ? v6("fd96::1")
			   : (struct fl_addr){.w = {0, 0, htonl(0xffff), htonl(0x0a600001)}};
	return key;
}

static void touch(struct scene *s, enum fl_family family)
{
	const struct fl_frontend_key key = frontend_of(family);

	fl_resteer_touch(&s->resteer, &key);
}

/* Until there is no more to do now; returns how many slices that took. */
static size_t run(struct scene *s)
{
	size_t n = 1;

	while (fl_resteer_run(&s->resteer))
		n++;
	return n;
}

static void pair(struct scene *s, enum fl_family family, uint32_t slot, uint8_t proto)
{
	fixture_pair(&s->f, &(struct pair){family, slot, slot + 1, proto, FL_FLOW_ESTABLISHED, NOW,
					   NOW, (uint16_t)(1000 + slot)});
}

/* The client's next packet chooses again. */
static bool has_left(struct scene *s, enum fl_family family, uint32_t slot)
{
	return fixture_head(&s->f, family, slot)->flags & FL_FLOW_STALE;
}

static void test_7_3_udp_flows_leave_a_backend_that_is_not_served(void **state)
{
	struct scene *s = *state;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		pair(s, family, 0, IPPROTO_UDP);
		pair(s, family, 6, IPPROTO_TCP);
		s->own = FL_SERVING_NO;
		touch(s, family);
		run(s);
		assert_true(has_left(s, family, 0));
		/* a reply that is under way still gets home */
		assert_false(has_left(s, family, 1));
		assert_int_equal(fixture_state(&s->f, family, 0), FL_FLOW_ESTABLISHED);
		/* 7.8: TCP stays */
		assert_false(has_left(s, family, 6));
		s->now.ns += 5 * FL_NSEC_PER_SEC;
		run(s);
		s->now.ns += 5 * FL_NSEC_PER_SEC;
	}
	assert_int_equal(s->resteer.done.flows, 2); /* each once, though there were four passes */
	assert_int_equal(s->resteer.done.passes, 4);
}

static void touch_tcp(struct scene *s, enum fl_family family)
{
	struct fl_frontend_key key = frontend_of(family);

	key.proto = IPPROTO_TCP;
	fl_resteer_touch(&s->resteer, &key);
}

/* What is over needs no reset; what is not yet answered is balanced again. */
static void test_tcp_flows_of_a_service_that_resets(void **state)
{
	static const struct {
		enum fl_flow_state state;
		bool leaves;
	} rows[] = {
		{FL_FLOW_NEW, true},	     {FL_FLOW_REPLIED, true},
		{FL_FLOW_ESTABLISHED, true}, {FL_FLOW_HALF_CLOSED, true},
		{FL_FLOW_TIME_WAIT, false},  {FL_FLOW_CLOSING, false},
	};
	struct scene *s = *state;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			const size_t before = s->resteer.done.resets;

			fixture_pair(&s->f, &(struct pair){family, 4, 5, IPPROTO_TCP, rows[i].state,
							   NOW, NOW, 1004});
			s->own = FL_SERVING_NO;
			touch_tcp(s, family);
			run(s);
			if (has_left(s, family, 4) != rows[i].leaves)
				fail_msg("state %d", rows[i].state);
			assert_false(has_left(s, family, 5));
			assert_int_equal(s->resteer.done.resets - before, rows[i].leaves);
			s->now.ns += 5 * FL_NSEC_PER_SEC;
			run(s);
			s->now.ns += 5 * FL_NSEC_PER_SEC;
		}
	}
	assert_int_equal(s->resteer.done.flows, 0);
}

/* 7.8: TCP connections stay where nobody wants them reset; nor do they cost a question. */
static void test_tcp_flows_stay_otherwise(void **state)
{
	struct scene *s = *state;

	pair(s, FL_IPV4, 2, IPPROTO_TCP);
	s->own = FL_SERVING_NO;
	touch(s, FL_IPV4);
	run(s);
	assert_int_equal(s->asked_tcp, 0);
	assert_false(has_left(s, FL_IPV4, 2));
	s->now.ns += 5 * FL_NSEC_PER_SEC;
	run(s);
	s->now.ns += 5 * FL_NSEC_PER_SEC;
	/* of a Service that keeps them */
	s->own = FL_SERVING_ANY;
	fl_resteer_touch(&s->resteer, NULL);
	run(s);
	assert_int_equal(s->asked_tcp, 1);
	assert_false(has_left(s, FL_IPV4, 2));
}

/* A Service that is gone: of one that was touched it is known that it resets, else the node's
 * setting says. */
static void test_tcp_flows_of_no_service(void **state)
{
	struct scene *s = *state;

	s->own = s->node_port = FL_SERVING_NO_FRONTEND;
	for (int i = 0; i < 3; i++) {
		pair(s, FL_IPV6, 2, IPPROTO_TCP);
		s->resteer.reset_orphans = i == 2;
		if (i == 1)
			touch_tcp(s, FL_IPV6);
		else
			fl_resteer_touch(&s->resteer, NULL);
		run(s);
		if (has_left(s, FL_IPV6, 2) != (i > 0))
			fail_msg("round %d", i);
		s->now.ns += 5 * FL_NSEC_PER_SEC;
		run(s);
		s->now.ns += 5 * FL_NSEC_PER_SEC;
	}
}

static const struct {
	const char *name;
	enum fl_serving own, node_port;
	bool local, leaves;
} answers[] = {
	{"served", FL_SERVING_YES, FL_SERVING_NO, false, false},
	{"not served", FL_SERVING_NO, FL_SERVING_YES, true, true},
	{"not planned yet", FL_SERVING_UNKNOWN, FL_SERVING_NO, true, false},
	{"no Service", FL_SERVING_NO_FRONTEND, FL_SERVING_NO_FRONTEND, false, true},
	/* 2.12: a node port counts at the node's addresses only */
	{"no Service, but a node port elsewhere", FL_SERVING_NO_FRONTEND, FL_SERVING_YES, false,
	 true},
	{"a node port", FL_SERVING_NO_FRONTEND, FL_SERVING_YES, true, false},
	{"a node port that serves others", FL_SERVING_NO_FRONTEND, FL_SERVING_NO, true, true},
	{"a node port that is gone", FL_SERVING_NO_FRONTEND, FL_SERVING_NO_FRONTEND, true, true},
	{"a node port not planned yet", FL_SERVING_NO_FRONTEND, FL_SERVING_UNKNOWN, true, false},
};

static void test_what_the_frontend_serves_decides(void **state)
{
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
			pair(s, family, 2, IPPROTO_UDP);
			s->own = answers[i].own;
			s->node_port = answers[i].node_port;
			s->local = answers[i].local;
			touch(s, family);
			run(s);
			if (has_left(s, family, 2) != answers[i].leaves)
				fail_msg("%s, family %d", answers[i].name, family);
			s->now.ns += 5 * FL_NSEC_PER_SEC;
		}
	}
}

/* Where a node port is touched, its flows are those to the node's addresses. */
static void test_a_node_port_is_touched(void **state)
{
	struct scene *s = *state;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		struct fl_frontend_key any = frontend_of(family);

		memset(&any.addr, 0, sizeof(any.addr));
		if (family == FL_IPV4)
			any.addr.w[2] = htonl(0xffff);
		pair(s, family, 2, IPPROTO_UDP);
		s->own = FL_SERVING_NO_FRONTEND;
		s->node_port = FL_SERVING_NO;
		s->local = true;
		fl_resteer_touch(&s->resteer, &any);
		run(s);
		assert_true(has_left(s, family, 2));
		s->now.ns += 5 * FL_NSEC_PER_SEC;
	}
}

static void test_only_flows_of_touched_frontends_are_judged(void **state)
{
	struct fl_frontend_key other = frontend_of(FL_IPV4);
	struct scene *s = *state;

	pair(s, FL_IPV4, 0, IPPROTO_UDP);
	pair(s, FL_IPV6, 0, IPPROTO_UDP);
	s->own = FL_SERVING_NO;
	other.addr.w[3]++;
	fl_resteer_touch(&s->resteer, &other);
	other = frontend_of(FL_IPV4);
	other.port++;
	fl_resteer_touch(&s->resteer, &other);
	run(s);
	assert_int_equal(s->asked, 0);
	assert_false(has_left(s, FL_IPV4, 0) || has_left(s, FL_IPV6, 0));
	s->now.ns += 5 * FL_NSEC_PER_SEC;
	fl_resteer_touch(&s->resteer, NULL);
	run(s);
	assert_true(has_left(s, FL_IPV4, 0) && has_left(s, FL_IPV6, 0));
}

/* A client that talks to a backend directly has none of ours. */
static void test_direct_flows_are_left_alone(void **state)
{
	struct scene *s = *state;

	pair(s, FL_IPV4, 0, IPPROTO_UDP);
	fl_flow_set_backend(fixture_head(&s->f, FL_IPV4, 0), 0);
	s->own = FL_SERVING_NO_FRONTEND;
	fl_resteer_touch(&s->resteer, NULL);
	run(s);
	assert_false(has_left(s, FL_IPV4, 0));
}

static struct fl_socket_record *add_socket(struct scene *s, size_t slot, enum fl_socket_kind kind,
					   uint8_t proto)
{
	const struct fl_socket_table table = {s->sockets, SOCKET_BUCKETS};
	struct fl_socket_record *socket = fl_socket_at(&table, slot);
	const struct fl_frontend_key frontend = frontend_of(FL_IPV4);

	*socket = (struct fl_socket_record){
		.word = fl_socket_word(7U << FL_SOCKET_GENERATION_SHIFT, FL_SOCKET_USED),
		.cookie = slot,
		.frontend = frontend.addr,
		.frontend_port = frontend.port,
		.backend = {.w = {0, 0, htonl(0xffff), htonl(0x0a010009)}},
		.backend_port = htons(8080),
		.backend_id = 7,
		.backend_generation = 3,
		.proto = proto,
		.kind = (uint8_t)kind,
	};
	return socket;
}

static void test_unconnected_sockets_choose_again(void **state)
{
	static const struct {
		enum fl_socket_kind kind;
		uint8_t proto;
		bool leaves;
	} rows[] = {
		{FL_SOCKET_SENDS, IPPROTO_UDP, true},
		/* what is shown stays, for replies that are under way */
		{FL_SOCKET_SHOWS, IPPROTO_UDP, false},
		{FL_SOCKET_CONNECTED, IPPROTO_UDP, false},
		{FL_SOCKET_CONNECTED, IPPROTO_TCP, false},
	};
	struct fl_socket_record *sockets[sizeof(rows) / sizeof(rows[0])];
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		sockets[i] = add_socket(s, 3 * i, rows[i].kind, rows[i].proto);
	s->own = FL_SERVING_YES;
	touch(s, FL_IPV4);
	run(s);
	assert_int_equal(s->resteer.done.sockets, 0);
	s->now.ns += 5 * FL_NSEC_PER_SEC;
	s->own = FL_SERVING_NO;
	touch(s, FL_IPV4);
	run(s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(sockets[i]->word & FL_SOCKET_STATE_MASK,
				 rows[i].leaves ? FL_SOCKET_FREE : FL_SOCKET_USED);
	assert_int_equal(s->resteer.done.sockets, 1);
	/* the generation went on, so that a program that reads it now sees that */
	assert_int_equal(sockets[0]->word >> FL_SOCKET_GENERATION_SHIFT, 9);
}

/* Connected sockets cannot choose again by themselves: it is written that they have to. */
static void test_connected_sockets_have_to_leave(void **state)
{
	static const struct {
		enum fl_serving serving;
		bool leaves;
	} steps[] = {
		{FL_SERVING_YES, false},	/* as it is */
		{FL_SERVING_NO, true},		/* 7.3 */
		{FL_SERVING_UNKNOWN, true},	/* says nothing */
		{FL_SERVING_YES, false},	/* served again */
		{FL_SERVING_NO_FRONTEND, true}, /* 7.7 */
	};
	struct scene *s = *state;
	const struct fl_socket_table table = {s->sockets, SOCKET_BUCKETS};
	const struct fl_socket_record *udp = add_socket(s, 1, FL_SOCKET_CONNECTED, IPPROTO_UDP),
				      *tcp = add_socket(s, 2, FL_SOCKET_CONNECTED, IPPROTO_TCP);
	struct fl_socket_record copy;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		s->own = steps[i].serving;
		touch(s, FL_IPV4);
		run(s);
		s->now.ns += 5 * FL_NSEC_PER_SEC;
		run(s);
		s->now.ns += 5 * FL_NSEC_PER_SEC;
		assert_true(fl_socket_copy(&table, 1, &copy));
		assert_int_equal(fl_socket_is_stale(&copy), steps[i].leaves);
		assert_int_equal(fl_sockets_stale_count(&table), steps[i].leaves);
	}
	assert_int_equal(s->resteer.done.connected, 2);
	assert_int_equal(udp->word & FL_SOCKET_STATE_MASK, FL_SOCKET_USED);
	assert_int_equal(tcp->stale, 0); /* 7.8 */
}

/* Its place is another socket's by the time that it is marked. */
static void test_a_mark_is_for_one_association(void **state)
{
	struct scene *s = *state;
	const struct fl_socket_table table = {s->sockets, SOCKET_BUCKETS};
	struct fl_socket_record *socket = add_socket(s, 0, FL_SOCKET_CONNECTED, IPPROTO_UDP), copy;

	assert_true(fl_socket_copy(&table, 0, &copy));
	socket->word = fl_socket_word(socket->word, FL_SOCKET_USED);
	fl_socket_set_stale(&table, 0, &copy, true);
	assert_true(fl_socket_copy(&table, 0, &copy));
	assert_false(fl_socket_is_stale(&copy));
	assert_int_equal(fl_sockets_stale_count(&table), 0);
}

/* Sockets of the node ask node ports at loopback addresses too (2.16). */
static void test_node_ports_at_loopback(void **state)
{
	static const struct {
		struct fl_addr addr;
		bool leaves;
	} rows[] = {
		{{.w = {0, 0, 0xffff0000, 0x0100007f}}, false}, /* ::ffff:127.0.0.1 */
		{{.w = {0, 0, 0, 0x01000000}}, false},		/* ::1 */
		{{.w = {0, 0, 0xffff0000, 0x0100007e}}, true},
		{{.w = {0, 0, 0, 0x02000000}}, true},
	};
	struct scene *s = *state;

	s->own = FL_SERVING_NO_FRONTEND;
	s->node_port = FL_SERVING_YES;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_socket_record *socket = add_socket(s, i, FL_SOCKET_SENDS, IPPROTO_UDP);

		socket->frontend = rows[i].addr;
	}
	fl_resteer_touch(&s->resteer, NULL);
	run(s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal((s->sockets[0].way[i].word & FL_SOCKET_STATE_MASK) ==
					 FL_SOCKET_FREE,
				 rows[i].leaves);
}

/* A program that had begun before the change writes its flow behind the first pass. */
static void test_a_flow_that_comes_behind_a_pass(void **state)
{
	struct scene *s = *state;

	s->own = FL_SERVING_NO;
	touch(s, FL_IPV4);
	run(s);
	pair(s, FL_IPV4, 0, IPPROTO_UDP);
	s->now.ns += FL_TOUCHED_GRACE_MS * FL_NSEC_PER_MSEC;
	run(s);
	assert_true(has_left(s, FL_IPV4, 0));
	assert_int_equal(s->resteer.done.passes, 2);
	/* then nothing is looked at any more */
	s->now.ns += 100 * FL_NSEC_PER_SEC;
	run(s);
	assert_int_equal(s->resteer.done.passes, 2);
}

/* Twenty changes a second, each read of the clock 4 ms after the other: a tenth of the time at
 * most. */
static void test_passes_take_a_tenth_of_the_time(void **state)
{
	struct scene *s = *state;
	const uint64_t begin = s->now.ns;

	s->own = FL_SERVING_YES;
	s->step_ns = 4 * FL_NSEC_PER_MSEC;
	while (s->now.ns < begin + 20 * FL_NSEC_PER_SEC) {
		const uint64_t next = s->now.ns + 50 * FL_NSEC_PER_MSEC;

		touch(s, FL_IPV4);
		while (s->now.ns < next)
			run(s);
	}
	assert_true(s->resteer.done.passes > 20);
	assert_true(s->resteer.done.ns * 10 <= s->now.ns - begin);
}

/*
 * However long passes take: a change is judged by the end of the pass that begins a second after
 * the one that was under way, for which it came too late.
 */
static void test_a_change_is_judged_within_a_rest_and_two_passes(void **state)
{
	static const uint64_t pass_ms[] = {1, 20, 100, 500, 3000};
	struct scene *s = *state;

	s->own = FL_SERVING_YES;
	for (size_t i = 0; i < sizeof(pass_ms) / sizeof(pass_ms[0]); i++) {
		const uint64_t bound_ms = FL_RESTEER_REST_MS + 2 * pass_ms[i];
		uint64_t changed, waited_ms;
		size_t passes;

		s->now.ns += 60 * FL_NSEC_PER_SEC;
		s->step_ns = 0;
		while (fl_touched_count(&s->resteer.touched)) {
			run(s);
			s->now.ns += FL_NSEC_PER_SEC;
		}
		s->resteer.done.longest_ns = 0;
		/* a pass, which takes as long as it is between two looks at the clock */
		touch(s, FL_IPV4);
		s->step_ns = pass_ms[i] * FL_NSEC_PER_MSEC;
		run(s);
		s->step_ns = 0;
		/* just after it has begun, which is the worst moment */
		changed = s->now.ns - pass_ms[i] * FL_NSEC_PER_MSEC;
		fl_touched_add(&s->resteer.touched, &(struct fl_frontend_key){.proto = IPPROTO_UDP},
			       (struct fl_mono){changed});
		/* the next one begins as soon as it may */
		passes = s->resteer.done.passes;
		while (s->now.ns < s->resteer.rest.ns) {
			assert_false(fl_resteer_run(&s->resteer));
			assert_int_equal(s->resteer.done.passes, passes);
			s->now.ns += FL_NSEC_PER_MSEC;
		}
		s->step_ns = pass_ms[i] * FL_NSEC_PER_MSEC;
		s->now.ns -= s->step_ns; /* it looks at the clock once to begin */
		run(s);
		assert_int_equal(s->resteer.done.passes, passes + 1);
		waited_ms = (s->now.ns - changed) / FL_NSEC_PER_MSEC;
		if (waited_ms > bound_ms)
			fail_msg("%llu ms, with passes of %llu ms", (unsigned long long)waited_ms,
				 (unsigned long long)pass_ms[i]);
		assert_int_equal(s->resteer.done.longest_ns / FL_NSEC_PER_MSEC, waited_ms);
	}
}

/* Changes that come faster than passes do not hide how long the first of them has waited. */
static void test_the_delay_is_that_of_the_first_change(void **state)
{
	struct scene *s = *state;

	s->own = FL_SERVING_YES;
	touch(s, FL_IPV4);
	run(s);
	for (int i = 0; i < 4; i++) {
		touch(s, FL_IPV4);
		s->now.ns += 10 * FL_NSEC_PER_MSEC;
	}
	s->now.ns += 60 * FL_NSEC_PER_MSEC;
	run(s);
	assert_int_equal(s->resteer.done.passes, 2);
	assert_int_equal(s->resteer.done.longest_ns, 100 * FL_NSEC_PER_MSEC);
}

/* A table that is larger than a slice is judged in several, whole. */
static void test_a_large_table_is_judged_in_slices(void **state)
{
	const size_t n = 1 << 16;
	struct fl_bucket4 *buckets = calloc(n, sizeof(*buckets));
	struct scene *s = *state;

	assert_non_null(buckets);
	pair(s, FL_IPV4, 0, IPPROTO_UDP);
	for (size_t i = 0; i < n; i += 1000)
		buckets[i] = s->f.b4[0];
	s->resteer.flows.flows4 = buckets;
	s->resteer.flows.n_flows4 = n;
	s->own = FL_SERVING_NO;
	touch(s, FL_IPV4);
	assert_true(run(s) > 3);
	for (size_t i = 0; i < n; i += 1000)
		assert_true(buckets[i].way[0].head.flags & FL_FLOW_STALE);
	assert_int_equal(s->resteer.done.flows, n / 1000 + 1);
	free(buckets);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_7_3_udp_flows_leave_a_backend_that_is_not_served),
		TEST(test_tcp_flows_of_a_service_that_resets),
		TEST(test_tcp_flows_stay_otherwise),
		TEST(test_tcp_flows_of_no_service),
		TEST(test_what_the_frontend_serves_decides),
		TEST(test_a_node_port_is_touched),
		TEST(test_only_flows_of_touched_frontends_are_judged),
		TEST(test_direct_flows_are_left_alone),
		TEST(test_unconnected_sockets_choose_again),
		TEST(test_connected_sockets_have_to_leave),
		TEST(test_a_mark_is_for_one_association),
		TEST(test_node_ports_at_loopback),
		TEST(test_a_flow_that_comes_behind_a_pass),
		TEST(test_passes_take_a_tenth_of_the_time),
		TEST(test_a_change_is_judged_within_a_rest_and_two_passes),
		TEST(test_the_delay_is_that_of_the_first_change),
		TEST(test_a_large_table_is_judged_in_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
