/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table's upkeep in slices: expired flows are freed, overflow bits and the filter's made
 * anew. As long as flows are created one pass over the table follows the other, since they may want
 * the room. When none are, passes rest until the first flow there is can be over, and those that
 * come then leave out what only new flows can bring about.
 */
#pragma once

#include "conntrack/table.h"

struct fl_upkeep {
	struct fl_flow_table flows;
	struct fl_sweep sweep;
	const struct fl_maps *maps; /* NULL: there is no filter */
	struct fl_rebuild overflow, filter;
	size_t slice;	     /* of the pass under way; 0: none is */
	uint64_t created;    /* flows, when the pass began */
	unsigned int quiet;  /* passes in a row during which no flow was created */
	uint64_t rest_until; /* jiffies */
};

#define FL_UPKEEP_MS 25	      /* between two slices */
#define FL_UPKEEP_REST_MS 500 /* between two looks whether a rest is over */
#define FL_UPKEEP_SLICES 256  /* of a pass, which takes some 6 seconds */
#define FL_UPKEEP_REST_S 60   /* at most: a flow that changes its state can be over earlier */

/* `maps` is borrowed; `config` is read now. */
struct fl_upkeep fl_upkeep_of(const struct fl_maps *maps, const struct fl_config *config);
/* Flows came in that are not among those created. */
void fl_upkeep_wake(struct fl_upkeep *upkeep);
/*
 * One slice. now: jiffies; 0, unknown: nothing is judged expired. hz: jiffies per second. created:
 * how many flows were, so far. Returns the milliseconds until the next.
 */
unsigned int fl_upkeep_slice(struct fl_upkeep *upkeep, uint64_t now, uint32_t hz, uint64_t created);
