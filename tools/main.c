/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead: shows what the datapath holds, and the few things one may tell it. Nouns are a table, a
 * file each; the command line is read by tables of options.
 */
#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/suggest.h"
#include "lb/dp/dp.h"
#include "tools/cli.h"
#include "tools/output.h"

const struct fl_noun *const fl_nouns[] = {
	&fl_noun_status, &fl_noun_service, &fl_noun_backend, &fl_noun_flow, &fl_noun_maglev,
	&fl_noun_plan,	 &fl_noun_cleanup, &fl_noun_version, &fl_noun_help, NULL,
};

const struct fl_cli_option fl_common_options[] = {
	FL_VALUE(socket, 0, "socket", "PATH",
		 "socket of the agent (default /run/fairlead/fairlead.sock)"),
	FL_VALUE(bpffs, 0, "bpffs", "DIR",
		 "directory of the pinned maps (default /sys/fs/bpf/fairlead)"),
	FL_CHOICE(output_name, 'o', "output", "FORMAT", "how to show it", fl_output_words),
	FL_FLAG(no_headers, 0, "no-headers", "leave out the line of titles"),
	FL_FLAG(watch, 'w', "watch", "show it again every two seconds"),
	FL_FLAG(help, 'h', "help", "print this and exit"),
	FL_FLAG(version, 'V', "version", "print the version and exit"),
	FL_OPTIONS_END,
};

const struct fl_noun *fl_noun_find(const char *name)
{
	for (size_t i = 0; fl_nouns[i]; i++) {
		if (!strcmp(fl_nouns[i]->name, name))
			return fl_nouns[i];
	}
	return NULL;
}

static void add_options(struct fl_options *options, const struct fl_cli_option *more)
{
	for (; more && more->option.name; more++)
		fl_options_add(options, &more->option);
}

static int take_option(const struct fl_option *option, const char *value, void *arg,
		       struct fl_err *err)
{
	/* the option is the first member of its row */
	const struct fl_cli_option *row = (const struct fl_cli_option *)option;
	void *field = (char *)arg + row->offset;
	struct fl_cli_values *values = field;

	switch (row->type) {
	case FL_CLI_FLAG:
		*(bool *)field = true;
		break;
	case FL_CLI_STRING:
		*(const char **)field = value;
		break;
	case FL_CLI_STRINGS:
		if (values->n == FL_CLI_MAX_VALUES)
			return fl_err_set(err, -EINVAL, "--%s is given more than %d times",
					  option->name, FL_CLI_MAX_VALUES);
		values->value[values->n++] = value;
		break;
	}
	return 0;
}

static enum fl_exit read_options(struct fl_cli *cli, enum fl_operands operands, int argc,
				 char **argv, const struct fl_cli_option *more, int *ret_next)
{
	struct fl_options options = {0};
	struct fl_err err = {""};

	add_options(&options, fl_common_options);
	add_options(&options, more);
	if (fl_options_read(&options, operands, argc, argv, take_option, cli, ret_next, &err))
		return fl_usage("%s", err.text);
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

enum fl_exit fl_usage_noun(const char *name)
{
	struct fl_suggestion suggestion = {.typed = name};
	char buf[FL_SUGGESTION_STRLEN];

	for (size_t i = 0; fl_nouns[i]; i++)
		fl_suggestion_offer(&suggestion, fl_nouns[i]->name);
	return fl_usage("there is no \"%s\"%s", name, fl_suggestion_format(&suggestion, "", buf));
}

/* `verb` NULL: none was given. */
static enum fl_exit usage_verb(const struct fl_noun *noun, const char *verb)
{
	struct fl_suggestion suggestion = {.typed = verb ? verb : ""};
	char buf[FL_SUGGESTION_STRLEN], list[80] = "";

	for (size_t i = 0; i < noun->n_commands; i++) {
		const char *between = !i ? "" : i + 1 < noun->n_commands ? ", " : " or ";
		size_t len = strlen(list);

		snprintf(list + len, sizeof(list) - len, "%s%s", between, noun->commands[i].verb);
		fl_suggestion_offer(&suggestion, noun->commands[i].verb);
	}
	if (!verb)
		return fl_usage("%s needs a verb: %s", noun->name, list);
	return fl_usage("there is no \"%s %s\"%s", noun->name, verb,
			fl_suggestion_format(&suggestion, "", buf));
}

static enum fl_exit settle(struct fl_cli *cli, const struct fl_noun *noun,
			   const struct fl_command *command)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	cli->output = fl_output_find(cli->output_name);
	if (cli->n_operands < command->min_operands)
		return fl_usage("%s%s%s needs %s", noun->name, command->verb ? " " : "",
				command->verb ? command->verb : "", command->operands);
	if (cli->n_operands > command->max_operands)
		return fl_usage("unexpected argument \"%s\" for %s%s%s",
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
		return fl_usage_noun(argv[0]);
	command = find_command(noun, NULL);
	if (!command) {
		rc = read_options(cli, FL_OPERANDS_END, argc, argv, NULL, &next);
		if (rc)
			return rc;
		command = next < argc ? find_command(noun, argv[next]) : NULL;
		if (!command && (next < argc || !cli->help))
			return usage_verb(noun, next < argc ? argv[next] : NULL);
	}
	if (command) {
		argc -= next;
		argv += next;
		rc = read_options(cli, FL_OPERANDS_ANYWHERE, argc, argv, command->options, &next);
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
		.bpffs = FL_DP_DEFAULT_DIR,
		.output_name = "table",
	};
	enum fl_exit rc;
	int next;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	rc = read_options(&cli, FL_OPERANDS_END, argc, argv, NULL, &next);
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
		return fl_usage("a command is needed");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = run_noun(&cli, argc - next, argv + next);
	curl_global_cleanup();
	return rc;
}
