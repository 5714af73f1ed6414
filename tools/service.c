/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead service: the service ports as they are programmed on this node. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/model/names.h"
#include "tools/ask.h"
#include "tools/items.h"
#include "tools/output.h"
#include "tools/ref.h"

static const struct fl_column columns[] = {
	{"NAMESPACE", "namespace", 0, NULL},
	{"NAME", "name", 0, NULL},
	{"PORT", "port", 0, NULL},
	{"PROTO", "protocol", 0, NULL},
	{"FAMILY", "family", 0, NULL},
	{"CLUSTERIP", "verdicts.clusterIP", FL_COLUMN_WORD, NULL},
	{"EXTERNAL", "verdicts.external", FL_COLUMN_WORD, NULL},
	{"CLUSTER", "clusterBackends", FL_COLUMN_RIGHT | FL_COLUMN_NARROW, fl_cell_count},
	{"LOCAL", "localBackends", FL_COLUMN_RIGHT | FL_COLUMN_NARROW, fl_cell_count},
	{"FRONTENDS", "frontends", FL_COLUMN_NARROW, fl_cell_frontends},
	{"ID", "id", FL_COLUMN_RIGHT | FL_COLUMN_WIDE, NULL},
	{"FROM INSIDE", "verdicts.internalToExternal", FL_COLUMN_WORD | FL_COLUMN_WIDE, NULL},
	{"FORWARDING", "forwarding", FL_COLUMN_WIDE, NULL},
	{"AFFINITY", "sessionAffinity.type", FL_COLUMN_WIDE, NULL},
	{"SOURCE RANGES", "sourceRanges", FL_COLUMN_WIDE, NULL},
	{"FRONTENDS", "frontends", FL_COLUMN_WIDE, fl_cell_frontends_typed},
	{"CLUSTER BACKENDS", "clusterBackends", FL_COLUMN_WIDE, NULL},
	{"LOCAL BACKENDS", "localBackends", FL_COLUMN_WIDE, NULL},
};

static bool is_named(const struct fl_value *item, const char *operand)
{
	_cleanup_free_ char *text = strdup(operand);
	struct fl_service_filter ref;

	return text && fl_ref_parse(text, &ref) && fl_ref_means(&ref, item);
}

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = fl_name_service_port,
	.none = "no services are programmed",
};

static void put_side(const struct fl_value *frontend, const char *side, FILE *out)
{
	const struct fl_value *value = fl_value_get(frontend, side);

	if (!value)
		return;
	fprintf(out, "  %s clients: ", side);
	fl_cell_put(fl_value_get(value, "verdict"), out);
	if (fl_value_get(value, "list")) {
		fputs(" to the ", out);
		fl_cell_put(fl_value_get(value, "list"), out);
		fputs(" list", out);
	}
	fputs("\n", out);
}

/* `weights`: of those whose weight is not 1. */
static void put_backends(const char *title, const struct fl_value *list,
			 const struct fl_value *weights, FILE *out)
{
	if (!fl_value_count(list))
		return;
	fprintf(out, "%s:\n", title);
	FL_VALUE_EACH(backend, list)
	{
		const char *address = fl_value_string(backend);
		const struct fl_value *weight = address ? fl_value_get(weights, address) : NULL;

		fputs("  ", out);
		fl_cell_put(backend, out);
		if (weight) {
			fputs(" weight ", out);
			fl_cell_put(weight, out);
		}
		putc('\n', out);
	}
}

