/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel is asked about each flow it keeps once in a pass of the sweep. */
#include "lb/agent/kernel_flows.h"

#include <errno.h>

#include "conntrack/import.h"
#include "lb/base/log.h"

struct take {
	const struct fl_flow_table *table;
	uint64_t now;
	size_t entered, left_out;
};

static int enter(const struct fl_flow *flow, void *arg)
{
	struct take *take = arg;
	const int r = fl_flow_import(take->table, flow, take->now);

	take->entered += r > 0;
	take->left_out += r < 0;
	return 0;
}

static int open_once(struct fl_kernel_flows *flows, struct fl_err *err)
{
	return flows->nat ? 0 : fl_kernel_nat_open(&flows->nat, err);
}

void fl_kernel_flows_fini(struct fl_kernel_flows *flows)
{
	fl_kernel_nat_close(&flows->nat);
}

void fl_kernel_flows_take(struct fl_kernel_flows *flows, const struct fl_flow_table *table,
			  uint64_t now)
{
	struct take take = {.table = table, .now = now};
	struct fl_err err = {""};
	int r = open_once(flows, &err);

	if (!r)
		r = fl_kernel_nat_each(flows->nat, enter, &take, &err);
	/* a kernel without netfilter's netlink has no kube-proxy either */
	if (r && r != -EPROTONOSUPPORT)
		fl_log_warn("connections that kube-proxy has translated so far may break: %s",
			    err.text);
	if (take.entered)
		fl_log_info("%zu connections that the kernel's NAT translates are left to it",
			    take.entered);
	if (take.left_out)
		fl_log_warn("%zu connections that the kernel's NAT translates found no room in "
			    "the flow table",
			    take.left_out);
}

enum fl_flow_state fl_kernel_flows_state(const struct fl_flow *flow, void *arg)
{
	struct fl_kernel_flows *flows = arg;

	return open_once(flows, NULL) ? FL_FLOW_STATES : fl_kernel_nat_state(flows->nat, flow);
}
