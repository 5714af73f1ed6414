// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A sorted list, made once for all flows that are brought over. */
#include "conntrack/backend_ids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const struct fl_backend_id *a, const struct fl_backend_id *b)
{
	int r = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	if (!r)
		r = (a->port > b->port) - (a->port < b->port);
	return r ? r : (a->proto > b->proto) - (a->proto < b->proto);
}

static int compare_all(const void *va, const void *vb)
{
	const struct fl_backend_id *a = va, *b = vb;
	int r = compare(a, b);

	return r ? r : a->gone - b->gone;
}

int fl_backend_ids_init(struct fl_backend_ids *ids, const struct fl_backend *backends, size_t n)
{
	*ids = (struct fl_backend_ids){.items = calloc(n + 1, sizeof(*ids->items))};
	if (!ids->items)
		return -ENOMEM;
	for (size_t id = 1; id < n; id++) {
		const struct fl_backend *b = &backends[id];

		if (b->generation && b->proto)
			ids->items[ids->n++] =
				(struct fl_backend_id){.addr = b->addr,
						       .port = b->port,
						       .proto = b->proto,
						       .gone = !(b->flags & FL_BACKEND_LIVE),
						       .id = (uint32_t)id};
	}
	qsort(ids->items, ids->n, sizeof(*ids->items), compare_all);
	return 0;
}

void fl_backend_ids_fini(struct fl_backend_ids *ids)
{
	free(ids->items);
	*ids = (struct fl_backend_ids){0};
}

uint32_t fl_backend_ids_find(const struct fl_backend_ids *ids, const struct fl_addr *addr,
			     __be16 port, uint8_t proto)
{
	const struct fl_backend_id wanted = {.addr = *addr, .port = port, .proto = proto};
	size_t low = 0, high = ids->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&ids->items[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ids->n && !compare(&ids->items[low], &wanted) ? ids->items[low].id : 0;
}
