/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Listing and counting: one flow per pair, as its original direction describes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/conntrack/table_fixture.h"

struct seen {
	size_t n;
	struct fl_flow flow[16];
};

static int note(const struct fl_flow *flow, void *arg)
{
	struct seen *seen = arg;

	seen->flow[seen->n++] = *flow;
	return seen->n == 16;
}

static void assert_ip(const struct fl_ip *ip, const char *text)
{
	char buf[FL_IP_STRLEN];

	assert_string_equal(fl_ip_format(ip, buf), text);
}

static void test_pair_is_one_flow_with_both_translations(void **state)
{
	struct fixture f;
	struct seen seen = {0};

	fixture_init(&f);
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, SLOT(1, 2), SLOT(6, 0), .state = FL_FLOW_ESTABLISHED,
				    .last_seen = NOW - 900, .reply_last_seen = NOW - 700});
	assert_int_equal(fl_flow_walk(&f.table, NOW, note, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_ip(&seen.flow[0].client, "10.0.0.1");
	assert_int_equal(seen.flow[0].client_port, 40000);
	assert_ip(&seen.flow[0].frontend, "10.96.0.1");
	assert_int_equal(seen.flow[0].frontend_port, 80);
	assert_ip(&seen.flow[0].source, "10.9.9.9");
	assert_ip(&seen.flow[0].backend, "10.1.0.9");
	assert_int_equal(seen.flow[0].backend_port, 8080);
	assert_int_equal(seen.flow[0].state, FL_FLOW_ESTABLISHED);
	assert_true(seen.flow[0].reply_known);
	assert_int_equal(seen.flow[0].slot, SLOT(1, 2));
	assert_int_equal(seen.flow[0].reply_slot, SLOT(6, 0));
	assert_int_equal(seen.flow[0].idle_jiffies, 700); /* the later of both */
	assert_int_equal(seen.flow[0].packets, 5);
	assert_int_equal(seen.flow[0].reply_bytes, 4000);
	assert_int_equal(seen.flow[0].backend_id, 7);
}

static void test_ipv6_pair(void **state)
{
	struct fixture f;
	struct seen seen = {0};

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV6, SLOT(0, 0), SLOT(0, 1), IPPROTO_UDP, FL_FLOW_NEW,
					NOW, NOW, 0});
	assert_int_equal(fl_flow_walk(&f.table, NOW, note, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.flow[0].family, FL_IPV6);
	assert_ip(&seen.flow[0].client, "fd00::1");
	assert_ip(&seen.flow[0].backend, "fd01::9");
	assert_int_equal(seen.flow[0].proto, IPPROTO_UDP);
}

static void test_free_busy_and_nonsense_words_are_no_flows(void **state)
{
	struct fixture f;
	struct seen seen = {0};

	fixture_init(&f);
	f.b4[0].way[0].head.word = 9 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_BUSY;
	f.b4[0].way[1].head.word = 9 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_FREE;
	f.b4[0].way[2].head.word = 9 << FL_FLOW_GENERATION_SHIFT | 0xee;
	assert_int_equal(fl_flow_walk(&f.table, NOW, note, &seen), 0);
	assert_int_equal(seen.n, 0);
}

static void test_twin_of_another_generation_or_out_of_range_is_unknown(void **state)
{
	struct fixture f;
	struct seen seen = {0};

	fixture_init(&f);
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_ESTABLISHED, .last_seen = NOW});
	f.b4[0].way[0].head.twin_generation++;
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 4, 5, .state = FL_FLOW_ESTABLISHED, .last_seen = NOW});
	f.b4[1].way[0].head.twin =
		UINT32_MAX; /* the table is written by others: any value may be there */
	fl_flow_walk(&f.table, NOW, note, &seen);
	assert_int_equal(seen.n, 2);
	assert_false(seen.flow[0].reply_known);
	assert_false(seen.flow[1].reply_known);
	assert_ip(&seen.flow[1].backend, "10.1.0.9");
}

static void test_state_of_the_original_counts_while_both_differ(void **state)
{
	struct fixture f;
	struct seen seen = {0};

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_REPLIED});
	f.b4[0].way[0].head.word += FL_FLOW_ESTABLISHED - FL_FLOW_REPLIED;
	fl_flow_walk(&f.table, NOW, note, &seen);
	assert_int_equal(seen.flow[0].state, FL_FLOW_ESTABLISHED);
	assert_true(seen.flow[0].reply_known);
}

static void test_future_last_seen_is_not_idle(void **state)
{
	struct fixture f;
	struct seen seen = {0};

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_NEW, .last_seen = 5,
					.reply_last_seen = 0xfffffff0U});
	/* jiffies have wrapped for the original only; now is before it */
	fl_flow_walk(&f.table, 0x100000002ULL, note, &seen);
	assert_int_equal(seen.flow[0].idle_jiffies, 0);
}

static int stop_at_first(const struct fl_flow *flow, void *arg)
{
	++*(int *)arg;
	return -7;
}

static void test_walk_stops_when_told(void **state)
{
	struct fixture f;
	int calls = 0;

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_NEW});
	fixture_pair(&f, &(struct pair){FL_IPV6, 0, 1, .state = FL_FLOW_NEW});
	assert_int_equal(fl_flow_walk(&f.table, NOW, stop_at_first, &calls), -7);
	assert_int_equal(calls, 1);
}

static void test_counts(void **state)
{
	struct fixture f;
	struct fl_flow_counts counts;
	struct fl_flow_table absent = {0};

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_NEW});
	fixture_pair(&f, &(struct pair){FL_IPV4, 2, 9, .state = FL_FLOW_ESTABLISHED});
	fixture_pair(&f, &(struct pair){FL_IPV6, 2, 9, .state = FL_FLOW_CLOSING});
	fixture_pair(&f, &(struct pair){FL_IPV6, 4, 5, .state = FL_FLOW_NEW});
	/* the replies of both are gone: one is mended by its next packet, the other is over */
	f.b4[0].way[1].head.word = 0;
	fixture_pair(&f, &(struct pair){FL_IPV4, 3, 10, .state = FL_FLOW_ESTABLISHED});
	f.b4[10 / FL_FLOW_WAYS].way[10 % FL_FLOW_WAYS].head.word = 0;
	fl_flow_count(&f.table, &counts);
	assert_int_equal(counts.slots[FL_IPV4], BUCKETS * FL_FLOW_WAYS);
	assert_int_equal(counts.slots[FL_IPV6], BUCKETS * FL_FLOW_WAYS);
	assert_int_equal(counts.flows[FL_IPV4][FL_FLOW_NEW], 0);
	assert_int_equal(counts.flows[FL_IPV4][FL_FLOW_ESTABLISHED], 2);
	assert_int_equal(counts.flows[FL_IPV6][FL_FLOW_NEW], 1);
	assert_int_equal(counts.flows[FL_IPV6][FL_FLOW_CLOSING], 1);
	assert_int_equal(counts.lone, 2);
	fl_flow_count(&absent, &counts);
	assert_int_equal(counts.slots[FL_IPV4], 0);
	assert_int_equal(counts.slots[FL_IPV6], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair_is_one_flow_with_both_translations),
		cmocka_unit_test(test_ipv6_pair),
		cmocka_unit_test(test_free_busy_and_nonsense_words_are_no_flows),
		cmocka_unit_test(test_twin_of_another_generation_or_out_of_range_is_unknown),
		cmocka_unit_test(test_state_of_the_original_counts_while_both_differ),
		cmocka_unit_test(test_future_last_seen_is_not_idle),
		cmocka_unit_test(test_walk_stops_when_told),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
