/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is taken away from a running agent is put back, or is a condition until it can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/agent/watchdog.h"
#include "lb/base/log.h"
#include "tests/unit/agent/health_fixture.h"

/* A datapath and an API that lose things. */
struct scene {
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_watchdog watchdog;
	int lost, missing_pins;
	int pins_rc, socket_rc, cgroup_rc;
	int attached; /* calls of attach_cgroup */
	char order[64];
};

static void note(struct scene *s, const char *what)
{
	size_t used = strlen(s->order);

	snprintf(s->order + used, sizeof(s->order) - used, "%s ", what);
}

static int lost_programs(void *ctx)
{
	struct scene *s = ctx;
	int n = s->lost;

	note(s, "lost");
	s->lost = 0;
	return n;
}

static int repair_pins(void *ctx, int *ret_n, struct fl_err *err)
{
	struct scene *s = ctx;

	note(s, "pins");
	if (s->pins_rc)
		return fl_err_set(err, s->pins_rc, "no room for pins");
	*ret_n = s->missing_pins;
	s->missing_pins = 0;
	return 0;
}

static int repair_socket(void *ctx, struct fl_err *err)
{
	struct scene *s = ctx;

	return s->socket_rc ? fl_err_set(err, s->socket_rc, "no directory") : 0;
}

static int attach_cgroup(void *ctx, struct fl_err *err)
{
	struct scene *s = ctx;

	s->attached++;
	return s->cgroup_rc ? fl_err_set(err, s->cgroup_rc, "the cgroup is gone") : 0;
}

static const struct fl_watchdog_ops ops = {lost_programs, repair_pins, repair_socket,
					   attach_cgroup};

static int setup(void **state)
{
	static struct scene scene;

	scene = (struct scene){.hands = {1}};
	scene.health = health_with(&scene.hands);
	scene.watchdog = (struct fl_watchdog){&ops, &scene, scene.health, "/sys/fs/bpf/x"};
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	fl_health_free(&((struct scene *)*state)->health);
	return 0;
}

static void test_nothing_lost_is_nothing_found(void **state)
{
	struct scene *s = *state;

	assert_int_equal(fl_watchdog_tick(&s->watchdog), 0);
	assert_int_equal(s->attached, 0);
	assert_true(fl_health_is_good(s->health));
	/* links without a device are forgotten before anything is pinned */
	assert_string_equal(s->order, "lost pins ");
}

static void test_detached_programs_are_attached_again(void **state)
{
	struct scene *s = *state;

	s->lost = 2;
	assert_int_equal(fl_watchdog_tick(&s->watchdog), FL_WATCHDOG_PROGRAMS | FL_WATCHDOG_HOOKS);
	assert_int_equal(s->attached, 1);
	assert_true(fl_health_is_good(s->health));
	assert_int_equal(fl_watchdog_tick(&s->watchdog), 0);
	assert_int_equal(s->attached, 1);
}

static void test_hooks_that_cannot_be_attached_are_an_error_until_they_are(void **state)
{
	struct scene *s = *state;

	s->lost = 1;
	s->cgroup_rc = -ENOENT;
	for (int i = 0; i < 3; i++)
		assert_true(fl_watchdog_tick(&s->watchdog) & FL_WATCHDOG_HOOKS);
	assert_int_equal(s->attached, 3);
	assert_string_equal(condition_text(s->health, FL_CONDITION_CGROUP, ""),
			    "the cgroup is gone");
	assert_false(fl_health_is_good(s->health));
	s->cgroup_rc = 0;
	fl_watchdog_tick(&s->watchdog);
	assert_true(fl_health_is_good(s->health));
	assert_int_equal(fl_watchdog_tick(&s->watchdog), 0);
}

static void test_pins_come_back(void **state)
{
	struct scene *s = *state;

	s->missing_pins = 4;
	assert_int_equal(fl_watchdog_tick(&s->watchdog), 0);
	assert_true(fl_health_is_good(s->health));
}

/* A device that was attached while nothing could be pinned has links without a pin. */
static void test_pins_that_cannot_be_made_are_an_error_until_they_can(void **state)
{
	struct scene *s = *state;

	s->pins_rc = -ENOSPC;
	assert_int_equal(fl_watchdog_tick(&s->watchdog), 0);
	assert_non_null(strstr(condition_text(s->health, FL_CONDITION_PINS, ""), "no room"));
	assert_false(fl_health_is_good(s->health));
	s->pins_rc = 0;
	assert_int_equal(fl_watchdog_tick(&s->watchdog), FL_WATCHDOG_PROGRAMS);
	assert_true(fl_health_is_good(s->health));
}

/* Traffic is served without it. */
static void test_a_socket_that_cannot_be_made_is_a_warning(void **state)
{
	struct scene *s = *state;

	s->socket_rc = -ENOENT;
	fl_watchdog_tick(&s->watchdog);
	assert_non_null(condition_text(s->health, FL_CONDITION_SOCKET, ""));
	assert_true(fl_health_is_good(s->health));
	s->socket_rc = 0;
	fl_watchdog_tick(&s->watchdog);
	assert_null(condition_text(s->health, FL_CONDITION_SOCKET, ""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_lost_is_nothing_found),
		TEST(test_detached_programs_are_attached_again),
		TEST(test_hooks_that_cannot_be_attached_are_an_error_until_they_are),
		TEST(test_pins_come_back),
		TEST(test_pins_that_cannot_be_made_are_an_error_until_they_can),
		TEST(test_a_socket_that_cannot_be_made_is_a_warning),
	};

	fl_log_level_set(FL_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
