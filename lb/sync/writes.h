/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Engine: batches of writes. Writes on behalf of a change stand or fall together: if the kernel
 * refuses one, those before it are taken back and those after it are left out, while other changes
 * go on.
 */
#pragma once

#include "lb/sync/table.h"

/* Writes that stand or fall together. Zeroed, it has none. */
struct fl_change {
	uint32_t first[FL_SYNC_HASHES]; /* of its writes to a map in the batch */
	uint32_t n_done : 31, undone : 1;
};

struct fl_write {
	uint32_t element;
	struct fl_change *change; /* NULL: stands by itself */
	bool done, was_present;
};

/* Writes to one map, or removals from it; those of a change are next to each other. */
struct fl_writes {
	struct fl_table *table;
	bool removals;
	uint32_t n, n_done, cap_item, cap_key, cap_value, cap_record;
	struct fl_write *item;
	unsigned char *keys, *values; /* as the kernel takes them */
	unsigned char *records;	      /* two per item: the new one, the one before */
};

/* The hash maps of the kernel, and how many elements were written or removed. */
struct fl_kernel {
	const struct fl_sync_ops *ops;
	void *ctx;
	uint64_t writes;
};

struct fl_batch {
	struct fl_kernel *kernel;
	struct fl_writes writes[FL_SYNC_HASHES];
	/*
	 * A write was refused. Those of `change` are taken back already; without a change the
	 * element is dirty again.
	 */
	void (*refused)(struct fl_batch *batch, struct fl_change *change,
			const struct fl_table *table, int rc);
};

/* `tables` has one per enum fl_sync_map. */
void fl_batch_init(struct fl_batch *batch, struct fl_kernel *kernel,
		   struct fl_table *const tables[FL_SYNC_HASHES]);
void fl_batch_fini(struct fl_batch *batch);

/*
 * Add a write of what the table wants for one element, unless the map has it already. 0 or -ENOMEM.
 */
int fl_batch_add(struct fl_batch *batch, enum fl_sync_map map, uint32_t element,
		 struct fl_change *change);
/* Write what was added for this map, in order. */
void fl_batch_write(struct fl_batch *batch, enum fl_sync_map map);
/* Forget what was written: it can no longer be taken back. */
void fl_batch_reset(struct fl_batch *batch);
/* Take back what the batch wrote for this change, and leave out the rest of it. */
void fl_batch_undo(struct fl_batch *batch, struct fl_change *change);

enum fl_batch_part {
	FL_BATCH_PUT = 1 << 0,
	FL_BATCH_REMOVE = 1 << 1,
};
/*
 * Bring the dirty elements of a map in line with what the table wants, by writes, removals, or
 * both; what is not done stays dirty. 0 or -ENOMEM.
 */
int fl_batch_update(struct fl_batch *batch, enum fl_sync_map map, unsigned parts);
