// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What happens when a write is refused, or there is no room: every service port is in its old state
 * or in its new one (robustness A2, B4), nothing leaks, and all heals itself. Each write of a
 * change is refused in turn; after each single write the fixture looks at all that a packet could
 * find.
 */
#include "tests/unit/sync/sync_fixture.h"

static char text[1024];

/* What each frontend of the example may be found at: its old list or its new one. */
static const struct {
	const char *ip;
	uint16_t port;
	const char *old, *new; /* NULL: no such frontend */
} allowed[] = {
	{"10.96.0.1", 80, "10.1.0.1,10.1.0.2", "10.1.0.2,10.1.0.3"},
	{"192.0.2.1", 80, "10.1.0.1,10.1.0.2", "10.1.0.2,10.1.0.3"},
	{"10.96.0.1", 443, "10.1.0.1", "10.1.0.4"},
	{"192.0.2.2", 443, "10.1.0.1", NULL},
	{"192.0.2.3", 443, NULL, "10.1.0.4"},
};

static bool found_is(const struct fake *fake, size_t i, const char *list)
{
	const struct fl_frontend *f =
		fake_frontend(fake, allowed[i].ip, allowed[i].port, IPPROTO_TCP);

	if (!f || !list)
		return !f && !list;
	return !strcmp(fake_list(fake, &f->list[0], text, sizeof(text)), list);
}

static void old_or_new(struct fake *fake)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (!found_is(fake, i, allowed[i].old) && !found_is(fake, i, allowed[i].new))
			fail_msg("%s:%u is neither old nor new", allowed[i].ip, allowed[i].port);
}

static int make_old(struct fake *fake)
{
	return SYNC(fake, "web",
		    {.port_name = "http",
		     .cluster_ip = "10.96.0.1",
		     .lb_ip = "192.0.2.1",
		     .affinity = true,
		     .range = "198.51.100.0/24",
		     .endpoints = {"10.1.0.1", "10.1.0.2"}},
		    {.port_name = "https",
		     .port = 443,
		     .cluster_ip = "10.96.0.1",
		     .external_ip = "192.0.2.2",
		     .endpoints = {"10.1.0.1"}});
}

static int make_new(struct fake *fake)
{
	return SYNC(fake, "web",
		    {.port_name = "http",
		     .cluster_ip = "10.96.0.1",
		     .lb_ip = "192.0.2.1",
		     .affinity = true,
		     .range = "203.0.113.0/24",
		     .endpoints = {"10.1.0.2", "10.1.0.3"}},
		    {.port_name = "https",
		     .port = 443,
		     .cluster_ip = "10.96.0.1",
		     .external_ip = "192.0.2.3",
		     .endpoints = {"10.1.0.4"}});
}

static bool all(const struct fake *fake, bool new, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (!found_is(fake, i, new ? allowed[i].new : allowed[i].old))
			return false;
	return true;
}

static void test_every_refused_write_leaves_old_or_new(void **state)
{
	unsigned refused = 0;

	for (unsigned k = 1;; k++) {
		struct fl_sync_stats stats;
		struct fake *fake;
		int rc;

		assert_int_equal(fake_setup((void **)&fake), 0);
		assert_int_equal(make_old(fake), 0);
		assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
		assert_true(all(fake, false, 0, 5));
		fake->after = old_or_new;
		fake->refuse_at = k;
		rc = make_new(fake);
		old_or_new(fake);
		if (!rc) {
			assert_int_not_equal(fake->refuse_at, 0);
			fake_teardown((void **)&fake);
			break;
		}
		refused++;
		assert_int_equal(rc, -ENOSPC);
		assert_non_null(strstr(fake->err.text, "full"));
		fl_sync_stats(fake->sync, &stats);
		/* a refused removal fails no port: the new state is in force */
		if (stats.failed_ports) {
			assert_non_null(strstr(fake->err.text, "default/web"));
			assert_true(all(fake, false, 0, 2) || all(fake, false, 2, 5));
		}
		assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
		assert_true(all(fake, true, 0, 5));
		assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
		fl_sync_stats(fake->sync, &stats);
		assert_int_equal(stats.failed_ports, 0);
		fake->after = NULL;
		GONE(fake, "web");
		for (int map = 0; map < FL_SYNC_HASHES; map++)
			assert_int_equal(fake->map[map].n, 0);
		fl_sync_reap(fake->sync, 1000000000ULL);
		assert_int_equal(fl_sync_reap(fake->sync, 9000000000ULL), -1);
		fl_sync_stats(fake->sync, &stats);
		assert_int_equal(stats.lines_used, 1);
		assert_int_equal(stats.backends, 0);
		fake_teardown((void **)&fake);
	}
	assert_in_range(refused, 8, 30);
}

