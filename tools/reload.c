/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead reload: the agent looks at its input again; with --now as on SIGHUP. */
#include <stdio.h>

#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/output.h"

static void put_text(const struct fl_value *root, const struct fl_items *items, bool wide,
		     const struct fl_output_options *options, FILE *out)
{
	fputs("reloaded\n", out);
}

static void put_name(const struct fl_value *root, FILE *out)
{
	fputs("reloaded", out);
}

static const struct fl_listing listing = {.text = put_text, .name = put_name};

static enum fl_exit run_reload(struct fl_cli *cli)
{
	struct fl_question question = {.method = "POST", .url = FL_URL("/v1/reload")};
	const struct fl_show show = {.questions = &question, .n_questions = 1, .listing = &listing};

	if (cli->watch)
		return fl_usage("reload cannot be watched");
	if (cli->now)
		fl_url_arg(&question.url, "now", "true");
	return fl_show(cli, &show);
}

static const struct fl_cli_option options[] = {
	FL_FLAG(now, 0, "now",
		"believe it: what seems to be gone goes now, not after the grace time"),
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.operands = "",
	 .help = "make the agent look at its input again",
	 .options = options,
	 .run = run_reload},
};

const struct fl_noun fl_noun_reload = {
	.name = "reload",
	.help = "Makes the agent look at its input, and at the node, again.",
	.commands = commands,
	.n_commands = 1,
};
