/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What people see of a Status document. */
#include <inttypes.h>
#include <string.h>

#include "lb/api/api.h"
#include "lb/base/doc.h"
#include "lb/model/names.h"
#include "tools/output.h"
#include "tools/status.h"

bool fl_status_flag(const struct fl_value *root, const char *key)
{
	bool value = false;

	return fl_value_bool(fl_value_get(root, key), &value) && value;
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

/* "healthy" and "unhealthy" are words about an agent that answers. */
static const char *agent_word(const struct fl_value *root)
{
	const char *agent = fl_value_string(fl_value_get(root, "agent"));

	if (!agent || strcmp(agent, FL_AGENT_RUNNING))
		return agent ? agent : "unreachable";
	return fl_status_flag(root, "healthy") ? "healthy" : "unhealthy";
}

static void put_colored(const char *word, const struct fl_output_options *options, FILE *out)
{
	const char *sequence = options->color ? fl_word_color(word) : NULL;

	fputs(sequence ? sequence : "", out);
	fl_text_put(word, out);
	fputs(sequence ? FL_COLOR_END : "", out);
}

static void put_health(const struct fl_value *root, const struct fl_output_options *options,
		       FILE *out)
{
	fprintf(out, "%-14s", "agent");
	put_colored(agent_word(root), options, out);
	if (fl_value_get(root, "uptimeSeconds")) {
		fputs(", version ", out);
		fl_cell_put(fl_value_get(root, "version"), out);
		fputs(", up ", out);
		fl_cell_duration(fl_value_get(root, "uptimeSeconds"), out);
		if (!fl_status_flag(root, "synced"))
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
	int64_t slots = fl_value_number(family, "slots");
	int64_t flows = 0;

	for (const struct fl_word *state = fl_flow_state_words; state->word; state++)
		flows += fl_value_number(family, state->word);
	return slots ? 100.0 * (double)(2 * flows) / (double)slots : 0;
}

static void put_flows(const struct fl_value *root, FILE *out)
{
	const struct fl_value *flows = fl_value_get(root, "flows");
	int64_t total = fl_value_number(flows, "total");
	int64_t established = fl_value_number(flows, "ipv4.established") +
			      fl_value_number(flows, "ipv6.established");
	int64_t embryonic =
		fl_value_number(flows, "ipv4.new") + fl_value_number(flows, "ipv4.replied") +
		fl_value_number(flows, "ipv6.new") + fl_value_number(flows, "ipv6.replied");

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
		const int64_t used = fl_value_number(map, "used");
		const int64_t size = fl_value_number(map, "size");

		fprintf(out, "%-14s", title);
		fl_cell_put(fl_value_get(map, "name"), out);
		fprintf(out, ": %" PRId64 " of %" PRId64 " (%.1f%%)\n", used, size,
			size ? 100.0 * (double)used / (double)size : 0.0);
		title = "";
	}
}

static void put_drains(const struct fl_value *root, FILE *out)
{
	const char *title = "drained";

	FL_VALUE_EACH(drain, fl_value_get(root, "drains"))
	{
		fprintf(out, "%-14s", title);
		fl_cell_put(fl_value_get(drain, "address"), out);
		fputs(" since ", out);
		fl_cell_put(fl_value_get(drain, "since"), out);
		putc('\n', out);
		title = "";
	}
}

/* The worst first, as the document has them. */
static void put_conditions(const struct fl_value *root, const struct fl_output_options *options,
			   FILE *out)
{
	const int64_t more = fl_value_number(root, "moreConditions");
	const char *title = "conditions";

	FL_VALUE_EACH(condition, fl_value_get(root, "conditions"))
	{
		const char *level = fl_value_string(fl_value_get(condition, "level"));

		fprintf(out, "%-14s", title);
		put_colored(level ? level : "-", options, out);
		fputs(" since ", out);
		fl_cell_put(fl_value_get(condition, "since"), out);
		fputs(": ", out);
		fl_cell_put(fl_value_get(condition, "text"), out);
		putc('\n', out);
		title = "";
	}
	if (more)
		fprintf(out, "%-14sand %" PRId64 " more\n", title, more);
}

void fl_status_put(const struct fl_value *root, const struct fl_items *items, bool wide,
		   const struct fl_output_options *options, FILE *out)
{
	put_line("node", fl_value_get(root, "node"), fl_cell_put, out);
	put_line("zone", fl_value_get(root, "zone"), fl_cell_put, out);
	put_health(root, options, out);
	put_conditions(root, options, out);
	put_drains(root, out);
	put_devices(root, out);
	put_line("cgroup", fl_value_get(root, "cgroup"), fl_cell_put, out);
	put_line("forwarding", fl_value_get(root, "forwardingMode"), fl_cell_put, out);
	put_line("DSR by", fl_value_get(root, "dsrDispatch"), fl_cell_put, out);
	fprintf(out,
		"%-14s%" PRId64 " service ports, %" PRId64 " frontends, %" PRId64
		" backends, revision %" PRId64 "\n",
		"programmed", fl_value_number(root, "programmed.servicePorts"),
		fl_value_number(root, "programmed.frontends"),
		fl_value_number(root, "programmed.backends"),
		fl_value_number(root, "programmed.revision"));
	put_flows(root, out);
	put_nonzero("not forwarded", fl_value_get(root, "notForwarded"), out);
	if (wide) {
		put_nonzero("counters", fl_value_get(root, "counters"), out);
		put_maps(root, out);
	}
}
