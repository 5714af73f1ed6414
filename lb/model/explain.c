/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Why a service port is planned as it is. */
#include "lb/model/explain.h"

#include <stdio.h>
#include <stdlib.h>

#include "lb/base/cleanup.h"
#include "lb/model/conflict.h"
#include "lb/model/names.h"

static void put_frontends(FILE *out, const struct fl_plan_port *port)
{
	for (size_t i = 0; i < port->n_frontends; i++) {
		const struct fl_plan_frontend *frontend = &port->frontends[i];
		char buf[FL_IP_PORT_STRLEN];

		fprintf(out, "%s%s %s", i ? ", " : "",
			fl_frontend_format(&frontend->ip, frontend->port, buf),
			fl_frontend_type_name(frontend->type));
	}
	if (!port->n_frontends)
		fputs("no frontends", out);
}

static size_t count(const struct fl_plan_port *port, enum fl_plan_endpoint_flags list)
{
	size_t n = 0;

	for (size_t i = 0; i < port->n_endpoints; i++)
		n += !!(port->endpoints[i].flags & list);
	return n;
}

static void put_lists(FILE *out, const struct fl_plan_port *port)
{
	static const char *const by_hints[] = {
		[FL_PLAN_NO_HINTS] = "",
		[FL_PLAN_NODE_HINTS] = " by node hints",
		[FL_PLAN_ZONE_HINTS] = " by zone hints",
	};
	const struct fl_plan_reason *why = &port->reason;

	fprintf(out, "; endpoints %zu, ready %zu, on this node %zu", why->n_all, why->n_ready,
		why->n_on_node);
	if (why->n_drained)
		fprintf(out, ", drained %zu", why->n_drained);
	if (port->uses_cluster)
		fprintf(out, "; cluster list %zu%s%s", count(port, FL_PLAN_IN_CLUSTER),
			by_hints[why->hints],
			why->fallback ? " (none is ready: terminating ones that serve)" : "");
	if (port->uses_local)
		fprintf(out, "; local list %zu%s", count(port, FL_PLAN_IN_LOCAL),
			why->local_fallback ? " (none is ready: terminating ones that serve)" : "");
}

static const char *why_not(const struct fl_plan_port *port, enum fl_plan_verdict verdict,
			   bool local)
{
	if (!fl_proto_is_served(port->proto))
		return ""; /* the end of the line says why */
	if (verdict == FL_PLAN_REJECT)
		return " (no endpoint)";
	if (verdict == FL_PLAN_DROP)
		return local ? " (policy Local, none on this node)" : " (none in the list)";
	return local ? " (policy Local)" : "";
}

static void put_verdict(FILE *out, const struct fl_plan_port *port, const char *clients,
			enum fl_plan_verdict verdict, bool local)
{
	const char *name = fl_frontend_verdict_name(port->proto, (uint8_t)verdict);

	if (name)
		fprintf(out, "; %s: %s%s", clients, name, why_not(port, verdict, local));
}

char *fl_plan_explain(const struct fl_plan_port *port)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "%s/%s%s%s %s %s: ", port->ns, port->name, *port->port_name ? ":" : "",
		port->port_name, fl_proto_name(port->proto), fl_family_name(port->family));
	put_frontends(out, port);
	put_lists(out, port);
	put_verdict(out, port, "cluster IP", port->cluster_ip, port->internal_local);
	put_verdict(out, port, "external from outside", port->external, port->external_local);
	put_verdict(out, port, "external from pods and node", port->internal_to_external, false);
	if (port->n_source_ranges)
		fprintf(out, "; only from %zu source ranges", port->n_source_ranges);
	if (port->affinity)
		fprintf(out, "; a client stays with its endpoint for %u s",
			port->affinity_timeout_s);
	if (port->n_lost)
		fprintf(out, "; %zu frontends belong to an earlier port of this Service",
			port->n_lost);
	if (!fl_proto_is_served(port->proto))
		fputs("; the datapath does not balance this protocol", out);
	if (ferror(out) | fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
