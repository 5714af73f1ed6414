// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bringing over what is kept in hashes: which backend a client with session affinity has, and which
 * UDP flows the node began itself. Records of affinity name service and backend by numbers of the
 * datapath that wrote them; here it is the service that has the frontend, and the backend of that
 * address, port and protocol.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/migrate_records.h"
#include "conntrack/raw.h"
#include "lb/base/cleanup.h"
#include "lb/dp/map_info.h"
#include "lb/dp/map_each.h"

static int compare(const void *va, const void *vb)
{
	const struct fl_service_number *a = va, *b = vb;

	return a->old != b->old ? (a->old > b->old) - (a->old < b->old)
				: (a->ours > b->ours) - (a->ours < b->ours);
}

static const unsigned char *element(const struct fl_old_records *old, int map, size_t i)
{
	return (const unsigned char *)old->mem[map] +
	       i * ((old->layout.map[map].value_size + 7) & ~7U);
}

/* The key of a line that is in use, and the number of its service. */
static bool read_frontend(const struct fl_old_records *old, size_t i,
			  struct fl_frontend_key *ret_key, uint32_t *ret_service)
{
	const struct fl_record_map *map = &old->layout.map[FL_RECORDS_FRONTENDS];
	const struct fl_layout_place *f = map->field;
	const unsigned char *line = element(old, FL_RECORDS_FRONTENDS, i);
	const uint32_t *word =
		(const uint32_t *)(const void *)(line + f[FL_RECORD_FRONTEND_WORD].offset);
	_Alignas(8) unsigned char raw[FL_RECORD_SIZE_MAX + 8];
	uint32_t before = __atomic_load_n(word, __ATOMIC_ACQUIRE);

	if (!(before & old->layout.frontend_live))
		return false;
	fl_raw_copy(raw, line, map->value_size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(word, __ATOMIC_RELAXED) != before)
		return false;
	*ret_key = (struct fl_frontend_key){
		.port = (__be16)fl_raw_number(raw, &f[FL_RECORD_FRONTEND_PORT]),
		.proto = (uint8_t)fl_raw_number(raw, &f[FL_RECORD_FRONTEND_PROTO]),
	};
	memcpy(&ret_key->addr, raw + f[FL_RECORD_FRONTEND_ADDR].offset, sizeof(ret_key->addr));
	*ret_service = (uint32_t)fl_raw_number(raw, &f[FL_RECORD_FRONTEND_SERVICE]);
	return *ret_service;
}

int fl_service_numbers_init(struct fl_service_numbers *ids, const struct fl_old_records *old,
			    const struct fl_frontend_table *ours)
{
	*ids = (struct fl_service_numbers){0};
	for (size_t i = 0; i < old->n[FL_RECORDS_FRONTENDS]; i++) {
		struct fl_frontend_key key;
		struct fl_frontend frontend;
		uint32_t service;

		if (!read_frontend(old, i, &key, &service) ||
		    !fl_frontend_table_get(ours, &key, &frontend) || !frontend.service_id)
			continue;
		if (!(ids->n & (ids->n - 1))) { /* at powers of two */
			struct fl_service_number *more = reallocarray(
				ids->items, ids->n ? ids->n * 2 : 1, sizeof(*ids->items));

			if (!more)
				return -ENOMEM;
			ids->items = more;
		}
		ids->items[ids->n++] = (struct fl_service_number){service, frontend.service_id};
	}
	if (ids->n)
		qsort(ids->items, ids->n, sizeof(*ids->items), compare);
	return 0;
}

void fl_service_numbers_fini(struct fl_service_numbers *ids)
{
	free(ids->items);
	*ids = (struct fl_service_numbers){0};
}

/* The first one where its frontends are several services' now: the list in force says whether a
 * record counts, so a wrong one costs nothing. 0: none. */
static uint32_t service_of(const struct fl_service_numbers *ids, uint32_t old)
{
	size_t low = 0, high = ids->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ids->items[middle].old < old)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ids->n && ids->items[low].old == old ? ids->items[low].ours : 0;
}

/* 0: it is gone, there or here. */
static uint32_t backend_of(const struct fl_record_source *source, uint32_t id, uint16_t generation)
{
	const struct fl_old_records *old = source->old;
	const struct fl_record_map *map = &old->layout.map[FL_RECORDS_BACKENDS];
	const struct fl_layout_place *f = map->field;
	_Alignas(8) unsigned char raw[FL_RECORD_SIZE_MAX + 8];
	struct fl_addr addr;

	if (id >= old->n[FL_RECORDS_BACKENDS])
		return 0;
	fl_raw_copy(raw, element(old, FL_RECORDS_BACKENDS, id), map->value_size);
	if (fl_raw_number(raw, &f[FL_RECORD_BACKEND_GENERATION]) != generation)
		return 0;
	memcpy(&addr, raw + f[FL_RECORD_BACKEND_ADDR].offset, sizeof(addr));
	return fl_backend_ids_find(source->backend_ids, &addr,
				   (__be16)fl_raw_number(raw, &f[FL_RECORD_BACKEND_PORT]),
				   (uint8_t)fl_raw_number(raw, &f[FL_RECORD_BACKEND_PROTO]));
}

/* Key and value behind each other, as the description counts. */
static void join(const struct fl_record_map *map, const void *key, const void *value,
		 unsigned char ret_raw[static 2 * FL_RECORD_SIZE_MAX])
{
	memcpy(ret_raw, key, map->key_size);
	memcpy(ret_raw + map->key_size, value, map->value_size);
}

