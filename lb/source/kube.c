/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The API server as a source: a watch for each kind, one client, and what is said of them. */
#include "lb/source/kube.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/base/strings.h"
#include "lb/source/kube_keep.h"
#include "lb/source/kube_kind.h"

enum {
	SERVICES,
	SLICES,
	NODES,
	PODS, /* last: only where host ports are served */
	KINDS,
};
#define SILENT_MS 1000	  /* nothing was listed for so long: what was kept is served */
#define TALKING_TIMES 6	  /* a server that tells something gets so many times as long */
#define ORDER 0x7fffffffu /* behind every manifest */

/* 1.4: a Service with the label is another proxy's; slices of headless Services are nobody's. */
static const struct {
	enum fl_kind kind;
	const char *name, *path, *labels;
} kind_table[KINDS] = {
	[SERVICES] = {FL_KIND_SERVICE, "services", "/api/v1/services",
		      "!service.kubernetes.io/service-proxy-name"},
	[SLICES] = {FL_KIND_SLICE, "endpointslices", "/apis/discovery.k8s.io/v1/endpointslices",
		    "!service.kubernetes.io/headless"},
	[NODES] = {FL_KIND_NODE, "nodes", "/api/v1/nodes", NULL},
	[PODS] = {FL_KIND_POD, "pods", "/api/v1/pods", NULL},
};

#define STATE "state" /* subject of the condition about what is kept */

struct fl_kube_source {
	struct fl_source source;
	struct fl_kube_source_options options;
	struct fl_kube_access access;
	struct fl_kube_client *client;
	char *server;		   /* as it is called in messages */
	char *own_node, *own_pods; /* field selectors */
	struct fl_kube_kind kinds[KINDS];
	size_t n_kinds;
	bool open;		   /* all kinds have been listed, and have taken effect */
	struct fl_kube_keep *keep; /* NULL: nothing is kept */
	bool from_state;	   /* what is in the store is what was kept */
	struct fl_mono node_until; /* the lists wait for our Node until then; ns 0: they do not */
};

static struct fl_kube_source *kube_source(struct fl_source *source)
{
	return (struct fl_kube_source *)source;
}

static bool all_are_whole(const struct fl_kube_source *s)
{
	for (size_t i = 0; i < s->n_kinds; i++)
		if (!s->kinds[i].is_whole)
			return false;
	return true;
}

/* Our Node, of the list that waits or of another source; NULL: there is none yet. */
static const struct fl_node *find_node(const struct fl_kube_source *s)
{
	const struct fl_object_key key = {FL_KIND_NODE, "", s->options.node};
	const struct fl_kube_listed *listed = fl_kube_kind_waiting(&s->kinds[NODES], &key);

	return listed && listed->as == FL_KUBE_LISTED_NEW ? listed->object.node
							  : fl_store_node(s->options.store);
}

/* 10.11: a node that is served before its Node is known would get masquerading and zones wrong. */
static bool waits_for_node(struct fl_kube_source *s)
{
	const struct fl_node *node = find_node(s);
	const struct fl_mono now = fl_mono_now();

	if (node && (!s->options.pod_cidrs || node->n_pod_cidrs))
		return false;
	if (!s->node_until.ns)
		s->node_until = fl_mono_plus_ms(now, s->options.node_wait_ms);
	return s->options.pod_cidrs || now.ns < s->node_until.ns;
}

/* 10.3: the first lists take effect together. */
static int on_whole(void *arg)
{
	struct fl_kube_source *s = arg;
	int r = 0;

	if (!s->open && (!all_are_whole(s) || waits_for_node(s)))
		return 0;
	s->open = true;
	s->from_state = false;
	fl_health_clear(s->options.health, FL_CONDITION_API, STATE);
	s->node_until = (struct fl_mono){0};
	/* the node first: the others are planned with it */
	for (size_t i = s->n_kinds; i--;) {
		const int failed = s->kinds[i].is_whole ? fl_kube_kind_apply(&s->kinds[i]) : 0;

		r = r ? r : failed;
	}
	return r;
}

