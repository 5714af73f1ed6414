// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What others take away from a running agent is put back: pins, the API socket, attached programs.
 */
#include <stdio.h>

#include "lb/agent/agent.h"
#include "lb/base/log.h"

/* What somebody else unpinned is pinned again: without pins all ends with the agent. */
static void check_pins(struct fl_agent *agent)
{
	const bool failed = agent->pins_failed;
	struct fl_err err = {""};
	int n = 0;

	agent->pins_failed = fl_dp_repair_pins(agent->dp, &n, &err) != 0;
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
	fl_agent_ports_forget(agent);
	agent->cgroup_failed = fl_dp_attach_cgroup(agent->dp, &err);
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
	fl_agent_ports_check(agent);
}
