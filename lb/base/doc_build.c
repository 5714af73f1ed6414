/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Putting a document together, value by value, within its limits. */
#include "lb/base/doc_build.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

#define FEW_KEYS 16			   /* up to here comparing each with each is cheapest */
#define MAX_MERGE_WORK (16u * 1024 * 1024) /* comparisons of keys for one merge key */

static const char merge_key[] =
	"<<"; /* recognised by its address: as a string it is a key like others */

int fl_doc_error(struct fl_doc *doc, int rc, unsigned int line, struct fl_err *err, const char *fmt,
		 ...)
{
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	doc->error_line = line;
	return fl_err_set(err, rc, "%s", text);
}

static int no_memory(struct fl_doc *doc, struct fl_err *err)
{
	return fl_doc_error(doc, -ENOMEM, 0, err, "out of memory");
}

void fl_doc_reset(struct fl_doc *doc)
{
	fl_arena_reset(&doc->arena);
	doc->root = NULL;
	doc->n_values = doc->n_aliased = 0;
	memset(doc->keys, 0, sizeof(doc->keys));
	doc->depth = doc->error_line = 0;
	doc->key = NULL;
}

/* Hang a new value where it belongs: at the end of the open container, or as the root. */
static int add(struct fl_doc *doc, enum fl_value_type type, unsigned int line,
	       struct fl_value **ret_value, struct fl_err *err)
{
	struct fl_value *value, *parent;

	if (doc->n_values >= FL_DOC_MAX_VALUES)
		return fl_doc_error(doc, -E2BIG, line, err, "more than %u values in one document",
				    FL_DOC_MAX_VALUES);
	value = fl_arena_alloc(&doc->arena, sizeof(*value));
	if (!value)
		return no_memory(doc, err);
	doc->n_values++;
	value->type = type;
	value->line = doc->key ? doc->key_line : line;
	value->key = TAKE_PTR(doc->key);
	if (!doc->depth) {
		assert(!doc->root);
		doc->root = value;
	} else {
		parent = doc->open[doc->depth - 1].value;
		assert((parent->type == FL_VALUE_MAP) == !!value->key);
		if (doc->open[doc->depth - 1].last)
			doc->open[doc->depth - 1].last->next = value;
		else
			parent->first = value;
		doc->open[doc->depth - 1].last = value;
		parent->count++;
	}
	*ret_value = value;
	return 0;
}

int fl_doc_begin(struct fl_doc *doc, enum fl_value_type type, unsigned int line, struct fl_err *err)
{
	struct fl_value *value = NULL;
	int rc;

	if (doc->depth >= FL_DOC_MAX_DEPTH)
		return fl_doc_error(doc, -E2BIG, line, err, "nested deeper than %d levels",
				    FL_DOC_MAX_DEPTH);
	rc = add(doc, type, line, &value, err);
	if (rc)
		return rc;
	doc->open[doc->depth].value = value;
	doc->open[doc->depth].last = NULL;
	doc->open[doc->depth++].merges = false;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct fl_value *const *x = a, *const *y = b;
	int order = strcmp((*x)->key, (*y)->key);

	/* of two that are equal the later one is to blame: give it the later place */
	return order ? order : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static const struct fl_value *find_duplicate_among_many(const struct fl_value *map,
							const struct fl_value **sorted)
{
	size_t n = 0;

	FL_VALUE_EACH(member, map)
	sorted[n++] = member;
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(sorted[i - 1]->key, sorted[i]->key))
			return sorted[i];
	return NULL;
}

static const struct fl_value *find_duplicate_among_few(const struct fl_value *map)
{
	FL_VALUE_EACH(later, map)
	for (const struct fl_value *m = map->first; m != later; m = m->next)
		if (m->key == later->key || fl_key_is(m->key, later->key))
			return later;
	return NULL;
}

static int copy_text(struct fl_doc *doc, const char *text, size_t len, const char **ret_text,
		     struct fl_err *err)
{
	char *copy = fl_arena_text(&doc->arena, len + 1);

	if (!copy)
		return no_memory(doc, err);
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret_text = copy;
	return 0;
}

int fl_doc_key(struct fl_doc *doc, const char *text, size_t len, unsigned int line,
	       struct fl_err *err)
{
	uint32_t hash = 2166136261u; /* FNV-1a; a collision only costs a copy */
	const char **cached;
	int rc;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	cached = &doc->keys[hash % FL_DOC_KEY_CACHE];
	if (!*cached || strncmp(*cached, text, len) || (*cached)[len]) {
		rc = copy_text(doc, text, len, cached, err);
		if (rc)
			return rc;
	}
	doc->key = *cached;
	doc->key_line = line;
	return 0;
}

void fl_doc_merge_key(struct fl_doc *doc, unsigned int line)
{
	doc->open[doc->depth - 1].merges = true;
	doc->key = merge_key;
	doc->key_line = line;
}

