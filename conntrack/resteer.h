/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moving UDP clients off a backend that their Service has lost while another Service keeps it
 * (7.1 to 7.3: UDP flows to endpoints that no longer serve a Service are removed at once). A
 * backend that no Service has any more is no longer live, which the datapath sees by itself; this
 * is the rest.
 */
#pragma once

#include "conntrack/lost.h"
#include "conntrack/table.h"
#include "lb/base/err.h"

struct fl_resteered {
	size_t flows, sockets;
};

/*
 * Make the flows and the unconnected sockets of these service ports choose again, with their next
 * packet. now: jiffies. Flows are done even if the sockets cannot be read, which is the error.
 */
int fl_resteer(const struct fl_maps *maps, uint64_t now, struct fl_lost_backends *backends,
	       struct fl_resteered *ret_resteered, struct fl_err *err);

/* The flow table's part, which needs no kernel: how many flows will choose again. */
size_t fl_flow_resteer(const struct fl_flow_table *table, uint64_t now, const struct fl_lost *lost);
