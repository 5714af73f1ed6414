// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The phases of making bits anew, whatever they stand for. */
#include "conntrack/rebuild.h"

#include "conntrack/entry.h"

#define WAIT_S 1

static void enter(struct fl_rebuild *rebuild, enum fl_rebuild_phase phase, uint32_t now)
{
	rebuild->phase = phase;
	rebuild->since = now;
	rebuild->next = 0;
}

/* 1: nothing is left; 0: there is more. */
static int scan(const struct fl_rebuilt *what, size_t *next, uint32_t half)
{
	const size_t end = *next + what->max_buckets;
	int r = *next || !what->mark_others ? 0 : what->mark_others(what, half);
	bool last = true;

	if (r)
		return r;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		const size_t slots = fl_entry_slots(what->table, family);

		for (size_t slot = *next * FL_FLOW_WAYS; slot < end * FL_FLOW_WAYS && slot < slots;
		     slot++)
			what->mark(what, family, slot, half);
		last &= end * FL_FLOW_WAYS >= slots;
	}
	*next = end;
	return last;
}

void fl_rebuild(const struct fl_rebuilt *what, struct fl_rebuild *rebuild, uint64_t now,
		uint32_t hz)
{
	const uint32_t waited = fl_idle(rebuild->since, (uint32_t)now);
	const uint32_t used = __atomic_load_n(what->half, __ATOMIC_RELAXED) & 1, spare = !used;
	int r;

	switch (rebuild->phase) {
	case FL_REBUILD_BEGIN:
		enter(rebuild, FL_REBUILD_REST, (uint32_t)now);
		break;
	case FL_REBUILD_REST:
		if (waited <= what->rest_s * hz)
			break;
		if (what->wanted(what, used)) {
			what->clear(what, spare);
			enter(rebuild, FL_REBUILD_CLEARED, (uint32_t)now);
		} else {
			enter(rebuild, FL_REBUILD_REST, (uint32_t)now);
		}
		break;
	case FL_REBUILD_CLEARED:
		/* `now` was from before the clearing, which may have taken long */
		enter(rebuild, FL_REBUILD_WAIT, (uint32_t)now);
		break;
	case FL_REBUILD_WAIT:
		if (waited > WAIT_S * hz)
			enter(rebuild, FL_REBUILD_SCAN, (uint32_t)now);
		break;
	case FL_REBUILD_SCAN:
		r = scan(what, &rebuild->next, spare);
		if (!r)
			break;
		if (r > 0)
			__atomic_store_n(what->half, spare, __ATOMIC_SEQ_CST);
		enter(rebuild, FL_REBUILD_REST, (uint32_t)now);
		break;
	}
}
