// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packet tests: the loaded programs, run by the kernel on packets of ours over maps of ours
 * (BPF_PROG_TEST_RUN), in a network namespace that is gone when the process ends.
 */
#include "tests/packet/packet.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lb/dp/dp.h"

static const struct topic *const topics[] = {
	&fields_topic,
	&frontend_topic,
	&foreign_topic,
	&local_topic,
	&remote_topic,
	&unroutable_topic,
	&checksum_topic,
	&state_topic,
	&change_topic,
	&pair_topic,
	&table_topic,
	&overflow_topic,
	&filter_topic,
	&flood_topic,
	&snat_topic,
	&affinity_topic,
	&policy_topic,
	&client_topic,
	&reject_topic,
	&icmp_topic,
	&echo_topic,
	&rate_topic,
	&egress_topic,
	&live_topic,
	&offload_topic,
	&socket_topic,
	&datagram_topic,
	&association_topic,
	&direct_topic,
	&race_topic,
	&link_topic,
	&size_topic,
	&opening_topic,
	&proof_topic,
	&reset_topic,
	&reset_dsr_topic,
	&own_topic,
	&exhaustion_topic,
	&slow_topic,
	&fragment_errors_topic,
	&fragments_dsr_topic,
	&cold_topic,
	&cold_dsr_topic,
	/* behind those: it ends with a flood, which leaves no place to wait */
	&fragments_topic,
	&fragments_refused_topic,
	&headers_topic,
	&dsr_topic,
	&unpack_topic,
	&former_topic,
	&unpack_left_topic,
	&tcp_header_topic,
	&allocations_topic,
	&mss_topic,
	&tunnel_error_topic,
	&dsr_geneve_topic,
	&unpack_geneve_topic,
	&former_geneve_topic,
	&unpack_left_geneve_topic,
	&mss_geneve_topic,
	&tunnel_error_geneve_topic,
	&fragments_dsr_geneve_topic,
	&cold_geneve_topic,
	&reset_geneve_topic,
	&geneve_topic,
	&torture_topic,
	/* the last: whether the others reached every name */
	&coverage_topic,
};

/* Counters, rate limits and redirects are kept per processor; the network is this process's. */
static int settle(struct world *world, struct fl_err *err)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	cpu_set_t one;
	uint32_t hz = fl_dp_kernel_hz();
	int r;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	r = net_init(&world->net, err);
	for (int i = 0; i < PLANES && !r; i++)
		r = plane_open(i, &world->net, hz, &world->plane[i], err);
	return r;
}

/* packet [--list] [PATTERN...]: the trials with one of the patterns in their names; all without. */
int main(int argc, char **argv)
{
	static struct world world;
	struct selection selection = {.list = argc > 1 && !strcmp(argv[1], "--list")};
	struct fl_err err;
	int failed = 0;

	selection.patterns = argv + 1 + selection.list;
	selection.n_patterns = argc - 1 - selection.list;
	world.everything = !selection.n_patterns;
	if (!selection.list && geteuid()) {
		fprintf(stderr, "packet: needs root\n");
		return 2;
	}
	if (!selection.list && settle(&world, &err)) {
		fprintf(stderr, "packet: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < N(topics); i++)
		failed += topic_run(topics[i], &world, &selection) != 0;
	if (selection.list)
		return 0;
	for (int i = 0; i < PLANES; i++)
		plane_close(&world.plane[i]);
	net_fini(&world.net);
	return failed ? 1 : 0;
}
