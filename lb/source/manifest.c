/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The manifest source as a whole: its places, its first reading, and what follows. */
#include "lb/source/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>

#include "lb/base/cleanup.h"
#include "lb/base/exists.h"
#include "lb/source/manifest_files.h"

static struct fl_manifest *manifest(struct fl_source *source)
{
	return (struct fl_manifest *)source;
}

static int load_root(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	struct fl_manifest_root *r = &m->roots[root];
	struct fl_manifest_file *file;
	struct stat st;
	int rc = 0;

	if (r->is_input) {
		file = fl_manifest_get(m, root, r->name);
		if (!file)
			return fl_err_set(err, -ENOMEM, "out of memory");
		fl_manifest_touch(m, file);
		return 0;
	}
	if (stat(r->path, &st))
		return fl_err_set(err, -errno, "%s: %s", r->path, strerror(errno));
	/* watch first: what changes while it is read is read again */
	if (m->options.follow)
		rc = fl_manifest_watch(m, root, err);
	if (!rc)
		rc = fl_manifest_scan(m, root, err);
	return rc ? fl_err_wrap(err, rc, "%s", r->dir) : 0;
}

static int manifest_load(struct fl_source *source, struct fl_err *err)
{
	struct fl_manifest *m = manifest(source);
	int rc = 0;

	for (size_t i = 0; i < m->n_roots && !rc; i++)
		rc = load_root(m, i, err);
	return rc ? rc : fl_manifest_first_turn(m, err);
}

static int manifest_fd(const struct fl_source *source)
{
	return ((const struct fl_manifest *)source)->epoll;
}

static int manifest_handle(struct fl_source *source, struct fl_err *err)
{
	return fl_manifest_turn(manifest(source), false, err);
}

static int manifest_refresh(struct fl_source *source, struct fl_err *err)
{
	return fl_manifest_turn(manifest(source), true, err);
}

static int manifest_look(struct fl_source *source, struct fl_err *err)
{
	struct fl_manifest *m = manifest(source);

	fl_manifest_look_again(m);
	return fl_manifest_turn(m, false, err);
}

/* After a look at everything: nothing waits any longer, and what is out of sight is gone. */
static int manifest_apply_held(struct fl_source *source, struct fl_err *err)
{
	struct fl_manifest *m = manifest(source);
	int rc = fl_manifest_turn(m, true, err), failed;

	for (size_t i = 0; i < m->n_files; i++) {
		struct fl_manifest_file *file = m->files[i];
		bool out_of_sight = m->roots[file->definer.order].lost &&
				    !fl_exists(AT_FDCWD, file->path) && errno == ENOENT;

		if (!file->pending && !out_of_sight)
			continue;
		file->forced = true;
		file->deleted |= out_of_sight;
		fl_manifest_touch(m, file);
	}
	fl_manifest_let_go(m, true);
	failed = fl_manifest_turn(m, true, err);
	return rc ? rc : failed;
}

static bool manifest_complete(const struct fl_source *source)
{
	const struct fl_manifest *m = (const struct fl_manifest *)source;

	for (size_t i = 0; i < m->n_roots; i++)
		if (m->roots[i].bare.ns)
			return false;
	return !m->n_unread;
}

static int manifest_each_unread(const struct fl_source *source, fl_unread_fn fn, void *arg)
{
	const struct fl_manifest *m = (const struct fl_manifest *)source;
	int rc = 0;

	for (size_t i = 0; i < m->n_files && !rc; i++) {
		const struct fl_manifest_file *file = m->files[i];

		for (size_t k = 0; k < file->n_unread && !rc; k++) {
			const struct fl_unread *unread = &file->unread[k];
			const struct fl_object_key key = {unread->kind, unread->ns, unread->name};

			/* one that has a last good state is served by that */
			if (!fl_definitions_has(&file->definer, &key))
				rc = fn(unread, arg);
		}
	}
	return rc;
}

static void manifest_each_problem(const struct fl_source *source, fl_problem_fn fn, void *arg)
{
	const struct fl_manifest *m = (const struct fl_manifest *)source;

	for (size_t i = 0; i < m->n_roots; i++)
		fl_problems_each(&m->roots[i].problems, m->roots[i].path, fn, arg);
	for (size_t i = 0; i < m->n_files; i++)
		fl_manifest_each_problem(m, m->files[i], fn, arg);
}

