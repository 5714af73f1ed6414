/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What plans say about endpoints on this node: health-check node ports (6.1) and Local policies
 * without an endpoint (8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/duties/plans.h"

static int setup(void **state)
{
	return fl_local_services_new((struct fl_local_services **)state);
}

static int teardown(void **state)
{
	fl_local_services_free((struct fl_local_services **)state);
	return 0;
}

static size_t n_ports(struct fl_local_services *services)
{
	const struct fl_health_port *ports;
	size_t n;

	assert_int_equal(fl_local_services_ports(services, &ports, &n), 0);
	return n;
}

static void test_6_1_8_ports_come_and_go_with_the_service(void **state)
{
	struct fl_local_services *s = *state;
	const struct fl_health_port *found;

	assert_true(fl_local_services_changed(s)); /* nothing was asked before */
	assert_false(fl_local_services_changed(s));
	plan_both(s, "web", 32000, 2, 0);
	assert_true(fl_local_services_changed(s));
	found = fl_local_services_find(s, 32000);
	assert_non_null(found);
	assert_string_equal(found->name, "web");
	assert_int_equal(found->local_ready[FL_IPV4], 2);
	assert_int_equal(found->local_ready[FL_IPV6], 0);
	/* a count is no other port */
	plan_both(s, "web", 32000, 0, 1);
	assert_false(fl_local_services_changed(s));
	assert_int_equal(fl_local_services_find(s, 32000)->local_ready[FL_IPV6], 1);
	plan_both(s, "web", 32001, 0, 1);
	assert_true(fl_local_services_changed(s));
	assert_null(fl_local_services_find(s, 32000));
	assert_non_null(fl_local_services_find(s, 32001));
	plan_none(s, "web");
	assert_true(fl_local_services_changed(s));
	assert_int_equal(n_ports(s), 0);
	plan_none(s, "web");
	assert_false(fl_local_services_changed(s));
}

static void test_a_port_that_two_services_want(void **state)
{
	struct fl_local_services *s = *state;

	plan_both(s, "b", 32000, 1, 1);
	plan_both(s, "a", 32000, 2, 2);
	plan_both(s, "c", 31000, 3, 3);
	assert_int_equal(n_ports(s), 2);
	assert_string_equal(fl_local_services_find(s, 32000)->name, "a");
	plan_none(s, "a");
	assert_string_equal(fl_local_services_find(s, 32000)->name, "b");
}

static void test_6_1_10_only_families_that_the_service_has(void **state)
{
	struct fl_local_services *s = *state;
	struct fl_plan_port port = planned_port(FL_IPV6, 32000, 1);

	fl_local_services_plan(s, "default", "web", &(struct fl_plan){&port, 1});
	assert_false(fl_local_services_find(s, 32000)->families[FL_IPV4]);
	assert_true(fl_local_services_find(s, 32000)->families[FL_IPV6]);
}

static void test_8_local_policies_without_an_endpoint(void **state)
{
	struct fl_local_services *s = *state;
	struct fl_plan_endpoint here = {.flags = FL_PLAN_IN_LOCAL};
	struct fl_plan_port ports[] = {planned_port(FL_IPV4, 0, 0), planned_port(FL_IPV4, 0, 0),
				       planned_port(FL_IPV6, 0, 0), planned_port(FL_IPV6, 0, 0)};

	ports[0].internal_local = true;
	ports[1].has_any = false; /* none anywhere: that is not this node's fault */
	ports[2].endpoints = &here;
	ports[2].n_endpoints = 1;
	ports[3].uses_local = ports[3].external_local = false;
	fl_local_services_plan(s, "default", "web", &(struct fl_plan){ports, 4});
	assert_int_equal(fl_local_services_without(s, FL_IPV4, FL_LOCAL_EXTERNAL), 1);
	assert_int_equal(fl_local_services_without(s, FL_IPV4, FL_LOCAL_INTERNAL), 1);
	assert_int_equal(fl_local_services_without(s, FL_IPV6, FL_LOCAL_EXTERNAL), 0);
	/* planned again it counts once, and not at all when it is gone */
	fl_local_services_plan(s, "default", "web", &(struct fl_plan){ports, 4});
	assert_int_equal(fl_local_services_without(s, FL_IPV4, FL_LOCAL_EXTERNAL), 1);
	plan_none(s, "web");
	assert_int_equal(fl_local_services_without(s, FL_IPV4, FL_LOCAL_EXTERNAL), 0);
	assert_int_equal(fl_local_services_without(s, FL_IPV4, FL_LOCAL_INTERNAL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_6_1_8_ports_come_and_go_with_the_service),
		T(test_a_port_that_two_services_want),
		T(test_6_1_10_only_families_that_the_service_has),
		T(test_8_local_policies_without_an_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
