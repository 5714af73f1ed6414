// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What plans turn into: frontends with the right list and verdict per side, flags, backend records,
 * shared sets, members, ranges and address entries; no write without a change; the life
 * of ids and lines.
 */
#include "tests/unit/sync/sync_fixture.h"

#define LIST(fake, value, side) fake_list(fake, &(value)->list[side], text, sizeof(text))

static char text[1024];

static void test_cluster_ip_has_one_list_for_both_sides(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend *f;

	assert_int_equal(SYNC(fake, "web",
			      {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "10.1.0.2"}}),
			 0);
	f = fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP);
	assert_non_null(f);
	assert_int_equal(f->type, FL_FRONTEND_CLUSTER_IP);
	assert_int_not_equal(f->service_id, 0);
	assert_int_equal(f->verdict[FL_SIDE_INTERNAL], FL_VERDICT_FORWARD);
	assert_memory_equal(&f->list[0], &f->list[1], sizeof(f->list[0]));
	assert_int_equal(f->list[0].id, f->service_id * 2);
	assert_int_equal(f->list[0].lut_len, 251);
	assert_string_equal(LIST(fake, f, 0), "10.1.0.1,10.1.0.2");
	assert_int_equal(f->flags, FL_MASQUERADE_OUTSIDE |
					   FL_MASQUERADE_NODE); /* rule 5.3: to a cluster IP */
	assert_int_equal(fake->maps.backends[fake_backend(fake, "10.1.0.1")].port, htons(8080));
	assert_int_equal(fake->maps.backends[fake_backend(fake, "10.1.0.1")].weight, 1);
	assert_string_equal(fl_sync_service_port(fake->sync, f->service_id)->name, "web");
}

/*
 * Rules 5.4.1 and 5.4.2: outside clients of external frontends get the local list, inside ones all.
 */
static void test_external_local_splits_sides(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend *f;

	assert_int_equal(SYNC(fake, "web",
			      {.cluster_ip = "10.96.0.1",
			       .lb_ip = "192.0.2.1",
			       .node_port = 30080,
			       .external_local = true,
			       .endpoints = {"10.1.0.1", "*10.1.0.2"}}),
			 0);
	f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	assert_string_equal(LIST(fake, f, FL_SIDE_EXTERNAL), "10.1.0.2");
	assert_int_equal(f->list[FL_SIDE_EXTERNAL].id, f->service_id * 2 + 1);
	assert_string_equal(LIST(fake, f, FL_SIDE_INTERNAL), "10.1.0.1,10.1.0.2");
	f = fake_frontend(fake, "0.0.0.0", 30080, IPPROTO_TCP);
	assert_int_equal(f->type, FL_FRONTEND_NODE_PORT);
	assert_string_equal(LIST(fake, f, FL_SIDE_EXTERNAL), "10.1.0.2");
	f = fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP);
	assert_string_equal(LIST(fake, f, FL_SIDE_EXTERNAL), "10.1.0.1,10.1.0.2");
	assert_true(fake->maps.backends[fake_backend(fake, "10.1.0.2")].flags & FL_BACKEND_LOCAL);
	assert_false(fake->maps.backends[fake_backend(fake, "10.1.0.1")].flags & FL_BACKEND_LOCAL);
}

/* Rule 5.7: the verdicts of a service without usable endpoints name no list. */
static void test_verdicts_without_list(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend *f;

	assert_int_equal(SYNC(fake, "web",
			      {.cluster_ip = "10.96.0.1",
			       .lb_ip = "192.0.2.1",
			       .internal_local = true,
			       .external_local = true,
			       .endpoints = {"10.1.0.1"}}),
			 0);
	f = fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP);
	assert_int_equal(f->verdict[FL_SIDE_INTERNAL], FL_VERDICT_DROP);
	assert_int_equal(f->list[FL_SIDE_INTERNAL].count, 0);
	f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	assert_int_equal(f->verdict[FL_SIDE_EXTERNAL], FL_VERDICT_DROP);
	assert_int_equal(f->verdict[FL_SIDE_INTERNAL], FL_VERDICT_FORWARD);
	assert_int_equal(SYNC(fake, "web", {.cluster_ip = "10.96.0.1"}), 0);
	f = fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP);
	assert_int_equal(f->verdict[FL_SIDE_EXTERNAL], FL_VERDICT_REJECT);
	assert_null(fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP));
}

