/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Formats table and wide: a line per item, by libsmartcols. On a terminal that is too narrow, lists
 * are folded, an element per line; if that is not enough, each item becomes a record with a line
 * per column. Nothing is cut. Elsewhere a line is a line.
 */
#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "tools/items.h"
#include "tools/output.h"

struct print {
	const struct fl_listing *listing;
	const struct fl_items *items;
	const struct fl_output_options *options;
	bool wide, fold;
};

static void table_unref(struct libscols_table **table)
{
	scols_unref_table(*table);
}

static bool is_shown(const struct print *print, const struct fl_column *column)
{
	return !(column->flags & (print->wide ? FL_COLUMN_NARROW : FL_COLUMN_WIDE));
}

static char *cell_text(const struct print *print, const struct fl_column *column,
		       const struct fl_value *item)
{
	const struct fl_value *value = fl_value_path(item, column->path);
	char *text = fl_cell_text(column->cell ? column->cell : fl_cell_put, value);

	for (char *p = text; p && print->fold && fl_value_type(value) == FL_VALUE_LIST; p++) {
		p = strchr(p, ',');
		if (!p)
			break;
		*p = '\n';
	}
	return text;
}

static int add_columns(struct libscols_table *table, const struct print *print)
{
	for (size_t i = 0; i < print->listing->n_columns; i++) {
		const struct fl_column *column = &print->listing->columns[i];
		int flags = column->flags & FL_COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0;
		struct libscols_column *added;

		if (!is_shown(print, column))
			continue;
		added = scols_table_new_column(table, column->title, 0,
					       flags | (print->fold ? SCOLS_FL_WRAP : 0));
		if (!added ||
		    (print->fold && (scols_column_set_wrapfunc(added, scols_wrapnl_chunksize,
							       scols_wrapnl_nextchunk, NULL) ||
				     scols_column_set_safechars(added, "\n"))))
			return -ENOMEM;
	}
	return 0;
}

static int add_line(struct libscols_table *table, const struct print *print,
		    const struct fl_value *item, bool color)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	size_t at = 0;

	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < print->listing->n_columns; i++) {
		const struct fl_column *column = &print->listing->columns[i];
		const char *sequence;
		char *text;

		if (!is_shown(print, column))
			continue;
		text = cell_text(print, column, item);
		if (!text)
			return -ENOMEM;
		sequence = color && column->flags & FL_COLUMN_WORD ? fl_word_color(text) : NULL;
		if (sequence)
			scols_cell_set_color(scols_line_get_cell(line, at), sequence);
		if (scols_line_refer_data(line, at++, text)) {
			free(text);
			return -ENOMEM;
		}
	}
	return 0;
}

static int print_table(const struct print *print, bool color, FILE *out)
{
	_cleanup_(table_unref) struct libscols_table *table = scols_new_table();

	if (!table)
		return -ENOMEM;
	scols_table_set_stream(table, out);
	/* its own ways to make a table fit cut data off */
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	scols_table_enable_noheadings(table, print->options->no_headers);
	scols_table_enable_colors(table, color);
	scols_table_enable_noencoding(table, 1); /* cells are escaped already */
	if (scols_table_set_column_separator(table, "  ") || add_columns(table, print))
		return -ENOMEM;
	for (size_t i = 0; i < print->items->n; i++) {
		if (add_line(table, print, print->items->item[i], color))
			return -ENOMEM;
	}
	return scols_print_table(table) ? -EIO : 0;
}

/* Narrow terminals */

/* Columns of a terminal that a line takes; bytes where it is no text of the locale. */
static size_t line_width(const char *line, size_t len)
{
	mbstate_t state = {0};
	size_t width = 0;

	while (len) {
		wchar_t c;
		size_t n = mbrtowc(&c, line, len, &state);
		int columns = n && n <= len ? wcwidth(c) : -1;

		if (columns < 0) {
			n = 1;
			columns = 1;
			state = (mbstate_t){0};
		}
		width += (size_t)columns;
		line += n;
		len -= n;
	}
	return width;
}

