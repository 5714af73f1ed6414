/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole of this room. From the bottom up, each file using those above it:
 *
 *   engine     index, ops      hash to element numbers; the kernel's maps behind a few verbs
 *              table           the elements of one map, as it has them and as they are wanted
 *              writes          batches of writes that stand or fall together
 *   contents   backends        backend ids and records
 *              lines, sets     which lines are free; backend sets in them, and their tables
 *              formers         tables that were in force before, of service ports with DSR
 *              counted         members and ranges
 *              frontends       frontends, and which service ports want each
 *   states     state           what one service port wants, made from its plan
 *              state_found     the same, found in the maps at start
 *              services        Services and service ports by name, and their stages
 *              waiting         service ports for which there is no room
 *   changes    apply           the order of writes
 *              change          from a plan to what the next commit writes; what waits tried again
 *              adopt, verify   what is in the maps at start; whether it is as it should be later
 *              report          what all that has changed
 *              sync            the public face
 */
#pragma once

#include "lb/sync/contents.h"
#include "lb/sync/state.h"
#include "lb/sync/waiting.h"
#include "lb/sync/writes.h"

/* What changed since fl_sync_take_changes() was called last. */
struct fl_report {
	struct fl_sync_changes changes;
	uint32_t number;	   /* of the report, from 1 */
	uint64_t frontends_before; /* fl_table.writes */
	uint64_t *marks;	   /* a bit per backend id, all clear between uses */
};

struct fl_sync {
	const struct fl_maps *maps;
	struct fl_sync_target target; /* of the real kernel */
	struct fl_kernel kernel;
	struct fl_contents contents;
	struct fl_services services;
	struct fl_waiting waiting;
	struct fl_sync_service_port **pending; /* for the next commit to look at */
	uint32_t n_pending, cap_pending;
	uint32_t verified; /* the set up to which fl_sync_verify() has built tables again */
	uint64_t revision, writes_at_begin, tries;
	struct fl_report report;
	bool in_batch;
	bool corrupt; /* backends or lines are known to need a repair */
};

/* Elements written or removed so far, in all maps. */
static inline uint64_t fl_sync_writes(const struct fl_sync *sync)
{
	return sync->kernel.writes + sync->contents.backends.writes + sync->contents.sets.writes;
}

/* fl_sync_new() with another kernel; `ops` NULL: the real one. */
int fl_sync_new_with(const struct fl_maps *maps, const struct fl_sync_options *options,
		     const struct fl_sync_ops *ops, void *ctx, struct fl_sync **ret_sync,
		     struct fl_err *err);
int fl_sync_adopt(struct fl_sync *sync, struct fl_err *err);

/* Write all that is pending or dirty. 0, or the first failure. */
int fl_sync_apply(struct fl_sync *sync, struct fl_err *err);
/* The next commit looks at this service port. 0 or -ENOMEM. */
int fl_sync_pend(struct fl_sync *sync, struct fl_sync_service_port *port);
/* Why a service port waits, as things are now. */
struct fl_refusal fl_sync_refusal_of(const struct fl_sync *sync, enum fl_sync_map map, int rc);
/* Make ready what waits for something that came free, at most FL_SYNC_TRIES service ports, for the
 * next commit. Returns whether there are any. */
bool fl_sync_revive_some(struct fl_sync *sync);
/* The same whatever is free. 0, or the first failure. */
int fl_sync_revive_all(struct fl_sync *sync, struct fl_err *err);
int fl_report_init(struct fl_report *report, uint32_t n_backends); /* 0 or -ENOMEM */
void fl_report_fini(struct fl_report *report);
/* `port` has another state than `port->old` now, or leaves. */
void fl_report_add(struct fl_report *report, struct fl_sync_service_port *port);

/* Write backends and lines again where fl_sync_verify() found them changed. */
void fl_sync_repair(struct fl_sync *sync);
