/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead manual: a manual page from its source, in which a line ".\" @options COMMAND@" stands
 * for the options of a command, "@options@" for those of every command, and "@options fairleadd@"
 * for the agent's. Used by the build alone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "tools/cli.h"
#include "tools/program.h"

#define MARK ".\\\" @options"

/* Text of a page: a minus is a minus, and no line begins with a request. */
static void put_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			putc(*text, out);
	}
}

static void put_option(const struct fl_option *option, FILE *out)
{
	char words[120];

	fputs(".TP\n\\fB", out);
	if (option->letter)
		fprintf(out, "\\-%c\\fR, \\fB", option->letter);
	fputs("\\-\\-", out);
	put_text(option->name, out);
	fputs("\\fR", out);
	if (option->arg) {
		fputs(option->may_lack_value ? "[=\\fI" : " \\fI", out);
		put_text(option->arg, out);
		fputs(option->may_lack_value ? "\\fR]" : "\\fR", out);
	}
	putc('\n', out);
	put_text(option->help, out);
	if (option->words) {
		fputs(": ", out);
		put_text(fl_words_format(option->words, words, sizeof(words)), out);
	}
	fputs(".\n", out);
}

/* `which`: "" every command's, "fairleadd", "plan", "flow list". */
static bool find_options(const char *which, struct fl_options *ret_options)
{
	for (size_t i = 0; fl_nouns[i]; i++) {
		for (size_t j = 0; j < fl_nouns[i]->n_commands; j++) {
			char name[FL_COMMAND_STRLEN];

			fl_command_format(fl_nouns[i], &fl_nouns[i]->commands[j], false, name);
			if (!strcmp(name, which)) {
				fl_command_options(&fl_nouns[i]->commands[j], ret_options);
				return true;
			}
		}
	}
	if (*which && !fl_program_find(which))
		return false;
	fl_program_options(fl_program_find(*which ? which : "fairlead"), ret_options);
	return true;
}

static enum fl_exit put_options(const char *line, FILE *out)
{
	const char *which = line + strlen(MARK) + strspn(line + strlen(MARK), " ");
	struct fl_options options;
	char name[FL_COMMAND_STRLEN];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(which, "@\n"), which);
	if (!find_options(name, &options)) {
		fl_say("there is no command \"%s\" whose options could be listed", name);
		return FL_EXIT_FAILED;
	}
	for (size_t i = 0; i < options.n; i++)
		put_option(options.option[i], out);
	return FL_EXIT_OK;
}

static enum fl_exit run_manual(struct fl_cli *cli)
{
	_cleanup_fclose_ FILE *in = fopen(cli->operand[0], "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	if (!in) {
		fl_say("%s: %s", cli->operand[0], strerror(errno));
		return FL_EXIT_FAILED;
	}
	while (getline(&line, &room, in) > 0) {
		if (strncmp(line, MARK, strlen(MARK)))
			fputs(line, stdout);
		else if (put_options(line, stdout))
			return FL_EXIT_FAILED;
	}
	return fl_written();
}

static const struct fl_command commands[] = {
	{.operands = "FILE",
	 .min_operands = 1,
	 .max_operands = 1,
	 .help = "a manual page from its source",
	 .run = run_manual},
};

const struct fl_noun fl_noun_manual = {
	.name = "manual",
	.help = "Prints a manual page made from its source and the tables of options.",
	.commands = commands,
	.n_commands = 1,
	.hidden = true,
};
