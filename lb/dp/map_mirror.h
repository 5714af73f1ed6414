/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A small BPF hash that the agent fills as a whole again and again, writing only what differs. */
#pragma once

#include <stddef.h>

#include "lb/base/err.h"

struct fl_map_mirror;

/*
 * `fd` is borrowed, -1 for a mirror without a map. What the map holds now is read and kept until
 * the first fl_map_mirror_apply(). `name` is for words.
 */
int fl_map_mirror_new(int fd, const char *name, size_t key_size, size_t value_size,
		      struct fl_map_mirror **ret_mirror, struct fl_err *err);
void fl_map_mirror_free(struct fl_map_mirror **mirror);

/* The value that the map holds for a key, borrowed until the next apply; NULL: none. */
const void *fl_map_mirror_get(const struct fl_map_mirror *mirror, const void *key);

/*
 * Make the map hold exactly these `n` pairs: `pairs` is key, value, key, value, ... without gaps;
 * sorted in place. New and changed ones are written before old ones are removed. *ret_writes (may
 * be NULL): system calls that changed the map. Goes on after a failure, which the next call tries
 * again.
 */
int fl_map_mirror_apply(struct fl_map_mirror *mirror, void *pairs, size_t n, size_t *ret_writes,
			struct fl_err *err);
