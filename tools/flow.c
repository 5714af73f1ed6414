/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead flow: connections in the flow table; listing and forgetting them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
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

/* Check the filters here, so that nonsense is a usage error whoever would answer; and build the
 * query. */
static enum fl_exit read_filter(struct fl_cli *cli, const char *path, struct fl_flow_filter *filter,
				char **ret_url)
{
	_cleanup_free_ char *url = NULL;
	const char *separator = "?", *key;
	struct fl_err err;

	if (fl_url_append(&url, path, ""))
		return fl_say("no memory"), FL_EXIT_FAILED;
	for (size_t i = 0; (key = fl_flow_filter_key(i)); i++) {
		if (!cli->filter[i])
			continue;
		if (fl_flow_filter_set(filter, key, cli->filter[i], &err))
			return fl_usage("--%s", err.text);
		if (fl_url_append(&url, separator, key) || fl_url_append(&url, "=", cli->filter[i]))
			return fl_say("no memory"), FL_EXIT_FAILED;
		separator = "&";
	}
	if (cli->all && fl_url_append(&url, separator, "all") == 0 &&
	    fl_url_append(&url, "=", "true"))
		return fl_say("no memory"), FL_EXIT_FAILED;
	*ret_url = TAKE_PTR(url);
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
	struct fl_question question = {.method = "GET", .render = render_list, .arg = &filter};
	_cleanup_free_ char *url = NULL;
	enum fl_exit rc = read_filter(cli, "/v1/flows", &filter, &url);

	if (rc)
		return rc;
	question.path = url;
	return fl_show(cli, &question, &listing, say_rest);
}

static enum fl_exit run_flush(struct fl_cli *cli)
{
	struct fl_flow_filter filter = {0};
	struct fl_question question = {
		.method = "POST", .writable = true, .render = render_flush, .arg = &filter};
	_cleanup_free_ char *url = NULL;
	enum fl_exit rc = read_filter(cli, "/v1/flows/flush", &filter, &url);

	if (rc)
		return rc;
	if (fl_flow_filter_empty(&filter) && !cli->all)
		return fl_usage("flow flush wants a filter, or --all for every flow there is");
	if (!fl_flow_filter_empty(&filter) && cli->all)
		return fl_usage("flow flush wants a filter or --all, not both");
	if (cli->watch)
		return fl_usage("flow flush cannot be watched");
	question.path = url;
	return fl_show(cli, &question, &flush_listing, NULL);
}

/* The i-th is the filter of fl_flow_filter_key(i). */
#define FILTER(i, name, arg, help)                                                                 \
	{                                                                                          \
		name, 0, FL_OPTION_STRING, offsetof(struct fl_cli, filter[i]), arg, help           \
	}
#define FILTERS                                                                                    \
	FILTER(0, "proto", "PROTO", "TCP, UDP or SCTP"),                                           \
		FILTER(1, "family", "FAMILY", "IPv4 or IPv6"),                                     \
		FILTER(2, "state", "STATE,...", "new, replied, established or closing"),           \
		FILTER(3, "client", "PEER",                                                        \
		       "IP, IP/LEN, IP:PORT, [IP]:PORT or :PORT of the client"),                   \
		FILTER(4, "frontend", "PEER", "the same of the address that was asked"),           \
		FILTER(5, "backend", "PEER", "the same of the backend"),                           \
		FILTER(6, "service", "NS/NAME[:PORT]", "the Service that was asked")

static const struct fl_option list_options[] = {
	FILTERS,
	FILTER(7, "limit", "N", "show at most N flows (default 1000)"),
	{.name = NULL},
};

static const struct fl_option flush_options[] = {
	FILTERS,
	{"all", 0, FL_OPTION_FLAG, offsetof(struct fl_cli, all), NULL, "every flow there is"},
	{.name = NULL},
};

static const struct fl_command commands[] = {
	{"list", "", 0, 0, "a line per flow", list_options, run_list},
	{"flush", "", 0, 0, "forget the flows that match", flush_options, run_flush},
};

const struct fl_noun fl_noun_flow = {
	"flow", "Connections in the flow table. All filters given must hold.", commands, 2};
