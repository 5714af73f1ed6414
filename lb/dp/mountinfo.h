/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where file systems are mounted, by /proc/self/mountinfo. */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"

struct fl_mount {
	char *root; /* part of the file system that is mounted */
	char *point;
	char *type;
	char *source;
};

/* Parse one line of mountinfo; octal escapes are undone. 0, -EINVAL or -ENOMEM. */
int fl_mount_parse(const char *line, struct fl_mount *ret_mount);
void fl_mount_fini(struct fl_mount *mount);

/* Call fn for each mount of this process, in the order they were made. Stops at non-zero, which is
 * returned; -errno. */
int fl_mount_each(int (*fn)(const struct fl_mount *mount, void *arg), void *arg);

/*
 * Where cgroup v2 is mounted, in allocated memory: on hybrid machines that is not /sys/fs/cgroup.
 * The first mount of the whole hierarchy that we see, else the first of a part. -ENOENT when there
 * is none.
 */
int fl_mount_find_cgroup2(char **ret_path, struct fl_err *err);

/* Whether this cgroup v2 directory is the hierarchy's root, above all processes. */
bool fl_mount_is_cgroup_root(const char *path);

/* Whether `path` itself is a mount point whose last mount names that source. */
bool fl_mount_source_is(const char *path, const char *source);
