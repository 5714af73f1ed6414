// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frontends that several service ports claim: each such claim is logged once when it begins and
 * once when it is no more. `fairlead status` lists them while they last.
 */
#include <string.h>

#include "lb/agent.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"

#define LOGGED_MAX 50 /* lines per turn and kind */

static void clear(struct fl_strings *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		free(texts->items[i]);
	free(texts->items);
	*texts = (struct fl_strings){0};
}

/* Without memory a conflict is not told. */
static void add(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *text = fl_conflict_text(conflict);
	struct fl_strings *texts = arg;
	char **items = text ? reallocarray(texts->items, texts->n + 1, sizeof(*items)) : NULL;

	if (!items)
		return;
	texts->items = items;
	items[texts->n++] = TAKE_PTR(text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Log those of `texts` that are not in `others`; both are sorted. */
static void log_new(enum fl_log_level level, const char *prefix, const struct fl_strings *texts,
		    const struct fl_strings *others)
{
	size_t n = 0;

	for (size_t i = 0, k = 0; i < texts->n; i++) {
		while (k < others->n && strcmp(others->items[k], texts->items[i]) < 0)
			k++;
		if (k < others->n && !strcmp(others->items[k], texts->items[i]))
			continue;
		if (n++ < LOGGED_MAX)
			fl_log(level, "%s%s", prefix, texts->items[i]);
	}
	if (n > LOGGED_MAX)
		fl_log(level, "%s%zu further claims on frontends of others", prefix,
		       n - LOGGED_MAX);
}

void fl_agent_conflicts_update(struct fl_agent *agent)
{
	struct fl_strings now = {0};

	if (!fl_sync_conflicts_changed(agent->sync))
		return;
	fl_sync_each_conflict(agent->sync, add, &now);
	if (now.n > 1)
		qsort(now.items, now.n, sizeof(*now.items), by_text);
	log_new(FL_LOG_WARN, "", &now, &agent->conflicts);
	log_new(FL_LOG_INFO, "no longer so: ", &agent->conflicts, &now);
	clear(&agent->conflicts);
	agent->conflicts = now;
}

void fl_agent_conflicts_fini(struct fl_agent *agent)
{
	clear(&agent->conflicts);
}