static void say_waiting(struct fl_kube_source *s)
{
	if (s->options.pod_cidrs)
		fl_health_set(s->options.health, FL_CONDITION_API, "nodes", FL_HEALTH_ERROR,
			      "%s has no Node named %s with podCIDRs yet, which detectLocalMode "
			      "NodeCIDR needs: nothing of it is served before",
			      s->server, s->options.node);
	else
		fl_health_set(s->options.health, FL_CONDITION_API, "nodes", FL_HEALTH_ERROR,
			      "%s has no Node named %s yet: waiting for it, for %llu s at most",
			      s->server, s->options.node,
			      (unsigned long long)s->options.node_wait_ms / 1000);
}

static bool has_own_node(const struct fl_kube_source *s)
{
	const struct fl_object_key key = {FL_KIND_NODE, "", s->options.node};

	return fl_definitions_has(&s->kinds[NODES].definer, &key);
}

static void update_condition(struct fl_kube_source *s, size_t i)
{
	const struct fl_kube_kind *kind = &s->kinds[i];
	const char *trouble = fl_kube_watch_trouble(kind->watch), *name = kind_table[i].name;

	if (trouble && (s->open || s->from_state))
		fl_health_set(s->options.health, FL_CONDITION_API, name, FL_HEALTH_WARNING,
			      "%s of %s may be out of date: %s; what was read last stays", name,
			      s->server, trouble);
	else if (trouble)
		fl_health_set(s->options.health, FL_CONDITION_API, name, FL_HEALTH_ERROR,
			      "%s of %s are not known yet: %s", name, s->server, trouble);
	else if (!s->open && kind->kind == FL_KIND_NODE && s->node_until.ns)
		say_waiting(s);
	else if (s->open && kind->kind == FL_KIND_NODE && !has_own_node(s))
		fl_health_set(s->options.health, FL_CONDITION_API, name, FL_HEALTH_WARNING,
			      "%s has no Node named %s: no zone, no node addresses known (give "
			      "--node)",
			      s->server, s->options.node);
	else
		fl_health_clear(s->options.health, FL_CONDITION_API, name);
}

/* 11.8: the API servers are the endpoints of their own Service. */
static void add_places(const struct fl_slice *slice, struct fl_strings *places)
{
	const char *const brackets[] = {slice->family == FL_IPV6 ? "[" : "",
					slice->family == FL_IPV6 ? "]" : ""};
	char ip[FL_IP_STRLEN], *text;

	for (size_t i = 0; i < slice->n_endpoints && slice->n_ports; i++) {
		if (!slice->endpoints[i].ready)
			continue;
		fl_ip_format(&slice->endpoints[i].ip, ip);
		if (asprintf(&text, "%s%s%s:%u", brackets[0], ip, brackets[1],
			     slice->ports[0].port) < 0)
			text = NULL;
		if (fl_strings_add(places, text)) /* no memory: what is known will do */
			return;
	}
}

static void learn_places(struct fl_kube_source *s)
{
	struct fl_strings places = {0};
	const struct fl_slice *const *slices;
	size_t n = 0;

	slices = fl_store_slices(s->options.store, "default", "kubernetes", &n);
	for (size_t i = 0; i < n; i++)
		add_places(slices[i], &places);
	fl_kube_client_learn(s->client, (const char *const *)places.items, places.n);
	fl_strings_clear(&places);
}

/* The Node has come, or the time is over. */
static void open_late(struct fl_kube_source *s)
{
	if (s->open || !s->node_until.ns || !on_whole(s))
		return;
	for (size_t i = 0; i < s->n_kinds; i++)
		fl_kube_watch_relist(s->kinds[i].watch);
}

static struct fl_mono keep_state(struct fl_kube_source *s, struct fl_mono now)
{
	const struct fl_mono due = fl_kube_keep_turn(s->keep, now);
	const char *trouble = fl_kube_keep_trouble(s->keep);

