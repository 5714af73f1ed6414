/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead maglev: how the lookup tables share out their positions, to compare nodes and weights.
 */
#include <stdlib.h>
#include <string.h>

#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/model/names.h"
#include "tools/ask.h"
#include "tools/output.h"
#include "tools/ref.h"

static const struct fl_column columns[] = {
	{"SERVICE", "service", 0, NULL},
	{"PROTO", "protocol", 0, NULL},
	{"FAMILY", "family", 0, NULL},
	{"LIST", "list", 0, NULL},
	{"BACKEND", "backend", 0, NULL},
	{"POSITIONS", "positions", FL_COLUMN_RIGHT, NULL},
	{"SHARE", "share", FL_COLUMN_RIGHT, NULL},
	{"LENGTH", "length", FL_COLUMN_RIGHT, NULL},
	{"DIGEST", "digest", 0, NULL},
	{"ID", "backendId", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"WEIGHT", "weight", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
};

static void put_name(const struct fl_value *item, FILE *out)
{
	fl_cell_put(fl_value_get(item, "service"), out);
}

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = put_name,
	.none = "the Service has no backends",
};

static int render(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		  struct fl_json *json, struct fl_err *err)
{
	return fl_ref_render(view, arg, fl_render_maglev, json, err);
}

/* A question for each operand: the document does not say all that a name may mean. */
static enum fl_exit run_show(struct fl_cli *cli)
{
	struct fl_question *questions = calloc((size_t)cli->n_operands, sizeof(*questions));
	struct fl_service_filter *refs = calloc((size_t)cli->n_operands, sizeof(*refs));
	const struct fl_show show = {.questions = questions,
				     .n_questions = (size_t)cli->n_operands,
				     .listing = &listing};
	enum fl_exit rc = fl_ref_check(cli);

	for (int i = 0; !rc && questions && refs && i < cli->n_operands; i++) {
		questions[i] =
			(struct fl_question){.method = "GET", .render = render, .arg = &refs[i]};
		fl_ref_parse(cli->operand[i], &refs[i]);
		fl_ref_url(&refs[i], "/v1/maglev", &questions[i].url);
	}
	if (!rc)
		rc = questions && refs ? fl_show(cli, &show) : fl_say_no_memory();
	free(questions);
	free(refs);
	return rc;
}

static const struct fl_cli_option options[] = {
	FL_FAMILY_OPTION,
	FL_SORT_OPTION,
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.verb = "show",
	 .operands = FL_REF_OPERANDS,
	 .min_operands = 1,
	 .max_operands = FL_CLI_MAX_VALUES,
	 .help = "a line per backend of each lookup table",
	 .options = options,
	 .run = run_show,
	 .listing = &listing,
	 .operands_from = "service list"},
};

const struct fl_noun fl_noun_maglev = {
	.name = "maglev",
	.help = "Lookup tables. Nodes that agree show the same digest for the same list.",
	.commands = commands,
	.n_commands = sizeof(commands) / sizeof(commands[0]),
};
