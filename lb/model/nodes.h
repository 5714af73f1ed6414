/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Nodes of the cluster besides our own, found by name, and the addresses of all of them: who
 * may send us what only a node may send. Internal to lb/model; lb/model/store.h has what others
 * use.
 */
#pragma once

#include <uthash.h>

#include "lb/model/object.h"

struct fl_other_node {
	UT_hash_handle hh; /* by the node's name */
	struct fl_node *node;
};

struct fl_nodes {
	struct fl_other_node *others; /* hash */
	/* of all nodes, sorted, each once; made when it is asked for */
	struct fl_ip *addresses;
	size_t n_addresses;
	bool is_current;
};

void fl_nodes_fini(struct fl_nodes *nodes);

const struct fl_node *fl_nodes_find(const struct fl_nodes *nodes, const char *name); /* or NULL */
/* The first address of a family that a node has (InternalIPs come first); NULL: not known. */
const struct fl_ip *fl_nodes_address(const struct fl_nodes *nodes, const char *name,
				     enum fl_family family);
/* Takes *node unless there is no memory. *ret_changed: it is new, or says something else than the
 * one before. 0 or -ENOMEM. */
int fl_nodes_put(struct fl_nodes *nodes, struct fl_node **node, bool *ret_changed);
/* It becomes the caller's. NULL: there is none of that name. */
struct fl_node *fl_nodes_take(struct fl_nodes *nodes, const char *name);

/* Borrowed until a Node changes. `own` may be NULL; when it has changed, is_current is to be
 * cleared. 0 or -ENOMEM. */
int fl_nodes_addresses(struct fl_nodes *nodes, const struct fl_node *own,
		       const struct fl_ip **ret_addresses, size_t *ret_n);
