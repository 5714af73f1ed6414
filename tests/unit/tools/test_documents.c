/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Documents that must not lag behind the program: docs/cli.md and the manual pages have every
 * command and option that help has, docs/api.md every member of the documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

#include "tests/golden/golden.h"

static char bin[PATH_MAX];

static int setup(void **state)
{
	ssize_t len = readlink("/proc/self/exe", bin, sizeof(bin) - 1);
	char *at;

	assert_true(len > 0);
	bin[len] = '\0';
	at = strstr(bin, "/tests/unit/");
	assert_non_null(at);
	*at = '\0';
	return 0;
}

/* What a command prints; the caller frees it. */
static char *output(const char *command)
{
	char line[2 * PATH_MAX], *text = calloc(1, 1 << 16);
	FILE *out;

	snprintf(line, sizeof(line), "%s/%s", bin, command);
	out = popen(line, "r");
	assert_non_null(out);
	assert_true(fread(text, 1, (1 << 16) - 1, out) > 0);
	assert_int_equal(pclose(out), 0);
	return text;
}

/* A manual page as it reads, without its requests for fonts. */
static char *page(const char *name)
{
	char path[2 * PATH_MAX], *text;

	snprintf(path, sizeof(path), "%s/man/%s", bin, name);
	text = golden_read(path);
	if (!text)
		fail_msg("no %s", path);
	text = golden_replace(text, "\\-", "-");
	return golden_replace(text, "\\fB", "");
}

static int missing(const char *where, const char *text, const char *what)
{
	if (strstr(text, what))
		return 0;
	fprintf(stderr, "%s has no %s\n", where, what);
	return 1;
}

/* Each "--name" of a help text must be in all of `texts`. */
static int check_options(const char *help, const char *const *names, char *const *texts)
{
	int failed = 0;

	for (const char *p = strstr(help, " --"); p; p = strstr(p + 1, " --")) {
		char option[64];
		size_t len = strspn(p + 3, "abcdefghijklmnopqrstuvwxyz-");

		if (!len)
			continue;
		snprintf(option, sizeof(option), "--%.*s", (int)len, p + 3);
		for (size_t i = 0; names[i]; i++)
			failed += missing(names[i], texts[i], option);
	}
	return failed;
}

static void test_every_command_and_option_is_documented(void **state)
{
	static const char *const names[] = {"docs/cli.md", "fairlead(1)", NULL};
	char *texts[] = {golden_read("docs/cli.md"), page("fairlead.1"), NULL};
	char *help = output("fairlead help"), *line, *save = NULL;
	int failed = 0, commands = 0;

	assert_non_null(texts[0]);
	line = strstr(help, "Commands:\n") + 10;
	for (line = strtok_r(line, "\n", &save); line && *line == ' ';
	     line = strtok_r(NULL, "\n", &save)) {
		char name[64], heading[80], ask[100], *verb_help;

		/* the words in small letters at its beginning */
		snprintf(name, sizeof(name), "%.*s",
			 (int)strspn(line + 2, "abcdefghijklmnopqrstuvwxyz "), line + 2);
		for (size_t len = strlen(name); len && name[len - 1] == ' ';)
			name[--len] = '\0';
		if (strstr(name, "  "))
			*strstr(name, "  ") = '\0';
		snprintf(heading, sizeof(heading), "\n### fairlead %s", name);
		failed += missing(names[0], texts[0], heading);
		failed += missing(names[1], texts[1], name);
		snprintf(ask, sizeof(ask), "fairlead %s --help", name);
		/* of what takes words, the first is a value */
		*strchrnul(ask, '|') = '\0';
		if (!strncmp(name, "completion", 10))
			strcpy(ask, "fairlead help completion");
		verb_help = output(ask);
		failed += check_options(verb_help, names, texts);
		free(verb_help);
		commands++;
	}
	assert_true(commands >= 15);
	assert_int_equal(failed, 0);
	free(help);
	free(texts[0]);
	free(texts[1]);
}

static void test_every_option_of_the_agent_is_in_its_manual(void **state)
{
	static const char *const names[] = {"fairleadd(8)", NULL};
	char *texts[] = {page("fairleadd.8"), NULL}, *help = output("fairleadd --help");

	assert_int_equal(check_options(help, names, texts), 0);
	free(help);
	free(texts[0]);
}

/* Keys of JSON, which stand at the beginning of a line. */
static int check_members(const char *file, const char *json, const char *doc)
{
	int failed = 0;

	for (const char *p = strchr(json, '"'); p; p = strchr(p + 1, '"')) {
		char member[80];
		size_t len = strcspn(p + 1, "\"");
		const char *line = p;

		while (line > json && line[-1] == ' ')
			line--;
		if (strncmp(p + 1 + len, "\": ", 3) || (line > json && line[-1] != '\n'))
			continue;
		snprintf(member, sizeof(member), "`%.*s`", (int)len, p + 1);
		if (!strstr(doc, member)) {
			fprintf(stderr, "docs/api.md has no %s, which %s has\n", member, file);
			failed++;
		}
	}
	return failed;
}

static void test_every_member_of_a_document_is_documented(void **state)
{
	static const char *const more[] = {
		"tests/golden/cli/plan-json.txt",
		"tests/golden/cli/version-json.txt",
		"tests/golden/input/answers/unhealthy.json",
	};
	char *doc = golden_read("docs/api.md"), *json;
	struct dirent *entry;
	DIR *dir = opendir("tests/golden/api");
	int failed = 0, files = 0;

	assert_non_null(doc);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[PATH_MAX];

		if (!strstr(entry->d_name, ".json"))
			continue;
		snprintf(path, sizeof(path), "tests/golden/api/%s", entry->d_name);
		json = golden_read(path);
		failed += check_members(path, json, doc);
		free(json);
		files++;
	}
	closedir(dir);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		json = golden_read(more[i]);
		assert_non_null(json);
		failed += check_members(more[i], json, doc);
		free(json);
	}
	assert_true(files >= 6);
	assert_int_equal(failed, 0);
	free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_command_and_option_is_documented),
		cmocka_unit_test(test_every_option_of_the_agent_is_in_its_manual),
		cmocka_unit_test(test_every_member_of_a_document_is_documented),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