/* Rule 2.22: the address itself is known, as long as a service has it. */
static void test_address_entry_is_counted(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "web", {.port_name = "a", .cluster_ip = "10.96.0.1"},
	     {.port_name = "b", .port = 81, .cluster_ip = "10.96.0.1", .lb_ip = "192.0.2.1"});
	assert_int_equal(fake_frontend(fake, "10.96.0.1", 0, 0)->type, FL_FRONTEND_VIP);
	assert_int_equal(fake_frontend(fake, "10.96.0.1", 0, 0)->service_id, 0);
	assert_null(fake_frontend(fake, "192.0.2.1", 0, 0));
	SYNC(fake, "web", {.port_name = "b", .port = 81, .cluster_ip = "10.96.0.1"});
	assert_non_null(fake_frontend(fake, "10.96.0.1", 0, 0));
	GONE(fake, "web");
	assert_null(fake_frontend(fake, "10.96.0.1", 0, 0));
	assert_int_equal(fake->map[FL_SYNC_FRONTENDS].n, 0);
}

/* Rules 5.5: timeout in jiffies, and the members of both lists. */
static void test_affinity_has_members(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend *f;
	uint32_t id, old;

	SYNC(fake, "web",
	     {.lb_ip = "192.0.2.1",
	      .affinity = true,
	      .external_local = true,
	      .endpoints = {"10.1.0.1", "*10.1.0.2", "-10.1.0.3"}});
	f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	assert_true(f->flags & FL_AFFINITY);
	assert_int_equal(f->affinity_timeout, 10800 * FAKE_HZ);
	id = f->service_id;
	old = fake_backend(fake, "10.1.0.2");
	assert_true(fake_has_member(fake, id * 2, fake_backend(fake, "10.1.0.1")));
	assert_true(fake_has_member(fake, id * 2, old));
	assert_true(fake_has_member(fake, id * 2 + 1, old));
	assert_int_equal(fake->map[FL_SYNC_MEMBERS].n, 3);
	SYNC(fake, "web",
	     {.lb_ip = "192.0.2.1",
	      .affinity = true,
	      .external_local = true,
	      .endpoints = {"10.1.0.1"}});
	assert_int_equal(fake->map[FL_SYNC_MEMBERS].n, 1);
	assert_false(fake_has_member(fake, id * 2, old));
	SYNC(fake, "web", {.lb_ip = "192.0.2.1", .endpoints = {"10.1.0.1"}});
	assert_int_equal(fake->map[FL_SYNC_MEMBERS].n, 0);
}

/* Rules 5.6.1 and 5.6.5: other frontends stay open, and a VIP as source may be let in. */
static void test_source_ranges_only_for_lb_vips(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend *f;
	const struct want want = {.cluster_ip = "10.96.0.1",
				  .lb_ip = "192.0.2.1",
				  .node_port = 30080,
				  .range = "198.51.100.0/24",
				  .vips_exempt = true,
				  .endpoints = {"10.1.0.1"}};

	SYNC(fake, "web", want);
	f = fake_frontend(fake, "192.0.2.1", 80, IPPROTO_TCP);
	assert_true(f->flags & FL_SOURCE_RANGES);
	assert_true(fake_has_range(fake, f->service_id, "198.51.100.0/24"));
	assert_true(fake_has_range(fake, f->service_id, "192.0.2.1/32"));
	assert_false(fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP)->flags & FL_SOURCE_RANGES);
	assert_false(fake_frontend(fake, "0.0.0.0", 30080, IPPROTO_TCP)->flags & FL_SOURCE_RANGES);
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1", .range = "198.51.100.0/24", .endpoints = {"10.1.0.1"}});
	assert_int_equal(fake->map[FL_SYNC_RANGES].n, 0);
}

