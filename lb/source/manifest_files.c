/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The list of manifest files, and how it follows what is in the directories. */
#include "lb/source/manifest_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

bool fl_manifest_wants(const char *name)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(name);

	if (name[0] == '.') /* editors' swap and lock files, and the ..data of a ConfigMap */
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t n = strlen(endings[i]);

		if (len > n && !strcmp(name + len - n, endings[i]))
			return true;
	}
	return false;
}

void fl_manifest_file_free(struct fl_manifest_file **file)
{
	if (!*file)
		return;
	fl_problems_clear(&(*file)->problems);
	free((*file)->foreign);
	free((*file)->definer.list);
	free((*file)->path);
	free(*file);
	*file = NULL;
}

/* The place of a file in the list, or where it would be put. */
static size_t position(const struct fl_manifest *m, size_t root, const char *name, bool *ret_found)
{
	size_t low = 0, high = m->n_files;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct fl_manifest_file *file = m->files[middle];
		int order = file->definer.order != root ? (file->definer.order < root ? -1 : 1)
							: strcmp(file->name, name);

		if (!order) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct fl_manifest_file *fl_manifest_find(const struct fl_manifest *m, size_t root,
					  const char *name)
{
	bool found;
	size_t at = position(m, root, name, &found);

	return found ? m->files[at] : NULL;
}

static struct fl_manifest_file *file_new(const struct fl_manifest_root *root, size_t order,
					 const char *name)
{
	_cleanup_(fl_manifest_file_free) struct fl_manifest_file *file = calloc(1, sizeof(*file));
	size_t dir_len = strlen(root->dir);

	if (!file)
		return NULL;
	while (dir_len > 1 && root->dir[dir_len - 1] == '/')
		dir_len--;
	if (root->name)
		file->path = strdup(root->path);
	else if (asprintf(&file->path, "%.*s/%s", (int)dir_len, root->dir, name) < 0)
		file->path = NULL;
	if (!file->path)
		return NULL;
	file->name = strrchr(file->path, '/') ? strrchr(file->path, '/') + 1 : file->path;
	file->definer.path = file->path;
	file->definer.order = (unsigned int)order;
	return TAKE_PTR(file);
}

int fl_manifest_touch(struct fl_manifest *m, size_t root, const char *name)
{
	struct fl_manifest_file *file;
	bool found;
	size_t at = position(m, root, name, &found);

	if (found) {
		m->files[at]->touched = true;
		return 0;
	}
	if (FL_ARRAY_ROOM(m->files, m->n_files_room, m->n_files + 1))
		return -ENOMEM;
	file = file_new(&m->roots[root], root, name);
	if (!file)
		return -ENOMEM;
	file->touched = true;
	memmove(&m->files[at + 1], &m->files[at], (m->n_files - at) * sizeof(*m->files));
	m->files[at] = file;
	m->n_files++;
	return 0;
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Touch every known file of a root that is not as it was when it was read. */
static void touch_changed(struct fl_manifest *m, size_t root)
{
	for (size_t i = 0; i < m->n_files; i++) {
		struct fl_manifest_file *file = m->files[i];
		struct stat st;

		if (file->definer.order != root)
			continue;
		if (file->unreadable || stat(file->path, &st) || !unchanged(&st, &file->seen))
			file->touched = true;
	}
}

static int touch_new(struct fl_manifest *m, size_t root, DIR *dir, struct fl_err *err)
{
	const struct dirent *entry;
	size_t n = 0;

	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (!fl_manifest_wants(entry->d_name))
			continue;
		if (++n > FL_MANIFEST_MAX_FILES)
			return fl_err_set(err, -E2BIG, "more than %d files", FL_MANIFEST_MAX_FILES);
		if (!fl_manifest_find(m, root, entry->d_name) &&
		    fl_manifest_touch(m, root, entry->d_name))
			return fl_err_set(err, -ENOMEM, "out of memory");
	}
	return errno ? fl_err_set(err, -errno, "%s", strerror(errno)) : 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int fl_manifest_scan(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	_cleanup_(close_dir) DIR *dir = NULL;
	const struct fl_manifest_root *r = &m->roots[root];
	int rc = 0;

	if (r->name) {
		if (!fl_manifest_find(m, root, r->name))
			rc = fl_manifest_touch(m, root, r->name);
	} else {
		dir = opendir(r->dir);
		if (!dir)
			return fl_err_set(err, -errno, "%s", strerror(errno));
		rc = touch_new(m, root, dir, err);
	}
	touch_changed(m, root);
	return rc;
}

/* Files that are gone go first: what they held may have moved into another file. */
static int read_touched(struct fl_manifest *m, bool gone, struct fl_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < m->n_files; i++) {
		struct fl_manifest_file *file = m->files[i];
		struct stat st;
		int failed;

		if (!file->touched || (gone && !(lstat(file->path, &st) && errno == ENOENT)))
			continue;
		failed = fl_manifest_read(m, file, err);
		rc = rc ? rc : failed;
	}
	return rc;
}

/*
 * A file that lost an object to an earlier one is read again, so that the object is on standby.
 * This ends: reading again takes nothing from an earlier file.
 */
static int read_stale(struct fl_manifest *m, struct fl_err *err)
{
	int rc = 0, failed;

	for (size_t i = 0; i < m->n_files; i++) {
		if (!m->files[i]->definer.stale || m->files[i]->gone)
			continue;
		failed = fl_manifest_read(m, m->files[i], err);
		rc = rc ? rc : failed;
	}
	return rc;
}

int fl_manifest_settle(struct fl_manifest *m, struct fl_err *err)
{
	int rc = read_touched(m, true, err), failed = read_touched(m, false, err);
	size_t n = 0;

	rc = rc ? rc : failed;
	failed = read_stale(m, err);
	for (size_t i = 0; i < m->n_files; i++) {
		if (m->files[i]->gone && !m->files[i]->definer.n)
			fl_manifest_file_free(&m->files[i]);
		else
			m->files[n++] = m->files[i];
	}
	m->n_files = n;
	return rc ? rc : failed;
}
