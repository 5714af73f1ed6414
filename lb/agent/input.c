/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The objects and the node among them; faulty files and objects become conditions. */
#include "lb/agent/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/node_ports.h"
#include "lb/model/review.h"
#include "lb/source/manifest.h"

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

int fl_input_init(struct fl_input *input, const struct fl_settings *settings,
		  struct fl_health *health, struct fl_err *err)
{
	struct fl_manifest_options options = {
		.paths = (const char *const *)settings->manifests.items,
		.n_paths = settings->manifests.n,
		.follow = true,
		.grace_ms = (uint64_t)settings->manifest_grace_s * 1000,
		.report = on_problem,
		.arg = input,
	};
	int r;

	*input = (struct fl_input){.settings = settings, .health = health};
	r = fl_store_new(settings->node, &input->store);
	if (r)
		return fl_err_set(err, r, "out of memory");
	options.store = input->store;
	r = fl_manifest_new(&options, &input->source, err);
	if (!r)
		fl_input_update_node(input);
	return r;
}

void fl_input_fini(struct fl_input *input)
{
	fl_source_free(&input->source);
	fl_store_free(&input->store);
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

void fl_input_refresh(struct fl_input *input)
{
	struct fl_err err = {""};
	int r = fl_source_refresh(input->source, &err);

	update_conditions(input, r, &err);
}

/* What only shows in all objects together */

struct names {
	struct fl_input *input;
	bool any, ours; /* some endpoint has a node's name, has this node's */
};

static void look_for_node(const struct fl_slice *slice, struct names *names)
{
	const char *node = fl_store_node_name(names->input->store);

	for (size_t i = 0; i < slice->n_endpoints && !names->ours; i++) {
		const char *name = slice->endpoints[i].node_name;

		names->any |= *name != '\0';
		names->ours = !strcmp(name, node);
	}
}

static int review_name(const char *ns, const char *name, void *arg)
{
	struct names *names = arg;
	const struct fl_store *store = names->input->store;
	_cleanup_free_ char *subject = NULL, *text = NULL;
	const struct fl_slice *const *slices;
	size_t n;

	slices = fl_store_slices(store, ns, name, &n);
	for (size_t i = 0; i < n && !names->ours; i++)
		look_for_node(slices[i], names);
	if (fl_store_service(store, ns, name))
		return 0;
	fl_review(ns, name, NULL, slices, n, NULL, &text);
	if (text && asprintf(&subject, "%s/%s", ns, name) < 0)
		subject = NULL;
	if (text && subject)
		fl_health_set(names->input->health, FL_CONDITION_SLICES, subject, FL_HEALTH_WARNING,
			      "%s", text);
	return 0;
}

void fl_input_review(struct fl_input *input)
{
	struct names names = {.input = input};
	struct fl_health *health = input->health;

	fl_health_scan_begin(health, FL_CONDITION_SLICES);
	fl_store_each_name(input->store, review_name, &names);
	fl_health_scan_end(health, FL_CONDITION_SLICES);
	/* where endpoints have no nodes' names there is nothing to compare with */
	if (fl_store_node(input->store) || names.ours || !names.any)
		fl_health_clear(health, FL_CONDITION_NODE, "");
	else
		fl_health_set(health, FL_CONDITION_NODE, "", FL_HEALTH_WARNING,
			      "no Node object and no endpoint has this node's name, %s: every "
			      "backend counts as one of another node (give --node)",
			      fl_store_node_name(input->store));
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
	if (changed)
		fl_store_mark_all(input->store);
	return changed;
}
