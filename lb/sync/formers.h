/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contents of array fl_formers: the last tables that service ports with DSR have had, by which a
 * connection that began under one of them finds its backend, whatever node its segments come by.
 * Their sets are kept for that, and given up when room is needed, and at the start of an agent.
 */
#pragma once

#include "lb/sync/sets.h"

struct fl_formers {
	struct fl_former *records; /* the map */
	uint32_t n;		   /* of its elements, 0 or FL_FORMER_LISTS */
	struct fl_sets *sets;
	uint32_t (*held)[FL_FORMERS]; /* as in the record of that element; 0: none */
};

/* `maps` and `sets` are borrowed. What the map has is given up. 0 or -ENOMEM. */
int fl_formers_init(struct fl_formers *formers, const struct fl_maps *maps, struct fl_sets *sets);
void fl_formers_fini(struct fl_formers *formers);
/* The service port's set was `was` (0: none), and is `is` now. */
void fl_former_add(struct fl_formers *formers, uint32_t service_id, uint32_t was, uint32_t is);
/* It has no DSR any more, or is gone. */
void fl_former_forget(struct fl_formers *formers, uint32_t service_id);
/* There is no room for what is wanted now. */
void fl_formers_give_up(struct fl_formers *formers);
