/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One Service as this node must serve it: effective policies, lists, verdicts (sections 1, 3, 5
 * and 6.1). */
#include "lb/model/plan.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/model/endpoints.h"
#include "lb/model/frontends.h"

#define AFFINITY_TIMEOUT_S 10800 /* rule 1.19: when the Service does not say */

/* Local ready addresses of the Service so far (rule 6.1.6: its health check counts each once). */
struct addresses {
	struct fl_ip *v;
	size_t n, room;
};

struct work {
	const struct fl_service *service;
	const struct fl_slice *const *slices;
	size_t n_slices;
	const struct fl_plan_options *options;
	bool external_local; /* effective */
	struct fl_candidates candidates;
	struct addresses local_ready[FL_FAMILIES];
};

static void work_fini(struct work *work)
{
	fl_candidates_fini(&work->candidates);
	for (int family = 0; family < FL_FAMILIES; family++)
		free(work->local_ready[family].v);
}

bool fl_plan_is_ours(const struct fl_service *service)
{
	return !service->headless && !service->other_proxy &&
	       service->type != FL_SERVICE_EXTERNAL_NAME;
}

/* Rule 1.17: policy Local means something only where something comes from outside. */
static bool effective_external_local(const struct fl_service *service,
				     const struct fl_plan_options *options)
{
	if (!service->external_local)
		return false;
	return service->type == FL_SERVICE_LOAD_BALANCER || service->type == FL_SERVICE_NODE_PORT ||
	       (service->n_external_ips && !options->no_external_ips);
}

static int collect_local_ready(const struct fl_candidates *candidates, struct addresses *addresses)
{
	for (size_t i = 0; i < candidates->n; i++) {
		const struct fl_candidate *candidate = &candidates->v[i];

		/* a drained one is no reason to send connections to this node */
		if (!candidate->on_node || !candidate->endpoint->ready || !candidate->weight)
			continue;
		if (FL_ARRAY_ROOM(addresses->v, addresses->room, addresses->n + 1))
			return -ENOMEM;
		addresses->v[addresses->n++] = candidate->endpoint->ip;
	}
	return 0;
}

static int compare_ips(const void *a, const void *b)
{
	return fl_ip_cmp(a, b);
}

static size_t count_distinct(struct addresses *addresses)
{
	size_t distinct = 0;

	if (addresses->n > 1)
		qsort(addresses->v, addresses->n, sizeof(*addresses->v), compare_ips);
	for (size_t i = 0; i < addresses->n; i++)
		distinct += !i || !fl_ip_equal(&addresses->v[i - 1], &addresses->v[i]);
	return distinct;
}

/*
 * A cell of table 5.7: an empty list while others exist is silence, nothing anywhere is a refusal.
 */
static enum fl_plan_verdict verdict(const struct fl_plan_port *port, uint8_t list)
{
	if (!port->has_any)
		return FL_PLAN_REJECT;
	for (size_t i = 0; i < port->n_endpoints; i++) {
		if (port->endpoints[i].flags & list)
			return FL_PLAN_FORWARD;
	}
	return FL_PLAN_DROP;
}

static void judge(struct fl_plan_port *port, bool has_cluster_ip, bool has_external)
{
	if (has_cluster_ip)
		port->cluster_ip =
			verdict(port, port->internal_local ? FL_PLAN_IN_LOCAL : FL_PLAN_IN_CLUSTER);
	if (has_external) {
		port->external =
			verdict(port, port->external_local ? FL_PLAN_IN_LOCAL : FL_PLAN_IN_CLUSTER);
		port->internal_to_external = verdict(port, FL_PLAN_IN_CLUSTER);
	}
}

static bool is_dsr(const struct fl_service *service, uint8_t proto,
		   const struct fl_plan_options *options)
{
	const enum fl_forwarding mode = service->forwarding != FL_FORWARDING_AS_SET
						? service->forwarding
						: options->forwarding;

	return (mode == FL_FORWARDING_DSR && (proto == IPPROTO_TCP || proto == IPPROTO_UDP)) ||
	       (mode == FL_FORWARDING_HYBRID && proto == IPPROTO_TCP);
}

static void port_fini(struct fl_plan_port *port)
{
	free(port->frontends);
	free(port->lost);
	free(port->source_ranges);
	free(port->endpoints);
}

static int plan_port(struct work *work, const struct fl_port_overlap *overlap,
		     enum fl_family family, struct fl_plan_port *port)
{
	const struct fl_service *service = work->service;
	bool has_cluster_ip = false, has_external = false;
	int rc;

