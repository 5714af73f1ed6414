/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a document: the getters, and the choice of parser. */
#include "lb/base/doc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc_build.h"

static const char *const type_names[] = {
	[FL_VALUE_NULL] = "nothing",	[FL_VALUE_BOOL] = "a boolean",
	[FL_VALUE_INT] = "an integer",	[FL_VALUE_FLOAT] = "a number",
	[FL_VALUE_STRING] = "a string", [FL_VALUE_LIST] = "a list",
	[FL_VALUE_MAP] = "a map",
};
static_assert(sizeof(type_names) / sizeof(type_names[0]) == FL_VALUE_TYPES, "a name for each type");

const struct fl_value *fl_doc_root(const struct fl_doc *doc)
{
	return doc->root;
}

enum fl_value_type fl_value_type(const struct fl_value *value)
{
	return value ? (enum fl_value_type)value->type : FL_VALUE_NULL;
}

const char *fl_value_type_name(enum fl_value_type type)
{
	return type_names[type];
}

unsigned int fl_value_line(const struct fl_value *value)
{
	return value ? value->line : 0;
}

const struct fl_value *fl_value_get(const struct fl_value *map, const char *key)
{
	if (fl_value_type(map) != FL_VALUE_MAP)
		return NULL;
	FL_VALUE_EACH(member, map)
	if (fl_key_is(member->key, key))
		return member->type == FL_VALUE_NULL ? NULL : member;
	return NULL;
}

const char *fl_value_string(const struct fl_value *value)
{
	return fl_value_type(value) == FL_VALUE_STRING ? value->text : NULL;
}

const char *fl_value_text(const struct fl_value *value)
{
	enum fl_value_type type = fl_value_type(value);

	if (!value || type == FL_VALUE_LIST || type == FL_VALUE_MAP)
		return NULL;
	return value->text;
}

bool fl_value_int(const struct fl_value *value, int64_t *ret_number)
{
	long long number;
	char *end;

	if (fl_value_type(value) != FL_VALUE_INT)
		return false;
	errno = 0;
	number = strtoll(value->text, &end, 10);
	if (errno || *end)
		return false;
	*ret_number = number;
	return true;
}

bool fl_value_bool(const struct fl_value *value, bool *ret_flag)
{
	if (fl_value_type(value) != FL_VALUE_BOOL)
		return false;
	/* true, True, TRUE, yes, on and so on, see yaml.c */
	*ret_flag = strchr("tTyY", value->text[0]) || !strcasecmp(value->text, "on");
	return true;
}

size_t fl_value_count(const struct fl_value *value)
{
	enum fl_value_type type = fl_value_type(value);

	return type == FL_VALUE_LIST || type == FL_VALUE_MAP ? value->count : 0;
}

const struct fl_value *fl_value_first(const struct fl_value *value)
{
	return fl_value_count(value) ? value->first : NULL;
}

const struct fl_value *fl_value_next(const struct fl_value *member)
{
	return member->next;
}

const char *fl_value_key(const struct fl_value *member)
{
	return member->key;
}

static void doc_fini(struct fl_doc *doc)
{
	fl_arena_fini(&doc->arena);
}

void fl_doc_free(struct fl_doc **doc)
{
	if (!*doc)
		return;
	doc_fini(*doc);
	free(*doc);
	*doc = NULL;
}

static int parse(struct fl_doc *doc, const char *text, size_t len, enum fl_doc_syntax syntax,
		 fl_doc_fn fn, fl_doc_fault_fn fault, void *arg, struct fl_err *err)
{
	if (len > FL_DOC_MAX_BYTES)
		return fl_err_set(err, -E2BIG, "%zu bytes are more than the limit of %u", len,
				  FL_DOC_MAX_BYTES);
	if (syntax == FL_DOC_JSON)
		return fl_json_each(doc, text, len, fn, arg, err);
	return fl_yaml_each(doc, text, len, fn, fault, arg, err);
}

int fl_doc_each_tolerant(const char *text, size_t len, enum fl_doc_syntax syntax, fl_doc_fn fn,
			 fl_doc_fault_fn fault, void *arg, unsigned int *ret_line,
			 struct fl_err *err)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = calloc(1, sizeof(*doc));
	int rc;

	if (!doc)
		return fl_err_set(err, -ENOMEM, "out of memory");
	rc = parse(doc, text, len, syntax, fn, fault, arg, err);
	if (ret_line)
		*ret_line = doc->error_line;
	return rc;
}

int fl_doc_each(const char *text, size_t len, enum fl_doc_syntax syntax, fl_doc_fn fn, void *arg,
		unsigned int *ret_line, struct fl_err *err)
{
	return fl_doc_each_tolerant(text, len, syntax, fn, NULL, arg, ret_line, err);
}

/* The parser resets the document for the next one of the stream; a second one is a fault. */
static int count_document(const struct fl_doc *doc, void *arg)
{
	unsigned int *n = arg;

	return ++*n > 1 ? -EINVAL : 0;
}

int fl_doc_parse(const char *text, size_t len, enum fl_doc_syntax syntax, struct fl_doc **ret_doc,
		 struct fl_err *err)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = calloc(1, sizeof(*doc));
	unsigned int n = 0;
	int rc;

	if (!doc)
		return fl_err_set(err, -ENOMEM, "out of memory");
	rc = parse(doc, text, len, syntax, count_document, NULL, &n, err);
	if (n > 1)
		return fl_err_set(err, -EINVAL, "more than one document");
	if (rc && doc->error_line)
		return fl_err_wrap(err, rc, "line %u", doc->error_line);
	if (rc)
		return rc;
	*ret_doc = TAKE_PTR(doc);
	return 0;
}
