// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Namespaces without names: they go when the process does, however it ends, so there is nothing to
 * clean up. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "lb/base/cleanup.h"

int bench_world_enter(struct fl_err *err)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 count maps against it */
	if (unshare(CLONE_NEWNS))
		return fl_err_set(err, -errno, "cannot make a mount namespace: %s",
				  strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"))
		return fl_err_set(err, -errno, "cannot mount a BPF file system: %s",
				  strerror(errno));
	return 0;
}

int bench_netns_new(int *ret_fd, struct fl_err *err)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		return fl_err_set(err, -errno, "cannot make a network namespace: %s",
				  strerror(errno));
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fl_err_set(err, -errno, "cannot open the network namespace: %s",
				  strerror(errno));
	*ret_fd = fd;
	return bench_ip(err, "link set lo up\n");
}

int bench_netns_enter(int fd, struct fl_err *err)
{
	if (setns(fd, CLONE_NEWNET))
		return fl_err_set(err, -errno, "cannot enter a network namespace: %s",
				  strerror(errno));
	return 0;
}

int bench_ip(struct fl_err *err, const char *fmt, ...)
{
	FILE *pipe = popen("ip -batch -", "w");
	va_list ap;
	int rc;

	if (!pipe)
		return fl_err_set(err, -errno, "cannot run ip: %s", strerror(errno));
	va_start(ap, fmt);
	vfprintf(pipe, fmt, ap);
	va_end(ap);
	rc = pclose(pipe);
	return rc ? fl_err_set(err, -EIO, "ip failed with status %d", rc) : 0;
}

int bench_sysctl(const char *name, const char *value, struct fl_err *err)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	f = fopen(path, "w");
	if (!f || fputs(value, f) < 0 || fflush(f))
		return fl_err_set(err, -errno, "cannot set %s: %s", name, strerror(errno));
	return 0;
}

int bench_device(const char *name, unsigned int *ret_ifindex, uint8_t ret_mac[6],
		 struct fl_err *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr))
		return fl_err_set(err, -errno, "cannot ask device %s: %s", name, strerror(errno));
	if (ret_mac)
		memcpy(ret_mac, ifr.ifr_hwaddr.sa_data, 6);
	*ret_ifindex = if_nametoindex(name);
	return 0;
}

int bench_pin_to_cpu(int cpu, struct fl_err *err)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return fl_err_set(err, -errno, "cannot stay on CPU %d: %s", cpu, strerror(errno));
	return 0;
}

/* Interrupts tend to go to the first one. */
int bench_last_cpu(void)
{
	cpu_set_t set;
	int last = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			last = i;
	return last;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t bench_thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}
