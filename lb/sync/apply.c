// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The order of writes. First, for every service port that changes: tables, then members and ranges,
 * then the frontends it holds; a port whose write is refused is undone as a whole and the others go
 * on. Then what old states leave behind: frontends that pass to another service port or to none,
 * members and ranges, and last the references, with which backends stop being live and sets begin
 * their grace period.
 */
#include <netinet/in.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/model/detect.h"
#include "lb/sync/internal.h"

#define CHUNK 4096 /* elements in flight: bounds memory, and one batch is one system call */

struct fl_apply {
	struct fl_batch batch;
	struct fl_sync *sync;
	struct fl_err *err;
	int rc; /* the first failure */
};

/* `port` NULL: not of a change. */
static void failure(struct fl_apply *apply, const struct fl_sync_service_port *port,
		    const struct fl_refusal *refusal)
{
	char why[FL_REFUSAL_TEXT];

	if (apply->rc)
		return;
	apply->rc = refusal->error;
	fl_refusal_text(refusal, why);
	if (port)
		fl_err_set(apply->err, apply->rc, "%s/%s port \"%s\": %s", port->info.ns,
			   port->info.name, port->info.port_name, why);
	else
		fl_err_set(apply->err, apply->rc, "%s", why);
}

/* Whatever says that a map is full. */
static struct fl_refusal refusal_of(const struct fl_apply *apply, enum fl_sync_map map, int rc)
{
	return fl_sync_refusal_of(apply->sync, map, rc == -E2BIG ? -ENOSPC : rc);
}

/*
 * The old state of the port stays in force. Its frontends become dirty: if one could not be put
 * back, that is tried again at the end. The wanted state is kept for another try.
 */
static void port_refused(struct fl_apply *apply, struct fl_sync_service_port *port,
			 enum fl_sync_map map, int rc)
{
	const struct fl_refusal refusal = refusal_of(apply, map, rc);

	failure(apply, port, &refusal);
	fl_state_unlink(&apply->sync->contents, port->want);
	fl_service_port_refused(&apply->sync->waiting, port, &refusal);
}

static void element_refused(struct fl_apply *apply, enum fl_sync_map map, int rc)
{
	const struct fl_refusal refusal = refusal_of(apply, map, rc);

	failure(apply, NULL, &refusal);
}

static void on_refused(struct fl_batch *batch, struct fl_change *change,
		       const struct fl_table *table, int rc)
{
	struct fl_apply *apply = (struct fl_apply *)batch;

	const size_t at = offsetof(struct fl_sync_service_port, change);

	if (change)
		port_refused(apply, (void *)((char *)change - at), table->desc->map, rc);
	else
		element_refused(apply, table->desc->map, rc);
}

/* Something else than a write failed. */
static void port_undo(struct fl_apply *apply, struct fl_sync_service_port *port, int rc)
{
	fl_batch_undo(&apply->batch, &port->change);
	port_refused(apply, port, FL_SYNC_MAPS, rc);
}

static void update(struct fl_apply *apply, enum fl_sync_map map, unsigned parts)
{
	int rc = fl_batch_update(&apply->batch, map, parts);

	if (rc)
		element_refused(apply, map, rc);
}

/* First half: what is new */

static void build_tables(struct fl_sync *sync)
{
	struct fl_sets *sets = &sync->contents.sets;
	uint32_t n = 0;

	for (uint32_t i = 0; i < sync->n_pending; i++) {
		const struct fl_sync_service_port *port = sync->pending[i];

		for (int list = 0; list < FL_LISTS && port->stage == FL_STAGE_READY; list++) {
			const uint32_t s = port->want->set[list];

			/* what does not fit into the list is built later, one by one */
			if (!s || !sets->all[s].unbuilt || sets->all[s].listed ||
			    FL_ARRAY_ROOM(sets->scratch, sets->cap_scratch, n + 1ULL))
				continue;
			sets->all[s].listed = true;
			sets->scratch[n++] = s;
		}
	}
	fl_sets_build(sets, sets->scratch, n);
	for (uint32_t i = 0; i < n; i++)
		sets->all[sets->scratch[i]].listed = false;
}

