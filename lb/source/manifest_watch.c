/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What inotify reports about the directories, turned into files to look at. Besides the directories
 * themselves, those are watched in which a name could lead elsewhere: that of a symbolic link on
 * the way to a root, or of what is missing there.
 */
#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/source/manifest_files.h"

#define DIR_EVENTS                                                                                 \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |        \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define LINK_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
#define MAX_ROUNDS 64 /* of one drain; the descriptor stays readable when there is more */
#define MAX_LINKS 40  /* on the way to a root, as the kernel has it */

/* IN_MASK_ADD: the directory may be watched for another root as well. */
static int watch_dir(struct fl_manifest *m, const char *dir, uint32_t events)
{
	int watch = inotify_add_watch(m->inotify, dir,
				      events | IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD);

	return watch < 0 ? -errno : watch;
}

static bool is_watched(const struct fl_manifest *m, int watch)
{
	for (size_t i = 0; i < m->n_roots; i++) {
		const struct fl_manifest_root *r = &m->roots[i];

		if (r->watch == watch)
			return true;
		for (size_t k = 0; k < r->n_links; k++)
			if (r->links[k].watch == watch)
				return true;
	}
	return false;
}

static void drop_watch(struct fl_manifest *m, int watch)
{
	if (watch >= 0 && !is_watched(m, watch))
		inotify_rm_watch(m->inotify, watch);
}

/* Without memory or watch the next look finds out. */
static void add_link(struct fl_manifest *m, struct fl_manifest_root *r, const char *dir,
		     const char *name)
{
	struct fl_manifest_link link = {
		.watch = watch_dir(m, *dir ? dir : ".", LINK_EVENTS),
		.name = strdup(name),
	};

	if (link.watch < 0 || !link.name ||
	    FL_ARRAY_ROOM(r->links, r->n_links_room, r->n_links + 1))
		free(link.name);
	else
		r->links[r->n_links++] = link;
}

/* Follow a path part by part: `at` is the way so far, `rest` what is to come. */
struct walk_path {
	char at[PATH_MAX], rest[PATH_MAX];
	int links;
};

/* Put what a symbolic link says in front of the rest. */
static bool expand(struct walk_path *w, const char *link)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);

	if (len < 0 || ++w->links > MAX_LINKS)
		return false;
	target[len] = '\0';
	memcpy(rest, w->rest, sizeof(rest));
	if (*target == '/')
		strcpy(w->at, "/");
	return snprintf(w->rest, sizeof(w->rest), "%s/%s", target, rest) < (int)sizeof(w->rest);
}

/* Take the next part off the rest. False: there is none. */
static bool next_part(struct walk_path *w, char part[static NAME_MAX + 1])
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");

	if (!len || len > NAME_MAX)
		return false;
	memcpy(part, from, len);
	part[len] = '\0';
	memmove(w->rest, from + len, strlen(from + len) + 1);
	return true;
}

static void watch_links(struct fl_manifest *m, struct fl_manifest_root *r)
{
	struct walk_path w = {.at = ""};
	char part[NAME_MAX + 1], path[PATH_MAX];
	struct stat st;

	if (snprintf(w.rest, sizeof(w.rest), "%s", r->path) >= (int)sizeof(w.rest))
		return;
	if (*w.rest == '/')
		strcpy(w.at, "/");
	while (next_part(&w, part)) {
		const char *slash = *w.at && w.at[strlen(w.at) - 1] != '/' ? "/" : "";
		bool missing;

		if (snprintf(path, sizeof(path), "%s%s%s", w.at, slash, part) >= (int)sizeof(path))
			return;
		missing = lstat(path, &st);
		if (missing || S_ISLNK(st.st_mode))
			add_link(m, r, w.at, part);
		if (missing || (S_ISLNK(st.st_mode) && !expand(&w, path)))
			return;
		if (!S_ISLNK(st.st_mode))
			strcpy(w.at, path);
	}
}

