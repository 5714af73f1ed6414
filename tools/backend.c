/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead backend: the addresses that connections are sent to. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lb/api/drain.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/model/names.h"
#include "tools/ask.h"
#include "tools/drain.h"
#include "tools/output.h"

static const struct fl_column columns[] = {
	{"ADDRESS", "address", 0, NULL},
	{"PROTO", "protocol", 0, NULL},
	{"STATE", "state", FL_COLUMN_WORD, NULL},
	{"LOCAL", "local", 0, NULL},
	{"FLOWS", "flows", FL_COLUMN_RIGHT, NULL},
	{"SOURCE PORTS", "sourcePortsUsed", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"ID", "id", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"GENERATION", "generation", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"WEIGHT", "weight", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"DRAINED BY", "drainedBy", FL_COLUMN_WIDE, NULL},
	{"SERVICES", "services", 0, NULL},
};

static void put_name(const struct fl_value *item, FILE *out)
{
	fl_cell_put(fl_value_get(item, "address"), out);
	putc('/', out);
	fl_cell_put(fl_value_get(item, "protocol"), out);
}

/* "ADDRESS/PROTOCOL", or the address alone: of every protocol. */
static bool is_named(const struct fl_value *item, const char *operand)
{
	_cleanup_free_ char *name = fl_cell_text(put_name, item);
	const char *address = fl_value_string(fl_value_get(item, "address"));

	return (name && !strcmp(name, operand)) || (address && !strcmp(address, operand));
}

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = put_name,
	.named = is_named,
	.none = "no backends are programmed",
};

static int render(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		  struct fl_json *json, struct fl_err *err)
{
	return fl_render_backends(view, NULL, json) ? fl_err_set(err, -ENOMEM, "no memory") : 0;
}

/* With operands those, without all. */
static enum fl_exit run(struct fl_cli *cli)
{
	static const struct fl_question question = {
		.method = "GET", .url = FL_URL("/v1/backends"), .render = render};
	const struct fl_show show = {.questions = &question,
				     .n_questions = 1,
				     .listing = &listing,
				     .by_operands = cli->n_operands};

	return fl_show(cli, &show);
}

static const struct fl_cli_option options[] = {
	FL_FAMILY_OPTION,
	FL_SORT_OPTION,
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.verb = "list",
	 .operands = "",
	 .help = "a line per address, port and protocol",
	 .options = options,
	 .run = run,
	 .listing = &listing},
	{.verb = "get",
	 .operands = "IP:PORT[/PROTOCOL]...",
	 .min_operands = 1,
	 .max_operands = INT_MAX,
	 .help = "these backends, by their names",
	 .run = run,
	 .operands_from = "backend list"},
	{.verb = "drain",
	 .operands = "ADDRESS...",
	 .min_operands = 1,
	 .max_operands = FL_API_DRAINS,
	 .help = "give them no new connections: IP, IP:PORT or IP:PORT/PROTOCOL",
	 .run = fl_run_drain,
	 .operands_from = "backend list"},
	{.verb = "undrain",
	 .operands = "[ADDRESS...]",
	 .max_operands = FL_API_DRAINS,
	 .help = "end that",
	 .options = fl_undrain_options,
	 .run = fl_run_undrain,
	 .operands_from = "backend list"},
};

const struct fl_noun fl_noun_backend = {
	.name = "backend",
	.help = "The addresses that connections are sent to.",
	.commands = commands,
	.n_commands = sizeof(commands) / sizeof(commands[0]),
};
