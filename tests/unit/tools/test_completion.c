/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What shells complete with the scripts that `fairlead completion` prints: the real shells are
 * asked. A shell that is not installed is skipped, aloud; only its syntax can be tried for zsh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char bin[PATH_MAX]; /* where fairlead is */

static int setup(void **state)
{
	ssize_t len = readlink("/proc/self/exe", bin, sizeof(bin) - 1);
	char *at, path[2 * PATH_MAX];

	assert_true(len > 0);
	bin[len] = '\0';
	at = strstr(bin, "/tests/unit/");
	assert_non_null(at);
	*at = '\0';
	snprintf(path, sizeof(path), "%s:%s", bin, getenv("PATH"));
	setenv("PATH", path, 1);
	return 0;
}

static bool is_installed(const char *shell)
{
	char command[100];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", shell);
	return !system(command);
}

/* The output of a shell's script; words sorted, between blanks. */
static void output(const char *shell, const char *script, char *text, size_t size)
{
	char command[8192];
	FILE *out;
	size_t len;

	snprintf(command, sizeof(command), "exec 2>&1; %s -c '%s' | sort | tr '\\n' ' '", shell,
		 script);
	out = popen(command, "r");
	assert_non_null(out);
	len = fread(text, 1, size - 1, out);
	text[len] = '\0';
	pclose(out);
}

static const struct {
	const char *line; /* an end with a blank: the next word */
	const char *words;
} rows[] = {
	{"fairlead ser", "service "},
	{"fairlead m", "maglev metrics "}, /* not what is hidden */
	{"fairlead service ", "get list "},
	{"fairlead --socket /x flow f", "flush "},
	{"fairlead -o json flow --no-headers ", "flush get list "},
	{"fairlead flow list --st", "--state "},
	{"fairlead flow flush --st", "--state "},
	{"fairlead flow list --a", ""},
	{"fairlead flow flush --a", "--all "},
	{"fairlead flow list --family ", "IPv4 IPv6 "},
	{"fairlead status --w", "--wait --watch "},
	{"fairlead -o ", "json name table wide yaml "},
	{"fairlead service list --sort cluster", "cluster cluster-backends clusterip "},
	{"fairlead plan --sort cluster", "cluster cluster-endpoints clusterip "},
	{"fairlead help ma", "maglev "},
	{"fairlead help flow ", "flush get list "},
	{"fairlead completion ", "bash fish zsh "},
	{"fairlead completion fish ", "fairlead fairleadd "},
	{"fairleadd --mode ", "auto tc xdp xdp-generic "},
	{"fairleadd --log", "--log-level "},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void test_bash(void **state)
{
	char script[4096], text[4096];
	int failed = 0;

	for (size_t i = 0; i < N_ROWS; i++) {
		bool agent = !strncmp(rows[i].line, "fairleadd", 9);
		const char *program = agent ? "fairleadd" : "fairlead";

		/* as bash does it: the words before the cursor, the last of which is completed */
		snprintf(script, sizeof(script),
			 "source <(fairlead completion bash %s); read -ra COMP_WORDS <<<\"%s\"; "
			 "[[ \"%s\" == *\" \" ]] && COMP_WORDS+=(\"\"); "
			 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _%s; "
			 "((${#COMPREPLY[@]})) && printf \"%%s\\n\" \"${COMPREPLY[@]}\"",
			 program, rows[i].line, rows[i].line, program);
		output("bash", script, text, sizeof(text));
		if (strcmp(text, rows[i].words)) {
			fprintf(stderr, "bash: %s: \"%s\"\n", rows[i].line, text);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

static void test_fish(void **state)
{
	char script[4096], text[4096];
	int failed = 0;

	if (!is_installed("fish")) {
		fprintf(stderr, "SKIP: fish is not installed\n");
		skip();
	}
	for (size_t i = 0; i < N_ROWS; i++) {
		snprintf(script, sizeof(script),
			 "fairlead completion fish | source; fairlead completion fish fairleadd | "
			 "source; complete -C \"%s\" | string replace -r \"\\t.*\" \"\"",
			 rows[i].line);
		output("fish", script, text, sizeof(text));
		if (strcmp(text, rows[i].words)) {
			fprintf(stderr, "fish: %s: \"%s\"\n", rows[i].line, text);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

static void test_zsh_takes_the_scripts(void **state)
{
	if (!is_installed("zsh")) {
		fprintf(stderr, "SKIP: zsh is not installed\n");
		skip();
	}
	assert_int_equal(system("fairlead completion zsh >/tmp/_fairlead.$$ && zsh -n "
				"/tmp/_fairlead.$$; s=$?; rm -f /tmp/_fairlead.$$; exit $s"),
			 0);
	assert_int_equal(system("fairlead completion zsh fairleadd >/tmp/_fairlead.$$ && zsh -n "
				"/tmp/_fairlead.$$; s=$?; rm -f /tmp/_fairlead.$$; exit $s"),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bash),
		cmocka_unit_test(test_fish),
		cmocka_unit_test(test_zsh_takes_the_scripts),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
