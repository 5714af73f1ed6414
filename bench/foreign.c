// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Row 1f: packets that are none of a load balancer's business, as most of a node are, through XDP
 * and both directions of tc. Beside them the packet of one established flow through XDP, which is
 * what they are measured against. Measured as rows 1 and 2 are (flows.c); IPv4 and IPv6.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/contenders.h"
#include "lb/base/cleanup.h"

#define TCP_ACK 0x10
#define TCP_SYN 0x02
#define HTTPS 443
#define VXLAN 4789
#define NTP 123

/* `to_node`: to an address of the node, and where packets leave, from one */
static const struct packet {
	const char *name;
	uint8_t proto, tcp_flags;
	bool to_node;
	uint16_t port;
} packets[] = {
	{"TCP ACK to a stranger", IPPROTO_TCP, TCP_ACK, false, HTTPS},
	{"TCP SYN to a stranger", IPPROTO_TCP, TCP_SYN, false, HTTPS},
	{"UDP to a stranger", IPPROTO_UDP, 0, false, HTTPS},
	{"UDP to the node", IPPROTO_UDP, 0, true, NTP},
	{"VXLAN to the node", IPPROTO_UDP, 0, true, VXLAN},
};

/* The empty programs first. */
static const enum bench_contender contenders[] = {
	BENCH_EMPTY,	BENCH_EMPTY_TC,	  BENCH_BITS,	   BENCH_BITS_TC,
	BENCH_FAIRLEAD, BENCH_TC_INGRESS, BENCH_TC_EGRESS,
};

struct plan {
	struct bench_arena *arena;
	const char *proto;
	uint32_t rounds, repeat;
};

static int measure(const struct plan *plan, enum bench_contender c, struct bench_run *run,
		   struct fl_err *err)
{
	int rc;

	run->repeat = run->flows < 65536 ? run->flows : 65536;
	rc = bench_arena_run(plan->arena, c, run, err); /* warm what can be warm */
	run->repeat = plan->repeat;
	return rc ? rc : bench_arena_run(plan->arena, c, run, err);
}

static void print(const struct plan *plan, const char *packet, uint64_t flows, uint32_t round,
		  const char *contender, double ns, double gross)
{
	printf("{\"row\":\"1f\",\"contender\":\"%s\",\"proto\":\"%s\",\"packet\":\"%s\","
	       "\"flows\":%llu,\"round\":%u,\"ns\":%.2f,\"gross_ns\":%.2f}\n",
	       contender, plan->proto, packet, (unsigned long long)flows, round, ns, gross);
}

static int measure_packet(const struct plan *plan, const struct packet *packet, uint64_t flows,
			  uint32_t round, struct fl_err *err)
{
	struct bench_run one = {.flows = 1, .tcp_flags = TCP_ACK};
	double floor[BENCH_CONTENDERS] = {0}, empty;
	int rc;

	for (size_t i = 0; i < sizeof(contenders) / sizeof(*contenders); i++) {
		const enum bench_contender c = contenders[i];
		const bool leaves = c == BENCH_TC_EGRESS;
		struct bench_run run = {
			.flows = flows,
			.way = !packet->to_node ? BENCH_TO_STRANGER
			       : leaves		? BENCH_FROM_NODE
						: BENCH_TO_NODE,
			.port = packet->port,
			.proto = packet->proto,
			.tcp_flags = packet->tcp_flags,
		};

		if (!bench_arena_has(plan->arena, c))
			continue;
		rc = measure(plan, c, &run, err);
		if (rc)
			return rc;
		floor[c] = run.ns;
		print(plan, packet->name, flows, round, bench_contender_name(c),
		      run.ns - floor[bench_contender_empty(c)], run.ns);
	}
	rc = measure(plan, BENCH_EMPTY, &one, err);
	empty = one.ns;
	if (!rc)
		rc = measure(plan, BENCH_FAIRLEAD, &one, err);
	if (!rc)
		print(plan, packet->name, flows, round, "row 1, one flow", one.ns - empty, one.ns);
	return rc;
}

int bench_foreign(int argc, char **argv, struct fl_err *err)
{
	const char *list = bench_option_text(argc, argv, "--sizes", "1,65536");
	const char *proto = bench_option_text(argc, argv, "--proto", "ip4");
	struct bench_arena_options options = {
		.services = 1,
		.endpoints = bench_option(argc, argv, "--endpoints", 256),
		.entries = bench_option(argc, argv, "--entries", 1 << 20),
		.proto = IPPROTO_TCP,
		.v6 = !strcmp(proto, "ip6"),
	};
	struct plan plan = {
		.proto = proto,
		.rounds = bench_option(argc, argv, "--rounds", 5),
		.repeat = bench_option(argc, argv, "--repeat", 1000000),
	};
	_cleanup_(bench_arena_close) struct bench_arena *arena = NULL;
	uint64_t refused, created;
	int rc = bench_pin_to_cpu(bench_last_cpu(), err);

	if (!rc)
		rc = bench_arena_open(&options, &arena, err);
	/* flows that are ours: the node's address and ports are known for the replies' sake */
	if (!rc)
		rc = bench_arena_prepare(arena, BENCH_FAIRLEAD, 1, false, &refused, err);
	if (rc)
		return rc;
	plan.arena = arena;
	created = bench_fairlead_counter(bench_arena_fairlead(arena), FL_COUNTER_FLOW_NEW);
	for (uint32_t round = 0; round < plan.rounds && !rc; round++)
		for (size_t i = 0; i < sizeof(packets) / sizeof(*packets) && !rc; i++)
			for (const char *p = list; *p && !rc;) {
				rc = measure_packet(&plan, &packets[i], strtoull(p, NULL, 10),
						    round, err);
				p += strcspn(p, ",");
				p += *p == ',';
			}
	if (!rc &&
	    bench_fairlead_counter(bench_arena_fairlead(arena), FL_COUNTER_FLOW_NEW) != created)
		rc = fl_err_set(err, -EPROTO, "flows were made of packets that are not ours");
	return rc;
}