bool fl_affinity_bring(const struct fl_record_source *source, const void *key, const void *value,
		       struct fl_affinity_key *ret_key, struct fl_affinity *ret_value)
{
	const struct fl_record_map *map = &source->old->layout.map[FL_RECORDS_AFFINITY];
	const struct fl_layout_place *f = map->field;
	unsigned char raw[2 * FL_RECORD_SIZE_MAX];

	join(map, key, value, raw);
	*ret_key = (struct fl_affinity_key){
		.service_id =
			service_of(source->services,
				   (uint32_t)fl_raw_number(raw, &f[FL_RECORD_CLIENT_SERVICE])),
	};
	memcpy(&ret_key->client, raw + f[FL_RECORD_CLIENT].offset, sizeof(ret_key->client));
	*ret_value = (struct fl_affinity){
		.backend = backend_of(
			source, (uint32_t)fl_raw_number(raw, &f[FL_RECORD_STICKY_BACKEND]),
			(uint16_t)fl_raw_number(raw, &f[FL_RECORD_STICKY_GENERATION])),
		.last = (uint32_t)fl_raw_number(raw, &f[FL_RECORD_STICKY_LAST]),
	};
	ret_value->generation = source->backends[ret_value->backend].generation;
	return ret_key->service_id && ret_value->backend;
}

void fl_own_flow_bring(const struct fl_old_records *old, const void *key, const void *value,
		       struct fl_own_key *ret_key, uint32_t *ret_last)
{
	const struct fl_record_map *map = &old->layout.map[FL_RECORDS_OWN_FLOWS];
	const struct fl_layout_place *f = map->field;
	unsigned char raw[2 * FL_RECORD_SIZE_MAX];
	struct fl_tuple6 *t = &ret_key->tuple;

	join(map, key, value, raw);
	*ret_key = (struct fl_own_key){0};
	memcpy(&t->saddr, raw + f[FL_RECORD_OWN_SADDR].offset, sizeof(t->saddr));
	memcpy(&t->daddr, raw + f[FL_RECORD_OWN_DADDR].offset, sizeof(t->daddr));
	t->sport = (__be16)fl_raw_number(raw, &f[FL_RECORD_OWN_SPORT]);
	t->dport = (__be16)fl_raw_number(raw, &f[FL_RECORD_OWN_DPORT]);
	*ret_last = (uint32_t)fl_raw_number(raw, &f[FL_RECORD_OWN_LAST]);
}

struct record_walk {
	struct fl_record_source source;
	int fd; /* of ours */
	size_t n;
};

/* Programs write there too: what they have written is not older. */
static void put(struct record_walk *w, const void *key, const void *value, bool there)
{
	w->n += !bpf_map_update_elem(w->fd, key, value, there ? BPF_EXIST : BPF_NOEXIST);
}

static int affinity_one(const void *key, const void *value, void *arg)
{
	struct record_walk *w = arg;
	struct fl_affinity_key client;
	struct fl_affinity sticky, here;
	bool there;

	if (!fl_affinity_bring(&w->source, key, value, &client, &sticky))
		return 0;
	there = !bpf_map_lookup_elem(w->fd, &client, &here);
	if (!there || (int32_t)(sticky.last - here.last) > 0)
		put(w, &client, &sticky, there);
	return 0;
}

static int own_flow_one(const void *key, const void *value, void *arg)
{
	struct record_walk *w = arg;
	struct fl_own_key flow;
	uint32_t last, here;
	bool there;

	fl_own_flow_bring(w->source.old, key, value, &flow, &last);
	there = !bpf_map_lookup_elem(w->fd, &flow, &here);
	if (!there || (int32_t)(last - here) > 0)
		put(w, &flow, &last, there);
	return 0;
}

/* Where only the flow tables were replaced, both datapaths use one map. */
static bool is_same(const struct fl_old_records *old, int map, int fd)
{
	struct bpf_map_info info;

	return !fl_map_info_get(fd, &info) && info.id == old->map_id[map];
}

int fl_records_migrate(const struct fl_maps *maps, const struct fl_backend_ids *backend_ids,
		       const struct fl_old_records *old, size_t *ret_n)
{
	static const struct {
		fl_map_each_fn *one;
		size_t fd; /* in struct fl_maps */
	} hashes[FL_RECORDS_HASHES] = {
		[FL_RECORDS_AFFINITY] = {affinity_one, offsetof(struct fl_maps, affinity_fd)},
		[FL_RECORDS_OWN_FLOWS] = {own_flow_one, offsetof(struct fl_maps, own_flows_fd)},
	};
	const struct fl_frontend_table frontends = fl_frontend_table_of(maps);
	_cleanup_(fl_service_numbers_fini) struct fl_service_numbers services = {0};
	struct record_walk w = {.source = {old, maps->backends, backend_ids, &services}};

	*ret_n = 0;
	if (!old->there)
		return 0;
	if (fl_service_numbers_init(&services, old, &frontends))
		return -ENOMEM;
	for (int i = 0; i < FL_RECORDS_HASHES; i++) {
		w.fd = *(const int *)(const void *)((const char *)maps + hashes[i].fd);
		/* others delete, or the kernel ends it early: what is left behind is remade */
		if (!is_same(old, i, w.fd))
			fl_map_each(old->fd[i], hashes[i].one, &w);
	}
	*ret_n = w.n;
	return 0;
}
