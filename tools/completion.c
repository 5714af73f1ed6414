/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead completion: scripts for shells, made from the tables of options. */
#include "tools/completion.h"

#include "tools/cli.h"
#include "tools/program.h"

static const struct fl_word shell_words[] = {{"bash", 0}, {"zsh", 1}, {"fish", 2}, {NULL, 0}};

static void (*const writers[])(const struct fl_program *program, FILE *out) = {
	fl_completion_bash,
	fl_completion_zsh,
	fl_completion_fish,
};

static enum fl_exit run_completion(struct fl_cli *cli)
{
	const char *name = cli->n_operands > 1 ? cli->operand[1] : "fairlead";
	const struct fl_program *program = fl_program_find(name);
	char words[40];
	int shell;

	if (!fl_word_value(shell_words, cli->operand[0], &shell))
		return fl_usage("\"%s\" is not %s", cli->operand[0],
				fl_words_format(shell_words, words, sizeof(words)));
	if (!program)
		return fl_usage("\"%s\" is not fairlead or fairleadd", name);
	writers[shell](program, stdout);
	return fl_written();
}

static const struct fl_command commands[] = {
	{.operands = "bash|zsh|fish [PROGRAM]",
	 .min_operands = 1,
	 .max_operands = 2,
	 .help = "a completion script for fairlead, or fairleadd",
	 .run = run_completion},
};

const struct fl_noun fl_noun_completion = {
	.name = "completion",
	.help = "Prints a completion script: for bash, source it; for zsh, put it into $fpath as "
		"_fairlead; for fish, into ~/.config/fish/completions.",
	.commands = commands,
	.n_commands = 1,
};
