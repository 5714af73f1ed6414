/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Routing without a socket: which handler a request gets, with which arguments, or which refusal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/json_write.h"
#include "lb/http/route.h"

/* "METHOD PATH key=value ..." with what the handler got */
static void echo(const struct fl_http_request *request, struct fl_http_response *response,
		 void *arg)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%s %s %s", (const char *)arg, request->method,
			   request->path);

	for (size_t i = 0; i < request->n_args; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %s=%s",
				request->args[i].key, request->args[i].value);
	fl_http_respond_text(response, 200, "%s", text);
}

static void silent(const struct fl_http_request *request, struct fl_http_response *response,
		   void *arg)
{
}

static const struct fl_http_route table[] = {
	{.method = "GET", .path = "/", .handle = echo},
	{.method = "GET", .path = "/things", .handle = echo, .args = {"colour", "size"}},
	{.method = "GET", .path = "/things", .segments = {"ns", "name"}, .handle = echo},
	{.method = "POST", .path = "/things/flush", .handle = echo, .any_args = true},
	{.method = "GET",
	 .path = "/deep",
	 .segments = {"a", "b", "c", "d"},
	 .handle = echo,
	 .args = {"a"}},
	{.method = "GET", .path = "/silent", .handle = silent},
};

static const struct fl_http_routes routes = {table, sizeof(table) / sizeof(table[0]), "echo", NULL};

static void refuse_json(struct fl_http_response *response, unsigned int code, const char *message)
{
	struct fl_json *json = fl_json_new(false);

	fl_json_array_begin(json);
	fl_json_uint(json, code);
	fl_json_string(json, message);
	fl_json_array_end(json);
	fl_http_respond_json(response, code, &json);
}

/* `query`: "key=value&key=value", or NULL */
static void answer(const struct fl_http_routes *to, const char *method, const char *path,
		   const char *query, struct fl_http_response *response, char *text, size_t size)
{
	struct fl_http_request request = {.method = method, .path = path};
	char *copy = strdup(query ? query : ""), *save = NULL;
	const char *body;
	size_t len;

	for (char *p = strtok_r(copy, "&", &save); p; p = strtok_r(NULL, "&", &save)) {
		char *value = strchr(p, '=');

		*value = '\0';
		request.args[request.n_args++] = (struct fl_http_arg){p, value + 1};
	}
	*response = (struct fl_http_response){0};
	fl_http_routes_answer(to, &request, response);
	body = fl_http_response_body(response, &len);
	assert_non_null(body);
	assert_int_equal(strlen(body), len);
	snprintf(text, size, "%s", body);
	free(copy);
}

