/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A list is gathered beside what is in force. Of objects that are there already only the key is
 * kept, so that listing everything again takes little memory.
 */
#include "lb/source/kube_kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

static void listed_clear(struct fl_kube_kind *kind)
{
	for (size_t i = 0; i < kind->n_listed; i++) {
		fl_object_free(&kind->listed[i].object);
		free(kind->listed[i].ns);
		free(kind->listed[i].name);
	}
	free(kind->listed);
	kind->listed = NULL;
	kind->n_listed = kind->listed_room = 0;
	kind->is_whole = false;
}

struct fl_kube_aside fl_kube_kind_put_aside(struct fl_kube_kind *kind)
{
	const struct fl_kube_aside aside = {kind->listed, kind->n_listed, kind->listed_room,
					    kind->is_whole, kind->next_faults};

	kind->listed = NULL;
	kind->n_listed = kind->listed_room = 0;
	kind->is_whole = false;
	kind->next_faults = (struct fl_kube_faults){0};
	return aside;
}

void fl_kube_kind_put_back(struct fl_kube_kind *kind, struct fl_kube_aside *aside)
{
	listed_clear(kind);
	fl_kube_faults_clear(&kind->next_faults);
	kind->listed = aside->listed;
	kind->n_listed = aside->n_listed;
	kind->listed_room = aside->listed_room;
	kind->is_whole = aside->is_whole;
	kind->next_faults = aside->faults;
	*aside = (struct fl_kube_aside){0};
}

void fl_kube_kind_fini(struct fl_kube_kind *kind)
{
	fl_kube_watch_free(&kind->watch);
	listed_clear(kind);
	fl_kube_faults_clear(&kind->faults);
	fl_kube_faults_clear(&kind->next_faults);
	if (kind->definitions)
		fl_definitions_forget(kind->definitions, &kind->definer);
}

/* Gathering a list */

static int list_room(struct fl_kube_kind *kind)
{
	return FL_ARRAY_ROOM(kind->listed, kind->listed_room, kind->n_listed + 1);
}

static int list_object(struct fl_kube_kind *kind, struct fl_object *object)
{
	struct fl_kube_listed listed = {.order = kind->n_listed};

	if (list_room(kind)) {
		fl_object_free(object);
		return -ENOMEM;
	}
	if (fl_definitions_same(kind->definitions, &kind->definer, object, &listed.key)) {
		listed.as = FL_KUBE_LISTED_SAME;
		fl_object_free(object);
	} else {
		listed.as = FL_KUBE_LISTED_NEW;
		listed.key = fl_object_key_of(object);
		listed.object = *object;
		*object = (struct fl_object){0};
	}
	kind->listed[kind->n_listed++] = listed;
	return 0;
}

static int list_name(struct fl_kube_kind *kind, enum fl_kube_listed_as as, const char *ns,
		     const char *name)
{
	struct fl_kube_listed listed = {.as = as, .order = kind->n_listed};

	if (list_room(kind))
		return -ENOMEM;
	listed.ns = strdup(ns);
	listed.name = strdup(name);
	listed.key = (struct fl_object_key){kind->kind, listed.ns, listed.name};
	if (!listed.ns || !listed.name) {
		free(listed.ns);
		free(listed.name);
		return -ENOMEM;
	}
	kind->listed[kind->n_listed++] = listed;
	return 0;
}

/* Decoding */

static int on_object(struct fl_object *object, unsigned int line, void *arg)
{
	struct fl_staged staged = {.object = *object};
	struct fl_kube_kind *kind = arg;

	if (!kind->changes)
		return list_object(kind, object);
	*object = (struct fl_object){0};
	return fl_definitions_put(kind->definitions, &kind->definer, &staged);
}

static int on_problem(const struct fl_problem *problem, void *arg)
{
	struct fl_kube_kind *kind = arg;
	struct fl_problem p = *problem;
	int r = 0;

	p.line = 0; /* of a text that nobody has */
	if (kind->report)
		kind->report(&p, kind->report_arg);
	if (p.level == FL_PROBLEM_NOTE)
		return 0;
	r = fl_kube_faults_add(kind->faults_at, &p);
	if (!r && p.level == FL_PROBLEM_ERROR && !kind->changes && p.name)
		r = list_name(kind, FL_KUBE_LISTED_FAULTY, p.ns, p.name);
	return r;
}

