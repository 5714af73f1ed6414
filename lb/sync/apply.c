// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The order of writes. First, for every service port that changes: tables, then members and ranges,
 * then the frontends it wins; a port whose write is refused is undone as a whole and the others go
 * on. Then what old states leave behind: frontends that pass to another claimant or to nobody,
 * members and ranges, and last the references, with which backends stop being live and sets begin
 * their grace period.
 */
#include <netinet/in.h>
#include <string.h>

#include "lb/sync/write.h"

#define CHUNK 4096 /* elements in flight: bounds memory, and one batch is one system call */

/* ---- first half: what is new
 * ------------------------------------------------------------------------- */

/* A frontend of a Service that was not planned yet after a restart is left alone until
 * fl_sync_settle(). */
static bool somebody_elses(const struct fl_sync *sync, const struct fl_front *front)
{
	const uint32_t id = front->value.service_id;

	return !sync->settled && front->present && front->adopted && id &&
	       !fl_service_id_owned(sync, id);
}

static int collect_frontend(struct fl_apply *apply, struct fl_port *port, uint32_t f)
{
	struct fl_sync *sync = apply->sync;
	struct fl_front *front = &sync->fronts.all[f];
	struct fl_frontend value;
	uint32_t set[FL_SIDES];
	struct fl_write *write;
	int rc;

	fl_claim_value(front->claims, sync, &value, set);
	if (front->present && !memcmp(&value, &front->value, sizeof(value))) {
		/* unless the port can still be undone, the value is now of this process */
		front->adopted &= port != NULL;
		return 0;
	}
	if (somebody_elses(sync, front)) {
		fl_front_dirty(sync, f);
		return 0;
	}
	rc = fl_writes_add(&apply->frontends, f, port, &front->key, &value, &write);
	if (!rc)
		memcpy(write->set, set, sizeof(set));
	return rc;
}

static int collect_frontends(struct fl_apply *apply, struct fl_port *port)
{
	const struct fl_state *want = port->want;

	for (uint32_t i = 0; i < want->n_claims; i++) {
		const struct fl_claim *claim = &want->claims[i];
		int rc = 0;

		if (apply->sync->fronts.all[claim->frontend].claims == claim)
			rc = collect_frontend(apply, port, claim->frontend);
		if (rc)
			return rc;
	}
	return 0;
}

static int collect_mirror(struct fl_writes *writes, struct fl_mirror *mirror, struct fl_port *port,
			  const uint32_t *elements, uint32_t n)
{
	static const __u32 one = 1;
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++)
		if (!mirror->all[elements[i]].present)
			rc = fl_writes_add(writes, elements[i], port,
					   fl_mirror_key(mirror, elements[i]), &one, NULL);
	return rc;
}

static bool in_progress(const struct fl_port *port)
{
	return port->want && !port->remove && !port->undone;
}

/* Tables, then claims: who wins a frontend is known before the first one is written. */
static void prepare(struct fl_apply *apply)
{
	struct fl_sync *sync = apply->sync;

	for (uint32_t i = 0; i < sync->n_pending; i++)
		sync->pending[i]->undone = false;
	fl_sets_build_pending(sync);
	for (uint32_t i = 0; i < sync->n_pending; i++) {
		struct fl_port *port = sync->pending[i];
		int rc = 0;

		for (int list = 0; list < FL_LISTS && in_progress(port) && !rc; list++)
			rc = fl_set_build(sync, &sync->sets.builder, port->want->set[list]);
		if (rc)
			fl_apply_undo(apply, port, rc, "lines");
		else if (in_progress(port))
			fl_claims_link(sync, port->want);
	}
}

/* Write for the ports from `at` on, as many as a chunk holds; returns where the next chunk begins.
 */
static uint32_t write_chunk(struct fl_apply *apply, uint32_t at)
{
	struct fl_sync *sync = apply->sync;
	const uint32_t first = at;

	for (; at < sync->n_pending && apply->members.n + apply->ranges.n < CHUNK &&
	       at - first < CHUNK;
	     at++) {
		struct fl_port *port = sync->pending[at];
		int rc;

		if (!in_progress(port))
			continue;
		rc = collect_mirror(&apply->members, &sync->members, port, port->want->members,
				    port->want->n_members);
		if (!rc)
			rc = collect_mirror(&apply->ranges, &sync->ranges, port, port->want->ranges,
					    port->want->n_ranges);
		if (rc)
			fl_apply_undo(apply, port, rc, "members");
	}
	fl_writes_run(apply, &apply->members);
	fl_writes_run(apply, &apply->ranges);
	for (uint32_t i = first; i < at; i++) {
		struct fl_port *port = sync->pending[i];
		int rc = in_progress(port) ? collect_frontends(apply, port) : 0;

		if (rc)
			fl_apply_undo(apply, port, rc, "frontends");
	}
	fl_writes_run(apply, &apply->frontends);
	fl_writes_reset(sync, &apply->frontends);
	fl_writes_reset(sync, &apply->members);
	fl_writes_reset(sync, &apply->ranges);
	return at;
}

/* ---- second half: what is left behind
 * -------------------------------------------------------------- */

