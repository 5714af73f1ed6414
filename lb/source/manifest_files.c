/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The list of manifest files, and how it follows what is in the directories. */
#include "lb/source/manifest_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>
#include <xxhash.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/exists.h"
#include "lb/source/writers.h"

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

void fl_manifest_forget_unread(struct fl_manifest_file *file)
{
	for (size_t i = 0; i < file->n_unread; i++)
		fl_unread_fini(&file->unread[i]);
	free(file->unread);
	file->unread = NULL;
	file->n_unread = 0;
}

void fl_manifest_file_free(struct fl_manifest_file **file)
{
	struct fl_manifest_file *f = TAKE_PTR(*file);

	if (!f)
		return;
	if (f->reading)
		fl_reading_fini(f->reading);
	free(f->reading);
	fl_problems_clear(&f->problems);
	fl_text_digest_fini(&f->lines);
	free(f->foreign);
	fl_manifest_forget_unread(f);
	free(f->definer.list);
	free(f);
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
	size_t dir_len = strlen(root->dir), size;
	struct fl_manifest_file *file;

	while (dir_len > 1 && root->dir[dir_len - 1] == '/')
		dir_len--;
	size = root->name ? strlen(root->path) + 1 : dir_len + strlen(name) + 2;
	file = calloc(1, sizeof(*file) + size);
	if (!file)
		return NULL;
	if (root->name)
		memcpy(file->path, root->path, size);
	else
		snprintf(file->path, size, "%.*s/%s", (int)dir_len, root->dir, name);
	file->name = strrchr(file->path, '/') ? strrchr(file->path, '/') + 1 : file->path;
	file->definer.path = file->path;
	file->definer.order = (unsigned int)order;
	return file;
}

struct fl_manifest_file *fl_manifest_get(struct fl_manifest *m, size_t root, const char *name)
{
	struct fl_manifest_file *file;
	bool found;
	size_t at = position(m, root, name, &found);

	if (found)
		return m->files[at];
	if (FL_ARRAY_ROOM(m->files, m->n_files_room, m->n_files + 1))
		return NULL;
	file = file_new(&m->roots[root], root, name);
	if (!file)
		return NULL;
	memmove(&m->files[at + 1], &m->files[at], (m->n_files - at) * sizeof(m->files[0]));
	m->files[at] = file;
	m->n_files++;
	m->n_unread++;
	m->roots[root].n_files++;
	return file;
}

void fl_manifest_touch(struct fl_manifest *m, struct fl_manifest_file *file)
{
	file->due = (struct fl_mono){0};
	if (file->pending)
		return;
	file->pending = true;
	DL_APPEND(m->pending, file);
}

void fl_manifest_settled(struct fl_manifest *m, struct fl_manifest_file *file)
{
	if (file->pending)
		DL_DELETE(m->pending, file);
	file->pending = file->closed = file->modified = file->forced = false;
	file->last = (struct fl_manifest_stat){0};
}

static uint64_t digest_of(const struct stat *st)
{
	const int64_t of[] = {st->st_size, st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			      st->st_ctim.tv_sec, st->st_ctim.tv_nsec};

	return XXH3_64bits(of, sizeof(of));
}

struct fl_manifest_stat fl_manifest_stat_of(const struct stat *st)
{
	return (struct fl_manifest_stat){st->st_dev, st->st_ino, digest_of(st)};
}

bool fl_manifest_differs(const struct stat *st, const struct fl_manifest_stat *before)
{
	return st->st_dev != before->dev || st->st_ino != before->ino ||
	       digest_of(st) != before->digest;
}

bool fl_manifest_is_local(const struct fl_manifest_root *r, const struct stat *st)
{
	/* of the file system of a single file nothing is known */
	return !r->name && !r->remote && st->st_dev == r->seen.st_dev;
}