/* Everything is refused from the k-th write on, putting things back included. */
static void refuse_again(struct fake *fake)
{
	old_or_new(fake);
	if (!fake->refuse_at)
		fake->refuse_at = 1;
}

static void test_undo_that_is_refused_too_heals(void **state)
{
	for (unsigned k = 1; k < 10; k++) {
		struct fake *fake;

		assert_int_equal(fake_setup((void **)&fake), 0);
		make_old(fake);
		fake->after = refuse_again;
		fake->refuse_at = k;
		fake->refuse_with = -ENOMEM;
		assert_int_not_equal(make_new(fake), 0);
		fake->after = NULL;
		fake->refuse_at = 0;
		fl_sync_retry(fake->sync, &fake->err);
		assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
		assert_true(all(fake, true, 0, 5));
		assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
		fake_teardown((void **)&fake);
	}
}

/* The map is full: the third port stays out as a whole, and comes in when there is room. */
static void expect_c(const struct fl_sync_refusal *refusal, void *arg)
{
	assert_string_equal(refusal->port->name, "c");
	++*(int *)arg;
}

static void test_full_map_refuses_whole_ports_and_heals(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;
	int n = 0;

	fake->map[FL_SYNC_FRONTENDS].max = 8; /* each has an entry for its address as well */
	assert_int_equal(
		SYNC(fake, "a",
		     {.external_ip = "192.0.2.1", .lb_ip = "192.0.2.2", .endpoints = {"10.1.0.1"}}),
		0);
	assert_int_equal(SYNC(fake, "b", {.external_ip = "192.0.2.3", .endpoints = {"10.1.0.1"}}),
			 0);
	assert_int_equal(
		SYNC(fake, "c",
		     {.external_ip = "192.0.2.4", .lb_ip = "192.0.2.5", .endpoints = {"10.1.0.1"}}),
		-ENOSPC);
	assert_string_equal(fake->err.text, "default/c port \"\": map frontends: full");
	assert_null(fake_frontend(fake, "192.0.2.4", 80, IPPROTO_TCP));
	assert_int_equal(fake->map[FL_SYNC_FRONTENDS].n, 6);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 1);
	fl_sync_each_refused(fake->sync, expect_c, &n);
	assert_int_equal(n, 1);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), -ENOSPC);
	assert_int_equal(GONE(fake, "b"), 0);
	assert_non_null(fake_frontend(fake, "192.0.2.4", 80, IPPROTO_TCP));
	assert_non_null(fake_frontend(fake, "192.0.2.5", 80, IPPROTO_TCP));
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 0);
}

