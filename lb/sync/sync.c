// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The public face of this room: beginning and end, changes gathered into a batch, what was refused
 * tried again, and what is known about ids and numbers.
 */
#include <netinet/in.h>
#include <string.h>

#include "lb/sync/internal.h"

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
	sync->kernel = (struct fl_kernel){.ops = ops, .ctx = ctx};
	if (!ops) {
		sync->target = fl_sync_target_of(maps);
		sync->kernel = (struct fl_kernel){.ops = &fl_sync_kernel_ops, .ctx = &sync->target};
	}
	sync->revision = maps->meta ? maps->meta->revision : 0;
	rc = fl_contents_init(&sync->contents, maps, options);
	if (!rc)
		rc = fl_report_init(&sync->report, sync->contents.backends.n);
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
	return fl_sync_new_with(maps, options, NULL, NULL, ret_sync, err);
}

/* Memory only: the maps keep what they hold. */
void fl_sync_free(struct fl_sync **ptr)
{
	struct fl_sync *sync = *ptr;

	*ptr = NULL;
	if (!sync)
		return;
	fl_services_fini(&sync->services);
	free(sync->pending);
	fl_report_fini(&sync->report);
	fl_contents_fini(&sync->contents);
	free(sync);
}

/* Batches */

void fl_sync_begin(struct fl_sync *sync)
{
	sync->in_batch = true;
	sync->writes_at_begin = fl_sync_writes(sync);
}

static void revise(struct fl_sync *sync)
{
	sync->in_batch = false;
	if (fl_sync_writes(sync) == sync->writes_at_begin)
		return;
	sync->revision++;
	if (sync->maps->meta && !sync->waiting.n)
		__atomic_store_n(&sync->maps->meta->revision, sync->revision, __ATOMIC_RELEASE);
}

int fl_sync_commit(struct fl_sync *sync, struct fl_err *err)
{
	int rc = fl_sync_apply(sync, err);

	/* what changed may have made room */
	if (fl_sync_revive_some(sync))
		fl_sync_apply(sync, NULL);
	revise(sync);
	return rc;
}

int fl_sync_revive(struct fl_sync *sync)
{
	const uint32_t before = sync->waiting.n;

	if (!before)
		return 0;
	fl_sync_begin(sync);
	if (fl_sync_revive_some(sync))
		fl_sync_apply(sync, NULL);
	revise(sync);
	return (int)(before - sync->waiting.n);
}

int fl_sync_retry(struct fl_sync *sync, struct fl_err *err)
{
	int rc, apply_rc;

	fl_sync_begin(sync);
	fl_sync_repair(sync);
	rc = fl_sync_revive_all(sync, err);
	apply_rc = fl_sync_apply(sync, rc ? NULL : err);
	revise(sync);
	return rc ? rc : apply_rc;
}

int fl_sync_reap(struct fl_sync *sync, uint64_t now_ns)
{
	const uint64_t due_ns = fl_sets_reap(&sync->contents.sets, now_ns);

	return due_ns ? (int)(due_ns > now_ns ? (due_ns - now_ns + 999999) / 1000000 : 1000) : -1;
}

/* What is known */

enum fl_serving fl_sync_serving(const struct fl_sync *sync, const struct fl_frontend_key *frontend,
				const struct fl_addr *backend, __be16 port)
{
	const struct fl_frontends *frontends = &sync->contents.frontends;
	const uint32_t f = fl_table_find(&frontends->table, frontend);
	const struct fl_holder *first =
		f == FL_INDEX_NONE ? NULL : fl_frontend_at(frontends, f)->holders;
	uint32_t id;

	if (!first)
		return FL_SERVING_NO_FRONTEND;
	/* endpoints that only serve are not in the maps */
	if (first->state->found)
		return FL_SERVING_UNKNOWN;
	if (frontend->proto == IPPROTO_TCP && !first->state->resets)
		return FL_SERVING_ANY;
	id = fl_backend_find(&sync->contents.backends, backend, port, frontend->proto);
	return id && fl_state_names(first->state, id) ? FL_SERVING_YES : FL_SERVING_NO;
}

const struct fl_service_port_info *fl_sync_service_port(const struct fl_sync *sync,
							uint32_t service_id)
{
	const struct fl_sync_service_port *port =
		fl_service_id_port(&sync->contents.service_ids, service_id);

	return port ? &port->info : NULL;
}

void fl_sync_each_drained(const struct fl_sync *sync, uint32_t service_id,
			  void (*fn)(uint32_t backend_id, void *arg), void *arg)
{
	const struct fl_sync_service_port *port =
		fl_service_id_port(&sync->contents.service_ids, service_id);
	const struct fl_state *state = port ? port->cur : NULL;

	for (uint32_t i = 0; state && i < state->n_ids; i++)
		if (state->ids[i] & FL_STATE_DRAINED)
			fn(state->ids[i] & FL_STATE_ID_MASK, arg);
}

void fl_sync_each_refused(const struct fl_sync *sync,
			  void (*fn)(const struct fl_sync_refusal *refusal, void *arg), void *arg)
{
	for (int wait = 0; wait < FL_WAITS; wait++) {
		const struct fl_sync_service_port *port = sync->waiting.lists[wait].first;

		for (; port; port = port->next_waiting) {
			char why[FL_REFUSAL_TEXT];
			const struct fl_sync_refusal refusal = {
				.port = &port->info,
				.why = fl_refusal_text(&port->refusal, why),
				.error = port->refusal.error,
				.serves_old = port->cur != NULL,
			};

			fn(&refusal, arg);
		}
	}
}

struct fl_sync_gauge fl_sync_gauge(const struct fl_sync *sync, enum fl_sync_map map)
{
	const struct fl_contents *contents = &sync->contents;
	const struct fl_kernel *kernel = &sync->kernel;

	return (struct fl_sync_gauge){
		.map = fl_sync_map_descs[map].name,
		.used = fl_contents_used(contents, map),
		.capacity = map < FL_SYNC_HASHES   ? kernel->ops->capacity(kernel->ctx, map)
			    : map == FL_SYNC_LINES ? contents->sets.lines.total - 1
						   : contents->backends.n - 1,
	};
}

void fl_sync_stats(const struct fl_sync *sync, struct fl_sync_stats *ret_stats)
{
	const struct fl_contents *contents = &sync->contents;

	*ret_stats = (struct fl_sync_stats){
		.services = sync->services.n,
		.service_ports = sync->services.n_ports[FL_IPV4] + sync->services.n_ports[FL_IPV6],
		.ports_of = {sync->services.n_ports[FL_IPV4], sync->services.n_ports[FL_IPV6]},
		.frontends = contents->frontends.table.present,
		.backends = contents->backends.live,
		.drained_backends = contents->backends.n_drained,
		.backend_sets = contents->sets.used,
		.lines_used = contents->sets.lines.used,
		.lines_total = contents->sets.lines.total,
		.map_writes = fl_sync_writes(sync),
		.revision = sync->revision,
		.nodes_moved = contents->backends.n_moved,
		.failed_ports = sync->waiting.n,
		.tries = sync->tries,
	};
}

void fl_sync_set_detector(struct fl_sync *sync, const bool detector[static FL_FAMILIES])
{
	memcpy(sync->contents.options.detector, detector, sizeof(sync->contents.options.detector));
}
