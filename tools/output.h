/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Formats of output. A format is a struct fl_output in a file of its own; a noun says by a struct
 * fl_listing what its document looks like to people. Machines get the document as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lb/base/err.h"
#include "lb/base/words.h"

struct fl_items;
struct fl_value;

enum fl_column_flags {
	FL_COLUMN_RIGHT = 1 << 0,  /* numbers */
	FL_COLUMN_WIDE = 1 << 1,   /* only in the wide format */
	FL_COLUMN_NARROW = 1 << 2, /* only in the narrow one: a wide column says the same better */
	FL_COLUMN_WORD = 1 << 3,   /* coloured by its word */
};

struct fl_column {
	const char *title;
	const char *path; /* members from the item on: "sessionAffinity.type" */
	unsigned int flags;
	/* Write the cell; NULL: scalars as they are, lists joined by commas, null as "-". A comma
	 * of a list is where a narrow terminal folds it. */
	void (*cell)(const struct fl_value *value, FILE *out);
};

struct fl_output_options {
	bool no_headers, color;
	size_t width; /* of the terminal; 0: lines may be as long as they get */
};

struct fl_listing {
	const struct fl_column *columns;
	size_t n_columns;
	/* Write one item's name. `items` of the document are listed; without columns it is the
	 * document itself. */
	void (*name)(const struct fl_value *item, FILE *out);
	/* Whether an operand of the command line means the item; NULL: it is its name. */
	bool (*named)(const struct fl_value *item, const char *operand);
	/* The whole document for people, instead of a table. */
	void (*text)(const struct fl_value *root, const struct fl_items *items, bool wide,
		     const struct fl_output_options *options, FILE *out);
	const char *none; /* message on standard error when there are no items */
};

struct fl_output {
	bool is_table; /* for people: an empty list is a message */
	/* `items`: those of the document that are shown, in their order. */
	int (*write)(const struct fl_listing *listing, const struct fl_value *root,
		     const struct fl_items *items, const struct fl_output_options *options,
		     FILE *out, struct fl_err *err);
};

extern const struct fl_output fl_output_table, fl_output_wide, fl_output_json, fl_output_yaml,
	fl_output_name;
/* Names of the formats. */
extern const struct fl_word fl_output_words[];
/* `name`: one of them, in any case. */
const struct fl_output *fl_output_find(const char *name);

/* The text that a function writes; the caller frees it. NULL: no memory. */
char *fl_cell_text(void (*cell)(const struct fl_value *value, FILE *out),
		   const struct fl_value *value);

/* Follow a path of members; NULL when one is absent. */
const struct fl_value *fl_value_path(const struct fl_value *value, const char *path);
/* The number there, else 0. */
int64_t fl_value_number(const struct fl_value *value, const char *path);
/* Write a value as a cell; control characters are escaped, so that data cannot drive a terminal. */
void fl_cell_put(const struct fl_value *value, FILE *out);
void fl_text_put(const char *text, FILE *out);
/* A number of seconds as "5s", "3m20s", "2h5m", "4d1h". */
void fl_cell_duration(const struct fl_value *value, FILE *out);
/* Number of elements of a list, "-" for null. */
void fl_cell_count(const struct fl_value *value, FILE *out);
/* "ns/name:port" of an item with these members. */
void fl_name_service_port(const struct fl_value *item, FILE *out);
/* A list of {type, ip, port}: addresses only, or with types. */
void fl_cell_frontends(const struct fl_value *value, FILE *out);
void fl_cell_frontends_typed(const struct fl_value *value, FILE *out);
/* The escape sequence a word is coloured by ("drop", "reject", "healthy", ...), or NULL. */
const char *fl_word_color(const char *word);
#define FL_COLOR_END "\033[0m"
