// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A small hash set: a pass asks it once for each flow whose port may matter. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/touched.h"
#include "lb/base/array.h"

static size_t place_of(const struct fl_touched *touched, const struct fl_frontend_key *frontend)
{
	return XXH3_64bits(frontend, sizeof(*frontend)) & (touched->n_index - 1);
}

static struct fl_touched_frontend *find(const struct fl_touched *touched,
					const struct fl_frontend_key *frontend)
{
	if (!touched->n)
		return NULL;
	for (size_t at = place_of(touched, frontend); touched->index[at];
	     at = (at + 1) & (touched->n_index - 1)) {
		struct fl_touched_frontend *found = &touched->all[touched->index[at] - 1];

		if (!memcmp(&found->key, frontend, sizeof(*frontend)))
			return found;
	}
	return NULL;
}

/* There is room. */
static void index_add(struct fl_touched *touched, size_t number)
{
	const struct fl_frontend_key *key = &touched->all[number].key;
	const uint16_t port = ntohs(key->port);
	size_t at = place_of(touched, key);

	while (touched->index[at])
		at = (at + 1) & (touched->n_index - 1);
	touched->index[at] = (uint32_t)number + 1;
	touched->ports[port / 64] |= 1ULL << (port & 63);
	touched->tcp |= key->proto == IPPROTO_TCP;
}

static void index_all(struct fl_touched *touched)
{
	memset(touched->index, 0, touched->n_index * sizeof(*touched->index));
	memset(touched->ports, 0, sizeof(touched->ports));
	touched->tcp = false;
	for (size_t i = 0; i < touched->n; i++)
		index_add(touched, i);
}

/* 0 or -ENOMEM. */
static int make_room(struct fl_touched *touched)
{
	size_t n = touched->n_index ? touched->n_index : 64;
	uint32_t *index;

	if (FL_ARRAY_ROOM(touched->all, touched->room, touched->n + 1))
		return -ENOMEM;
	while (n < 2 * (touched->n + 1))
		n *= 2;
	if (n == touched->n_index)
		return 0;
	index = calloc(n, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(touched->index);
	touched->index = index;
	touched->n_index = n;
	index_all(touched);
	return 0;
}

void fl_touched_fini(struct fl_touched *touched)
{
	free(touched->all);
	free(touched->index);
	*touched = (struct fl_touched){0};
}

/* The pass under way is too early for a change that is made now. */
static void mark_again(struct fl_touched_mark *mark, struct fl_mono now)
{
	const bool waits = mark->since.ns && !mark->judged && !mark->in_pass;

	*mark = (struct fl_touched_mark){.since = now, .first = waits ? mark->first : now};
}

void fl_touched_add(struct fl_touched *touched, const struct fl_frontend_key *frontend,
		    struct fl_mono now)
{
	const struct fl_touched_mark mark = {.since = now, .first = now};
	struct fl_touched_frontend *found = frontend ? find(touched, frontend) : NULL;

	if (found) {
		mark_again(&found->mark, now);
	} else if (frontend && touched->n < FL_TOUCHED_MAX && !make_room(touched)) {
		touched->all[touched->n] = (struct fl_touched_frontend){*frontend, mark};
		index_add(touched, touched->n++);
	} else {
		mark_again(&touched->everything, now);
	}
}

bool fl_touched_names(const struct fl_touched *touched, const struct fl_frontend_key *frontend)
{
	return find(touched, frontend);
}

bool fl_touched_has(const struct fl_touched *touched, const struct fl_frontend_key *frontend)
{
	return touched->everything.since.ns || find(touched, frontend);
}

static bool is_over(const struct fl_touched_mark *mark, struct fl_mono now)
{
	return fl_mono_ms_between(mark->since, now) >= FL_TOUCHED_GRACE_MS;
}

static bool is_due(const struct fl_touched_mark *mark, struct fl_mono now)
{
	return mark->since.ns && (!mark->judged || is_over(mark, now));
}

bool fl_touched_due(const struct fl_touched *touched, struct fl_mono now)
{
	for (size_t i = 0; i < touched->n; i++)
		if (is_due(&touched->all[i].mark, now))
			return true;
	return is_due(&touched->everything, now);
}

static void take_older(const struct fl_touched_mark *mark, struct fl_mono *oldest)
{
	if (mark->since.ns && !mark->judged && (!oldest->ns || mark->first.ns < oldest->ns))
		*oldest = mark->first;
}

struct fl_mono fl_touched_oldest(const struct fl_touched *touched)
{
	struct fl_mono oldest = {0};

	for (size_t i = 0; i < touched->n; i++)
		take_older(&touched->all[i].mark, &oldest);
	take_older(&touched->everything, &oldest);
	return oldest;
}

static void mark_begin(struct fl_touched_mark *mark, struct fl_mono now)
{
	mark->in_pass = mark->since.ns;
	mark->last = is_over(mark, now);
}

/* Whether it was judged for the last time. */
static bool mark_end(struct fl_touched_mark *mark)
{
	if (!mark->in_pass)
		return false;
	mark->in_pass = false;
	mark->judged = true;
	return mark->last;
}

void fl_touched_begin(struct fl_touched *touched, struct fl_mono now)
{
	for (size_t i = 0; i < touched->n; i++)
		mark_begin(&touched->all[i].mark, now);
	mark_begin(&touched->everything, now);
}

void fl_touched_end(struct fl_touched *touched)
{
	size_t n = 0;

	for (size_t i = 0; i < touched->n; i++)
		if (!mark_end(&touched->all[i].mark))
			touched->all[n++] = touched->all[i];
	if (n < touched->n) {
		touched->n = n;
		index_all(touched);
	}
	if (mark_end(&touched->everything))
		touched->everything = (struct fl_touched_mark){0};
}
