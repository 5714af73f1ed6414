/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events and objects of lists, as the API server writes them, for the sink. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/kube/answer.h"
#include "lb/kube/watch_state.h"

int fl_watch_set_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int fl_watch_broken(struct fl_kube_watch *w, const char *what, const char *why)
{
	w->broken = true;
	snprintf(w->why, sizeof(w->why), "%s%s%.300s", what, *why ? ": " : "", why);
	return -EINVAL;
}

static int sink_said(struct fl_kube_watch *w, int r)
{
	return r ? fl_watch_broken(w, "cannot take in what was read", strerror(-r)) : 0;
}

static void clear_trouble(struct fl_kube_watch *w)
{
	w->trouble[0] = '\0';
	if (w->held_back)
		snprintf(w->trouble, sizeof(w->trouble),
			 "watch: answers seem to arrive only when they end, as by a proxy that "
			 "keeps "
			 "them: changes are seen up to %u s late",
			 FL_WATCH_HELD_BACK_S);
}

void fl_watch_judge_way(struct fl_kube_watch *w)
{
	if (!w->held_back || !w->n_events ||
	    fl_mono_ms_between(w->first_event, fl_mono_now()) < w->options.at_once_ms)
		return;
	w->held_back = w->no_stream = false;
	w->trouble[0] = '\0';
}

int fl_watch_list_is_complete(struct fl_kube_watch *w, const char *version)
{
	const struct fl_kube_sink *sink = w->options.sink;
	int r = sink_said(w, sink->complete(w->options.arg));

	if (!r)
		r = sink_said(w, fl_watch_set_text(&w->version, version));
	if (r)
		return r;
	w->listed = true;
	w->consistent = false;
	clear_trouble(w);
	/* a stream goes on as the watch that it is */
	if (w->step == FL_WATCH_STREAM)
		fl_kube_set_idle(w->request, w->options.watch_idle_ms);
	w->step = FL_WATCH_FOLLOW;
	return 0;
}

/* A bookmark: everything up to its version has been told. */
static int on_bookmark(struct fl_kube_watch *w, const struct fl_value *object)
{
	const char *version = fl_kube_version(object);

	if (w->step == FL_WATCH_STREAM && fl_kube_ends_initial_events(object) && *version)
		return fl_watch_list_is_complete(w, version);
	/* 10.7: no place to go on from is taken before the list is whole */
	if (w->step == FL_WATCH_STREAM || !*version)
		return 0;
	return sink_said(w, fl_watch_set_text(&w->version, version));
}

static int on_object(struct fl_kube_watch *w, const struct fl_value *object, bool gone)
{
	const struct fl_kube_sink *sink = w->options.sink;
	void *arg = w->options.arg;
	const char *version = fl_kube_version(object);
	int r;

	if (w->step == FL_WATCH_STREAM)
		return sink_said(w, gone ? sink->unlisted(object, arg) : sink->listed(object, arg));
	r = sink_said(w, gone ? sink->deleted(object, arg) : sink->changed(object, arg));
	if (!r && *version)
		r = sink_said(w, fl_watch_set_text(&w->version, version));
	return r;
}

static int on_error(struct fl_kube_watch *w, const struct fl_value *object)
{
	w->error = fl_kube_status_of(object);
	if (!w->error.code)
		w->error.code = 500;
	return fl_watch_broken(w, "the watch ends", w->error.message);
}

static int on_event(const char *text, size_t len, void *arg)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_value *object;
	struct fl_kube_watch *w = arg;
	struct fl_err err = {""};
	const char *type;

	if (fl_doc_parse(text, len, FL_DOC_JSON, &doc, &err))
		return fl_watch_broken(w, "an event that makes no sense", err.text);
	type = fl_value_string(fl_value_get(fl_doc_root(doc), "type"));
	object = fl_value_get(fl_doc_root(doc), "object");
	if (!type || fl_value_type(object) != FL_VALUE_MAP)
		return fl_watch_broken(w, "an event without type or object", "");
	w->counts.events++;
	fl_watch_judge_way(w);
	if (!w->n_events++)
		w->first_event = fl_mono_now();
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
		return fl_watch_broken(w, "an object that makes no sense", err.text);
	w->counts.events++;
	w->n_events++;
	return sink_said(w, w->options.sink->listed(fl_doc_root(doc), w->options.arg));
}

int fl_watch_on_body(const char *data, size_t len, void *arg)
{
	struct fl_kube_watch *w = arg;
	int r = fl_split_feed(&w->split, data, len, w->step == FL_WATCH_PAGES ? on_item : on_event,
			      w);

	if (r && !w->broken)
		fl_watch_broken(
			w, r == -EINVAL ? "the answer is no JSON" : "the answer cannot be taken in",
			r == -EINVAL ? "" : strerror(-r));
	return r;
}

void fl_watch_on_begun(void *arg)
{
	struct fl_kube_watch *w = arg;

	w->begun = true;
	/* from here on what happens is told */
	if (w->step == FL_WATCH_FOLLOW)
		clear_trouble(w);
}
