// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Ids of service ports: given, kept, rested, given again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/sync/service_ids.h"
#include "lb/sync/state.h"

#define SERVICE_ID_MAX (1U << 22)
#define SERVICE_IDS_RESTING 1024 /* this many freed ids rest before the oldest is given again */

void fl_service_ids_fini(struct fl_service_ids *ids)
{
	for (uint32_t id = 0; id < ids->fresh; id++)
		fl_state_forget(ids->all[id].found);
	free(ids->all);
	free(ids->freed);
	*ids = (struct fl_service_ids){0};
}

static int ids_reserve(struct fl_service_ids *ids, uint32_t id)
{
	const uint32_t old = ids->cap;
	int rc = FL_ARRAY_ROOM(ids->all, ids->cap, id + 1ULL);

	if (!rc && ids->cap > old)
		memset(ids->all + old, 0, (ids->cap - old) * sizeof(*ids->all));
	return rc;
}

struct fl_sync_service_port *fl_service_id_port(const struct fl_service_ids *ids, uint32_t id)
{
	return id < ids->fresh ? ids->all[id].port : NULL;
}

/* The ring has room for every id there is. */
static int freed_reserve(struct fl_service_ids *ids)
{
	uint32_t *ring, cap = ids->cap;

	if (ids->cap_freed >= cap)
		return 0;
	ring = calloc(cap, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < ids->n_freed; i++)
		ring[i] = ids->freed[(ids->head + i) % ids->cap_freed];
	free(ids->freed);
	ids->freed = ring;
	ids->cap_freed = cap;
	ids->head = 0;
	return 0;
}

int fl_service_id_take(struct fl_service_ids *ids, struct fl_sync_service_port *port, uint32_t wish,
		       uint32_t *ret_id)
{
	uint32_t id;
	int rc;

	if (!ids->fresh)
		ids->fresh = 1;
	rc = ids_reserve(ids, ids->fresh);
	if (!rc)
		rc = freed_reserve(ids);
	if (rc)
		return rc;
	if (wish && wish < ids->fresh && !ids->all[wish].port) {
		id = wish;
	} else if (ids->n_freed > SERVICE_IDS_RESTING ||
		   (ids->fresh >= SERVICE_ID_MAX && ids->n_freed)) {
		id = ids->freed[ids->head];
		ids->head = (ids->head + 1) % ids->cap_freed;
		ids->n_freed--;
	} else if (ids->fresh < SERVICE_ID_MAX) {
		id = ids->fresh++;
	} else {
		return -ENOSPC;
	}
	ids->all[id].port = port;
	*ret_id = id;
	return 0;
}

void fl_service_id_drop(struct fl_service_ids *ids, uint32_t id)
{
	ids->all[id].port = NULL;
	/* until the restart is over the id may still be found in a map and taken over */
	if (!ids->settled)
		return;
	ids->freed[(ids->head + ids->n_freed++) % ids->cap_freed] = id;
}

int fl_service_ids_adopt(struct fl_service_ids *ids, uint32_t id)
{
	int rc;

	if (id >= SERVICE_ID_MAX)
		return 0;
	rc = ids_reserve(ids, id);
	if (!rc && id >= ids->fresh)
		ids->fresh = id + 1;
	return rc;
}

/* Without memory the ids that nobody took over stay unused until the next start. */
void fl_service_ids_settle(struct fl_service_ids *ids)
{
	_cleanup_free_ bool *known = calloc(ids->fresh + 1, sizeof(*known));

	ids->settled = true;
	if (!known || freed_reserve(ids))
		return;
	for (uint32_t i = 0; i < ids->n_freed; i++)
		known[ids->freed[(ids->head + i) % ids->cap_freed]] = true;
	for (uint32_t id = 1; id < ids->fresh; id++)
		if (!ids->all[id].port && !known[id])
			fl_service_id_drop(ids, id);
}
