/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command line. It is walked twice: once to see which file to read, and after the file to put
 * what it says on top.
 */
#include "lb/settings/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "lb/base/cleanup.h"

#define FIRST_LONG 256 /* getopt's value of row 0; below are letters */

struct table {
	struct option *options;
	char letters[32];
};

static int make_table(struct table *table)
{
	size_t n = 0, letters = 0;

	table->options = calloc(fl_setting_count + 1, sizeof(*table->options));
	if (!table->options)
		return -ENOMEM;
	/* ':' first: no messages, and a missing argument is not an unknown option */
	table->letters[letters++] = ':';
	for (size_t i = 0; i < fl_setting_count; i++) {
		const struct fl_setting *s = &fl_setting_table[i];

		if (!s->option)
			continue;
		table->options[n++] = (struct option){
			.name = s->option,
			.has_arg = s->type == FL_SETTING_FLAG ? no_argument : required_argument,
			.val = FIRST_LONG + (int)i,
		};
		if (s->letter)
			table->letters[letters++] = s->letter;
	}
	return 0;
}

static const struct fl_setting *row(int value)
{
	if (value >= FIRST_LONG)
		return &fl_setting_table[value - FIRST_LONG];
	for (size_t i = 0; i < fl_setting_count; i++)
		if (fl_setting_table[i].letter == value)
			return &fl_setting_table[i];
	return NULL;
}

/* Apply the command line. `only`: a single row, others are just checked for form; NULL all. */
static int walk(int argc, char *const *argv, const struct table *table,
		const struct fl_setting *only, struct fl_settings *settings, struct fl_err *err)
{
	_cleanup_free_ bool *seen = calloc(fl_setting_count, sizeof(*seen));
	int value;

	if (!seen)
		return -ENOMEM;
	optind = 0; /* glibc: start over */
	while ((value = getopt_long(argc, argv, table->letters, table->options, NULL)) != -1) {
		const struct fl_setting *s = row(value);
		struct fl_err why = {""};
		int r;

		if (value == ':')
			return fl_err_set(err, -EINVAL, "option %s needs an argument",
					  argv[optind - 1]);
		if (value == '?' || !s)
			return fl_err_set(err, -EINVAL, "unknown option %s (see --help)",
					  argv[optind - 1]);
		if (only && s != only && !(s->type == FL_SETTING_FLAG))
			continue;
		/* what the command line lists replaces what the file lists */
		if (!seen[s - fl_setting_table])
			fl_setting_clear(settings, s);
		seen[s - fl_setting_table] = true;
		r = fl_setting_set(settings, s, s->type == FL_SETTING_FLAG ? "true" : optarg, &why);
		if (r)
			return fl_err_set(err, r, "option --%s: %s", s->option,
					  why.text[0] ? why.text : strerror(-r));
	}
	if (optind < argc)
		return fl_err_set(err, -EINVAL, "unexpected argument \"%s\" (see --help)",
				  argv[optind]);
	return 0;
}

static void table_fini(struct table *table)
{
	free(table->options);
}

int fl_options_parse(int argc, char *const *argv, struct fl_settings *settings,
		     fl_config_note_fn note, void *arg, struct fl_err *err)
{
	_cleanup_(table_fini) struct table table = {0};
	int r = make_table(&table);

	if (r)
		return fl_err_set(err, r, "out of memory");
	r = walk(argc, argv, &table, fl_setting_by_option("config"), settings, err);
	if (r || settings->help || settings->version)
		return r;
	if (settings->config) {
		r = fl_config_read(settings->config, settings, note, arg, err);
		if (r)
			return r;
	}
	r = walk(argc, argv, &table, NULL, settings, err);
	return r ? r : fl_settings_finish(settings, err);
}

void fl_options_help(FILE *out)
{
	fprintf(out,
		"Usage: fairleadd --manifests DIR [OPTION]...\n"
		"Balance this node's Service traffic by eBPF. The datapath outlives the agent;\n"
		"`fairlead cleanup` removes it.\n\n");
	for (size_t i = 0; i < fl_setting_count; i++) {
		const struct fl_setting *s = &fl_setting_table[i];
		char left[64];

		if (!s->option)
			continue;
		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", s->letter ? '-' : ' ',
			 s->letter ? s->letter : ' ', s->letter ? ", " : "  ", s->option,
			 s->arg ? " " : "", s->arg ? s->arg : "");
		fprintf(out, "  %-34s %s\n", left, s->help);
	}
	fprintf(out, "\nExit status: 0 after SIGTERM or --once, 1 when something failed, 2 for "
		     "wrong usage or a bad\n"
		     "configuration. Every other setting is a key of kind FairleadConfiguration in "
		     "--config FILE.\n");
}
