/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conditions in the log. */
#include "lb/agent/health_log.h"

#include <assert.h>
#include <stdio.h>

#include "lb/base/log.h"

#define LINES_MAX 50 /* per turn and kind */

static const enum fl_log_level log_levels[] = {
	[FL_HEALTH_NOTE] = FL_LOG_INFO,
	[FL_HEALTH_WARNING] = FL_LOG_WARN,
	[FL_HEALTH_ERROR] = FL_LOG_ERROR,
};
static_assert(sizeof(log_levels) / sizeof(log_levels[0]) == FL_HEALTH_LEVELS, "one for each");

const char *fl_lasted_format(uint64_t ms, char buf[static FL_LASTED_STRLEN])
{
	const unsigned long long s = ms / 1000;

	if (s < 1)
		snprintf(buf, FL_LASTED_STRLEN, "%llu ms", (unsigned long long)ms);
	else if (s < 60)
		snprintf(buf, FL_LASTED_STRLEN, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, FL_LASTED_STRLEN, "%llum%llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, FL_LASTED_STRLEN, "%lluh%llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, FL_LASTED_STRLEN, "%llud%lluh", s / 86400, s / 3600 % 24);
	return buf;
}

/* Kinds whose words hold numbers that move: a line for each move would tell nothing. */
static bool is_gauge(enum fl_condition_kind kind)
{
	return kind == FL_CONDITION_MAP || kind == FL_CONDITION_FLOW_TABLE ||
	       kind == FL_CONDITION_DROPS || kind == FL_CONDITION_REPLIES ||
	       kind == FL_CONDITION_BACKEND_PORTS;
}

void fl_health_log_edge(enum fl_health_edge edge, const struct fl_condition *condition,
			uint64_t lasted_ms, void *arg)
{
	struct fl_health_log *log = arg;
	char lasted[FL_LASTED_STRLEN];

	if (edge == FL_HEALTH_RESOLVED) {
		if (log->n_resolved[condition->kind]++ < LINES_MAX)
			fl_log_info("resolved: %s (after %s)", condition->text,
				    fl_lasted_format(lasted_ms, lasted));
		return;
	}
	if (edge == FL_HEALTH_TEXT_CHANGED && is_gauge(condition->kind))
		return;
	if (log->n_standing[condition->kind]++ < LINES_MAX)
		fl_log(log_levels[condition->level], "%s", condition->text);
}

void fl_health_log_turn(struct fl_health_log *log)
{
	for (size_t k = 0; k < FL_CONDITION_KINDS; k++) {
		const char *token = fl_condition_token((enum fl_condition_kind)k);

		if (log->n_standing[k] > LINES_MAX)
			fl_log_warn("%zu more conditions of kind %s",
				    log->n_standing[k] - LINES_MAX, token);
		if (log->n_resolved[k] > LINES_MAX)
			fl_log_info("resolved: %zu more of kind %s", log->n_resolved[k] - LINES_MAX,
				    token);
	}
	*log = (struct fl_health_log){0};
}
