/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changes of the set of drained backends, and what they mean for the Services there are. */
#include "lb/agent/drains.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/drains_file.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/plan_store.h"

#define OF_FILE "file" /* subject of the condition about it */

static void drains_finip(struct fl_drains *drains)
{
	fl_drains_fini(drains);
}

/* The file */

static void say_not_kept(const struct fl_agent_drains *drains, const struct fl_err *err)
{
	fl_health_set(drains->health, FL_CONDITION_DRAINS, OF_FILE, FL_HEALTH_WARNING,
		      "a restart will forget which backends are drained: %s", err->text);
}

/* 0, or why it is not kept. */
static int keep(struct fl_agent_drains *drains, struct fl_err *err)
{
	int r = 0;

	if (drains->dir)
		r = fl_drains_write(drains->dir, drains->node, &drains->set,
				    drains->clock.unix_s(drains->clock.arg), err);
	else if (drains->set.n)
		r = fl_err_set(err, -ENOENT, "there is no stateDir");
	drains->unwritten = r != 0;
	if (r)
		say_not_kept(drains, err);
	else
		fl_health_clear(drains->health, FL_CONDITION_DRAINS, OF_FILE);
	return r;
}

int fl_agent_drains_open(struct fl_agent_drains *drains, const char *dir, const char *node,
			 struct fl_store *store, struct fl_health *health)
{
	struct fl_err err = {""};
	int r;

	*drains = (struct fl_agent_drains){.dir = dir,
					   .node = node,
					   .store = store,
					   .health = health,
					   .clock = fl_clock_system,
					   .review = true};
	r = dir ? fl_drains_read(dir, node, &drains->set, &err) : 0;
	if (r == -ENOMEM)
		return r;
	if (r && r != -ENOENT)
		fl_health_set(health, FL_CONDITION_DRAINS, OF_FILE, FL_HEALTH_WARNING,
			      "which backends were drained is not known, so none is: %s; drain "
			      "them again, or say `fairlead backend undrain --all`",
			      err.text);
	return 0;
}

void fl_agent_drains_close(struct fl_agent_drains *drains)
{
	fl_drains_fini(&drains->set);
}

/* Walks over the endpoints of all slices */

struct endpoint_at {
	const struct fl_slice *slice;
	const struct fl_endpoint *endpoint;
	const struct fl_slice_port *port;
};

struct endpoint_walk {
	const struct fl_store *store;
	void (*fn)(const struct endpoint_at *at, void *arg);
	void *arg;
};

static void walk_slice(const struct fl_slice *slice, const struct endpoint_walk *walk)
{
	for (size_t i = 0; i < slice->n_ports; i++)
		for (size_t k = 0; k < slice->n_endpoints; k++)
			walk->fn(&(struct endpoint_at){slice, &slice->endpoints[k],
						       &slice->ports[i]},
				 walk->arg);
}

static int walk_name(const char *ns, const char *name, void *arg)
{
	const struct endpoint_walk *walk = arg;
	size_t n;
	const struct fl_slice *const *slices = fl_store_slices(walk->store, ns, name, &n);

	for (size_t i = 0; i < n; i++)
		walk_slice(slices[i], walk);
	return 0;
}

static void each_endpoint(const struct fl_store *store,
			  void (*fn)(const struct endpoint_at *at, void *arg), void *arg)
{
	struct endpoint_walk walk = {store, fn, arg};

	fl_store_each_name(store, walk_name, &walk);
}

/* Changing */

/* One that is in force, as walks need it. */
struct change {
	struct fl_agent_drains *drains;
	struct fl_api_drain_result *result;
	const struct fl_plan_options *options;
};

static int no_memory(struct fl_err *err)
{
	return fl_err_set(err, -ENOMEM, "out of memory");
}

static int drain_one(struct fl_drains *set, struct fl_api_drained *item, struct fl_err *err)
{
	const int r = fl_drains_add(set, &item->drain);

	item->changed = !r;
	if (r == -ENOSPC)
		return fl_err_set(err, r, "%d backends are drained, and no more can be",
				  FL_DRAINS_MAX);
	return r < 0 ? no_memory(err) : 0;
}