	*port = (struct fl_plan_port){
		.ns = service->ns,
		.name = service->name,
		.port_name = overlap->port->name,
		.proto = overlap->port->proto,
		.family = family,
		.port = overlap->port->port,
		.internal_local = service->internal_local,
		.external_local = work->external_local,
		.affinity = service->affinity,
		.dsr = is_dsr(service, overlap->port->proto, work->options),
		.resets = overlap->port->proto == IPPROTO_TCP &&
			  (service->reset == FL_RESET_ON ||
			   (service->reset == FL_RESET_AS_SET && work->options->reset_removed)),
	};
	if (port->affinity)
		port->affinity_timeout_s = service->affinity_timeout_s ? service->affinity_timeout_s
								       : AFFINITY_TIMEOUT_S;
	/* rule 6.1.1: only a load balancer with policy Local is health checked */
	if (service->type == FL_SERVICE_LOAD_BALANCER && port->external_local)
		port->health_check_node_port = service->health_check_node_port;
	rc = fl_frontends_plan(service, overlap, work->options, port);
	if (!rc)
		rc = fl_source_ranges_plan(service, work->options, port);
	if (rc)
		return rc;
	for (size_t i = 0; i < port->n_frontends; i++) {
		if (port->frontends[i].type == FL_PLAN_CLUSTER_IP)
			has_cluster_ip = true;
		else
			has_external = true; /* rule 2.8: in this family */
	}
	/* rule 3.2.1: pods and the node reach external frontends through the cluster list */
	port->uses_cluster = !port->internal_local || has_external;
	port->uses_local = port->internal_local || (port->external_local && has_external);

	rc = fl_candidates_gather(&work->candidates, work->slices, work->n_slices, family,
				  port->port_name, port->proto, work->options);
	if (!rc)
		rc = collect_local_ready(&work->candidates, &work->local_ready[family]);
	if (!rc)
		rc = fl_endpoints_choose(&work->candidates, work->options, port);
	if (!rc)
		judge(port, has_cluster_ip, has_external);
	return rc;
}

/* A port that nothing leads to, since the Service has no address of the family, is none. */
static void drop_last_without_frontends(struct fl_plan *plan)
{
	struct fl_plan_port *port = &plan->ports[plan->n_ports - 1];

	if (port->n_frontends || port->n_lost)
		return;
	port_fini(port);
	plan->n_ports--;
}

/* Whether anything of a family is in the Service's own addresses or among its endpoints. */
static bool knows_family(const struct work *work, enum fl_family family)
{
	const struct fl_service *service = work->service;

	for (size_t i = 0; i < service->n_external_ips; i++)
		if (fl_ip_family(&service->external_ips[i]) == family)
			return true;
	for (size_t i = 0; i < service->n_ingress; i++)
		if (service->ingress[i].has_ip && fl_ip_family(&service->ingress[i].ip) == family)
			return true;
	for (size_t i = 0; i < work->n_slices; i++)
		if (work->slices[i]->family == family)
			return true;
	return false;
}

/*
 * Rule 1.13: a Service has the families of its ClusterIPs. One that has none, which no API server
 * has completed, has those of spec.ipFamilies; without that what it names tells, and IPv4 if it
 * names nothing.
 */
static bool has_family(const struct work *work, enum fl_family family)
{
	const struct fl_service *service = work->service;

	if (service->has_cluster_ip[family])
		return fl_frontend_address_ok(&service->cluster_ip[family]);
	if (service->families[FL_IPV4] || service->families[FL_IPV6])
		return service->families[family];
	if (service->has_cluster_ip[FL_IPV4] || service->has_cluster_ip[FL_IPV6])
		return false;
	return knows_family(work, family) || (family == FL_IPV4 && !knows_family(work, FL_IPV6));
}

static int plan_ports(struct work *work, const struct fl_port_overlap *overlaps,
		      struct fl_plan *plan)
{
	const struct fl_service *service = work->service;
	size_t local_ready[FL_FAMILIES];

	for (size_t i = 0; i < service->n_ports; i++) {
		for (int family = 0; family < FL_FAMILIES; family++) {
			int rc;

			if (overlaps[i].replaced || !has_family(work, family))
				continue;
			/* counted first: fl_plan_fini() frees what a failure leaves behind */
			rc = plan_port(work, &overlaps[i], family, &plan->ports[plan->n_ports++]);
			if (rc)
				return rc;
			drop_last_without_frontends(plan);
		}
	}
	for (int family = 0; family < FL_FAMILIES; family++)
		local_ready[family] = count_distinct(&work->local_ready[family]);
	for (size_t i = 0; i < plan->n_ports; i++)
		plan->ports[i].local_ready = local_ready[plan->ports[i].family];
	return 0;
}

int fl_plan_service(const struct fl_service *service, const struct fl_slice *const *slices,
		    size_t n_slices, const struct fl_plan_options *options,
		    struct fl_plan *ret_plan)
{
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	_cleanup_free_ struct fl_port_overlap *overlaps = NULL;
	_cleanup_(work_fini) struct work work = {
		.service = service,
		.slices = slices,
		.n_slices = n_slices,
		.options = options,
		.external_local = effective_external_local(service, options),
	};

	if (fl_plan_is_ours(service) && service->n_ports) {
		plan.ports = malloc(service->n_ports * FL_FAMILIES * sizeof(*plan.ports));
		if (!plan.ports || fl_port_overlaps(service, &overlaps) ||
		    plan_ports(&work, overlaps, &plan))
			return -ENOMEM;
	}
	*ret_plan = plan;
	plan = (struct fl_plan){0};
	return 0;
}

void fl_plan_fini(struct fl_plan *plan)
{
	for (size_t i = 0; i < plan->n_ports; i++)
		port_fini(&plan->ports[i]);
	free(plan->ports);
	*plan = (struct fl_plan){0};
}
