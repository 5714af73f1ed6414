// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Backend ids. Ids never given come first, then the one that rested longest, so that an id is
 * reused late; a flow that still names the backend of before is known by its generation.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/dp/filter.h"
#include "lb/sync/backends.h"

#define ID_MAX ((1U << FL_BACKEND_ID_BITS) - 1)

static uint32_t backend_hash(const struct fl_addr *addr, __be16 port, uint8_t proto)
{
	unsigned char key[sizeof(*addr) + 3];

	memcpy(key, addr, sizeof(*addr));
	memcpy(key + sizeof(*addr), &port, 2);
	key[sizeof(*addr) + 2] = proto;
	return (uint32_t)XXH3_64bits(key, sizeof(key));
}

int fl_backends_init(struct fl_backends *backends, const struct fl_maps *maps)
{
	*backends = (struct fl_backends){
		.maps = maps,
		.records = maps->backends,
		.n = (uint32_t)(maps->n_backends > ID_MAX ? ID_MAX : maps->n_backends),
		.fresh = 1,
	};
	backends->all = calloc(backends->n + 1, sizeof(*backends->all));
	backends->nodes = calloc(backends->n + 1, sizeof(*backends->nodes));
	return backends->all && backends->nodes ? 0 : -ENOMEM;
}

void fl_backends_fini(struct fl_backends *backends)
{
	free(backends->all);
	backends->all = NULL;
	free(backends->nodes);
	backends->nodes = NULL;
	fl_index_fini(&backends->index);
}

static void rest(struct fl_backends *backends, uint32_t id)
{
	struct fl_backend_entry *entry = &backends->all[id];

	backends->n_resting++;
	entry->resting = true;
	entry->prev = backends->last;
	entry->next = 0;
	if (backends->last)
		backends->all[backends->last].next = id;
	else
		backends->first = id;
	backends->last = id;
}

static void unrest(struct fl_backends *backends, uint32_t id)
{
	struct fl_backend_entry *entry = &backends->all[id];

	if (entry->prev)
		backends->all[entry->prev].next = entry->next;
	else
		backends->first = entry->next;
	if (entry->next)
		backends->all[entry->next].prev = entry->prev;
	else
		backends->last = entry->prev;
	backends->n_resting--;
	entry->resting = false;
	entry->prev = entry->next = 0;
}

static bool node_is_intact(const struct fl_backends *backends, uint32_t id)
{
	return id >= backends->maps->n_backend_nodes ||
	       !memcmp(&backends->maps->backend_nodes[id].addr, &backends->nodes[id],
		       sizeof(backends->nodes[id]));
}