static int on_unread(struct fl_unread *unread, void *arg)
{
	struct fl_kube_kind *kind = arg;

	fl_kube_faults_add_unread(kind->faults_at, unread);
	return 0;
}

static int decode(struct fl_kube_kind *kind, const struct fl_value *object)
{
	const struct fl_decode_sink sink = {.object = on_object,
					    .problem = on_problem,
					    .unread = on_unread,
					    .pods = kind->kind == FL_KIND_POD,
					    .arg = kind};

	return fl_decode_item(object, kind->kind, "", &sink);
}

/* What a watch calls */

static int begin(void *arg)
{
	struct fl_kube_kind *kind = arg;

	listed_clear(kind);
	fl_kube_faults_clear(&kind->next_faults);
	return 0;
}

/* An object without a name is of no use, and was never put in. */
static bool name_of(const struct fl_kube_kind *kind, const struct fl_value *object,
		    struct fl_object_key *ret_key)
{
	const struct fl_value *metadata = fl_value_get(object, "metadata");
	const char *ns = fl_value_string(fl_value_get(metadata, "namespace"));
	const char *name = fl_value_string(fl_value_get(metadata, "name"));

	*ret_key = (struct fl_object_key){kind->kind,
					  kind->kind == FL_KIND_NODE ? ""
					  : ns && *ns		     ? ns
								     : "default",
					  name};
	return name != NULL;
}

static int listed(const struct fl_value *object, void *arg)
{
	struct fl_kube_kind *kind = arg;
	struct fl_object_key key;

	kind->changes = false;
	kind->faults_at = &kind->next_faults;
	/* what was said of it earlier in the list is no longer so */
	if (kind->next_faults.n && name_of(kind, object, &key))
		fl_kube_faults_forget(&kind->next_faults, key.ns, key.name);
	return decode(kind, object);
}

static int unlisted(const struct fl_value *object, void *arg)
{
	struct fl_kube_kind *kind = arg;
	struct fl_object_key key;

	if (!name_of(kind, object, &key))
		return 0;
	fl_kube_faults_forget(&kind->next_faults, key.ns, key.name);
	return list_name(kind, FL_KUBE_LISTED_GONE, key.ns, key.name);
}

static int complete(void *arg)
{
	struct fl_kube_kind *kind = arg;

	kind->is_whole = true;
	return kind->whole(kind->arg);
}

/*
 * A list that is whole and still waits for other kinds takes in what changes meanwhile. Else the
 * change takes effect at once.
 */
static int changed(const struct fl_value *object, void *arg)
{
	struct fl_kube_kind *kind = arg;
	struct fl_object_key key;

	kind->changes = !kind->is_whole;
	kind->faults_at = kind->is_whole ? &kind->next_faults : &kind->faults;
	if (name_of(kind, object, &key))
		fl_kube_faults_forget(kind->faults_at, key.ns, key.name);
	return decode(kind, object);
}

static int deleted(const struct fl_value *object, void *arg)
{
	struct fl_kube_kind *kind = arg;
	struct fl_object_key key;

	if (kind->is_whole)
		return unlisted(object, arg);
	if (!name_of(kind, object, &key))
		return 0;
	fl_kube_faults_forget(&kind->faults, key.ns, key.name);
	return fl_definitions_remove(kind->definitions, &kind->definer, &key);
}

const struct fl_kube_sink fl_kube_kind_sink = {
	.begin = begin,
	.listed = listed,
	.unlisted = unlisted,
	.complete = complete,
	.changed = changed,
	.deleted = deleted,
};

/* A list takes effect */

