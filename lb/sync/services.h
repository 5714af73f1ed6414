/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services and their service ports, found by name, and the stage that a service port is in. Its
 * state in force (`cur`) and the one that is wanted (`want`) both hold references, and so does
 * every record in the map on the sets it names: nothing that a packet may still find is freed,
 * whatever write fails.
 *
 *   stage      in force  wanted        meaning
 *   IN_FORCE   cur       -             the maps have what the last plan says (new: nothing yet)
 *   READY      cur       want          the next commit writes `want`
 *   REFUSED    cur       want          a map refused a write of `want`: to be tried again
 *   NO_ROOM    cur       plan, a copy  no backend id or no lines for a state: to be tried again
 *   LEAVING    cur       (any)         the Service has it no more: the next commit removes it
 *
 * `cur` is NULL as long as nothing of the service port was ever in force. Events lead from stage to
 * stage (fl_stage_after()); service ports that are REFUSED or have NO_ROOM are listed in
 * fl_waiting.
 */
#pragma once

#include "lb/model/conflict.h"
#include "lb/sync/index.h"
#include "lb/sync/sync.h"
#include "lb/sync/writes.h"

struct fl_contents;
struct fl_state;

enum fl_stage {
	FL_STAGE_IN_FORCE,
	FL_STAGE_READY,
	FL_STAGE_REFUSED,
	FL_STAGE_NO_ROOM,
	FL_STAGE_LEAVING,
	FL_STAGES,
};

enum fl_stage_event {
	FL_EVENT_PLANNED, /* a state was made, and it differs from the one in force */
	FL_EVENT_SAME,	  /* the plan says what is in force */
	FL_EVENT_NO_ROOM, /* no state could be made of the plan */
	FL_EVENT_DROPPED, /* the Service has no such port any more */
	FL_EVENT_WRITTEN, /* by a commit: `want` is in force */
	FL_EVENT_REFUSED, /* by a commit: a write was refused, the others are undone */
	FL_EVENT_RETRIED, /* `want` is to be tried by the next commit */
	FL_STAGE_EVENTS,
};

/* FL_STAGES if this cannot happen in that stage. */
enum fl_stage fl_stage_after(enum fl_stage stage, enum fl_stage_event event);

/* Why a service port waits. */
struct fl_refusal {
	enum fl_sync_map map; /* FL_SYNC_MAPS: none */
	int error;	      /* -ENOSPC: the map is full, or -errno */
	uint32_t used;	      /* of a full map, at the last try: it is worth another with less */
};

struct fl_sync_service_port {
	struct fl_service_port_info info;
	struct fl_sync_service *service;
	struct fl_sync_service_port *next; /* of the same Service */
	enum fl_stage stage;
	bool pending; /* in fl_sync.pending */
	bool written; /* by the commit under way: `cur` is new */
	bool seen;    /* by the plan that is being gone through */
	struct fl_state *cur, *want, *old;
	struct fl_plan_port *plan; /* there was no room for; NULL without memory to copy it */
	int64_t plan_created;
	struct fl_plan_frontend *lost; /* as planned last: what other ports of the Service have */
	uint32_t n_lost;
	struct fl_refusal refusal; /* while it waits */
	struct fl_sync_service_port *prev_waiting, *next_waiting;
	struct fl_change change; /* its writes in the commit under way */
	char name[];
};

struct fl_sync_service {
	struct fl_sync_service_port *ports, *last; /* in the order of the plan */
	uint32_t hash, at;			   /* at: its place in fl_services.all */
	uint32_t counted;			   /* the report that has it already */
	const char *name;			   /* in ns[] */
	char ns[];
};

struct fl_services {
	struct fl_sync_service **all;
	uint32_t n, cap;
	uint32_t n_ports[FL_FAMILIES];
	struct fl_index index;
};

static inline bool fl_stage_waits(enum fl_stage stage)
{
	return stage == FL_STAGE_REFUSED || stage == FL_STAGE_NO_ROOM;
}

static inline struct fl_claimant fl_service_port_claimant(const struct fl_sync_service_port *port,
							  int64_t created)
{
	return (struct fl_claimant){port->info.ns, port->info.name, port->info.port_name, created};
}

void fl_services_fini(
	struct fl_services *services); /* frees memory; references are not given back */
/* After a restart: whether the maps have a state of this port that none has taken over. */
bool fl_service_port_was_found(const struct fl_contents *contents, const struct fl_plan_port *plan);
uint32_t fl_service_hash(const char *ns, const char *name);
struct fl_sync_service *fl_service_find(const struct fl_services *services, uint32_t hash,
					const char *ns, const char *name);
/* NULL without memory. */
struct fl_sync_service *fl_service_new(struct fl_services *services, uint32_t hash, const char *ns,
				       const char *name);
/* Only without ports. */
void fl_service_forget(struct fl_services *services, struct fl_sync_service *service);

/* `after`: where the last one was found; plans come in the same order each time. */
struct fl_sync_service_port *fl_service_port_find(const struct fl_sync_service *service,
						  const struct fl_sync_service_port *after,
						  const struct fl_plan_port *plan);
/* Appended to the Service's ports. After a restart it takes over the state that has one of its
 * frontends, with its id. 0 or -errno. */
int fl_service_port_new(struct fl_services *services, struct fl_contents *contents,
			struct fl_sync_service *service, int64_t created,
			const struct fl_plan_port *plan, struct fl_sync_service_port **ret_port);
/* Forget a port without states, and its Service with the last one. */
void fl_service_port_free(struct fl_services *services, struct fl_contents *contents,
			  struct fl_sync_service_port *port);
