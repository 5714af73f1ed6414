/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Engine: the maps that sync writes by key, behind a few verbs, so that a test can be the kernel:
 * refuse the n-th element, and look at everything between two writes.
 */
#pragma once

#include <stdint.h>

#include "lb/dp/frontend_table.h"
#include "lb/dp/map_table.h"
#include "lb/sync/sync_map.h"

/* An element as sync knows it; those of the mapped arrays have no key. */
struct fl_sync_map_desc {
	const char *name;
	enum fl_map_id id;
	uint32_t key_size, value_size;
};

extern const struct fl_sync_map_desc fl_sync_map_descs[FL_SYNC_MAPS];

/* For those below FL_SYNC_HASHES. */
struct fl_sync_ops {
	/*
	 * Write *count elements in order. On failure the first *count are written, the next one was
	 * refused. 0 or -errno; a full map is -E2BIG or -ENOSPC.
	 */
	int (*update)(void *ctx, enum fl_sync_map map, const void *keys, const void *values,
		      uint32_t *count);
	/* Remove *count elements in order; one that is not there counts as removed. Errors as
	 * above. */
	int (*remove)(void *ctx, enum fl_sync_map map, const void *keys, uint32_t *count);
	/* Call fn for every element; stops at non-zero, which is returned. -errno. */
	int (*dump)(void *ctx, enum fl_sync_map map,
		    int (*fn)(const void *key, const void *value, void *arg), void *arg);
	/* How many elements the map can have; 0: not known. */
	uint32_t (*capacity)(void *ctx, enum fl_sync_map map);
};

/* What the kernel's side works on. */
struct fl_sync_target {
	const struct fl_maps *maps;
	struct fl_frontend_table frontends;
};

/* Ready to be written to; what a writer that was killed has left behind goes. */
struct fl_sync_target fl_sync_target_of(const struct fl_maps *maps);

/* ctx: struct fl_sync_target * */
extern const struct fl_sync_ops fl_sync_kernel_ops;
