/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contents of fl_frontends, and which service ports want each of them. Several may: the oldest
 * Service holds it, then namespace and name decide, and the others stay in the list to take over
 * (rule 2.21).
 */
#pragma once

#include "lb/model/plan.h"
#include "lb/sync/sets.h"
#include "lb/sync/table.h"

struct fl_state;

/* A state that wants a frontend. */
struct fl_holder {
	struct fl_state *state;
	struct fl_holder *next; /* of the same frontend, in the order in which they may have it */
	uint32_t frontend;
	uint8_t type; /* enum fl_frontend_type */
};

struct fl_frontend_record {
	struct fl_frontend value;
	uint32_t set[FL_SIDES]; /* the sets that the value names, 0 none */
};

struct fl_frontend_element {
	struct fl_element head;
	struct fl_frontend_key key;
	struct fl_frontend_record record;
	struct fl_holder *holders; /* of linked states; the first one has it */
};

struct fl_frontends {
	struct fl_table table;
	struct fl_sets *sets;
	bool conflicts_changed; /* the frontends that more than one service port wants */
};

/* `sets` is borrowed. */
void fl_frontends_init(struct fl_frontends *frontends, struct fl_sets *sets);
static inline struct fl_frontend_element *fl_frontend_at(const struct fl_frontends *frontends,
							 uint32_t f)
{
	return fl_table_at(&frontends->table, f);
}
struct fl_frontend_key fl_frontend_key_of(const struct fl_plan_frontend *frontend, uint8_t proto);
/* The entry of an address itself; type: FL_FRONTEND_VIP or FL_FRONTEND_ADDRESS. */
struct fl_frontend_key fl_address_key(const struct fl_addr *addr, uint8_t type);

/* One more frontend that `state` wants; there is room among its holders. */
void fl_holder_add(struct fl_state *state, uint32_t f, uint8_t type);
/* Put the state into the lists of its frontends, or take it out, which makes them dirty. */
void fl_holders_link(struct fl_frontends *frontends, struct fl_state *state);
void fl_holders_unlink(struct fl_frontends *frontends, struct fl_state *state);
