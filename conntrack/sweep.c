/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Freeing what has expired, a slice of the table at a time: flows of which both directions have
 * been idle past the timeout of their state, and entries that lost their twin. A pair is judged
 * from its original direction, so the slices need not hold both halves.
 */
#include "conntrack/entry.h"

#include <netinet/in.h>

static uint32_t entry_timeout(const struct fl_sweep *sweep, const struct fl_entry *entry)
{
	return sweep->timeout[fl_timeout_of(entry->head.proto == IPPROTO_UDP,
					    fl_flow_state(entry->head.word))];
}

static void count(struct fl_sweep *sweep, enum fl_family family, const struct fl_entry *entry)
{
	struct fl_flow_tally *tally = &sweep->counting[family];
	const enum fl_flow_state state = fl_flow_state(entry->head.word);

	tally->used++;
	tally->proven += fl_flow_open(state);
	if (entry->head.flags & FL_FLOW_IS_REPLY)
		return;
	tally->unanswered += state == FL_FLOW_NEW && entry->head.proto == IPPROTO_TCP;
	tally->flows[state]++;
	if (sweep->met)
		sweep->met(family, &entry->head, sweep->arg);
}

/* True: the kernel has had its say about this flow. *ret_freed: it is gone. */
static bool follow_kernel(const struct fl_flow_table *table, const struct fl_sweep *sweep,
			  enum fl_family family, size_t slot, const struct fl_entry *entry,
			  uint32_t now, bool *ret_freed)
{
	enum fl_flow_state state;
	struct fl_entry twin;
	struct fl_flow flow;

	if (!sweep->kernel || entry->head.flags & FL_FLOW_IS_REPLY ||
	    !fl_entry_twin(table, family, slot, entry, &twin))
		return false;
	fl_entry_flow(family, slot, entry, &twin, now, &flow);
	state = sweep->kernel(&flow, sweep->kernel_arg);
	if (state >= FL_FLOW_STATES)
		return false;
	if (state == FL_FLOW_FREE)
		*ret_freed = fl_entry_free(table, family, slot, entry, &twin, now, FL_NO_TIMEOUT);
	else
		fl_entry_keep(table, family, slot, entry, &twin, state, now);
	return true;
}

static size_t sweep_slot(const struct fl_flow_table *table, struct fl_sweep *sweep,
			 enum fl_family family, size_t slot, uint32_t now, uint32_t hz)
{
	struct fl_entry entry, twin;
	bool paired, freed = false;
	uint32_t timeout;

	if (!fl_entry_read(table, family, slot, &entry))
		return 0;
	count(sweep, family, &entry);
	if (entry.head.flags & FL_FLOW_KERNEL &&
	    follow_kernel(table, sweep, family, slot, &entry, now, &freed))
		return freed;
	/* most entries are not idle, and then their twin need not be touched */
	timeout = entry_timeout(sweep, &entry);
	if (fl_idle(entry.head.last_seen, now) <= (timeout < hz ? timeout : hz))
		return 0;
	paired = fl_entry_twin(table, family, slot, &entry, &twin);
	if (!paired) {
		/* both halves are published within microseconds, so after a second it is not a flow
		 * being made */
		return fl_entry_free(table, family, slot, &entry, NULL, now,
				     timeout < hz ? timeout : hz);
	}
	if (entry.head.flags & FL_FLOW_IS_REPLY)
		return 0;
	if (fl_idle(entry.head.last_seen, now) <= timeout ||
	    fl_idle(twin.head.last_seen, now) <= timeout)
		return 0;
	return fl_entry_free(table, family, slot, &entry, &twin, now, timeout);
}

/* The pass is over: what it counted stands until the next one is. */
static void finish_tally(struct fl_sweep *sweep, enum fl_family family, size_t slots)
{
	sweep->counting[family].slots = slots;
	sweep->tally[family] = sweep->counting[family];
	sweep->counting[family] = (struct fl_flow_tally){0};
	if (sweep->passed)
		sweep->passed(family, sweep->arg);
}

static size_t sweep_family(const struct fl_flow_table *table, struct fl_sweep *sweep,
			   enum fl_family family, size_t *next, uint32_t now, uint32_t hz,
			   size_t max_buckets)
{
	size_t buckets = fl_entry_slots(table, family) / FL_FLOW_WAYS, freed = 0;

	if (max_buckets > buckets)
		max_buckets = buckets;
	for (size_t i = 0; i < max_buckets; i++) {
		if (*next >= buckets)
			*next = 0;
		for (size_t way = 0; way < FL_FLOW_WAYS; way++)
			freed += sweep_slot(table, sweep, family, *next * FL_FLOW_WAYS + way, now,
					    hz);
		if (++*next == buckets)
			finish_tally(sweep, family, buckets * FL_FLOW_WAYS);
	}
	return freed;
}

size_t fl_flow_sweep(const struct fl_flow_table *table, struct fl_sweep *sweep, uint64_t now,
		     uint32_t hz, size_t max_buckets)
{
	return sweep_family(table, sweep, FL_IPV4, &sweep->next4, (uint32_t)now, hz, max_buckets) +
	       sweep_family(table, sweep, FL_IPV6, &sweep->next6, (uint32_t)now, hz, max_buckets);
}
