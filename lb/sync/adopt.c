// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a started agent learns from the maps that are there: frontends with the service ids and sets
 * they name, backend ids, members and ranges, and from all sets together which lines are free.
 * Nothing is written. Names are not in the maps: a service port takes over the id under which its
 * frontend is found.
 */
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/sync/internal.h"

#define SETS_TRIED                                                                                 \
	8 /* tables built again, to see whether seed and construction are still the same */

static int adopt_frontend(const void *key, const void *value, void *arg)
{
	struct fl_sync *sync = arg;
	struct fl_front *front;
	uint32_t f;
	int rc = fl_front_get(sync, key, &f);

	if (rc)
		return rc;
	front = &sync->fronts.all[f];
	memcpy(&front->value, value, sizeof(front->value));
	sync->fronts.present += !front->present;
	front->present = true;
	front->adopted = true;
	return fl_service_ids_adopt(sync, front->value.service_id);
}

static int adopt_member(const void *key, const void *value, void *arg)
{
	struct fl_sync *sync = arg;

	return fl_mirror_adopt(&sync->members, key);
}

static int adopt_range(const void *key, const void *value, void *arg)
{
	struct fl_sync *sync = arg;

	return fl_mirror_adopt(&sync->ranges, key);
}

static int adopt_sets(struct fl_sync *sync)
{
	for (uint32_t f = 0; f < sync->fronts.n; f++) {
		for (int side = 0; side < FL_SIDES; side++) {
			struct fl_front *front = &sync->fronts.all[f];
			int rc = fl_set_adopt(sync, &front->value.list[side], &front->set[side]);

			if (rc)
				return rc;
			fl_set_ref(sync, front->set[side]);
		}
	}
	return 0;
}

static int by_slab(const void *va, const void *vb, void *arg)
{
	const struct fl_set *sets = arg;
	const uint32_t a = sets[*(const uint32_t *)va].slab, b = sets[*(const uint32_t *)vb].slab;

	return (a > b) - (a < b);
}

/* Every line that no set uses is free, line 0 excepted. */
static int adopt_lines(struct fl_sync *sync)
{
	_cleanup_free_ uint32_t *order = calloc(sync->sets.n + 1ULL, sizeof(*order));
	uint32_t n = 0, at = 1, last = 0;
	int rc;

	if (!order)
		return -ENOMEM;
	for (uint32_t s = 1; s <= sync->sets.n; s++)
		order[n++] = s;
	qsort_r(order, n, sizeof(*order), by_slab, sync->sets.all);
	for (uint32_t i = 0; i < n; i++) {
		struct fl_set *set = &sync->sets.all[order[i]];
		const uint32_t end = set->slab + fl_set_lines(set);

		if (set->slab < at) {
			set->overlaps = true;
			if (last)
				sync->sets.all[last].overlaps = true;
		} else if (set->slab > at) {
			rc = fl_lines_free(&sync->lines, at, set->slab - at);
			if (rc)
				return rc;
		}
		if (end > at) {
			at = end;
			last = order[i];
		}
	}
	return at < sync->lines.total ? fl_lines_free(&sync->lines, at, sync->lines.total - at) : 0;
}

/* With another seed every table is to be made anew; those there serve until then. */
static void adopt_seed(struct fl_sync *sync)
{
	bool same = true;

	for (uint32_t s = 1; s <= sync->sets.n && s <= SETS_TRIED && same; s++)
		same = fl_set_intact(sync, s);
	for (uint32_t s = 1; s <= sync->sets.n; s++)
		if (!same || sync->sets.all[s].overlaps)
			fl_set_forget(sync, s);
}

int fl_sync_adopt(struct fl_sync *sync, struct fl_err *err)
{
	int rc = sync->ops->dump(sync->ctx, FL_SYNC_FRONTENDS, adopt_frontend, sync);

	if (!rc)
		rc = sync->ops->dump(sync->ctx, FL_SYNC_MEMBERS, adopt_member, sync);
	if (!rc)
		rc = sync->ops->dump(sync->ctx, FL_SYNC_RANGES, adopt_range, sync);
	for (uint32_t id = 1; id < sync->backends.n && !rc; id++)
		rc = fl_backend_adopt(sync, id);
	if (!rc)
		rc = adopt_sets(sync);
	if (!rc)
		rc = adopt_lines(sync);
	if (rc)
		return fl_err_set(err, rc, "reading the service maps: %s", strerror(-rc));
	adopt_seed(sync);
	fl_backend_rest_unused(sync);
	return 0;
}
