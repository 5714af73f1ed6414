/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of both programs behind one interface. */
#include "tools/program.h"

#include <ctype.h>
#include <string.h>

#include "lb/settings/options.h"
#include "tools/output.h"

static const struct fl_program programs[] = {{"fairlead", true}, {"fairleadd", false}};

const struct fl_program *fl_program_find(const char *name)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (!strcmp(programs[i].name, name))
			return &programs[i];
	}
	return NULL;
}

static void add_rows(struct fl_options *options, const struct fl_cli_option *rows)
{
	for (; rows && rows->option.name; rows++)
		fl_options_add(options, &rows->option);
}

void fl_program_options(const struct fl_program *program, struct fl_options *ret_options)
{
	*ret_options = (struct fl_options){0};
	if (program->nouns)
		add_rows(ret_options, fl_common_options);
	else
		fl_settings_options(ret_options);
}

void fl_command_options(const struct fl_command *command, struct fl_options *ret_options)
{
	*ret_options = (struct fl_options){0};
	add_rows(ret_options, command->options);
}

static bool has(const struct fl_options *options, const char *name)
{
	for (size_t i = 0; i < options->n; i++) {
		if (!strcmp(options->option[i]->name, name))
			return true;
	}
	return false;
}

void fl_program_all_options(const struct fl_program *program, struct fl_options *ret_options)
{
	fl_program_options(program, ret_options);
	for (size_t i = 0; program->nouns && fl_nouns[i]; i++) {
		for (size_t j = 0; j < fl_nouns[i]->n_commands; j++) {
			const struct fl_cli_option *row = fl_nouns[i]->commands[j].options;

			for (; row && row->option.name; row++) {
				if (!has(ret_options, row->option.name))
					fl_options_add(ret_options, &row->option);
			}
		}
	}
}

enum fl_value_kind fl_option_kind(const struct fl_option *option)
{
	static const struct {
		const char *arg;
		enum fl_value_kind kind;
	} kinds[] = {
		{"PATH", FL_KIND_FILE},	    {"FILE", FL_KIND_FILE},
		{"DIR", FL_KIND_DIRECTORY}, {"NS/NAME[:PORT]", FL_KIND_SERVICE},
		{"COLUMN", FL_KIND_COLUMN},
	};

	if (option->words)
		return FL_KIND_WORD;
	for (size_t i = 0; option->arg && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(kinds[i].arg, option->arg))
			return kinds[i].kind;
	}
	return FL_KIND_ANYTHING;
}

/* Whether an earlier column has the title: one for the narrow format, one for the wide. */
static bool is_repeated(const struct fl_listing *listing, size_t column)
{
	for (size_t i = 0; i < column; i++) {
		if (!strcmp(listing->columns[i].title, listing->columns[column].title))
			return true;
	}
	return false;
}

void fl_columns_put(const struct fl_listing *listing, FILE *out)
{
	for (size_t i = 0; i < listing->n_columns; i++) {
		if (is_repeated(listing, i))
			continue;
		if (i)
			putc(' ', out);
		for (const char *c = listing->columns[i].title; *c; c++)
			putc(*c == ' ' ? '-' : tolower((unsigned char)*c), out);
	}
}