/*
 * Tables, then links: which service port has a frontend is known before the first one is written.
 */
static void prepare(struct fl_apply *apply)
{
	struct fl_sync *sync = apply->sync;
	struct fl_sets *sets = &sync->contents.sets;

	build_tables(sync);
	for (uint32_t i = 0; i < sync->n_pending; i++) {
		struct fl_sync_service_port *port = sync->pending[i];
		int rc = 0;

		if (port->stage != FL_STAGE_READY)
			continue;
		port->change = (struct fl_change){.undone = false};
		for (int list = 0; list < FL_LISTS && !rc; list++)
			rc = fl_set_build(sets, &sets->builder, port->want->set[list]);
		if (rc)
			port_undo(apply, port, rc);
		else
			fl_state_link(&sync->contents, port->want);
	}
}

static int add_all(struct fl_apply *apply, enum fl_sync_map map, struct fl_change *change,
		   const uint32_t *elements, uint32_t n)
{
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++)
		rc = fl_batch_add(&apply->batch, map, elements[i], change);
	return rc;
}

static int add_frontends(struct fl_apply *apply, struct fl_sync_service_port *port)
{
	const struct fl_frontends *frontends = &apply->sync->contents.frontends;
	const struct fl_state *want = port->want;
	int rc = 0;

	for (uint32_t i = 0; i < want->n_holders && !rc; i++) {
		const struct fl_holder *holder = &want->holders[i];

		if (fl_frontend_at(frontends, holder->frontend)->holders == holder)
			rc = fl_batch_add(&apply->batch, FL_SYNC_FRONTENDS, holder->frontend,
					  &port->change);
	}
	return rc;
}

/* Write for the ports from `at` on, as many as a chunk holds. Returns where the next one begins. */
static uint32_t write_chunk(struct fl_apply *apply, uint32_t at)
{
	struct fl_sync *sync = apply->sync;
	struct fl_batch *batch = &apply->batch;
	const uint32_t first = at;

	for (; at < sync->n_pending && at - first < CHUNK &&
	       batch->writes[FL_SYNC_MEMBERS].n + batch->writes[FL_SYNC_RANGES].n < CHUNK;
	     at++) {
		struct fl_sync_service_port *port = sync->pending[at];
		int rc;

		if (port->stage != FL_STAGE_READY)
			continue;
		rc = add_all(apply, FL_SYNC_MEMBERS, &port->change, port->want->members,
			     port->want->n_members);
		if (!rc)
			rc = add_all(apply, FL_SYNC_RANGES, &port->change, port->want->ranges,
				     port->want->n_ranges);
		if (rc)
			port_undo(apply, port, rc);
	}
	fl_batch_write(batch, FL_SYNC_MEMBERS);
	fl_batch_write(batch, FL_SYNC_RANGES);
	for (uint32_t i = first; i < at; i++) {
		struct fl_sync_service_port *port = sync->pending[i];
		int rc = port->stage == FL_STAGE_READY ? add_frontends(apply, port) : 0;

		if (rc)
			port_undo(apply, port, rc);
	}
	fl_batch_write(batch, FL_SYNC_FRONTENDS);
	fl_batch_reset(batch);
	return at;
}

/* Second half: what is left behind */

/* Connections that began under the table before find their backends by it (DSR). One that was found
 * at the start names no set. */
static void remember(struct fl_contents *contents, const struct fl_sync_service_port *port)
{
	const struct fl_state *old = port->old, *cur = port->cur;
	const uint32_t id = port->info.service_id;

	if (!cur || !fl_state_is_tunnelled(cur))
		fl_former_forget(&contents->formers, id);
	else if (old && !old->found && fl_state_is_tunnelled(old))
		fl_former_add(&contents->formers, id, old->set[FL_PLAN_LIST_CLUSTER],
			      cur->set[FL_PLAN_LIST_CLUSTER]);
}

