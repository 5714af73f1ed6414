/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Completion for bash: a function with tables of words in it. Names are asked from the agent. */
#include <string.h>

#include "tools/completion.h"
#include "tools/output.h"
#include "tools/program.h"

static void put_name(const struct fl_option *option, const char *between, FILE *out)
{
	if (option->letter)
		fprintf(out, "%s-%c", between, option->letter);
	fprintf(out, "%s--%s",
		option->letter ? (*between == ' ' && !between[1] ? " " : " | ") : between,
		option->name);
}

/* "-o | --output | --sort": a pattern of those whose value is the next word; "" none. */
static void put_pattern(const struct fl_options *options, enum fl_value_kind kind, FILE *out)
{
	const char *between = "";

	for (size_t i = 0; i < options->n; i++) {
		const struct fl_option *option = options->option[i];

		if (!option->arg || option->may_lack_value || fl_option_kind(option) != kind)
			continue;
		put_name(option, between, out);
		between = " | ";
	}
}

static void put_case(const struct fl_options *options, enum fl_value_kind kind, const char *action,
		     FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < options->n; i++)
		any |= options->option[i]->arg && !options->option[i]->may_lack_value &&
		       fl_option_kind(options->option[i]) == kind;
	if (!any)
		return;
	fputs("\t", out);
	put_pattern(options, kind, out);
	fprintf(out, ") %s ;;\n", action);
}

static void put_words_case(const struct fl_option *option, FILE *out)
{
	fputs("\t", out);
	put_name(option, "", out);
	fputs(") _fairlead_words '", out);
	for (const struct fl_word *w = option->words; w->word; w++)
		fprintf(out, "%s%s", w == option->words ? "" : " ", w->word);
	fputs("' && return ;;\n", out);
}

/* What can follow the word before, if that is an option with a value. */
static void put_values(const struct fl_program *program, FILE *out)
{
	struct fl_options all;

	fl_program_all_options(program, &all);
	fputs("\tcase $prev in\n", out);
	for (size_t i = 0; i < all.n; i++) {
		if (fl_option_kind(all.option[i]) == FL_KIND_WORD && !all.option[i]->may_lack_value)
			put_words_case(all.option[i], out);
	}
	put_case(&all, FL_KIND_FILE, "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") && return",
		 out);
	put_case(&all, FL_KIND_DIRECTORY,
		 "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") && return", out);
	put_case(&all, FL_KIND_SERVICE,
		 "_fairlead_words \"$(_fairlead_names service list)\" && return", out);
	put_case(&all, FL_KIND_COLUMN, "_fairlead_words \"$(_fairlead_columns)\" && return", out);
	put_case(&all, FL_KIND_ANYTHING, "return", out);
	fputs("\tesac\n", out);
}

static void put_option_words(const struct fl_options *options, FILE *out)
{
	for (size_t i = 0; i < options->n; i++)
		fprintf(out, "%s--%s", i ? " " : "", options->option[i]->name);
}

/* "service:list) ..." for each command that has something of its own. */
static void put_command(const struct fl_noun *noun, const struct fl_command *command, FILE *out)
{
	struct fl_options options;

	fl_command_options(command, &options);
	if (!options.n && !command->operands_from)
		return;
	fprintf(out, "\t%s:%s)", noun->name, command->verb ? command->verb : "*");
	if (options.n) {
		fputs(" options+=' ", out);
		put_option_words(&options, out);
		fputs("'", out);
	}
	if (command->operands_from)
		fprintf(out, "%s names='%s'", options.n ? " &&" : "", command->operands_from);
	fputs(" ;;\n", out);
}

static void put_verbs(FILE *out)
{
	fputs("\tlocal -A verbs=(", out);
	for (size_t i = 0; fl_nouns[i]; i++) {
		const struct fl_noun *noun = fl_nouns[i];

		if (!noun->commands[0].verb)
			continue;
		fprintf(out, "[%s]='", noun->name);
		for (size_t j = 0; j < noun->n_commands; j++)
			fprintf(out, "%s%s", j ? " " : "", noun->commands[j].verb);
		fputs("' ", out);
	}
	fputs(")\n", out);
}

static void put_noun_names(FILE *out)
{
	const char *between = "";

	for (size_t i = 0; fl_nouns[i]; i++) {
		if (fl_nouns[i]->hidden)
			continue;
		fprintf(out, "%s%s", between, fl_nouns[i]->name);
		between = " ";
	}
}

static void put_columns(FILE *out)
{
	fputs("_fairlead_columns() {\n\tcase $noun:$verb in\n", out);
	for (size_t i = 0; fl_nouns[i]; i++) {
		for (size_t j = 0; j < fl_nouns[i]->n_commands; j++) {
			const struct fl_command *command = &fl_nouns[i]->commands[j];

			if (!command->listing)
				continue;
			fprintf(out, "\t%s:%s) echo '", fl_nouns[i]->name,
				command->verb ? command->verb : "*");
			fl_columns_put(command->listing, out);
			fputs("' ;;\n", out);
		}
	}
	fputs("\tesac\n}\n\n", out);
}

