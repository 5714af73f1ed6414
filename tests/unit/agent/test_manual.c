/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* docs/troubleshooting.md explains each condition, reason and counter, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/cleanup.h"
#include "lb/base/health.h"
#include "tests/golden/golden.h"

static const struct {
	const char *token, *about;
} conditions[] = {
#define X(name, token, about) {token, about},
	FL_CONDITIONS(X)
#undef X
};

static const char *const reasons[] =
	{
#define X(name, token, text) token,
		FL_REASONS(X)
#undef X
},
			 *const counters[] = {
#define X(name, token, text) token,
				 FL_COUNTERS(X)
#undef X
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The section of that heading, as far as the next one; the caller's. */
static char *section(const char *heading)
{
	_cleanup_free_ char *manual = golden_read("docs/troubleshooting.md");
	const char *begin, *end;

	assert_non_null(manual);
	begin = strstr(manual, heading);
	if (!begin) {
		fail_msg("docs/troubleshooting.md has no %s", heading);
		return NULL; /* not reached, which sanitizers keep the compiler from seeing */
	}
	end = strstr(begin + 1, "\n## ");
	return strndup(begin, end ? (size_t)(end - begin) : strlen(begin));
}

static size_t count_rows(const char *text)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, "\n| `")); at++)
		n++;
	return n;
}

static void test_conditions(void **state)
{
	_cleanup_free_ char *text = section("\n## Conditions\n");

	for (size_t i = 0; i < COUNT(conditions); i++) {
		char row[200];

		snprintf(row, sizeof(row), "\n| `%s` | %s | ", conditions[i].token,
			 conditions[i].about);
		if (!strstr(text, row))
			fail_msg("docs/troubleshooting.md has no row%s", row);
	}
	assert_int_equal(count_rows(text), COUNT(conditions));
}

static void test_reasons(void **state)
{
	_cleanup_free_ char *text = section("\n## Reasons\n");
	size_t n = 0;

	for (size_t i = 0; i < COUNT(reasons); i++) {
		char row[80];

		if (i == FL_REASON_NONE)
			continue;
		n++;
		snprintf(row, sizeof(row), "\n| `%s` | ", reasons[i]);
		if (!strstr(text, row))
			fail_msg("docs/troubleshooting.md has no row%s", row);
	}
	assert_int_equal(count_rows(text), n);
}

static void test_counters(void **state)
{
	_cleanup_free_ char *text = section("\n## Other counters");

	for (size_t i = 0; i < COUNT(counters); i++) {
		char token[64];

		snprintf(token, sizeof(token), "`%s`", counters[i]);
		if (!strstr(text, token))
			fail_msg("docs/troubleshooting.md does not explain counter %s", token);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
