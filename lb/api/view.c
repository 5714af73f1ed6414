/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A snapshot of the maps, and lookups in it. */
#include "lb/api/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/clock.h"
#include "lb/dp/dp.h"
#include "lb/dp/frontend_table.h"
#include "lb/dp/map_each.h"
#include "lb/sync/sync.h"

/*
 * The agent refreshes fl_meta's clock before it asks; a reader without an agent finds an old one
 * and adds what passed since. In a time namespace that sum is off by the namespace's offset, so it
 * is for showing only.
 */
static uint64_t view_now(const struct fl_maps *maps, uint32_t hz)
{
	struct fl_mono read;

	if (!maps->meta)
		return 0;
	read = (struct fl_mono){maps->meta->now_ns};
	return maps->meta->now_jiffies +
	       fl_mono_ns_between(read, fl_mono_now()) / (FL_NSEC_PER_SEC / hz);
}

static int cmp_keys(const struct fl_frontend_key *a, const struct fl_frontend_key *b)
{
	return memcmp(a, b, sizeof(*a));
}

static int cmp_frontends(const void *va, const void *vb)
{
	const struct fl_view_frontend *a = va, *b = vb;

	if (a->value.service_id != b->value.service_id)
		return a->value.service_id < b->value.service_id ? -1 : 1;
	if (a->value.type != b->value.type)
		return a->value.type < b->value.type ? -1 : 1;
	return cmp_keys(&a->key, &b->key);
}

static int cmp_by_key(const void *a, const void *b, void *arg)
{
	const struct fl_view_frontend *frontends = arg;

	return cmp_keys(&frontends[*(const uint32_t *)a].key, &frontends[*(const uint32_t *)b].key);
}

