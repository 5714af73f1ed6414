// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a scan reads from the kernel, in a network namespace of this test's own. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lb/host/devices.h"
#include "lb/host/network.h"

static bool able;

static int enter(void **state)
{
	able = (!unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET)) &&
	       !system("ip link add v0 type veth peer name v1 2>/dev/null");
	return 0;
}

static void need(void)
{
	if (able)
		return;
	print_message("SKIP: no network namespace of one's own, or no ip command\n");
	skip();
}

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

static void expect_ip(const struct fl_ip *ip, const char *text)
{
	char buf[FL_IP_STRLEN];

	assert_string_equal(fl_ip_is_unspecified(ip) ? "" : fl_ip_format(ip, buf), text);
}

static struct fl_network net;

static const struct fl_netdev *scan(const char *name)
{
	struct fl_err err = {""};
	const struct fl_netdev *dev;

	fl_network_fini(&net);
	if (fl_network_scan(&net, &err))
		fail_msg("%s", err.text);
	dev = fl_network_match(&net, name);
	assert_non_null(dev);
	return dev;
}

static int forget(void **state)
{
	fl_network_fini(&net);
	return 0;
}

static void test_devices_and_addresses(void **state)
{
	const struct fl_netdev *v0;
	bool found = false;

	need();
	run("ip link set v0 up mtu 1400; ip link set v1 up; ip addr add 192.0.2.1/24 dev v0;"
	    "ip addr add 192.0.2.100/32 dev v0; ip addr add 192.0.2.9/24 dev v0");
	v0 = scan("v0");
	assert_string_equal(v0->kind, "veth");
	assert_int_equal(v0->mtu, 1400);
	assert_true(v0->up);
	assert_false(v0->loopback || v0->headerless || v0->default_route[FL_IPV4]);
	assert_true(fl_network_match(&net, "lo")->loopback);
	assert_null(fl_network_match(&net, "v2"));
	for (size_t i = 0; i < net.n_addresses; i++) {
		const struct fl_netaddr *a = &net.addresses[i];
		char buf[FL_IP_STRLEN];

		if (a->ifindex == v0->ifindex && !strcmp(fl_ip_format(&a->ip, buf), "192.0.2.9"))
			assert_true(a->usable && !a->primary); /* secondary */
		if (a->ifindex != v0->ifindex || strcmp(fl_ip_format(&a->ip, buf), "192.0.2.100"))
			continue;
		found = true;
		assert_int_equal(a->prefix_len, 32);
		assert_true(a->usable && a->primary && a->global);
	}
	assert_true(found);
}

static void test_the_best_default_route_counts(void **state)
{
	const struct fl_netdev *v0;

	need();
	run("ip route add default via 192.0.2.253 dev v0 metric 200");
	v0 = scan("v0");
	assert_true(v0->default_route[FL_IPV4]);
	assert_false(v0->default_route[FL_IPV6]);
	expect_ip(&v0->gateway[FL_IPV4], "192.0.2.253");
	expect_ip(&v0->preferred_source[FL_IPV4], "");
	run("ip route add default via 192.0.2.254 dev v0 metric 100 src 192.0.2.9;"
	    "ip route add default via 192.0.2.252 dev v0 metric 300 src 192.0.2.1");
	v0 = scan("v0");
	expect_ip(&v0->gateway[FL_IPV4], "192.0.2.254");
	expect_ip(&v0->preferred_source[FL_IPV4], "192.0.2.9");
	run("ip route flush root 0/0 exact 0/0");
}

static void test_the_ways_of_a_multipath_route(void **state)
{
	const struct fl_netdev *v0;

	need();
	run("ip addr add 198.51.100.1/24 dev v1;"
	    "ip route add default src 192.0.2.1 nexthop via 192.0.2.254 dev v0 "
	    "nexthop via 198.51.100.254 dev v1");
	v0 = scan("v0");
	expect_ip(&v0->gateway[FL_IPV4], "192.0.2.254");
	expect_ip(&v0->preferred_source[FL_IPV4], "192.0.2.1");
	expect_ip(&fl_network_match(&net, "v1")->gateway[FL_IPV4], "198.51.100.254");
	run("ip route flush root 0/0 exact 0/0");
}

/* Of any table; a default route and one to neighbours are something else. */
static void test_routes_that_lead_on_behind_an_overlay(void **state)
{
	const struct fl_netdev *overlay;

	need();
	if (system("ip link add overlay type vxlan id 7 dstport 4789 2>/dev/null")) {
		print_message("SKIP: this kernel has no VXLAN devices\n");
		skip();
	}
	run("ip addr add 10.244.1.0/32 dev overlay; ip -6 addr add fd00:244:1::/128 dev overlay;"
	    "ip link set overlay up; ip route add 203.0.113.0/25 dev overlay;"
	    "ip route add default via 10.244.2.0 dev overlay onlink");
	overlay = scan("overlay");
	assert_true(fl_netdev_is_overlay(overlay));
	assert_false(overlay->leads_on[FL_IPV4] || overlay->leads_on[FL_IPV6]);
	run("ip route add 203.0.113.128/25 via 10.244.2.0 dev overlay onlink table 77;"
	    "ip route add 198.18.0.0/16 via 192.0.2.254 dev v0");
	overlay = scan("overlay");
	assert_true(overlay->leads_on[FL_IPV4]);
	assert_false(overlay->leads_on[FL_IPV6]);
	/* a card has such routes in any case */
	assert_false(fl_network_match(&net, "v0")->leads_on[FL_IPV4]);
	run("ip -6 route add fd00:244::/32 nexthop via fd00:244:2:: dev overlay onlink "
	    "nexthop via fd00:244:3:: dev overlay onlink");
	assert_true(scan("overlay")->leads_on[FL_IPV6]);
	run("ip link del overlay; ip route del 198.18.0.0/16");
}

/* 192.0.2.100 floats, and was there first. */
static void test_the_address_to_masquerade_with(void **state)
{
	const struct fl_device_rules none = {0};
	const struct fl_netdev *v0;
	struct fl_ip got;

	need();
	run("ip addr flush dev v0; ip addr add 192.0.2.100/32 dev v0; ip addr add 192.0.2.1/24 dev "
	    "v0");
	v0 = scan("v0");
	assert_true(fl_device_address(&net, v0, &none, FL_IPV4, &got));
	expect_ip(&got, "192.0.2.1");
	run("ip route add default via 192.0.2.254 dev v0 src 192.0.2.100");
	v0 = scan("v0");
	assert_true(fl_device_address(&net, v0, &none, FL_IPV4, &got));
	expect_ip(&got, "192.0.2.100"); /* the machine's owner says so */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_devices_and_addresses, forget),
		cmocka_unit_test_teardown(test_the_best_default_route_counts, forget),
		cmocka_unit_test_teardown(test_the_ways_of_a_multipath_route, forget),
		cmocka_unit_test_teardown(test_routes_that_lead_on_behind_an_overlay, forget),
		cmocka_unit_test_teardown(test_the_address_to_masquerade_with, forget),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
