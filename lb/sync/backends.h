/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contents of array fl_backends: which id a backend has. It keeps its id as long as a state or a
 * set names it, and gets the same one back if it returns before the id was needed.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/ip.h"
#include "lb/dp/maps.h"
#include "lb/sync/index.h"

#define FL_BACKEND_FLAGS (FL_BACKEND_LIVE | FL_BACKEND_LOCAL)
#define FL_BACKEND_ID_BITS 24 /* as in a flow; a state uses two more bits of the word */

struct fl_backend_entry {
	struct fl_addr addr;
	__be16 port;
	uint16_t generation; /* 0: never used */
	uint8_t proto;
	uint8_t flags : 6;   /* enum fl_backend_flags, as in the map */
	uint8_t resting : 1; /* in the queue of ids that may be given to another backend */
	uint8_t found : 1;   /* live at start, though in no list */
	uint16_t weight;     /* as in the map: 0 while it is drained in all states that name it */
	uint32_t sets;	     /* that hold it */
	union {
		struct {
			uint32_t states;  /* that name it */
			uint32_t drained; /* of these: in no list of theirs, only because its
					     weight is 0 */
		};
		struct {
			uint32_t prev, next; /* in the queue, where no state names it; 0 ends */
		};
	};
};
static_assert(FL_BACKEND_FLAGS < 1 << 6, "fits");
static_assert(sizeof(struct fl_backend_entry) == 36, "there is one of each backend");

struct fl_backends {
	const struct fl_maps *maps;
	struct fl_backend *records;   /* of the maps */
	struct fl_backend_entry *all; /* by id; 0 unused */
	/* By id, as in array fl_backend_nodes: the node that it is on. Not written where none is
	 * known, so that it takes no memory without DSR by Geneve. */
	struct fl_addr *nodes;
	uint32_t n, fresh;    /* fresh: the first id never given */
	uint32_t first, last; /* queue, longest resting first */
	uint32_t live, n_resting;
	uint32_t n_drained; /* live, with weight 0 */
	uint64_t writes;
	uint64_t n_moved; /* how often a node's address has become another one */
	struct fl_index index;
	bool settled; /* a backend that no state names any more is no longer live */
};

/* `maps` are borrowed. 0 or -ENOMEM. */
int fl_backends_init(struct fl_backends *backends, const struct fl_maps *maps);
void fl_backends_fini(struct fl_backends *backends);
/* Ids that a state or a set names. */
static inline uint32_t fl_backends_used(const struct fl_backends *backends)
{
	return backends->fresh - 1 - backends->n_resting;
}
/* The id that a backend has or had last, 0 if none. */
uint32_t fl_backend_find(const struct fl_backends *backends, const struct fl_addr *addr,
			 __be16 port, uint8_t proto);
/* How a state names a backend. */
struct fl_backend_use {
	bool local;   /* on this node */
	bool drained; /* it gives it no new connections */
	/* of the other node that it is on; NULL or zero: it stays what it was */
	const struct fl_ip *node;
};
/* The id of a backend for one more state; makes it live. 0, -ENOSPC or -ENOMEM. */
int fl_backend_take(struct fl_backends *backends, const struct fl_ip *ip, uint16_t port,
		    uint8_t proto, struct fl_backend_use use, uint32_t *ret_id);
/* One state less; without any it is no longer live. `drained`: as it was taken. */
void fl_backend_drop(struct fl_backends *backends, uint32_t id, bool drained);
void fl_backend_hold(struct fl_backends *backends, uint32_t id); /* for a set */
void fl_backend_release(struct fl_backends *backends, uint32_t id);

/* At start: learn what the map has. 0 or -ENOMEM. */
int fl_backends_adopt(struct fl_backends *backends);
/* One more state that was found at start names it; whether it is live does not change. */
void fl_backend_keep(struct fl_backends *backends, uint32_t id);
/* Then, when sets and states are known: ids that nothing names may be given again. */
void fl_backends_rest_unused(struct fl_backends *backends);
/*
 * Everything was planned once: what no state names is no longer live. An endpoint that only serves
 * is in no list, so the maps do not say which service port it belongs to: with `keep_found` those
 * that were found so stay live.
 */
void fl_backends_settle(struct fl_backends *backends, bool keep_found);

/* Whether the record in the map is as it must be, and how it becomes so again. */
bool fl_backend_intact(const struct fl_backends *backends, uint32_t id);
void fl_backend_write(struct fl_backends *backends, uint32_t id);
