/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ServiceList: what is programmed for each service port and family. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"

static const struct {
	uint16_t flag;
	const char *client;
} masquerade[] = {
	{FL_MASQUERADE_OUTSIDE, "outside"},
	{FL_MASQUERADE_POD, "pod"},
	{FL_MASQUERADE_NODE, "node"},
};

static void write_side(const struct fl_frontend *value, enum fl_side side, const char *key,
		       struct fl_json *json)
{
	const struct fl_list *list = &value->list[side];

	if (value->verdict[side] == FL_VERDICT_NONE) {
		fl_json_key(json, key);
		fl_json_null(json);
		return;
	}
	fl_json_key(json, key);
	fl_json_object_begin(json);
	fl_json_member_string(json, "verdict", fl_verdict_name(value->verdict[side]));
	fl_json_member_string(json, "list",
			      list->count ? (list->id & 1 ? "local" : "cluster") : NULL);
	fl_json_object_end(json);
}

static void write_frontend(const struct fl_view_frontend *frontend, struct fl_json *json)
{
	const struct fl_frontend *value = &frontend->value;
	struct fl_ip ip = fl_ip_from_addr(&frontend->key.addr);
	char buf[FL_IP_STRLEN];

	fl_json_object_begin(json);
	fl_json_member_string(json, "type", fl_frontend_type_name(value->type));
	fl_json_member_string(json, "ip",
			      value->type == FL_FRONTEND_NODE_PORT ? "*" : fl_ip_format(&ip, buf));
	fl_json_member_uint(json, "port", ntohs(frontend->key.port));
	write_side(value, FL_SIDE_INTERNAL, "internal", json);
	write_side(value, FL_SIDE_EXTERNAL, "external", json);
	fl_json_key(json, "masquerade");
	fl_json_array_begin(json);
	for (size_t i = 0; i < sizeof(masquerade) / sizeof(masquerade[0]); i++) {
		if (value->flags & masquerade[i].flag)
			fl_json_string(json, masquerade[i].client);
	}
	fl_json_array_end(json);
	fl_json_member_bool(json, "sourceRanges", value->flags & FL_SOURCE_RANGES);
	fl_json_object_end(json);
}

/* "IP:PORT" of a backend; NULL: its id is outside the arrays. */
static const char *backend_text(const struct fl_view *view, uint32_t id,
				char buf[static FL_IP_PORT_STRLEN])
{
	const struct fl_backend *backend = fl_view_backend(view, id);
	struct fl_ip ip;

	if (!backend)
		return NULL;
	ip = fl_ip_from_addr(&backend->addr);
	return fl_ip_port_format(&ip, ntohs(backend->port), buf);
}

static void write_list(const struct fl_view *view, const char *key, const struct fl_list *list,
		       struct fl_json *json)
{
	char buf[FL_IP_PORT_STRLEN];

	fl_json_key(json, key);
	if (!list->count) {
		fl_json_null(json);
		return;
	}
	fl_json_array_begin(json);
	/*
	 * ids outside the arrays end the list, so that a wild count does not make a wild document
	 */
	for (uint32_t i = 0; i < list->count; i += fl_view_list_share(view, list, i)) {
		const char *text = backend_text(view, fl_view_list_backend(view, list, i), buf);

		if (!text)
			break;
		fl_json_string(json, text);
	}
	fl_json_array_end(json);
}

/* By address, of those whose share of the list is not 1. */
static void write_weights(const struct fl_view *view, const char *key, const struct fl_list *list,
			  struct fl_json *json)
{
	char buf[FL_IP_PORT_STRLEN];

	fl_json_key(json, key);
	if (!list->count) {
		fl_json_null(json);
		return;
	}
	fl_json_object_begin(json);
	for (uint32_t i = 0, share; i < list->count; i += share) {
		const char *text = backend_text(view, fl_view_list_backend(view, list, i), buf);

		if (!text)
			break;
		share = fl_view_list_share(view, list, i);
		if (share != 1)
			fl_json_member_uint(json, text, share);
	}
	fl_json_object_end(json);
}

struct drained {
	const struct fl_view *view;
	struct fl_json *json;
};

static void write_drained(uint32_t backend_id, void *arg)
{
	const struct drained *drained = arg;
	char buf[FL_IP_PORT_STRLEN];
	const char *text = backend_text(drained->view, backend_id, buf);

	if (text)
		fl_json_string(drained->json, text);
}

/* The maps do not say whose a backend is that is in no list. */
static void write_drained_backends(const struct fl_view *view, uint32_t service_id,
				   struct fl_json *json)
{
	struct drained drained = {view, json};

	fl_json_key(json, "drainedBackends");
	if (!view->names.drained) {
		fl_json_null(json);
		return;
	}
	fl_json_array_begin(json);
	view->names.drained(view->names.arg, service_id, write_drained, &drained);
	fl_json_array_end(json);
}

/*
 * Kinds of clients, as a plan has them (FL_PLAN verdicts): which frontends, seen from which side.
 */