static void put_service(const struct fl_value *item, FILE *out)
{
	const struct fl_value *affinity = fl_value_get(item, "sessionAffinity");
	const char *type = fl_value_string(fl_value_get(affinity, "type"));

	fl_name_service_port(item, out);
	putc(' ', out);
	fl_cell_put(fl_value_get(item, "protocol"), out);
	putc(' ', out);
	fl_cell_put(fl_value_get(item, "family"), out);
	fputs(", id ", out);
	fl_cell_put(fl_value_get(item, "id"), out);
	fputs(", forwarding by ", out);
	fl_cell_put(fl_value_get(item, "forwarding"), out);
	putc('\n', out);
	if (type && strcmp(type, "None")) {
		fputs("session affinity by ", out);
		fl_text_put(type, out);
		fputs(" for ", out);
		fl_cell_duration(fl_value_get(affinity, "timeoutSeconds"), out);
		putc('\n', out);
	}
	if (fl_value_count(fl_value_get(item, "sourceRanges"))) {
		fputs("source ranges ", out);
		fl_cell_put(fl_value_get(item, "sourceRanges"), out);
		putc('\n', out);
	}
	FL_VALUE_EACH(frontend, fl_value_get(item, "frontends"))
	{
		bool ranges = false;

		fl_cell_put(fl_value_get(frontend, "type"), out);
		putc(' ', out);
		fl_cell_put(fl_value_get(frontend, "ip"), out);
		fputs(" port ", out);
		fl_cell_put(fl_value_get(frontend, "port"), out);
		putc('\n', out);
		put_side(frontend, "internal", out);
		put_side(frontend, "external", out);
		if (fl_value_count(fl_value_get(frontend, "masquerade"))) {
			fputs("  masqueraded: ", out);
			fl_cell_put(fl_value_get(frontend, "masquerade"), out);
			fputs(" clients\n", out);
		}
		if (fl_value_bool(fl_value_get(frontend, "sourceRanges"), &ranges) && ranges)
			fputs("  only from the source ranges\n", out);
	}
	put_backends("cluster backends", fl_value_get(item, "clusterBackends"),
		     fl_value_get(item, "clusterWeights"), out);
	put_backends("local backends", fl_value_get(item, "localBackends"),
		     fl_value_get(item, "localWeights"), out);
	put_backends("drained backends", fl_value_get(item, "drainedBackends"), NULL, out);
}

static void put_services(const struct fl_value *root, const struct fl_items *items, bool wide,
			 const struct fl_output_options *options, FILE *out)
{
	for (size_t i = 0; i < items->n; i++) {
		fputs(i ? "\n" : "", out);
		put_service(items->item[i], out);
	}
}

/* The same columns, so that wide and name are what they are for list. */
static const struct fl_listing one_listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = fl_name_service_port,
	.named = is_named,
	.text = put_services,
};

static int render(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		  struct fl_json *json, struct fl_err *err)
{
	return fl_ref_render(view, arg, fl_render_services, json, err);
}

static enum fl_exit run_list(struct fl_cli *cli)
{
	const struct fl_service_filter ref = {.ns = cli->namespace};
	struct fl_question question = {.method = "GET", .render = render, .arg = &ref};
	const struct fl_show show = {.questions = &question, .n_questions = 1, .listing = &listing};

	fl_ref_url(&ref, "/v1/services", &question.url);
	return fl_show(cli, &show);
}

static enum fl_exit run_get(struct fl_cli *cli)
{
	_cleanup_free_ char *text = strdup(cli->operand[0]);
	struct fl_service_filter ref = {0};
	struct fl_question question = {.method = "GET", .render = render, .arg = &ref};
	const struct fl_show show = {.questions = &question,
				     .n_questions = 1,
				     .listing = &one_listing,
				     .by_operands = cli->n_operands > 1};
	enum fl_exit rc = fl_ref_check(cli);

	if (rc)
		return rc;
	/* one by its name, which the agent refuses in its own words; for several, all there are */
	if (text && cli->n_operands == 1)
		fl_ref_parse(text, &ref);
	fl_ref_url(&ref, "/v1/services", &question.url);
	return text ? fl_show(cli, &show) : fl_say_no_memory();
}

static const struct fl_cli_option list_options[] = {
	FL_VALUE(namespace, 'n', "namespace", "NS", "only Services of this namespace"),
	FL_FAMILY_OPTION,
	FL_SORT_OPTION,
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.verb = "list",
	 .operands = "",
	 .help = "a line per service port and family",
	 .options = list_options,
	 .run = run_list,
	 .listing = &listing},
	{.verb = "get",
	 .operands = FL_REF_OPERANDS,
	 .min_operands = 1,
	 .max_operands = INT_MAX,
	 .help = "these Services in full",
	 .run = run_get,
	 .operands_from = "service list"},
};

const struct fl_noun fl_noun_service = {
	.name = "service",
	.help = "Services as they are programmed on this node.",
	.commands = commands,
	.n_commands = sizeof(commands) / sizeof(commands[0]),
};
