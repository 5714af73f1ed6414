/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Growing arrays: room doubles, and what does not fit is refused without a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

static void test_room_doubles(void **state)
{
	_cleanup_free_ uint64_t *v = NULL;
	size_t room = 0, moves = 0;

	(void)state;
	for (size_t n = 0; n < 1000; n++) {
		size_t before = room;

		assert_int_equal(FL_ARRAY_ROOM(v, room, n + 1), 0);
		assert_true(room > n);
		moves += room != before;
		v[n] = n * n;
	}
	for (size_t n = 0; n < 1000; n++)
		assert_int_equal(v[n], n * n);
	assert_int_equal(room, 1536);
	assert_int_equal(moves, 10); /* 3, 6, ... 1536 */
}

static void test_room_for_many_at_once(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t room = 0;

	(void)state;
	assert_int_equal(FL_ARRAY_ROOM(text, room, 1000), 0);
	assert_int_equal(room, 1536);
	assert_int_equal(FL_ARRAY_ROOM(text, room, 1536), 0);
	assert_int_equal(room, 1536);
}

static void test_sizes_that_overflow_are_refused(void **state)
{
	struct large {
		char bytes[4096];
	};
	_cleanup_free_ struct large *v = NULL;
	struct large *before;
	size_t room = 0;

	(void)state;
	assert_int_equal(FL_ARRAY_ROOM(v, room, 3), 0);
	before = v;
	assert_int_equal(FL_ARRAY_ROOM(v, room, SIZE_MAX / 4096 + 2), -ENOMEM);
	assert_int_equal(FL_ARRAY_ROOM(v, room, SIZE_MAX), -ENOMEM);
	assert_ptr_equal(v, before);
	assert_int_equal(room, 4);
}

static void test_a_narrow_room_stays_within_its_type(void **state)
{
	_cleanup_free_ uint16_t *v = NULL;
	uint8_t room = 0;

	(void)state;
	assert_int_equal(FL_ARRAY_ROOM(v, room, 200), 0);
	assert_int_equal(room, 255);
	assert_int_equal(FL_ARRAY_ROOM(v, room, 255), 0);
	assert_int_equal(FL_ARRAY_ROOM(v, room, 256), -ENOMEM);
	assert_int_equal(room, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_doubles),
		cmocka_unit_test(test_room_for_many_at_once),
		cmocka_unit_test(test_sizes_that_overflow_are_refused),
		cmocka_unit_test(test_a_narrow_room_stays_within_its_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