/* Options of both programs may have values that are words. */
static void put_words_function(FILE *out)
{
	fputs("# Words that begin with what was typed. A colon breaks words for bash: what is "
	      "before "
	      "the last one is\n# typed already.\n"
	      "_fairlead_words() {\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
	      "\tif declare -F __ltrim_colon_completions >/dev/null; then\n"
	      "\t\t__ltrim_colon_completions \"$cur\"\n"
	      "\telse\n"
	      "\t\tCOMPREPLY=(\"${COMPREPLY[@]%%:*}\")\n"
	      "\tfi\n"
	      "\treturn 0\n"
	      "}\n\n",
	      out);
}

static void put_names_function(FILE *out)
{
	fputs("# What `fairlead ... -o name` prints, with the socket and directory that stand on "
	      "the "
	      "command line.\n"
	      "_fairlead_names() {\n"
	      "\tlocal i\n"
	      "\tlocal -a where=()\n\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t--socket | --bpffs) where+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i + 1]}\") ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tfairlead \"${where[@]}\" \"$@\" -o name 2>/dev/null\n"
	      "}\n\n",
	      out);
}

/* Where the line stands: the first word that is no option, and the second. */
static void put_place(const struct fl_options *all, FILE *out)
{
	const char *between = "\t\t";

	fputs("\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n", out);
	for (size_t i = 0; i < all->n; i++) {
		if (!all->option[i]->arg || all->option[i]->may_lack_value)
			continue;
		put_name(all->option[i], between, out);
		between = " | ";
	}
	fputs(") ((i++)) ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) if [[ -z $noun ]]; then noun=${COMP_WORDS[i]}; elif [[ -z $verb ]]; then "
	      "verb=${COMP_WORDS[i]}; fi ;;\n"
	      "\t\tesac\n"
	      "\tdone\n",
	      out);
}

static void put_fairlead(const struct fl_program *program, FILE *out)
{
	struct fl_options options, all;

	fl_program_options(program, &options);
	fl_program_all_options(program, &all);
	put_names_function(out);
	put_columns(out);
	fputs("_fairlead() {\n"
	      "\tlocal cur prev noun='' verb='' names='' i\n"
	      "\tlocal options='",
	      out);
	put_option_words(&options, out);
	fputs("'\n", out);
	put_verbs(out);
	fputs("\n\tcur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	      "\tdeclare -F _get_comp_words_by_ref >/dev/null && _get_comp_words_by_ref -n : cur "
	      "prev\n",
	      out);
	put_place(&all, out);
	put_values(program, out);
	fputs("\tcase $noun:$verb in\n", out);
	for (size_t i = 0; fl_nouns[i]; i++) {
		for (size_t j = 0; j < fl_nouns[i]->n_commands; j++)
			put_command(fl_nouns[i], &fl_nouns[i]->commands[j], out);
	}
	fputs("\tesac\n"
	      "\tif [[ $cur == -* ]]; then\n"
	      "\t\t_fairlead_words \"$options\"\n"
	      "\telif [[ -z $noun || ($noun == help && -z $verb) ]]; then\n"
	      "\t\t_fairlead_words '",
	      out);
	put_noun_names(out);
	fputs("'\n"
	      "\telif [[ $noun == help ]]; then\n"
	      "\t\t_fairlead_words \"${verbs[$verb]-}\"\n"
	      "\telif [[ $noun == completion ]]; then\n"
	      "\t\tif [[ -z $verb ]]; then _fairlead_words 'bash zsh fish'; else "
	      "_fairlead_words 'fairlead fairleadd'; fi\n"
	      "\telif [[ -z $verb && -n ${verbs[$noun]-} ]]; then\n"
	      "\t\t_fairlead_words \"${verbs[$noun]}\"\n"
	      "\telif [[ -n $names ]]; then\n"
	      "\t\t# shellcheck disable=SC2086\n"
	      "\t\t_fairlead_words \"$(_fairlead_names $names)\"\n"
	      "\tfi\n"
	      "}\n\n"
	      "complete -F _fairlead fairlead\n",
	      out);
}

static void put_fairleadd(const struct fl_program *program, FILE *out)
{
	struct fl_options options;

	fl_program_options(program, &options);
	fputs("_fairleadd() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n\n",
	      out);
	put_values(program, out);
	fputs("\t_fairlead_words '", out);
	put_option_words(&options, out);
	fputs("'\n}\n\ncomplete -F _fairleadd fairleadd\n", out);
}

void fl_completion_bash(const struct fl_program *program, FILE *out)
{
	fprintf(out,
		"# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n"
		"# Completion of %s for bash, as `fairlead completion bash %s` prints it.\n"
		"# shellcheck shell=bash\n\n",
		program->name, program->name);
	put_words_function(out);
	(program->nouns ? put_fairlead : put_fairleadd)(program, out);
}
