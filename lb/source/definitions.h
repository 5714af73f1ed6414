/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which file defines which object. When several files define one, the definition of the first file
 * in order is active and the others are on standby, ready to take over when it goes. Only here does
 * the manifest source change the store.
 */
#pragma once

#include "lb/model/store.h"

struct fl_definitions;
struct fl_definition;

/* A file, as far as definitions go. The caller owns it and zero-initialises it, except for `path`
 * and `order`. */
struct fl_definer {
	const char *path;
	unsigned int order; /* the smaller comes first; of equal ones the path that sorts first */
	struct fl_definition **list; /* sorted by key */
	size_t n;
	/* an earlier file has taken an object over: read this one again, to have it on standby */
	bool stale;
};

struct fl_object_key {
	enum fl_kind kind;
	const char *ns, *name;
};

struct fl_staged {
	struct fl_object object;
	unsigned int line;
};

/* Borrowed from the object. */
struct fl_object_key fl_object_key_of(const struct fl_object *object);
int fl_object_key_cmp(const struct fl_object_key *a, const struct fl_object_key *b);

int fl_definitions_new(struct fl_store *store, struct fl_definitions **ret_definitions);
/* Every definer must have been forgotten, or have no definitions left. */
void fl_definitions_free(struct fl_definitions **all);

/*
 * Make `staged` (sorted by key, no key twice; its objects are taken) all that `definer` defines,
 * except that the definitions named in `keep` (sorted), or with `keep_all` all others, stay as they
 * are. 0 or -ENOMEM, after which the change may be half done and should be tried again.
 */
int fl_definitions_apply(struct fl_definitions *all, struct fl_definer *definer,
			 struct fl_staged *staged, size_t n_staged,
			 const struct fl_object_key *keep, size_t n_keep, bool keep_all);
bool fl_definitions_has(const struct fl_definer *definer, const struct fl_object_key *key);

/* Drop the definitions of `definer` and leave the store as it is. */
void fl_definitions_forget(struct fl_definitions *all, struct fl_definer *definer);

/* Call fn for each definition of `definer` that is on standby, with the active one of the same
 * object. */
typedef void (*fl_standby_fn)(const struct fl_object_key *key, unsigned int line,
			      const struct fl_definer *active, unsigned int active_line, void *arg);
void fl_definitions_each_standby(const struct fl_definitions *all, const struct fl_definer *definer,
				 fl_standby_fn fn, void *arg);
