/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stays on disk of what an API server said, and serves when it says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>

#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lb/base/read_file.h"
#include "lb/source/kept.h"
#include "tests/unit/source/kube_fixture.h"

static char state_dir[] = "/tmp/fairlead-state-XXXXXX", state_file[64];

static struct fl_kube_source_options with_state(void)
{
	return (struct fl_kube_source_options){
		.state = state_file, .load_ms = 1, .keep_after_ms = 1, .keep_every_ms = 1};
}

static int setup_state(void **state)
{
	strcpy(state_dir + strlen(state_dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	snprintf(state_file, sizeof(state_file), "%s/api-state", state_dir);
	return setup_with(state, with_state());
}

static int teardown_state(void **state)
{
	unlink(state_file);
	assert_int_equal(rmdir(state_dir), 0); /* nothing is left beside it */
	return teardown(state);
}

static char *read_state(size_t *ret_len)
{
	char *text = NULL;

	return fl_read_file(state_file, FL_KEPT_MAX_BYTES, &text, ret_len, NULL, NULL) ? NULL
										       : text;
}

static bool state_has(const char *words)
{
	size_t len;
	char *text = read_state(&len);
	const bool has = text && strstr(text, words);

	free(text);
	return has;
}

/* The agent ends, and the server has heard of none. */
static void forget(struct scene *s)
{
	close_source(s);
	fake_accept(&s->server);
	for (size_t i = 0; i < CONNECTIONS; i++)
		fake_cut(&s->server.connections[i]);
}

/* The server says nothing to the next agent. */
static void restart(struct scene *s)
{
	forget(s);
	open_source(s, with_state());
}

/* Robustness A7: a node that starts without an API server serves what was known last, says that it
 * is old, and follows the server when that is back. */
static void test_a7_state_outlives_the_agent(void **state)
{
	struct scene *s = *state;
	struct stat st;

	start(s);
	UNTIL(state_has("\"name\":\"web-1\""));
	assert_int_equal(stat(state_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	fake_say(s->services, ADDED(SERVICE("new", "443")));
	UNTIL(state_has("\"name\":\"new\""));
	restart(s);
	assert_false(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(port_of(s, "new"), 443);
	assert_non_null(fl_store_slice(s->store, "default", "web-1"));
	assert_non_null(fl_store_node(s->store));
	assert_non_null(strstr(condition(s, "state"), "it has not been reached since"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
	assert_string_equal(s->problems, "");
	/* what it lists now is what counts */
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "8080")) END("20"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.2")) END("21"));
	for (int i = 0; i < 5; i++)
		turn(s);
	assert_int_equal(port_of(s, "web"), 80);
	s->nodes = list(s, NODES, ADDED(NODE) END("22"));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 8080);
	assert_int_equal(port_of(s, "new"), 0);
	assert_string_equal(condition(s, "state"), "");
	UNTIL(!state_has("\"name\":\"new\""));
}

/* Lists that take longer than one waits for a silent server, though not in silence. */
static void *list_slowly(void *arg)
{
	struct scene *s = arg;
	struct fake_connection *c;

	while (s->server.requests < 3)
		fake_turn(&s->server, -1, 20);
	fake_begin(c = fake_asked(&s->server, SERVICES));
	for (int i = 0; i < 80; i++) {
		if (i % 10 == 0)
			fake_say(c, ADDED(SERVICE("web", "8080")));
		fake_turn(&s->server, -1, 20);
	}
	fake_say(c, END("20"));
	for (int i = 0; i < 2; i++) {
		c = fake_asked(&s->server, i ? NODES : SLICES);
		fake_begin(c);
		fake_say(c,
			 i ? ADDED(NODE) END("22") : ADDED(SLICE("web-1", "10.1.0.2")) END("21"));
	}
	return NULL;
}

/* Robustness A7: what was kept is older than what an earlier agent left in the maps. It is not gone
 * back to while the server is telling what is so now. */
static void test_a7_lists_under_way_are_waited_for(void **state)
{
	struct fl_kube_source_options options = with_state();
	struct scene *s = *state;
	pthread_t server;

	start(s);
	UNTIL(state_has("\"name\":\"web-1\""));
	forget(s);
	s->server.requests = 0;
	options.load_ms = PATIENCE_MS;
	assert_int_equal(pthread_create(&server, NULL, list_slowly, s), 0);
	open_source(s, options);
	assert_int_equal(pthread_join(server, NULL), 0);
	assert_true(fl_source_complete(s->source));
	assert_string_equal(condition(s, "state"), "");
	assert_int_equal(port_of(s, "web"), 8080);
}

/* Each byte of it, and each end: a clear message and an empty start. */
static void test_damaged_state(void **state)
{
	struct scene *s = *state;
	size_t len;
	char *text;

	start(s);
	UNTIL((text = read_state(&len)));
	for (size_t at = 0; at < len; at += 41) {
		FILE *f = fopen(state_file, "w");
		const char was = text[at];

		assert_non_null(f);
		text[at] = (char)(was ^ 1);
		fwrite(text, 1, at % 2 ? len : at, f); /* another byte, or cut there */
		text[at] = was;
		fclose(f);
		restart(s);
		assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
		assert_non_null(strstr(condition(s, "state"), "what was kept is not used: "));
		assert_non_null(strstr(condition(s, "state"), " is damaged"));
	}
	free(text);
}

static void test_state_of_others(void **state)
{
	static const struct {
		struct fl_kept_owner owner;
		const char *words;
	} rows[] = {
		{{"node-2", NULL}, "is of node node-2"},
		{{"node-1", "https://192.0.2.9:6443"}, "is of API server https://192.0.2.9:6443"},
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_kept_owner owner = rows[i].owner;
		struct fl_kept_writer *writer = NULL;
		bool wrote;

		owner.server = owner.server ? owner.server : s->server.url;
		assert_int_equal(fl_kept_writer_new(state_file, &owner, 1, &writer, NULL), 0);
		assert_int_equal(fl_kept_writer_add(writer, SERVICE("web", "80"),
						    strlen(SERVICE("web", "80")), &wrote, NULL),
				 0);
		assert_true(fl_kept_writer_commit(writer, NULL) > 0);
		fl_kept_writer_free(&writer);
		restart(s);
		assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
		if (!strstr(condition(s, "state"), rows[i].words))
			fail_msg("\"%s\" has no \"%s\"", condition(s, "state"), rows[i].words);
	}
}

/* Written by an agent of another version, and whole. */
static void test_state_of_another_version(void **state)
{
	static const char is[] = "\"version\":1,", was[] = "\"version\":9,",
			  sum[] = "\"checksum\":\"";
	struct scene *s = *state;
	size_t len;
	char *text, *tail;
	FILE *file;

	start(s);
	UNTIL(state_has("\"name\":\"web-1\""));
	forget(s);
	text = read_state(&len);
	assert_non_null(text);
	assert_non_null(strstr(text, is));
	memcpy(strstr(text, is), was, strlen(was));
	for (tail = text + len - 1; tail[-1] != '\n'; tail--)
		;
	assert_non_null(strstr(tail, sum));
	snprintf(strstr(tail, sum) + strlen(sum), 17, "%016" PRIx64,
		 (uint64_t)XXH64(text, (size_t)(tail - text), 0));
	text[len - 3] = '"'; /* where that ended */
	file = fopen(state_file, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	free(text);
	open_source(s, with_state());
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
	if (!strstr(condition(s, "state"), "is of version 9, not 1"))
		fail_msg("\"%s\" does not say so", condition(s, "state"));
}

/* A place that cannot be written is a condition, and no more than that. */
static void test_state_that_cannot_be_written(void **state)
{
	struct scene *s = *state;

	assert_int_equal(rmdir(state_dir), 0);
	start(s);
	UNTIL(strstr(condition(s, "state"), "what is known is not kept: cannot write "));
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(mkdir(state_dir, 0700), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_state, teardown_state)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a7_state_outlives_the_agent),
		TEST(test_a7_lists_under_way_are_waited_for),
		TEST(test_damaged_state),
		TEST(test_state_of_others),
		TEST(test_state_of_another_version),
		TEST(test_state_that_cannot_be_written),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
