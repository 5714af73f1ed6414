/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One manifest file: bytes to objects, and what to keep when something in it is wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/read_file.h"
#include "lb/source/manifest_files.h"

/* What one reading of a file brought. */
struct reading {
	struct fl_manifest *m;
	struct fl_manifest_file *file;
	struct fl_staged *staged;
	size_t n_staged, n_staged_room;
	/* objects with an error, whose last good state stays; the strings are owned */
	struct fl_object_key *failed;
	size_t n_failed, n_failed_room;
	struct fl_foreign *foreign;
	size_t n_foreign, n_foreign_room;
	bool hides;    /* an object of ours could not be read */
	bool keep_all; /* and nobody knows which */
	struct fl_problems problems;
};

static void reading_fini(struct reading *r)
{
	for (size_t i = 0; i < r->n_staged; i++)
		fl_object_free(&r->staged[i].object);
	free(r->staged);
	for (size_t i = 0; i < r->n_failed; i++) {
		free((char *)r->failed[i].ns);
		free((char *)r->failed[i].name);
	}
	free(r->failed);
	free(r->foreign);
	fl_problems_clear(&r->problems);
}

static int on_object(struct fl_object *object, unsigned int line, void *arg)
{
	struct reading *r = arg;

	if (FL_ARRAY_ROOM(r->staged, r->n_staged_room, r->n_staged + 1)) {
		fl_object_free(object);
		return -ENOMEM;
	}
	r->staged[r->n_staged++] = (struct fl_staged){.object = *object, .line = line};
	return 0;
}

static bool has_state(const struct fl_manifest_file *file)
{
	return file->definer.n > 0;
}

/* What the file held of this object before stays. */
static int keep(struct reading *r, enum fl_kind kind, const char *ns, const char *name)
{
	struct fl_object_key key = {.kind = kind};

	if (FL_ARRAY_ROOM(r->failed, r->n_failed_room, r->n_failed + 1))
		return -ENOMEM;
	key.ns = strdup(ns);
	key.name = strdup(name);
	r->failed[r->n_failed++] = key;
	return key.ns && key.name ? 0 : -ENOMEM;
}

/*
 * An object of a kind that is not ours, such as the Deployment beside a Service, or no Kubernetes
 * object at all. But if it comes where the file has an object of that name, and that one is missing
 * now, it is taken for the same object with its kind misspelt or lost, for as long as it is there.
 */
static int on_foreign(struct reading *r, const struct fl_problem *problem, bool *ret_keeps)
{
	static const enum fl_kind kinds[] = {FL_KIND_SERVICE, FL_KIND_SLICE, FL_KIND_NODE};
	struct fl_foreign foreign = {
		.id = XXH64(problem->object, strlen(problem->object), 0),
		.holds = has_state(r->file),
	};
	int rc;

	for (size_t i = 0; i < r->file->n_foreign; i++)
		if (r->file->foreign[i].id == foreign.id)
			foreign.holds = r->file->foreign[i].holds;
	if (FL_ARRAY_ROOM(r->foreign, r->n_foreign_room, r->n_foreign + 1))
		return -ENOMEM;
	r->foreign[r->n_foreign++] = foreign;
	if (foreign.holds && !problem->name)
		r->keep_all = *ret_keeps = true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct fl_object_key key = {
			kinds[i], kinds[i] == FL_KIND_NODE ? "" : problem->ns, problem->name};

		if (!foreign.holds || !problem->name ||
		    !fl_definitions_has(&r->file->definer, &key))
			continue;
		*ret_keeps = true;
		rc = keep(r, key.kind, key.ns, key.name);
		if (rc)
			return rc;
	}
	return 0;
}

/* An object of ours that cannot be read: what the file held of it stays. */
static int on_faulty(struct reading *r, const struct fl_problem *problem, bool *ret_keeps)
{
	r->hides = true;
	if (problem->name)
		return keep(r, problem->kind, problem->ns, problem->name);
	r->keep_all = *ret_keeps = true;
	return 0;
}

