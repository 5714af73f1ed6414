// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The public face of this room: beginning and end, changes gathered into a batch, what was refused
 * tried again, and what is known about ids told to others.
 */
#include <string.h>

#include "lb/sync/internal.h"

#define HZ_DEFAULT 250
#define REVIVE_TRIES 16 /* refused ports that a change looks at, besides its own */

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
	fl_lines_init(&sync->lines,
		      (uint32_t)(maps->n_lines > UINT32_MAX / 2 ? UINT32_MAX / 2 : maps->n_lines));
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
			free(port->lost);
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

/* ---- batches ------------------------------------------------------------------------------------
 */

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

	/*
	 * What changed may have made room: as long as one refused port fits, try the next. Of many
	 * only some, or each change would cost as much as all that is refused; fl_sync_retry()
	 * tries the others.
	 */
	while (!rc && changes && sync->n_failed && fl_ports_revive(sync, 1, REVIVE_TRIES) > 0)
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
	revive_rc = fl_ports_revive(sync, INT32_MAX, INT32_MAX);
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

/* ---- what is known
 * ------------------------------------------------------------------------------- */

const struct fl_sync_port *fl_sync_port(const struct fl_sync *sync, uint32_t service_id)
{
	return fl_service_id_owned(sync, service_id) ? &sync->services.owner[service_id]->pub
						     : NULL;
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
