/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Backends that have no source ports left are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/agent/backend_ports.h"
#include "tests/unit/agent/health_fixture.h"
#include "tests/unit/conntrack/table_fixture.h"

/* The flows of the fixture go to backend 7, masqueraded. */
#define BACKEND 7

struct setup {
	struct fl_backend backends[8];
	struct fl_maps maps;
	struct fixture f;
};

/* A backend and an empty flow table. */
static void setup_init(struct setup *s)
{
	*s = (struct setup){
		.backends = {[BACKEND] = {.addr = v6("::ffff:10.1.0.9"),
					  .port = htons(8080),
					  .proto = IPPROTO_TCP}},
		.maps = FL_MAPS_INIT,
	};
	fixture_init(&s->f);
	s->maps.backends = s->backends;
	s->maps.n_backends = 8;
	s->maps.flows4 = s->f.b4;
	s->maps.n_flows4 = BUCKETS;
}

static void test_a_backend_without_ports_is_an_error_until_it_has_some(void **state)
{
	struct fl_mono hands = {1};
	struct fl_health *health = health_with(&hands);
	struct setup s;

	setup_init(&s);
	for (uint32_t i = 0; i < 10; i++)
		fixture_pair(&s.f, &(struct pair){FL_IPV4, SLOT(0, 0) + i, SLOT(4, 0) + i,
						  .state = FL_FLOW_ESTABLISHED,
						  .client_port = (uint16_t)(40000 + i)});
	fl_backend_ports_update(&s.maps, NOW, 12, health);
	assert_false(fl_health_has(health, FL_CONDITION_BACKEND_PORTS));
	fl_backend_ports_update(&s.maps, NOW, 11, health);
	assert_non_null(strstr(condition_text(health, FL_CONDITION_BACKEND_PORTS, "10.1.0.9:8080"),
			       "10 of the 11 source ports"));
	assert_false(fl_health_is_good(health));
	/* the id has passed to another backend: none of its flows are counted */
	s.backends[BACKEND].port = htons(8081);
	fl_backend_ports_update(&s.maps, NOW, 11, health);
	assert_true(fl_health_is_good(health));
	fl_health_free(&health);
}

/* Each address has its own ports: it is the fullest that counts. */
static void test_the_ports_of_each_address_are_counted(void **state)
{
	struct fl_mono hands = {1};
	struct fl_health *health = health_with(&hands);
	struct setup s;

	setup_init(&s);
	for (uint32_t i = 0; i < 10; i++) {
		struct fl_flow4 *o = (void *)fixture_head(&s.f, FL_IPV4, SLOT(0, 0) + i);

		fixture_pair(&s.f, &(struct pair){FL_IPV4, SLOT(0, 0) + i, SLOT(4, 0) + i,
						  .state = FL_FLOW_ESTABLISHED,
						  .client_port = (uint16_t)(40000 + i)});
		if (i < 4)
			o->rewrite.saddr = htonl(0x0a090908);
	}
	fl_backend_ports_update(&s.maps, NOW, 7, health);
	assert_false(fl_health_has(health, FL_CONDITION_BACKEND_PORTS));
	fl_backend_ports_update(&s.maps, NOW, 6, health);
	assert_non_null(strstr(condition_text(health, FL_CONDITION_BACKEND_PORTS, "10.1.0.9:8080"),
			       "6 of the 6 source ports towards backend 10.1.0.9:8080 are in use "
			       "with address 10.9.9.9"));
	fl_health_free(&health);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_backend_without_ports_is_an_error_until_it_has_some),
		cmocka_unit_test(test_the_ports_of_each_address_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
