/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Freeing what has expired, a slice of the table at a time: flows of which both directions have
 * been idle past the timeout of their state, and entries that lost their twin. A pair is judged
 * from its original direction, so the slices need not hold both halves.
 */
#include "conntrack/entry.h"

#include <assert.h>
#include <netinet/in.h>

static uint32_t timeout_of(const struct fl_sweep *sweep, const struct fl_flow_head *head)
{
	return sweep->timeout[fl_timeout_of(head->proto == IPPROTO_UDP, fl_flow_state(head->word))];
}

void fl_sweep_watch(struct fl_sweep *sweep, const struct fl_sweep_watcher *watcher)
{
	assert(sweep->n_watchers < FL_SWEEP_WATCHERS);
	sweep->watchers[sweep->n_watchers++] = *watcher;
}

static void tell(const struct fl_sweep *sweep, enum fl_family family, size_t slot,
		 const struct fl_flow_head *head)
{
	const struct fl_met met = {.family = family, .slot = slot, .head = head};

	for (size_t i = 0; i < sweep->n_watchers; i++)
		if (sweep->watchers[i].met)
			sweep->watchers[i].met(&met, sweep->watchers[i].arg);
}

static void count(struct fl_sweep *sweep, enum fl_family family, size_t slot,
		  const struct fl_flow_head *head)
{
	struct fl_flow_tally *tally = &sweep->counting[family];
	const enum fl_flow_state state = fl_flow_state(head->word);

	tally->used++;
	tally->proven += fl_flow_open(state);
	tell(sweep, family, slot, head);
	if (head->flags & FL_FLOW_IS_REPLY)
		return;
	/* the answers of a tunnelled one go another way */
	tally->unanswered += state == FL_FLOW_NEW && head->proto == IPPROTO_TCP &&
			     !fl_flow_is_tunnelled(head->flags);
	tally->kernel += (head->flags & FL_FLOW_KERNEL) != 0;
	tally->flows[state]++;
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

/* A flow that is not over yet: when it will be, unless a packet comes. */
static void note_end(struct fl_sweep *sweep, enum fl_family family, uint64_t now, uint32_t left)
{
	struct fl_flow_tally *tally = &sweep->counting[family];
	const uint64_t over = now + left + 1;

	/* 0: the pass has met none so far */
	if (!tally->over || over < tally->over)
		tally->over = over;
}

static size_t sweep_slot(const struct fl_flow_table *table, struct fl_sweep *sweep,
			 enum fl_family family, size_t slot, uint64_t now, uint32_t hz)
{
	uint32_t timeout, young, idle, twin_idle;
	struct fl_entry entry, twin;
	struct fl_flow_head head;
	bool freed = false, whole;

	if (!fl_entry_head_read(table, family, slot, &head))
		return 0;
	count(sweep, family, slot, &head);
	timeout = timeout_of(sweep, &head);
	young = timeout < hz ? timeout : hz;
	idle = fl_idle(head.last_seen, (uint32_t)now);
	/* of most entries this is all that is touched */
	if (!(head.flags & FL_FLOW_KERNEL) && idle <= (sweep->paired ? timeout : young)) {
		if (!(head.flags & FL_FLOW_IS_REPLY))
			note_end(sweep, family, now, timeout - idle);
		return 0;
	}
	/* the same flow, or one that has taken its place since: with a state of its own */
	if (!fl_entry_read(table, family, slot, &entry))
		return 0;
	if (entry.head.flags & FL_FLOW_KERNEL &&
	    follow_kernel(table, sweep, family, slot, &entry, (uint32_t)now, &freed))
		return freed;
	timeout = timeout_of(sweep, &entry.head);
	young = timeout < hz ? timeout : hz;
	idle = fl_idle(entry.head.last_seen, (uint32_t)now);
	if (idle <= young)
		return 0;
	whole = fl_entry_is_whole(&entry.head, slot);
	/* both halves are published within microseconds, so after a second it is not a flow being
	 * made */
	if (!whole && !fl_entry_twin(table, family, slot, &entry, &twin))
		return fl_entry_free(table, family, slot, &entry, NULL, (uint32_t)now, young);
	if (entry.head.flags & FL_FLOW_IS_REPLY)
		return 0;
	twin_idle = whole ? idle : fl_idle(twin.head.last_seen, (uint32_t)now);
	if (twin_idle < idle)
		idle = twin_idle;
	if (idle <= timeout) {
		note_end(sweep, family, now, timeout - idle);
		return 0;
	}
	return fl_entry_free(table, family, slot, &entry, whole ? NULL : &twin, (uint32_t)now,
			     timeout);
}

/* The pass is over: what it counted stands until the next one is. */
static void finish_tally(struct fl_sweep *sweep, enum fl_family family, size_t slots)
{
	struct fl_flow_tally *made = &sweep->counting[family];

	made->slots = slots;
	made->over = made->over ? made->over : FL_NEVER;
	sweep->tally[family] = *made;
	*made = (struct fl_flow_tally){0};
	for (size_t i = 0; i < sweep->n_watchers; i++)
		sweep->watchers[i].passed(family, sweep->watchers[i].arg);
}

static size_t sweep_family(const struct fl_flow_table *table, struct fl_sweep *sweep,
			   enum fl_family family, size_t *next, uint64_t now, uint32_t hz,
			   size_t max_buckets)
{
	size_t buckets = fl_entry_slots(table, family) / FL_FLOW_WAYS, freed = 0;

	if (sweep->skip[family])
		return 0;
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
	return sweep_family(table, sweep, FL_IPV4, &sweep->next4, now, hz, max_buckets) +
	       sweep_family(table, sweep, FL_IPV6, &sweep->next6, now, hz, max_buckets);
}
