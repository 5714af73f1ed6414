// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * This node's addresses for map fl_local. 2.12: every address that is assigned to an interface
 * counts, dummy and loopback devices included; 127.0.0.0/8 and ::1 never do, since no packet from
 * outside may reach them.
 */
#include "lb/host/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fl_addr));
}

int fl_local_pairs(const struct fl_network *network, const struct fl_node_ports *node_ports,
		   struct fl_local_pair **ret_pairs, size_t *ret_n)
{
	struct fl_local_pair *pairs = calloc(network->n_addresses + 1, sizeof(*pairs));
	size_t n = 0, kept = 0;

	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < network->n_addresses; i++) {
		const struct fl_ip *ip = &network->addresses[i].ip;

		if (fl_ip_is_loopback(ip))
			continue;
		memcpy(&pairs[n].addr, ip, sizeof(*ip));
		pairs[n].flags = FL_LOCAL_NODE;
		if (fl_node_ports_accept(node_ports, ip))
			pairs[n].flags |= FL_LOCAL_NODE_PORTS;
		n++;
	}
	qsort(pairs, n, sizeof(*pairs), compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare(&pairs[kept - 1], &pairs[i]))
			pairs[kept++] = pairs[i];
	*ret_pairs = pairs;
	*ret_n = kept;
	return 0;
}

int fl_local_ips(const struct fl_network *network, struct fl_ip **ret_ips, size_t *ret_n)
{
	struct fl_ip *ips = calloc(network->n_addresses + 1, sizeof(*ips));

	if (!ips)
		return -ENOMEM;
	for (size_t i = 0; i < network->n_addresses; i++)
		ips[i] = network->addresses[i].ip;
	*ret_ips = ips;
	*ret_n = network->n_addresses;
	return 0;
}