/* A frontend that nobody claims stays while its Service may still be planned, or waits for room. */
static bool to_be_kept(const struct fl_sync *sync, const struct fl_front *front)
{
	const uint32_t id = front->value.service_id;
	const struct fl_port *owner;

	if (!front->present || !front->adopted)
		return false;
	if (!sync->settled)
		return true;
	owner = fl_service_id_owned(sync, id) ? sync->services.owner[id] : NULL;
	return owner && owner->failed && !owner->cur;
}

/* Frontends that were given up: to the next claimant, or to nobody. */
static void write_dirty(struct fl_apply *apply)
{
	struct fl_writes removals = {.map = FL_SYNC_FRONTENDS};
	struct fl_sync *sync = apply->sync;
	struct fl_fronts *fronts = &sync->fronts;
	const uint32_t n = fronts->n_dirty;

	/* what is refused goes back into the list, behind the place we read */
	fronts->n_dirty = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t f = fronts->dirty[i];
		struct fl_front *front = &fronts->all[f];
		int rc = 0;

		front->dirty = false;
		if (front->claims)
			rc = collect_frontend(apply, NULL, f);
		else if (front->present && !to_be_kept(sync, front))
			rc = fl_writes_add(&removals, f, NULL, &front->key, NULL, NULL);
		else
			fl_front_gc(sync, f);
		if (rc) {
			fl_apply_failure(apply, rc, NULL, "frontends");
			fl_front_dirty(sync, f);
		}
		if (apply->frontends.n >= CHUNK || i + 1 == n) {
			fl_writes_run(apply, &apply->frontends);
			fl_writes_reset(sync, &apply->frontends);
		}
		if (removals.n >= CHUNK || i + 1 == n)
			fl_writes_remove(apply, &removals);
	}
	fl_writes_fini(&removals);
}

/* What was found there and is right belongs to this process from now on. */
static void own_frontends(struct fl_sync *sync, const struct fl_state *state)
{
	for (uint32_t i = 0; state && i < state->n_claims; i++) {
		struct fl_front *front = &sync->fronts.all[state->claims[i].frontend];

		if (front->claims == &state->claims[i] && !front->dirty)
			front->adopted = false;
	}
}

/* The wanted states are in force now; port->want holds the old one until finish(). */
static void switch_over(struct fl_sync *sync)
{
	for (uint32_t i = 0; i < sync->n_pending; i++) {
		struct fl_port *port = sync->pending[i];
		struct fl_state *old = port->cur;

		if (port->remove) {
			fl_state_free(sync, &port->want);
			port->cur = NULL;
		} else if (in_progress(port)) {
			port->cur = port->want;
			fl_port_failed(sync, port, false);
		} else {
			continue;
		}
		port->want = old;
		if (old)
			fl_claims_unlink(sync, old);
		own_frontends(sync, port->cur);
	}
}

static bool state_names(const struct fl_state *state, uint32_t id)
{
	for (uint32_t i = 0; i < state->n_ids; i++)
		if ((state->ids[i] & FL_STATE_ID_MASK) == id)
			return true;
	return false;
}

/*
 * Backends that a UDP service port lost and others keep. One that nobody keeps is no longer live,
 * which the datapath sees; a service port without any is left alone (rule 7.5).
 */
static void report_stale(struct fl_sync *sync, const struct fl_port *port,
			 const struct fl_state *old)
{
	if (!sync->options.stale || port->pub.proto != IPPROTO_UDP || !port->cur ||
	    !port->cur->n_ids)
		return;
	for (uint32_t i = 0; i < old->n_ids; i++) {
		const uint32_t id = old->ids[i] & FL_STATE_ID_MASK;
		const struct fl_backend_ref *backend = &sync->backends.all[id];

		/* the old state still counts as one that names it */
		if (backend->ports > 1 && !state_names(port->cur, id))
			sync->options.stale(
				&(struct fl_lost_backend){.service_id = port->pub.service_id,
							  .backend = id,
							  .generation = backend->generation},
				sync->options.stale_arg);
	}
}

static void finish(struct fl_apply *apply)
{
	struct fl_sync *sync = apply->sync;

	for (uint32_t i = 0; i < sync->n_pending; i++) {
		struct fl_port *port = sync->pending[i];

		port->pending = false;
		if (port->undone)
			continue;
		if (port->want) {
			report_stale(sync, port, port->want);
			fl_apply_withdraw(apply, &sync->members, port->want->members,
					  port->want->n_members);
			fl_apply_withdraw(apply, &sync->ranges, port->want->ranges,
					  port->want->n_ranges);
			fl_state_free(sync, &port->want);
		}
		if (port->remove)
			fl_port_free(sync, port);
	}
	sync->n_pending = 0;
}

int fl_sync_apply(struct fl_sync *sync, struct fl_err *err)
{
	struct fl_apply apply = {
		.sync = sync,
		.err = err,
		.frontends.map = FL_SYNC_FRONTENDS,
		.members.map = FL_SYNC_MEMBERS,
		.ranges.map = FL_SYNC_RANGES,
	};

	if (!sync->n_pending && !sync->fronts.n_dirty)
		return 0;
	prepare(&apply);
	for (uint32_t at = 0; at < sync->n_pending;)
		at = write_chunk(&apply, at);
	switch_over(sync);
	write_dirty(&apply);
	finish(&apply);
	fl_apply_fini(&apply);
	return apply.rc;
}
