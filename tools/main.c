/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead: shows what the datapath holds, and the few things one may tell it. Nouns are a table, a
 * file each; the command line is read by tables of options.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/output.h"

#define MAX_OPTIONS 32

const struct fl_noun *const fl_nouns[] = {
	&fl_noun_status, &fl_noun_service, &fl_noun_backend, &fl_noun_flow, &fl_noun_maglev,
	&fl_noun_plan,	 &fl_noun_cleanup, &fl_noun_version, &fl_noun_help, NULL,
};

const struct fl_option fl_common_options[] = {
	{"socket", 0, FL_OPTION_STRING, offsetof(struct fl_cli, socket), "PATH",
	 "socket of the agent (default /run/fairlead/fairlead.sock)"},
	{"bpffs", 0, FL_OPTION_STRING, offsetof(struct fl_cli, bpffs), "DIR",
	 "directory of the pinned maps (default /sys/fs/bpf/fairlead)"},
	{"output", 'o', FL_OPTION_STRING, offsetof(struct fl_cli, output_name), "FORMAT",
	 "table, wide, json, yaml or name"},
	{"no-headers", 0, FL_OPTION_FLAG, offsetof(struct fl_cli, no_headers), NULL,
	 "leave out the line of titles"},
	{"watch", 'w', FL_OPTION_FLAG, offsetof(struct fl_cli, watch), NULL,
	 "show it again every two seconds"},
	{"help", 'h', FL_OPTION_FLAG, offsetof(struct fl_cli, help), NULL,
	 "say what there is and exit"},
	{"version", 'V', FL_OPTION_FLAG, offsetof(struct fl_cli, version), NULL,
	 "say which version this is and exit"},
	{.name = NULL},
};

const struct fl_noun *fl_noun_find(const char *name)
{
	for (size_t i = 0; fl_nouns[i]; i++) {
		if (!strcmp(fl_nouns[i]->name, name))
			return fl_nouns[i];
	}
	return NULL;
}

/* The tables of options as getopt_long wants them. */
struct getopt_tables {
	struct option longs[MAX_OPTIONS];
	char shorts[2 * MAX_OPTIONS + 3];
	const struct fl_option *option[MAX_OPTIONS];
	int n;
};

static void tables_add(struct getopt_tables *tables, const struct fl_option *options)
{
	size_t at = strlen(tables->shorts);

	for (; options && options->name && tables->n < MAX_OPTIONS - 1; options++) {
		int has_arg = options->type == FL_OPTION_FLAG ? no_argument : required_argument;

		tables->longs[tables->n] =
			(struct option){options->name, has_arg, NULL, 256 + tables->n};
		tables->option[tables->n++] = options;
		if (!options->letter)
			continue;
		tables->shorts[at++] = options->letter;
		if (has_arg == required_argument)
			tables->shorts[at++] = ':';
	}
	tables->shorts[at] = '\0';
}

static const struct fl_option *tables_find(const struct getopt_tables *tables, int code)
{
	if (code >= 256)
		return tables->option[code - 256];
	for (int i = 0; i < tables->n; i++) {
		if (tables->option[i]->letter == code)
			return tables->option[i];
	}
	return NULL;
}

static enum fl_exit option_set(struct fl_cli *cli, const struct fl_option *option,
			       const char *value)
{
	void *field = (char *)cli + option->offset;
	struct fl_cli_values *values = field;

	switch (option->type) {
	case FL_OPTION_FLAG:
		*(bool *)field = true;
		break;
	case FL_OPTION_STRING:
		*(const char **)field = value;
		break;
	case FL_OPTION_STRINGS:
		if (values->n == FL_CLI_MAX_VALUES)
			return fl_usage("--%s is given more than %d times", option->name,
					FL_CLI_MAX_VALUES);
		values->value[values->n++] = value;
		break;
	}
	return FL_EXIT_OK;
}

