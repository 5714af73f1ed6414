/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Batches of Services, and what became of each. */
#include "lb/agent/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/sync_health.h"
#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/model/review.h"

/* A Service that is to be planned again. */
struct again {
	char *ns, *name;
};

/* A Service that is left as it was found. */
struct kept {
	char *ns, *name;
	bool seen; /* since fl_applier_keep_begin() */
};

struct fl_applier {
	struct fl_applier_options options;
	bool settled;
	bool retry;  /* sync has something to try again */
	bool broken; /* the last try of it failed, and not for want of room */
	long drift;
	struct again *again;
	size_t n_again, n_again_room;
	bool all_again; /* there was no memory for the list */
	bool due;	/* the next run takes them too */
	struct kept *kept;
	size_t n_kept, n_kept_room;
};

int fl_applier_new(const struct fl_applier_options *options, struct fl_applier **ret_applier)
{
	struct fl_applier *applier = calloc(1, sizeof(*applier));

	if (!applier)
		return -ENOMEM;
	applier->options = *options;
	applier->drift = -1;
	*ret_applier = applier;
	return 0;
}

static void again_free(struct again *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].ns);
		free(list[i].name);
	}
	free(list);
}

void fl_applier_free(struct fl_applier **applier)
{
	struct fl_applier *a = TAKE_PTR(*applier);

	if (!a)
		return;
	again_free(a->again, a->n_again);
	for (size_t i = 0; i < a->n_kept; i++) {
		free(a->kept[i].ns);
		free(a->kept[i].name);
	}
	free(a->kept);
	free(a);
}

bool fl_applier_settled(const struct fl_applier *applier)
{
	return applier->settled;
}

bool fl_applier_pending(const struct fl_applier *applier)
{
	return applier->broken || applier->n_again || applier->all_again ||
	       fl_applier_more(applier);
}

bool fl_applier_more(const struct fl_applier *applier)
{
	return applier->due || fl_store_dirty_count(applier->options.store);
}

bool fl_applier_failed(const struct fl_applier *applier)
{
	return applier->retry || applier->n_again || applier->all_again;
}

long fl_applier_drift(const struct fl_applier *applier)
{
	return applier->drift;
}

/* Takes both strings. Without memory every Service is planned again, which needs none here. */
static void again_add(struct fl_applier *applier, char *ns, char *name)
{
	if (!ns || !name ||
	    FL_ARRAY_ROOM(applier->again, applier->n_again_room, applier->n_again + 1)) {
		free(ns);
		free(name);
		applier->all_again = true;
		return;
	}
	applier->again[applier->n_again++] = (struct again){ns, name};
}

/* What did not fit into a map is kept by sync, which tries it again and tells which it is. */
static void service_failed(struct fl_applier *applier, const char *ns, const char *name, int rc,
			   const struct fl_err *err)
{
	_cleanup_free_ char *subject = NULL;

	if (rc == -ENOSPC)
		return;
	again_add(applier, strdup(ns), strdup(name));
	if (asprintf(&subject, "%s/%s", ns, name) < 0)
		subject = NULL;
	if (subject)
		fl_health_set(applier->options.health, FL_CONDITION_SYNC, subject, FL_HEALTH_ERROR,
			      "Service %s keeps its old state: %s", subject,
			      err->text[0] ? err->text : strerror(-rc));
}

static void service_done(struct fl_applier *applier, const char *ns, const char *name)
{
	_cleanup_free_ char *subject = NULL;

	if (!fl_health_has(applier->options.health, FL_CONDITION_SYNC))
		return;
	if (asprintf(&subject, "%s/%s", ns, name) < 0)
		subject = NULL;
	if (subject)
		fl_health_clear(applier->options.health, FL_CONDITION_SYNC, subject);
}

/* A Service that cannot mean what its author wanted. Slices without one are fl_input's to find. */
static void review(struct fl_applier *applier, const struct fl_service_key *key,
		   const struct fl_service *service, const struct fl_plan *plan)
{
	struct fl_health *health = applier->options.health;
	_cleanup_free_ char *subject = NULL, *text = NULL;
	const struct fl_slice *const *slices;
	enum fl_finding finding = FL_FINDING_NONE;
	size_t n;

	slices = fl_store_slices(applier->options.store, key->ns, key->name, &n);
	if (service)
		finding = fl_review(key->ns, key->name, service, slices, n, plan, &text);
	if (!finding && !fl_health_has(health, FL_CONDITION_SERVICE))
		return;
	if (asprintf(&subject, "%s/%s", key->ns, key->name) < 0)
		subject = NULL;
	if (subject && finding && text)
		/* a protocol is missing on every node, whatever the Service says */
		fl_health_set(health, FL_CONDITION_SERVICE, subject,
			      finding == FL_FINDING_NO_PROTOCOL ? FL_HEALTH_WARNING
								: FL_HEALTH_ERROR,
			      "%s", text);
	else if (subject && !finding)
		fl_health_clear(health, FL_CONDITION_SERVICE, subject);
}

