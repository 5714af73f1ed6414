/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside of definitions.h: the table (definitions.c), for what a file's new text does to it
 * (definitions_change.c), and a single change (definitions_one.c). */
#pragma once

#include <assert.h>

#include "lb/source/definitions.h"

struct fl_definition {
	struct fl_definition *next; /* in the chain */
	struct fl_definer *definer;
	struct fl_object standby; /* holds nothing when .service is NULL */
	struct fl_mono leaving;	  /* since when; ns 0: it is not */
	uint32_t hash;
	unsigned int line;
	uint32_t name_at;  /* in text */
	uint8_t kind;	   /* enum fl_kind */
	bool active, dead; /* dead: in no chain, only in its definer's list */
	char text[];	   /* the namespace, then the name */
};
static_assert(sizeof(struct fl_definition) == 56, "there is one of each object");

static inline struct fl_object_key fl_definition_key(const struct fl_definition *d)
{
	return (struct fl_object_key){(enum fl_kind)d->kind, d->text, d->text + d->name_at};
}

struct fl_definitions {
	struct fl_store *store;
	struct fl_definition **chains;
	size_t n_chains, n; /* n_chains is a power of two */
	uint64_t marks;	    /* how often a definer was marked displaced or stale */
};

/* A new one, in its chain; it has no object yet. NULL: no memory. */
struct fl_definition *fl_definition_new(struct fl_definitions *all, struct fl_definer *definer,
					const struct fl_object_key *key);
/* Without a word to the store. */
void fl_definition_free(struct fl_definitions *all, struct fl_definition *d);
/* Take a definition's object as its file has it now: into the store, or on standby. 0 or -errno. */
int fl_definition_settle(struct fl_definitions *all, struct fl_definition *d,
			 struct fl_staged *staged);
/* A definition goes; the next in order takes over. Frees it. 0, or -errno of the next one. */
int fl_definition_drop(struct fl_definitions *all, struct fl_definition *d);
/* Whether the store loses an object when `d` goes. */
bool fl_definition_is_loss(const struct fl_definitions *all, const struct fl_definition *d);
/* Add it to a loss. */
void fl_definition_count(struct fl_definitions_loss *loss, const struct fl_definition *d);