/* The wanted states are in force now; the old ones keep their references until finish(). */
static void switch_over(struct fl_sync *sync)
{
	struct fl_contents *contents = &sync->contents;

	for (uint32_t i = 0; i < sync->n_pending; i++) {
		struct fl_sync_service_port *port = sync->pending[i];

		if (port->stage != FL_STAGE_READY && port->stage != FL_STAGE_LEAVING)
			continue;
		port->old = port->cur;
		port->cur = NULL;
		if (port->old)
			fl_state_unlink(contents, port->old);
		if (port->stage == FL_STAGE_LEAVING) {
			remember(contents, port);
			fl_state_free(contents, &port->want);
			continue;
		}
		port->cur = port->want;
		port->want = NULL;
		remember(contents, port);
		port->written = true;
		fl_service_port_on(&sync->waiting, port, FL_EVENT_WRITTEN);
	}
}

/* Whether a flow of these frontends may have a backend that its frontend does not serve now. */
static bool is_narrower(const struct fl_state *old, struct fl_state *cur)
{
	if (!old || !cur || old->found || old->created != cur->created ||
	    !fl_state_same_frontends(old, cur))
		return true;
	for (uint32_t i = 0; i < old->n_ids; i++)
		if (!fl_state_names(cur, old->ids[i] & FL_STATE_ID_MASK))
			return true;
	return false;
}

static void touch(const struct fl_contents *contents, const struct fl_state *state)
{
	for (uint32_t i = 0; state && i < state->n_holders; i++)
		if (!fl_frontend_is_address(state->holders[i].type))
			contents->options.touched(
				&fl_frontend_at(&contents->frontends, state->holders[i].frontend)
					 ->key,
				contents->options.touched_arg);
}

/* Whether its flows may have to leave their backends: 7.1 to 7.7 of UDP; of TCP those that are
 * reset then. */
static bool are_judged(const struct fl_sync_service_port *port)
{
	const bool resets = port->cur && port->cur->resets;
	const bool did = port->old && port->old->resets;

	if (port->info.proto == IPPROTO_UDP)
		return is_narrower(port->old, port->cur);
	return (resets && !did) || ((resets || did) && is_narrower(port->old, port->cur));
}

static void report_touched(const struct fl_contents *contents,
			   const struct fl_sync_service_port *port)
{
	if (!contents->options.touched || !are_judged(port))
		return;
	touch(contents, port->old);
	touch(contents, port->cur);
}

static void finish(struct fl_sync *sync)
{
	struct fl_contents *contents = &sync->contents;

	for (uint32_t i = 0; i < sync->n_pending; i++) {
		struct fl_sync_service_port *port = sync->pending[i];

		port->pending = false;
		if (port->written || (port->stage == FL_STAGE_LEAVING && port->old)) {
			fl_report_add(&sync->report, port);
			report_touched(contents, port);
		}
		port->written = false;
		fl_state_free(contents, &port->old);
		if (port->stage != FL_STAGE_LEAVING)
			continue;
		contents->frontends.conflicts_changed |= port->n_lost > 0;
		fl_service_port_free(&sync->services, contents, port);
	}
	sync->n_pending = 0;
}

int fl_sync_apply(struct fl_sync *sync, struct fl_err *err)
{
	struct fl_apply apply = {.sync = sync, .err = err};
	struct fl_table *tables[FL_SYNC_HASHES];
	bool any = sync->n_pending;

	for (int map = 0; map < FL_SYNC_HASHES; map++) {
		tables[map] = fl_contents_table(&sync->contents, map);
		any |= tables[map]->n_dirty > 0;
	}
	if (!any)
		return 0;
	fl_batch_init(&apply.batch, &sync->kernel, tables);
	apply.batch.refused = on_refused;
	prepare(&apply);
	update(&apply, FL_SYNC_MEMBERS, FL_BATCH_PUT);
	update(&apply, FL_SYNC_RANGES, FL_BATCH_PUT);
	for (uint32_t at = 0; at < sync->n_pending;)
		at = write_chunk(&apply, at);
	switch_over(sync);
	update(&apply, FL_SYNC_FRONTENDS, FL_BATCH_PUT | FL_BATCH_REMOVE);
	update(&apply, FL_SYNC_MEMBERS, FL_BATCH_REMOVE);
	update(&apply, FL_SYNC_RANGES, FL_BATCH_REMOVE);
	finish(sync);
	fl_batch_fini(&apply.batch);
	return apply.rc;
}
