// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Service ports for which there was no room. When a port's state could not even be made (no backend
 * id, no lines), the plan is copied, so that it can be tried again without the caller; when a map
 * refused a write, the state itself is kept.
 */
#include <string.h>

#include "lb/sync/internal.h"

/* One block; the strings are the port's own. */
static struct fl_plan_port *plan_copy(const struct fl_port *port, const struct fl_plan_port *plan)
{
	const size_t frontends = plan->n_frontends * sizeof(*plan->frontends);
	const size_t endpoints = plan->n_endpoints * sizeof(*plan->endpoints);
	const size_t ranges = plan->n_source_ranges * sizeof(*plan->source_ranges);
	struct fl_plan_port *copy = malloc(sizeof(*copy) + frontends + endpoints + ranges);
	char *at = (char *)(copy + 1);

	if (!copy)
		return NULL;
	*copy = *plan;
	copy->lost = NULL; /* the port has them */
	copy->n_lost = 0;
	copy->ns = port->pub.ns;
	copy->name = port->pub.name;
	copy->port_name = port->pub.port_name;
	copy->frontends = (struct fl_plan_frontend *)at;
	copy->endpoints = (struct fl_plan_endpoint *)(at + frontends);
	copy->source_ranges = (struct fl_prefix *)(at + frontends + endpoints);
	if (frontends)
		memcpy(copy->frontends, plan->frontends, frontends);
	if (endpoints)
		memcpy(copy->endpoints, plan->endpoints, endpoints);
	if (ranges)
		memcpy(copy->source_ranges, plan->source_ranges, ranges);
	return copy;
}

void fl_port_failed(struct fl_sync *sync, struct fl_port *port, bool failed)
{
	if (!failed) {
		free(port->refused);
		port->refused = NULL;
	}
	if (port->failed == failed)
		return;
	port->failed = failed;
	if (failed) {
		port->prev_failed = NULL;
		port->next_failed = sync->failed;
		if (sync->failed)
			sync->failed->prev_failed = port;
		sync->failed = port;
		sync->n_failed++;
		return;
	}
	if (port->prev_failed)
		port->prev_failed->next_failed = port->next_failed;
	else
		sync->failed = port->next_failed;
	if (port->next_failed)
		port->next_failed->prev_failed = port->prev_failed;
	sync->n_failed--;
}

void fl_port_refused(struct fl_sync *sync, struct fl_port *port, int64_t created,
		     const struct fl_plan_port *plan)
{
	struct fl_plan_port *copy = plan_copy(port, plan);

	free(port->refused);
	/* without memory for the copy the port waits for its next change */
	port->refused = copy;
	port->refused_created = created;
	fl_port_failed(sync, port, true);
}

/*
 * Make ready what can be tried again: at most `max` ports, out of the first `tries`. Returns how
 * many, or -errno if none could.
 */
int fl_ports_revive(struct fl_sync *sync, int max, int tries)
{
	struct fl_port *next;
	int n = 0, rc = 0, first = 0;

	for (struct fl_port *port = sync->failed; port && n < max && tries-- > 0; port = next) {
		next = port->next_failed;
		rc = 0;
		if (!port->want && port->refused)
			rc = fl_state_new(sync, port, port->refused_created, port->refused,
					  &port->want);
		if (!rc && port->want)
			rc = fl_port_pend(sync, port);
		if (rc)
			first = first ? first : rc;
		else
			n += !!port->want;
	}
	return n ? n : first;
}

void fl_sync_each_refused(const struct fl_sync *sync,
			  void (*fn)(const struct fl_sync_port *port, void *arg), void *arg)
{
	for (const struct fl_port *port = sync->failed; port; port = port->next_failed)
		fn(&port->pub, arg);
}
