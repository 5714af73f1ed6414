// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* States that are logged when they begin and when they end, and not in between. */
#include <stdlib.h>
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/log.h"

#define LOGGED_MAX 50 /* lines per turn and kind */

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
		fl_log(level, "%s%zu more", prefix, n - LOGGED_MAX);
}

void fl_agent_tell(struct fl_strings *told, const struct fl_strings *now)
{
	if (now->n > 1)
		qsort(now->items, now->n, sizeof(*now->items), by_text);
	log_new(FL_LOG_WARN, "", now, told);
	log_new(FL_LOG_INFO, "no longer so: ", told, now);
	fl_strings_clear(told);
	*told = *now;
}
