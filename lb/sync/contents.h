/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All that the service maps hold, as this process knows it. */
#pragma once

#include "lb/sync/backends.h"
#include "lb/sync/counted.h"
#include "lb/sync/formers.h"
#include "lb/sync/frontends.h"
#include "lb/sync/service_ids.h"
#include "lb/sync/sets.h"
#include "lb/sync/sync.h"

struct fl_contents {
	struct fl_sync_options options;
	struct fl_backends backends;
	struct fl_service_ids service_ids;
	struct fl_sets sets;
	struct fl_formers formers;
	struct fl_table members, ranges;
	struct fl_frontends frontends;
	uint32_t n_found; /* states that were found at start and are still there */
	bool settled;	  /* everything was planned once */
};

/* `maps` is borrowed. 0 or -ENOMEM. */
int fl_contents_init(struct fl_contents *contents, const struct fl_maps *maps,
		     const struct fl_sync_options *options);
void fl_contents_fini(struct fl_contents *contents);
/* Everything was planned once: what no state names may go. */
void fl_contents_settle(struct fl_contents *contents);
/* The hash maps: those below FL_SYNC_HASHES. */
struct fl_table *fl_contents_table(struct fl_contents *contents, enum fl_sync_map map);
/* How many elements of a map are in use; those of arrays without element 0, which never is. */
uint32_t fl_contents_used(const struct fl_contents *contents, enum fl_sync_map map);
