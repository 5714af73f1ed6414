/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of this room share. The parts:
 *
 *   ids       backend ids and service ids: given, kept, rested, given again
 *   lines     which lines of fl_lines are free
 *   sets      backend sets in fl_lines, one per distinct (ids, table length), counted
 *   mirror    what fl_ranges and fl_members hold, and who wants it
 *   claims    what fl_frontends holds, and which service ports claim each key
 *   state     what one service port wants: made from a plan, holds a reference on all of the above
 *   apply     the order of writes
 *
 * A service port has a state in force (`cur`) and, between fl_sync_service() and the commit, one
 * that is wanted. Both hold references, and so does every frontend in the map on the sets it names:
 * nothing that a packet may still find is freed, whatever write fails.
 */
#pragma once

#include "lb/maglev/maglev.h"
#include "lb/sync/index.h"
#include "lb/sync/lines.h"
#include "lb/sync/ops.h"
#include "lb/sync/sync.h"

#define FL_LISTS 2 /* enum fl_plan_list: cluster, local */

/* ---- ids ------------------------------------------------------------------------------------- */

struct fl_backend_ref {
	struct fl_addr addr;
	__be16 port;
	uint16_t generation; /* 0: never used */
	uint8_t proto;
	uint8_t flags;	     /* enum fl_backend_flags, as in the map */
	bool resting;	     /* in the queue of ids that may be given to another backend */
	uint32_t ports;	     /* states that name it */
	uint32_t sets;	     /* sets that hold it */
	uint32_t prev, next; /* in the queue; 0 ends */
};

struct fl_backend_ids {
	struct fl_backend_ref *all; /* by id; 0 unused */
	uint32_t n, fresh;	    /* fresh: the first id never given */
	uint32_t first, last;	    /* queue, longest resting first */
	uint32_t live;
	struct fl_index index;
};

int fl_backend_ids_init(struct fl_sync *sync);
void fl_backend_ids_fini(struct fl_sync *sync);
/* The id of a backend for one more state; makes it live. 0, -ENOSPC or -ENOMEM. */
int fl_backend_take(struct fl_sync *sync, const struct fl_ip *ip, uint16_t port, uint8_t proto,
		    bool local, uint32_t *ret_id);
/* One state less; without any it is no longer live. */
void fl_backend_drop(struct fl_sync *sync, uint32_t id);
void fl_backend_hold(struct fl_sync *sync, uint32_t id); /* for a set */
void fl_backend_release(struct fl_sync *sync, uint32_t id);
int fl_backend_adopt(struct fl_sync *sync, uint32_t id);
void fl_backend_clear_live(struct fl_sync *sync, uint32_t id);
void fl_backend_write(struct fl_sync *sync, uint32_t id);
void fl_backend_rest_unused(struct fl_sync *sync);

struct fl_service_ids {
	struct fl_port **owner; /* by id; NULL: free, or adopted and not yet taken over */
	uint32_t cap, fresh;
	uint32_t *freed; /* ring, longest resting first */
	uint32_t cap_freed, head, n_freed;
};

void fl_service_ids_fini(struct fl_sync *sync);
int fl_service_id_take(struct fl_sync *sync, struct fl_port *port, uint32_t wish);
void fl_service_id_drop(struct fl_sync *sync, uint32_t id);
bool fl_service_id_owned(const struct fl_sync *sync, uint32_t id);
int fl_service_ids_adopt(struct fl_sync *sync, uint32_t id);
void fl_service_ids_settle(struct fl_sync *sync);

/* ---- sets ------------------------------------------------------------------------------------ */

struct fl_set {
	uint64_t hash;
	uint32_t slab, count, lut_len;
	uint32_t refs;	     /* states, and frontends in the map */
	uint32_t prev, next; /* in the queue of sets to be freed, or of unused elements; 0 ends */
	uint64_t due_ns;     /* 0: not yet known */
	bool unbuilt, listed, indexed, queued, overlaps;
};

/* What it takes to make a table; one per thread. */
struct fl_set_builder {
	struct fl_maglev_scratch scratch;
	struct fl_maglev_backend *inputs;
	uint32_t cap_inputs;
};

struct fl_sets {
	struct fl_set *all; /* 0 unused */
	uint32_t n, cap, spare, used;
	uint32_t first, last;
	struct fl_index index;
	struct fl_set_builder builder;
};