/* In a batch the others go on. */
static void test_refused_port_does_not_stop_a_batch(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;

	fake->map[FL_SYNC_FRONTENDS].max = 9;
	fl_sync_begin(fake->sync);
	SYNC(fake, "a", {.external_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b",
	     {.external_ip = "192.0.2.2",
	      .lb_ip = "192.0.2.3",
	      .node_port = 30080,
	      .endpoints = {"10.1.0.1"}});
	SYNC(fake, "c",
	     {.external_ip = "192.0.2.4", .lb_ip = "192.0.2.5", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "d", {.external_ip = "192.0.2.6", .endpoints = {"10.1.0.1"}});
	assert_int_equal(fl_sync_commit(fake->sync, &fake->err), -ENOSPC);
	assert_int_equal(fake->map[FL_SYNC_FRONTENDS].n, 9);
	assert_null(fake_frontend(fake, "192.0.2.4", 80, IPPROTO_TCP));
	assert_non_null(fake_frontend(fake, "192.0.2.6", 80, IPPROTO_TCP));
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 1);
}

/* What is written after the refusal is not written for the refused port. */
static void test_refused_port_leaves_no_ranges(void **state)
{
	struct fake *fake = *state;

	fake->map[FL_SYNC_MEMBERS].max = 2;
	fl_sync_begin(fake->sync);
#define LIMITED .affinity = true, .range = "198.51.100.0/24"
	SYNC(fake, "a", {LIMITED, .lb_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {LIMITED, .lb_ip = "192.0.2.2", .endpoints = {"10.1.0.1", "10.1.0.2"}});
	SYNC(fake, "c", {LIMITED, .lb_ip = "192.0.2.3", .endpoints = {"10.1.0.1"}});
#undef LIMITED
	assert_int_equal(fl_sync_commit(fake->sync, &fake->err), -ENOSPC);
	assert_null(fake_frontend(fake, "192.0.2.2", 80, IPPROTO_TCP));
	assert_non_null(fake_frontend(fake, "192.0.2.3", 80, IPPROTO_TCP));
	assert_int_equal(fake->map[FL_SYNC_MEMBERS].n, 2);
	assert_int_equal(fake->map[FL_SYNC_RANGES].n, 2);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

/* A refused port that would have taken a frontend from another leaves it there. */
static void test_refused_winner_leaves_the_loser_in_force(void **state)
{
	struct fake *fake = *state;

	SYNC_AT(fake, "young", 200, {.external_ip = "192.0.2.7", .endpoints = {"10.1.0.2"}});
	fake->map[FL_SYNC_FRONTENDS].max = 2;
	assert_int_equal(SYNC_AT(fake, "old", 100,
				 {.external_ip = "192.0.2.7",
				  .lb_ip = "192.0.2.8",
				  .endpoints = {"10.1.0.1"}}),
			 -ENOSPC);
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.2");
	SYNC_AT(fake, "young", 200, {.external_ip = "192.0.2.7", .endpoints = {"10.1.0.3"}});
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.3");
}

/* No lines, or no backend ids, for a larger set: the old one serves on; what goes elsewhere makes
 * room. */
static void test_no_room_for_sets(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;

	fake->maps.n_lines = 1 + 9 * 3; /* a set takes one line of ids and eight of a table */
	fake_restart(fake);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.2"}});
	SYNC(fake, "c", {.cluster_ip = "10.96.0.3", .endpoints = {"10.1.0.3"}});
	assert_int_equal(SYNC(fake, "c", {.cluster_ip = "10.96.0.3", .endpoints = {"10.1.0.4"}}),
			 -ENOSPC);
	assert_non_null(strstr(fake->err.text, "default/c port \"\""));
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "10.96.0.3", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.3");
	GONE(fake, "a");
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 2000000000);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "10.96.0.3", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.4");
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 0);
}

static void test_no_room_for_backends(void **state)
{
	struct fake *fake = *state;

	fake->maps.n_backends = 3;
	fake_restart(fake);
	assert_int_equal(
		SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "10.1.0.2"}}),
		0);
	assert_int_equal(SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.3"}}),
			 -ENOSPC);
	assert_null(fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP));
	GONE(fake, "a");
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 2000000000);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_non_null(fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP));
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_refused_write_leaves_old_or_new),
		cmocka_unit_test(test_undo_that_is_refused_too_heals),
		TEST(test_full_map_refuses_whole_ports_and_heals),
		TEST(test_refused_port_does_not_stop_a_batch),
		TEST(test_refused_port_leaves_no_ranges),
		TEST(test_refused_winner_leaves_the_loser_in_force),
		TEST(test_no_room_for_sets),
		TEST(test_no_room_for_backends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
