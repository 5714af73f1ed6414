/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The problems of one file. */
#include "lb/source/problems.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"

char *fl_problem_text(const struct fl_problem *p, bool level)
{
	char line[16] = "", *text;

	if (p->line)
		snprintf(line, sizeof(line), ":%u", p->line);
	if (asprintf(&text, "%s%s: %s%s%s%s%s", p->file, line,
		     level ? fl_problem_level_name(p->level) : "", level ? ": " : "", p->object,
		     *p->object ? ": " : "", p->reason) < 0)
		return NULL;
	return text;
}

struct fl_stored_problem {
	enum fl_problem_level level;
	unsigned int line;
	bool hides;
	char *object, *reason;
};

int fl_problems_add(struct fl_problems *problems, const struct fl_problem *problem, bool hides)
{
	struct fl_stored_problem *p;

	if (problems->n == FL_PROBLEMS_MAX) {
		problems->n_dropped++;
		return 0;
	}
	if (FL_ARRAY_ROOM(problems->list, problems->room, problems->n + 1))
		return -ENOMEM;
	p = &problems->list[problems->n];
	p->level = problem->level;
	p->line = problem->line;
	p->hides = hides;
	p->object = strdup(problem->object);
	p->reason = strdup(problem->reason);
	if (!p->object || !p->reason) {
		free(p->object);
		free(p->reason);
		return -ENOMEM;
	}
	problems->n++;
	return 0;
}

bool fl_problems_is(const struct fl_problems *problems, const struct fl_problem *problem)
{
	const struct fl_stored_problem *p = problems->list;

	return problems->n == 1 && p->level == problem->level && p->line == problem->line &&
	       !strcmp(p->object, problem->object) && !strcmp(p->reason, problem->reason);
}

void fl_problems_each(const struct fl_problems *problems, const char *file, fl_problem_fn fn,
		      void *arg)
{
	struct fl_problem problem = {.file = file, .foreign = problems->foreign};
	char text[600];

	for (size_t i = 0; i < problems->n; i++) {
		const struct fl_stored_problem *p = &problems->list[i];

		problem.level = p->level;
		problem.line = p->line;
		problem.object = p->object;
		problem.reason = p->reason;
		if (p->hides && problems->keeps) {
			snprintf(text, sizeof(text), "%s; what this file held before stays",
				 p->reason);
			problem.reason = text;
		}
		fn(&problem, arg);
	}
	if (!problems->n_dropped)
		return;
	snprintf(text, sizeof(text), "%u more problems in this file", problems->n_dropped);
	problem = (struct fl_problem){
		.level = FL_PROBLEM_WARNING, .file = file, .object = "", .reason = text};
	fn(&problem, arg);
}

void fl_problems_clear(struct fl_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		free(problems->list[i].object);
		free(problems->list[i].reason);
	}
	free(problems->list);
	*problems = (struct fl_problems){0};
}
