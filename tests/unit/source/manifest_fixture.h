/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The manifest source on a directory of its own. The kernel queues inotify events before the call
 * that caused them returns, so nothing here waits.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/source/manifest.h"

struct fixture {
	char dir[64];
	bool undated; /* `dir` is on tmpfs */
	struct fl_store *store;
	struct fl_source *source;
	char reported[8192]; /* "level file:line object: reason\n" */
	uint64_t grace_ms;
	struct fl_mono now; /* of the fake clock, used where ns is not 0 */
};

static inline void on_report(const struct fl_problem *p, void *arg)
{
	struct fixture *f = arg;
	size_t len = strlen(f->reported);
	const char *name = strrchr(p->file, '/');

	snprintf(f->reported + len, sizeof(f->reported) - len, "%s %s:%u %s: %s\n",
		 fl_problem_level_name(p->level), name ? name + 1 : p->file, p->line, p->object,
		 p->reason);
}

static inline void path_of(const struct fixture *f, const char *name, char path[static 160])
{
	snprintf(path, 160, "%s/%s", f->dir, name);
}

static inline void put(const struct fixture *f, const char *name, const char *text)
{
	char path[160];
	FILE *file;

	path_of(f, name, path);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline void del(const struct fixture *f, const char *name)
{
	char path[160];

	path_of(f, name, path);
	assert_int_equal(unlink(path), 0);
}

static inline void move(const struct fixture *f, const char *from, const char *to)
{
	char a[160], b[160];

	path_of(f, from, a);
	path_of(f, to, b);
	assert_int_equal(rename(a, b), 0);
}

/* A Service named so, with this ClusterIP. */
static inline const char *service(const char *name, const char *ip)
{
	static char text[4][512];
	static unsigned int next;
	char *buf = text[next++ % 4];

	snprintf(buf, sizeof(text[0]),
		 "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\n"
		 "spec: {clusterIP: %s, ports: [{port: 80}]}\n---\n",
		 name, ip);
	return buf;
}

static inline void put2(const struct fixture *f, const char *name, const char *a, const char *b)
{
	char text[32768];

	snprintf(text, sizeof(text), "%s%s", a, b);
	put(f, name, text);
}

static inline struct fl_mono fake_mono(void *arg)
{
	return ((struct fixture *)arg)->now;
}

static inline int64_t fake_unix_s(void *arg)
{
	return 0;
}

static inline int open_paths(struct fixture *f, const char *const *paths, size_t n,
			     struct fl_err *err)
{
	const struct fl_clock clock = {.mono = fake_mono, .unix_s = fake_unix_s, .arg = f};

	return fl_manifest_new(&(struct fl_manifest_options){.paths = paths,
							     .n_paths = n,
							     .store = f->store,
							     .follow = true,
							     .grace_ms = f->grace_ms,
							     .clock = f->now.ns ? &clock : NULL,
							     .report = on_report,
							     .arg = f},
			       &f->source, err);
}

static inline void open_source(struct fixture *f)
{
	const char *paths[] = {f->dir};
	struct fl_err err = {""};

	assert_int_equal(open_paths(f, paths, 1, &err), 0);
}

static inline void load(struct fixture *f)
{
	struct fl_err err = {""};

	open_source(f);
	if (fl_source_load(f->source, &err))
		fail_msg("%s", err.text);
	assert_true(fl_source_synced(f->source));
}

/* Whether anything was waiting to be handled, which it then is. */
static inline bool handle(struct fixture *f)
{
	struct pollfd poll_fd = {.fd = fl_source_fd(f->source), .events = POLLIN};
	struct fl_err err = {""};
	bool ready = poll(&poll_fd, 1, 0) == 1;

	f->reported[0] = '\0';
	if (fl_source_handle(f->source, &err))
		fail_msg("%s", err.text);
	return ready;
}

/* The ClusterIP of a Service in the store, "-" when there is no such Service. */
static inline const char *ip_of(const struct fixture *f, const char *name)
{
	static char buf[FL_IP_STRLEN];
	const struct fl_service *s = fl_store_service(f->store, "default", name);

	return s ? fl_ip_format(&s->cluster_ip[FL_IPV4], buf) : "-";
}

#define assert_ip(f, name, ip) assert_string_equal(ip_of(f, name), ip)
#define assert_reported(f, text)                                                                   \
	do {                                                                                       \
		if (!strstr((f)->reported, text))                                                  \
			fail_msg("\"%s\" is not in:\n%s", text, (f)->reported);                    \
	} while (0)

static inline void list_problems(struct fixture *f)
{
	f->reported[0] = '\0';
	fl_source_each_problem(f->source, on_report, f);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/fl-manifest-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(fl_store_new("node-1", &f->store), 0);
	*state = f;
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fl_source_free(&f->source);
	fl_store_free(&f->store);
	nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* A fake clock, by which what is held stays for 30 s. */
static inline int setup_held(void **state)
{
	int rc = setup(state);
	struct fixture *f = *state;

	f->now.ns = 1000 * FL_NSEC_PER_SEC;
	f->grace_ms = 30000;
	return rc;
}

/* Time passes. */
static inline void pass(struct fixture *f, uint64_t ms)
{
	struct fl_err err = {""};

	f->now.ns += ms * FL_NSEC_PER_MSEC;
	f->reported[0] = '\0';
	if (fl_source_handle(f->source, &err))
		fail_msg("%s", err.text);
}

static inline void assert_no_problems(struct fixture *f)
{
	list_problems(f);
	assert_string_equal(f->reported, "");
}

#define TEST_HELD(fn) cmocka_unit_test_setup_teardown(fn, setup_held, teardown)
