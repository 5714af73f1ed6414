/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 6.1.9, 10.14: what is written about objects, how often, and what becomes of it when it cannot be
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "lb/base/cleanup.h"
#include "lb/kube/events.h"
#include "tests/unit/kube/server_fixture.h"

#define SERVICES "/api/v1/namespaces/default/services?fieldSelector=metadata.name%3Dweb"
#define EVENTS "/apis/events.k8s.io/v1/namespaces/default/events"
#define FOUND(uid) "{\"kind\":\"ServiceList\",\"items\":[{\"metadata\":{\"uid\":\"" uid "\"}}]}"
#define STATUS(code, why) "{\"kind\":\"Status\",\"code\":" code ",\"message\":\"" why "\"}"

struct scene {
	struct fake_server server;
	struct fl_kube_access access;
	struct fl_kube_client *client;
	struct fl_kube_events *events;
	struct fl_mono now;
};

static const struct fl_kube_event on_service = {
	.kind = "Service",
	.ns = "default",
	.name = "web",
	.warning = true,
	.reason = "FailedToStartServiceHealthcheck",
	.action = "Listen",
	.note = "cannot listen on \"x\"",
};
static const struct fl_kube_event on_node = {
	.kind = "Node",
	.ns = "",
	.name = "node-1",
	.reason = "Starting",
	.action = "StartKubeProxy",
	.note = "it starts",
};

static struct fl_mono hands_mono(void *arg)
{
	return ((struct scene *)arg)->now;
}

/* 2023-11-14T22:13:20Z, and on */
static int64_t hands_unix_ns(void *arg)
{
	return 1700000000000000000 + (int64_t)((struct scene *)arg)->now.ns;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct fl_kube_events_options options = {.node = "node-1"};

	assert_non_null(s);
	signal(SIGPIPE, SIG_IGN);
	fake_open(&s->server);
	s->access.server = strdup(s->server.url);
	assert_int_equal(fl_kube_client_new(&s->access, &s->client, NULL), 0);
	options.client = s->client;
	options.clock = (struct fl_clock){.mono = hands_mono, .unix_ns = hands_unix_ns, .arg = s};
	assert_int_equal(fl_kube_events_new(&options, &s->events), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	fl_kube_events_free(&s->events);
	fl_kube_client_free(&s->client);
	fl_kube_access_fini(&s->access);
	fake_close(&s->server);
	free(s);
	return 0;
}

static void wait_s(struct scene *s, unsigned int seconds)
{
	s->now = fl_mono_plus_ms(s->now, seconds * 1000ULL);
}

static void turn(struct scene *s)
{
	fake_turn(&s->server, fl_kube_client_fd(s->client), 20);
	fl_kube_client_handle(s->client);
}

/* The request with this in it. */
static struct fake_connection *asked(struct scene *s, const char *what)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);
	struct fake_connection *c;

	fl_kube_events_tick(s->events);
	while (!(c = fake_asked(&s->server, what))) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("no request with %s; the last one: %s", what, s->server.last);
		turn(s);
	}
	return c;
}

/* Until the request is over: another one may have begun then. */
static void wait_for_the_end(struct scene *s)
{
	const unsigned int requests = s->server.requests;
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);

	while (fl_kube_events_busy(s->events) && s->server.requests == requests) {
		assert_true(fl_mono_now().ns < until.ns);
		turn(s);
	}
}

static void answer(struct scene *s, struct fake_connection *c, const char *status, const char *body)
{
	fake_answer(c, status, "", body);
	wait_for_the_end(s);
}

static void expect(const struct fake_connection *c, const char *what)
{
	if (!strstr(c->request, what))
		fail_msg("no %s in %s", what, c->request);
}

static void expect_quiet(struct scene *s)
{
	const unsigned int before = s->server.requests;

	fl_kube_events_tick(s->events);
	for (int i = 0; i < 3; i++)
		turn(s);
	assert_int_equal(s->server.requests, before);
}

static void write_one(struct scene *s)
{
	answer(s, asked(s, "GET " SERVICES), "200 OK", FOUND("u-1"));
	answer(s, asked(s, "POST " EVENTS " "), "201 Created", "{}");
}

/* 10.14: as the API has it */
static void test_10_14_an_event_of_the_node(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_events_add(s->events, &on_node);
	c = asked(s, "POST " EVENTS " ");
	expect(c, "Content-Type: application/json\r\n");
	expect(c, "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{\"name\":"
		  "\"node-1.17979cfe362a0000\",\"namespace\":\"default\"},"
		  "\"eventTime\":\"2023-11-14T22:13:20.000000Z\",\"type\":\"Normal\","
		  "\"reason\":\"Starting\",\"action\":\"StartKubeProxy\",\"note\":\"it starts\","
		  "\"reportingController\":\"fairlead.dev/fairleadd\","
		  "\"reportingInstance\":\"fairleadd-node-1\","
		  "\"regarding\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"node-1\","
		  "\"uid\":\"node-1\"}}");
	answer(s, c, "201 Created", "{}");
	assert_int_equal(fl_kube_events_count(s->events).written, 1);
	expect_quiet(s);
}

/* 6.1.9: with the uid of the Service that is there */
static void test_6_1_9_an_event_of_a_service(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_events_add(s->events, &on_service);
	answer(s, asked(s, "GET " SERVICES), "200 OK", FOUND("u-1"));
	c = asked(s, "POST " EVENTS " ");
	expect(c, "\"type\":\"Warning\",\"reason\":\"FailedToStartServiceHealthcheck\","
		  "\"action\":\"Listen\",\"note\":\"cannot listen on \\\"x\\\"\"");
	expect(c, "\"name\":\"web\",\"namespace\":\"default\",\"uid\":\"u-1\"}}");
	answer(s, c, "201 Created", "{}");
	assert_null(fl_kube_events_trouble(s->events));
}

