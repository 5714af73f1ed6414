/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The states of one kind's objects (10.6 to 10.10). One request is under way at most, and its end
 * says what is done next, and when:
 *
 *	stream   a watch that begins with all objects and a bookmark behind them
 *	list     the same by pages, from servers that know no such watch
 *	watch    what happens after either
 */
#include "lb/kube/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lb/base/cleanup.h"
#include "lb/base/url.h"
#include "lb/kube/answer.h"
#include "lb/kube/backoff.h"
#include "lb/kube/watch_state.h"

#define WATCH_IDLE_MS 150000 /* servers send a bookmark every minute */
#define LIST_IDLE_MS 30000
#define PAGE 500
#define WATCH_MIN_S 300 /* 10.8: a watch ends after 5 to 10 minutes, and begins again */
#define SHORT_MS 1000	/* one that lived no longer and told nothing was of no use */
#define AT_ONCE_MS 1000

static uint32_t random_number(void)
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = (uint32_t)fl_mono_now().ns;
	return number;
}

int fl_kube_watch_new(const struct fl_kube_watch_options *options, struct fl_kube_watch **ret_watch)
{
	_cleanup_(fl_kube_watch_free) struct fl_kube_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->options = *options;
	if (!w->options.watch_idle_ms)
		w->options.watch_idle_ms = WATCH_IDLE_MS;
	if (!w->options.list_idle_ms)
		w->options.list_idle_ms = LIST_IDLE_MS;
	if (!w->options.at_once_ms)
		w->options.at_once_ms = AT_ONCE_MS;
	if (!w->options.page)
		w->options.page = PAGE;
	w->due = fl_mono_now();
	if (fl_watch_set_text(&w->version, "") || fl_watch_set_text(&w->page, ""))
		return -ENOMEM;
	*ret_watch = TAKE_PTR(w);
	return 0;
}

void fl_kube_watch_free(struct fl_kube_watch **watch)
{
	struct fl_kube_watch *w = TAKE_PTR(*watch);

	if (!w)
		return;
	fl_kube_cancel(&w->request);
	fl_split_fini(&w->split);
	free(w->version);
	free(w->page);
	free(w);
}

/* Beginning one */

static const char *const step_names[] = {
	[FL_WATCH_STREAM] = "list", [FL_WATCH_PAGES] = "list", [FL_WATCH_FOLLOW] = "watch"};

static void add_watch_args(const struct fl_kube_watch *w, struct fl_url *url)
{
	const bool stream = w->step == FL_WATCH_STREAM;
	const unsigned int s =
		w->held_back ? FL_WATCH_HELD_BACK_S : WATCH_MIN_S + random_number() % WATCH_MIN_S;
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", s);
	fl_url_arg(url, "watch", "true");
	fl_url_arg(url, "allowWatchBookmarks", "true");
	fl_url_arg(url, "timeoutSeconds", seconds);
	if (stream) {
		fl_url_arg(url, "sendInitialEvents", "true");
		fl_url_arg(url, "resourceVersionMatch", "NotOlderThan");
	}
	if (!stream || (*w->version && !w->consistent))
		fl_url_arg(url, "resourceVersion", w->version);
}

/*
 * The first list may come from a cache, and the next from one that is not older than what is known;
 * a version that no server knows any more is let go for a list from etcd.
 */
static void add_list_args(const struct fl_kube_watch *w, struct fl_url *url)
{
	char page[16];

	snprintf(page, sizeof(page), "%u", w->options.page);
	fl_url_arg(url, "limit", page);
	if (*w->page) {
		fl_url_arg(url, "continue", w->page);
	} else if (!w->consistent) {
		fl_url_arg(url, "resourceVersion", *w->version ? w->version : "0");
		fl_url_arg(url, "resourceVersionMatch", "NotOlderThan");
	}
}

static void on_done(const struct fl_kube_reply *reply, void *arg);

