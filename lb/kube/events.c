/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events, one request at a time. Of a Service its uid is asked for first, since an Event is found
 * by that: `kubectl describe` shows those of the object that is there now.
 */
#include "lb/kube/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "lb/base/url.h"
#include "lb/kube/backoff.h"
#include "lb/kube/status.h"

#define CONTROLLER "fairlead.dev/fairleadd"
#define ATTEMPTS 5    /* of an Event that the server answers with an error */
#define IDLE_MS 10000 /* for an answer */
#define NOTE_MAX 1000 /* bytes; the API takes 1024 */
#define NAME_MAX_LEN 253
#define UID_MAX_LEN 128
#define LOOKUP_MAX (256u * 1024) /* bytes of one Service */
/* without a namespace of its own, an object's Events are there */
#define CLUSTER_NS "default"

struct kept_event {
	struct fl_kube_event about; /* its texts are owned */
	char uid[UID_MAX_LEN + 1];
	char name[NAME_MAX_LEN + 1]; /* of the Event; "": none was written */
	int64_t first_unix_ns, last_unix_ns;
	struct fl_mono last, written;
	unsigned int count, written_count;
	unsigned int attempts;
};

enum event_step {
	STEP_LOOKUP, /* the uid of a Service */
	STEP_CREATE,
	STEP_SERIES, /* its count */
};

struct fl_kube_events {
	struct fl_kube_events_options options;
	struct kept_event
		*entries[FL_KUBE_EVENTS_MAX]; /* the first to be written is the first here */
	size_t n;
	/* under way, and about which entry; NULL: nothing is */
	struct fl_kube_request *request;
	struct kept_event *current;
	enum event_step step;
	char *found; /* of a lookup, so far */
	size_t found_len;
	/* how many may be written */
	unsigned int tokens;
	struct fl_mono refilled, wait_until;
	struct fl_backoff backoff;
	struct fl_kube_events_counts counts;
	char trouble[400];
};

static void kept_event_free(struct kept_event *e)
{
	if (!e)
		return;
	free((char *)e->about.kind);
	free((char *)e->about.ns);
	free((char *)e->about.name);
	free((char *)e->about.reason);
	free((char *)e->about.action);
	free((char *)e->about.note);
	free(e);
}

static void kept_event_freep(struct kept_event **e)
{
	kept_event_free(*e);
}

static struct kept_event *kept_event_of(const struct fl_kube_event *event)
{
	_cleanup_(kept_event_freep) struct kept_event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->about = (struct fl_kube_event){
		.kind = strdup(event->kind),
		.ns = strdup(event->ns),
		.name = strdup(event->name),
		.warning = event->warning,
		.reason = strdup(event->reason),
		.action = strdup(event->action),
		.note = strndup(event->note, NOTE_MAX),
	};
	if (!e->about.kind || !e->about.ns || !e->about.name || !e->about.reason ||
	    !e->about.action || !e->about.note)
		return NULL;
	return TAKE_PTR(e);
}

/* As every name in a cluster is; those of files may be anything. */
static bool is_name(const char *text)
{
	return *text && strlen(text) <= NAME_MAX_LEN &&
	       !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.")];
}

static bool is_same(const struct kept_event *e, const struct fl_kube_event *event)
{
	return e->about.warning == event->warning && !strcmp(e->about.name, event->name) &&
	       !strcmp(e->about.ns, event->ns) && !strcmp(e->about.kind, event->kind) &&
	       !strcmp(e->about.reason, event->reason) && !strcmp(e->about.action, event->action);
}

int fl_kube_events_new(const struct fl_kube_events_options *options,
		       struct fl_kube_events **ret_events)
{
	struct fl_kube_events *events = calloc(1, sizeof(*events));

	if (!events)
		return -ENOMEM;
	events->options = *options;
	events->tokens = FL_KUBE_EVENTS_BURST;
	events->refilled = fl_clock_now(&options->clock);
	*ret_events = events;
	return 0;
}

void fl_kube_events_free(struct fl_kube_events **ptr)
{
	struct fl_kube_events *events = TAKE_PTR(*ptr);

	if (!events)
		return;
	fl_kube_cancel(&events->request);
	for (size_t i = 0; i < events->n; i++)
		kept_event_free(events->entries[i]);
	free(events->found);
	free(events);
}

static struct kept_event *take_out(struct fl_kube_events *events, size_t i)
{
	struct kept_event *e = events->entries[i];

	events->n--;
	memmove(&events->entries[i], &events->entries[i + 1],
		(events->n - i) * sizeof(events->entries[0]));
	return e;
}

