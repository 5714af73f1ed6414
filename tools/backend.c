/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead backend: the addresses that connections are sent to. */
#include <errno.h>

#include "lb/api/render.h"
#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/output.h"

static const struct fl_column columns[] = {
	{"ADDRESS", "address", 0, NULL},
	{"PROTO", "protocol", 0, NULL},
	{"STATE", "state", FL_COLUMN_WORD, NULL},
	{"LOCAL", "local", 0, NULL},
	{"FLOWS", "flows", FL_COLUMN_RIGHT, NULL},
	{"ID", "id", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"GENERATION", "generation", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"WEIGHT", "weight", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"SERVICES", "services", 0, NULL},
};

static void put_name(const struct fl_value *item, FILE *out)
{
	fl_cell_put(fl_value_get(item, "address"), out);
	putc('/', out);
	fl_cell_put(fl_value_get(item, "protocol"), out);
}

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = put_name,
	.none = "no backends are programmed",
};

static int render(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		  struct fl_json *json, struct fl_err *err)
{
	return fl_render_backends(view, json) ? fl_err_set(err, -ENOMEM, "no memory") : 0;
}

static enum fl_exit run_list(struct fl_cli *cli)
{
	static const struct fl_question question = {
		.method = "GET", .url = FL_URL("/v1/backends"), .render = render};

	return fl_show(cli, &question, &listing, NULL);
}

static const struct fl_command commands[] = {
	{"list", "", 0, 0, "a line per address, port and protocol", NULL, run_list},
};

const struct fl_noun fl_noun_backend = {"backend", "The addresses that connections are sent to.",
					commands, 1};
