/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which file defines which object. When several files define one, the definition of the first file
 * in order is active and the others are on standby, ready to take over when it goes. A definition
 * that its file has no more may be kept for a while, leaving: any other file that defines the same
 * object takes over from it at once. Only here does the manifest source change the store.
 */
#pragma once

#include "lb/base/clock.h"
#include "lb/model/store.h"

struct fl_definitions;
struct fl_definition;

/* A file, as far as definitions go. The caller owns it and zero-initialises it, except for `path`
 * and `order`. */
struct fl_definer {
	const char *path;
	unsigned int order; /* the smaller comes first; of equal ones the path that sorts first */
	/* another file has taken over an object: for the caller to report, and to clear */
	bool displaced;
	bool stale; /* there was no memory for an object that became active: read the file again */
	struct fl_definition **list; /* sorted by key; NULL: moved on by a change under way */
	size_t n, room;
	size_t n_dead; /* in the list: another file took over from one that was leaving */
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

/* Another number whenever a definer was marked displaced or stale: else none need be looked for. */
uint64_t fl_definitions_marks(const struct fl_definitions *all);

int fl_definitions_new(struct fl_store *store, struct fl_definitions **ret_definitions);
/* Every definer must have been forgotten, or have no definitions left. */
void fl_definitions_free(struct fl_definitions **all);

/*
 * Make `staged` all that a file defines, except that the definitions named in `keep`, or with
 * `keep_all` all others, stay as they are. With `hold` the others are leaving from `now` on, else
 * they go. Everything is borrowed until the change is done; the objects are taken.
 */
struct fl_definitions_change {
	struct fl_staged *staged; /* sorted by key, no key twice */
	size_t n_staged;
	const struct fl_object_key *keep; /* sorted */
	size_t n_keep;
	bool keep_all, hold;
	struct fl_mono now;
};

/* What a change would take out of the store if it held nothing. */
struct fl_definitions_loss {
	size_t services, slices, nodes, pods;
};
struct fl_definitions_loss fl_definitions_loss(const struct fl_definitions *all,
					       const struct fl_definer *definer,
					       const struct fl_definitions_change *change);

/*
 * A change is made in steps, so that a large one need not be made in one go. Between the steps the
 * definer may only be listed. 0 or -ENOMEM.
 */
struct fl_definitions_merge {
	struct fl_definitions *all;
	struct fl_definer *definer;
	struct fl_definitions_change change;
	struct fl_definition **next;
	size_t n_next, i, k;
	int rc;
};
int fl_definitions_begin(struct fl_definitions *all, struct fl_definer *definer,
			 const struct fl_definitions_change *change,
			 struct fl_definitions_merge *ret_merge);
/* Look at `limit` objects at most. True when the change is done: then merge->rc is 0 or -ENOMEM,
 * after which it should be tried again as a whole. */
bool fl_definitions_step(struct fl_definitions_merge *merge, size_t limit);
/* Begin, and all steps. */
int fl_definitions_apply(struct fl_definitions *all, struct fl_definer *definer,
			 const struct fl_definitions_change *change);
/* Give up what is not done: the definitions that are left stay as they are. */
void fl_definitions_abort(struct fl_definitions_merge *merge);

/* One object alone: put it in, or take it out, while all others stay as they are. For sources that
 * are told of each change. The object is taken. 0 or -ENOMEM. */
int fl_definitions_put(struct fl_definitions *all, struct fl_definer *definer,
		       struct fl_staged *staged);
int fl_definitions_remove(struct fl_definitions *all, struct fl_definer *definer,
			  const struct fl_object_key *key);
/* Whether the object is as the definer has it already. `ret_key`: its key there, borrowed until the
 * definition goes. */
bool fl_definitions_same(const struct fl_definitions *all, const struct fl_definer *definer,
			 const struct fl_object *object, struct fl_object_key *ret_key);

bool fl_definitions_has(const struct fl_definer *definer, const struct fl_object_key *key);
static inline bool fl_definitions_any(const struct fl_definer *definer)
{
	return definer->n > definer->n_dead;
}

/*
 * The first object of `definer` behind `after` (NULL: of all). *ret_standby: it, if another
 * definer's is in the store; else NULL. Borrowed until a change. False: there is none.
 */
bool fl_definitions_next(const struct fl_definer *definer, const struct fl_object_key *after,
			 struct fl_object_key *ret_key, const struct fl_object **ret_standby);

/* Those of `definer` that are leaving. `since`: the earliest; ns is 0 when there are none. */
struct fl_definitions_leaving {
	struct fl_definitions_loss loss;
	struct fl_mono since;
};
struct fl_definitions_leaving fl_definitions_leaving(const struct fl_definer *definer);
/* Let those go that were leaving at `time` or before. */
void fl_definitions_let_go(struct fl_definitions *all, struct fl_definer *definer,
			   struct fl_mono time);

/* Drop the definitions of `definer` and leave the store as it is. */
void fl_definitions_forget(struct fl_definitions *all, struct fl_definer *definer);

/* Call fn for each definition of `definer` that is on standby, with the active one of the same
 * object. */
typedef void (*fl_standby_fn)(const struct fl_object_key *key, unsigned int line,
			      const struct fl_definer *active, unsigned int active_line, void *arg);
void fl_definitions_each_standby(const struct fl_definitions *all, const struct fl_definer *definer,
				 fl_standby_fn fn, void *arg);
