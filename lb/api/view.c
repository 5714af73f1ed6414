/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking the snapshot of the frontends and finding one's way in it. */
#include "lb/api/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/clock.h"
#include "lb/dp/dp.h"
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

static int view_sort(struct fl_view *view)
{
	view->by_key = calloc(view->n_frontends + 1, sizeof(*view->by_key));
	if (!view->by_key)
		return -ENOMEM;
	if (!view->n_frontends)
		return 0;
	qsort(view->frontends, view->n_frontends, sizeof(*view->frontends), cmp_frontends);
	for (size_t i = 0; i < view->n_frontends; i++)
		view->by_key[i] = (uint32_t)i;
	qsort_r(view->by_key, view->n_frontends, sizeof(*view->by_key), cmp_by_key,
		view->frontends);
	return 0;
}

struct view_read {
	struct fl_view *view;
	size_t room;
};

static int view_append(const void *key, const void *value, void *arg)
{
	struct view_read *read = arg;
	struct fl_view *view = read->view;
	struct fl_view_frontend *grown;

	if (view->n_frontends == read->room) {
		grown = reallocarray(view->frontends, read->room * 2 + 64, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		view->frontends = grown;
		read->room = read->room * 2 + 64;
	}
	memcpy(&view->frontends[view->n_frontends].key, key, sizeof(view->frontends->key));
	memcpy(&view->frontends[view->n_frontends++].value, value, sizeof(view->frontends->value));
	return 0;
}

static void view_set(struct fl_view *view, const struct fl_maps *maps, const struct fl_names *names,
		     uint32_t hz)
{
	*view = (struct fl_view){.maps = maps, .hz = hz ? hz : fl_dp_kernel_hz()};
	if (names)
		view->names = *names;
	view->now = view_now(maps, view->hz);
}

int fl_view_init(struct fl_view *view, const struct fl_maps *maps, const struct fl_names *names,
		 uint32_t hz, struct fl_err *err)
{
	int rc = 0;

	view_set(view, maps, names, hz);
	if (maps->frontends_fd >= 0)
		rc = fl_map_each(maps->frontends_fd, view_append,
				 &(struct view_read){.view = view});
	if (!rc)
		rc = view_sort(view);
	if (rc) {
		fl_view_fini(view);
		return fl_err_set(err, rc, "cannot read map frontends: %s", strerror(-rc));
	}
	return 0;
}

int fl_view_init_frontends(struct fl_view *view, const struct fl_maps *maps,
			   const struct fl_names *names, uint32_t hz,
			   const struct fl_view_frontend *frontends, size_t n_frontends)
{
	view_set(view, maps, names, hz);
	view->frontends = calloc(n_frontends + 1, sizeof(*view->frontends));
	if (!view->frontends)
		return -ENOMEM;
	if (n_frontends)
		memcpy(view->frontends, frontends, n_frontends * sizeof(*frontends));
	view->n_frontends = n_frontends;
	if (view_sort(view)) {
		fl_view_fini(view);
		return -ENOMEM;
	}
	return 0;
}

void fl_view_fini(struct fl_view *view)
{
	free(view->frontends);
	free(view->by_key);
	*view = (struct fl_view){0};
}

static const struct fl_view_frontend *view_find_key(const struct fl_view *view,
						    const struct fl_frontend_key *key)
{
	size_t low = 0, high = view->n_frontends;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct fl_view_frontend *f = &view->frontends[view->by_key[mid]];
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

static bool filled(const char *text)
{
	return text && *text;
}

static bool service_has_port(const struct fl_view_service *service, const char *port)
{
	char buf[8];

	for (size_t i = 0; i < service->n; i++) {
		if (service->first[i].value.type == FL_FRONTEND_NODE_PORT)
			continue;
		snprintf(buf, sizeof(buf), "%u", ntohs(service->first[i].key.port));
		if (!strcmp(buf, port))
			return true;
	}
	return false;
}

bool fl_view_service_matches(const struct fl_view *view, const struct fl_view_service *service,
			     const struct fl_service_filter *filter)
{
	struct fl_view_name name;

	fl_view_name(view, service->id, &name);
	if (filled(filter->ns) && strcmp(filter->ns, name.ns))
		return false;
	if (filled(filter->name) && strcmp(filter->name, name.name))
		return false;
	return !filled(filter->port) || !strcmp(filter->port, name.port) ||
	       service_has_port(service, filter->port);
}