static int begin(struct fl_kube_watch *w)
{
	struct fl_kube_call call = {
		.idle_ms = w->step == FL_WATCH_FOLLOW ? w->options.watch_idle_ms
						      : w->options.list_idle_ms,
		.begun = fl_watch_on_begun,
		.body = fl_watch_on_body,
		.done = on_done,
		.arg = w,
	};
	struct fl_url url = {0};

	fl_url_path(&url, w->options.path);
	if (w->step == FL_WATCH_PAGES)
		add_list_args(w, &url);
	else
		add_watch_args(w, &url);
	if (w->options.labels)
		fl_url_arg(&url, "labelSelector", w->options.labels);
	if (w->options.fields)
		fl_url_arg(&url, "fieldSelector", w->options.fields);
	call.path = fl_url_text(&url);
	if (!call.path)
		return -E2BIG;
	if (w->step != FL_WATCH_FOLLOW && !*w->page && w->options.sink->begin(w->options.arg))
		return -ENOMEM;
	fl_split_reset(&w->split, w->step == FL_WATCH_PAGES ? FL_SPLIT_LIST : FL_SPLIT_STREAM);
	w->begun = w->broken = false;
	w->error = (struct fl_kube_status){0};
	w->n_events = 0;
	w->started = fl_mono_now();
	if (w->step == FL_WATCH_FOLLOW)
		w->counts.watches++;
	else
		w->counts.lists++;
	return fl_kube_ask(w->options.client, &call, &w->request);
}

/* At its end */

static void next(struct fl_kube_watch *w, enum fl_watch_step step, uint64_t delay_ms)
{
	if (step != FL_WATCH_PAGES || w->step != FL_WATCH_PAGES)
		*w->page = '\0';
	w->step = step;
	w->due = fl_mono_plus_ms(fl_mono_now(), delay_ms);
}

static enum fl_watch_step list_step(const struct fl_kube_watch *w)
{
	return w->no_stream ? FL_WATCH_PAGES : FL_WATCH_STREAM;
}

/* After a while. */
static void fail(struct fl_kube_watch *w, enum fl_watch_step step, uint64_t after_ms, long status,
		 const char *why)
{
	const struct fl_mono now = fl_mono_now();
	uint64_t delay_ms = fl_backoff_delay(&w->backoff, now, random_number());
	char code[24] = "";

	if (status && status != 200)
		snprintf(code, sizeof(code), "HTTP %ld%s", status, *why ? ": " : "");
	w->failed = true;
	w->counts.failures++;
	snprintf(w->trouble, sizeof(w->trouble), "%s: %s%.300s", step_names[w->step], code, why);
	*w->page = '\0'; /* a list is begun anew: its pages are of one moment */
	next(w, step, after_ms > delay_ms ? after_ms : delay_ms);
}

/* The answer was not 200. */
static void on_refusal(struct fl_kube_watch *w, const struct fl_kube_reply *reply)
{
	const long code = reply->status;
	struct fl_kube_status status = fl_kube_status_parse(reply->body, reply->body_len, code);
	const bool place_lost = status.expired || status.too_large;

	if (place_lost && w->step != FL_WATCH_FOLLOW && !w->consistent) {
		w->consistent = true;
		*w->page = '\0';
		next(w, w->step, 0);
	} else if (w->step == FL_WATCH_STREAM && code >= 400 && code < 500 && code != 401 &&
		   code != 403 && code != 408 && code != 429) {
		w->no_stream = true;
		next(w, FL_WATCH_PAGES, 0);
	} else {
		/* 10.10: too many requests leave a watch its place */
		const bool stay = w->step == FL_WATCH_FOLLOW && code == 429;

		fail(w, stay ? FL_WATCH_FOLLOW : list_step(w), reply->retry_after_ms, code,
		     status.message);
	}
}

static int read_list(struct fl_kube_watch *w, char **ret_page, char **ret_version)
{
	struct fl_err err = {""};

	if (!fl_split_is_whole(&w->split))
		return fl_watch_broken(w, "the list has no end", "");
	/* the rest is all but its items */
	if (fl_kube_list_read(w->split.rest.text, w->split.rest.len, ret_page, ret_version, &err))
		return fl_watch_broken(w, err.text, "");
	return 0;
}

static void on_list_end(struct fl_kube_watch *w)
{
	_cleanup_free_ char *page = NULL, *version = NULL;
	int r = read_list(w, &page, &version);

	if (!r && *page) {
		free(w->page);
		w->page = TAKE_PTR(page);
		next(w, FL_WATCH_PAGES, 0);
		return;
	}
	if (!r)
		r = fl_watch_list_is_complete(w, version);
	if (r)
		fail(w, list_step(w), 0, 0, w->why);
	else
		next(w, FL_WATCH_FOLLOW, 0);
}

