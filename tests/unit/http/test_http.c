/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The HTTP server on Unix and TCP sockets (robustness E4): each listener has routes of its own, and
 * no client, however slow or many, holds up another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/http/http_fixture.h"

static void hello(const struct fl_http_request *request, struct fl_http_response *response,
		  void *arg)
{
	struct http_state *s = *(struct http_state **)arg;
	const char *name = fl_http_request_arg(request, "name");

	s->calls++;
	http_pass_ms(s, s->work_ms);
	fl_http_respond_text(response, 200, "hello %s\n", name ? name : "you");
}

static void large(const struct fl_http_request *request, struct fl_http_response *response,
		  void *arg)
{
	fl_http_respond_text(response, 200, "%*s", LARGE_BYTES, "end");
}

static const struct fl_http_route routes_table[] = {
	{.method = "GET", .path = "/hello", .args = {"name"}, .handle = hello},
	{.method = "POST", .path = "/hello", .handle = hello},
	{.method = "GET", .path = "/large", .handle = large},
};
static const struct fl_http_route tcp_table[] = {
	{.method = "GET", .path = "/tcp", .handle = hello},
	{.method = "GET", .path = "/hello", .args = {"name"}, .handle = hello},
};
static struct http_state *current;
static const struct fl_http_routes routes = {routes_table, 3, &current, NULL};
static const struct fl_http_routes tcp_routes = {tcp_table, 2, &current, NULL};

static const struct fl_http_limits small = {.connections = 4};

static struct http_state *start(const struct fl_http_limits *limits)
{
	static struct http_state state;
	struct fl_err err;

	http_setup(&state, limits);
	current = &state;
	if (fl_http_listen_unix(state.http, state.path, 0600, &routes, &err))
		fail_msg("%s", err.text);
	return current;
}

/* False, aloud: this machine has no such loopback address. */
static bool listen_tcp(struct http_state *s, enum fl_family family)
{
	struct fl_ip ip;
	struct fl_err err;
	int rc;

	fl_ip_parse(family == FL_IPV4 ? "127.0.0.1" : "::1", &ip);
	rc = fl_http_listen_tcp(s->http, &ip, 0, &tcp_routes, &s->port[family], &err);
	if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL) {
		fprintf(stderr, "SKIP this family: %s\n", err.text);
		return false;
	}
	if (rc)
		fail_msg("%s", err.text);
	assert_int_not_equal(s->port[family], 0);
	return true;
}

static int ask(struct http_state *s, const char *request, char *buf, size_t size)
{
	return http_ask(s, http_dial_unix(s->path), request, buf, size);
}

static void test_each_listener_has_routes_of_its_own(void **state)
{
	struct http_state *s = start(NULL);
	char buf[4096];

	assert_int_equal(ask(s, "GET /hello?name=%e2%82%ac" END, buf, sizeof(buf)), 200);
	assert_non_null(strstr(buf, "\r\n\r\nhello \xe2\x82\xac\n"));
	assert_non_null(strstr(buf, "Cache-Control: no-store\r\n"));
	assert_int_equal(ask(s, "GET /tcp" END, buf, sizeof(buf)), 404);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		if (!listen_tcp(s, family))
			continue;
		assert_int_equal(http_ask(s, http_dial_tcp(family, s->port[family]), "GET /tcp" END,
					  buf, sizeof(buf)),
				 200);
		assert_int_equal(http_ask(s, http_dial_tcp(family, s->port[family]),
					  "GET /large" END, buf, sizeof(buf)),
				 404);
		assert_non_null(strstr(buf, "there is no /large\n"));
	}
	http_teardown(s);
}

static void test_a_tcp_address_in_use_is_said(void **state)
{
	struct http_state *s = start(NULL);
	struct fl_err err = {""};
	struct fl_ip ip;

	if (listen_tcp(s, FL_IPV4)) {
		fl_ip_parse("127.0.0.1", &ip);
		assert_int_equal(
			fl_http_listen_tcp(s->http, &ip, s->port[FL_IPV4], &tcp_routes, NULL, &err),
			-EADDRINUSE);
		assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1:"));
	}
	http_teardown(s);
}

