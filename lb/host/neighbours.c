// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Valid neighbours by device and address; see the header for why. */
#include "lb/host/neighbours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct key {
	unsigned int ifindex;
	struct fl_ip ip;
};

struct neighbour {
	struct key key;
	uint8_t mac[6];
	UT_hash_handle hh;
};

struct fl_neighbours {
	struct neighbour *table;
};

int fl_neighbours_new(struct fl_neighbours **ret_neighbours)
{
	*ret_neighbours = calloc(1, sizeof(**ret_neighbours));
	return *ret_neighbours ? 0 : -ENOMEM;
}

static void drop(struct fl_neighbours *neighbours, struct neighbour *n)
{
	HASH_DEL(neighbours->table, n);
	free(n);
}

void fl_neighbours_free(struct fl_neighbours **neighbours)
{
	struct neighbour *n, *tmp;

	if (!*neighbours)
		return;
	HASH_ITER (hh, (*neighbours)->table, n, tmp)
		drop(*neighbours, n);
	free(*neighbours);
	*neighbours = NULL;
}

bool fl_neighbours_update(struct fl_neighbours *neighbours, unsigned int ifindex,
			  const struct fl_ip *ip, bool valid, const uint8_t mac[6])
{
	struct key key;
	struct neighbour *n;

	memset(&key, 0, sizeof(key));
	key.ifindex = ifindex;
	key.ip = *ip;
	HASH_FIND(hh, neighbours->table, &key, sizeof(key), n);
	if (!valid) {
		if (n)
			drop(neighbours, n);
		return n != NULL;
	}
	if (n) {
		bool changed = memcmp(n->mac, mac, sizeof(n->mac));

		memcpy(n->mac, mac, sizeof(n->mac));
		return changed;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return true;
	n->key = key;
	memcpy(n->mac, mac, sizeof(n->mac));
	HASH_ADD(hh, neighbours->table, key, sizeof(key), n);
	return false;
}

bool fl_neighbours_forget(struct fl_neighbours *neighbours, unsigned int ifindex)
{
	struct neighbour *n, *tmp;
	bool any = false;

	HASH_ITER (hh, neighbours->table, n, tmp) {
		if (n->key.ifindex != ifindex)
			continue;
		drop(neighbours, n);
		any = true;
	}
	return any;
}
