/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What flows count, summed per Service while they live and when they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/agent/service_traffic.h"
#include "tests/unit/conntrack/table_fixture.h"

struct scene {
	struct fixture f;
	const char *name; /* of the Service that has the fixture's frontend; NULL: nobody */
	bool node_port;	  /* it has the port on every address instead */
	struct fl_service_traffic *traffic;
};

static bool service_of(const struct fl_frontend_key *key, const char **ret_ns,
		       const char **ret_name, void *arg)
{
	const struct scene *s = arg;
	struct fl_addr addr = s->node_port ? v6("::ffff:0.0.0.0") : v6("::ffff:10.96.0.1");

	assert_int_equal(ntohs(key->port), 80);
	if (!s->name || memcmp(&key->addr, &addr, sizeof(addr)))
		return false;
	*ret_ns = "default";
	*ret_name = s->name;
	return true;
}

static void start(struct scene *s, uint32_t max, bool begun)
{
	*s = (struct scene){.name = "web"};
	fixture_init(&s->f);
	s->traffic =
		fl_service_traffic_new(&(struct fl_service_traffic_options){.table = s->f.table,
									    .max = max,
									    .begun = begun,
									    .service = service_of,
									    .arg = s},
				       &s->f.sweep);
	assert_non_null(s->traffic);
}

static void pass(struct scene *s)
{
	fl_flow_sweep(&s->f.table, &s->f.sweep, NOW, HZ, BUCKETS);
}

/* The fixture's flow: 5 packets and 500 bytes so far, and 4 and 4000 of replies. */
static struct fl_flow_head *add_flow(struct scene *s, uint32_t i, uint32_t last_seen)
{
	fixture_pair(&s->f, &(struct pair){FL_IPV4, SLOT(0, 0) + i, SLOT(4, 0) + i,
					   .state = FL_FLOW_ESTABLISHED, .last_seen = last_seen,
					   .reply_last_seen = last_seen,
					   .client_port = (uint16_t)(40000 + i)});
	return fixture_head(&s->f, FL_IPV4, SLOT(0, 0) + i);
}

/* The i-th series; 0 is the rest. */
static void expect(struct scene *s, size_t i, const char *name, uint64_t connections,
		   uint64_t packets, uint64_t bytes, uint64_t reply_packets, uint64_t reply_bytes)
{
	const struct fl_metrics_service *all;
	size_t n;

	all = fl_service_series_all(fl_service_traffic_series(s->traffic), &n);
	assert_true(i < n);
	assert_string_equal(all[i].name, name);
	assert_int_equal(all[i].connections, connections);
	assert_int_equal(all[i].packets[0], packets);
	assert_int_equal(all[i].bytes[0], bytes);
	assert_int_equal(all[i].packets[1], reply_packets);
	assert_int_equal(all[i].bytes[1], reply_bytes);
}

static void test_a_flow_counts_while_it_lives_and_when_it_ends(void **state)
{
	struct scene s;
	struct fl_flow_head *head;

	start(&s, 10, false);
	head = add_flow(&s, 0, NOW);
	pass(&s);
	expect(&s, 1, "web", 1, 5, 500, 4, 4000);
	pass(&s);
	expect(&s, 1, "web", 1, 5, 500, 4, 4000);
	head->packets += 2;
	head->bytes_low += 100;
	/* it ends in the pass that meets these two */
	head->last_seen = NOW - 2000 * HZ;
	fixture_head(&s.f, FL_IPV4, SLOT(4, 0))->last_seen = NOW - 2000 * HZ;
	pass(&s);
	assert_int_equal(fixture_state(&s.f, FL_IPV4, SLOT(0, 0)), FL_FLOW_FREE);
	expect(&s, 1, "web", 1, 7, 600, 4, 4000);
	/* another one at the same place */
	add_flow(&s, 0, NOW);
	pass(&s);
	expect(&s, 1, "web", 2, 12, 1100, 8, 8000);
	expect(&s, 0, FL_METRICS_OTHER, 0, 0, 0, 0, 0);
	fl_service_traffic_free(&s.traffic);
}

