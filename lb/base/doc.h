/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Untrusted YAML and JSON as a tree of maps, lists and scalars, each with its line. What is not
 * well formed, too deep, too large, has a key twice or would grow without bound through aliases is
 * refused with the line and the reason.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lb/base/err.h"

#define FL_DOC_MAX_BYTES (64u * 1024 * 1024) /* of text */
#define FL_DOC_MAX_VALUES (4u * 1024 * 1024) /* in one document */
#define FL_DOC_MAX_DEPTH 64
/* values that aliases and merge keys of one document may add */
#define FL_DOC_MAX_ALIASED 100000
#define FL_DOC_MAX_ANCHORS 256

enum fl_doc_syntax {
	FL_DOC_YAML, /* one or more documents */
	FL_DOC_JSON, /* one or more objects or arrays */
};

enum fl_value_type {
	FL_VALUE_NULL,
	FL_VALUE_BOOL,
	FL_VALUE_INT, /* may be too large for int64_t */
	FL_VALUE_FLOAT,
	FL_VALUE_STRING,
	FL_VALUE_LIST,
	FL_VALUE_MAP,
	FL_VALUE_TYPES,
};

struct fl_doc;
struct fl_value; /* borrowed from its document */

/*
 * Parse one document; empty YAML is a null. The caller frees it. -EINVAL with "line N: reason",
 * -E2BIG beyond a limit, -ENOMEM.
 */
int fl_doc_parse(const char *text, size_t len, enum fl_doc_syntax syntax, struct fl_doc **ret_doc,
		 struct fl_err *err);
void fl_doc_free(struct fl_doc **doc);

/*
 * Parse a stream and call fn for each document, which is borrowed for the call. Stops at fn's first
 * non-zero, which is returned. Documents before a faulty one may have been given to fn already.
 * Errors as above, but with the line in *ret_line (may be NULL; 0 when it has none) and only the
 * reason in err.
 */
typedef int (*fl_doc_fn)(const struct fl_doc *doc, void *arg);
int fl_doc_each(const char *text, size_t len, enum fl_doc_syntax syntax, fl_doc_fn fn, void *arg,
		unsigned int *ret_line, struct fl_err *err);

/*
 * The same, but a YAML document that is well formed and refused for another reason (a key that
 * occurs twice, an unknown alias or tag) is given to `fault` instead of fn, and the stream goes on
 * behind it. A document beyond a limit ends the stream.
 */
typedef int (*fl_doc_fault_fn)(unsigned int line, const char *reason, void *arg);
int fl_doc_each_tolerant(const char *text, size_t len, enum fl_doc_syntax syntax, fl_doc_fn fn,
			 fl_doc_fault_fn fault, void *arg, unsigned int *ret_line,
			 struct fl_err *err);

/* Most keys that are compared differ in the first letter, for which a call is too much. */
static inline bool fl_key_is(const char *key, const char *name)
{
	return *key == *name && !strcmp(key, name);
}

const struct fl_value *fl_doc_root(const struct fl_doc *doc);

/* Every function below takes NULL for an absent value, which looks like a null. */
enum fl_value_type fl_value_type(const struct fl_value *value);
const char *fl_value_type_name(enum fl_value_type type);  /* "a string", "an integer", ... */
unsigned int fl_value_line(const struct fl_value *value); /* from 1; that of the key in a map */
/* A map's member. NULL when it is absent or null, or this is no map. */
const struct fl_value *fl_value_get(const struct fl_value *map, const char *key);
const char *fl_value_string(const struct fl_value *value); /* NULL when it is no string */
const char *fl_value_text(const struct fl_value *value); /* of any scalar, as written; else NULL */
bool fl_value_int(const struct fl_value *value, int64_t *ret_number);
bool fl_value_bool(const struct fl_value *value, bool *ret_flag);

size_t fl_value_count(const struct fl_value *value); /* members of a map or list, else 0 */
const struct fl_value *fl_value_first(const struct fl_value *value);
const struct fl_value *fl_value_next(const struct fl_value *member);
const char *fl_value_key(const struct fl_value *member); /* NULL for a member of a list */

#define FL_VALUE_EACH(member, container)                                                           \
	for (const struct fl_value *member = fl_value_first(container); member;                    \
	     member = fl_value_next(member))
