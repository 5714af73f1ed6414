/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 6.2: what makes a service proxy healthy and a node eligible, and the words for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/duties/proxy_health.h"

struct hands {
	struct fl_mono mono;
};

static struct fl_mono fake_mono(void *arg)
{
	return ((struct hands *)arg)->mono;
}

/* 2023-11-14T22:13:20Z when the monotonic clock was zero */
static int64_t fake_unix_ns(void *arg)
{
	return 1700000000 * (int64_t)FL_NSEC_PER_SEC + (int64_t)((struct hands *)arg)->mono.ns;
}

static struct hands hands;

static struct fl_proxy_health start(void)
{
	const struct fl_clock clock = {.mono = fake_mono, .unix_ns = fake_unix_ns, .arg = &hands};

	hands.mono.ns = FL_NSEC_PER_SEC;
	return fl_proxy_health_of(&clock, 30);
}

static void pass_ms(uint64_t ms)
{
	hands.mono = fl_mono_plus_ms(hands.mono, ms);
}

static void test_6_2_3_healthy_until_a_change_has_waited_for_two_periods(void **state)
{
	struct fl_proxy_health health = start();

	pass_ms(3600 * 1000);
	assert_true(fl_proxy_health_is_good(&health)); /* before any sync */
	fl_proxy_health_queued(&health);
	pass_ms(59999);
	assert_true(fl_proxy_health_is_good(&health));
	pass_ms(1);
	assert_false(fl_proxy_health_is_good(&health));
	fl_proxy_health_updated(&health);
	assert_true(fl_proxy_health_is_good(&health));
}

/* 6.2.4: the oldest one counts, however often others come. */
static void test_6_2_4_the_oldest_change_counts(void **state)
{
	struct fl_proxy_health health = start();

	for (int i = 0; i < 7; i++) {
		fl_proxy_health_queued(&health);
		pass_ms(10000);
	}
	assert_false(fl_proxy_health_is_good(&health));
	fl_proxy_health_updated(&health);
	fl_proxy_health_queued(&health);
	pass_ms(50000);
	assert_true(fl_proxy_health_is_good(&health));
}

static void test_6_2_5_eligible(void **state)
{
	static const struct {
		struct fl_node node;
		bool there, seen, want;
	} rows[] = {
		{.there = true, .seen = true, .want = true},
		{{.deleting = true}, .there = true, .seen = true, .want = false},
		{{.autoscaler_taint = true}, .there = true, .seen = true, .want = false},
		{.there = false, .seen = true, .want = false}, /* deleted */
		{.there = false, .seen = false, .want = true}, /* a machine without a cluster */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			fl_node_is_eligible(rows[i].there ? &rows[i].node : NULL, rows[i].seen),
			rows[i].want);
}

static void expect_json(const struct fl_proxy_health *health, const bool *eligible,
			const char *want)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);

	fl_proxy_health_json(health, eligible, json);
	assert_string_equal(fl_json_text(json, NULL), want);
}

/* 6.2.2, 6.2.8: members and their order, byte for byte. */
static void test_6_2_2_bodies(void **state)
{
	struct fl_proxy_health health = start();
	const bool yes = true, no = false;

	pass_ms(500);
	fl_proxy_health_queued(&health);
	fl_proxy_health_updated(&health);
	pass_ms(1000);
	expect_json(
		&health, &yes,
		"{\"lastUpdated\":\"2023-11-14T22:13:22.500000000Z\","
		"\"currentTime\":\"2023-11-14T22:13:22.500000000Z\",\"nodeEligible\":true,"
		"\"healthy\":true,\"status\":{"
		"\"IPv4\":{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\",\"healthy\":true},"
		"\"IPv6\":{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\",\"healthy\":true}"
		"}}");
	/* 6.2.6: not eligible says nothing about the proxy */
	expect_json(
		&health, &no,
		"{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\","
		"\"currentTime\":\"2023-11-14T22:13:22.500000000Z\",\"nodeEligible\":false,"
		"\"healthy\":true,\"status\":{"
		"\"IPv4\":{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\",\"healthy\":true},"
		"\"IPv6\":{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\",\"healthy\":true}"
		"}}");
	fl_proxy_health_queued(&health);
	pass_ms(60000);
	expect_json(
		&health, NULL,
		"{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\","
		"\"currentTime\":\"2023-11-14T22:14:22.500000000Z\","
		"\"healthy\":false,\"status\":{"
		"\"IPv4\":{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\",\"healthy\":false},"
		"\"IPv6\":{\"lastUpdated\":\"2023-11-14T22:13:21.500000000Z\",\"healthy\":false}"
		"}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_6_2_3_healthy_until_a_change_has_waited_for_two_periods),
		cmocka_unit_test(test_6_2_4_the_oldest_change_counts),
		cmocka_unit_test(test_6_2_5_eligible),
		cmocka_unit_test(test_6_2_2_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
