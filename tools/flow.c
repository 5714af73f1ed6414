/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead flow: connections in the flow table; listing and forgetting them. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "lb/model/names.h"
#include "tools/ask.h"
#include "tools/items.h"
#include "tools/output.h"

static const struct fl_column columns[] = {
	{"PROTO", "protocol", 0, NULL},
	{"STATE", "state", FL_COLUMN_WORD, NULL},
	{"CLIENT", "client", 0, NULL},
	{"FRONTEND", "frontend", 0, NULL},
	{"BACKEND", "backend", 0, NULL},
	{"IDLE", "idleSeconds", FL_COLUMN_RIGHT, fl_cell_duration},
	{"SERVICE", "service", 0, NULL},
	{"SOURCE", "source", FL_COLUMN_WIDE, NULL},
	{"MASQ", "masqueraded", FL_COLUMN_WIDE, NULL},
	{"KERNEL", "kernel", FL_COLUMN_WIDE, NULL},
	{"PAIRED", "paired", FL_COLUMN_WIDE, NULL},
	{"PACKETS", "packets", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"BYTES", "bytes", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"REPLY PACKETS", "replyPackets", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"REPLY BYTES", "replyBytes", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
};

static void put_name(const struct fl_value *item, FILE *out)
{
	fl_cell_put(fl_value_get(item, "protocol"), out);
	putc('/', out);
	fl_cell_put(fl_value_get(item, "client"), out);
	fputs("->", out);
	fl_cell_put(fl_value_get(item, "frontend"), out);
}

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = put_name,
	.none = "no such flows",
};

static void put_flushed(const struct fl_value *root, const struct fl_items *items, bool wide,
			const struct fl_output_options *options, FILE *out)
{
	int64_t n = fl_value_number(root, "flushed");

	fprintf(out, "%" PRId64 " flow%s flushed\n", n, n == 1 ? "" : "s");
}

static void put_flushed_name(const struct fl_value *root, FILE *out)
{
	fl_cell_put(fl_value_get(root, "flushed"), out);
}

static const struct fl_listing flush_listing = {.text = put_flushed, .name = put_flushed_name};

static int render_list(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		       struct fl_json *json, struct fl_err *err)
{
	return fl_render_flows(view, arg, json) ? fl_err_set(err, -ENOMEM, "no memory") : 0;
}

static int render_flush(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
			struct fl_json *json, struct fl_err *err)
{
	fl_render_flush(fl_flow_filter_flush(arg, view), json);
	return 0;
}

/* Check the filters here, so that nonsense is a usage error whether or not an agent answers; and
 * build the query. */
static enum fl_exit read_filter(struct fl_cli *cli, struct fl_flow_filter *filter,
				struct fl_url *url)
{
	struct fl_err err;
	const char *key;

	for (size_t i = 0; (key = fl_flow_filter_key(i)); i++) {
		if (i >= FL_CLI_FILTERS || !cli->filter[i])
			continue;
		if (fl_flow_filter_set(filter, key, cli->filter[i], &err))
			return fl_usage("option --%s", err.text);
		fl_url_arg(url, key, cli->filter[i]);
	}
	return FL_EXIT_OK;
}

static enum fl_exit say_rest(const struct fl_value *root, const struct fl_items *items)
{
	int64_t total = fl_value_number(root, "total");

	if (total > (int64_t)items->n)
		fl_say("%zu of %" PRId64 " flows shown; --limit shows more", items->n, total);
	return FL_EXIT_OK;
}

static enum fl_exit run_list(struct fl_cli *cli)
{
	struct fl_flow_filter filter = {0};
	struct fl_question question = {
		.method = "GET", .url = FL_URL("/v1/flows"), .render = render_list, .arg = &filter};
	struct fl_show show = {
		.questions = &question, .n_questions = 1, .listing = &listing, .verdict = say_rest};
	enum fl_exit rc = read_filter(cli, &filter, &question.url);
	char limit[16];

	if (rc || !cli->sort)
		return rc ? rc : fl_show(cli, &show);
	/* the first of an order are only known when all are there */
	show.limit = filter.limit ? filter.limit : FL_FLOW_LIMIT_DEFAULT;
	snprintf(limit, sizeof(limit), "%d", FL_FLOW_LIMIT_MAX);
	cli->filter[FL_CLI_FILTERS - 1] = limit;
	filter = (struct fl_flow_filter){0};
	question.url = (struct fl_url)FL_URL("/v1/flows");
	rc = read_filter(cli, &filter, &question.url);
	return rc ? rc : fl_show(cli, &show);
}

/* Flows by their names, as many per request as one takes. */
struct batches {
	struct fl_question *question;
	struct fl_flow_filter *filter;
	size_t n;
};

static void batches_fini(struct batches *batches)
{
	free(batches->question);
	free(batches->filter);
}

static enum fl_exit batches_make(struct fl_cli *cli, const struct fl_question *like,
				 struct batches *batches)
{
	size_t n = ((size_t)cli->n_operands + FL_FLOW_NAMES_MAX - 1) / FL_FLOW_NAMES_MAX;
	struct fl_err err;

	batches->question = calloc(n, sizeof(*batches->question));
	batches->filter = calloc(n, sizeof(*batches->filter));
	batches->n = n;
	if (!batches->question || !batches->filter)
		return fl_say_no_memory();
	for (int i = 0; i < cli->n_operands; i++) {
		size_t at = (size_t)i / FL_FLOW_NAMES_MAX;

		if (i % FL_FLOW_NAMES_MAX == 0) {
			batches->question[at] = *like;
			batches->question[at].arg = &batches->filter[at];
		}
		if (fl_flow_filter_set(&batches->filter[at], "flow", cli->operand[i], &err))
			return fl_usage("%s", err.text);
		fl_url_arg(&batches->question[at].url, "flow", cli->operand[i]);
	}
	return FL_EXIT_OK;
}

