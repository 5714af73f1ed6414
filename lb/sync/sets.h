/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contents of array fl_lines: backend sets, each with the ids of its backends and its lookup table.
 * An id stands in a row as often as the backend's share of the weights is: so a set says all that
 * its table is made of, and to pick one of its ids at random follows the weights too. States that
 * want the same backends with the same table length share one set. Lines are written whole before
 * anything points at them, and freed a second after the last user has gone, because a program that
 * started before may still be reading.
 */
#pragma once

#include "lb/maglev/maglev.h"
#include "lb/sync/backends.h"
#include "lb/sync/lines.h"

struct fl_set {
	uint64_t hash;
	uint32_t slab, count, lut_len;
	uint32_t refs;	     /* states, and records of frontends */
	uint32_t prev, next; /* in the queue of sets to be freed, or of unused elements; 0 ends */
	uint64_t due_ns;     /* 0: not yet known */
	bool unbuilt, listed, indexed, queued, overlaps;
};

/* What it takes to make a table; one per thread. */
struct fl_set_builder {
	struct fl_maglev_scratch scratch;
	struct fl_maglev_backend *inputs;
	uint32_t cap_inputs;
};

struct fl_sets_options {
	uint64_t seed;
	uint32_t ratio;	 /* table slots per backend, 0: FL_MAGLEV_RATIO */
	uint32_t length; /* fixed table length, 0: by ratio */
};

struct fl_shares {
	uint16_t *weights;
	uint32_t *shares;
	uint32_t cap_weights, cap_shares;
};

struct fl_sets {
	struct fl_sets_options options;
	struct fl_line *memory; /* the map */
	struct fl_lines lines;
	struct fl_backends *backends;
	struct fl_set *all; /* 0 unused */
	uint32_t n, cap, spare, used;
	uint32_t first, last;
	uint64_t writes;
	struct fl_index index;
	struct fl_set_builder builder;
	uint32_t *scratch; /* ids of a list that is being made */
	uint32_t cap_scratch;
	struct fl_shares shares; /* of the same list */
};

/* The most ids that a list should have: more have no use, or no room in the table. */
uint32_t fl_sets_most(const struct fl_sets *sets);

/* `memory` and `backends` are borrowed. */
void fl_sets_init(struct fl_sets *sets, const struct fl_sets_options *options,
		  struct fl_line *memory, size_t n_lines, struct fl_backends *backends);
void fl_sets_fini(struct fl_sets *sets);
/*
 * The set of these ids, for one more user; it may still lack its table, which is long enough for
 * `n_backends`, in which those of weight 0 count, so that a drain does not change the length. 0,
 * -ENOSPC, -E2BIG or -ENOMEM.
 */
int fl_set_take(struct fl_sets *sets, const uint32_t *ids, uint32_t count, uint32_t n_backends,
		uint32_t *ret_set);
/* 0 is no set. */
void fl_set_ref(struct fl_sets *sets, uint32_t set);
void fl_set_drop(struct fl_sets *sets, uint32_t set);
/* Fill in the lookup table if that was not done yet. Touches nothing but the set and its lines, so
 * that sets can be built side by side. 0 or -errno. */
int fl_set_build(struct fl_sets *sets, struct fl_set_builder *builder, uint32_t set);
void fl_set_builder_fini(struct fl_set_builder *builder);
/* Build these sets, by several threads if there is much to do. Those that fail stay unbuilt. */
void fl_sets_build(struct fl_sets *sets, const uint32_t *list, uint32_t n);

/* Whether the ids and the table in the set's lines are as they must be; of the ids only. */
bool fl_set_intact(struct fl_sets *sets, uint32_t set);
bool fl_set_ids_intact(const struct fl_sets *sets, uint32_t set);
/* Write the lines again in place, slot by slot. */
void fl_set_repair(struct fl_sets *sets, uint32_t set, const uint32_t *ids, uint32_t count);
uint32_t fl_set_lines(const struct fl_set *set);
const uint32_t *fl_set_ids(const struct fl_sets *sets, uint32_t set); /* `count` of them */
/* Free what is due. Returns the time of the next one, 0 if none. */
uint64_t fl_sets_reap(struct fl_sets *sets, uint64_t now_ns);

/*
 * At start: the set of a list that the map names, not yet referenced. *ret_set 0: it cannot be
 * used, and its lines are not there to be read. 0 or -ENOMEM.
 */
int fl_set_adopt(struct fl_sets *sets, const struct fl_list *list, uint32_t *ret_set);
void fl_set_forget(struct fl_sets *sets, uint32_t set); /* share it no more */
/* Then, when all are known: which lines are free, and whether the tables are those that would be
 * made today; if not, new ones are made for states. 0 or -ENOMEM. */
int fl_sets_adopted(struct fl_sets *sets);
