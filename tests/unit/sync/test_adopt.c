// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A restarted agent: plans that did not change write nothing; what changed meanwhile is applied;
 * what is gone stays until everything was planned (robustness A3) and is removed then; and drift is
 * found and mended.
 */
#include "tests/unit/sync/sync_fixture.h"

static char text[1024];

static const struct want web[] = {
	{.port_name = "http",
	 .cluster_ip = "10.96.0.1",
	 .lb_ip = "192.0.2.1",
	 .node_port = 30080,
	 .affinity = true,
	 .external_local = true,
	 .range = "198.51.100.0/24",
	 .endpoints = {"*10.1.0.1", "10.1.0.2", "-10.1.0.9"}},
	{.port_name = "dns",
	 .proto = IPPROTO_UDP,
	 .port = 53,
	 .cluster_ip = "10.96.0.1",
	 .endpoints = {"10.1.0.2"}},
};
static const struct want api[] = {
	{.cluster_ip = "10.96.0.2", .external_ip = "192.0.2.7", .endpoints = {"10.1.0.3"}}};
static const struct want loser[] = {
	{.cluster_ip = "10.96.0.3", .external_ip = "192.0.2.7", .endpoints = {"10.1.0.4"}}};

static void fill(struct fake *fake)
{
	assert_int_equal(fake_sync(fake, "loser", 9, loser, 1), 0);
	assert_int_equal(fake_sync(fake, "web", 1, web, 2), 0);
	assert_int_equal(fake_sync(fake, "api", 1, api, 1), 0);
}

static int filled(void **state)
{
	struct fake *fake;

	fake_setup(state);
	fake = *state;
	/* something before, so that ids are not simply 1, 2, 3 */
	SYNC(fake, "other", {.cluster_ip = "10.96.0.99", .endpoints = {"10.9.0.1"}});
	fill(fake);
	GONE(fake, "other");
	return 0;
}

static void test_unchanged_plans_write_nothing(void **state)
{
	struct fake *fake = *state;
	const uint32_t id = fake_frontend(fake, "10.96.0.1", 53, IPPROTO_UDP)->service_id;
	struct fl_sync_stats stats;
	_cleanup_free_ struct fl_line *lines = malloc(FAKE_LINES * sizeof(*lines));
	_cleanup_free_ struct fl_backend *backends = malloc(FAKE_BACKENDS * sizeof(*backends));

	memcpy(lines, fake->maps.lines, FAKE_LINES * sizeof(*lines));
	memcpy(backends, fake->maps.backends, FAKE_BACKENDS * sizeof(*backends));
	for (int batch = 0; batch < 2; batch++) {
		fake_restart(fake);
		fake->writes = 0;
		if (batch)
			fl_sync_begin(fake->sync);
		fill(fake);
		if (batch)
			assert_int_equal(fl_sync_commit(fake->sync, &fake->err), 0);
		assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
		assert_int_equal(fake->writes, 0);
		fl_sync_stats(fake->sync, &stats);
		assert_int_equal(stats.map_writes, 0);
		assert_int_equal(fake_frontend(fake, "10.96.0.1", 53, IPPROTO_UDP)->service_id, id);
		assert_string_equal(fl_sync_service_port(fake->sync, id)->port_name, "dns");
		assert_memory_equal(lines, fake->maps.lines, FAKE_LINES * sizeof(*lines));
		assert_memory_equal(backends, fake->maps.backends,
				    FAKE_BACKENDS * sizeof(*backends));
		assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	}
}

/* A3: with only a part of the services planned, the others serve on. */
static void test_nothing_is_removed_before_settle(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;

	fake_restart(fake);
	fake->writes = 0;
	assert_int_equal(fake_sync(fake, "api", 1, api, 1), 0);
	assert_int_equal(fake->writes, 0);
	assert_non_null(fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP));
	assert_int_not_equal(fake_backend(fake, "10.1.0.9"), 0);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	assert_null(fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP));
	assert_int_equal(fake_backend(fake, "10.1.0.9"), 0);
	assert_int_equal(fake->map[FL_SYNC_FRONTENDS].n, 4);
	assert_int_equal(fake->map[FL_SYNC_MEMBERS].n, 0);
	assert_int_equal(fake->map[FL_SYNC_RANGES].n, 0);
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 2000000000);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.backend_sets, 1);
	assert_int_equal(stats.backends, 1);
	assert_int_equal(stats.lines_used, 1 + 9);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

