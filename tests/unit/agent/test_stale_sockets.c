/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 7.3: datagrams are looked at while a connected socket has to leave its backend, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "lb/agent/stale_sockets.h"
#include "lb/base/log.h"
#include "tests/unit/agent/health_fixture.h"

struct scene {
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_socket_bucket bucket;
	struct fl_stale_sockets stale;
	bool attached;
	int rc;
	int calls;
};

static int see(void *ctx, bool on, struct fl_err *err)
{
	struct scene *s = ctx;

	s->calls++;
	if (s->rc)
		return fl_err_set(err, s->rc, "the cgroup is gone");
	s->attached = on;
	return 0;
}

static bool sees(void *ctx)
{
	return ((struct scene *)ctx)->attached;
}

static const struct fl_stale_sockets_ops ops = {see, sees};

static int setup(void **state)
{
	static struct scene s;

	s = (struct scene){.hands = {FL_NSEC_PER_SEC}};
	s.health = health_with(&s.hands);
	s.stale = (struct fl_stale_sockets){.ops = &ops,
					    .ctx = &s,
					    .health = s.health,
					    .table = {&s.bucket, 1},
					    .counted = s.hands};
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	fl_health_free(&((struct scene *)*state)->health);
	return 0;
}

static void turn(struct scene *s, size_t marked, uint64_t seconds)
{
	s->hands.ns += seconds * FL_NSEC_PER_SEC;
	fl_stale_sockets_turn(&s->stale, marked, s->hands);
}

static void set_stale(struct scene *s, bool stale)
{
	s->bucket.way[1].word = fl_socket_word(0, FL_SOCKET_USED);
	s->bucket.way[1].stale = stale ? s->bucket.way[1].word : 0;
}

static void test_nothing_is_attached_without_need(void **state)
{
	struct scene *s = *state;

	turn(s, 0, 1);
	turn(s, 0, 3600);
	assert_int_equal(s->calls, 0);
}

static void test_it_is_there_from_the_first_socket_to_the_last(void **state)
{
	struct scene *s = *state;

	set_stale(s, true);
	turn(s, 1, 1);
	assert_true(s->attached);
	turn(s, 1, 3600);
	assert_true(s->attached);
	set_stale(s, false);
	turn(s, 1, 30);
	assert_true(s->attached);
	turn(s, 1, 60);
	assert_false(s->attached);
	set_stale(s, true);
	turn(s, 2, 1);
	assert_true(s->attached);
}

/* What an earlier agent has attached is kept for its sockets, or taken away without them. */
static void test_that_of_an_earlier_agent(void **state)
{
	struct scene *s = *state;

	s->attached = true;
	set_stale(s, true);
	turn(s, 0, 61);
	assert_true(s->attached);
	set_stale(s, false);
	turn(s, 0, 61);
	assert_false(s->attached);
}

static void test_a_hook_that_cannot_be_attached_is_an_error(void **state)
{
	struct scene *s = *state;

	s->rc = -ENOENT;
	set_stale(s, true);
	turn(s, 1, 1);
	assert_string_equal(condition_text(s->health, FL_CONDITION_CGROUP, ""),
			    "the cgroup is gone");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_attached_without_need),
		TEST(test_it_is_there_from_the_first_socket_to_the_last),
		TEST(test_that_of_an_earlier_agent),
		TEST(test_a_hook_that_cannot_be_attached_is_an_error),
	};

	fl_log_level_set(FL_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