static void test_no_event_of_a_service_that_is_gone(void **state)
{
	struct scene *s = *state;

	fl_kube_events_add(s->events, &on_service);
	answer(s, asked(s, "GET " SERVICES), "200 OK", "{\"kind\":\"ServiceList\",\"items\":[]}");
	expect_quiet(s);
	assert_int_equal(fl_kube_events_count(s->events).written, 0);
	/* nor of one whose name could be none in a cluster */
	fl_kube_events_add(s->events, &(struct fl_kube_event){.kind = "Service",
							      .ns = "..",
							      .name = "a/b",
							      .reason = "R",
							      .action = "A",
							      .note = ""});
	expect_quiet(s);
}

/* What happens again is a series of one Event: at once the first time, then every six minutes. */
static void test_series(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_events_add(s->events, &on_service);
	write_one(s);
	wait_s(s, 5);
	fl_kube_events_add(s->events, &on_service);
	answer(s, asked(s, "GET " SERVICES), "200 OK", FOUND("u-1"));
	c = asked(s, "PATCH " EVENTS "/web.17979cfe362a0000 ");
	expect(c, "Content-Type: application/merge-patch+json\r\n");
	expect(c, "\r\n\r\n{\"series\":{\"count\":2,"
		  "\"lastObservedTime\":\"2023-11-14T22:13:25.000000Z\"}}");
	answer(s, c, "200 OK", "{}");
	for (int i = 0; i < 10; i++) {
		fl_kube_events_add(s->events, &on_service);
		expect_quiet(s);
		wait_s(s, 30);
	}
	wait_s(s, 60);
	answer(s, asked(s, "GET " SERVICES), "200 OK", FOUND("u-1"));
	c = asked(s, "PATCH " EVENTS "/web.17979cfe362a0000 ");
	expect(c, "\"count\":12,");
	/* the server has forgotten it: a new one, of all that is known */
	answer(s, c, "404 Not Found", STATUS("404", "no such Event"));
	answer(s, asked(s, "GET " SERVICES), "200 OK", FOUND("u-1"));
	expect(asked(s, "POST " EVENTS " "), "\"series\":{\"count\":12,");
}

/* Another Service of the same name has Events of its own */
static void test_another_service_of_that_name(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_events_add(s->events, &on_service);
	write_one(s);
	wait_s(s, 1);
	fl_kube_events_add(s->events, &on_service);
	answer(s, asked(s, "GET " SERVICES), "200 OK", FOUND("u-2"));
	c = asked(s, "POST " EVENTS " ");
	expect(c, "\"uid\":\"u-2\"");
	assert_null(strstr(c->request, "series"));
}

/* No more than so many, whatever happens; the rest follows one by one */
static void test_rate(void **state)
{
	struct scene *s = *state;
	char name[16];
	struct fl_kube_event event = on_node;

	event.name = name;
	for (int i = 0; i < FL_KUBE_EVENTS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "node-%d", i);
		fl_kube_events_add(s->events, &event);
	}
	assert_int_equal(fl_kube_events_count(s->events).lost, 10);
	for (int i = 0; i < FL_KUBE_EVENTS_BURST; i++)
		answer(s, asked(s, "POST " EVENTS " "), "201 Created", "{}");
	expect_quiet(s);
	wait_s(s, 10);
	answer(s, asked(s, "POST " EVENTS " "), "201 Created", "{}");
	expect_quiet(s);
	/* what was written makes room */
	snprintf(name, sizeof(name), "node-x");
	fl_kube_events_add(s->events, &event);
	assert_int_equal(fl_kube_events_count(s->events).lost, 10);
}

/* A server that is away or refuses holds nothing up, and is not asked all the time */
static void test_refused(void **state)
{
	struct scene *s = *state;

	fl_kube_events_add(s->events, &on_node);
	answer(s, asked(s, "POST " EVENTS " "), "403 Forbidden", STATUS("403", "not you"));
	assert_string_equal(fl_kube_events_trouble(s->events), "HTTP 403: not you");
	expect_quiet(s);
	wait_s(s, 120);
	answer(s, asked(s, "POST " EVENTS " "), "201 Created", "{}");
	assert_null(fl_kube_events_trouble(s->events));
	/* one that can never be taken is not tried twice */
	wait_s(s, 3600);
	fl_kube_events_add(s->events, &on_node);
	answer(s, asked(s, " " EVENTS), "422 Unprocessable Entity", STATUS("422", "no"));
	wait_s(s, 120);
	expect_quiet(s);
	assert_int_equal(fl_kube_events_count(s->events).lost, 1);
}

static void test_unreachable_server_loses_no_event(void **state)
{
	struct scene *s = *state;

	fl_kube_events_add(s->events, &on_node);
	for (int i = 0; i < 10; i++) {
		fake_cut(asked(s, "POST " EVENTS " "));
		wait_for_the_end(s);
		assert_non_null(fl_kube_events_trouble(s->events));
		wait_s(s, 120);
	}
	answer(s, asked(s, "POST " EVENTS " "), "201 Created", "{}");
	assert_int_equal(fl_kube_events_count(s->events).written, 1);
	assert_int_equal(fl_kube_events_count(s->events).lost, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_10_14_an_event_of_the_node),
		T(test_6_1_9_an_event_of_a_service),
		T(test_no_event_of_a_service_that_is_gone),
		T(test_series),
		T(test_another_service_of_that_name),
		T(test_rate),
		T(test_refused),
		T(test_unreachable_server_loses_no_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
