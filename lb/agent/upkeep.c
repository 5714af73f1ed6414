/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table's upkeep. */
#include "lb/agent/upkeep.h"

#include <string.h>

#define SLICES 64 /* of FL_UPKEEP_MS: the whole table in some 6 seconds */

struct fl_upkeep fl_upkeep_of(const struct fl_maps *maps, const struct fl_config *config)
{
	struct fl_upkeep upkeep = {.flows = fl_flow_table_of(maps)};

	memcpy(upkeep.sweep.timeout, config->timeout, sizeof(upkeep.sweep.timeout));
	return upkeep;
}

void fl_upkeep_slice(struct fl_upkeep *upkeep, uint64_t now, uint32_t hz)
{
	const struct fl_flow_table *flows = &upkeep->flows;
	size_t n = flows->n_flows4 > flows->n_flows6 ? flows->n_flows4 : flows->n_flows6;

	if (!now)
		return;
	n = (n + SLICES - 1) / SLICES;
	fl_flow_sweep(flows, &upkeep->sweep, now, hz, n);
	fl_overflow_rebuild(flows, &upkeep->rebuild, now, hz, n);
}
