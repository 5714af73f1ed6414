/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backends on other machines that are reached by a device that is not served: what is balanced to
 * them leaves unmasqueraded, and their replies are not translated. So such a device is served from
 * then on, and one that cannot be is a condition. Some backends are looked at each time; when all
 * were, what was found is what stands.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lb/host/internal.h"

#define ASKED_MAX 64	 /* routes per step */
#define ASKED_SETTLED 8	 /* the same when nothing is known to have changed */
#define LOOKED_MAX 16384 /* elements of the map per step */
#define FIRST_STEPS 16	 /* before the first programs are attached */

/* Those that take our programs; a bridge does not, and at its ports may be pods of this node. */
static bool may_serve(const struct fl_netdev *dev)
{
	return !dev->headerless && strcmp(dev->kind, "bridge") != 0;
}

/* False: there is no room. */
static bool serve(struct fl_host *host, const struct fl_netdev *dev, const struct fl_ip *example)
{
	struct fl_device_rules *rules = &host->options.rules;
	char ip[FL_IP_STRLEN];

	for (size_t i = 0; i < rules->n_remote; i++)
		if (host->remote[i] == dev->ifindex)
			return true;
	if (rules->n_remote == FL_EGRESS_DEVICES)
		return false;
	host->remote[rules->n_remote++] = dev->ifindex;
	rules->remote = host->remote;
	host->pending = true;
	fl_host_report(host, FL_LOG_INFO, "device %s: the route to backend %s leaves by it",
		       dev->name, fl_ip_format(example, ip));
	return true;
}

void fl_host_forget_remote(struct fl_host *host)
{
	struct fl_device_rules *rules = &host->options.rules;

	for (size_t i = 0; i < rules->n_remote; i++)
		if (!fl_network_device(&host->network, host->remote[i]))
			host->remote[i--] = host->remote[--rules->n_remote];
}

static void note(struct fl_host *host, const struct fl_backend *backend,
		 const struct fl_route *route)
{
	const struct fl_netdev *dev = fl_network_device(&host->network, route->ifindex);
	struct fl_egress *egress = &host->egress;
	size_t i;

	if (!dev || dev->loopback || fl_host_serves(host, dev) ||
	    (!route->gateway && fl_device_is_inside(&host->network, dev)))
		return;
	if (may_serve(dev) && serve(host, dev, (const struct fl_ip *)&backend->addr))
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

/* What to do about it. */
static const char *advice(const struct fl_netdev *dev)
{
	return dev->headerless ? "its packets have no Ethernet header; a VXLAN device has"
			       : "name it in --devices";
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
			      "served: connections that are balanced to them break (%s)",
			      egress->found[i].n, fl_ip_format(&egress->found[i].example, ip),
			      dev->name, advice(dev));
	}
	fl_health_scan_end(health, FL_CONDITION_EGRESS);
}

/* Neither backends nor routes have changed since the pass began, as far as is known. */
static bool is_same(const struct fl_host *host)
{
	return host->egress.revision == host->options.maps->meta->revision &&
	       host->egress.news == host->news;
}

static void begin(struct fl_host *host)
{
	host->egress = (struct fl_egress){.revision = host->options.maps->meta->revision,
					  .news = host->news};
}

/* True: this was the last of the backends. */
static bool step(struct fl_host *host)
{
	const struct fl_maps *maps = host->options.maps;
	const struct fl_backend *asked[ASKED_MAX];
	struct fl_route routes[ASKED_MAX];
	struct fl_ip ips[ASKED_MAX];
	struct fl_egress *egress = &host->egress;
	size_t n = 0, end = egress->next + LOOKED_MAX, most;

	host->settled &= is_same(host); /* also since the end of the last pass */
	if (!egress->next)
		begin(host);
	most = host->settled ? ASKED_SETTLED : ASKED_MAX;
	if (end > maps->n_backends)
		end = maps->n_backends;
	for (; egress->next < end && n < most; egress->next++) {
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
	if (egress->next < maps->n_backends)
		return false;
	finish(host);
	host->settled = is_same(host);
	begin(host);
	return true;
}

void fl_host_check_egress(struct fl_host *host)
{
	step(host);
}

void fl_host_find_remote(struct fl_host *host)
{
	/* what was looked at before the devices were known counts for nothing */
	host->egress = (struct fl_egress){0};
	host->settled = false;
	for (size_t i = 0; i < FIRST_STEPS && !step(host); i++)
		;
}
