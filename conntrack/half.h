/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One direction of a flow outside of any table, for the files of this room that bring flows from
 * one to another: read by the description of a layout, placed in our table.
 */
#pragma once

#include "conntrack/table.h"
#include "lb/dp/old_flows.h"

/* An IPv4 address is in the last word of its struct fl_addr, the others zero. */
struct fl_half {
	struct fl_tuple6 key, rewrite;
	enum fl_flow_state state; /* ours */
	uint8_t proto, flags;	  /* enum fl_flow_flags */
	bool has_backend;
	uint32_t backend; /* our number of it; the reader leaves it 0 */
	uint32_t last_seen, seq, ack, packets;
	uint64_t bytes;
	/* where it was read */
	uint32_t generation, twin, twin_generation;
};

/* The two of a flow that name each other, from the slot of the original. False: there is none. */
bool fl_half_read_pair(const struct fl_old_flows *old, enum fl_family family, size_t slot,
		       struct fl_half *ret_original, struct fl_half *ret_reply);

enum fl_migrate_end {
	FL_PLACED_MOVED,
	FL_PLACED_RENEWED,
	FL_PLACED_KEPT,
	FL_PLACED_NO_ROOM,
};
/* Place a flow in our table, or bring the one of that key up to date (struct fl_migrated). */
enum fl_migrate_end fl_half_place_pair(const struct fl_flow_table *table, enum fl_family family,
				       const struct fl_half *original, const struct fl_half *reply);
