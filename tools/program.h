/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command lines of both programs, as completions and manual pages are made from them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lb/base/options.h"
#include "tools/cli.h"

struct fl_program {
	const char *name;
	bool nouns; /* fairlead's; else it has options only */
};

/* "fairlead" or "fairleadd"; or NULL. */
const struct fl_program *fl_program_find(const char *name);
/* The options of every command. */
void fl_program_options(const struct fl_program *program, struct fl_options *ret_options);
/* The options of a command alone. */
void fl_command_options(const struct fl_command *command, struct fl_options *ret_options);
/* All options of all commands, each name once. */
void fl_program_all_options(const struct fl_program *program, struct fl_options *ret_options);

/* What the value of an option may be, as far as a shell can help. */
enum fl_value_kind {
	FL_KIND_WORD, /* one of option->words, or of a list of them */
	FL_KIND_FILE,
	FL_KIND_DIRECTORY,
	FL_KIND_SERVICE, /* a name that `fairlead service list -o name` prints */
	FL_KIND_COLUMN,	 /* a column of the command's listing */
	FL_KIND_ANYTHING,
};
enum fl_value_kind fl_option_kind(const struct fl_option *option);

/* The columns of a listing as --sort takes them, "source-ranges", between blanks. */
void fl_columns_put(const struct fl_listing *listing, FILE *out);
