/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Engine: the elements of one hash map of the kernel, found by key: what the map holds of each, and
 * how many states name it. A descriptor says how an element is laid out and asks the contents
 * (frontends.h, counted.h) what should be there; nothing here knows which map it works on.
 *
 * An element is kept while a state names it, the map has it, or it is dirty: what the map has may
 * differ from what should be there, and fl_batch_update() looks at it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/sync/index.h"
#include "lb/sync/ops.h"

/* First member of every element. */
struct fl_element {
	uint32_t refs; /* states that name it; of an unused element: the next unused one + 1 */
	bool used, present, dirty;
};

#define FL_ELEMENT_TEXT 64
#define FL_RECORD_MAX 64 /* bytes of the largest record */

struct fl_table;

struct fl_table_desc {
	enum fl_sync_map map;
	/*
	 * Of an element in bytes: the whole, and where key and record begin. A record is the map's
	 * value, followed by what the contents keep beside it.
	 */
	size_t size, key_at, record_at, record_size;
	/* Whether the element should be in the map, and with which record. */
	bool (*wants)(const struct fl_table *table, uint32_t element, void *ret_record);
	/* References that a copy of a record stands for; NULL: none. */
	void (*hold)(struct fl_table *table, const void *record);
	void (*release)(struct fl_table *table, const void *record);
	/* The key in words, for differences. */
	const char *(*text)(const void *key, char buf[static FL_ELEMENT_TEXT]);
};

struct fl_table {
	const struct fl_table_desc *desc;
	const struct fl_sync_map_desc *map;
	unsigned char *all;
	uint32_t n, cap, spare, present; /* spare: element + 1 */
	uint64_t writes;		 /* elements written or removed */
	struct fl_index index;
	uint32_t *dirty;
	uint32_t n_dirty, cap_dirty;
};

void fl_table_init(struct fl_table *table, const struct fl_table_desc *desc);
void fl_table_fini(struct fl_table *table);

static inline void *fl_table_at(const struct fl_table *table, uint32_t e)
{
	return table->all + e * table->desc->size;
}

static inline void *fl_table_key(const struct fl_table *table, uint32_t e)
{
	return table->all + e * table->desc->size + table->desc->key_at;
}

/* What the map has, if the element is present. */
static inline void *fl_table_record(const struct fl_table *table, uint32_t e)
{
	return table->all + e * table->desc->size + table->desc->record_at;
}

uint32_t fl_table_find(const struct fl_table *table, const void *key); /* or FL_INDEX_NONE */
/* The element for one more state. 0 or -ENOMEM. */
int fl_table_ref(struct fl_table *table, const void *key, uint32_t *ret_element);
void fl_table_hold(struct fl_table *table, uint32_t e); /* the same, of a known one */
void fl_table_unref(struct fl_table *table, uint32_t e);
/* Needs no memory. */
void fl_table_mark(struct fl_table *table, uint32_t e);
/* The map has this value there, as a dump of it says. 0 or -ENOMEM. */
int fl_table_found(struct fl_table *table, const void *key, const void *value,
		   uint32_t *ret_element);
/* The map now has this record there, or nothing. */
void fl_table_written(struct fl_table *table, uint32_t e, const void *record);
void fl_table_removed(struct fl_table *table, uint32_t e);
/* Forget the element if nothing keeps it. */
void fl_table_gc(struct fl_table *table, uint32_t e);
/* Make dirty what is in the map though no state names it. */
void fl_table_mark_unnamed(struct fl_table *table);
/* Whether the value that is in the map is that of `record`. */
bool fl_table_has(const struct fl_table *table, uint32_t e, const void *record);
