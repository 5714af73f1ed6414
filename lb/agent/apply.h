/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From marked Services to maps: they are planned and synced in batches, each Service as a whole.
 * What failed keeps its old state, is a condition, and is tried again: by fl_applier_retry(), not
 * before.
 */
#pragma once

#include "lb/base/health.h"
#include "lb/model/plan_store.h"
#include "lb/sync/sync.h"

struct fl_applier;

/* All borrowed as long as the applier lives. */
struct fl_applier_options {
	struct fl_store *store;
	const struct fl_plan_options *plan_options; /* read for each batch */
	struct fl_sync *sync;
	struct fl_health *health;
	/* fl_plan_stored(), or a test's */
	int (*plan)(const struct fl_store *store, const char *ns, const char *name,
		    const struct fl_plan_options *options, struct fl_plan *ret_plan);
	/* Told of each plan, before it is synced; NULL: nobody wants to know. */
	void (*planned)(const char *ns, const char *name, const struct fl_plan *plan, void *arg);
	void *planned_arg;
	/* The maps were filled by an earlier agent: nothing is removed before all is read. */
	bool adopted;
	size_t step; /* marked Services that one run takes; 0: all */
};
int fl_applier_new(const struct fl_applier_options *options, struct fl_applier **ret_applier);
void fl_applier_free(struct fl_applier **applier);

/*
 * Plan and write the marked Services. `complete`: every file was readable at least once, so that
 * what no Service asked for may be removed from adopted maps. Returns how many Services were
 * planned.
 */
size_t fl_applier_run(struct fl_applier *applier, bool complete);
/* The last run did not take all that was marked: another one is due as soon as may be. */
bool fl_applier_more(const struct fl_applier *applier);
/*
 * Services whose objects are at fault, so that they cannot be planned, though the maps of an
 * earlier agent may serve them: that stays as it is, while everything else settles. To be called
 * before each run for which fl_applier_keeps() says so: begin, each of them, end.
 */
bool fl_applier_keeps(const struct fl_applier *applier);
void fl_applier_keep_begin(struct fl_applier *applier);
/* `sketch`: what is known of a Service that cannot be read; NULL: it is in the store, and something
 * of its endpoints cannot be read. */
void fl_applier_keep(struct fl_applier *applier, const char *ns, const char *name,
		     const struct fl_service *sketch);
void fl_applier_keep_end(struct fl_applier *applier);

/*
 * Free what no packet can find any more (`now_ns`: monotonic), and let in what did not fit before:
 * to be called some times a second.
 */
void fl_applier_upkeep(struct fl_applier *applier, uint64_t now_ns);
/* Nothing of an earlier agent remains in the maps but what is wanted. */
bool fl_applier_settled(const struct fl_applier *applier);

/*
 * A change was seen that is not in force: it could not be planned, or the kernel would not write
 * it. What does not fit into a map is none, since trying again does not help.
 */
bool fl_applier_pending(const struct fl_applier *applier);
/* Something is to be tried again. */
bool fl_applier_failed(const struct fl_applier *applier);
/* Try it: for a slow timer. Services that could not be planned are tried by the next run. */
void fl_applier_retry(struct fl_applier *applier);

/*
 * Compare the maps with what is wanted, and correct what differs, which somebody else wrote.
 * `fn`: called for each difference. fl_applier_drift(): how many remained; -1 before the first
 * comparison.
 */
void fl_applier_verify(struct fl_applier *applier, void (*fn)(const char *difference, void *arg),
		       void *arg);
long fl_applier_drift(const struct fl_applier *applier);
