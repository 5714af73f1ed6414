// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rows 1 and 2. A test run with a repeat count passes one buffer again and again, so a wrapper
 * writes the next flow's packet into it and tail-calls the program under test; the same wrapper
 * around a program that does nothing is subtracted, round by round. Flows are visited in a
 * scattered order and their tables are hashed, so that with many flows the caches really miss.
 * Rounds go over all contenders in turn; time is CPU time of the thread.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/contenders.h"
#include "lb/base/cleanup.h"

#define TCP_ACK 0x10
#define TCP_SYN 0x02

struct plan {
	struct bench_arena *arena;
	const bool *takes_part; /* contenders */
	enum bench_way way;
	const char *proto;
	uint32_t rounds, repeat, services;
	uint8_t tcp_flags;
};

static const bool row_1[BENCH_CONTENDERS] = {
	[BENCH_EMPTY] = true,	 [BENCH_TX] = true,	      [BENCH_BARE] = true,
	[BENCH_TEXTBOOK] = true, [BENCH_TEXTBOOK_FIB] = true, [BENCH_FAIRLEAD] = true,
	[BENCH_EMPTY_TC] = true, [BENCH_TC_INGRESS] = true,
};
/* row 1, the answers of endpoints on this node */
static const bool row_1_replies[BENCH_CONTENDERS] = {
	[BENCH_EMPTY] = true,
	[BENCH_BARE] = true,
	[BENCH_EMPTY_TC] = true,
	[BENCH_TC_EGRESS] = true,
};
static const bool row_2[BENCH_CONTENDERS] = {
	[BENCH_EMPTY] = true,	 [BENCH_TX] = true,	      [BENCH_BARE_INSERT] = true,
	[BENCH_TEXTBOOK] = true, [BENCH_TEXTBOOK_FIB] = true, [BENCH_FAIRLEAD] = true,
};

static bool takes_part(const struct plan *plan, enum bench_contender c)
{
	return plan->takes_part[c] && bench_arena_has(plan->arena, c);
}

/* Row 1 */

static int measure_established(struct plan *plan, uint64_t flows, uint32_t round,
			       struct fl_err *err)
{
	struct bench_fairlead *fairlead = bench_arena_fairlead(plan->arena);
	uint64_t created = bench_fairlead_counter(fairlead, FL_COUNTER_FLOW_NEW);
	double floor[BENCH_CONTENDERS] = {0};

	for (int c = 0; c < BENCH_CONTENDERS; c++) {
		struct bench_run run = {.flows = flows,
					.repeat = flows < 65536 ? flows : 65536,
					.way = plan->way,
					.tcp_flags = TCP_ACK};
		int rc;

		if (!takes_part(plan, c))
			continue;
		rc = bench_arena_run(plan->arena, c, &run, err); /* warm what can be warm */
		run.repeat = plan->repeat;
		if (!rc)
			rc = bench_arena_run(plan->arena, c, &run, err);
		if (rc)
			return rc;
		floor[c] = run.ns;
		printf("{\"row\":1,\"contender\":\"%s\",\"proto\":\"%s\",\"flows\":%llu,\"round\":%"
		       "u,\"ns\":%.2f,"
		       "\"gross_ns\":%.2f}\n",
		       bench_contender_name(c), plan->proto, (unsigned long long)flows, round,
		       run.ns - floor[bench_contender_empty(c)], run.ns);
	}
	created = bench_fairlead_counter(fairlead, FL_COUNTER_FLOW_NEW) - created;
	if (created)
		return fl_err_set(err, -EPROTO, "%llu flows were not established any more",
				  (unsigned long long)created);
	return 0;
}

static int established(struct plan *plan, const char *list, struct fl_err *err)
{
	uint64_t sizes[8];
	size_t n = 0;
	int rc = bench_sizes(list, 8, sizes, &n, err);

	for (int c = 0; c < BENCH_CONTENDERS && !rc; c++) {
		uint64_t refused;

		/* tc's programs share the flows of fl_xdp */
		if (!takes_part(plan, c) && c != BENCH_FAIRLEAD)
			continue;
		rc = bench_arena_prepare(plan->arena, c, sizes[n - 1], false, &refused, err);
		if (!rc && refused)
			printf("{\"refused\":%llu,\"of\":%llu,\"contender\":\"%s\"}\n",
			       (unsigned long long)refused, (unsigned long long)sizes[n - 1],
			       bench_contender_name(c));
	}
	for (uint32_t round = 0; round < plan->rounds && !rc; round++)
		for (size_t i = 0; i < n && !rc; i++)
			rc = measure_established(plan, sizes[i], round, err);
	return rc;
}

/* Row 2 */

struct worker {
	struct plan *plan;
	enum bench_contender contender;
	int cpu;
	struct bench_run run;
	pthread_barrier_t *start;
	struct fl_err err;
	int rc;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	w->rc = bench_pin_to_cpu(w->cpu, &w->err);
	pthread_barrier_wait(w->start);
	if (!w->rc)
		w->rc = bench_arena_run(w->plan->arena, w->contender, &w->run, &w->err);
	return NULL;
}

