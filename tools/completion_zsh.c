/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Completion for zsh: specifications for _arguments, chosen by noun and verb. */
#include <string.h>

#include "tools/completion.h"
#include "tools/output.h"
#include "tools/program.h"

/* Text inside '...' and inside [...] of a specification. */
static void put_quoted(const char *text, const char *escape, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr(escape, *text))
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

/* ":VALUE:ACTION" of an option with a value. */
static void put_value(const struct fl_option *option, const struct fl_listing *listing, FILE *out)
{
	fputs(option->may_lack_value ? "::" : ":", out);
	put_quoted(option->arg, ":[]", out);
	putc(':', out);
	switch (fl_option_kind(option)) {
	case FL_KIND_WORD:
		if (option->several)
			fputs("_sequence compadd - ", out);
		else
			putc('(', out);
		for (const struct fl_word *w = option->words; w->word; w++)
			fprintf(out, "%s%s", w == option->words ? "" : " ", w->word);
		if (!option->several)
			putc(')', out);
		break;
	case FL_KIND_FILE:
		fputs("_files", out);
		break;
	case FL_KIND_DIRECTORY:
		fputs("_files -/", out);
		break;
	case FL_KIND_SERVICE:
		fputs("_fairlead_names service list", out);
		break;
	case FL_KIND_COLUMN:
		putc('(', out);
		if (listing)
			fl_columns_put(listing, out);
		putc(')', out);
		break;
	case FL_KIND_ANYTHING:
		break;
	}
}

static void put_spec(const struct fl_option *option, const struct fl_listing *listing,
		     const char *indent, FILE *out)
{
	const char *glue = !option->arg ? "" : option->may_lack_value ? "=-" : "=";

	if (option->letter) {
		fprintf(out, "%s'(-%c --%s)'{-%c%s,--%s%s}'[", indent, option->letter, option->name,
			option->letter, option->arg ? "+" : "", option->name, glue);
	} else {
		fprintf(out, "%s'--%s%s[", indent, option->name, glue);
	}
	put_quoted(option->help, "[]:", out);
	putc(']', out);
	if (option->arg)
		put_value(option, listing, out);
	fputs("'\n", out);
}

static void put_specs(const struct fl_options *options, const struct fl_listing *listing,
		      const char *indent, FILE *out)
{
	for (size_t i = 0; i < options->n; i++)
		put_spec(options->option[i], listing, indent, out);
}

static void put_described(const char *word, const char *help, const char *indent, FILE *out)
{
	fprintf(out, "%s'%s:", indent, word);
	put_quoted(help, "", out);
	fputs("'\n", out);
}

static void put_command(const struct fl_noun *noun, const struct fl_command *command, FILE *out)
{
	struct fl_options options;

	fl_command_options(command, &options);
	fprintf(out, "\t%s:%s) specs+=(\n", noun->name, command->verb ? command->verb : "*");
	put_specs(&options, command->listing, "\t\t", out);
	if (command->operands_from)
		fprintf(out, "\t\t'*:name:_fairlead_names %s'\n", command->operands_from);
	fputs("\t) ;;\n", out);
}

static void put_verbs(const struct fl_noun *noun, FILE *out)
{
	if (!noun->commands[0].verb)
		return;
	fprintf(out, "\t%s) verbs=(\n", noun->name);
	for (size_t i = 0; i < noun->n_commands; i++)
		put_described(noun->commands[i].verb, noun->commands[i].help, "\t\t", out);
	fputs("\t) ;;\n", out);
}

/* A pattern of options whose value is the next word. */
static void put_pattern(const struct fl_options *all, FILE *out)
{
	const char *between = "";

	for (size_t i = 0; i < all->n; i++) {
		const struct fl_option *option = all->option[i];

		if (!option->arg || option->may_lack_value)
			continue;
		if (option->letter)
			fprintf(out, "%s-%c", between, option->letter);
		fprintf(out, "%s--%s", option->letter ? "|" : between, option->name);
		between = "|";
	}
}

static void put_fairlead(const struct fl_program *program, FILE *out)
{
	struct fl_options options, all;

	fl_program_options(program, &options);
	fl_program_all_options(program, &all);
	fputs("# What `fairlead ... -o name` prints, with the socket and directory that stand on "
	      "the "
	      "command line.\n"
	      "_fairlead_names() {\n"
	      "\tlocal -a where names\n"
	      "\tlocal i\n"
	      "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	      "\t\tcase $words[i] in\n"
	      "\t\t--socket|--bpffs) where+=($words[i] $words[i+1]) ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tnames=(${(f)\"$(fairlead $where $argv -o name 2>/dev/null)\"})\n"
	      "\tcompadd -a names\n"
	      "}\n\n"
	      "_fairlead() {\n"
	      "\tlocal -a nouns verbs place specs\n"
	      "\tlocal i at\n"
	      "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	      "\t\tcase $words[i] in\n\t\t",
	      out);
	put_pattern(&all, out);
	fputs(") ((i++)) ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) place+=($words[i]) ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tnouns=(\n",
	      out);
	for (size_t i = 0; fl_nouns[i]; i++) {
		if (!fl_nouns[i]->hidden)
			put_described(fl_nouns[i]->name,
				      fl_nouns[i]->commands[0].verb ? fl_nouns[i]->help
								    : fl_nouns[i]->commands[0].help,
				      "\t\t", out);
	}
	fputs("\t)\n"
	      "\tat=$place[1]\n"
	      "\t[[ $at == help && $#place == 2 ]] && at=$place[2]\n"
	      "\tcase $at in\n"
	      "\thelp) verbs=($nouns) ;;\n"
	      "\tcompletion) (($#place > 1)) && verbs=(fairlead fairleadd) || verbs=(bash zsh "
	      "fish) "
	      ";;\n",
	      out);
	for (size_t i = 0; fl_nouns[i]; i++)
		put_verbs(fl_nouns[i], out);
	fputs("\tesac\n\tspecs=(\n", out);
	put_specs(&options, NULL, "\t\t", out);
	fputs("\t)\n\tcase $place[1]:$place[2] in\n", out);
	for (size_t i = 0; fl_nouns[i]; i++) {
		for (size_t j = 0; !fl_nouns[i]->hidden && j < fl_nouns[i]->n_commands; j++)
			put_command(fl_nouns[i], &fl_nouns[i]->commands[j], out);
	}
	fputs("\tesac\n"
	      "\tif (($#place == 0)); then\n"
	      "\t\tspecs+=('1:command:{_describe command nouns}')\n"
	      "\telif (($#verbs)) && [[ $#place == 1 || ($#place == 2 && $place[1] == "
	      "(help|completion)) ]]; then\n"
	      "\t\tspecs+=('*:verb:{_describe verb verbs}')\n"
	      "\telse\n"
	      "\t\tspecs=('1: :' $specs)\n"
	      "\tfi\n"
	      "\t_arguments -s $specs\n"
	      "}\n\n"
	      "_fairlead \"$@\"\n",
	      out);
}

static void put_fairleadd(const struct fl_program *program, FILE *out)
{
	struct fl_options options;

	fl_program_options(program, &options);
	fputs("local -a specs=(\n", out);
	put_specs(&options, NULL, "\t", out);
	fputs(")\n_arguments -s $specs\n", out);
}

void fl_completion_zsh(const struct fl_program *program, FILE *out)
{
	fprintf(out,
		"#compdef %s\n"
		"# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n"
		"# Completion of %s for zsh, as `fairlead completion zsh %s` prints it.\n\n",
		program->name, program->name, program->name);
	(program->nouns ? put_fairlead : put_fairleadd)(program, out);
}