static int compare_listed(const void *a, const void *b)
{
	const struct fl_kube_listed *x = a, *y = b;
	const int order = fl_object_key_cmp(&x->key, &y->key);

	return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* Of the entries of one key, what counts: the last one, or, if that is faulty, the one before. */
static struct fl_kube_listed *pick(struct fl_kube_listed *first, struct fl_kube_listed *last)
{
	struct fl_kube_listed *at = last;

	while (at > first && at->as == FL_KUBE_LISTED_FAULTY)
		at--;
	return at;
}

/* What is to be put in, and what stays; both sorted by key. */
static void divide(struct fl_kube_kind *kind, struct fl_definitions_change *change,
		   struct fl_object_key *keep)
{
	struct fl_kube_listed *first = kind->listed, *const end = first + kind->n_listed;

	for (struct fl_kube_listed *at = first; at < end; at++) {
		struct fl_kube_listed *picked;

		if (at + 1 < end && !fl_object_key_cmp(&at->key, &at[1].key))
			continue;
		picked = pick(first, at);
		first = at + 1;
		if (picked->as == FL_KUBE_LISTED_NEW) {
			change->staged[change->n_staged++].object = picked->object;
			picked->object = (struct fl_object){0};
		} else if (picked->as != FL_KUBE_LISTED_GONE) {
			keep[change->n_keep++] = picked->key;
		}
	}
}

const struct fl_kube_listed *fl_kube_kind_waiting(const struct fl_kube_kind *kind,
						  const struct fl_object_key *key)
{
	for (size_t i = kind->n_listed; i--;) {
		const struct fl_kube_listed *listed = &kind->listed[i];

		if (listed->as != FL_KUBE_LISTED_FAULTY && !fl_object_key_cmp(&listed->key, key))
			return listed->as == FL_KUBE_LISTED_GONE ? NULL : listed;
	}
	return NULL;
}

int fl_kube_kind_apply(struct fl_kube_kind *kind)
{
	_cleanup_free_ struct fl_staged *staged = calloc(kind->n_listed + 1, sizeof(*staged));
	_cleanup_free_ struct fl_object_key *keep = calloc(kind->n_listed + 1, sizeof(*keep));
	struct fl_definitions_change change = {.staged = staged, .keep = keep};
	int r;

	if (!staged || !keep)
		return -ENOMEM;
	if (kind->n_listed)
		qsort(kind->listed, kind->n_listed, sizeof(*kind->listed), compare_listed);
	divide(kind, &change, keep);
	r = fl_definitions_apply(kind->definitions, &kind->definer, &change);
	for (size_t i = 0; i < change.n_staged; i++)
		fl_object_free(&staged[i].object);
	listed_clear(kind);
	fl_kube_faults_clear(&kind->faults);
	kind->faults = kind->next_faults;
	kind->next_faults = (struct fl_kube_faults){0};
	return r;
}

/* What is told */

void fl_kube_kind_each_unread(const struct fl_kube_kind *kind, fl_unread_fn fn, void *arg,
			      int *ret_rc)
{
	for (size_t i = 0; i < kind->faults.n && !*ret_rc; i++) {
		const struct fl_unread *unread = &kind->faults.v[i].unread;
		const struct fl_object_key key = {kind->kind, unread->ns, unread->name};

		/* one that has a last good state is served by that */
		if (unread->ns && !fl_definitions_has(&kind->definer, &key))
			*ret_rc = fn(unread, arg);
	}
}

struct standby_walk {
	fl_problem_fn fn;
	void *arg;
};

static void on_standby(const struct fl_object_key *key, unsigned int line,
		       const struct fl_definer *active, unsigned int active_line, void *arg)
{
	const struct standby_walk *walk = arg;
	char reason[4200], object[600];

	snprintf(object, sizeof(object), "%s %s%s%s", fl_kind_name(key->kind), key->ns,
		 *key->ns ? "/" : "", key->name);
	snprintf(reason, sizeof(reason), "the API server has it too; %s, line %u, comes first",
		 active->path, active_line);
	walk->fn(&(struct fl_problem){.level = FL_PROBLEM_WARNING,
				      .file = "",
				      .object = object,
				      .reason = reason,
				      .kind = key->kind,
				      .ns = key->ns,
				      .name = key->name},
		 walk->arg);
}

void fl_kube_kind_each_problem(const struct fl_kube_kind *kind, fl_problem_fn fn, void *arg)
{
	struct standby_walk walk = {fn, arg};

	fl_kube_faults_each(&kind->faults, kind->kind, fn, arg);
	fl_definitions_each_standby(kind->definitions, &kind->definer, on_standby, &walk);
}

void fl_kube_kind_report_displaced(struct fl_kube_kind *kind)
{
	struct standby_walk walk = {kind->report, kind->report_arg};

	if (!kind->definer.displaced)
		return;
	kind->definer.displaced = false;
	if (kind->report)
		fl_definitions_each_standby(kind->definitions, &kind->definer, on_standby, &walk);
}