static const struct client {
	const char *key;
	bool cluster_ip; /* ClusterIP frontends, else all others */
	bool side[FL_SIDES];
} clients[] = {
	{"clusterIP", true, {[FL_SIDE_INTERNAL] = true, [FL_SIDE_EXTERNAL] = true}},
	{"external", false, {[FL_SIDE_EXTERNAL] = true}},
	{"internalToExternal", false, {[FL_SIDE_INTERNAL] = true}},
};

/* The worst that such a client can meet; NULL: there is no such frontend. */
static const char *client_verdict(const struct fl_view_service *service,
				  const struct client *client)
{
	static const uint8_t badness[] = {[FL_VERDICT_NONE] = 0,
					  [FL_VERDICT_FORWARD] = 1,
					  [FL_VERDICT_REJECT] = 2,
					  [FL_VERDICT_DROP] = 3};
	uint8_t worst = FL_VERDICT_NONE;

	for (size_t i = 0; i < service->n; i++) {
		const struct fl_frontend *value = &service->first[i].value;

		if ((value->type == FL_FRONTEND_CLUSTER_IP) != client->cluster_ip)
			continue;
		for (int side = 0; side < FL_SIDES; side++) {
			uint8_t verdict = value->verdict[side];

			if (client->side[side] && verdict < sizeof(badness) &&
			    badness[verdict] > badness[worst])
				worst = verdict;
		}
	}
	return fl_frontend_verdict_name(service->first->key.proto, worst);
}

static void write_verdicts(const struct fl_view_service *service, struct fl_json *json)
{
	fl_json_key(json, "verdicts");
	fl_json_object_begin(json);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		fl_json_member_string(json, clients[i].key, client_verdict(service, &clients[i]));
	fl_json_object_end(json);
}

static void write_ranges(const struct fl_view *view, uint32_t service_id, struct fl_json *json)
{
	const struct fl_range_key *range;
	size_t n = fl_view_ranges(view, service_id, &range);
	char buf[FL_PREFIX_STRLEN];

	fl_json_key(json, "sourceRanges");
	fl_json_array_begin(json);
	for (size_t i = 0; i < n; i++) {
		/* the prefix of the key includes the 32 bits of the id */
		struct fl_prefix prefix = {.ip = fl_ip_from_addr(&range[i].addr),
					   .len = (uint8_t)(range[i].prefix_len - 32)};

		fl_json_string(json, fl_prefix_format(&prefix, buf));
	}
	fl_json_array_end(json);
}

static void write_affinity(const struct fl_view *view, const struct fl_frontend *value,
			   struct fl_json *json)
{
	bool affinity = value->flags & FL_AFFINITY;

	fl_json_key(json, "sessionAffinity");
	fl_json_object_begin(json);
	fl_json_member_string(json, "type", fl_affinity_name(affinity));
	fl_json_member_uint(json, "timeoutSeconds",
			    affinity ? value->affinity_timeout / view->hz : 0);
	fl_json_object_end(json);
}

static void write_service(const struct fl_view *view, const struct fl_view_service *service,
			  struct fl_json *json)
{
	struct fl_view_name name;

	fl_view_name(view, service->id, &name);
	fl_json_object_begin(json);
	fl_json_member_uint(json, "id", service->id);
	fl_json_member_string(json, "namespace", name.ns);
	fl_json_member_string(json, "name", name.name);
	fl_json_member_string(json, "port", name.port);
	fl_json_member_string(json, "protocol", fl_proto_name(service->first->key.proto));
	fl_json_member_string(json, "family",
			      fl_family_name(fl_frontend_family(&service->first->key)));
	fl_json_member_string(json, "forwarding",
			      fl_forwarding_name(service->first->value.flags & FL_TUNNEL));
	write_verdicts(service, json);
	write_affinity(view, &service->first->value, json);
	write_ranges(view, service->id, json);
	fl_json_key(json, "frontends");
	fl_json_array_begin(json);
	for (size_t i = 0; i < service->n; i++)
		write_frontend(&service->first[i], json);
	fl_json_array_end(json);
	write_list(view, "clusterBackends", &service->cluster, json);
	write_list(view, "localBackends", &service->local, json);
	write_weights(view, "clusterWeights", &service->cluster, json);
	write_weights(view, "localWeights", &service->local, json);
	write_drained_backends(view, service->id, json);
	fl_json_object_end(json);
}

int fl_render_services(const struct fl_view *view, const struct fl_service_filter *filter,
		       struct fl_json *json, size_t *ret_n)
{
	_cleanup_free_ struct fl_view_service *services = NULL;
	size_t n;
	int rc = fl_view_services(view, filter, &services, &n);

	if (rc)
		return rc;
	fl_render_begin(json, "ServiceList");
	fl_json_key(json, "items");
	fl_json_array_begin(json);
	for (size_t i = 0; i < n; i++)
		write_service(view, &services[i], json);
	fl_json_array_end(json);
	fl_json_object_end(json);
	*ret_n = n;
	return 0;
}
