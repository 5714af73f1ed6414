// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Conditions of what is read: faulty files and objects, as the source lists them. */
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"

/*
 * What a problem is about, so that it stays the same problem when lines above it come and go:
 * "FILE: OBJECT: FIELD". Where the object is not known the line has to do.
 */
static char *subject_of(const struct fl_problem *p)
{
	const char *colon = strstr(p->reason, ": ");
	char line[16] = "", *subject;

	if (!*p->object && p->line)
		snprintf(line, sizeof(line), ":%u", p->line);
	if (asprintf(&subject, "%s%s: %s%s%.*s", p->file, line, p->object, *p->object ? ": " : "",
		     colon ? (int)(colon - p->reason) : (int)strlen(p->reason), p->reason) < 0)
		return NULL;
	return subject;
}

static void add_problem(const struct fl_problem *p, void *arg)
{
	_cleanup_free_ char *subject = NULL, *text = NULL;

	if (p->level == FL_PROBLEM_NOTE)
		return;
	subject = subject_of(p);
	text = fl_problem_text(p, false);
	if (subject && text)
		fl_health_set(arg, FL_CONDITION_OBJECT, subject,
			      p->level == FL_PROBLEM_ERROR ? FL_HEALTH_ERROR : FL_HEALTH_WARNING,
			      "%s", text);
}

void fl_agent_input_health(struct fl_agent *agent)
{
	fl_health_scan_begin(agent->health, FL_CONDITION_OBJECT);
	fl_source_each_problem(agent->source, add_problem, agent->health);
	fl_health_scan_end(agent->health, FL_CONDITION_OBJECT);
}
