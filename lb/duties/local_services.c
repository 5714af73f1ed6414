/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A record per Service that there is something to say of, and the ports in order. */
#include "lb/duties/local_services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

/* Service ports with a Local policy that have endpoints, but none here. */
struct without {
	size_t n[FL_FAMILIES][FL_LOCAL_POLICIES];
};

struct local_service {
	char *key; /* "ns/name" */
	char *ns, *name;
	struct fl_health_port health; /* port 0: none */
	struct without without;
	UT_hash_handle hh;
};

struct fl_local_services {
	struct local_service *records; /* by key */
	struct without without;	       /* sums */
	bool changed;
	struct fl_health_port *ports;
	size_t n_ports, ports_room;
	bool sorted; /* `ports` is as the records are */
};

int fl_local_services_new(struct fl_local_services **ret_services)
{
	struct fl_local_services *services = calloc(1, sizeof(*services));

	if (!services)
		return -ENOMEM;
	services->changed = true;
	*ret_services = services;
	return 0;
}

static void record_free(struct local_service *record)
{
	free(record->key);
	free(record->ns);
	free(record->name);
	free(record);
}

void fl_local_services_free(struct fl_local_services **services)
{
	struct fl_local_services *s = TAKE_PTR(*services);
	struct local_service *record, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->records, record, next) {
		HASH_DEL(s->records, record);
		record_free(record);
	}
	free(s->ports);
	free(s);
}

/* What the plan says, without names. */
static struct local_service judge(const struct fl_plan *plan)
{
	struct local_service record = {0};

	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct fl_plan_port *port = &plan->ports[i];
		size_t n_local = 0;

		for (size_t j = 0; j < port->n_endpoints; j++)
			n_local += (port->endpoints[j].flags & FL_PLAN_IN_LOCAL) != 0;
		if (port->uses_local && !n_local && port->has_any) {
			record.without.n[port->family][FL_LOCAL_INTERNAL] += port->internal_local;
			record.without.n[port->family][FL_LOCAL_EXTERNAL] += port->external_local;
		}
		if (!port->health_check_node_port)
			continue;
		record.health.port = port->health_check_node_port;
		record.health.families[port->family] = true;
		record.health.local_ready[port->family] = port->local_ready;
	}
	return record;
}

static bool is_empty(const struct local_service *record)
{
	size_t n = record->health.port;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		for (size_t policy = 0; policy < FL_LOCAL_POLICIES; policy++)
			n += record->without.n[family][policy];
	return !n;
}

static void account(struct fl_local_services *services, const struct local_service *record,
		    bool add)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		for (size_t policy = 0; policy < FL_LOCAL_POLICIES; policy++) {
			const size_t n = record->without.n[family][policy];

			services->without.n[family][policy] += add ? n : -n;
		}
}

static struct local_service *record_new(const char *key, const char *ns, const char *name)
{
	struct local_service *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->key = strdup(key);
	record->ns = strdup(ns);
	record->name = strdup(name);
	if (record->key && record->ns && record->name)
		return record;
	record_free(record);
	return NULL;
}

static void forget(struct fl_local_services *services, struct local_service *record)
{
	services->changed |= record->health.port != 0;
	services->sorted = false;
	account(services, record, false);
	HASH_DEL(services->records, record);
	record_free(record);
}

static void set(struct fl_local_services *services, struct local_service *record,
		const struct local_service *judged)
{
	const struct fl_health_port *now = &judged->health;
	struct fl_health_port *health = &record->health;

	services->changed |= health->port != now->port ||
			     memcmp(health->families, now->families, sizeof(now->families));
	services->sorted = false;
	account(services, record, false);
	*health = *now;
	health->ns = record->ns;
	health->name = record->name;
	record->without = judged->without;
	account(services, record, true);
}

void fl_local_services_plan(struct fl_local_services *services, const char *ns, const char *name,
			    const struct fl_plan *plan)
{
	const struct local_service judged = judge(plan);
	_cleanup_free_ char *key = NULL;
	struct local_service *record = NULL;

	if (asprintf(&key, "%s/%s", ns, name) < 0) {
		key = NULL;
		return;
	}
	HASH_FIND_STR(services->records, key, record);
	if (is_empty(&judged)) {
		if (record)
			forget(services, record);
		return;
	}
	if (!record) {
		record = record_new(key, ns, name);
		if (!record)
			return;
		HASH_ADD_KEYPTR(hh, services->records, record->key, strlen(record->key), record);
	}
	set(services, record, &judged);
}

bool fl_local_services_changed(struct fl_local_services *services)
{
	const bool changed = services->changed;

	services->changed = false;
	return changed;
}

static int compare(const void *a, const void *b)
{
	const struct fl_health_port *x = a, *y = b;
	int order = (x->port > y->port) - (x->port < y->port);

	if (!order)
		order = strcmp(x->ns, y->ns);
	return order ? order : strcmp(x->name, y->name);
}

static int sort(struct fl_local_services *services)
{
	const struct local_service *record;
	size_t n = 0, unique = 0;

	if (services->sorted)
		return 0;
	if (FL_ARRAY_ROOM(services->ports, services->ports_room, HASH_COUNT(services->records) + 1))
		return -ENOMEM;
	for (record = services->records; record; record = record->hh.next)
		if (record->health.port)
			services->ports[n++] = record->health;
	qsort(services->ports, n, sizeof(*services->ports), compare);
	for (size_t i = 0; i < n; i++)
		if (!unique || services->ports[unique - 1].port != services->ports[i].port)
			services->ports[unique++] = services->ports[i];
	services->n_ports = unique;
	services->sorted = true;
	return 0;
}

int fl_local_services_ports(struct fl_local_services *services,
			    const struct fl_health_port **ret_ports, size_t *ret_n)
{
	int r = sort(services);

	if (r)
		return r;
	*ret_ports = services->ports;
	*ret_n = services->n_ports;
	return 0;
}

static int compare_port(const void *key, const void *element)
{
	const uint16_t port = *(const uint16_t *)key;
	const struct fl_health_port *health = element;

	return (port > health->port) - (port < health->port);
}

const struct fl_health_port *fl_local_services_find(struct fl_local_services *services,
						    uint16_t port)
{
	if (sort(services) || !services->n_ports)
		return NULL;
	return bsearch(&port, services->ports, services->n_ports, sizeof(*services->ports),
		       compare_port);
}

size_t fl_local_services_without(const struct fl_local_services *services, enum fl_family family,
				 enum fl_local_policy policy)
{
	return services->without.n[family][policy];
}
