/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Definitions in a hash table by key, chained; those of one object are in the same chain. The
 * active one has given its object to the store and holds none; one on standby holds its own. One
 * that is leaving is active, and no other file defines its object.
 */
#include "lb/source/definitions_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

struct fl_object_key fl_object_key_of(const struct fl_object *object)
{
	struct fl_object_key key = {.kind = object->kind};

	switch (object->kind) {
	case FL_KIND_SERVICE:
		key.ns = object->service->ns;
		key.name = object->service->name;
		break;
	case FL_KIND_SLICE:
		key.ns = object->slice->ns;
		key.name = object->slice->name;
		break;
	case FL_KIND_NODE:
		key.ns = "";
		key.name = object->node->name;
		break;
	case FL_KIND_POD:
		key.ns = object->pod->ns;
		key.name = object->pod->name;
		break;
	}
	return key;
}

int fl_object_key_cmp(const struct fl_object_key *a, const struct fl_object_key *b)
{
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = strcmp(a->ns, b->ns);
	return order ? order : strcmp(a->name, b->name);
}

static uint32_t hash_text(uint32_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash * 16777619u;
}

static uint32_t hash_key(const struct fl_object_key *key)
{
	return hash_text(hash_text(2166136261u + (uint32_t)key->kind, key->ns), key->name);
}

int fl_definitions_new(struct fl_store *store, struct fl_definitions **ret_definitions)
{
	_cleanup_free_ struct fl_definitions *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->store = store;
	all->n_chains = 64;
	all->chains = calloc(all->n_chains, sizeof(*all->chains));
	if (!all->chains)
		return -ENOMEM;
	*ret_definitions = TAKE_PTR(all);
	return 0;
}

void fl_definitions_free(struct fl_definitions **all)
{
	if (!*all)
		return;
	free((*all)->chains);
	free(*all);
	*all = NULL;
}

/* Without memory the chains just grow longer. */
static void spread(struct fl_definitions *all)
{
	size_t n = all->n_chains * 2;
	struct fl_definition **chains;

	if (all->n < all->n_chains)
		return;
	chains = calloc(n, sizeof(struct fl_definition *));
	if (!chains)
		return;
	for (size_t i = 0; i < all->n_chains; i++) {
		while (all->chains[i]) {
			struct fl_definition *d = all->chains[i];

			all->chains[i] = d->next;
			d->next = chains[d->hash & (n - 1)];
			chains[d->hash & (n - 1)] = d;
		}
	}
	free(all->chains);
	all->chains = chains;
	all->n_chains = n;
}

struct fl_definition *fl_definition_new(struct fl_definitions *all, struct fl_definer *definer,
					const struct fl_object_key *key)
{
	size_t ns_size = strlen(key->ns) + 1, name_size = strlen(key->name) + 1;
	struct fl_definition *d = calloc(1, sizeof(*d) + ns_size + name_size), **chain;

	if (!d)
		return NULL;
	memcpy(d->text, key->ns, ns_size);
	memcpy(d->text + ns_size, key->name, name_size);
	d->name_at = (uint32_t)ns_size;
	d->kind = (uint8_t)key->kind;
	d->definer = definer;
	d->hash = hash_key(key);
	spread(all);
	chain = &all->chains[d->hash & (all->n_chains - 1)];
	d->next = *chain;
	*chain = d;
	all->n++;
	return d;
}

static void unchain(struct fl_definitions *all, struct fl_definition *d)
{
	struct fl_definition **link = &all->chains[d->hash & (all->n_chains - 1)];

	if (d->dead)
		return;
	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
	all->n--;
}

void fl_definition_free(struct fl_definitions *all, struct fl_definition *d)
{
	unchain(all, d);
	fl_object_free(&d->standby);
	free(d);
}

static bool same_object(const struct fl_definition *a, const struct fl_definition *b)
{
	const struct fl_object_key x = fl_definition_key(a), y = fl_definition_key(b);

	return a->hash == b->hash && !fl_object_key_cmp(&x, &y);
}

uint64_t fl_definitions_marks(const struct fl_definitions *all)
{
	return all->marks;
}

/* Whether the definitions of `a` count before those of `b`. */
static bool before(const struct fl_definer *a, const struct fl_definer *b)
{
	if (a->order != b->order)
		return a->order < b->order;
	return strcmp(a->path, b->path) < 0;
}

/* The active definition of the same object, or NULL. */
static struct fl_definition *find_active(const struct fl_definitions *all,
					 const struct fl_definition *d)
{
	struct fl_definition *other = all->chains[d->hash & (all->n_chains - 1)];

	for (; other; other = other->next)
		if (other->active && same_object(other, d))
			return other;
	return NULL;
}

/* The one that takes over when `d` goes, or NULL. */
static struct fl_definition *find_next(const struct fl_definitions *all,
				       const struct fl_definition *d)
{
	struct fl_definition *other = all->chains[d->hash & (all->n_chains - 1)], *next = NULL;

	for (; other; other = other->next)
		if (other != d && same_object(other, d) &&
		    (!next || before(other->definer, next->definer)))
			next = other;
	return next;
}

