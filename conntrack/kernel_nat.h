/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows that the kernel's NAT translates, such as kube-proxy's: read from the kernel's own
 * connection tracking and entered into it, over netlink.
 */
#pragma once

#include "conntrack/table.h"
#include "lb/base/err.h"

struct fl_kernel_nat;

/* Needs CAP_NET_ADMIN for whatever is asked. 0 or -errno. */
int fl_kernel_nat_open(struct fl_kernel_nat **ret_nat, struct fl_err *err);
void fl_kernel_nat_close(struct fl_kernel_nat **nat);

/*
 * Call fn for each TCP and UDP flow with a translated destination that is not over, of both
 * families. Of the flow its tuples, protocol and state are filled in. Stops at non-zero, which is
 * returned; else 0 or -errno, with words.
 */
int fl_kernel_nat_each(struct fl_kernel_nat *nat, int (*fn)(const struct fl_flow *flow, void *arg),
		       void *arg, struct fl_err *err);

/*
 * The state of the flow with this protocol, client and frontend: FL_FLOW_FREE if the kernel has
 * none, or it is over, or is not translated (any more); FL_FLOW_STATES if the kernel does not
 * answer.
 */
enum fl_flow_state fl_kernel_nat_state(struct fl_kernel_nat *nat, const struct fl_flow *flow);

/*
 * Make the kernel's NAT translate this flow as it is translated now. What the kernel has with one
 * of its tuples is forgotten: the connection that it has made of packets which were translated
 * before they came to it, say. 0 or -errno; -EOPNOTSUPP: the kernel has no NAT.
 */
int fl_kernel_nat_add(struct fl_kernel_nat *nat, const struct fl_flow *flow);
