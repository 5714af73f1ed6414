/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conditions as Events of the cluster: about the Service that one is about, else about this node's
 * Node. One that stands is written again before the API server forgets it.
 */
#pragma once

#include "lb/base/health.h"

struct fl_kube_client;
struct fl_kube_events;

struct fl_agent_events {
	struct fl_kube_events *events; /* NULL: none are written */
	const char *node;	       /* borrowed */
	struct fl_mono refreshed;
};

/* How often what stands is written again. */
#define FL_EVENTS_REFRESH_MS (30 * 60000)

/* What an Event is about: the Node, or the Service that a word of the subject begins with, as
 * "namespace/name". */
enum fl_event_object {
	FL_EVENT_OF_NODE,
	FL_EVENT_OF_FIRST_WORD,
	FL_EVENT_OF_LAST_WORD,
};

/* The Events that there are, for documents and tests. */
struct fl_event_kind {
	enum fl_condition_kind condition;
	enum fl_health_level at_least;
	const char *subject; /* which conditions of the kind: theirs begins so */
	enum fl_event_object object;
	const char *reason, *action;
};
extern const struct fl_event_kind fl_event_kinds[];
extern const size_t fl_event_n_kinds;
/* 10.14: what kube-proxy writes when it starts */
#define FL_EVENT_STARTING "Starting"
#define FL_EVENT_START_ACTION "StartKubeProxy"

/* 0 or -ENOMEM. `client` and `node` are borrowed. */
int fl_agent_events_open(struct fl_agent_events *events, struct fl_kube_client *client,
			 const char *node, const struct fl_clock *clock);
void fl_agent_events_close(struct fl_agent_events *events);

/* An edge of a condition. */
void fl_agent_events_edge(struct fl_agent_events *events, enum fl_health_edge edge,
			  const struct fl_condition *condition);
/* Once a second. Trouble with writing them is a condition itself. */
void fl_agent_events_tick(struct fl_agent_events *events, struct fl_health *health);
