/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who contributes which object. When several files claim one, the first in order is heard and the
 * others wait in its shadow, ready to take over when it goes. Only here does the manifest source
 * change the store.
 */
#pragma once

#include "lb/model/store.h"

struct fl_object_claims;
struct fl_object_claim;

/* A file, as far as claims go. The caller owns it and zero-initialises it, `path` and `order`
 * apart. */
struct fl_object_claimant {
	const char *path;
	unsigned int
		order; /* of claimants with different order the smaller is heard, else by path */
	struct fl_object_claim **claims; /* sorted by key */
	size_t n_claims;
	bool stale; /* lost an object to an earlier file: read it again to hold the object in the
		       shadow */
};

struct fl_object_claim_key {
	enum fl_kind kind;
	const char *ns, *name;
};

struct fl_staged {
	struct fl_object object;
	unsigned int line;
};

struct fl_object_claim_key
fl_object_key(const struct fl_object *object); /* borrowed from the object */
int fl_object_claim_key_cmp(const struct fl_object_claim_key *a,
			    const struct fl_object_claim_key *b);

int fl_object_claims_new(struct fl_store *store, struct fl_object_claims **ret_claims);
/* The claimants must have let go of everything. */
void fl_object_claims_free(struct fl_object_claims **claims);

/*
 * Make `staged` (sorted by key, no key twice; its objects are taken) all that `who` contributes,
 * apart from the claims named in `keep` (sorted), or with `keep_all` all others, which stay as they
 * are. 0 or -ENOMEM, after which the contribution may be half done and should be tried again.
 */
int fl_object_claims_apply(struct fl_object_claims *claims, struct fl_object_claimant *who,
			   struct fl_staged *staged, size_t n_staged,
			   const struct fl_object_claim_key *keep, size_t n_keep, bool keep_all);
bool fl_object_claims_has(const struct fl_object_claimant *who,
			  const struct fl_object_claim_key *key);

/* Drop every claim of `who` and leave the store as it is. */
void fl_object_claims_forget(struct fl_object_claims *claims, struct fl_object_claimant *who);

/* Call fn for each claim of `who` that waits in a shadow, and of whose. */
typedef void (*fl_shadow_fn)(const struct fl_object_claim_key *key, unsigned int line,
			     const struct fl_object_claimant *winner, unsigned int winner_line,
			     void *arg);
void fl_object_claims_each_shadow(const struct fl_object_claims *claims,
				  const struct fl_object_claimant *who, fl_shadow_fn fn, void *arg);
