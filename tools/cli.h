/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the CLI share: settings, options, and how a noun describes its commands. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/options.h"

struct fl_listing;
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
#define FL_CLI_FILTERS 8 /* of flows */

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
	bool color;   /* standard output is a terminal and wants colours */
	size_t width; /* of the terminal; 0: standard output is none */
	/* of single commands */
	struct fl_cli_values manifests;
	const char *node, *zone, *cgroup, *namespace, *family, *sort, *forwarding;
	const char *wait; /* NULL not given, "" without a number */
	bool no_node_hints, host_ports, all, now, kube_proxy, dry_run, hand_over;
	const char *filter[FL_CLI_FILTERS]; /* in the order of fl_flow_filter_key() */
	/* what remains of the command line */
	char **operand;
	int n_operands;
	/* reported once per run, however often --watch asks */
	bool fallback_said;
	const char *agent; /* how it was found when it did not answer: "unreachable", "stopped" */
};

enum fl_cli_type {
	FL_CLI_FLAG,	/* bool */
	FL_CLI_STRING,	/* const char *; "" for a value that was left out */
	FL_CLI_STRINGS, /* struct fl_cli_values */
};

struct fl_cli_option {
	struct fl_option option;
	enum fl_cli_type type;
	size_t offset; /* in struct fl_cli */
};

/* Rows of tables, which end with FL_OPTIONS_END. */
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
/* Of every command that lists. */
#define FL_SORT_OPTION                                                                             \
	FL_VALUE(sort, 0, "sort", "COLUMN", "in the order of this column; -COLUMN the other way")
#define FL_FAMILY_OPTION FL_CHOICE(family, 0, "family", "FAMILY", "of this family", fl_family_words)

struct fl_command {
	const char *verb; /* NULL: the noun alone */
	/* For help and completion, "" none. A name in capital letters followed by "..." may be
	 * repeated. */
	const char *operands;
	int min_operands, max_operands;
	const char *help;
	const struct fl_cli_option *options; /* may be NULL */
	enum fl_exit (*run)(struct fl_cli *cli);
	const struct fl_listing *listing; /* whose columns --sort knows; may be NULL */
	/* The command line that prints what may be an operand ("service list"), for completion. */
	const char *operands_from;
};

struct fl_noun {
	const char *name;
	const char *help;
	const struct fl_command *commands;
	size_t n_commands;
	bool hidden; /* from help and completion */
};

/* The nouns, in the order of help; and the options of every command. NULL-terminated. */
extern const struct fl_noun *const fl_nouns[];
extern const struct fl_cli_option fl_common_options[];

extern const struct fl_noun fl_noun_status, fl_noun_service, fl_noun_backend, fl_noun_flow,
	fl_noun_maglev, fl_noun_metrics, fl_noun_plan, fl_noun_reload, fl_noun_cleanup,
	fl_noun_completion, fl_noun_manual, fl_noun_version, fl_noun_help;

/* A message on standard error, with "fairlead: " before and a newline behind. Control characters
 * are escaped. */
void fl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Returns FL_EXIT_FAILED. */
enum fl_exit fl_say_no_memory(void);
/* Whether standard output has taken everything; else the error is reported. */
enum fl_exit fl_written(void);
/* Report what is wrong with the command line; returns FL_EXIT_USAGE. */
enum fl_exit fl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Help on standard output: of the program, of a noun, of a command (NULL: of all of the noun's). */
void fl_help_program(void);
void fl_help_noun(const struct fl_noun *noun, const struct fl_command *command);
/* "service get NAME..." */
#define FL_COMMAND_STRLEN 96
const char *fl_command_format(const struct fl_noun *noun, const struct fl_command *command,
			      bool operands, char buf[static FL_COMMAND_STRLEN]);

const struct fl_noun *fl_noun_find(const char *name);
/* The command of that verb, or the one of a noun without verbs; or NULL. */
const struct fl_command *fl_command_find(const struct fl_noun *noun, const char *verb);
/* There is no such noun, or verb (NULL: none was given); returns FL_EXIT_USAGE. */
enum fl_exit fl_usage_noun(const char *name);
enum fl_exit fl_usage_verb(const struct fl_noun *noun, const char *verb);
