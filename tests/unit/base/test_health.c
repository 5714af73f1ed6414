/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conditions: edges once each, scans, order, limits; times by a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lb/base/health.h"

struct hands {
	uint64_t ns;
	int64_t unix_s;
};

struct scene {
	struct hands hands;
	struct fl_health *health;
	char edges[4096]; /* a line per edge */
	size_t n_edges;
};

static struct fl_mono fake_mono(void *arg)
{
	return (struct fl_mono){((struct hands *)arg)->ns};
}

static int64_t fake_unix_s(void *arg)
{
	return ((struct hands *)arg)->unix_s;
}

static void on_edge(enum fl_health_edge edge, const struct fl_condition *c, uint64_t lasted_ms,
		    void *arg)
{
	static const char *const words[] = {"raised", "level", "text", "resolved"};
	struct scene *scene = arg;
	size_t used = strlen(scene->edges);

	scene->n_edges++;
	snprintf(scene->edges + used, sizeof(scene->edges) - used, "%s %s/%s %s \"%s\" %llu\n",
		 words[edge], fl_condition_token(c->kind), c->subject,
		 fl_health_level_name(c->level), c->text, (unsigned long long)lasted_ms);
}

static int setup(void **state)
{
	static struct scene scene;
	struct fl_clock clock = {.mono = fake_mono, .unix_s = fake_unix_s, .arg = &scene.hands};

	scene = (struct scene){.hands = {.ns = 5000000000, .unix_s = 1700000000}};
	*state = &scene;
	return fl_health_new(&clock, on_edge, &scene, &scene.health);
}

static int teardown(void **state)
{
	fl_health_free(&((struct scene *)*state)->health);
	return 0;
}

static void expect_edges(struct scene *scene, const char *edges)
{
	assert_string_equal(scene->edges, edges);
	scene->edges[0] = '\0';
}

static void after_ms(struct scene *scene, uint64_t ms)
{
	scene->hands.ns += ms * FL_NSEC_PER_MSEC;
	scene->hands.unix_s += (int64_t)(ms / 1000);
}

static void test_a_condition_is_reported_when_it_begins_and_when_it_ends(void **state)
{
	struct scene *s = *state;
	const struct fl_condition *c;

	for (int i = 0; i < 3; i++) {
		fl_health_set(s->health, FL_CONDITION_PINS, "", FL_HEALTH_ERROR, "%d pins", 3);
		after_ms(s, 1500);
	}
	expect_edges(s, "raised pins/ error \"3 pins\" 0\n");
	c = fl_health_find(s->health, FL_CONDITION_PINS, "");
	assert_non_null(c);
	assert_int_equal(c->since.ns, 5000000000);
	assert_int_equal(c->since_unix_s, 1700000000);
	assert_false(fl_health_is_good(s->health));

	fl_health_clear(s->health, FL_CONDITION_PINS, "");
	fl_health_clear(s->health, FL_CONDITION_PINS, "");
	expect_edges(s, "resolved pins/ error \"3 pins\" 4500\n");
	assert_null(fl_health_find(s->health, FL_CONDITION_PINS, ""));
	assert_true(fl_health_is_good(s->health));
}

static void test_a_change_keeps_the_moment_it_began(void **state)
{
	struct scene *s = *state;

	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_WARNING, "slow");
	after_ms(s, 1000);
	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_WARNING, "slower");
	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_ERROR, "dead");
	expect_edges(s, "raised device/eth0 warning \"slow\" 0\n"
			"text device/eth0 warning \"slower\" 1000\n"
			"level device/eth0 error \"dead\" 1000\n");
	assert_int_equal(fl_health_find(s->health, FL_CONDITION_DEVICE, "eth0")->since.ns,
			 5000000000);
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_WARNING), 0);
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 1);
}