static void test_no_change_writes_nothing(void **state)
{
	struct fake *fake = *state;
	const struct want want = {.cluster_ip = "10.96.0.1",
				  .lb_ip = "192.0.2.1",
				  .affinity = true,
				  .range = "198.51.100.0/24",
				  .endpoints = {"10.1.0.1", "*10.1.0.2", "-10.1.0.3"}};
	struct fl_sync_stats before, after;

	SYNC(fake, "web", want);
	fl_sync_stats(fake->sync, &before);
	fake->writes = 0;
	SYNC(fake, "web", want);
	fl_sync_stats(fake->sync, &after);
	assert_int_equal(fake->writes, 0);
	assert_int_equal(after.map_writes, before.map_writes);
	assert_int_equal(after.revision, before.revision);
	assert_int_equal(fake->meta.revision, before.revision);
}

/* Several ports or frontends on the same pods share lines. */
static void test_equal_sets_are_shared(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;

	SYNC(fake, "a",
	     {.cluster_ip = "10.96.0.1",
	      .node_port = 30080,
	      .endpoints = {"*10.1.0.1", "*10.1.0.2"}});
	SYNC(fake, "b",
	     {.cluster_ip = "10.96.0.2",
	      .internal_local = true,
	      .endpoints = {"*10.1.0.1", "*10.1.0.2"}});
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.backend_sets, 1);
	assert_int_equal(stats.backends, 2);
	assert_int_equal(fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP)->list[0].slab,
			 fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP)->list[0].slab);
}

/* A backend another service has stays live; gone from all it is not, at once (rule 7.3, robustness
 * B5). */
static void test_live_ends_with_the_last_service(void **state)
{
	struct fake *fake = *state;
	uint32_t id;

	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "10.1.0.2"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}});
	id = fake_backend(fake, "10.1.0.1");
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.2"}});
	assert_int_equal(fake_backend(fake, "10.1.0.1"), id);
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"-10.1.0.1"}});
	assert_int_equal(fake_backend(fake, "10.1.0.1"), id);
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2"});
	assert_int_equal(fake_backend(fake, "10.1.0.1"), 0);
	/*
	 * back before the id was needed: the same id and generation, so its flows are valid again
	 */
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}});
	assert_int_equal(fake_backend(fake, "10.1.0.1"), id);
	assert_int_equal(fake->maps.backends[id].generation, 1);
}

static void test_reused_backend_id_has_another_generation(void **state)
{
	struct fake *fake = *state;
	uint64_t now_ns = 1;
	char ip[32];
	uint32_t id;

	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.2.0.1"}});
	id = fake_backend(fake, "10.2.0.1");
	for (uint32_t i = 0; i < FAKE_BACKENDS; i++)
		fake->maps.backends[i].next_hop = 7; /* as the datapath does */
	for (unsigned i = 0; i < FAKE_BACKENDS + 20; i++) {
		snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 250, i % 250 + 1);
		assert_int_equal(SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {ip}}),
				 0);
		fl_sync_reap(fake->sync, now_ns += 3000000000ULL);
	}
	assert_int_equal(fake_backend(fake, "10.2.0.1"), id);
	assert_int_equal(fake->maps.backends[id].generation, 1);
	assert_int_equal(fake->maps.backends[fake_backend(fake, ip)].generation, 2);
	assert_int_equal(fake->maps.backends[fake_backend(fake, ip)].next_hop, 0);
	assert_int_equal(fake->maps.backends[id].next_hop, 7);
}

/* Old lines may still be read by a program that has begun: they wait a second after the switch. */
static void test_lines_are_freed_after_grace(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats before, stats;

	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	assert_int_equal(fl_sync_reap(fake->sync, 5000000000ULL), -1);
	fl_sync_stats(fake->sync, &before);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.2"}});
	assert_int_equal(fl_sync_reap(fake->sync, 6000000000ULL), 1000);
	assert_int_equal(fl_sync_reap(fake->sync, 6999000000ULL), 1);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.lines_used, before.lines_used + (before.lines_used - 1));
	assert_int_equal(fl_sync_reap(fake->sync, 7000000000ULL), -1);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.lines_used, before.lines_used);
}

static void on_difference(const char *difference, void *arg)
{
	snprintf(arg, 128, "%s", difference);
}