static size_t place_of(const struct fl_kube_events *events, const struct kept_event *e)
{
	size_t i = 0;

	while (events->entries[i] != e)
		i++;
	return i;
}

static void drop(struct fl_kube_events *events, struct kept_event *e)
{
	kept_event_free(take_out(events, place_of(events, e)));
}

static void to_the_end(struct fl_kube_events *events, const struct kept_event *e)
{
	struct kept_event *moved = take_out(events, place_of(events, e));

	events->entries[events->n++] = moved;
}

static bool is_written(const struct kept_event *e)
{
	return e->count == e->written_count;
}

/* What was written and is over makes room for what is new. */
static bool make_room(struct fl_kube_events *events)
{
	for (size_t i = 0; i < events->n; i++) {
		if (!is_written(events->entries[i]) || events->entries[i] == events->current)
			continue;
		kept_event_free(take_out(events, i));
		return true;
	}
	return false;
}

static void happens(const struct fl_kube_events *events, struct kept_event *e)
{
	const struct fl_clock *clock = &events->options.clock;

	e->last = fl_clock_now(clock);
	e->last_unix_ns = clock->unix_ns(clock->arg);
	if (!e->count++)
		e->first_unix_ns = e->last_unix_ns;
}

void fl_kube_events_add(struct fl_kube_events *events, const struct fl_kube_event *event)
{
	struct kept_event *e;

	if (!is_name(event->name) || (*event->ns && !is_name(event->ns)))
		return;
	for (size_t i = 0; i < events->n; i++)
		if (is_same(events->entries[i], event)) {
			happens(events, events->entries[i]);
			return;
		}
	e = events->n < FL_KUBE_EVENTS_MAX || make_room(events) ? kept_event_of(event) : NULL;
	if (!e) {
		events->counts.lost++;
		return;
	}
	happens(events, e);
	events->entries[events->n++] = e;
}

/* What is sent */

static const char *event_ns(const struct kept_event *e)
{
	return *e->about.ns ? e->about.ns : CLUSTER_NS;
}

/* As the API has it, with microseconds. */
static void write_time(struct fl_json *json, const char *key, int64_t unix_ns)
{
	const time_t t = (time_t)(unix_ns / (int64_t)FL_NSEC_PER_SEC);
	struct tm tm = {0};
	char text[40] = "";

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fl_json_key(json, key);
	fl_json_stringf(json, "%s.%06uZ", text,
			(unsigned int)(unix_ns % (int64_t)FL_NSEC_PER_SEC / 1000));
}

static void write_regarding(const struct fl_kube_events *events, const struct kept_event *e,
			    struct fl_json *json)
{
	fl_json_key(json, "regarding");
	fl_json_object_begin(json);
	fl_json_member_string(json, "apiVersion", "v1");
	fl_json_member_string(json, "kind", e->about.kind);
	fl_json_member_string(json, "name", e->about.name);
	if (*e->about.ns)
		fl_json_member_string(json, "namespace", e->about.ns);
	/* a Node's is its name, by which kubelets and kubectl know it */
	fl_json_member_string(json, "uid", *e->uid ? e->uid : e->about.name);
	fl_json_object_end(json);
}

static void write_series(const struct kept_event *e, struct fl_json *json)
{
	fl_json_key(json, "series");
	fl_json_object_begin(json);
	fl_json_member_uint(json, "count", e->count);
	write_time(json, "lastObservedTime", e->last_unix_ns);
	fl_json_object_end(json);
}

static void write_event(const struct fl_kube_events *events, const struct kept_event *e,
			struct fl_json *json)
{
	fl_json_member_string(json, "apiVersion", "events.k8s.io/v1");
	fl_json_member_string(json, "kind", "Event");
	fl_json_key(json, "metadata");
	fl_json_object_begin(json);
	fl_json_member_string(json, "name", e->name);
	fl_json_member_string(json, "namespace", event_ns(e));
	fl_json_object_end(json);
	write_time(json, "eventTime", e->first_unix_ns);
	fl_json_member_string(json, "type", e->about.warning ? "Warning" : "Normal");
	fl_json_member_string(json, "reason", e->about.reason);
	fl_json_member_string(json, "action", e->about.action);
	fl_json_member_string(json, "note", e->about.note);
	fl_json_member_string(json, "reportingController", CONTROLLER);
	fl_json_key(json, "reportingInstance");
	fl_json_stringf(json, "fairleadd-%.100s", events->options.node);
	write_regarding(events, e, json);
	if (e->count > 1)
		write_series(e, json);
}

