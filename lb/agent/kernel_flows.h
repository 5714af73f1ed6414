/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moving over from kube-proxy on a live node: the flows that the kernel's NAT has stay with it, and
 * are followed until they end.
 */
#pragma once

#include "conntrack/kernel_nat.h"

struct fl_kernel_flows {
	struct fl_kernel_nat *nat; /* opened when it is needed first */
	bool awaited;		   /* objects are not all known yet: take them once more then */
};

void fl_kernel_flows_fini(struct fl_kernel_flows *flows);
/* Enter what the kernel has now and the table has not. What cannot be had is logged. */
void fl_kernel_flows_take(struct fl_kernel_flows *flows, const struct fl_flow_table *table,
			  uint64_t now);
/* For struct fl_sweep.kernel. */
enum fl_flow_state fl_kernel_flows_state(const struct fl_flow *flow, void *arg);
