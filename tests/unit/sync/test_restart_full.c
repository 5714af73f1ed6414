// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A restart while there is no room for a change (robustness B4): what the refused service ports had
 * in force stays in force as a whole, for as long as the change does not fit: frontends, entries of
 * addresses, backends, members and ranges. When it fits, or the Service goes, nothing is left of
 * it.
 */
#include "tests/unit/sync/sync_fixture.h"

#define LIST(fake, value, side) fake_list(fake, &(value)->list[side], text, sizeof(text))

static char text[1024];

/* Everything that a state can name; "10.1.0.4" only serves, and is in no list. */
static const struct want full_old[] = {{.cluster_ip = "10.96.0.1",
					.external_ip = "192.0.2.9",
					.lb_ip = "192.0.2.1",
					.node_port = 30080,
					.affinity = true,
					.external_local = true,
					.range = "198.51.100.0/24",
					.vips_exempt = true,
					.endpoints = {"10.1.0.1", "*10.1.0.2", "-10.1.0.4"}}};
static const struct want full_new[] = {{.cluster_ip = "10.96.0.1",
					.lb_ip = "192.0.2.1",
					.node_port = 30080,
					.affinity = true,
					.range = "203.0.113.0/24",
					.endpoints = {"10.1.0.1", "*10.1.0.5"}}};
static const struct want other[] = {{.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}}};

/* All that a packet finds of the first Service is as it was. */
static void expect_old(struct fake *fake)
{
	const struct fl_frontend *f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	uint32_t id;

	assert_non_null(f);
	id = f->service_id;
	assert_string_equal(LIST(fake, f, FL_SIDE_INTERNAL), "10.1.0.1,10.1.0.2");
	assert_string_equal(LIST(fake, f, FL_SIDE_EXTERNAL), "10.1.0.2");
	assert_true(fake_has_range(fake, id, "198.51.100.0/24"));
	assert_true(fake_has_range(fake, id, "192.0.2.1/32"));
	assert_true(fake_has_member(fake, id * 2, fake_backend(fake, "10.1.0.1")));
	assert_true(fake_has_member(fake, id * 2 + 1, fake_backend(fake, "10.1.0.2")));
	assert_non_null(fake_frontend(fake, "192.0.2.9", 80, IPPROTO_TCP));
	assert_non_null(fake_frontend(fake, "0.0.0.0", 30080, IPPROTO_TCP));
	assert_non_null(fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP));
	assert_non_null(
		fake_frontend(fake, "10.96.0.1", 0, 0)); /* rule 2.22: to reject other ports */
	assert_int_not_equal(fake_backend(fake, "10.1.0.2"), 0);
	assert_int_not_equal(fake_backend(fake, "10.1.0.4"), 0);
}

static void expect_new(struct fake *fake)
{
	const struct fl_frontend *f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	struct fl_sync_stats stats;

	assert_non_null(f);
	assert_string_equal(LIST(fake, f, FL_SIDE_EXTERNAL), "10.1.0.1,10.1.0.5");
	assert_null(fake_frontend(fake, "192.0.2.9", 80, IPPROTO_TCP));
	assert_true(fake_has_range(fake, f->service_id, "203.0.113.0/24"));
	assert_int_equal(fake->map[FL_SYNC_RANGES].n, 1);
	assert_int_equal(fake->map[FL_SYNC_MEMBERS].n, 2);
	assert_int_equal(fake->map[FL_SYNC_FRONTENDS].n, 4 + 3);
	assert_int_equal(fake_backend(fake, "10.1.0.2"), 0);
	assert_int_equal(fake_backend(fake, "10.1.0.4"), 0);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 0);
	assert_int_equal(stats.backends, 2);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	fl_sync_reap(fake->sync, UINT64_MAX / 4);
	fl_sync_reap(fake->sync, UINT64_MAX / 2);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.backend_sets, 2);
	assert_int_equal(stats.lines_used, 1 + 2 * 9);
}

static void restart_and_plan(struct fake *fake)
{
	fake_restart(fake);
	fake->after = expect_old;
	assert_int_equal(fake_sync(fake, "full", 1, full_new, 1), -ENOSPC);
	expect_old(fake);
	assert_int_equal(fake_sync(fake, "other", 1, other, 1), 0);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), -ENOSPC);
	expect_old(fake);
	fake->after = NULL;
}

/* The agent before had both Services, its maps have no room for more, and the change comes with the
 * restart. */
static struct fake *restart_with_a_change(void **state)
{
	struct fake *fake = *state;

	assert_int_equal(fake_sync(fake, "full", 1, full_old, 1), 0);
	assert_int_equal(fake_sync(fake, "other", 1, other, 1), 0);
	fake->maps.n_lines = 1 + 3 * 9;
	restart_and_plan(fake);
	return fake;
}

static void test_old_state_outlives_settling(void **state)
{
	struct fake *fake = restart_with_a_change(state);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(fl_sync_retry(fake->sync, &fake->err), -ENOSPC);
		expect_old(fake);
		assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	}
	/* a change of another Service takes nothing away either */
	assert_int_equal(SYNC_AT(fake, "other", 1, {.cluster_ip = "10.96.0.2"}), 0);
	expect_old(fake);
}

static void test_another_restart_changes_nothing(void **state)
{
	struct fake *fake = restart_with_a_change(state);

	for (int i = 0; i < 2; i++)
		restart_and_plan(fake);
}

static void test_nothing_is_left_once_the_change_fits(void **state)
{
	struct fake *fake = restart_with_a_change(state);

	GONE(fake, "other");
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 2000000000);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	fl_sync_reap(fake->sync, 4000000000);
	fl_sync_reap(fake->sync, 6000000000);
	assert_int_equal(fake_sync(fake, "other", 1, other, 1), 0);
	expect_new(fake);
}

