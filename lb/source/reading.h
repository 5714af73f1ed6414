/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One file, read and decoded: what it defines and what is wrong with it. Knows nothing of the files
 * beside it nor of what it held before, so that another thread can do it.
 */
#pragma once

#include <stdatomic.h>
#include <sys/stat.h>

#include "lb/base/err.h"
#include "lb/source/definitions.h"
#include "lb/source/text_digest.h"
#include "lb/source/problems.h"

/* An object of a kind that is not ours, or a document that is no object: it may be one of ours with
 * its kind misspelt or lost. Owned. */
struct fl_stranger {
	uint64_t id;	 /* of kind and name */
	char *ns, *name; /* NULL: not known */
	char *object, *reason;
	unsigned int line;
};

struct fl_reading {
	/* the question; `path` is borrowed */
	const char *path;
	bool is_input;	     /* read standard input instead */
	bool pods;	     /* are read, too */
	bool keep_strangers; /* the file had objects before: strangers are of interest */
	bool knows_hash;     /* a text with this hash has been applied already */
	uint64_t known_hash;
	bool forced;   /* to be believed as it is: for the caller */
	bool in_place; /* written over what was there: for the caller */
	atomic_bool cancelled;
	/* the answer: 0, or why there is none */
	int rc;
	unsigned int line; /* where; 0 nowhere in particular */
	struct fl_err why;
	struct stat st; /* of what was read */
	bool changed;	/* while it was read */
	bool empty;	/* nothing but blanks */
	bool yaml;
	uint64_t hash; /* of the text */
	bool same;     /* as known_hash: nothing was decoded */
	struct fl_text_digest lines;
	struct fl_staged *staged; /* sorted by key, no key twice */
	size_t n_staged, n_staged_room;
	/* objects of ours with an error, sorted; the strings are owned */
	struct fl_object_key *failed;
	size_t n_failed, n_failed_room;
	bool unidentified; /* there is an error, and which object it is in is not known */
	struct fl_stranger *strangers; /* all of them only with keep_strangers, else only .id */
	size_t n_strangers, n_strangers_room;
	struct fl_unread *unread; /* objects of ours that are at fault */
	size_t n_unread, n_unread_room;
	struct fl_problems problems;
	struct fl_problems notes; /* reported, and then forgotten */
};

/* Fill in the answer of a reading whose question is set and that is zero otherwise. */
void fl_reading_run(struct fl_reading *reading);
void fl_reading_fini(struct fl_reading *reading);
