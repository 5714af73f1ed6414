// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Backend ids and service ids. A backend keeps its id as long as a service port or a set names it,
 * and gets the same one back if it returns before the id was needed: ids never given come first,
 * then the one that rested longest. A flow that still names an old owner is told by the generation.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/sync/internal.h"

#define SERVICE_ID_MAX (1U << 22)
#define SERVICE_IDS_RESTING 1024 /* this many freed ids rest before the oldest is given again */

/* ---- backends -------------------------------------------------------------------------------- */

static uint32_t backend_hash(const struct fl_addr *addr, __be16 port, uint8_t proto)
{
	unsigned char key[sizeof(*addr) + 3];

	memcpy(key, addr, sizeof(*addr));
	memcpy(key + sizeof(*addr), &port, 2);
	key[sizeof(*addr) + 2] = proto;
	return (uint32_t)XXH3_64bits(key, sizeof(key));
}

int fl_backend_ids_init(struct fl_sync *sync)
{
	struct fl_backend_ids *ids = &sync->backends;
	size_t n = sync->maps->n_backends;

	ids->n = (uint32_t)(n > FL_STATE_ID_MASK ? FL_STATE_ID_MASK : n);
	ids->fresh = 1;
	ids->all = calloc(ids->n + 1, sizeof(*ids->all));
	return ids->all ? 0 : -ENOMEM;
}

void fl_backend_ids_fini(struct fl_sync *sync)
{
	free(sync->backends.all);
	sync->backends.all = NULL;
	fl_index_fini(&sync->backends.index);
}

static void rest(struct fl_backend_ids *ids, uint32_t id)
{
	struct fl_backend_ref *ref = &ids->all[id];

	ref->resting = true;
	ref->prev = ids->last;
	ref->next = 0;
	if (ids->last)
		ids->all[ids->last].next = id;
	else
		ids->first = id;
	ids->last = id;
}

static void unrest(struct fl_backend_ids *ids, uint32_t id)
{
	struct fl_backend_ref *ref = &ids->all[id];

	if (ref->prev)
		ids->all[ref->prev].next = ref->next;
	else
		ids->first = ref->next;
	if (ref->next)
		ids->all[ref->next].prev = ref->prev;
	else
		ids->last = ref->prev;
	ref->resting = false;
	ref->prev = ref->next = 0;
}

/*
 * Everything but the flags first, and LIVE with release semantics last: a program that sees LIVE
 * sees the address and the generation that belong to it.
 */
void fl_backend_write(struct fl_sync *sync, uint32_t id)
{
	const struct fl_backend_ref *ref = &sync->backends.all[id];
	struct fl_backend *record = &sync->maps->backends[id];

	if (record->generation != ref->generation || record->port != ref->port ||
	    record->proto != ref->proto || record->weight != 1 ||
	    memcmp(&record->addr, &ref->addr, sizeof(ref->addr))) {
		__atomic_store_n(&record->flags, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&record->generation, ref->generation, __ATOMIC_RELEASE);
		record->addr = ref->addr;
		record->port = ref->port;
		record->proto = ref->proto;
		record->weight = 1;
		record->node = 0;
		/* the datapath's cache of the way to the old address */
		record->next_hop = 0;
		record->next_hop_generation = 0;
	}
	__atomic_store_n(&record->flags, ref->flags, __ATOMIC_RELEASE);
	sync->map_writes++;
}

static uint32_t backend_find(const struct fl_backend_ids *ids, uint32_t hash,
			     const struct fl_addr *addr, __be16 port, uint8_t proto)
{
	for (uint32_t step = 0, id;
	     (id = fl_index_next(&ids->index, hash, &step)) != FL_INDEX_NONE;) {
		const struct fl_backend_ref *ref = &ids->all[id];

		if (ref->port == port && ref->proto == proto &&
		    !memcmp(&ref->addr, addr, sizeof(*addr)))
			return id;
	}
	return 0;
}

static int backend_new(struct fl_backend_ids *ids, uint32_t hash, uint32_t *ret_id)
{
	struct fl_backend_ref *ref;
	uint32_t id;
	int rc = fl_index_reserve(&ids->index, 1);

	if (rc)
		return rc;
	if (ids->fresh < ids->n)
		id = ids->fresh++;
	else if (ids->first)
		id = ids->first;
	else
		return -ENOSPC;
	ref = &ids->all[id];
	if (ref->resting) {
		unrest(ids, id);
		fl_index_del(&ids->index, backend_hash(&ref->addr, ref->port, ref->proto), id);
	}
	ids->live -= !!(ref->flags & FL_BACKEND_LIVE);
	if (++ref->generation == 0)
		ref->generation = 1;
	fl_index_add(&ids->index, hash, id);
	*ret_id = id;
	return 0;
}

int fl_backend_take(struct fl_sync *sync, const struct fl_ip *ip, uint16_t port, uint8_t proto,
		    bool local, uint32_t *ret_id)
{
	const uint8_t flags = FL_BACKEND_LIVE | (local ? FL_BACKEND_LOCAL : 0);
	struct fl_backend_ids *ids = &sync->backends;
	struct fl_backend_ref *ref;
	struct fl_addr addr;
	uint32_t hash, id;
	int rc;

	memcpy(&addr, ip->b, sizeof(addr));
	hash = backend_hash(&addr, htons(port), proto);
	id = backend_find(ids, hash, &addr, htons(port), proto);
	if (!id) {
		rc = backend_new(ids, hash, &id);
		if (rc)
			return rc;
		ref = &ids->all[id];
		ref->addr = addr;
		ref->port = htons(port);
		ref->proto = proto;
		ref->flags = 0;
	}
	ref = &ids->all[id];
	if (ref->resting)
		unrest(ids, id);
	ref->ports++;
	if (ref->flags != flags) {
		ids->live += !(ref->flags & FL_BACKEND_LIVE);
		ref->flags = flags;
		fl_backend_write(sync, id);
	}
	*ret_id = id;
	return 0;
}