static int on_problem(const struct fl_problem *problem, void *arg)
{
	struct fl_problem longer = *problem;
	struct reading *r = arg;
	bool keeps = false;
	char reason[600];
	int rc = 0;

	if (problem->foreign)
		rc = on_foreign(r, problem, &keeps);
	else if (problem->level == FL_PROBLEM_ERROR)
		rc = on_faulty(r, problem, &keeps);
	if (rc)
		return rc;
	if (keeps && has_state(r->file)) {
		snprintf(reason, sizeof(reason), "%s; what this file held before stays",
			 problem->reason);
		longer.level = FL_PROBLEM_ERROR;
		longer.reason = reason;
	}
	/* thousands of these are no problem, and must not hide one */
	if (longer.foreign && longer.level == FL_PROBLEM_NOTE) {
		if (r->m->report)
			r->m->report(&longer, r->m->report_arg);
		return 0;
	}
	return fl_problems_add(&r->problems, &longer);
}

/* A document that says nonsense, such as a key twice: it may be any object. */
static int on_fault(unsigned int line, const char *reason, void *arg)
{
	struct reading *r = arg;

	return on_problem(&(struct fl_problem){.level = FL_PROBLEM_ERROR,
					       .file = r->file->path,
					       .line = line,
					       .object = "",
					       .reason = reason},
			  r);
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	const struct fl_decode_sink sink = {.object = on_object, .problem = on_problem, .arg = arg};
	struct reading *r = arg;

	return fl_decode(doc, r->file->path, &sink);
}

static int compare_staged(const void *a, const void *b)
{
	const struct fl_staged *x = a, *y = b;
	struct fl_object_key kx = fl_object_key_of(&x->object), ky = fl_object_key_of(&y->object);
	int order = fl_object_key_cmp(&kx, &ky);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int compare_failed(const void *a, const void *b)
{
	return fl_object_key_cmp(a, b);
}

/* Of an object that is in the file twice the first is taken. */
static int drop_duplicates(struct reading *r)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < r->n_staged; i++) {
		struct fl_object_key key = fl_object_key_of(&r->staged[i].object), last;
		char reason[80], object[600];

		if (n)
			last = fl_object_key_of(&r->staged[n - 1].object);
		if (!n || fl_object_key_cmp(&key, &last)) {
			struct fl_staged moved = r->staged[i];

			r->staged[i].object = (struct fl_object){0};
			r->staged[n++] = moved;
			continue;
		}
		snprintf(reason, sizeof(reason), "is in this file twice, first in line %u",
			 r->staged[n - 1].line);
		snprintf(object, sizeof(object), "%s %s%s%s", fl_kind_name(key.kind), key.ns,
			 *key.ns ? "/" : "", key.name);
		rc = fl_problems_add(&r->problems, &(struct fl_problem){.level = FL_PROBLEM_ERROR,
									.line = r->staged[i].line,
									.object = object,
									.reason = reason});
		fl_object_free(&r->staged[i].object);
		if (rc)
			return rc;
	}
	r->n_staged = n;
	return 0;
}

static int decode_text(struct reading *r, const char *text, size_t len, unsigned int *ret_line,
		       struct fl_err *err)
{
	const char *dot = strrchr(r->file->name, '.');
	enum fl_doc_syntax syntax = dot && !strcmp(dot, ".json") ? FL_DOC_JSON : FL_DOC_YAML;

	return fl_doc_each_tolerant(text, len, syntax, on_document, on_fault, r, ret_line, err);
}

int fl_manifest_problem(struct fl_manifest *m, struct fl_problems *problems,
			const struct fl_problem *problem)
{
	if (m->report)
		m->report(problem, m->report_arg);
	return fl_problems_add(problems, problem);
}

