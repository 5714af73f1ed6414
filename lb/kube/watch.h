/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All objects of one kind, now and as they change: listed, then watched, and listed again when the
 * watch has lost its place. What is wrong is waited out and told by fl_kube_watch_trouble().
 */
#pragma once

#include <stdbool.h>

#include "lb/base/doc.h"
#include "lb/kube/client.h"

struct fl_kube_watch;

/*
 * What is done with the objects; each is borrowed for the call. 0, or -errno, upon which everything
 * is listed again after a while.
 */
struct fl_kube_sink {
	/* A list begins; what was listed since the last one was complete is void. */
	int (*begin)(void *arg);
	/* An object of the list, in any order; the last one of a name counts. */
	int (*listed)(const struct fl_value *object, void *arg);
	/* One that was listed is gone already. */
	int (*unlisted)(const struct fl_value *object, void *arg);
	/* The list is whole, and all there is. */
	int (*complete)(void *arg);
	/* After that: an object is new, or has changed; or is gone. */
	int (*changed)(const struct fl_value *object, void *arg);
	int (*deleted)(const struct fl_value *object, void *arg);
};

struct fl_kube_watch_options {
	struct fl_kube_client *client;
	const char *path;   /* "/api/v1/services" */
	const char *labels; /* selector; NULL: all */
	const char *fields; /* the same */
	const struct fl_kube_sink *sink;
	void *arg;
	/* 0: the usual ones */
	uint64_t watch_idle_ms, list_idle_ms;
	uint64_t at_once_ms; /* words so far apart have not been kept for one another */
	unsigned int page;   /* objects */
};

/* Since it began. */
struct fl_kube_watch_counts {
	uint64_t lists; /* requests: of a list by pages each page is one */
	uint64_t watches;
	uint64_t events;   /* objects that were listed, and what happened to them later */
	uint64_t failures; /* requests that failed, and were tried again after a while */
};

/* Everything in the options is borrowed. Begins at the first tick. 0 or -ENOMEM. */
int fl_kube_watch_new(const struct fl_kube_watch_options *options,
		      struct fl_kube_watch **ret_watch);
void fl_kube_watch_free(struct fl_kube_watch **watch);

/* Do what is due. */
void fl_kube_watch_tick(struct fl_kube_watch *watch, struct fl_mono now);
/* When that will be; ns 0: nothing is. */
struct fl_mono fl_kube_watch_due(const struct fl_kube_watch *watch);
/* Wait no longer. */
void fl_kube_watch_hurry(struct fl_kube_watch *watch);
/* List everything again. */
void fl_kube_watch_relist(struct fl_kube_watch *watch);

/* Whether there was a complete list. */
bool fl_kube_watch_is_listed(const struct fl_kube_watch *watch);
/* Why what is known may be out of date; NULL: it is not. Borrowed until the next tick. */
const char *fl_kube_watch_trouble(const struct fl_kube_watch *watch);
/* Whether something has been tried and has failed since it began. */
bool fl_kube_watch_has_failed(const struct fl_kube_watch *watch);
/* Borrowed. */
const struct fl_kube_watch_counts *fl_kube_watch_counts(const struct fl_kube_watch *watch);