static void test_a_scan_resolves_what_it_did_not_find_again(void **state)
{
	struct scene *s = *state;

	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_WARNING, "down");
	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth1", FL_HEALTH_WARNING, "down");
	fl_health_set(s->health, FL_CONDITION_PINS, "", FL_HEALTH_ERROR, "gone");
	s->edges[0] = '\0';
	after_ms(s, 10);
	fl_health_scan_begin(s->health, FL_CONDITION_DEVICE);
	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth2", FL_HEALTH_WARNING, "down");
	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth1", FL_HEALTH_WARNING, "down");
	fl_health_scan_end(s->health, FL_CONDITION_DEVICE);
	expect_edges(s, "raised device/eth2 warning \"down\" 0\n"
			"resolved device/eth0 warning \"down\" 10\n");
	assert_non_null(fl_health_find(s->health, FL_CONDITION_PINS, ""));
	fl_health_scan_begin(s->health, FL_CONDITION_DEVICE);
	fl_health_scan_end(s->health, FL_CONDITION_DEVICE);
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_WARNING), 0);
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 1);
}

static int add_line(const struct fl_condition *c, void *arg)
{
	char *text = arg;

	sprintf(text + strlen(text), "%s/%s ", fl_condition_token(c->kind), c->subject);
	return 0;
}

static void test_the_worst_come_first_in_an_order_that_stays(void **state)
{
	static const struct {
		enum fl_condition_kind kind;
		const char *subject;
		enum fl_health_level level;
	} rows[] = {
		{FL_CONDITION_OBJECT, "b.yaml:1", FL_HEALTH_NOTE},
		{FL_CONDITION_DEVICE, "eth1", FL_HEALTH_ERROR},
		{FL_CONDITION_OBJECT, "a.yaml:9", FL_HEALTH_WARNING},
		{FL_CONDITION_PINS, "", FL_HEALTH_WARNING},
		{FL_CONDITION_DEVICE, "eth0", FL_HEALTH_ERROR},
	};
	struct scene *s = *state;
	const size_t n = sizeof(rows) / sizeof(rows[0]);

	for (size_t first = 0; first < n; first++) {
		char text[256] = "";

		for (size_t i = 0; i < n; i++)
			fl_health_clear(s->health, rows[i].kind, rows[i].subject);
		for (size_t i = 0; i < n; i++)
			fl_health_set(s->health, rows[(first + i) % n].kind,
				      rows[(first + i) % n].subject, rows[(first + i) % n].level,
				      "text");
		fl_health_each(s->health, add_line, text);
		assert_string_equal(
			text, "device/eth0 device/eth1 pins/ object/a.yaml:9 object/b.yaml:1 ");
	}
}

static void test_more_than_the_limit_are_counted_not_kept(void **state)
{
	struct scene *s = *state;

	for (int round = 0; round < 2; round++) {
		fl_health_scan_begin(s->health, FL_CONDITION_CONFLICT);
		for (int i = 0; i < FL_HEALTH_KIND_MAX + 7; i++) {
			char subject[32];

			snprintf(subject, sizeof(subject), "10.0.0.%d", i);
			fl_health_set(s->health, FL_CONDITION_CONFLICT, subject, FL_HEALTH_ERROR,
				      "two");
		}
		fl_health_scan_end(s->health, FL_CONDITION_CONFLICT);
		assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR),
				 FL_HEALTH_KIND_MAX + 7);
		assert_int_equal(fl_health_count_unkept(s->health), 7);
		assert_int_equal(s->n_edges, FL_HEALTH_KIND_MAX);
	}
	fl_health_scan_begin(s->health, FL_CONDITION_CONFLICT);
	fl_health_scan_end(s->health, FL_CONDITION_CONFLICT);
	assert_true(fl_health_is_good(s->health));
	assert_int_equal(fl_health_count_unkept(s->health), 0);
}

static void test_each_kind_has_a_token_of_its_own(void **state)
{
	for (int a = 0; a < FL_CONDITION_KINDS; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(fl_condition_token(a), fl_condition_token(b));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_condition_is_reported_when_it_begins_and_when_it_ends),
		TEST(test_a_change_keeps_the_moment_it_began),
		TEST(test_a_scan_resolves_what_it_did_not_find_again),
		TEST(test_the_worst_come_first_in_an_order_that_stays),
		TEST(test_more_than_the_limit_are_counted_not_kept),
		TEST(test_each_kind_has_a_token_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