/* The loser of a conflict comes first after the restart and must not have the winner's frontend for
 * a while. */
static void winner_keeps(struct fake *fake)
{
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.3");
}

static void test_loser_planned_first_takes_nothing(void **state)
{
	struct fake *fake = *state;

	fake_restart(fake);
	fake->after = winner_keeps;
	fill(fake);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	winner_keeps(fake);
}

static void test_change_while_away_is_applied(void **state)
{
	struct fake *fake = *state;
	const uint32_t id = fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP)->service_id;

	fake_restart(fake);
	fill(fake);
	SYNC_AT(fake, "api", 1, {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.5"}});
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	assert_int_equal(fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP)->service_id, id);
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.5");
	assert_int_equal(fake_backend(fake, "10.1.0.3"), 0);
	/* the loser inherits */
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "192.0.2.7", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.4");
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

/* Adopted state of a port that there is no room to change is not swept away. */
static void test_refused_change_of_adopted_state_is_kept(void **state)
{
	struct fake *fake = *state;

	fake_restart(fake);
	fill(fake);
	fake_restart(fake);
	fake->map[FL_SYNC_FRONTENDS].max = fake->map[FL_SYNC_FRONTENDS].n;
	assert_int_equal(SYNC_AT(fake, "api", 1,
				 {.cluster_ip = "10.96.0.2",
				  .external_ip = "192.0.2.7",
				  .lb_ip = "192.0.2.8",
				  .endpoints = {"10.1.0.3"}}),
			 -ENOSPC);
	fake_sync(fake, "web", 1, web, 2);
	fake_sync(fake, "loser", 9, loser, 1);
	fl_sync_settle(fake->sync, &fake->err);
	assert_string_equal(fake_list(fake,
				      &fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP)->list[0],
				      text, sizeof(text)),
			    "10.1.0.3");
	fake->map[FL_SYNC_FRONTENDS].max = 512;
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_non_null(fake_frontend(fake, "192.0.2.8", 80, IPPROTO_TCP));
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

/* Another seed: all tables are made again, and no line is used twice. */
static void test_other_seed_rebuilds_tables(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;

	fake->unchecked = true; /* the fixture knows one seed only */
	fake->options.maglev_seed = 1;
	fake_restart(fake);
	fill(fake);
	fl_sync_settle(fake->sync, &fake->err);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 2000000000);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.lines_used, 1 + stats.backend_sets * 9);
}

static void count_difference(const char *difference, void *arg)
{
	assert_non_null(difference);
	++*(int *)arg;
}

static void show(const char *difference, void *arg)
{
	print_error("still: %s\n", difference);
}

static void test_drift_is_found_and_mended(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend_key stray = {
		.addr = fake_addr("10.96.0.77"), .port = 1, .proto = IPPROTO_TCP};
	const struct fl_frontend *f = fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP);
	const uint32_t slab = f->list[0].slab, id = fake->maps.lines[slab].id[0];
	const uint32_t one = 1;
	uint32_t n = 1;
	int found = 0;

	fake_restart(fake);
	fill(fake);
	fl_sync_settle(fake->sync, &fake->err);
	fake->unchecked = true;
	fake_update(fake, FL_SYNC_FRONTENDS, &stray, f, &n);
	fake_update(fake, FL_SYNC_MEMBERS, &(struct fl_member_key){7, 7}, &one, &n);
	fake_delete(fake, FL_SYNC_FRONTENDS,
		    fake_find(fake, FL_SYNC_FRONTENDS,
			      &(struct fl_frontend_key){.addr = fake_addr("192.0.2.1"),
							.port = htons(80),
							.proto = IPPROTO_TCP}));
	fake_delete(fake, FL_SYNC_RANGES, 0);
	fake->maps.lines[slab + 1].ordinal[5] = 999;
	fake->maps.backends[id].port = 1;
	((struct fl_frontend *)fake_frontend(fake, "10.96.0.1", 53, IPPROTO_UDP))->flags ^= 1;
	assert_int_equal(fl_sync_verify(fake->sync, count_difference, &found), 7);
	assert_int_equal(found, 7);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, show, NULL), 0);
	assert_null(fake_frontend(fake, "10.96.0.77", 256, IPPROTO_TCP));
	fake_check(fake);
}