static int activate(struct fl_definitions *all, struct fl_definition *d, struct fl_object *object)
{
	int rc;

	d->active = true;
	/* the store may have had nothing to give back when one was displaced */
	rc = object->service ? fl_store_put(all->store, object) : 0;
	if (rc) {
		d->definer->stale = true;
		all->marks++;
	}
	return rc;
}

/* Another definition becomes the active one. */
static void displace(struct fl_definitions *all, struct fl_definition *d)
{
	const struct fl_object_key key = fl_definition_key(d);

	if (d->leaving.ns) {
		unchain(all, d);
		d->dead = true;
		d->definer->n_dead++;
	} else {
		d->standby = fl_store_take(all->store, key.kind, key.ns, key.name);
		d->definer->displaced = true;
		all->marks++;
	}
	d->active = false;
}

int fl_definition_settle(struct fl_definitions *all, struct fl_definition *d,
			 struct fl_staged *staged)
{
	struct fl_definition *active = find_active(all, d);

	d->line = staged->line;
	d->leaving = (struct fl_mono){0};
	fl_object_free(&d->standby);
	if (active && active != d) {
		if (!active->leaving.ns && before(active->definer, d->definer)) {
			d->standby = staged->object;
			staged->object = (struct fl_object){0};
			return 0;
		}
		displace(all, active);
	}
	return activate(all, d, &staged->object);
}

int fl_definition_drop(struct fl_definitions *all, struct fl_definition *d)
{
	const struct fl_object_key key = fl_definition_key(d);
	struct fl_definition *next = d->active ? find_next(all, d) : NULL;
	int rc = 0;

	if (next)
		rc = activate(all, next, &next->standby);
	else if (d->active)
		fl_store_del(all->store, key.kind, key.ns, key.name);
	fl_definition_free(all, d);
	return rc;
}

bool fl_definition_is_loss(const struct fl_definitions *all, const struct fl_definition *d)
{
	return d->active && !find_next(all, d);
}

void fl_definition_count(struct fl_definitions_loss *loss, const struct fl_definition *d)
{
	loss->services += d->kind == FL_KIND_SERVICE;
	loss->slices += d->kind == FL_KIND_SLICE;
	loss->nodes += d->kind == FL_KIND_NODE;
	loss->pods += d->kind == FL_KIND_POD;
}

static int compare_to_definition(const void *key, const void *element)
{
	const struct fl_object_key other =
		fl_definition_key(*(struct fl_definition *const *)element);

	return fl_object_key_cmp(key, &other);
}

bool fl_definitions_has(const struct fl_definer *definer, const struct fl_object_key *key)
{
	struct fl_definition *const *found =
		definer->n ? bsearch(key, definer->list, definer->n, sizeof(definer->list[0]),
				     compare_to_definition)
			   : NULL;

	return found && !(*found)->dead;
}

struct fl_definitions_leaving fl_definitions_leaving(const struct fl_definer *definer)
{
	struct fl_definitions_leaving leaving = {0};

	for (size_t i = 0; i < definer->n; i++) {
		const struct fl_definition *d = definer->list[i];

		if (!d || d->dead || !d->leaving.ns)
			continue;
		fl_definition_count(&leaving.loss, d);
		if (!leaving.since.ns || d->leaving.ns < leaving.since.ns)
			leaving.since = d->leaving;
	}
	return leaving;
}

void fl_definitions_let_go(struct fl_definitions *all, struct fl_definer *definer,
			   struct fl_mono time)
{
	size_t n = 0;

	for (size_t i = 0; i < definer->n; i++) {
		struct fl_definition *d = definer->list[i];

		if (d->dead)
			fl_definition_free(all, d);
		else if (d->leaving.ns && d->leaving.ns <= time.ns)
			fl_definition_drop(all, d); /* nothing takes over, so it cannot fail */
		else
			definer->list[n++] = d;
	}
	definer->n = n;
	definer->n_dead = 0;
}

void fl_definitions_forget(struct fl_definitions *all, struct fl_definer *definer)
{
	for (size_t i = 0; i < definer->n; i++)
		fl_definition_free(all, definer->list[i]);
	free(definer->list);
	definer->list = NULL;
	definer->n = definer->room = definer->n_dead = 0;
}

void fl_definitions_each_standby(const struct fl_definitions *all, const struct fl_definer *definer,
				 fl_standby_fn fn, void *arg)
{
	for (size_t i = 0; i < definer->n; i++) {
		const struct fl_definition *d = definer->list[i], *active;
		struct fl_object_key key;

		if (!d || d->dead || d->active)
			continue;
		key = fl_definition_key(d);
		active = find_active(all, d);
		if (active)
			fn(&key, d->line, active->definer, active->line, arg);
	}
}
