/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which lines of map fl_lines are free: runs by size class, joined with their neighbours when they
 * come back. Memory grows with the number of free runs, not with the number of lines.
 */
#pragma once

#include "lb/sync/index.h"

#define FL_LINES_BINS 128

struct fl_line_run;

struct fl_lines {
	uint32_t total, used;
	struct fl_line_run *runs;
	uint32_t n_runs, cap_runs, spare; /* spare: list of unused elements, FL_INDEX_NONE: none */
	struct fl_index by_start, by_end;
	uint32_t bins[FL_LINES_BINS];
};

/* No line is free yet; line 0 never is. */
void fl_lines_init(struct fl_lines *lines, uint32_t total);
void fl_lines_fini(struct fl_lines *lines);

/* Give lines [start, start + count) to the allocator, at first or again. 0 or -ENOMEM. */
int fl_lines_free(struct fl_lines *lines, uint32_t start, uint32_t count);
/* 0, -ENOSPC when no run of `count` is left, or -ENOMEM. */
int fl_lines_alloc(struct fl_lines *lines, uint32_t count, uint32_t *ret_start);
