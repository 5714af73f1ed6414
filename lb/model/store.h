/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The objects held now, found by name; slices are also found by their Service (rule 4.4). Each
 * change marks the Services it touches; the caller takes those one by one. A change that leaves an
 * object equal marks nothing (rules 1.16, 4.12: no change, no work).
 */
#pragma once

#include "lb/model/object.h"

struct fl_nodes;
struct fl_store;

struct fl_service_key {
	const char *ns, *name;
};

int fl_store_new(const char *node_name, struct fl_store **ret_store);
void fl_store_free(struct fl_store **store);

/*
 * Put an object in, taking ownership in any case (*object is zeroed). 0 or -ENOMEM. A change of our
 * Node's zone or addresses marks every Service (rules 10.12, 5.6.5); other Nodes are only kept for
 * their addresses, and mark nothing. Of Pods only ours count that have host ports: they become
 * Services (lb/model/host_ports.h).
 */
int fl_store_put(struct fl_store *store, struct fl_object *object);
/* Remove an object by kind and name; unknown ones are no error. `ns` is "" for a Node. */
void fl_store_del(struct fl_store *store, enum fl_kind kind, const char *ns, const char *name);
/* The same, but the object becomes the caller's. One that is not there gives one of that kind that
 * holds nothing. */
struct fl_object fl_store_take(struct fl_store *store, enum fl_kind kind, const char *ns,
			       const char *name);

const struct fl_service *fl_store_service(const struct fl_store *store, const char *ns,
					  const char *name); /* or NULL */
const struct fl_slice *fl_store_slice(const struct fl_store *store, const char *ns,
				      const char *name);	   /* or NULL */
const struct fl_node *fl_store_node(const struct fl_store *store); /* ours, or NULL */
const struct fl_node *fl_store_node_named(const struct fl_store *store,
					  const char *name); /* any, or NULL */
/*
 * The addresses of all Nodes that are known, ours among them: sorted, each once, and borrowed until
 * the next change. They may be others when fl_store_changes() of FL_KIND_NODE has grown. 0 or
 * -ENOMEM.
 */
int fl_store_node_addresses(struct fl_store *store, const struct fl_ip **ret_addresses,
			    size_t *ret_n);
const struct fl_pod *fl_store_pod(const struct fl_store *store, const char *ns,
				  const char *name); /* one that has host ports, or NULL */
/* Other Nodes, for plans with their addresses: from now on what changes of these marks Services. */
const struct fl_nodes *fl_store_nodes(struct fl_store *store);
const char *fl_store_node_name(const struct fl_store *store);
/*
 * The slices of a Service, borrowed until the next change; n in *ret_n. NULL when there are none.
 */
const struct fl_slice *const *fl_store_slices(const struct fl_store *store, const char *ns,
					      const char *service, size_t *ret_n);
/* Services and slices that were made of Pods are not counted. */
size_t fl_store_count(const struct fl_store *store, enum fl_kind kind);
/*
 * Call fn for every Service, sorted by namespace and name. Stops at non-zero, which is returned;
 * -ENOMEM if there is no memory to sort them.
 */
int fl_store_each_service(const struct fl_store *store,
			  int (*fn)(const struct fl_service *service, void *arg), void *arg);
/* The same for every name that a Service or a slice has, in no order. */
int fl_store_each_name(const struct fl_store *store,
		       int (*fn)(const char *ns, const char *name, void *arg), void *arg);
/* The same for every name that slices have and no Service, with these slices. */
int fl_store_each_unserved(const struct fl_store *store,
			   int (*fn)(const char *ns, const char *name,
				     const struct fl_slice *const *slices, size_t n, void *arg),
			   void *arg);
/* Slices of which an endpoint is said to be on a node; with `ours`, on our own. */
size_t fl_store_count_named(const struct fl_store *store, bool ours);

/*
 * Take one marked Service: true and its key (borrowed until the next put, del or take), or false
 * when none is marked. It may no longer exist. Order: as marked.
 */
bool fl_store_take_dirty(struct fl_store *store, struct fl_service_key *ret_key);
/* How often an object of the kind was added, changed or removed. */
uint64_t fl_store_changes(const struct fl_store *store, enum fl_kind kind);
/* 4.14, 8.1: what changed the slices since this was called last, once per Service and time; at most
 * some thousand are remembered. */
void fl_store_take_triggers(struct fl_store *store,
			    void (*fn)(enum fl_family family, int64_t trigger_unix_ns, void *arg),
			    void *arg);
size_t fl_store_dirty_count(const struct fl_store *store);
/* The Service is to be planned again; no-op without one. */
void fl_store_mark(struct fl_store *store, const char *ns, const char *name);
void fl_store_mark_all(struct fl_store *store);
