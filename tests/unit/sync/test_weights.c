// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Weights in the maps: lists in which a backend stands as often as its share is, tables made of
 * them (the fixture builds each again after every write), drained backends, and that a restart
 * finds all this as it was.
 */
#include "lb/model/addr.h"
#include "tests/unit/sync/sync_fixture.h"

#define LIST(fake, value, side) fake_list(fake, &(value)->list[side], text, sizeof(text))

static char text[8192];

static const struct fl_frontend *web(const struct fake *fake)
{
	return fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP);
}

static const struct fl_backend *record(const struct fake *fake, const char *ip)
{
	return &fake->maps.backends[fake_backend(fake, ip)];
}

static void test_a_list_has_a_backend_as_often_as_its_share(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .endpoints = {"10.1.0.1", "10.1.0.2", "10.1.0.3"},
	      .weights = {10, 30, 20}});
	assert_string_equal(LIST(fake, web(fake), 0),
			    "10.1.0.1,10.1.0.2,10.1.0.2,10.1.0.2,10.1.0.3,10.1.0.3");
	/* equal weights are none */
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .endpoints = {"10.1.0.1", "10.1.0.2", "10.1.0.3"},
	      .weights = {30, 30, 30}});
	assert_string_equal(LIST(fake, web(fake), 0), "10.1.0.1,10.1.0.2,10.1.0.3");
}

/* At least 50 slots for the smallest share. */
static void test_a_table_is_long_enough_for_the_weights(void **state)
{
	struct fake *fake = *state;

	fake->options.maglev_length = 0;
	fake_restart(fake);
	SYNC(fake, "web", {.cluster_ip = "10.96.0.1", .endpoints = {"10.1.0.1", "10.1.0.2"}});
	assert_int_equal(web(fake)->list[0].lut_len, 509);
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .endpoints = {"10.1.0.1", "10.1.0.2"},
	      .weights = {1, 100}});
	assert_int_equal(web(fake)->list[0].count, 101);
	assert_int_equal(web(fake)->list[0].lut_len, 8191);
}

static void test_a_fixed_table_gives_everybody_slots(void **state)
{
	struct fake *fake = *state;
	bool seen[3] = {false};
	const struct fl_list *list;

	fake->options.maglev_length = 251;
	fake_restart(fake);
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .endpoints = {"10.1.0.1", "10.1.0.2", "10.1.0.3"},
	      .weights = {1, 1000, 999}});
	list = &web(fake)->list[0];
	assert_true(list->count <= 125);
	for (uint32_t i = 0; i < list->lut_len; i++) {
		const uint32_t lines = (list->count + FL_LINE_IDS - 1) / FL_LINE_IDS;
		const uint16_t at = fake->maps.lines[list->slab + lines].ordinal[i];

		seen[at == 0 ? 0 : at <= list->count / 2 ? 1 : 2] = true;
	}
	assert_true(seen[0] && seen[1] && seen[2]);
}

struct drained_ips {
	struct fake *fake;
	char text[200];
};

static void add_drained(uint32_t backend_id, void *arg)
{
	struct drained_ips *drained = arg;
	const struct fl_ip ip = fl_ip_from_addr(&drained->fake->maps.backends[backend_id].addr);
	char buf[FL_IP_STRLEN];

	strcat(drained->text, fl_ip_format(&ip, buf));
	strcat(drained->text, " ");
}

/* The maps do not say whose they are; the service port does. */
static void test_drained_backends_of_a_service_port(void **state)
{
	struct fake *fake = *state;
	struct drained_ips web_has = {fake, ""}, api_has = {fake, ""}, none = {fake, ""};

	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1", .endpoints = {"~10.1.0.1", "10.1.0.2", "~10.1.0.3"}});
	SYNC(fake, "api", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1", "~10.1.0.2"}});
	fl_sync_each_drained(fake->sync, web(fake)->service_id, add_drained, &web_has);
	assert_string_equal(web_has.text, "10.1.0.1 10.1.0.3 ");
	fl_sync_each_drained(fake->sync,
			     fake_frontend(fake, "10.96.0.2", 80, IPPROTO_TCP)->service_id,
			     add_drained, &api_has);
	assert_string_equal(api_has.text, "10.1.0.2 ");
	fl_sync_each_drained(fake->sync, 999, add_drained, &none);
	assert_string_equal(none.text, "");
}

/* No new connections, but it is live: so its UDP flows stay. The table's length stays, too. */
static void test_a_drained_backend_is_live_and_in_no_list(void **state)
{
	struct fake *fake = *state;
	const struct fl_frontend_key key = {
		.addr = fake_addr("10.96.0.1"), .port = htons(80), .proto = IPPROTO_TCP};
	const struct fl_addr one = fake_addr("10.1.0.1");
	struct fl_sync_stats stats;
	uint32_t length;

	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .resets = true,
	      .endpoints = {"10.1.0.1", "10.1.0.2", "10.1.0.3"}});
	length = web(fake)->list[0].lut_len;
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .resets = true,
	      .endpoints = {"~10.1.0.1", "10.1.0.2", "10.1.0.3"}});
	assert_string_equal(LIST(fake, web(fake), 0), "10.1.0.2,10.1.0.3");
	assert_int_equal(web(fake)->list[0].lut_len, length);
	assert_int_equal(record(fake, "10.1.0.1")->flags, FL_BACKEND_LIVE);
	assert_int_equal(record(fake, "10.1.0.1")->weight, 0);
	assert_int_equal(fl_sync_serving(fake->sync, &key, &one, htons(8080)), FL_SERVING_YES);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.backends, 3);
	assert_int_equal(stats.drained_backends, 1);
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .resets = true,
	      .endpoints = {"10.1.0.1", "10.1.0.2", "10.1.0.3"}});
	assert_int_equal(record(fake, "10.1.0.1")->weight, 1);
	fl_sync_stats(fake->sync, &stats);
	assert_int_equal(stats.drained_backends, 0);
}

