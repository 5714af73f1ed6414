// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Situations of which every small schedule is run. A line of TAP for each and for each order of
 * memory.
 *
 *   schedules [--deviations N] [--limit SCHEDULES] [--random SCHEDULES] [--first] [--memory ORDER]
 * [NAME]
 *
 * --first: stop after what is wrong first.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/schedules/situations.h"

/* One of them */

struct running {
	const struct situation *s;
	enum order order;
	unsigned char memory[BUCKETS * 1024];
	size_t size;
	void *at;
};

static void put_back(void *arg)
{
	struct running *r = arg;

	memcpy(r->at, r->memory, r->size);
	ways_forget();
	memory_begin(r->order);
	oracle_begin(r->order == ORDER_STRICT, r->s->halves);
}

static void processor(unsigned int n, void *arg)
{
	const struct running *r = arg;
	const struct act *a = r->s->acts[n];
	bool sent = false;

	for (unsigned int i = 0; i < ACTS && a[i].what; i++)
		sent = act(n, &a[i], r->s->served || (a[i].sent && sent)).translated;
	memory_finish();
}

static bool end(void *arg)
{
	(void)arg;
	memory_settle();
	oracle_rest();
	return oracle_content();
}

static const char *const orders[ORDERS] = {"strict", "as on x86", "as on arm64"};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool run(const struct situation *s, enum order order, unsigned int number,
		struct schedule_limits limits)
{
	static struct running r;
	struct exploration e = {s->name, 0, put_back, processor, end, &r};
	const double begun = now_s();
	uint64_t schedules = 0, scanned = scanned_flows();
	bool right;

	while (e.n_processors < PROCESSORS && s->acts[e.n_processors][0].what)
		e.n_processors++;
	r = (struct running){.s = s, .order = order};
	if (order == ORDER_STRICT && s->deviations > limits.deviations)
		limits.deviations = s->deviations;
	table_shape(s->v6, s->buckets ? s->buckets : 1);
	processor_memory(&r.at, &r.size);
	memory_init(r.at, r.size);
	source_ports_set(PORT, s->ports);
	clock_set(100000);
	table_clear();
	oracle_begin(false, false);
	s->prepare();
	memcpy(r.memory, r.at, r.size);
	right = explore(&e, &limits, &schedules);
	scanned = scanned_flows() - scanned;
	if (s->scanned && !scanned)
		printf("# no flow was made with one look through each bucket\n");
	right &= scanned || !s->scanned;
	printf("%sok %u - %s, memory %s # %s%llu schedules with %u deviations, %llu with %u, "
	       "%llu scanned, %.1f s\n",
	       right ? "" : "not ", number, s->name, orders[order],
	       schedules < limits.schedules ? "all " : "", (unsigned long long)schedules,
	       limits.deviations, (unsigned long long)limits.random, limits.random_deviations,
	       (unsigned long long)scanned, now_s() - begun);
	if (!right) {
		printf("#   %s\n", oracle_wrong());
		schedule_print();
	}
	fflush(stdout);
	return right;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"deviations", required_argument, NULL, 'd'},
					      {"limit", required_argument, NULL, 'l'},
					      {"random", required_argument, NULL, 'r'},
					      {"first", no_argument, NULL, 'f'},
					      {"memory", required_argument, NULL, 'm'},
					      {NULL, 0, NULL, 0}};
	struct schedule_limits limits = {
		.deviations = 1, .schedules = 10000000, .random_deviations = 3, .random = 1000};
	const char *memory = "";
	bool first = false;
	unsigned int number = 0, failed = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			limits.deviations = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'l')
			limits.schedules = strtoull(optarg, NULL, 10);
		else if (c == 'r')
			limits.random = strtoull(optarg, NULL, 10);
		else if (c == 'f')
			first = true;
		else if (c == 'm')
			memory = optarg;
		else
			return 2;
	}
	processor_init();
	for (enum order order = ORDER_STRICT; order < ORDERS; order++)
		for (size_t i = 0; i < n_situations && !(first && failed); i++)
			if ((optind == argc || strstr(situations[i].name, argv[optind])) &&
			    strstr(orders[order], memory))
				failed += !run(&situations[i], order, ++number, limits);
	printf("1..%u\n", number);
	return failed != 0;
}
