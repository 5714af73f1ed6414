// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What others take away from a running agent is put back: pins, the API socket, attached programs.
 */
#include <stdio.h>

#include <string.h>

#include "lb/agent.h"
#include "lb/base/log.h"
#include "lb/dp/mountinfo.h"
#include "nodeport/bound.h"
#include "nodeport/ports.h"

void fl_agent_bound_ports(struct fl_agent *agent)
{
	struct fl_maps *maps = fl_dp_maps(agent->dp);
	/* below the root, sockets of this namespace may be outside of what the hooks see */
	bool complete = *fl_dp_cgroup(agent->dp) &&
			fl_mount_is_cgroup_root(fl_dp_cgroup(agent->dp)) && !agent->cgroup_failed;
	struct fl_err err = {""};

	if (complete && fl_bound_ports_scan(maps->bound_ports, &err)) {
		fl_log_info("a socket is looked for with every new masqueraded flow: %s", err.text);
		complete = false;
	}
	__atomic_store_n(&maps->meta->bound_ports_complete, complete, __ATOMIC_SEQ_CST);
}

/* Ports that the kernel gives out without a bind() must not be among ours. */
static void check_source_ports(struct fl_agent *agent)
{
	struct fl_meta *meta = fl_dp_maps(agent->dp)->meta;
	struct fl_port_range now[FL_PORT_RANGES];
	struct fl_port_span node_ports;

	if (!meta->bound_ports_complete)
		return;
	fl_port_span_parse(agent->settings->node_port_range, &node_ports);
	if (!fl_source_ports_read(&node_ports, now, NULL) &&
	    !memcmp(now, fl_dp_config(agent->dp)->snat, sizeof(now)))
		return;
	__atomic_store_n(&meta->bound_ports_complete, 0, __ATOMIC_SEQ_CST);
	fl_log_warn("ip_local_port_range or ip_local_reserved_ports was changed: the source ports "
		    "for masquerading follow when the agent is started again");
}

/* What somebody else unpinned is pinned again: without pins all ends with the agent. */
static void check_pins(struct fl_agent *agent)
{
	const bool failed = agent->pins_failed;
	struct fl_err err = {""};
	int n = 0;

	agent->pins_failed = fl_dp_mend_pins(agent->dp, &n, &err) != 0;
	if (n)
		fl_log_warn("%d pins were removed from %s: pinned again", n,
			    agent->settings->bpffs);
	if (agent->pins_failed) {
		snprintf(agent->error, sizeof(agent->error), "%.255s", err.text);
		if (!failed)
			fl_log_error("cannot pin again what was removed: %s", err.text);
	}
	agent->network_changed |= failed && !agent->pins_failed;
}

/* A node whose agent cannot be asked looks like one without. */
static void check_socket(struct fl_agent *agent)
{
	const bool failed = agent->socket_failed;
	struct fl_err err = {""};

	agent->socket_failed = fl_api_mend(agent->api, &err) != 0;
	if (agent->socket_failed && !failed)
		fl_log_error("cannot make the socket again: %s", err.text);
}

/* What somebody else detached is attached again. */
static void attach_lost(struct fl_agent *agent, int lost)
{
	struct fl_err err = {""};

	if (!lost && !agent->cgroup_failed)
		return;
	agent->network_changed = true;
	if (lost)
		fl_log_warn("%d programs were detached: attaching them again", lost);
	agent->cgroup_failed = fl_dp_attach_cgroup(agent->dp, &err);
	fl_agent_bound_ports(agent);
	if (!agent->cgroup_failed)
		return;
	snprintf(agent->error, sizeof(agent->error), "%.255s", err.text);
	if (lost)
		fl_log_error("%s", err.text);
}

void fl_agent_mend(struct fl_agent *agent)
{
	/* first, so that links without a device are not pinned again */
	int lost = fl_dp_forget_lost(agent->dp);

	check_pins(agent);
	check_socket(agent);
	attach_lost(agent, lost);
	check_source_ports(agent);
}
