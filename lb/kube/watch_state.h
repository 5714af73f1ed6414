/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside of watch.h: the states of one kind's objects.
 *
 *	watch.c        what is asked, when, and what each end of a request leads to
 *	watch_body.c   what the answers say
 */
#pragma once

#include "lb/kube/backoff.h"
#include "lb/kube/split.h"
#include "lb/kube/status.h"
#include "lb/kube/watch.h"

#define FL_WATCH_HELD_BACK_S 30 /* where answers are kept until they end, one has to end soon */

enum fl_watch_step {
	FL_WATCH_STREAM,
	FL_WATCH_PAGES,
	FL_WATCH_FOLLOW,
};

struct fl_kube_watch {
	struct fl_kube_watch_options options;
	struct fl_kube_request *request; /* NULL: waiting for `due` */
	enum fl_watch_step step;	 /* under way, or next */
	struct fl_mono due;
	struct fl_mono started;
	struct fl_backoff backoff;
	char *version;	 /* where the next watch begins; "" nowhere yet */
	char *page;	 /* of the list: where it goes on; "" at its beginning */
	bool consistent; /* what is listed next comes from etcd, not from a cache (10.10) */
	bool no_stream;	 /* this server has refused one */
	bool held_back;	 /* what is on the way to it keeps answers until they end, it seems */
	bool listed, failed;
	struct fl_kube_watch_counts counts;
	/* the request under way */
	struct fl_split split;
	bool begun, broken; /* broken: `why` says what was wrong with what it said */
	size_t n_events;
	struct fl_mono first_event;
	struct fl_kube_status error; /* an ERROR event; code 0: none */
	char why[400];
	char trouble[512]; /* "" none */
};

/* 0 or -ENOMEM. */
int fl_watch_set_text(char **field, const char *text);
/* What was read makes no sense, or cannot be taken in: the request is to end. -EINVAL. */
int fl_watch_broken(struct fl_kube_watch *w, const char *what, const char *why);
/* Something was said, or the answer is at its end: are words kept until then? */
void fl_watch_judge_way(struct fl_kube_watch *w);
/* The list was whole at this version. 0 or -EINVAL. */
int fl_watch_list_is_complete(struct fl_kube_watch *w, const char *version);
/* Of struct fl_kube_call; their arg is the watch. */
void fl_watch_on_begun(void *arg);
int fl_watch_on_body(const char *data, size_t len, void *arg);