/* Read options; `prefix` is how getopt is told where to stop. What is no option begins at
 * *ret_next. */
static enum fl_exit read_options(struct fl_cli *cli, int argc, char **argv, const char *prefix,
				 const struct fl_option *more, int *ret_next)
{
	struct getopt_tables tables = {0};
	enum fl_exit rc;
	int code;

	strcpy(tables.shorts, prefix);
	tables_add(&tables, fl_common_options);
	tables_add(&tables, more);
	opterr = 0;
	optind = 0; /* GNU: start afresh */
	while ((code = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
		if (code == '?')
			return fl_usage("there is no option %s here", argv[optind - 1]);
		if (code == ':')
			return fl_usage("option %s wants a value", argv[optind - 1]);
		rc = option_set(cli, tables_find(&tables, code), optarg);
		if (rc)
			return rc;
	}
	*ret_next = optind;
	return FL_EXIT_OK;
}

static const struct fl_command *find_command(const struct fl_noun *noun, const char *verb)
{
	for (size_t i = 0; i < noun->n_commands; i++) {
		const struct fl_command *command = &noun->commands[i];

		if (!command->verb || (verb && !strcmp(command->verb, verb)))
			return command;
	}
	return NULL;
}

static enum fl_exit settle(struct fl_cli *cli, const struct fl_noun *noun,
			   const struct fl_command *command)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	cli->output = fl_output_find(cli->output_name);
	if (!cli->output)
		return fl_usage("there is no output format \"%s\": table, wide, json, yaml and "
				"name are there",
				cli->output_name);
	if (cli->n_operands < command->min_operands)
		return fl_usage("%s%s%s wants %s", noun->name, command->verb ? " " : "",
				command->verb ? command->verb : "", command->operands);
	if (cli->n_operands > command->max_operands)
		return fl_usage("\"%s\" is too much for %s%s%s",
				cli->operand[command->max_operands], noun->name,
				command->verb ? " " : "", command->verb ? command->verb : "");
	cli->color =
		isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
	return FL_EXIT_OK;
}

static enum fl_exit run_noun(struct fl_cli *cli, int argc, char **argv)
{
	const struct fl_noun *noun = fl_noun_find(argv[0]);
	const struct fl_command *command;
	enum fl_exit rc;
	int next = 0;

	if (!noun)
		return fl_usage("there is no \"%s\"", argv[0]);
	command = find_command(noun, NULL);
	if (!command) {
		rc = read_options(cli, argc, argv, "+:", NULL, &next);
		if (rc)
			return rc;
		command = next < argc ? find_command(noun, argv[next]) : NULL;
		if (!command && next < argc)
			return fl_usage("there is no \"%s %s\"", noun->name, argv[next]);
		if (!command && !cli->help)
			return fl_usage("%s wants a verb", noun->name);
	}
	if (command) {
		argc -= next;
		argv += next;
		rc = read_options(cli, argc, argv, ":", command->options, &next);
		if (rc)
			return rc;
	}
	if (cli->help) {
		fl_help_noun(noun, command);
		return fl_written();
	}
	cli->operand = argv + next;
	cli->n_operands = argc - next;
	rc = settle(cli, noun, command);
	return rc ? rc : command->run(cli);
}

int main(int argc, char **argv)
{
	struct fl_cli cli = {
		.socket = "/run/fairlead/fairlead.sock",
		.bpffs = "/sys/fs/bpf/fairlead",
		.output_name = "table",
	};
	enum fl_exit rc;
	int next;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	rc = read_options(&cli, argc, argv, "+:", NULL, &next);
	if (rc)
		return rc;
	if (cli.version) {
		printf("fairlead %s\n", FL_VERSION);
		return fl_written();
	}
	if (cli.help) {
		fl_help_program();
		return fl_written();
	}
	if (next == argc)
		return fl_usage("what do you want to see?");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = run_noun(&cli, argc - next, argv + next);
	curl_global_cleanup();
	return rc;
}
