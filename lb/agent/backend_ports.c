/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Source ports in use, by backend. */
#include "lb/agent/backend_ports.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/table.h"
#include "lb/base/cleanup.h"
#include "lb/base/ip.h"

/* A few candidates are tried for each flow, which fail long before the last port is taken. */
#define USED_UP_PERCENT 90

struct counts {
	const struct fl_maps *maps;
	uint32_t *n; /* by id of the backend */
};

static int count_flow(const struct fl_flow *flow, void *arg)
{
	struct counts *counts = arg;
	const struct fl_maps *maps = counts->maps;

	if (flow->flags & FL_FLOW_SNAT && flow->backend_id < maps->n_backends &&
	    fl_flow_has_backend(flow, &maps->backends[flow->backend_id]))
		counts->n[flow->backend_id]++;
	return 0;
}

static void set(struct fl_health *health, const struct fl_backend *backend, uint32_t used,
		uint32_t ports)
{
	char text[FL_IP_PORT_STRLEN];
	struct fl_ip ip;

	memcpy(&ip, &backend->addr, sizeof(ip));
	fl_ip_port_format(&ip, ntohs(backend->port), text);
	fl_health_set(health, FL_CONDITION_BACKEND_PORTS, text, FL_HEALTH_ERROR,
		      "%u of the %u source ports towards backend %s are in use: add backends, or "
		      "shrink ip_local_port_range or nodePortRange",
		      used, ports, text);
}

void fl_backend_ports_update(const struct fl_maps *maps, uint64_t now, uint32_t ports,
			     struct fl_health *health)
{
	const struct fl_flow_table table = fl_flow_table_of(maps);
	_cleanup_free_ uint32_t *n = calloc(maps->n_backends + 1, sizeof(*n));
	struct counts counts = {.maps = maps, .n = n};

	if (!n)
		return;
	fl_flow_walk(&table, now, count_flow, &counts);
	fl_health_scan_begin(health, FL_CONDITION_BACKEND_PORTS);
	for (size_t id = 1; id < maps->n_backends; id++)
		if ((uint64_t)n[id] * 100 >= (uint64_t)ports * USED_UP_PERCENT && n[id])
			set(health, &maps->backends[id], n[id], ports);
	fl_health_scan_end(health, FL_CONDITION_BACKEND_PORTS);
}