static void forget_links(struct fl_manifest *m, struct fl_manifest_link *links, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		drop_watch(m, links[i].watch);
		free(links[i].name);
	}
	free(links);
}

int fl_manifest_watch(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	struct fl_manifest_root *r = &m->roots[root];
	struct fl_manifest_link *old_links = TAKE_PTR(r->links);
	size_t n_old_links = r->n_links;
	int old = r->watch, watch;

	/* the new ones first: a watch that stays is not interrupted */
	r->n_links = r->n_links_room = 0;
	watch_links(m, r);
	watch = watch_dir(m, r->dir, DIR_EVENTS);
	r->watch = watch < 0 ? -1 : watch;
	forget_links(m, old_links, n_old_links);
	if (old != r->watch)
		drop_watch(m, old);
	return watch < 0 ? fl_err_set(err, watch, "%s", strerror(-watch)) : 0;
}

/* A link to a file that exists is whole at once. */
static bool is_link(const struct fl_manifest_file *file)
{
	struct stat st;

	return !lstat(file->path, &st) && (S_ISLNK(st.st_mode) || st.st_nlink > 1);
}

static void on_file(struct fl_manifest *m, struct fl_manifest_file *file, uint32_t mask)
{
	if (mask & IN_MODIFY) {
		file->modified = true;
		file->closed = false;
	}
	if (mask & IN_CLOSE_WRITE) {
		file->closed = file->written = true;
		file->modified = file->deleted = false;
	}
	if (mask & IN_MOVED_TO || (mask & IN_CREATE && is_link(file))) {
		file->closed = true;
		file->modified = file->written = file->deleted = false;
	} else if (mask & IN_CREATE) {
		file->modified = true; /* its writer is at it */
		file->closed = file->deleted = false;
	}
	if (mask & (IN_DELETE | IN_MOVED_FROM)) {
		file->deleted = true;
		file->closed = file->modified = false;
	}
	if (mask & IN_ATTRIB && !file->unreadable)
		return;
	fl_manifest_touch(m, file);
}

static int on_name(struct fl_manifest *m, size_t root, const char *name, uint32_t mask)
{
	struct fl_manifest_root *r = &m->roots[root];
	bool ours = r->name ? !strcmp(name, r->name) : fl_manifest_wants(name);
	struct fl_manifest_file *file;

	/* the symbolic link that all files of a mounted ConfigMap go through has been switched */
	r->rescan |= !strncmp(name, "..", 2);
	if (!ours)
		return 0;
	if (mask & (IN_ATTRIB | IN_DELETE | IN_MOVED_FROM))
		file = fl_manifest_find(m, root, name);
	else
		file = fl_manifest_get(m, root, name);
	if (file)
		on_file(m, file, mask);
	return file || mask & (IN_ATTRIB | IN_DELETE | IN_MOVED_FROM) ? 0 : -ENOMEM;
}

static void on_link(struct fl_manifest_root *r, const struct inotify_event *event)
{
	for (size_t i = 0; i < r->n_links; i++) {
		if (r->links[i].watch != event->wd)
			continue;
		r->rescan |= event->mask & IN_IGNORED ||
			     (event->len && !strcmp(r->links[i].name, event->name));
	}
}

static int on_event(struct fl_manifest *m, const struct inotify_event *event)
{
	int rc = 0, failed;

	for (size_t i = 0; i < m->n_roots; i++) {
		struct fl_manifest_root *r = &m->roots[i];

		on_link(r, event);
		failed = 0;
		if (event->mask & IN_Q_OVERFLOW) {
			r->rescan = true;
		} else if (r->watch == event->wd && event->mask & (IN_DELETE_SELF | IN_MOVE_SELF |
								   IN_IGNORED | IN_UNMOUNT)) {
			/* the directory is gone, or elsewhere */
			r->watch = -1;
			r->rescan = true;
			drop_watch(m, event->wd);
		} else if (r->watch == event->wd && event->len) {
			failed = on_name(m, i, event->name, event->mask);
		}
		rc = rc ? rc : failed;
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
