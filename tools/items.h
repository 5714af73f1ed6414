/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Items of documents: which are shown, and in which order. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tools/cli.h"

struct fl_column;
struct fl_listing;
struct fl_value;

/* Borrowed from the documents; the array is owned. Zero-initialise. */
struct fl_items {
	const struct fl_value **item;
	size_t n, room;
};

void fl_items_fini(struct fl_items *items);
/* Add all items of a document. 0 or -ENOMEM. */
int fl_items_add(struct fl_items *items, const struct fl_value *root);
/* Keep those whose member has this value; case does not matter. */
void fl_items_keep(struct fl_items *items, const char *member, const char *value);
/*
 * Keep those that the operands name, in the order of the operands, each once. *ret_missing: the
 * first operand that names none, or NULL. 0 or -ENOMEM.
 */
int fl_items_choose(struct fl_items *items, const struct fl_listing *listing, char *const *operands,
		    size_t n_operands, const char **ret_missing);
/* Sort by a column, "-TITLE" in descending order: numbers by value, addresses and other words by
 * their parts. 0 or -ENOMEM. */
int fl_items_sort(struct fl_items *items, const struct fl_listing *listing, const char *column);

/* The column that --sort means, or NULL. */
const struct fl_column *fl_listing_column(const struct fl_listing *listing, const char *name);
/* There is no such column; returns FL_EXIT_USAGE. */
enum fl_exit fl_usage_sort(const struct fl_listing *listing, const char *name);
