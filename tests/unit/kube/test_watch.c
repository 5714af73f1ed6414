/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * 10.6 to 10.10: lists and watches against a server that does all that servers, and what lies
 * between, may do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "tests/unit/kube/watch_fixture.h"

static void test_10_7_stream(void **state)
{
	static const char *const query[] = {
		"GET /api/v1/things?",	    "watch=true",
		"allowWatchBookmarks=true", "resourceVersionMatch=NotOlderThan",
		"timeoutSeconds=",	    "labelSelector=%21a%2Cb%3Dc",
		"Accept: application/json", NULL};
	struct scene *s = *state;
	struct fake_connection *c = asked(s, STREAM);

	expect_query(c->request, query);
	assert_null(strstr(c->request, "resourceVersion="));
	assert_null(strstr(c->request, "fieldSelector"));
	fake_begin(c);
	fake_say(c, EVENT("ADDED", "a", "7") "{\"type\":\"ADDED\",\"obj");
	fake_say(c, "ect\":" OBJECT("b", "8") "}" EVENT("DELETED", "a", "9") BOOKMARK("9"));
	until_said(s, "begin =a =b !a ");
	assert_false(fl_kube_watch_is_listed(s->watch));
	fake_say(c, INITIAL_END("10")
			    EVENT("MODIFIED", "b", "11") "{\"type\":\"NEW\",\"object\":{}}" EVENT(
				    "DELETED", "b", "12") EVENT("ADDED", "c", "13"));
	until_said(s, "begin =a =b !a complete +b -b +c ");
	assert_true(fl_kube_watch_is_listed(s->watch));
	assert_null(fl_kube_watch_trouble(s->watch));
	assert_int_equal(s->server.requests, 1);
}

/* 10.8, 10.10: a watch that ends, or is cut, goes on where it was. */
static void test_10_8_goes_on(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);

	fake_say(c, EVENT("ADDED", "b", "11"));
	until_said(s, "+b ");
	fake_end(c);
	c = asked(s, "resourceVersion=11");
	assert_null(strstr(c->request, STREAM));
	fake_begin(c);
	fake_say(c, BOOKMARK("15") "{\"type\":\"ADDED\",\"object\":{\"metad");
	turn(s);
	turn(s);
	fake_cut(c);
	c = asked(s, "resourceVersion=15");
	assert_non_null(strstr(c->request, WATCH));
	assert_null(fl_kube_watch_trouble(s->watch));
	assert_string_equal(s->said, "+b ");
}

/* What began and was cut is not the state of the world. */
static void test_stream_is_cut(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = asked(s, STREAM);
	uint64_t delay_ms;

	fake_begin(c);
	fake_say(c, EVENT("ADDED", "a", "7"));
	until_said(s, "begin =a ");
	fake_cut(c);
	delay_ms = until_trouble(s, "list: ");
	assert_in_range(delay_ms, 500, 1600);
	assert_false(fl_kube_watch_is_listed(s->watch));
	c = asked(s, STREAM);
	assert_null(strstr(c->request, "resourceVersion="));
	fake_begin(c);
	fake_say(c, INITIAL_END("9"));
	until_said(s, "begin =a begin complete ");
	until_well(s);
}

/* Servers before 1.27, or with the feature off, refuse streams. */
static void test_pages(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = asked(s, STREAM);

	fake_answer(c, "422 Unprocessable Entity", "", STATUS("422", "Invalid"));
	c = asked(s, LIST);
	assert_non_null(strstr(c->request, "limit=2&resourceVersion=0"));
	fake_answer(c, "200 OK", "", PAGE("20", "more/1", OBJECT("a", "3") "," OBJECT("b", "4")));
	c = asked(s, "continue=more%2F1");
	assert_null(strstr(c->request, "resourceVersion"));
	assert_false(fl_kube_watch_is_listed(s->watch));
	fake_answer(c, "200 OK", "", PAGE("20", "", OBJECT("c", "5")));
	c = asked(s, WATCH);
	assert_non_null(strstr(c->request, "resourceVersion=20"));
	assert_string_equal(s->said, "begin begin =a =b =c complete ");
	assert_null(fl_kube_watch_trouble(s->watch));
}

