/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The objects and the node among them; faulty files and objects become conditions. */
#include "lb/agent/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/detect.h"
#include "lb/model/node_ports.h"
#include "lb/model/review.h"
#include "lb/source/kube.h"
#include "lb/source/manifest.h"
#include "lb/source/several.h"

#define API_LOAD_MS 5000   /* how long a silent API server keeps the agent from starting */
#define NODE_WAIT_MS 30000 /* 10.11: as long as kube-proxy waits for the Node's addresses */

/* All but notes become conditions when the reading is done. */
static void on_problem(const struct fl_problem *p, void *arg)
{
	struct fl_input *input = arg;
	_cleanup_free_ char *text = NULL;

	if (p->level != FL_PROBLEM_NOTE) {
		input->news = true;
		return;
	}
	text = fl_problem_text(p, false);
	if (text)
		fl_log_debug("%s", text);
}

static int open_manifests(struct fl_input *input, struct fl_source **ret_source, struct fl_err *err)
{
	const struct fl_settings *settings = input->settings;
	const struct fl_manifest_options options = {
		.paths = (const char *const *)settings->manifests.items,
		.n_paths = settings->manifests.n,
		.store = input->store,
		.definitions = input->definitions,
		.host_ports = settings->host_ports,
		.follow = true,
		.grace_ms = (uint64_t)settings->manifest_grace_s * 1000,
		.report = on_problem,
		.arg = input,
	};

	return fl_manifest_new(&options, ret_source, err);
}

bool fl_input_has_api(const struct fl_input *input)
{
	return input->settings->kubeconfig || input->settings->in_cluster;
}

static bool has_mode(const struct fl_settings *settings, enum fl_detect_mode wanted)
{
	enum fl_detect_mode mode;

	return settings->detect_mode && !fl_detect_mode_parse(settings->detect_mode, &mode) &&
	       mode == wanted;
}

/* Trouble with it is told when something is to be written there. */
static const char *open_state_dir(struct fl_input *input)
{
	const char *dir = input->settings->state_dir;

	if (!dir || input->settings->once || asprintf(&input->state, "%s/api-state", dir) < 0) {
		input->state = NULL;
		return NULL;
	}
	if (mkdir(dir, 0700) && errno != EEXIST)
		fl_log_warn("cannot make %s: %s", dir, strerror(errno));
	return input->state;
}

static int open_api(struct fl_input *input, struct fl_source **ret_source, struct fl_err *err)
{
	struct fl_kube_source_options options = {
		.store = input->store,
		.definitions = input->definitions,
		.node = input->settings->node,
		.health = input->health,
		.load_ms = API_LOAD_MS,
		.node_wait_ms = input->settings->once ? 0 : NODE_WAIT_MS,
		.pod_cidrs = has_mode(input->settings, FL_DETECT_NODE_CIDR),
		.host_ports = input->settings->host_ports,
		.all_nodes = input->settings->forwarding != FL_FORWARDING_SNAT ||
			     input->settings->dispatch == FL_DISPATCH_GENEVE,
		.report = on_problem,
		.arg = input,
	};
	struct fl_kube_access access = {0};
	int r;

	options.state = open_state_dir(input);
	r = fl_kube_source_access(input->settings->kubeconfig, &access, err);
	for (size_t i = 0; i < input->settings->api_servers.n && !r; i++)
		if (fl_strings_add(&access.other_servers,
				   strdup(input->settings->api_servers.items[i])))
			r = fl_err_set(err, -ENOMEM, "out of memory");
	if (r)
		fl_kube_access_fini(&access);
	if (!r)
		r = fl_kube_source_new(&access, &options, ret_source, err);
	if (!r)
		input->client = fl_kube_source_client(*ret_source);
	return r;
}

static int open_sources(struct fl_input *input, struct fl_err *err)
{
	struct fl_source *sources[2] = {NULL};
	size_t n = 0;
	int r = 0;

	if (input->settings->manifests.n)
		r = open_manifests(input, &sources[n++], err);
	if (!r && fl_input_has_api(input))
		r = open_api(input, &sources[n++], err);
	if (!r && n > 1)
		return fl_several_new(sources, n, &input->source, err);
	if (!r)
		input->source = TAKE_PTR(sources[0]);
	for (size_t i = 0; i < n; i++)
		fl_source_free(&sources[i]);
	return r;
}

int fl_input_init(struct fl_input *input, const struct fl_settings *settings,
		  struct fl_health *health, struct fl_err *err)
{
	int r;

	*input = (struct fl_input){.settings = settings, .health = health};
	r = fl_store_new(settings->node, &input->store);
	if (!r)
		r = fl_definitions_new(input->store, &input->definitions);
	if (r)
		return fl_err_set(err, r, "out of memory");
	r = open_sources(input, err);
	if (!r)
		fl_input_update_node(input);
	return r;
}

void fl_input_fini(struct fl_input *input)
{
	fl_source_free(&input->source);
	fl_definitions_free(&input->definitions);
	fl_store_free(&input->store);
	free(input->state);
	input->state = NULL;
}

/*
 * What a problem is about, so that it stays the same one when lines above it come and go: "FILE:
 * OBJECT: FIELD". Where the object is not known the line has to do.
 */
static char *subject_of(const struct fl_problem *p)
{
	const char *colon = strstr(p->reason, ": ");
	char line[16] = "", *subject;

	if (!*p->object && p->line)
		snprintf(line, sizeof(line), ":%u", p->line);
	if (asprintf(&subject, "%s%s: %s%s%.*s", p->file, line, p->object, *p->object ? ": " : "",
		     colon ? (int)(colon - p->reason) : (int)strlen(p->reason), p->reason) < 0)
		return NULL;
	return subject;
}

