/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The API as a client of its socket sees it: what is answered to which request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/api/api.h"
#include "lb/api/drain.h"
#include "tests/golden/golden.h"
#include "tests/unit/api/map_fixture.h"
#include "tests/unit/http/http_fixture.h"

struct state {
	struct map_fixture f;
	struct fl_api_source source;
	struct http_state http;
	int clock_refreshes, reloads, reloads_now, drains;
};

static void refresh_clock(void *arg)
{
	struct state *s = arg;

	s->clock_refreshes++;
}

static void reload(bool now, void *arg)
{
	struct state *s = arg;

	s->reloads++;
	s->reloads_now += now;
}

/* 10.9.9.9 is always refused. */
static int drain(const struct fl_api_drain_request *request, struct fl_api_drain_result *ret_result,
		 struct fl_err *err, void *arg)
{
	struct state *s = arg;
	struct fl_drain strange;

	assert_int_equal(fl_drain_parse("10.9.9.9", &strange, NULL), 0);
	s->drains++;
	ret_result->items = calloc(request->n + 1, sizeof(*ret_result->items));
	for (size_t i = 0; i < request->n; i++) {
		if (fl_ip_equal(&request->drains[i].ip, &strange.ip)) {
			fl_api_drain_result_fini(ret_result);
			return fl_err_set(err, -EEXIST, "a part of something");
		}
		ret_result->items[ret_result->n++] = (struct fl_api_drained){
			.drain = request->drains[i], .changed = true, .n_endpoints = 1};
	}
	ret_result->kept = !request->all;
	fl_err_set(&ret_result->why, 0, "no disk");
	return fl_strings_add(&ret_result->emptied, strdup("default/web:http"));
}

static void fill_status(struct fl_api_status *status, void *arg)
{
	assert_int_equal(status->drift, -1);
	status->node = "node-1";
	status->synced = true;
}

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));
	struct fl_err err;

	http_setup(&s->http, NULL);
	fixture_maps(&s->f);
	s->source = (struct fl_api_source){
		.maps = &s->f.maps,
		.hz = FIXTURE_HZ,
		.status = fill_status,
		.refresh_clock = refresh_clock,
		.reload = reload,
		.drain = drain,
		.arg = s,
	};
	if (fl_api_listen(s->http.http, s->http.path, &s->source, &err))
		fail_msg("%s", err.text);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	http_teardown(&s->http);
	free(s);
	return 0;
}

static int ask(struct state *s, const char *request, char *buf, size_t size)
{
	return http_ask(&s->http, http_dial_unix(s->http.path), request, buf, size);
}

static void test_requests(void **state)
{
	static const struct {
		const char *request;
		int code;
		const char *has;
	} rows[] = {
		{"GET /v1/version" END, 200, "\"kind\":\"Version\""},
		{"GET /v1/status" END, 200, "\"healthy\":true"},
		{"GET /v1/services" END, 200, "\"kind\":\"ServiceList\""},
		{"GET /v1/services?namespace=other" END, 200, "\"items\":[]"},
		{"GET /v1/services/default/none" END, 404,
		 "service default/none is not programmed"},
		{"GET /v1/services/default" END, 404, "there is no /v1/services/default"},
		{"GET /v1/services/default//web" END, 404, "there is no"},
		{"GET /v1/services?colour=red" END, 400, "not known"},
		{"GET /v1/backends" END, 200, "10.1.0.3:8080"},
		{"GET /v1/flows" END, 200, "\"total\":3"},
		{"GET /v1/flows?state=new&limit=1" END, 200, "\"total\":1"},
		{"GET /v1/flows?state=new&state=closing" END, 200, "\"total\":2"},
		{"GET /v1/flows?family=ipv6" END, 200, "\"total\":0"},
		{"GET /v1/flows?client=:1&client=:2" END, 400, "client: given twice"},
		{"GET /v1/flows?client=%5B::1%5D:7" END, 200, "\"total\":0"},
		{"GET /v1/flows?state=sideways" END, 400, "is not new, replied"},
		{"GET /v1/flows?all=true" END, 400, "flushing"},
		{"GET /v1/flows?flow=TCP/198.51.100.1:50001-%3E10.96.0.10:80&flow="
		 "TCP/198.51.100.2:50003-%3E192.0.2.80:80" END,
		 200, "\"total\":2"},
		{"GET /v1/services/default/none/http" END, 404, "default/none:http"},
		{"GET /v1/maglev?namespace=default&name=none" END, 404, "default/none is not"},
		{"GET /v1/maglev/default/none/http" END, 404, "default/none:http"},
		{"GET /v1/plan" END, 503, "no plan yet"},
		{"POST /v1/reload" END, 200, "\"kind\":\"ReloadResult\""},
		{"POST /v1/reload?now=true" END, 200, "\"kind\":\"ReloadResult\""},
		{"POST /v1/reload?now=soon" END, 400, "now is true or false"},
		{"POST /v1/backends/drain?address=10.1.1.1&address=%5Bfd00::1%5D:80" END, 200,
		 "\"drained\":true,\"items\":[{\"address\":\"10.1.1.1\",\"changed\":true,"
		 "\"endpoints\":1,\"weightless\":0},{\"address\":\"[fd00::1]:80\""},
		{"POST /v1/backends/drain?address=10.1.1.1" END, 200,
		 "\"emptied\":[\"default/web:http\"],\"kept\":true,\"reason\":null"},
		{"POST /v1/backends/undrain?all=true" END, 200,
		 "\"drained\":false,\"items\":[],\"emptied\":[\"default/web:http\"],"
		 "\"kept\":false,\"reason\":\"no disk\""},
		{"POST /v1/backends/drain?address=10.9.9.9" END, 409, "a part of something"},
		{"POST /v1/backends/drain" END, 400, "which address is missing"},
		{"POST /v1/backends/undrain" END, 400, "which address is missing"},
		{"POST /v1/backends/drain?all=true" END, 400, "all is not known"},
		{"POST /v1/backends/undrain?all=true&address=::1" END, 400, "either all"},
		{"POST /v1/backends/drain?address=web" END, 400, "is not an address"},
		{"POST /v1/backends/drain?adress=10.1.1.1" END, 400, "adress is not known"},
		{"GET /v1/backends/drain" END, 405, "wants POST"},
		{"GET /v1/reload" END, 405, "wants POST"},
		{"POST /v1/reload?later=true" END, 400, "not known"},
		{"GET /v1/flows/flush" END, 405, "wants POST"},
		{"POST /v1/status" END, 405, "wants GET"},
		{"POST /v1/flows/flush" END, 400, "needs all=true"},
		{"POST /v1/flows/flush?all=false" END, 400, "needs all=true"},
		{"POST /v1/flows/flush?clinet=10.0.0.1" END, 400, "no filter"},
		{"POST /v1/flows/flush?state=new&limit=1" END, 400, "limit is for listing"},
		{"GET /" END, 404, "there is no /"},
		{"GET /v1/statusx" END, 404, "there is no"},
		{"GET /v1/status/x" END, 404, "there is no"},
	};
	struct state *s = *state;
	char buf[16384];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int code = ask(s, rows[i].request, buf, sizeof(buf));

		if (code != rows[i].code || !strstr(buf, rows[i].has))
			fail_msg("%.60s: %d, %s", rows[i].request, code, buf);
		assert_non_null(strstr(buf, "Content-Type: application/json"));
	}
	assert_true(s->clock_refreshes > 0);
	assert_int_equal(s->drains, 4);
	assert_int_equal(s->reloads, 2);
	assert_int_equal(s->reloads_now, 1);
}

