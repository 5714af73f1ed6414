/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON as it arrives, cut into the objects it consists of, so that no more than one of them is in
 * memory at a time. Only what tells where an object begins and ends is looked at here: whether it
 * is well formed is for the parser it is given to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FL_SPLIT_MAX_BYTES (8u * 1024 * 1024)  /* of one object */
#define FL_SPLIT_MAX_REST_BYTES (1024u * 1024) /* of a list without its items */

enum fl_split_form {
	FL_SPLIT_STREAM, /* one object behind the other: a watch */
	FL_SPLIT_LIST,	 /* one object, whose "items" are given one by one */
};

struct fl_split_buffer {
	char *text;
	size_t len, room;
};

/* Zero-initialise, except for `form`. */
struct fl_split {
	enum fl_split_form form;
	struct fl_split_buffer part; /* the object under way */
	struct fl_split_buffer rest; /* of a list: the text without the items */
	unsigned int depth;	     /* in the object under way, or in the list */
	bool string, escaped, in_items, in_part;
	bool begun;  /* a list has */
	char before; /* the last byte that was no blank, outside of strings and items */
	char inner;  /* the same of the object under way, strings included */
	size_t key;  /* where the last string of the list's first level is, in `rest` */
};

/* `text` is borrowed for the call. Non-zero stops and is returned. */
typedef int (*fl_split_fn)(const char *text, size_t len, void *arg);

/* Take more. 0, fn's non-zero, -EINVAL for what cannot be JSON, -E2BIG, -ENOMEM. */
int fl_split_feed(struct fl_split *split, const char *data, size_t len, fl_split_fn fn, void *arg);
/* At the end: whether nothing is unfinished. Of a list, `rest` then has its text without the
 * items. */
bool fl_split_is_whole(const struct fl_split *split);
/* Begin anew. */
void fl_split_reset(struct fl_split *split, enum fl_split_form form);
void fl_split_fini(struct fl_split *split);
