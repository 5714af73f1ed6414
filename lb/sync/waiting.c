// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The list of service ports that wait for room. */
#include <assert.h>
#include <string.h>

#include "lb/sync/waiting.h"

/* One block; the strings are the port's own. */
static struct fl_plan_port *plan_copy(const struct fl_sync_service_port *port,
				      const struct fl_plan_port *plan)
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
	copy->ns = port->info.ns;
	copy->name = port->info.name;
	copy->port_name = port->info.port_name;
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

static void add(struct fl_waiting *waiting, struct fl_sync_service_port *port)
{
	port->prev_waiting = waiting->last;
	port->next_waiting = NULL;
	if (waiting->last)
		waiting->last->next_waiting = port;
	else
		waiting->first = port;
	waiting->last = port;
	waiting->n++;
}

static void del(struct fl_waiting *waiting, struct fl_sync_service_port *port)
{
	if (port->prev_waiting)
		port->prev_waiting->next_waiting = port->next_waiting;
	else
		waiting->first = port->next_waiting;
	if (port->next_waiting)
		port->next_waiting->prev_waiting = port->prev_waiting;
	else
		waiting->last = port->prev_waiting;
	waiting->n--;
}

void fl_service_port_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			enum fl_stage_event event)
{
	const bool waited = fl_stage_waits(port->stage);
	const enum fl_stage next = fl_stage_after(port->stage, event);

	assert(next != FL_STAGES);
	port->stage = next;
	if (next != FL_STAGE_NO_ROOM) {
		free(port->plan);
		port->plan = NULL;
	}
	if (waited == fl_stage_waits(next))
		return;
	if (waited)
		del(waiting, port);
	else
		add(waiting, port);
}

void fl_service_port_no_room(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			     int64_t created, const struct fl_plan_port *plan)
{
	struct fl_plan_port *copy = plan_copy(port, plan);

	free(port->plan);
	/* without memory for the copy the port waits for its next change */
	port->plan = copy;
	port->plan_created = created;
	fl_service_port_on(waiting, port, FL_EVENT_NO_ROOM);
}