static enum fl_exit run_get(struct fl_cli *cli)
{
	static const struct fl_question like = {
		.method = "GET", .url = FL_URL("/v1/flows"), .render = render_list};
	_cleanup_(batches_fini) struct batches batches = {0};
	enum fl_exit rc = batches_make(cli, &like, &batches);
	const struct fl_show show = {.questions = batches.question,
				     .n_questions = batches.n,
				     .listing = &listing,
				     .by_operands = true};

	return rc ? rc : fl_show(cli, &show);
}

static const struct fl_question flush_question = {.method = "POST",
						  .url = FL_URL("/v1/flows/flush"),
						  .writable = true,
						  .render = render_flush};

/* One answer about all batches. */
static enum fl_exit put_sum(struct fl_cli *cli, int64_t flushed)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_items none = {0};
	const char *text;
	size_t len;

	fl_render_flush((size_t)flushed, json);
	text = fl_json_text(json, &len);
	if (!text || fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL))
		return fl_say_no_memory();
	return fl_print(cli, &flush_listing, fl_doc_root(doc), &none);
}

static enum fl_exit flush_named(struct fl_cli *cli)
{
	_cleanup_(batches_fini) struct batches batches = {0};
	enum fl_exit rc = batches_make(cli, &flush_question, &batches);
	int64_t flushed = 0;

	for (size_t i = 0; !rc && i < batches.n; i++) {
		_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;

		rc = fl_ask(cli, &batches.question[i], &doc);
		if (!rc)
			flushed += fl_value_number(fl_doc_root(doc), "flushed");
	}
	return rc ? rc : put_sum(cli, flushed);
}

static enum fl_exit flush_matching(struct fl_cli *cli, struct fl_flow_filter *filter,
				   struct fl_question *question)
{
	const struct fl_show show = {
		.questions = question, .n_questions = 1, .listing = &flush_listing};

	if (cli->all)
		fl_url_arg(&question->url, "all", "true");
	if (fl_flow_filter_empty(filter) && !cli->all)
		return fl_usage("flow flush needs names, a filter, or --all for every flow there "
				"is");
	return fl_show(cli, &show);
}

static enum fl_exit run_flush(struct fl_cli *cli)
{
	struct fl_flow_filter filter = {0};
	struct fl_question question = flush_question;
	enum fl_exit rc = read_filter(cli, &filter, &question.url);
	int ways;

	question.arg = &filter;
	if (rc)
		return rc;
	ways = !fl_flow_filter_empty(&filter) + cli->all + !!cli->n_operands;
	if (ways > 1)
		return fl_usage("flow flush takes names, a filter or --all, not several of them");
	if (cli->watch)
		return fl_usage("flow flush cannot be watched");
	return cli->n_operands ? flush_named(cli) : flush_matching(cli, &filter, &question);
}

/* The i-th is the filter of fl_flow_filter_key(i). */
#define FILTERS                                                                                    \
	FL_CHOICE(filter[0], 0, "proto", "PROTO", "of this protocol", fl_proto_words),             \
		FL_CHOICE(filter[1], 0, "family", "FAMILY", "of this family", fl_family_words),    \
		{{"state", "STATE,..", "in one of these states",                                   \
		  &fl_flow_state_words[FL_FLOW_NEW], 0, true, false},                              \
		 FL_CLI_STRING,                                                                    \
		 offsetof(struct fl_cli, filter[2])},                                              \
		FL_VALUE(filter[3], 0, "client", "PEER",                                           \
			 "IP, IP/LEN, IP:PORT, [IP]:PORT or :PORT of the client"),                 \
		FL_VALUE(filter[4], 0, "frontend", "PEER",                                         \
			 "the same of the address that was asked"),                                \
		FL_VALUE(filter[5], 0, "backend", "PEER", "the same of the backend"),              \
		FL_VALUE(filter[6], 0, "service", "NS/NAME[:PORT]", "the Service that was asked")

static const struct fl_cli_option list_options[] = {
	FILTERS,
	FL_VALUE(filter[7], 0, "limit", "N", "show at most N flows (default 1000)"),
	FL_SORT_OPTION,
	FL_OPTIONS_END,
};

static const struct fl_cli_option flush_options[] = {
	FILTERS,
	FL_FLAG(all, 0, "all", "every flow there is"),
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.verb = "list",
	 .operands = "",
	 .help = "a line per flow",
	 .options = list_options,
	 .run = run_list,
	 .listing = &listing},
	{.verb = "get",
	 .operands = "FLOW...",
	 .min_operands = 1,
	 .max_operands = INT_MAX,
	 .help = "these flows, by their names: PROTOCOL/CLIENT->FRONTEND",
	 .run = run_get,
	 .operands_from = "flow list"},
	{.verb = "flush",
	 .operands = "[FLOW...]",
	 .max_operands = INT_MAX,
	 .help = "forget these flows, or those that match",
	 .options = flush_options,
	 .run = run_flush,
	 .operands_from = "flow list"},
};

const struct fl_noun fl_noun_flow = {
	.name = "flow",
	.help = "Connections in the flow table. All filters given must hold.",
	.commands = commands,
	.n_commands = sizeof(commands) / sizeof(commands[0]),
};
