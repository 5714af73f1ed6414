/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The directory that holds an agent's pinned state, below a BPF file system:
 *   DIR/maps/NAME           the maps of FL_MAP_LIST
 *   DIR/links/HOOK-IFINDEX  what keeps a program attached to a device or cgroup
 *   DIR/programs/NAME       the clock, which others may run; what the next agent may keep
 * (programs.c) Only the user that owns it may enter it, and only one agent at a time holds its
 * lock.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"

#define FL_BPFFS_SUBDIRS 3
extern const char *const fl_bpffs_subdirs[FL_BPFFS_SUBDIRS]; /* "maps", "links", "programs" */

struct fl_bpffs {
	char *path;
	int dir_fd; /* holds the lock, once taken */
};

#define FL_BPFFS_INIT                                                                              \
	{                                                                                          \
		.path = NULL, .dir_fd = -1                                                         \
	}

enum fl_bpffs_flags {
	FL_BPFFS_CREATE =
		1 << 0,		/* make what is missing, mount a BPF file system if there is none */
	FL_BPFFS_LOCK = 1 << 1, /* -EBUSY, naming the process, if another one holds the lock */
};

/*
 * Open and check the directory: a real directory (no symlink) on a BPF file system, owned by us,
 * closed to others. -ENOENT when it is not there, -EPERM when it is not ours, -EBUSY when locked.
 */
int fl_bpffs_open(const char *dir, unsigned int flags, struct fl_bpffs *ret_fs, struct fl_err *err);
void fl_bpffs_close(struct fl_bpffs *fs);

/* Make again what is gone of the directory and its subdirectories; a new one is locked too. */
int fl_bpffs_restore(struct fl_bpffs *fs, struct fl_err *err);

/* The process that holds the lock, by /proc/locks; 0: none, or unknown. */
int fl_bpffs_lock_holder(const struct fl_bpffs *fs);

/* "DIR/sub/name" in allocated memory; NULL without memory. */
char *fl_bpffs_path(const struct fl_bpffs *fs, const char *sub, const char *name);

/* Pin a BPF object, replacing what has that name in one step. */
int fl_bpffs_pin(const struct fl_bpffs *fs, const char *sub, const char *name, int fd,
		 struct fl_err *err);
/* A new descriptor of a pinned object, or -errno. */
int fl_bpffs_get(const struct fl_bpffs *fs, const char *sub, const char *name, bool read_only);
int fl_bpffs_unpin(const struct fl_bpffs *fs, const char *sub, const char *name);
/*
 * Give their names to links and programs that an agent had pinned but not renamed yet when it was
 * killed. Such a link keeps its place on the device, so that nothing else can be attached there.
 * fl_bpffs_open() does it if it may create and has the lock.
 */
void fl_bpffs_finish_names(const struct fl_bpffs *fs);

/* Call fn for each name in DIR/sub. A missing directory has none. Stops at non-zero, which is
 * returned. */
int fl_bpffs_each(const struct fl_bpffs *fs, const char *sub,
		  int (*fn)(const char *name, void *arg), void *arg);

/* Remove the (by now empty) directories, and the mount if fl_bpffs_open() made it. */
int fl_bpffs_remove(struct fl_bpffs *fs, struct fl_err *err);
