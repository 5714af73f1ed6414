/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where objects come from. A source fills the store it was made with and says when that is
 * complete; it runs no loop of its own but offers a descriptor to wait on. Its problems are
 * reported when they are found and can be listed while they last.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"
#include "lb/k8s/decode.h"
#include "lb/model/store.h"

struct fl_source;

/* The problem is borrowed for the call. */
typedef void (*fl_problem_fn)(const struct fl_problem *problem, void *arg);
/* "FILE:LINE: OBJECT: REASON", as far as known; with `level` also that. The caller frees it. NULL:
 * no memory. */
char *fl_problem_text(const struct fl_problem *problem, bool level);

/* A kind of objects at an API server; the numbers are since the start. Borrowed for the call. */
struct fl_followed {
	const char *resource; /* "services" */
	bool current;	      /* false: what is known may be out of date */
	uint64_t lists, watches, events, failures;
};
typedef void (*fl_followed_fn)(const struct fl_followed *followed, void *arg);
typedef void fl_each_followed_fn(const struct fl_source *source, fl_followed_fn fn, void *arg);

struct fl_source_ops {
	int (*load)(struct fl_source *source, struct fl_err *err);
	int (*fd)(const struct fl_source *source);
	int (*handle)(struct fl_source *source, struct fl_err *err);
	int (*look)(struct fl_source *source, struct fl_err *err);
	int (*refresh)(struct fl_source *source, struct fl_err *err);
	int (*apply_held)(struct fl_source *source, struct fl_err *err);
	bool (*complete)(const struct fl_source *source);
	int (*each_unread)(const struct fl_source *source,
			   int (*fn)(const struct fl_unread *unread, void *arg), void *arg);
	void (*each_problem)(const struct fl_source *source, fl_problem_fn fn, void *arg);
	fl_each_followed_fn *each_followed; /* NULL: it follows no API server */
	void (*free)(struct fl_source *source);
};

/* The head of every source. */
struct fl_source {
	const struct fl_source_ops *ops;
	bool synced;
};

/*
 * Read everything for the first time into the store. Faulty objects are problems, not failures; a
 * source that is not there at all is one (-errno). After 0 fl_source_synced() holds: rule 10.3
 * wants nothing programmed or removed before everything has been listed.
 */
static inline int fl_source_load(struct fl_source *source, struct fl_err *err)
{
	int rc = source->ops->load(source, err);

	source->synced = source->synced || !rc;
	return rc;
}

/* Wait for this to become readable, then call fl_source_handle(). Borrowed. */
static inline int fl_source_fd(const struct fl_source *source)
{
	return source->ops->fd(source);
}

/* Take in what has changed; never blocks. The store's marks say what it touched. -ENOMEM and the
 * like only. */
static inline int fl_source_handle(struct fl_source *source, struct fl_err *err)
{
	return source->ops->handle(source, err);
}

/* Look for changes without an event, for a slow timer: a part now, the rest in later calls of
 * fl_source_handle(). */
static inline int fl_source_look(struct fl_source *source, struct fl_err *err)
{
	return source->ops->look(source, err);
}

/* Look at everything again, at once: somebody asks for it. */
static inline int fl_source_refresh(struct fl_source *source, struct fl_err *err)
{
	return source->ops->refresh(source, err);
}

/*
 * Look at everything again, and believe it: what was held because it could be an accident takes
 * effect now. For an administrator who knows that it is none.
 */
static inline int fl_source_apply_held(struct fl_source *source, struct fl_err *err)
{
	return source->ops->apply_held(source, err);
}

/* Whether the first full reading is done. */
static inline bool fl_source_synced(const struct fl_source *source)
{
	return source->synced;
}

/*
 * Whether every part was readable at least once, faulty objects apart. When it is not, the store
 * may lack objects that an earlier run knew, and what is in the kernel for them should stay.
 */
static inline bool fl_source_complete(const struct fl_source *source)
{
	return source->synced && source->ops->complete(source);
}

/*
 * The objects that are at fault and have no last good state: an earlier run may have served them.
 * Borrowed for the call. Stops at non-zero, which is returned.
 */
typedef int (*fl_unread_fn)(const struct fl_unread *unread, void *arg);
static inline int fl_source_each_unread(const struct fl_source *source, fl_unread_fn fn, void *arg)
{
	return source->ops->each_unread(source, fn, arg);
}

/* The problems as they stand now, in a stable order. */
static inline void fl_source_each_problem(const struct fl_source *source, fl_problem_fn fn,
					  void *arg)
{
	source->ops->each_problem(source, fn, arg);
}

/* What is followed at API servers. */
static inline void fl_source_each_followed(const struct fl_source *source, fl_followed_fn fn,
					   void *arg)
{
	if (source->ops->each_followed)
		source->ops->each_followed(source, fn, arg);
}

static inline void fl_source_free(struct fl_source **source)
{
	if (*source)
		(*source)->ops->free(*source);
	*source = NULL;
}