/* The longest line of the table, without the blanks at its end. 0 or -errno. */
static int table_width(const struct print *print, size_t *ret_width)
{
	_cleanup_free_ char *text = NULL;
	size_t len, width = 0;
	FILE *out = open_memstream(&text, &len);
	int rc;

	if (!out)
		return -ENOMEM;
	rc = print_table(print, false, out);
	if (fclose(out) || rc)
		return rc ? rc : -ENOMEM;
	for (char *line = text; *line;) {
		size_t n = strcspn(line, "\n"), end = n, w;

		while (end && line[end - 1] == ' ')
			end--;
		w = line_width(line, end);
		width = w > width ? w : width;
		line += n + (line[n] == '\n');
	}
	*ret_width = width;
	return 0;
}

/* "TITLE  cell", a list with an element per line; a blank line between items. */
static int print_record(const struct print *print, const struct fl_value *item, int title_width,
			FILE *out)
{
	for (size_t i = 0; i < print->listing->n_columns; i++) {
		const struct fl_column *column = &print->listing->columns[i];
		const char *title = column->title, *sequence;
		_cleanup_free_ char *text = NULL;

		if (!is_shown(print, column))
			continue;
		text = cell_text(print, column, item);
		if (!text)
			return -ENOMEM;
		sequence = print->options->color && column->flags & FL_COLUMN_WORD
				   ? fl_word_color(text)
				   : NULL;
		for (char *p = text, *end; p; p = end ? end + 1 : NULL, title = "") {
			end = strchr(p, '\n');
			fprintf(out, "%-*s  %s%.*s%s\n", title_width, title,
				sequence ? sequence : "", end ? (int)(end - p) : (int)strlen(p), p,
				sequence ? FL_COLOR_END : "");
		}
	}
	return 0;
}

static int print_records(const struct print *print, FILE *out)
{
	size_t width = 0;

	for (size_t i = 0; i < print->listing->n_columns; i++) {
		const struct fl_column *column = &print->listing->columns[i];

		if (is_shown(print, column) && strlen(column->title) > width)
			width = strlen(column->title);
	}
	for (size_t i = 0; i < print->items->n; i++) {
		if (i)
			putc('\n', out);
		if (print_record(print, print->items->item[i], (int)width, out))
			return -ENOMEM;
	}
	return 0;
}

static int print_fitting(struct print *print, FILE *out)
{
	const struct fl_output_options *options = print->options;
	size_t width;
	int rc;

	for (int fold = 0; options->width && fold <= 1; fold++) {
		print->fold = fold;
		rc = table_width(print, &width);
		if (rc)
			return rc;
		if (width <= options->width)
			return print_table(print, options->color, out);
	}
	return options->width ? print_records(print, out) : print_table(print, options->color, out);
}

static int write_for_people(const struct fl_listing *listing, const struct fl_value *root,
			    const struct fl_items *items, bool wide,
			    const struct fl_output_options *options, FILE *out, struct fl_err *err)
{
	struct print print = {.listing = listing, .items = items, .options = options, .wide = wide};
	int rc;

	if (listing->text) {
		listing->text(root, items, wide, options, out);
		return 0;
	}
	rc = print_fitting(&print, out);
	return rc ? fl_err_set(err, rc, "cannot write the table: %s", strerror(-rc)) : 0;
}

static int table_write(const struct fl_listing *listing, const struct fl_value *root,
		       const struct fl_items *items, const struct fl_output_options *options,
		       FILE *out, struct fl_err *err)
{
	return write_for_people(listing, root, items, false, options, out, err);
}

static int wide_write(const struct fl_listing *listing, const struct fl_value *root,
		      const struct fl_items *items, const struct fl_output_options *options,
		      FILE *out, struct fl_err *err)
{
	return write_for_people(listing, root, items, true, options, out, err);
}

const struct fl_output fl_output_table = {.is_table = true, .write = table_write};
const struct fl_output fl_output_wide = {.is_table = true, .write = wide_write};