void fl_sets_fini(struct fl_sync *sync);
/* The set of these backends, for one more user; it may still lack its table. 0 or -errno. */
int fl_set_take(struct fl_sync *sync, const uint32_t *ids, uint32_t count, uint32_t *ret_set);
void fl_set_ref(struct fl_sync *sync, uint32_t set);
void fl_set_drop(struct fl_sync *sync, uint32_t set);
/* Fill in the lookup table if that was not done yet. 0 or -errno. */
int fl_set_build(struct fl_sync *sync, struct fl_set_builder *builder, uint32_t set);
void fl_set_builder_fini(struct fl_set_builder *builder);
/* The same for all that pending service ports want: several threads if there is much to do. Those
 * that fail stay unbuilt. */
void fl_sets_build_pending(struct fl_sync *sync);
/* Whether the ids and the table in the set's lines are as they must be. */
bool fl_set_intact(struct fl_sync *sync, uint32_t set);
bool fl_set_ids_intact(const struct fl_sync *sync, uint32_t set); /* only those */
/* Write the lines again in place, slot by slot. */
void fl_set_repair(struct fl_sync *sync, uint32_t set, const uint32_t *ids, uint32_t count);
int fl_set_adopt(struct fl_sync *sync, const struct fl_list *list, uint32_t *ret_set);
void fl_set_forget(struct fl_sync *sync, uint32_t set); /* share it no more */
uint32_t fl_set_lines(const struct fl_set *set);
/* Free what is due. Returns the time of the next one, 0 if none. */
uint64_t fl_sets_reap(struct fl_sync *sync, uint64_t now_ns);

/* ---- mirrors of fl_ranges and fl_members --------------------------------------------------------
 */

struct fl_mirror {
	enum fl_sync_map map;
	uint32_t key_size;
	unsigned char *keys;
	struct fl_mirror_element {
		uint32_t wanted; /* states; of unused elements: the next one + 1 */
		bool used, present;
	} * all;
	uint32_t n, cap, cap_keys, spare, present;
	struct fl_index index;
};

void fl_mirror_fini(struct fl_mirror *mirror);
const void *fl_mirror_key(const struct fl_mirror *mirror, uint32_t element);
uint32_t fl_mirror_find(const struct fl_mirror *mirror, const void *key); /* or FL_INDEX_NONE */
int fl_mirror_want(struct fl_mirror *mirror, const void *key, uint32_t *ret_element);
/* Forgets the element if it is neither wanted nor present. */
void fl_mirror_unwant(struct fl_mirror *mirror, uint32_t element);
void fl_mirror_set(struct fl_mirror *mirror, uint32_t element, bool present);
int fl_mirror_adopt(struct fl_mirror *mirror, const void *key);

/* ---- frontends and claims
 * ------------------------------------------------------------------------ */

struct fl_claim {
	struct fl_state *state;
	struct fl_claim *next; /* claims on the same frontend, the winner first */
	uint32_t frontend;
	uint8_t type; /* enum fl_frontend_type */
};

struct fl_front {
	struct fl_frontend_key key;
	bool used, present, dirty;
	bool adopted; /* the value is from before this process and no claim has written it */
	struct fl_frontend value; /* in the map, if present */
	uint32_t set[FL_SIDES];	  /* the sets it names, 0 none */
	uint32_t refs;		  /* claims, in the list or not */
	struct fl_claim *claims;
};

struct fl_fronts {
	struct fl_front *all;
	uint32_t n, cap, spare, present; /* spare: element + 1 */
	struct fl_index index;
	uint32_t *dirty;
	uint32_t n_dirty, cap_dirty;
};

void fl_fronts_fini(struct fl_sync *sync);
struct fl_frontend_key fl_front_key(const struct fl_plan_frontend *frontend, uint8_t proto);
uint32_t fl_front_find(const struct fl_sync *sync, const struct fl_frontend_key *key);
int fl_front_get(struct fl_sync *sync, const struct fl_frontend_key *key, uint32_t *ret_front);
void fl_front_gc(struct fl_sync *sync, uint32_t front); /* forget it if nobody needs it */
void fl_front_dirty(struct fl_sync *sync, uint32_t front);
/* The map now holds `value` there, which names these sets; or nothing. */
void fl_front_written(struct fl_sync *sync, uint32_t front, const struct fl_frontend *value,
		      const uint32_t set[FL_SIDES]);
void fl_front_removed(struct fl_sync *sync, uint32_t front);
void fl_claim_value(const struct fl_claim *claim, const struct fl_sync *sync,
		    struct fl_frontend *ret_value, uint32_t ret_set[FL_SIDES]);
void fl_claims_link(struct fl_sync *sync, struct fl_state *state);
void fl_claims_unlink(struct fl_sync *sync, struct fl_state *state);

