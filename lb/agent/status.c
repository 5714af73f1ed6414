/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the API shows of the agent itself. */
#include "lb/agent/status.h"

#include <stdlib.h>

static const char *const role_names[] = {
	[FL_ROLE_NONE] = "",
	[FL_ROLE_EXTERNAL] = "external",
	[FL_ROLE_POD] = "pod",
	[FL_ROLE_REMOTE_PODS] = "remote-pods",
};

void fl_status_lists_fini(struct fl_status_lists *lists)
{
	free(lists->devices);
	free(lists->maps);
	*lists = (struct fl_status_lists){0};
}

static size_t list_devices(const struct fl_status_facts *facts, struct fl_api_device **devices)
{
	struct fl_api_device *list = calloc(facts->n_devices + 1, sizeof(*list));
	size_t n = 0;

	*devices = list;
	for (size_t i = 0; list && i < facts->n_devices; i++) {
		const struct fl_host_device *d = &facts->devices[i];

		if (d->attached)
			list[n++] = (struct fl_api_device){
				.name = d->name,
				.ifindex = d->ifindex,
				.role = role_names[d->role],
				.hook = fl_word_of(fl_dp_mode_words, (int)d->got.mode)};
	}
	return n;
}

static size_t list_maps(const struct fl_status_facts *facts, struct fl_api_map **maps)
{
	struct fl_api_map *list = calloc(facts->n_maps + 1, sizeof(*list));

	*maps = list;
	for (size_t i = 0; list && i < facts->n_maps; i++)
		list[i] = (struct fl_api_map){.name = facts->maps[i].name,
					      .used = facts->maps[i].used,
					      .size = facts->maps[i].size};
	return list ? facts->n_maps : 0;
}

void fl_status_fill(const struct fl_status_facts *facts, struct fl_status_lists *lists,
		    struct fl_api_status *ret_status)
{
	fl_status_lists_fini(lists);
	ret_status->node = facts->node;
	ret_status->zone = facts->zone;
	ret_status->bpffs = facts->bpffs;
	ret_status->cgroup = facts->cgroup;
	ret_status->forwarding_mode = facts->forwarding_mode;
	ret_status->dispatch = facts->dispatch;
	ret_status->uptime_s = fl_mono_ms_between(facts->started, facts->now) / 1000;
	ret_status->synced = facts->settled;
	ret_status->health = facts->health;
	ret_status->drift = facts->drift;
	ret_status->n_devices = list_devices(facts, &lists->devices);
	ret_status->devices = lists->devices;
	ret_status->n_maps = list_maps(facts, &lists->maps);
	ret_status->maps = lists->maps;
	ret_status->source_ports = facts->source_ports;
}
