/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Engine: from a hash to element numbers of an array that the caller keeps: open addressing, eight
 * bytes per slot, of which four in five are in use at most; no pointers into the elements, so
 * arrays may move. The caller compares the elements.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define FL_INDEX_NONE UINT32_MAX
#define FL_INDEX_GONE UINT32_MAX /* low half of a slot whose element was removed; 0: never used */

struct fl_index {
	uint64_t *slots;  /* hash << 32 | element + 1 */
	uint32_t n_slots; /* a power of two, or 0 */
	uint32_t live, gone;
};

static inline void fl_index_fini(struct fl_index *index)
{
	free(index->slots);
	*index = (struct fl_index){0};
}

static inline void fl_index_put(struct fl_index *index, uint64_t slot)
{
	const uint32_t mask = index->n_slots - 1;
	uint32_t at = (uint32_t)(slot >> 32) & mask;

	while ((uint32_t)index->slots[at] && (uint32_t)index->slots[at] != FL_INDEX_GONE)
		at = (at + 1) & mask;
	if ((uint32_t)index->slots[at] == FL_INDEX_GONE)
		index->gone--;
	index->slots[at] = slot;
	index->live++;
}

/* Make room for `more` additions, which then cannot fail. 0 or -ENOMEM. */
static inline int fl_index_reserve(struct fl_index *index, uint32_t more)
{
	struct fl_index next = {0};
	uint64_t want = index->live + (uint64_t)more;

	if ((want + index->gone) * 5 <= index->n_slots * 4ULL)
		return 0;
	if (want > UINT32_MAX / 8)
		return -ENOMEM;
	/* more than is asked for, so that a few removals do not bring it here again */
	for (next.n_slots = 16; next.n_slots * 2ULL < want * 3;)
		next.n_slots *= 2;
	next.slots = calloc(next.n_slots, sizeof(*next.slots));
	if (!next.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < index->n_slots; i++) {
		const uint32_t low = (uint32_t)index->slots[i];

		if (low && low != FL_INDEX_GONE)
			fl_index_put(&next, index->slots[i]);
	}
	free(index->slots);
	*index = next;
	return 0;
}

/* After fl_index_reserve(). */
static inline void fl_index_add(struct fl_index *index, uint32_t hash, uint32_t element)
{
	fl_index_put(index, (uint64_t)hash << 32 | (element + 1));
}

static inline void fl_index_del(struct fl_index *index, uint32_t hash, uint32_t element)
{
	const uint64_t slot = (uint64_t)hash << 32 | (element + 1);
	const uint32_t mask = index->n_slots - 1;

	for (uint32_t at = hash & mask; (uint32_t)index->slots[at]; at = (at + 1) & mask) {
		if (index->slots[at] != slot)
			continue;
		index->slots[at] = (uint64_t)hash << 32 | FL_INDEX_GONE;
		index->live--;
		index->gone++;
		return;
	}
}

/* The elements with this hash, one per call; FL_INDEX_NONE at the end. Begin with *step == 0. */
static inline uint32_t fl_index_next(const struct fl_index *index, uint32_t hash, uint32_t *step)
{
	const uint32_t mask = index->n_slots - 1;

	if (!index->n_slots)
		return FL_INDEX_NONE;
	for (;;) {
		const uint64_t slot = index->slots[(hash + (*step)++) & mask];
		const uint32_t low = (uint32_t)slot;

		if (!low)
			return FL_INDEX_NONE;
		if ((uint32_t)(slot >> 32) == hash && low != FL_INDEX_GONE)
			return low - 1;
	}
}
