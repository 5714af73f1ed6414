// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The description of a layout that is found with pins is believed only where it fits the maps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf/abi/fairlead.h"
#include "lb/dp/layout.h"

static const uint32_t bucket_sizes[3] = {sizeof(struct fl_bucket4), sizeof(struct fl_bucket6),
					 sizeof(struct fl_socket_bucket)};

static void test_ours_can_be_read(void **state)
{
	assert_int_equal(fl_layout_check(&fl_layout_ours, bucket_sizes, NULL), 0);
}

static void test_places_that_do_not_fit_are_refused(void **state)
{
	for (int family = 0; family < 2; family++) {
		const uint16_t end = fl_layout_ours.family[family].entry_size;

		for (int field = 0; field < FL_LAYOUT_FIELDS; field++) {
			struct fl_layout l = fl_layout_ours;
			struct fl_layout_place *p = &l.family[family].field[field];

			p->offset = end - p->size + 4;
			assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
			p->offset = 0;
			p->size = 17;
			assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
		}
	}
	for (int field = 0; field < FL_LAYOUT_SOCKET_FIELDS; field++) {
		struct fl_layout l = fl_layout_ours;

		l.sockets.field[field].offset = l.sockets.entry_size;
		assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
	}
}

static void test_tables_of_another_size_are_refused(void **state)
{
	struct fl_layout l = fl_layout_ours;

	for (int i = 0; i < 3; i++) {
		uint32_t sizes[3] = {bucket_sizes[0], bucket_sizes[1], bucket_sizes[2]};

		sizes[i] += 8;
		assert_int_equal(fl_layout_check(&l, sizes, NULL), -EPROTO);
	}
	l.family[0].ways = 0;
	assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
	l = fl_layout_ours;
	l.family[1].ways++;
	assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
	l = fl_layout_ours;
	l.sockets.entry_size = 0;
	assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
}

static void test_a_later_description_is_refused(void **state)
{
	struct fl_layout l = fl_layout_ours;

	l.version++;
	assert_int_equal(fl_layout_check(&l, bucket_sizes, NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours_can_be_read),
		cmocka_unit_test(test_places_that_do_not_fit_are_refused),
		cmocka_unit_test(test_tables_of_another_size_are_refused),
		cmocka_unit_test(test_a_later_description_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
