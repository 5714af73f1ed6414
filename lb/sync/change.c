// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From a plan to what the next commit writes: each service port of the plan is compared with what
 * is in force, and what differs becomes its wanted state. What waits for room is made ready again
 * the same way.
 */
#include <string.h>

#include "lb/base/array.h"
#include "lb/sync/internal.h"

#define LOOKS_MAX 1024	 /* at service ports that wait, by one commit */
#define RETRIES_MAX 1024 /* of those, by the slow timer */

int fl_sync_pend(struct fl_sync *sync, struct fl_sync_service_port *port)
{
	int rc;

	if (port->pending)
		return 0;
	rc = FL_ARRAY_ROOM(sync->pending, sync->cap_pending, sync->n_pending + 1ULL);
	if (rc)
		return rc;
	port->pending = true;
	sync->pending[sync->n_pending++] = port;
	return 0;
}

/* What it lost to other ports of its Service is only reported. */
static int port_lost(struct fl_sync *sync, struct fl_sync_service_port *port,
		     const struct fl_plan_port *plan)
{
	const size_t size = plan->n_lost * sizeof(*plan->lost);
	struct fl_plan_frontend *lost = NULL;

	if (plan->n_lost) {
		lost = malloc(size);
		if (!lost)
			return -ENOMEM;
		memcpy(lost, plan->lost, size);
	}
	sync->contents.frontends.conflicts_changed |= plan->n_lost || port->n_lost;
	free(port->lost);
	port->lost = lost;
	port->n_lost = (uint32_t)plan->n_lost;
	return 0;
}

static int port_plan(struct fl_sync *sync, struct fl_sync_service_port *port, int64_t created,
		     const struct fl_plan_port *plan)
{
	enum fl_sync_map map = FL_SYNC_MAPS;
	struct fl_state *want = NULL;
	struct fl_refusal refusal;
	int rc = fl_sync_pend(sync, port);

	if (!rc)
		rc = port_lost(sync, port, plan);
	if (!rc)
		rc = fl_state_new(&sync->contents, port, created, plan, &want, &map);
	/* only now, so that what both need was never without a reference */
	fl_state_free(&sync->contents, &port->want);
	if (rc) {
		refusal = fl_sync_refusal_of(sync, map, rc);
		fl_service_port_no_room(&sync->waiting, port, &refusal, created, plan);
		return rc;
	}
	if (port->cur && fl_state_equal(port->cur, want)) {
		fl_state_free(&sync->contents, &want);
		fl_service_port_on(&sync->waiting, port, FL_EVENT_SAME);
		return 0;
	}
	port->want = want;
	fl_service_port_on(&sync->waiting, port, FL_EVENT_PLANNED);
	return 0;
}

struct fl_refusal fl_sync_refusal_of(const struct fl_sync *sync, enum fl_sync_map map, int rc)
{
	return (struct fl_refusal){
		.map = map,
		.error = rc,
		.used = map < FL_SYNC_MAPS ? fl_contents_used(&sync->contents, map) : 0,
	};
}

/* `port` NULL: it could not even be made. */
static int port_error(struct fl_err *err, const struct fl_sync_service *service,
		      const char *port_name, const struct fl_sync_service_port *port, int rc)
{
	char why[FL_REFUSAL_TEXT];

	if (rc == -E2BIG)
		rc = -ENOSPC;
	return fl_err_set(err, rc, "%s/%s port \"%s\": %s", service->ns, service->name, port_name,
			  port		  ? fl_refusal_text(&port->refusal, why)
			  : rc == -ENOSPC ? "no service id is left"
					  : strerror(-rc));
}

static int drop_unseen(struct fl_sync *sync, struct fl_sync_service *service)
{
	int first = 0;

	for (struct fl_sync_service_port *port = service->ports; port; port = port->next) {
		int rc = port->seen ? 0 : fl_sync_pend(sync, port);

		if (!port->seen && !rc)
			fl_service_port_on(&sync->waiting, port, FL_EVENT_DROPPED);
		first = first ? first : rc;
	}
	return first;
}

