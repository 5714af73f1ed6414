/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading command lines by tables of options, and the messages about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/options.h"
#include "lb/base/suggest.h"

static const struct fl_word colours[] = {{"red", 1}, {"green", 2}, {NULL, 0}};

static const struct fl_option table[] = {
	{.name = "verbose", .letter = 'v', .help = "say more"},
	{.name = "output", .letter = 'o', .arg = "FORMAT", .help = "how"},
	{.name = "colour", .arg = "COLOUR", .help = "which", .words = colours},
	{.name = "colours",
	 .arg = "COLOUR,..",
	 .help = "which ones",
	 .words = colours,
	 .several = true},
	{.name = "wait", .letter = 'W', .arg = "S", .help = "wait", .may_lack_value = true},
};

static int take(const struct fl_option *option, const char *value, void *arg, struct fl_err *err)
{
	char *text = arg;

	strcat(strcat(strcat(text, option->name), "="), value ? value : "-");
	strcat(text, " ");
	return value && !strcmp(value, "refused") ? fl_err_set(err, -ERANGE, "not that") : 0;
}

/* "name=value ... | operands" */
static int read_line(const char *line, enum fl_operands operands, char *text, struct fl_err *err)
{
	char *copy = strdup(line), *argv[20] = {(char *)"program"}, *save = NULL;
	struct fl_options options = {0};
	int argc = 1, next, rc;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		fl_options_add(&options, &table[i]);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	*text = '\0';
	rc = fl_options_read(&options, operands, argc, argv, take, text, &next, err);
	strcat(text, "|");
	for (int i = next; !rc && i < argc; i++)
		strcat(strcat(text, " "), argv[i]);
	free(copy);
	return rc;
}

static void test_options_and_operands(void **state)
{
	static const struct {
		const char *line;
		enum fl_operands operands;
		const char *text;
	} rows[] = {
		{"", FL_OPERANDS_ANYWHERE, "|"},
		{"-v --output x --output=y -oz", FL_OPERANDS_ANYWHERE,
		 "verbose=- output=x output=y output=z |"},
		{"-vo x", FL_OPERANDS_ANYWHERE, "verbose=- output=x |"},
		{"a -v b", FL_OPERANDS_ANYWHERE, "verbose=- | a b"},
		{"-v a -v", FL_OPERANDS_END, "verbose=- | a -v"},
		{"-v -- -v", FL_OPERANDS_ANYWHERE, "verbose=- | -v"},
		{"--wait a", FL_OPERANDS_ANYWHERE, "wait=- | a"},
		{"--wait=5 -W6 -W", FL_OPERANDS_ANYWHERE, "wait=5 wait=6 wait=- |"},
		{"--colour RED", FL_OPERANDS_ANYWHERE, "colour=RED |"},
		{"--colours red,green", FL_OPERANDS_ANYWHERE, "colours=red,green |"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[200];

		assert_int_equal(read_line(rows[i].line, rows[i].operands, text, NULL), 0);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_words_about_wrong_lines(void **state)
{
	static const struct {
		const char *line;
		int rc;
		const char *text;
	} rows[] = {
		{"--outptu x", -EINVAL,
		 "there is no option --outptu here (did you mean --output?)"},
		{"--outptu=x", -EINVAL,
		 "there is no option --outptu here (did you mean --output?)"},
		{"--frobnicate", -EINVAL, "there is no option --frobnicate here"},
		{"-x", -EINVAL, "there is no option -x here"},
		{"-vx", -EINVAL, "there is no option -x here"},
		{"--output", -EINVAL, "option --output needs a value"},
		{"-o", -EINVAL, "option --output needs a value"},
		{"--verbose=yes", -EINVAL, "option --verbose takes no value"},
		{"--colour blue", -EINVAL, "option --colour: \"blue\" is not red or green"},
		{"--colour gren", -EINVAL,
		 "option --colour: \"gren\" is not red or green (did you mean green?)"},
		{"--colour red,green", -EINVAL,
		 "option --colour: \"red,green\" is not red or green"},
		{"--colours red,", -EINVAL, "option --colours: \"\" is not red or green"},
		{"--output refused --frobnicate", -ERANGE, "not that"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_err err = {""};
		char text[200];

		assert_int_equal(read_line(rows[i].line, FL_OPERANDS_ANYWHERE, text, &err),
				 rows[i].rc);
		assert_string_equal(err.text, rows[i].text);
	}
}

static void test_help_lines(void **state)
{
	static const char *const lines[] = {
		"  -v, --verbose                    say more\n",
		"  -o, --output FORMAT              how\n",
		"      --colour COLOUR              which (red or green)\n",
		"      --colours COLOUR,..          which ones (red or green)\n",
		"  -W, --wait[=S]                   wait\n",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		fl_option_help(&table[i], out);
		fclose(out);
		assert_string_equal(text, lines[i]);
		free(text);
	}
}

/* Both programs say it in this form, with this exit code. */
static void test_the_form_of_a_usage_error(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO), code;
	char text[200] = "";

	assert_int_equal(pipe(fds), 0);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	code = fl_usage_say("fairleadd", "there is no \"%s\"", "\x1b[2J");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(saved);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(code, 2);
	assert_string_equal(text, "fairleadd: there is no \"\\x1b[2J\"; see fairleadd --help\n");
}

static void test_suggestions(void **state)
{
	static const char *const words[] = {"status", "service", "backend", "flow",
					    "maglev", "plan",	 "reload",  "version"};
	static const struct {
		const char *typed, *best;
	} rows[] = {
		{"servce", "service"},	 /* one missing */
		{"services", "service"}, /* one too many */
		{"sevrice", "service"},	 /* two swapped */
		{"Service", "service"},
		{"stat", "status"},
		{"backned", "backend"},
		{"fow", "flow"},
		{"flwo", "flow"},
		{"f", "flow"},
		{"plna", "plan"},
		{"load", "reload"},
		{"wolf", NULL},
		{"", NULL},
		{"x", NULL},
		{"a-word-that-is-far-longer-than-any-that-we-know-of", NULL},
	};
	char buf[FL_SUGGESTION_STRLEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_suggestion suggestion = {.typed = rows[i].typed};

		for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++)
			fl_suggestion_offer(&suggestion, words[j]);
		if (!rows[i].best) {
			assert_null(suggestion.best);
			assert_string_equal(fl_suggestion_format(&suggestion, "--", buf), "");
			continue;
		}
		if (!suggestion.best || strcmp(suggestion.best, rows[i].best))
			fail_msg("%s: %s", rows[i].typed, suggestion.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_and_operands),
		cmocka_unit_test(test_words_about_wrong_lines),
		cmocka_unit_test(test_help_lines),
		cmocka_unit_test(test_the_form_of_a_usage_error),
		cmocka_unit_test(test_suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
