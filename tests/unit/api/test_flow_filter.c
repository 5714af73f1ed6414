/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filters of flows, as words and as criteria. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "lb/api/flow_filter.h"
#include "tests/unit/api/map_fixture.h"

static int count(const struct fl_flow *flow, void *arg)
{
	void **args = arg;

	*(size_t *)args[2] += fl_flow_filter_matches(args[0], args[1], flow);
	return 0;
}

/* How many of the fixture's three flows match; SIZE_MAX when the words are refused. */
static size_t matching(struct map_fixture *f, const char *key, const char *value)
{
	struct fl_flow_filter filter = {0};
	struct fl_flow_table table;
	struct fl_view view;
	size_t n = 0;
	void *args[] = {&filter, &view, &n};

	if (fl_flow_filter_set(&filter, key, value, NULL))
		return SIZE_MAX;
	fixture_view(f, &view);
	table = fl_flow_table_of(view.maps);
	fl_flow_walk(&table, view.now, count, args);
	fl_view_fini(&view);
	return n;
}

static void test_criteria(void **state)
{
	static const struct {
		const char *key, *value;
		size_t n;
	} rows[] = {
		{"proto", "tcp", 3},
		{"proto", "UDP", 0},
		{"proto", "icmp", SIZE_MAX},
		{"family", "IPv4", 3},
		{"family", "ipv6", 0},
		{"family", "4", SIZE_MAX},
		{"state", "established", 1},
		{"state", "NEW", 1},
		{"state", "busy", SIZE_MAX},
		{"state", "free", SIZE_MAX},
		{"state", "", SIZE_MAX},
		{"state", "new,closing", 2},
		{"state", "closing,closing", 1},
		{"state", "new,", SIZE_MAX},
		{"state", ",new", SIZE_MAX},
		{"state", "new,sideways", SIZE_MAX},
		{"state", "established-of-old", SIZE_MAX},
		{"client", "198.51.100.1", 2},
		{"client", "198.51.100.1:50002", 1},
		{"client", "198.51.100.0/24", 3},
		{"client", ":50003", 1},
		{"client", "0.0.0.0/0", 3},
		{"client", "::/0", 3}, /* IPv4 is held as ::ffff:a.b.c.d */
		{"client", "fd00::1", 0},
		{"client", "[fd00::1]:80", 0},
		{"client", "[198.51.100.1]:50001", 1},
		{"client", "198.51.100.1:", SIZE_MAX},
		{"client", "198.51.100.1:0", SIZE_MAX},
		{"client", "198.51.100.1:65536", SIZE_MAX},
		{"client", "198.51.100.1:-1", SIZE_MAX},
		{"client", "[fd00::1", SIZE_MAX},
		{"client", "[fd00::1]80", SIZE_MAX},
		{"client", "", SIZE_MAX},
		{"client", "web", SIZE_MAX},
		{"client", "10.0.0.0/33", SIZE_MAX},
		{"frontend", "10.96.0.10:80", 1},
		{"frontend", ":80", 2},
		{"backend", "10.1.1.0/24", 2},
		{"backend", ":8080", 3},
		{"service", "default/web", 3}, /* by ClusterIP, node port and load balancer */
		{"service", "default/web:http", 3},
		{"service", "default/web:80", 3},
		{"service", "default/web:https", 0},
		{"service", "default/dns", 0},
		{"service", "web", SIZE_MAX},
		{"service", "/web", SIZE_MAX},
		{"service", "default/", SIZE_MAX},
		{"flow", "TCP/198.51.100.1:50001->10.96.0.10:80", 1},
		{"flow", "tcp/198.51.100.1:50001->10.96.0.10:80", 1},
		{"flow", "UDP/198.51.100.1:50001->10.96.0.10:80", 0},
		{"flow", "TCP/198.51.100.1:50002->10.96.0.10:80", 0},
		{"flow", "TCP/[fd00::1]:50002->[fd96::53]:80", 0},
		{"flow", "TCP/198.51.100.1->10.96.0.10:80", SIZE_MAX},
		{"flow", "TCP/198.51.100.0/24:1->10.96.0.10:80", SIZE_MAX},
		{"flow", "TCP/:50001->10.96.0.10:80", SIZE_MAX},
		{"flow", "198.51.100.1:50001->10.96.0.10:80", SIZE_MAX},
		{"flow", "TCP/198.51.100.1:50001", SIZE_MAX},
		{"limit", "5", 3},
		{"limit", "0", SIZE_MAX},
		{"limit", "100001", SIZE_MAX},
		{"colour", "red", SIZE_MAX},
	};
	struct map_fixture f;

	fixture_maps(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = matching(&f, rows[i].key, rows[i].value);

		if (n != rows[i].n)
			fail_msg("%s=%s: %zd, not %zd", rows[i].key, rows[i].value, (ssize_t)n,
				 (ssize_t)rows[i].n);
	}
}

