// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What others take away from a running agent is put back: pins, the API socket, attached programs.
 */
#include "lb/agent/agent.h"
#include "lb/base/log.h"
#include "lb/dp/mountinfo.h"

/* What somebody else unpinned is pinned again: without pins the datapath dies with the agent. */
static void check_pins(struct fl_agent *agent)
{
	struct fl_err err = {""};
	int n = 0, rc = fl_dp_repair_pins(agent->dp, &n, &err);

	if (n)
		fl_log_warn("%d pins were removed from %s: pinned again", n,
			    agent->settings->bpffs);
	if (rc)
		fl_health_set(agent->health, FL_CONDITION_PINS, "", FL_HEALTH_ERROR,
			      "cannot pin again what was removed: %s", err.text);
	else
		fl_health_clear(agent->health, FL_CONDITION_PINS, "");
}

/* A node whose agent cannot be asked looks like one without. */
static void check_socket(struct fl_agent *agent)
{
	struct fl_err err = {""};

	if (fl_http_repair(agent->http, &err))
		fl_health_set(agent->health, FL_CONDITION_SOCKET, "", FL_HEALTH_WARNING,
			      "cannot make the socket again: %s", err.text);
	else
		fl_health_clear(agent->health, FL_CONDITION_SOCKET, "");
}

/* What somebody else detached is attached again. */
static void attach_lost(struct fl_agent *agent, int lost)
{
	struct fl_err err = {""};

	if (!lost && !fl_health_find(agent->health, FL_CONDITION_CGROUP, ""))
		return;
	fl_host_mark(agent->host);
	if (lost)
		fl_log_warn("%d programs were detached: attaching them again", lost);
	fl_host_forget_ports(agent->host);
	if (fl_dp_attach_cgroup(agent->dp, &err))
		fl_health_set(agent->health, FL_CONDITION_CGROUP, "", FL_HEALTH_ERROR, "%s",
			      err.text);
	else
		fl_health_clear(agent->health, FL_CONDITION_CGROUP, "");
}

/* No bind() on the node escapes hooks at the root of the cgroups. */
void fl_agent_check_ports(struct fl_agent *agent)
{
	const char *cgroup = fl_dp_cgroup(agent->dp);

	fl_host_check_ports(agent->host,
			    *cgroup && fl_mount_is_cgroup_root(cgroup) &&
				    !fl_health_find(agent->health, FL_CONDITION_CGROUP, ""));
}

void fl_agent_mend(struct fl_agent *agent)
{
	/* first, so that links without a device are not pinned again */
	int lost = fl_dp_forget_lost(agent->dp);

	check_pins(agent);
	check_socket(agent);
	attach_lost(agent, lost);
	fl_agent_check_ports(agent);
}
