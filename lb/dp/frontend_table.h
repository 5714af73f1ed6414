/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of frontends (bpf/abi/frontend.h) as userspace reads and writes it. The agent is the
 * only writer. Readers, BPF programs among them, find the old or the new state of a frontend at any
 * moment, and never miss one that was there all the time.
 */
#pragma once

#include "lb/dp/maps.h"

/* The lines are borrowed. A zeroed struct is a table without lines: empty, and full. */
struct fl_frontend_table {
	struct fl_frontend_line *lines;
	uint32_t mask; /* number of lines - 1 */
	uint32_t room; /* how many keys it takes: half the lines, so that each finds a place */
	uint32_t used; /* the writer's count, which begins with fl_frontend_table_tidy() */
	uint64_t seed;
};

/* How many lines a table for `n` keys needs; 0 for 0. */
uint32_t fl_frontend_lines_for(uint32_t n);

/* `lines`: a power of two of them. */
struct fl_frontend_table fl_frontend_table_over(struct fl_frontend_line *lines, size_t n,
						uint64_t seed);
struct fl_frontend_table fl_frontend_table_of(const struct fl_maps *maps);

bool fl_frontend_table_get(const struct fl_frontend_table *table, const struct fl_frontend_key *key,
			   struct fl_frontend *ret_value);
/* Calls fn for each element; stops at non-zero, which is returned. An element that is added,
 * removed or moved meanwhile may be left out. */
int fl_frontend_table_each(const struct fl_frontend_table *table,
			   int (*fn)(const void *key, const void *value, void *arg), void *arg);

/*
 * For the writer, before the first put or remove: looks at every line, and takes out what no reader
 * is led to, left by a writer that was killed or by a stranger that wrote to the memory. Readers
 * miss nothing by that.
 */
void fl_frontend_table_tidy(struct fl_frontend_table *table);
/* put: 0, or -E2BIG when there is no room. */
int fl_frontend_table_put(struct fl_frontend_table *table, const struct fl_frontend_key *key,
			  const struct fl_frontend *value);
void fl_frontend_table_remove(struct fl_frontend_table *table, const struct fl_frontend_key *key);
