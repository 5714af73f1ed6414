/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which endpoints a service port has, and which of them each traffic policy may use (sections 3 and
 * 4). */
#include "lb/model/endpoints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/model/nodes.h"

/* Addresses that would turn a Service into a way around the node's defences, or nowhere. */
static bool may_be_backend(const struct fl_ip *ip)
{
	return !fl_ip_is_loopback(ip) && !fl_ip_is_link_local(ip) && !fl_ip_is_multicast(ip) &&
	       !fl_ip_is_unspecified(ip);
}

static char *put_decimal(char *to, unsigned int value)
{
	char digits[8];
	int n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (n)
		*to++ = digits[--n];
	return to;
}

/* What fl_ip_port_format() writes; IPv4 by hand, because this is most of the cost of planning. */
static void put_text(const struct fl_ip *ip, uint16_t port, char buf[static FL_IP_PORT_STRLEN])
{
	char *to = buf;

	if (fl_ip_family(ip) != FL_IPV4) {
		fl_ip_port_format(ip, port, buf);
		return;
	}
	for (int i = 12; i < 16; i++) {
		to = put_decimal(to, ip->b[i]);
		*to++ = i < 15 ? '.' : ':';
	}
	*put_decimal(to, port) = '\0';
}

static int add_slice(struct fl_candidates *candidates, const struct fl_slice *slice,
		     const struct fl_slice_port *port, const struct fl_plan_options *options)
{
	if (slice->n_endpoints &&
	    FL_ARRAY_ROOM(candidates->v, candidates->room, candidates->n + slice->n_endpoints))
		return -ENOMEM;
	for (size_t i = 0; i < slice->n_endpoints; i++) {
		const struct fl_endpoint *endpoint = &slice->endpoints[i];
		struct fl_candidate *candidate = &candidates->v[candidates->n];

		if (fl_ip_family(&endpoint->ip) != slice->family || !may_be_backend(&endpoint->ip))
			continue;
		*candidate = (struct fl_candidate){
			.endpoint = endpoint,
			.slice = slice,
			.port = port->port,
			.weight = fl_drains_find(options->drains, &endpoint->ip, port->port,
						 port->proto)
					  ? 0
					  : endpoint->weight,
			.on_node = *endpoint->node_name &&
				   !strcmp(endpoint->node_name, options->node_name),
		};
		put_text(&endpoint->ip, port->port, candidate->text);
		candidates->n++;
	}
	return 0;
}

/*
 * By text; copies of one ip:port in the order in which they are preferred (rule 4.8): not
 * terminating, ready, serving, newest. The rest only makes the order total, so that it does not
 * depend on arrival.
 */
static int compare_candidates(const void *va, const void *vb)
{
	const struct fl_candidate *a = va, *b = vb;
	const struct fl_endpoint *ea = a->endpoint, *eb = b->endpoint;
	int rc = strcmp(a->text, b->text);

	if (rc)
		return rc;
	if (ea->terminating != eb->terminating)
		return ea->terminating ? 1 : -1;
	if (ea->ready != eb->ready)
		return ea->ready ? -1 : 1;
	if (ea->serving != eb->serving)
		return ea->serving ? -1 : 1;
	if (a->slice->version != b->slice->version)
		return a->slice->version > b->slice->version ? -1 : 1;
	if (a->slice != b->slice)
		return strcmp(a->slice->name, b->slice->name);
	return ea < eb ? -1 : ea > eb;
}

static void drop_duplicates(struct fl_candidates *candidates)
{
	size_t unique = 0;

	for (size_t i = 0; i < candidates->n; i++) {
		if (unique && !strcmp(candidates->v[unique - 1].text, candidates->v[i].text))
			continue;
		if (unique != i)
			candidates->v[unique] = candidates->v[i];
		unique++;
	}
	candidates->n = unique;
}

int fl_candidates_gather(struct fl_candidates *candidates, const struct fl_slice *const *slices,
			 size_t n_slices, enum fl_family family, const char *port_name,
			 uint8_t proto, const struct fl_plan_options *options)
{
	candidates->n = 0;
	for (size_t i = 0; i < n_slices; i++) {
		const struct fl_slice *slice = slices[i];

		if (slice->family != family)
			continue;
		for (size_t j = 0; j < slice->n_ports; j++) {
			const struct fl_slice_port *port = &slice->ports[j];

			if (port->proto != proto || !port->port || strcmp(port->name, port_name))
				continue;
			if (add_slice(candidates, slice, port, options))
				return -ENOMEM;
		}
	}
	if (candidates->n > 1) {
		qsort(candidates->v, candidates->n, sizeof(*candidates->v), compare_candidates);
		drop_duplicates(candidates);
	}
	return 0;
}

void fl_candidates_fini(struct fl_candidates *candidates)
{
	free(candidates->v);
	*candidates = (struct fl_candidates){0};
}

/* Rule 3.3: terminating, but it still serves. */
static bool is_fallback(const struct fl_endpoint *endpoint)
{
	return !endpoint->ready && endpoint->serving && endpoint->terminating;
}

static bool names(struct fl_hints hints, const char *name)
{
	for (; hints.n; hints.n--, hints.first = fl_hint_next(hints.first))
		if (!strcmp(hints.first, name))
			return true;
	return false;
}