static void test_the_unspecified_ipv6_address_takes_both_families(void **state)
{
	struct http_state *s = start(NULL);
	struct fl_ip ip;
	uint16_t port;
	char buf[4096];

	fl_ip_parse("::", &ip);
	if (fl_http_listen_tcp(s->http, &ip, 0, &tcp_routes, &port, NULL)) {
		fprintf(stderr, "SKIP: no IPv6 here\n");
	} else {
		assert_int_equal(
			http_ask(s, http_dial_tcp(FL_IPV4, port), "GET /tcp" END, buf, sizeof(buf)),
			200);
		assert_int_equal(
			http_ask(s, http_dial_tcp(FL_IPV6, port), "GET /tcp" END, buf, sizeof(buf)),
			200);
	}
	http_teardown(s);
}

/* Who was asked, as the client has addressed it. */
static void whom(const struct fl_http_request *request, struct fl_http_response *response,
		 void *arg)
{
	char text[FL_IP_PORT_STRLEN];

	fl_http_respond_text(response, 200, "%s %s at %s", request->method, request->path,
			     fl_ip_port_format(&request->local, request->local_port, text));
	fl_http_response_header(response, "X-One", "%d", 1);
	fl_http_response_header(response, "X-Two", "two");
}

static const struct fl_http_route any_table[] = {{.any_args = true, .handle = whom}};
static const struct fl_http_routes any_routes = {.routes = any_table, .n_routes = 1};

static struct fl_ip loopback(enum fl_family family)
{
	struct fl_ip ip;

	fl_ip_parse(family == FL_IPV4 ? "127.0.0.1" : "::1", &ip);
	return ip;
}

/* 6.1.3, 6.1.8: sockets come and go, any method and path is answered, and the handler knows which
 * of them was asked. */
static void test_sockets_of_a_listener_come_and_go(void **state)
{
	struct http_state *s = start(NULL);
	struct fl_http_listener *listener;
	const struct fl_ip v4 = loopback(FL_IPV4);
	struct fl_err err = {""};
	char buf[4096], want[64];
	uint16_t port[20];
	int fd;

	assert_int_equal(fl_http_add_listener(s->http, &any_routes, &listener, &err), 0);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(fl_http_listener_open(listener, &v4, 0, true, &port[i], &err), 0);
		/* port 0 is what it is known by: one with its number takes its place */
		fl_http_listener_close(listener, &v4, 0);
		assert_int_equal(fl_http_listener_open(listener, &v4, port[i], true, NULL, &err),
				 0);
	}
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(http_ask(s, http_dial_tcp(FL_IPV4, port[i]),
					  "DELETE /any/thing?at=all" END, buf, sizeof(buf)),
				 200);
		snprintf(want, sizeof(want), "DELETE /any/thing at 127.0.0.1:%u", port[i]);
		assert_non_null(strstr(buf, want));
		assert_non_null(strstr(buf, "X-One: 1\r\n"));
		assert_non_null(strstr(buf, "X-Two: two\r\n"));
	}
	/* one that is taken leaves the others alone */
	assert_int_equal(fl_http_listener_open(listener, &v4, port[3], true, NULL, &err),
			 -EADDRINUSE);
	/* a connection outlives its socket */
	fd = http_dial_tcp(FL_IPV4, port[7]);
	http_settle(s);
	fl_http_listener_close(listener, &v4, port[7]);
	fl_http_listener_close(listener, &v4, port[7]);
	assert_int_equal(http_ask(s, fd, "GET /" END, buf, sizeof(buf)), 200);
	assert_int_equal(fl_http_listener_open(listener, &v4, port[7], true, NULL, &err), 0);
	http_teardown(s);
}

