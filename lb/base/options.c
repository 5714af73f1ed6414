/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tables of options as getopt_long() wants them, and words about those that are wrong. */
#include "lb/base/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "lb/base/log.h"
#include "lb/base/suggest.h"

#define FIRST_LONG 256 /* getopt's code of option 0; below are letters */
#define HELP_COLUMN 32

struct getopt_tables {
	struct option longs[FL_OPTIONS_MAX + 1];
	char shorts[2 + 3 * FL_OPTIONS_MAX + 1];
};

void fl_options_add(struct fl_options *options, const struct fl_option *option)
{
	assert(options->n < FL_OPTIONS_MAX);
	options->option[options->n++] = option;
}

static void make_tables(const struct fl_options *options, enum fl_operands operands,
			struct getopt_tables *tables)
{
	/* ':': tells a missing value from an unknown option */
	char *letter = stpcpy(tables->shorts, operands == FL_OPERANDS_END ? "+:" : ":");

	memset(tables->longs, 0, sizeof(tables->longs));
	for (size_t i = 0; i < options->n; i++) {
		const struct fl_option *option = options->option[i];
		int has_arg = !option->arg	       ? no_argument
			      : option->may_lack_value ? optional_argument
						       : required_argument;

		tables->longs[i] = (struct option){
			.name = option->name, .has_arg = has_arg, .val = FIRST_LONG + (int)i};
		if (!option->letter)
			continue;
		*letter++ = option->letter;
		for (int colons = has_arg; colons; colons--)
			*letter++ = ':';
	}
	*letter = '\0';
}

static const struct fl_option *find(const struct fl_options *options, int code)
{
	if (code >= FIRST_LONG)
		return options->option[code - FIRST_LONG];
	for (size_t i = 0; i < options->n; i++) {
		if (options->option[i]->letter == code)
			return options->option[i];
	}
	return NULL;
}

/* `word`: as it stands on the command line; `code`: getopt's optopt. */
static int unknown(const struct fl_options *options, const char *word, int code, struct fl_err *err)
{
	char buf[FL_SUGGESTION_STRLEN], name[64];
	struct fl_suggestion suggestion = {.typed = name};

	if (code >= FIRST_LONG) /* known, but it was given a value */
		return fl_err_set(err, -EINVAL, "option --%s takes no value",
				  options->option[code - FIRST_LONG]->name);
	if (code)
		return fl_err_set(err, -EINVAL, "there is no option -%c here", code);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (size_t i = 0; i < options->n; i++)
		fl_suggestion_offer(&suggestion, options->option[i]->name);
	return fl_err_set(err, -EINVAL, "there is no option --%s here%s", name,
			  fl_suggestion_format(&suggestion, "--", buf));
}

/* Check one word, which ends at a comma if there may be several. */
static int check_word(const struct fl_option *option, const char *value, size_t len,
		      struct fl_err *err)
{
	char buf[FL_SUGGESTION_STRLEN], words[120], word[80];
	struct fl_suggestion suggestion = {.typed = word};
	int number;

	snprintf(word, sizeof(word), "%.*s", (int)len, value);
	if (fl_word_value_typed(option->words, word, &number))
		return 0;
	for (const struct fl_word *w = option->words; w->word; w++)
		fl_suggestion_offer(&suggestion, w->word);
	return fl_err_set(err, -EINVAL, "option --%s: \"%s\" is not %s%s", option->name, word,
			  fl_words_format(option->words, words, sizeof(words)),
			  fl_suggestion_format(&suggestion, "", buf));
}

static int check_words(const struct fl_option *option, const char *value, struct fl_err *err)
{
	if (!option->words || !value)
		return 0;
	for (;;) {
		size_t len = option->several ? strcspn(value, ",") : strlen(value);
		int rc = check_word(option, value, len, err);

		if (rc || !value[len])
			return rc;
		value += len + 1;
	}
}

int fl_options_read(const struct fl_options *options, enum fl_operands operands, int argc,
		    char **argv, fl_option_fn fn, void *arg, int *ret_next, struct fl_err *err)
{
	struct getopt_tables tables;
	int code, rc;

	make_tables(options, operands, &tables);
	opterr = 0;
	optind = 0; /* GNU: start over */
	while ((code = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
		const struct fl_option *option;

		if (code == '?')
			return unknown(options, argv[optind - 1], optopt, err);
		option = find(options, code == ':' ? optopt : code);
		if (code == ':')
			return fl_err_set(err, -EINVAL, "option --%s needs a value", option->name);
		rc = check_words(option, optarg, err);
		if (!rc)
			rc = fn(option, optarg, arg, err);
		if (rc)
			return rc;
	}
	*ret_next = optind;
	return 0;
}

const char *fl_option_format(const struct fl_option *option, char buf[static FL_OPTION_STRLEN])
{
	const char *before = !option->arg ? "" : option->may_lack_value ? "[=" : " ";
	const char *after = option->arg && option->may_lack_value ? "]" : "";

	snprintf(buf, FL_OPTION_STRLEN, "%c%c%c --%s%s%s%s", option->letter ? '-' : ' ',
		 option->letter ? option->letter : ' ', option->letter ? ',' : ' ', option->name,
		 before, option->arg ? option->arg : "", after);
	return buf;
}

void fl_option_help(const struct fl_option *option, FILE *out)
{
	char left[FL_OPTION_STRLEN], words[120];

	fprintf(out, "  %-*s %s", HELP_COLUMN, fl_option_format(option, left), option->help);
	if (option->words)
		fprintf(out, " (%s)", fl_words_format(option->words, words, sizeof(words)));
	putc('\n', out);
}

int fl_usage_say(const char *program, const char *fmt, ...)
{
	char text[FL_LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fl_log_plain("%s: %s; see %s --help", program, text, program);
	return FL_EXIT_CODE_USAGE;
}
