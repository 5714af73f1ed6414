/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walking over a kernel map: the one loop over keys that userspace has, for hashes (batches, one
 * system call for thousands of elements), and for every other kind of map and older kernels key by
 * key.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Key and value are copies, which last for the call. Non-zero ends the walk. */
typedef int fl_map_each_fn(const void *key, const void *value, void *arg);

/*
 * Call fn for every element that is in the map from the beginning of the walk to its end. `fn` may
 * delete elements, the one it is called for among them. An element that others add, delete or
 * replace meanwhile may be seen or not, and where there are no batches it may be seen twice.
 *
 * Not for per-CPU maps (-EOPNOTSUPP). 0, what fn returned, or -errno: -EAGAIN when others delete
 * faster than keys can be read.
 */
int fl_map_each(int fd, fl_map_each_fn *fn, void *arg);

/* The kernel as the walk sees it, so that a test can be one without batches or with full buckets.
 * All return 0 or -errno. */
struct fl_map_calls {
	int (*info)(int fd, uint32_t *ret_type, uint32_t *ret_key_size, uint32_t *ret_value_size,
		    uint32_t *ret_max_entries);
	/* as bpf_map_lookup_batch(): `from` NULL begins, *count in and out, -ENOENT at the end */
	int (*batch)(int fd, const void *from, void *ret_next, void *keys, void *values,
		     uint32_t *count);
	int (*next_key)(int fd, const void *key, void *ret_next); /* -ENOENT: no more */
	int (*lookup)(int fd, const void *key, void *ret_value);  /* -ENOENT: gone */
};
int fl_map_each_by(const struct fl_map_calls *calls, int fd, fl_map_each_fn *fn, void *arg);
