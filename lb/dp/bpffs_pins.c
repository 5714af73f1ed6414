// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The pins in the directory. An object is pinned under a name that is not its last one and then
 * renamed, so that a name always stands for the old object or the new one.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/exists.h"
#include "lb/dp/bpffs.h"

#define UNFINISHED "~" /* ends a name that is not the object's last one yet */

char *fl_bpffs_path(const struct fl_bpffs *fs, const char *sub, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s/%s", fs->path, sub, name) < 0 ? NULL : path;
}

int fl_bpffs_pin(const struct fl_bpffs *fs, const char *sub, const char *name, int fd,
		 struct fl_err *err)
{
	_cleanup_free_ char *path = fl_bpffs_path(fs, sub, name), *tmp = NULL;

	if (!path || asprintf(&tmp, "%s" UNFINISHED, path) < 0)
		return fl_err_set(err, -ENOMEM, "out of memory");
	unlink(tmp); /* what a crash left */
	if (bpf_obj_pin(fd, tmp))
		return fl_err_set(err, -errno, "cannot pin %s: %s", path, strerror(errno));
	if (rename(tmp, path)) {
		int r = -errno;

		unlink(tmp);
		return fl_err_set(err, r, "cannot pin %s: %s", path, strerror(-r));
	}
	return 0;
}

int fl_bpffs_get(const struct fl_bpffs *fs, const char *sub, const char *name, bool read_only)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = read_only ? BPF_F_RDONLY : 0);
	_cleanup_free_ char *path = fl_bpffs_path(fs, sub, name);
	int fd;

	if (!path)
		return -ENOMEM;
	fd = bpf_obj_get_opts(path, &opts);
	return fd < 0 ? -errno : fd;
}

int fl_bpffs_unpin(const struct fl_bpffs *fs, const char *sub, const char *name)
{
	_cleanup_free_ char *path = fl_bpffs_path(fs, sub, name);

	if (!path)
		return -ENOMEM;
	return unlink(path) ? -errno : 0;
}

int fl_bpffs_each(const struct fl_bpffs *fs, const char *sub,
		  int (*fn)(const char *name, void *arg), void *arg)
{
	int fd = openat(fs->dir_fd, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *e;
	int r = 0;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while (!r && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = fn(e->d_name, arg);
	closedir(d);
	return r;
}

struct finish {
	const struct fl_bpffs *fs;
	const char *sub;
};

static int finish_one(const char *name, void *arg)
{
	const struct finish *m = arg;
	size_t len = strlen(name) - strlen(UNFINISHED);
	_cleanup_free_ char *from = NULL, *to = NULL;

	if (strlen(name) <= strlen(UNFINISHED) || strcmp(name + len, UNFINISHED))
		return 0;
	from = fl_bpffs_path(m->fs, m->sub, name);
	to = from ? strndup(from, strlen(from) - strlen(UNFINISHED)) : NULL;
	if (!to)
		return -ENOMEM;
	/* an incomplete set of maps is never used, so its names are not finished */
	if (!strcmp(m->sub, "maps") || fl_exists(AT_FDCWD, to) || rename(from, to))
		unlink(from);
	return 0;
}

void fl_bpffs_finish_names(const struct fl_bpffs *fs)
{
	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++)
		fl_bpffs_each(fs, fl_bpffs_subdirs[i], finish_one,
			      &(struct finish){.fs = fs, .sub = fl_bpffs_subdirs[i]});
}
