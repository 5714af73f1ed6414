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

#define MAX_TESTS 32

static int (*const topics[])(struct world *) = {
	frontend_tests, foreign_tests,	local_tests,	remote_tests, unroutable_tests,
	checksum_tests, state_tests,	change_tests,	pair_tests,   table_tests,
	flood_tests,	snat_tests,	affinity_tests, policy_tests, client_tests,
	reject_tests,	rate_tests,	egress_tests,	live_tests,   offload_tests,
	socket_tests,	datagram_tests, hostile_tests,	race_tests,   coverage_tests,
};

static int reset(void **state)
{
	for (int i = 0; i < PLANES; i++)
		plane_reset(&WORLD(state)->plane[i]);
	return 0;
}

int run_topic(const char *name, const struct CMUnitTest *tests, size_t n, struct world *world)
{
	struct CMUnitTest copy[MAX_TESTS];

	if (n > MAX_TESTS)
		return 1;
	memcpy(copy, tests, n * sizeof(*tests));
	for (size_t i = 0; i < n; i++) {
		copy[i].initial_state = world;
		copy[i].setup_func = reset;
	}
	return _cmocka_run_group_tests(name, copy, n, NULL, NULL);
}

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

int main(int argc, char **argv)
{
	static struct world world;
	struct fl_err err;
	int failed = 0;

	if (geteuid()) {
		fprintf(stderr, "packet: needs root\n");
		return 2;
	}
	if (settle(&world, &err)) {
		fprintf(stderr, "packet: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < N(topics); i++)
		failed += topics[i](&world);
	for (int i = 0; i < PLANES; i++)
		plane_close(&world.plane[i]);
	net_fini(&world.net);
	return failed ? 1 : 0;
}
