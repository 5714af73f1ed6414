// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Any number of like Services as plans, as if the planner had made them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "lb/base/cleanup.h"

#define MAX_PORTS 3

struct service {
	char name[16];
	struct fl_plan_port ports[MAX_PORTS];
	struct fl_plan_frontend frontends[MAX_PORTS];
	struct fl_plan_endpoint *endpoints[FL_FAMILIES]; /* count + 1 of each family in use */
	bool reduced;
};

struct bench_services {
	uint32_t n, n_endpoints;
	enum bench_service_kind kind;
	struct fl_prefix range; /* that no client is in */
	size_t n_ports;
	struct service *items;
};

static struct fl_ip ip4(uint32_t addr)
{
	addr = htonl(addr);
	return fl_ip_from_ipv4(&addr);
}

static struct fl_ip ip6(uint32_t net, uint32_t low)
{
	struct fl_ip ip = {{0}};

	net = htonl(net);
	low = htonl(low);
	memcpy(ip.b, &net, 4);
	memcpy(ip.b + 12, &low, 4);
	return ip;
}

/* In the order of rule 4.9. */
static int by_text(const void *a, const void *b)
{
	const struct fl_plan_endpoint *x = a, *y = b;
	char tx[FL_IP_PORT_STRLEN], ty[FL_IP_PORT_STRLEN];

	return strcmp(fl_ip_port_format(&x->ip, x->port, tx),
		      fl_ip_port_format(&y->ip, y->port, ty));
}

void bench_services_range(const struct bench_services *services, uint32_t s, uint32_t *ret_first,
			  uint32_t *ret_count)
{
	uint32_t first = (uint64_t)s * services->n_endpoints / services->n;

	*ret_first = first;
	*ret_count = (uint64_t)(s + 1) * services->n_endpoints / services->n - first;
}

static struct fl_plan_endpoint *make_endpoints(const struct bench_services *all,
					       enum fl_family family, uint32_t first,
					       uint32_t count, uint8_t flags)
{
	struct fl_plan_endpoint *e = calloc(count + 1, sizeof(*e));

	for (uint32_t i = 0; e && i < count; i++) {
		uint32_t addr = BENCH_POD_NET + 1 + first + i;

		e[i].ip = family == FL_IPV4 ? ip4(addr) : ip6(BENCH_POD_NET6, addr);
		if (all->kind == BENCH_TUNNEL)
			e[i].node = family == FL_IPV4 ? ip4(BENCH_PEER)
						      : ip6(BENCH_PEER_NET6, BENCH_PEER_LOW6);
		e[i].port = BENCH_POD_PORT;
		e[i].flags = flags;
		e[i].weight = 1;
	}
	if (e)
		qsort(e, count, sizeof(*e), by_text);
	return e;
}

/* What becomes of a service's clients, as the planner would say it. */
static void make_policy(const struct bench_services *all, struct fl_plan_port *port)
{
	port->uses_cluster = true;
	port->has_any = all->kind != BENCH_NO_ENDPOINT;
	port->dsr = all->kind == BENCH_TUNNEL;
	port->cluster_ip = port->has_any ? FL_PLAN_FORWARD : FL_PLAN_REJECT;
	if (all->kind != BENCH_NO_LOCAL && all->kind != BENCH_RANGES)
		return;
	port->frontends->type = FL_PLAN_LOAD_BALANCER;
	port->cluster_ip = FL_PLAN_NONE;
	port->internal_to_external = FL_PLAN_FORWARD;
	port->external_local = port->uses_local = all->kind == BENCH_NO_LOCAL;
	port->external = port->external_local ? FL_PLAN_DROP : FL_PLAN_FORWARD;
	if (all->kind == BENCH_RANGES) {
		port->source_ranges = (struct fl_prefix *)&all->range;
		port->n_source_ranges = 1;
	}
}

static int make_port(const struct bench_services *all, struct service *service, size_t at,
		     enum fl_family family, uint8_t proto, uint32_t s)
{
	uint8_t flags = FL_PLAN_IN_CLUSTER | FL_PLAN_SERVING;
	struct fl_plan_port *port = &service->ports[at];
	uint32_t vip = BENCH_VIP_NET + 1 + s, first, count;