static bool is_hinted(const struct fl_endpoint *endpoint, enum fl_plan_hints mode,
		      const struct fl_plan_options *options)
{
	switch (mode) {
	case FL_PLAN_NODE_HINTS:
		return names(fl_endpoint_node_hints(endpoint), options->node_name);
	case FL_PLAN_ZONE_HINTS:
		return names(fl_endpoint_zone_hints(endpoint), options->zone);
	default:
		return true;
	}
}

/* What the ready, and failing these the terminating, endpoints have in common. */
struct survey {
	size_t n_ready, n_on_node, n_drained;
	bool any_ready, any_fallback;
	bool local_ready, local_fallback;
	enum fl_plan_hints mode;
};

static struct survey take_survey(const struct fl_candidates *candidates,
				 const struct fl_plan_options *options)
{
	bool node_mode = options->node_hints, node_named = false;
	bool zone_mode = options->zone && *options->zone, zone_named = false;
	struct survey survey = {0};

	for (size_t i = 0; i < candidates->n; i++) {
		const struct fl_candidate *candidate = &candidates->v[i];
		const struct fl_endpoint *endpoint = candidate->endpoint;

		survey.n_on_node += candidate->on_node;
		survey.n_ready += endpoint->ready;
		/* for new connections a drained endpoint is as one that is not there */
		if (!candidate->weight) {
			survey.n_drained += endpoint->ready || is_fallback(endpoint);
			continue;
		}
		if (is_fallback(endpoint)) {
			survey.any_fallback = true;
			survey.local_fallback |= candidate->on_node;
		}
		if (!endpoint->ready)
			continue;
		survey.any_ready = true;
		survey.local_ready |= candidate->on_node;
		/* one ready endpoint without hints of a kind switches that kind off */
		node_mode &= endpoint->n_node_hints > 0;
		zone_mode &= endpoint->n_zone_hints > 0;
		node_named |= node_mode && is_hinted(endpoint, FL_PLAN_NODE_HINTS, options);
		zone_named |= zone_mode && is_hinted(endpoint, FL_PLAN_ZONE_HINTS, options);
	}
	if (node_mode && node_named)
		survey.mode = FL_PLAN_NODE_HINTS;
	else if (zone_mode && zone_named)
		survey.mode = FL_PLAN_ZONE_HINTS;
	return survey;
}

static uint8_t choose(const struct fl_candidate *candidate, const struct survey *survey,
		      const struct fl_plan_port *port, const struct fl_plan_options *options)
{
	const struct fl_endpoint *endpoint = candidate->endpoint;
	uint8_t flags = 0;

	if (candidate->on_node)
		flags |= FL_PLAN_ON_NODE;
	if (endpoint->serving)
		flags |= FL_PLAN_SERVING;
	if (!candidate->weight)
		return endpoint->ready || is_fallback(endpoint) ? flags | FL_PLAN_DRAINED : flags;
	/* a hint mode is on only if it leaves some ready endpoint, so "none ready" decides the
	 * fallback */
	if (port->uses_cluster &&
	    (survey->any_ready ? endpoint->ready && is_hinted(endpoint, survey->mode, options)
			       : is_fallback(endpoint)))
		flags |= FL_PLAN_IN_CLUSTER;
	if (port->uses_local && candidate->on_node &&
	    (survey->local_ready ? endpoint->ready : is_fallback(endpoint)))
		flags |= FL_PLAN_IN_LOCAL;
	return flags;
}

/* Where DSR sends an endpoint's packets if not to itself; NULL: nowhere else. */
static const struct fl_ip *node_of(const struct fl_candidate *candidate,
				   const struct fl_plan_options *options,
				   const struct fl_plan_port *port)
{
	if (!options->nodes || candidate->on_node)
		return NULL;
	return fl_nodes_address(options->nodes, candidate->endpoint->node_name, port->family);
}

int fl_endpoints_choose(const struct fl_candidates *candidates,
			const struct fl_plan_options *options, struct fl_plan_port *port)
{
	const uint8_t lists = FL_PLAN_IN_CLUSTER | FL_PLAN_IN_LOCAL;
	const uint8_t keep = lists | FL_PLAN_SERVING | FL_PLAN_DRAINED;
	struct survey survey = take_survey(candidates, options);
	_cleanup_free_ struct fl_plan_endpoint *endpoints = NULL;
	size_t n = 0;

	port->has_any = survey.any_ready || survey.any_fallback;
	port->reason = (struct fl_plan_reason){
		.n_all = candidates->n,
		.n_ready = survey.n_ready,
		.n_on_node = survey.n_on_node,
		.n_drained = survey.n_drained,
		.hints = survey.mode,
		.fallback = !survey.any_ready && survey.any_fallback,
		.local_fallback = !survey.local_ready && survey.local_fallback,
	};
	if (!candidates->n)
		return 0;
	endpoints = malloc(candidates->n * sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < candidates->n; i++) {
		const struct fl_candidate *candidate = &candidates->v[i];
		uint8_t flags = choose(candidate, &survey, port, options);
		const struct fl_ip *node = node_of(candidate, options, port);

		if (!(flags & keep))
			continue;
		endpoints[n] = (struct fl_plan_endpoint){
			.ip = candidate->endpoint->ip,
			.port = candidate->port,
			.flags = flags,
			.weight = flags & lists ? candidate->weight : 0,
		};
		if (node)
			endpoints[n].node = *node;
		else if (options->nodes && port->dsr && flags & lists && !candidate->on_node)
			port->n_lost_nodes++;
		n++;
	}
	port->endpoints = TAKE_PTR(endpoints);
	port->n_endpoints = n;
	return 0;
}
