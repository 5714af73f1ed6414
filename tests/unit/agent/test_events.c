/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which conditions become Events, about what, and that each is documented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "lb/agent/events.h"
#include "lb/base/cleanup.h"
#include "lb/kube/events.h"
#include "tests/unit/kube/server_fixture.h"
#include "tests/golden/golden.h"

#define EVENTS "/apis/events.k8s.io/v1/namespaces/"
#define FOUND "{\"kind\":\"ServiceList\",\"items\":[{\"metadata\":{\"uid\":\"u-1\"}}]}"

struct scene {
	struct fake_server server;
	struct fl_kube_access access;
	struct fl_kube_client *client;
	struct fl_agent_events events;
	struct fl_health *health;
};

static void on_edge(enum fl_health_edge edge, const struct fl_condition *condition,
		    uint64_t lasted_ms, void *arg)
{
	fl_agent_events_edge(&((struct scene *)arg)->events, edge, condition);
}

/* What is asked next is answered well; the connection has it until then. */
static struct fake_connection *asked(struct scene *s, const char *what)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);
	struct fake_connection *c;

	fl_agent_events_tick(&s->events, s->health);
	while (!(c = fake_asked(&s->server, what))) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("no request with %s; the last one: %s", what, s->server.last);
		fake_turn(&s->server, fl_kube_client_fd(s->client), 20);
		fl_kube_client_handle(s->client);
	}
	return c;
}

static void answer(struct scene *s, struct fake_connection *c, const char *status, const char *body)
{
	const unsigned int requests = s->server.requests;
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);

	fake_answer(c, status, "", body);
	while (fl_kube_events_busy(s->events.events) && s->server.requests == requests) {
		assert_true(fl_mono_now().ns < until.ns);
		fake_turn(&s->server, fl_kube_client_fd(s->client), 20);
		fl_kube_client_handle(s->client);
	}
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	signal(SIGPIPE, SIG_IGN);
	fake_open(&s->server);
	s->access.server = strdup(s->server.url);
	assert_int_equal(fl_kube_client_new(&s->access, &s->client, NULL), 0);
	assert_int_equal(fl_health_new(&fl_clock_system, on_edge, s, &s->health), 0);
	assert_int_equal(fl_agent_events_open(&s->events, s->client, "node-1", &fl_clock_system),
			 0);
	answer(s, asked(s, "\"reason\":\"Starting\""), "201 Created", "{}");
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	fl_agent_events_close(&s->events);
	fl_health_free(&s->health);
	fl_kube_client_free(&s->client);
	fl_kube_access_fini(&s->access);
	fake_close(&s->server);
	free(s);
	return 0;
}

/* Subjects as the parts of the agent write them. */
static void test_6_1_9_events_are_about_services(void **state)
{
	static const struct {
		enum fl_condition_kind kind;
		const char *subject, *path, *reason;
	} rows[] = {
		{FL_CONDITION_LISTEN, "health-check 0.0.0.0:30100 default/web", "default/events ",
		 "\"reason\":\"FailedToStartServiceHealthcheck\",\"action\":\"Listen\""},
		{FL_CONDITION_CONFLICT, "TCP *:30080 (IPv4) shop/web:http", "shop/events ",
		 "\"reason\":\"FrontendTaken\""},
		{FL_CONDITION_REFUSED, "shop/web port \"http\" (IPv6)", "shop/events ",
		 "\"reason\":\"ServiceNotProgrammed\""},
		{FL_CONDITION_SYNC, "b/web", "b/events ", "\"reason\":\"ServiceNotProgrammed\""},
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_connection *c;
		char what[200];

		fl_health_set(s->health, rows[i].kind, rows[i].subject, FL_HEALTH_ERROR,
			      "the words of %s", rows[i].subject);
		answer(s, asked(s, "services?fieldSelector=metadata.name%3Dweb "), "200 OK", FOUND);
		snprintf(what, sizeof(what), "POST " EVENTS "%s", rows[i].path);
		c = asked(s, what);
		if (!strstr(c->request, rows[i].reason) || !strstr(c->request, "\"uid\":\"u-1\""))
			fail_msg("%s: %s", rows[i].reason, c->request);
		answer(s, c, "201 Created", "{}");
	}
}

static void test_events_are_about_the_node(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_health_set(s->health, FL_CONDITION_LISTEN, "healthz 0.0.0.0:10256", FL_HEALTH_WARNING,
		      "cannot listen");
	c = asked(s, "\"reason\":\"FailedToStartProxierHealthcheck\"");
	assert_non_null(strstr(c->request, "\"kind\":\"Node\",\"name\":\"node-1\""));
	answer(s, c, "201 Created", "{}");
	/* a write that is of no Service */
	fl_health_set(s->health, FL_CONDITION_SYNC, "", FL_HEALTH_ERROR, "not all is written");
	c = asked(s, "\"reason\":\"ServiceNotProgrammed\"");
	assert_non_null(strstr(c->request, "\"kind\":\"Node\""));
	answer(s, c, "201 Created", "{}");
}

