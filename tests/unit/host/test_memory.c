// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Mirrors without a map behind them, and the neighbours that matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/dp/map_mirror.h"
#include "lb/host/neighbours.h"

struct pair {
	uint32_t key, value;
};

static size_t apply(struct fl_map_mirror *m, const struct pair *pairs, size_t n)
{
	struct pair copy[8];
	size_t writes = 99;

	for (size_t i = 0; i < n; i++)
		copy[i] = pairs[i];
	assert_int_equal(fl_map_mirror_apply(m, copy, n, &writes, NULL), 0);
	return writes;
}

static void test_only_differences_are_written(void **state)
{
	const struct pair a[] = {{3, 30}, {1, 10}, {2, 20}}, b[] = {{2, 20}, {3, 31}, {9, 90}};
	struct fl_map_mirror *m = NULL;

	assert_int_equal(fl_map_mirror_new(-1, "test", 4, 4, &m, NULL), 0);
	assert_int_equal(apply(m, NULL, 0), 0);
	assert_int_equal(apply(m, a, 3), 3);
	assert_int_equal(apply(m, a, 3), 0);
	assert_int_equal(apply(m, b, 3), 3); /* one changed, one new, one removed */
	assert_int_equal(apply(m, b, 3), 0);
	assert_int_equal(apply(m, NULL, 0), 3);
	assert_int_equal(apply(m, NULL, 0), 0);
	fl_map_mirror_free(&m);
	assert_null(m);
}

static void test_what_the_map_holds_can_be_asked(void **state)
{
	const struct pair a[] = {{3, 30}, {1, 10}, {2, 20}};
	struct fl_map_mirror *m = NULL;

	assert_int_equal(fl_map_mirror_new(-1, "test", 4, 4, &m, NULL), 0);
	assert_null(fl_map_mirror_get(m, &(uint32_t){1}));
	apply(m, a, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(*(const uint32_t *)fl_map_mirror_get(m, &a[i].key), a[i].value);
	assert_null(fl_map_mirror_get(m, &(uint32_t){4}));
	apply(m, a, 1);
	assert_null(fl_map_mirror_get(m, &(uint32_t){1}));
	fl_map_mirror_free(&m);
}

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2};

static struct fl_ip ip(const char *text)
{
	struct fl_ip i;

	assert_int_equal(fl_ip_parse(text, &i), 0);
	return i;
}

static void test_a_new_neighbour_does_no_harm(void **state)
{
	struct fl_ip host = ip("10.0.0.2");
	struct fl_neighbours *n;

	assert_int_equal(fl_neighbours_new(&n), 0);
	assert_false(fl_neighbours_update(n, 2, &host, true, mac_a));
	/* REACHABLE, STALE, DELAY, PROBE: valid all the time, the same address */
	assert_false(fl_neighbours_update(n, 2, &host, true, mac_a));
	assert_false(fl_neighbours_update(n, 3, &host, true, mac_b));
	assert_true(fl_neighbours_forget(n, 2));
	assert_true(fl_neighbours_forget(n, 3));
	fl_neighbours_free(&n);
}

static void test_changed_and_invalid_neighbours_matter(void **state)
{
	struct fl_ip host = ip("fd00::2");
	struct fl_neighbours *n;

	assert_int_equal(fl_neighbours_new(&n), 0);
	fl_neighbours_update(n, 2, &host, true, mac_a);
	assert_true(fl_neighbours_update(n, 2, &host, true, mac_b));
	assert_false(fl_neighbours_update(n, 2, &host, true, mac_b));
	assert_true(fl_neighbours_update(n, 2, &host, false, mac_b));
	assert_false(fl_neighbours_update(n, 2, &host, false, mac_b));
	assert_false(fl_neighbours_update(n, 2, &host, true, mac_a));
	fl_neighbours_free(&n);
}

static void test_neighbours_go_with_their_device(void **state)
{
	struct fl_ip a = ip("10.0.0.2"), b = ip("10.0.0.3");
	struct fl_neighbours *n;

	assert_int_equal(fl_neighbours_new(&n), 0);
	fl_neighbours_update(n, 2, &a, true, mac_a);
	fl_neighbours_update(n, 2, &b, true, mac_a);
	fl_neighbours_update(n, 3, &a, true, mac_a);
	assert_true(fl_neighbours_forget(n, 2));
	assert_false(fl_neighbours_forget(n, 2));
	assert_true(fl_neighbours_forget(n, 3));
	fl_neighbours_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_differences_are_written),
		cmocka_unit_test(test_what_the_map_holds_can_be_asked),
		cmocka_unit_test(test_a_new_neighbour_does_no_harm),
		cmocka_unit_test(test_changed_and_invalid_neighbours_matter),
		cmocka_unit_test(test_neighbours_go_with_their_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
