/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frontends (section 2) and source ranges (5.6) of a service port. */
#include "tests/unit/model/fixture.h"

static void test_2_1_to_2_6_all_types_sorted(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_ingress(service, "203.0.113.9", false);
	add_ingress(service, "203.0.113.1", false);
	add_external_ip(service, "192.0.2.9");
	add_external_ip(service, "192.0.2.1");
	add_external_ip(service, "192.0.2.9");
	plan = plan_one(service, NULL);
	expect_frontends(
		"order", &plan.ports[0],
		"C/10.96.0.10:80 E/192.0.2.1:80 E/192.0.2.9:80 L/203.0.113.1:80 L/203.0.113.9:80 "
		"N/0.0.0.0:30080");
}

static void test_2_2_external_ips_can_be_switched_off(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	struct fl_plan_options options = OPTIONS_NODE_1;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_external_ip(service, "192.0.2.9");
	service->external_local = true;
	options.no_external_ips = true;
	assert_int_equal(fl_plan_service(service, NULL, 0, &options, &plan), 0);
	expect_frontends("off", &plan.ports[0], "C/10.96.0.10:80");
	assert_false(plan.ports[0].external_local);
}

static void test_2_3_ingress_by_mode_and_family(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	service->type = FL_SERVICE_LOAD_BALANCER;
	add_ingress(service, "203.0.113.1", false);
	add_ingress(service, "203.0.113.2", true); /* ipMode: Proxy */
	add_ingress(service, NULL, false);	   /* hostname only */
	add_ingress(service, "2001:db8::1", false);
	plan = plan_one(service, NULL);
	expect_frontends("2.3, 2.7", &plan.ports[0], "C/10.96.0.10:80 L/203.0.113.1:80");
}

/* 2.8 decides whether the cluster list is used beside internal policy Local; per family. */
static void test_2_8_externally_accessible(void **state)
{
	static const struct {
		const char *name, *external_ip, *ingress;
		bool proxy;
		uint16_t node_port;
		bool expected;
	} rows[] = {
		{"nothing", NULL, NULL, false, 0, false},
		{"node port", NULL, NULL, false, 30080, true},
		{"externalIP", "192.0.2.1", NULL, false, 0, true},
		{"LB VIP", NULL, "192.0.2.1", false, 0, true},
		{"proxied LB", NULL, "192.0.2.1", true, 0, false},
		{"externalIP of the other family", "2001:db8::1", NULL, false, 0, false},
		{"LB VIP of the other family", NULL, "2001:db8::1", false, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service =
			service_web(rows[i].node_port);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		service->type = FL_SERVICE_LOAD_BALANCER;
		service->internal_local = service->external_local = true;
		if (rows[i].external_ip)
			add_external_ip(service, rows[i].external_ip);
		if (rows[i].ingress)
			add_ingress(service, rows[i].ingress, rows[i].proxy);
		plan = plan_one(service, NULL);
		if (plan.ports[0].uses_cluster != rows[i].expected)
			fail_msg("%s: uses_cluster %d", rows[i].name, plan.ports[0].uses_cluster);
		if (!plan.ports[0].external != !rows[i].expected)
			fail_msg("%s: verdict %d", rows[i].name, plan.ports[0].external);
	}
}

/* One address and port is one frontend; the role that filters more wins. */
static void test_2_21_one_address_in_several_roles(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_external_ip(service, "192.0.2.1");
	add_external_ip(service, "10.96.0.10");
	add_ingress(service, "192.0.2.1", false);
	add_ingress(service, "10.96.0.10", false);
	plan = plan_one(service, NULL);
	expect_frontends("roles", &plan.ports[0], "C/10.96.0.10:80 L/192.0.2.1:80");
}

/*
 * Two ports of one Service with other names but the same number and protocol: the first one has it.
 */
static void test_2_21_two_ports_with_one_number(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "again", IPPROTO_TCP, 80, 30081);
	add_port(service, "udp", IPPROTO_UDP, 80, 30080);
	add_port(service, "node", IPPROTO_TCP, 81, 30080);
	plan = plan_one(service, NULL);
	assert_int_equal(plan.n_ports, 4);
	expect_frontends("http", &plan.ports[0], "C/10.96.0.10:80 N/0.0.0.0:30080");
	expect_frontends("again", &plan.ports[1], "N/0.0.0.0:30081");
	assert_int_equal(plan.ports[1].cluster_ip, FL_PLAN_NONE);
	expect_frontends("udp", &plan.ports[2], "C/10.96.0.10:80 N/0.0.0.0:30080");
	expect_frontends("node", &plan.ports[3], "C/10.96.0.10:81");
	/* and what is lost is remembered with who lost it */
	assert_int_equal(plan.ports[0].n_lost, 0);
	assert_int_equal(plan.ports[1].n_lost, 1);
	assert_int_equal(plan.ports[1].lost[0].type, FL_PLAN_CLUSTER_IP);
	assert_int_equal(plan.ports[1].lost[0].port, 80);
	assert_int_equal(plan.ports[2].n_lost, 0);
	assert_int_equal(plan.ports[3].n_lost, 1);
	assert_int_equal(plan.ports[3].lost[0].type, FL_PLAN_NODE_PORT);
	assert_int_equal(plan.ports[3].lost[0].port, 30080);
}

