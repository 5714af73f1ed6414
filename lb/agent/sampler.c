/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking the gauges' samples. */
#include "lb/agent/sampler.h"

#include <string.h>

#include "conntrack/sockets.h"
#include "lb/dp/usage.h"

#define WALK_MS 60000

static const char *const names[FL_SAMPLED_MAPS][2] = {
	[FL_SAMPLED_FRONTENDS] = {"frontends", "maps.frontends"},
	[FL_SAMPLED_BACKENDS] = {"backends", "maps.backends"},
	[FL_SAMPLED_LINES] = {"lines", "maps.lines"},
	[FL_SAMPLED_RANGES] = {"ranges", "maps.sourceRanges"},
	[FL_SAMPLED_MEMBERS] = {"members", "maps.members"},
	[FL_SAMPLED_AFFINITY] = {"affinity", "maps.affinity"},
	[FL_SAMPLED_SOCKETS] = {"sockets", "maps.sockets"},
	[FL_SAMPLED_LOCAL] = {"local", "maps.localAddresses"},
	[FL_SAMPLED_DEVICES] = {"devices", "maps.devices"},
};

struct fl_sampler fl_sampler_of(const struct fl_maps *maps, const struct fl_sync *sync,
				const struct fl_flow_tally flows[static FL_FAMILIES])
{
	struct fl_sampler sampler = {.maps = maps, .sync = sync, .flows = flows};

	for (size_t i = 0; i < FL_SAMPLED_MAPS; i++) {
		sampler.uses[i].name = names[i][0];
		sampler.uses[i].setting = names[i][1];
	}
	return sampler;
}

/* What sync keeps count of. */
static void count_contents(struct fl_sampler *sampler)
{
	static const struct {
		enum fl_sampled_map map;
		enum fl_sync_map contents;
	} rows[] = {
		{FL_SAMPLED_FRONTENDS, FL_SYNC_FRONTENDS}, {FL_SAMPLED_BACKENDS, FL_SYNC_BACKENDS},
		{FL_SAMPLED_LINES, FL_SYNC_LINES},	   {FL_SAMPLED_RANGES, FL_SYNC_RANGES},
		{FL_SAMPLED_MEMBERS, FL_SYNC_MEMBERS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_sync_gauge gauge = fl_sync_gauge(sampler->sync, rows[i].contents);

		sampler->uses[rows[i].map].used = gauge.used;
		sampler->uses[rows[i].map].size = gauge.capacity;
	}
}

static void walk(struct fl_sampler *sampler)
{
	const struct fl_socket_table sockets = fl_socket_table_of(sampler->maps);
	const struct {
		enum fl_sampled_map map;
		int fd;
	} hashes[] = {
		{FL_SAMPLED_AFFINITY, sampler->maps->affinity_fd},
		{FL_SAMPLED_LOCAL, sampler->maps->local_fd},
		{FL_SAMPLED_DEVICES, sampler->maps->devices_fd},
	};

	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		struct fl_map_use *use = &sampler->uses[hashes[i].map];

		fl_map_usage(hashes[i].fd, &use->used, &use->size);
	}
	sampler->uses[FL_SAMPLED_SOCKETS].used = fl_sockets_count(&sockets);
	sampler->uses[FL_SAMPLED_SOCKETS].size = sockets.n * FL_SOCKET_WAYS;
}

int fl_sampler_take(struct fl_sampler *sampler, struct fl_mono now,
		    struct fl_gauge_sample *ret_sample)
{
	uint64_t values[FL_COUNTER_MAX];
	int r;

	count_contents(sampler);
	if (!sampler->walked.ns || fl_mono_ms_between(sampler->walked, now) >= WALK_MS) {
		walk(sampler);
		sampler->walked = now;
	}
	r = fl_stats_read(sampler->maps->stats_fd, values);
	if (r)
		return r;
	*ret_sample = (struct fl_gauge_sample){
		.flows_created = values[FL_COUNTER_FLOW_NEW],
		.flows_unserved_exit = values[FL_COUNTER_FLOW_UNSERVED_EXIT],
		.maps = sampler->uses,
		.n_maps = FL_SAMPLED_MAPS,
	};
	memcpy(ret_sample->flows, sampler->flows, sizeof(ret_sample->flows));
	memcpy(ret_sample->reasons, values, sizeof(ret_sample->reasons));
	return 0;
}
