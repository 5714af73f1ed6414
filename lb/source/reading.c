/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes to objects. */
#include "lb/source/reading.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/read_file.h"

void fl_reading_fini(struct fl_reading *r)
{
	for (size_t i = 0; i < r->n_staged; i++)
		fl_object_free(&r->staged[i].object);
	free(r->staged);
	for (size_t i = 0; i < r->n_failed; i++) {
		free((char *)r->failed[i].ns);
		free((char *)r->failed[i].name);
	}
	free(r->failed);
	for (size_t i = 0; i < r->n_strangers; i++) {
		free(r->strangers[i].ns);
		free(r->strangers[i].name);
		free(r->strangers[i].object);
		free(r->strangers[i].reason);
	}
	free(r->strangers);
	for (size_t i = 0; i < r->n_unread; i++)
		fl_unread_fini(&r->unread[i]);
	free(r->unread);
	fl_text_digest_fini(&r->lines);
	fl_problems_clear(&r->problems);
	fl_problems_clear(&r->notes);
}

static int on_object(struct fl_object *object, unsigned int line, void *arg)
{
	struct fl_reading *r = arg;

	if (atomic_load(&r->cancelled) ||
	    FL_ARRAY_ROOM(r->staged, r->n_staged_room, r->n_staged + 1)) {
		fl_object_free(object);
		return atomic_load(&r->cancelled) ? -ECANCELED : -ENOMEM;
	}
	r->staged[r->n_staged++] = (struct fl_staged){.object = *object, .line = line};
	return 0;
}

static int add_failed(struct fl_reading *r, enum fl_kind kind, const char *ns, const char *name)
{
	struct fl_object_key key = {.kind = kind};

	if (FL_ARRAY_ROOM(r->failed, r->n_failed_room, r->n_failed + 1))
		return -ENOMEM;
	key.ns = strdup(ns);
	key.name = strdup(name);
	r->failed[r->n_failed++] = key;
	return key.ns && key.name ? 0 : -ENOMEM;
}

static int add_stranger(struct fl_reading *r, const struct fl_problem *problem)
{
	struct fl_stranger *stranger;

	if (FL_ARRAY_ROOM(r->strangers, r->n_strangers_room, r->n_strangers + 1))
		return -ENOMEM;
	stranger = &r->strangers[r->n_strangers++];
	*stranger = (struct fl_stranger){
		.id = XXH64(problem->object, strlen(problem->object), 0),
		.line = problem->line,
	};
	if (!r->keep_strangers)
		return 0;
	stranger->object = strdup(problem->object);
	stranger->reason = strdup(problem->reason);
	if (problem->name) {
		stranger->ns = strdup(problem->ns);
		stranger->name = strdup(problem->name);
	}
	return stranger->object && stranger->reason &&
			       (!problem->name || (stranger->ns && stranger->name))
		       ? 0
		       : -ENOMEM;
}

static int on_unread(struct fl_unread *unread, void *arg)
{
	struct fl_reading *r = arg;

	if (FL_ARRAY_ROOM(r->unread, r->n_unread_room, r->n_unread + 1)) {
		fl_unread_fini(unread);
		return -ENOMEM;
	}
	r->unread[r->n_unread++] = *unread;
	return 0;
}

static int on_problem(const struct fl_problem *problem, void *arg)
{
	struct fl_reading *r = arg;
	bool note = problem->level == FL_PROBLEM_NOTE, hides = false;
	int rc = 0;

	if (problem->foreign) {
		rc = add_stranger(r, problem);
	} else if (problem->level == FL_PROBLEM_ERROR) {
		hides = !problem->name;
		r->unidentified |= hides;
		rc = hides ? 0 : add_failed(r, problem->kind, problem->ns, problem->name);
	}
	if (rc)
		return rc;
	r->notes.foreign = true;
	/* thousands of other objects are no problem, and must not hide one */
	return fl_problems_add(note && problem->foreign ? &r->notes : &r->problems, problem, hides);
}

/* A document that contradicts itself: it may be any object. */
static int on_fault(unsigned int line, const char *reason, void *arg)
{
	struct fl_reading *r = arg;

	return on_problem(&(struct fl_problem){.level = FL_PROBLEM_ERROR,
					       .file = r->path,
					       .line = line,
					       .object = "",
					       .reason = reason},
			  r);
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	const struct fl_decode_sink sink = {
		.object = on_object,
		.problem = on_problem,
		.arg = arg,
		.unread = on_unread,
		.pods = ((const struct fl_reading *)arg)->pods,
	};
	const struct fl_reading *r = arg;

	return fl_decode(doc, r->path, &sink);
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
static int drop_duplicates(struct fl_reading *r)
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
		if (!rc)
			rc = fl_problems_add(&r->problems,
					     &(struct fl_problem){.level = FL_PROBLEM_ERROR,
								  .line = r->staged[i].line,
								  .object = object,
								  .reason = reason},
					     false);
		fl_object_free(&r->staged[i].object);
	}
	r->n_staged = n;
	return rc;
}

static bool is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isspace((unsigned char)text[i]))
			return false;
	return true;
}

static int decode_text(struct fl_reading *r, const char *text, size_t len)
{
	int rc = fl_doc_each_tolerant(text, len, r->yaml ? FL_DOC_YAML : FL_DOC_JSON, on_document,
				      on_fault, r, &r->line, &r->why);

	if (!rc)
		rc = drop_duplicates(r);
	return rc;
}

static int read_text(struct fl_reading *r, char **ret_text, size_t *ret_len)
{
	struct stat after;
	int rc;

	if (r->is_input)
		return fl_read_stream(STDIN_FILENO, FL_DOC_MAX_BYTES, ret_text, ret_len, &r->why);
	rc = fl_read_file(r->path, FL_DOC_MAX_BYTES, ret_text, ret_len, &r->st, &r->why);
	if (rc)
		return fl_err_wrap(&r->why, rc, "cannot be read");
	r->changed = stat(r->path, &after) || after.st_ino != r->st.st_ino ||
		     after.st_size != r->st.st_size ||
		     after.st_mtim.tv_sec != r->st.st_mtim.tv_sec ||
		     after.st_mtim.tv_nsec != r->st.st_mtim.tv_nsec;
	return 0;
}

static int run(struct fl_reading *r)
{
	const char *dot = strrchr(r->path, '.');
	_cleanup_free_ char *text = NULL;
	size_t len;
	int rc = read_text(r, &text, &len);

	if (rc)
		return rc;
	r->yaml = !dot || strcmp(dot, ".json");
	r->hash = XXH3_64bits(text, len);
	r->same = r->knows_hash && r->known_hash == r->hash;
	if (r->same)
		return 0;
	r->empty = is_blank(text, len);
	if (r->empty)
		return fl_err_set(&r->why, -ENODATA, "is empty");
	if (r->yaml)
		rc = fl_text_digest_read(&r->lines, text, len);
	if (!rc)
		rc = decode_text(r, text, len);
	if (rc)
		return rc;
	if (r->n_staged)
		qsort(r->staged, r->n_staged, sizeof(*r->staged), compare_staged);
	if (r->n_failed)
		qsort(r->failed, r->n_failed, sizeof(*r->failed), compare_failed);
	return 0;
}

void fl_reading_run(struct fl_reading *reading)
{
	reading->rc = run(reading);
}