	if (trouble)
		fl_health_set(s->options.health, FL_CONDITION_API, STATE, FL_HEALTH_WARNING,
			      "what is known is not kept: %s", trouble);
	else
		fl_health_clear(s->options.health, FL_CONDITION_API, STATE);
	return due;
}

/* What has become due, and when that will be again. */
static void turn(struct fl_kube_source *s)
{
	struct fl_mono wake = {0}, now;

	fl_kube_client_handle(s->client);
	learn_places(s);
	now = fl_mono_now();
	open_late(s);
	for (size_t i = 0; i < s->n_kinds; i++) {
		struct fl_kube_kind *kind = &s->kinds[i];

		if (kind->definer.stale) {
			kind->definer.stale = false;
			fl_kube_watch_relist(kind->watch);
		}
		fl_kube_watch_tick(kind->watch, now);
		fl_kube_kind_report_displaced(kind);
		update_condition(s, i);
	}
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct fl_mono due = fl_kube_watch_due(s->kinds[i].watch);

		if (due.ns && (!wake.ns || due.ns < wake.ns))
			wake = due;
	}
	if (s->node_until.ns && !s->options.pod_cidrs && (!wake.ns || s->node_until.ns < wake.ns))
		wake = s->node_until;
	if (s->keep && s->open) {
		const struct fl_mono due = keep_state(s, now);

		if (due.ns && (!wake.ns || due.ns < wake.ns))
			wake = due;
	}
	fl_kube_client_wake(s->client, wake);
}

/* No use in waiting: a kind that is missing has been asked for in vain, or a Node may be long in
 * coming. */
static bool is_hopeless(const struct fl_kube_source *s)
{
	if (s->node_until.ns)
		return true;
	for (size_t i = 0; i < s->n_kinds; i++)
		if (!s->kinds[i].is_whole && fl_kube_watch_has_failed(s->kinds[i].watch))
			return true;
	return false;
}

static void wait_for_lists(struct fl_kube_source *s, uint64_t ms)
{
	struct pollfd fd = {.fd = fl_kube_client_fd(s->client), .events = POLLIN};
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), ms);

	while (!s->open && !is_hopeless(s)) {
		const uint64_t left_ms = fl_mono_ms_between(fl_mono_now(), until);

		if (!left_ms || (poll(&fd, 1, (int)left_ms) < 0 && errno != EINTR))
			break;
		turn(s);
	}
}

static uint64_t count_heard(const struct fl_kube_source *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n_kinds; i++)
		n += fl_kube_watch_counts(s->kinds[i].watch)->events;
	return n;
}

/* While the server tells what is so now, there is no going back to what was: the maps may have more
 * of it than what was kept. */
static void wait_while_heard(struct fl_kube_source *s, uint64_t ms)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), ms);
	uint64_t heard, left_ms = ms;

	do {
		heard = count_heard(s);
		wait_for_lists(s, left_ms < SILENT_MS ? left_ms : SILENT_MS);
		left_ms = fl_mono_ms_between(fl_mono_now(), until);
	} while (!s->open && left_ms && count_heard(s) != heard);
}

static int on_kept(const struct fl_value *object, void *arg)
{
	struct fl_kube_source *s = arg;
	const char *kind = fl_value_string(fl_value_get(object, "kind"));

	for (size_t i = 0; i < s->n_kinds; i++)
		if (kind && !strcmp(fl_kind_name(s->kinds[i].kind), kind))
			return fl_kube_kind_sink.listed(object, &s->kinds[i]);
	return 0;
}

static void say_old(struct fl_kube_source *s, int64_t unix_s)
{
	const time_t t = (time_t)unix_s;
	struct tm tm = {0};
	char text[40] = "?";

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	fl_health_set(s->options.health, FL_CONDITION_API, STATE, FL_HEALTH_WARNING,
		      "served is what %s said at %s, as kept in %s: it has not been reached since",
		      s->server, text, s->options.state);
}

