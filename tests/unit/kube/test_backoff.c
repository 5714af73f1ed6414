/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 10.10: 0.8 s doubling up to 30 s, up to as much again by chance, anew after two good minutes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/kube/backoff.h"

static void test_10_10_doubles(void **state)
{
	static const uint64_t wanted[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct fl_backoff backoff = {0};
	struct fl_mono now = {1};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		assert_int_equal(fl_backoff_delay(&backoff, now, 0), wanted[i]);
		now = fl_mono_plus_ms(now, 60000);
	}
	now = fl_mono_plus_ms(now, FL_BACKOFF_FORGET_MS + 1);
	assert_int_equal(fl_backoff_delay(&backoff, now, 0), 800);
}

static void test_10_10_jitter(void **state)
{
	struct fl_backoff least = {0}, half = {0}, most = {0};
	struct fl_mono now = {1};

	assert_int_equal(fl_backoff_delay(&least, now, 0), 800);
	assert_int_equal(fl_backoff_delay(&half, now, UINT32_MAX / 2), 1199);
	assert_int_equal(fl_backoff_delay(&most, now, UINT32_MAX), 1600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_10_10_doubles),
		cmocka_unit_test(test_10_10_jitter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