static void test_ports_without_node_port_do_not_take_it_from_each_other(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "second", IPPROTO_TCP, 81, 0);
	add_port(service, "third", IPPROTO_TCP, 82, 30082);
	plan = plan_one(service, NULL);
	expect_frontends("second", &plan.ports[1], "C/10.96.0.10:81");
	assert_int_equal(plan.ports[1].n_lost, 0);
	expect_frontends("third", &plan.ports[2], "C/10.96.0.10:82 N/0.0.0.0:30082");
}

/*
 * An unspecified address would catch every node address; loopback and multicast are nobody's VIP.
 */
static void test_addresses_that_are_no_frontends(void **state)
{
	static const char *const bad[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_service_free) struct fl_service *nonsense =
		service_named("default", "bad", "0.0.0.0");
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0}, none = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		add_external_ip(service, bad[i]);
		add_ingress(service, bad[i], false);
	}
	add_external_ip(service, "169.254.169.254");
	plan = plan_one(service, NULL);
	expect_frontends("bad addresses", &plan.ports[0], "C/10.96.0.10:80");

	add_port(nonsense, "http", IPPROTO_TCP, 80, 30080);
	none = plan_one(nonsense, NULL);
	assert_int_equal(none.n_ports, 0);
}

static struct fl_plan plan_with_node_ips(const struct fl_service *service)
{
	struct fl_ip node_ips[] = {ip("192.168.0.2"), ip("fd00:1::2")};
	struct fl_plan_options options = OPTIONS_NODE_1;
	struct fl_plan plan;

	options.node_ips = node_ips;
	options.n_node_ips = 2;
	assert_int_equal(fl_plan_service(service, NULL, 0, &options, &plan), 0);
	return plan;
}

static void test_5_6_2_ranges_by_family(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	struct fl_prefix first = prefix("198.51.100.0/24"), second = prefix("203.0.113.7/32");

	add_second_family(service, "fd00:96::10");
	add_range(service, "198.51.100.0/24");
	add_range(service, "203.0.113.7/32");
	plan = plan_with_node_ips(service);
	assert_int_equal(plan.ports[0].n_source_ranges, 2);
	assert_memory_equal(&plan.ports[0].source_ranges[0], &first, sizeof(first));
	assert_memory_equal(&plan.ports[0].source_ranges[1], &second, sizeof(second));
	/* the other family is unfiltered */
	assert_int_equal(plan.ports[1].family, FL_IPV6);
	assert_int_equal(plan.ports[1].n_source_ranges, 0);
	assert_false(plan.ports[0].vips_exempt);
}

static void test_5_6_5_vips_are_exempt_if_a_node_ip_is_in_a_range(void **state)
{
	static const struct {
		const char *name, *range;
		bool v4, v6;
	} rows[] = {
		{"no range", NULL, false, false},
		{"node in the range", "192.168.0.0/16", true, false},
		{"node outside the range", "192.169.0.0/16", false, false},
		{"everybody of IPv4", "0.0.0.0/0", true, false},
		{"node's IPv6 in the range", "fd00:1::/64", false, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		add_second_family(service, "fd00:96::10");
		add_range(service, "198.51.100.0/24");
		if (rows[i].range)
			add_range(service, rows[i].range);
		plan = plan_with_node_ips(service);
		if (plan.ports[0].vips_exempt != rows[i].v4 ||
		    plan.ports[1].vips_exempt != rows[i].v6)
			fail_msg("%s: exempt %d, %d", rows[i].name, plan.ports[0].vips_exempt,
				 plan.ports[1].vips_exempt);
	}
}

static void test_5_6_9_ranges_hold_for_all_ports(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "second", IPPROTO_TCP, 81, 0);
	add_ingress(service, "192.0.2.1", false);
	add_range(service, "198.51.100.0/24");
	plan = plan_one(service, NULL);
	assert_int_equal(plan.ports[0].n_source_ranges, 1);
	assert_int_equal(plan.ports[1].n_source_ranges, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_2_1_to_2_6_all_types_sorted),
		cmocka_unit_test(test_2_2_external_ips_can_be_switched_off),
		cmocka_unit_test(test_2_3_ingress_by_mode_and_family),
		cmocka_unit_test(test_2_8_externally_accessible),
		cmocka_unit_test(test_2_21_one_address_in_several_roles),
		cmocka_unit_test(test_2_21_two_ports_with_one_number),
		cmocka_unit_test(test_ports_without_node_port_do_not_take_it_from_each_other),
		cmocka_unit_test(test_addresses_that_are_no_frontends),
		cmocka_unit_test(test_5_6_2_ranges_by_family),
		cmocka_unit_test(test_5_6_5_vips_are_exempt_if_a_node_ip_is_in_a_range),
		cmocka_unit_test(test_5_6_9_ranges_hold_for_all_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
