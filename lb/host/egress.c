/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backends on other machines that are reached by a device that is not served: what is balanced to
 * them leaves unmasqueraded, and their replies are not translated. Some backends are looked at each
 * time; when all were, what was found is what stands.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lb/host/internal.h"

#define ASKED_MAX 128	 /* routes per call */
#define LOOKED_MAX 16384 /* elements of the map per call */

static void note(struct fl_host *host, const struct fl_backend *backend,
		 const struct fl_route *route)
{
	const struct fl_netdev *dev = fl_network_device(&host->network, route->ifindex);
	struct fl_egress *egress = &host->egress;
	size_t i;

	if (!dev || dev->loopback || fl_host_serves(host, dev) ||
	    (!route->gateway && fl_device_is_inside(&host->network, dev)))
		return;
	for (i = 0; i < egress->n_found && egress->found[i].ifindex != route->ifindex; i++)
		;
	if (i == FL_EGRESS_DEVICES)
		return;
	if (i == egress->n_found) {
		egress->n_found++;
		egress->found[i].ifindex = route->ifindex;
		egress->found[i].n = 0;
		memcpy(&egress->found[i].example, &backend->addr, sizeof(struct fl_ip));
	}
	egress->found[i].n++;
}

static void finish(struct fl_host *host)
{
	struct fl_health *health = host->options.health;
	struct fl_egress *egress = &host->egress;

	fl_health_scan_begin(health, FL_CONDITION_EGRESS);
	for (size_t i = 0; i < egress->n_found; i++) {
		const struct fl_netdev *dev =
			fl_network_device(&host->network, egress->found[i].ifindex);
		char ip[FL_IP_STRLEN];

		if (!dev || fl_host_serves(host, dev))
			continue;
		fl_health_set(health, FL_CONDITION_EGRESS, dev->name, FL_HEALTH_ERROR,
			      "%zu backends, %s among them, are reached by device %s, which is not "
			      "served: connections that are balanced to them break (name it in "
			      "--devices)",
			      egress->found[i].n, fl_ip_format(&egress->found[i].example, ip),
			      dev->name);
	}
	fl_health_scan_end(health, FL_CONDITION_EGRESS);
	*egress = (struct fl_egress){0};
}

void fl_host_check_egress(struct fl_host *host)
{
	const struct fl_maps *maps = host->options.maps;
	const struct fl_backend *asked[ASKED_MAX];
	struct fl_route routes[ASKED_MAX];
	struct fl_ip ips[ASKED_MAX];
	struct fl_egress *egress = &host->egress;
	size_t n = 0, end = egress->next + LOOKED_MAX;

	if (end > maps->n_backends)
		end = maps->n_backends;
	for (; egress->next < end && n < ASKED_MAX; egress->next++) {
		const struct fl_backend *backend = &maps->backends[egress->next];

		if (!(backend->flags & FL_BACKEND_LIVE) || backend->flags & FL_BACKEND_LOCAL)
			continue;
		memcpy(&ips[n], &backend->addr, sizeof(ips[n]));
		asked[n++] = backend;
	}
	/* what cannot be asked now is not known to be wrong */
	if (n && !host->options.ops->routes(host->options.ctx, ips, n, routes))
		for (size_t i = 0; i < n; i++)
			note(host, asked[i], &routes[i]);
	if (egress->next >= maps->n_backends)
		finish(host);
}
