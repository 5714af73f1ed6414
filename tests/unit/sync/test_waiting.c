// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Service ports that wait for room (robustness B4): they are tried again when something of what
 * they lack comes free, not before, some at a time, and in turn; which map each lacks is known.
 */
#include "tests/unit/sync/sync_fixture.h"

#define LIST(fake, value, side) fake_list(fake, &(value)->list[side], text, sizeof(text))
#define SET_LINES 9 /* a set takes one line of ids and eight of a table */

static char text[1024];

static const char *list_of(const struct fake *fake, const char *ip)
{
	const struct fl_frontend *f = fake_frontend(fake, ip, 80, IPPROTO_TCP);

	return f ? LIST(fake, f, 0) : "none";
}

static size_t n_waiting(const struct fake *fake)
{
	struct fl_sync_stats stats;

	fl_sync_stats(fake->sync, &stats);
	return stats.failed_ports;
}

static uint64_t n_tries(const struct fake *fake)
{
	struct fl_sync_stats stats;

	fl_sync_stats(fake->sync, &stats);
	return stats.tries;
}

/* As the agent's loop does every 100 ms: what is due is freed, and what waits for it tried. */
static int upkeep(struct fake *fake, uint64_t now_ns)
{
	int n;

	fl_sync_reap(fake->sync, now_ns);
	n = fl_sync_revive(fake->sync);
	fake_check(fake);
	fake_check_stages(fake);
	return n;
}

static void with_lines(struct fake *fake, uint32_t sets)
{
	fake->maps.n_lines = 1 + SET_LINES * sets;
	fake_restart(fake);
	fl_sync_settle(fake->sync, &fake->err);
}

static void test_change_comes_in_when_lines_come_free(void **state)
{
	struct fake *fake = *state;

	with_lines(fake, 3);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.2"}});
	SYNC(fake, "c", {.cluster_ip = "10.96.0.3", .endpoints = {"10.1.0.3"}});
	assert_int_equal(SYNC(fake, "c", {.cluster_ip = "10.96.0.3", .endpoints = {"10.1.0.4"}}),
			 -ENOSPC);
	assert_int_equal(GONE(fake, "a"), 0);
	assert_int_equal(upkeep(fake, 1), 0);
	assert_string_equal(list_of(fake, "10.96.0.3"), "10.1.0.3");
	/* the lines of "a" have had their grace period */
	assert_int_equal(upkeep(fake, 1000000001), 1);
	assert_string_equal(list_of(fake, "10.96.0.3"), "10.1.0.4");
	assert_int_equal(n_waiting(fake), 0);
}

/* A change of one Service that needs all there is, its own old lines included. */
static void test_rolling_change_of_a_full_map(void **state)
{
	struct fake *fake = *state;
	uint64_t now_ns = 1;
	char name[8], ip[2][24], vip[24];

	with_lines(fake, 9);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(vip, sizeof(vip), "10.96.0.%d", i + 1);
		snprintf(ip[0], sizeof(ip[0]), "10.1.0.%d", i + 1);
		assert_int_equal(SYNC(fake, name, {.cluster_ip = vip, .endpoints = {ip[0]}}), 0);
	}
	fl_sync_begin(fake->sync);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(vip, sizeof(vip), "10.96.0.%d", i + 1);
		snprintf(ip[0], sizeof(ip[0]), "10.1.1.%d", i + 1);
		snprintf(ip[1], sizeof(ip[1]), "10.1.2.%d", i + 1);
		SYNC(fake, name, {.cluster_ip = vip, .endpoints = {ip[0], ip[1]}});
	}
	fl_sync_commit(fake->sync, &fake->err);
	assert_int_equal(n_waiting(fake), 7);
	/* each that comes in frees what the next one needs, a grace period later */
	for (int i = 6; i >= 0; i--) {
		upkeep(fake, now_ns);
		assert_int_equal(upkeep(fake, now_ns += 1000000000), 1);
		assert_int_equal(n_waiting(fake), (size_t)i);
	}
	assert_string_equal(list_of(fake, "10.96.0.8"), "10.1.1.8,10.1.2.8");
}

static void test_change_comes_in_when_backends_go(void **state)
{
	struct fake *fake = *state;

	fake->maps.n_backends = 3;
	fake_restart(fake);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "10.1.0.2"}});
	assert_int_equal(SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.3"}}),
			 -ENOSPC);
	assert_non_null(strstr(fake->err.text, "map backends: full"));
	GONE(fake, "a");
	upkeep(fake, 1);
	assert_int_equal(n_waiting(fake), 1); /* the set of "a" still names them */
	assert_int_equal(upkeep(fake, 1000000001), 1);
	assert_string_equal(list_of(fake, "10.96.0.2"), "10.1.0.3");
}

