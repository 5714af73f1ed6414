/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ports in use by backend, counted by the sweep in passing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/agent/port_use.h"
#include "tests/unit/conntrack/table_fixture.h"

#define BACKENDS 64

struct scene {
	struct fixture f;
	struct fl_backend backends[BACKENDS];
	struct fl_maps maps;
	struct fl_port_use use;
};

static void start(struct scene *s, uint32_t ports)
{
	*s = (struct scene){.maps = FL_MAPS_INIT};
	fixture_init(&s->f);
	for (size_t i = 0; i < BACKENDS; i++) {
		s->backends[i] = (struct fl_backend){
			.port = htons((uint16_t)(8000 + i)), .proto = IPPROTO_UDP, .generation = 1};
		s->backends[i].addr = v6("::ffff:10.1.0.9");
	}
	s->maps.backends = s->backends;
	s->maps.n_backends = BACKENDS;
	assert_int_equal(fl_port_use_init(&s->use, &s->maps, ports, &s->f.sweep), 0);
}

static void pass(struct scene *s)
{
	fl_flow_sweep(&s->f.table, &s->f.sweep, NOW, HZ, BUCKETS);
}

/* The i-th flow, masqueraded unless `keeps`, to this backend. */
static void add_flow(struct scene *s, uint32_t i, uint32_t backend, bool keeps)
{
	struct fl_flow_head *head;

	/* both tables together are too small to tell more than a few backends apart */
	fixture_pair(&s->f,
		     &(struct pair){FL_IPV4, SLOT(0, 0) + i, SLOT(4, 0) + i,
				    .state = FL_FLOW_ESTABLISHED, .last_seen = NOW,
				    .reply_last_seen = NOW, .client_port = (uint16_t)(40000 + i)});
	head = fixture_head(&s->f, FL_IPV4, SLOT(0, 0) + i);
	fl_flow_set_backend(head, backend);
	if (keeps)
		head->flags = 0;
}

static void test_the_fullest_come_first(void **state)
{
	struct scene s;
	const struct fl_metrics_ports *report = &s.use.counts[FL_IPV4].report;

	start(&s, 10);
	for (uint32_t i = 0; i < 9; i++)
		add_flow(&s, i, i < 2 ? 3 : i < 7 ? 5 : 60, false);
	add_flow(&s, 9, 3, true);	   /* takes no port */
	add_flow(&s, 10, BACKENDS, false); /* there is no such one */
	assert_int_equal(report->n, 0);
	pass(&s);
	assert_int_equal(report->most, 5);
	assert_int_equal(report->n, 3);
	assert_string_equal(report->top[0].backend, "10.1.0.9:8005/UDP");
	assert_int_equal(report->top[0].used, 5);
	assert_int_equal(report->top[1].used, 2);
	assert_int_equal(report->top[2].used, 2);
	assert_int_equal(s.use.counts[FL_IPV6].report.n, 0);
	/* flows that are gone are gone from the next pass on */
	for (uint32_t i = 0; i < 9; i++)
		fixture_head(&s.f, FL_IPV4, SLOT(0, 0) + i)->word = 0;
	pass(&s);
	assert_int_equal(report->most, 0);
	assert_int_equal(report->n, 0);
	add_flow(&s, 0, 5, false);
	pass(&s);
	assert_int_equal(report->most, 1);
	fl_port_use_fini(&s.use);
}

static void test_only_what_uses_a_tenth_is_named(void **state)
{
	struct scene s;
	const struct fl_metrics_ports *report = &s.use.counts[FL_IPV4].report;

	start(&s, 21);
	add_flow(&s, 0, 3, false);
	add_flow(&s, 1, 3, false);
	pass(&s);
	assert_int_equal(report->most, 2);
	assert_int_equal(report->n, 0);
	add_flow(&s, 2, 3, false);
	pass(&s);
	assert_int_equal(report->n, 1);
	fl_port_use_fini(&s.use);
}

/* A bound on the series: the twenty fullest. */
static void test_no_more_than_twenty(void **state)
{
	struct fl_maps maps = FL_MAPS_INIT;
	struct fl_backend backends[BACKENDS] = {0};
	struct fl_sweep sweep = {0};
	struct fl_port_use use;
	struct fl_flow_head head = {.flags = FL_FLOW_SNAT};
	const struct fl_metrics_ports *report = &use.counts[FL_IPV6].report;

	maps.backends = backends;
	maps.n_backends = BACKENDS;
	assert_int_equal(fl_port_use_init(&use, &maps, 10, &sweep), 0);
	for (uint32_t id = 1; id < BACKENDS; id++) {
		fl_flow_set_backend(&head, id);
		for (uint32_t i = 0; i < (id * 7) % BACKENDS + 1; i++)
			sweep.watchers[0].met(&(struct fl_met){.family = FL_IPV6, .head = &head},
					      &use);
	}
	sweep.watchers[0].passed(FL_IPV6, &use);
	assert_int_equal(report->n, FL_METRICS_BACKENDS);
	assert_int_equal(report->most, BACKENDS);
	for (size_t i = 0; i < report->n; i++)
		assert_int_equal(report->top[i].used, BACKENDS - i);
	fl_port_use_fini(&use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_fullest_come_first),
		cmocka_unit_test(test_only_what_uses_a_tenth_is_named),
		cmocka_unit_test(test_no_more_than_twenty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
