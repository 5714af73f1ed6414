// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Services and their ports, found by name: a plan is compared with what each port has, and what
 * differs becomes the port's wanted state, pending until the commit.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/sync/internal.h"

static uint32_t owner_hash(const char *ns, const char *name)
{
	return (uint32_t)XXH3_64bits_withSeed(name, strlen(name), XXH3_64bits(ns, strlen(ns)));
}

static struct fl_owner *owner_find(const struct fl_sync *sync, uint32_t hash, const char *ns,
				   const char *name)
{
	for (uint32_t step = 0, i;
	     (i = fl_index_next(&sync->owner_index, hash, &step)) != FL_INDEX_NONE;)
		if (!strcmp(sync->owners[i]->name, name) && !strcmp(sync->owners[i]->ns, ns))
			return sync->owners[i];
	return NULL;
}

static struct fl_owner *owner_new(struct fl_sync *sync, uint32_t hash, const char *ns,
				  const char *name)
{
	const size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	struct fl_owner *owner;

	if (fl_index_reserve(&sync->owner_index, 1) ||
	    fl_grow(&sync->owners, &sync->cap_owners, sync->n_owners + 1ULL,
		    sizeof(struct fl_owner *)))
		return NULL;
	owner = malloc(sizeof(*owner) + ns_len + name_len);
	if (!owner)
		return NULL;
	*owner = (struct fl_owner){.hash = hash};
	memcpy(owner->ns, ns, ns_len);
	memcpy(owner->ns + ns_len, name, name_len);
	owner->name = owner->ns + ns_len;
	owner->at = sync->n_owners;
	fl_index_add(&sync->owner_index, hash, sync->n_owners);
	sync->owners[sync->n_owners++] = owner;
	return owner;
}

static void owner_free(struct fl_sync *sync, struct fl_owner *owner)
{
	const uint32_t last = --sync->n_owners;
	struct fl_owner *moved = sync->owners[last];

	fl_index_del(&sync->owner_index, owner->hash, owner->at);
	if (moved != owner) {
		fl_index_del(&sync->owner_index, moved->hash, last);
		fl_index_add(&sync->owner_index, moved->hash, owner->at);
		moved->at = owner->at;
		sync->owners[owner->at] = moved;
	}
	free(owner);
}

static bool port_is(const struct fl_port *port, const struct fl_plan_port *plan)
{
	return port->pub.proto == plan->proto && port->pub.family == plan->family &&
	       !strcmp(port->pub.port_name, plan->port_name);
}

/* `hint`: where the last one was found; plans come in the same order each time. */
static struct fl_port *port_find(const struct fl_owner *owner, const struct fl_port *hint,
				 const struct fl_plan_port *plan)
{
	if (hint && hint->next && port_is(hint->next, plan))
		return hint->next;
	for (struct fl_port *port = owner->ports; port; port = port->next)
		if (port_is(port, plan))
			return port;
	return NULL;
}

/* After a restart: the id under which the maps know a frontend of this port, or 0. */
static uint32_t port_known_as(const struct fl_sync *sync, const struct fl_plan_port *plan)
{
	if (sync->settled)
		return 0;
	for (size_t i = 0; i < plan->n_frontends; i++) {
		const struct fl_plan_frontend *frontend = &plan->frontends[i];
		const struct fl_frontend_key key = fl_front_key(frontend, plan->proto);
		const struct fl_front *front;
		uint32_t f;

		f = fl_front_find(sync, &key);
		if (f == FL_INDEX_NONE)
			continue;
		front = &sync->fronts.all[f];
		if (front->adopted && front->value.type == frontend->type &&
		    !fl_service_id_owned(sync, front->value.service_id))
			return front->value.service_id;
	}
	return 0;
}

/* Appended to the Service's ports, so that they stay in the order of the plan. */
static int port_new(struct fl_sync *sync, struct fl_owner *owner, const struct fl_plan_port *plan,
		    struct fl_port **ret_port)
{
	const size_t len = strlen(plan->port_name) + 1;
	struct fl_port *port = calloc(1, sizeof(*port) + len);
	int rc;

	if (!port)
		return -ENOMEM;
	memcpy(port->name, plan->port_name, len);
	port->owner = owner;
	port->pub = (struct fl_sync_port){
		.ns = owner->ns,
		.name = owner->name,
		.port_name = port->name,
		.proto = plan->proto,
		.family = plan->family,
	};
	rc = fl_service_id_take(sync, port, port_known_as(sync, plan));
	if (rc) {
		free(port);
		return rc;
	}
	if (owner->last)
		owner->last->next = port;
	else
		owner->ports = port;
	owner->last = port;
	sync->n_ports++;
	*ret_port = port;
	return 0;
}

