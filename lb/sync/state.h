/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one service port wants of the maps, made from its plan. Making it takes references on all it
 * names (backends, sets, members, ranges, frontends) and changes nothing that a packet can see but
 * new backend records; freeing it gives them back. Linked, it is in force or being put in force.
 */
#pragma once

#include "lb/sync/contents.h"

#define FL_LISTS 2 /* enum fl_plan_list: cluster, local */

#define FL_STATE_ID_MASK ((1U << FL_BACKEND_ID_BITS) - 1) /* of fl_state.ids */
#define FL_STATE_IN_LIST(list) (1U << (FL_BACKEND_ID_BITS + (list)))
#define FL_STATE_DRAINED (1U << (FL_BACKEND_ID_BITS + FL_LISTS)) /* weight 0: in no list */

struct fl_sync_service_port;

struct fl_state {
	struct fl_sync_service_port *port; /* NULL: found, and not yet taken over */
	int64_t created;		   /* the Service */
	uint32_t affinity_timeout;	   /* jiffies */
	uint16_t flags[FL_FRONTEND_TYPES];
	uint8_t verdict[FL_FRONTEND_TYPES][FL_SIDES];
	uint8_t list[FL_FRONTEND_TYPES][FL_SIDES];
	bool linked;
	bool resets;		/* TCP flows whose backend it does not serve any more */
	uint32_t set[FL_LISTS]; /* 0: none */
	uint32_t n_ids, n_members, n_ranges, n_holders;
	uint32_t *ids;		    /* backends it keeps live, and the lists each is in */
	uint32_t *sorted;	    /* the backends alone; NULL: nobody has asked yet */
	uint32_t *members, *ranges; /* elements of these tables */
	uint16_t *weights;	    /* of the backends, within the lists; NULL if it was found */
	/*
	 * What the maps had when this process started (state_found.h), in the order of the holders;
	 * it holds its sets. NULL: the state was made from a plan.
	 */
	struct fl_frontend_record *found;
	struct fl_holder holders[]; /* then all other arrays */
};

/*
 * 0, -ENOSPC, -E2BIG (too many endpoints for one set) or -ENOMEM. `ret_map`, also on failure: the
 * map that is full, FL_SYNC_MAPS for none.
 */
int fl_state_new(struct fl_contents *contents, struct fl_sync_service_port *port, int64_t created,
		 const struct fl_plan_port *plan, struct fl_state **ret_state,
		 enum fl_sync_map *ret_map);
/* Unlinks it first. */
void fl_state_free(struct fl_contents *contents, struct fl_state **state);
/* Its memory only: what it refers to goes as well. Accepts NULL. */
static inline void fl_state_forget(struct fl_state *state)
{
	if (state)
		free(state->sorted);
	free(state);
}
bool fl_state_equal(const struct fl_state *a, const struct fl_state *b);

void fl_state_link(struct fl_contents *contents, struct fl_state *state);
void fl_state_unlink(struct fl_contents *contents, struct fl_state *state);

/* One of its lists: `n` ids are in sets.scratch, each as often as its share of the weights is. */
struct fl_state_list {
	uint32_t n;
	uint32_t n_backends; /* drained ones too, so that a drain leaves the table its length */
};
/* 0 or -ENOMEM. */
int fl_state_list(struct fl_contents *contents, const struct fl_state *state, int list,
		  struct fl_state_list *ret_list);
/* Whether the backend is one of `ids`. Sorts them the first time that is asked. */
bool fl_state_names(struct fl_state *state, uint32_t backend);
/* DSR, of a state that was made from a plan. */
bool fl_state_is_tunnelled(const struct fl_state *state);
bool fl_state_same_frontends(const struct fl_state *a, const struct fl_state *b);
