/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the store finds things: a record per Service name, and slices by their own name. Internal to
 * lb/model. A record holds the Service object, the slices that name it and its place in the queue
 * of marked Services, and goes when it holds nothing.
 */
#pragma once

#include <uthash.h>

#include "lb/model/object.h"

struct fl_store_name {
	const char *ns, *name;
};

struct fl_store_record {
	UT_hash_handle hh;
	struct fl_store_name key;   /* points into `text` */
	struct fl_service *service; /* or NULL */
	struct fl_slice **slices;
	uint32_t n_slices, room_slices;
	struct fl_store_record *prev, *next;
	bool dirty; /* in the queue */
	char text[];
};

struct fl_store_held {
	UT_hash_handle hh;
	struct fl_store_name key; /* points into `slice` */
	struct fl_slice *slice;
	struct fl_store_record *record;
};

struct fl_store_index {
	struct fl_store_record *records; /* hash */
	struct fl_store_held *slices;	 /* hash */
	struct fl_store_record *dirty;	 /* queue */
	struct fl_store_record *taken;	 /* taken last: its name is still lent out */
	size_t n_dirty;
	const char *node_name;	/* ours; NULL: nothing is counted */
	size_t n_named, n_ours; /* slices with an endpoint on a node; on ours */
};

int fl_store_name_cmp(const struct fl_store_name *a, const struct fl_store_name *b);

struct fl_store_record *fl_store_record_find(const struct fl_store_index *index, const char *ns,
					     const char *name); /* or NULL */
/* Find or make. NULL when there is no memory. */
struct fl_store_record *fl_store_record_get(struct fl_store_index *index, const char *ns,
					    const char *name);
void fl_store_record_mark(struct fl_store_index *index, struct fl_store_record *record);
/* Take the first marked record, whose name is then lent out; NULL when there is none. */
struct fl_store_record *fl_store_record_take(struct fl_store_index *index);
/* A name that was lent out by fl_store_record_take() may go now. */
void fl_store_record_release(struct fl_store_index *index);

/* Put a slice in, taking it (*slice is NULL) unless the slice that is held is equal, or this
 * one names no Service. 0 or -ENOMEM. */
int fl_store_index_put_slice(struct fl_store_index *index, struct fl_slice **slice);
/* Borrowed. NULL: there is none of that name. */
const struct fl_slice *fl_store_index_slice(const struct fl_store_index *index, const char *ns,
					    const char *name);
/* Take a slice out; it becomes the caller's. NULL: there is none of that name. */
struct fl_slice *fl_store_index_take_slice(struct fl_store_index *index, const char *ns,
					   const char *name);
void fl_store_index_fini(struct fl_store_index *index);
