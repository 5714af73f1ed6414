// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One agent per network namespace, in a namespace of this test's own. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/dp/netns.h"

static int enter(void **state)
{
	static int entered;

	if (!entered)
		entered = unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET) ? -1 : 1;
	*state = entered > 0 ? &entered : NULL;
	return 0;
}

static void need(void **state)
{
	if (*state)
		return;
	print_message("SKIP: no network namespace of one's own: needs root or user namespaces\n");
	skip();
}

static void test_the_second_is_refused_and_told_who_is_first(void **state)
{
	struct fl_err err = {""};
	int first = -1, second = -1;
	char pid[32];

	need(state);
	assert_int_equal(fl_netns_lock(&first, &err), 0);
	assert_true(first >= 0);
	snprintf(pid, sizeof(pid), "(process %d)", getpid());
	/* more often than connections are kept waiting */
	for (int i = 0; i < 200; i++) {
		err.text[0] = '\0';
		assert_int_equal(fl_netns_lock(&second, &err), -EBUSY);
		assert_int_equal(second, -1);
		assert_non_null(strstr(err.text, "another agent"));
		if (!i)
			assert_non_null(strstr(err.text, pid));
	}
	close(first);
	assert_int_equal(fl_netns_lock(&second, &err), 0);
	close(second);
}

static void test_the_lock_dies_with_its_process(void **state)
{
	int ready[2], fd = -1;
	pid_t child;
	char c;

	need(state);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(ready[0]);
		if (!fl_netns_lock(&fd, NULL) && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(fl_netns_lock(&fd, NULL), -EBUSY);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(fl_netns_lock(&fd, NULL), 0);
	close(fd);
	close(ready[0]);
}

static void test_namespaces_have_numbers_and_locks_of_their_own(void **state)
{
	uint64_t cookie = fl_netns_cookie();
	int here = -1, there = -1;

	need(state);
	assert_int_equal(fl_netns_cookie(), cookie);
	assert_int_equal(fl_netns_lock(&here, NULL), 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(fl_netns_lock(&there, NULL), 0);
	if (cookie)
		assert_int_not_equal(fl_netns_cookie(), cookie);
	close(here);
	close(there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_second_is_refused_and_told_who_is_first, enter),
		cmocka_unit_test_setup(test_the_lock_dies_with_its_process, enter),
		cmocka_unit_test_setup(test_namespaces_have_numbers_and_locks_of_their_own, enter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