static void rest_if_unused(struct fl_sync *sync, uint32_t id)
{
	const struct fl_backend_ref *ref = &sync->backends.all[id];

	if (!ref->ports && !ref->sets && !ref->resting)
		rest(&sync->backends, id);
}

void fl_backend_clear_live(struct fl_sync *sync, uint32_t id)
{
	struct fl_backend_ref *ref = &sync->backends.all[id];

	if (ref->ports || !(ref->flags & FL_BACKEND_LIVE))
		return;
	sync->backends.live--;
	ref->flags &= (uint8_t)~FL_BACKEND_LIVE;
	fl_backend_write(sync, id);
}

void fl_backend_drop(struct fl_sync *sync, uint32_t id)
{
	if (--sync->backends.all[id].ports)
		return;
	/* after a restart a Service that was not planned yet may have it: fl_sync_settle() looks
	 * again */
	if (sync->settled)
		fl_backend_clear_live(sync, id);
	rest_if_unused(sync, id);
}

void fl_backend_hold(struct fl_sync *sync, uint32_t id)
{
	sync->backends.all[id].sets++;
}

void fl_backend_release(struct fl_sync *sync, uint32_t id)
{
	sync->backends.all[id].sets--;
	rest_if_unused(sync, id);
}

/* Learn a record of the map; of two with one identity the first is found again. */
int fl_backend_adopt(struct fl_sync *sync, uint32_t id)
{
	const struct fl_backend *record = &sync->maps->backends[id];
	struct fl_backend_ids *ids = &sync->backends;
	struct fl_backend_ref *ref = &ids->all[id];
	int rc;

	if (!record->generation)
		return 0;
	rc = fl_index_reserve(&ids->index, 1);
	if (rc)
		return rc;
	ref->addr = record->addr;
	ref->port = record->port;
	ref->generation = record->generation;
	ref->proto = record->proto;
	ref->flags = record->flags;
	ids->live += !!(ref->flags & FL_BACKEND_LIVE);
	fl_index_add(&ids->index, backend_hash(&ref->addr, ref->port, ref->proto), id);
	ids->fresh = id + 1;
	return 0;
}

/* After adoption: ids that nothing names may be given again, holes below the highest one included.
 */
void fl_backend_rest_unused(struct fl_sync *sync)
{
	for (uint32_t id = 1; id < sync->backends.fresh; id++)
		rest_if_unused(sync, id);
}

/* ---- service ports ------------------------------------------------------------------------------
 */

void fl_service_ids_fini(struct fl_sync *sync)
{
	free(sync->services.owner);
	free(sync->services.freed);
	sync->services = (struct fl_service_ids){0};
}

static int owners_reserve(struct fl_service_ids *ids, uint32_t id)
{
	const uint32_t old = ids->cap;
	int rc = fl_grow(&ids->owner, &ids->cap, id + 1ULL, sizeof(*ids->owner));

	if (!rc && ids->cap > old)
		memset(ids->owner + old, 0, (ids->cap - old) * sizeof(*ids->owner));
	return rc;
}

bool fl_service_id_owned(const struct fl_sync *sync, uint32_t id)
{
	return id < sync->services.fresh && sync->services.owner[id];
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

/* `wish`: an id learnt from the maps that this port may take over, or 0. */
int fl_service_id_take(struct fl_sync *sync, struct fl_port *port, uint32_t wish)
{
	struct fl_service_ids *ids = &sync->services;
	uint32_t id;
	int rc;

	if (!ids->fresh)
		ids->fresh = 1;
	rc = owners_reserve(ids, ids->fresh);
	if (!rc)
		rc = freed_reserve(ids);
	if (rc)
		return rc;
	if (wish && wish < ids->fresh && !ids->owner[wish]) {
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
	ids->owner[id] = port;
	port->pub.service_id = id;
	return 0;
}

void fl_service_id_drop(struct fl_sync *sync, uint32_t id)
{
	struct fl_service_ids *ids = &sync->services;

	ids->owner[id] = NULL;
	/* until the restart is over the id may still be found in a map and taken over */
	if (!sync->settled)
		return;
	ids->freed[(ids->head + ids->n_freed++) % ids->cap_freed] = id;
}

int fl_service_ids_adopt(struct fl_sync *sync, uint32_t id)
{
	int rc;

	if (id >= SERVICE_ID_MAX)
		return 0;
	rc = owners_reserve(&sync->services, id);
	if (!rc && id >= sync->services.fresh)
		sync->services.fresh = id + 1;
	return rc;
}

/* What nobody took over is free. Call once. Without memory the ids stay unused until the next
 * start. */
void fl_service_ids_settle(struct fl_sync *sync)
{
	struct fl_service_ids *ids = &sync->services;
	_cleanup_free_ bool *known = calloc(ids->fresh + 1, sizeof(*known));

	if (!known || freed_reserve(ids))
		return;
	for (uint32_t i = 0; i < ids->n_freed; i++)
		known[ids->freed[(ids->head + i) % ids->cap_freed]] = true;
	for (uint32_t id = 1; id < ids->fresh; id++)
		if (!ids->owner[id] && !known[id])
			fl_service_id_drop(sync, id);
}
