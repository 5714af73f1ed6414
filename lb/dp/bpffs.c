// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The directory of the pins. /sys/fs/bpf is often writable for everyone, so a directory found there
 * is used only when the opened descriptor shows that it is ours; and two agents on one directory
 * would undo each other's work, so the descriptor also carries the lock.
 */
#include "lb/dp/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/user.h"
#include "lb/dp/dp.h"
#include "lb/dp/mountinfo.h"

#define STANDARD_MOUNT "/sys/fs/bpf"
#define OUR_MOUNT_SOURCE "fairlead" /* marks a mount that we made and may take away */

const char *const fl_bpffs_subdirs[FL_BPFFS_SUBDIRS] = {"maps", "links", "programs"};

static bool fd_is_bpffs(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && (unsigned long)st.f_type == BPF_FS_MAGIC;
}

static bool path_is_bpffs(const char *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	return fd >= 0 && fd_is_bpffs(fd);
}

static int mount_bpffs(const char *source, const char *target, struct fl_err *err)
{
	if (mount(source, target, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return fl_err_set(err, -errno, "no BPF file system at %s and cannot mount one: %s",
				  target, strerror(errno));
	return 0;
}

/* Make the directory where there is none: below a BPF file system, or as the root of one of its
 * own. */
static int make_dir(const char *dir, struct fl_err *err)
{
	_cleanup_free_ char *copy = strdup(dir);
	const char *parent;
	int r;

	if (!copy)
		return -ENOMEM;
	parent = dirname(copy);
	if (!path_is_bpffs(parent) && !strcmp(parent, STANDARD_MOUNT)) {
		r = mount_bpffs("bpf", parent, err);
		if (r)
			return r;
	}
	if (mkdirat(AT_FDCWD, dir, 0700) && errno != EEXIST)
		return fl_err_set(err, -errno, "cannot make %s: %s", dir, strerror(errno));
	return path_is_bpffs(dir) ? 0 : mount_bpffs(OUR_MOUNT_SOURCE, dir, err);
}

bool fl_dp_dir_is_possible(const char *dir)
{
	_cleanup_free_ char *copy = strdup(dir);

	return copy && path_is_bpffs(dirname(copy));
}

static bool dir_is_empty(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	bool empty = true;

	if (!d)
		return false;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			empty = false;
	closedir(d);
	return empty;
}

static int check_owner(int fd, const char *path, struct fl_err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return fl_err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (st.st_uid != fl_user())
		return fl_err_set(err, -EPERM,
				  "%s belongs to user %u, not to us (user %u): refused", path,
				  st.st_uid, fl_user());
	return 0;
}

/* No other user may write into the directory; a caller that may create closes it to them
 * altogether. */
static int check_mode(int fd, const char *path, bool create, struct fl_err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return fl_err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (create ? (st.st_mode & 0077) && fchmod(fd, 0700) : st.st_mode & 0022)
		return fl_err_set(err, -EPERM, "%s is open to other users (mode %04o)%s", path,
				  st.st_mode & 07777,
				  create ? " and cannot be closed" : ": refused");
	return 0;
}

/* Where the pins of all programs are: not ours to close to others, nor to remove. */
static bool is_standard_mount(int fd)
{
	struct stat st, standard;

	return !fstat(fd, &st) && !stat(STANDARD_MOUNT, &standard) &&
	       st.st_dev == standard.st_dev && st.st_ino == standard.st_ino;
}

/* Open a directory without following a link in its place. */
static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_checked(const char *dir, bool create, int *ret_fd, struct fl_err *err)
{
	_cleanup_close_ int fd = open_dir(dir);
	int r;

	if (fd == -ENOENT && create) {
		r = make_dir(dir, err);
		if (r)
			return r;
		fd = open_dir(dir);
	}
	if (fd == -ELOOP || fd == -ENOTDIR)
		return fl_err_set(err, fd, "%s is not a directory (a link is not followed)", dir);
	if (fd < 0)
		return fl_err_set(err, fd, "cannot open %s: %s", dir, strerror(-fd));
	if (is_standard_mount(fd))
		return fl_err_set(err, -EINVAL,
				  "%s is for all users of BPF: name a directory below it", dir);
	r = check_owner(fd, dir, err);
	if (r)
		return r;
	if (!fd_is_bpffs(fd)) {
		if (!create)
			return fl_err_set(err, -ENOENT,
					  "%s is not on a BPF file system: no datapath there", dir);
		if (!dir_is_empty(dir))
			return fl_err_set(err, -ENOTDIR,
					  "%s is not on a BPF file system and not empty: refused",
					  dir);
		r = mount_bpffs(OUR_MOUNT_SOURCE, dir, err);
		if (r)
			return r;
		close(fd);
		fd = open_dir(dir);
		if (fd < 0)
			return fl_err_set(err, fd, "cannot open %s: %s", dir, strerror(-fd));
		r = check_owner(fd, dir, err);
		if (r)
			return r;
	}
	/* last: nothing is changed about a directory that is not for pins */
	r = check_mode(fd, dir, create, err);
	if (r)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_subdirs(struct fl_bpffs *fs, bool create, struct fl_err *err)
{
	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++) {
		_cleanup_close_ int fd = -1;
		int r;

		if (create && mkdirat(fs->dir_fd, fl_bpffs_subdirs[i], 0700) && errno != EEXIST)
			return fl_err_set(err, -errno, "cannot make %s/%s: %s", fs->path,
					  fl_bpffs_subdirs[i], strerror(errno));
		fd = openat(fs->dir_fd, fl_bpffs_subdirs[i],
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && !create)
			continue;
		if (fd < 0)
			return fl_err_set(err, -errno, "cannot open %s/%s: %s", fs->path,
					  fl_bpffs_subdirs[i], strerror(errno));
		r = check_owner(fd, fs->path, err);
		if (!r)
			r = check_mode(fd, fs->path, create, err);
		if (r)
			return r;
	}
	return 0;
}

int fl_bpffs_lock_holder(const struct fl_bpffs *fs)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/locks", "re");
	char line[256];
	struct stat st;

	if (!f || fstat(fs->dir_fd, &st))
		return 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned int dev_major, dev_minor;
		unsigned long long ino;
		int pid;

		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &dev_major, &dev_minor,
			   &ino) == 4 &&
		    ino == st.st_ino && makedev(dev_major, dev_minor) == st.st_dev)
			return pid;
	}
	return 0;
}