/* 10.10: a page that is not kept any more: everything again, from etcd. */
static void test_pages_expire(void **state)
{
	struct scene *s = *state;

	fake_answer(asked(s, STREAM), "400 Bad Request", "", "");
	fake_answer(asked(s, LIST), "200 OK", "", PAGE("20", "x", OBJECT("a", "3")));
	fake_answer(asked(s, "continue=x"), "410 Gone", "", STATUS("410", "Expired"));
	struct fake_connection *c = asked(s, LIST);

	assert_null(strstr(c->request, "resourceVersion"));
	assert_null(strstr(c->request, "continue"));
	fake_answer(c, "200 OK", "", PAGE("21", "", OBJECT("b", "3")));
	asked(s, "resourceVersion=21");
	assert_string_equal(s->said, "begin begin =a begin =b complete ");
}

/* None of these is a list, and none may empty what is known. */
static void test_no_list(void **state)
{
	static const struct {
		const char *body, *why;
	} rows[] = {
		{"{}", "is no list"},
		{"", "has no end"},
		{"<html>proxy</html>", "no JSON"},
		{"{\"kind\":\"ThingList\",\"items\":[]}", "is no list"},
		{"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"5\"}}", "is no list"},
		{"{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[]}",
		 "is no list"},
		{"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[",
		 "has no end"},
		{"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{"
		 "\"a\":]}",
		 "makes no sense"},
		{"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{"
		 "\"a\":nul}]}",
		 "makes no sense"},
		{"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[],"
		 "\"items\":[]}",
		 "makes no sense"},
	};
	struct scene *s = *state;

	fake_answer(asked(s, STREAM), "400 Bad Request", "", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_answer(asked(s, LIST), "200 OK", "", rows[i].body);
		until_trouble(s, rows[i].why);
	}
	assert_false(fl_kube_watch_is_listed(s->watch));
	assert_null(strstr(s->said, "complete"));
}

/* A list whose answer is shorter than it said. */
static void test_list_is_cut(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
	struct scene *s = *state;
	struct fake_connection *c;

	fake_answer(asked(s, STREAM), "400 Bad Request", "", "");
	c = asked(s, LIST);
	fake_write(c, head, sizeof(head) - 1);
	fake_write(c, PAGE("5", "", ""), strlen(PAGE("5", "", "")));
	fake_cut(c);
	until_trouble(s, "list: ");
	assert_null(strstr(s->said, "complete"));
}

/* 10.10: the place is lost: what is listed next is not older than what is known. */
static void test_10_10_expired(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);

	fake_say(c, EXPIRED);
	/* it lived for less than a second: not at once */
	assert_in_range(until_trouble(s, "because"), 500, 1600);
	c = asked(s, STREAM);
	assert_non_null(strstr(c->request, "resourceVersion=10"));
	fake_answer(c, "410 Gone", "", STATUS("410", "Expired"));
	c = asked(s, STREAM);
	assert_null(strstr(c->request, "resourceVersion="));
	fake_begin(c);
	fake_say(c, EVENT("ADDED", "z", "30") INITIAL_END("30"));
	until_said(s, "begin begin =z complete ");
	until_well(s);
}

/* A server that is behind: it says so, and is asked to ask etcd. */
static void test_10_10_too_large(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);

	fake_say(c, EXPIRED);
	until_trouble(s, "because");
	fake_answer(asked(s, STREAM), "504 Gateway Timeout", "",
		    "{\"kind\":\"Status\",\"code\":504,\"details\":{\"causes\":[{\"reason\":"
		    "\"ResourceVersionTooLarge\"}]}}");
	c = asked(s, STREAM);
	assert_null(strstr(c->request, "resourceVersion="));
}

static void test_10_10_too_many_requests(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);

	fake_end(c);
	c = asked(s, "resourceVersion=10");
	fake_answer(c, "429 Too Many Requests", "Retry-After: 7\r\n", STATUS("429", "TooMany"));
	assert_in_range(until_trouble(s, "watch: HTTP 429: because"), 6000, 7000);
	c = asked(s, "resourceVersion=10");
	assert_null(strstr(c->request, STREAM));
	fake_begin(c);
	until_well(s);
	assert_string_equal(s->said, "");
}

/* A first list is asked for again after as long as the server wants, too: as a stream, and then by
 * pages of which one is refused. */
