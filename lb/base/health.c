/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conditions, kept per kind and sorted by subject. */
#include "lb/base/health.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

struct entry {
	struct fl_condition shown; /* subject and text are owned */
	bool confirmed;		   /* set since the scan under way began */
};

struct kind {
	struct entry **entries; /* sorted by subject */
	size_t n, room;
	size_t unkept[FL_HEALTH_LEVELS]; /* beyond the limit, since the last scan began */
	bool scanning;
};

struct fl_health {
	struct fl_clock clock;
	fl_health_edge_fn edge;
	void *arg;
	struct kind kinds[FL_CONDITION_KINDS];
};

static const char *const tokens[] = {
#define X(name, token, text) [FL_CONDITION_##name] = token,
	FL_CONDITIONS(X)
#undef X
};
static const char *const levels[] = {
	[FL_HEALTH_NOTE] = "note",
	[FL_HEALTH_WARNING] = "warning",
	[FL_HEALTH_ERROR] = "error",
};
static_assert(sizeof(levels) / sizeof(levels[0]) == FL_HEALTH_LEVELS, "a name for each level");

const char *fl_condition_token(enum fl_condition_kind kind)
{
	return tokens[kind];
}

const char *fl_health_level_name(enum fl_health_level level)
{
	return levels[level];
}

static void entry_free(struct entry *entry)
{
	free((char *)entry->shown.subject);
	free((char *)entry->shown.text);
	free(entry);
}

static void entry_freep(struct entry **entry)
{
	if (*entry)
		entry_free(*entry);
}

int fl_health_new(const struct fl_clock *clock, fl_health_edge_fn edge, void *arg,
		  struct fl_health **ret_health)
{
	struct fl_health *health = calloc(1, sizeof(*health));

	if (!health)
		return -ENOMEM;
	health->clock = *clock;
	health->edge = edge;
	health->arg = arg;
	*ret_health = health;
	return 0;
}

void fl_health_free(struct fl_health **health)
{
	struct fl_health *h = TAKE_PTR(*health);

	if (!h)
		return;
	for (size_t k = 0; k < FL_CONDITION_KINDS; k++) {
		for (size_t i = 0; i < h->kinds[k].n; i++)
			entry_free(h->kinds[k].entries[i]);
		free(h->kinds[k].entries);
	}
	free(h);
}

