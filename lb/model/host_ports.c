/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a pod to Services: one for each address that host ports are bound to. */
#include "lb/model/host_ports.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/model/names.h"

bool fl_pod_has_host_ports(const struct fl_pod *pod)
{
	return pod->n_ports && pod->n_ips && !pod->ended && !pod->host_network;
}

const char *fl_host_ports_pod(const char *service, size_t *ret_len)
{
	const size_t len = strlen(FL_HOST_PORTS_PREFIX);

	if (strncmp(service, FL_HOST_PORTS_PREFIX, len))
		return NULL;
	*ret_len = strcspn(service + len, "@");
	return service + len;
}

/* Whether two ports are bound to the same address, or both to all. */
static bool same_address(const struct fl_pod_port *a, const struct fl_pod_port *b)
{
	return a->has_ip == b->has_ip && (!a->has_ip || fl_ip_equal(&a->ip, &b->ip));
}

/* The first with its address: the others are of its Service. */
static bool is_first(const struct fl_pod *pod, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_address(&pod->ports[k], &pod->ports[i]))
			return false;
	return true;
}

/* Two ports of a pod may have one name, or none. */
static char *port_name(const struct fl_pod_port *port)
{
	char proto[8] = "", *text;
	const char *name = fl_proto_name(port->proto);

	for (size_t i = 0; name[i] && i < sizeof(proto) - 1; i++)
		proto[i] = (char)tolower((unsigned char)name[i]);
	return asprintf(&text, "%u-%s", port->host_port, proto) < 0 ? NULL : text;
}

static char *service_name(const struct fl_pod *pod, const struct fl_pod_port *first)
{
	char ip[FL_IP_STRLEN] = "", *text;

	if (first->has_ip)
		fl_ip_format(&first->ip, ip);
	return asprintf(&text, FL_HOST_PORTS_PREFIX "%s%s%s", pod->name, *ip ? "@" : "", ip) < 0
		       ? NULL
		       : text;
}

static const struct fl_ip *ip_of(const struct fl_pod *pod, enum fl_family family)
{
	for (size_t i = 0; i < pod->n_ips; i++)
		if (fl_ip_family(&pod->ips[i]) == family)
			return &pod->ips[i];
	return NULL;
}

static bool has_family(const struct fl_pod *pod, const struct fl_pod_port *first,
		       enum fl_family family)
{
	return ip_of(pod, family) && (!first->has_ip || fl_ip_family(&first->ip) == family);
}

/* A node port where it is bound to all addresses, an external IP where it is bound to one. */
static int make_service(const struct fl_pod *pod, size_t first, struct fl_service **ret_service)
{
	_cleanup_(fl_service_free) struct fl_service *s = calloc(1, sizeof(*s));
	const struct fl_pod_port *of = &pod->ports[first];
	const bool at_one = of->has_ip && !fl_ip_is_unspecified(&of->ip);

	if (!s)
		return -ENOMEM;
	s->ns = strdup(pod->ns);
	s->name = service_name(pod, of);
	s->ports = calloc(pod->n_ports, sizeof(*s->ports));
	s->external_ips = calloc(1, sizeof(*s->external_ips));
	if (!s->ns || !s->name || !s->ports || !s->external_ips)
		return -ENOMEM;
	s->created = pod->created;
	s->type = FL_SERVICE_NODE_PORT;
	s->host_ports = true;
	s->external_local = true;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		s->families[family] = has_family(pod, of, family);
	if (at_one)
		s->external_ips[s->n_external_ips++] = of->ip;
	for (size_t i = first; i < pod->n_ports; i++) {
		struct fl_service_port *port = &s->ports[s->n_ports];

		if (!same_address(&pod->ports[i], of))
			continue;
		*port = (struct fl_service_port){
			.name = port_name(&pod->ports[i]),
			.proto = pod->ports[i].proto,
			.port = pod->ports[i].host_port,
			.node_port = at_one ? 0 : pod->ports[i].host_port,
		};
		if (!port->name)
			return -ENOMEM;
		s->n_ports++;
	}
	*ret_service = TAKE_PTR(s);
	return 0;
}

static int make_endpoint(const struct fl_pod *pod, enum fl_family family, struct fl_slice *slice)
{
	struct fl_endpoint *endpoint;

	slice->endpoints = calloc(1, sizeof(*slice->endpoints));
	if (!slice->endpoints)
		return -ENOMEM;
	slice->n_endpoints = 1;
	endpoint = slice->endpoints;
	endpoint->ip = *ip_of(pod, family);
	endpoint->weight = FL_WEIGHT_DEFAULT;
	endpoint->ready = endpoint->serving = true;
	return fl_endpoint_name(endpoint, pod->node_name, NULL, 0, NULL, 0);
}

static int make_slice(const struct fl_pod *pod, size_t first, const struct fl_service *service,
		      enum fl_family family, struct fl_slice **ret_slice)
{
	_cleanup_(fl_slice_free) struct fl_slice *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->family = family;
	s->ns = strdup(pod->ns);
	s->service = strdup(service->name);
	s->ports = calloc(service->n_ports, sizeof(*s->ports));
	if (asprintf(&s->name, "%s@%s", service->name, fl_family_name(family)) < 0)
		s->name = NULL;
	if (!s->ns || !s->service || !s->ports || !s->name || make_endpoint(pod, family, s))
		return -ENOMEM;
	for (size_t i = first; i < pod->n_ports; i++) {
		struct fl_slice_port *port = &s->ports[s->n_ports];

		if (!same_address(&pod->ports[i], &pod->ports[first]))
			continue;
		*port = (struct fl_slice_port){.name = port_name(&pod->ports[i]),
					       .proto = pod->ports[i].proto,
					       .port = pod->ports[i].port};
		if (!port->name)
			return -ENOMEM;
		s->n_ports++;
	}
	*ret_slice = TAKE_PTR(s);
	return 0;
}

/* What is bound to one address. */
static int make_at(const struct fl_pod *pod, size_t first, struct fl_object *objects, size_t *n)
{
	struct fl_service *service;
	struct fl_slice *slice;
	int r = make_service(pod, first, &service);

	if (r)
		return r;
	objects[(*n)++] = (struct fl_object){FL_KIND_SERVICE, {.service = service}};
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		if (!service->families[family])
			continue;
		r = make_slice(pod, first, service, family, &slice);
		if (r)
			return r;
		objects[(*n)++] = (struct fl_object){FL_KIND_SLICE, {.slice = slice}};
	}
	return 0;
}

int fl_host_ports_make(const struct fl_pod *pod, struct fl_object **ret_objects, size_t *ret_n)
{
	_cleanup_free_ struct fl_object *objects =
		calloc(pod->n_ports * (1 + FL_FAMILIES) + 1, sizeof(*objects));
	size_t n = 0;
	int r = objects ? 0 : -ENOMEM;

	for (size_t i = 0; i < pod->n_ports && fl_pod_has_host_ports(pod) && !r; i++)
		if (is_first(pod, i) && (has_family(pod, &pod->ports[i], FL_IPV4) ||
					 has_family(pod, &pod->ports[i], FL_IPV6)))
			r = make_at(pod, i, objects, &n);
	if (r) {
		for (size_t i = 0; i < n; i++)
			fl_object_free(&objects[i]);
		return r;
	}
	*ret_objects = TAKE_PTR(objects);
	*ret_n = n;
	return 0;
}
