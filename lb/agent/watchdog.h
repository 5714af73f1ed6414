/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Once a second, what somebody else took away from a running agent is put back: pins, the API's
 * socket, attached programs. What cannot be put back is a condition, and tried again at each tick.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"
#include "lb/base/health.h"

/* What can be lost, and how it is put back; 0 or -errno. */
struct fl_watchdog_ops {
	/* How many programs are gone from where they were attached, counted once. */
	int (*lost_programs)(void *ctx);
	/* *ret_n: how many pins were missing and are there again, also after a failure. */
	int (*repair_pins)(void *ctx, int *ret_n, struct fl_err *err);
	int (*repair_socket)(void *ctx, struct fl_err *err);
	int (*attach_cgroup)(void *ctx, struct fl_err *err);
};

struct fl_watchdog {
	const struct fl_watchdog_ops *ops;
	void *ctx;
	struct fl_health *health;
	const char *bpffs; /* where the pins are, for words */
};

enum fl_watchdog_found {
	FL_WATCHDOG_PROGRAMS = 1 << 0, /* devices have lost programs, or may have */
	FL_WATCHDOG_HOOKS = 1 << 1,    /* for a while there were sockets that no hook has seen */
};
/* What was found, enum fl_watchdog_found. */
unsigned int fl_watchdog_tick(struct fl_watchdog *watchdog);