static void add_problem(const struct fl_problem *p, void *arg)
{
	_cleanup_free_ char *subject = NULL, *text = NULL;

	if (p->level == FL_PROBLEM_NOTE)
		return;
	subject = subject_of(p);
	text = fl_problem_text(p, false);
	if (subject && text)
		fl_health_set(arg, FL_CONDITION_OBJECT, subject,
			      p->level == FL_PROBLEM_ERROR ? FL_HEALTH_ERROR : FL_HEALTH_WARNING,
			      "%s", text);
}

static void update_conditions(struct fl_input *input, int rc, const struct fl_err *err)
{
	struct fl_health *health = input->health;

	if (rc)
		fl_health_set(health, FL_CONDITION_INPUT, "read", FL_HEALTH_ERROR,
			      "cannot read the manifests: %s",
			      err->text[0] ? err->text : strerror(-rc));
	else
		fl_health_clear(health, FL_CONDITION_INPUT, "read");
	/* a walk over all files only when there is, or was, something to find */
	if (!input->news && !fl_health_has(health, FL_CONDITION_OBJECT))
		return;
	input->news = false;
	fl_health_scan_begin(health, FL_CONDITION_OBJECT);
	fl_source_each_problem(input->source, add_problem, health);
	fl_health_scan_end(health, FL_CONDITION_OBJECT);
}

int fl_input_load(struct fl_input *input, struct fl_err *err)
{
	int r = fl_source_load(input->source, err);

	if (r)
		return r;
	update_conditions(input, 0, NULL);
	fl_input_review(input);
	fl_input_update_node(input);
	fl_store_mark_all(input->store);
	return 0;
}

void fl_input_handle(struct fl_input *input)
{
	struct fl_err err = {""};
	int r = fl_source_handle(input->source, &err);

	update_conditions(input, r, &err);
}

void fl_input_look(struct fl_input *input)
{
	struct fl_err err = {""};
	int r = fl_source_look(input->source, &err);

	update_conditions(input, r, &err);
}

void fl_input_refresh(struct fl_input *input)
{
	struct fl_err err = {""};
	int r = fl_source_refresh(input->source, &err);

	update_conditions(input, r, &err);
}

/* What only shows in all objects together */

static int review_unserved(const char *ns, const char *name, const struct fl_slice *const *slices,
			   size_t n, void *arg)
{
	_cleanup_free_ char *subject = NULL, *text = NULL;

	fl_review(ns, name, NULL, slices, n, NULL, &text);
	if (text && asprintf(&subject, "%s/%s", ns, name) < 0)
		subject = NULL;
	if (text && subject)
		fl_health_set(arg, FL_CONDITION_SLICES, subject, FL_HEALTH_WARNING, "%s", text);
	return 0;
}

/* The Node's coming and going is no change of the store. */
static uint64_t changes_of(const struct fl_store *store)
{
	return 1 + (fl_store_node(store) != NULL) +
	       2 * (fl_store_changes(store, FL_KIND_SERVICE) +
		    fl_store_changes(store, FL_KIND_SLICE));
}

void fl_input_review(struct fl_input *input)
{
	const struct fl_store *store = input->store;
	struct fl_health *health = input->health;

	if (input->reviewed == changes_of(store))
		return;
	input->reviewed = changes_of(store);
	fl_health_scan_begin(health, FL_CONDITION_SLICES);
	/* of an API server's Services we do not see those that are another proxy's (1.3) */
	if (!fl_input_has_api(input))
		fl_store_each_unserved(store, review_unserved, health);
	fl_health_scan_end(health, FL_CONDITION_SLICES);
	/* where endpoints have no nodes' names there is nothing to compare with */
	if (fl_store_node(store) || fl_store_count_named(store, true) ||
	    !fl_store_count_named(store, false))
		fl_health_clear(health, FL_CONDITION_NODE, "");
	else
		fl_health_set(health, FL_CONDITION_NODE, "", FL_HEALTH_WARNING,
			      "no Node object and no endpoint has this node's name, %s: every "
			      "backend counts as one of another node (give --node)",
			      fl_store_node_name(store));
}

void fl_input_apply_held(struct fl_input *input)
{
	struct fl_err err = {""};
	int r = fl_source_apply_held(input->source, &err);

	update_conditions(input, r, &err);
}

bool fl_input_update_node(struct fl_input *input)
{
	const struct fl_settings *s = input->settings;
	const struct fl_node *node = fl_store_node(input->store);
	struct fl_ip ips[FL_FAMILIES], bind;
	bool has_bind = s->bind_address && *s->bind_address &&
			!fl_ip_parse(s->bind_address, &bind) && !fl_ip_is_unspecified(&bind);
	size_t n = fl_node_ips(node, has_bind ? &bind : NULL, ips);
	bool changed = n != input->n_node_ips || memcmp(ips, input->node_ips, n * sizeof(ips[0]));

	memcpy(input->node_ips, ips, n * sizeof(ips[0]));
	input->n_node_ips = n;
	input->node_seen |= node != NULL;
	input->plan_options = fl_plan_options_of(input->store);
	input->plan_options.node_hints = s->node_hints;
	input->plan_options.no_external_ips = !s->external_ips;
	input->plan_options.node_ips = input->node_ips;
	input->plan_options.n_node_ips = n;
	input->plan_options.reset_removed = s->reset_removed;
	input->plan_options.forwarding = s->forwarding;
	if (s->dispatch == FL_DISPATCH_GENEVE)
		input->plan_options.nodes = fl_store_nodes(input->store);
	input->plan_options.drains = input->drains;
	if (changed)
		fl_store_mark_all(input->store);
	return changed;
}
