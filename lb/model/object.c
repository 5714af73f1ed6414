/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services, EndpointSlices and Nodes: freeing them, and comparing two (rules 1.16 and 4.12: an
 * update that changes nothing does nothing). */
#include "lb/model/object.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool fl_node_name_fold(char *name)
{
	char *start = name + strspn(name, " \t\r\n"), *end = start + strlen(start);

	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	memmove(name, start, (size_t)(end - start) + 1);
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return *name;
}

static const char *after(struct fl_hints hints)
{
	for (; hints.n; hints.n--)
		hints.first = fl_hint_next(hints.first);
	return hints.first;
}

struct fl_hints fl_endpoint_zone_hints(const struct fl_endpoint *endpoint)
{
	return (struct fl_hints){fl_hint_next(endpoint->node_name), endpoint->n_zone_hints};
}

struct fl_hints fl_endpoint_node_hints(const struct fl_endpoint *endpoint)
{
	return (struct fl_hints){after(fl_endpoint_zone_hints(endpoint)), endpoint->n_node_hints};
}

size_t fl_endpoint_texts_size(const struct fl_endpoint *endpoint)
{
	if (!endpoint->node_name)
		return 0;
	return (size_t)(after(fl_endpoint_node_hints(endpoint)) - endpoint->node_name);
}

static size_t size_of(const char *const *texts, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += strlen(texts[i]) + 1;
	return size;
}

/* Returns where the next one goes. */
static char *put_texts(char *at, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, texts[i]) + 1;
	return at;
}

int fl_endpoint_name(struct fl_endpoint *endpoint, const char *node_name,
		     const char *const *zone_hints, size_t n_zone_hints,
		     const char *const *node_hints, size_t n_node_hints)
{
	char *texts = malloc(size_of(&node_name, 1) + size_of(zone_hints, n_zone_hints) +
			     size_of(node_hints, n_node_hints)),
	     *at;

	assert(n_zone_hints <= FL_HINTS_MAX && n_node_hints <= FL_HINTS_MAX);
	if (!texts)
		return -ENOMEM;
	at = put_texts(texts, &node_name, 1);
	at = put_texts(at, zone_hints, n_zone_hints);
	put_texts(at, node_hints, n_node_hints);
	endpoint->node_name = texts;
	endpoint->n_zone_hints = (uint8_t)n_zone_hints;
	endpoint->n_node_hints = (uint8_t)n_node_hints;
	return 0;
}

void fl_service_free(struct fl_service **service)
{
	struct fl_service *s = *service;

	*service = NULL;
	if (!s || s->packed) {
		free(s);
		return;
	}
	free(s->ns);
	free(s->name);
	for (size_t i = 0; s->ports && i < s->n_ports; i++)
		free(s->ports[i].name);
	free(s->ports);
	free(s->external_ips);
	free(s->ingress);
	free(s->source_ranges);
	free(s);
}

void fl_slice_free(struct fl_slice **slice)
{
	struct fl_slice *s = *slice;

	*slice = NULL;
	if (!s || s->packed) {
		free(s);
		return;
	}
	free(s->ns);
	free(s->name);
	free(s->service);
	for (size_t i = 0; s->endpoints && i < s->n_endpoints; i++)
		free(s->endpoints[i].node_name);
	free(s->endpoints);
	for (size_t i = 0; s->ports && i < s->n_ports; i++)
		free(s->ports[i].name);
	free(s->ports);
	free(s);
}

void fl_node_free(struct fl_node **node)
{
	struct fl_node *n = *node;

	if (!n)
		return;
	free(n->name);
	free(n->zone);
	free(n->pod_cidrs);
	free(n->addresses);
	free(n);
	*node = NULL;
}

void fl_pod_free(struct fl_pod **pod)
{
	struct fl_pod *p = *pod;

	if (!p)
		return;
	free(p->ns);
	free(p->name);
	free(p->node_name);
	free(p->ips);
	free(p->ports);
	free(p);
	*pod = NULL;
}

void fl_object_free(struct fl_object *object)
{
	switch (object->kind) {
	case FL_KIND_SERVICE:
		fl_service_free(&object->service);
		break;
	case FL_KIND_SLICE:
		fl_slice_free(&object->slice);
		break;
	case FL_KIND_NODE:
		fl_node_free(&object->node);
		break;
	case FL_KIND_POD:
		fl_pod_free(&object->pod);
		break;
	}
	memset(object, 0, sizeof(*object));
}

static bool same(const char *a, const char *b)
{
	return !strcmp(a, b);
}

static bool same_ips(const struct fl_ip *a, size_t n_a, const struct fl_ip *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!fl_ip_equal(&a[i], &b[i]))
			return false;
	return true;
}

static bool same_prefixes(const struct fl_prefix *a, size_t n_a, const struct fl_prefix *b,
			  size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (a[i].len != b[i].len || !fl_ip_equal(&a[i].ip, &b[i].ip))
			return false;
	return true;
}

