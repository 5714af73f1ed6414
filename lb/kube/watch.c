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
#include "lb/kube/split.h"
#include "lb/kube/status.h"

#define WATCH_IDLE_MS 150000 /* servers send a bookmark every minute */
#define LIST_IDLE_MS 30000
#define PAGE 500
#define WATCH_MIN_S 300 /* 10.8: a watch ends after 5 to 10 minutes, and begins again */
#define SHORT_MS 1000	/* one that lived no longer and told nothing was of no use */

enum step {
	STEP_STREAM,
	STEP_LIST,
	STEP_WATCH,
};

struct fl_kube_watch {
	struct fl_kube_watch_options options;
	struct fl_kube_request *request; /* NULL: waiting for `due` */
	enum step step;			 /* under way, or next */
	struct fl_mono due;
	struct fl_mono started;
	struct fl_backoff backoff;
	char *version;	 /* where the next watch begins; "" nowhere yet */
	char *page;	 /* of the list: where it goes on; "" at its beginning */
	bool consistent; /* what is listed next comes from etcd, not from a cache (10.10) */
	bool no_stream;	 /* this server has refused one */
	bool listed, failed;
	/* the request under way */
	struct fl_split split;
	bool begun, broken; /* broken: `why` says what was wrong with what it said */
	size_t n_events;
	struct fl_kube_status error; /* an ERROR event; code 0: none */
	char why[400];
	char trouble[512]; /* "" none */
};

static int set_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

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
	if (!w->options.page)
		w->options.page = PAGE;
	w->due = fl_mono_now();
	if (set_text(&w->version, "") || set_text(&w->page, ""))
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

/* What a request says */

static int broken(struct fl_kube_watch *w, const char *what, const char *why)
{
	w->broken = true;
	snprintf(w->why, sizeof(w->why), "%s%s%.300s", what, *why ? ": " : "", why);
	return -EINVAL;
}

static int sink_said(struct fl_kube_watch *w, int r)
{
	return r ? broken(w, "cannot take in what was read", strerror(-r)) : 0;
}

static int list_is_complete(struct fl_kube_watch *w, const char *version)
{
	const struct fl_kube_sink *sink = w->options.sink;
	int r = sink_said(w, sink->complete(w->options.arg));

	if (!r)
		r = sink_said(w, set_text(&w->version, version));
	if (r)
		return r;
	w->listed = true;
	w->consistent = false;
	w->trouble[0] = '\0';
	/* a stream goes on as the watch that it is */
	if (w->step == STEP_STREAM)
		fl_kube_set_idle(w->request, w->options.watch_idle_ms);
	w->step = STEP_WATCH;
	return 0;
}

/* A bookmark: everything up to its version has been told. */
static int on_bookmark(struct fl_kube_watch *w, const struct fl_value *object)
{
	const char *version = fl_kube_version(object);

	if (w->step == STEP_STREAM && fl_kube_ends_initial_events(object) && *version)
		return list_is_complete(w, version);
	/* 10.7: no place to go on from is taken before the list is whole */
	if (w->step == STEP_STREAM || !*version)
		return 0;
	return sink_said(w, set_text(&w->version, version));
}

static int on_object(struct fl_kube_watch *w, const struct fl_value *object, bool gone)
{
	const struct fl_kube_sink *sink = w->options.sink;
	void *arg = w->options.arg;
	const char *version = fl_kube_version(object);
	int r;

	if (w->step == STEP_STREAM)
		return sink_said(w, gone ? sink->unlisted(object, arg) : sink->listed(object, arg));
	r = sink_said(w, gone ? sink->deleted(object, arg) : sink->changed(object, arg));
	if (!r && *version)
		r = sink_said(w, set_text(&w->version, version));
	return r;
}

static int on_error(struct fl_kube_watch *w, const struct fl_value *object)
{
	w->error = fl_kube_status_of(object);
	if (!w->error.code)
		w->error.code = 500;
	return broken(w, "the watch ends", w->error.message);
}