static void test_a_request_gets_the_route_that_matches_as_a_whole(void **state)
{
	static const struct {
		const char *method, *path, *query;
		unsigned int code;
		const char *text;
	} rows[] = {
		{"GET", "/", NULL, 200, "echo GET /"},
		{"GET", "/things", NULL, 200, "echo GET /things"},
		{"GET", "/things", "size=2&colour=", 200, "echo GET /things size=2 colour="},
		{"GET", "/things/a/b", NULL, 200, "echo GET /things/a/b ns=a name=b"},
		{"GET", "/deep/1/2/3/4", NULL, 200, "echo GET /deep/1/2/3/4 a=1 b=2 c=3 d=4"},
		{"GET", "/deep/1/2/3/4", "a=9", 200, "echo GET /deep/1/2/3/4 a=9 a=1 b=2 c=3 d=4"},
		{"POST", "/things/flush", "x=y", 200, "echo POST /things/flush x=y"},
		{"HEAD", "/things", NULL, 200, "echo HEAD /things"},
		{"GET", "/things", "weight=2", 400, "an argument of /things is not known\n"},
		/* the names of segments are no arguments of the query */
		{"GET", "/things/a/b", "ns=c", 400, "an argument of /things is not known\n"},
		{"GET", "", NULL, 404, "there is no \n"},
		{"GET", "/thing", NULL, 404, "there is no /thing\n"},
		{"GET", "/thingsx", NULL, 404, "there is no /thingsx\n"},
		{"GET", "/things/", NULL, 404, "there is no /things/\n"},
		{"GET", "/things/a", NULL, 404, "there is no /things/a\n"},
		{"GET", "/things/a/", NULL, 404, "there is no /things/a/\n"},
		{"GET", "/things//b", NULL, 404, "there is no /things//b\n"},
		{"GET", "/things/a/b/c", NULL, 404, "there is no /things/a/b/c\n"},
		{"GET", "/deep/1/2/3/4/", NULL, 404, "there is no /deep/1/2/3/4/\n"},
		{"GET", "/things/flush", NULL, 405, "/things/flush wants POST\n"},
		{"HEAD", "/things/flush", NULL, 405, "/things/flush wants POST\n"},
		{"DELETE", "/things/a/b", NULL, 405, "/things/a/b wants GET\n"},
		{"GET", "/silent", NULL, 500, "/silent has no answer\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_http_response response;
		char text[600];

		answer(&routes, rows[i].method, rows[i].path, rows[i].query, &response, text,
		       sizeof(text));
		if (response.code != rows[i].code || strcmp(text, rows[i].text))
			fail_msg("%s %s: %u, \"%s\"", rows[i].method, rows[i].path, response.code,
				 text);
		assert_true((response.code == 405) == (response.allow != NULL));
		fl_http_response_fini(&response);
	}
}

static void test_refusals_take_the_form_of_the_listener(void **state)
{
	struct fl_http_routes in_json = routes;
	struct fl_http_response response;
	char text[600];

	in_json.refuse = refuse_json;
	answer(&in_json, "PUT", "/things", NULL, &response, text, sizeof(text));
	assert_int_equal(response.code, 405);
	assert_string_equal(response.type, "application/json");
	assert_string_equal(response.allow, "GET");
	assert_string_equal(text, "[405,\"/things wants GET\"]");
	fl_http_response_fini(&response);
	answer(&routes, "PUT", "/things", NULL, &response, text, sizeof(text));
	assert_string_equal(response.type, "text/plain; charset=utf-8");
	fl_http_response_fini(&response);
}

static void test_too_many_arguments_are_refused(void **state)
{
	struct fl_http_request request = {
		.method = "GET", .path = "/things", .too_many_args = true};
	struct fl_http_response response = {0};

	fl_http_routes_answer(&routes, &request, &response);
	assert_int_equal(response.code, 400);
	assert_string_equal(response.text, "more than 32 arguments\n");
	fl_http_response_fini(&response);
}

static void test_the_first_argument_of_a_name_counts(void **state)
{
	struct fl_http_request request = {.args = {{"a", "1"}, {"b", ""}, {"a", "2"}}, .n_args = 3};

	assert_string_equal(fl_http_request_arg(&request, "a"), "1");
	assert_string_equal(fl_http_request_arg(&request, "b"), "");
	assert_null(fl_http_request_arg(&request, "c"));
}

static void test_a_later_answer_replaces_an_earlier_one(void **state)
{
	struct fl_http_response response = {0};
	struct fl_json *json = fl_json_new(false);
	size_t len;

	fl_json_null(json);
	fl_http_respond_json(&response, 200, &json);
	assert_null(json);
	fl_http_respond_text(&response, 503, "%s", "no");
	assert_int_equal(response.code, 503);
	assert_string_equal(fl_http_response_body(&response, &len), "no");
	assert_int_equal(len, 2);
	fl_http_respond_json(&response, 200, &json); /* no memory for a document */
	assert_null(fl_http_response_body(&response, &len));
	fl_http_response_fini(&response);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_gets_the_route_that_matches_as_a_whole),
		cmocka_unit_test(test_refusals_take_the_form_of_the_listener),
		cmocka_unit_test(test_too_many_arguments_are_refused),
		cmocka_unit_test(test_the_first_argument_of_a_name_counts),
		cmocka_unit_test(test_a_later_answer_replaces_an_earlier_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
