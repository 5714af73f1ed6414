/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Service ports that are wanted but not in force, in lists by what they wait for, and how a service
 * port gets from stage to stage. When no state could be made (no backend id, no lines), the plan is
 * copied, so that it can be tried again without the caller; when a map refused a write, the state
 * itself is kept.
 */
#pragma once

#include "lb/sync/services.h"

#define FL_REFUSAL_TEXT 128

/* What a service port waits for: below FL_SYNC_MAPS, that something of a full map comes free. */
enum fl_wait {
	FL_WAIT_TIME = FL_SYNC_MAPS, /* memory, or the kernel's mood: tried from time to time */
	FL_WAIT_PLAN,		     /* a smaller plan: never tried */
	FL_WAITS,
};

struct fl_waiting_list {
	struct fl_sync_service_port *first, *last; /* longest untried first */
	uint32_t n;
	uint32_t used;	  /* of the map, when it was looked at last */
	uint32_t to_look; /* at so many of them, since something came free */
};

struct fl_waiting {
	struct fl_waiting_list lists[FL_WAITS];
	uint32_t n;
};

/*
 * What happened to a service port; asserts that it can happen in its stage. Not for the two below.
 */
void fl_service_port_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			enum fl_stage_event event);
/* There is no room for a state of this plan. */
void fl_service_port_no_room(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			     const struct fl_refusal *refusal, int64_t created,
			     const struct fl_plan_port *plan);
/* Writing the wanted state was refused. */
void fl_service_port_refused(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			     const struct fl_refusal *refusal);
/* It was tried once more, with this result. */
void fl_service_port_waits_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			      const struct fl_refusal *refusal);

/*
 * The next service port of a list that is worth a try now that `used` elements of its map are in
 * use, or NULL. It goes to the end of the list. `looks` bounds the search, and is counted down.
 */
struct fl_sync_service_port *fl_waiting_next(struct fl_waiting *waiting, enum fl_sync_map map,
					     uint32_t used, int *looks);
/* The first of a list, whatever it waits for; it goes to the end. */
struct fl_sync_service_port *fl_waiting_rotate(struct fl_waiting_list *list);

const char *fl_refusal_text(const struct fl_refusal *refusal, char buf[static FL_REFUSAL_TEXT]);
