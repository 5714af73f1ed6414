// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Maglev table construction. Backends take turns; at its turn a backend takes the first free slot
 * of its own permutation of the slots, (offset + i * skip) mod length. Turns go in the order of the
 * seeded hash of the identities, so that the order of the input does not matter.
 *
 * The plain walk below was measured against testing several slots of a permutation at once, against
 * a bitmap of taken slots, against several tables side by side, and against permutations that a
 * machine word can search: the first three are slower, the last is up to twice as fast but moves
 * two to ten times as many slots needlessly. To find the last slots by the inverse of the skip
 * instead of walking saves a quarter for hundreds of backends, and nothing for ten.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/maglev/maglev.h"

#define SLOT_FREE 0xffff /* no ordinal: there are at most FL_MAGLEV_BACKENDS_MAX backends */
#define IDENTITY_BYTES 19
/* Makes the seed of the second hash; any odd constant would do, but it must never change. */
#define SKIP_SEED 0x9e3779b97f4a7c15ULL
#define INSERTION_SORT_MAX 24

struct fl_maglev_turn {
	uint32_t next, skip;
	uint32_t ordinal;
	uint32_t weight, credit;
	uint64_t order;
	uint8_t identity[IDENTITY_BYTES];
};

static const uint32_t lengths[] = {251,	 509,	1021,  2039,  4093,
				   8191, 16381, 32749, 65521, FL_MAGLEV_LENGTH_MAX};

void fl_maglev_scratch_fini(struct fl_maglev_scratch *scratch)
{
	free(scratch->turns);
	*scratch = (struct fl_maglev_scratch){0};
}

uint32_t fl_maglev_length(size_t n_backends, uint32_t ratio)
{
	const size_t n = sizeof(lengths) / sizeof(lengths[0]);
	const uint64_t want = (uint64_t)n_backends * (ratio ? ratio : FL_MAGLEV_RATIO);

	if (!n_backends)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (lengths[i] >= want)
			return lengths[i];
	return lengths[n - 1];
}

bool fl_maglev_length_valid(uint32_t length)
{
	if (length < 3 || length > FL_MAGLEV_LENGTH_MAX || !(length & 1))
		return false;
	for (uint32_t d = 3; d * d <= length; d += 2)
		if (length % d == 0)
			return false;
	return true;
}

static int scratch_reserve(struct fl_maglev_scratch *scratch, size_t n)
{
	struct fl_maglev_turn *turns;

	if (n <= scratch->n_turns)
		return 0;
	turns = reallocarray(scratch->turns, n, sizeof(*turns));
	if (!turns)
		return -ENOMEM;
	scratch->turns = turns;
	scratch->n_turns = n;
	return 0;
}

static void turn_init(struct fl_maglev_turn *turn, const struct fl_maglev_backend *backend,
		      uint32_t ordinal, uint64_t seed, uint32_t length)
{
	uint64_t skip;

	memcpy(turn->identity, backend->ip.b, 16);
	turn->identity[16] = (uint8_t)(backend->port >> 8);
	turn->identity[17] = (uint8_t)backend->port;
	turn->identity[18] = backend->proto;
	turn->order = XXH64(turn->identity, IDENTITY_BYTES, seed);
	skip = XXH64(turn->identity, IDENTITY_BYTES, seed ^ SKIP_SEED);
	turn->next = (uint32_t)(turn->order % length);
	turn->skip = (uint32_t)(skip % (length - 1)) + 1;
	turn->ordinal = ordinal;
	turn->weight = backend->weight;
	turn->credit = 0;
}

static int turn_cmp(const void *va, const void *vb)
{
	const struct fl_maglev_turn *a = va, *b = vb;
	int rc;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	rc = memcmp(a->identity, b->identity, IDENTITY_BYTES);
	return rc ? rc : (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

/* Most backend sets are small, where qsort's calls cost more than the comparisons. */
static void turns_sort(struct fl_maglev_turn *turns, size_t n)
{
	if (n > INSERTION_SORT_MAX) {
		qsort(turns, n, sizeof(*turns), turn_cmp);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		const struct fl_maglev_turn turn = turns[i];
		size_t j = i;

		for (; j && turn_cmp(&turn, &turns[j - 1]) < 0; j--)
			turns[j] = turns[j - 1];
		turns[j] = turn;
	}
}

static inline void turn_take(struct fl_maglev_turn *turn, uint32_t length, uint16_t *table)
{
	const uint32_t skip = turn->skip;
	uint32_t slot = turn->next;

	while (table[slot] != SLOT_FREE) {
		slot += skip;
		slot = slot >= length ? slot - length : slot;
	}
	table[slot] = (uint16_t)turn->ordinal;
	slot += skip;
	turn->next = slot >= length ? slot - length : slot;
}

/*
 * Weights alter how often a backend has its turn, as the paper does it (section 3.4). In each round
 * a backend earns its weight and pays the largest weight for a slot, so slots come in
 * proportion to weights, spread over the rounds. `weight_max` is the largest of the weights.
 */
static void fill_weighted(struct fl_maglev_turn *turns, size_t n, uint32_t weight_max,
			  uint32_t length, uint16_t *table)
{
	for (uint32_t filled = 0;;) {
		for (size_t i = 0; i < n; i++) {
			turns[i].credit += turns[i].weight;
			if (turns[i].credit < weight_max)
				continue;
			turns[i].credit -= weight_max;
			turn_take(&turns[i], length, table);
			if (++filled == length)
				return;
		}
	}
}

static void fill_equal(struct fl_maglev_turn *turns, size_t n, uint32_t length, uint16_t *table)
{
	for (uint32_t filled = 0;;) {
		for (size_t i = 0; i < n; i++) {
			turn_take(&turns[i], length, table);
			if (++filled == length)
				return;
		}
	}
}

int fl_maglev_build(const struct fl_maglev_backend *backends, size_t n_backends, uint64_t seed,
		    uint32_t length, struct fl_maglev_scratch *scratch, uint16_t *table)
{
	uint32_t weight_max = 0, weight_min = UINT32_MAX;
	size_t n = 0;
	int rc;

	if (n_backends > FL_MAGLEV_BACKENDS_MAX)
		return -E2BIG;
	if (length < 3 || length > FL_MAGLEV_LENGTH_MAX)
		return -EINVAL;
	rc = scratch_reserve(scratch, n_backends);
	if (rc)
		return rc;
	for (size_t i = 0; i < n_backends; i++) {
		const uint32_t weight = backends[i].weight;

		if (!weight)
			continue;
		turn_init(&scratch->turns[n++], &backends[i], (uint32_t)i, seed, length);
		weight_max = weight > weight_max ? weight : weight_max;
		weight_min = weight < weight_min ? weight : weight_min;
	}
	if (!n)
		return -EINVAL;
	turns_sort(scratch->turns, n);
	memset(table, 0xff, length * sizeof(*table));
	if (weight_min == weight_max)
		fill_equal(scratch->turns, n, length, table);
	else
		fill_weighted(scratch->turns, n, weight_max, length, table);
	return 0;
}
