// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The public face of this room: Services and their ports found by name, changes gathered into a batch, and
 * what is known about ids and conflicts told to others.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/sync/internal.h"

#define HZ_DEFAULT 250

int fl_sync_new_with(const struct fl_maps *maps, const struct fl_sync_options *options,
		     const struct fl_sync_ops *ops, void *ctx, struct fl_sync **ret_sync,
		     struct fl_err *err)
{
	struct fl_sync *sync;
	int rc;

	if (options->maglev_length && !fl_maglev_length_valid(options->maglev_length))
		return fl_err_set(err, -EINVAL, "table length %u is not a prime up to %u",
				  options->maglev_length, FL_MAGLEV_LENGTH_MAX);
	sync = calloc(1, sizeof(*sync));
	if (!sync)
		return fl_err_set(err, -ENOMEM, "sync: out of memory");
	sync->maps = maps;
	sync->options = *options;
	sync->options.hz = options->hz ? options->hz : HZ_DEFAULT;
	sync->ops = ops;
	sync->ctx = ctx;
	sync->members.map = FL_SYNC_MEMBERS;
	sync->members.key_size = fl_sync_map_descs[FL_SYNC_MEMBERS].key_size;
	sync->ranges.map = FL_SYNC_RANGES;
	sync->ranges.key_size = fl_sync_map_descs[FL_SYNC_RANGES].key_size;
	sync->revision = maps->meta ? maps->meta->revision : 0;
	fl_lines_init(&sync->lines, (uint32_t)(maps->n_lines > UINT32_MAX / 2 ? UINT32_MAX / 2
									      : maps->n_lines));
	rc = fl_backend_ids_init(sync);
	rc = rc ? fl_err_set(err, rc, "sync: out of memory") : fl_sync_adopt(sync, err);
	if (rc)
		fl_sync_free(&sync);
	else
		*ret_sync = sync;
	return rc;
}

int fl_sync_new(const struct fl_maps *maps, const struct fl_sync_options *options,
		struct fl_sync **ret_sync, struct fl_err *err)
{
	return fl_sync_new_with(maps, options, &fl_sync_kernel_ops, (void *)maps, ret_sync, err);
}

/* Memory only: the maps keep what they hold. */
void fl_sync_free(struct fl_sync **ptr)
{
	struct fl_sync *sync = *ptr;

	*ptr = NULL;
	if (!sync)
		return;
	for (uint32_t i = 0; i < sync->n_owners; i++) {
		struct fl_port *port, *next;

		for (port = sync->owners[i] ? sync->owners[i]->ports : NULL; port; port = next) {
			next = port->next;
			free(port->cur);
			free(port->want);
			free(port->refused);
			free(port);
		}
		free(sync->owners[i]);
	}
	free(sync->owners);
	fl_index_fini(&sync->owner_index);
	free(sync->pending);
	free(sync->scratch);
	fl_fronts_fini(sync);
	fl_mirror_fini(&sync->members);
	fl_mirror_fini(&sync->ranges);
	fl_sets_fini(sync);
	fl_lines_fini(&sync->lines);
	fl_service_ids_fini(sync);
	fl_backend_ids_fini(sync);
	free(sync);
}

/* ---- Services and their ports --------------------------------------------------------------------- */

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
		struct fl_frontend_key key = {
			.port = htons(frontend->port),
			.proto = plan->proto,
		};
		const struct fl_front *front;
		uint32_t f;

		memcpy(&key.addr, frontend->ip.b, sizeof(key.addr));
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

static int port_plan(struct fl_sync *sync, struct fl_port *port, int64_t created,
		     const struct fl_plan_port *plan)
{
	struct fl_state *want = NULL;
	int rc = fl_port_pend(sync, port);

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
					   rc == -ENOSPC ? "map backends or lines: full"
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

/* ---- batches ------------------------------------------------------------------------------------ */

void fl_sync_begin(struct fl_sync *sync)
{
	sync->in_batch = true;
	sync->writes_at_begin = sync->map_writes;
}

static void revise(struct fl_sync *sync)
{
	if (sync->map_writes == sync->writes_at_begin)
		return;
	sync->revision++;
	if (sync->maps->meta && !sync->n_failed)
		__atomic_store_n(&sync->maps->meta->revision, sync->revision, __ATOMIC_RELEASE);
}

int fl_sync_commit(struct fl_sync *sync, struct fl_err *err)
{
	const bool changes = sync->n_pending;
	int rc = fl_sync_apply(sync, err);

	/* what changed may have made room: as long as one refused port fits, try the next */
	while (!rc && changes && sync->n_failed && fl_ports_revive(sync, 1) > 0)
		if (fl_sync_apply(sync, NULL))
			break;
	revise(sync);
	sync->in_batch = false;
	return rc;
}

static void keep_first(int *rc, int next)
{
	*rc = *rc ? *rc : next;
}

int fl_sync_retry(struct fl_sync *sync, struct fl_err *err)
{
	int rc, revive_rc;

	fl_sync_begin(sync);
	rc = fl_sync_repair(sync, err);
	revive_rc = fl_ports_revive(sync, INT32_MAX);
	if (revive_rc < 0 && !rc)
		rc = fl_err_set(err, revive_rc, "%s/%s port \"%s\": map backends or lines: %s",
				sync->failed->pub.ns, sync->failed->pub.name,
				sync->failed->pub.port_name,
				revive_rc == -ENOSPC ? "full" : strerror(-revive_rc));
	keep_first(&rc, fl_sync_apply(sync, rc ? NULL : err));
	keep_first(&rc, fl_sync_sweep(sync, rc ? NULL : err));
	revise(sync);
	sync->in_batch = false;
	return rc;
}

int fl_sync_settle(struct fl_sync *sync, struct fl_err *err)
{
	int rc;

	if (sync->settled)
		return 0;
	sync->settled = true;
	for (uint32_t f = 0; f < sync->fronts.n; f++)
		if (sync->fronts.all[f].used && !sync->fronts.all[f].claims)
			fl_front_dirty(sync, f);
	sync->stale = true;
	rc = fl_sync_retry(sync, err);
	for (uint32_t id = 1; id < sync->backends.fresh; id++)
		fl_backend_clear_live(sync, id);
	fl_service_ids_settle(sync);
	return rc;
}

int fl_sync_reap(struct fl_sync *sync, uint64_t now_ns)
{
	const uint64_t due_ns = fl_sets_reap(sync, now_ns);

	return due_ns ? (int)(due_ns > now_ns ? (due_ns - now_ns + 999999) / 1000000 : 1000) : -1;
}

/* ---- what is known ------------------------------------------------------------------------------- */

const struct fl_sync_port *fl_sync_port(const struct fl_sync *sync, uint32_t service_id)
{
	return fl_service_id_owned(sync, service_id) ? &sync->services.owner[service_id]->pub : NULL;
}

void fl_sync_stats(const struct fl_sync *sync, struct fl_sync_stats *ret_stats)
{
	*ret_stats = (struct fl_sync_stats){
		.services = sync->n_owners,
		.service_ports = sync->n_ports,
		.frontends = sync->fronts.present,
		.backends = sync->backends.live,
		.backend_sets = sync->sets.used,
		.lines_used = sync->lines.used,
		.lines_total = sync->lines.total,
		.map_writes = sync->map_writes,
		.revision = sync->revision,
		.failed_ports = sync->n_failed,
	};
}
