/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One object at a time, for sources that are told of each change. */
#include <errno.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/source/definitions_table.h"

/* Where a key is in the list, or would be; true: it is there. */
static bool find_place(const struct fl_definer *definer, const struct fl_object_key *key,
		       size_t *ret_place)
{
	size_t low = 0, high = definer->n;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const struct fl_object_key there = fl_definition_key(definer->list[middle]);
		const int order = fl_object_key_cmp(&there, key);

		if (!order) {
			*ret_place = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_place = low;
	return false;
}

static void take_out(struct fl_definer *definer, size_t place)
{
	definer->n--;
	memmove(definer->list + place, definer->list + place + 1,
		(definer->n - place) * sizeof(definer->list[0]));
}

int fl_definitions_put(struct fl_definitions *all, struct fl_definer *definer,
		       struct fl_staged *staged)
{
	const struct fl_object_key key = fl_object_key_of(&staged->object);
	struct fl_definition *d = NULL;
	size_t place;

	if (find_place(definer, &key, &place)) {
		if (!definer->list[place]->dead)
			return fl_definition_settle(all, definer->list[place], staged);
		definer->n_dead--;
		fl_definition_free(all, definer->list[place]);
		take_out(definer, place);
	}
	if (!FL_ARRAY_ROOM(definer->list, definer->room, definer->n + 1))
		d = fl_definition_new(all, definer, &key);
	if (!d) {
		fl_object_free(&staged->object);
		return -ENOMEM;
	}
	memmove(definer->list + place + 1, definer->list + place,
		(definer->n - place) * sizeof(definer->list[0]));
	definer->list[place] = d;
	definer->n++;
	return fl_definition_settle(all, d, staged);
}

int fl_definitions_remove(struct fl_definitions *all, struct fl_definer *definer,
			  const struct fl_object_key *key)
{
	struct fl_definition *d;
	size_t place;

	if (!find_place(definer, key, &place))
		return 0;
	d = definer->list[place];
	take_out(definer, place);
	if (!d->dead)
		return fl_definition_drop(all, d);
	definer->n_dead--;
	fl_definition_free(all, d);
	return 0;
}

bool fl_definitions_same(const struct fl_definitions *all, const struct fl_definer *definer,
			 const struct fl_object *object, struct fl_object_key *ret_key)
{
	const struct fl_object_key key = fl_object_key_of(object);
	const struct fl_definition *d;
	const struct fl_service *service;
	const struct fl_slice *slice;
	const struct fl_node *node;
	const struct fl_pod *pod;
	bool same = false;
	size_t place;

	if (!find_place(definer, &key, &place) || definer->list[place]->dead)
		return false;
	d = definer->list[place];
	switch (object->kind) {
	case FL_KIND_SERVICE:
		service = d->active ? fl_store_service(all->store, key.ns, key.name)
				    : d->standby.service;
		same = service && fl_service_equal(service, object->service);
		break;
	case FL_KIND_SLICE:
		slice = d->active ? fl_store_slice(all->store, key.ns, key.name) : d->standby.slice;
		same = slice && fl_slice_equal(slice, object->slice);
		break;
	case FL_KIND_NODE:
		node = d->active ? fl_store_node_named(all->store, key.name) : d->standby.node;
		same = node && fl_node_equal(node, object->node);
		break;
	case FL_KIND_POD:
		pod = d->active ? fl_store_pod(all->store, key.ns, key.name) : d->standby.pod;
		same = pod && fl_pod_equal(pod, object->pod);
		break;
	}
	if (same)
		*ret_key = fl_definition_key(d);
	return same;
}

bool fl_definitions_next(const struct fl_definer *definer, const struct fl_object_key *after,
			 struct fl_object_key *ret_key, const struct fl_object **ret_standby)
{
	size_t place = 0;

	if (after && find_place(definer, after, &place))
		place++;
	while (place < definer->n && definer->list[place]->dead)
		place++;
	if (place == definer->n)
		return false;
	*ret_key = fl_definition_key(definer->list[place]);
	*ret_standby = definer->list[place]->active ? NULL : &definer->list[place]->standby;
	return true;
}