static int cmp_ranges(const void *va, const void *vb)
{
	const struct fl_range_key *a = va, *b = vb;

	if (a->service_id != b->service_id)
		return a->service_id < b->service_id ? -1 : 1;
	return memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

static int view_sort(struct fl_view *view)
{
	struct fl_view_contents *c = &view->contents;

	view->by_key = calloc(c->n_frontends + 1, sizeof(*view->by_key));
	if (!view->by_key)
		return -ENOMEM;
	if (c->n_ranges)
		qsort(c->ranges, c->n_ranges, sizeof(*c->ranges), cmp_ranges);
	if (!c->n_frontends)
		return 0;
	qsort(c->frontends, c->n_frontends, sizeof(*c->frontends), cmp_frontends);
	for (size_t i = 0; i < c->n_frontends; i++)
		view->by_key[i] = (uint32_t)i;
	qsort_r(view->by_key, c->n_frontends, sizeof(*view->by_key), cmp_by_key, c->frontends);
	return 0;
}

struct view_read {
	struct fl_view_contents *contents;
	size_t room;
};

static int read_frontend(const void *key, const void *value, void *arg)
{
	struct view_read *read = arg;
	struct fl_view_contents *c = read->contents;

	if (FL_ARRAY_ROOM(c->frontends, read->room, c->n_frontends + 1))
		return -ENOMEM;
	memcpy(&c->frontends[c->n_frontends].key, key, sizeof(c->frontends->key));
	memcpy(&c->frontends[c->n_frontends++].value, value, sizeof(c->frontends->value));
	return 0;
}

static int read_range(const void *key, const void *value, void *arg)
{
	struct view_read *read = arg;
	struct fl_view_contents *c = read->contents;

	if (FL_ARRAY_ROOM(c->ranges, read->room, c->n_ranges + 1))
		return -ENOMEM;
	memcpy(&c->ranges[c->n_ranges++], key, sizeof(*c->ranges));
	return 0;
}

static void contents_fini(struct fl_view_contents *contents)
{
	free(contents->frontends);
	free(contents->ranges);
	*contents = (struct fl_view_contents){0};
}

static int read_map(const char *name, int fd, fl_map_each_fn *fn, struct fl_view_contents *contents,
		    struct fl_err *err)
{
	int rc = fd >= 0 ? fl_map_each(fd, fn, &(struct view_read){.contents = contents}) : 0;

	return rc ? fl_err_set(err, rc, "cannot read map %s: %s", name, strerror(-rc)) : 0;
}

int fl_view_init(struct fl_view *view, const struct fl_maps *maps, const struct fl_names *names,
		 uint32_t hz, struct fl_err *err)
{
	_cleanup_(contents_fini) struct fl_view_contents contents = {0};
	struct fl_frontend_table frontends;
	int rc;

	frontends = fl_frontend_table_of(maps);
	rc = fl_frontend_table_each(&frontends, read_frontend,
				    &(struct view_read){.contents = &contents});
	if (rc)
		rc = fl_err_set(err, rc, "cannot read map frontends: %s", strerror(-rc));
	else
		rc = read_map("ranges", maps->ranges_fd, read_range, &contents, err);
	if (rc)
		return rc;
	rc = fl_view_take(view, maps, names, hz, &contents);
	return rc ? fl_err_set(err, rc, "no memory") : 0;
}

int fl_view_take(struct fl_view *view, const struct fl_maps *maps, const struct fl_names *names,
		 uint32_t hz, struct fl_view_contents *contents)
{
	*view = (struct fl_view){
		.maps = maps, .hz = hz ? hz : fl_dp_kernel_hz(), .contents = *contents};
	*contents = (struct fl_view_contents){0};
	if (names)
		view->names = *names;
	view->now = view_now(maps, view->hz);
	if (!view_sort(view))
		return 0;
	fl_view_fini(view);
	return -ENOMEM;
}

void fl_view_fini(struct fl_view *view)
{
	contents_fini(&view->contents);
	free(view->by_key);
	*view = (struct fl_view){0};
}

static const struct fl_view_frontend *view_find_key(const struct fl_view *view,
						    const struct fl_frontend_key *key)
{
	size_t low = 0, high = view->contents.n_frontends;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct fl_view_frontend *f = &view->contents.frontends[view->by_key[mid]];
		int cmp = cmp_keys(key, &f->key);

		if (!cmp)
			return f;
		if (cmp < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const struct fl_view_frontend *fl_view_find(const struct fl_view *view, const struct fl_ip *ip,
					    uint16_t port, uint8_t proto)
{
	struct fl_frontend_key key = {.port = htons(port), .proto = proto};
	const struct fl_view_frontend *found;

	memcpy(&key.addr, ip->b, sizeof(key.addr));
	found = view_find_key(view, &key);
	if (found)
		return found;
	memset(&key.addr, 0, sizeof(key.addr));
	if (fl_ip_family(ip) == FL_IPV4)
		key.addr.w[2] = htonl(0xffff);
	return view_find_key(view, &key);
}

static const struct fl_line *view_line(const struct fl_view *view, uint64_t index)
{
	return view->maps->lines && index < view->maps->n_lines ? &view->maps->lines[index] : NULL;
}

uint32_t fl_view_list_backend(const struct fl_view *view, const struct fl_list *list, uint32_t i)
{
	const struct fl_line *line = view_line(view, (uint64_t)list->slab + i / FL_LINE_IDS);

	return line && i < list->count ? line->id[i % FL_LINE_IDS] : 0;
}

uint32_t fl_view_list_share(const struct fl_view *view, const struct fl_list *list, uint32_t i)
{
	const uint32_t id = fl_view_list_backend(view, list, i);
	uint32_t n = 1;

	while (i + n < list->count && fl_view_list_backend(view, list, i + n) == id)
		n++;
	return n;
}

uint32_t fl_view_list_ordinal(const struct fl_view *view, const struct fl_list *list, uint32_t pos)
{
	uint64_t table =
		(uint64_t)list->slab + ((uint64_t)list->count + FL_LINE_IDS - 1) / FL_LINE_IDS;
	const struct fl_line *line = view_line(view, table + pos / FL_LINE_ORDINALS);

	return line && pos < list->lut_len ? line->ordinal[pos % FL_LINE_ORDINALS] : UINT32_MAX;
}

const struct fl_backend *fl_view_backend(const struct fl_view *view, uint32_t id)
{
	return view->maps->backends && id && id < view->maps->n_backends ? &view->maps->backends[id]
									 : NULL;
}
