/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Health is a set of conditions: what is wrong now, how bad it is, since when. A condition is set
 * by the code that finds the trouble and cleared by the same code when it is over; until then it
 * stays, so that nobody has to have been looking when it began. The log, `fairlead status` and
 * whatever else reports health read this set and nothing else.
 *
 * A condition is identified by its kind and a subject (a device, a Service, a file; "" for the
 * node as a whole). Setting one again with the same level and text changes nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/clock.h"

enum fl_health_level {
	FL_HEALTH_NOTE,	   /* worth showing; nothing is wrong */
	FL_HEALTH_WARNING, /* not as it should be, but what was asked for is served */
	FL_HEALTH_ERROR,   /* traffic that should be served is not: the node is unhealthy */
	FL_HEALTH_LEVELS,
};
const char *fl_health_level_name(enum fl_health_level level); /* "note", "warning", "error" */

/* X(name, token, what it is about; the subject in parentheses). Shown in this order. */
#define FL_CONDITIONS(X)                                                                           \
	X(PINS, "pins", "pins that were removed and cannot be made again")                         \
	X(CGROUP, "cgroup", "socket hooks that are not attached")                                  \
	X(PROGRAMS, "programs", "programs of others at our hooks (which)")                         \
	X(SOCKET, "socket", "the API's socket")                                                    \
	X(LISTEN, "listen", "an address of health checks or metrics that cannot be bound (which)") \
	X(DEVICES, "devices", "no device is served")                                               \
	X(DEVICE, "device", "a device that is not served as it should be (device)")                \
	X(FORWARDING, "forwarding", "forwarding is off (device and family)")                       \
	X(NETWORK, "network", "devices or addresses of the node cannot be read or written")        \
	X(EGRESS, "egress", "a route that leaves by a device that is not served (device)")         \
	X(CONNTRACK, "conntrack", "a setting of the kernel's connection tracking (sysctl)")        \
	X(MASQUERADE, "masquerade-address", "an address to masquerade with is not used (address)") \
	X(SOURCE_PORTS, "source-ports", "source ports for masquerading")                           \
	X(BACKEND_PORTS, "backend-ports", "source ports towards a backend are used up (backend)")  \
	X(NODE, "node", "the node's name is known to no object")                                   \
	X(SETTINGS, "settings", "changed settings that are not in force (why)")                    \
	X(INPUT, "input", "objects cannot be read or followed, or are not complete")               \
	X(API, "api", "the API server is not followed as it should be (resource)")                 \
	X(OBJECT, "object", "a faulty object or file (file and line)")                             \
	X(SERVICE, "service", "a Service that cannot be served as written (Service)")              \
	X(SLICES, "slices", "EndpointSlices of a Service that is not there (Service)")             \
	X(CONFLICT, "conflict", "a frontend that several service ports want (frontend)")           \
	X(SYNC, "sync", "a change that could not be planned or written (Service)")                 \
	X(REFUSED, "refused", "service ports that did not fit into the maps (service port)")       \
	X(DRIFT, "drift", "the maps differ from what is wanted")                                   \
	X(MAP, "map", "a map that is full or nearly so (map)")                                     \
	X(FLOW_TABLE, "flow-table", "the flow table is full or nearly so (family)")                \
	X(DROPS, "drops", "packets that should have been forwarded are dropped (reason)")          \
	X(UNSERVED_EXIT, "unserved-exit",                                                          \
	  "flows that leave unmasqueraded by a device that is not served")                         \
	X(REPLIES, "replies", "many flows that never get a reply")                                 \
	X(DRAINS, "drains", "backends drained by command that are not known, or not kept (backend)")

enum fl_condition_kind {
#define X(name, token, text) FL_CONDITION_##name,
	FL_CONDITIONS(X)
#undef X
		FL_CONDITION_KINDS
};
const char *fl_condition_token(enum fl_condition_kind kind); /* "pins", ... */

/* Borrowed, until the health is changed. */
struct fl_condition {
	enum fl_condition_kind kind;
	enum fl_health_level level;
	const char *subject; /* never NULL */
	const char *text;    /* a sentence without its full stop, complete without the subject */
	struct fl_mono since;
	int64_t since_unix_s;
};

enum fl_health_edge {
	FL_HEALTH_RAISED,
	FL_HEALTH_LEVEL_CHANGED,
	FL_HEALTH_TEXT_CHANGED, /* the level is the same */
	FL_HEALTH_RESOLVED,	/* the condition is as it last was */
};
/* `lasted_ms`: since the condition was raised. May not change the health. */
typedef void (*fl_health_edge_fn)(enum fl_health_edge edge, const struct fl_condition *condition,
				  uint64_t lasted_ms, void *arg);

struct fl_health;

/* `clock` is copied; `edge` may be NULL. 0 or -ENOMEM. */
int fl_health_new(const struct fl_clock *clock, fl_health_edge_fn edge, void *arg,
		  struct fl_health **ret_health);
void fl_health_free(struct fl_health **health); /* without edges */

/*
 * At most FL_HEALTH_KIND_MAX conditions of a kind are kept; more are only counted, until the kind
 * is scanned again. Without memory the edge is called all the same, so that the condition is at
 * least in the log.
 */
#define FL_HEALTH_KIND_MAX 1000
void fl_health_set(struct fl_health *health, enum fl_condition_kind kind, const char *subject,
		   enum fl_health_level level, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* No-op when it is not set. */
void fl_health_clear(struct fl_health *health, enum fl_condition_kind kind, const char *subject);

/*
 * For code that finds all conditions of a kind at each look: begin, set each that holds, end. Those
 * of the kind that were not set in between are resolved by the end. Kinds are independent; nesting
 * one in itself is not allowed.
 */
void fl_health_scan_begin(struct fl_health *health, enum fl_condition_kind kind);
void fl_health_scan_end(struct fl_health *health, enum fl_condition_kind kind);

/*
 * The worst first; within a level by kind, then by subject. Stops at non-zero, which is returned.
 */
int fl_health_each(const struct fl_health *health,
		   int (*fn)(const struct fl_condition *condition, void *arg), void *arg);
/* Borrowed; NULL when it is not set. */
const struct fl_condition *fl_health_find(const struct fl_health *health,
					  enum fl_condition_kind kind, const char *subject);
/* Whether any condition of the kind stands. */
bool fl_health_has(const struct fl_health *health, enum fl_condition_kind kind);
/* Conditions of a kind and level, those that are only counted included. */
size_t fl_health_count_of(const struct fl_health *health, enum fl_condition_kind kind,
			  enum fl_health_level level);
/* The same of all kinds. */
size_t fl_health_count(const struct fl_health *health, enum fl_health_level level);
/* Those that are not kept, of all kinds: "and N more". */
size_t fl_health_count_unkept(const struct fl_health *health);
/* No error stands. */
bool fl_health_is_good(const struct fl_health *health);
