/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the datapath's numbers say is wrong, sample by sample, with a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/gauges.h"
#include "tests/unit/agent/health_fixture.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct scene {
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_gauges gauges;
	struct fl_gauge_sample sample;
};

static int setup(void **state)
{
	static struct scene scene;

	scene = (struct scene){.hands = {FL_NSEC_PER_SEC}};
	scene.health = health_with(&scene.hands);
	scene.gauges.health = scene.health;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		scene.sample.flows[family].slots = 1000;
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	fl_health_free(&((struct scene *)*state)->health);
	return 0;
}

static void sample(struct scene *s)
{
	s->hands = fl_mono_plus_ms(s->hands, FL_GAUGES_MS);
	fl_gauges_update(&s->gauges, &s->sample);
}

/* -1: not set */
static int level_of(const struct scene *s, enum fl_condition_kind kind, const char *subject)
{
	const struct fl_condition *condition = fl_health_find(s->health, kind, subject);

	return condition ? (int)condition->level : -1;
}

static void test_nothing_is_wrong_with_an_idle_node(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 30; i++)
		sample(s);
	for (int kind = 0; kind < FL_CONDITION_KINDS; kind++)
		assert_false(fl_health_has(s->health, kind));
}

static void test_counts_of_before_the_start_are_no_news(void **state)
{
	struct scene *s = *state;

	s->sample.reasons[FL_REASON_NO_ROUTE] = 100000;
	s->sample.flows_created = 100000;
	sample(s);
	sample(s);
	assert_false(fl_health_has(s->health, FL_CONDITION_DROPS));
	assert_false(fl_health_has(s->health, FL_CONDITION_REPLIES));
}

static void test_drops_that_rise_are_an_error_until_a_minute_after(void **state)
{
	static const struct {
		enum fl_reason reason;
		const char *token;
		enum fl_health_level level;
	} rows[] = {
		{FL_REASON_NO_ROUTE, "no-route", FL_HEALTH_ERROR},
		{FL_REASON_NO_SOURCE_PORT, "no-source-port", FL_HEALTH_ERROR},
		{FL_REASON_FLOW_TABLE_FULL, "flow-table-full", FL_HEALTH_ERROR},
		{FL_REASON_NO_BACKEND, "no-backend", FL_HEALTH_ERROR},
		{FL_REASON_NO_MASQUERADE_ADDRESS, "no-masquerade-address", FL_HEALTH_ERROR},
		{FL_REASON_REWRITE_FAILED, "rewrite-failed", FL_HEALTH_ERROR},
		{FL_REASON_NEW_FLOW_RATE, "new-flow-rate", FL_HEALTH_WARNING},
	};
	struct scene *s = *state;

	for (size_t i = 0; i < N(rows); i++) {
		sample(s);
		s->sample.reasons[rows[i].reason] += 10;
		sample(s);
		assert_int_equal(level_of(s, FL_CONDITION_DROPS, rows[i].token), rows[i].level);
		assert_true(fl_gauges_rose(&s->gauges, rows[i].reason));
		for (uint64_t ms = FL_GAUGES_MS; ms < 60000; ms += FL_GAUGES_MS) {
			sample(s);
			assert_int_equal(level_of(s, FL_CONDITION_DROPS, rows[i].token),
					 rows[i].level);
			assert_false(fl_gauges_rose(&s->gauges, rows[i].reason));
		}
		sample(s);
		assert_int_equal(level_of(s, FL_CONDITION_DROPS, rows[i].token), -1);
	}
}

/* A route or a neighbour that was late loses a packet or two. */
static void test_some_drops_are_a_note(void **state)
{
	struct scene *s = *state;

	sample(s);
	s->sample.reasons[FL_REASON_NO_ROUTE] = 9;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_DROPS, "no-route"), FL_HEALTH_NOTE);
	assert_true(fl_health_is_good(s->health));
	s->sample.reasons[FL_REASON_NO_ROUTE]++;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_DROPS, "no-route"), FL_HEALTH_ERROR);
}

/* One now and then never adds up to many. */
static void test_a_trickle_of_drops_stays_a_note(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 200; i++) {
		s->sample.reasons[FL_REASON_NO_ROUTE] += i % 3 == 0;
		sample(s);
		assert_true(fl_health_is_good(s->health));
	}
	assert_int_equal(level_of(s, FL_CONDITION_DROPS, "no-route"), FL_HEALTH_NOTE);
}

/* What a Service's own policies drop is as it should be. */
static void test_drops_that_were_asked_for_are_no_condition(void **state)
{
	static const enum fl_reason fine[] = {
		FL_REASON_NO_LOCAL_ENDPOINT, FL_REASON_SOURCE_RANGE, FL_REASON_REJECT_NO_ENDPOINT,
		FL_REASON_REJECT_UNKNOWN_PORT, FL_REASON_TTL_EXCEEDED};
	struct scene *s = *state;

	sample(s);
	for (size_t i = 0; i < N(fine); i++)
		s->sample.reasons[fine[i]] = 100000;
	sample(s);
	assert_false(fl_health_has(s->health, FL_CONDITION_DROPS));
}