/* What was kept takes the place of lists. Those that are under way go on. */
static void take_state(struct fl_kube_source *s)
{
	const struct fl_kept_owner owner = {s->options.node, s->server};
	struct fl_kube_aside aside[KINDS];
	struct fl_err err = {""};
	int64_t unix_s = 0;
	int r;

	for (size_t i = 0; i < s->n_kinds; i++)
		aside[i] = fl_kube_kind_put_aside(&s->kinds[i]);
	r = fl_kept_read(s->options.state, &owner, on_kept, s, &unix_s, &err);
	for (size_t i = s->n_kinds; i-- && !r;)
		r = fl_kube_kind_apply(&s->kinds[i]);
	for (size_t i = 0; i < s->n_kinds; i++)
		fl_kube_kind_put_back(&s->kinds[i], &aside[i]);
	s->from_state = !r;
	if (!r)
		say_old(s, unix_s);
	else if (r != -ENOENT)
		fl_health_set(s->options.health, FL_CONDITION_API, STATE, FL_HEALTH_WARNING,
			      "what was kept is not used: %s",
			      err.text[0] ? err.text : strerror(-r));
}

static int source_load(struct fl_source *source, struct fl_err *err)
{
	struct fl_kube_source *s = kube_source(source);

	turn(s);
	if (s->options.state) {
		wait_while_heard(s, s->options.load_ms * TALKING_TIMES);
		if (!s->open)
			take_state(s);
		if (s->from_state) {
			turn(s);
			return 0;
		}
	}
	wait_for_lists(s, s->options.load_ms);
	return 0;
}

static int source_fd(const struct fl_source *source)
{
	return fl_kube_client_fd(((const struct fl_kube_source *)source)->client);
}

static int source_handle(struct fl_source *source, struct fl_err *err)
{
	turn(kube_source(source));
	return 0;
}

static int source_apply_held(struct fl_source *source, struct fl_err *err)
{
	struct fl_kube_source *s = kube_source(source);

	for (size_t i = 0; i < s->n_kinds; i++)
		fl_kube_watch_hurry(s->kinds[i].watch);
	turn(s);
	return 0;
}

static bool source_complete(const struct fl_source *source)
{
	return ((const struct fl_kube_source *)source)->open;
}

static int source_each_unread(const struct fl_source *source, fl_unread_fn fn, void *arg)
{
	const struct fl_kube_source *s = (const struct fl_kube_source *)source;
	int r = 0;

	for (size_t i = 0; i < s->n_kinds; i++)
		fl_kube_kind_each_unread(&s->kinds[i], fn, arg, &r);
	return r;
}

static void source_each_problem(const struct fl_source *source, fl_problem_fn fn, void *arg)
{
	const struct fl_kube_source *s = (const struct fl_kube_source *)source;

	for (size_t i = 0; i < s->n_kinds; i++)
		fl_kube_kind_each_problem(&s->kinds[i], fn, arg);
}

static void source_each_followed(const struct fl_source *source, fl_followed_fn fn, void *arg)
{
	const struct fl_kube_source *s = (const struct fl_kube_source *)source;

	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct fl_kube_watch *watch = s->kinds[i].watch;
		const struct fl_kube_watch_counts *counts = fl_kube_watch_counts(watch);

		fn(&(struct fl_followed){.resource = kind_table[i].name,
					 .current = s->open && !fl_kube_watch_trouble(watch),
					 .lists = counts->lists,
					 .watches = counts->watches,
					 .events = counts->events,
					 .failures = counts->failures},
		   arg);
	}
}

/* The store keeps what it has: an agent that ends must not unprogram anything on its way. */
static void source_free(struct fl_source *source)
{
	struct fl_kube_source *s = kube_source(source);

	fl_kube_keep_free(&s->keep);
	for (size_t i = 0; i < s->n_kinds; i++)
		fl_kube_kind_fini(&s->kinds[i]);
	fl_kube_client_free(&s->client);
	fl_kube_access_fini(&s->access);
	free(s->server);
	free(s->own_node);
	free(s->own_pods);
	free(s);
}

