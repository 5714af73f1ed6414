/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside of kube.h: one kind's objects between a watch and the definitions.
 *
 *	kube_kind.c     lists, from their first object to the moment when they take effect; changes
 *	kube_faults.c   what is wrong with single objects
 *	kube.c          the source as a whole
 */
#pragma once

#include "lb/kube/watch.h"
#include "lb/source/definitions.h"
#include "lb/source/source.h"

/* What is wrong with an object. */
struct fl_kube_fault {
	enum fl_problem_level level;
	char *ns, *name, *object, *reason;
	struct fl_unread unread; /* ns NULL: its last state is not needed, or not known */
};

#define FL_KUBE_FAULTS_MAX 1000 /* of one kind; what is beyond is not kept */

struct fl_kube_faults {
	struct fl_kube_fault *v;
	size_t n, room;
};

enum fl_kube_listed_as {
	FL_KUBE_LISTED_NEW,    /* `object` is to be put in */
	FL_KUBE_LISTED_SAME,   /* as it is there already */
	FL_KUBE_LISTED_FAULTY, /* as it was there before, if it was */
	FL_KUBE_LISTED_GONE,
};

struct fl_kube_listed {
	enum fl_kube_listed_as as;
	size_t order; /* of two with the same key the later counts */
	struct fl_object_key key;
	struct fl_object object;
	char *ns, *name; /* what `key` points to, if neither `object` nor a definition holds it */
};

struct fl_kube_kind {
	enum fl_kind kind;
	struct fl_definitions *definitions; /* borrowed, as the next two */
	fl_problem_fn report;
	void *report_arg;
	/* told when a list is whole; returns what the watch is told */
	int (*whole)(void *arg);
	void *arg;
	struct fl_definer definer;
	struct fl_kube_watch *watch;
	/* the list under way, or waiting for the other kinds */
	struct fl_kube_listed *listed;
	size_t n_listed, listed_room;
	bool is_whole;
	struct fl_kube_faults faults, next_faults; /* next: of that list */
	/* the object being decoded */
	struct fl_kube_faults *faults_at;
	bool changes; /* it comes from a change, not from a list */
};

extern const struct fl_kube_sink fl_kube_kind_sink; /* its arg is the kind */

/* What a list has so far is put aside, so that another one can be gathered and take effect. */
struct fl_kube_aside {
	struct fl_kube_listed *listed;
	size_t n_listed, listed_room;
	bool is_whole;
	struct fl_kube_faults faults;
};
struct fl_kube_aside fl_kube_kind_put_aside(struct fl_kube_kind *kind);
/* And is there again; what was gathered since is void. */
void fl_kube_kind_put_back(struct fl_kube_kind *kind, struct fl_kube_aside *aside);

/* The list takes effect. 0 or -ENOMEM, after which all should be listed again. */
int fl_kube_kind_apply(struct fl_kube_kind *kind);
void fl_kube_kind_each_unread(const struct fl_kube_kind *kind, fl_unread_fn fn, void *arg,
			      int *ret_rc);
void fl_kube_kind_each_problem(const struct fl_kube_kind *kind, fl_problem_fn fn, void *arg);
/* Report that other sources have taken over objects, if they have. */
void fl_kube_kind_report_displaced(struct fl_kube_kind *kind);
/* What counts of an object in the list that waits; NULL: it is not in there, or gone again. */
const struct fl_kube_listed *fl_kube_kind_waiting(const struct fl_kube_kind *kind,
						  const struct fl_object_key *key);
/* Without a word to the store. */
void fl_kube_kind_fini(struct fl_kube_kind *kind);

/* In kube_faults.c. 0 or -ENOMEM. */
int fl_kube_faults_add(struct fl_kube_faults *faults, const struct fl_problem *problem);
/* Takes what is known of the object that was added last. */
void fl_kube_faults_add_unread(struct fl_kube_faults *faults, struct fl_unread *unread);
void fl_kube_faults_forget(struct fl_kube_faults *faults, const char *ns, const char *name);
void fl_kube_faults_clear(struct fl_kube_faults *faults);
void fl_kube_faults_each(const struct fl_kube_faults *faults, enum fl_kind kind, fl_problem_fn fn,
			 void *arg);
