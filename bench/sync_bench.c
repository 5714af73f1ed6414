// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rows 8 and 9: services from nothing into real, empty maps, through lb/sync, Maglev tables
 * included; then one endpoint at a time taken and given back. Making the maps and the plans is not
 * counted; a fresh process is a fresh round.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "lb/base/cleanup.h"

/* Resident set without the maps that are mapped: what the agent's own bookkeeping takes. */
static uint64_t anonymous_kib(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	unsigned long long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
			break;
	return kib;
}

int bench_sync(int argc, char **argv, struct fl_err *err)
{
	struct bench_fairlead_options options = {
		.mode = FL_DP_XDP,
		.services = bench_option(argc, argv, "--services", 10000),
		.endpoints = bench_option(argc, argv, "--endpoints", 65000),
		.ports = BENCH_TCP4,
		.flow_buckets = 1024,
	};
	uint64_t changes = bench_option(argc, argv, "--changes", 0),
		 round = bench_option(argc, argv, "--round", 0);
	_cleanup_(bench_fairlead_close) struct bench_fairlead f = {0};
	_cleanup_close_ int netns = -1;
	struct fl_sync_stats stats;
	uint64_t before, kib, writes;
	int rc = bench_world_enter(err);

	if (!rc)
		rc = bench_netns_new(&netns, err);
	if (!rc)
		rc = bench_pin_to_cpu(bench_last_cpu(), err);
	if (!rc)
		rc = bench_fairlead_open(&options, &f, err);
	if (rc)
		return rc;
	kib = anonymous_kib();
	before = bench_now_ns();
	rc = bench_services_apply(f.services, f.sync, err);
	if (rc)
		return rc;
	before = bench_now_ns() - before;
	fl_sync_stats(f.sync, &stats);
	printf("{\"row\":9,\"contender\":\"fairlead\",\"services\":%u,\"endpoints\":%u,\"round\":%"
	       "llu,\"ns\":%llu,"
	       "\"map_writes\":%llu,\"lines\":%zu,\"anon_kib\":%llu}\n",
	       options.services, options.endpoints, (unsigned long long)round,
	       (unsigned long long)before, (unsigned long long)stats.map_writes, stats.lines_used,
	       (unsigned long long)(anonymous_kib() - kib));
	for (uint64_t i = 0; i < changes; i++) {
		/* scattered services, each of them twice in a row: less one, and back */
		uint32_t s = bench_next(i / 2 + round * changes, 1ULL << 32) % options.services;

		writes = stats.map_writes;
		before = bench_now_ns();
		rc = bench_services_toggle(f.services, s, f.sync, err);
		if (rc)
			return rc;
		before = bench_now_ns() - before;
		fl_sync_stats(f.sync, &stats);
		printf("{\"row\":8,\"contender\":\"fairlead\",\"services\":%u,\"endpoints\":%u,"
		       "\"round\":%llu,\"ns\":%llu,"
		       "\"map_writes\":%llu}\n",
		       options.services, options.endpoints, (unsigned long long)round,
		       (unsigned long long)before, (unsigned long long)(stats.map_writes - writes));
		/* as the agent's loop would, later: not part of the change */
		fl_sync_reap(f.sync, bench_now_ns() + 60000000000ULL);
	}
	return 0;
}
