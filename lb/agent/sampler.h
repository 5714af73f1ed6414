/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the gauges' samples come from: the datapath's counters, the tallies of the flow table's
 * sweep, and how full the maps are. Those that the datapath writes have to be walked to be counted,
 * so that they are counted less often than the rest.
 */
#pragma once

#include "lb/agent/gauges.h"
#include "lb/dp/maps.h"
#include "lb/sync/sync.h"

enum fl_sampled_map {
	FL_SAMPLED_FRONTENDS,
	FL_SAMPLED_BACKENDS,
	FL_SAMPLED_LINES,
	FL_SAMPLED_RANGES,
	FL_SAMPLED_MEMBERS,
	FL_SAMPLED_AFFINITY,
	FL_SAMPLED_SOCKETS,
	FL_SAMPLED_LOCAL,
	FL_SAMPLED_DEVICES,
	FL_SAMPLED_MAPS,
};

struct fl_sampler {
	/* borrowed */
	const struct fl_maps *maps;
	const struct fl_sync *sync;
	const struct fl_flow_tally *flows; /* by family */
	/* as last counted */
	struct fl_map_use uses[FL_SAMPLED_MAPS];
	struct fl_mono walked;
};

struct fl_sampler fl_sampler_of(const struct fl_maps *maps, const struct fl_sync *sync,
				const struct fl_flow_tally flows[static FL_FAMILIES]);
/*
 * *ret_sample borrows from the sampler. How full a map is stays as it was when that cannot be read;
 * -errno when the datapath's counters cannot.
 */
int fl_sampler_take(struct fl_sampler *sampler, struct fl_mono now,
		    struct fl_gauge_sample *ret_sample);