static void root_fini(struct fl_manifest_root *r)
{
	if (r->names)
		closedir(r->names);
	for (size_t i = 0; i < r->n_links; i++)
		free(r->links[i].name);
	free(r->links);
	fl_problems_clear(&r->problems);
	free(r->path);
	free(r->dir);
}

/* The store keeps what it has: an agent that ends must not unprogram anything on its way. */
static void manifest_free(struct fl_source *source)
{
	struct fl_manifest *m = manifest(source);

	fl_worker_free(&m->worker);
	if (m->merging)
		fl_definitions_abort(&m->merge);
	for (size_t i = 0; i < m->n_files; i++) {
		fl_definitions_forget(m->definitions, &m->files[i]->definer);
		fl_manifest_file_free(&m->files[i]);
	}
	free(m->files);
	for (size_t i = 0; m->roots && i < m->n_roots; i++)
		root_fini(&m->roots[i]);
	free(m->roots);
	if (!m->options.definitions)
		fl_definitions_free(&m->definitions);
	fl_closep(&m->inotify);
	fl_closep(&m->timer);
	fl_closep(&m->epoll);
	free(m);
}

static const struct fl_source_ops ops = {
	.load = manifest_load,
	.fd = manifest_fd,
	.handle = manifest_handle,
	.look = manifest_look,
	.refresh = manifest_refresh,
	.apply_held = manifest_apply_held,
	.complete = manifest_complete,
	.each_unread = manifest_each_unread,
	.each_problem = manifest_each_problem,
	.free = manifest_free,
};

static void manifest_freep(struct fl_manifest **m)
{
	if (*m)
		manifest_free(&(*m)->source);
}

/* A path that is no directory now is taken as a single file, there or not. */
static int add_root(struct fl_manifest *m, const char *path)
{
	struct fl_manifest_root *r = &m->roots[m->n_roots++];
	const char *slash = strrchr(path, '/');
	struct stat st;

	r->watch = -1;
	r->is_input = !strcmp(path, "-");
	r->path = strdup(path);
	if (!r->path)
		return -ENOMEM;
	if (!r->is_input && !stat(path, &st) && S_ISDIR(st.st_mode)) {
		r->dir = strdup(path);
	} else {
		r->name = slash ? r->path + (slash - path) + 1 : r->path;
		r->dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path))
			       : strdup(".");
	}
	return r->dir ? 0 : -ENOMEM;
}

/* What there is to wait for, behind one descriptor. */
static int open_descriptors(struct fl_manifest *m, struct fl_err *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	int rc;

	m->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (m->inotify < 0)
		return fl_err_set(err, -errno, "inotify: %s", strerror(errno));
	m->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (m->timer < 0 || m->epoll < 0 ||
	    epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->inotify, &event) ||
	    epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->timer, &event))
		return fl_err_set(err, -errno, "cannot follow files: %s", strerror(errno));
	rc = fl_worker_new(&m->worker, err);
	if (rc)
		return rc;
	if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, fl_worker_fd(m->worker), &event))
		return fl_err_set(err, -errno, "cannot follow files: %s", strerror(errno));
	return 0;
}

int fl_manifest_new(const struct fl_manifest_options *options, struct fl_source **ret_source,
		    struct fl_err *err)
{
	_cleanup_(manifest_freep) struct fl_manifest *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return fl_err_set(err, -ENOMEM, "out of memory");
	m->inotify = m->timer = m->epoll = -1;
	if (!options->n_paths)
		return fl_err_set(err, -EINVAL, "no manifest directory or file is given");
	m->source.ops = &ops;
	m->options = *options;
	m->options.paths = NULL; /* the roots have copies */
	m->clock = options->clock ? *options->clock : fl_clock_system;
	rc = options->follow ? open_descriptors(m, err) : 0;
	if (rc)
		return rc;
	m->roots = calloc(options->n_paths, sizeof(*m->roots));
	m->definitions = options->definitions;
	if (!m->roots || (!m->definitions && fl_definitions_new(options->store, &m->definitions)))
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < options->n_paths; i++)
		if (add_root(m, options->paths[i]))
			return fl_err_set(err, -ENOMEM, "out of memory");
	*ret_source = &TAKE_PTR(m)->source;
	return 0;
}
