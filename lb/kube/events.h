/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events (events.k8s.io/v1) about Services and this node, for those who look at a cluster with
 * kubectl. What happens again to one object for one reason is one Event, a series; so many a minute
 * are written, and no more are kept than FL_KUBE_EVENTS_MAX. An Event that cannot be written is
 * tried again for a while and then forgotten: nothing else waits for it.
 */
#pragma once

#include <stdbool.h>

#include "lb/kube/client.h"

struct fl_kube_events;

/* How many objects and reasons are remembered at a time. */
#define FL_KUBE_EVENTS_MAX 256
/* So many at once, and then one each time this has passed. */
#define FL_KUBE_EVENTS_BURST 25
#define FL_KUBE_EVENTS_EVERY_MS 10000
/* A series is written again at most so often, its second event apart. */
#define FL_KUBE_EVENTS_SERIES_MS (6 * 60000)
/* What has not happened again for so long begins a new series. */
#define FL_KUBE_EVENTS_FORGET_MS (60 * 60000)

struct fl_kube_event {
	const char *kind; /* "Service" or "Node" */
	const char *ns;	  /* "" of a Node */
	const char *name;
	bool warning; /* else normal */
	const char *reason, *action;
	const char *note;
};

struct fl_kube_events_options {
	struct fl_kube_client *client; /* borrowed */
	const char *node;	       /* where this runs; borrowed */
	struct fl_clock clock;
};

struct fl_kube_events_counts {
	uint64_t written, lost;
};

/* 0 or -ENOMEM. */
int fl_kube_events_new(const struct fl_kube_events_options *options,
		       struct fl_kube_events **ret_events);
void fl_kube_events_free(struct fl_kube_events **events);

/* It has happened. The note of the first one of a series counts. */
void fl_kube_events_add(struct fl_kube_events *events, const struct fl_kube_event *event);
/* Send what is due: to be called once a second or so. */
void fl_kube_events_tick(struct fl_kube_events *events);
/* Why the last one was not written; NULL: it was. Borrowed until the next tick. */
const char *fl_kube_events_trouble(const struct fl_kube_events *events);
/* Whether an answer is waited for. */
bool fl_kube_events_busy(const struct fl_kube_events *events);
struct fl_kube_events_counts fl_kube_events_count(const struct fl_kube_events *events);
