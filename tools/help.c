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

static void command_text(const struct fl_noun *noun, const struct fl_command *command, char *buf,
			 size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s", noun->name, command->verb ? " " : "",
		 command->verb ? command->verb : "", *command->operands ? " " : "",
		 command->operands);
}

void fl_help_program(void)
{
	char text[80];

	printf("Shows what Fairlead's datapath holds.\n\nUsage: fairlead [OPTION...] NOUN [VERB] "
	       "[OPTION...]\n\n"
	       "Commands:\n");
	for (size_t i = 0; fl_nouns[i]; i++) {
		for (size_t j = 0; j < fl_nouns[i]->n_commands; j++) {
			command_text(fl_nouns[i], &fl_nouns[i]->commands[j], text, sizeof(text));
			printf("  %-38s %s\n", text, fl_nouns[i]->commands[j].help);
		}
	}
	put_options("Options of every command", fl_common_options);
	printf("\n\"fairlead help NOUN\" lists the options of its commands.\n"
	       "Exit codes: 0 ok, 1 failed or unhealthy, 2 usage, 3 not found, 4 agent "
	       "unreachable, 5 drift.\n");
}

void fl_help_noun(const struct fl_noun *noun, const struct fl_command *command)
{
	char text[80];

	printf("%s\n", noun->help);
	for (size_t i = 0; i < noun->n_commands; i++) {
		if (command && command != &noun->commands[i])
			continue;
		command_text(noun, &noun->commands[i], text, sizeof(text));
		printf("\nUsage: fairlead %s [OPTION...]\n  %s\n", text, noun->commands[i].help);
		put_options("Options", noun->commands[i].options);
	}
	put_options("Options of every command", fl_common_options);
}

static enum fl_exit run_help(struct fl_cli *cli)
{
	const struct fl_noun *noun;

	if (!cli->n_operands) {
		fl_help_program();
		return fl_written();
	}
	noun = fl_noun_find(cli->operand[0]);
	if (!noun)
		return fl_usage_noun(cli->operand[0]);
	fl_help_noun(noun, NULL);
	return fl_written();
}

static const struct fl_command commands[] = {
	{.operands = "[NOUN]", .max_operands = 1, .help = "say what there is", .run = run_help},
};

const struct fl_noun fl_noun_help = {"help", "Says what there is.", commands, 1};
