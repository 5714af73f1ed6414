/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table's upkeep. */
#include "lb/agent/upkeep.h"

#include <string.h>

/* Passes before a rest: the second one meets no flow of which an answer may be under way, and no
 * entry without a twin that is too young to be judged. */
#define QUIET_PASSES 2
/* So many quiet passes, one looks for twins as if flows had been created: an entry that loses its
 * twin without that, as when whoever frees a flow is killed, does not stay for its timeout. */
#define PAIRED_PASSES 8

struct fl_upkeep fl_upkeep_of(const struct fl_maps *maps, const struct fl_config *config)
{
	struct fl_upkeep upkeep = {.flows = fl_flow_table_of(maps), .maps = maps};

	memcpy(upkeep.sweep.timeout, config->timeout, sizeof(upkeep.sweep.timeout));
	return upkeep;
}

void fl_upkeep_wake(struct fl_upkeep *upkeep)
{
	upkeep->quiet = 0;
}

static void begin(struct fl_upkeep *upkeep, uint64_t created)
{
	if (created != upkeep->created)
		upkeep->quiet = 0;
	upkeep->created = created;
	upkeep->sweep.paired = upkeep->quiet >= QUIET_PASSES && upkeep->quiet % PAIRED_PASSES != 0;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		upkeep->sweep.skip[family] =
			upkeep->sweep.paired && !upkeep->sweep.tally[family].used;
}

static void end(struct fl_upkeep *upkeep, uint64_t now, uint32_t hz, uint64_t created)
{
	const struct fl_flow_tally *tally = upkeep->sweep.tally;

	upkeep->slice = 0;
	upkeep->quiet = created == upkeep->created ? upkeep->quiet + 1 : 0;
	upkeep->rest_until = now;
	/* of flows that are the kernel's, a pass is how its changes are followed */
	if (upkeep->quiet < QUIET_PASSES || tally[FL_IPV4].kernel || tally[FL_IPV6].kernel)
		return;
	upkeep->rest_until = now + (uint64_t)FL_UPKEEP_REST_S * hz;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		if (tally[family].over < upkeep->rest_until)
			upkeep->rest_until = tally[family].over;
}

static bool rests(const struct fl_upkeep *upkeep, uint64_t now, uint64_t created)
{
	if (upkeep->slice || upkeep->quiet < QUIET_PASSES || created != upkeep->created)
		return false;
	return now < upkeep->rest_until;
}

/* Bits are being made of the table's entries, in as many calls as a pass takes. */
static bool scans(const struct fl_upkeep *upkeep)
{
	return upkeep->overflow.phase == FL_REBUILD_SCAN || upkeep->filter.phase == FL_REBUILD_SCAN;
}

unsigned int fl_upkeep_slice(struct fl_upkeep *upkeep, uint64_t now, uint32_t hz, uint64_t created)
{
	const struct fl_flow_table *flows = &upkeep->flows;
	size_t n = flows->n_flows4 > flows->n_flows6 ? flows->n_flows4 : flows->n_flows6;

	if (!now)
		return FL_UPKEEP_REST_MS;
	n = (n + FL_UPKEEP_SLICES - 1) / FL_UPKEEP_SLICES;
	fl_overflow_rebuild(flows, &upkeep->overflow, now, hz, n);
	if (upkeep->maps)
		fl_filter_rebuild(upkeep->maps, &upkeep->filter, now, hz, n);
	if (rests(upkeep, now, created))
		return scans(upkeep) ? FL_UPKEEP_MS : FL_UPKEEP_REST_MS;
	if (!upkeep->slice)
		begin(upkeep, created);
	fl_flow_sweep(flows, &upkeep->sweep, now, hz, n);
	if (++upkeep->slice == FL_UPKEEP_SLICES)
		end(upkeep, now, hz, created);
	return FL_UPKEEP_MS;
}
