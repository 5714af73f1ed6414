/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a service port is reached, and from where it may be. One address and port is one frontend
 * whatever number of times and in whatever roles the Service names it: the maps have one place for
 * it.
 */
#include "lb/model/frontends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

static int compare_uint(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

static int by_identity(const void *va, const void *vb)
{
	const struct fl_port_overlap *a = va, *b = vb;
	int rc = compare_uint(a->port->proto, b->port->proto);

	rc = rc ? rc : strcmp(a->port->name, b->port->name);
	return rc ? rc : compare_uint(a->index, b->index);
}

static int by_port(const void *va, const void *vb)
{
	const struct fl_port_overlap *a = va, *b = vb;
	int rc = compare_uint(a->replaced, b->replaced);

	rc = rc ? rc : compare_uint(a->port->proto, b->port->proto);
	rc = rc ? rc : compare_uint(a->port->port, b->port->port);
	return rc ? rc : compare_uint(a->index, b->index);
}

static int by_node_port(const void *va, const void *vb)
{
	const struct fl_port_overlap *a = va, *b = vb;
	int rc = compare_uint(a->replaced, b->replaced);

	rc = rc ? rc : compare_uint(a->port->proto, b->port->proto);
	rc = rc ? rc : compare_uint(a->port->node_port, b->port->node_port);
	return rc ? rc : compare_uint(a->index, b->index);
}

static int by_index(const void *va, const void *vb)
{
	const struct fl_port_overlap *a = va, *b = vb;

	return compare_uint(a->index, b->index);
}

int fl_port_overlaps(const struct fl_service *service, struct fl_port_overlap **ret_overlaps)
{
	size_t n = service->n_ports;
	struct fl_port_overlap *c = calloc(n + 1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		c[i] = (struct fl_port_overlap){.port = &service->ports[i], .index = i};
	*ret_overlaps = c;
	if (n < 2)
		return 0;

	qsort(c, n, sizeof(*c), by_identity);
	for (size_t i = 0; i + 1 < n; i++)
		c[i].replaced = c[i].port->proto == c[i + 1].port->proto &&
				!strcmp(c[i].port->name, c[i + 1].port->name);
	qsort(c, n, sizeof(*c), by_port);
	for (size_t i = 1; i < n; i++)
		c[i].port_taken = c[i].replaced == c[i - 1].replaced &&
				  c[i].port->proto == c[i - 1].port->proto &&
				  c[i].port->port == c[i - 1].port->port;
	qsort(c, n, sizeof(*c), by_node_port);
	for (size_t i = 1; i < n; i++)
		c[i].node_port_taken = c[i].replaced == c[i - 1].replaced &&
				       c[i].port->proto == c[i - 1].port->proto &&
				       c[i].port->node_port &&
				       c[i].port->node_port == c[i - 1].port->node_port;
	qsort(c, n, sizeof(*c), by_index);
	return 0;
}

/* The role that an address and port named several times has: the one with the narrower reach or
 * filter. */
static const uint8_t precedence[] = {
	[FL_PLAN_CLUSTER_IP] = 0,
	[FL_PLAN_LOAD_BALANCER] =
		1, /* before an equal externalIP, which would bypass the source ranges */
	[FL_PLAN_EXTERNAL_IP] = 2,
	[FL_PLAN_NODE_PORT] = 3,
};

static int by_address(const void *va, const void *vb)
{
	const struct fl_plan_frontend *a = va, *b = vb;
	int rc = fl_ip_cmp(&a->ip, &b->ip);

	rc = rc ? rc : compare_uint(a->port, b->port);
	return rc ? rc : compare_uint(precedence[a->type], precedence[b->type]);
}

static int by_type(const void *va, const void *vb)
{
	const struct fl_plan_frontend *a = va, *b = vb;
	int rc = compare_uint(a->type, b->type);

	rc = rc ? rc : fl_ip_cmp(&a->ip, &b->ip);
	return rc ? rc : compare_uint(a->port, b->port);
}

static size_t sort_unique(struct fl_plan_frontend *v, size_t n)
{
	size_t unique = 0;

	if (n < 2)
		return n;
	qsort(v, n, sizeof(*v), by_address);
	for (size_t i = 0; i < n; i++) {
		if (!unique || v[i].port != v[unique - 1].port ||
		    !fl_ip_equal(&v[i].ip, &v[unique - 1].ip))
			v[unique++] = v[i];
	}
	qsort(v, unique, sizeof(*v), by_type);
	return unique;
}

bool fl_frontend_address_ok(const struct fl_ip *ip)
{
	return !fl_ip_is_unspecified(ip) && !fl_ip_is_loopback(ip) && !fl_ip_is_multicast(ip);
}

/*
 * All that the Service names for this port at its own number: room for 1 + externalIPs + ingress.
 */
static size_t service_port_frontends(const struct fl_service *service,
				     const struct fl_plan_options *options, enum fl_family family,
				     uint16_t port, struct fl_plan_frontend *v)
{
	const bool no_external = options->no_external_ips && !service->host_ports;
	size_t n_external = no_external ? 0 : service->n_external_ips;
	size_t n = 0;

	if (service->has_cluster_ip[family])
		v[n++] = (struct fl_plan_frontend){FL_PLAN_CLUSTER_IP, service->cluster_ip[family],
						   port};
	for (size_t i = 0; i < n_external; i++) {
		const struct fl_ip *ip = &service->external_ips[i];

		if (fl_ip_family(ip) == family && fl_frontend_address_ok(ip) &&
		    !fl_ip_is_link_local(ip))
			v[n++] = (struct fl_plan_frontend){FL_PLAN_EXTERNAL_IP, *ip, port};
	}
	for (size_t i = 0; i < service->n_ingress; i++) {
		const struct fl_lb_ingress *ingress = &service->ingress[i];

		if (ingress->has_ip && !ingress->proxy && fl_ip_family(&ingress->ip) == family &&
		    fl_frontend_address_ok(&ingress->ip))
			v[n++] =
				(struct fl_plan_frontend){FL_PLAN_LOAD_BALANCER, ingress->ip, port};
	}
	return n;
}

int fl_frontends_plan(const struct fl_service *service, const struct fl_port_overlap *overlap,
		      const struct fl_plan_options *options, struct fl_plan_port *port)
{
	const size_t room = 2 + service->n_external_ips + service->n_ingress;
	const struct fl_plan_frontend node_port = {
		FL_PLAN_NODE_PORT, fl_ip_unspecified(port->family), overlap->port->node_port};
	size_t n = 0, n_lost = 0;

	port->frontends = malloc(room * sizeof(*port->frontends));
	if (!port->frontends)
		return -ENOMEM;
	if (overlap->port_taken || overlap->node_port_taken) {
		port->lost = malloc(room * sizeof(*port->lost));
		if (!port->lost)
			return -ENOMEM;
	}
	if (overlap->port_taken)
		n_lost = service_port_frontends(service, options, port->family, overlap->port->port,
						port->lost);
	else
		n = service_port_frontends(service, options, port->family, overlap->port->port,
					   port->frontends);
	if (overlap->node_port_taken)
		port->lost[n_lost++] = node_port;
	else if (overlap->port->node_port)
		port->frontends[n++] = node_port;
	port->n_frontends = sort_unique(port->frontends, n);
	port->n_lost = sort_unique(port->lost, n_lost);
	return 0;
}

int fl_source_ranges_plan(const struct fl_service *service, const struct fl_plan_options *options,
			  struct fl_plan_port *port)
{
	if (!service->n_source_ranges)
		return 0;
	port->source_ranges = malloc(service->n_source_ranges * sizeof(*port->source_ranges));
	if (!port->source_ranges)
		return -ENOMEM;
	for (size_t i = 0; i < service->n_source_ranges; i++) {
		const struct fl_prefix *range = &service->source_ranges[i];

		if (fl_prefix_family(range) != port->family)
			continue;
		port->source_ranges[port->n_source_ranges++] = *range;
		for (size_t j = 0; j < options->n_node_ips; j++)
			port->vips_exempt |= fl_prefix_contains(range, &options->node_ips[j]);
	}
	return 0;
}
