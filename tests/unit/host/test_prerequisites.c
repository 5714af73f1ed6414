// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What keeps a node from serving is a condition while it lasts. */
#include "tests/unit/host/fake_host.h"

static struct fake fake;

static int setup(void **state)
{
	fake_init(&fake);
	return 0;
}

static int teardown(void **state)
{
	fake_fini(&fake);
	return 0;
}

static void name_devices(const char *const *patterns, size_t n)
{
	fake.options.rules.external = patterns;
	fake.options.rules.n_external = n;
}

static void test_no_device_at_all(void **state)
{
	fake.devices[1].default_route[FL_IPV4] = false;
	fake_start(&fake);
	expect_condition(&fake, FL_CONDITION_DEVICES, "", FL_HEALTH_ERROR,
			 "no device faces the network: nothing from outside is balanced "
			 "(give --devices)");
	fake.devices[2].default_route[FL_IPV6] = true;
	fl_host_update(fake.host);
	assert_true(fl_health_is_good(fake.health));
}

static void test_names_that_stand_for_nothing(void **state)
{
	static const char *const names[] = {"eth0", "eth9", "bond*", "lo", "eth[0-9]", "*"};

	name_devices(names, 6);
	fake_start(&fake);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth0"), -1);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth[0-9]"), -1);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "*"), -1);
	expect_condition(&fake, FL_CONDITION_DEVICE, "eth9", FL_HEALTH_ERROR,
			 "there is no device eth9");
	expect_condition(&fake, FL_CONDITION_DEVICE, "bond*", FL_HEALTH_ERROR,
			 "there is no device whose name is like bond*");
	expect_condition(&fake, FL_CONDITION_DEVICE, "lo", FL_HEALTH_ERROR,
			 "device lo is the loopback device: not served");
	fake_add_device(&fake, 9, "eth9");
	fl_host_update(fake.host);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth9"), -1);
	assert_int_equal(fake_count(&fake, "attach 9 external"), 1);
}

/* Those of pods come with the pods. */
static void test_a_pod_side_name_may_wait_for_its_device(void **state)
{
	static const char *const pod[] = {"cni0"};

	fake.options.rules.pod = pod;
	fake.options.rules.n_pod = 1;
	fake_start(&fake);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "cni0"), FL_HEALTH_NOTE);
	assert_true(fl_health_is_good(fake.health));
}

static void test_a_device_that_is_down(void **state)
{
	static const char *const names[] = {"eth0", "eth1"};

	fake.devices[2].up = false;
	name_devices(names, 2);
	fake_start(&fake);
	expect_condition(&fake, FL_CONDITION_DEVICE, "eth1", FL_HEALTH_ERROR,
			 "device eth1 is down");
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICES, ""), -1);
	fake.devices[2].up = true;
	fl_host_update(fake.host);
	assert_true(fl_health_is_good(fake.health));
}

/* One that was found is not missed as long as another one is there. */
static void test_a_found_device_that_is_down(void **state)
{
	fake.devices[2].default_route[FL_IPV4] = true;
	fake_start(&fake);
	fake.devices[2].up = fake.devices[2].default_route[FL_IPV4] = false;
	fl_host_update(fake.host);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth1"), FL_HEALTH_WARNING);
	fake.devices[1].up = false;
	fl_host_update(fake.host);
	expect_condition(&fake, FL_CONDITION_DEVICES, "", FL_HEALTH_ERROR,
			 "every device that faces the network is down");
}

static void test_a_device_without_ethernet_header(void **state)
{
	static const char *const names[] = {"tun0"};
	struct fl_netdev *tun = fake_add_device(&fake, 7, "tun0");

	tun->headerless = true;
	fake_start(&fake);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "tun0"), -1);
	tun->default_route[FL_IPV4] = true;
	fl_host_update(fake.host);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "tun0"), FL_HEALTH_WARNING);
	fl_host_free(&fake.host);
	name_devices(names, 1);
	fake_start(&fake);
	expect_condition(&fake, FL_CONDITION_DEVICE, "tun0", FL_HEALTH_ERROR,
			 "device tun0: packets there have no Ethernet header: not served");
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICES, ""), FL_HEALTH_ERROR);
}

static void test_forwarding_is_off(void **state)
{
	fake.devices[1].forwarding[FL_IPV4] = fake.devices[1].forwarding[FL_IPV6] = false;
	fake.devices[2].forwarding[FL_IPV4] = false; /* not served, so it does not matter */
	fake_start(&fake);
	expect_condition(&fake, FL_CONDITION_FORWARDING, "eth0 IPv4", FL_HEALTH_ERROR,
			 "device eth0: IPv4 forwarding is off (net.ipv4.ip_forward): what comes in "
			 "by it for pods and other nodes is dropped");
	assert_int_equal(fake_level(&fake, FL_CONDITION_FORWARDING, "eth0 IPv6"), -1);
	assert_int_equal(fake_level(&fake, FL_CONDITION_FORWARDING, "eth1 IPv4"), -1);
	fake.devices[1].forwarding[FL_IPV4] = true;
	fl_host_update(fake.host);
	assert_true(fl_health_is_good(fake.health));
}

/* A host that merely has an IPv6 address is not unhealthy for it. */
static void test_forwarding_of_a_family_without_frontends_is_a_warning(void **state)
{
	fake_add_address(&fake, 2, "2001:db8::1");
	fake.devices[1].forwarding[FL_IPV6] = false;
	fake_start(&fake);
	assert_int_equal(fake_level(&fake, FL_CONDITION_FORWARDING, "eth0 IPv6"), FL_HEALTH_ERROR);
	fl_host_set_served(fake.host, FL_IPV6, false);
	fl_host_turn(fake.host);
	assert_int_equal(fake_level(&fake, FL_CONDITION_FORWARDING, "eth0 IPv6"),
			 FL_HEALTH_WARNING);
	fl_host_set_served(fake.host, FL_IPV6, true);
	fl_host_turn(fake.host);
	assert_int_equal(fake_level(&fake, FL_CONDITION_FORWARDING, "eth0 IPv6"), FL_HEALTH_ERROR);
}

/* Two network cards of which one is served: where devices are named it may be meant. */
static void test_a_card_that_is_not_served(void **state)
{
	static const char *const names[] = {"eth0"};

	fake_start(&fake);
	expect_condition(&fake, FL_CONDITION_DEVICE, "eth1", FL_HEALTH_WARNING,
			 "device eth1 faces a network and is not served: clients there reach no "
			 "Service by it (name it in --devices)");
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "veth1"), -1); /* no address */
	fake.devices[2].up = false;
	fl_host_update(fake.host);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth1"), -1);
	fake.devices[2].up = true;
	fl_host_free(&fake.host);
	name_devices(names, 1);
	fake_start(&fake);
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth1"), FL_HEALTH_NOTE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_device_at_all),
		TEST(test_names_that_stand_for_nothing),
		TEST(test_a_pod_side_name_may_wait_for_its_device),
		TEST(test_a_device_that_is_down),
		TEST(test_a_found_device_that_is_down),
		TEST(test_a_device_without_ethernet_header),
		TEST(test_a_card_that_is_not_served),
		TEST(test_forwarding_is_off),
		TEST(test_forwarding_of_a_family_without_frontends_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
