/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of service ports in a view, and the service ports in the order of their names. */
#include "lb/api/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/sync/sync.h"

enum fl_family fl_frontend_family(const struct fl_frontend_key *key)
{
	struct fl_ip ip = fl_ip_from_addr(&key->addr);

	return fl_ip_family(&ip);
}

void fl_view_name(const struct fl_view *view, uint32_t service_id, struct fl_view_name *ret_name)
{
	const struct fl_service_port_info *port = NULL;

	if (view->names.port)
		port = view->names.port(view->names.arg, service_id);
	if (port) {
		ret_name->ns = port->ns;
		ret_name->name = port->name;
		ret_name->port = port->port_name ? port->port_name : "";
		return;
	}
	snprintf(ret_name->name_buf, sizeof(ret_name->name_buf), "#%u", service_id);
	ret_name->ns = ret_name->port = "";
	ret_name->name = ret_name->name_buf;
}

const char *fl_view_ref(const struct fl_view *view, uint32_t service_id,
			char buf[static FL_SERVICE_REF_MAX])
{
	struct fl_view_name name;

	fl_view_name(view, service_id, &name);
	snprintf(buf, FL_SERVICE_REF_MAX, "%s%s%s%s%s", name.ns, *name.ns ? "/" : "", name.name,
		 *name.port ? ":" : "", name.port);
	return buf;
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

int fl_view_services(const struct fl_view *view, struct fl_view_service **ret_services,
		     size_t *ret_n)
{
	struct fl_view_service *services = calloc(view->n_frontends + 1, sizeof(*services));
	size_t n = 0;

	if (!services)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_frontends; i++) {
		const struct fl_view_frontend *f = &view->frontends[i];

		if (!f->value.service_id || f->value.type == FL_FRONTEND_VIP)
			continue;
		if (!n || services[n - 1].id != f->value.service_id)
			services[n++] =
				(struct fl_view_service){.id = f->value.service_id, .first = f};
		services[n - 1].n++;
	}
	for (size_t i = 0; i < n; i++)
		service_lists(&services[i]);
	qsort_r(services, n, sizeof(*services), cmp_services, (void *)view);
	*ret_services = services;
	*ret_n = n;
	return 0;
}
