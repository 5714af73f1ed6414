// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether fl_bound_ports has every port of ours that a socket of the node may have: the bind hooks
 * are where no bind() escapes them, the ports that the kernel gives out by itself are none of ours,
 * and the sockets that the hooks have not seen were listed. Said anew every second, since nobody
 * watches any more when this process has ended, however that was.
 */
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/log.h"
#include "lb/dp/mountinfo.h"
#include "nodeport/bound.h"
#include "nodeport/ports.h"

/* A bind() by another BPF program runs no hook, and a listing may miss a socket while others close.
 */
#define RESCAN_NS (60 * 1000000000ULL)

static void say(struct fl_agent *agent, uint32_t stamp)
{
	__atomic_store_n(&fl_dp_maps(agent->dp)->meta->bound_ports_stamp, stamp, __ATOMIC_SEQ_CST);
}

void fl_agent_ports_forget(struct fl_agent *agent)
{
	if (agent->dp)
		say(agent, 0);
	agent->ports_scanned = (struct fl_mono){0};
}

/* Ports that the kernel gives out without a bind() must not be among ours. */
static bool kernel_keeps_off(struct fl_agent *agent)
{
	struct fl_port_range now[FL_PORT_RANGES];
	struct fl_port_span node_ports;
	bool known = false;

	fl_port_span_parse(agent->settings->node_port_range, &node_ports);
	if (fl_source_ports_read(&node_ports, now, &known, NULL) || !known)
		return false;
	if (!memcmp(now, fl_dp_config(agent->dp)->snat, sizeof(now))) {
		fl_health_clear(agent->health, FL_CONDITION_SOURCE_PORTS, "range");
		return true;
	}
	fl_health_set(agent->health, FL_CONDITION_SOURCE_PORTS, "range", FL_HEALTH_WARNING,
		      "ip_local_port_range or ip_local_reserved_ports was changed: the source "
		      "ports for masquerading follow when the agent is started again");
	return false;
}

static bool list_sockets(struct fl_agent *agent)
{
	const struct fl_mono now = fl_mono_now();
	struct fl_err err = {""};
	int rc;

	if (agent->ports_scanned.ns && fl_mono_ns_between(agent->ports_scanned, now) < RESCAN_NS)
		return true;
	rc = fl_bound_ports_scan(fl_dp_maps(agent->dp)->bound_ports, &err);
	agent->ports_scanned = now;
	if (rc)
		fl_health_set(agent->health, FL_CONDITION_SOURCE_PORTS, "sockets", FL_HEALTH_NOTE,
			      "a socket is looked for with every new masqueraded flow: %s",
			      err.text);
	else
		fl_health_clear(agent->health, FL_CONDITION_SOURCE_PORTS, "sockets");
	return !rc;
}

void fl_agent_ports_check(struct fl_agent *agent)
{
	const char *cgroup = fl_dp_cgroup(agent->dp);
	uint64_t now;

	if (*cgroup && fl_mount_is_cgroup_root(cgroup) &&
	    !fl_health_find(agent->health, FL_CONDITION_CGROUP, "") && kernel_keeps_off(agent) &&
	    list_sockets(agent)) {
		now = fl_dp_now(agent->dp);
		say(agent, now ? (uint32_t)now | 1 : 0);
	} else {
		fl_agent_ports_forget(agent);
	}
}
