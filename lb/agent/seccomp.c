/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The system calls of an agent that serves, and of bpf(2) the commands. A call that is not here
 * fails instead of killing: a library that tries something new must not take the node's updates
 * away. Tests have it killed, since a call that fails may go unnoticed.
 */
#include "lb/agent/seccomp.h"

#include <assert.h>
#include <curl/curlver.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <uv.h>

#include "lb/base/cleanup.h"

/* Newer architectures have none of the calls that take no directory, nor poll(2). */
#ifdef __NR_unlink
#define UNLINK SCMP_SYS(unlink)
#define RENAME SCMP_SYS(rename)
#define POLL SCMP_SYS(poll)
#define READLINK SCMP_SYS(readlink)
#else
#define UNLINK SCMP_SYS(unlinkat)
#define RENAME SCMP_SYS(renameat)
#define POLL SCMP_SYS(ppoll)
#define READLINK SCMP_SYS(readlinkat)
#endif

/* libuv, libmicrohttpd and we wait by the same call, until libuv 1.45, which takes the newer one
 * also where there are both. */
#if !defined(__NR_epoll_wait)
#define WAIT SCMP_SYS(epoll_pwait)
#elif UV_VERSION_HEX < 0x012d00
#define WAIT SCMP_SYS(epoll_wait)
#else
#define WAIT SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait)
#endif
#define N_WAITS (sizeof((const int[]){WAIT}) / sizeof(int))

/* By which libcurl's thread that looks up a name says that it is done. */
#if LIBCURL_VERSION_NUM >= 0x080b01
#define CURL_WAKEUP SCMP_SYS(eventfd2)
#else
#define CURL_WAKEUP SCMP_SYS(socketpair)
#endif

static const int calls[] = {
	/* the loop */
	WAIT,
	SCMP_SYS(epoll_ctl),
	POLL,
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	/* files */
	SCMP_SYS(openat),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(getdents64),
	READLINK,
	SCMP_SYS(fcntl),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	/* pins and the socket's file, which may have to be made again */
	SCMP_SYS(fstatfs),
	SCMP_SYS(mkdirat),
	UNLINK,
	RENAME,
	SCMP_SYS(fchmod),
	SCMP_SYS(flock),
	/* sockets: netlink, HTTP, the service manager */
	SCMP_SYS(socket),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(shutdown),
	/* memory, and threads: some build tables, one parses large files */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(getpid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Beside these for an API server: libcurl, OpenSSL, and glibc's resolver. */
static const int api_calls[] = {
	SCMP_SYS(getpeername), SCMP_SYS(getrandom), SCMP_SYS(lseek),
	SCMP_SYS(sendmmsg),    CURL_WAKEUP,	    SCMP_SYS(uname),
};
static const unsigned long api_ioctls[] = {FIONREAD};

/* Of ioctl(2): descriptors that do not wait, and names of devices. */
static const unsigned long ioctls[] = {FIONBIO, SIOCGIFNAME};

/* Of bpf(2): what maps, links and pins need, and a run of the clock. No program is loaded, and no
 * map made. */
static const enum bpf_cmd bpf_commands[] = {
	BPF_MAP_LOOKUP_ELEM,  BPF_MAP_UPDATE_ELEM,    BPF_MAP_DELETE_ELEM,  BPF_MAP_GET_NEXT_KEY,
	BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH,   BPF_MAP_DELETE_BATCH, BPF_OBJ_PIN,
	BPF_OBJ_GET,	      BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_TEST_RUN,    BPF_PROG_QUERY,
	BPF_LINK_CREATE,      BPF_LINK_UPDATE,	      BPF_LINK_DETACH,
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]) + 2) /* ioctl(2) and bpf(2) */
#define N_API_CALLS (sizeof(api_calls) / sizeof(api_calls[0]))
static_assert(N_CALLS + N_API_CALLS <= 60 + (N_WAITS - 1),
	      "robustness G18: the fewer, the less a flaw can do");

size_t fl_seccomp_count(const struct fl_seccomp_needs *needs)
{
	return N_CALLS + (needs->api ? N_API_CALLS : 0);
}

static void filter_freep(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static int allow_calls(scmp_filter_ctx filter, const int *list, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, list[i], 0);
		/* named twice, or none of this architecture */
		if (r == -EEXIST || r == -EDOM)
			r = 0;
	}
	return r;
}

static int allow_ioctls(scmp_filter_ctx filter, const unsigned long *list, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, list[i], 0));
	return r;
}

static int allow(scmp_filter_ctx filter, const struct fl_seccomp_needs *needs)
{
	int r = allow_calls(filter, calls, sizeof(calls) / sizeof(calls[0]));

	if (!r)
		r = allow_ioctls(filter, ioctls, sizeof(ioctls) / sizeof(ioctls[0]));
	if (!r && needs->api)
		r = allow_calls(filter, api_calls, N_API_CALLS);
	if (!r && needs->api)
		r = allow_ioctls(filter, api_ioctls, sizeof(api_ioctls) / sizeof(api_ioctls[0]));
	for (size_t i = 0; i < sizeof(bpf_commands) / sizeof(bpf_commands[0]) && !r; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_A0(SCMP_CMP_EQ, bpf_commands[i], 0));
	return r;
}

static int compare_bytes(const void *a, const void *b)
{
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

/* What a library asks the kernel once and then knows: how much memory there is, the first time that
 * glibc's qsort() gets more than a kilobyte. */
static void ask_once(void)
{
	unsigned char bytes[2048] = {0};

	qsort(bytes, sizeof(bytes), 1, compare_bytes);
}

int fl_seccomp_install(bool kill, const struct fl_seccomp_needs *needs, struct fl_err *err)
{
	_cleanup_(filter_freep) scmp_filter_ctx filter =
		seccomp_init(kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	int r = filter ? allow(filter, needs) : -ENOMEM;

	ask_once();
	/* threads that build tables may be there already */
	if (!r)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* not every kernel can */
	if (!r)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (!r)
		r = seccomp_load(filter);
	return r ? fl_err_set(err, r, "cannot give up system calls: %s", strerror(-r)) : 0;
}