/* Unique by its time. A name that is cut must not end in a sign. */
static void name_event(struct kept_event *e)
{
	size_t len = strnlen(e->about.name, 200);

	while (len && (e->about.name[len - 1] == '.' || e->about.name[len - 1] == '-'))
		len--;
	snprintf(e->name, sizeof(e->name), "%.*s.%llx", (int)len, e->about.name,
		 (unsigned long long)e->last_unix_ns);
}

static void add_path(struct fl_url *url, const struct kept_event *e, enum event_step step)
{
	char path[2 * NAME_MAX_LEN + 80];

	if (step == STEP_LOOKUP)
		snprintf(path, sizeof(path), "/api/v1/namespaces/%s/%s", event_ns(e),
			 strcmp(e->about.kind, "Pod") ? "services" : "pods");
	else
		snprintf(path, sizeof(path), "/apis/events.k8s.io/v1/namespaces/%s/events%s%s",
			 event_ns(e), step == STEP_SERIES ? "/" : "",
			 step == STEP_SERIES ? e->name : "");
	fl_url_path(url, path);
}

static int on_found(const char *data, size_t len, void *arg)
{
	struct fl_kube_events *events = arg;
	char *text;

	if (events->step != STEP_LOOKUP)
		return 0;
	if (len > LOOKUP_MAX - events->found_len)
		return -E2BIG;
	text = realloc(events->found, events->found_len + len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text + events->found_len, data, len);
	events->found = text;
	events->found_len += len;
	return 0;
}

static void on_done(const struct fl_kube_reply *reply, void *arg);

static int ask(struct fl_kube_events *events, struct kept_event *e, enum event_step step,
	       const char *send)
{
	static const char *const methods[] = {
		[STEP_LOOKUP] = "GET", [STEP_CREATE] = "POST", [STEP_SERIES] = "PATCH"};
	static const char *const types[] = {
		[STEP_LOOKUP] = NULL,
		[STEP_CREATE] = "application/json",
		[STEP_SERIES] = "application/merge-patch+json",
	};
	struct fl_kube_call call = {
		.method = methods[step],
		.send = send,
		.type = types[step],
		.idle_ms = IDLE_MS,
		.body = on_found,
		.done = on_done,
		.arg = events,
	};
	char field[NAME_MAX_LEN + 20];
	struct fl_url url = {0};
	int r;

	add_path(&url, e, step);
	if (step == STEP_LOOKUP) {
		snprintf(field, sizeof(field), "metadata.name=%s", e->about.name);
		fl_url_arg(&url, "fieldSelector", field);
	}
	call.path = fl_url_text(&url);
	if (!call.path)
		return -E2BIG;
	events->step = step;
	free(events->found);
	events->found = NULL;
	events->found_len = 0;
	r = fl_kube_ask(events->options.client, &call, &events->request);
	if (!r)
		events->current = e;
	return r;
}

static int write_current(struct fl_kube_events *events, struct kept_event *e)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);
	const bool again = *e->name;
	const char *text;

	if (!again)
		name_event(e);
	fl_json_object_begin(json);
	if (again)
		write_series(e, json);
	else
		write_event(events, e, json);
	fl_json_object_end(json);
	text = fl_json_text(json, NULL);
	if (!text)
		return -ENOMEM;
	e->written_count = e->count;
	return ask(events, e, again ? STEP_SERIES : STEP_CREATE, text);
}

static int begin(struct fl_kube_events *events, struct kept_event *e)
{
	if (strcmp(e->about.kind, "Node"))
		return ask(events, e, STEP_LOOKUP, NULL);
	return write_current(events, e);
}

/* How it ends */

/* The next time an Event is made, not a series written. */
static void begin_anew(struct kept_event *e)
{
	e->name[0] = '\0';
	e->written_count = 0;
}

static void set_trouble(struct fl_kube_events *events, const struct fl_kube_reply *reply)
{
	struct fl_kube_status status;

	if (reply->end != FL_KUBE_ANSWERED) {
		snprintf(events->trouble, sizeof(events->trouble), "%s", reply->why);
		return;
	}
	status = fl_kube_status_parse(reply->body, reply->body_len, reply->status);
	snprintf(events->trouble, sizeof(events->trouble), "HTTP %ld%s%s", reply->status,
		 *status.message ? ": " : "", status.message);
}

static void wait_a_while(struct fl_kube_events *events, const struct fl_kube_reply *reply)
{
	const struct fl_mono now = fl_clock_now(&events->options.clock);
	/* its name makes nodes differ well enough: this is not what a server waits for */
	uint64_t ms = fl_backoff_delay(&events->backoff, now, (uint32_t)now.ns);

	if (reply->retry_after_ms > ms)
		ms = reply->retry_after_ms;
	events->wait_until = fl_mono_plus_ms(now, ms);
}

