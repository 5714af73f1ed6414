/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead status: whether this node is well, and the numbers that say why. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lb/api/api.h"
#include "lb/api/render.h"
#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/output.h"

static bool flag(const struct fl_value *root, const char *key)
{
	bool value = false;

	return fl_value_bool(fl_value_get(root, key), &value) && value;
}

static int64_t number(const struct fl_value *root, const char *path)
{
	int64_t value = 0;

	fl_value_int(fl_value_path(root, path), &value);
	return value;
}

static void put_line(const char *title, const struct fl_value *value,
		     void (*cell)(const struct fl_value *, FILE *), FILE *out)
{
	if (!value)
		return;
	fprintf(out, "%-14s", title);
	cell(value, out);
	putc('\n', out);
}

static void put_health(const struct fl_value *root, bool color, FILE *out)
{
	const char *agent = fl_value_string(fl_value_get(root, "agent"));
	bool reachable = agent && strcmp(agent, "unreachable");
	const char *word = !reachable		   ? "unreachable"
			   : flag(root, "healthy") ? "healthy"
						   : "unhealthy";
	const char *sequence = color ? fl_word_color(word) : NULL;

	fprintf(out, "%-14s%s%s%s", "agent", sequence ? sequence : "", word,
		sequence ? FL_COLOR_END : "");
	if (reachable) {
		fputs(", version ", out);
		fl_cell_put(fl_value_get(root, "version"), out);
		fputs(", up ", out);
		fl_cell_duration(fl_value_get(root, "uptimeSeconds"), out);
		if (!flag(root, "synced"))
			fputs(", still reading its input", out);
	}
	putc('\n', out);
}

static void put_devices(const struct fl_value *root, FILE *out)
{
	const char *title = "devices", *between = "";

	if (!fl_value_count(fl_value_get(root, "devices")))
		return;
	fprintf(out, "%-14s", title);
	FL_VALUE_EACH(device, fl_value_get(root, "devices"))
	{
		fputs(between, out);
		fl_cell_put(fl_value_get(device, "name"), out);
		putc(' ', out);
		fl_cell_put(fl_value_get(device, "hook"), out);
		fputs(" (", out);
		fl_cell_put(fl_value_get(device, "role"), out);
		putc(')', out);
		between = ", ";
	}
	putc('\n', out);
}

/* How full a family's table is; a flow takes two entries. */
static double percent_full(const struct fl_value *family)
{
	int64_t slots = number(family, "slots");
	int64_t flows = number(family, "new") + number(family, "replied") +
			number(family, "established") + number(family, "closing");

	return slots ? 100.0 * (double)(2 * flows) / (double)slots : 0;
}

static void put_flows(const struct fl_value *root, FILE *out)
{
	const struct fl_value *flows = fl_value_get(root, "flows");
	int64_t total = number(flows, "total");
	int64_t established = number(flows, "ipv4.established") + number(flows, "ipv6.established");
	int64_t embryonic = number(flows, "ipv4.new") + number(flows, "ipv4.replied") +
			    number(flows, "ipv6.new") + number(flows, "ipv6.replied");

	fprintf(out,
		"%-14s%" PRId64 ": %" PRId64 " established, %" PRId64 " embryonic, %" PRId64
		" closing; table %.1f%% full for IPv4, %.1f%% for IPv6\n",
		"flows", total, established, embryonic, total - established - embryonic,
		percent_full(fl_value_get(flows, "ipv4")),
		percent_full(fl_value_get(flows, "ipv6")));
}

static void put_nonzero(const char *title, const struct fl_value *counters, FILE *out)
{
	FL_VALUE_EACH(counter, counters)
	{
		int64_t value;

		if (!fl_value_int(counter, &value) || !value)
			continue;
		fprintf(out, "%-14s%s %" PRId64 "\n", title, fl_value_key(counter), value);
		title = "";
	}
}

