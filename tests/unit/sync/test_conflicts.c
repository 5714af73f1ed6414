// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Several service ports that want one frontend (rule 2.21): who has it, and what is reported. */
#include "tests/unit/sync/sync_fixture.h"

#define LIST(fake, value, side) fake_list(fake, &(value)->list[side], text, sizeof(text))

static char text[1024];

struct reported {
	char text[128];
	int n;
};

static void on_conflict(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *line = fl_conflict_text(conflict);
	struct reported *seen = arg;

	assert_non_null(line);
	seen->n++;
	snprintf(seen->text, sizeof(seen->text), "%s", line);
}

/* There is this conflict and no other; NULL: none at all. */
static void expect_conflict(struct fake *fake, const char *expected)
{
	struct reported seen = {.n = 0};

	fl_sync_each_conflict(fake->sync, on_conflict, &seen);
	assert_int_equal(seen.n, expected ? 1 : 0);
	if (expected)
		assert_string_equal(seen.text, expected);
}

/* Rule 2.21: the oldest wins, whatever the order of arrival; the loser takes over. */
static void test_conflict_goes_to_the_oldest(void **state)
{
	struct fake *fake = *state;

	SYNC_AT(fake, "young", 200,
		{.cluster_ip = "10.96.0.2", .external_ip = "192.0.2.7", .endpoints = {"10.1.0.2"}});
	SYNC_AT(fake, "old", 100,
		{.cluster_ip = "10.96.0.1", .external_ip = "192.0.2.7", .endpoints = {"10.1.0.1"}});
	assert_string_equal(LIST(fake, fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP), 0),
			    "10.1.0.1");
	expect_conflict(fake,
			"TCP 192.0.2.7:80 belongs to default/old, default/young wants it too");
	GONE(fake, "old");
	assert_string_equal(LIST(fake, fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP), 0),
			    "10.1.0.2");
	expect_conflict(fake, NULL);
	/* of one age: by name */
	SYNC_AT(fake, "a", 200, {.external_ip = "192.0.2.7", .endpoints = {"10.1.0.3"}});
	assert_string_equal(LIST(fake, fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP), 0),
			    "10.1.0.3");
}

/* A caller that logs conflicts looks only when there may be others: at begin and end, not in
 * between. */
static void test_conflicts_change_when_they_begin_and_end(void **state)
{
	struct fake *fake = *state;

	fake->options.reject_unknown_port = true;
	fake_restart(fake);
	SYNC_AT(fake, "old", 100, {.port_name = "x", .node_port = 30080, .cluster_ip = "10.96.0.1"},
		{.port_name = "y", .port = 81, .cluster_ip = "10.96.0.1"});
	SYNC_AT(fake, "other", 200, {.cluster_ip = "10.96.0.2"});
	assert_false(fl_sync_conflicts_changed(fake->sync));
	SYNC_AT(fake, "young", 200, {.port_name = "z", .node_port = 30080});
	assert_true(fl_sync_conflicts_changed(fake->sync));
	expect_conflict(
		fake, "TCP *:30080 (IPv4) belongs to default/old:x, default/young:z wants it too");
	SYNC_AT(fake, "other", 200, {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}});
	SYNC_AT(fake, "young", 200, {.port_name = "z", .node_port = 30080});
	assert_false(fl_sync_conflicts_changed(fake->sync));
	SYNC_AT(fake, "young", 200, {.port_name = "z", .node_port = 30081});
	assert_true(fl_sync_conflicts_changed(fake->sync));
	expect_conflict(fake, NULL);
}

/* What a port lost to another one of its Service: reported with the one that has it in the end. */
static void test_conflict_inside_one_service(void **state)
{
	struct fake *fake = *state;
	struct plan plan;
	const struct want wants[] = {{.port_name = "a", .external_ip = "192.0.2.7"},
				     {.port_name = "b", .port = 81, .cluster_ip = "10.96.0.1"}};

	plan_make(&plan, "web", wants, 2);
	plan.port[1].lost = plan.frontends[0];
	plan.port[1].n_lost = 1;
	assert_int_equal(fl_sync_service(fake->sync, "default", "web", 100, &plan.plan, &fake->err),
			 0);
	assert_true(fl_sync_conflicts_changed(fake->sync));
	expect_conflict(fake,
			"TCP 192.0.2.7:80 belongs to default/web:a, default/web:b wants it too");
	GONE(fake, "web");
	assert_true(fl_sync_conflicts_changed(fake->sync));
	expect_conflict(fake, NULL);
}

/* A restart, and the frontend of a Service that is gone is wanted by another: that gets it when
 * everything was planned, and until then nobody can be named. */
static void test_frontend_of_a_service_that_is_gone(void **state)
{
	struct fake *fake = *state;

	SYNC_AT(fake, "gone", 100, {.external_ip = "192.0.2.7", .endpoints = {"10.1.0.1"}});
	SYNC_AT(fake, "stays", 200, {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.2"}});
	fake_restart(fake);
	SYNC_AT(fake, "stays", 200,
		{.cluster_ip = "10.96.0.2", .external_ip = "192.0.2.7", .endpoints = {"10.1.0.2"}});
	assert_string_equal(LIST(fake, fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP), 0),
			    "10.1.0.1");
	expect_conflict(fake, NULL);
	SYNC_AT(fake, "young", 300, {.external_ip = "192.0.2.7", .endpoints = {"10.1.0.3"}});
	expect_conflict(fake,
			"TCP 192.0.2.7:80 belongs to default/stays, default/young wants it too");
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	assert_string_equal(LIST(fake, fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP), 0),
			    "10.1.0.2");
	expect_conflict(fake,
			"TCP 192.0.2.7:80 belongs to default/stays, default/young wants it too");
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_conflict_goes_to_the_oldest),
		TEST(test_conflicts_change_when_they_begin_and_end),
		TEST(test_conflict_inside_one_service),
		TEST(test_frontend_of_a_service_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