/* ---- service ports -----------------------------------------------------------------------------
 */

#define FL_STATE_ID_MASK 0x3fffffffU /* of fl_state.ids: the rest says which lists it is in */
#define FL_STATE_IN_LIST(list) (1U << (30 + (list)))

struct fl_state {
	struct fl_port *port;
	int64_t created;
	uint32_t affinity_timeout; /* jiffies */
	uint16_t flags[FL_FRONTEND_TYPES];
	uint8_t verdict[FL_FRONTEND_TYPES][FL_SIDES];
	uint8_t list[FL_FRONTEND_TYPES][FL_SIDES];
	uint32_t set[FL_LISTS]; /* 0: none */
	uint32_t n_ids, n_members, n_ranges, n_claims;
	struct fl_claim *claims;
	uint32_t *ids;		    /* backends it keeps live */
	uint32_t *members, *ranges; /* elements of the mirrors */
	bool linked;
};

struct fl_port {
	struct fl_sync_port pub;
	struct fl_owner *owner;
	struct fl_port *next; /* of the same Service */
	struct fl_state *cur, *want;
	struct fl_plan_port
		*refused; /* copy of a plan there was no room for; NULL: none, or see want */
	int64_t refused_created;
	struct fl_plan_frontend *lost; /* as planned last: what other ports of the Service have */
	size_t n_lost;
	struct fl_port *prev_failed, *next_failed;
	bool failed; /* wanted but not in force */
	bool pending, remove, seen;
	bool undone; /* failed in the commit under way */
	char name[];
};

/* A Service. */
struct fl_owner {
	struct fl_port *ports, *last; /* in the order of the plan */
	uint32_t hash, at;	      /* at: its place in fl_sync.owners */
	const char *name;	      /* in ns[] */
	char ns[];
};

/* Make what `plan` wants; takes references on all it names. 0 or -errno. */
int fl_state_new(struct fl_sync *sync, struct fl_port *port, int64_t created,
		 const struct fl_plan_port *plan, struct fl_state **ret_state);
void fl_state_free(struct fl_sync *sync, struct fl_state **state);
bool fl_state_equal(const struct fl_state *a, const struct fl_state *b);

/* ---- the whole ----------------------------------------------------------------------------------
 */

struct fl_sync {
	const struct fl_maps *maps;
	struct fl_sync_options options;
	const struct fl_sync_ops *ops;
	void *ctx;
	struct fl_backend_ids backends;
	struct fl_service_ids services;
	struct fl_lines lines;
	struct fl_sets sets;
	struct fl_mirror members, ranges;
	struct fl_fronts fronts;
	struct fl_owner **owners;
	uint32_t n_owners, cap_owners;
	struct fl_index owner_index;
	struct fl_port **pending;
	uint32_t n_pending, cap_pending;
	struct fl_port *failed;
	uint32_t n_failed, n_ports;
	uint32_t *scratch; /* ids of a list being made */
	uint32_t cap_scratch;
	uint32_t verified; /* up to which set the tables were built again by fl_sync_verify() */
	uint64_t map_writes, revision, writes_at_begin;
	bool settled, in_batch;
	bool stale;   /* members or ranges are known to need a repair */
	bool sweep;   /* ... that needs the second half, fl_sync_sweep() */
	bool corrupt; /* backends or lines are known to need a repair */
	bool conflicts_changed;
};

/* fl_sync_new() with another kernel. */
int fl_sync_new_with(const struct fl_maps *maps, const struct fl_sync_options *options,
		     const struct fl_sync_ops *ops, void *ctx, struct fl_sync **ret_sync,
		     struct fl_err *err);
int fl_sync_adopt(struct fl_sync *sync, struct fl_err *err);
/* Mend what fl_sync_verify() or a failed write left noted: what frontends need, and then what none
 * needs. */
int fl_sync_repair(struct fl_sync *sync, struct fl_err *err);
int fl_sync_sweep(struct fl_sync *sync, struct fl_err *err);
/* Write all that is pending or dirty. 0, or the first failure. */
int fl_sync_apply(struct fl_sync *sync, struct fl_err *err);
int fl_port_pend(struct fl_sync *sync, struct fl_port *port);
void fl_port_failed(struct fl_sync *sync, struct fl_port *port, bool failed);
/* There was no room to make a state of this plan: keep a copy. */
void fl_port_refused(struct fl_sync *sync, struct fl_port *port, int64_t created,
		     const struct fl_plan_port *plan);
int fl_ports_revive(struct fl_sync *sync, int max, int tries);
void fl_port_free(struct fl_sync *sync, struct fl_port *port);
