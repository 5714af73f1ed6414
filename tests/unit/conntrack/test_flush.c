/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Freeing chosen flows, whatever their age (`fairlead flow flush`). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/conntrack/table_fixture.h"

static bool match_port(const struct fl_flow *flow, void *arg)
{
	return flow->client_port == *(uint16_t *)arg;
}

static void test_only_matching_flows_go_and_both_halves_do(void **state)
{
	struct fixture f;
	uint16_t port = 2;

	fixture_init(&f);
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 0, 9, .state = FL_FLOW_ESTABLISHED, .last_seen = NOW,
				    .reply_last_seen = NOW, .client_port = 1});
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 8, 1, .state = FL_FLOW_ESTABLISHED, .last_seen = NOW,
				    .reply_last_seen = NOW, .client_port = 2});
	fixture_pair(&f, &(struct pair){FL_IPV6, 5, 2, .state = FL_FLOW_NEW, .last_seen = NOW,
					.reply_last_seen = NOW, .client_port = 2});
	assert_int_equal(fl_flow_flush(&f.table, NOW, match_port, &port), 2);
	assert_int_equal(fixture_state(&f, FL_IPV4, 0), FL_FLOW_ESTABLISHED);
	assert_int_equal(fixture_state(&f, FL_IPV4, 9), FL_FLOW_ESTABLISHED);
	assert_int_equal(fixture_state(&f, FL_IPV4, 8), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&f, FL_IPV4, 1), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&f, FL_IPV6, 5), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&f, FL_IPV6, 2), FL_FLOW_FREE);
}

static void test_lone_reply_tells_the_flow_too(void **state)
{
	struct fixture f;
	uint16_t port = 2, other = 3;

	fixture_init(&f);
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 0, 9, .state = FL_FLOW_ESTABLISHED, .client_port = 2});
	f.b4[0].way[0].head.word = 8 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_FREE;
	assert_int_equal(fl_flow_flush(&f.table, NOW, match_port, &other), 0);
	assert_int_equal(fl_flow_flush(&f.table, NOW, match_port, &port), 1);
	assert_int_equal(fixture_state(&f, FL_IPV4, 9), FL_FLOW_FREE);
}

static void test_no_match_function_frees_all(void **state)
{
	struct fixture f;
	struct fl_flow_counts counts;

	fixture_init(&f);
	for (uint32_t i = 0; i < BUCKETS; i++)
		fixture_pair(&f, &(struct pair){i % 2 ? FL_IPV4 : FL_IPV6, SLOT(i, 0), SLOT(i, 3),
						.state = FL_FLOW_ESTABLISHED, .last_seen = NOW});
	assert_int_equal(fl_flow_flush(&f.table, NOW, NULL, NULL), BUCKETS);
	fl_flow_count(&f.table, &counts);
	assert_int_equal(counts.lone, 0);
	for (int s = 0; s < FL_FLOW_STATES; s++)
		assert_int_equal(counts.flows[FL_IPV4][s] + counts.flows[FL_IPV6][s], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_matching_flows_go_and_both_halves_do),
		cmocka_unit_test(test_lone_reply_tells_the_flow_too),
		cmocka_unit_test(test_no_match_function_frees_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
