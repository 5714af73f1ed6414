/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Command lines as tables of options: reading them, and help made from them, so that both programs
 * take options alike and speak alike about a wrong one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lb/base/err.h"
#include "lb/base/words.h"

struct fl_option {
	const char *name;	     /* "output": --output */
	const char *arg;	     /* what help calls its value; NULL: a flag, which takes none */
	const char *help;	     /* a phrase without a full stop */
	const struct fl_word *words; /* all that the value may be; NULL: anything */
	char letter;		     /* -o; 0 none */
	bool several;		     /* of the words, separated by commas */
	bool may_lack_value;	     /* --wait or --wait=10 */
};

/* The options that may stand at one place. Zero-initialise. */
#define FL_OPTIONS_MAX 64
struct fl_options {
	const struct fl_option *option[FL_OPTIONS_MAX];
	size_t n;
};

void fl_options_add(struct fl_options *options, const struct fl_option *option);

enum fl_operands {
	FL_OPERANDS_END,      /* the first word that is no option ends reading */
	FL_OPERANDS_ANYWHERE, /* options may follow; argv is sorted so that operands come last */
};

/* One that was read; `value` is NULL for a flag. 0, or -errno with words. */
typedef int (*fl_option_fn)(const struct fl_option *option, const char *value, void *arg,
			    struct fl_err *err);

/*
 * Read the options of argv[1..] and give each to `fn`. Operands begin at *ret_next. -EINVAL with
 * words for an option that does not exist, lacks its value, or has one that it cannot have; or what
 * `fn` returned. Not re-entrant (getopt).
 */
int fl_options_read(const struct fl_options *options, enum fl_operands operands, int argc,
		    char **argv, fl_option_fn fn, void *arg, int *ret_next, struct fl_err *err);

/* "-o, --output FORMAT", with room for a letter where there is none. */
#define FL_OPTION_STRLEN 64
const char *fl_option_format(const struct fl_option *option, char buf[static FL_OPTION_STRLEN]);
/* A line of help: the option, and what it does; with the words its value may be. */
void fl_option_help(const struct fl_option *option, FILE *out);

/*
 * Say on standard error what is wrong with the command line, and where help is: "PROGRAM: TEXT; see
 * PROGRAM --help". Returns the exit code for it, 2.
 */
#define FL_EXIT_CODE_USAGE 2
int fl_usage_say(const char *program, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
