/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the CLI share: settings, options, and how a noun describes its commands. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/options.h"

struct fl_output;

enum fl_exit {
	FL_EXIT_OK,
	FL_EXIT_FAILED, /* or unhealthy */
	FL_EXIT_USAGE = FL_EXIT_CODE_USAGE,
	FL_EXIT_NOT_FOUND,
	FL_EXIT_UNREACHABLE, /* no agent, and no pinned maps either */
	FL_EXIT_DRIFT,
};

#define FL_CLI_MAX_VALUES 64

/* An option that may be given several times. Strings are borrowed from argv. */
struct fl_cli_values {
	const char *value[FL_CLI_MAX_VALUES];
	size_t n;
};

struct fl_cli {
	/* for every command */
	const char *socket, *bpffs;
	const char *output_name;
	const struct fl_output *output;
	bool no_headers, watch, help, version;
	bool color; /* standard output is a terminal and wants colours */
	/* of single commands */
	struct fl_cli_values manifests;
	const char *node, *zone, *cgroup, *namespace;
	bool no_node_hints, all;
	const char *filter[8]; /* in the order of fl_flow_filter_key() */
	/* what remains of the command line */
	char **operand;
	int n_operands;
	/* said once per run, however often --watch asks */
	bool fallback_said;
};

enum fl_cli_type {
	FL_CLI_FLAG,	/* bool */
	FL_CLI_STRING,	/* const char * */
	FL_CLI_STRINGS, /* struct fl_cli_values */
};

struct fl_cli_option {
	struct fl_option option;
	enum fl_cli_type type;
	size_t offset; /* in struct fl_cli */
};

/* Rows of tables, which end with a NULL name. */
#define FL_FLAG(field, letter, name, help)                                                         \
	{                                                                                          \
		{name, NULL, help, NULL, letter, false, false}, FL_CLI_FLAG,                       \
			offsetof(struct fl_cli, field)                                             \
	}
#define FL_VALUE(field, letter, name, arg, help)                                                   \
	{                                                                                          \
		{name, arg, help, NULL, letter, false, false}, FL_CLI_STRING,                      \
			offsetof(struct fl_cli, field)                                             \
	}
#define FL_CHOICE(field, letter, name, arg, help, words)                                           \
	{                                                                                          \
		{name, arg, help, words, letter, false, false}, FL_CLI_STRING,                     \
			offsetof(struct fl_cli, field)                                             \
	}

#define FL_OPTIONS_END                                                                             \
	{                                                                                          \
		{.name = NULL}, FL_CLI_FLAG, 0                                                     \
	}

struct fl_command {
	const char *verb;     /* NULL: the noun alone */
	const char *operands; /* for help, "" none */
	int min_operands, max_operands;
	const char *help;
	const struct fl_cli_option *options; /* may be NULL */
	enum fl_exit (*run)(struct fl_cli *cli);
};

struct fl_noun {
	const char *name;
	const char *help;
	const struct fl_command *commands;
	size_t n_commands;
};

/* The nouns, in the order of help; and the options of every command. NULL-terminated. */
extern const struct fl_noun *const fl_nouns[];
extern const struct fl_cli_option fl_common_options[];

extern const struct fl_noun fl_noun_status, fl_noun_service, fl_noun_backend, fl_noun_flow,
	fl_noun_maglev, fl_noun_plan, fl_noun_cleanup, fl_noun_version, fl_noun_help;

/* Words on standard error, with "fairlead: " before and a newline behind. Control characters are
 * escaped. */
void fl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Whether standard output has taken all; says what is wrong with it. */
enum fl_exit fl_written(void);
/* What is wrong with the command line; returns FL_EXIT_USAGE. */
enum fl_exit fl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Help on standard output: of the program, of a noun, of a command (NULL: of all of the noun's). */
void fl_help_program(void);
void fl_help_noun(const struct fl_noun *noun, const struct fl_command *command);
const struct fl_noun *fl_noun_find(const char *name);
/* There is no such noun; returns FL_EXIT_USAGE. */
enum fl_exit fl_usage_noun(const char *name);

/* Cut "NS/NAME" or "NS/NAME:PORT" ("#ID" where names are not known) in place. 0 or FL_EXIT_USAGE.
 */
struct fl_ref {
	const char *ns, *name, *port; /* port NULL when absent */
};
enum fl_exit fl_ref_parse(char *text, bool with_port, struct fl_ref *ret_ref);