static int undrain_one(struct fl_drains *set, struct fl_api_drained *item, struct fl_err *err)
{
	char narrow[FL_DRAIN_STRLEN], wide[FL_DRAIN_STRLEN];
	const struct fl_drain *drain = &item->drain, *rest;

	item->changed = fl_drains_del(set, drain) > 0;
	rest = fl_drains_find(set, &drain->ip, drain->port, drain->proto);
	if (!rest)
		return 0;
	fl_drain_format(rest, wide);
	return fl_err_set(err, -EEXIST, "%s is drained with all of %s: undrain %s",
			  fl_drain_format(drain, narrow), wide, wide);
}

/* The items of the result, and in `set` what is wanted. */
static int make_items(const struct fl_agent_drains *drains,
		      const struct fl_api_drain_request *request, struct fl_drains *set,
		      struct fl_api_drain_result *result, struct fl_err *err)
{
	const size_t n = request->all ? set->n : request->n;
	const int64_t now = drains->clock.unix_s(drains->clock.arg);
	int r = 0;

	result->items = calloc(n + 1, sizeof(*result->items));
	if (!result->items)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		struct fl_api_drained *item = &result->items[result->n++];

		item->drain = request->all ? set->v[i] : request->drains[i];
		if (!request->all)
			item->drain.since_unix_s = now;
		item->changed = true;
	}
	if (request->all)
		set->n = 0;
	for (size_t i = 0; i < result->n && !request->all && !r; i++)
		r = request->undrain ? undrain_one(set, &result->items[i], err)
				     : drain_one(set, &result->items[i], err);
	return r;
}

/* Count it, and mark its Service if something has changed for it. */
static void look_at(const struct endpoint_at *at, void *arg)
{
	const struct change *change = arg;
	struct fl_api_drain_result *result = change->result;

	for (size_t i = 0; i < result->n; i++) {
		struct fl_api_drained *item = &result->items[i];

		if (!fl_drain_covers(&item->drain, &at->endpoint->ip, at->port->port,
				     at->port->proto))
			continue;
		item->n_endpoints++;
		item->n_weightless += !at->endpoint->weight;
		if (item->changed)
			fl_store_mark(change->drains->store, at->slice->ns, at->slice->service);
	}
}

/* Without memory it is not said. */
static void add_emptied(struct fl_api_drain_result *result, const struct fl_plan_port *port)
{
	char *text = NULL;

	if (asprintf(&text, "%s/%s%s%s", port->ns, port->name, *port->port_name ? ":" : "",
		     port->port_name) < 0)
		text = NULL;
	/* of the other family */
	for (size_t i = 0; text && i < result->emptied.n; i++) {
		if (!strcmp(result->emptied.items[i], text)) {
			free(text);
			return;
		}
	}
	(void)fl_strings_add(&result->emptied, text);
}

static bool is_touched(const struct fl_slice *const *slices, size_t n,
		       const struct fl_api_drain_result *result)
{
	for (size_t s = 0; s < n; s++)
		for (size_t k = 0; k < slices[s]->n_endpoints; k++)
			for (size_t i = 0; i < result->n; i++)
				if (fl_ip_equal(&slices[s]->endpoints[k].ip,
						&result->items[i].drain.ip))
					return true;
	return false;
}

/* Service ports that a drain leaves without any endpoint: nobody should learn it from clients. */
static int look_for_emptied(const char *ns, const char *name, void *arg)
{
	const struct change *change = arg;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	size_t n;
	const struct fl_slice *const *slices = fl_store_slices(change->drains->store, ns, name, &n);

	if (!is_touched(slices, n, change->result) ||
	    fl_plan_stored(change->drains->store, ns, name, change->options, &plan))
		return 0;
	for (size_t i = 0; i < plan.n_ports; i++)
		if (!plan.ports[i].has_any && plan.ports[i].reason.n_drained)
			add_emptied(change->result, &plan.ports[i]);
	return 0;
}

