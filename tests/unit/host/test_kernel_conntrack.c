/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 9.5: which sysctls of connection tracking are written, with what, and what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/host/kernel_conntrack.h"

#define SYSCTL "nf_conntrack_"

static const char *const names[] = {
	"max",
	"buckets",
	"tcp_timeout_established",
	"tcp_timeout_close_wait",
	"tcp_be_liberal",
	"udp_timeout",
	"udp_timeout_stream",
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

struct scene {
	char dir[40];
	struct fl_health *health;
	struct fl_kernel_conntrack conntrack;
};

static const char *path_of(const struct scene *s, const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/netfilter/" SYSCTL "%s", s->dir, name);
	return path;
}

static void have(const struct scene *s, const char *name, const char *value)
{
	FILE *file = fopen(path_of(s, name), "we");

	assert_non_null(file);
	fprintf(file, "%s\n", value);
	fclose(file);
}

static unsigned long value_of(const struct scene *s, const char *name)
{
	FILE *file = fopen(path_of(s, name), "re");
	unsigned long value = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &value), 1);
	fclose(file);
	return value;
}

/* As a kernel has it before anyone sets something. */
static void have_all(const struct scene *s)
{
	static const char *const values[N_NAMES] = {"65536", "16384", "432000", "60",
						    "0",     "30",    "120"};
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/netfilter", s->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	for (size_t i = 0; i < N_NAMES; i++)
		have(s, names[i], values[i]);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->dir, "/tmp/fairlead-sysctls.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	assert_int_equal(fl_health_new(&fl_clock_system, NULL, NULL, &s->health), 0);
	s->conntrack = (struct fl_kernel_conntrack){
		.sysctls = s->dir,
		.wants = {.max_per_core = 32768,
			  .min = 131072,
			  .tcp_established_s = 86400,
			  .tcp_close_wait_s = 3600},
		.n_cpus = 2,
		.health = s->health,
	};
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char dir[200];

	for (size_t i = 0; i < N_NAMES; i++)
		unlink(path_of(s, names[i]));
	snprintf(dir, sizeof(dir), "%s/netfilter", s->dir);
	rmdir(dir);
	rmdir(s->dir);
	fl_health_free(&s->health);
	free(s);
	return 0;
}

static void test_9_5_as_kube_proxy_sets_them(void **state)
{
	static const unsigned long wanted[N_NAMES] = {131072, 32768, 86400, 3600, 0, 30, 120};
	struct scene *s = *state;

	have_all(s);
	fl_kernel_conntrack_apply(&s->conntrack);
	for (size_t i = 0; i < N_NAMES; i++)
		assert_int_equal(value_of(s, names[i]), wanted[i]);
	assert_true(s->conntrack.done);
	/* what somebody else sets later is theirs */
	have(s, "tcp_timeout_established", "99");
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_int_equal(value_of(s, "tcp_timeout_established"), 99);
}

static void test_9_5_more_processors_more_room(void **state)
{
	struct scene *s = *state;

	have_all(s);
	s->conntrack.n_cpus = 8;
	s->conntrack.wants.tcp_be_liberal = true;
	s->conntrack.wants.udp_s = 40;
	s->conntrack.wants.udp_stream_s = 180;
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_int_equal(value_of(s, "max"), 262144);
	assert_int_equal(value_of(s, "buckets"), 65536);
	assert_int_equal(value_of(s, "tcp_be_liberal"), 1);
	assert_int_equal(value_of(s, "udp_timeout"), 40);
	assert_int_equal(value_of(s, "udp_timeout_stream"), 180);
}

/* Unlike kube-proxy: room that an administrator has given stays. */
static void test_9_5_room_is_never_taken_away(void **state)
{
	struct scene *s = *state;

	have_all(s);
	have(s, "max", "1000000");
	have(s, "buckets", "250000");
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_int_equal(value_of(s, "max"), 1000000);
	assert_int_equal(value_of(s, "buckets"), 250000);
	assert_int_equal(value_of(s, "tcp_timeout_established"), 86400);
}

static void test_9_5_zero_is_left_as_it_is(void **state)
{
	struct scene *s = *state;

	have_all(s);
	s->conntrack.wants = (struct fl_kernel_conntrack_wants){.min = 500000};
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_int_equal(value_of(s, "max"), 65536);
	assert_int_equal(value_of(s, "tcp_timeout_established"), 432000);
	assert_true(s->conntrack.done);
}

/* In a network namespace of its own the size is the machine's: shown, and not to be set. */
static void test_9_5_what_is_not_the_namespaces(void **state)
{
	struct scene *s = *state;

	have_all(s);
	assert_int_equal(chmod(path_of(s, "max"), 0444), 0);
	assert_int_equal(chmod(path_of(s, "buckets"), 0444), 0);
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_int_equal(value_of(s, "max"), 65536);
	assert_int_equal(value_of(s, "tcp_timeout_close_wait"), 3600);
	assert_false(fl_health_has(s->health, FL_CONDITION_CONNTRACK));
	assert_true(s->conntrack.done);
}

static void test_9_5_a_failure_is_a_warning_until_it_works(void **state)
{
	struct scene *s = *state;
	const struct fl_condition *condition;

	have_all(s);
	/* what reads as nothing and cannot be written, whoever tries */
	assert_int_equal(unlink(path_of(s, "tcp_timeout_close_wait")), 0);
	assert_int_equal(symlink("/dev/full", path_of(s, "tcp_timeout_close_wait")), 0);
	fl_kernel_conntrack_apply(&s->conntrack);
	condition =
		fl_health_find(s->health, FL_CONDITION_CONNTRACK, SYSCTL "tcp_timeout_close_wait");
	assert_non_null(condition);
	assert_int_equal(condition->level, FL_HEALTH_WARNING);
	assert_string_equal(condition->text,
			    "cannot set net.netfilter." SYSCTL "tcp_timeout_close_wait to 3600, "
			    "from 0: No space left on device (kernelConntrack.set)");
	assert_int_equal(value_of(s, "max"), 131072); /* the others are set */
	assert_false(s->conntrack.done);
	assert_int_equal(unlink(path_of(s, "tcp_timeout_close_wait")), 0);
	have(s, "tcp_timeout_close_wait", "60");
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_false(fl_health_has(s->health, FL_CONDITION_CONNTRACK));
	assert_true(s->conntrack.done);
}

/* A kernel that does not track connections is not made to; if it begins to, it is set then. */
static void test_9_5_no_connection_tracking(void **state)
{
	struct scene *s = *state;

	fl_kernel_conntrack_apply(&s->conntrack);
	assert_false(fl_health_has(s->health, FL_CONDITION_CONNTRACK));
	assert_false(s->conntrack.done);
	have_all(s);
	fl_kernel_conntrack_apply(&s->conntrack);
	assert_int_equal(value_of(s, "max"), 131072);
	assert_true(s->conntrack.done);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_9_5_as_kube_proxy_sets_them),
		T(test_9_5_more_processors_more_room),
		T(test_9_5_room_is_never_taken_away),
		T(test_9_5_zero_is_left_as_it_is),
		T(test_9_5_what_is_not_the_namespaces),
		T(test_9_5_a_failure_is_a_warning_until_it_works),
		T(test_9_5_no_connection_tracking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
