/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Freeing chosen flows whatever their age (`fairlead flow flush`). A reply that lost its original
 * is offered to match() too, since it describes the whole flow.
 */
#include "conntrack/entry.h"

/* A flow in use changes its state word while it is looked at; a few looks are enough to win. */
#define FLUSH_TRIES 8

static bool flush_slot(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		       uint32_t now, bool (*match)(const struct fl_flow *flow, void *arg),
		       void *arg)
{
	struct fl_entry entry, twin;
	struct fl_flow flow;
	bool paired;

	for (int i = 0; i < FLUSH_TRIES; i++) {
		if (!fl_entry_read(table, family, slot, &entry))
			return false;
		paired = fl_entry_twin(table, family, slot, &entry, &twin);
		if (paired && (entry.head.flags & FL_FLOW_IS_REPLY))
			return false;
		fl_entry_flow(family, slot, &entry, paired ? &twin : NULL, now, &flow);
		if (match && !match(&flow, arg))
			return false;
		if (fl_entry_free(table, family, slot, &entry, paired ? &twin : NULL, now,
				  FL_NO_TIMEOUT))
			return true;
	}
	return false;
}

size_t fl_flow_flush(const struct fl_flow_table *table, uint64_t now,
		     bool (*match)(const struct fl_flow *flow, void *arg), void *arg)
{
	size_t freed = 0;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n = fl_entry_slots(table, family);

		for (size_t slot = 0; slot < n; slot++)
			freed += flush_slot(table, family, slot, (uint32_t)now, match, arg);
	}
	return freed;
}
