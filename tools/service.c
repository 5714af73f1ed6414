/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead service: the service ports as they are programmed on this node. */
#include <errno.h>
#include <string.h>

#include "lb/api/render.h"
#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/output.h"

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
	{"AFFINITY", "sessionAffinity.type", FL_COLUMN_WIDE, NULL},
	{"SOURCE RANGES", "sourceRanges", FL_COLUMN_WIDE, NULL},
	{"FRONTENDS", "frontends", FL_COLUMN_WIDE, fl_cell_frontends_typed},
	{"CLUSTER BACKENDS", "clusterBackends", FL_COLUMN_WIDE, NULL},
	{"LOCAL BACKENDS", "localBackends", FL_COLUMN_WIDE, NULL},
};

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

static void put_backends(const char *title, const struct fl_value *list, FILE *out)
{
	if (!list)
		return;
	fprintf(out, "%s:\n", title);
	FL_VALUE_EACH(backend, list)
	{
		fputs("  ", out);
		fl_cell_put(backend, out);
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
	put_backends("cluster backends", fl_value_get(item, "clusterBackends"), out);
	put_backends("local backends", fl_value_get(item, "localBackends"), out);
}

static void put_services(const struct fl_value *root, bool wide,
			 const struct fl_output_options *options, FILE *out)
{
	const char *blank = "";

	FL_VALUE_EACH(item, fl_value_get(root, "items"))
	{
		fputs(blank, out);
		put_service(item, out);
		blank = "\n";
	}
}

/* The same columns, so that wide and name are what they are for list. */
static const struct fl_listing one_listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = fl_name_service_port,
	.text = put_services,
};

static int render(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		  struct fl_json *json, struct fl_err *err)
{
	const struct fl_service_filter *filter = arg;
	size_t n;
	int rc = fl_render_services(view, filter, json, &n);

	if (rc)
		return fl_err_set(err, rc, "no memory");
	if (filter->name && !n)
		return fl_err_set(err, -ENOENT, "service %s%s%s is not in the pinned maps%s",
				  filter->ns, *filter->ns ? "/" : "", filter->name,
				  *filter->name == '#'
					  ? ""
					  : "; without an agent services are known by #ID only");
	return 0;
}

static enum fl_exit run_list(struct fl_cli *cli)
{
	struct fl_service_filter filter = {.ns = cli->namespace};
	struct fl_question question = {.method = "GET", .render = render, .arg = &filter};

	fl_url_path(&question.url, "/v1/services");
	if (cli->namespace)
		fl_url_arg(&question.url, "namespace", cli->namespace);
	return fl_show(cli, &question, &listing, NULL);
}

static enum fl_exit run_get(struct fl_cli *cli)
{
	struct fl_service_filter filter = {0};
	struct fl_question question = {.method = "GET", .render = render, .arg = &filter};
	struct fl_ref ref;
	enum fl_exit rc = fl_ref_parse(cli->operand[0], false, &ref);

	if (rc)
		return rc;
	filter.ns = ref.ns;
	filter.name = ref.name;
	fl_url_path(&question.url, "/v1/services");
	fl_url_arg(&question.url, "namespace", ref.ns);
	fl_url_arg(&question.url, "name", ref.name);
	return fl_show(cli, &question, &one_listing, NULL);
}

static const struct fl_cli_option list_options[] = {
	FL_VALUE(namespace, 'n', "namespace", "NS", "only Services of this namespace"),
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{"list", "", 0, 0, "a line per service port and family", list_options, run_list},
	{"get", "NAMESPACE/NAME", 1, 1, "one Service in full", NULL, run_get},
};

const struct fl_noun fl_noun_service = {"service", "Services as they are programmed on this node.",
					commands, 2};
