/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Batches of writes, each element on behalf of a service port: a port whose element the kernel
 * refuses is undone as a whole, and the others go on.
 */
#pragma once

#include "lb/sync/internal.h"

struct fl_write {
	uint32_t element;     /* of the fronts or of a mirror */
	struct fl_port *port; /* NULL: nobody's transaction */
	bool done;
	/* frontends: the sets the new value names, and what was there before */
	uint32_t set[FL_SIDES], old_set[FL_SIDES];
	struct fl_frontend old;
	bool was_present, was_adopted;
};

/* Elements for one map, those of a port side by side. */
struct fl_writes {
	enum fl_sync_map map;
	uint32_t n, n_done, cap_item, cap_key, cap_value;
	struct fl_write *item;
	char *keys, *values;
};

struct fl_apply {
	struct fl_sync *sync;
	struct fl_err *err;
	int rc; /* the first failure */
	struct fl_writes frontends, members, ranges;
};

void fl_apply_fini(struct fl_apply *apply);
void fl_apply_failure(struct fl_apply *apply, int rc, const struct fl_port *port, const char *what);
/*
 * The old state of the port stays in force: put back what was written, leave the claims. The wanted
 * state is kept for fl_sync_retry().
 */
void fl_apply_undo(struct fl_apply *apply, struct fl_port *port, int rc, const char *what);

/* Value NULL: for removal. `ret_write` may be NULL. 0 or -ENOMEM. */
int fl_writes_add(struct fl_writes *writes, uint32_t element, struct fl_port *port, const void *key,
		  const void *value, struct fl_write **ret_write);
/* Write all, in order. Frontends that belong to no port and are refused become dirty again. */
void fl_writes_run(struct fl_apply *apply, struct fl_writes *writes);
/* The same, but the elements are removed. */
void fl_writes_remove(struct fl_apply *apply, struct fl_writes *writes);
/* Empty the batch; what it wrote can no longer be undone. */
void fl_writes_reset(struct fl_sync *sync, struct fl_writes *writes);
void fl_writes_fini(struct fl_writes *writes);

/* Remove those of a state's elements that only this state wants. */
void fl_apply_withdraw(struct fl_apply *apply, struct fl_mirror *mirror, const uint32_t *elements,
		       uint32_t n);
