/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The file of a Unix socket (robustness E4): which one may be replaced, and which removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/http/http_fixture.h"

static void hello(const struct fl_http_request *request, struct fl_http_response *response,
		  void *arg)
{
	fl_http_respond_text(response, 200, "hello\n");
}

static const struct fl_http_route table[] = {{.method = "GET", .path = "/", .handle = hello}};
static const struct fl_http_routes routes = {.routes = table, .n_routes = 1};

static int setup(void **state)
{
	struct http_state *s = calloc(1, sizeof(*s));
	struct fl_err err;

	http_setup(s, NULL);
	if (fl_http_listen_unix(s->http, s->path, 0600, &routes, &err))
		fail_msg("%s", err.text);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	http_teardown(*state);
	free(*state);
	return 0;
}

static void assert_serves(struct http_state *s, const char *path)
{
	char buf[4096];

	assert_int_equal(http_ask(s, http_dial_unix(path), "GET /" END, buf, sizeof(buf)), 200);
}

static void test_a_socket_that_is_answered_on_is_left_alone(void **state)
{
	struct http_state *s = *state;
	struct fl_err err;

	assert_int_equal(fl_http_listen_unix(s->http, s->path, 0600, &routes, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another agent answers on"));
	assert_serves(s, s->path);
}

/* Bound and closed again: what a killed agent leaves. */
static int leave_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return close(fd);
}

static void test_stale_socket_is_replaced_other_files_are_not(void **state)
{
	struct http_state *s = *state;
	char path[90];
	int fd;

	snprintf(path, sizeof(path), "%s/other", s->dir);
	leave_socket(path);
	assert_int_equal(fl_http_listen_unix(s->http, path, 0600, &routes, NULL), 0);
	assert_serves(s, path);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(fl_http_listen_unix(s->http, path, 0600, &routes, NULL), -EEXIST);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	assert_int_equal(symlink(s->path, path), 0);
	assert_int_equal(fl_http_listen_unix(s->http, path, 0600, &routes, NULL), -EEXIST);
	unlink(path);
	assert_serves(s, s->path);
}

static void test_only_a_missing_directory_is_made(void **state)
{
	struct http_state *s = *state;
	char path[200], dir[80];
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/sub", s->dir);
	snprintf(path, sizeof(path), "%s/sub/http.sock", s->dir);
	assert_int_equal(fl_http_listen_unix(s->http, path, 0600, &routes, NULL), 0);
	assert_serves(s, path);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	unlink(path);
	rmdir(dir);
	assert_int_equal(fl_http_listen_unix(s->http, "/nonexistent/a/b.sock", 0600, &routes, NULL),
			 -ENOENT);
	assert_int_equal(fl_http_listen_unix(s->http, "", 0600, &routes, NULL), -ENAMETOOLONG);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(fl_http_listen_unix(s->http, path, 0600, &routes, NULL), -ENAMETOOLONG);
}

static void test_closing_leaves_a_successors_socket(void **state)
{
	struct http_state *s = *state;

	unlink(s->path);
	leave_socket(s->path);
	fl_http_free(&s->http);
	assert_int_equal(access(s->path, F_OK), 0);
}

static void test_a_removed_socket_is_made_again_and_connections_stay(void **state)
{
	struct http_state *s = *state;
	int kept = http_dial_unix(s->path);
	struct stat st;
	char buf[4096];

	http_settle(s);
	assert_int_equal(fl_http_repair(s->http, NULL), 0);
	assert_false(http_ended(kept)); /* nothing was wrong: nothing happened */
	unlink(s->path);
	assert_int_equal(fl_http_repair(s->http, NULL), 0);
	assert_serves(s, s->path);
	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(http_ask(s, kept, "GET /" END, buf, sizeof(buf)), 200);
}

static void test_a_socket_that_cannot_be_made_again_is_said(void **state)
{
	struct http_state *s = *state;
	struct fl_err err = {""};

	unlink(s->path);
	rmdir(s->dir);
	/* a file where the directory was */
	close(open(s->dir, O_CREAT | O_WRONLY, 0600));
	assert_int_not_equal(fl_http_repair(s->http, &err), 0);
	unlink(s->dir);
	assert_int_equal(mkdir(s->dir, 0700), 0);
	assert_int_equal(fl_http_repair(s->http, NULL), 0);
	assert_serves(s, s->path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_socket_that_is_answered_on_is_left_alone),
		TEST(test_stale_socket_is_replaced_other_files_are_not),
		TEST(test_only_a_missing_directory_is_made),
		TEST(test_closing_leaves_a_successors_socket),
		TEST(test_a_removed_socket_is_made_again_and_connections_stay),
		TEST(test_a_socket_that_cannot_be_made_again_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