/* A batch under way: the first failure is the one that is reported. */
struct batch {
	size_t n;
	int rc;
	struct fl_err err;
};

static struct kept *find_kept(const struct fl_applier *applier, const char *ns, const char *name)
{
	for (size_t i = 0; i < applier->n_kept; i++)
		if (!strcmp(applier->kept[i].ns, ns) && !strcmp(applier->kept[i].name, name))
			return &applier->kept[i];
	return NULL;
}

bool fl_applier_keeps(const struct fl_applier *applier)
{
	return applier->options.adopted && (!applier->settled || applier->n_kept);
}

void fl_applier_keep_begin(struct fl_applier *applier)
{
	for (size_t i = 0; i < applier->n_kept; i++)
		applier->kept[i].seen = false;
}

/* 0 or -ENOMEM. */
static int plan_kept(const struct fl_applier *applier, const char *ns, const char *name,
		     const struct fl_service *sketch, struct fl_plan *ret_plan)
{
	const struct fl_applier_options *o = &applier->options;
	const struct fl_slice *const *slices;
	size_t n;

	if (!sketch)
		return o->plan(o->store, ns, name, o->plan_options, ret_plan);
	slices = fl_store_slices(o->store, ns, name, &n);
	return fl_plan_service(sketch, slices, n, o->plan_options, ret_plan);
}

/* Without memory it is not kept. */
void fl_applier_keep(struct fl_applier *applier, const char *ns, const char *name,
		     const struct fl_service *sketch)
{
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	struct kept *kept = find_kept(applier, ns, name);
	bool any = false;

	if (kept)
		kept->seen = true;
	if (kept || applier->settled ||
	    FL_ARRAY_ROOM(applier->kept, applier->n_kept_room, applier->n_kept + 1) ||
	    plan_kept(applier, ns, name, sketch, &plan) ||
	    fl_sync_keep(applier->options.sync, ns, name, &plan, &any) || !any)
		return;
	kept = &applier->kept[applier->n_kept];
	*kept = (struct kept){strdup(ns), strdup(name), true};
	if (kept->ns && kept->name) {
		applier->n_kept++;
		return;
	}
	free(kept->ns);
	free(kept->name);
}

/* What is no longer at fault, or gone, is planned again. */
void fl_applier_keep_end(struct fl_applier *applier)
{
	size_t n = 0;

	for (size_t i = 0; i < applier->n_kept; i++) {
		if (applier->kept[i].seen) {
			applier->kept[n++] = applier->kept[i];
			continue;
		}
		again_add(applier, applier->kept[i].ns, applier->kept[i].name);
		applier->due = true;
	}
	applier->n_kept = n;
}

/* The key is borrowed, and stays while the store is only read. */
static int apply_one(struct fl_applier *applier, const struct fl_service_key *key,
		     struct fl_err *err)
{
	const struct fl_applier_options *o = &applier->options;
	const struct fl_service *service = fl_store_service(o->store, key->ns, key->name);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	int r;

	if (applier->n_kept && find_kept(applier, key->ns, key->name))
		return 0;
	r = o->plan(o->store, key->ns, key->name, o->plan_options, &plan);

	if (!r) {
		if (o->planned)
			o->planned(key->ns, key->name, &plan, o->planned_arg);
		review(applier, key, service, &plan);
		r = fl_sync_service(o->sync, key->ns, key->name, service ? service->created : 0,
				    &plan, err);
	}
	if (r)
		service_failed(applier, key->ns, key->name, r, err);
	else
		service_done(applier, key->ns, key->name);
	return r;
}

static bool is_broken(int rc)
{
	return rc && rc != -ENOSPC;
}

