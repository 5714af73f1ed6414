/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Other Nodes by name, and the list of all their addresses. */
#include "lb/model/nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

static struct fl_other_node *find(const struct fl_nodes *nodes, const char *name)
{
	struct fl_other_node *other;

	HASH_FIND_STR(nodes->others, name, other);
	return other;
}

/* The hash's key is the node's own name. */
static void drop(struct fl_nodes *nodes, struct fl_other_node *other)
{
	HASH_DEL(nodes->others, other);
	fl_node_free(&other->node);
	free(other);
	nodes->is_current = false;
}

void fl_nodes_fini(struct fl_nodes *nodes)
{
	struct fl_other_node *other, *next;

	HASH_ITER (hh, nodes->others, other, next) {
		drop(nodes, other);
	}
	free(nodes->addresses);
	*nodes = (struct fl_nodes){0};
}

const struct fl_node *fl_nodes_find(const struct fl_nodes *nodes, const char *name)
{
	const struct fl_other_node *other = find(nodes, name);

	return other ? other->node : NULL;
}

const struct fl_ip *fl_nodes_address(const struct fl_nodes *nodes, const char *name,
				     enum fl_family family)
{
	const struct fl_node *node = fl_nodes_find(nodes, name);

	for (size_t i = 0; node && i < node->n_addresses; i++)
		if (fl_ip_family(&node->addresses[i]) == family)
			return &node->addresses[i];
	return NULL;
}

int fl_nodes_put(struct fl_nodes *nodes, struct fl_node **node, bool *ret_changed)
{
	struct fl_other_node *other, *old = find(nodes, (*node)->name);

	*ret_changed = !old || !fl_node_equal(old->node, *node);
	if (!*ret_changed) {
		fl_node_free(node);
		return 0;
	}
	other = calloc(1, sizeof(*other));
	if (!other)
		return -ENOMEM;
	if (old)
		drop(nodes, old);
	other->node = TAKE_PTR(*node);
	HASH_ADD_KEYPTR(hh, nodes->others, other->node->name, strlen(other->node->name), other);
	nodes->is_current = false;
	return 0;
}

struct fl_node *fl_nodes_take(struct fl_nodes *nodes, const char *name)
{
	struct fl_other_node *other = find(nodes, name);
	struct fl_node *node = NULL;

	if (!other)
		return NULL;
	HASH_DEL(nodes->others, other);
	node = other->node;
	free(other);
	nodes->is_current = false;
	return node;
}

static int compare_ips(const void *a, const void *b)
{
	return fl_ip_cmp(a, b);
}

static size_t count(const struct fl_nodes *nodes, const struct fl_node *own)
{
	const struct fl_other_node *other;
	size_t n = own ? own->n_addresses : 0;

	for (other = nodes->others; other; other = other->hh.next)
		n += other->node->n_addresses;
	return n;
}

static size_t append(struct fl_ip *list, size_t n, const struct fl_node *node)
{
	if (node->n_addresses)
		memcpy(list + n, node->addresses, node->n_addresses * sizeof(*list));
	return n + node->n_addresses;
}

static size_t sort_unique(struct fl_ip *list, size_t n)
{
	size_t unique = 0;

	if (n > 1)
		qsort(list, n, sizeof(*list), compare_ips);
	for (size_t i = 0; i < n; i++)
		if (!unique || !fl_ip_equal(&list[unique - 1], &list[i]))
			list[unique++] = list[i];
	return unique;
}

int fl_nodes_addresses(struct fl_nodes *nodes, const struct fl_node *own,
		       const struct fl_ip **ret_addresses, size_t *ret_n)
{
	const struct fl_other_node *other;
	struct fl_ip *list;
	size_t n = 0;

	if (!nodes->is_current) {
		list = calloc(count(nodes, own) + 1, sizeof(*list));
		if (!list)
			return -ENOMEM;
		if (own)
			n = append(list, n, own);
		for (other = nodes->others; other; other = other->hh.next)
			n = append(list, n, other->node);
		free(nodes->addresses);
		nodes->addresses = list;
		nodes->n_addresses = sort_unique(list, n);
		nodes->is_current = true;
	}
	*ret_addresses = nodes->addresses;
	*ret_n = nodes->n_addresses;
	return 0;
}