/* 6.1.10: a wildcard of IPv6 need not take IPv4, so that both can have the port. */
static void test_both_wildcards_of_a_port(void **state)
{
	struct http_state *s = start(NULL);
	const struct fl_ip any[] = {fl_ip_unspecified(FL_IPV4), fl_ip_unspecified(FL_IPV6)};
	struct fl_http_listener *listener;
	struct fl_err err = {""};
	uint16_t port;
	char buf[4096];

	assert_int_equal(fl_http_add_listener(s->http, &any_routes, &listener, &err), 0);
	assert_int_equal(fl_http_listener_open(listener, &any[0], 0, true, &port, &err), 0);
	if (fl_http_listener_open(listener, &any[1], port, true, NULL, &err)) {
		http_teardown(s);
		fprintf(stderr, "SKIP: no IPv6 here: %s\n", err.text);
		skip();
	}
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		assert_int_equal(
			http_ask(s, http_dial_tcp(family, port), "GET /" END, buf, sizeof(buf)),
			200);
	assert_non_null(strstr(buf, "GET / at [::1]:"));
	http_teardown(s);
}

static void test_head_has_no_body_and_405_says_what_is_allowed(void **state)
{
	struct http_state *s = start(NULL);
	char buf[4096];

	assert_int_equal(ask(s, "HEAD /hello" END, buf, sizeof(buf)), 200);
	assert_null(strstr(buf, "hello you"));
	assert_non_null(strstr(buf, "Content-Length: 10\r\n"));
	assert_int_equal(ask(s, "POST /large" END, buf, sizeof(buf)), 405);
	assert_non_null(strstr(buf, "Allow: GET\r\n"));
	http_teardown(s);
}

