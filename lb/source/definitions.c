/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Definitions in a hash table by key, chained; those of one object are in the same chain. The
 * active one has given its object to the store and holds none; one on standby holds its own.
 */
#include "lb/source/definitions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

struct fl_definition {
	struct fl_definition *next; /* in the chain */
	struct fl_definer *definer;
	struct fl_object standby; /* holds nothing when .service is NULL */
	uint32_t hash;
	unsigned int line;
	bool active;
	struct fl_object_key key; /* into text */
	char text[];
};

struct fl_definitions {
	struct fl_store *store;
	struct fl_definition **chains;
	size_t n_chains, n; /* n_chains is a power of two */
};

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
	chains = calloc(n, sizeof(*chains));
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

static struct fl_definition *definition_new(struct fl_definitions *all, struct fl_definer *definer,
					    const struct fl_object_key *key)
{
	size_t ns_size = strlen(key->ns) + 1, name_size = strlen(key->name) + 1;
	struct fl_definition *d = calloc(1, sizeof(*d) + ns_size + name_size), **chain;

	if (!d)
		return NULL;
	memcpy(d->text, key->ns, ns_size);
	memcpy(d->text + ns_size, key->name, name_size);
	d->key = (struct fl_object_key){key->kind, d->text, d->text + ns_size};
	d->definer = definer;
	d->hash = hash_key(key);
	spread(all);
	chain = &all->chains[d->hash & (all->n_chains - 1)];
	d->next = *chain;
	*chain = d;
	all->n++;
	return d;
}

static bool same_object(const struct fl_definition *a, const struct fl_definition *b)
{
	return a->hash == b->hash && !fl_object_key_cmp(&a->key, &b->key);
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
	struct fl_definition *c = all->chains[d->hash & (all->n_chains - 1)];

	for (; c; c = c->next)
		if (c->active && same_object(c, d))
			return c;
	return NULL;
}

static int activate(struct fl_definitions *all, struct fl_definition *d, struct fl_object *object)
{
	d->active = true;
	return fl_store_put(all->store, object);
}

/* Take a definition's object as its file has it now: into the store, or on standby. */
static int settle(struct fl_definitions *all, struct fl_definition *d, struct fl_staged *staged)
{
	struct fl_definition *active = find_active(all, d);

	d->line = staged->line;
	fl_object_free(&d->standby);
	if (active && active != d && before(active->definer, d->definer)) {
		d->standby = staged->object;
		staged->object = (struct fl_object){0};
		return 0;
	}
	if (active && active != d) {
		active->active = false;
		active->definer->stale = true;
	}
	return activate(all, d, &staged->object);
}

/* An active definition has left its chain; the next in order takes over. */
static int activate_next(struct fl_definitions *all, const struct fl_definition *gone)
{
	struct fl_definition *c = all->chains[gone->hash & (all->n_chains - 1)], *next = NULL;

	for (; c; c = c->next) {
		if (!same_object(c, gone))
			continue;
		if (!c->standby.service)
			c->definer->stale = true; /* reading it again brings the object */
		else if (!next || before(c->definer, next->definer))
			next = c;
	}
	if (next)
		return activate(all, next, &next->standby);
	return fl_store_del(all->store, gone->key.kind, gone->key.ns, gone->key.name);
}

static void unchain(struct fl_definitions *all, struct fl_definition *d)
{
	struct fl_definition **link = &all->chains[d->hash & (all->n_chains - 1)];

	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
	all->n--;
}

static int drop(struct fl_definitions *all, struct fl_definition *d)
{
	int rc = 0;

	unchain(all, d);
	if (d->active)
		rc = activate_next(all, d);
	fl_object_free(&d->standby);
	free(d);
	return rc;
}

static int compare_to_key(const void *key, const void *element)
{
	return fl_object_key_cmp(key, element);
}

static bool is_kept(const struct fl_definition *d, const struct fl_object_key *keep, size_t n_keep)
{
	return n_keep && bsearch(&d->key, keep, n_keep, sizeof(*keep), compare_to_key);
}

int fl_definitions_apply(struct fl_definitions *all, struct fl_definer *definer,
			 struct fl_staged *staged, size_t n_staged,
			 const struct fl_object_key *keep, size_t n_keep, bool keep_all)
{
	struct fl_definition **next =
		calloc(definer->n + n_staged + 1, sizeof(struct fl_definition *));
	size_t n = 0, i = 0, k = 0;
	int rc = 0, failed;

	if (!next)
		return -ENOMEM;
	while (i < definer->n || k < n_staged) {
		struct fl_definition *old = i < definer->n ? definer->list[i] : NULL;
		struct fl_object_key key;
		int order = -1;

		if (k < n_staged) {
			key = fl_object_key_of(&staged[k].object);
			order = old ? fl_object_key_cmp(&old->key, &key) : 1;
		}
		failed = 0;
		if (order < 0 && (keep_all || is_kept(old, keep, n_keep))) {
			next[n++] = old;
		} else if (order < 0) {
			failed = drop(all, old);
		} else {
			struct fl_definition *d = order ? definition_new(all, definer, &key) : old;

			if (d) {
				next[n++] = d;
				failed = settle(all, d, &staged[k]);
			} else {
				failed = -ENOMEM;
			}
		}
		rc = rc ? rc : failed;
		i += order <= 0;
		k += order >= 0;
	}
	free(definer->list);
	definer->list = next;
	definer->n = n;
	return rc;
}

static int compare_to_definition(const void *key, const void *element)
{
	return fl_object_key_cmp(key, &(*(struct fl_definition *const *)element)->key);
}

bool fl_definitions_has(const struct fl_definer *definer, const struct fl_object_key *key)
{
	return definer->n && bsearch(key, definer->list, definer->n, sizeof(definer->list[0]),
				     compare_to_definition);
}

void fl_definitions_forget(struct fl_definitions *all, struct fl_definer *definer)
{
	for (size_t i = 0; i < definer->n; i++) {
		unchain(all, definer->list[i]);
		fl_object_free(&definer->list[i]->standby);
		free(definer->list[i]);
	}
	free(definer->list);
	definer->list = NULL;
	definer->n = 0;
}

void fl_definitions_each_standby(const struct fl_definitions *all, const struct fl_definer *definer,
				 fl_standby_fn fn, void *arg)
{
	for (size_t i = 0; i < definer->n; i++) {
		const struct fl_definition *d = definer->list[i], *active;

		if (d->active)
			continue;
		active = find_active(all, d);
		if (active)
			fn(&d->key, d->line, active->definer, active->line, arg);
	}
}
