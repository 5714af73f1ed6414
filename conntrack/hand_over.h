/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way back to kube-proxy: flows of the table are given to the kernel's NAT, one by one, while
 * the datapath goes on with the others.
 */
#pragma once

#include "conntrack/table.h"

struct fl_hand_over {
	/* Has the flow translated by others from now on, as it is now. 0 or -errno. */
	int (*give)(const struct fl_flow *flow, void *arg);
	/* Returns when programs that run now have ended on every processor. */
	void (*wait)(void);
	void *arg;
};

struct fl_handed_over {
	size_t flows;  /* are given, and no longer in the table */
	size_t failed; /* could not be given, and are in the table still */
	int error;     /* why the first of them could not: -errno */
};

/*
 * Give all flows that live. There must be no frontends any more, so that none begins, and what is
 * of no flow is left to the kernel. Flows that are over, or of a backend that is gone, and those
 * that the kernel's NAT has already, stay in the table.
 */
void fl_flow_hand_over(const struct fl_flow_table *table, const struct fl_hand_over *over,
		       uint64_t now, struct fl_handed_over *ret_over);
