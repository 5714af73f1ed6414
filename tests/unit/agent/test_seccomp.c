/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* robustness G18: a process that has given up system calls, each time in a child of this one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/agent/seccomp.h"
#include "lb/base/user.h"

static const struct fl_seccomp_needs no_needs;

enum verdict { OK, NOT_REFUSED, REFUSED, NO_FILTERS };

/* fork(), unless a sanitizer is there, which makes calls of its own. */
static pid_t begin_child(void)
{
	pid_t child;

#if defined(__SANITIZE_ADDRESS__)
	fprintf(stderr, "SKIP: a sanitizer makes calls of its own\n");
	skip();
#endif
	child = fork();
	assert_true(child >= 0);
	return child;
}

/* How it ended, as waitpid() says. */
static int end_child(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTERS) {
		fprintf(stderr, "SKIP: the kernel has no system call filters\n");
		skip();
	}
	return status;
}

/* What fn says in a child that has the filter. */
static enum verdict in_child(enum verdict (*fn)(void), bool kill)
{
	pid_t child = begin_child();
	int status;

	if (!child) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    fl_seccomp_install(kill, &no_needs, NULL))
			_exit(NO_FILTERS);
		_exit(fn());
	}
	status = end_child(child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool refused(long result)
{
	return result < 0 && errno == EPERM;
}

static enum verdict try_what_is_refused(void)
{
	char *const argv[] = {"true", NULL};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	if (!refused(execve("/bin/true", argv, NULL)) ||
	    !refused(ptrace(PTRACE_TRACEME, 0, 0, 0)) ||
	    !refused(mount("none", "/tmp", "tmpfs", 0, NULL)) || !refused(umount2("/tmp", 0)) ||
	    !refused(unshare(CLONE_NEWUSER)) || !refused(setuid(0)) ||
	    !refused(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))) ||
	    !refused(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr))) ||
	    !refused(syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr))) ||
	    !refused(kill(getppid(), 0)) || !refused(syscall(SYS_init_module, 0, 0, "")))
		return NOT_REFUSED;
	return OK;
}

static void test_what_an_attacker_would_want_is_refused(void **state)
{
	assert_int_equal(in_child(try_what_is_refused, false), OK);
}

static void *in_thread(void *arg)
{
	*(bool *)arg = true;
	return malloc(1000000);
}

/* What the C library does on behalf of the agent. */
static bool library_works(void)
{
	char path[PATH_MAX];
	DIR *dir = opendir("/proc/self");
	FILE *file = fopen("/proc/self/status", "r");
	bool works = dir && readdir(dir) && file && fgets(path, sizeof(path), file) &&
		     realpath("/proc/self/exe", path) && sysconf(_SC_NPROCESSORS_ONLN) > 0 &&
		     time(NULL) > 0;

	return works && !closedir(dir) && !fclose(file);
}

static enum verdict try_what_is_needed(void)
{
	bool ran = false;
	char buf[64];
	void *memory;
	pthread_t thread;
	union bpf_attr attr;
	int fd = open("/proc/self/status", O_RDONLY);

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = UINT32_MAX;
	if (fd < 0 || read(fd, buf, sizeof(buf)) < 0 || close(fd) ||
	    socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) < 0 ||
	    socket(AF_UNIX, SOCK_STREAM, 0) < 0 || mkdirat(AT_FDCWD, "/tmp", 0700) != -1 ||
	    errno != EEXIST || readlink("/proc/self/exe", buf, sizeof(buf)) < 0 ||
	    pthread_create(&thread, NULL, in_thread, &ran) || pthread_join(thread, &memory) ||
	    !ran || !memory || !library_works())
		return REFUSED;
	free(memory);
	/* a number that is no descriptor, which without the right to use bpf(2) is not looked at */
	if (!fl_user() && refused(syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr))))
		return REFUSED;
	return OK;
}

static void test_what_the_agent_does_goes_on(void **state)
{
	/* what fails silently would end the child */
	assert_int_equal(in_child(try_what_is_needed, true), OK);
}

static int order[2]; /* a pipe: when the thread may try */

static void *wait_and_try(void *arg)
{
	char c;

	*(bool *)arg = read(order[0], &c, 1) == 1 && refused(unshare(CLONE_NEWUSER));
	return NULL;
}

static void test_threads_that_are_there_already(void **state)
{
	pid_t child = begin_child();
	int status;

	if (!child) {
		bool was_refused = false;
		pthread_t thread;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || pipe(order) ||
		    pthread_create(&thread, NULL, wait_and_try, &was_refused))
			_exit(REFUSED);
		if (fl_seccomp_install(false, &no_needs, NULL))
			_exit(NO_FILTERS);
		if (write(order[1], "x", 1) != 1 || pthread_join(thread, NULL))
			_exit(REFUSED);
		_exit(was_refused ? OK : NOT_REFUSED);
	}
	status = end_child(child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), OK);
}

static void test_killed_where_that_is_asked_for(void **state)
{
	pid_t child = begin_child();
	int status;

	if (!child) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    fl_seccomp_install(true, &no_needs, NULL))
			_exit(NO_FILTERS);
		(void)getpid();
		(void)getppid();
		_exit(NOT_REFUSED);
	}
	status = end_child(child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_there_are_at_most_60(void **state)
{
	assert_in_range(fl_seccomp_count(&no_needs), 20, 60);
	assert_in_range(fl_seccomp_count(&(struct fl_seccomp_needs){.api = true}), 20, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_an_attacker_would_want_is_refused),
		cmocka_unit_test(test_what_the_agent_does_goes_on),
		cmocka_unit_test(test_threads_that_are_there_already),
		cmocka_unit_test(test_killed_where_that_is_asked_for),
		cmocka_unit_test(test_there_are_at_most_60),
	};

	/* so that why a test is skipped, on the other stream, stays beside its result */
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