static void test_10_10_too_many_lists(void **state)
{
	struct scene *s = *state;

	fake_answer(asked(s, STREAM), "429 Too Many Requests", "Retry-After: 3\r\n",
		    STATUS("429", "TooMany"));
	assert_in_range(until_trouble(s, "HTTP 429: because"), 2500, 6000);
	fake_answer(asked(s, STREAM), "422 Unprocessable Entity", "", STATUS("422", "Invalid"));
	fake_answer(asked(s, LIST), "200 OK", "", PAGE("5", "more", OBJECT("a", "3")));
	fake_answer(asked(s, "continue=more"), "429 Too Many Requests", "Retry-After: 4\r\n",
		    STATUS("429", "TooMany"));
	assert_in_range(until_trouble(s, "HTTP 429: because"), 3500, 8000);
	fake_answer(asked(s, LIST), "200 OK", "", PAGE("6", "", OBJECT("a", "3")));
	fake_begin(asked(s, "resourceVersion=6"));
	until_well(s);
}

/* Any other refusal of a watch: everything is listed again. */
static void test_10_10_refused(void **state)
{
	static const char *const answers[] = {"500 Internal Server Error", "403 Forbidden",
					      "401 Unauthorized", "410 Gone"};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct scene *s;
		struct fake_connection *c;
		char words[16];

		if (i) {
			teardown(state);
			setup(state);
		}
		s = *state;
		c = listed(s);
		fake_end(c);
		fake_answer(asked(s, "resourceVersion=10"), answers[i], "", STATUS("0", "x"));
		snprintf(words, sizeof(words), "HTTP %.3s", answers[i]);
		assert_in_range(until_trouble(s, words), 500, 1600);
		c = asked(s, STREAM);
		assert_non_null(strstr(c->request, "resourceVersion=10"));
	}
}

/* 10.10: nobody listens: the same watch again, no list. */
static void test_10_10_unreachable(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);

	server_restarts(s);
	c = asked(s, "resourceVersion=10");
	assert_null(strstr(c->request, STREAM));
	fake_begin(c);
	until_well(s);
}

/* 11.8: where that server cannot be reached, it is tried elsewhere, in turn, and back. */
static void test_11_8_elsewhere(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);
	struct fake_server first = s->server, other;
	char place[32], host[64];
	const char *const places[] = {place};

	s->access.server = first.url;
	fake_open(&other);
	snprintf(place, sizeof(place), "127.0.0.1:%u", other.port);
	assert_int_equal(fl_kube_client_learn(s->client, places, 1), 0);
	assert_int_equal(fl_kube_client_learn(s->client, NULL, 0), 0);
	close(first.fd);
	fake_cut(c);
	s->server = other;
	until_trouble(s, "Couldn't connect");
	c = asked(s, "resourceVersion=10");
	/* it is called by the name that it has in its certificate, wherever it is */
	snprintf(host, sizeof(host), "Host: kubernetes.default.svc:%u\r\n", first.port);
	assert_non_null(strstr(c->request, host));
	fake_begin(c);
	fake_say(c, EVENT("ADDED", "b", "11"));
	until_said(s, "+b ");
	until_well(s);
	/* the place in use is gone from the list: back to the first */
	assert_int_equal(fl_kube_client_learn(s->client, (const char *const[]){"127.0.0.1:1"}, 1),
			 0);
	fake_end(c);
	until_trouble(s, "Couldn't connect");
}

/* Nobody who cannot prove to be our server gets our token. */
static void test_11_8_not_without_proof(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;
	struct fake_server other;
	char place[32], token[] = "secret";
	const char *const places[] = {place};

	s->access.token = token;
	c = listed(s);
	fake_open(&other);
	snprintf(place, sizeof(place), "127.0.0.1:%u", other.port);
	assert_int_equal(fl_kube_client_learn(s->client, places, 1), 0);
	close(s->server.fd);
	s->server.fd = -1;
	fake_cut(c);
	for (int i = 0; i < 4; i++) {
		until_trouble(s, "Couldn't connect");
		turn(s);
	}
	fake_accept(&other);
	assert_int_equal(other.connections[0].fd, 0);
	fake_close(&other);
	s->access.token = NULL;
}

