// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What fl_sync_take_changes() reports of the commits since it was last asked. */
#include "tests/unit/sync/sync_fixture.h"

static void expect_changes(struct fake *fake, size_t services, size_t ports, size_t added,
			   size_t removed, size_t frontends)
{
	struct fl_sync_changes changes;

	fl_sync_take_changes(fake->sync, &changes);
	assert_int_equal(changes.services, services);
	assert_int_equal(changes.service_ports, ports);
	assert_int_equal(changes.endpoints_added, added);
	assert_int_equal(changes.endpoints_removed, removed);
	assert_int_equal(changes.frontends, frontends);
	fl_sync_take_changes(fake->sync, &changes);
	assert_int_equal(changes.services + changes.service_ports + changes.frontends, 0);
	assert_int_equal(changes.endpoints_added + changes.endpoints_removed, 0);
}

static void test_changes_of_single_services(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "a",
	     {.port_name = "x", .cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "10.1.0.2"}},
	     {.port_name = "y", .port = 81, .lb_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	expect_changes(fake, 1, 2, 3, 0, 4);
	/* one out, two in; the other port stays */
	SYNC(fake, "a",
	     {.port_name = "x",
	      .cluster_ip = "10.96.0.1",
	      .endpoints = {"10.1.0.2", "10.1.0.3", "10.1.0.4"}},
	     {.port_name = "y", .port = 81, .lb_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	expect_changes(fake, 1, 1, 2, 1, 1);
	SYNC(fake, "a",
	     {.port_name = "y", .port = 81, .lb_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	expect_changes(fake, 1, 1, 0, 3, 2);
	GONE(fake, "a");
	expect_changes(fake, 1, 1, 0, 1, 2);
}

static void test_no_change_is_none(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	expect_changes(fake, 1, 1, 1, 0, 2);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	expect_changes(fake, 0, 0, 0, 0, 0);
	fl_sync_retry(fake->sync, &fake->err);
	expect_changes(fake, 0, 0, 0, 0, 0);
}

/* A restart that finds all as it should be has changed nothing either. */
static void test_taking_over_is_no_change(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "-10.1.0.2"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}});
	fake_restart(fake);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "-10.1.0.2"}});
	expect_changes(fake, 0, 0, 0, 0, 0);
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.3"}});
	expect_changes(fake, 1, 1, 1, 1, 1);
}

static void test_a_batch_is_counted_together(void **state)
{
	struct fake *fake = *state;

	fake->map[FL_SYNC_FRONTENDS].max = 4;
	fl_sync_begin(fake->sync);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "c", {.external_ip = "192.0.2.3", .endpoints = {"10.1.0.1", "10.1.0.9"}});
	assert_int_equal(fl_sync_commit(fake->sync, &fake->err), -ENOSPC);
	/* what is refused is not in force */
	expect_changes(fake, 2, 2, 2, 0, 4);
	SYNC(fake, "d", {.external_ip = "192.0.2.4"});
	GONE(fake, "d");
	expect_changes(fake, 0, 0, 0, 0, 0);
	GONE(fake, "a");
	expect_changes(fake, 2, 2, 2, 1, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_changes_of_single_services),
		TEST(test_no_change_is_none),
		TEST(test_taking_over_is_no_change),
		TEST(test_a_batch_is_counted_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
