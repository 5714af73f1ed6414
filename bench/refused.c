// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Row 2r: first packets that are refused, each for another reason, beside those of new flows (row
 * 2: a datapath of its own, its table full of embryonic flows). What is refused must not cost more
 * than what is served, since it is what a flood consists of.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/contenders.h"
#include "lb/base/cleanup.h"

#define TCP_SYN 0x02

/* full: its table is filled with connections; no_port: all source ports towards its only endpoint
 * are taken by some */
static const struct kind {
	const char *name, *text;
	enum bench_service_kind service;
	bool answer_all, one_endpoint;
	bool full, no_port;
} kinds[] = {
	{.name = "answered",
	 .text = "no endpoint, answered",
	 .service = BENCH_NO_ENDPOINT,
	 .answer_all = true},
	{.name = "no-endpoint",
	 .text = "no endpoint, more than are answered",
	 .service = BENCH_NO_ENDPOINT},
	{.name = "policy", .text = "no local endpoint", .service = BENCH_NO_LOCAL},
	{.name = "source-range", .text = "source range", .service = BENCH_RANGES},
	{.name = "table-full", .text = "table full of established flows", .full = true},
	{.name = "no-port", .text = "no source port", .one_endpoint = true, .no_port = true},
};

#define SOURCE_PORTS (28976 + 4536) /* fairlead.c */

struct side {
	struct bench_arena *arena;
	uint64_t next;
};

static int measure(struct side *side, enum bench_contender c, uint32_t repeat, double *ret_ns,
		   struct fl_err *err)
{
	struct bench_run run = {
		.first = side->next, .repeat = repeat, .tcp_flags = TCP_SYN, .refused = true};
	int rc = bench_arena_run(side->arena, c, &run, err);

	side->next = run.next;
	*ret_ns = run.ns;
	return rc;
}

static uint64_t created(const struct side *side)
{
	return bench_fairlead_counter(bench_arena_fairlead(side->arena), FL_COUNTER_FLOW_NEW);
}

static int round_of(struct side *served, struct side *refused, const struct kind *kind,
		    uint32_t round, uint32_t repeat, struct fl_err *err)
{
	double empty, new_ns, ns;
	uint64_t before;
	int rc = measure(served, BENCH_EMPTY, repeat, &empty, err);

	if (!rc)
		rc = measure(served, BENCH_FAIRLEAD, repeat, &new_ns, err);
	if (rc)
		return rc;
	before = created(refused);
	rc = measure(refused, BENCH_FAIRLEAD, repeat, &ns, err);
	if (rc)
		return rc;
	before = created(refused) - before;
	printf("{\"row\":\"2r\",\"contender\":\"row 2\",\"kind\":\"%s\",\"text\":\"%s\","
	       "\"round\":%u,\"ns\":%.2f,\"gross_ns\":%.2f}\n",
	       kind->name, kind->text, round, new_ns - empty, new_ns);
	printf("{\"row\":\"2r\",\"contender\":\"fairlead\",\"kind\":\"%s\",\"text\":\"%s\","
	       "\"round\":%u,\"ns\":%.2f,\"gross_ns\":%.2f,\"served\":%.4f}\n",
	       kind->name, kind->text, round, ns - empty, ns, (double)before / repeat);
	/* the few places that established flows have left */
	if (before > repeat / 10)
		return fl_err_set(err, -EPROTO, "%llu of %u flows were not refused",
				  (unsigned long long)before, repeat);
	return 0;
}

/* Make the flows that have a datapath refuse others. */
static int exhaust(struct side *side, const struct kind *kind, uint32_t entries, struct fl_err *err)
{
	uint64_t n = kind->full ? entries : kind->no_port ? SOURCE_PORTS : 0, refused = 0;
	int rc = 0;

	if (n)
		rc = bench_arena_prepare(side->arena, BENCH_FAIRLEAD, n, true, &refused, err);
	side->next = n;
	return rc;
}

static int run_kind(const struct kind *kind, uint32_t entries, int argc, char **argv,
		    struct fl_err *err)
{
	const uint32_t rounds = bench_option(argc, argv, "--rounds", 5);
	const uint32_t repeat = bench_option(argc, argv, "--repeat", 200000);
	const uint32_t endpoints = bench_option(argc, argv, "--endpoints", 256);
	struct bench_arena_options options = {
		.services = 1,
		.endpoints = endpoints,
		.entries = entries,
		.proto = IPPROTO_TCP,
	};
	_cleanup_(bench_arena_close) struct bench_arena *a = NULL, *b = NULL;
	struct side served, refused;
	double ns;
	int rc = bench_arena_open(&options, &a, err);

	options.kind = kind->service;
	options.answer_all = kind->answer_all;
	options.endpoints = kind->one_endpoint ? 1 : endpoints;
	/* full is full; but it has to be filled with connections, one by one */
	if (kind->full)
		options.entries = bench_option(argc, argv, "--full-entries", 1 << 16);
	if (!rc)
		rc = bench_arena_open(&options, &b, err);
	served = (struct side){.arena = a};
	refused = (struct side){.arena = b};
	if (!rc)
		rc = exhaust(&refused, kind, options.entries, err);
	if (!rc)
		rc = measure(&served, BENCH_FAIRLEAD, entries, &ns, err); /* fill the table */
	if (!rc)
		rc = measure(&refused, BENCH_FAIRLEAD, repeat / 10, &ns, err);
	for (uint32_t round = 0; round < rounds && !rc; round++)
		rc = round_of(&served, &refused, kind, round, repeat, err);
	return rc;
}

int bench_refused(int argc, char **argv, struct fl_err *err)
{
	const char *name = bench_option_text(argc, argv, "--kind", "no-endpoint");
	const uint32_t entries = bench_option(argc, argv, "--entries", 1 << 20);
	int rc = bench_pin_to_cpu(bench_last_cpu(), err);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !rc; i++)
		if (!strcmp(kinds[i].name, name))
			return run_kind(&kinds[i], entries, argc, argv, err);
	return rc ? rc : fl_err_set(err, -EINVAL, "--kind %s: not known", name);
}
