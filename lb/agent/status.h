/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the API shows of the agent itself; everything else it takes from the maps. */
#pragma once

#include "lb/agent/gauges.h"
#include "lb/api/api.h"
#include "lb/host/host.h"

/* All borrowed, as long as the status is used. */
struct fl_status_facts {
	const char *node, *zone, *bpffs, *cgroup, *forwarding_mode, *dispatch;
	struct fl_mono started, now;
	bool settled;
	long drift; /* -1 unknown */
	const struct fl_health *health;
	const struct fl_host_device *devices;
	size_t n_devices;
	const struct fl_map_use *maps;
	size_t n_maps;
	uint32_t source_ports;
};

/* Where the lists of the last status are. Zero-initialise. */
struct fl_status_lists {
	struct fl_api_device *devices;
	struct fl_api_map *maps;
};
void fl_status_lists_fini(struct fl_status_lists *lists);

/*
 * Fill in what the facts say. Devices whose programs could not be attached are left out, since a
 * condition names them. The lists are made again by each call.
 */
void fl_status_fill(const struct fl_status_facts *facts, struct fl_status_lists *lists,
		    struct fl_api_status *ret_status);