/* docs/api.md has each route, as the agent lists them. */
static void test_routes_are_listed_and_documented(void **state)
{
	struct state *s = *state;
	char buf[16384], *doc = golden_read("docs/api.md"), *p;
	int routes = 0;

	assert_non_null(doc);
	assert_int_equal(ask(s, "GET /v1" END, buf, sizeof(buf)), 200);
	for (p = strstr(buf, "{\"method\":"); p; p = strstr(p + 1, "{\"method\":")) {
		char method[16], path[128], row[160];

		assert_int_equal(
			sscanf(p, "{\"method\":\"%15[^\"]\",\"path\":\"%127[^\"]\"}", method, path),
			2);
		snprintf(row, sizeof(row), "\n| `%s %s` |", method, path);
		if (!strstr(doc, row))
			fail_msg("docs/api.md has no %s", row);
		routes++;
	}
	assert_true(routes >= 16);
	free(doc);
}

static void test_flush_frees_what_matches(void **state)
{
	struct state *s = *state;
	char buf[4096];

	assert_int_equal(ask(s, "POST /v1/flows/flush?state=closing" END, buf, sizeof(buf)), 200);
	assert_non_null(strstr(buf, "\"flushed\":1"));
	assert_int_equal(ask(s, "POST /v1/flows/flush?all=true" END, buf, sizeof(buf)), 200);
	assert_non_null(strstr(buf, "\"flushed\":2"));
	assert_int_equal(s->f.flows4[0].way[0].head.word & FL_FLOW_STATE_MASK, FL_FLOW_FREE);
}

static void test_socket_is_for_its_owner_only(void **state)
{
	struct state *s = *state;
	struct stat st;

	assert_int_equal(stat(s->http.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_a_second_agents_socket_is_named(void **state)
{
	struct state *s = *state;
	struct fl_err err;

	assert_int_equal(fl_api_listen(s->http.http, s->http.path, &s->source, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "API socket: another agent answers on /tmp/"));
}

/* A request that is refused before its end must not have done anything. */
static void test_a_flush_with_a_large_body_flushes_nothing(void **state)
{
	struct state *s = *state;
	char buf[4096];

	assert_int_equal(ask(s,
			     "POST /v1/flows/flush?all=true HTTP/1.1\r\nHost: x\r\n"
			     "Content-Length: 20000\r\nConnection: close\r\n\r\n",
			     buf, sizeof(buf)),
			 413);
	assert_non_null(strstr(buf, "\"kind\":\"Error\""));
	assert_int_equal(s->f.flows4[0].way[0].head.word & FL_FLOW_STATE_MASK, FL_FLOW_ESTABLISHED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_routes_are_listed_and_documented),
		TEST(test_flush_frees_what_matches),
		TEST(test_socket_is_for_its_owner_only),
		TEST(test_a_second_agents_socket_is_named),
		TEST(test_a_flush_with_a_large_body_flushes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