static void test_nothing_is_left_of_a_refused_service_that_goes(void **state)
{
	struct fake *fake = restart_with_a_change(state);
	struct fl_sync_stats stats;

	GONE(fake, "full");
	GONE(fake, "other");
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		assert_int_equal(fake->map[map].n, 0);
	fl_sync_reap(fake->sync, UINT64_MAX / 4);
	fl_sync_reap(fake->sync, UINT64_MAX / 2);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.backends, 0);
	assert_int_equal(stats.lines_used, 1);
	assert_int_equal(stats.failed_ports, 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

/* What an outsider takes from the maps is put back, also for what was only found there. */
static void test_drift_of_the_old_state_is_repaired(void **state)
{
	struct fake *fake = restart_with_a_change(state);
	const struct fl_frontend *f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	const struct fl_frontend_key key = {
		.addr = fake_addr("192.0.2.1"), .port = htons(80), .proto = IPPROTO_TCP};
	const struct fl_member_key member = {f->service_id * 2, fake_backend(fake, "10.1.0.1")};
	const uint32_t id = fake_backend(fake, "10.1.0.2");

	fake->unchecked = true;
	fake_delete(fake, FL_SYNC_FRONTENDS, fake_find(fake, FL_SYNC_FRONTENDS, &key));
	fake_delete(fake, FL_SYNC_MEMBERS, fake_find(fake, FL_SYNC_MEMBERS, &member));
	fake->maps.backends[id].flags = 0;
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 3);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), -ENOSPC);
	expect_old(fake);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

/* The agent before died between two writes of one change: each frontend names its own set. */
static void test_frontends_of_one_port_that_differ(void **state)
{
	struct fake *fake = *state;
	const struct want before[] = {
		{.cluster_ip = "10.96.0.1", .external_ip = "192.0.2.9", .endpoints = {"10.1.0.1"}}};
	const struct want after[] = {{.cluster_ip = "10.96.0.1",
				      .external_ip = "192.0.2.9",
				      .endpoints = {"10.1.0.2", "10.1.0.3"}}};
	const struct fl_frontend *f;
	struct fl_frontend old;
	struct fl_frontend_key key = {
		.addr = fake_addr("192.0.2.9"), .port = htons(80), .proto = IPPROTO_TCP};
	uint32_t one = 1;

	fake_sync(fake, "web", 1, before, 1);
	fake_sync(fake, "keeps", 1,
		  &(struct want){.cluster_ip = "10.96.0.7", .endpoints = {"10.1.0.1"}}, 1);
	old = *fake_frontend(fake, "192.0.2.9", 80, IPPROTO_TCP);
	fake_sync(fake, "web", 1, after, 1);
	fake->unchecked = true;
	fake_update(fake, FL_SYNC_FRONTENDS, &key, &old, &one);
	fake->unchecked = false;
	fake->maps.n_lines = 1 + 2 * 9;
	fake_restart(fake);
	assert_int_equal(SYNC_AT(fake, "web", 1,
				 {.cluster_ip = "10.96.0.1",
				  .external_ip = "192.0.2.9",
				  .endpoints = {"10.1.0.4"}}),
			 -ENOSPC);
	fake_sync(fake, "keeps", 1,
		  &(struct want){.cluster_ip = "10.96.0.7", .endpoints = {"10.1.0.1"}}, 1);
	fl_sync_settle(fake->sync, &fake->err);
	f = fake_frontend(fake, "192.0.2.9", 80, IPPROTO_TCP);
	assert_string_equal(LIST(fake, f, 0), "10.1.0.1");
	f = fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP);
	assert_string_equal(LIST(fake, f, 0), "10.1.0.2,10.1.0.3");
	fake_check(fake);
}

/* Many at once, each with an address, two backends of its own, and a change that does not fit. */
#define MANY 50
#define CHANGED 23

static int many_sync(struct fake *fake, int i, const char *more)
{
	char name[16], vip[32], ip[2][32];

	snprintf(name, sizeof(name), "s%d", i);
	snprintf(vip, sizeof(vip), "10.96.1.%d", i + 1);
	snprintf(ip[0], sizeof(ip[0]), "10.1.1.%d", i + 1);
	snprintf(ip[1], sizeof(ip[1]), "10.1.2.%d", i + 1);
	return SYNC_AT(fake, name, 1, {.cluster_ip = vip, .endpoints = {ip[0], ip[1], more}});
}

static void test_many_refused_services_serve_on(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;

	fake->unchecked = true;
	for (int i = 0; i < MANY; i++)
		assert_int_equal(many_sync(fake, i, NULL), 0);
	fake->maps.n_lines = 1 + MANY * 9;
	fake_restart(fake);
	fl_sync_begin(fake->sync);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(many_sync(fake, i, i < CHANGED ? "10.1.3.1" : NULL),
				 i < CHANGED ? -ENOSPC : 0);
	fl_sync_commit(fake->sync, &fake->err);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), -ENOSPC);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.failed_ports, CHANGED);
	assert_int_equal(stats.backends, MANY * 2);
	assert_int_equal(stats.frontends, MANY * 2);
	fake_check(fake);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_old_state_outlives_settling),
		TEST(test_another_restart_changes_nothing),
		TEST(test_nothing_is_left_once_the_change_fits),
		TEST(test_nothing_is_left_of_a_refused_service_that_goes),
		TEST(test_drift_of_the_old_state_is_repaired),
		TEST(test_frontends_of_one_port_that_differ),
		TEST(test_many_refused_services_serve_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
