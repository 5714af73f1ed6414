/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The objects held now. A record per Service name holds the Service object, the slices that name it
 * (which may come first, rule 4.4) and its place in the queue of marked Services; it goes when it
 * holds nothing.
 */
#include "lb/model/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lb/base/cleanup.h"

struct name {
	const char *ns, *name;
};

static unsigned int name_hash(const struct name *name)
{
	return (unsigned int)XXH3_64bits_withSeed(name->name, strlen(name->name),
						  XXH3_64bits(name->ns, strlen(name->ns)));
}

static int name_cmp(const struct name *a, const struct name *b)
{
	int rc = strcmp(a->ns, b->ns);

	return rc ? rc : strcmp(a->name, b->name);
}

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = name_hash((const void *)(keyptr)))
#define HASH_KEYCMP(a, b, n) name_cmp((const void *)(a), (const void *)(b))
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct record {
	UT_hash_handle hh;
	struct name key;	    /* points into `text` */
	struct fl_service *service; /* or NULL */
	struct fl_slice **slices;
	size_t n_slices, cap_slices;
	bool dirty; /* in the queue */
	struct record *prev, *next;
	char text[];
};

struct held_slice {
	UT_hash_handle hh;
	struct name key; /* points into `slice` */
	struct fl_slice *slice;
	struct record *record;
};

struct fl_store {
	char *node_name;
	struct fl_node *node;
	struct record *records;	   /* hash */
	struct held_slice *slices; /* hash */
	struct record *dirty;	   /* queue */
	struct record *taken;	   /* taken last: its name is still lent out */
	size_t n_services, n_dirty;
};

/* ---- records ----------------------------------------------------------------------------------
 */

static struct record *record_find(const struct fl_store *store, const char *ns, const char *name)
{
	struct name key = {ns, name};
	struct record *record;

	HASH_FIND(hh, store->records, &key, sizeof(key), record);
	return record;
}

static struct record *record_get(struct fl_store *store, const char *ns, const char *name)
{
	size_t ns_size = strlen(ns) + 1, name_size = strlen(name) + 1;
	struct record *record = record_find(store, ns, name);

	if (record)
		return record;
	record = calloc(1, sizeof(*record) + ns_size + name_size);
	if (!record)
		return NULL;
	memcpy(record->text, ns, ns_size);
	memcpy(record->text + ns_size, name, name_size);
	record->key = (struct name){record->text, record->text + ns_size};
	HASH_ADD(hh, store->records, key, sizeof(record->key), record);
	if (!record->hh.tbl) {
		free(record);
		return NULL;
	}
	return record;
}

static void record_free(struct fl_store *store, struct record *record)
{
	HASH_DEL(store->records, record);
	fl_service_free(&record->service);
	free(record->slices);
	free(record);
}

static void record_drop_if_empty(struct fl_store *store, struct record *record)
{
	if (!record->service && !record->n_slices && !record->dirty && record != store->taken)
		record_free(store, record);
}

static void record_mark(struct fl_store *store, struct record *record)
{
	if (record->dirty)
		return;
	record->dirty = true;
	DL_APPEND(store->dirty, record);
	store->n_dirty++;
}

static int record_add_slice(struct record *record, struct fl_slice *slice)
{
	if (record->n_slices == record->cap_slices) {
		size_t cap = record->cap_slices ? 2 * record->cap_slices : 1;
		struct fl_slice **slices = realloc(record->slices, cap * sizeof(*slices));

		if (!slices)
			return -ENOMEM;
		record->slices = slices;
		record->cap_slices = cap;
	}
	record->slices[record->n_slices++] = slice;
	return 0;
}

static void record_del_slice(struct record *record, const struct fl_slice *slice)
{
	for (size_t i = 0; i < record->n_slices; i++) {
		if (record->slices[i] != slice)
			continue;
		record->slices[i] = record->slices[--record->n_slices];
		return;
	}
}

/* ---- slices -----------------------------------------------------------------------------------
 */

static struct held_slice *held_find(const struct fl_store *store, const char *ns, const char *name)
{
	struct name key = {ns, name};
	struct held_slice *held;

	HASH_FIND(hh, store->slices, &key, sizeof(key), held);
	return held;
}

/* A slice of a Service that is not known changes nothing that could be planned. */
static void held_mark(struct fl_store *store, const struct held_slice *held)
{
	if (held->record->service)
		record_mark(store, held->record);
}

