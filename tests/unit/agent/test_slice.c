// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The slice of a thread, as the kernel has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/agent/slice.h"

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static struct attributes get(void)
{
	struct attributes now = {.size = 0};

	assert_int_equal(syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0), 0);
	return now;
}

static bool kernel_has_slices(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%u.%u", &major, &minor), 2);
	return major > 6 || (major == 6 && minor >= 12);
}

static void test_the_slice_is_short_and_all_else_stays(void **state)
{
	struct attributes before, after;

	assert_int_equal(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1), 0);
	before = get();
	assert_int_equal(fl_slice_shorten(), 0);
	after = get();
	assert_int_equal(after.policy, SCHED_OTHER);
	assert_int_equal(after.nice, before.nice);
	assert_int_equal(after.flags, before.flags);
	if (!kernel_has_slices())
		skip(); /* SKIP: slices need Linux 6.12 */
	assert_int_equal(after.runtime_ns, 100000);
	assert_true(before.runtime_ns > after.runtime_ns);
}

/* So it can be switched off. */
static void test_another_policy_is_left_alone(void **state)
{
	const struct sched_param param = {.sched_priority = 0};
	struct attributes before, after;

	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &param), 0);
	before = get();
	assert_int_equal(fl_slice_shorten(), 0);
	after = get();
	assert_int_equal(after.policy, SCHED_BATCH);
	assert_int_equal(after.runtime_ns, before.runtime_ns);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &param), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_policy_is_left_alone),
		cmocka_unit_test(test_the_slice_is_short_and_all_else_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
