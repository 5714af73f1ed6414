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

static bool is_counted(const struct fl_flow *flow, const struct fl_maps *maps)
{
	return flow->flags & FL_FLOW_SNAT && flow->backend_id < maps->n_backends &&
	       fl_flow_has_backend(flow, &maps->backends[flow->backend_id]);
}

static int count_flow(const struct fl_flow *flow, void *arg)
{
	struct counts *counts = arg;

	if (is_counted(flow, counts->maps))
		counts->n[flow->backend_id]++;
	return 0;
}

/* Each address that flows to a backend have has all ports: one that may have used them up is
 * counted by address. Some addresses may be of an earlier configuration. */
#define ADDRESSES (2 * FL_DEVICE_POOL)

struct by_address {
	uint32_t id;
	size_t n_addresses;
	struct {
		struct fl_ip ip;
		uint32_t n;
	} address[ADDRESSES];
};

struct fullest {
	const struct fl_maps *maps;
	struct by_address *backends; /* sorted by id */
	size_t n;
};

static int compare_id(const void *key, const void *of)
{
	const uint32_t a = *(const uint32_t *)key, b = ((const struct by_address *)of)->id;

	return a < b ? -1 : a > b;
}

static int count_address(const struct fl_flow *flow, void *arg)
{
	struct fullest *fullest = arg;
	struct by_address *b;
	size_t i = 0;

	if (!is_counted(flow, fullest->maps))
		return 0;
	b = bsearch(&flow->backend_id, fullest->backends, fullest->n, sizeof(*b), compare_id);
	if (!b)
		return 0;
	while (i < b->n_addresses && !fl_ip_equal(&b->address[i].ip, &flow->source))
		i++;
	if (i == ADDRESSES)
		return 0;
	if (i == b->n_addresses)
		b->address[b->n_addresses++].ip = flow->source;
	b->address[i].n++;
	return 0;
}

static bool is_used_up(uint32_t used, uint32_t ports)
{
	return used && (uint64_t)used * 100 >= (uint64_t)ports * USED_UP_PERCENT;
}

static void judge(struct fl_health *health, const struct fl_maps *maps, const struct by_address *b,
		  uint32_t ports)
{
	const struct fl_backend *backend = &maps->backends[b->id];
	char text[FL_IP_PORT_STRLEN], address[FL_IP_STRLEN];
	struct fl_ip ip;
	size_t most = 0;

	for (size_t i = 1; i < b->n_addresses; i++)
		if (b->address[i].n > b->address[most].n)
			most = i;
	if (!is_used_up(b->address[most].n, ports))
		return;
	memcpy(&ip, &backend->addr, sizeof(ip));
	fl_ip_port_format(&ip, ntohs(backend->port), text);
	fl_health_set(health, FL_CONDITION_BACKEND_PORTS, text, FL_HEALTH_ERROR,
		      "%u of the %u source ports towards backend %s are in use with address %s: "
		      "add backends or masqueradeAddresses, or shrink ip_local_port_range or "
		      "nodePortRange",
		      b->address[most].n, ports, text, fl_ip_format(&b->address[most].ip, address));
}

void fl_backend_ports_update(const struct fl_maps *maps, uint64_t now, uint32_t ports,
			     struct fl_health *health)
{
	const struct fl_flow_table table = fl_flow_table_of(maps);
	_cleanup_free_ uint32_t *n = calloc(maps->n_backends + 1, sizeof(*n));
	_cleanup_free_ struct by_address *backends = NULL;
	struct counts counts = {.maps = maps, .n = n};
	struct fullest fullest = {.maps = maps};

	if (!n)
		return;
	fl_flow_walk(&table, now, count_flow, &counts);
	for (size_t id = 1; id < maps->n_backends; id++)
		fullest.n += is_used_up(n[id], ports);
	backends = calloc(fullest.n + 1, sizeof(*backends));
	if (!backends)
		return;
	fullest.backends = backends;
	fullest.n = 0;
	for (size_t id = 1; id < maps->n_backends; id++)
		if (is_used_up(n[id], ports))
			backends[fullest.n++].id = (uint32_t)id;
	if (fullest.n)
		fl_flow_walk(&table, now, count_address, &fullest);
	fl_health_scan_begin(health, FL_CONDITION_BACKEND_PORTS);
	for (size_t i = 0; i < fullest.n; i++)
		judge(health, maps, &backends[i], ports);
	fl_health_scan_end(health, FL_CONDITION_BACKEND_PORTS);
}
