/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * States that are found in the maps at start, one per service id: what an earlier agent had put in
 * force, whole or half done. They hold what they name like states that were made from plans, so it
 * all stays until a newer state is in force, or everything was planned and no Service wanted it.
 */
#pragma once

#include "lb/sync/state.h"

/* What the maps have under one service id, as elements of their tables. */
struct fl_found {
	const uint32_t *elements[FL_SYNC_HASHES];
	uint32_t n[FL_SYNC_HASHES];
};

/*
 * The state in force that it adds up to. `stamps` has a word per backend id, and `stamp` is in none
 * of them yet. 0 or -ENOMEM.
 */
int fl_state_find(struct fl_contents *contents, const struct fl_found *found, uint32_t *stamps,
		  uint32_t stamp, struct fl_state **ret_state);
/* The service port to which a found state belongs is known now. */
void fl_state_take_over(struct fl_contents *contents, struct fl_state *state,
			struct fl_sync_service_port *port, int64_t created);