static void held_del(struct fl_store *store, struct held_slice *held)
{
	held_mark(store, held);
	record_del_slice(held->record, held->slice);
	record_drop_if_empty(store, held->record);
	HASH_DEL(store->slices, held);
	fl_slice_free(&held->slice);
	free(held);
}

static int held_add(struct fl_store *store, struct fl_slice **slice)
{
	_cleanup_free_ struct held_slice *held = calloc(1, sizeof(*held));
	struct record *record;

	if (!held)
		return -ENOMEM;
	record = record_get(store, (*slice)->ns, (*slice)->service);
	if (!record)
		return -ENOMEM;
	held->key = (struct name){(*slice)->ns, (*slice)->name};
	HASH_ADD(hh, store->slices, key, sizeof(held->key), held);
	if (!held->hh.tbl) {
		record_drop_if_empty(store, record);
		return -ENOMEM;
	}
	if (record_add_slice(record, *slice)) {
		HASH_DEL(store->slices, held);
		record_drop_if_empty(store, record);
		return -ENOMEM;
	}
	held->slice = TAKE_PTR(*slice);
	held->record = record;
	held_mark(store, TAKE_PTR(held));
	return 0;
}

/* The same slice of the same Service says something else: keep record and place, swap the content.
 */
static void held_replace(struct fl_store *store, struct held_slice *held, struct fl_slice **slice)
{
	struct record *record = held->record;
	struct fl_slice *old = held->slice;

	for (size_t i = 0; i < record->n_slices; i++) {
		if (record->slices[i] == old)
			record->slices[i] = *slice;
	}
	held->slice = TAKE_PTR(*slice);
	held->key = (struct name){held->slice->ns, held->slice->name}; /* same text: same place */
	fl_slice_free(&old);
	held_mark(store, held);
}

static int put_slice(struct fl_store *store, struct fl_slice **slice)
{
	struct held_slice *held = held_find(store, (*slice)->ns, (*slice)->name);

	if (held && fl_slice_equal(held->slice, *slice)) {
		held->slice->version = (*slice)->version;
		return 0;
	}
	if (held && !strcmp(held->slice->service, (*slice)->service)) {
		held_replace(store, held, slice);
		return 0;
	}
	/* new, moved to another Service, or with its label gone (rule 4.1) */
	if (held)
		held_del(store, held);
	return *(*slice)->service ? held_add(store, slice) : 0;
}

/* ---- the other kinds --------------------------------------------------------------------------
 */

static int put_service(struct fl_store *store, struct fl_service **service)
{
	struct record *record = record_get(store, (*service)->ns, (*service)->name);

	if (!record)
		return -ENOMEM;
	if (record->service && fl_service_equal(record->service, *service))
		return 0;
	if (!record->service)
		store->n_services++;
	fl_service_free(&record->service);
	record->service = TAKE_PTR(*service);
	record_mark(store, record);
	return 0;
}