static void fails(struct fl_kube_events *events, struct kept_event *e,
		  const struct fl_kube_reply *reply)
{
	const bool answered = reply->end == FL_KUBE_ANSWERED;
	const bool unfit = answered && (reply->status == 400 || reply->status == 422);

	set_trouble(events, reply);
	wait_a_while(events, reply);
	/* it is not written yet */
	if (events->step == STEP_CREATE)
		begin_anew(e);
	else
		e->written_count = 0;
	/* a server that is away is no fault of the Event */
	if (unfit || (answered && ++e->attempts >= ATTEMPTS)) {
		events->counts.lost++;
		drop(events, e);
	} else {
		to_the_end(events, e);
	}
}

/* false: there is no such Service (any more), or what was said makes no sense. */
static bool take_uid(struct fl_kube_events *events, struct kept_event *e)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_value *object;
	const char *uid;

	if (!events->found ||
	    fl_doc_parse(events->found, events->found_len, FL_DOC_JSON, &doc, NULL))
		return false;
	object = fl_value_first(fl_value_get(fl_doc_root(doc), "items"));
	uid = fl_value_string(fl_value_get(fl_value_get(object, "metadata"), "uid"));
	if (!uid || !*uid || strlen(uid) > UID_MAX_LEN)
		return false;
	/* another one of that name has Events of its own */
	if (strcmp(e->uid, uid)) {
		begin_anew(e);
		e->count = 1;
		e->first_unix_ns = e->last_unix_ns;
	}
	snprintf(e->uid, sizeof(e->uid), "%s", uid);
	return true;
}

static void succeeds(struct fl_kube_events *events, struct kept_event *e)
{
	events->trouble[0] = '\0';
	if (events->step == STEP_LOOKUP) {
		if (!take_uid(events, e) || write_current(events, e))
			drop(events, e);
		return;
	}
	e->attempts = 0;
	e->written = fl_clock_now(&events->options.clock);
	events->counts.written++;
}

static void on_done(const struct fl_kube_reply *reply, void *arg)
{
	struct fl_kube_events *events = arg;
	struct kept_event *e = TAKE_PTR(events->current);
	const bool answered = reply->end == FL_KUBE_ANSWERED;

	events->request = NULL;
	if (answered && (reply->status == 200 || reply->status == 201))
		succeeds(events, e);
	else if (answered && events->step == STEP_CREATE && reply->status == 409)
		succeeds(events, e); /* an attempt whose answer was lost */
	else if (answered && events->step == STEP_SERIES && reply->status == 404)
		begin_anew(e); /* the server keeps Events for an hour or so */
	else
		fails(events, e, reply);
}

/* When */

static void refill(struct fl_kube_events *events, struct fl_mono now)
{
	while (fl_mono_ms_between(events->refilled, now) >= FL_KUBE_EVENTS_EVERY_MS) {
		events->refilled = fl_mono_plus_ms(events->refilled, FL_KUBE_EVENTS_EVERY_MS);
		if (events->tokens == FL_KUBE_EVENTS_BURST)
			events->refilled = now;
		else
			events->tokens++;
	}
}

static void forget_old(struct fl_kube_events *events, struct fl_mono now)
{
	for (size_t i = events->n; i--;) {
		const struct kept_event *e = events->entries[i];

		if (e != events->current && is_written(e) &&
		    fl_mono_ms_between(e->last, now) >= FL_KUBE_EVENTS_FORGET_MS)
			kept_event_free(take_out(events, i));
	}
}

static bool is_due(const struct kept_event *e, struct fl_mono now)
{
	if (is_written(e))
		return false;
	return e->written_count <= 1 ||
	       fl_mono_ms_between(e->written, now) >= FL_KUBE_EVENTS_SERIES_MS;
}

void fl_kube_events_tick(struct fl_kube_events *events)
{
	const struct fl_mono now = fl_clock_now(&events->options.clock);

	refill(events, now);
	forget_old(events, now);
	if (events->current || !events->tokens || now.ns < events->wait_until.ns)
		return;
	for (size_t i = 0; i < events->n; i++) {
		if (!is_due(events->entries[i], now))
			continue;
		events->tokens--;
		if (begin(events, events->entries[i])) {
			events->counts.lost++;
			drop(events, events->entries[i]);
		}
		return;
	}
}

const char *fl_kube_events_trouble(const struct fl_kube_events *events)
{
	return events->trouble[0] ? events->trouble : NULL;
}

bool fl_kube_events_busy(const struct fl_kube_events *events)
{
	return events->current;
}

struct fl_kube_events_counts fl_kube_events_count(const struct fl_kube_events *events)
{
	return events->counts;
}
