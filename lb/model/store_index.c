/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records and slices by name. The tables hash and compare pairs of strings, so that no key is built
 * to look one up.
 */
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = name_hash((const void *)(keyptr)))
#define HASH_KEYCMP(a, b, n) fl_store_name_cmp((const void *)(a), (const void *)(b))
#define HASH_NONFATAL_OOM 1 /* a refused element has no table */
#include "lb/model/store_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <xxhash.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

static unsigned int name_hash(const struct fl_store_name *name)
{
	return (unsigned int)XXH3_64bits_withSeed(name->name, strlen(name->name),
						  XXH3_64bits(name->ns, strlen(name->ns)));
}

int fl_store_name_cmp(const struct fl_store_name *a, const struct fl_store_name *b)
{
	int rc = strcmp(a->ns, b->ns);

	return rc ? rc : strcmp(a->name, b->name);
}

struct fl_store_record *fl_store_record_find(const struct fl_store_index *index, const char *ns,
					     const char *name)
{
	struct fl_store_name key = {ns, name};
	struct fl_store_record *record;

	HASH_FIND(hh, index->records, &key, sizeof(key), record);
	return record;
}

struct fl_store_record *fl_store_record_get(struct fl_store_index *index, const char *ns,
					    const char *name)
{
	size_t ns_size = strlen(ns) + 1, name_size = strlen(name) + 1;
	struct fl_store_record *record = fl_store_record_find(index, ns, name);

	if (record)
		return record;
	record = calloc(1, sizeof(*record) + ns_size + name_size);
	if (!record)
		return NULL;
	memcpy(record->text, ns, ns_size);
	memcpy(record->text + ns_size, name, name_size);
	record->key = (struct fl_store_name){record->text, record->text + ns_size};
	HASH_ADD(hh, index->records, key, sizeof(record->key), record);
	if (!record->hh.tbl) {
		free(record);
		return NULL;
	}
	return record;
}

static void record_free(struct fl_store_index *index, struct fl_store_record *record)
{
	HASH_DEL(index->records, record);
	fl_service_free(&record->service);
	free(record->slices);
	free(record);
}

static void record_drop_if_empty(struct fl_store_index *index, struct fl_store_record *record)
{
	if (!record->service && !record->n_slices && !record->dirty && record != index->taken)
		record_free(index, record);
}

void fl_store_record_mark(struct fl_store_index *index, struct fl_store_record *record)
{
	if (record->dirty)
		return;
	record->dirty = true;
	DL_APPEND(index->dirty, record);
	index->n_dirty++;
}

void fl_store_record_release(struct fl_store_index *index)
{
	struct fl_store_record *record = TAKE_PTR(index->taken);

	if (record)
		record_drop_if_empty(index, record);
}

struct fl_store_record *fl_store_record_take(struct fl_store_index *index)
{
	struct fl_store_record *record = index->dirty;

	fl_store_record_release(index);
	if (!record)
		return NULL;
	DL_DELETE(index->dirty, record);
	index->n_dirty--;
	record->dirty = false;
	index->taken = record;
	return record;
}

static void count_slice(struct fl_store_index *index, const struct fl_slice *slice, size_t change)
{
	bool named = false, ours = false;

	for (size_t i = 0; i < slice->n_endpoints && index->node_name && !ours; i++) {
		const char *name = slice->endpoints[i].node_name;

		named |= *name != '\0';
		ours = !strcmp(name, index->node_name);
	}
	index->n_named += named ? change : 0;
	index->n_ours += ours ? change : 0;
}

static int record_add_slice(struct fl_store_record *record, struct fl_slice *slice)
{
	if (FL_ARRAY_ROOM(record->slices, record->room_slices, record->n_slices + 1))
		return -ENOMEM;
	record->slices[record->n_slices++] = slice;
	return 0;
}

static void record_del_slice(struct fl_store_record *record, const struct fl_slice *slice)
{
	for (size_t i = 0; i < record->n_slices; i++) {
		if (record->slices[i] != slice)
			continue;
		record->slices[i] = record->slices[--record->n_slices];
		return;
	}
}