static bool same_addresses(const struct fl_node *a, const struct fl_node *b)
{
	if (a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (!fl_ip_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	}
	return true;
}

/* Zone and addresses are all that plans depend on (rules 10.12, 5.6.5). A missing Node has neither.
 */
static void set_node(struct fl_store *store, struct fl_node *node)
{
	static char none[] = "";
	static const struct fl_node no_node = {.zone = none};
	const struct fl_node *before = store->node ? store->node : &no_node;
	const struct fl_node *after = node ? node : &no_node;
	bool changed = strcmp(before->zone, after->zone) || !same_addresses(before, after);

	fl_node_free(&store->node);
	store->node = node;
	if (changed)
		fl_store_mark_all(store);
}

/* A name that was lent out by fl_store_take_dirty() may go now. */
static void release_taken(struct fl_store *store)
{
	struct record *record = TAKE_PTR(store->taken);

	if (record)
		record_drop_if_empty(store, record);
}

/* ---- the public face --------------------------------------------------------------------------
 */

int fl_store_new(const char *node_name, struct fl_store **ret_store)
{
	struct fl_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->node_name = strdup(node_name);
	if (!store->node_name) {
		free(store);
		return -ENOMEM;
	}
	*ret_store = store;
	return 0;
}

void fl_store_free(struct fl_store **store)
{
	struct held_slice *held, *next_held;
	struct record *record, *next_record;

	if (!*store)
		return;
	HASH_ITER (hh, (*store)->slices, held, next_held) {
		HASH_DEL((*store)->slices, held);
		fl_slice_free(&held->slice);
		free(held);
	}
	HASH_ITER (hh, (*store)->records, record, next_record)
		record_free(*store, record);
	fl_node_free(&(*store)->node);
	free((*store)->node_name);
	free(*store);
	*store = NULL;
}

int fl_store_put(struct fl_store *store, struct fl_object *object)
{
	int rc = 0;

	release_taken(store);
	switch (object->kind) {
	case FL_KIND_SERVICE:
		rc = put_service(store, &object->service);
		break;
	case FL_KIND_SLICE:
		rc = put_slice(store, &object->slice);
		break;
	case FL_KIND_NODE:
		if (!strcmp(object->node->name, store->node_name))
			set_node(store, TAKE_PTR(object->node));
		break;
	}
	fl_object_free(object);
	return rc;
}

int fl_store_del(struct fl_store *store, enum fl_kind kind, const char *ns, const char *name)
{
	struct held_slice *held;
	struct record *record;

	/* not release_taken() before: `name` may be the name that was lent out */
	switch (kind) {
	case FL_KIND_SERVICE:
		record = record_find(store, ns, name);
		if (record && record->service) {
			fl_service_free(&record->service);
			store->n_services--;
			record_mark(store, record);
		}
		break;
	case FL_KIND_SLICE:
		held = held_find(store, ns, name);
		if (held)
			held_del(store, held);
		break;
	case FL_KIND_NODE:
		if (!strcmp(name, store->node_name))
			set_node(store, NULL);
		break;
	}
	release_taken(store);
	return 0;
}

const struct fl_service *fl_store_service(const struct fl_store *store, const char *ns,
					  const char *name)
{
	const struct record *record = record_find(store, ns, name);

	return record ? record->service : NULL;
}

const struct fl_node *fl_store_node(const struct fl_store *store)
{
	return store->node;
}

const char *fl_store_node_name(const struct fl_store *store)
{
	return store->node_name;
}

const struct fl_slice *const *fl_store_slices(const struct fl_store *store, const char *ns,
					      const char *service, size_t *ret_n)
{
	const struct record *record = record_find(store, ns, service);

	*ret_n = record ? record->n_slices : 0;
	return *ret_n ? (const struct fl_slice *const *)record->slices : NULL;
}

size_t fl_store_count(const struct fl_store *store, enum fl_kind kind)
{
	switch (kind) {
	case FL_KIND_SERVICE:
		return store->n_services;
	case FL_KIND_SLICE:
		return HASH_COUNT(store->slices);
	default:
		return store->node ? 1 : 0;
	}
}

static int compare_services(const void *a, const void *b)
{
	const struct fl_service *sa = *(const struct fl_service *const *)a;
	const struct fl_service *sb = *(const struct fl_service *const *)b;

	return name_cmp(&(struct name){sa->ns, sa->name}, &(struct name){sb->ns, sb->name});
}

int fl_store_each_service(const struct fl_store *store,
			  int (*fn)(const struct fl_service *service, void *arg), void *arg)
{
	_cleanup_free_ const struct fl_service **sorted = NULL;
	const struct record *record;
	size_t n = 0;
	int rc = 0;

	sorted = calloc(store->n_services + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (record = store->records; record; record = record->hh.next) {
		if (record->service)
			sorted[n++] = record->service;
	}
	qsort(sorted, n, sizeof(*sorted), compare_services);
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(sorted[i], arg);
	return rc;
}

bool fl_store_take_dirty(struct fl_store *store, struct fl_service_key *ret_key)
{
	struct record *record = store->dirty;

	release_taken(store);
	if (!record)
		return false;
	DL_DELETE(store->dirty, record);
	store->n_dirty--;
	record->dirty = false;
	store->taken = record;
	*ret_key = (struct fl_service_key){record->key.ns, record->key.name};
	return true;
}

size_t fl_store_dirty_count(const struct fl_store *store)
{
	return store->n_dirty;
}

void fl_store_mark(struct fl_store *store, const char *ns, const char *name)
{
	struct record *record = record_find(store, ns, name);

	if (record)
		record_mark(store, record);
}

void fl_store_mark_all(struct fl_store *store)
{
	struct record *record;

	for (record = store->records; record; record = record->hh.next) {
		if (record->service)
			record_mark(store, record);
	}
}
