/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What inotify says about the directories, turned into files to read again. */
#include <errno.h>
#include <libgen.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/source/manifest_files.h"

#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB |        \
	 IN_DELETE_SELF | IN_MOVE_SELF)
#define MAX_ROUNDS 64 /* of one drain; the descriptor stays readable when there is more */

/* IN_MASK_ADD: the directory may be watched for another root as well. */
static int watch_dir(struct fl_manifest *m, const char *dir, uint32_t events)
{
	int watch = inotify_add_watch(m->inotify, dir,
				      events | IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD);

	return watch < 0 ? -errno : watch;
}

static void watch_parent(struct fl_manifest *m, struct fl_manifest_root *r)
{
	_cleanup_free_ char *copy = strdup(r->dir);
	int watch = copy ? watch_dir(m, dirname(copy), IN_CREATE | IN_MOVED_TO) : -ENOMEM;

	r->parent_watch = watch < 0 ? -1 : watch; /* without it the next refresh finds out */
}

int fl_manifest_watch(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	struct fl_manifest_root *r = &m->roots[root];
	int watch = watch_dir(m, r->dir, EVENTS);

	if (watch == -ENOENT) {
		watch_parent(m, r);
		watch = watch_dir(m, r->dir, EVENTS); /* it may have come back meanwhile */
	}
	if (watch < 0)
		return fl_err_set(err, watch, "%s", strerror(-watch));
	r->watch = watch;
	return 0;
}

/*
 * Whether an event is a reason to read. A new ordinary file is empty until it is closed, which
 * tells; a link to one is complete at once.
 */
static bool worth_reading(const struct fl_manifest *m, size_t root, const char *name, uint32_t mask)
{
	const struct fl_manifest_file *file = fl_manifest_find(m, root, name);
	char path[4096];
	struct stat st;

	if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE))
		return true;
	if (mask & IN_ATTRIB)
		return file && file->unreadable;
	if (snprintf(path, sizeof(path), "%s/%s", m->roots[root].dir, name) >= (int)sizeof(path))
		return false;
	return !lstat(path, &st) && (S_ISLNK(st.st_mode) || st.st_nlink > 1);
}

static int on_name(struct fl_manifest *m, size_t root, const char *name, uint32_t mask)
{
	struct fl_manifest_root *r = &m->roots[root];
	bool ours = r->name ? !strcmp(name, r->name) : fl_manifest_wants(name);

	if (!strncmp(name, "..", 2)) {
		/* the symlink that all files of a mounted ConfigMap go through has been switched */
		r->rescan = true;
		return 0;
	}
	if (!ours || !worth_reading(m, root, name, mask))
		return 0;
	return fl_manifest_touch(m, root, name);
}

/* The directory itself went away, or what it was is now elsewhere. */
static void on_lost(struct fl_manifest *m, struct fl_manifest_root *r, uint32_t mask)
{
	if (mask & IN_MOVE_SELF)
		inotify_rm_watch(m->inotify, r->watch);
	r->watch = -1;
	r->rescan = true;
}

static bool is_last_part(const char *path, const char *name)
{
	_cleanup_free_ char *copy = strdup(path);

	return copy && !strcmp(basename(copy), name);
}

static int on_event(struct fl_manifest *m, const struct inotify_event *event)
{
	int rc = 0;

	for (size_t i = 0; i < m->n_roots && !rc; i++) {
		struct fl_manifest_root *r = &m->roots[i];

		if (event->mask & IN_Q_OVERFLOW)
			r->rescan = true;
		else if (r->parent_watch == event->wd && r->watch < 0)
			r->rescan |= event->len && is_last_part(r->dir, event->name);
		else if (r->watch != event->wd)
			continue;
		else if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
			on_lost(m, r, event->mask);
		else if (event->len)
			rc = on_name(m, i, event->name, event->mask);
	}
	return rc;
}

int fl_manifest_drain(struct fl_manifest *m, struct fl_err *err)
{
	alignas(struct inotify_event) char buf[16384];
	int rc = 0;

	for (int round = 0; round < MAX_ROUNDS; round++) {
		ssize_t len = read(m->inotify, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			break;
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *event = (const void *)(buf + at);
			int failed = on_event(m, event);

			rc = rc ? rc : failed;
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	return rc ? fl_err_set(err, rc, "out of memory") : 0;
}
