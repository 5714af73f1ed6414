/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead version: of this program, and of the agent if one answers. */
#include <stdlib.h>
#include <string.h>

#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "tools/ask.h"
#include "tools/items.h"
#include "tools/output.h"

static void put_one(const char *program, const struct fl_value *value, FILE *out)
{
	if (!value) {
		fprintf(out, "%s: not reachable\n", program);
		return;
	}
	fprintf(out, "%s ", program);
	fl_cell_put(fl_value_get(value, "version"), out);
	fputs(", map layout ", out);
	fl_cell_put(fl_value_get(value, "abiVersion"), out);
	putc('\n', out);
}

static void put_versions(const struct fl_value *root, const struct fl_items *items, bool wide,
			 const struct fl_output_options *options, FILE *out)
{
	put_one("fairlead", fl_value_get(root, "client"), out);
	put_one("fairleadd", fl_value_get(root, "agent"), out);
}

static void put_name(const struct fl_value *root, FILE *out)
{
	fl_cell_put(fl_value_path(root, "client.version"), out);
}

static const struct fl_listing listing = {.text = put_versions, .name = put_name};

static void write_agent(struct fl_cli *cli, struct fl_json *json)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	const struct fl_value *root;
	const char *version;
	int64_t abi = 0;
	size_t len;
	long code;

	fl_json_key(json, "agent");
	if (fl_client_request(cli->socket, "GET", "/v1/version", false, &text, &len, &code, NULL) ||
	    code != 200 || fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL)) {
		fl_json_null(json);
		return;
	}
	root = fl_doc_root(doc);
	version = fl_value_string(fl_value_get(root, "version"));
	fl_value_int(fl_value_get(root, "abiVersion"), &abi);
	fl_json_object_begin(json);
	fl_json_member_string(json, "version", version);
	fl_json_member_int(json, "abiVersion", abi);
	fl_json_object_end(json);
}

static enum fl_exit run_version(struct fl_cli *cli)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_items none = {0};
	const char *text;
	size_t len;

	fl_render_begin(json, "Version");
	fl_json_key(json, "client");
	fl_json_object_begin(json);
	fl_json_member_string(json, "version", FL_VERSION);
	fl_json_member_uint(json, "abiVersion", FL_ABI_VERSION);
	fl_json_object_end(json);
	write_agent(cli, json);
	fl_json_object_end(json);
	text = fl_json_text(json, &len);
	if (!text || fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL))
		return fl_say_no_memory();
	return fl_print(cli, &listing, fl_doc_root(doc), &none);
}

static const struct fl_command commands[] = {
	{.operands = "", .help = "of this program and of the agent", .run = run_version},
};

const struct fl_noun fl_noun_version = {
	.name = "version",
	.help = "Versions of this program and of the agent.",
	.commands = commands,
	.n_commands = 1,
};