static void source_freep(struct fl_kube_source **s)
{
	if (*s)
		source_free(&(*s)->source);
}

static const struct fl_source_ops ops = {
	.load = source_load,
	.fd = source_fd,
	.handle = source_handle,
	.look = source_handle,
	.refresh = source_handle,
	.apply_held = source_apply_held,
	.complete = source_complete,
	.each_unread = source_each_unread,
	.each_problem = source_each_problem,
	.each_followed = source_each_followed,
	.free = source_free,
};

static int open_kind(struct fl_kube_source *s, size_t i)
{
	struct fl_kube_kind *kind = &s->kinds[i];
	const struct fl_kube_watch_options options = {
		.client = s->client,
		.path = kind_table[i].path,
		.labels = kind_table[i].labels,
		.fields = i == NODES && !s->options.all_nodes ? s->own_node
			  : i == PODS			      ? s->own_pods
							      : NULL,
		.sink = &fl_kube_kind_sink,
		.arg = kind,
		.watch_idle_ms = s->options.idle_ms,
		.list_idle_ms = s->options.idle_ms,
		.at_once_ms = s->options.at_once_ms,
	};

	*kind = (struct fl_kube_kind){
		.kind = kind_table[i].kind,
		.definitions = s->options.definitions,
		.report = s->options.report,
		.report_arg = s->options.arg,
		.whole = on_whole,
		.arg = s,
		.definer = {.path = kind_table[i].path, .order = ORDER},
	};
	return fl_kube_watch_new(&options, &kind->watch);
}

static int open_keep(struct fl_kube_source *s)
{
	struct fl_kube_keep_options options = {
		.path = s->options.state,
		.owner = {s->options.node, s->server},
		.store = s->options.store,
		.after_ms = s->options.keep_after_ms,
		.every_ms = s->options.keep_every_ms,
	};

	for (size_t i = 0; i < s->n_kinds; i++)
		options.definers[s->kinds[i].kind] = &s->kinds[i].definer;
	return fl_kube_keep_new(&options, &s->keep);
}

int fl_kube_source_new(struct fl_kube_access *access, const struct fl_kube_source_options *options,
		       struct fl_source **ret_source, struct fl_err *err)
{
	_cleanup_(source_freep) struct fl_kube_source *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s) {
		fl_kube_access_fini(access);
		return fl_err_set(err, -ENOMEM, "out of memory");
	}
	s->source.ops = &ops;
	s->options = *options;
	s->n_kinds = options->host_ports ? KINDS : PODS;
	s->access = *access;
	*access = (struct fl_kube_access){0};
	s->server = strdup(s->access.server);
	if (asprintf(&s->own_node, "metadata.name=%s", options->node) < 0)
		s->own_node = NULL;
	if (asprintf(&s->own_pods, "spec.nodeName=%s", options->node) < 0)
		s->own_pods = NULL;
	if (!s->server || !s->own_node || !s->own_pods)
		return fl_err_set(err, -ENOMEM, "out of memory");
	r = fl_kube_client_new(&s->access, &s->client, err);
	if (r)
		return r;
	for (size_t i = 0; i < s->n_kinds && !r; i++)
		r = open_kind(s, i);
	if (!r && options->state)
		r = open_keep(s);
	if (r)
		return fl_err_set(err, r, "out of memory");
	*ret_source = &TAKE_PTR(s)->source;
	return 0;
}

struct fl_kube_client *fl_kube_source_client(const struct fl_source *source)
{
	return ((const struct fl_kube_source *)source)->client;
}

int fl_kube_source_access(const char *kubeconfig, struct fl_kube_access *ret_access,
			  struct fl_err *err)
{
	if (kubeconfig)
		return fl_kubeconfig_read(kubeconfig, ret_access, err);
	return fl_kube_in_cluster(getenv("KUBERNETES_SERVICE_HOST"),
				  getenv("KUBERNETES_SERVICE_PORT"), FL_KUBE_SERVICE_ACCOUNT_DIR,
				  ret_access, err);
}
