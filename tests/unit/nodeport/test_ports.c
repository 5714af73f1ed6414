// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Source ports for masquerading never meet node ports or this machine's own (robustness B3). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nodeport/ports.h"

static void test_spans_are_parsed(void **state)
{
	struct fl_port_span s;

	assert_int_equal(fl_port_span_parse("30000-32767", &s), 0);
	assert_int_equal(s.first, 30000);
	assert_int_equal(s.last, 32767);
	assert_int_equal(fl_port_span_parse(" 80 ", &s), 0);
	assert_int_equal(s.first, 80);
	assert_int_equal(s.last, 80);
	assert_int_equal(fl_port_span_parse("1 - 65535", &s), 0);
	assert_int_equal(s.last, 65535);
}

static void test_bad_spans_are_refused(void **state)
{
	static const char *const bad[] = {"",	 "-",	  "1-",	     "-1",
					  "2-1", "65536", "1-65536", "a",
					  "1,2", "1-2-3", "0x10",    "99999999999999999999"};
	struct fl_port_span s = {7, 7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fl_port_span_parse(bad[i], &s), -EINVAL);
	assert_int_equal(s.first, 7);
}

static void test_reserved_ports_as_the_kernel_prints_them(void **state)
{
	struct fl_port_span s[3];
	size_t n = 9;

	assert_int_equal(fl_port_spans_parse("\n", s, 3, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(fl_port_spans_parse("8080,9148-9150\n", s, 3, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(s[0].first, 8080);
	assert_int_equal(s[1].first, 9148);
	assert_int_equal(s[1].last, 9150);
	assert_int_equal(fl_port_spans_parse("1,2,3,4", s, 3, &n), -E2BIG);
	assert_int_equal(fl_port_spans_parse("1;2", s, 3, &n), -EINVAL);
	assert_int_equal(fl_port_spans_parse("1,,2", s, 3, &n), -EINVAL);
}

static void test_defaults_leave_two_ranges(void **state)
{
	const struct fl_port_span used[] = {{30000, 32767}, {32768, 60999}};
	struct fl_port_range r[FL_PORT_RANGES];

	assert_int_equal(fl_source_ports_make(used, 2, r, NULL), 0);
	assert_int_equal(r[0].first, 1024);
	assert_int_equal(r[0].count, 30000 - 1024);
	assert_int_equal(r[1].first, 61000);
	assert_int_equal(r[1].count, 65536 - 61000);
	assert_int_equal(r[2].count, 0);
}

static void test_biggest_ranges_come_first_and_crumbs_fall_out(void **state)
{
	struct fl_port_span used[20];
	struct fl_port_range r[FL_PORT_RANGES];

	/* runs of 10, 20, ... 190 ports, then nothing */
	for (uint16_t i = 0, port = 1024; i < 20; i++) {
		port = (uint16_t)(port + 10 * i);
		used[i] = (struct fl_port_span){port, i == 19 ? 65535 : port};
		port++;
	}
	assert_int_equal(fl_source_ports_make(used, 20, r, NULL), 0);
	for (unsigned int i = 0; i < FL_PORT_RANGES; i++)
		assert_int_equal(r[i].count, 190 - 10 * i);
}

static void test_no_range_touches_what_is_used(void **state)
{
	const struct fl_port_span used[] = {
		{0, 5000}, {4000, 4500}, {65535, 65535}, {40000, 40000}};
	struct fl_port_range r[FL_PORT_RANGES];

	assert_int_equal(fl_source_ports_make(used, 4, r, NULL), 0);
	assert_int_equal(r[0].first, 5001);
	assert_int_equal(r[0].count, 40000 - 5001);
	assert_int_equal(r[1].first, 40001);
	assert_int_equal(r[1].first + r[1].count, 65535);
	assert_int_equal(r[2].count, 0);
}

static void test_everything_free_is_one_range(void **state)
{
	struct fl_port_range r[FL_PORT_RANGES];

	assert_int_equal(fl_source_ports_make(NULL, 0, r, NULL), 0);
	assert_int_equal(r[0].first, 1024);
	assert_int_equal(r[0].count, 65536 - 1024);
}

static void test_nothing_left_is_an_error(void **state)
{
	const struct fl_port_span used[] = {{1024, 40000}, {40001, 65535}};
	struct fl_port_range r[FL_PORT_RANGES];
	struct fl_err err = {""};

	assert_int_equal(fl_source_ports_make(used, 2, r, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no source port is left"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans_are_parsed),
		cmocka_unit_test(test_bad_spans_are_refused),
		cmocka_unit_test(test_reserved_ports_as_the_kernel_prints_them),
		cmocka_unit_test(test_defaults_leave_two_ranges),
		cmocka_unit_test(test_biggest_ranges_come_first_and_crumbs_fall_out),
		cmocka_unit_test(test_no_range_touches_what_is_used),
		cmocka_unit_test(test_everything_free_is_one_range),
		cmocka_unit_test(test_nothing_left_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
