/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The manifest source as a whole: its places, its first reading, and what follows. */
#include "lb/source/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "lb/base/cleanup.h"
#include "lb/source/manifest_files.h"

static struct fl_manifest *manifest(struct fl_source *source)
{
	return (struct fl_manifest *)source;
}

static int manifest_load(struct fl_source *source, struct fl_err *err)
{
	struct fl_manifest *m = manifest(source);
	int rc;

	for (size_t i = 0; i < m->n_roots; i++) {
		struct stat st;

		if (m->roots[i].is_input) {
			rc = fl_manifest_touch(m, i, m->roots[i].name);
			if (rc)
				return fl_err_set(err, rc, "out of memory");
			continue;
		}
		if (stat(m->roots[i].path, &st))
			return fl_err_set(err, -errno, "%s: %s", m->roots[i].path, strerror(errno));
		/* watch first: what changes while it is read is read again */
		rc = fl_manifest_watch(m, i, err);
		if (!rc)
			rc = fl_manifest_scan(m, i, err);
		if (rc)
			return fl_err_wrap(err, rc, "%s", m->roots[i].dir);
	}
	return fl_manifest_settle(m, err);
}

static int manifest_fd(const struct fl_source *source)
{
	return ((const struct fl_manifest *)source)->inotify;
}

static bool is_watched(const struct fl_manifest *m, int watch)
{
	for (size_t i = 0; i < m->n_roots; i++)
		if (m->roots[i].watch == watch || m->roots[i].parent_watch == watch)
			return true;
	return false;
}

/*
 * Look into a root again, watching it again when the watch is lost. A root that is not there is a
 * problem while that lasts: its files keep their last good state, since an unmounted directory is
 * no order to remove everything.
 */
static int rescan(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	struct fl_manifest_root *r = &m->roots[root];
	struct fl_err why = {""};
	int old = r->watch, rc;

	r->rescan = false;
	rc = fl_manifest_watch(m, root, &why);
	if (!rc && old >= 0 && old != r->watch && !is_watched(m, old))
		inotify_rm_watch(m->inotify, old); /* the path leads to another directory now */
	if (!rc && r->parent_watch >= 0) {
		old = r->parent_watch;
		r->parent_watch = -1;
		if (!is_watched(m, old))
			inotify_rm_watch(m->inotify, old);
	}
	if (!rc)
		rc = fl_manifest_scan(m, root, &why);
	if (rc == -ENOMEM)
		return fl_err_set(err, rc, "%s: %s", r->dir, why.text);
	if (rc && r->problems.n)
		return 0; /* known already */
	fl_problems_clear(&r->problems);
	if (rc)
		return fl_manifest_problem(m, &r->problems,
					   &(struct fl_problem){.level = FL_PROBLEM_ERROR,
								.file = r->path,
								.object = "",
								.reason = why.text});
	return 0;
}

static int follow(struct fl_manifest *m, bool everything, struct fl_err *err)
{
	int rc = fl_manifest_drain(m, err), failed;

	for (size_t i = 0; i < m->n_roots; i++) {
		if (m->roots[i].is_input || (!everything && !m->roots[i].rescan))
			continue;
		failed = rescan(m, i, err);
		rc = rc ? rc : failed;
	}
	failed = fl_manifest_settle(m, err);
	return rc ? rc : failed;
}

static int manifest_handle(struct fl_source *source, struct fl_err *err)
{
	return follow(manifest(source), false, err);
}

static int manifest_refresh(struct fl_source *source, struct fl_err *err)
{
	return follow(manifest(source), true, err);
}

static bool manifest_complete(const struct fl_source *source)
{
	const struct fl_manifest *m = (const struct fl_manifest *)source;

	for (size_t i = 0; i < m->n_files; i++)
		if (!m->files[i]->good)
			return false;
	return true;
}

static void manifest_each_problem(const struct fl_source *source, fl_problem_fn fn, void *arg)
{
	const struct fl_manifest *m = (const struct fl_manifest *)source;

	for (size_t i = 0; i < m->n_roots; i++)
		fl_problems_each(&m->roots[i].problems, m->roots[i].path, fn, arg);
	for (size_t i = 0; i < m->n_files; i++) {
		fl_problems_each(&m->files[i]->problems, m->files[i]->path, fn, arg);
		fl_manifest_each_conflict(m, m->files[i], fn, arg);
	}
}

/* The store keeps what it has: an agent that ends must not unprogram anything on its way. */
static void manifest_free(struct fl_source *source)
{
	struct fl_manifest *m = manifest(source);

	for (size_t i = 0; i < m->n_files; i++) {
		fl_definitions_forget(m->definitions, &m->files[i]->definer);
		fl_manifest_file_free(&m->files[i]);
	}
	free(m->files);
	for (size_t i = 0; m->roots && i < m->n_roots; i++) {
		fl_problems_clear(&m->roots[i].problems);
		free(m->roots[i].path);
		free(m->roots[i].dir);
	}
	free(m->roots);
	fl_definitions_free(&m->definitions);
	fl_closep(&m->inotify);
	free(m);
}

static const struct fl_source_ops ops = {
	.load = manifest_load,
	.fd = manifest_fd,
	.handle = manifest_handle,
	.refresh = manifest_refresh,
	.complete = manifest_complete,
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

	r->watch = r->parent_watch = -1;
	r->is_input = !strcmp(path, "-");
	r->path = strdup(path);
	if (!r->path)
		return -ENOMEM;
	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		r->dir = strdup(path);
	} else {
		r->name = slash ? r->path + (slash - path) + 1 : r->path;
		r->dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path))
			       : strdup(".");
	}
	return r->dir ? 0 : -ENOMEM;
}

int fl_manifest_new(const char *const *paths, size_t n_paths, struct fl_store *store,
		    fl_problem_fn report, void *arg, struct fl_source **ret_source,
		    struct fl_err *err)
{
	_cleanup_(manifest_freep) struct fl_manifest *m = calloc(1, sizeof(*m));

	if (!m)
		return fl_err_set(err, -ENOMEM, "out of memory");
	m->inotify = -1;
	if (!n_paths)
		return fl_err_set(err, -EINVAL, "no manifest directory or file is given");
	m->source.ops = &ops;
	m->store = store;
	m->report = report;
	m->report_arg = arg;
	m->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (m->inotify < 0)
		return fl_err_set(err, -errno, "inotify: %s", strerror(errno));
	m->roots = calloc(n_paths, sizeof(*m->roots));
	if (!m->roots || fl_definitions_new(store, &m->definitions))
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n_paths; i++)
		if (add_root(m, paths[i]))
			return fl_err_set(err, -ENOMEM, "out of memory");
	*ret_source = &TAKE_PTR(m)->source;
	return 0;
}
