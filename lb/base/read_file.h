/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a whole file that anyone may have put there, or a stream to its end. */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "lb/base/err.h"

/*
 * Read a regular file of at most `max` bytes; other kinds of file are refused without waiting on
 * them. The text is the caller's and has a NUL behind it. *ret_stat (may be NULL) is of the moment
 * before the reading. -errno, -E2BIG, -EINVAL for what is no regular file.
 */
int fl_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len,
		 struct stat *ret_stat, struct fl_err *err);

/* The same from a descriptor of any kind, to the end of what it gives. Waits for it. */
int fl_read_stream(int fd, size_t max, char **ret_text, size_t *ret_len, struct fl_err *err);