/* Programs that read it meanwhile see that the word is odd, or another one afterwards. */
static void write_node(struct fl_backends *backends, uint32_t id)
{
	struct fl_backend_node *node = &backends->maps->backend_nodes[id];

	__atomic_store_n(&node->word, node->word | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	node->addr = backends->nodes[id];
	/* the datapath's cache of the way to the old one */
	node->next_hop = 0;
	node->next_hop_generation = 0;
	__atomic_store_n(&node->word, node->word + 1, __ATOMIC_RELEASE);
	backends->writes++;
}

/*
 * Everything but the flags first, and LIVE with release semantics last: a program that sees LIVE
 * sees the address and the generation that belong to it.
 */
void fl_backend_write(struct fl_backends *backends, uint32_t id)
{
	const struct fl_backend_entry *entry = &backends->all[id];
	struct fl_backend *record = &backends->records[id];

	/* also of one that comes back: the filter may have been made anew without it */
	fl_filter_add_backend(backends->maps, &entry->addr);
	if (record->generation != entry->generation || record->port != entry->port ||
	    record->proto != entry->proto ||
	    memcmp(&record->addr, &entry->addr, sizeof(entry->addr))) {
		__atomic_store_n(&record->flags, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&record->generation, entry->generation, __ATOMIC_RELEASE);
		record->addr = entry->addr;
		record->port = entry->port;
		record->proto = entry->proto;
		record->node = 0;
		/* the datapath's cache of the way to the old address */
		record->next_hop = 0;
		record->next_hop_generation = 0;
	}
	if (!node_is_intact(backends, id))
		write_node(backends, id);
	/* for those who look at the maps; the datapath goes by the lists */
	record->weight = entry->weight;
	__atomic_store_n(&record->flags, entry->flags, __ATOMIC_RELEASE);
	backends->writes++;
}

static bool is_zero(const struct fl_addr *addr)
{
	return !(addr->w[0] | addr->w[1] | addr->w[2] | addr->w[3]);
}

/* `addr`: zero, and nothing is known. */
static void set_node(struct fl_backends *backends, uint32_t id, const struct fl_addr *addr)
{
	struct fl_addr *node = &backends->nodes[id];

	if (!memcmp(node, addr, sizeof(*addr)) || id >= backends->maps->n_backend_nodes)
		return;
	backends->n_moved += !is_zero(node);
	*node = *addr;
	write_node(backends, id);
}

static bool is_drained(const struct fl_backend_entry *entry)
{
	return entry->flags & FL_BACKEND_LIVE && !entry->weight;
}

/* What a record says changes only here, so that the counters agree with it. */
static void set_record(struct fl_backends *backends, uint32_t id, uint8_t flags, uint16_t weight)
{
	struct fl_backend_entry *entry = &backends->all[id];

	if (entry->flags == flags && entry->weight == weight)
		return;
	backends->live -= !!(entry->flags & FL_BACKEND_LIVE);
	backends->n_drained -= is_drained(entry);
	entry->flags = flags;
	entry->weight = weight;
	backends->live += !!(entry->flags & FL_BACKEND_LIVE);
	backends->n_drained += is_drained(entry);
	fl_backend_write(backends, id);
}

static uint16_t weight_of(const struct fl_backend_entry *entry)
{
	return entry->drained < entry->states;
}

static uint32_t find(const struct fl_backends *backends, uint32_t hash, const struct fl_addr *addr,
		     __be16 port, uint8_t proto)
{
	for (uint32_t step = 0, id;
	     (id = fl_index_next(&backends->index, hash, &step)) != FL_INDEX_NONE;) {
		const struct fl_backend_entry *entry = &backends->all[id];

		if (entry->port == port && entry->proto == proto &&
		    !memcmp(&entry->addr, addr, sizeof(*addr)))
			return id;
	}
	return 0;
}

uint32_t fl_backend_find(const struct fl_backends *backends, const struct fl_addr *addr,
			 __be16 port, uint8_t proto)
{
	return find(backends, backend_hash(addr, port, proto), addr, port, proto);
}

static int backend_new(struct fl_backends *backends, uint32_t hash, uint32_t *ret_id)
{
	struct fl_backend_entry *entry;
	uint32_t id;
	int rc = fl_index_reserve(&backends->index, 1);

	if (rc)
		return rc;
	if (backends->fresh < backends->n)
		id = backends->fresh++;
	else if (backends->first)
		id = backends->first;
	else
		return -ENOSPC;
	entry = &backends->all[id];
	if (entry->resting) {
		unrest(backends, id);
		fl_index_del(&backends->index,
			     backend_hash(&entry->addr, entry->port, entry->proto), id);
	}
	backends->live -= !!(entry->flags & FL_BACKEND_LIVE);
	backends->n_drained -= is_drained(entry);
	if (++entry->generation == 0)
		entry->generation = 1;
	fl_index_add(&backends->index, hash, id);
	*ret_id = id;
	return 0;
}

int fl_backend_take(struct fl_backends *backends, const struct fl_ip *ip, uint16_t port,
		    uint8_t proto, struct fl_backend_use use, uint32_t *ret_id)
{
	const uint8_t flags = FL_BACKEND_LIVE | (use.local ? FL_BACKEND_LOCAL : 0);
	struct fl_backend_entry *entry;
	struct fl_addr addr;
	uint32_t hash, id;
	int rc;

	memcpy(&addr, ip->b, sizeof(addr));
	hash = backend_hash(&addr, htons(port), proto);
	id = find(backends, hash, &addr, htons(port), proto);
	if (!id) {
		rc = backend_new(backends, hash, &id);
		if (rc)
			return rc;
		entry = &backends->all[id];
		entry->addr = addr;
		entry->port = htons(port);
		entry->proto = proto;
		entry->flags = 0;
		entry->weight = 1;
		set_node(backends, id, &(struct fl_addr){0});
	}
	entry = &backends->all[id];
	if (use.node && !fl_ip_is_unspecified(use.node)) {
		memcpy(&addr, use.node->b, sizeof(addr));
		set_node(backends, id, &addr);
	}
	if (entry->resting)
		unrest(backends, id);
	entry->states++;
	entry->drained += use.drained;
	entry->found = false;
	set_record(backends, id, flags, weight_of(entry));
	*ret_id = id;
	return 0;
}

static bool has_states(const struct fl_backend_entry *entry)
{
	return !entry->resting && entry->states;
}

static void rest_if_unused(struct fl_backends *backends, uint32_t id)
{
	const struct fl_backend_entry *entry = &backends->all[id];

	if (!has_states(entry) && !entry->sets && !entry->resting)
		rest(backends, id);
}

static void clear_live(struct fl_backends *backends, uint32_t id)
{
	const struct fl_backend_entry *entry = &backends->all[id];

	if (!has_states(entry))
		set_record(backends, id, entry->flags & (uint8_t)~FL_BACKEND_LIVE, entry->weight);
}

void fl_backend_drop(struct fl_backends *backends, uint32_t id, bool drained)
{
	struct fl_backend_entry *entry = &backends->all[id];

	entry->drained -= drained;
	if (--entry->states) {
		set_record(backends, id, entry->flags, weight_of(entry));
		return;
	}
	/* after a restart a Service that was not planned yet may have it */
	if (backends->settled)
		clear_live(backends, id);
	rest_if_unused(backends, id);
}

void fl_backend_keep(struct fl_backends *backends, uint32_t id)
{
	if (backends->all[id].resting)
		unrest(backends, id);
	backends->all[id].states++;
}

void fl_backend_hold(struct fl_backends *backends, uint32_t id)
{
	backends->all[id].sets++;
}

void fl_backend_release(struct fl_backends *backends, uint32_t id)
{
	backends->all[id].sets--;
	rest_if_unused(backends, id);
}

/* Learn a record of the map; of two with one identity the first is found again. */
static int adopt(struct fl_backends *backends, uint32_t id)
{
	const struct fl_backend *record = &backends->records[id];
	struct fl_backend_entry *entry = &backends->all[id];
	int rc;

	if (!record->generation)
		return 0;
	/* an agent before may not have known of it */
	fl_filter_add_backend(backends->maps, &record->addr);
	rc = fl_index_reserve(&backends->index, 1);
	if (rc)
		return rc;
	entry->addr = record->addr;
	entry->port = record->port;
	entry->generation = record->generation;
	entry->proto = record->proto;
	entry->flags = record->flags & FL_BACKEND_FLAGS; /* any other is a difference, and goes */
	entry->weight = record->weight;
	if (id < backends->maps->n_backend_nodes &&
	    !is_zero(&backends->maps->backend_nodes[id].addr))
		backends->nodes[id] = backends->maps->backend_nodes[id].addr;
	backends->live += !!(entry->flags & FL_BACKEND_LIVE);
	backends->n_drained += is_drained(entry);
	fl_index_add(&backends->index, backend_hash(&entry->addr, entry->port, entry->proto), id);
	backends->fresh = id + 1;
	return 0;
}

int fl_backends_adopt(struct fl_backends *backends)
{
	int rc = 0;

	for (uint32_t id = 1; id < backends->n && !rc; id++)
		rc = adopt(backends, id);
	return rc;
}

/* Holes below the highest id included. */
void fl_backends_rest_unused(struct fl_backends *backends)
{
	for (uint32_t id = 1; id < backends->fresh; id++) {
		struct fl_backend_entry *entry = &backends->all[id];

		entry->found = !has_states(entry) && entry->flags & FL_BACKEND_LIVE;
		rest_if_unused(backends, id);
	}
}

void fl_backends_settle(struct fl_backends *backends, bool keep_found)
{
	backends->settled = true;
	for (uint32_t id = 1; id < backends->fresh; id++)
		if (!keep_found || !backends->all[id].found)
			clear_live(backends, id);
}

bool fl_backend_intact(const struct fl_backends *backends, uint32_t id)
{
	const struct fl_backend_entry *entry = &backends->all[id];
	const struct fl_backend *record = &backends->records[id];

	if (!node_is_intact(backends, id))
		return false;
	return record->generation == entry->generation &&
	       (!entry->generation ||
		(record->flags == entry->flags && record->port == entry->port &&
		 record->proto == entry->proto && record->weight == entry->weight &&
		 !memcmp(&record->addr, &entry->addr, sizeof(entry->addr))));
}
