/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A table of sysctls, and what each should be. */
#include "lb/host/kernel_conntrack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/cleanup.h"

#define PER_BUCKET 4 /* connections, as kube-proxy and older kernels have it */
#define DIRECTORY "netfilter/"

struct sysctl_want {
	const char *name; /* below DIRECTORY */
	uint64_t value;	  /* 0: left as it is */
	bool only_raise;
};

static uint64_t room(const struct fl_kernel_conntrack *conntrack)
{
	const struct fl_kernel_conntrack_wants *w = &conntrack->wants;
	const uint64_t all = (uint64_t)w->max_per_core * conntrack->n_cpus;

	if (!w->max_per_core)
		return 0; /* which kube-proxy takes for "leave it", whatever the minimum */
	return all > w->min ? all : w->min;
}

static int open_sysctl(const struct fl_kernel_conntrack *conntrack, const char *name, int flags)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/" DIRECTORY "%s", conntrack->sysctls, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, flags | O_CLOEXEC); /* never O_TRUNC: a sysctl is no file */
	return fd < 0 ? -errno : fd;
}

/* -ENOENT: there is none. *ret_settable: it may be set in this network namespace; of some only the
 * first one's may. */
static int read_sysctl(const struct fl_kernel_conntrack *conntrack, const char *name,
		       uint64_t *ret_value, bool *ret_settable)
{
	_cleanup_close_ int fd = open_sysctl(conntrack, name, O_RDONLY);
	struct stat about;
	char text[32];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0 || fstat(fd, &about))
		return -errno;
	text[n] = '\0';
	*ret_value = strtoull(text, NULL, 10);
	*ret_settable = about.st_mode & S_IWUSR;
	return 0;
}

static int write_sysctl(const struct fl_kernel_conntrack *conntrack, const char *name,
			uint64_t value)
{
	_cleanup_close_ int fd = open_sysctl(conntrack, name, O_WRONLY);
	char text[32];
	int len;

	if (fd < 0)
		return fd;
	len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);
	return write(fd, text, (size_t)len) < 0 ? -errno : 0;
}

/* 0: it is as it should be, or not ours to set. -ENOENT: the kernel has none. */
static int apply_one(const struct fl_kernel_conntrack *conntrack, const struct sysctl_want *want)
{
	bool settable = false;
	uint64_t now = 0;
	int r;

	if (!want->value)
		return 0;
	r = read_sysctl(conntrack, want->name, &now, &settable);
	if (r == -ENOENT)
		return r;
	if (!r && (now == want->value || (want->only_raise && now > want->value) || !settable))
		r = 0;
	else if (!r)
		r = write_sysctl(conntrack, want->name, want->value);
	if (r)
		fl_health_set(conntrack->health, FL_CONDITION_CONNTRACK, want->name,
			      FL_HEALTH_WARNING,
			      "cannot set net.netfilter.%s to %llu, from %llu: %s "
			      "(kernelConntrack.set)",
			      want->name, (unsigned long long)want->value, (unsigned long long)now,
			      strerror(-r));
	else
		fl_health_clear(conntrack->health, FL_CONDITION_CONNTRACK, want->name);
	return r;
}

void fl_kernel_conntrack_apply(struct fl_kernel_conntrack *conntrack)
{
	const struct fl_kernel_conntrack_wants *w = &conntrack->wants;
	const struct sysctl_want wants[] = {
		{"nf_conntrack_max", room(conntrack), true},
		{"nf_conntrack_buckets", room(conntrack) / PER_BUCKET, true},
		{"nf_conntrack_tcp_timeout_established", w->tcp_established_s, false},
		{"nf_conntrack_tcp_timeout_close_wait", w->tcp_close_wait_s, false},
		{"nf_conntrack_tcp_be_liberal", w->tcp_be_liberal, false},
		{"nf_conntrack_udp_timeout", w->udp_s, false},
		{"nf_conntrack_udp_timeout_stream", w->udp_stream_s, false},
	};
	int failed = 0;

	if (conntrack->done)
		return;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		failed |= apply_one(conntrack, &wants[i]) != 0;
	conntrack->done = !failed;
}