static void test_all_criteria_must_hold(void **state)
{
	struct map_fixture f;
	struct fl_flow_filter filter = {0};
	struct fl_view view;

	fixture_maps(&f);
	assert_true(fl_flow_filter_empty(&filter));
	assert_int_equal(fl_flow_filter_set(&filter, "limit", "9", NULL), 0);
	assert_true(fl_flow_filter_empty(&filter)); /* a limit chooses nothing */
	assert_int_equal(fl_flow_filter_set(&filter, "client", "198.51.100.1", NULL), 0);
	assert_int_equal(fl_flow_filter_set(&filter, "state", "new", NULL), 0);
	assert_false(fl_flow_filter_empty(&filter));
	fixture_view(&f, &view);
	assert_int_equal(fl_flow_filter_flush(&filter, &view), 1);
	assert_int_equal(f.flows4[0].way[2].head.word & FL_FLOW_STATE_MASK, FL_FLOW_FREE);
	assert_int_equal(f.flows4[0].way[3].head.word & FL_FLOW_STATE_MASK, FL_FLOW_FREE);
	assert_int_equal(f.flows4[0].way[0].head.word & FL_FLOW_STATE_MASK, FL_FLOW_ESTABLISHED);
	fl_view_fini(&view);
}

static void test_errors_name_key_value_and_what_is_expected(void **state)
{
	struct fl_flow_filter filter = {0};
	struct fl_err err;

	assert_int_equal(fl_flow_filter_set(&filter, "proto", "icmp", &err), -EINVAL);
	assert_string_equal(err.text, "proto: \"icmp\" is not TCP, UDP or SCTP");
	assert_int_equal(fl_flow_filter_set(&filter, "colour", "red", &err), -ENOENT);
	assert_string_equal(err.text, "there is no filter \"colour\"");
}

/* A criterion that another one replaces unseen would list, or flush, the wrong flows. */
static void test_only_states_and_names_can_be_given_twice(void **state)
{
	static const struct {
		const char *key, *value;
		bool several;
	} rows[] = {
		{"proto", "TCP", false},
		{"family", "IPv4", false},
		{"state", "new", true},
		{"client", ":80", false},
		{"frontend", ":80", false},
		{"backend", ":80", false},
		{"service", "a/b", false},
		{"limit", "9", false},
		{"flow", "TCP/10.0.0.1:1->10.0.0.2:2", true},
	};
	struct fl_flow_filter filter = {0};
	struct fl_err err;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int want = rows[i].several ? 0 : -EINVAL;

		assert_int_equal(fl_flow_filter_set(&filter, rows[i].key, rows[i].value, NULL), 0);
		assert_int_equal(fl_flow_filter_set(&filter, rows[i].key, rows[i].value, &err),
				 want);
		if (want)
			assert_non_null(strstr(err.text, "given twice"));
	}
	while (fl_flow_filter_key(n))
		n++;
	assert_int_equal(n, sizeof(rows) / sizeof(rows[0])); /* all of them */
}

static void test_several_flows_by_name(void **state)
{
	struct fl_flow_filter filter = {0};
	struct map_fixture f;
	struct fl_view view;

	fixture_maps(&f);
	fixture_view(&f, &view);
	assert_int_equal(
		fl_flow_filter_set(&filter, "flow", "TCP/198.51.100.1:50001->10.96.0.10:80", NULL),
		0);
	assert_int_equal(
		fl_flow_filter_set(&filter, "flow", "TCP/198.51.100.2:50003->192.0.2.80:80", NULL),
		0);
	assert_false(fl_flow_filter_empty(&filter));
	assert_int_equal(fl_flow_filter_flush(&filter, &view), 2);
	for (size_t i = 2; i < FL_FLOW_NAMES_MAX; i++)
		assert_int_equal(
			fl_flow_filter_set(&filter, "flow", "TCP/10.0.0.1:1->10.0.0.2:2", NULL), 0);
	/* one more would be left out in silence */
	assert_int_equal(fl_flow_filter_set(&filter, "flow", "TCP/10.0.0.1:1->10.0.0.2:2", NULL),
			 -EINVAL);
	fl_view_fini(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_criteria),
		cmocka_unit_test(test_all_criteria_must_hold),
		cmocka_unit_test(test_only_states_and_names_can_be_given_twice),
		cmocka_unit_test(test_several_flows_by_name),
		cmocka_unit_test(test_errors_name_key_value_and_what_is_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
