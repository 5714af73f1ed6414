/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which frontends' flows are to be judged, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "conntrack/touched.h"

static const struct fl_mono T0 = {5 * FL_NSEC_PER_SEC};

static struct fl_touched touched;

static int teardown(void **state)
{
	fl_touched_fini(&touched);
	return 0;
}

static struct fl_frontend_key frontend(uint32_t address, uint16_t port)
{
	return (struct fl_frontend_key){.addr.w = {0, 0, htonl(0xffff), htonl(address)},
					.port = htons(port),
					.proto = IPPROTO_UDP};
}

static void add(uint32_t address, uint16_t port, struct fl_mono now)
{
	const struct fl_frontend_key key = frontend(address, port);

	fl_touched_add(&touched, &key, now);
}

static bool has(uint32_t address, uint16_t port)
{
	const struct fl_frontend_key key = frontend(address, port);

	return fl_touched_has(&touched, &key);
}

static void pass(struct fl_mono now)
{
	assert_true(fl_touched_due(&touched, now));
	fl_touched_begin(&touched, now);
	fl_touched_end(&touched);
}

static void test_nothing_is_touched_at_first(void **state)
{
	assert_false(fl_touched_due(&touched, T0));
	assert_false(has(1, 80));
	assert_false(fl_touched_has_port(&touched, 80));
}

static void test_frontends_are_found_by_address_and_port(void **state)
{
	for (uint32_t i = 1; i <= 1000; i++)
		add(i, (uint16_t)(i % 7 + 1), T0);
	for (uint32_t i = 1; i <= 1000; i++) {
		assert_true(has(i, (uint16_t)(i % 7 + 1)));
		assert_false(has(i, (uint16_t)(i % 7 + 2)));
	}
	assert_false(has(1001, 1001 % 7 + 1));
	assert_true(fl_touched_has_port(&touched, 7));
	assert_false(fl_touched_has_port(&touched, 8));
	assert_int_equal(touched.n, 1000);
}

/* A program that began before the change may write its flow after the first pass. */
static void test_each_is_judged_twice_and_then_no_more(void **state)
{
	const struct fl_mono grace = fl_mono_plus_ms(T0, FL_TOUCHED_GRACE_MS);
	const struct fl_mono before = fl_mono_plus_ms(T0, FL_TOUCHED_GRACE_MS - 1);

	add(1, 80, T0);
	pass(T0);
	assert_true(has(1, 80));
	assert_false(fl_touched_due(&touched, before));
	pass(grace);
	assert_false(has(1, 80));
	assert_false(fl_touched_has_port(&touched, 80));
	assert_false(fl_touched_due(&touched, fl_mono_plus_ms(grace, 100000)));
}

/* A pass that had to wait is the only one that is needed. */
static void test_a_late_pass_is_the_last(void **state)
{
	add(1, 80, T0);
	pass(fl_mono_plus_ms(T0, FL_TOUCHED_GRACE_MS));
	assert_false(has(1, 80));
}

/* The pass has looked at some flows already. */
static void test_what_is_touched_during_a_pass_is_for_the_next(void **state)
{
	const struct fl_mono late = fl_mono_plus_ms(T0, FL_TOUCHED_GRACE_MS);

	add(1, 80, T0);
	add(2, 80, T0);
	fl_touched_begin(&touched, late);
	add(2, 80, late);
	add(3, 81, late);
	fl_touched_end(&touched);
	assert_false(has(1, 80));
	assert_true(has(2, 80) && has(3, 81));
	pass(late);
	pass(fl_mono_plus_ms(late, FL_TOUCHED_GRACE_MS));
	assert_false(has(2, 80) || has(3, 81));
}

static void test_too_many_are_all(void **state)
{
	for (uint32_t i = 1; i <= FL_TOUCHED_MAX + 1; i++)
		add(i, 80, T0);
	assert_int_equal(touched.n, FL_TOUCHED_MAX);
	assert_true(has(123456789, 99));
	assert_true(fl_touched_has_port(&touched, 99));
	pass(fl_mono_plus_ms(T0, FL_TOUCHED_GRACE_MS));
	assert_int_equal(touched.n, 0);
	assert_false(has(123456789, 99));
}

static void test_all_frontends(void **state)
{
	fl_touched_add(&touched, NULL, T0);
	assert_true(has(1, 80));
	pass(T0);
	assert_true(has(1, 80));
	pass(fl_mono_plus_ms(T0, FL_TOUCHED_GRACE_MS));
	assert_false(has(1, 80));
	assert_false(fl_touched_due(&touched, fl_mono_plus_ms(T0, 100000)));
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_touched_at_first),
		TEST(test_frontends_are_found_by_address_and_port),
		TEST(test_each_is_judged_twice_and_then_no_more),
		TEST(test_a_late_pass_is_the_last),
		TEST(test_what_is_touched_during_a_pass_is_for_the_next),
		TEST(test_too_many_are_all),
		TEST(test_all_frontends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
