/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a file is being written: somebody has it open for that, or mapped. */
#pragma once

#include <stdbool.h>

enum fl_writers {
	FL_WRITERS_NONE,
	FL_WRITERS_SOME,
	FL_WRITERS_UNKNOWN, /* the kernel does not tell us, or only of this machine's */
};

/* `local`: it is known not to be on a file system that others change. */
enum fl_writers fl_writers_of(const char *path, bool local);
/* Whether a file there keeps its times while it is written through a mapping: of tmpfs, where pages
 * are never clean. */
bool fl_is_undated(int fd);
/* Whether it is on a file system that others change without this kernel's knowledge. */
bool fl_is_remote(int fd);
