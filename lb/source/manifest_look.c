/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What no event tells of: writers through mappings, other machines, links to files elsewhere, and
 * events that were lost. All files are looked at in turn, and the names in a directory read, a
 * little at a time, so that ten thousand of them neither take much of a processor nor keep a change
 * waiting.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/source/manifest_files.h"
#include "lb/source/writers.h"

#define LOOKS_PER_S (1000 / FL_MANIFEST_LOOK_MS)

static bool same_time(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look_at_root(struct fl_manifest_root *r)
{
	struct stat st;

	if (r->is_input)
		return;
	if (stat(r->dir, &st) || st.st_dev != r->seen.st_dev || st.st_ino != r->seen.st_ino)
		r->rescan = true;
	else if (r->remote && !same_time(&st, &r->seen))
		r->rescan = true;
}

/* How many of `n` are looked at now, so that in a second no more than `most` are. */
static size_t share(size_t n, size_t most)
{
	return ((n < most ? n : most) + LOOKS_PER_S - 1) / LOOKS_PER_S;
}

static struct fl_manifest_file *next_file(const struct fl_manifest *m, size_t *at)
{
	struct fl_manifest_file *file;

	if (*at >= m->n_files)
		*at = 0;
	file = m->files[(*at)++];
	return file->pending || file->reading || file->gone || file->unreadable ||
			       m->roots[file->definer.order].is_input
		       ? NULL
		       : file;
}

static void look_at_file(struct fl_manifest *m, struct fl_manifest_file *file, struct stat *ret_st)
{
	if (stat(file->path, ret_st) || fl_manifest_differs(ret_st, &file->seen))
		fl_manifest_touch(m, file);
}

static void look_at_files(struct fl_manifest *m)
{
	struct stat st;

	for (size_t n = share(m->n_files, FL_MANIFEST_LOOK_FILES); n; n--) {
		struct fl_manifest_file *file = next_file(m, &m->look_at);
		const struct fl_manifest_root *r;

		if (!file)
			continue;
		r = &m->roots[file->definer.order];
		look_at_file(m, file, &st);
		/* where writing through a mapping changes no times */
		if (!file->pending && r->undated &&
		    fl_writers_of(file->path, fl_manifest_is_local(r, &st)) == FL_WRITERS_SOME)
			fl_manifest_touch(m, file);
	}
	for (size_t n = m->any_elsewhere ? share(m->n_files, FL_MANIFEST_LOOK_ELSEWHERE) : 0; n;
	     n--) {
		struct fl_manifest_file *file = next_file(m, &m->look_elsewhere);

		if (file && (file->elsewhere || file->is_open))
			look_at_file(m, file, &st);
	}
}

/* What changes within the time that its directory is dated with shows in no date. */
static bool is_fresh(const struct stat *st)
{
	return st->st_mtim.tv_sec + 1 >= time(NULL);
}

void fl_manifest_root_read(struct fl_manifest_root *r, const struct stat *st)
{
	if (r->names)
		closedir(r->names);
	r->names = NULL;
	r->seen = *st;
	r->is_fresh = is_fresh(st);
}

static void read_names(struct fl_manifest *m, size_t root, size_t limit)
{
	struct fl_manifest_root *r = &m->roots[root];

	while (limit-- && r->names && !r->rescan) {
		const struct dirent *entry;
		struct fl_manifest_file *file;

		errno = 0;
		entry = readdir(r->names);
		if (!entry) {
			r->rescan = errno != 0;
			fl_manifest_root_read(r, &r->names_seen);
			return;
		}
		if (!fl_manifest_wants(entry->d_name) || fl_manifest_find(m, root, entry->d_name))
			continue;
		/* a look at everything says what is wrong */
		file = r->n_files < FL_MANIFEST_MAX_FILES ? fl_manifest_get(m, root, entry->d_name)
							  : NULL;
		if (file)
			fl_manifest_touch(m, file);
		else
			r->rescan = true;
	}
}

static void begin_names(struct fl_manifest_root *r)
{
	struct stat st;

	if (r->names || stat(r->dir, &st) ||
	    (!r->remote && !r->is_fresh && same_time(&st, &r->seen)))
		return;
	r->names = opendir(r->dir);
	r->rescan |= !r->names || fstat(dirfd(r->names), &r->names_seen);
}

void fl_manifest_look(struct fl_manifest *m)
{
	const struct fl_mono now = fl_clock_now(&m->clock);

	if (now.ns < m->next_look.ns)
		return;
	m->next_look = fl_mono_plus_ms(now, FL_MANIFEST_LOOK_MS);
	if (now.ns >= m->next_roots.ns) {
		m->next_roots = fl_mono_plus_ms(now, FL_MANIFEST_LOOK_MS * LOOKS_PER_S);
		for (size_t i = 0; i < m->n_roots; i++)
			look_at_root(&m->roots[i]);
	}
	for (size_t i = 0; i < m->n_roots; i++)
		read_names(m, i, FL_MANIFEST_LOOK_NAMES / LOOKS_PER_S);
	look_at_files(m);
}

void fl_manifest_look_again(struct fl_manifest *m)
{
	for (size_t i = 0; i < m->n_roots; i++) {
		struct fl_manifest_root *r = &m->roots[i];

		if (r->is_input)
			continue;
		if (r->name || r->lost || r->watch < 0)
			r->rescan = true;
		else
			begin_names(r);
	}
	if (!m->any_odd)
		return;
	m->any_odd = false;
	for (size_t i = 0; i < m->n_files; i++) {
		struct fl_manifest_file *file = m->files[i];

		/* a program that has a file mapped may change it without a trace for half a
		 * minute */
		if (!file->is_open && !file->unreadable)
			continue;
		m->any_odd = true;
		fl_manifest_touch(m, file);
	}
}
