/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Completion for fish: a line per word and per option. */
#include <string.h>

#include "tools/completion.h"
#include "tools/output.h"
#include "tools/program.h"

static void put_quoted(const char *text, FILE *out)
{
	putc('\'', out);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('\'', out);
}

static void put_value(const struct fl_option *option, const struct fl_listing *listing, FILE *out)
{
	switch (fl_option_kind(option)) {
	case FL_KIND_WORD:
		fputs(" -x -a '", out);
		for (const struct fl_word *w = option->words; w->word; w++)
			fprintf(out, "%s%s", w == option->words ? "" : " ", w->word);
		putc('\'', out);
		break;
	case FL_KIND_FILE:
		fputs(" -r -F", out);
		break;
	case FL_KIND_DIRECTORY:
		fputs(" -x -a '(__fish_complete_directories)'", out);
		break;
	case FL_KIND_SERVICE:
		fputs(" -x -a '(__fairlead_names service list)'", out);
		break;
	case FL_KIND_COLUMN:
		fputs(" -x -a '", out);
		if (listing)
			fl_columns_put(listing, out);
		putc('\'', out);
		break;
	case FL_KIND_ANYTHING:
		fputs(option->may_lack_value ? "" : " -x", out);
		break;
	}
}

static void put_options(const struct fl_program *program, const struct fl_options *options,
			const struct fl_listing *listing, const char *condition, FILE *out)
{
	for (size_t i = 0; i < options->n; i++) {
		const struct fl_option *option = options->option[i];

		fprintf(out, "complete -c %s", program->name);
		if (condition)
			fprintf(out, " -n '__fairlead_in %s'", condition);
		if (option->letter)
			fprintf(out, " -s %c", option->letter);
		fprintf(out, " -l %s", option->name);
		if (option->arg)
			put_value(option, listing, out);
		fputs(" -d ", out);
		put_quoted(option->help, out);
		putc('\n', out);
	}
}

static void put_word(const char *at, const char *word, const char *help, FILE *out)
{
	fprintf(out, "complete -c fairlead -n '__fairlead_at%s%s' -a %s", *at ? " " : "", at, word);
	if (help) {
		fputs(" -d ", out);
		put_quoted(help, out);
	}
	putc('\n', out);
}

static void put_noun(const struct fl_program *program, const struct fl_noun *noun, FILE *out)
{
	char place[FL_COMMAND_STRLEN];

	put_word("", noun->name, noun->commands[0].verb ? noun->help : noun->commands[0].help, out);
	put_word("help", noun->name, NULL, out);
	for (size_t i = 0; i < noun->n_commands; i++) {
		const struct fl_command *command = &noun->commands[i];
		struct fl_options options;

		if (command->verb) {
			snprintf(place, sizeof(place), "help %s", noun->name);
			put_word(noun->name, command->verb, command->help, out);
			put_word(place, command->verb, NULL, out);
		}
		fl_command_format(noun, command, false, place);
		fl_command_options(command, &options);
		put_options(program, &options, command->listing, place, out);
		if (command->operands_from)
			fprintf(out,
				"complete -c fairlead -n '__fairlead_in %s' -a '(__fairlead_names "
				"%s)'\n",
				place, command->operands_from);
	}
}

/* Options with values, as words of a switch. */
static void put_cases(const struct fl_options *all, FILE *out)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct fl_option *option = all->option[i];

		if (!option->arg || option->may_lack_value)
			continue;
		if (option->letter)
			fprintf(out, " -%c", option->letter);
		fprintf(out, " --%s", option->name);
	}
}

static void put_functions(const struct fl_options *all, FILE *out)
{
	fputs("# The words of the command line that are no options and no values of options.\n"
	      "function __fairlead_place\n"
	      "    set -l skip 0\n"
	      "    for word in (commandline -opc)[2..-1]\n"
	      "        if test $skip = 1\n"
	      "            set skip 0\n"
	      "            continue\n"
	      "        end\n"
	      "        switch $word\n"
	      "            case",
	      out);
	put_cases(all, out);
	fputs("\n"
	      "                set skip 1\n"
	      "            case '-*'\n"
	      "            case '*'\n"
	      "                echo $word\n"
	      "        end\n"
	      "    end\n"
	      "end\n\n"
	      "# Whether they are exactly these; and whether they begin with these.\n"
	      "function __fairlead_at\n"
	      "    set -l place (__fairlead_place)\n"
	      "    test \"$place\" = \"$argv\"\n"
	      "end\n\n"
	      "function __fairlead_in\n"
	      "    set -l place (__fairlead_place)\n"
	      "    test (count $place) -ge (count $argv)\n"
	      "    and test \"$place[1..\"(count $argv)\"]\" = \"$argv\"\n"
	      "end\n\n"
	      "# What `fairlead ... -o name` prints, with the socket and directory that stand on "
	      "the "
	      "command line.\n"
	      "function __fairlead_names\n"
	      "    set -l words (commandline -opc)\n"
	      "    set -l where\n"
	      "    for i in (seq (count $words))\n"
	      "        if contains -- $words[$i] --socket --bpffs\n"
	      "            set -a where $words[$i] $words[(math $i + 1)]\n"
	      "        end\n"
	      "    end\n"
	      "    fairlead $where $argv -o name 2>/dev/null\n"
	      "end\n\n",
	      out);
}

static void put_fairlead(const struct fl_program *program, FILE *out)
{
	struct fl_options all;

	fl_program_all_options(program, &all);
	put_functions(&all, out);
	for (size_t i = 0; fl_nouns[i]; i++) {
		if (!fl_nouns[i]->hidden)
			put_noun(program, fl_nouns[i], out);
	}
	fputs("complete -c fairlead -n '__fairlead_at completion' -a 'bash zsh fish'\n"
	      "complete -c fairlead -n '__fairlead_in completion; and not __fairlead_at "
	      "completion' "
	      "-a 'fairlead fairleadd'\n",
	      out);
}

void fl_completion_fish(const struct fl_program *program, FILE *out)
{
	struct fl_options options;

	fl_program_options(program, &options);
	fprintf(out,
		"# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n"
		"# Completion of %s for fish, as `fairlead completion fish %s` prints it.\n\n"
		"complete -c %s -f\n",
		program->name, program->name, program->name);
	if (program->nouns)
		put_fairlead(program, out);
	put_options(program, &options, NULL, NULL, out);
}
