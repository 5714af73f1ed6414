/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead flow: connections in the flow table; listing and forgetting them. */
#include <errno.h>
#include <inttypes.h>

#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/doc.h"
#include "lb/model/names.h"
#include "tools/ask.h"
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

static void put_flushed(const struct fl_value *root, bool wide,
			const struct fl_output_options *options, FILE *out)
{
	int64_t n = 0;

	fl_value_int(fl_value_get(root, "flushed"), &n);
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
		if (!cli->filter[i])
			continue;
		if (fl_flow_filter_set(filter, key, cli->filter[i], &err))
			return fl_usage("option --%s", err.text);
		fl_url_arg(url, key, cli->filter[i]);
	}
	if (cli->all)
		fl_url_arg(url, "all", "true");
	return FL_EXIT_OK;
}

static enum fl_exit say_rest(const struct fl_value *root)
{
	int64_t total = 0, shown = (int64_t)fl_value_count(fl_value_get(root, "items"));

	if (fl_value_int(fl_value_get(root, "total"), &total) && total > shown)
		fl_say("%" PRId64 " of %" PRId64 " flows shown; --limit shows more", shown, total);
	return FL_EXIT_OK;
}

static enum fl_exit run_list(struct fl_cli *cli)
{
	struct fl_flow_filter filter = {0};
	struct fl_question question = {
		.method = "GET", .url = FL_URL("/v1/flows"), .render = render_list, .arg = &filter};
	enum fl_exit rc = read_filter(cli, &filter, &question.url);

	return rc ? rc : fl_show(cli, &question, &listing, say_rest);
}

static enum fl_exit run_flush(struct fl_cli *cli)
{
	struct fl_flow_filter filter = {0};
	struct fl_question question = {.method = "POST",
				       .url = FL_URL("/v1/flows/flush"),
				       .writable = true,
				       .render = render_flush,
				       .arg = &filter};
	enum fl_exit rc = read_filter(cli, &filter, &question.url);

	if (rc)
		return rc;
	if (fl_flow_filter_empty(&filter) && !cli->all)
		return fl_usage("flow flush needs a filter, or --all for every flow there is");
	if (!fl_flow_filter_empty(&filter) && cli->all)
		return fl_usage("flow flush takes a filter or --all, not both");
	if (cli->watch)
		return fl_usage("flow flush cannot be watched");
	return fl_show(cli, &question, &flush_listing, NULL);
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
	FL_OPTIONS_END,
};

static const struct fl_cli_option flush_options[] = {
	FILTERS,
	FL_FLAG(all, 0, "all", "every flow there is"),
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{"list", "", 0, 0, "a line per flow", list_options, run_list},
	{"flush", "", 0, 0, "forget the flows that match", flush_options, run_flush},
};

const struct fl_noun fl_noun_flow = {
	"flow", "Connections in the flow table. All filters given must hold.", commands, 2};