/* Where the subject is, or would be. */
static size_t position(const struct kind *kind, const char *subject, bool *ret_found)
{
	size_t low = 0, high = kind->n;

	*ret_found = false;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = strcmp(kind->entries[middle]->shown.subject, subject);

		if (!order) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void call_edge(const struct fl_health *health, enum fl_health_edge edge,
		      const struct fl_condition *condition)
{
	if (health->edge)
		health->edge(edge, condition,
			     fl_mono_ms_between(condition->since, fl_clock_now(&health->clock)),
			     health->arg);
}

static struct entry *entry_of(const struct fl_condition *condition)
{
	_cleanup_(entry_freep) struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->shown = *condition;
	entry->shown.subject = strdup(condition->subject);
	entry->shown.text = strdup(condition->text);
	entry->confirmed = true;
	return entry->shown.subject && entry->shown.text ? TAKE_PTR(entry) : NULL;
}

static void insert(struct kind *kind, size_t at, const struct fl_condition *condition)
{
	_cleanup_(entry_freep) struct entry *entry = entry_of(condition);

	if (!entry || FL_ARRAY_ROOM(kind->entries, kind->room, kind->n + 1))
		return;
	memmove(&kind->entries[at + 1], &kind->entries[at],
		(kind->n - at) * sizeof(struct entry *));
	kind->entries[at] = TAKE_PTR(entry);
	kind->n++;
}

static void change(const struct fl_health *health, struct entry *entry, enum fl_health_level level,
		   const char *text)
{
	const bool other_level = entry->shown.level != level;
	char *copy;

	entry->confirmed = true;
	if (!other_level && !strcmp(entry->shown.text, text))
		return;
	copy = strdup(text);
	if (copy) {
		free((char *)entry->shown.text);
		entry->shown.text = copy;
	}
	entry->shown.level = level;
	call_edge(health, other_level ? FL_HEALTH_LEVEL_CHANGED : FL_HEALTH_TEXT_CHANGED,
		  &entry->shown);
}

void fl_health_set(struct fl_health *health, enum fl_condition_kind kind, const char *subject,
		   enum fl_health_level level, const char *format, ...)
{
	struct kind *k = &health->kinds[kind];
	struct fl_condition condition = {.kind = kind, .level = level, .subject = subject};
	_cleanup_free_ char *text = NULL;
	bool found;
	size_t at = position(k, subject, &found);
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	condition.text = text ? text : format;
	if (found) {
		change(health, k->entries[at], level, condition.text);
		return;
	}
	if (k->n >= FL_HEALTH_KIND_MAX) {
		k->unkept[level]++;
		return;
	}
	condition.since = fl_clock_now(&health->clock);
	condition.since_unix_s = health->clock.unix_s(health->clock.arg);
	insert(k, at, &condition);
	call_edge(health, FL_HEALTH_RAISED, &condition);
}

static void resolve(const struct fl_health *health, struct entry *entry)
{
	call_edge(health, FL_HEALTH_RESOLVED, &entry->shown);
	entry_free(entry);
}

void fl_health_clear(struct fl_health *health, enum fl_condition_kind kind, const char *subject)
{
	struct kind *k = &health->kinds[kind];
	struct entry *entry;
	bool found;
	size_t at = position(k, subject, &found);

	if (!found)
		return;
	entry = k->entries[at];
	k->n--;
	memmove(&k->entries[at], &k->entries[at + 1], (k->n - at) * sizeof(struct entry *));
	resolve(health, entry);
}

void fl_health_scan_begin(struct fl_health *health, enum fl_condition_kind kind)
{
	struct kind *k = &health->kinds[kind];

	assert(!k->scanning);
	k->scanning = true;
	memset(k->unkept, 0, sizeof(k->unkept));
	for (size_t i = 0; i < k->n; i++)
		k->entries[i]->confirmed = false;
}

void fl_health_scan_end(struct fl_health *health, enum fl_condition_kind kind)
{
	struct kind *k = &health->kinds[kind];
	size_t kept = 0, n = k->n;

	assert(k->scanning);
	k->scanning = false;
	k->n = 0;
	for (size_t i = 0; i < n; i++)
		if (k->entries[i]->confirmed)
			k->entries[kept++] = k->entries[i];
		else
			resolve(health, k->entries[i]);
	k->n = kept;
}

int fl_health_each(const struct fl_health *health,
		   int (*fn)(const struct fl_condition *condition, void *arg), void *arg)
{
	for (size_t level = FL_HEALTH_LEVELS; level-- > 0;)
		for (size_t k = 0; k < FL_CONDITION_KINDS; k++)
			for (size_t i = 0; i < health->kinds[k].n; i++) {
				const struct fl_condition *c = &health->kinds[k].entries[i]->shown;
				int r = c->level == level ? fn(c, arg) : 0;

				if (r)
					return r;
			}
	return 0;
}

const struct fl_condition *fl_health_find(const struct fl_health *health,
					  enum fl_condition_kind kind, const char *subject)
{
	bool found;
	size_t at = position(&health->kinds[kind], subject, &found);

	return found ? &health->kinds[kind].entries[at]->shown : NULL;
}

bool fl_health_has(const struct fl_health *health, enum fl_condition_kind kind)
{
	return health->kinds[kind].n;
}

size_t fl_health_count_of(const struct fl_health *health, enum fl_condition_kind kind,
			  enum fl_health_level level)
{
	size_t n = health->kinds[kind].unkept[level];

	for (size_t i = 0; i < health->kinds[kind].n; i++)
		n += health->kinds[kind].entries[i]->shown.level == level;
	return n;
}

size_t fl_health_count(const struct fl_health *health, enum fl_health_level level)
{
	size_t n = 0;

	for (enum fl_condition_kind kind = 0; kind < FL_CONDITION_KINDS; kind++)
		n += fl_health_count_of(health, kind, level);
	return n;
}

size_t fl_health_count_unkept(const struct fl_health *health)
{
	size_t n = 0;

	for (size_t k = 0; k < FL_CONDITION_KINDS; k++)
		for (size_t level = 0; level < FL_HEALTH_LEVELS; level++)
			n += health->kinds[k].unkept[level];
	return n;
}

bool fl_health_is_good(const struct fl_health *health)
{
	return !fl_health_count(health, FL_HEALTH_ERROR);
}
