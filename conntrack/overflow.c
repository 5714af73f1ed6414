// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rebuilding the overflow bits while the datapath uses them. It reads one half of them and sets
 * its bits in both, before an entry can be seen. So the half that is not being read can be
 * cleared, given the bit of every entry there is, and be made the one that is read:
 *
 * - An entry whose bit was wiped out by the clearing was published within the wait that follows,
 *   and the scan finds it. One that comes later has its bit in both halves.
 * - A program that still reads the old half after the change finds all it needs there: it is left
 * alone until the next clearing, a wait later.
 *
 * A bit too many costs a look and is gone in the next round. An agent that is killed at any point
 * leaves a half that is right to read.
 */
#include "bpf/abi/hash.h"
#include "conntrack/entry.h"

#define WAIT_S 1
#define REST_S 30

static struct fl_overflow *overflow_of(const struct fl_flow_table *table, enum fl_family family,
				       size_t *ret_n)
{
	size_t buckets = fl_entry_slots(table, family) / FL_FLOW_WAYS;

	*ret_n = (buckets + FL_OVERFLOW_BUCKETS - 1) / FL_OVERFLOW_BUCKETS;
	return family == FL_IPV4 ? table->overflow4 : table->overflow6;
}

static bool any_bit(const struct fl_flow_table *table, uint32_t half)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n;
		struct fl_overflow *overflow = overflow_of(table, family, &n);

		for (size_t i = 0; i < n; i++)
			if (__atomic_load_n(&overflow[i].half[half], __ATOMIC_RELAXED))
				return true;
	}
	return false;
}

static void clear(const struct fl_flow_table *table, uint32_t half)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n;
		struct fl_overflow *overflow = overflow_of(table, family, &n);

		for (size_t i = 0; i < n; i++)
			__atomic_store_n(&overflow[i].half[half], 0, __ATOMIC_RELAXED);
	}
}

/* Set the bit of the entry in this slot, if it is not in its first bucket. */
static void mark(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		 uint32_t half)
{
	uint32_t bucket = (uint32_t)(slot / FL_FLOW_WAYS), mask, first, shift;
	struct fl_overflow *overflow;
	struct fl_tuple6 key;
	uint8_t proto;
	uint64_t hash;
	size_t n;

	if (!fl_entry_key(table, family, slot, &key, &proto))
		return;
	overflow = overflow_of(table, family, &n);
	mask = (uint32_t)(fl_entry_slots(table, family) / FL_FLOW_WAYS - 1);
	hash = fl_hash_tuple(family == FL_IPV6, &key, proto, table->meta->flow_seed[0]);
	first = fl_hash_bucket(hash, 0, mask);
	if (first == bucket)
		return;
	shift = first % FL_OVERFLOW_BUCKETS * (FL_FLOW_CHOICES - 1);
	for (uint32_t choice = 1; choice < FL_FLOW_CHOICES; choice++)
		if (fl_hash_bucket(hash, choice, mask) == bucket)
			__atomic_fetch_or(&overflow[first / FL_OVERFLOW_BUCKETS].half[half],
					  1ULL << (shift + choice - 1), __ATOMIC_RELAXED);
}

/* True when there is no bucket left. */
static bool scan(const struct fl_flow_table *table, size_t *next, size_t max_buckets, uint32_t half)
{
	size_t end = *next + max_buckets;
	bool last = true;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t slots = fl_entry_slots(table, family);

		for (size_t slot = *next * FL_FLOW_WAYS; slot < end * FL_FLOW_WAYS && slot < slots;
		     slot++)
			mark(table, family, slot, half);
		last &= end * FL_FLOW_WAYS >= slots;
	}
	*next = end;
	return last;
}

static void enter(struct fl_overflow_rebuild *rebuild, enum fl_rebuild_phase phase, uint32_t now)
{
	rebuild->phase = phase;
	rebuild->since = now;
	rebuild->next = 0;
}

void fl_overflow_rebuild(const struct fl_flow_table *table, struct fl_overflow_rebuild *rebuild,
			 uint64_t now, uint32_t hz, size_t max_buckets)
{
	uint32_t waited = fl_idle(rebuild->since, (uint32_t)now), used, spare;

	if (!table->meta || !table->overflow4 || !table->overflow6)
		return;
	used = __atomic_load_n(&table->meta->overflow_half, __ATOMIC_RELAXED) & 1;
	spare = !used;
	switch (rebuild->phase) {
	case FL_REBUILD_BEGIN:
		enter(rebuild, FL_REBUILD_REST, (uint32_t)now);
		break;
	case FL_REBUILD_REST:
		if (waited <= REST_S * hz)
			break;
		if (any_bit(table, used)) {
			clear(table, spare);
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
		if (!scan(table, &rebuild->next, max_buckets, spare))
			break;
		__atomic_store_n(&table->meta->overflow_half, spare, __ATOMIC_SEQ_CST);
		enter(rebuild, FL_REBUILD_REST, (uint32_t)now);
		break;
	}
}
