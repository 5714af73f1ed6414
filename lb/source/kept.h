/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A file of objects that outlives us: a line of JSON for each, a first line that says of whom they
 * are, and a last one with a checksum. It is written beside the one that is there and takes its
 * place when it is whole and on the disk, so that whatever happens one of them is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lb/base/doc.h"
#include "lb/base/err.h"

#define FL_KEPT_VERSION 1
#define FL_KEPT_MAX_BYTES (256u * 1024 * 1024)
#define FL_KEPT_CHUNK (64 * 1024) /* what is written at a time */

/* Whose objects they are: another node's or another server's are not ours. */
struct fl_kept_owner {
	const char *node, *server;
};

struct fl_kept_writer;

/* Begin. Readable for its owner only. -errno with words, as all of these. */
int fl_kept_writer_new(const char *path, const struct fl_kept_owner *owner, int64_t unix_s,
		       struct fl_kept_writer **ret_writer, struct fl_err *err);
/* A line, without its end. *ret_wrote: something went to the disk, which took time. -E2BIG beyond
 * FL_KEPT_MAX_BYTES. */
int fl_kept_writer_add(struct fl_kept_writer *writer, const char *line, size_t len, bool *ret_wrote,
		       struct fl_err *err);
/* Take the place of what is there. Returns the size of the file, or -errno. */
int64_t fl_kept_writer_commit(struct fl_kept_writer *writer, struct fl_err *err);
/* What was not committed is removed. */
void fl_kept_writer_free(struct fl_kept_writer **writer);

/*
 * Call fn for each object of a file that is whole and ours; borrowed for the call; it stops at
 * non-zero, which is returned. -ENOENT: there is none; -EBADMSG with words: damaged, of another
 * version, or not ours, and fn was not called.
 */
int fl_kept_read(const char *path, const struct fl_kept_owner *owner,
		 int (*fn)(const struct fl_value *object, void *arg), void *arg,
		 int64_t *ret_unix_s, struct fl_err *err);
