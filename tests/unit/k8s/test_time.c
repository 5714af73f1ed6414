/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Times as Kubernetes writes them (4.14: with nanoseconds). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "lb/k8s/time.h"

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:01.5Z", 1500000000},
		{"2023-11-14T22:13:20.123456789Z", 1700000000123456789},
		{"2023-11-14T22:13:20.1234567899999Z", 1700000000123456789},
		{"2023-11-15T00:13:20+02:00", 1700000000000000000},
		{"2023-11-14T21:43:20.25-00:30", 1700000000250000000},
	};
	static const char *const bad[] = {"",
					  "soon",
					  "2023-11-14",
					  "2023-11-14T22:13:20",
					  "2023-11-14T22:13:20.5",
					  "2023-11-14T22:13:20Zx",
					  "2023-11-14T22:13:20+",
					  "9999-11-14T22:13:20Z"};
	int64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(fl_time_parse(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fl_time_parse(bad[i], &ns), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_times)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