/*
 * A watch has ended by itself, or its connection has. Servers say something two seconds before the
 * end of a watch at the latest, so that the end shows whether words arrive when they are said.
 */
static void on_watch_end(struct fl_kube_watch *w)
{
	fl_watch_judge_way(w);
	if (!w->n_events && fl_mono_ms_between(w->started, fl_mono_now()) < SHORT_MS)
		fail(w, list_step(w), 0, 0, "ended at once, without a word");
	else
		next(w, FL_WATCH_FOLLOW, 0);
}

/* What it said is not to be believed, or was an error. */
static void on_nonsense(struct fl_kube_watch *w)
{
	const bool place_lost = w->error.expired || w->error.too_large;

	if (place_lost && w->step == FL_WATCH_STREAM && !w->consistent) {
		w->consistent = true;
		next(w, FL_WATCH_STREAM, 0);
	} else if (place_lost && w->step == FL_WATCH_FOLLOW &&
		   fl_mono_ms_between(w->started, fl_mono_now()) >= SHORT_MS) {
		next(w, list_step(w), 0);
	} else {
		const bool stay = w->step == FL_WATCH_FOLLOW && w->error.code == 429;

		fail(w, stay ? FL_WATCH_FOLLOW : list_step(w), 0, w->error.code, w->why);
	}
}

/* There was an answer of 200, and it did not reach its end in good order. */
static void on_cut(struct fl_kube_watch *w, const char *why)
{
	if (w->step == FL_WATCH_FOLLOW) {
		on_watch_end(w);
		return;
	}
	if (w->step == FL_WATCH_STREAM && !w->n_events)
		w->no_stream = true;
	fail(w, list_step(w), 0, 0, *why ? why : "ended before the list was whole");
}

/*
 * Nothing was heard for as long as one waits. The machine at the other end may be gone; or a proxy
 * keeps the answer until it ends, and then what ends soon gets through: pages, short watches.
 */
static void on_silence(struct fl_kube_watch *w)
{
	if (!w->n_events)
		w->no_stream = w->held_back = true;
}

static void on_done(const struct fl_kube_reply *reply, void *arg)
{
	struct fl_kube_watch *w = arg;

	w->request = NULL;
	if (reply->stalled)
		on_silence(w);
	if (w->broken)
		on_nonsense(w);
	else if (reply->end == FL_KUBE_UNREACHABLE) {
		/* who answers next may be another */
		if (!reply->stalled)
			w->no_stream = w->held_back = false;
		fail(w, w->step == FL_WATCH_FOLLOW ? FL_WATCH_FOLLOW : list_step(w), 0, 0,
		     reply->why);
	} else if (reply->end == FL_KUBE_FAILED)
		fail(w, list_step(w), 0, 0, reply->why);
	else if (reply->status != 200)
		on_refusal(w, reply);
	else if (reply->end == FL_KUBE_ANSWERED && w->step == FL_WATCH_PAGES)
		on_list_end(w);
	else
		on_cut(w, reply->why);
}

void fl_kube_watch_tick(struct fl_kube_watch *watch, struct fl_mono now)
{
	int r;

	if (watch->request || watch->due.ns > now.ns)
		return;
	r = begin(watch);
	if (r)
		fail(watch, list_step(watch), 0, 0, strerror(-r));
}

struct fl_mono fl_kube_watch_due(const struct fl_kube_watch *watch)
{
	return watch->request ? (struct fl_mono){0} : watch->due;
}

void fl_kube_watch_hurry(struct fl_kube_watch *watch)
{
	watch->due = fl_mono_now();
}

void fl_kube_watch_relist(struct fl_kube_watch *watch)
{
	fl_kube_cancel(&watch->request);
	next(watch, list_step(watch), 0);
}

bool fl_kube_watch_is_listed(const struct fl_kube_watch *watch)
{
	return watch->listed;
}

const char *fl_kube_watch_trouble(const struct fl_kube_watch *watch)
{
	return watch->trouble[0] ? watch->trouble : NULL;
}

bool fl_kube_watch_has_failed(const struct fl_kube_watch *watch)
{
	return watch->failed;
}

const struct fl_kube_watch_counts *fl_kube_watch_counts(const struct fl_kube_watch *watch)
{
	return &watch->counts;
}
