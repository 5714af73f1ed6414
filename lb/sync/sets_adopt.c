// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the sets found at start say together: which lines are free, and whether tables would still
 * be made the same way. */
#include <stdlib.h>

#include "lb/base/cleanup.h"
#include "lb/sync/sets.h"

#define SETS_TRIED 8 /* tables that are built again for a comparison */

static int by_slab(const void *va, const void *vb, void *arg)
{
	const struct fl_set *all = arg;
	const uint32_t a = all[*(const uint32_t *)va].slab, b = all[*(const uint32_t *)vb].slab;

	return (a > b) - (a < b);
}

/* Every line that no set uses is free, line 0 excepted. */
static int find_free_lines(struct fl_sets *sets)
{
	_cleanup_free_ uint32_t *order = calloc(sets->n + 1ULL, sizeof(*order));
	uint32_t n = 0, at = 1, last = 0;
	int rc;

	if (!order)
		return -ENOMEM;
	for (uint32_t s = 1; s <= sets->n; s++)
		order[n++] = s;
	qsort_r(order, n, sizeof(*order), by_slab, sets->all);
	for (uint32_t i = 0; i < n; i++) {
		struct fl_set *set = &sets->all[order[i]];
		const uint32_t end = set->slab + fl_set_lines(set);

		if (set->slab < at) {
			set->overlaps = true;
			if (last)
				sets->all[last].overlaps = true;
		} else if (set->slab > at) {
			rc = fl_lines_free(&sets->lines, at, set->slab - at);
			if (rc)
				return rc;
		}
		if (end > at) {
			at = end;
			last = order[i];
		}
	}
	return at < sets->lines.total ? fl_lines_free(&sets->lines, at, sets->lines.total - at) : 0;
}

/* If seed or construction changed, all tables are made again; those that are there serve until
 * then. */
static void forget_outdated(struct fl_sets *sets)
{
	bool same = true;

	for (uint32_t s = 1; s <= sets->n && s <= SETS_TRIED && same; s++)
		same = fl_set_intact(sets, s);
	for (uint32_t s = 1; s <= sets->n; s++)
		if (!same || sets->all[s].overlaps)
			fl_set_forget(sets, s);
}

int fl_sets_adopted(struct fl_sets *sets)
{
	int rc = find_free_lines(sets);

	if (!rc)
		forget_outdated(sets);
	return rc;
}
