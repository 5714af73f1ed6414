/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From plans to maps: keeps what every Service wants, compares it with what the maps hold, and
 * applies the difference in an order in which a packet in between sees old or new, never half:
 * backends, backend sets, members and ranges, then frontends; removals the other way round. The
 * only writer of the service maps (frontends, backends, lines, ranges, members).
 */
#pragma once

#include <stdint.h>

#include "conntrack/resteer.h"
#include "lb/base/err.h"
#include "lb/dp/maps.h"
#include "lb/model/conflict.h"
#include "lb/model/plan.h"
#include "lb/sync/sync_map.h"

struct fl_sync;

struct fl_sync_options {
	uint64_t maglev_seed;
	uint32_t maglev_ratio;	    /* table slots per backend, 0 = 200 */
	uint32_t maglev_length;	    /* fixed table length (a prime), 0 = by ratio */
	uint32_t hz;		    /* jiffies per second */
	bool reject_unknown_port;   /* rule 2.22: at cluster IPs */
	bool detector[FL_FAMILIES]; /* pod clients of the family are recognised (fl_detect.on) */
	bool masquerade_all;	    /* rule 5.3.1: pods too, to cluster IPs */
	/*
	 * The flows of this frontend, of UDP or of a Service that resets TCP connections, are to
	 * be judged by fl_sync_serving(): its Service has lost a serving endpoint, or it went from
	 * one Service to another or to none. NULL: those of all frontends. Called at the end of a
	 * commit, and once by fl_sync_settle(); the new state is in force then. May be NULL.
	 */
	void (*touched)(const struct fl_frontend_key *frontend, void *arg);
	void *touched_arg;
};

/*
 * Adopt the maps: whatever they hold is kept until fl_sync_settle(). `maps` is borrowed. Ids of
 * backends, service ports and lines in use are learnt from the maps, so that a restart changes
 * nothing that need not change.
 */
int fl_sync_new(const struct fl_maps *maps, const struct fl_sync_options *options,
		struct fl_sync **ret_sync, struct fl_err *err);
void fl_sync_free(struct fl_sync **sync);

/*
 * Make the maps say what `plan` says for Service ns/name; an empty plan removes it. `created`
 * breaks ties between Services that want one frontend (rule 2.21, fl_claimant_cmp()); the loser
 * takes over when the winner goes. All or nothing per service port: if a map is full the port keeps
 * its old state, -ENOSPC is returned and `err` names map and Service. It is tried again when
 * something of what it lacks comes free: by the commit that makes room, or by fl_sync_revive().
 */
int fl_sync_service(struct fl_sync *sync, const char *ns, const char *name, int64_t created,
		    const struct fl_plan *plan, struct fl_err *err);

/*
 * A Service whose object cannot be read: what was found of it in the maps stays in force until
 * fl_sync_service() says what it is to be. `plan`: where it may be reached, which is all that
 * counts. *ret_kept: something was found, now or at an earlier call.
 */
int fl_sync_keep(struct fl_sync *sync, const char *ns, const char *name, const struct fl_plan *plan,
		 bool *ret_kept);

/* Pod clients are told in these families: for what is planned from now on. */
void fl_sync_set_detector(struct fl_sync *sync, const bool detector[static FL_FAMILIES]);

/* Several changes as one batch of system calls: begin, any number of fl_sync_service(), commit. */
void fl_sync_begin(struct fl_sync *sync);
int fl_sync_commit(struct fl_sync *sync, struct fl_err *err);

/* After everything was planned once: remove from the maps what no Service asked for. */
int fl_sync_settle(struct fl_sync *sync, struct fl_err *err);

/* Free backend ids and lines whose grace period is over. `now_ns`: monotonic. Returns ms until
 * there is more to do, or -1. */
int fl_sync_reap(struct fl_sync *sync, uint64_t now_ns);

#define FL_SYNC_TRIES 32 /* service ports that one commit or fl_sync_revive() tries again */
/*
 * Try refused service ports again for which something has come free, at most FL_SYNC_TRIES of them;
 * to be called after fl_sync_reap(). Costs next to nothing if there are none. Returns how many are
 * now in force.
 */
int fl_sync_revive(struct fl_sync *sync);

/* Repair what was found to differ, and try what was refused whatever is free: for a slow timer. 0,
 * or the first failure. */
int fl_sync_retry(struct fl_sync *sync, struct fl_err *err);

/*
 * Compare desired state with the maps; each difference is passed to fn (may be NULL) as text.
 * Returns their number or -errno. Of the lookup tables only some hundreds are compared per call, in
 * turn. Changes nothing; fl_sync_retry() repairs what was found.
 */
int fl_sync_verify(struct fl_sync *sync, void (*fn)(const char *difference, void *arg), void *arg);

/* What a frontend serves now (7.3: all serving endpoints, used here or not). */
enum fl_serving fl_sync_serving(const struct fl_sync *sync, const struct fl_frontend_key *frontend,
				const struct fl_addr *backend, __be16 port);

/* Names for ids, so that what the maps hold can be shown. */
struct fl_service_port_info {
	uint32_t service_id;
	const char *ns, *name, *port_name;
	uint8_t proto;
	enum fl_family family;
};
const struct fl_service_port_info *fl_sync_service_port(const struct fl_sync *sync,
							uint32_t service_id); /* or NULL */

/* The backends of a service port that are in no list only because their weight is 0. */
void fl_sync_each_drained(const struct fl_sync *sync, uint32_t service_id,
			  void (*fn)(uint32_t backend_id, void *arg), void *arg);

/* Frontends that several service ports want; fn per loser. */
void fl_sync_each_conflict(const struct fl_sync *sync,
			   void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg);
/* Whether there may be other ones than when this was asked last: saves walking over them. */
bool fl_sync_conflicts_changed(struct fl_sync *sync);

/* A service port that is wanted but not in force, as it did not fit or the kernel refused it. */
struct fl_sync_refusal {
	const struct fl_service_port_info *port;
	const char *why; /* "map lines: full" */
	int error;	 /* -ENOSPC: full */
	bool serves_old; /* an older state of it is in force */
};
/* In no order; borrowed for the call. */
void fl_sync_each_refused(const struct fl_sync *sync,
			  void (*fn)(const struct fl_sync_refusal *refusal, void *arg), void *arg);

/* How full a map is. Elements whose grace period is not over count as used. */
struct fl_sync_gauge {
	const char *map;	 /* "lines" */
	uint64_t used, capacity; /* capacity 0: not known */
};
struct fl_sync_gauge fl_sync_gauge(const struct fl_sync *sync, enum fl_sync_map map);

/* What commits, settling and retries have changed. */
struct fl_sync_changes {
	size_t services, service_ports;		   /* of which something else is in force now */
	size_t endpoints_added, endpoints_removed; /* of these service ports */
	size_t frontends;			   /* written or removed, each time */
};
/* Since this was called last. */
void fl_sync_take_changes(struct fl_sync *sync, struct fl_sync_changes *ret_changes);

struct fl_sync_stats {
	size_t services, service_ports, frontends, backends, backend_sets, lines_used, lines_total;
	size_t ports_of[FL_FAMILIES]; /* of the service ports */
	size_t drained_backends;      /* of the backends: no new connections go to them */
	uint64_t map_writes, revision;
	uint64_t nodes_moved; /* how often the address of a backend's node has changed */
	size_t failed_ports;  /* fl_sync_each_refused() */
	uint64_t tries;	      /* how often refused service ports were tried again */
};
void fl_sync_stats(const struct fl_sync *sync, struct fl_sync_stats *ret_stats);