static int service_plan(struct fl_sync *sync, struct fl_sync_service *service, int64_t created,
			const struct fl_plan *plan, struct fl_err *err)
{
	struct fl_sync_service_port *port = NULL;
	int first = 0, rc;

	for (struct fl_sync_service_port *p = service->ports; p; p = p->next)
		p->seen = false;
	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct fl_plan_port *wanted = &plan->ports[i];
		struct fl_sync_service_port *found = fl_service_port_find(service, port, wanted);

		rc = found ? 0
			   : fl_service_port_new(&sync->services, &sync->contents, service, created,
						 wanted, &found);
		/* of two ports with one name the first counts */
		if (!rc && found->seen)
			continue;
		if (!rc) {
			port = found;
			port->seen = true;
			rc = port_plan(sync, port, created, wanted);
		}
		if (rc && !first)
			first = port_error(err, service, wanted->port_name, found, rc);
	}
	rc = drop_unseen(sync, service);
	if (rc && !first)
		first = fl_err_set(err, rc, "%s/%s: out of memory", service->ns, service->name);
	return first;
}

int fl_sync_service(struct fl_sync *sync, const char *ns, const char *name, int64_t created,
		    const struct fl_plan *plan, struct fl_err *err)
{
	const uint32_t hash = fl_service_hash(ns, name);
	const bool alone = !sync->in_batch;
	struct fl_sync_service *service = fl_service_find(&sync->services, hash, ns, name);
	int rc, commit_rc;

	if (!service && !plan->n_ports)
		return 0;
	if (!service)
		service = fl_service_new(&sync->services, hash, ns, name);
	if (!service)
		return fl_err_set(err, -ENOMEM, "%s/%s: out of memory", ns, name);
	if (alone)
		fl_sync_begin(sync);
	rc = service_plan(sync, service, created, plan, err);
	if (!service->ports)
		fl_service_forget(&sync->services, service);
	commit_rc = alone ? fl_sync_commit(sync, rc ? NULL : err) : 0;
	return rc ? rc : commit_rc;
}

int fl_sync_keep(struct fl_sync *sync, const char *ns, const char *name, const struct fl_plan *plan,
		 bool *ret_kept)
{
	const uint32_t hash = fl_service_hash(ns, name);
	struct fl_sync_service *service = fl_service_find(&sync->services, hash, ns, name);
	int rc = 0;

	for (size_t i = 0; i < plan->n_ports && !rc; i++) {
		struct fl_sync_service_port *port;

		if (!fl_service_port_was_found(&sync->contents, &plan->ports[i]))
			continue;
		if (!service)
			service = fl_service_new(&sync->services, hash, ns, name);
		rc = service ? fl_service_port_new(&sync->services, &sync->contents, service, 0,
						   &plan->ports[i], &port)
			     : -ENOMEM;
	}
	if (service && !service->ports)
		fl_service_forget(&sync->services, service);
	else
		*ret_kept = service;
	return rc;
}

/* What waits */

/* Returns 0 if it is ready for the next commit. */
static int revive(struct fl_sync *sync, struct fl_sync_service_port *port)
{
	enum fl_sync_map map = FL_SYNC_MAPS;
	struct fl_refusal refusal;
	int rc = port->want   ? 0
		 : port->plan ? fl_state_new(&sync->contents, port, port->plan_created, port->plan,
					     &port->want, &map)
			      : -ENOMEM;

	sync->tries++;
	if (!rc)
		rc = fl_sync_pend(sync, port);
	if (!rc) {
		fl_service_port_on(&sync->waiting, port, FL_EVENT_RETRIED);
		return 0;
	}
	if (port->stage == FL_STAGE_NO_ROOM)
		fl_state_free(&sync->contents, &port->want);
	refusal = fl_sync_refusal_of(sync, map, rc);
	fl_service_port_waits_on(&sync->waiting, port, &refusal);
	return rc;
}

bool fl_sync_revive_some(struct fl_sync *sync)
{
	int tries = FL_SYNC_TRIES, looks = LOOKS_MAX;
	bool any = false;

	for (int map = 0; map < FL_SYNC_MAPS && sync->waiting.n; map++) {
		struct fl_sync_service_port *port;

		while (tries &&
		       (port = fl_waiting_next(&sync->waiting, map,
					       fl_contents_used(&sync->contents, map), &looks))) {
			any |= !revive(sync, port);
			tries--;
		}
	}
	return any;
}

int fl_sync_revive_all(struct fl_sync *sync, struct fl_err *err)
{
	int tries = RETRIES_MAX, first = 0;

	for (int wait = 0; wait < FL_WAIT_PLAN; wait++) {
		struct fl_waiting_list *list = &sync->waiting.lists[wait];

		for (uint32_t n = list->n; n && tries; n--, tries--) {
			struct fl_sync_service_port *port = fl_waiting_rotate(list);
			int rc = revive(sync, port);

			if (rc && !first)
				first = port_error(err, port->service, port->info.port_name, port,
						   rc);
		}
	}
	return first;
}