static int on_event(const char *text, size_t len, void *arg)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_value *object;
	struct fl_kube_watch *w = arg;
	struct fl_err err = {""};
	const char *type;

	if (fl_doc_parse(text, len, FL_DOC_JSON, &doc, &err))
		return broken(w, "an event that makes no sense", err.text);
	type = fl_value_string(fl_value_get(fl_doc_root(doc), "type"));
	object = fl_value_get(fl_doc_root(doc), "object");
	if (!type || fl_value_type(object) != FL_VALUE_MAP)
		return broken(w, "an event without type or object", "");
	w->n_events++;
	if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED"))
		return on_object(w, object, false);
	if (!strcmp(type, "DELETED"))
		return on_object(w, object, true);
	if (!strcmp(type, "BOOKMARK"))
		return on_bookmark(w, object);
	if (!strcmp(type, "ERROR"))
		return on_error(w, object);
	return 0; /* 10.10: of a type nobody knows yet */
}

static int on_item(const char *text, size_t len, void *arg)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	struct fl_kube_watch *w = arg;
	struct fl_err err = {""};

	if (fl_doc_parse(text, len, FL_DOC_JSON, &doc, &err))
		return broken(w, "an object that makes no sense", err.text);
	w->n_events++;
	return sink_said(w, w->options.sink->listed(fl_doc_root(doc), w->options.arg));
}

static int on_body(const char *data, size_t len, void *arg)
{
	struct fl_kube_watch *w = arg;
	int r = fl_split_feed(&w->split, data, len, w->step == STEP_LIST ? on_item : on_event, w);

	if (r && !w->broken)
		broken(w, r == -EINVAL ? "the answer is no JSON" : "the answer cannot be taken in",
		       r == -EINVAL ? "" : strerror(-r));
	return r;
}

static void on_begun(void *arg)
{
	struct fl_kube_watch *w = arg;

	w->begun = true;
	/* from here on what happens is told */
	if (w->step == STEP_WATCH)
		w->trouble[0] = '\0';
}

/* Beginning one */

static const char *const step_names[] = {
	[STEP_STREAM] = "list", [STEP_LIST] = "list", [STEP_WATCH] = "watch"};

static void add_watch_args(const struct fl_kube_watch *w, struct fl_url *url)
{
	const bool stream = w->step == STEP_STREAM;
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", WATCH_MIN_S + random_number() % WATCH_MIN_S);
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
		.idle_ms =
			w->step == STEP_WATCH ? w->options.watch_idle_ms : w->options.list_idle_ms,
		.begun = on_begun,
		.body = on_body,
		.done = on_done,
		.arg = w,
	};
	struct fl_url url = {0};

	fl_url_path(&url, w->options.path);
	if (w->step == STEP_LIST)
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
	if (w->step != STEP_WATCH && !*w->page && w->options.sink->begin(w->options.arg))
		return -ENOMEM;
	fl_split_reset(&w->split, w->step == STEP_LIST ? FL_SPLIT_LIST : FL_SPLIT_STREAM);
	w->begun = w->broken = false;
	w->error = (struct fl_kube_status){0};
	w->n_events = 0;
	w->started = fl_mono_now();
	return fl_kube_ask(w->options.client, &call, &w->request);
}

/* At its end */

static void next(struct fl_kube_watch *w, enum step step, uint64_t delay_ms)
{
	if (step != STEP_LIST || w->step != STEP_LIST)
		*w->page = '\0';
	w->step = step;
	w->due = fl_mono_plus_ms(fl_mono_now(), delay_ms);
}

static enum step list_step(const struct fl_kube_watch *w)
{
	return w->no_stream ? STEP_LIST : STEP_STREAM;
}

