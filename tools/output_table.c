/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Formats table and wide, by libsmartcols: a line per item, never cut to the width of the terminal.
 */
#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "tools/output.h"

static void table_unref(struct libscols_table **table)
{
	scols_unref_table(*table);
}

static bool column_shown(const struct fl_column *column, bool wide)
{
	return !(column->flags & (wide ? FL_COLUMN_NARROW : FL_COLUMN_WIDE));
}

static char *cell_text(const struct fl_column *column, const struct fl_value *item)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	(column->cell ? column->cell : fl_cell_put)(fl_value_path(item, column->path), out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int add_columns(struct libscols_table *table, const struct fl_listing *listing, bool wide)
{
	for (size_t i = 0; i < listing->n_columns; i++) {
		const struct fl_column *column = &listing->columns[i];
		bool right = column->flags & FL_COLUMN_RIGHT;

		if (column_shown(column, wide) &&
		    !scols_table_new_column(table, column->title, 0, right ? SCOLS_FL_RIGHT : 0))
			return -ENOMEM;
	}
	return 0;
}

static int add_line(struct libscols_table *table, const struct fl_listing *listing,
		    const struct fl_value *item, bool wide, bool color)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	size_t at = 0;

	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < listing->n_columns; i++) {
		const struct fl_column *column = &listing->columns[i];
		const char *sequence;
		char *text;

		if (!column_shown(column, wide))
			continue;
		text = cell_text(column, item);
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

static int write_table(const struct fl_listing *listing, const struct fl_value *root, bool wide,
		       const struct fl_output_options *options, FILE *out)
{
	_cleanup_(table_unref) struct libscols_table *table = scols_new_table();

	if (!table)
		return -ENOMEM;
	scols_table_set_stream(table, out);
	/* as for kubectl, a line is a line: whoever wants it shorter has a pager or cut(1) */
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	scols_table_enable_noheadings(table, options->no_headers);
	scols_table_enable_colors(table, options->color);
	scols_table_enable_noencoding(table, 1); /* cells are escaped already */
	if (scols_table_set_column_separator(table, "  ") || add_columns(table, listing, wide))
		return -ENOMEM;
	FL_VALUE_EACH(item, fl_value_get(root, "items"))
	{
		if (add_line(table, listing, item, wide, options->color))
			return -ENOMEM;
	}
	return scols_print_table(table) ? -EIO : 0;
}

static int write_for_people(const struct fl_listing *listing, const struct fl_value *root,
			    bool wide, const struct fl_output_options *options, FILE *out,
			    struct fl_err *err)
{
	int rc;

	if (listing->text) {
		listing->text(root, wide, options, out);
		return 0;
	}
	rc = write_table(listing, root, wide, options, out);
	return rc ? fl_err_set(err, rc, "cannot write the table: %s", strerror(-rc)) : 0;
}

static int table_write(const struct fl_listing *listing, const struct fl_value *root,
		       const struct fl_output_options *options, FILE *out, struct fl_err *err)
{
	return write_for_people(listing, root, false, options, out, err);
}

static int wide_write(const struct fl_listing *listing, const struct fl_value *root,
		      const struct fl_output_options *options, FILE *out, struct fl_err *err)
{
	return write_for_people(listing, root, true, options, out, err);
}

const struct fl_output fl_output_table = {.is_table = true, .write = table_write};
const struct fl_output fl_output_wide = {.is_table = true, .write = wide_write};
