/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every file of packet tests has: the world they run in, and how a file offers its tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/packet/frame.h"
#include "tests/packet/net.h"
#include "tests/packet/plane.h"
#include "tests/packet/run.h"
#include "tests/packet/service.h"

struct world {
	struct net net;
	struct plane plane[PLANES];
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* A test function gets its world as *state. */
#define WORLD(state) ((struct world *)*(state))
#define USUAL(state) (&WORLD(state)->plane[PLANE_USUAL])
#define SMALL(state) (&WORLD(state)->plane[PLANE_SMALL])
#define LIMITED(state) (&WORLD(state)->plane[PLANE_LIMITED])

/* Run the tests of one file; before each, all planes are reset. Returns the number that failed. */
int run_topic(const char *name, const struct CMUnitTest *tests, size_t n, struct world *world);

/* One per file. */
int frontend_tests(struct world *world);
int foreign_tests(struct world *world);
int local_tests(struct world *world);
int remote_tests(struct world *world);
int unroutable_tests(struct world *world);
int checksum_tests(struct world *world);
int state_tests(struct world *world);
int change_tests(struct world *world);
int pair_tests(struct world *world);
int table_tests(struct world *world);
int flood_tests(struct world *world);
int snat_tests(struct world *world);
int affinity_tests(struct world *world);
int policy_tests(struct world *world);
int client_tests(struct world *world);
int reject_tests(struct world *world);
int rate_tests(struct world *world);
int egress_tests(struct world *world);
int live_tests(struct world *world);
int offload_tests(struct world *world);
int socket_tests(struct world *world);
int datagram_tests(struct world *world);
int hostile_tests(struct world *world);
int race_tests(struct world *world);
int coverage_tests(struct world *world); /* last: whether the others reached every reason */
