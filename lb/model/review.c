/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects that cannot mean what their author wanted. */
#include "lb/model/review.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/model/names.h"
#include "lb/model/plan_store.h"

static bool has_frontend(const struct fl_plan *plan)
{
	for (size_t i = 0; i < plan->n_ports; i++)
		if (plan->ports[i].n_frontends || plan->ports[i].n_lost)
			return true;
	return false;
}

static bool is_offered(const struct fl_slice *slice, const struct fl_plan_port *port)
{
	for (size_t i = 0; i < slice->n_ports; i++)
		if (slice->ports[i].proto == port->proto &&
		    !strcmp(slice->ports[i].name, port->port_name))
			return true;
	return false;
}

/* A slice with endpoints of the port's family, none of which has the port; NULL: one of them has,
 * or there are no endpoints, which is nobody's mistake. */
static const struct fl_slice *mismatch(const struct fl_plan_port *port,
				       const struct fl_slice *const *slices, size_t n_slices)
{
	const struct fl_slice *other = NULL;

	for (size_t i = 0; i < n_slices; i++) {
		if (slices[i]->family != port->family || !slices[i]->n_endpoints)
			continue;
		if (is_offered(slices[i], port))
			return NULL;
		other = slices[i];
	}
	return other;
}

static char *mismatch_text(const char *ns, const char *name, const struct fl_plan_port *port,
			   const struct fl_slice *slice)
{
	const struct fl_slice_port *has = slice->n_ports ? &slice->ports[0] : NULL;
	char *text;

	if (asprintf(&text,
		     "Service %s/%s: no EndpointSlice has a port \"%s\" (%s), so that nobody is "
		     "served there; %s has %s%s%s%s%s",
		     ns, name, port->port_name, fl_proto_name(port->proto), slice->name,
		     has ? "\"" : "no ports", has ? has->name : "", has ? "\" (" : "",
		     has ? fl_proto_name(has->proto) : "", has ? ")" : "") < 0)
		return NULL;
	return text;
}

static char *text_of(const char *format, const char *ns, const char *name)
	__attribute__((format(printf, 1, 0)));
static char *text_of(const char *format, const char *ns, const char *name)
{
	char *text;

	return asprintf(&text, format, ns, name) < 0 ? NULL : text;
}

/* The README says so of the protocol; nobody may have read it. */
static enum fl_finding find_unserved(const char *ns, const char *name, const struct fl_plan *plan,
				     char **ret_text)
{
	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct fl_plan_port *port = &plan->ports[i];

		if (fl_proto_is_served(port->proto) || !port->n_frontends)
			continue;
		if (asprintf(ret_text,
			     "Service %s/%s: %s is not balanced yet, so that packets to port %u "
			     "pass unchanged",
			     ns, name, fl_proto_name(port->proto), port->port) < 0)
			*ret_text = NULL;
		return FL_FINDING_NO_PROTOCOL;
	}
	return FL_FINDING_NONE;
}

/* Its clients get no answer from these endpoints. */
static enum fl_finding find_lost_node(const char *ns, const char *name, const struct fl_plan *plan,
				      char **ret_text)
{
	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct fl_plan_port *port = &plan->ports[i];

		if (!port->n_lost_nodes)
			continue;
		if (asprintf(ret_text,
			     "Service %s/%s: of %zu endpoints of port %u (%s, %s) the node's "
			     "address "
			     "is not known, so that DSR by Geneve cannot reach them",
			     ns, name, port->n_lost_nodes, port->port, fl_proto_name(port->proto),
			     fl_family_name(port->family)) < 0)
			*ret_text = NULL;
		return FL_FINDING_NO_NODE;
	}
	return FL_FINDING_NONE;
}

enum fl_finding fl_review(const char *ns, const char *name, const struct fl_service *service,
			  const struct fl_slice *const *slices, size_t n_slices,
			  const struct fl_plan *plan, char **ret_text)
{
	enum fl_finding finding;

	*ret_text = NULL;
	if (!service) {
		if (!n_slices)
			return FL_FINDING_NONE;
		*ret_text = text_of("EndpointSlices belong to Service %s/%s, which is not there",
				    ns, name);
		return FL_FINDING_NO_SERVICE;
	}
	/* headless ones and those of others are no Services to a node */
	if (!fl_plan_is_ours(service))
		return FL_FINDING_NONE;
	if (!has_frontend(plan)) {
		*ret_text = text_of("Service %s/%s has no cluster IP, external IP, load balancer "
				    "address or node port: nobody can reach it",
				    ns, name);
		return FL_FINDING_NO_FRONTEND;
	}
	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct fl_slice *slice = mismatch(&plan->ports[i], slices, n_slices);

		if (!slice || !fl_proto_is_served(plan->ports[i].proto))
			continue;
		*ret_text = mismatch_text(ns, name, &plan->ports[i], slice);
		return FL_FINDING_NO_PORT;
	}
	finding = find_lost_node(ns, name, plan, ret_text);
	return finding ? finding : find_unserved(ns, name, plan, ret_text);
}

struct each {
	const struct fl_store *store;
	const struct fl_plan_options *options;
	void (*fn)(enum fl_finding finding, const char *text, void *arg);
	void *arg;
};

static int review_one(const char *ns, const char *name, void *arg)
{
	struct each *each = arg;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	_cleanup_free_ char *text = NULL;
	const struct fl_slice *const *slices;
	enum fl_finding finding;
	size_t n;
	int r = fl_plan_stored(each->store, ns, name, each->options, &plan);

	if (r)
		return r;
	slices = fl_store_slices(each->store, ns, name, &n);
	finding = fl_review(ns, name, fl_store_service(each->store, ns, name), slices, n, &plan,
			    &text);
	if (finding && text)
		each->fn(finding, text, each->arg);
	return 0;
}

int fl_review_each(const struct fl_store *store, const struct fl_plan_options *options,
		   void (*fn)(enum fl_finding finding, const char *text, void *arg), void *arg)
{
	struct each each = {store, options, fn, arg};

	return fl_store_each_name(store, review_one, &each);
}