void fl_port_free(struct fl_sync *sync, struct fl_port *port)
{
	struct fl_owner *owner = port->owner;
	struct fl_port **at = &owner->ports, *before = NULL;

	for (; *at != port; at = &(*at)->next)
		before = *at;
	*at = port->next;
	if (owner->last == port)
		owner->last = before;
	fl_port_failed(sync, port, false);
	fl_service_id_drop(sync, port->pub.service_id);
	sync->n_ports--;
	sync->conflicts_changed |= !!port->n_lost;
	free(port->lost);
	free(port);
	if (!owner->ports)
		owner_free(sync, owner);
}

int fl_port_pend(struct fl_sync *sync, struct fl_port *port)
{
	int rc;

	if (port->pending)
		return 0;
	rc = fl_grow(&sync->pending, &sync->cap_pending, sync->n_pending + 1ULL,
		     sizeof(struct fl_port *));
	if (rc)
		return rc;
	port->pending = true;
	sync->pending[sync->n_pending++] = port;
	return 0;
}

/* What it lost to other ports of its Service is only told. */
static int port_lost(struct fl_sync *sync, struct fl_port *port, const struct fl_plan_port *plan)
{
	const size_t size = plan->n_lost * sizeof(*plan->lost);
	struct fl_plan_frontend *lost = NULL;

	if (plan->n_lost) {
		lost = malloc(size);
		if (!lost)
			return -ENOMEM;
		memcpy(lost, plan->lost, size);
	}
	sync->conflicts_changed |= plan->n_lost || port->n_lost;
	free(port->lost);
	port->lost = lost;
	port->n_lost = plan->n_lost;
	return 0;
}

static int port_plan(struct fl_sync *sync, struct fl_port *port, int64_t created,
		     const struct fl_plan_port *plan)
{
	struct fl_state *want = NULL;
	int rc = fl_port_pend(sync, port);

	if (!rc)
		rc = port_lost(sync, port, plan);
	if (!rc)
		rc = fl_state_new(sync, port, created, plan, &want);
	port->remove = false;
	/* only now, so that what both need was never without a reference */
	fl_state_free(sync, &port->want);
	if (rc) {
		fl_port_refused(sync, port, created, plan);
		return rc;
	}
	if (port->cur && fl_state_equal(port->cur, want)) {
		fl_state_free(sync, &want);
		fl_port_failed(sync, port, false);
		return 0;
	}
	port->want = want;
	free(port->refused);
	port->refused = NULL;
	return 0;
}

static int owner_plan(struct fl_sync *sync, struct fl_owner *owner, int64_t created,
		      const struct fl_plan *plan, struct fl_err *err)
{
	struct fl_port *port = NULL;
	int first = 0, rc;

	for (struct fl_port *p = owner->ports; p; p = p->next)
		p->seen = false;
	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct fl_plan_port *wanted = &plan->ports[i];
		struct fl_port *found = port_find(owner, port, wanted);

		rc = found ? 0 : port_new(sync, owner, wanted, &found);
		/* of two ports with one name the first counts */
		if (!rc && found->seen)
			continue;
		if (!rc) {
			port = found;
			port->seen = true;
			rc = port_plan(sync, port, created, wanted);
		}
		if (rc && !first)
			first = fl_err_set(err, rc == -E2BIG ? -ENOSPC : rc,
					   "%s/%s port \"%s\": %s", owner->ns, owner->name,
					   wanted->port_name,
					   rc == -ENOSPC  ? "map backends or lines: full"
					   : rc == -E2BIG ? "too many endpoints for one set"
							  : strerror(-rc));
	}
	for (port = owner->ports; port; port = port->next) {
		if (port->seen)
			continue;
		rc = fl_port_pend(sync, port);
		port->remove = !rc;
		if (rc && !first)
			first = fl_err_set(err, rc, "%s/%s: out of memory", owner->ns, owner->name);
	}
	return first;
}

int fl_sync_service(struct fl_sync *sync, const char *ns, const char *name, int64_t created,
		    const struct fl_plan *plan, struct fl_err *err)
{
	const uint32_t hash = owner_hash(ns, name);
	const bool alone = !sync->in_batch;
	struct fl_owner *owner = owner_find(sync, hash, ns, name);
	int rc, commit_rc;

	if (!owner && !plan->n_ports)
		return 0;
	if (!owner)
		owner = owner_new(sync, hash, ns, name);
	if (!owner)
		return fl_err_set(err, -ENOMEM, "%s/%s: out of memory", ns, name);
	if (alone)
		fl_sync_begin(sync);
	rc = owner_plan(sync, owner, created, plan, err);
	if (!owner->ports)
		owner_free(sync, owner);
	commit_rc = alone ? fl_sync_commit(sync, rc ? NULL : err) : 0;
	return rc ? rc : commit_rc;
}