static void test_unix_socket_has_the_mode_that_was_asked_for(void **state)
{
	struct http_state *s = start(NULL);
	char path[90];
	struct stat st;

	assert_int_equal(stat(s->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/other", s->dir);
	assert_int_equal(fl_http_listen_unix(s->http, path, 0660, &routes, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	http_teardown(s); /* removes both, or the directory would stay */
}

/* The mode of a socket can be changed by hand: the peer is checked as well. */
static void test_unix_socket_turns_other_users_away(void **state)
{
	struct http_state *s = start(NULL);
	int fds[2], fd;
	pid_t pid;

	if (geteuid()) {
		http_teardown(s);
		fprintf(stderr, "SKIP: only root can change its user\n");
		skip();
	}
	assert_int_equal(chmod(s->dir, 0755) | chmod(s->path, 0666), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = fork();
	if (!pid) {
		char byte = 0;

		if (setuid(65534))
			_exit(1);
		fd = http_dial_unix(s->path);
		http_send(fd, "GET /hello" END);
		/* tell that it was sent, and stay until the server has looked */
		if (write(fds[1], &byte, 1) != 1 || read(fds[1], &byte, 1) != 1)
			_exit(2);
		_exit(http_ended(fd) ? 0 : 3);
	}
	assert_int_equal(read(fds[0], &(char){0}, 1), 1);
	http_settle(s);
	assert_int_equal(write(fds[0], "", 1), 1);
	assert_int_equal(waitpid(pid, &fd, 0), pid);
	assert_int_equal(fd, 0);
	assert_int_equal(s->calls, 0);
	close(fds[0]);
	close(fds[1]);
	http_teardown(s);
}

static void test_a_client_that_trickles_is_ended_in_time(void **state)
{
	struct http_state *s = start(NULL);
	const char *request = "GET /hello" END;
	int fd = http_dial_unix(s->path);

	for (size_t i = 0; i < 9; i++) {
		char byte[] = {request[i], '\0'};

		assert_false(http_ended(fd));
		http_send(fd, byte);
		http_settle(s);
		http_pass_ms(s, 600);
	}
	http_settle(s);
	assert_true(http_ended(fd));
	close(fd);
	http_teardown(s);
}

static void test_what_came_in_time_is_answered_however_late_the_turn(void **state)
{
	struct http_state *s = start(NULL);
	int fd = http_dial_unix(s->path);
	char buf[4096];

	http_settle(s);
	http_send(fd, "GET /hello" END);
	http_pass_ms(s, 60000);
	http_receive(s, fd, NULL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "hello you"));
	close(fd);
	http_teardown(s);
}

static void test_a_client_that_does_not_read_is_ended_in_time(void **state)
{
	struct http_state *s = start(NULL);
	int fd = http_dial_unix(s->path);
	char buf[4096];
	ssize_t n;

	http_send(fd, "GET /large" END);
	http_settle(s);
	http_pass_ms(s, 29000);
	http_settle(s);
	n = read(fd, buf, sizeof(buf)); /* a little now and then is no excuse */
	assert_true(n > 0);
	http_settle(s);
	http_pass_ms(s, 1001);
	http_settle(s);
	assert_true(http_ended(fd));
	close(fd);
	http_teardown(s);
}

static void test_large_answers_arrive_whole(void **state)
{
	struct http_state *s = start(NULL);
	char *buf = malloc(LARGE_BYTES + 4096);

	assert_non_null(buf);
	assert_int_equal(ask(s, "GET /large" END, buf, LARGE_BYTES + 4096), 200);
	assert_int_equal(strlen(strstr(buf, "\r\n\r\n") + 4), LARGE_BYTES);
	free(buf);
	http_teardown(s);
}

static void test_a_kept_connection_serves_again_and_ends_when_idle(void **state)
{
	struct http_state *s = start(NULL);
	int fd = http_dial_unix(s->path);
	char buf[4096];

	for (int i = 0; i < 3; i++) {
		http_pass_ms(s, 4000); /* the time for a request begins again with each */
		http_send(fd, "GET /hello" END_KEEP);
		assert_true(http_receive(s, fd, "hello you\n", buf, sizeof(buf)));
	}
	http_pass_ms(s, 4999);
	http_settle(s);
	assert_false(http_ended(fd));
	http_pass_ms(s, 1);
	http_settle(s);
	assert_true(http_ended(fd));
	close(fd);
	http_teardown(s);
}

static void test_slow_clients_hold_up_nobody(void **state)
{
	struct http_state *s = start(NULL);
	int slow[40];
	char buf[4096];

	for (size_t i = 0; i < 40; i++) {
		slow[i] = http_dial_unix(s->path);
		http_send(slow[i], "GET /hel");
	}
	assert_int_equal(ask(s, "GET /hello" END, buf, sizeof(buf)), 200);
	http_send(slow[3], "lo" END);
	http_receive(s, slow[3], NULL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "200 OK"));
	for (size_t i = 0; i < 40; i++)
		close(slow[i]);
	http_teardown(s);
}

static void test_newcomers_take_the_place_of_the_idle(void **state)
{
	struct http_state *s = start(NULL);
	int fds[80], open_ones = 0;
	char buf[4096];

	for (size_t i = 0; i < 80; i++) {
		fds[i] = http_dial_unix(s->path);
		http_settle(s);
	}
	for (size_t i = 0; i < 80; i++)
		open_ones += !http_ended(fds[i]);
	assert_int_equal(open_ones, 64);
	assert_true(http_ended(fds[15])); /* the oldest goes first */
	assert_false(http_ended(fds[16]));
	assert_int_equal(ask(s, "GET /hello" END, buf, sizeof(buf)), 200);
	for (size_t i = 0; i < 80; i++)
		close(fds[i]);
	http_teardown(s);
}

static void test_a_full_listener_ends_nobody_without_a_newcomer(void **state)
{
	struct http_state *s = start(&small);
	int fds[4];

	for (size_t i = 0; i < 4; i++)
		fds[i] = http_dial_unix(s->path);
	for (size_t i = 0; i < 8; i++)
		http_settle(s);
	for (size_t i = 0; i < 4; i++) {
		assert_false(http_ended(fds[i]));
		close(fds[i]);
	}
	http_teardown(s);
}

static void test_a_crowd_at_one_listener_is_none_at_another(void **state)
{
	struct http_state *s = start(&small);
	int crowd[8], kept;
	char buf[4096];

	if (listen_tcp(s, FL_IPV4)) {
		kept = http_dial_unix(s->path);
		http_settle(s);
		for (size_t i = 0; i < 8; i++) {
			crowd[i] = http_dial_tcp(FL_IPV4, s->port[FL_IPV4]);
			http_settle(s);
		}
		assert_int_equal(http_ask(s, kept, "GET /hello" END, buf, sizeof(buf)), 200);
		for (size_t i = 0; i < 8; i++)
			close(crowd[i]);
	}
	http_teardown(s);
}

/* Connections that are being answered are not cut: newcomers wait in the kernel's queue. */
static void test_newcomers_wait_while_all_are_being_answered(void **state)
{
	struct http_state *s = start(&small);
	struct pollfd watch = {fl_http_fd(s->http), POLLIN, 0};
	char *buf = malloc(LARGE_BYTES + 4096);
	int fds[4], late;

	for (size_t i = 0; i < 4; i++) {
		fds[i] = http_dial_unix(s->path);
		http_send(fds[i], "GET /large" END);
	}
	http_settle(s);
	late = http_dial_unix(s->path);
	http_send(late, "GET /hello" END);
	http_settle(s);
	assert_int_equal(poll(&watch, 1, 0), 0); /* and the loop does not spin meanwhile */
	assert_int_equal(s->calls, 0);
	assert_true(http_receive(s, fds[2], NULL, buf, LARGE_BYTES + 4096));
	assert_int_equal(strlen(strstr(buf, "\r\n\r\n") + 4), LARGE_BYTES);
	http_receive(s, late, NULL, buf, 4096);
	assert_non_null(strstr(buf, "hello you"));
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	close(late);
	free(buf);
	http_teardown(s);
}

static void test_handlers_share_the_loop_with_what_is_more_urgent(void **state)
{
	struct http_state *s = start(NULL);
	unsigned int turns = 0;
	int fds[8];
	char buf[4096];

	s->work_ms = 20; /* longer than a turn may take */
	for (size_t i = 0; i < 8; i++) {
		fds[i] = http_dial_unix(s->path);
		http_send(fds[i], "GET /hello" END);
	}
	while (s->calls < 8) {
		unsigned int before = s->calls;

		fl_http_handle(s->http);
		assert_true(s->calls <= before + 1);
		assert_true(++turns < 100);
	}
	for (size_t i = 0; i < 8; i++) {
		http_receive(s, fds[i], NULL, buf, sizeof(buf));
		assert_non_null(strstr(buf, "hello you"));
		close(fds[i]);
	}
	http_teardown(s);
}

static void test_the_server_ends_with_requests_that_wait(void **state)
{
	struct http_state *s = start(NULL);
	int fds[4];

	s->work_ms = 20;
	for (size_t i = 0; i < 4; i++) {
		fds[i] = http_dial_unix(s->path);
		http_send(fds[i], "GET /hello" END);
	}
	while (!s->calls)
		fl_http_handle(s->http);
	assert_true(s->calls < 4);
	http_teardown(s);
	for (size_t i = 0; i < 4; i++) {
		assert_true(http_ended(fds[i]));
		close(fds[i]);
	}
}

static void test_big_requests_are_refused(void **state)
{
	struct http_state *s = start(NULL);
	static char request[40000], buf[8192];
	char *body;
	int code;

	memset(request, 'a', sizeof(request));
	memcpy(request, "GET /", 5);
	strcpy(request + 30000, END);
	code = ask(s, request, buf, sizeof(buf));
	assert_true(code == 0 || code >= 400);

	strcpy(request, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 4097\r\n"
			"Connection: close\r\n\r\n");
	assert_int_equal(ask(s, request, buf, sizeof(buf)), 413);
	assert_non_null(strstr(buf, "the body is longer than 4096 bytes\n"));
	assert_int_equal(s->calls, 0);

	strcpy(request, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n"
			"Connection: close\r\n\r\n");
	body = request + strlen(request);
	memset(body, 'b', 4096);
	body[4096] = '\0';
	assert_int_equal(ask(s, request, buf, sizeof(buf)), 200);

	/* not announced, as one chunk of 0x2000 bytes */
	strcpy(request, "POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			"2000\r\n");
	body = request + strlen(request);
	memset(body, 'b', 8192);
	strcpy(body + 8192, "\r\n0\r\n\r\n");
	code = ask(s, request, buf, sizeof(buf));
	assert_true(code == 0 || code >= 400);
	assert_int_equal(s->calls, 1);
	http_teardown(s);
}

static void test_nonsense_is_refused_and_harms_nobody(void **state)
{
	static const char *const rows[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET /hello HTTP/9.9\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01\r\n\r\n", /* TLS */
		"GET /hello HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET /hello HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /hello HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	struct http_state *s = start(NULL);
	char buf[8192];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = http_dial_unix(s->path);

		http_send(fd, rows[i]);
		http_settle(s);
		http_pass_ms(s, 5000);
		http_settle(s);
		close(fd);
	}
	assert_int_equal(s->calls, 0);
	assert_int_equal(ask(s, "GET /hello" END, buf, sizeof(buf)), 200);
	http_teardown(s);
}

static void test_many_arguments_are_refused(void **state)
{
	struct http_state *s = start(NULL);
	char request[1024] = "GET /hello?", buf[4096];

	for (int i = 0; i < 33; i++)
		strcat(request, "name=x&");
	strcat(request, END);
	assert_int_equal(ask(s, request, buf, sizeof(buf)), 400);
	assert_non_null(strstr(buf, "more than 32 arguments"));
	http_teardown(s);
}

static void test_the_loop_does_not_spin_without_descriptors(void **state)
{
	struct http_state *s = start(NULL);
	struct pollfd watch = {fl_http_fd(s->http), POLLIN, 0};
	struct rlimit before, now;
	char buf[4096];
	int fd = http_dial_unix(s->path), spare = dup(fd);

	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)spare; /* the next descriptor would be this one */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	http_send(fd, "GET /hello" END);
	http_settle(s);
	assert_int_equal(poll(&watch, 1, 0), 0);
	assert_int_equal(s->calls, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	http_receive(s, fd, NULL, buf, sizeof(buf)); /* it tries again by itself */
	assert_non_null(strstr(buf, "hello you"));
	close(fd);
	http_teardown(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_listener_has_routes_of_its_own),
		cmocka_unit_test(test_a_tcp_address_in_use_is_said),
		cmocka_unit_test(test_the_unspecified_ipv6_address_takes_both_families),
		cmocka_unit_test(test_sockets_of_a_listener_come_and_go),
		cmocka_unit_test(test_both_wildcards_of_a_port),
		cmocka_unit_test(test_head_has_no_body_and_405_says_what_is_allowed),
		cmocka_unit_test(test_unix_socket_has_the_mode_that_was_asked_for),
		cmocka_unit_test(test_unix_socket_turns_other_users_away),
		cmocka_unit_test(test_a_client_that_trickles_is_ended_in_time),
		cmocka_unit_test(test_what_came_in_time_is_answered_however_late_the_turn),
		cmocka_unit_test(test_a_client_that_does_not_read_is_ended_in_time),
		cmocka_unit_test(test_large_answers_arrive_whole),
		cmocka_unit_test(test_a_kept_connection_serves_again_and_ends_when_idle),
		cmocka_unit_test(test_slow_clients_hold_up_nobody),
		cmocka_unit_test(test_newcomers_take_the_place_of_the_idle),
		cmocka_unit_test(test_a_full_listener_ends_nobody_without_a_newcomer),
		cmocka_unit_test(test_a_crowd_at_one_listener_is_none_at_another),
		cmocka_unit_test(test_newcomers_wait_while_all_are_being_answered),
		cmocka_unit_test(test_handlers_share_the_loop_with_what_is_more_urgent),
		cmocka_unit_test(test_the_server_ends_with_requests_that_wait),
		cmocka_unit_test(test_big_requests_are_refused),
		cmocka_unit_test(test_nonsense_is_refused_and_harms_nobody),
		cmocka_unit_test(test_many_arguments_are_refused),
		cmocka_unit_test(test_the_loop_does_not_spin_without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