/* At once: frontends, members and ranges have no grace period. */
static void test_change_comes_in_with_the_commit_that_makes_room(void **state)
{
	static const struct {
		enum fl_sync_map map;
		uint32_t max;
	} rows[] = {{FL_SYNC_FRONTENDS, 2}, {FL_SYNC_MEMBERS, 1}, {FL_SYNC_RANGES, 1}};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake->map[rows[i].map].max = rows[i].max;
#define ALL .affinity = true, .range = "198.51.100.0/24", .endpoints = {"10.1.0.1"}
		assert_int_equal(SYNC(fake, "a", {ALL, .lb_ip = "192.0.2.1"}), 0);
		assert_int_equal(SYNC(fake, "b", {ALL, .lb_ip = "192.0.2.2"}), -ENOSPC);
#undef ALL
		assert_string_equal(list_of(fake, "192.0.2.2"), "none");
		assert_int_equal(GONE(fake, "a"), 0);
		assert_string_equal(list_of(fake, "192.0.2.2"), "10.1.0.1");
		GONE(fake, "b");
		fake->map[rows[i].map].max = 512;
	}
}

static void test_nothing_is_tried_while_nothing_comes_free(void **state)
{
	struct fake *fake = *state;
	uint64_t tries;

	with_lines(fake, 2);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.2"}});
	assert_int_equal(SYNC(fake, "c", {.cluster_ip = "10.96.0.3", .endpoints = {"10.1.0.3"}}),
			 -ENOSPC);
	tries = n_tries(fake);
	for (int i = 0; i < 10; i++)
		assert_int_equal(upkeep(fake, i * 1000000000ULL), 0);
	/* frees a frontend, which "c" does not lack */
	SYNC(fake, "d", {.external_ip = "192.0.2.1"});
	GONE(fake, "d");
	assert_int_equal(upkeep(fake, 20000000000ULL), 0);
	assert_int_equal(n_tries(fake), tries);
	/* the slow timer tries all the same */
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), -ENOSPC);
	assert_int_equal(n_tries(fake), tries + 1);
}

#define MANY 200

static int large(struct fake *fake, int i)
{
	char name[16], vip[24], ip[3][24];

	snprintf(name, sizeof(name), "large%d", i);
	snprintf(vip, sizeof(vip), "10.97.0.%d", i);
	for (int k = 0; k < 3; k++)
		snprintf(ip[k], sizeof(ip[k]), "10.2.%d.%d", k, i);
	return SYNC(fake, name,
		    {.cluster_ip = vip,
		     .external_local = true,
		     .internal_local = true,
		     .lb_ip = vip,
		     .port = 81,
		     .endpoints = {ip[0], ip[1], ip[2]}});
}

/* Hundreds that still do not fit: each change and each turn of the upkeep tries a bounded number,
 * and the one behind them that fits has its turn. */
static void test_tries_are_bounded_and_in_turn(void **state)
{
	struct fake *fake = *state;
	uint64_t now_ns = 1, tries;
	int turns = 0;

	fake->unchecked = true;
	fake->maps.n_backends = 4;
	fake_restart(fake);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.2", "10.1.0.3"}});
	for (int i = 0; i < MANY; i++)
		assert_int_equal(large(fake, i), -ENOSPC);
	assert_int_equal(SYNC(fake, "fits", {.cluster_ip = "10.96.0.4", .endpoints = {"10.1.0.4"}}),
			 -ENOSPC);
	assert_int_equal(n_waiting(fake), MANY + 1);
	tries = n_tries(fake);
	GONE(fake, "a");
	assert_in_range(n_tries(fake) - tries, 0, FL_SYNC_TRIES);
	upkeep(fake, now_ns);
	now_ns += 1000000000;
	do {
		tries = n_tries(fake);
		upkeep(fake, now_ns);
		assert_in_range(n_tries(fake) - tries, 1, FL_SYNC_TRIES);
		assert_in_range(++turns, 1, MANY / FL_SYNC_TRIES + 2);
	} while (!fake_backend(fake, "10.1.0.4"));
	assert_string_equal(list_of(fake, "10.96.0.4"), "10.1.0.4");
	/* and then it is quiet again */
	while (tries != n_tries(fake) && turns++ < MANY) {
		tries = n_tries(fake);
		upkeep(fake, now_ns);
	}
	assert_int_equal(tries, n_tries(fake));
}

