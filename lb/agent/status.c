// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What `fairlead status` asks the agent about itself; everything else it takes from the maps. A
 * problem there is no memory for is not told. */
#include <stdio.h>
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/cleanup.h"
#include "lb/model/plan_json.h"

#define REFUSED_SHOWN 1000 /* a full map must not make the answer endless */

static const char *const role_names[] = {
	[FL_ROLE_NONE] = "", [FL_ROLE_EXTERNAL] = "external", [FL_ROLE_POD] = "pod"};

void fl_agent_status_fini(struct fl_agent *agent)
{
	fl_strings_clear(&agent->api_problems);
	free(agent->api_devices);
	agent->api_devices = NULL;
}

static void add_problem(const struct fl_problem *p, void *arg)
{
	if (p->level != FL_PROBLEM_NOTE)
		fl_strings_add(arg, fl_problem_text(p, false));
}

static void add_refused(const struct fl_sync_port *port, void *arg)
{
	struct fl_strings *problems = arg;
	char *text;

	if (problems->n >= REFUSED_SHOWN)
		return;
	if (asprintf(&text, "%s/%s port \"%s\" (%s) did not fit into the maps: its old state stays",
		     port->ns, port->name, port->port_name, fl_plan_family_name(port->family)) > 0)
		fl_strings_add(problems, text);
}

/* Devices whose programs could not be attached are left out: the error says so. */
static size_t list_devices(struct fl_agent *agent)
{
	size_t n = 0;

	agent->api_devices = calloc(agent->n_devices + 1, sizeof(*agent->api_devices));
	for (size_t i = 0; agent->api_devices && i < agent->n_devices; i++) {
		const struct fl_agent_device *d = &agent->devices[i];

		if (d->attached)
			agent->api_devices[n++] =
				(struct fl_api_device){.name = d->name,
						       .ifindex = d->ifindex,
						       .role = role_names[d->role],
						       .hook = fl_dp_mode_name(d->got.mode)};
	}
	return n;
}

void fl_agent_status(struct fl_api_status *ret_status, void *arg)
{
	struct fl_agent *agent = arg;

	fl_agent_status_fini(agent);
	for (size_t i = 0; i < agent->doubts.n; i++)
		fl_strings_add(&agent->api_problems, strdup(agent->doubts.items[i]));
	fl_sync_each_refused(agent->sync, add_refused, &agent->api_problems);
	fl_source_each_problem(agent->source, add_problem, &agent->api_problems);
	ret_status->node = agent->settings->node;
	ret_status->zone = agent->plan_options.zone;
	ret_status->bpffs = agent->settings->bpffs;
	ret_status->cgroup = fl_dp_cgroup(agent->dp);
	ret_status->uptime_s = (fl_agent_now_ns() - agent->started_ns) / 1000000000;
	ret_status->synced = agent->settled;
	ret_status->error = agent->error[0] ? agent->error : NULL;
	ret_status->drift = agent->drift;
	ret_status->n_devices = list_devices(agent);
	ret_status->devices = agent->api_devices;
	ret_status->problems = (const char *const *)agent->api_problems.items;
	ret_status->n_problems = agent->api_problems.n;
}
