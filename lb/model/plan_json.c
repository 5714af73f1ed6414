/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Plans as JSON. The document is an interface: its keys are always present, and null means "does
 * not apply". */
#include "lb/model/plan_json.h"

#include <errno.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/model/names.h"
#include "lb/model/plan_store.h"

static void write_frontends(struct fl_json *json, const struct fl_plan_port *port)
{
	char text[FL_IP_STRLEN];

	fl_json_key(json, "frontends");
	fl_json_array_begin(json);
	for (size_t i = 0; i < port->n_frontends; i++) {
		const struct fl_plan_frontend *frontend = &port->frontends[i];
		bool any = frontend->type == FL_PLAN_NODE_PORT;

		fl_json_object_begin(json);
		fl_json_member_string(json, "type", fl_frontend_type_name((uint8_t)frontend->type));
		fl_json_member_string(json, "ip", any ? "*" : fl_ip_format(&frontend->ip, text));
		fl_json_member_uint(json, "port", frontend->port);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
}

static void write_affinity(struct fl_json *json, const struct fl_plan_port *port)
{
	fl_json_key(json, "sessionAffinity");
	fl_json_object_begin(json);
	fl_json_member_string(json, "type", fl_affinity_name(port->affinity));
	fl_json_member_uint(json, "timeoutSeconds", port->affinity_timeout_s);
	fl_json_object_end(json);
}

static void write_ranges(struct fl_json *json, const struct fl_plan_port *port)
{
	char text[FL_PREFIX_STRLEN];

	fl_json_key(json, "sourceRanges");
	fl_json_array_begin(json);
	for (size_t i = 0; i < port->n_source_ranges; i++)
		fl_json_string(json, fl_prefix_format(&port->source_ranges[i], text));
	fl_json_array_end(json);
}

/* The endpoints of a plan are sorted by this very text. */
static void write_list(struct fl_json *json, const struct fl_plan_port *port, const char *key,
		       bool used, uint8_t list)
{
	char text[FL_IP_PORT_STRLEN];

	fl_json_key(json, key);
	if (!used) {
		fl_json_null(json);
		return;
	}
	fl_json_array_begin(json);
	for (size_t i = 0; i < port->n_endpoints; i++) {
		const struct fl_plan_endpoint *endpoint = &port->endpoints[i];

		if (endpoint->flags & list)
			fl_json_string(json,
				       fl_ip_port_format(&endpoint->ip, endpoint->port, text));
	}
	fl_json_array_end(json);
}

/* Those that are not the default, and the drained ones. */
static void write_weights(struct fl_json *json, const struct fl_plan_port *port)
{
	const uint8_t shown = FL_PLAN_IN_CLUSTER | FL_PLAN_IN_LOCAL | FL_PLAN_DRAINED;
	char text[FL_IP_PORT_STRLEN];

	fl_json_key(json, "weights");
	fl_json_object_begin(json);
	for (size_t i = 0; i < port->n_endpoints; i++) {
		const struct fl_plan_endpoint *endpoint = &port->endpoints[i];

		if (endpoint->flags & shown && endpoint->weight != FL_WEIGHT_DEFAULT)
			fl_json_member_uint(json,
					    fl_ip_port_format(&endpoint->ip, endpoint->port, text),
					    endpoint->weight);
	}
	fl_json_object_end(json);
}

static void write_verdicts(struct fl_json *json, const struct fl_plan_port *port)
{
	const struct {
		const char *key;
		enum fl_plan_verdict verdict;
	} clients[] = {
		{"clusterIP", port->cluster_ip},
		{"external", port->external},
		{"internalToExternal", port->internal_to_external},
	};

	fl_json_key(json, "verdicts");
	fl_json_object_begin(json);
	/* null: there is no such frontend */
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		fl_json_member_string(
			json, clients[i].key,
			fl_frontend_verdict_name(port->proto, (uint8_t)clients[i].verdict));
	fl_json_object_end(json);
}

static void write_port(struct fl_json *json, const struct fl_plan_port *port)
{
	fl_json_object_begin(json);
	fl_json_member_string(json, "namespace", port->ns);
	fl_json_member_string(json, "name", port->name);
	fl_json_member_string(json, "port", port->port_name);
	fl_json_member_string(json, "protocol", fl_proto_name(port->proto));
	fl_json_member_string(json, "family", fl_family_name(port->family));
	write_frontends(json, port);
	fl_json_member_string(json, "internalTrafficPolicy",
			      fl_traffic_policy_name(port->internal_local));
	fl_json_member_string(json, "externalTrafficPolicy",
			      fl_traffic_policy_name(port->external_local));
	write_affinity(json, port);
	write_ranges(json, port);
	fl_json_member_bool(json, "resetOnBackendRemoval", port->resets);
	fl_json_member_string(json, "forwarding", fl_forwarding_name(port->dsr));
	fl_json_member_bool(json, "usesClusterEndpoints", port->uses_cluster);
	fl_json_member_bool(json, "usesLocalEndpoints", port->uses_local);
	write_list(json, port, "clusterEndpoints", port->uses_cluster, FL_PLAN_IN_CLUSTER);
	write_list(json, port, "localEndpoints", port->uses_local, FL_PLAN_IN_LOCAL);
	write_weights(json, port);
	fl_json_member_bool(json, "hasAnyEndpoints", port->has_any);
	write_verdicts(json, port);
	fl_json_object_end(json);
}

struct plan_walk {
	struct fl_json *json;
	const struct fl_store *store;
	const struct fl_plan_options *options;
};

static int write_service(const struct fl_service *service, void *arg)
{
	const struct plan_walk *walk = arg;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	int rc = fl_plan_stored(walk->store, service->ns, service->name, walk->options, &plan);

	for (size_t i = 0; i < plan.n_ports; i++)
		write_port(walk->json, &plan.ports[i]);
	return rc;
}

int fl_plan_json(struct fl_json *json, const struct fl_store *store,
		 const struct fl_plan_options *options)
{
	struct plan_walk walk = {json, store, options};
	int rc;

	fl_json_object_begin(json);
	fl_json_member_string(json, "apiVersion", "fairlead.dev/v1");
	fl_json_member_string(json, "kind", "Plan");
	fl_json_member_string(json, "node", options->node_name);
	fl_json_member_string(json, "zone", options->zone ? options->zone : "");
	fl_json_key(json, "items");
	fl_json_array_begin(json);
	rc = fl_store_each_service(store, write_service, &walk);
	fl_json_array_end(json);
	fl_json_object_end(json);
	return rc;
}

int fl_plan_json_text(const struct fl_store *store, const struct fl_plan_options *options,
		      bool pretty, char **ret_text)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(pretty);
	const char *text;
	char *copy;

	if (!json || fl_plan_json(json, store, options))
		return -ENOMEM;
	text = fl_json_text(json, NULL);
	copy = text ? strdup(text) : NULL;
	if (!copy)
		return -ENOMEM;
	*ret_text = copy;
	return 0;
}
