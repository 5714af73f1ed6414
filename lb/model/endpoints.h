/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The endpoints of one service port: gathered from slices (section 4 of the rules), then sorted
 * into the cluster list and the local list (section 3). Internal to lb/model.
 */
#pragma once

#include "lb/model/plan.h"

/* One ip:port of a service port; of several copies the one that rule 4.8 prefers (not terminating
 * before terminating). Borrows from the slices. */
struct fl_candidate {
	const struct fl_endpoint *endpoint;
	const struct fl_slice *slice;
	uint16_t port;
	uint16_t weight;
	bool on_node; /* rule 4.10: nodeName is exactly this node's name */
	char text[FL_IP_PORT_STRLEN];
};

/* Memory that is used again for each service port of a Service. Zero-initialised; fini'd by its
 * owner. */
struct fl_candidates {
	struct fl_candidate *v; /* sorted by text, no duplicates */
	size_t n, room;
};

/*
 * Replace what `candidates` holds by the endpoints of (family, port name, protocol). 0 or -ENOMEM.
 */
int fl_candidates_gather(struct fl_candidates *candidates, const struct fl_slice *const *slices,
			 size_t n_slices, enum fl_family family, const char *port_name,
			 uint8_t proto, const struct fl_plan_options *options);
void fl_candidates_fini(struct fl_candidates *candidates);

/*
 * Fill endpoints, n_endpoints and has_any of `port` by rules 3.3 (ready, else serving
 * and terminating ones) and 3.4 (topology hints); uses_cluster and
 * uses_local are set already. 0 or -ENOMEM.
 */
int fl_endpoints_choose(const struct fl_candidates *candidates,
			const struct fl_plan_options *options, struct fl_plan_port *port);
