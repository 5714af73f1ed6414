/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Metrics as text: the format, the histograms of rule 8 (kube-proxy's bounds), and that the manual
 * has what the table has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/clock.h"
#include "lb/metrics/facts.h"
#include "lb/metrics/text.h"
#include "tests/golden/golden.h"

static void test_help_and_type_come_once(void **state)
{
	_cleanup_(fl_metrics_text_fini) struct fl_metrics_text text = {0};
	_cleanup_free_ char *made = NULL;

	fl_metric_put_uint(&text, FL_METRIC_HEALTHY, NULL, 1);
	fl_metric_put_uint(&text, FL_METRIC_OBJECTS, FL_LABELS("Service"), UINT64_MAX);
	fl_metric_put_uint(&text, FL_METRIC_OBJECTS, FL_LABELS("a\"b\\c\nd"), 0);
	fl_metric_put(&text, FL_METRIC_PROCESS_START, NULL, 1700000000.25);
	made = fl_metrics_text_take(&text);
	assert_string_equal(
		made,
		"# HELP fairlead_healthy Whether the node is healthy, as fairlead status says: no "
		"condition of level error.\n"
		"# TYPE fairlead_healthy gauge\n"
		"fairlead_healthy 1\n"
		"# HELP fairlead_objects Objects read and held.\n"
		"# TYPE fairlead_objects gauge\n"
		"fairlead_objects{kind=\"Service\"} 18446744073709551615\n"
		"fairlead_objects{kind=\"a\\\"b\\\\c\\nd\"} 0\n"
		"# HELP process_start_time_seconds Start time of the process since the epoch in "
		"seconds.\n"
		"# TYPE process_start_time_seconds gauge\n"
		"process_start_time_seconds 1700000000.25\n");
}

static void test_histograms_add_up(void **state)
{
	_cleanup_(fl_metrics_text_fini) struct fl_metrics_text text = {0};
	_cleanup_free_ char *made = NULL;
	struct fl_histogram h = fl_histogram_sync();

	fl_histogram_observe(&h, 0.001); /* a bound belongs to its bucket */
	fl_histogram_observe(&h, 0.0011);
	fl_histogram_observe(&h, 100);
	fl_metric_put_histogram(&text, FL_METRIC_SYNC, FL_LABELS("IPv4"), &h);
	made = fl_metrics_text_take(&text);
	assert_non_null(strstr(made, "seconds_bucket{ip_family=\"IPv4\",le=\"0.001\"} 1\n"));
	assert_non_null(strstr(made, "seconds_bucket{ip_family=\"IPv4\",le=\"0.002\"} 2\n"));
	assert_non_null(strstr(made, "seconds_bucket{ip_family=\"IPv4\",le=\"16.384\"} 2\n"));
	assert_non_null(strstr(made, "seconds_bucket{ip_family=\"IPv4\",le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(made, "seconds_sum{ip_family=\"IPv4\"} 100.0021\n"));
	assert_non_null(strstr(made, "seconds_count{ip_family=\"IPv4\"} 3\n"));
}

/* 8: the bounds are kube-proxy's, so that its dashboards fit */
static void test_8_bounds(void **state)
{
	const struct fl_histogram sync = fl_histogram_sync(), slow = fl_histogram_programming();

	assert_int_equal(sync.n_bounds, 15);
	for (size_t i = 0; i < sync.n_bounds; i++)
		assert_true(sync.bounds[i] == 0.001 * (double)(1 << i));
	assert_int_equal(slow.n_bounds, 2 + 59 + 12 + 7);
	for (size_t i = 1; i < slow.n_bounds; i++)
		assert_true(slow.bounds[i] > slow.bounds[i - 1]);
	assert_true(slow.bounds[slow.n_bounds - 1] == 300);
}

static struct fl_mono fixed_mono(void *arg)
{
	return (struct fl_mono){FL_NSEC_PER_SEC};
}

static int64_t fixed_unix_s(void *arg)
{
	return 1700000000;
}

/* All there is, with numbers that tell one from another: an interface, byte for byte. */
static void test_all_of_it(void **state)
{
	const struct fl_clock clock = {.mono = fixed_mono, .unix_s = fixed_unix_s};
	static const struct fl_metrics_map maps[] = {{"frontends", 60, 65536}, {"lines", 7, 100}};
	static const struct fl_metrics_device devices[] = {{"eth0", "external", "xdp"},
							   {"br\"0", "pod", "tc"}};
	static const struct fl_metrics_service traffic[] = {
		{FL_METRICS_OTHER, FL_METRICS_OTHER, 1, 8, {2, 3}, {4, 5}},
		{"default", "web", 6, 9, {70, 60}, {7000, 90000}}};
	static const struct fl_metrics_api api[] = {{"services", true, {1, 2}, 300, 0},
						    {"nodes", false, {4, 5}, 6, 7}};
	struct fl_histogram sync = fl_histogram_sync();
	struct fl_histogram programming[] = {fl_histogram_programming(),
					     fl_histogram_programming()};
	struct fl_health *health = NULL;
	uint64_t stats[FL_COUNTER_MAX];
	char abi[32];
	struct fl_metrics_facts f = {
		.synced = true,
		.proxy_healthy = true,
		.drift = 3,
		.stats = stats,
		.flows = {{.slots = 4096, .used = 10, .open = 6, .unanswered = 1},
			  {.slots = 1024, .used = 2, .open = 2}},
		.ports = {{.most = 500,
			   .top = {{"10.1.0.1:80/TCP", 500}, {"10.1.0.2:80/UDP", 9}},
			   .n = 2}},
		.source_ports = 33512,
		.masquerade_addresses = {3, 1},
		.next_hops = 4,
		.next_hops_max = 4096,
		.maps = maps,
		.n_maps = 2,
		.map_writes = 123,
		.revision = 5,
		.services = 7,
		.slices = 9,
		.service_ports = {11, 12},
		.refused_ports = 1,
		.frontends = 60,
		.backends = 16,
		.drained_backends = 2,
		.drains = 1,
		.backend_sets = 8,
		.judged = {2, 40, 0.75, 1.25},
		.devices = devices,
		.n_devices = 2,
		.traffic = traffic,
		.n_traffic = 2,
		.api = api,
		.n_api = 2,
		.health_ports = 2,
		.health_answers = {20, 5},
		.healthz = {100, 2},
		.livez = {50, 1},
		.scrape_s = 0.000125,
		.sync = &sync,
		.programming = programming,
		.slice_changes = 30,
		.slices_pending = 1,
		.service_changes = 31,
		.services_pending = 2,
		.last_sync_s = 1700000000.5,
		.last_queued_s = 1700000001.5,
		.without_local = {{1, 2}, {3, 4}},
		.process = {true, 1699999999.75, 12.5, 1 << 20, 1 << 24, 33},
	};
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < FL_COUNTER_MAX; i++)
		stats[i] = 1000 + i;
	for (size_t i = 0; i < FL_FLOW_STATES; i++)
		f.flows[FL_IPV4].states[i] = 10 * i;
	fl_histogram_observe(&sync, 0.003);
	fl_histogram_observe(&programming[FL_IPV6], 0.75);
	assert_int_equal(fl_health_new(&clock, NULL, NULL, &health), 0);
	fl_health_set(health, FL_CONDITION_LISTEN, "a", FL_HEALTH_WARNING, "x");
	fl_health_set(health, FL_CONDITION_LISTEN, "b", FL_HEALTH_ERROR, "x");
	fl_health_set(health, FL_CONDITION_LISTEN, "c", FL_HEALTH_ERROR, "x");
	f.health = health;
	text = fl_metrics_render(&f);
	fl_health_free(&health);
	assert_non_null(text);
	/* a new layout of the maps is none of metrics */
	snprintf(abi, sizeof(abi), "abi=\"%u\"", FL_ABI_VERSION);
	text = golden_replace(text, abi, "abi=\"@ABI@\"");
	assert_int_equal(golden_check("tests/golden/metrics/all.txt", text), 0);
}

/* What is not known is left out rather than shown as zero. */
static void test_what_is_not_known(void **state)
{
	struct fl_histogram h = fl_histogram_sync(), programming[] = {h, h};
	struct fl_metrics_facts f = {.drift = -1, .sync = &h, .programming = programming};
	const struct fl_clock clock = {.mono = fixed_mono, .unix_s = fixed_unix_s};
	struct fl_health *health = NULL;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(fl_health_new(&clock, NULL, NULL, &health), 0);
	f.health = health;
	text = fl_metrics_render(&f);
	fl_health_free(&health);
	assert_null(strstr(text, "fairlead_drift"));
	assert_null(strstr(text, "fairlead_not_forwarded_packets_total"));
	assert_null(strstr(text, "process_"));
	assert_null(strstr(text, "fairlead_api_"));
	assert_non_null(strstr(text, "\nfairlead_healthy 0\n"));
}

static void test_this_process(void **state)
{
	struct fl_metrics_process process = {.start_s = 5};

	fl_metrics_process_read(&process);
	if (!process.known) {
		fprintf(stderr, "SKIP: /proc is not mounted\n");
		skip();
	}
	assert_true(process.start_s == 5 && process.resident_bytes > 100000 &&
		    process.virtual_bytes > process.resident_bytes && process.fds >= 3);
}

/* docs/metrics.md has a row for each metric, in the same words, and no other. */
static void test_the_manual(void **state)
{
	_cleanup_free_ char *manual = golden_read("docs/metrics.md");
	size_t rows = 0;

	assert_non_null(manual);
	for (enum fl_metric metric = 0; metric < FL_METRIC_MAX; metric++) {
		const struct fl_metric_about *about = fl_metric_about(metric);
		char row[512];

		snprintf(row, sizeof(row), "\n| `%s` | %s | %s | %s |\n", about->name, about->type,
			 about->labels, about->help);
		if (!strstr(manual, row))
			fail_msg("docs/metrics.md has no row%s", row);
	}
	for (const char *at = manual; (at = strstr(at, "\n| `")); at++)
		rows += !strncmp(at + 4, "fairlead_", 9) || !strncmp(at + 4, "kubeproxy_", 10) ||
			!strncmp(at + 4, "process_", 8);
	assert_int_equal(rows, FL_METRIC_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help_and_type_come_once),
		cmocka_unit_test(test_histograms_add_up),
		cmocka_unit_test(test_8_bounds),
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_this_process),
		cmocka_unit_test(test_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
