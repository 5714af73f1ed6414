// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a started agent learns from the maps that are there: all elements, backends and sets, and
 * from them the state that each service id had in force. Nothing is written. Names are not in the
 * maps: a service port takes over the state that has one of its frontends. What no Service wants
 * goes when everything was planned once.
 */
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/sync/internal.h"
#include "lb/sync/state_found.h"

static int adopt_element(const void *key, const void *value, void *arg)
{
	uint32_t e;

	return fl_table_found(arg, key, value, &e);
}

static int adopt_maps(struct fl_sync *sync)
{
	int rc = 0;

	for (int map = 0; map < FL_SYNC_HASHES && !rc; map++)
		rc = sync->kernel.ops->dump(sync->kernel.ctx, map, adopt_element,
					    fl_contents_table(&sync->contents, map));
	return rc;
}

static int adopt_sets(struct fl_contents *contents)
{
	struct fl_frontends *frontends = &contents->frontends;
	int rc = 0;

	for (uint32_t f = 0; f < frontends->table.n && !rc; f++) {
		struct fl_frontend_record *record = &fl_frontend_at(frontends, f)->record;

		for (int side = 0; side < FL_SIDES && !rc; side++) {
			rc = fl_set_adopt(&contents->sets, &record->value.list[side],
					  &record->set[side]);
			if (!rc)
				fl_set_ref(&contents->sets, record->set[side]);
		}
	}
	return rc ? rc : fl_sets_adopted(&contents->sets);
}

/* States */

static uint32_t member_service(const struct fl_table *table, uint32_t e)
{
	return ((const struct fl_member_key *)fl_table_key(table, e))->list_id / FL_LISTS;
}

static uint32_t range_service(const struct fl_table *table, uint32_t e)
{
	return ((const struct fl_range_key *)fl_table_key(table, e))->service_id;
}

static uint32_t frontend_service(const struct fl_table *table, uint32_t e)
{
	return ((const struct fl_frontend *)fl_table_record(table, e))->service_id;
}

static uint32_t (*const service_of[FL_SYNC_HASHES])(const struct fl_table *table, uint32_t e) = {
	[FL_SYNC_MEMBERS] = member_service,
	[FL_SYNC_RANGES] = range_service,
	[FL_SYNC_FRONTENDS] = frontend_service,
};

/* The elements of a table in the order of their service ids. */
struct by_service {
	uint32_t *elements, *start; /* start: by service id, with one more at the end */
};

struct all_by_service {
	struct by_service map[FL_SYNC_HASHES];
};

static void all_by_service_fini(struct all_by_service *by)
{
	for (int map = 0; map < FL_SYNC_HASHES; map++) {
		free(by->map[map].elements);
		free(by->map[map].start);
	}
}

/* A counting sort; ids below `n_ids` only. */
static int by_service_init(struct by_service *by, const struct fl_table *table, uint32_t n_ids)
{
	uint32_t (*service)(const struct fl_table *, uint32_t) = service_of[table->desc->map];

	by->elements = calloc(table->n + 1ULL, sizeof(*by->elements));
	by->start = calloc(n_ids + 2ULL, sizeof(*by->start));
	if (!by->elements || !by->start)
		return -ENOMEM;
	for (uint32_t e = 0; e < table->n; e++)
		if (service(table, e) < n_ids)
			by->start[service(table, e) + 2]++;
	for (uint32_t id = 2; id < n_ids + 2; id++)
		by->start[id] += by->start[id - 1];
	/* start[id + 1] runs from where the id begins to where it ends */
	for (uint32_t e = 0; e < table->n; e++)
		if (service(table, e) < n_ids)
			by->elements[by->start[service(table, e) + 1]++] = e;
	return 0;
}

static int adopt_ids(struct fl_contents *contents)
{
	int rc = 0;

	for (int map = 0; map < FL_SYNC_HASHES; map++) {
		const struct fl_table *table = fl_contents_table(contents, map);

		for (uint32_t e = 0; e < table->n && !rc; e++)
			rc = fl_service_ids_adopt(&contents->service_ids,
						  service_of[map](table, e));
	}
	return rc;
}

/* What a frontend names. Other members and ranges are left over: they go when all was planned. */
static int adopt_state(struct fl_contents *contents, const struct by_service by[FL_SYNC_HASHES],
		       uint32_t id, uint32_t *stamps)
{
	struct fl_found found;

	for (int map = 0; map < FL_SYNC_HASHES; map++) {
		found.elements[map] = by[map].elements + by[map].start[id];
		found.n[map] = by[map].start[id + 1] - by[map].start[id];
	}
	if (!found.n[FL_SYNC_FRONTENDS])
		return 0;
	return fl_state_find(contents, &found, stamps, id, &contents->service_ids.all[id].found);
}

static int adopt_states(struct fl_contents *contents)
{
	const uint32_t n_ids = contents->service_ids.fresh;
	_cleanup_free_ uint32_t *stamps = calloc(contents->backends.n + 1ULL, sizeof(*stamps));
	_cleanup_(all_by_service_fini) struct all_by_service by = {0};
	int rc = stamps ? 0 : -ENOMEM;

	for (int map = 0; map < FL_SYNC_HASHES && !rc; map++)
		rc = by_service_init(&by.map[map], fl_contents_table(contents, map), n_ids);
	/* id 0 is no service's: entries of addresses have it */
	for (uint32_t id = 1; id < n_ids && !rc; id++)
		rc = adopt_state(contents, by.map, id, stamps);
	return rc;
}

int fl_sync_adopt(struct fl_sync *sync, struct fl_err *err)
{
	struct fl_contents *contents = &sync->contents;
	int rc = adopt_maps(sync);

	if (!rc)
		rc = fl_backends_adopt(&contents->backends);
	if (!rc)
		rc = adopt_sets(contents);
	if (!rc)
		rc = adopt_ids(contents);
	if (!rc)
		rc = adopt_states(contents);
	if (!rc)
		fl_backends_rest_unused(&contents->backends);
	return rc ? fl_err_set(err, rc, "reading the service maps: %s", strerror(-rc)) : 0;
}

/* The end of it */

static void each_found(struct fl_sync *sync,
		       void (*fn)(struct fl_contents *contents, struct fl_state **state))
{
	const struct fl_service_ids *ids = &sync->contents.service_ids;

	for (uint32_t id = 1; id < ids->fresh && sync->contents.n_found; id++)
		if (ids->all[id].found)
			fn(&sync->contents, &ids->all[id].found);
}

static void unlink_state(struct fl_contents *contents, struct fl_state **state)
{
	fl_state_unlink(contents, *state);
}

int fl_sync_settle(struct fl_sync *sync, struct fl_err *err)
{
	int rc;

	if (sync->contents.settled)
		return 0;
	/* what no service port took over, and what belonged to nothing */
	each_found(sync, unlink_state);
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		fl_table_mark_unnamed(fl_contents_table(&sync->contents, map));
	rc = fl_sync_retry(sync, err);
	each_found(sync, fl_state_free);
	fl_contents_settle(&sync->contents);
	/* what an earlier agent may not have got to */
	if (sync->contents.options.touched)
		sync->contents.options.touched(NULL, sync->contents.options.touched_arg);
	return rc;
}