static int take_lock(const struct fl_bpffs *fs, struct fl_err *err)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	struct stat st;
	int pid, r = flock(fs->dir_fd, LOCK_EX | LOCK_NB);

	/* a reader of the status asks by taking the lock for an instant */
	for (int i = 0; i < 3 && r && errno == EWOULDBLOCK; i++) {
		nanosleep(&pause, NULL);
		r = flock(fs->dir_fd, LOCK_EX | LOCK_NB);
	}
	if (!r) {
		/* a cleanup may have removed the directory between open and lock */
		if (fstat(fs->dir_fd, &st) || !st.st_nlink)
			return fl_err_set(err, -EAGAIN, "%s was removed by a cleanup just now",
					  fs->path);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return fl_err_set(err, -errno, "cannot lock %s: %s", fs->path, strerror(errno));
	pid = fl_bpffs_lock_holder(fs);
	if (pid > 0)
		return fl_err_set(err, -EBUSY, "another agent (process %d) is using %s", pid,
				  fs->path);
	return fl_err_set(err, -EBUSY, "another agent is using %s", fs->path);
}

int fl_bpffs_open(const char *dir, unsigned int flags, struct fl_bpffs *ret_fs, struct fl_err *err)
{
	_cleanup_(fl_bpffs_close) struct fl_bpffs fs = FL_BPFFS_INIT;
	int r;

	fs.path = strdup(dir);
	if (!fs.path)
		return fl_err_set(err, -ENOMEM, "out of memory");
	/* a final slash would make open() follow a link in spite of O_NOFOLLOW */
	for (size_t n = strlen(fs.path); n > 1 && fs.path[n - 1] == '/'; n--)
		fs.path[n - 1] = '\0';
	r = open_checked(fs.path, flags & FL_BPFFS_CREATE, &fs.dir_fd, err);
	if (r)
		return r;
	if (flags & FL_BPFFS_LOCK) {
		r = take_lock(&fs, err);
		if (r)
			return r;
	}
	r = open_subdirs(&fs, flags & FL_BPFFS_CREATE, err);
	if (r)
		return r;
	if (flags & FL_BPFFS_CREATE && flags & FL_BPFFS_LOCK)
		fl_bpffs_finish_names(&fs);
	ret_fs->path = TAKE_PTR(fs.path);
	ret_fs->dir_fd = TAKE_FD(fs.dir_fd);
	return 0;
}

int fl_bpffs_restore(struct fl_bpffs *fs, struct fl_err *err)
{
	struct fl_bpffs again = FL_BPFFS_INIT;
	struct stat ours, there;
	int r;

	if (!fstat(fs->dir_fd, &ours) && !lstat(fs->path, &there) && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		return open_subdirs(fs, true, err);
	r = fl_bpffs_open(fs->path, FL_BPFFS_CREATE | FL_BPFFS_LOCK, &again, err);
	if (r)
		return r;
	fl_bpffs_close(fs);
	*fs = again;
	return 0;
}

void fl_bpffs_close(struct fl_bpffs *fs)
{
	if (fs->dir_fd >= 0)
		close(fs->dir_fd);
	free(fs->path);
	*fs = (struct fl_bpffs)FL_BPFFS_INIT;
}

static bool is_mount_root(int dir_fd)
{
	struct stat st, up;

	return !fstat(dir_fd, &st) && !fstatat(dir_fd, "..", &up, 0) && st.st_dev != up.st_dev;
}

int fl_bpffs_remove(struct fl_bpffs *fs, struct fl_err *err)
{
	bool ours = fl_mount_source_is(fs->path, OUR_MOUNT_SOURCE);

	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++)
		if (unlinkat(fs->dir_fd, fl_bpffs_subdirs[i], AT_REMOVEDIR) && errno != ENOENT)
			return fl_err_set(err, -errno, "cannot remove %s/%s: %s", fs->path,
					  fl_bpffs_subdirs[i], strerror(errno));
	if (!ours && is_mount_root(fs->dir_fd))
		return 0; /* a mount that others made stays */
	if (ours && umount2(fs->path, MNT_DETACH))
		return fl_err_set(err, -errno, "cannot unmount %s: %s", fs->path, strerror(errno));
	if (rmdir(fs->path) && errno != ENOENT)
		return fl_err_set(err, -errno, "cannot remove %s: %s", fs->path, strerror(errno));
	return 0;
}
