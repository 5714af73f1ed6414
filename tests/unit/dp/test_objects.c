/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps are made of an object without programs: it has all of them, each as the others say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/libbpf.h>

#include "lb/base/cleanup.h"
#include "lb/dp/map_table.h"
#include "lb/dp/objects.h"

static void expect_same(const struct bpf_map *a, const struct bpf_map *b)
{
	assert_string_equal(bpf_map__name(a), bpf_map__name(b));
	assert_int_equal(bpf_map__type(a), bpf_map__type(b));
	assert_int_equal(bpf_map__key_size(a), bpf_map__key_size(b));
	assert_int_equal(bpf_map__value_size(a), bpf_map__value_size(b));
	assert_int_equal(bpf_map__max_entries(a), bpf_map__max_entries(b));
	assert_int_equal(bpf_map__map_flags(a), bpf_map__map_flags(b));
}

static void test_tables_are_all_maps(void **state)
{
	_cleanup_(fl_bpf_object_close) struct fl_bpf_object tables = {0};
	const struct bpf_map *map;
	size_t n = 0;

	assert_int_equal(fl_bpf_tables_open(&tables, NULL), 0);
	assert_null(bpf_object__next_program(tables.bpf, NULL));
	bpf_object__for_each_map(map, tables.bpf)
	{
		n++;
	}
	assert_int_equal(n, FL_MAPS);
	for (int i = 0; i < FL_MAPS; i++) {
		map = bpf_object__find_map_by_name(tables.bpf, fl_map_descs[i].object);
		assert_non_null(map);
		assert_int_equal(bpf_map__type(map), fl_map_descs[i].type);
		assert_int_equal(bpf_map__map_flags(map), fl_map_descs[i].flags);
		assert_int_equal(bpf_map__value_size(map), fl_map_descs[i].value_size);
	}
}

/* Each program finds the map that it was built for. */
static void test_tables_are_as_the_programs_want_them(void **state)
{
	_cleanup_(fl_bpf_object_close) struct fl_bpf_object tables = {0};
	bool used[FL_MAPS] = {false};

	assert_int_equal(fl_bpf_tables_open(&tables, NULL), 0);
	for (int o = 0; o < FL_OBJECTS; o++) {
		_cleanup_(fl_bpf_object_close) struct fl_bpf_object object = {0};

		assert_int_equal(fl_bpf_object_open((enum fl_bpf_object_id)o, &object, NULL), 0);
		for (int i = 0; i < FL_MAPS; i++) {
			const char *name = fl_map_descs[i].object;
			const struct bpf_map *map = bpf_object__find_map_by_name(object.bpf, name);

			used[i] |= map != NULL;
			if (map)
				expect_same(map, bpf_object__find_map_by_name(tables.bpf, name));
		}
	}
	for (int i = 0; i < FL_MAPS; i++)
		assert_true(used[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_are_all_maps),
		cmocka_unit_test(test_tables_are_as_the_programs_want_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
