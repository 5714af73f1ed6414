/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead help: made from the tables of nouns, commands and options, so that it cannot lag behind
 * them. */
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"

static void put_options(const char *title, const struct fl_cli_option *options)
{
	if (!options || !options->option.name)
		return;
	printf("\n%s:\n", title);
	for (; options->option.name; options++)
		fl_option_help(&options->option, stdout);
}

const char *fl_command_format(const struct fl_noun *noun, const struct fl_command *command,
			      bool operands, char buf[static FL_COMMAND_STRLEN])
{
	bool shown = operands && *command->operands;

	snprintf(buf, FL_COMMAND_STRLEN, "%s%s%s%s%s", noun->name, command->verb ? " " : "",
		 command->verb ? command->verb : "", shown ? " " : "",
		 shown ? command->operands : "");
	return buf;
}

void fl_help_program(void)
{
	char text[FL_COMMAND_STRLEN];

	printf("Shows what Fairlead's datapath holds.\n\nUsage: fairlead [OPTION...] NOUN [VERB] "
	       "[OPTION...]\n\n"
	       "Commands:\n");
	for (size_t i = 0; fl_nouns[i]; i++) {
		for (size_t j = 0; !fl_nouns[i]->hidden && j < fl_nouns[i]->n_commands; j++)
			printf("  %-38s %s\n",
			       fl_command_format(fl_nouns[i], &fl_nouns[i]->commands[j], true,
						 text),
			       fl_nouns[i]->commands[j].help);
	}
	put_options("Options of every command", fl_common_options);
	printf("\n\"fairlead help NOUN [VERB]\" lists the options of its commands.\n"
	       "Exit codes: 0 ok, 1 failed or unhealthy, 2 usage, 3 not found, 4 agent "
	       "unreachable, 5 drift.\n");
}

void fl_help_noun(const struct fl_noun *noun, const struct fl_command *command)
{
	char text[FL_COMMAND_STRLEN];

	printf("%s\n", noun->help);
	for (size_t i = 0; i < noun->n_commands; i++) {
		if (command && command != &noun->commands[i])
			continue;
		printf("\nUsage: fairlead %s [OPTION...]\n  %s\n",
		       fl_command_format(noun, &noun->commands[i], true, text),
		       noun->commands[i].help);
		put_options("Options", noun->commands[i].options);
	}
	put_options("Options of every command", fl_common_options);
}

static enum fl_exit run_help(struct fl_cli *cli)
{
	const struct fl_command *command = NULL;
	const struct fl_noun *noun;

	if (!cli->n_operands) {
		fl_help_program();
		return fl_written();
	}
	noun = fl_noun_find(cli->operand[0]);
	if (!noun)
		return fl_usage_noun(cli->operand[0]);
	if (cli->n_operands > 1) {
		command = fl_command_find(noun, cli->operand[1]);
		if (command && !command->verb)
			return fl_usage("%s has no verbs", noun->name);
		if (!command)
			return fl_usage_verb(noun, cli->operand[1]);
	}
	fl_help_noun(noun, command);
	return fl_written();
}

static const struct fl_command commands[] = {
	{.operands = "[NOUN [VERB]]",
	 .max_operands = 2,
	 .help = "list commands and options",
	 .run = run_help},
};

const struct fl_noun fl_noun_help = {
	.name = "help",
	.help = "Lists commands and options.",
	.commands = commands,
	.n_commands = 1,
};
