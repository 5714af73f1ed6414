/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether there is a file, asked by a system call that a serving agent makes anyway: access(2) is
 * another one on each architecture, and would have to be let through for this alone. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

/* `dir_fd` may be AT_FDCWD. After false errno says why: ENOENT is that there is none. */
static inline bool fl_exists(int dir_fd, const char *path)
{
	struct stat st;

	return !fstatat(dir_fd, path, &st, 0);
}
