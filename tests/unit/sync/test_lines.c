// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The allocator of lines against a plain map of what is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lb/sync/lines.h"

#define TOTAL 5000

static void test_never_gives_a_line_twice(void **state)
{
	static const uint32_t sizes[] = {1, 2, 9, 17, 33, 65, 66, 129, 513, 1030};
	struct {
		uint32_t start, count;
	} held[200];
	uint8_t taken[TOTAL] = {1};
	uint32_t n = 0, refused = 0, used = 1, seed = 1;
	struct fl_lines lines;

	fl_lines_init(&lines, TOTAL);
	assert_int_equal(fl_lines_free(&lines, 1, TOTAL - 1), 0);
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1664525 + 1013904223;
		if (n < 200 && (seed >> 16 & 3)) {
			const uint32_t count = sizes[(seed >> 20) % 10];
			uint32_t start;

			if (fl_lines_alloc(&lines, count, &start)) {
				refused++;
				continue;
			}
			assert_true(start && start + count <= TOTAL);
			for (uint32_t i = start; i < start + count; i++)
				assert_int_equal(taken[i]++, 0);
			held[n].start = start;
			held[n++].count = count;
			used += count;
		} else if (n) {
			const uint32_t k = (seed >> 8) % n;

			memset(taken + held[k].start, 0, held[k].count);
			assert_int_equal(fl_lines_free(&lines, held[k].start, held[k].count), 0);
			used -= held[k].count;
			held[k] = held[--n];
		}
		assert_int_equal(lines.used, used);
	}
	assert_true(refused > 100);
	while (n--)
		assert_int_equal(fl_lines_free(&lines, held[n].start, held[n].count), 0);
	/* all joined again: the largest possible run is there */
	assert_int_equal(fl_lines_alloc(&lines, TOTAL - 1, &used), 0);
	assert_int_equal(fl_lines_alloc(&lines, 1, &used), -ENOSPC);
	fl_lines_fini(&lines);
}

/* A run that is just long enough is found, though its class holds shorter ones before it. */
static void test_exact_fit_in_a_crowded_class(void **state)
{
	struct fl_lines lines;
	uint32_t start;

	fl_lines_init(&lines, 100000);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(fl_lines_free(&lines, 1000 + i * 100, i == 0 ? 70 : 65), 0);
	assert_int_equal(fl_lines_alloc(&lines, 70, &start), 0);
	assert_int_equal(start, 1000);
	assert_int_equal(fl_lines_alloc(&lines, 66, &start), -ENOSPC);
	fl_lines_fini(&lines);
}

static void test_index_finds_all_of_one_hash(void **state)
{
	struct fl_index index = {0};
	unsigned found = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(fl_index_reserve(&index, 1), 0);
		fl_index_add(&index, i % 7, i);
	}
	for (uint32_t i = 0; i < 1000; i += 2)
		fl_index_del(&index, i % 7, i);
	for (uint32_t step = 0, e; (e = fl_index_next(&index, 3, &step)) != FL_INDEX_NONE; found++)
		assert_true(e % 7 == 3 && e % 2 == 1);
	assert_int_equal(found, 72);
	fl_index_fini(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_gives_a_line_twice),
		cmocka_unit_test(test_exact_fit_in_a_crowded_class),
		cmocka_unit_test(test_index_finds_all_of_one_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
