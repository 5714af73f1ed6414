/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead: shows what the datapath holds, and takes the few commands it has. Nouns are a table, a
 * file each; the command line is read by tables of options.
 */
#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lb/dp/dp.h"
#include "tools/cli.h"
#include "tools/items.h"
#include "tools/output.h"

const struct fl_noun *const fl_nouns[] = {
	&fl_noun_status,  &fl_noun_service,
	&fl_noun_backend, &fl_noun_flow,
	&fl_noun_maglev,  &fl_noun_plan,
	&fl_noun_metrics, &fl_noun_reload,
	&fl_noun_cleanup, &fl_noun_completion,
	&fl_noun_manual,  &fl_noun_version,
	&fl_noun_help,	  NULL,
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
		*(const char **)field = value ? value : "";
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

static size_t terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

static enum fl_exit settle(struct fl_cli *cli, const struct fl_noun *noun,
			   const struct fl_command *command)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	char text[FL_COMMAND_STRLEN];

	cli->output = fl_output_find(cli->output_name);
	if (cli->n_operands < command->min_operands)
		return fl_usage("%s needs %s", fl_command_format(noun, command, false, text),
				command->operands);
	if (cli->n_operands > command->max_operands)
		return fl_usage("unexpected argument \"%s\" for %s",
				cli->operand[command->max_operands],
				fl_command_format(noun, command, false, text));
	if (cli->sort && !fl_listing_column(command->listing, cli->sort))
		return fl_usage_sort(command->listing, cli->sort);
	cli->width = terminal_width();
	cli->color =
		isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
	return FL_EXIT_OK;
}

static enum fl_exit put_version(void)
{
	printf("fairlead %s\n", FL_VERSION);
	return fl_written();
}

static enum fl_exit run_noun(struct fl_cli *cli, int argc, char **argv)
{
	const struct fl_noun *noun = fl_noun_find(argv[0]);
	const struct fl_command *command;
	enum fl_exit rc;
	int next = 0;

	if (!noun)
		return fl_usage_noun(argv[0]);
	command = fl_command_find(noun, NULL);
	if (!command) {
		rc = read_options(cli, FL_OPERANDS_END, argc, argv, NULL, &next);
		if (rc)
			return rc;
		command = next < argc ? fl_command_find(noun, argv[next]) : NULL;
		if (!command && (next < argc || !cli->help))
			return fl_usage_verb(noun, next < argc ? argv[next] : NULL);
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
	if (cli->version)
		return put_version();
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
	if (cli.version)
		return put_version();
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
