// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a started agent learns from the maps that are there: frontends with the service ids and sets
 * they name, backend ids, members and ranges, and from all sets together which lines are free.
 * Nothing is written. Names are not in the maps: a service port takes over the id under which its
 * frontend is found.
 */
#include <string.h>

#include "lb/sync/internal.h"

static int adopt_element(const void *key, const void *value, void *arg)
{
	struct fl_table *table = arg;
	uint32_t e;
	int rc = fl_table_found(table, key, value, &e);

	if (!rc)
		((struct fl_element *)fl_table_at(table, e))->adopted = true;
	return rc;
}

static int adopt_maps(struct fl_sync *sync)
{
	int rc = 0;

	for (int map = 0; map < FL_SYNC_MAPS && !rc; map++)
		rc = sync->kernel.ops->dump(sync->kernel.ctx, map, adopt_element,
					    fl_contents_table(&sync->contents, map));
	return rc;
}

static int adopt_frontend(struct fl_contents *contents, struct fl_frontend_element *frontend)
{
	struct fl_frontend_record *record = &frontend->record;
	int rc = fl_service_ids_adopt(&contents->service_ids, record->value.service_id);

	for (int side = 0; side < FL_SIDES && !rc; side++) {
		rc = fl_set_adopt(&contents->sets, &record->value.list[side], &record->set[side]);
		if (!rc)
			fl_set_ref(&contents->sets, record->set[side]);
	}
	return rc;
}

static int adopt_contents(struct fl_contents *contents)
{
	struct fl_frontends *frontends = &contents->frontends;
	int rc = fl_backends_adopt(&contents->backends);

	for (uint32_t f = 0; f < frontends->table.n && !rc; f++)
		rc = adopt_frontend(contents, fl_frontend_at(frontends, f));
	if (!rc)
		rc = fl_sets_adopted(&contents->sets);
	if (!rc)
		fl_backends_rest_unused(&contents->backends);
	return rc;
}

int fl_sync_adopt(struct fl_sync *sync, struct fl_err *err)
{
	int rc = adopt_maps(sync);

	if (!rc)
		rc = adopt_contents(&sync->contents);
	return rc ? fl_err_set(err, rc, "reading the service maps: %s", strerror(-rc)) : 0;
}
