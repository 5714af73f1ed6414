// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Elements of a map: found, named by states, and what the map has of each. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <assert.h>
#include <string.h>

#include "lb/sync/stride.h"
#include "lb/sync/table.h"

void fl_table_init(struct fl_table *table, const struct fl_table_desc *desc)
{
	assert(desc->record_size <= FL_RECORD_MAX);
	*table = (struct fl_table){.desc = desc, .map = &fl_sync_map_descs[desc->map]};
}

void fl_table_fini(struct fl_table *table)
{
	free(table->all);
	free(table->dirty);
	fl_index_fini(&table->index);
	table->all = NULL;
	table->dirty = NULL;
	table->n = table->cap = table->n_dirty = table->cap_dirty = 0;
}

static uint32_t key_hash(const struct fl_table *table, const void *key)
{
	return (uint32_t)XXH3_64bits(key, table->map->key_size);
}

static uint32_t find(const struct fl_table *table, const void *key, uint32_t hash)
{
	for (uint32_t step = 0, e;
	     (e = fl_index_next(&table->index, hash, &step)) != FL_INDEX_NONE;)
		if (!memcmp(fl_table_key(table, e), key, table->map->key_size))
			return e;
	return FL_INDEX_NONE;
}

uint32_t fl_table_find(const struct fl_table *table, const void *key)
{
	return find(table, key, key_hash(table, key));
}

static int find_or_add(struct fl_table *table, const void *key, uint32_t *ret_element)
{
	const uint32_t hash = key_hash(table, key);
	uint32_t e = find(table, key, hash);
	struct fl_element *element;
	int rc;

	if (e != FL_INDEX_NONE) {
		*ret_element = e;
		return 0;
	}
	rc = fl_index_reserve(&table->index, 1);
	/* so that each element can be marked dirty without memory, whatever happens later */
	if (!rc)
		rc = FL_ARRAY_ROOM(table->dirty, table->cap_dirty, table->n + 1ULL);
	if (!rc && !table->spare)
		rc = fl_stride_room(&table->all, &table->cap, table->n + 1ULL, table->desc->size);
	if (rc)
		return rc;
	if (table->spare) {
		e = table->spare - 1;
		element = fl_table_at(table, e);
		table->spare = element->refs;
	} else {
		e = table->n++;
		element = fl_table_at(table, e);
	}
	memset(element, 0, table->desc->size);
	element->used = true;
	memcpy(fl_table_key(table, e), key, table->map->key_size);
	fl_index_add(&table->index, hash, e);
	*ret_element = e;
	return 0;
}

void fl_table_gc(struct fl_table *table, uint32_t e)
{
	struct fl_element *element = fl_table_at(table, e);

	if (!element->used || element->refs || element->present || element->dirty)
		return;
	fl_index_del(&table->index, key_hash(table, fl_table_key(table, e)), e);
	*element = (struct fl_element){.refs = table->spare};
	table->spare = e + 1;
}

void fl_table_hold(struct fl_table *table, uint32_t e)
{
	((struct fl_element *)fl_table_at(table, e))->refs++;
}

int fl_table_ref(struct fl_table *table, const void *key, uint32_t *ret_element)
{
	int rc = find_or_add(table, key, ret_element);

	if (!rc)
		fl_table_hold(table, *ret_element);
	return rc;
}

void fl_table_unref(struct fl_table *table, uint32_t e)
{
	((struct fl_element *)fl_table_at(table, e))->refs--;
	fl_table_gc(table, e);
}

void fl_table_mark(struct fl_table *table, uint32_t e)
{
	struct fl_element *element = fl_table_at(table, e);

	if (element->dirty)
		return;
	element->dirty = true;
	table->dirty[table->n_dirty++] = e;
}

int fl_table_found(struct fl_table *table, const void *key, const void *value,
		   uint32_t *ret_element)
{
	struct fl_element *element;
	int rc = find_or_add(table, key, ret_element);

	if (rc)
		return rc;
	element = fl_table_at(table, *ret_element);
	memcpy(fl_table_record(table, *ret_element), value, table->map->value_size);
	table->present += !element->present;
	element->present = true;
	return 0;
}

void fl_table_written(struct fl_table *table, uint32_t e, const void *record)
{
	const struct fl_table_desc *desc = table->desc;
	struct fl_element *element = fl_table_at(table, e);
	void *at = fl_table_record(table, e);

	table->writes++;
	if (desc->hold)
		desc->hold(table, record);
	if (desc->release && element->present)
		desc->release(table, at);
	memcpy(at, record, desc->record_size);
	table->present += !element->present;
	element->present = true;
}

void fl_table_removed(struct fl_table *table, uint32_t e)
{
	const struct fl_table_desc *desc = table->desc;
	struct fl_element *element = fl_table_at(table, e);

	table->writes += element->present;
	if (desc->release && element->present)
		desc->release(table, fl_table_record(table, e));
	memset(fl_table_record(table, e), 0, desc->record_size);
	table->present -= element->present;
	element->present = false;
}

void fl_table_mark_unnamed(struct fl_table *table)
{
	for (uint32_t e = 0; e < table->n; e++) {
		const struct fl_element *element = fl_table_at(table, e);

		if (element->present && !element->refs)
			fl_table_mark(table, e);
	}
}

bool fl_table_has(const struct fl_table *table, uint32_t e, const void *record)
{
	const struct fl_element *element = fl_table_at(table, e);

	return element->present &&
	       !memcmp(fl_table_record(table, e), record, table->map->value_size);
}