static void test_a_family_that_is_full_is_not_hidden_by_the_other(void **state)
{
	struct scene *s = *state;

	s->sample.flows[FL_IPV6].slots = 1000000;
	s->sample.flows[FL_IPV4].used = 899;
	sample(s);
	assert_false(fl_health_has(s->health, FL_CONDITION_FLOW_TABLE));
	/* embryonic flows make room, established ones do not */
	s->sample.flows[FL_IPV4].used = 1000;
	s->sample.flows[FL_IPV4].proven = 100;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_FLOW_TABLE, "IPv4"), FL_HEALTH_WARNING);
	s->sample.flows[FL_IPV4].proven = 900;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_FLOW_TABLE, "IPv4"), FL_HEALTH_ERROR);
	assert_non_null(strstr(condition_text(s->health, FL_CONDITION_FLOW_TABLE, "IPv4"),
			       "maps.flowBuckets4"));
	assert_int_equal(level_of(s, FL_CONDITION_FLOW_TABLE, "IPv6"), -1);
	s->sample.flows[FL_IPV4].used = 500;
	sample(s);
	assert_false(fl_health_has(s->health, FL_CONDITION_FLOW_TABLE));
}

/* At so many new flows per second, of which so many percent get no reply, all waiting a minute. */
static void run(struct scene *s, uint64_t per_second, uint64_t percent)
{
	s->sample.flows_created += per_second * FL_GAUGES_MS / 1000;
	s->sample.flows[FL_IPV4].unanswered = per_second * 60 * percent / 100;
	sample(s);
}

static void test_many_flows_without_a_reply_are_a_condition(void **state)
{
	static const struct {
		uint64_t per_second, percent;
		int level;
	} rows[] = {
		{1000, 0, -1},		       /* all are answered */
		{1000, 1, -1},		       /* some scanner */
		{1000, 10, FL_HEALTH_WARNING}, /* one backend of ten */
		{1000, 100, FL_HEALTH_ERROR},
		{1, 100, FL_HEALTH_ERROR},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct scene *s;

		teardown(state);
		setup(state);
		s = *state;
		for (int k = 0; k < 2 * FL_GAUGES_KEPT; k++)
			run(s, rows[i].per_second, rows[i].percent);
		assert_int_equal(level_of(s, FL_CONDITION_REPLIES, ""), rows[i].level);
		for (int k = 0; k < 2 * FL_GAUGES_KEPT; k++)
			run(s, rows[i].per_second, 0);
		assert_int_equal(level_of(s, FL_CONDITION_REPLIES, ""), -1);
	}
}

/* A handful says nothing about the node. */
static void test_few_flows_without_a_reply_are_none(void **state)
{
	struct scene *s = *state;

	sample(s);
	s->sample.flows[FL_IPV4].unanswered = 10;
	s->sample.flows[FL_IPV6].unanswered = 9;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_REPLIES, ""), -1);
	s->sample.flows[FL_IPV6].unanswered = 10;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_REPLIES, ""), FL_HEALTH_ERROR);
}

static void test_flows_that_leave_unserved_are_told(void **state)
{
	struct scene *s = *state;

	s->sample.flows_unserved_exit = 1000; /* before this agent */
	sample(s);
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_UNSERVED_EXIT, ""), -1);
	s->sample.flows_unserved_exit += 7;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_UNSERVED_EXIT, ""), FL_HEALTH_WARNING);
	assert_memory_equal(fl_health_find(s->health, FL_CONDITION_UNSERVED_EXIT, "")->text,
			    "7 flows left unmasqueraded", 26);
	for (int k = 0; k < FL_GAUGES_KEPT; k++)
		sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_UNSERVED_EXIT, ""), -1);
}

static void test_a_map_that_fills_up_is_named_with_its_setting(void **state)
{
	struct fl_map_use maps[] = {{"lines", "maps.lines", 89, 100},
				    {"devices", "maps.devices", 0, 0}};
	struct scene *s = *state;

	s->sample.maps = maps;
	s->sample.n_maps = N(maps);
	sample(s);
	assert_false(fl_health_has(s->health, FL_CONDITION_MAP));
	maps[0].used = 90;
	sample(s);
	assert_int_equal(level_of(s, FL_CONDITION_MAP, "lines"), FL_HEALTH_WARNING);
	assert_string_equal(condition_text(s->health, FL_CONDITION_MAP, "lines"),
			    "map lines is 90 % full, 90 of 100: raise maps.lines");
	maps[0].used = 10;
	sample(s);
	assert_false(fl_health_has(s->health, FL_CONDITION_MAP));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_wrong_with_an_idle_node),
		TEST(test_counts_of_before_the_start_are_no_news),
		TEST(test_drops_that_rise_are_an_error_until_a_minute_after),
		TEST(test_some_drops_are_a_note),
		TEST(test_a_trickle_of_drops_stays_a_note),
		TEST(test_drops_that_were_asked_for_are_no_condition),
		TEST(test_a_family_that_is_full_is_not_hidden_by_the_other),
		TEST(test_many_flows_without_a_reply_are_a_condition),
		TEST(test_few_flows_without_a_reply_are_none),
		TEST(test_flows_that_leave_unserved_are_told),
		TEST(test_a_map_that_fills_up_is_named_with_its_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