static void test_node_port_in_a_difference(void **state)
{
	const struct fl_frontend_key key = {
		.addr = fake_addr("0.0.0.0"), .port = htons(30080), .proto = IPPROTO_TCP};
	struct fake *fake = *state;
	char difference[128] = "";

	SYNC(fake, "a", {.node_port = 30080});
	fake_delete(fake, FL_SYNC_FRONTENDS, fake_find(fake, FL_SYNC_FRONTENDS, &key));
	assert_int_equal(fl_sync_verify(fake->sync, on_difference, difference), 1);
	assert_non_null(strstr(difference, " *:30080"));
}

static void test_batch_is_applied_at_commit(void **state)
{
	struct fake *fake = *state;

	fl_sync_begin(fake->sync);
	SYNC(fake, "a", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1"}});
	SYNC(fake, "b", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.2"}});
	SYNC(fake, "a", {.cluster_ip = "10.96.0.3", .endpoints = {"10.1.0.3"}});
	assert_int_equal(fake->writes, 0);
	assert_int_equal(fl_sync_commit(fake->sync, &fake->err), 0);
	assert_null(fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP));
	assert_string_equal(LIST(fake, fake_frontend(fake, "10.96.0.3", 80, IPPROTO_TCP), 0),
			    "10.1.0.3");
	assert_int_equal(fake_backend(fake, "10.1.0.1"), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

static void test_service_id_lasts_as_long_as_the_port(void **state)
{
	struct fake *fake = *state;
	uint32_t id;

	SYNC(fake, "a", {.port_name = "x", .cluster_ip = "10.96.0.1"},
	     {.port_name = "y", .port = 81, .cluster_ip = "10.96.0.1"});
	id = fake_frontend(fake, "10.96.0.1", 81, IPPROTO_TCP)->service_id;
	assert_int_not_equal(id, fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP)->service_id);
	SYNC(fake, "a",
	     {.port_name = "y", .port = 82, .cluster_ip = "10.96.0.9", .endpoints = {"10.1.0.1"}});
	assert_int_equal(fake_frontend(fake, "10.96.0.9", 82, IPPROTO_TCP)->service_id, id);
	GONE(fake, "a");
	assert_null(fl_sync_service_port(fake->sync, id));
}

/* So many that threads share the work: the same tables as one by one. */
static void test_many_tables_in_one_batch(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_stats stats;
	char name[16], vip[32], ip[32];

	fake->unchecked = true;
	fl_sync_begin(fake->sync);
	for (int i = 1; i <= 250; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(vip, sizeof(vip), "10.96.0.%d", i);
		snprintf(ip, sizeof(ip), "10.1.0.%d", i);
		assert_int_equal(
			SYNC(fake, name, {.cluster_ip = vip, .endpoints = {ip, "10.1.1.1"}}), 0);
	}
	assert_int_equal(fl_sync_commit(fake->sync, &fake->err), 0);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.backend_sets, 250);
	assert_int_equal(fake->map[FL_SYNC_FRONTENDS].n, 500);
	fake_check(fake);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
}

static void test_table_length_must_be_prime(void **state)
{
	struct fake *fake = *state;
	struct fl_sync_options options = {.maglev_length = 16384};
	struct fl_sync *sync = NULL;

	assert_int_equal(
		fl_sync_new_with(&fake->maps, &options, &fake_ops, fake, &sync, &fake->err),
		-EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_cluster_ip_has_one_list_for_both_sides),
		TEST(test_external_local_splits_sides),
		TEST(test_verdicts_without_list),
		TEST(test_address_entry_is_counted),
		TEST(test_affinity_has_members),
		TEST(test_source_ranges_only_for_lb_vips),
		TEST(test_no_change_writes_nothing),
		TEST(test_equal_sets_are_shared),
		TEST(test_live_ends_with_the_last_service),
		TEST(test_reused_backend_id_has_another_generation),
		TEST(test_lines_are_freed_after_grace),
		TEST(test_node_port_in_a_difference),
		TEST(test_batch_is_applied_at_commit),
		TEST(test_service_id_lasts_as_long_as_the_port),
		TEST(test_many_tables_in_one_batch),
		TEST(test_table_length_must_be_prime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
