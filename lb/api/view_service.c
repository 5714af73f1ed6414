/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The service ports of a view: which frontends, lists and ranges each has, and which are asked for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/view.h"

enum fl_family fl_frontend_family(const struct fl_frontend_key *key)
{
	struct fl_ip ip = fl_ip_from_addr(&key->addr);

	return fl_ip_family(&ip);
}

static int cmp_services(const void *va, const void *vb, void *arg)
{
	const struct fl_view_service *a = va, *b = vb;
	struct fl_view_name na, nb;
	int cmp;

	fl_view_name(arg, a->id, &na);
	fl_view_name(arg, b->id, &nb);
	cmp = strcmp(na.ns, nb.ns);
	/* "#2" before "#10" */
	if (!cmp && (na.name != na.name_buf || nb.name != nb.name_buf))
		cmp = strcmp(na.name, nb.name);
	if (!cmp)
		cmp = strcmp(na.port, nb.port);
	if (!cmp)
		cmp = (int)a->first->key.proto - (int)b->first->key.proto;
	if (!cmp)
		cmp = (int)fl_frontend_family(&a->first->key) -
		      (int)fl_frontend_family(&b->first->key);
	if (!cmp)
		cmp = a->id < b->id ? -1 : a->id > b->id;
	return cmp;
}

static void service_lists(struct fl_view_service *service)
{
	for (size_t i = 0; i < service->n; i++) {
		for (int side = 0; side < FL_SIDES; side++) {
			const struct fl_list *list = &service->first[i].value.list[side];

			if (list->count)
				*(list->id & 1 ? &service->local : &service->cluster) = *list;
		}
	}
}

static bool filled(const char *text)
{
	return text && *text;
}

static bool service_has_port(const struct fl_view_service *service, const char *port)
{
	char buf[8];

	for (size_t i = 0; i < service->n; i++) {
		if (service->first[i].value.type == FL_FRONTEND_NODE_PORT)
			continue;
		snprintf(buf, sizeof(buf), "%u", ntohs(service->first[i].key.port));
		if (!strcmp(buf, port))
			return true;
	}
	return false;
}

bool fl_view_service_matches(const struct fl_view *view, const struct fl_view_service *service,
			     const struct fl_service_filter *filter)
{
	struct fl_view_name name;

	if (filled(filter->name) && *filter->name == '#') /* with names and without */
		return (unsigned long)service->id == strtoul(filter->name + 1, NULL, 10) &&
		       (!filled(filter->port) || service_has_port(service, filter->port));
	fl_view_name(view, service->id, &name);
	if (filled(filter->ns) && strcmp(filter->ns, name.ns))
		return false;
	if (filled(filter->name) && strcmp(filter->name, name.name))
		return false;
	return !filled(filter->port) || !strcmp(filter->port, name.port) ||
	       service_has_port(service, filter->port);
}

struct fl_view_service fl_view_service_of(const struct fl_view *view,
					  const struct fl_view_frontend *frontend)
{
	const struct fl_view_contents *c = &view->contents;
	const struct fl_view_frontend *first = frontend, *last = frontend;
	uint32_t id = frontend->value.service_id;
	struct fl_view_service service;

	while (first > c->frontends && first[-1].value.service_id == id)
		first--;
	while (last < c->frontends + c->n_frontends && last->value.service_id == id)
		last++;
	service = (struct fl_view_service){.id = id, .first = first, .n = (size_t)(last - first)};
	service_lists(&service);
	return service;
}

int fl_view_services(const struct fl_view *view, const struct fl_service_filter *filter,
		     struct fl_view_service **ret_services, size_t *ret_n)
{
	const struct fl_view_contents *c = &view->contents;
	struct fl_view_service *services = calloc(c->n_frontends + 1, sizeof(*services)), service;
	size_t n = 0;

	if (!services)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_frontends; i += service.n) {
		service = fl_view_service_of(view, &c->frontends[i]);
		/* without an id: addresses that belong to some service */
		if (service.id && (!filter || fl_view_service_matches(view, &service, filter)))
			services[n++] = service;
	}
	qsort_r(services, n, sizeof(*services), cmp_services, (void *)view);
	*ret_services = services;
	*ret_n = n;
	return 0;
}

size_t fl_view_ranges(const struct fl_view *view, uint32_t service_id,
		      const struct fl_range_key **ret_first)
{
	const struct fl_range_key *ranges = view->contents.ranges;
	size_t low = 0, high = view->contents.n_ranges, n = 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ranges[mid].service_id < service_id)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < view->contents.n_ranges && ranges[low + n].service_id == service_id)
		n++;
	*ret_first = ranges ? ranges + low : NULL;
	return n;
}
