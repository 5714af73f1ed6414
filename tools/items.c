/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Choosing and sorting the items of documents. */
#include "tools/items.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/suggest.h"
#include "tools/output.h"

void fl_items_fini(struct fl_items *items)
{
	free(items->item);
	*items = (struct fl_items){0};
}

static int append(struct fl_items *items, const struct fl_value *item)
{
	if (FL_ARRAY_ROOM(items->item, items->room, items->n + 1))
		return -ENOMEM;
	items->item[items->n++] = item;
	return 0;
}

int fl_items_add(struct fl_items *items, const struct fl_value *root)
{
	FL_VALUE_EACH(item, fl_value_get(root, "items"))
	{
		if (append(items, item))
			return -ENOMEM;
	}
	return 0;
}

void fl_items_keep(struct fl_items *items, const char *member, const char *value)
{
	size_t kept = 0;

	for (size_t i = 0; i < items->n; i++) {
		const char *text = fl_value_text(fl_value_get(items->item[i], member));

		if (text && !strcasecmp(text, value))
			items->item[kept++] = items->item[i];
	}
	items->n = kept;
}

/* By operands */

static bool has_name(const struct fl_listing *listing, const struct fl_value *item,
		     const char *operand)
{
	_cleanup_free_ char *name = NULL;

	if (listing->named)
		return listing->named(item, operand);
	name = fl_cell_text(listing->name, item);
	return name && !strcmp(name, operand);
}

int fl_items_choose(struct fl_items *items, const struct fl_listing *listing, char *const *operands,
		    size_t n_operands, const char **ret_missing)
{
	_cleanup_free_ bool *taken = calloc(items->n + 1, sizeof(*taken));
	struct fl_items chosen = {0};

	if (!taken)
		return -ENOMEM;
	*ret_missing = NULL;
	for (size_t i = 0; i < n_operands; i++) {
		bool found = false;

		for (size_t j = 0; j < items->n; j++) {
			if (!has_name(listing, items->item[j], operands[i]))
				continue;
			found = true;
			if (!taken[j] && append(&chosen, items->item[j])) {
				fl_items_fini(&chosen);
				return -ENOMEM;
			}
			taken[j] = true;
		}
		if (!found && !*ret_missing)
			*ret_missing = operands[i];
	}
	fl_items_fini(items);
	*items = chosen;
	return 0;
}

/* By a column */

struct sort_key {
	const struct fl_value *item;
	char *text;
	size_t place; /* before: equal keys stay in their order */
};

/* Runs of digits compare as numbers: "10.1.0.9:80" before "10.1.0.10:80". */
static int cmp_text(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			size_t a_len, b_len;
			int cmp;

			a += strspn(a, "0");
			b += strspn(b, "0");
			a_len = strspn(a, "0123456789");
			b_len = strspn(b, "0123456789");
			if (a_len != b_len)
				return a_len < b_len ? -1 : 1;
			cmp = strncmp(a, b, a_len);
			if (cmp)
				return cmp;
			a += a_len;
			b += b_len;
			continue;
		}
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		a++;
		b++;
	}
	return *a ? 1 : *b ? -1 : 0;
}

static int cmp_keys(const void *va, const void *vb, void *arg)
{
	const struct sort_key *a = va, *b = vb;
	const bool *descending = arg;
	int cmp = cmp_text(a->text, b->text);

	if (!cmp)
		return a->place < b->place ? -1 : 1;
	return *descending ? -cmp : cmp;
}

/* Numbers and lists by what the document says; the cell may be rounded ("4d1h") or a count. */
static char *key_text(const struct fl_column *column, const struct fl_value *item)
{
	const struct fl_value *value = fl_value_path(item, column->path);
	char *text;

	if (fl_value_type(value) != FL_VALUE_LIST)
		return fl_cell_text(fl_cell_put, value);
	if (column->cell != fl_cell_count)
		return fl_cell_text(column->cell ? column->cell : fl_cell_put, value);
	return asprintf(&text, "%zu", fl_value_count(value)) < 0 ? NULL : text;
}

int fl_items_sort(struct fl_items *items, const struct fl_listing *listing, const char *column)
{
	const struct fl_column *by = fl_listing_column(listing, column);
	_cleanup_free_ struct sort_key *keys = calloc(items->n + 1, sizeof(*keys));
	bool descending = *column == '-';
	int rc = 0;

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < items->n; i++) {
		keys[i] = (struct sort_key){items->item[i], key_text(by, items->item[i]), i};
		if (!keys[i].text)
			rc = -ENOMEM;
	}
	if (!rc)
		qsort_r(keys, items->n, sizeof(*keys), cmp_keys, &descending);
	for (size_t i = 0; i < items->n; i++) {
		items->item[i] = keys[i].item;
		free(keys[i].text);
	}
	return rc;
}

/* Titles with a blank may be written with "-" or "_" in its place. */
static bool is_title(const char *title, const char *name)
{
	for (; *title && *name; title++, name++) {
		if (*title == ' ' ? !strchr(" -_", *name)
				  : tolower((unsigned char)*title) != tolower((unsigned char)*name))
			return false;
	}
	return !*title && !*name;
}

const struct fl_column *fl_listing_column(const struct fl_listing *listing, const char *name)
{
	name += *name == '-';
	for (size_t i = 0; listing && i < listing->n_columns; i++) {
		if (is_title(listing->columns[i].title, name))
			return &listing->columns[i];
	}
	return NULL;
}

enum fl_exit fl_usage_sort(const struct fl_listing *listing, const char *name)
{
	struct fl_suggestion suggestion = {.typed = name + (*name == '-')};
	char buf[FL_SUGGESTION_STRLEN];

	for (size_t i = 0; i < listing->n_columns; i++)
		fl_suggestion_offer(&suggestion, listing->columns[i].title);
	return fl_usage("option --sort: there is no column \"%s\"%s", suggestion.typed,
			fl_suggestion_format(&suggestion, "", buf));
}
