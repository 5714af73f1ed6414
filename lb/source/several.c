/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whatever is asked is asked of each. */
#include "lb/source/several.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lb/base/cleanup.h"

struct several {
	struct fl_source source;
	struct fl_source *members[FL_SEVERAL_MAX];
	size_t n;
	int epoll;
};

static const struct several *several_of(const struct fl_source *source)
{
	return (const struct several *)source;
}

/* Each, whatever becomes of the others; the first failure is returned. */
static int call_each(struct fl_source *source,
		     int (*call)(struct fl_source *member, struct fl_err *err), struct fl_err *err)
{
	const struct several *s = several_of(source);
	struct fl_err other = {""};
	int r = 0;

	for (size_t i = 0; i < s->n; i++) {
		const int failed = call(s->members[i], r ? &other : err);

		r = r ? r : failed;
	}
	return r;
}

static int several_load(struct fl_source *source, struct fl_err *err)
{
	return call_each(source, fl_source_load, err);
}

static int several_fd(const struct fl_source *source)
{
	return several_of(source)->epoll;
}

/* All of them, since what one does may be news for another. */
static int several_handle(struct fl_source *source, struct fl_err *err)
{
	return call_each(source, fl_source_handle, err);
}

static int several_look(struct fl_source *source, struct fl_err *err)
{
	return call_each(source, fl_source_look, err);
}

static int several_refresh(struct fl_source *source, struct fl_err *err)
{
	return call_each(source, fl_source_refresh, err);
}

static int several_apply_held(struct fl_source *source, struct fl_err *err)
{
	return call_each(source, fl_source_apply_held, err);
}

static bool several_complete(const struct fl_source *source)
{
	const struct several *s = several_of(source);

	for (size_t i = 0; i < s->n; i++)
		if (!fl_source_complete(s->members[i]))
			return false;
	return true;
}

static int several_each_unread(const struct fl_source *source, fl_unread_fn fn, void *arg)
{
	const struct several *s = several_of(source);
	int r = 0;

	for (size_t i = 0; i < s->n && !r; i++)
		r = fl_source_each_unread(s->members[i], fn, arg);
	return r;
}

static void several_each_problem(const struct fl_source *source, fl_problem_fn fn, void *arg)
{
	const struct several *s = several_of(source);

	for (size_t i = 0; i < s->n; i++)
		fl_source_each_problem(s->members[i], fn, arg);
}

static void several_each_followed(const struct fl_source *source, fl_followed_fn fn, void *arg)
{
	const struct several *s = several_of(source);

	for (size_t i = 0; i < s->n; i++)
		fl_source_each_followed(s->members[i], fn, arg);
}

static void several_free(struct fl_source *source)
{
	struct several *s = (struct several *)source;

	for (size_t i = 0; i < s->n; i++)
		fl_source_free(&s->members[i]);
	fl_closep(&s->epoll);
	free(s);
}

static const struct fl_source_ops ops = {
	.load = several_load,
	.fd = several_fd,
	.handle = several_handle,
	.look = several_look,
	.refresh = several_refresh,
	.apply_held = several_apply_held,
	.complete = several_complete,
	.each_unread = several_each_unread,
	.each_problem = several_each_problem,
	.each_followed = several_each_followed,
	.free = several_free,
};

static void several_freep(struct several **s)
{
	if (*s)
		several_free(&(*s)->source);
}

int fl_several_new(struct fl_source **sources, size_t n, struct fl_source **ret_source,
		   struct fl_err *err)
{
	_cleanup_(several_freep) struct several *s = calloc(1, sizeof(*s));
	struct epoll_event event = {.events = EPOLLIN};

	assert(n <= FL_SEVERAL_MAX);
	if (!s) {
		for (size_t i = 0; i < n; i++)
			fl_source_free(&sources[i]);
		return fl_err_set(err, -ENOMEM, "out of memory");
	}
	s->source.ops = &ops;
	for (size_t i = 0; i < n; i++)
		s->members[s->n++] = TAKE_PTR(sources[i]);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < n && s->epoll >= 0; i++)
		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fl_source_fd(s->members[i]), &event))
			return fl_err_set(err, -errno, "cannot follow sources: %s",
					  strerror(errno));
	if (s->epoll < 0)
		return fl_err_set(err, -errno, "cannot follow sources: %s", strerror(errno));
	*ret_source = &TAKE_PTR(s)->source;
	return 0;
}