/* Every kind of Event that there is: sent at its level, with its words, and not below that. */
static void test_every_event_is_sent(void **state)
{
	struct scene *s = *state;

	for (size_t i = 0; i < fl_event_n_kinds; i++) {
		const struct fl_event_kind *kind = &fl_event_kinds[i];
		const bool of_node = kind->object == FL_EVENT_OF_NODE;
		const unsigned int before = s->server.requests;
		struct fake_connection *c;
		char subject[80], what[200];

		snprintf(subject, sizeof(subject), "%s%s%zu", kind->subject,
			 of_node ? "of " : "shop/web", i);
		fl_health_set(s->health, kind->condition, subject, kind->at_least - 1, "better");
		fl_agent_events_tick(&s->events, s->health);
		assert_false(fl_kube_events_busy(s->events.events));
		assert_int_equal(s->server.requests, before);
		fl_health_set(s->health, kind->condition, subject, kind->at_least,
			      "the words of %zu", i);
		if (!of_node)
			answer(s, asked(s, "services?fieldSelector="), "200 OK", FOUND);
		snprintf(what, sizeof(what), "\"reason\":\"%s\",\"action\":\"%s\"", kind->reason,
			 kind->action);
		c = asked(s, what);
		snprintf(what, sizeof(what), "POST " EVENTS "%s/events ",
			 of_node ? "default" : "shop");
		assert_non_null(strstr(c->request, what));
		assert_non_null(
			strstr(c->request, of_node ? "\"kind\":\"Node\",\"name\":\"node-1\""
						   : "\"kind\":\"Service\",\"name\":\"web"));
		assert_non_null(strstr(c->request, "\"type\":\"Warning\""));
		snprintf(what, sizeof(what), "\"note\":\"the words of %zu\"", i);
		assert_non_null(strstr(c->request, what));
		answer(s, c, "201 Created", "{}");
	}
}

/* Notes, gauges that are not bad enough, and what is over */
static void test_what_is_no_event(void **state)
{
	struct scene *s = *state;
	const unsigned int before = s->server.requests;

	fl_health_set(s->health, FL_CONDITION_FLOW_TABLE, "IPv4", FL_HEALTH_WARNING, "81 %% full");
	fl_health_set(s->health, FL_CONDITION_SERVICE, "default/web", FL_HEALTH_ERROR, "no use");
	fl_health_set(s->health, FL_CONDITION_LISTEN, "metrics 127.0.0.1:10249", FL_HEALTH_WARNING,
		      "cannot listen");
	fl_health_clear(s->health, FL_CONDITION_FLOW_TABLE, "IPv4");
	for (int i = 0; i < 3; i++) {
		fl_agent_events_tick(&s->events, s->health);
		fake_turn(&s->server, fl_kube_client_fd(s->client), 20);
		fl_kube_client_handle(s->client);
	}
	assert_int_equal(s->server.requests, before);
}

static void test_trouble_is_a_note(void **state)
{
	struct scene *s = *state;

	fl_health_set(s->health, FL_CONDITION_PINS, "", FL_HEALTH_ERROR, "gone");
	answer(s, asked(s, "POST " EVENTS), "403 Forbidden",
	       "{\"kind\":\"Status\",\"message\":\"not you\"}");
	fl_agent_events_tick(&s->events, s->health);
	assert_int_equal(fl_health_find(s->health, FL_CONDITION_API, "events")->level,
			 FL_HEALTH_NOTE);
	assert_string_equal(fl_health_find(s->health, FL_CONDITION_API, "events")->text,
			    "Events are not written: HTTP 403: not you");
}

/* docs/troubleshooting.md has a row for each reason, with what it is about. */
static void test_the_manual(void **state)
{
	_cleanup_free_ char *manual = golden_read("docs/troubleshooting.md");
	char row[200];

	assert_non_null(manual);
	for (size_t i = 0; i < fl_event_n_kinds; i++) {
		const struct fl_event_kind *kind = &fl_event_kinds[i];

		snprintf(row, sizeof(row), "\n| `%s` | %s | `%s` | ", kind->reason,
			 kind->object == FL_EVENT_OF_NODE ? "Node" : "Service",
			 fl_condition_token(kind->condition));
		if (!strstr(manual, row))
			fail_msg("docs/troubleshooting.md has no row%s", row);
	}
	assert_non_null(strstr(manual, "\n| `" FL_EVENT_STARTING "` | Node | "));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_6_1_9_events_are_about_services),
		T(test_events_are_about_the_node),
		T(test_every_event_is_sent),
		T(test_what_is_no_event),
		T(test_trouble_is_a_note),
		cmocka_unit_test(test_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