/* What is known about it */

struct refusals {
	int n;
	char last[256];
};

static void on_refusal(const struct fl_sync_refusal *refusal, void *arg)
{
	struct refusals *refusals = arg;

	refusals->n++;
	snprintf(refusals->last, sizeof(refusals->last), "%s %s %d", refusal->port->name,
		 refusal->why, refusal->serves_old);
}

static void expect_refusal(struct fake *fake, const char *expected)
{
	struct refusals refusals = {.n = 0};

	fl_sync_each_refused(fake->sync, on_refusal, &refusals);
	assert_int_equal(refusals.n, 1);
	assert_string_equal(refusals.last, expected);
}

static void test_each_refusal_says_why(void **state)
{
	struct fake *fake = *state;

	fake->map[FL_SYNC_FRONTENDS].max = 3;
	SYNC(fake, "a", {.external_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.1", .lb_ip = "192.0.2.2"});
	expect_refusal(fake, "b map frontends: full 0");
	GONE(fake, "b");
	fake->refuse_at = 1;
	fake->refuse_with = -EPERM;
	SYNC(fake, "a", {.external_ip = "192.0.2.1", .endpoints = {"10.1.0.2"}});
	expect_refusal(fake, "a map frontends: Operation not permitted 1");
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	fake->map[FL_SYNC_MEMBERS].max = 0;
	SYNC(fake, "a", {.external_ip = "192.0.2.1", .affinity = true, .endpoints = {"10.1.0.2"}});
	expect_refusal(fake, "a map members: full 1");
	with_lines(fake, 0);
	SYNC(fake, "c", {.external_ip = "192.0.2.9", .endpoints = {"10.1.0.9"}});
	expect_refusal(fake, "c map lines: full 0");
}

static void expect_gauge(struct fake *fake, enum fl_sync_map map, const char *name, uint64_t used,
			 uint64_t capacity)
{
	struct fl_sync_gauge gauge = fl_sync_gauge(fake->sync, map);

	assert_string_equal(gauge.map, name);
	assert_int_equal(gauge.used, used);
	assert_int_equal(gauge.capacity, capacity);
}

static void test_gauges(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "a",
	     {.cluster_ip = "10.96.0.1",
	      .lb_ip = "192.0.2.1",
	      .affinity = true,
	      .range = "198.51.100.0/24",
	      .endpoints = {"10.1.0.1", "10.1.0.2", "10.1.0.3"}});
	expect_gauge(fake, FL_SYNC_FRONTENDS, "frontends", 4, 512);
	expect_gauge(fake, FL_SYNC_MEMBERS, "members", 3, 512);
	expect_gauge(fake, FL_SYNC_RANGES, "ranges", 1, 512);
	expect_gauge(fake, FL_SYNC_BACKENDS, "backends", 3, FAKE_BACKENDS - 1);
	expect_gauge(fake, FL_SYNC_LINES, "lines", SET_LINES, FAKE_LINES - 1);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	/* until the grace period is over the old set has its lines and backends */
	expect_gauge(fake, FL_SYNC_BACKENDS, "backends", 3, FAKE_BACKENDS - 1);
	expect_gauge(fake, FL_SYNC_LINES, "lines", 2 * SET_LINES, FAKE_LINES - 1);
	upkeep(fake, 1);
	upkeep(fake, 1000000001);
	expect_gauge(fake, FL_SYNC_FRONTENDS, "frontends", 2, 512);
	expect_gauge(fake, FL_SYNC_MEMBERS, "members", 0, 512);
	expect_gauge(fake, FL_SYNC_BACKENDS, "backends", 1, FAKE_BACKENDS - 1);
	expect_gauge(fake, FL_SYNC_LINES, "lines", SET_LINES, FAKE_LINES - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_change_comes_in_when_lines_come_free),
		TEST(test_rolling_change_of_a_full_map),
		TEST(test_change_comes_in_when_backends_go),
		TEST(test_change_comes_in_with_the_commit_that_makes_room),
		TEST(test_nothing_is_tried_while_nothing_comes_free),
		TEST(test_tries_are_bounded_and_in_turn),
		TEST(test_each_refusal_says_why),
		TEST(test_gauges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
