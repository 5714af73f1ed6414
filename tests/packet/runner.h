/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A test says what must hold; the runner runs it for each of its rows in every family, protocol,
 * hook, network of backends and frontend that it names. Each such combination is a trial: it gets
 * an empty datapath with the service it asks for, and is a line of the TAP output by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/packet/net.h"
#include "tests/packet/plane.h"
#include "tests/packet/service.h"

/* Where a packet meets the datapath. */
enum hook {
	HOOK_XDP,	    /* fl_xdp of ext0; what that leaves to tc counts as passed on */
	HOOK_XDP_TC,	    /* fl_xdp of ext0, and tc for what it leaves to tc */
	HOOK_TC_INGRESS,    /* fl_tc_ingress of ext0 */
	HOOK_POD_INGRESS,   /* fl_pod_ingress of pod0: the client is a pod of this node */
	HOOK_TC_EGRESS,	    /* fl_tc_egress of ext0 */
	HOOK_POD_EGRESS,    /* fl_pod_egress of pod0 */
	HOOK_WIRE,	    /* attached programs, frames on the wire */
	HOOK_SOCKET,	    /* system calls of a process of the node */
	HOOK_SOCKET_MAPPED, /* the same with IPv4 addresses on IPv6 sockets */
	HOOKS,
};

/* Sets, for struct test. */
enum {
	ON_XDP = 1 << HOOK_XDP,
	ON_XDP_TC = 1 << HOOK_XDP_TC,
	ON_TC_INGRESS = 1 << HOOK_TC_INGRESS,
	ON_POD_INGRESS = 1 << HOOK_POD_INGRESS,
	ON_TC_EGRESS = 1 << HOOK_TC_EGRESS,
	ON_POD_EGRESS = 1 << HOOK_POD_EGRESS,
	ON_WIRE = 1 << HOOK_WIRE,
	ON_NETWORK = ON_XDP | ON_XDP_TC | ON_TC_INGRESS,
	ON_INGRESS = ON_NETWORK | ON_POD_INGRESS,
	ON_EGRESS = ON_TC_EGRESS | ON_POD_EGRESS,
	ON_SOCKETS = 1 << HOOK_SOCKET | 1 << HOOK_SOCKET_MAPPED,

	ONLY_IPV4 = 1 << FL_IPV4,
	ONLY_IPV6 = 1 << FL_IPV6,
	ONLY_TCP = 1 << 0,
	ONLY_UDP = 1 << 1,

	EVERY_FRONTEND = (1 << SCENE_FRONTENDS) - 1,
};
#define IN(network) (1U << (network))

struct trial;
struct world;

/* How each row of a table begins. */
struct row {
	const char *what;
	uint32_t families, protos, hooks; /* the sets it is for; 0: those of the test */
};
#define ROW(text, ...)                                                                             \
	{                                                                                          \
		.what = text, ##__VA_ARGS__                                                        \
	}

struct test {
	const char *rule; /* number and half a sentence, or what must hold */
	const char *name;
	void (*check)(struct trial *t);
	void (*undo)(struct trial *t); /* whether it failed or not; may be NULL */
	/* what the runner loops over */
	uint32_t families;  /* 0: IPv4 and IPv6 */
	uint32_t protos;    /* 0: TCP and UDP */
	uint32_t hooks;	    /* 0: XDP */
	uint32_t networks;  /* of the backends; 0: AT_TX */
	uint32_t frontends; /* asked for; 0: the cluster IP */
	const void *rows;
	size_t row_size, n_rows;
	/* what is there when it begins */
	enum plane_kind plane;
	struct scene scene; /* family, protocol and network are filled in */
	bool no_service;
	bool forged; /* it writes flow entries by hand, so lone ones may be left at its end */
};

/* For initialisers of struct test. */
#define CHECK(function) .name = #function, .check = function
#define ROWS(table)                                                                                \
	.rows = table, .row_size = sizeof((table)[0]), .n_rows = sizeof(table) / sizeof((table)[0])

/* The tests of one file. */
struct topic {
	const char *name;
	const struct test *tests;
	size_t n_tests;
	int (*begin)(struct world *world,
		     struct fl_err *err); /* before the first one; may be NULL */
	void (*end)(struct world *world);
	/* not the usual one: all its tests run there, whatever they name */
	enum plane_kind plane;
};
#define TESTS(table) .tests = table, .n_tests = sizeof(table) / sizeof((table)[0])

/* Which trials to run: those whose name has one of the patterns in it; all if there is none. */
struct selection {
	char **patterns;
	int n_patterns;
	bool list; /* print the names instead */
};

/* Returns the number of trials that failed, or -1. */
int topic_run(const struct topic *topic, struct world *world, const struct selection *selection);