/* Touch every known file of a root that is not as it was when it was read. */
static void touch_changed(struct fl_manifest *m, size_t root)
{
	for (size_t i = 0; i < m->n_files; i++) {
		struct fl_manifest_file *file = m->files[i];
		struct stat st;

		if (file->definer.order != root)
			continue;
		if (file->unreadable || stat(file->path, &st) ||
		    fl_manifest_differs(&st, &file->seen))
			fl_manifest_touch(m, file);
	}
}

static int touch_new(struct fl_manifest *m, size_t root, DIR *dir, struct fl_err *err)
{
	const struct dirent *entry;
	struct fl_manifest_file *file;
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
		if (fl_manifest_find(m, root, entry->d_name))
			continue;
		file = fl_manifest_get(m, root, entry->d_name);
		if (!file)
			return fl_err_set(err, -ENOMEM, "out of memory");
		fl_manifest_touch(m, file);
	}
	return errno ? fl_err_set(err, -errno, "%s", strerror(errno)) : 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/*
 * Another file system at the same place that has no manifest: what a file system leaves behind that
 * was unmounted, or one that is not mounted yet.
 */
static bool is_bare_mount(const struct fl_manifest *m, size_t root, const struct stat *st)
{
	const struct fl_manifest_root *r = &m->roots[root];

	if (!r->n_files || !r->seen.st_ino || r->seen.st_dev == st->st_dev)
		return false;
	for (size_t i = 0; i < m->n_files; i++)
		if (m->files[i]->definer.order == root && fl_exists(AT_FDCWD, m->files[i]->path))
			return false;
	return true;
}

static int scan_dir(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	_cleanup_(close_dir) DIR *dir = NULL;
	struct fl_manifest_root *r = &m->roots[root];
	struct stat st;
	int rc;

	dir = opendir(r->dir);
	if (!dir || fstat(dirfd(dir), &st))
		return fl_err_set(err, -errno, "%s", strerror(errno));
	rc = touch_new(m, root, dir, err);
	if (!rc && is_bare_mount(m, root, &st))
		rc = fl_err_set(err, -ENODEV,
				"another file system is there now, without manifests");
	if (rc)
		return rc;
	fl_manifest_root_read(r, &st);
	r->remote = fl_is_remote(dirfd(dir));
	r->undated = fl_is_undated(dirfd(dir));
	return 0;
}

static int scan_file(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	struct fl_manifest_root *r = &m->roots[root];
	_cleanup_close_ int dir = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fl_manifest_file *file;

	if (stat(r->dir, &r->seen))
		return fl_err_set(err, -errno, "%s", strerror(errno));
	r->undated = dir >= 0 && fl_is_undated(dir);
	if (fl_manifest_find(m, root, r->name))
		return 0;
	file = fl_manifest_get(m, root, r->name);
	if (!file)
		return fl_err_set(err, -ENOMEM, "out of memory");
	fl_manifest_touch(m, file);
	return 0;
}

int fl_manifest_scan(struct fl_manifest *m, size_t root, struct fl_err *err)
{
	int rc = m->roots[root].name ? scan_file(m, root, err) : scan_dir(m, root, err);

	/* without its directory a file is not gone, only out of sight */
	if (!rc)
		touch_changed(m, root);
	return rc;
}

void fl_manifest_set_state(struct fl_manifest *m, struct fl_manifest_file *file, bool good,
			   bool gone)
{
	m->n_unread -= !file->good && !file->gone;
	file->good = good;
	file->gone = gone;
	m->n_unread += !good && !gone;
	m->any_gone |= gone;
}

void fl_manifest_purge(struct fl_manifest *m)
{
	size_t n = 0;

	if (!m->any_gone)
		return;
	m->any_gone = false;
	for (size_t i = 0; i < m->n_files; i++) {
		struct fl_manifest_file *file = m->files[i];

		if (file->gone && !file->pending && !file->reading &&
		    !fl_definitions_any(&file->definer)) {
			fl_definitions_let_go(m->definitions, &file->definer, (struct fl_mono){0});
			m->roots[file->definer.order].n_files--;
			fl_manifest_file_free(&m->files[i]);
		} else {
			m->any_gone |= file->gone;
			m->files[n++] = file;
		}
	}
	m->n_files = n;
}
