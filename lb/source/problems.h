/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The problems of one file, kept for as long as they stand. */
#pragma once

#include <assert.h>
#include <stdint.h>

#include "lb/source/source.h"

#define FL_PROBLEMS_MAX 100 /* of one file; the rest is counted */

static_assert(FL_PROBLEMS_MAX <= UINT8_MAX, "fits what counts them");

struct fl_problems {
	struct fl_stored_problem *list; /* owned */
	uint32_t n_dropped;		/* of at most FL_DOC_MAX_BYTES */
	uint8_t n, room;
	/* the file had objects before: for those that may hide one of them this is worth a word */
	bool keeps;
	bool foreign; /* all are about objects of other kinds */
};

/* Keep a copy. `hides`: it may hide any object of the file. 0 or -ENOMEM. */
int fl_problems_add(struct fl_problems *problems, const struct fl_problem *problem, bool hides);
/* Whether this one, and no other, is kept. */
bool fl_problems_is(const struct fl_problems *problems, const struct fl_problem *problem);
/* `file` is put into each. */
void fl_problems_each(const struct fl_problems *problems, const char *file, fl_problem_fn fn,
		      void *arg);
void fl_problems_clear(struct fl_problems *problems);
