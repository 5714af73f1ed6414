/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bringing the flows and the records of sockets of another datapath over, whatever the layout and
 * size of its tables: of flows, each is read by the
 * description of its table and placed in ours by our hash. Backends are known by other numbers
 * here, so a flow's is found by address, port and protocol.
 */
#pragma once

#include "conntrack/backend_ids.h"
#include "conntrack/sockets.h"
#include "conntrack/table.h"
#include "lb/dp/old_flows.h"

struct fl_migrated {
	size_t moved;	/* flows that were not here */
	size_t renewed; /* that were, and had gone on over there */
	size_t kept;	/* ours of that key are newer */
	size_t lost;	/* no room */
	size_t records; /* of affinity, and of the node's own flows */
};

/*
 * Bring over what is there. Programs may use both tables at the same time, and it may be repeated:
 * a flow that is here already gets what it has seen since over there. Proven flows come first, so
 * that a smaller table keeps these. 0 or -ENOMEM.
 */
int fl_flow_migrate(const struct fl_maps *maps, const struct fl_old_flows *old,
		    struct fl_migrated *ret_migrated);

/* The part of it that is about sockets. `seed`: fl_meta.flow_seed[1]. */
void fl_sockets_migrate(const struct fl_socket_table *table, const struct fl_backend *backends,
			const struct fl_backend_ids *ids, uint64_t seed,
			const struct fl_old_flows *old);
