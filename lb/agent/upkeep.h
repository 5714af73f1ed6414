/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table's upkeep in slices: expired flows are freed, overflow bits made again. */
#pragma once

#include "conntrack/table.h"

struct fl_upkeep {
	struct fl_flow_table flows;
	struct fl_sweep sweep;
	struct fl_overflow_rebuild rebuild;
};

#define FL_UPKEEP_MS 100 /* between two slices */

/* `maps` and `config` are read now; the mappings are borrowed. */
struct fl_upkeep fl_upkeep_of(const struct fl_maps *maps, const struct fl_config *config);
/* One slice. now: jiffies; 0, unknown: nothing is judged expired. hz: jiffies per second. */
void fl_upkeep_slice(struct fl_upkeep *upkeep, uint64_t now, uint32_t hz);