static struct fl_store_held *held_find(const struct fl_store_index *index, const char *ns,
				       const char *name)
{
	struct fl_store_name key = {ns, name};
	struct fl_store_held *held;

	HASH_FIND(hh, index->slices, &key, sizeof(key), held);
	return held;
}

/* A slice of a Service that is not known changes nothing that could be planned. */
static void held_mark(struct fl_store_index *index, const struct fl_store_held *held)
{
	if (held->record->service)
		fl_store_record_mark(index, held->record);
}

static struct fl_slice *held_take(struct fl_store_index *index, struct fl_store_held *held)
{
	struct fl_slice *slice = held->slice;

	held_mark(index, held);
	count_slice(index, slice, (size_t)-1);
	record_del_slice(held->record, held->slice);
	record_drop_if_empty(index, held->record);
	HASH_DEL(index->slices, held);
	free(held);
	return slice;
}

static int held_add(struct fl_store_index *index, struct fl_slice **slice)
{
	_cleanup_free_ struct fl_store_held *held = calloc(1, sizeof(*held));
	struct fl_store_record *record;

	if (!held)
		return -ENOMEM;
	record = fl_store_record_get(index, (*slice)->ns, (*slice)->service);
	if (!record)
		return -ENOMEM;
	held->key = (struct fl_store_name){(*slice)->ns, (*slice)->name};
	HASH_ADD(hh, index->slices, key, sizeof(held->key), held);
	if (!held->hh.tbl) {
		record_drop_if_empty(index, record);
		return -ENOMEM;
	}
	if (record_add_slice(record, *slice)) {
		HASH_DEL(index->slices, held);
		record_drop_if_empty(index, record);
		return -ENOMEM;
	}
	count_slice(index, *slice, 1);
	held->slice = TAKE_PTR(*slice);
	held->record = record;
	held_mark(index, TAKE_PTR(held));
	return 0;
}

/* The same slice of the same Service has changed: keep its place, swap the content. */
static void held_replace(struct fl_store_index *index, struct fl_store_held *held,
			 struct fl_slice **slice)
{
	struct fl_store_record *record = held->record;
	struct fl_slice *old = held->slice;

	for (size_t i = 0; i < record->n_slices; i++) {
		if (record->slices[i] == old)
			record->slices[i] = *slice;
	}
	count_slice(index, old, (size_t)-1);
	count_slice(index, *slice, 1);
	held->slice = TAKE_PTR(*slice);
	/* the same text, so the same place in the table */
	held->key = (struct fl_store_name){held->slice->ns, held->slice->name};
	fl_slice_free(&old);
	held_mark(index, held);
}

int fl_store_index_put_slice(struct fl_store_index *index, struct fl_slice **slice)
{
	struct fl_store_held *held = held_find(index, (*slice)->ns, (*slice)->name);

	if (held && fl_slice_equal(held->slice, *slice)) {
		held->slice->version = (*slice)->version;
		return 0;
	}
	if (held && !strcmp(held->slice->service, (*slice)->service)) {
		held_replace(index, held, slice);
		return 0;
	}
	/* new, moved to another Service, or with its label gone (rule 4.1) */
	if (held) {
		struct fl_slice *old = held_take(index, held);

		fl_slice_free(&old);
	}
	return *(*slice)->service ? held_add(index, slice) : 0;
}

const struct fl_slice *fl_store_index_slice(const struct fl_store_index *index, const char *ns,
					    const char *name)
{
	const struct fl_store_held *held = held_find(index, ns, name);

	return held ? held->slice : NULL;
}

struct fl_slice *fl_store_index_take_slice(struct fl_store_index *index, const char *ns,
					   const char *name)
{
	struct fl_store_held *held = held_find(index, ns, name);

	return held ? held_take(index, held) : NULL;
}

void fl_store_index_fini(struct fl_store_index *index)
{
	struct fl_store_held *held, *next_held;
	struct fl_store_record *record, *next_record;

	HASH_ITER (hh, index->slices, held, next_held) {
		HASH_DEL(index->slices, held);
		fl_slice_free(&held->slice);
		free(held);
	}
	HASH_ITER (hh, index->records, record, next_record)
		record_free(index, record);
}
