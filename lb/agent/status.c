// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What `fairlead status` asks the agent about itself; everything else it takes from the maps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/agent.h"

static const char *const role_names[] = {
	[FL_ROLE_NONE] = "", [FL_ROLE_EXTERNAL] = "external", [FL_ROLE_POD] = "pod"};

void fl_agent_status_fini(struct fl_agent *agent)
{
	free(agent->api_devices);
	agent->api_devices = NULL;
}

/* Devices whose programs could not be attached are left out: a condition says so. */
static size_t list_devices(struct fl_agent *agent)
{
	size_t n = 0, n_all;
	const struct fl_host_device *all = fl_host_devices(agent->host, &n_all);

	agent->api_devices = calloc(n_all + 1, sizeof(*agent->api_devices));
	for (size_t i = 0; agent->api_devices && i < n_all; i++) {
		const struct fl_host_device *d = &all[i];

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
	ret_status->node = agent->settings->node;
	ret_status->zone = agent->plan_options.zone;
	ret_status->bpffs = agent->settings->bpffs;
	ret_status->cgroup = fl_dp_cgroup(agent->dp);
	ret_status->uptime_s = fl_mono_ms_between(agent->started, fl_mono_now()) / 1000;
	ret_status->synced = agent->settled;
	ret_status->health = agent->health;
	ret_status->drift = agent->drift;
	ret_status->n_devices = list_devices(agent);
	ret_status->devices = agent->api_devices;
}
