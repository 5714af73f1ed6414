/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A sorted array: a scan of the flow table asks it once for each UDP flow. */
#include "conntrack/lost.h"

#include <errno.h>
#include <stdlib.h>

int fl_lost_backends_add(struct fl_lost_backends *lost, const struct fl_lost_backend *one)
{
	if (lost->n == lost->cap) {
		size_t cap = lost->cap ? lost->cap * 2 : 16;
		struct fl_lost_backend *items = reallocarray(lost->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		lost->items = items;
		lost->cap = cap;
	}
	lost->items[lost->n++] = *one;
	lost->sorted = false;
	return 0;
}

void fl_lost_backends_clear(struct fl_lost_backends *lost)
{
	free(lost->items);
	*lost = (struct fl_lost_backends){0};
}

static int compare(const void *va, const void *vb)
{
	const struct fl_lost_backend *a = va, *b = vb;

	if (a->backend != b->backend)
		return a->backend < b->backend ? -1 : 1;
	if (a->generation != b->generation && a->generation && b->generation)
		return a->generation < b->generation ? -1 : 1;
	return 0;
}

static void sort(struct fl_lost_backends *lost)
{
	if (!lost->sorted && lost->n)
		qsort(lost->items, lost->n, sizeof(*lost->items), compare);
	lost->sorted = true;
}

bool fl_lost_has(const struct fl_lost *lost, uint32_t backend, uint16_t generation,
		 const struct fl_addr *frontend, __be16 port)
{
	const struct fl_lost_backend key = {.backend = backend, .generation = generation};
	const struct fl_lost_backends *all = lost->backends;
	const struct fl_lost_backend *end, *at;
	uint32_t service_id;

	sort(lost->backends);
	at = all->n ? bsearch(&key, all->items, all->n, sizeof(key), compare) : NULL;
	if (!at)
		return false;
	end = all->items + all->n;
	while (at > all->items && !compare(at - 1, &key))
		at--;
	service_id = lost->service_at(frontend, port, lost->arg);
	for (; at < end && !compare(at, &key); at++)
		if (at->service_id == service_id)
			return true;
	return false;
}
