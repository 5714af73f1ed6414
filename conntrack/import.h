/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows that the kernel's NAT has when the datapath comes to the node. They stay with the kernel,
 * whose connection tracking knows both their ends and their numbers: an entry of the flow table
 * (FL_FLOW_KERNEL) says to leave their packets alone, and keeps their source ports from being given
 * away.
 */
#pragma once

#include "conntrack/table.h"

/*
 * Enter a flow of the kernel's, by its tuples, protocol and state. Programs may be at work. 1; 0 if
 * the table has an entry for its client and frontend, or for its replies; -ENOSPC: there is no free
 * entry for it.
 */
int fl_flow_import(const struct fl_flow_table *table, const struct fl_flow *flow, uint64_t now);