/* How full the maps are, the fullest of which may refuse what comes next. */
static void put_maps(const struct fl_value *root, FILE *out)
{
	const char *title = "maps";

	FL_VALUE_EACH(map, fl_value_get(root, "maps"))
	{
		const int64_t used = number(map, "used"), size = number(map, "size");

		fprintf(out, "%-14s", title);
		fl_cell_put(fl_value_get(map, "name"), out);
		fprintf(out, ": %" PRId64 " of %" PRId64 " (%.1f%%)\n", used, size,
			size ? 100.0 * (double)used / (double)size : 0.0);
		title = "";
	}
}

static void put_conditions(const struct fl_value *root, FILE *out)
{
	const int64_t more = number(root, "moreConditions");
	const char *title = "conditions";

	FL_VALUE_EACH(condition, fl_value_get(root, "conditions"))
	{
		fprintf(out, "%-14s", title);
		fl_cell_put(fl_value_get(condition, "level"), out);
		fputs(": ", out);
		fl_cell_put(fl_value_get(condition, "text"), out);
		putc('\n', out);
		title = "";
	}
	if (more)
		fprintf(out, "%-14sand %" PRId64 " more\n", title, more);
}

static void put_status(const struct fl_value *root, bool wide,
		       const struct fl_output_options *options, FILE *out)
{
	put_line("node", fl_value_get(root, "node"), fl_cell_put, out);
	put_line("zone", fl_value_get(root, "zone"), fl_cell_put, out);
	put_health(root, options->color, out);
	put_devices(root, out);
	put_line("cgroup", fl_value_get(root, "cgroup"), fl_cell_put, out);
	fprintf(out,
		"%-14s%" PRId64 " service ports, %" PRId64 " frontends, %" PRId64
		" backends, revision %" PRId64 "\n",
		"programmed", number(root, "programmed.servicePorts"),
		number(root, "programmed.frontends"), number(root, "programmed.backends"),
		number(root, "programmed.revision"));
	if (number(root, "programmed.failedPorts"))
		fprintf(out, "%-14s%" PRId64 " service ports did not fit into the maps\n",
			"refused", number(root, "programmed.failedPorts"));
	if (number(root, "drift"))
		fprintf(out,
			"%-14s%" PRId64
			" differences between what is wanted and what the maps hold\n",
			"drift", number(root, "drift"));
	put_flows(root, out);
	put_nonzero("not forwarded", fl_value_get(root, "notForwarded"), out);
	if (wide) {
		put_nonzero("counters", fl_value_get(root, "counters"), out);
		put_maps(root, out);
	}
	put_conditions(root, out);
}

static void put_name(const struct fl_value *root, FILE *out)
{
	fl_cell_put(fl_value_get(root, "node"), out);
}

static const struct fl_listing listing = {.text = put_status, .name = put_name};

static int render(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		  struct fl_json *json, struct fl_err *err)
{
	const struct fl_api_status status = {
		.agent = "unreachable", .bpffs = cli->bpffs, .drift = -1};

	return fl_render_status(view, &status, NULL, json) ? fl_err_set(err, -ENOMEM, "no memory")
							   : 0;
}

static enum fl_exit verdict(const struct fl_value *root)
{
	if (number(root, "drift") > 0)
		return FL_EXIT_DRIFT;
	return flag(root, "healthy") ? FL_EXIT_OK : FL_EXIT_FAILED;
}

static enum fl_exit run_status(struct fl_cli *cli)
{
	static const struct fl_question question = {
		.method = "GET", .url = FL_URL("/v1/status"), .render = render};

	return fl_show(cli, &question, &listing, verdict);
}

static const struct fl_command commands[] = {
	{.operands = "", .help = "whether this node is well", .run = run_status},
};

const struct fl_noun fl_noun_status = {"status",
				       "Whether this node is well: exits with 1 when it is not, 5 "
				       "when the maps are not as they should be.",
				       commands, 1};
