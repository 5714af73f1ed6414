// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The allocator of lines: segregated fit with immediate joining. A size class holds a narrow range
 * of lengths (exact below 16 lines, four classes per power of two above), so that taking the first
 * run of the next class up always fits, and the class of the length itself is searched a few runs
 * deep.
 */
#include <string.h>

#include "lb/base/array.h"
#include "lb/sync/lines.h"

#define SEARCH_DEPTH 16

struct fl_line_run {
	uint32_t start, count;
	uint32_t prev, next; /* in its bin; FL_INDEX_NONE ends */
};

/* Spreads consecutive numbers over the index. */
static uint32_t hash32(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352dU;
	x ^= x >> 15;
	x *= 0x846ca68bU;
	return x ^ x >> 16;
}

static uint32_t bin_of(uint32_t count)
{
	const uint32_t log = 31 - (uint32_t)__builtin_clz(count);

	if (count < 16)
		return count;
	return 16 + (log - 4) * 4 + (count >> (log - 2) & 3);
}

void fl_lines_init(struct fl_lines *lines, uint32_t total)
{
	*lines = (struct fl_lines){.total = total, .used = total, .spare = FL_INDEX_NONE};
	memset(lines->bins, 0xff, sizeof(lines->bins));
}

void fl_lines_fini(struct fl_lines *lines)
{
	free(lines->runs);
	fl_index_fini(&lines->by_start);
	fl_index_fini(&lines->by_end);
	*lines = (struct fl_lines){0};
}

static uint32_t find(const struct fl_lines *lines, const struct fl_index *index, uint32_t at,
		     bool by_end)
{
	for (uint32_t step = 0, r;
	     (r = fl_index_next(index, hash32(at), &step)) != FL_INDEX_NONE;) {
		const struct fl_line_run *run = &lines->runs[r];

		if (run->start + (by_end ? run->count : 0) == at)
			return r;
	}
	return FL_INDEX_NONE;
}

/* Room in both indexes is reserved. */
static void run_link(struct fl_lines *lines, uint32_t r)
{
	struct fl_line_run *run = &lines->runs[r];
	uint32_t *head = &lines->bins[bin_of(run->count)];

	run->prev = FL_INDEX_NONE;
	run->next = *head;
	if (*head != FL_INDEX_NONE)
		lines->runs[*head].prev = r;
	*head = r;
	fl_index_add(&lines->by_start, hash32(run->start), r);
	fl_index_add(&lines->by_end, hash32(run->start + run->count), r);
}

static void run_unlink(struct fl_lines *lines, uint32_t r)
{
	struct fl_line_run *run = &lines->runs[r];

	if (run->prev != FL_INDEX_NONE)
		lines->runs[run->prev].next = run->next;
	else
		lines->bins[bin_of(run->count)] = run->next;
	if (run->next != FL_INDEX_NONE)
		lines->runs[run->next].prev = run->prev;
	fl_index_del(&lines->by_start, hash32(run->start), r);
	fl_index_del(&lines->by_end, hash32(run->start + run->count), r);
}

static void run_spare(struct fl_lines *lines, uint32_t r)
{
	lines->runs[r].next = lines->spare;
	lines->spare = r;
}

static int reserve(struct fl_lines *lines)
{
	int rc = fl_index_reserve(&lines->by_start, 1);

	if (!rc)
		rc = fl_index_reserve(&lines->by_end, 1);
	if (rc || lines->spare != FL_INDEX_NONE)
		return rc;
	rc = FL_ARRAY_ROOM(lines->runs, lines->cap_runs, lines->n_runs + 1ULL);
	if (!rc)
		run_spare(lines, lines->n_runs++);
	return rc;
}

int fl_lines_free(struct fl_lines *lines, uint32_t start, uint32_t count)
{
	uint32_t r, end = start + count;
	int rc = reserve(lines);

	if (rc || !count)
		return rc;
	lines->used -= count;
	r = find(lines, &lines->by_end, start, true);
	if (r != FL_INDEX_NONE) {
		run_unlink(lines, r);
		start = lines->runs[r].start;
		run_spare(lines, r);
	}
	r = find(lines, &lines->by_start, end, false);
	if (r != FL_INDEX_NONE) {
		run_unlink(lines, r);
		end = lines->runs[r].start + lines->runs[r].count;
		run_spare(lines, r);
	}
	r = lines->spare;
	lines->spare = lines->runs[r].next;
	lines->runs[r].start = start;
	lines->runs[r].count = end - start;
	run_link(lines, r);
	return 0;
}

static uint32_t search(const struct fl_lines *lines, uint32_t bin, uint32_t count, uint32_t depth)
{
	for (uint32_t r = lines->bins[bin]; r != FL_INDEX_NONE && depth--; r = lines->runs[r].next)
		if (lines->runs[r].count >= count)
			return r;
	return FL_INDEX_NONE;
}

int fl_lines_alloc(struct fl_lines *lines, uint32_t count, uint32_t *ret_start)
{
	const uint32_t bin = bin_of(count);
	uint32_t r = search(lines, bin, count, SEARCH_DEPTH);
	int rc = reserve(lines);

	if (rc)
		return rc;
	for (uint32_t b = bin + 1; r == FL_INDEX_NONE && b < FL_LINES_BINS; b++)
		r = lines->bins[b];
	if (r == FL_INDEX_NONE)
		r = search(lines, bin, count, UINT32_MAX);
	if (r == FL_INDEX_NONE)
		return -ENOSPC;
	run_unlink(lines, r);
	*ret_start = lines->runs[r].start;
	lines->runs[r].start += count;
	lines->runs[r].count -= count;
	if (lines->runs[r].count)
		run_link(lines, r);
	else
		run_spare(lines, r);
	lines->used += count;
	return 0;
}