/* The file as a whole is of no use. */
static int refuse_file(struct fl_manifest *m, struct fl_manifest_file *file, unsigned int line,
		       const char *what)
{
	char reason[600];
	const struct fl_problem problem = {
		.level = FL_PROBLEM_ERROR,
		.file = file->path,
		.line = line,
		.object = "",
		.reason = reason,
	};

	snprintf(reason, sizeof(reason), "%s%s", what,
		 has_state(file) ? "; the last good state of this file stays" : "");
	/* a file that is tried again and again is reported once */
	if (fl_problems_is(&file->problems, &problem))
		return 0;
	fl_problems_clear(&file->problems);
	return fl_manifest_problem(m, &file->problems, &problem);
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

void fl_manifest_each_conflict(const struct fl_manifest *m, const struct fl_manifest_file *file,
			       fl_problem_fn fn, void *arg)
{
	struct conflict_walk walk = {file, fn, arg};

	fl_definitions_each_standby(m->definitions, &file->definer, on_standby, &walk);
}

/* A good file: its objects take effect, its problems replace those of the reading before. */
static int apply(struct reading *r)
{
	struct fl_manifest *m = r->m;
	struct fl_manifest_file *file = r->file;
	int rc;

	if (r->n_staged)
		qsort(r->staged, r->n_staged, sizeof(*r->staged), compare_staged);
	if (r->n_failed)
		qsort(r->failed, r->n_failed, sizeof(*r->failed), compare_failed);
	rc = drop_duplicates(r);
	if (!rc)
		rc = fl_definitions_apply(m->definitions, &file->definer, r->staged, r->n_staged,
					  r->failed, r->n_failed, r->keep_all);
	if (rc)
		return rc;
	free(file->foreign);
	file->foreign = TAKE_PTR(r->foreign);
	file->n_foreign = r->n_foreign;
	fl_problems_clear(&file->problems);
	file->problems = r->problems;
	r->problems = (struct fl_problems){0};
	file->good |= !r->hides;
	if (m->report) {
		fl_problems_each(&file->problems, file->path, m->report, m->report_arg);
		fl_manifest_each_conflict(m, file, m->report, m->report_arg);
	}
	return 0;
}

/* Standard input cannot be read twice: what it gave stays with its file. */
static int read_text(struct fl_manifest *m, struct fl_manifest_file *file, char **ret_text,
		     size_t *ret_len, struct stat *ret_stat, struct fl_err *err)
{
	if (!m->roots[file->definer.order].is_input)
		return fl_read_file(file->path, FL_DOC_MAX_BYTES, ret_text, ret_len, ret_stat, err);
	*ret_stat = (struct stat){0};
	return fl_read_stream(STDIN_FILENO, FL_DOC_MAX_BYTES, ret_text, ret_len, err);
}

int fl_manifest_read(struct fl_manifest *m, struct fl_manifest_file *file, struct fl_err *err)
{
	_cleanup_(reading_fini) struct reading r = {.m = m, .file = file};
	_cleanup_free_ char *text = NULL;
	struct fl_err why = {""};
	unsigned int line = 0;
	struct stat st;
	size_t len;
	int rc;

	file->touched = file->definer.stale = false;
	rc = read_text(m, file, &text, &len, &st, &why);
	file->unreadable = rc;
	if (rc == -ENOENT && lstat(file->path, &st)) {
		/* it is gone, and so is what it said; a dangling symlink is not gone */
		file->gone = true;
		fl_problems_clear(&file->problems);
		rc = fl_definitions_apply(m->definitions, &file->definer, NULL, 0, NULL, 0, false);
		return rc ? fl_err_set(err, rc, "%s: out of memory", file->path) : 0;
	}
	if (!rc) {
		file->seen = st;
		rc = decode_text(&r, text, len, &line, &why);
		if (!rc)
			rc = apply(&r);
	} else {
		fl_err_wrap(&why, rc, "cannot be read");
	}
	if (rc == -ENOMEM) {
		file->touched = true; /* again at the next chance */
		return fl_err_set(err, rc, "%s: out of memory", file->path);
	}
	if (rc && refuse_file(m, file, line, why.text))
		return fl_err_set(err, -ENOMEM, "%s: out of memory", file->path);
	return 0;
}
