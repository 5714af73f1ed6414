// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Services and service ports by name; which stage follows which. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

#include "lb/base/array.h"
#include "lb/sync/contents.h"
#include "lb/sync/services.h"
#include "lb/sync/state_found.h"

#define FROM(stage) (1U << FL_STAGE_##stage)
#define FROM_ANY ((1U << FL_STAGES) - 1)

/* Where an event leads, and the stages in which it can happen. */
static const struct {
	enum fl_stage to;
	unsigned from;
} events[FL_STAGE_EVENTS] = {
	[FL_EVENT_PLANNED] = {FL_STAGE_READY, FROM_ANY},
	[FL_EVENT_SAME] = {FL_STAGE_IN_FORCE, FROM_ANY},
	[FL_EVENT_NO_ROOM] = {FL_STAGE_NO_ROOM, FROM_ANY},
	[FL_EVENT_DROPPED] = {FL_STAGE_LEAVING, FROM_ANY},
	[FL_EVENT_WRITTEN] = {FL_STAGE_IN_FORCE, FROM(READY)},
	[FL_EVENT_REFUSED] = {FL_STAGE_REFUSED, FROM(READY)},
	[FL_EVENT_RETRIED] = {FL_STAGE_READY, FROM(REFUSED) | FROM(NO_ROOM)},
};

enum fl_stage fl_stage_after(enum fl_stage stage, enum fl_stage_event event)
{
	return events[event].from & 1U << stage ? events[event].to : FL_STAGES;
}

uint32_t fl_service_hash(const char *ns, const char *name)
{
	return (uint32_t)XXH3_64bits_withSeed(name, strlen(name), XXH3_64bits(ns, strlen(ns)));
}

struct fl_sync_service *fl_service_find(const struct fl_services *services, uint32_t hash,
					const char *ns, const char *name)
{
	for (uint32_t step = 0, i;
	     (i = fl_index_next(&services->index, hash, &step)) != FL_INDEX_NONE;)
		if (!strcmp(services->all[i]->name, name) && !strcmp(services->all[i]->ns, ns))
			return services->all[i];
	return NULL;
}

struct fl_sync_service *fl_service_new(struct fl_services *services, uint32_t hash, const char *ns,
				       const char *name)
{
	const size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	struct fl_sync_service *service;

	if (fl_index_reserve(&services->index, 1) ||
	    FL_ARRAY_ROOM(services->all, services->cap, services->n + 1ULL))
		return NULL;
	service = malloc(sizeof(*service) + ns_len + name_len);
	if (!service)
		return NULL;
	*service = (struct fl_sync_service){.hash = hash};
	memcpy(service->ns, ns, ns_len);
	memcpy(service->ns + ns_len, name, name_len);
	service->name = service->ns + ns_len;
	service->at = services->n;
	fl_index_add(&services->index, hash, services->n);
	services->all[services->n++] = service;
	return service;
}

void fl_service_forget(struct fl_services *services, struct fl_sync_service *service)
{
	const uint32_t last = --services->n;
	struct fl_sync_service *moved = services->all[last];

	fl_index_del(&services->index, service->hash, service->at);
	if (moved != service) {
		fl_index_del(&services->index, moved->hash, last);
		fl_index_add(&services->index, moved->hash, service->at);
		moved->at = service->at;
		services->all[service->at] = moved;
	}
	free(service);
}

static bool port_is(const struct fl_sync_service_port *port, const struct fl_plan_port *plan)
{
	return port->info.proto == plan->proto && port->info.family == plan->family &&
	       !strcmp(port->info.port_name, plan->port_name);
}

struct fl_sync_service_port *fl_service_port_find(const struct fl_sync_service *service,
						  const struct fl_sync_service_port *after,
						  const struct fl_plan_port *plan)
{
	if (after && after->next && port_is(after->next, plan))
		return after->next;
	for (struct fl_sync_service_port *port = service->ports; port; port = port->next)
		if (port_is(port, plan))
			return port;
	return NULL;
}

/* After a restart: the state that was found for a frontend of this port, or NULL. */
static struct fl_state *find_state(const struct fl_contents *contents,
				   const struct fl_plan_port *plan)
{
	const struct fl_frontends *frontends = &contents->frontends;

	for (size_t i = 0; i < plan->n_frontends && contents->n_found; i++) {
		const struct fl_frontend_key key =
			fl_frontend_key_of(&plan->frontends[i], plan->proto);
		const uint32_t f = fl_table_find(&frontends->table, &key);
		const struct fl_holder *holder =
			f == FL_INDEX_NONE ? NULL : fl_frontend_at(frontends, f)->holders;

		/* one without a port is the first */
		if (holder && !holder->state->port && holder->type == plan->frontends[i].type)
			return holder->state;
	}
	return NULL;
}

bool fl_service_port_was_found(const struct fl_contents *contents, const struct fl_plan_port *plan)
{
	return find_state(contents, plan);
}

static int take_id(struct fl_contents *contents, struct fl_sync_service_port *port, int64_t created,
		   const struct fl_plan_port *plan)
{
	struct fl_state *found = find_state(contents, plan);
	struct fl_service_ids *ids = &contents->service_ids;
	const uint32_t wish = found ? found->found[0].value.service_id : 0;
	int rc = fl_service_id_take(ids, port, wish, &port->info.service_id);

	if (rc || !found)
		return rc;
	ids->all[wish].found = NULL;
	fl_state_take_over(contents, found, port, created);
	port->cur = found;
	return 0;
}

int fl_service_port_new(struct fl_services *services, struct fl_contents *contents,
			struct fl_sync_service *service, int64_t created,
			const struct fl_plan_port *plan, struct fl_sync_service_port **ret_port)
{
	const size_t len = strlen(plan->port_name) + 1;
	struct fl_sync_service_port *port = calloc(1, sizeof(*port) + len);
	int rc;

	if (!port)
		return -ENOMEM;
	memcpy(port->name, plan->port_name, len);
	port->service = service;
	port->info = (struct fl_service_port_info){
		.ns = service->ns,
		.name = service->name,
		.port_name = port->name,
		.proto = plan->proto,
		.family = plan->family,
	};
	rc = take_id(contents, port, created, plan);
	if (rc) {
		free(port);
		return rc;
	}
	if (service->last)
		service->last->next = port;
	else
		service->ports = port;
	service->last = port;
	services->n_ports[plan->family]++;
	*ret_port = port;
	return 0;
}

void fl_service_port_free(struct fl_services *services, struct fl_contents *contents,
			  struct fl_sync_service_port *port)
{
	struct fl_sync_service *service = port->service;
	struct fl_sync_service_port **at = &service->ports, *before = NULL;

	for (; *at != port; at = &(*at)->next)
		before = *at;
	*at = port->next;
	if (service->last == port)
		service->last = before;
	fl_service_id_drop(&contents->service_ids, port->info.service_id);
	services->n_ports[port->info.family]--;
	free(port->plan);
	free(port->lost);
	free(port);
	if (!service->ports)
		fl_service_forget(services, service);
}

void fl_services_fini(struct fl_services *services)
{
	for (uint32_t i = 0; i < services->n; i++) {
		struct fl_sync_service_port *port, *next;

		for (port = services->all[i]->ports; port; port = next) {
			next = port->next;
			fl_state_forget(port->cur);
			fl_state_forget(port->want);
			free(port->plan);
			free(port->lost);
			free(port);
		}
		free(services->all[i]);
	}
	free(services->all);
	fl_index_fini(&services->index);
}
