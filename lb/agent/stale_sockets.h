/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connected UDP sockets that have to leave their backend: while there are any, a hook looks at what
 * the sockets of the cgroup send.
 */
#pragma once

#include "conntrack/sockets.h"
#include "lb/base/clock.h"
#include "lb/base/health.h"

struct fl_stale_sockets_ops {
	/* Attach the hook, or take it away. 0 or -errno with words. */
	int (*see)(void *ctx, bool on, struct fl_err *err);
	bool (*sees)(void *ctx); /* whether it is attached */
};

struct fl_stale_sockets {
	/* borrowed */
	const struct fl_stale_sockets_ops *ops;
	void *ctx;
	struct fl_health *health;
	struct fl_socket_table table;
	size_t marked;		/* since the beginning, as of the last turn */
	struct fl_mono counted; /* when they were looked for last */
};

/* `marked`: how many sockets were found that have to leave, since the beginning. A hook that cannot
 * be attached is a condition, and the watchdog tries again. */
void fl_stale_sockets_turn(struct fl_stale_sockets *stale, size_t marked, struct fl_mono now);
