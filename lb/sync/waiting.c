// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The lists of service ports that wait, and which of them is to be tried next. */
#include <assert.h>
#include <stdio.h>
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

static struct fl_waiting_list *list_of(struct fl_waiting *waiting,
				       const struct fl_sync_service_port *port)
{
	const struct fl_refusal *refusal = &port->refusal;
	const int wait = refusal->map < FL_SYNC_MAPS && refusal->error == -ENOSPC
				 ? (int)refusal->map
			 : refusal->error == -E2BIG ? FL_WAIT_PLAN
						    : FL_WAIT_TIME;

	return &waiting->lists[wait];
}

static void append(struct fl_waiting_list *list, struct fl_sync_service_port *port)
{
	port->prev_waiting = list->last;
	port->next_waiting = NULL;
	if (list->last)
		list->last->next_waiting = port;
	else
		list->first = port;
	list->last = port;
	list->n++;
}

static void take_out(struct fl_waiting_list *list, struct fl_sync_service_port *port)
{
	if (port->prev_waiting)
		port->prev_waiting->next_waiting = port->next_waiting;
	else
		list->first = port->next_waiting;
	if (port->next_waiting)
		port->next_waiting->prev_waiting = port->prev_waiting;
	else
		list->last = port->prev_waiting;
	list->n--;
}

/* `refusal` NULL: it does not wait. */
static void go_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
		  enum fl_stage_event event, const struct fl_refusal *refusal)
{
	const enum fl_stage next = fl_stage_after(port->stage, event);

	assert(next != FL_STAGES && fl_stage_waits(next) == (refusal != NULL));
	if (fl_stage_waits(port->stage)) {
		take_out(list_of(waiting, port), port);
		waiting->n--;
	}
	port->stage = next;
	if (next != FL_STAGE_NO_ROOM) {
		free(port->plan);
		port->plan = NULL;
	}
	if (refusal) {
		port->refusal = *refusal;
		append(list_of(waiting, port), port);
		waiting->n++;
	}
}

void fl_service_port_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			enum fl_stage_event event)
{
	go_on(waiting, port, event, NULL);
}

void fl_service_port_no_room(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			     const struct fl_refusal *refusal, int64_t created,
			     const struct fl_plan_port *plan)
{
	struct fl_plan_port *copy = plan_copy(port, plan);

	free(port->plan);
	/* without memory for the copy the port waits for its next change */
	port->plan = copy;
	port->plan_created = created;
	go_on(waiting, port, FL_EVENT_NO_ROOM, refusal);
}

void fl_service_port_refused(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			     const struct fl_refusal *refusal)
{
	go_on(waiting, port, FL_EVENT_REFUSED, refusal);
}

void fl_service_port_waits_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			      const struct fl_refusal *refusal)
{
	take_out(list_of(waiting, port), port);
	port->refusal = *refusal;
	append(list_of(waiting, port), port);
}

struct fl_sync_service_port *fl_waiting_rotate(struct fl_waiting_list *list)
{
	struct fl_sync_service_port *port = list->first;

	if (port && port->next_waiting) {
		take_out(list, port);
		append(list, port);
	}
	return port;
}

struct fl_sync_service_port *fl_waiting_next(struct fl_waiting *waiting, enum fl_sync_map map,
					     uint32_t used, int *looks)
{
	struct fl_waiting_list *list = &waiting->lists[map];

	if (used < list->used)
		list->to_look = list->n;
	list->used = used;
	if (list->to_look > list->n)
		list->to_look = list->n;
	for (; list->to_look && *looks > 0; --*looks) {
		struct fl_sync_service_port *port = fl_waiting_rotate(list);

		list->to_look--;
		if (used < port->refusal.used)
			return port;
	}
	return NULL;
}

const char *fl_refusal_text(const struct fl_refusal *refusal, char buf[static FL_REFUSAL_TEXT])
{
	const char *why = refusal->error == -ENOSPC ? "full" : strerror(-refusal->error);

	if (refusal->map < FL_SYNC_MAPS)
		snprintf(buf, FL_REFUSAL_TEXT, "map %s: %s", fl_sync_map_descs[refusal->map].name,
			 why);
	else
		snprintf(buf, FL_REFUSAL_TEXT, "%s",
			 refusal->error == -E2BIG ? "too many endpoints for one set" : why);
	return buf;
}