/* After a while. */
static void fail(struct fl_kube_watch *w, enum step step, uint64_t after_ms, long status,
		 const char *why)
{
	const struct fl_mono now = fl_mono_now();
	uint64_t delay_ms = fl_backoff_delay(&w->backoff, now, random_number());
	char code[24] = "";

	if (status && status != 200)
		snprintf(code, sizeof(code), "HTTP %ld%s", status, *why ? ": " : "");
	w->failed = true;
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

	if (place_lost && w->step != STEP_WATCH && !w->consistent) {
		w->consistent = true;
		*w->page = '\0';
		next(w, w->step, 0);
	} else if (w->step == STEP_STREAM && code >= 400 && code < 500 && code != 401 &&
		   code != 403 && code != 408 && code != 429) {
		w->no_stream = true;
		next(w, STEP_LIST, 0);
	} else {
		/* 10.10: too many requests leave a watch its place */
		const bool stay = w->step == STEP_WATCH && code == 429;

		fail(w, stay ? STEP_WATCH : list_step(w), reply->retry_after_ms, code,
		     status.message);
	}
}

static int read_list(struct fl_kube_watch *w, char **ret_page, char **ret_version)
{
	struct fl_err err = {""};

	if (!fl_split_is_whole(&w->split))
		return broken(w, "the list has no end", "");
	/* the rest is all but its items */
	if (fl_kube_list_read(w->split.rest.text, w->split.rest.len, ret_page, ret_version, &err))
		return broken(w, err.text, "");
	return 0;
}

static void on_list_end(struct fl_kube_watch *w)
{
	_cleanup_free_ char *page = NULL, *version = NULL;
	int r = read_list(w, &page, &version);

	if (!r && *page) {
		free(w->page);
		w->page = TAKE_PTR(page);
		next(w, STEP_LIST, 0);
		return;
	}
	if (!r)
		r = list_is_complete(w, version);
	if (r)
		fail(w, list_step(w), 0, 0, w->why);
	else
		next(w, STEP_WATCH, 0);
}

/* A watch has ended by itself, or its connection has. */
static void on_watch_end(struct fl_kube_watch *w)
{
	if (!w->n_events && fl_mono_ms_between(w->started, fl_mono_now()) < SHORT_MS)
		fail(w, list_step(w), 0, 0, "ended at once, without a word");
	else
		next(w, STEP_WATCH, 0);
}

/* What it said is not to be believed, or was an error. */
static void on_nonsense(struct fl_kube_watch *w)
{
	const bool place_lost = w->error.expired || w->error.too_large;

	if (place_lost && w->step == STEP_STREAM && !w->consistent) {
		w->consistent = true;
		next(w, STEP_STREAM, 0);
	} else if (place_lost && w->step == STEP_WATCH &&
		   fl_mono_ms_between(w->started, fl_mono_now()) >= SHORT_MS) {
		next(w, list_step(w), 0);
	} else {
		const bool stay = w->step == STEP_WATCH && w->error.code == 429;

		fail(w, stay ? STEP_WATCH : list_step(w), 0, w->error.code, w->why);
	}
}

/* There was an answer of 200, and it did not reach its end in good order. */
static void on_cut(struct fl_kube_watch *w, const char *why)
{
	if (w->step == STEP_WATCH) {
		on_watch_end(w);
		return;
	}
	/* something between us and the server may keep streams until they end: then pages work */
	if (w->step == STEP_STREAM && !w->n_events)
		w->no_stream = true;
	fail(w, list_step(w), 0, 0, *why ? why : "ended before the list was whole");
}

static void on_done(const struct fl_kube_reply *reply, void *arg)
{
	struct fl_kube_watch *w = arg;

	w->request = NULL;
	if (w->broken)
		on_nonsense(w);
	else if (reply->end == FL_KUBE_UNREACHABLE) {
		w->no_stream = false; /* who answers next may be another */
		fail(w, w->step == STEP_WATCH ? STEP_WATCH : list_step(w), 0, 0, reply->why);
	} else if (reply->end == FL_KUBE_FAILED)
		fail(w, list_step(w), 0, 0, reply->why);
	else if (reply->status != 200)
		on_refusal(w, reply);
	else if (reply->end == FL_KUBE_ANSWERED && w->step == STEP_LIST)
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
