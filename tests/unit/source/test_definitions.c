/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An object that several files define: which definition is active, and which takes over. */
#include "tests/unit/source/manifest_fixture.h"

static void test_definitions_object_twice_in_a_file(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("a", "10.96.0.2"));
	load(f);
	assert_ip(f, "a", "10.96.0.1");
	assert_reported(f,
			"error a.yaml:6 Service default/a: is in this file twice, first in line 1");
}

/* The first file in name order counts; the next one takes over when it goes. */
static void test_definitions_conflict_between_files(void **state)
{
	struct fixture *f = *state;

	put(f, "b.yaml", service("a", "10.96.0.2"));
	put(f, "c.yaml", service("a", "10.96.0.3"));
	load(f);
	assert_ip(f, "a", "10.96.0.2");
	assert_reported(f, "error c.yaml:1 Service default/a: is also in ");
	assert_reported(f, "/b.yaml, line 1, which comes first");

	/* an earlier file comes later in time: it counts nonetheless */
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	list_problems(f);
	assert_reported(f, "error b.yaml:1 Service default/a: is also in ");
	assert_reported(f, "error c.yaml:1 Service default/a: is also in ");

	/* what is on standby is kept up to date */
	put(f, "b.yaml", service("a", "10.96.0.22"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");

	del(f, "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.22");
	del(f, "b.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
	list_problems(f);
	assert_string_equal(f->reported, "");
	del(f, "c.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "-");
}

static void test_definitions_order_of_paths(void **state)
{
	struct fixture *f = *state;
	char first[160], second[160];
	const char *paths[] = {first, second};

	path_of(f, "z", first);
	path_of(f, "a.yaml", second);
	assert_int_equal(mkdir(first, 0755), 0);
	put(f, "z/x.yaml", service("a", "10.96.0.1"));
	put(f, "a.yaml", service("a", "10.96.0.2"));
	put(f, "b.yaml", service("b", "10.96.0.3"));
	assert_int_equal(open_paths(f, paths, 2, NULL), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "b", "-"); /* a single file is that file, not its directory */
	del(f, "z/x.yaml");
	put(f, "b.yaml", service("b", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.2");
	assert_ip(f, "b", "-");
	put(f, "a.yaml", service("a", "10.96.0.4"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.4");
}

/* A displaced file that is broken hands over its last good state. */
static void test_definitions_displaced_and_broken(void **state)
{
	struct fixture *f = *state;

	put(f, "b.yaml", service("a", "10.96.0.2"));
	load(f);
	put(f, "b.yaml", "kind: [");
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	del(f, "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.2");
	put(f, "b.yaml", service("a", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
}

/* A displaced file breaks later: its last good state was on standby and takes over. */
static void test_definitions_displaced_then_broken(void **state)
{
	struct fixture *f = *state;

	put(f, "b.yaml", service("a", "10.96.0.2"));
	load(f);
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	assert_reported(f, "error b.yaml:1 Service default/a: is also in ");
	put(f, "b.yaml", "kind: [");
	assert_true(handle(f));
	del(f, "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_definitions_object_twice_in_a_file),
		TEST(test_definitions_conflict_between_files),
		TEST(test_definitions_order_of_paths),
		TEST(test_definitions_displaced_and_broken),
		TEST(test_definitions_displaced_then_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