static void expect_node(const struct fake *fake, const char *backend, const char *want)
{
	const uint32_t id = fake_backend(fake, backend);
	const struct fl_backend_node *node = &fake->maps.backend_nodes[id];
	const struct fl_addr addr = want ? fake_addr(want) : (struct fl_addr){0};

	assert_true(id);
	assert_memory_equal(&node->addr, &addr, sizeof(addr));
	assert_int_equal(node->word & 1, 0);
}

/* DSR by Geneve: where backends of other nodes are. What is not known now, as before an API server
 * has said it, stays what it was, and flows their way. */
static void test_nodes_of_backends(void **state)
{
	struct fake *fake = *state;
	struct fl_backend_node *node;
	struct fl_sync_stats stats;

	assert_int_equal(SYNC(fake, "far",
			      {.cluster_ip = "10.96.1.1",
			       .endpoints = {"10.2.0.1", "10.2.0.2", "10.2.0.3"},
			       .nodes = {"192.168.0.2", NULL, "192.168.0.3"}}),
			 0);
	expect_node(fake, "10.2.0.1", "192.168.0.2");
	expect_node(fake, "10.2.0.2", NULL);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.nodes_moved, 0);
	node = &fake->maps.backend_nodes[fake_backend(fake, "10.2.0.1")];
	node->next_hop = 7;
	node->next_hop_generation = 9;
	fake_restart(fake);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(SYNC(fake, "far",
				      {.cluster_ip = "10.96.1.1",
				       .endpoints = {"10.2.0.1", "10.2.0.2"},
				       .nodes = {NULL, "192.168.0.3"}}),
				 0);
		expect_node(fake, "10.2.0.1", "192.168.0.2");
		expect_node(fake, "10.2.0.2", "192.168.0.3");
	}
	assert_int_equal(node->next_hop, 7);
	/* another address, for another way */
	assert_int_equal(SYNC(fake, "far",
			      {.cluster_ip = "10.96.1.1",
			       .endpoints = {"10.2.0.1", "10.2.0.2"},
			       .nodes = {"192.168.0.9", "192.168.0.3"}}),
			 0);
	expect_node(fake, "10.2.0.1", "192.168.0.9");
	assert_int_equal(node->next_hop, 0);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.nodes_moved, 1);
	fill(fake);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	/* drift */
	node->addr.w[3] ^= 1;
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 1);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	expect_node(fake, "10.2.0.1", "192.168.0.9");
}

/* A later version's flags of a backend are no flags of ours: a difference, and mended. */
static void test_unknown_flags_of_a_backend(void **state)
{
	struct fake *fake = *state;
	struct fl_backend *record = NULL;

	for (uint32_t id = 1; id < fake->maps.n_backends && !record; id++)
		if (fake->maps.backends[id].flags & FL_BACKEND_LIVE)
			record = &fake->maps.backends[id];
	assert_non_null(record);
	record->flags |= 0xc0;
	fake->unchecked = true;
	fake_restart(fake);
	fill(fake);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 1);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	assert_int_equal(record->flags & 0xc0, 0);
	fake_check(fake);
}

/* Whatever stands in the maps, adoption must not read outside of them. */
static void test_nonsense_in_maps_is_survived(void **state)
{
	struct fake *fake = *state;
	struct fl_frontend *values = (struct fl_frontend *)fake->map[FL_SYNC_FRONTENDS].values;

	values[0].list[0] = (struct fl_list){.slab = UINT32_MAX, .lut_len = 251, .count = 1};
	values[1].list[0] = (struct fl_list){.slab = 5, .lut_len = UINT32_MAX, .count = UINT32_MAX};
	values[2].list[1].slab += 3;
	values[3].service_id = UINT32_MAX;
	fake->unchecked = true;
	fake_restart(fake);
	fill(fake);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	fake_check(fake);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, filled, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_unchanged_plans_write_nothing),
		TEST(test_nothing_is_removed_before_settle),
		TEST(test_loser_planned_first_takes_nothing),
		TEST(test_change_while_away_is_applied),
		TEST(test_refused_change_of_adopted_state_is_kept),
		TEST(test_other_seed_rebuilds_tables),
		TEST(test_drift_is_found_and_mended),
		TEST(test_nodes_of_backends),
		TEST(test_unknown_flags_of_a_backend),
		TEST(test_nonsense_in_maps_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