static void log_change(const struct fl_api_drained *item, bool undrain)
{
	char buf[FL_DRAIN_STRLEN];

	if (item->changed)
		fl_log_info("%s is %s by command (endpoints: %zu)",
			    fl_drain_format(&item->drain, buf),
			    undrain ? "no longer drained" : "drained", item->n_endpoints);
}

int fl_agent_drains_change(struct fl_agent_drains *drains,
			   const struct fl_api_drain_request *request,
			   const struct fl_plan_options *options,
			   struct fl_api_drain_result *ret_result, struct fl_err *err)
{
	_cleanup_(drains_finip) struct fl_drains set = {0};
	struct fl_api_drain_result result = {0};
	struct change change = {.drains = drains, .result = &result, .options = options};
	int r = fl_drains_copy(&drains->set, &set);

	if (r)
		return no_memory(err);
	r = make_items(drains, request, &set, &result, err);
	if (r) {
		fl_api_drain_result_fini(&result);
		return r;
	}
	fl_drains_fini(&drains->set);
	drains->set = set;
	set = (struct fl_drains){0};
	each_endpoint(drains->store, look_at, &change);
	if (!request->undrain)
		fl_store_each_name(drains->store, look_for_emptied, &change);
	for (size_t i = 0; i < result.n; i++)
		log_change(&result.items[i], request->undrain);
	result.kept = !keep(drains, &result.why);
	drains->review = true;
	*ret_result = result;
	return 0;
}

/* Reviewing */

struct known {
	const struct fl_drains *set;
	bool *is; /* by element of the set */
};

static void note_known(const struct endpoint_at *at, void *arg)
{
	struct known *known = arg;
	const struct fl_drain *drain =
		fl_drains_find(known->set, &at->endpoint->ip, at->port->port, at->port->proto);

	if (drain)
		known->is[drain - known->set->v] = true;
}

/* An address that is free is given to somebody else one day. */
static void say_unknown(const struct fl_agent_drains *drains, const struct fl_drain *drain)
{
	char buf[FL_DRAIN_STRLEN];

	fl_drain_format(drain, buf);
	fl_health_set(drains->health, FL_CONDITION_DRAINS, buf, FL_HEALTH_NOTE,
		      "%s is drained, and no EndpointSlice has it: undrain it if it is not to come "
		      "back, or whoever gets the address next gets no connections",
		      buf);
}

static void review_known(struct fl_agent_drains *drains)
{
	const struct fl_drains *set = &drains->set;
	const struct fl_condition *of_file =
		fl_health_find(drains->health, FL_CONDITION_DRAINS, OF_FILE);
	_cleanup_free_ bool *is = calloc(set->n + 1, sizeof(*is));
	_cleanup_free_ char *text = of_file ? strdup(of_file->text) : NULL;
	struct known known = {set, is};

	if (!is || (of_file && !text))
		return;
	if (set->n)
		each_endpoint(drains->store, note_known, &known);
	fl_health_scan_begin(drains->health, FL_CONDITION_DRAINS);
	/* that of the file stands until something is written */
	if (text)
		fl_health_set(drains->health, FL_CONDITION_DRAINS, OF_FILE, FL_HEALTH_WARNING, "%s",
			      text);
	for (size_t i = 0; i < set->n; i++)
		if (!is[i])
			say_unknown(drains, &set->v[i]);
	fl_health_scan_end(drains->health, FL_CONDITION_DRAINS);
	drains->review = false;
}

void fl_agent_drains_review(struct fl_agent_drains *drains)
{
	const uint64_t changes = fl_store_changes(drains->store, FL_KIND_SLICE);
	struct fl_err err = {""};

	if (drains->unwritten && drains->dir)
		(void)keep(drains, &err);
	if (!drains->review && (changes == drains->reviewed || !drains->set.n))
		return;
	drains->reviewed = changes;
	review_known(drains);
}