/* Several CPUs at once, each with flows of its own. Mean over the CPUs. */
static int run_parallel(struct plan *plan, enum bench_contender c, int cpus, uint64_t first[],
			double *ret_ns, struct fl_err *err)
{
	struct worker workers[BENCH_CPUS];
	pthread_t threads[BENCH_CPUS];
	pthread_barrier_t start;
	int rc = 0;

	*ret_ns = 0;
	pthread_barrier_init(&start, NULL, cpus);
	for (int i = 0; i < cpus; i++) {
		workers[i] = (struct worker){
			.plan = plan,
			.contender = c,
			.cpu = bench_last_cpu() - i,
			.start = &start,
			.run = {.first = first[i],
				.repeat = plan->repeat,
				.tcp_flags = plan->tcp_flags},
		};
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			abort();
	}
	for (int i = 0; i < cpus; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].rc) {
			rc = workers[i].rc;
			fl_err_set(err, rc, "%s", workers[i].err.text);
		}
		first[i] = workers[i].run.next;
		*ret_ns += workers[i].run.ns / cpus;
	}
	pthread_barrier_destroy(&start);
	return rc;
}

static int new_flows(struct plan *plan, uint32_t entries, int max_cpus, struct fl_err *err)
{
	uint64_t first[BENCH_CONTENDERS][BENCH_CPUS];
	double floor[BENCH_CPUS + 1];
	uint32_t repeat = plan->repeat;
	int rc = 0;

	/* fill the tables: two entries per flow, and more of them than there is room for */
	plan->repeat = entries;
	for (int c = 0; c < BENCH_CONTENDERS && !rc; c++) {
		double ns;

		for (int i = 0; i < BENCH_CPUS; i++)
			first[c][i] = (uint64_t)(i & 15) << 30;
		if (takes_part(plan, c))
			rc = run_parallel(plan, c, 1, first[c], &ns, err);
	}
	plan->repeat = repeat;
	for (uint32_t round = 0; round < plan->rounds && !rc; round++)
		for (int cpus = 1; cpus <= max_cpus && !rc; cpus *= 2)
			for (int c = 0; c < BENCH_CONTENDERS && !rc; c++) {
				double ns;

				if (!takes_part(plan, c))
					continue;
				rc = run_parallel(plan, c, cpus, first[c], &ns, err);
				if (c == BENCH_EMPTY)
					floor[cpus] = ns;
				if (!rc)
					printf("{\"row\":2,\"contender\":\"%s\",\"proto\":\"%s\","
					       "\"services\":%u,"
					       "\"cpus\":%d,\"round\":%u,\"ns\":%.2f,\"gross_ns\":%"
					       ".2f}\n",
					       bench_contender_name(c), plan->proto, plan->services,
					       cpus, round, ns - floor[cpus], ns);
			}
	return rc;
}

int bench_flows(int argc, char **argv, struct fl_err *err)
{
	const char *proto = bench_option_text(argc, argv, "--proto", "tcp4");
	const char *kind = bench_option_text(argc, argv, "--kind", "established");
	struct bench_arena_options options = {
		.only = bench_option_text(argc, argv, "--only", NULL),
		.services = bench_option(argc, argv, "--services", 1),
		.endpoints = bench_option(argc, argv, "--endpoints", 256),
		.entries = bench_option(argc, argv, "--entries", 1 << 21),
		.proto = !strcmp(proto, "udp4") ? IPPROTO_UDP : IPPROTO_TCP,
		.v6 = !strcmp(proto, "tcp6"),
		.kind = strcmp(kind, "replies") ? BENCH_SERVED : BENCH_ON_NODE,
	};
	struct plan plan = {
		.takes_part = row_1,
		.proto = proto,
		.services = options.services,
		.rounds = bench_option(argc, argv, "--rounds", 5),
		.repeat = bench_option(argc, argv, "--repeat", 1000000),
		.tcp_flags = TCP_SYN,
	};
	_cleanup_(bench_arena_close) struct bench_arena *arena = NULL;
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), last = bench_last_cpu(), rc;
	char reasons[1024];

	if (options.kind == BENCH_ON_NODE) {
		options.endpoints = 1; /* whose answers the wrapper writes */
		plan.takes_part = row_1_replies;
		plan.way = BENCH_TO_CLIENT;
	}
	rc = bench_arena_open(&options, &arena, err);
	if (rc)
		return rc;
	plan.arena = arena;
	if (!strcmp(kind, "new")) {
		plan.takes_part = row_2;
		rc = new_flows(&plan, options.entries, cpus > 4 ? 4 : cpus, err);
	} else {
		rc = bench_pin_to_cpu(last, err);
		if (!rc)
			rc = established(&plan, bench_option_text(argc, argv, "--sizes", "1,65536"),
					 err);
	}
	bench_fairlead_reasons(bench_arena_fairlead(arena), reasons, sizeof(reasons));
	printf("{\"counters\":{%s},\"kind\":\"%s\",\"proto\":\"%s\"}\n", reasons, kind, proto);
	return rc;
}
