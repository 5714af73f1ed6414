/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The backends that are drained by command: what is asked for, kept on disk over restarts, and told
 * by conditions where it is not as an operator would think.
 */
#pragma once

#include "lb/api/drain.h"
#include "lb/base/health.h"
#include "lb/model/plan.h"
#include "lb/model/store.h"

struct fl_agent_drains {
	/* borrowed; the first is NULL where nothing can be kept */
	const char *dir, *node;
	struct fl_store *store;
	struct fl_health *health;
	struct fl_clock clock;
	/* owned */
	struct fl_drains set;
	bool unwritten;	   /* what is in force is not what the file has */
	uint64_t reviewed; /* changes of the slices, when it was looked whether all are known */
	bool review;	   /* they are to be looked at in any case */
};

/*
 * Read what was kept. A file that cannot be used is a condition, and is replaced by the next
 * change. `dir` is made when it is first needed. 0 or -ENOMEM.
 */
int fl_agent_drains_open(struct fl_agent_drains *drains, const char *dir, const char *node,
			 struct fl_store *store, struct fl_health *health);
void fl_agent_drains_close(struct fl_agent_drains *drains);

/*
 * As fl_api_source.drain says. Services with endpoints that are drained now, or no longer, are
 * marked in the store. `options`: as Services are planned, with this set.
 */
int fl_agent_drains_change(struct fl_agent_drains *drains,
			   const struct fl_api_drain_request *request,
			   const struct fl_plan_options *options,
			   struct fl_api_drain_result *ret_result, struct fl_err *err);

/* For a slow timer, once everything was read: write again what could not be written, and look
 * whether EndpointSlices have what is drained. */
void fl_agent_drains_review(struct fl_agent_drains *drains);
