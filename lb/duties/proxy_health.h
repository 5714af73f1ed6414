/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether this node's service proxy is alive and keeps up (rule 6.2): not whether all is well,
 * which conditions say, but whether changes that were seen reach the datapath. Load balancers and
 * liveness probes act on it.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/clock.h"
#include "lb/model/object.h"

struct fl_json;

struct fl_proxy_health {
	struct fl_clock clock;	 /* with unix_ns */
	uint64_t patience_ms;	 /* how long a change may wait */
	struct fl_mono queued;	 /* since when one has been waiting; zero: none is */
	int64_t queued_unix_ns;	 /* when a change was seen last; 0: never */
	int64_t updated_unix_ns; /* when all was applied last; at first the start */
};

/* 6.2.3: a change may wait for two sync periods. */
struct fl_proxy_health fl_proxy_health_of(const struct fl_clock *clock, uint32_t sync_period_s);
/* A change waits to be applied: it was seen just now, or could not be applied. */
void fl_proxy_health_queued(struct fl_proxy_health *health);
/* Everything that was seen is applied (6.2.4). */
void fl_proxy_health_updated(struct fl_proxy_health *health);
bool fl_proxy_health_is_good(const struct fl_proxy_health *health);

/*
 * 6.2.5: not while the node is being deleted, or about to be scaled away. `node`: its object, NULL
 * there is none; `seen`: there was one, so that one that is missing has been deleted. Where nobody
 * ever said that there is such a Node, as on a machine without a cluster, it is eligible.
 */
bool fl_node_is_eligible(const struct fl_node *node, bool seen);

/* 6.2.2: the body of /healthz; `eligible` NULL: that of /livez. */
void fl_proxy_health_json(const struct fl_proxy_health *health, const bool *eligible,
			  struct fl_json *json);

/* RFC 3339 in UTC, with nanoseconds. */
#define FL_TIME_STRLEN 40
const char *fl_time_format(int64_t unix_ns, char buf[static FL_TIME_STRLEN]);
