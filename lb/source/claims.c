/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Claims in a hash table by key, chained; claims on one object are neighbours in one chain. The
 * claim that is heard has given its object to the store and holds none; one in a shadow holds its
 * own.
 */
#include "lb/source/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

struct fl_object_claim {
	struct fl_object_claim *next; /* in the chain */
	struct fl_object_claimant *who;
	struct fl_object shadow; /* holds nothing when .service is NULL */
	uint32_t hash;
	unsigned int line;
	bool heard;
	struct fl_object_claim_key key; /* into text */
	char text[];
};

struct fl_object_claims {
	struct fl_store *store;
	struct fl_object_claim **chains;
	size_t n_chains, n_claims; /* n_chains is a power of two */
};

struct fl_object_claim_key fl_object_key(const struct fl_object *object)
{
	struct fl_object_claim_key key = {.kind = object->kind};

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

int fl_object_claim_key_cmp(const struct fl_object_claim_key *a,
			    const struct fl_object_claim_key *b)
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

static uint32_t hash_key(const struct fl_object_claim_key *key)
{
	return hash_text(hash_text(2166136261u + (uint32_t)key->kind, key->ns), key->name);
}

int fl_object_claims_new(struct fl_store *store, struct fl_object_claims **ret_claims)
{
	_cleanup_free_ struct fl_object_claims *claims = calloc(1, sizeof(*claims));

	if (!claims)
		return -ENOMEM;
	claims->store = store;
	claims->n_chains = 64;
	claims->chains = calloc(claims->n_chains, sizeof(*claims->chains));
	if (!claims->chains)
		return -ENOMEM;
	*ret_claims = TAKE_PTR(claims);
	return 0;
}

void fl_object_claims_free(struct fl_object_claims **claims)
{
	if (!*claims)
		return;
	free((*claims)->chains);
	free(*claims);
	*claims = NULL;
}

/* Without memory the chains just grow longer. */
static void spread(struct fl_object_claims *claims)
{
	size_t n = claims->n_chains * 2;
	struct fl_object_claim **chains;

	if (claims->n_claims < claims->n_chains)
		return;
	chains = calloc(n, sizeof(*chains));
	if (!chains)
		return;
	for (size_t i = 0; i < claims->n_chains; i++)
		while (claims->chains[i]) {
			struct fl_object_claim *claim = claims->chains[i];

			claims->chains[i] = claim->next;
			claim->next = chains[claim->hash & (n - 1)];
			chains[claim->hash & (n - 1)] = claim;
		}
	free(claims->chains);
	claims->chains = chains;
	claims->n_chains = n;
}

static struct fl_object_claim *claim_new(struct fl_object_claims *claims,
					 struct fl_object_claimant *who,
					 const struct fl_object_claim_key *key)
{
	size_t ns_size = strlen(key->ns) + 1, name_size = strlen(key->name) + 1;
	struct fl_object_claim *claim = calloc(1, sizeof(*claim) + ns_size + name_size), **chain;

	if (!claim)
		return NULL;
	memcpy(claim->text, key->ns, ns_size);
	memcpy(claim->text + ns_size, key->name, name_size);
	claim->key = (struct fl_object_claim_key){key->kind, claim->text, claim->text + ns_size};
	claim->who = who;
	claim->hash = hash_key(key);
	spread(claims);
	chain = &claims->chains[claim->hash & (claims->n_chains - 1)];
	claim->next = *chain;
	*chain = claim;
	claims->n_claims++;
	return claim;
}

static bool same_object(const struct fl_object_claim *a, const struct fl_object_claim *b)
{
	return a->hash == b->hash && !fl_object_claim_key_cmp(&a->key, &b->key);
}

/* Whether `a` is heard before `b`. */
static bool before(const struct fl_object_claimant *a, const struct fl_object_claimant *b)
{
	if (a->order != b->order)
		return a->order < b->order;
	return strcmp(a->path, b->path) < 0;
}

/* The claim that is heard on the same object, or NULL. */
static struct fl_object_claim *heard(const struct fl_object_claims *claims,
				     const struct fl_object_claim *claim)
{
	struct fl_object_claim *c = claims->chains[claim->hash & (claims->n_chains - 1)];

	for (; c; c = c->next)
		if (c->heard && same_object(c, claim))
			return c;
	return NULL;
}

static int hear(struct fl_object_claims *claims, struct fl_object_claim *claim,
		struct fl_object *object)
{
	claim->heard = true;
	return fl_store_put(claims->store, object);
}

/* A claim's object as its file has it now: to the store, or into the shadow. Takes the object. */
static int settle(struct fl_object_claims *claims, struct fl_object_claim *claim,
		  struct fl_staged *staged)
{
	struct fl_object_claim *winner = heard(claims, claim);

