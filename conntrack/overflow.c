// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The overflow bits of the flow table, made anew from its entries. */
#include "bpf/abi/hash.h"
#include "conntrack/entry.h"

#define REST_S 30

static struct fl_overflow *overflow_of(const struct fl_flow_table *table, enum fl_family family,
				       size_t *ret_n)
{
	size_t buckets = fl_entry_slots(table, family) / FL_FLOW_WAYS;

	*ret_n = (buckets + FL_OVERFLOW_BUCKETS - 1) / FL_OVERFLOW_BUCKETS;
	return family == FL_IPV4 ? table->overflow4 : table->overflow6;
}

static bool any_bit(const struct fl_rebuilt *what, uint32_t half)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n;
		struct fl_overflow *overflow = overflow_of(what->table, family, &n);

		for (size_t i = 0; i < n; i++)
			if (__atomic_load_n(&overflow[i].half[half], __ATOMIC_RELAXED))
				return true;
	}
	return false;
}

static void clear(const struct fl_rebuilt *what, uint32_t half)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n;
		struct fl_overflow *overflow = overflow_of(what->table, family, &n);

		for (size_t i = 0; i < n; i++)
			__atomic_store_n(&overflow[i].half[half], 0, __ATOMIC_RELAXED);
	}
}

/* Set the bit of the entry in this slot, if it is not in its first bucket. */
static void mark(const struct fl_rebuilt *what, enum fl_family family, size_t slot, uint32_t half)
{
	const struct fl_flow_table *table = what->table;
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

void fl_overflow_rebuild(const struct fl_flow_table *table, struct fl_rebuild *rebuild,
			 uint64_t now, uint32_t hz, size_t max_buckets)
{
	const struct fl_rebuilt what = {
		.table = table,
		.max_buckets = max_buckets,
		.half = table->meta ? &table->meta->overflow_half : NULL,
		.rest_s = REST_S,
		.wanted = any_bit,
		.clear = clear,
		.mark = mark,
	};

	if (table->meta && table->overflow4 && table->overflow6)
		fl_rebuild(&what, rebuild, now, hz);
}
