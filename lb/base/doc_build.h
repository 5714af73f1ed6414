/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside of doc.h, for the two parsers only: how a document is put together and what limits it. */
#pragma once

#include "lb/base/arena.h"
#include "lb/base/doc.h"

struct fl_value {
	const char *key; /* NULL in a list */
	union {
		const char *text;	/* of a scalar */
		struct fl_value *first; /* of a map or list */
	};
	struct fl_value *next;
	uint32_t count; /* members, or bytes of text */
	uint32_t line : 28, type : 4;
};

#define FL_DOC_KEY_CACHE 64

struct fl_doc {
	struct fl_arena arena;
	struct fl_value *root;
	size_t n_values, n_aliased;
	const char *keys[FL_DOC_KEY_CACHE]; /* the same few keys come again and again */
	/* while building */
	struct {
		struct fl_value *value, *last;
		bool merges; /* one of its keys is fl_doc_merge_key */
	} open[FL_DOC_MAX_DEPTH];
	unsigned int depth;
	const char *key;
	unsigned int key_line, error_line;
};

/* All return 0, -E2BIG beyond a limit, -EINVAL or -ENOMEM, with the line in doc->error_line. */
int fl_doc_begin(struct fl_doc *doc, enum fl_value_type type, unsigned int line,
		 struct fl_err *err);
/* Refuses a key that came twice, and merges what a merge key names. */
int fl_doc_end(struct fl_doc *doc, struct fl_err *err);
int fl_doc_key(struct fl_doc *doc, const char *text, size_t len, unsigned int line,
	       struct fl_err *err);
/* YAML's "<<": the members of its value, a map or a list of maps, become members of the map it is
 * in, unless that has their key already or an earlier map of the list had it. */
void fl_doc_merge_key(struct fl_doc *doc, unsigned int line);
/* `text` is copied. */
int fl_doc_scalar(struct fl_doc *doc, enum fl_value_type type, const char *text, size_t len,
		  unsigned int line, struct fl_err *err);
/* Add a copy of a value of the same document. */
int fl_doc_copy(struct fl_doc *doc, const struct fl_value *value, unsigned int line,
		struct fl_err *err);
/* Whether a map is open and its next member's key is due. */
bool fl_doc_wants_key(const struct fl_doc *doc);
/* Whether this value is complete, not one that is still open. */
bool fl_doc_is_complete(const struct fl_doc *doc, const struct fl_value *value);
/* The value that was added or begun last. */
struct fl_value *fl_doc_latest(const struct fl_doc *doc);
/* Forget everything, keep some memory. */
void fl_doc_reset(struct fl_doc *doc);
int fl_doc_error(struct fl_doc *doc, int rc, unsigned int line, struct fl_err *err, const char *fmt,
		 ...) __attribute__((format(printf, 5, 6)));

/* The parsers: fill `doc` and call fn, once per document. */
int fl_yaml_each(struct fl_doc *doc, const char *text, size_t len, fl_doc_fn fn,
		 fl_doc_fault_fn fault, void *arg, struct fl_err *err);
int fl_json_each(struct fl_doc *doc, const char *text, size_t len, fl_doc_fn fn, void *arg,
		 struct fl_err *err);
