/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entries of a table that is known by its description alone (bpf/abi/layout.h). */
#pragma once

#include <string.h>

#include "lb/dp/old_flows.h"

static inline size_t fl_raw_slots(const struct fl_old_flows *old, int table)
{
	return old->n[table] * fl_old_table(old, table)->ways;
}

static inline const unsigned char *fl_raw_at(const struct fl_old_flows *old, int table, size_t slot)
{
	const struct fl_layout_table *t = fl_old_table(old, table);

	return (const unsigned char *)old->mem[table] + slot / t->ways * fl_old_flows_stride(t) +
	       slot % t->ways * t->entry_size;
}

/* The word that comes first in the description of a table: whether the entry is in use. */
static inline uint32_t fl_raw_word(const struct fl_layout_table *t, const unsigned char *entry,
				   int order)
{
	return __atomic_load_n((const uint32_t *)(const void *)(entry + t->field[0].offset), order);
}

/* A copy of relaxed atomic loads: a plain one that races with a writer has no meaning. */
static inline void fl_raw_copy(unsigned char *to, const unsigned char *from, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(from + i),
						__ATOMIC_RELAXED);

		memcpy(to + i, &word, sizeof(word));
	}
}

/* A field as a number; 0 where it is not there. */
static inline uint64_t fl_raw_number(const unsigned char *entry,
				     const struct fl_layout_place *place)
{
	const unsigned char *at = entry + place->offset;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (place->size) {
	case 1:
		return *at;
	case 2:
		memcpy(&u16, at, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, at, sizeof(u32));
		return u32;
	case 8:
		memcpy(&u64, at, sizeof(u64));
		return u64;
	default:
		return 0;
	}
}