	bench_services_range(all, s, &first, &count);
	if (all->kind == BENCH_NO_ENDPOINT)
		count = 0;
	if (all->kind == BENCH_ON_NODE)
		flags |= FL_PLAN_ON_NODE;
	if (!service->endpoints[family])
		service->endpoints[family] = make_endpoints(all, family, first, count, flags);
	if (!service->endpoints[family])
		return -ENOMEM;
	service->frontends[at] = (struct fl_plan_frontend){
		.type = FL_PLAN_CLUSTER_IP,
		.ip = family == FL_IPV4 ? ip4(vip) : ip6(BENCH_VIP_NET6, vip),
		.port = BENCH_PORT,
	};
	*port = (struct fl_plan_port){
		.ns = "bench",
		.name = service->name,
		.port_name = proto == IPPROTO_TCP ? "tcp" : "udp",
		.proto = proto,
		.family = family,
		.port = BENCH_PORT,
		.frontends = &service->frontends[at],
		.n_frontends = 1,
		.endpoints = service->endpoints[family],
		.n_endpoints = count,
	};
	make_policy(all, port);
	return 0;
}

int bench_services_new(uint32_t n, uint32_t endpoints, unsigned int ports,
		       enum bench_service_kind kind, struct bench_services **ret_services)
{
	static const struct {
		unsigned int bit;
		enum fl_family family;
		uint8_t proto;
	} kinds[MAX_PORTS] = {
		{BENCH_TCP4, FL_IPV4, IPPROTO_TCP},
		{BENCH_UDP4, FL_IPV4, IPPROTO_UDP},
		{BENCH_TCP6, FL_IPV6, IPPROTO_TCP},
	};
	_cleanup_(bench_services_free) struct bench_services *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->n = n;
	all->n_endpoints = endpoints;
	all->kind = kind;
	all->range = (struct fl_prefix){.ip = ip4(0xc0000200U), .len = 120}; /* 192.0.2.0/24 */
	all->items = calloc(n, sizeof(*all->items));
	if (!all->items)
		return -ENOMEM;
	for (uint32_t s = 0; s < n; s++) {
		struct service *service = &all->items[s];

		snprintf(service->name, sizeof(service->name), "svc-%u", s);
		all->n_ports = 0;
		for (size_t k = 0; k < MAX_PORTS; k++)
			if (ports & kinds[k].bit) {
				if (make_port(all, service, all->n_ports, kinds[k].family,
					      kinds[k].proto, s))
					return -ENOMEM;
				all->n_ports++;
			}
	}
	*ret_services = TAKE_PTR(all);
	return 0;
}

void bench_services_free(struct bench_services **services)
{
	struct bench_services *all = *services;

	if (!all)
		return;
	for (uint32_t s = 0; all->items && s < all->n; s++)
		for (int f = 0; f < FL_FAMILIES; f++)
			free(all->items[s].endpoints[f]);
	free(all->items);
	free(all);
	*services = NULL;
}

static int apply_one(struct bench_services *services, uint32_t s, struct fl_sync *sync,
		     struct fl_err *err)
{
	struct service *service = &services->items[s];
	struct fl_plan plan = {.ports = service->ports, .n_ports = services->n_ports};

	return fl_sync_service(sync, "bench", service->name, 1, &plan, err);
}

int bench_services_apply(struct bench_services *services, struct fl_sync *sync, struct fl_err *err)
{
	int rc = 0, rc2;

	fl_sync_begin(sync);
	for (uint32_t s = 0; s < services->n && !rc; s++)
		rc = apply_one(services, s, sync, err);
	rc2 = fl_sync_commit(sync, rc ? NULL : err);
	if (rc || rc2)
		return rc ? rc : rc2;
	return fl_sync_settle(sync, err);
}

int bench_services_toggle(struct bench_services *services, uint32_t s, struct fl_sync *sync,
			  struct fl_err *err)
{
	struct service *service = &services->items[s];
	uint32_t first, count;

	bench_services_range(services, s, &first, &count);
	service->reduced = !service->reduced;
	for (size_t i = 0; i < services->n_ports; i++)
		service->ports[i].n_endpoints = count - service->reduced;
	return apply_one(services, s, sync, err);
}
