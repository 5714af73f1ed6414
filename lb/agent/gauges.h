/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers that say whether the datapath gets by with what it has: how full its tables are, which
 * packets it could not forward, which flows get no reply. Looked at every few seconds; what is
 * wrong is a condition. Pure: the samples come from the caller.
 */
#pragma once

#include "bpf/abi/fairlead.h"
#include "conntrack/table.h"
#include "lb/base/health.h"

#define FL_GAUGES_MS 5000 /* between two samples */
#define FL_GAUGES_KEPT 12 /* samples: a minute */

/* A map that refuses, or forgets, when it is full. */
struct fl_map_use {
	const char *name;    /* "frontends" */
	const char *setting; /* what makes it larger: "maps.frontends" */
	uint64_t used, size;
};

struct fl_gauge_sample {
	struct fl_flow_tally flows[FL_FAMILIES];
	/* sums over CPUs since the map was made */
	uint64_t reasons[FL_REASON_MAX], flows_created, flows_unserved_exit;
	const struct fl_map_use *maps;
	size_t n_maps;
};

struct fl_gauges {
	struct fl_health *health;
	/* the counters of the last samples; the oldest is overwritten next */
	struct fl_gauge_counters {
		uint64_t reasons[FL_REASON_MAX], flows_created, flows_unserved_exit;
	} kept[FL_GAUGES_KEPT];
	size_t n_samples;
};

void fl_gauges_update(struct fl_gauges *gauges, const struct fl_gauge_sample *sample);
/* Whether there was more of it since the sample before the last one. */
bool fl_gauges_rose(const struct fl_gauges *gauges, enum fl_reason reason);