static void test_counters_wrap(void **state)
{
	struct scene s;
	struct fl_flow_head *head;

	start(&s, 10, false);
	head = add_flow(&s, 0, NOW);
	head->packets = UINT32_MAX;
	head->bytes_low = UINT32_MAX;
	head->bytes_high = UINT8_MAX;
	pass(&s);
	head->packets = 1;
	head->bytes_low = 9;
	head->bytes_high = 0;
	pass(&s);
	expect(&s, 1, "web", 1, (1ULL << 32) + 1, (1ULL << 40) + 9, 4, 4000);
	fl_service_traffic_free(&s.traffic);
}

static void test_what_an_earlier_agent_has_counted_is_not_counted_again(void **state)
{
	struct scene s;
	struct fl_flow_head *head;

	start(&s, 10, true);
	head = add_flow(&s, 0, NOW);
	pass(&s);
	head->packets++;
	head->bytes_low += 60;
	add_flow(&s, 1, NOW);
	pass(&s);
	expect(&s, 1, "web", 1, 6, 560, 4, 4000);
	fl_service_traffic_free(&s.traffic);
}

static void test_2_19_node_ports_and_frontends_of_nobody(void **state)
{
	struct scene s;
	size_t n;

	start(&s, 10, false);
	s.node_port = true;
	add_flow(&s, 0, NOW);
	pass(&s);
	expect(&s, 1, "web", 1, 5, 500, 4, 4000);
	s.name = NULL;
	add_flow(&s, 1, NOW);
	s.name = "web";
	add_flow(&s, 2, NOW)->flags |= FL_FLOW_KERNEL;
	fixture_head(&s.f, FL_IPV4, SLOT(4, 2))->flags |= FL_FLOW_KERNEL;
	s.name = NULL;
	pass(&s);
	expect(&s, 1, "web", 1, 5, 500, 4, 4000);
	fl_service_series_all(fl_service_traffic_series(s.traffic), &n);
	assert_int_equal(n, 2);
	fl_service_traffic_free(&s.traffic);
}

static bool is_not_web(const char *ns, const char *name, void *arg)
{
	return strcmp(name, "web");
}

static void test_the_rest_is_summed_and_series_come_free(void **state)
{
	struct scene s;
	struct fl_flow_head *head;
	struct fl_service_series *series;

	start(&s, 1, false);
	series = fl_service_traffic_series(s.traffic);
	head = add_flow(&s, 0, NOW);
	pass(&s);
	assert_false(fl_service_series_is_short(series));
	s.name = "api";
	add_flow(&s, 1, NOW);
	pass(&s);
	assert_true(fl_service_series_is_short(series));
	expect(&s, 0, FL_METRICS_OTHER, 1, 5, 500, 4, 4000);
	expect(&s, 1, "web", 1, 5, 500, 4, 4000);
	fl_service_series_forget(series, is_not_web, NULL);
	assert_false(fl_service_series_is_short(series));
	s.name = "db";
	add_flow(&s, 2, NOW);
	/* of the one that was forgotten */
	head->packets += 7;
	pass(&s);
	expect(&s, 0, FL_METRICS_OTHER, 1, 12, 500, 4, 4000);
	expect(&s, 1, "db", 1, 5, 500, 4, 4000);
	fl_service_traffic_free(&s.traffic);
}

static void test_without_series_all_is_the_rest(void **state)
{
	struct scene s;

	start(&s, 0, false);
	add_flow(&s, 0, NOW);
	pass(&s);
	expect(&s, 0, FL_METRICS_OTHER, 1, 5, 500, 4, 4000);
	fl_service_traffic_free(&s.traffic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_counts_while_it_lives_and_when_it_ends),
		cmocka_unit_test(test_counters_wrap),
		cmocka_unit_test(test_what_an_earlier_agent_has_counted_is_not_counted_again),
		cmocka_unit_test(test_2_19_node_ports_and_frontends_of_nobody),
		cmocka_unit_test(test_the_rest_is_summed_and_series_come_free),
		cmocka_unit_test(test_without_series_all_is_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
