/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead maglev: how the lookup tables share out their positions, to compare nodes and weights.
 */
#include <errno.h>

#include "lb/api/render.h"
#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/output.h"

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
	const struct fl_service_filter *filter = arg;
	size_t n;
	int rc = fl_render_maglev(view, filter, json, &n);

	if (rc)
		return fl_err_set(err, rc, "no memory");
	if (!n)
		return fl_err_set(err, -ENOENT, "service %s%s%s is not in the pinned maps%s",
				  filter->ns, *filter->ns ? "/" : "", filter->name,
				  *filter->name == '#'
					  ? ""
					  : "; without an agent services are known by #ID only");
	return 0;
}

static enum fl_exit run_show(struct fl_cli *cli)
{
	struct fl_service_filter filter;
	struct fl_question question = {.method = "GET", .render = render, .arg = &filter};
	struct fl_ref ref;
	enum fl_exit rc = fl_ref_parse(cli->operand[0], true, &ref);

	if (rc)
		return rc;
	filter = (struct fl_service_filter){ref.ns, ref.name, ref.port};
	fl_url_path(&question.url, "/v1/maglev");
	fl_url_segment(&question.url, ref.ns);
	fl_url_segment(&question.url, ref.name);
	if (ref.port)
		fl_url_segment(&question.url, ref.port);
	return fl_show(cli, &question, &listing, NULL);
}

static const struct fl_command commands[] = {
	{"show", "NAMESPACE/NAME[:PORT]", 1, 1, "a line per backend of each lookup table", NULL,
	 run_show},
};

const struct fl_noun fl_noun_maglev = {
	"maglev", "Lookup tables. Nodes that agree show the same digest for the same list.",
	commands, 1};