/* After each commit, settling and retry: what is wrong with the maps as a whole. */
static void synced(struct fl_applier *applier, int rc, const struct fl_err *err)
{
	const struct fl_applier_options *o = &applier->options;
	struct fl_sync_stats stats;

	applier->retry |= rc != 0;
	fl_sync_stats(o->sync, &stats);
	if (rc)
		fl_health_set(o->health, FL_CONDITION_SYNC, "", FL_HEALTH_ERROR,
			      "not all is in the maps as wanted: %s",
			      err->text[0] ? err->text : strerror(-rc));
	else if (!applier->retry || !stats.failed_ports)
		fl_health_clear(o->health, FL_CONDITION_SYNC, "");
	fl_sync_health_update(o->sync, o->health);
}

static void batch_add(struct fl_applier *applier, struct batch *batch,
		      const struct fl_service_key *key)
{
	struct fl_err err = {""};
	int r = apply_one(applier, key, &err);

	batch->n++;
	if (!r || batch->rc)
		return;
	batch->rc = r;
	batch->err = err;
}

/* Those that failed before, with a list of their own, since they may fail again. The store need not
 * know them any more: the removal of a Service can fail as well. */
static void batch_add_again(struct fl_applier *applier, struct batch *batch)
{
	struct again *list = TAKE_PTR(applier->again);
	const size_t n = applier->n_again;

	if (applier->all_again)
		fl_store_mark_all(applier->options.store);
	applier->n_again = applier->n_again_room = 0;
	applier->all_again = applier->due = false;
	for (size_t i = 0; i < n; i++)
		batch_add(applier, batch,
			  &(struct fl_service_key){.ns = list[i].ns, .name = list[i].name});
	again_free(list, n);
}

static size_t run_batch(struct fl_applier *applier)
{
	const struct fl_applier_options *o = &applier->options;
	struct batch batch = {.err = {""}};
	struct fl_service_key key;
	int r;

	fl_sync_begin(o->sync);
	if (applier->due)
		batch_add_again(applier, &batch);
	for (size_t i = 0; (!o->step || i < o->step) && fl_store_take_dirty(o->store, &key); i++)
		batch_add(applier, &batch, &key);
	r = fl_sync_commit(o->sync, batch.rc ? NULL : &batch.err);
	applier->broken |= is_broken(r);
	synced(applier, batch.rc ? batch.rc : r, &batch.err);
	return batch.n;
}

size_t fl_applier_run(struct fl_applier *applier, bool complete)
{
	const struct fl_applier_options *o = &applier->options;
	size_t n = 0;
	struct fl_err err = {""};
	int rc;

	if (fl_applier_more(applier))
		n = run_batch(applier);
	if (applier->settled || fl_applier_more(applier))
		return n;
	/* a file that was never readable may define what the maps of an earlier agent still
	 * serve: nothing of that is removed before */
	if (o->adopted && !complete) {
		fl_health_set(o->health, FL_CONDITION_INPUT, "complete", FL_HEALTH_ERROR,
			      "not everything could be read: what the datapath already serves "
			      "stays, also where it was removed");
		return n;
	}
	fl_health_clear(o->health, FL_CONDITION_INPUT, "complete");
	/* what is refused now is tried again with the rest; from here on removals are allowed */
	applier->settled = true;
	rc = fl_sync_settle(o->sync, &err);
	applier->broken |= is_broken(rc);
	synced(applier, rc, &err);
	return n;
}

void fl_applier_upkeep(struct fl_applier *applier, uint64_t now_ns)
{
	struct fl_err none = {""};

	fl_sync_reap(applier->options.sync, now_ns);
	if (fl_sync_revive(applier->options.sync))
		synced(applier, 0, &none);
}

static void retry_sync(struct fl_applier *applier)
{
	struct fl_err err = {""};
	int rc;

	applier->retry = false;
	rc = fl_sync_retry(applier->options.sync, &err);
	applier->broken = is_broken(rc);
	if (applier->drift > 0)
		applier->drift = fl_sync_verify(applier->options.sync, NULL, NULL);
	applier->retry = applier->drift > 0;
	synced(applier, rc, &err);
	fl_sync_health_drift(applier->drift, rc ? err.text : "", applier->options.health);
}

void fl_applier_retry(struct fl_applier *applier)
{
	applier->due = applier->n_again || applier->all_again;
	if (applier->retry)
		retry_sync(applier);
}

void fl_applier_verify(struct fl_applier *applier, void (*fn)(const char *difference, void *arg),
		       void *arg)
{
	applier->drift = fl_sync_verify(applier->options.sync, fn, arg);
	if (applier->drift > 0)
		retry_sync(applier);
	else
		fl_sync_health_drift(applier->drift, "", applier->options.health);
}