/* Events that make no sense: the watch is not believed, and everything listed again. */
static void test_10_10_nonsense(void **state)
{
	static const char *const texts[] = {
		"{\"type\":\"ADDED\"}",
		"{\"type\":\"ADDED\",\"object\":[]}",
		"{\"type\":\"ADDED\",\"object\":{}",
		"}",
		"<html>",
		"{\"type\":\"ADDED\",\"object\":{a}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct scene *s;
		struct fake_connection *c;

		if (i) {
			teardown(state);
			setup(state);
		}
		s = *state;
		c = listed(s);
		fake_say(c, texts[i]);
		if (i == 2) /* only begun: the rest comes in another chunk */
			fake_say(c, "]}");
		until_trouble(s, "watch: ");
		asked(s, STREAM);
		assert_string_equal(s->said, "begin ");
	}
}

static void test_sink_fails(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed(s);

	s->fail_with = -ENOMEM;
	fake_say(c, EVENT("ADDED", "b", "11") EVENT("ADDED", "c", "12"));
	until_trouble(s, "Cannot allocate memory");
	s->fail_with = 0;
	c = asked(s, STREAM);
	/* what could not be taken in was not told */
	assert_non_null(strstr(c->request, "resourceVersion=10"));
}

/* 11.4: a token is read again for each request; while it cannot be read the last one stays. */
static void test_11_4_token(void **state)
{
	struct scene *s = *state;
	char path[] = "/tmp/fairlead-token-XXXXXX";
	int fd = mkstemp(path);
	struct fake_connection *c;

	assert_true(fd >= 0);
	s->access.token_file = path;
	until_trouble(s, "is empty");
	assert_int_equal(s->server.requests, 0);
	assert_int_equal(write(fd, " one\n", 5), 5);
	c = asked(s, STREAM);
	assert_non_null(strstr(c->request, "Authorization: Bearer one\r\n"));
	assert_int_equal(pwrite(fd, "two\n\n", 5, 0), 5);
	fake_answer(c, "401 Unauthorized", "", STATUS("401", "Unauthorized"));
	until_trouble(s, "list: HTTP 401");
	c = asked(s, STREAM);
	assert_non_null(strstr(c->request, "Authorization: Bearer two\r\n"));
	close(fd);
	unlink(path);
	fake_answer(c, "401 Unauthorized", "", "");
	c = asked(s, STREAM);
	assert_non_null(strstr(c->request, "Authorization: Bearer two\r\n"));
	s->access.token_file = NULL;
}

/* Robustness C8: nobody can send us, and our token, elsewhere. */
static void test_redirect(void **state)
{
	struct scene *s = *state;

	fake_answer(asked(s, STREAM), "302 Found", "Location: http://127.0.0.1:1/\r\n", "");
	until_trouble(s, "list: HTTP 302");
	asked(s, STREAM);
}

/* A proxy of the environment is not asked for what is on this node's loopback, whatever NO_PROXY
 * names; of a kubeconfig it is. */
static void test_proxy_of_the_environment(void **state)
{
	static const char *const none[] = {NULL, "", "example.org", "*"};
	struct scene *s = *state;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		if (none[i])
			setenv("no_proxy", none[i], 1);
		fake_answer(asked(s, STREAM), "401 Unauthorized", "", "");
	}
	unsetenv("no_proxy");
	asked(s, STREAM);
	unsetenv("http_proxy");
	unsetenv("HTTPS_PROXY");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_10_7_stream),
		TEST(test_10_8_goes_on),
		TEST(test_stream_is_cut),
		TEST(test_pages),
		TEST(test_pages_expire),
		TEST(test_no_list),
		TEST(test_list_is_cut),
		TEST(test_10_10_expired),
		TEST(test_10_10_too_large),
		TEST(test_10_10_too_many_requests),
		TEST(test_10_10_too_many_lists),
		TEST(test_10_10_refused),
		TEST(test_10_10_unreachable),
		TEST(test_11_8_elsewhere),
		TEST(test_11_8_not_without_proof),
		TEST(test_10_10_nonsense),
		TEST(test_sink_fails),
		TEST(test_11_4_token),
		TEST(test_redirect),
		TEST(test_proxy_of_the_environment),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
