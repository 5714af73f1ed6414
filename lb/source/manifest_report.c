/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is wrong with files and the places they are in, in words: problems of their own, objects
 * that another file has as well, and what is held for the grace time.
 */
#include <stdio.h>
#include <string.h>

#include "lb/source/manifest_files.h"

void fl_manifest_report(const struct fl_manifest *m, const struct fl_problem *problem)
{
	if (m->options.report)
		m->options.report(problem, m->options.arg);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* "3 Services and 2 EndpointSlices" */
static const char *format_loss(const struct fl_definitions_loss *loss, char *buf, size_t size)
{
	const struct {
		size_t n;
		const char *word;
	} parts[] = {{loss->services, "Service"},
		     {loss->slices, "EndpointSlice"},
		     {loss->nodes, "Node"},
		     {loss->pods, "Pod"}};
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].n && len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%zu %s%s",
						len ? " and " : "", parts[i].n, parts[i].word,
						plural(parts[i].n));
	return buf;
}

/* What is said of a file while something of it is held; "" nothing is. */
static void describe_hold(const struct fl_manifest *m, const struct fl_manifest_file *file,
			  char *buf, size_t size)
{
	const struct fl_definitions_leaving leaving = fl_definitions_leaving(&file->definer);
	const double grace_s = (double)m->options.grace_ms / 1000;
	char loss[128];

	buf[0] = '\0';
	if (file->cut.ns)
		snprintf(buf, size,
			 "ends after line %u, where it went on before: its last state stays for "
			 "%g s, or until `fairlead reload --now`",
			 file->cut_line, grace_s);
	else if (leaving.since.ns)
		snprintf(buf, size,
			 "%s; %s that it had stay for %g s, or until `fairlead reload --now`",
			 file->gone ? "is gone" : "has lost more than half of all there was",
			 format_loss(&leaving.loss, loss, sizeof(loss)), grace_s);
}

void fl_manifest_report_hold(const struct fl_manifest *m, const struct fl_manifest_file *file)
{
	char reason[400];

	describe_hold(m, file, reason, sizeof(reason));
	if (*reason)
		fl_manifest_report(m, &(struct fl_problem){.level = FL_PROBLEM_WARNING,
							   .file = file->path,
							   .object = "",
							   .reason = reason});
}

struct conflict_walk {
	const struct fl_manifest_file *file;
	fl_problem_fn fn;
	void *arg;
};

static void on_standby(const struct fl_object_key *key, unsigned int line,
		       const struct fl_definer *active, unsigned int active_line, void *arg)
{
	const struct conflict_walk *walk = arg;
	char reason[4200], object[600];
	struct fl_problem problem = {
		.level = FL_PROBLEM_ERROR,
		.file = walk->file->path,
		.line = line,
		.object = object,
		.reason = reason,
		.kind = key->kind,
		.ns = key->ns,
		.name = key->name,
	};

	snprintf(object, sizeof(object), "%s %s%s%s", fl_kind_name(key->kind), key->ns,
		 *key->ns ? "/" : "", key->name);
	snprintf(reason, sizeof(reason), "is also in %s, line %u, which comes first", active->path,
		 active_line);
	walk->fn(&problem, walk->arg);
}

void fl_manifest_report_conflicts(const struct fl_manifest *m, struct fl_manifest_file *file)
{
	struct conflict_walk walk = {file, m->options.report, m->options.arg};

	file->definer.displaced = false;
	if (m->options.report)
		fl_definitions_each_standby(m->definitions, &file->definer, on_standby, &walk);
}

void fl_manifest_each_own_problem(const struct fl_manifest *m, const struct fl_manifest_file *file,
				  fl_problem_fn fn, void *arg)
{
	struct conflict_walk walk = {file, fn, arg};

	fl_problems_each(&file->problems, file->path, fn, arg);
	fl_definitions_each_standby(m->definitions, &file->definer, on_standby, &walk);
}

void fl_manifest_each_problem(const struct fl_manifest *m, const struct fl_manifest_file *file,
			      fl_problem_fn fn, void *arg)
{
	char reason[400];

	fl_manifest_each_own_problem(m, file, fn, arg);
	describe_hold(m, file, reason, sizeof(reason));
	if (*reason)
		fn(&(struct fl_problem){.level = FL_PROBLEM_WARNING,
					.file = file->path,
					.object = "",
					.reason = reason},
		   arg);
}

int fl_manifest_root_problem(struct fl_manifest *m, struct fl_manifest_root *root,
			     enum fl_problem_level level, const char *reason)
{
	const struct fl_problem problem = {
		.level = level, .file = root->path, .object = "", .reason = reason};

	if (reason && fl_problems_is(&root->problems, &problem))
		return 0;
	fl_problems_clear(&root->problems);
	if (!reason)
		return 0;
	fl_manifest_report(m, &problem);
	return fl_problems_add(&root->problems, &problem, false);
}
