/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The API on a real socket in a temporary directory (robustness E4): who may connect, what is
 * answered, and that no client holds up another. The test is both the loop and the clients, so
 * nothing waits for a clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lb/api/api.h"
#include "tests/unit/api/map_fixture.h"

struct state {
	struct map_fixture f;
	struct fl_api_source source;
	struct fl_api *api;
	char dir[64], path[80];
	int clock_refreshes;
};

static void refresh_clock(void *arg)
{
	struct state *s = arg;

	s->clock_refreshes++;
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

	strcpy(s->dir, "/tmp/fairlead-api-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/sub/api.sock", s->dir);
	fixture_maps(&s->f);
	s->source = (struct fl_api_source){
		.maps = &s->f.maps,
		.hz = FIXTURE_HZ,
		.status = fill_status,
		.refresh_clock = refresh_clock,
		.arg = s,
	};
	if (fl_api_open(s->path, &s->source, &s->api, &err))
		fail_msg("%s", err.text);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;
	char sub[80];

	fl_api_close(&s->api);
	unlink(s->path);
	snprintf(sub, sizeof(sub), "%s/sub", s->dir);
	rmdir(sub);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static int dial(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Run the loop until the client's connection ends or `until` has come. */
static void receive(struct state *s, int fd, const char *until, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	for (;;) {
		struct pollfd fds[] = {{fl_api_fd(s->api), POLLIN, 0}, {fd, POLLIN, 0}};

		assert_true(poll(fds, 2, 20000) > 0);
		if (fds[0].revents)
			fl_api_handle(s->api);
		if (!fds[1].revents)
			continue;
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			return;
		len += (size_t)n;
		buf[len] = '\0';
		if (until && strstr(buf, until))
			return;
	}
}

static int ask(struct state *s, const char *request, char *buf, size_t size)
{
	int fd = dial(s->path), code = 0;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	receive(s, fd, NULL, buf, size);
	close(fd);
	sscanf(buf, "HTTP/1.1 %d", &code);
	return code;
}

#define END " HTTP/1.1\r\nHost: fairlead\r\nConnection: close\r\n\r\n"

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
		{"GET /v1/flows?client=%5B::1%5D:7" END, 200, "\"total\":0"},
		{"GET /v1/flows?state=sideways" END, 400, "is not new, replied"},
		{"GET /v1/flows?all=true" END, 400, "flushing"},
		{"GET /v1/maglev/default/none/http" END, 404, "default/none:http"},
		{"GET /v1/plan" END, 503, "no plan yet"},
		{"GET /v1/flows/flush" END, 405, "wants POST"},
		{"POST /v1/status" END, 405, "wants GET"},
		{"POST /v1/flows/flush" END, 400, "needs all=true"},
		{"POST /v1/flows/flush?all=false" END, 400, "needs all=true"},
		{"POST /v1/flows/flush?clinet=10.0.0.1" END, 400, "no filter"},
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

	assert_int_equal(stat(s->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_second_agent_is_told_so(void **state)
{
	struct state *s = *state;
	struct fl_api *second = NULL;
	struct fl_err err;
	char buf[4096];

	assert_int_equal(fl_api_open(s->path, &s->source, &second, &err), -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(err.text, "another agent answers on"));
	assert_int_equal(ask(s, "GET /v1/version" END, buf, sizeof(buf)),
			 200); /* the first is unharmed */
}

static void test_stale_socket_is_replaced_other_files_are_not(void **state)
{
	struct state *s = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct fl_api *api = NULL;
	char path[90], buf[4096];
	int fd;

	/* what a killed agent leaves */
	snprintf(path, sizeof(path), "%s/stale", s->dir);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(fl_api_open(path, &s->source, &api, NULL), 0);
	fl_api_close(&api);
	assert_int_equal(access(path, F_OK), -1); /* closing removes it */

	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(fl_api_open(path, &s->source, &api, NULL), -EEXIST);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	assert_int_equal(symlink(s->path, path), 0);
	assert_int_equal(fl_api_open(path, &s->source, &api, NULL), -EEXIST);
	unlink(path);
	assert_int_equal(ask(s, "GET /v1/version" END, buf, sizeof(buf)), 200);
}

static void test_paths_that_cannot_be(void **state)
{
	struct state *s = *state;
	struct fl_api *api = NULL;
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(fl_api_open(longer, &s->source, &api, NULL), -ENAMETOOLONG);
	assert_int_equal(fl_api_open("", &s->source, &api, NULL), -ENAMETOOLONG);
	assert_int_equal(fl_api_open("/nonexistent/a/b.sock", &s->source, &api, NULL), -ENOENT);
}

static void test_close_leaves_a_successors_socket(void **state)
{
	struct state *s = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(s->path);
	strcpy(addr.sun_path, s->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	fl_api_close(&s->api);
	assert_int_equal(access(s->path, F_OK), 0);
	close(fd);
}

static void test_slow_clients_hold_up_nobody(void **state)
{
	struct state *s = *state;
	int slow[40];
	char buf[4096];

	for (size_t i = 0; i < 40; i++) {
		slow[i] = dial(s->path);
		assert_int_equal(write(slow[i], "GET /v1/ver", 11), 11);
	}
	assert_int_equal(ask(s, "GET /v1/version" END, buf, sizeof(buf)), 200);
	assert_int_equal(write(slow[3], "sion" END, strlen("sion" END)), strlen("sion" END));
	receive(s, slow[3], NULL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "200 OK"));
	for (size_t i = 0; i < 40; i++)
		close(slow[i]);
}

static void test_connections_are_limited(void **state)
{
	struct state *s = *state;
	struct pollfd watch = {fl_api_fd(s->api), POLLIN, 0};
	int fds[80], open_ones = 0;
	char byte, buf[4096];

	for (size_t i = 0; i < 80; i++) {
		fds[i] = dial(s->path);
		if (poll(&watch, 1, 0) > 0)
			fl_api_handle(s->api);
	}
	while (poll(&watch, 1, 0) > 0)
		fl_api_handle(s->api);
	for (size_t i = 0; i < 80; i++)
		open_ones += read(fds[i], &byte, 1) < 0 && errno == EAGAIN;
	assert_int_equal(open_ones, 64);
	for (size_t i = 0; i < 80; i++)
		close(fds[i]);
	while (poll(&watch, 1, 0) > 0)
		fl_api_handle(s->api);
	assert_int_equal(ask(s, "GET /v1/version" END, buf, sizeof(buf)), 200);
}

static void test_big_requests_are_refused(void **state)
{
	struct state *s = *state;
	static char request[40000], buf[4096];
	int code;

	memset(request, 'a', sizeof(request));
	memcpy(request, "GET /", 5);
	strcpy(request + 30000, END);
	code = ask(s, request, buf, sizeof(buf));
	assert_true(code == 0 || code >= 400);

	/* a body that is larger than any request of ours needs */
	strcpy(request, "POST /v1/flows/flush?all=true HTTP/1.1\r\nHost: x\r\nContent-Length: "
			"20000\r\n\r\n");
	memset(request + strlen(request), 'b', 20000);
	request[20000 + 78] = '\0';
	code = ask(s, request, buf, sizeof(buf));
	assert_true(code == 0 || code >= 400);
	assert_int_equal(s->f.flows4[0].way[0].head.word & FL_FLOW_STATE_MASK, FL_FLOW_ESTABLISHED);
}

static void test_many_arguments_are_refused(void **state)
{
	struct state *s = *state;
	char request[1024] = "GET /v1/flows?", buf[4096];

	for (int i = 0; i < 20; i++)
		strcat(request, "state=new&");
	strcat(request, END);
	assert_int_equal(ask(s, request, buf, sizeof(buf)), 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_flush_frees_what_matches),
		TEST(test_socket_is_for_its_owner_only),
		TEST(test_second_agent_is_told_so),
		TEST(test_stale_socket_is_replaced_other_files_are_not),
		TEST(test_paths_that_cannot_be),
		TEST(test_close_leaves_a_successors_socket),
		TEST(test_slow_clients_hold_up_nobody),
		TEST(test_connections_are_limited),
		TEST(test_big_requests_are_refused),
		TEST(test_many_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