	claim->line = staged->line;
	fl_object_free(&claim->shadow);
	if (winner && winner != claim && before(winner->who, claim->who)) {
		claim->shadow = staged->object;
		staged->object = (struct fl_object){0};
		return 0;
	}
	if (winner && winner != claim) {
		winner->heard = false;
		winner->who->stale = true;
	}
	return hear(claims, claim, &staged->object);
}

/* Let go of a claim that is out of its chain; the next in order takes over. */
static int succeed(struct fl_object_claims *claims, const struct fl_object_claim *gone)
{
	struct fl_object_claim *c = claims->chains[gone->hash & (claims->n_chains - 1)],
			       *heir = NULL;

	for (; c; c = c->next) {
		if (!same_object(c, gone))
			continue;
		if (!c->shadow.service)
			c->who->stale = true; /* reading it again brings the object */
		else if (!heir || before(c->who, heir->who))
			heir = c;
	}
	if (heir)
		return hear(claims, heir, &heir->shadow);
	return fl_store_del(claims->store, gone->key.kind, gone->key.ns, gone->key.name);
}

static void unchain(struct fl_object_claims *claims, struct fl_object_claim *claim)
{
	struct fl_object_claim **link = &claims->chains[claim->hash & (claims->n_chains - 1)];

	while (*link != claim)
		link = &(*link)->next;
	*link = claim->next;
	claims->n_claims--;
}

static int drop(struct fl_object_claims *claims, struct fl_object_claim *claim)
{
	int rc = 0;

	unchain(claims, claim);
	if (claim->heard)
		rc = succeed(claims, claim);
	fl_object_free(&claim->shadow);
	free(claim);
	return rc;
}

static int compare_to_key(const void *key, const void *element)
{
	return fl_object_claim_key_cmp(key, element);
}

static bool is_kept(const struct fl_object_claim *claim, const struct fl_object_claim_key *keep,
		    size_t n_keep)
{
	return n_keep && bsearch(&claim->key, keep, n_keep, sizeof(*keep), compare_to_key);
}

int fl_object_claims_apply(struct fl_object_claims *claims, struct fl_object_claimant *who,
			   struct fl_staged *staged, size_t n_staged,
			   const struct fl_object_claim_key *keep, size_t n_keep, bool keep_all)
{
	struct fl_object_claim **next =
		calloc(who->n_claims + n_staged + 1, sizeof(struct fl_object_claim *));
	size_t n = 0, i = 0, k = 0;
	int rc = 0, failed;

	if (!next)
		return -ENOMEM;
	while (i < who->n_claims || k < n_staged) {
		struct fl_object_claim *old = i < who->n_claims ? who->claims[i] : NULL;
		struct fl_object_claim_key key;
		int order = -1;

		if (k < n_staged) {
			key = fl_object_key(&staged[k].object);
			order = old ? fl_object_claim_key_cmp(&old->key, &key) : 1;
		}
		failed = 0;
		if (order < 0 && (keep_all || is_kept(old, keep, n_keep))) {
			next[n++] = old;
		} else if (order < 0) {
			failed = drop(claims, old);
		} else {
			struct fl_object_claim *claim = order ? claim_new(claims, who, &key) : old;

			if (claim) {
				next[n++] = claim;
				failed = settle(claims, claim, &staged[k]);
			} else {
				failed = -ENOMEM;
			}
		}
		rc = rc ? rc : failed;
		i += order <= 0;
		k += order >= 0;
	}
	free(who->claims);
	who->claims = next;
	who->n_claims = n;
	return rc;
}

static int compare_to_claim(const void *key, const void *element)
{
	return fl_object_claim_key_cmp(key, &(*(struct fl_object_claim *const *)element)->key);
}

bool fl_object_claims_has(const struct fl_object_claimant *who,
			  const struct fl_object_claim_key *key)
{
	return who->n_claims &&
	       bsearch(key, who->claims, who->n_claims, sizeof(who->claims[0]), compare_to_claim);
}

void fl_object_claims_forget(struct fl_object_claims *claims, struct fl_object_claimant *who)
{
	for (size_t i = 0; i < who->n_claims; i++) {
		unchain(claims, who->claims[i]);
		fl_object_free(&who->claims[i]->shadow);
		free(who->claims[i]);
	}
	free(who->claims);
	who->claims = NULL;
	who->n_claims = 0;
}

void fl_object_claims_each_shadow(const struct fl_object_claims *claims,
				  const struct fl_object_claimant *who, fl_shadow_fn fn, void *arg)
{
	for (size_t i = 0; i < who->n_claims; i++) {
		const struct fl_object_claim *claim = who->claims[i], *winner;

		if (claim->heard)
			continue;
		winner = heard(claims, claim);
		if (winner)
			fn(&claim->key, claim->line, winner->who, winner->line, arg);
	}
}
