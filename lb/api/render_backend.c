/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BackendList: each backend once, with the service ports that use it and the flows that go to it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "lb/api/render.h"
#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/model/drains.h"

/* (backend, service port, share of a list of its), sorted by backend */
struct use {
	uint32_t backend, service, share;
};

struct uses {
	struct use *use;
	size_t n, room;
};

/* Per backend id. */
struct flow_count {
	uint32_t flows, masqueraded;
};

struct flow_counts {
	struct flow_count *n;
	const struct fl_view *view;
};

static int uses_add_list(struct uses *uses, const struct fl_view *view,
			 const struct fl_view_service *service, const struct fl_list *list)
{
	for (uint32_t i = 0, share; i < list->count; i += share) {
		uint32_t id = fl_view_list_backend(view, list, i);

		if (!fl_view_backend(view, id))
			break;
		share = fl_view_list_share(view, list, i);
		if (FL_ARRAY_ROOM(uses->use, uses->room, uses->n + 1))
			return -ENOMEM;
		uses->use[uses->n++] = (struct use){id, service->id, share};
	}
	return 0;
}

static int cmp_uses(const void *va, const void *vb)
{
	const struct use *a = va, *b = vb;

	if (a->backend != b->backend)
		return a->backend < b->backend ? -1 : 1;
	return a->service < b->service ? -1 : a->service > b->service;
}

static int count_flow(const struct fl_flow *flow, void *arg)
{
	struct flow_counts *counts = arg;
	const struct fl_backend *backend = fl_view_backend(counts->view, flow->backend_id);

	if (!backend || !fl_flow_has_backend(flow, backend))
		return 0;
	counts->n[flow->backend_id].flows++;
	counts->n[flow->backend_id].masqueraded += !!(flow->flags & FL_FLOW_SNAT);
	return 0;
}

/* In the maps a weight is a share of a list, and a backend can be in several. */
static uint32_t largest_share(const struct use *use, size_t n)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < n; i++)
		largest = use[i].share > largest ? use[i].share : largest;
	return largest;
}

static const char *state_of(const struct fl_backend *backend)
{
	if (!(backend->flags & FL_BACKEND_LIVE))
		return "gone";
	return backend->weight ? "live" : "drained";
}

/* NULL: by nobody, or, where only the maps are known, nobody can say. */
static const char *drained_by(const struct fl_backend *backend, const struct fl_ip *ip,
			      const struct fl_drains *drains)
{
	if (!drains || !(backend->flags & FL_BACKEND_LIVE))
		return NULL;
	if (fl_drains_find(drains, ip, ntohs(backend->port), backend->proto))
		return "command";
	return backend->weight ? NULL : "weight";
}

static void write_backend(const struct fl_view *view, const struct fl_drains *drains, uint32_t id,
			  const struct flow_count *count, const struct use *use, size_t n,
			  struct fl_json *json)
{
	const struct fl_backend *backend = &view->maps->backends[id];
	struct fl_ip ip = fl_ip_from_addr(&backend->addr);
	char buf[FL_IP_STRLEN], address[FL_IP_PORT_STRLEN], ref[FL_SERVICE_REF_MAX];
	uint32_t last = 0;

	fl_json_object_begin(json);
	fl_json_member_uint(json, "id", id);
	fl_json_member_string(json, "address",
			      fl_ip_port_format(&ip, ntohs(backend->port), address));
	fl_json_member_string(json, "ip", fl_ip_format(&ip, buf));
	fl_json_member_uint(json, "port", ntohs(backend->port));
	fl_json_member_string(json, "protocol", fl_proto_name(backend->proto));
	fl_json_member_string(json, "family", fl_family_name(fl_ip_family(&ip)));
	fl_json_member_string(json, "state", state_of(backend));
	fl_json_member_string(json, "drainedBy", drained_by(backend, &ip, drains));
	fl_json_member_bool(json, "local", backend->flags & FL_BACKEND_LOCAL);
	fl_json_member_uint(json, "weight", largest_share(use, n));
	fl_json_member_uint(json, "generation", backend->generation);
	fl_json_member_uint(json, "flows", count->flows);
	/* one for each masqueraded flow; how many there are is sourcePorts of the status */
	fl_json_member_uint(json, "sourcePortsUsed", count->masqueraded);
	fl_json_key(json, "services");
	fl_json_array_begin(json);
	for (size_t i = 0; i < n; i++) {
		if (use[i].service != last)
			fl_json_string(json, fl_view_ref(view, use[i].service, ref));
		last = use[i].service;
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
}

static int collect_uses(const struct fl_view *view, struct uses *uses)
{
	_cleanup_free_ struct fl_view_service *services = NULL;
	size_t n;

	if (fl_view_services(view, NULL, &services, &n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (uses_add_list(uses, view, &services[i], &services[i].cluster) ||
		    uses_add_list(uses, view, &services[i], &services[i].local))
			return -ENOMEM;
	}
	if (uses->n)
		qsort(uses->use, uses->n, sizeof(*uses->use), cmp_uses);
	return 0;
}

int fl_render_backends(const struct fl_view *view, const struct fl_drains *drains,
		       struct fl_json *json)
{
	size_t n_backends = view->maps->backends ? view->maps->n_backends : 0, at = 0;
	_cleanup_free_ struct flow_count *flows = calloc(n_backends + 1, sizeof(*flows));
	struct fl_flow_table table = fl_flow_table_of(view->maps);
	struct flow_counts counts = {.n = flows, .view = view};
	struct uses uses = {0};

	if (!flows || collect_uses(view, &uses)) {
		free(uses.use);
		return -ENOMEM;
	}
	fl_flow_walk(&table, view->now, count_flow, &counts);
	fl_render_begin(json, "BackendList");
	fl_json_key(json, "items");
	fl_json_array_begin(json);
	for (uint32_t id = 1; id < n_backends; id++) {
		size_t first = at;

		while (at < uses.n && uses.use[at].backend == id)
			at++;
		if (view->maps->backends[id].flags & FL_BACKEND_LIVE || flows[id].flows ||
		    at > first)
			write_backend(view, drains, id, &flows[id],
				      uses.use ? uses.use + first : NULL, at - first, json);
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
	free(uses.use);
	return 0;
}
