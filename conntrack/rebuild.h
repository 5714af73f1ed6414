/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Making bits anew that tell a packet where nothing is to be found, while the datapath uses them.
 * Bits of what is gone cost a look each, for ever; they cannot be taken away one by one, since
 * others may have the same. So there are two halves of them. The datapath reads one, and whoever
 * sets a bit sets it in both, before what the bit stands for can be seen. The half that is not
 * being read can be cleared, given the bit of everything there is, and be made the one that is
 * read:
 *
 * - What had its bit wiped out by the clearing was published within the wait that follows, and the
 *   scan finds it. What comes later has its bit in both halves.
 * - A program that still reads the old half after the change finds all it needs there: it is left
 *   alone until the next clearing, a wait later.
 *
 * A bit too many costs a look and is gone in the next round. An agent that is killed at any point
 * leaves a half that is right to read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/ip.h"

struct fl_flow_table;
struct fl_maps;

/* Where it is. Zero: at the beginning. */
struct fl_rebuild {
	enum fl_rebuild_phase {
		FL_REBUILD_BEGIN,
		FL_REBUILD_REST,
		FL_REBUILD_CLEARED,
		FL_REBUILD_WAIT,
		FL_REBUILD_SCAN,
	} phase;
	uint32_t since; /* jiffies when the phase began */
	size_t next;	/* FL_REBUILD_SCAN: bucket of the flow table */
};

/* What is rebuilt. All is borrowed. */
struct fl_rebuilt {
	const struct fl_flow_table *table;
	size_t max_buckets; /* to look at in a call, of each family */
	uint32_t *half;	    /* 0 or 1, the one that is read */
	uint32_t rest_s;    /* between two rounds */
	/* whether a round is worth it; `half` is read */
	bool (*wanted)(const struct fl_rebuilt *what, uint32_t half);
	void (*clear)(const struct fl_rebuilt *what, uint32_t half);
	/* Set the bits of what is not in the flow table. NULL: there is nothing else. -errno: this
	 * round is given up. */
	int (*mark_others)(const struct fl_rebuilt *what, uint32_t half);
	/* Set those of what is in this slot, if anything is. */
	void (*mark)(const struct fl_rebuilt *what, enum fl_family family, size_t slot,
		     uint32_t half);
	const struct fl_maps *maps; /* for the functions, as they need them */
};

/*
 * Do a part. A round takes two waits of at least a second, in which no program may still be at work
 * that ran when they began, and as many calls as the flow table needs; then a rest. now: jiffies;
 * hz: jiffies per second.
 */
void fl_rebuild(const struct fl_rebuilt *what, struct fl_rebuild *rebuild, uint64_t now,
		uint32_t hz);
