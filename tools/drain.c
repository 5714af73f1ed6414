/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead backend drain and undrain. What was so already is no failure, as with kubectl cordon, so
 * that scripts may say it again. What may surprise is said on standard error.
 */
#include "tools/drain.h"

#include <inttypes.h>

#include "lb/api/drain.h"
#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/items.h"
#include "tools/output.h"

static bool flag(const struct fl_value *value, const char *key)
{
	bool is = false;

	return fl_value_bool(fl_value_get(value, key), &is) && is;
}

static void put_address(const struct fl_value *item, FILE *out)
{
	fl_cell_put(fl_value_get(item, "address"), out);
}

static void put_text(const struct fl_value *root, const struct fl_items *items, bool wide,
		     const struct fl_output_options *options, FILE *out)
{
	/* by whether it was drained now, and whether that was so before */
	static const char *const words[2][2] = {{"undrained", "was not drained"},
						{"drained", "already drained"}};

	for (size_t i = 0; i < items->n; i++) {
		put_address(items->item[i], out);
		fprintf(out, " %s\n",
			words[flag(root, "drained")][!flag(items->item[i], "changed")]);
	}
}

static const struct fl_column columns[] = {{"ADDRESS", "address", 0, NULL}};

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = 1,
	.name = put_address,
	.text = put_text,
	.none = "nothing is drained",
};

static void say_of(const struct fl_value *item, bool drained)
{
	const int64_t weightless = fl_value_number(item, "weightless");
	const char *address = fl_value_string(fl_value_get(item, "address"));

	if (!address)
		return;
	if (drained && !fl_value_number(item, "endpoints"))
		fl_say("no EndpointSlice has %s; it is drained for when one does", address);
	else if (!drained && weightless)
		fl_say("%" PRId64 " endpoint%s of %s still get%s no new connections: weight 0 "
		       "in the EndpointSlice",
		       weightless, weightless == 1 ? "" : "s", address, weightless == 1 ? "s" : "");
}

static enum fl_exit say_rest(const struct fl_value *root, const struct fl_items *items)
{
	const char *reason = fl_value_string(fl_value_get(root, "reason"));

	for (size_t i = 0; i < items->n; i++)
		say_of(items->item[i], flag(root, "drained"));
	FL_VALUE_EACH(port, fl_value_get(root, "emptied"))
	{
		if (fl_value_string(port))
			fl_say("%s has no endpoint left that is not drained: it refuses "
			       "connections",
			       fl_value_string(port));
	}
	if (reason)
		fl_say("not kept over a restart: %s", reason);
	return FL_EXIT_OK;
}

static enum fl_exit run(struct fl_cli *cli, const char *url)
{
	struct fl_question question = {.method = "POST"};
	const struct fl_show show = {
		.questions = &question, .n_questions = 1, .listing = &listing, .verdict = say_rest};
	struct fl_drain drain;
	struct fl_err err;

	if (cli->watch)
		return fl_usage("it can be done once, not watched");
	fl_url_path(&question.url, url);
	for (int i = 0; i < cli->n_operands; i++) {
		if (fl_drain_parse(cli->operand[i], &drain, &err))
			return fl_usage("%s", err.text);
		fl_url_arg(&question.url, "address", cli->operand[i]);
	}
	if (cli->all)
		fl_url_arg(&question.url, "all", "true");
	return fl_show(cli, &show);
}

enum fl_exit fl_run_drain(struct fl_cli *cli)
{
	return run(cli, "/v1/backends/drain");
}

enum fl_exit fl_run_undrain(struct fl_cli *cli)
{
	if (cli->all == !!cli->n_operands)
		return fl_usage("backend undrain takes addresses, or --all");
	return run(cli, "/v1/backends/undrain");
}

const struct fl_cli_option fl_undrain_options[] = {
	FL_FLAG(all, 0, "all", "whatever was drained by command"),
	FL_OPTIONS_END,
};