int fl_doc_scalar(struct fl_doc *doc, enum fl_value_type type, const char *text, size_t len,
		  unsigned int line, struct fl_err *err)
{
	struct fl_value *value = NULL;
	int rc = add(doc, type, line, &value, err);

	if (rc)
		return rc;
	value->count = (uint32_t)len;
	return copy_text(doc, text, len, &value->text, err);
}

static int copy_value(struct fl_doc *doc, const struct fl_value *from, unsigned int line,
		      struct fl_err *err)
{
	struct fl_value *value = NULL;
	int rc;

	if (++doc->n_aliased > FL_DOC_MAX_ALIASED)
		return fl_doc_error(doc, -E2BIG, line, err, "aliases stand for more than %d values",
				    FL_DOC_MAX_ALIASED);
	if (from->type != FL_VALUE_MAP && from->type != FL_VALUE_LIST) {
		rc = add(doc, (enum fl_value_type)from->type, line, &value, err);
		if (rc)
			return rc;
		value->text = from->text;
		value->count = from->count;
		return 0;
	}
	rc = fl_doc_begin(doc, (enum fl_value_type)from->type, line, err);
	if (rc)
		return rc;
	FL_VALUE_EACH(member, from)
	{
		doc->key = member->key;
		doc->key_line = member->line;
		rc = copy_value(doc, member, line, err); /* as deep as fl_doc_begin() allows */
		if (rc)
			return rc;
	}
	doc->depth--;
	return 0;
}

/* The members of one map become members of the open map, after those it has. */
static int merge_map(struct fl_doc *doc, const struct fl_value *from, unsigned int line,
		     struct fl_err *err)
{
	const struct fl_value *map = doc->open[doc->depth - 1].value;

	if (from->type != FL_VALUE_MAP)
		return fl_doc_error(doc, -EINVAL, line, err,
				    "a merge key (<<) wants a map or a list of maps, not %s",
				    fl_value_type_name((enum fl_value_type)from->type));
	if ((uint64_t)map->count * from->count > MAX_MERGE_WORK)
		return fl_doc_error(doc, -E2BIG, line, err, "too many keys to merge");
	FL_VALUE_EACH(member, from)
	{
		bool known = false;
		int rc;

		FL_VALUE_EACH(other, map)
		known |= other->key == member->key || fl_key_is(other->key, member->key);
		if (known)
			continue;
		doc->key = member->key;
		doc->key_line = line;
		rc = copy_value(doc, member, line, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Take the member with the merge key out of the open map and put in what it stands for. */
static int merge(struct fl_doc *doc, struct fl_err *err)
{
	struct fl_value *map = doc->open[doc->depth - 1].value, *last = NULL, **link = &map->first;
	const struct fl_value *from = NULL;
	int rc = 0;

	while (*link) {
		if ((*link)->key == merge_key) {
			from = *link;
			*link = from->next;
			map->count--;
		} else {
			last = *link;
			link = &last->next;
		}
	}
	doc->open[doc->depth - 1].last = last;
	if (from->type != FL_VALUE_LIST)
		return merge_map(doc, from, from->line, err);
	for (const struct fl_value *item = fl_value_first(from); item && !rc; item = item->next)
		rc = merge_map(doc, item, item->line, err);
	return rc;
}

int fl_doc_end(struct fl_doc *doc, struct fl_err *err)
{
	const struct fl_value *value = doc->open[doc->depth - 1].value, *duplicate;
	bool merges = doc->open[doc->depth - 1].merges;
	int rc;

	if (value->type != FL_VALUE_MAP) {
		doc->depth--;
		return 0;
	}
	if (value->count <= FEW_KEYS) {
		duplicate = find_duplicate_among_few(value);
	} else {
		_cleanup_free_ const struct fl_value **sorted =
			calloc(value->count, sizeof(*sorted));

		if (!sorted)
			return no_memory(doc, err);
		duplicate = find_duplicate_among_many(value, sorted);
	}
	if (duplicate)
		return fl_doc_error(doc, -EINVAL, duplicate->line, err,
				    "key \"%.100s\" occurs twice", duplicate->key);
	rc = merges ? merge(doc, err) : 0;
	doc->depth--;
	return rc;
}

int fl_doc_copy(struct fl_doc *doc, const struct fl_value *value, unsigned int line,
		struct fl_err *err)
{
	return copy_value(doc, value, line, err);
}

bool fl_doc_wants_key(const struct fl_doc *doc)
{
	return doc->depth && doc->open[doc->depth - 1].value->type == FL_VALUE_MAP && !doc->key;
}

bool fl_doc_is_complete(const struct fl_doc *doc, const struct fl_value *value)
{
	for (unsigned int i = 0; i < doc->depth; i++)
		if (doc->open[i].value == value)
			return false;
	return true;
}

struct fl_value *fl_doc_latest(const struct fl_doc *doc)
{
	struct fl_value *last = doc->depth ? doc->open[doc->depth - 1].last : NULL;

	if (last)
		return last;
	return doc->depth ? doc->open[doc->depth - 1].value : doc->root;
}