/* Weight 0 in the map says: drained wherever it is used. */
static void test_drained_in_one_of_two_services(void **state)
{
	struct fake *fake = *state;

	SYNC(fake, "web", {.cluster_ip = "10.96.0.1", .endpoints = {"~10.1.0.1", "10.1.0.2"}});
	assert_int_equal(record(fake, "10.1.0.1")->weight, 0);
	SYNC(fake, "api", {.cluster_ip = "10.96.0.2", .endpoints = {"10.1.0.1"}});
	assert_int_equal(record(fake, "10.1.0.1")->weight, 1);
	SYNC(fake, "api", {.cluster_ip = "10.96.0.2", .endpoints = {"~10.1.0.1"}});
	assert_int_equal(record(fake, "10.1.0.1")->weight, 0);
	GONE(fake, "web");
	assert_int_equal(record(fake, "10.1.0.1")->weight, 0);
	GONE(fake, "api");
	assert_false(record(fake, "10.1.0.1")->flags & FL_BACKEND_LIVE);
}

static void plan_web(struct fake *fake)
{
	SYNC(fake, "web",
	     {.cluster_ip = "10.96.0.1",
	      .affinity = true,
	      .endpoints = {"10.1.0.1", "10.1.0.2", "~10.1.0.3"},
	      .weights = {3, 7}});
}

static void test_a_restart_changes_nothing(void **state)
{
	struct fake *fake = *state;
	_cleanup_free_ struct fl_line *lines = malloc(FAKE_LINES * sizeof(*lines));

	plan_web(fake);
	memcpy(lines, fake->maps.lines, FAKE_LINES * sizeof(*lines));
	for (int i = 0; i < 2; i++) {
		fake_restart(fake);
		fake->writes = 0;
		plan_web(fake);
		assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
		assert_int_equal(fake->writes, 0);
		assert_memory_equal(lines, fake->maps.lines, FAKE_LINES * sizeof(*lines));
		assert_int_equal(record(fake, "10.1.0.3")->weight, 0);
		assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	}
}

static void test_a_weighted_table_is_repaired(void **state)
{
	struct fake *fake = *state;
	struct fl_line *lines;
	uint32_t slab;

	plan_web(fake);
	slab = web(fake)->list[0].slab;
	lines = &fake->maps.lines[slab];
	lines[0].id[4] = lines[0].id[0];
	lines[3].ordinal[5] ^= 1;
	fake->maps.backends[fake_backend(fake, "10.1.0.3")].weight = 9;
	assert_true(fl_sync_verify(fake->sync, NULL, NULL) >= 2);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	assert_int_equal(record(fake, "10.1.0.3")->weight, 0);
	fake_check(fake);
}

/* A weight for each of many, changed at random: the fixture looks at everything each time. */
static void test_random_weights(void **state)
{
	struct fake *fake = *state;
	static const char *const ips[] = {"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"};
	static const char *const drained[] = {"~10.1.0.1", "~10.1.0.2", "~10.1.0.3", "~10.1.0.4"};
	unsigned seed = 1;

	for (int i = 0; i < 200; i++) {
		struct want want = {.cluster_ip = "10.96.0.1", .affinity = i & 1};

		for (int k = 0; k < 4; k++) {
			want.weights[k] = (uint16_t)((unsigned)rand_r(&seed) % 20);
			want.endpoints[k] = want.weights[k] ? ips[k] : drained[k];
		}
		assert_int_equal(fake_sync(fake, "web", 0, &want, 1), 0);
		fake_check(fake);
		fl_sync_reap(fake->sync, (uint64_t)i * 2000000000ULL);
		if (i % 50 == 49)
			fake_restart(fake);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_list_has_a_backend_as_often_as_its_share),
		TEST(test_a_table_is_long_enough_for_the_weights),
		TEST(test_a_fixed_table_gives_everybody_slots),
		TEST(test_a_drained_backend_is_live_and_in_no_list),
		TEST(test_drained_backends_of_a_service_port),
		TEST(test_drained_in_one_of_two_services),
		TEST(test_a_restart_changes_nothing),
		TEST(test_a_weighted_table_is_repaired),
		TEST(test_random_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