static bool same_ingress(const struct fl_service *a, const struct fl_service *b)
{
	if (a->n_ingress != b->n_ingress)
		return false;
	for (size_t i = 0; i < a->n_ingress; i++) {
		const struct fl_lb_ingress *x = &a->ingress[i], *y = &b->ingress[i];

		if (x->has_ip != y->has_ip || x->proxy != y->proxy)
			return false;
		if (x->has_ip && !fl_ip_equal(&x->ip, &y->ip))
			return false;
	}
	return true;
}

static bool same_service_ports(const struct fl_service *a, const struct fl_service *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		const struct fl_service_port *x = &a->ports[i], *y = &b->ports[i];

		if (x->proto != y->proto || x->port != y->port || x->node_port != y->node_port ||
		    !same(x->name, y->name))
			return false;
	}
	return true;
}

static bool same_cluster_ips(const struct fl_service *a, const struct fl_service *b)
{
	for (int f = 0; f < FL_FAMILIES; f++) {
		if (a->has_cluster_ip[f] != b->has_cluster_ip[f] ||
		    a->families[f] != b->families[f])
			return false;
		if (a->has_cluster_ip[f] && !fl_ip_equal(&a->cluster_ip[f], &b->cluster_ip[f]))
			return false;
	}
	return true;
}

bool fl_service_equal(const struct fl_service *a, const struct fl_service *b)
{
	return same(a->ns, b->ns) && same(a->name, b->name) && a->created == b->created &&
	       a->host_ports == b->host_ports && a->other_proxy == b->other_proxy &&
	       a->type == b->type && a->headless == b->headless && same_cluster_ips(a, b) &&
	       same_service_ports(a, b) &&
	       same_ips(a->external_ips, a->n_external_ips, b->external_ips, b->n_external_ips) &&
	       same_ingress(a, b) && a->external_local == b->external_local &&
	       a->internal_local == b->internal_local &&
	       a->health_check_node_port == b->health_check_node_port && a->reset == b->reset &&
	       a->forwarding == b->forwarding && a->affinity == b->affinity &&
	       a->affinity_timeout_s == b->affinity_timeout_s &&
	       same_prefixes(a->source_ranges, a->n_source_ranges, b->source_ranges,
			     b->n_source_ranges);
}

static bool same_endpoint(const struct fl_endpoint *a, const struct fl_endpoint *b)
{
	const size_t size = fl_endpoint_texts_size(a);

	return fl_ip_equal(&a->ip, &b->ip) && a->weight == b->weight && a->ready == b->ready &&
	       a->serving == b->serving && a->terminating == b->terminating &&
	       a->n_zone_hints == b->n_zone_hints && a->n_node_hints == b->n_node_hints &&
	       size == fl_endpoint_texts_size(b) && !memcmp(a->node_name, b->node_name, size);
}

bool fl_slice_equal(const struct fl_slice *a, const struct fl_slice *b)
{
	if (!same(a->ns, b->ns) || !same(a->name, b->name) || !same(a->service, b->service) ||
	    a->family != b->family || a->n_endpoints != b->n_endpoints || a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_endpoints; i++)
		if (!same_endpoint(&a->endpoints[i], &b->endpoints[i]))
			return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		const struct fl_slice_port *x = &a->ports[i], *y = &b->ports[i];

		if (x->proto != y->proto || x->port != y->port || !same(x->name, y->name))
			return false;
	}
	return true;
}

bool fl_node_equal(const struct fl_node *a, const struct fl_node *b)
{
	return same(a->name, b->name) && same(a->zone, b->zone) && a->deleting == b->deleting &&
	       a->autoscaler_taint == b->autoscaler_taint &&
	       same_prefixes(a->pod_cidrs, a->n_pod_cidrs, b->pod_cidrs, b->n_pod_cidrs) &&
	       same_ips(a->addresses, a->n_addresses, b->addresses, b->n_addresses);
}

static bool same_pod_ports(const struct fl_pod *a, const struct fl_pod *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		const struct fl_pod_port *x = &a->ports[i], *y = &b->ports[i];

		if (x->host_port != y->host_port || x->port != y->port || x->proto != y->proto ||
		    x->has_ip != y->has_ip || (x->has_ip && !fl_ip_equal(&x->ip, &y->ip)))
			return false;
	}
	return true;
}

bool fl_pod_equal(const struct fl_pod *a, const struct fl_pod *b)
{
	return same(a->ns, b->ns) && same(a->name, b->name) && same(a->node_name, b->node_name) &&
	       a->created == b->created && a->host_network == b->host_network &&
	       a->ended == b->ended && same_ips(a->ips, a->n_ips, b->ips, b->n_ips) &&
	       same_pod_ports(a, b);
}
