/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moving UDP clients off a backend that their Service has lost while another Service keeps it
 * (7.1 to 7.3: UDP flows to endpoints that no longer serve a Service are removed at once). A
 * backend that no Service has any more is no longer live, which the datapath sees by itself; this
 * is the rest.
 */
#pragma once

#include "conntrack/table.h"
#include "lb/base/err.h"

/* A service port no longer sends new flows to a backend. */
struct fl_lost_backend {
	uint32_t service_id;
	uint32_t backend;
	uint16_t generation;
};

/* Those of one change. All zero: none. */
struct fl_lost_backends {
	struct fl_lost_backend *items;
	size_t n, cap;
	bool sorted; /* by fl_resteer(), for its look-ups */
};
int fl_lost_backends_add(struct fl_lost_backends *lost,
			 const struct fl_lost_backend *one); /* 0 or -ENOMEM */
void fl_lost_backends_clear(struct fl_lost_backends *lost);

struct fl_resteered {
	size_t flows, sockets;
};

/*
 * Make the flows and the unconnected sockets of these service ports choose again, with their next
 * packet. now: jiffies. Flows are done even if the sockets cannot be read, which is the error.
 */
int fl_resteer(const struct fl_maps *maps, uint64_t now, struct fl_lost_backends *lost,
	       struct fl_resteered *ret_resteered, struct fl_err *err);

/* ---- its parts, which need no kernel */

/* The service port that serves an address and UDP port now; 0 none. */
typedef uint32_t fl_service_at_fn(const struct fl_addr *addr, __be16 port, void *arg);

struct fl_resteer {
	struct fl_lost_backends *lost;
	fl_service_at_fn *service_at; /* asked only about those that have a lost backend */
	void *arg;
};

/* Whether a UDP client of this frontend must leave the backend. */
bool fl_resteer_wants(const struct fl_resteer *resteer, uint32_t backend, uint16_t generation,
		      const struct fl_addr *frontend, __be16 port);

/* The flow table's part: how many flows were told to choose again. */
size_t fl_flow_resteer(const struct fl_flow_table *table, uint64_t now,
		       const struct fl_resteer *resteer);
