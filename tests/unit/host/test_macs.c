// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which destination addresses of frames are the node's, over a made-up machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lb/host/macs.h"

/* The last byte of an address is the ifindex of the device that has it. */
#define MAC(n)                                                                                     \
	{                                                                                          \
		2, 0, 0, 0, 0, n                                                                   \
	}

static struct fl_netdev devices[] = {
	{.ifindex = 1, .name = "lo", .loopback = true},
	{.ifindex = 2, .name = "eth0", .mac = MAC(2)},
	{.ifindex = 3, .name = "vrrp", .kind = "macvlan", .link = 2, .mac = MAC(3)},
	{.ifindex = 4, .name = "br0", .kind = "bridge", .mac = MAC(4)},
	{.ifindex = 5, .name = "eth1", .master = 4, .mac = MAC(5)},
	{.ifindex = 6, .name = "vrrp-br", .kind = "macvlan", .link = 4, .mac = MAC(6)},
	{.ifindex = 7, .name = "tun0", .headerless = true},
	{.ifindex = 8, .name = "red", .kind = "vrf", .mac = MAC(8)},
	{.ifindex = 9, .name = "eth2", .master = 8, .mac = MAC(9)},
	{.ifindex = 10, .name = "bond0", .kind = "bond", .mac = MAC(10)},
	{.ifindex = 11, .name = "eth3", .master = 10, .mac = MAC(10)}, /* as a bond's port has it */
	{.ifindex = 12, .name = "tap", .kind = "macvtap", .link = 2, .mac = MAC(12)},
	{.ifindex = 13, .name = "eth0.7", .kind = "vlan", .link = 2, .mac = MAC(2)},
};
static const struct fl_network network = {devices, sizeof(devices) / sizeof(devices[0]), NULL, 0};

static struct fl_device_rules rules;

static bool listed(unsigned int ifindex, uint8_t last)
{
	const struct fl_mac_key key = {.ifindex = ifindex, .mac = MAC(last)};
	struct fl_mac_pair *pairs;
	size_t n, found = 0;

	assert_int_equal(fl_mac_pairs(&network, &rules, &pairs, &n), 0);
	for (size_t i = 0; i < n; i++)
		found += !memcmp(&pairs[i].key, &key, sizeof(key));
	for (size_t i = 1; i < n; i++)
		assert_true(memcmp(&pairs[i - 1].key, &pairs[i].key, sizeof(key)) < 0);
	free(pairs);
	assert_true(found <= 1);
	return found;
}

static void test_a_device_takes_its_own_address(void **state)
{
	for (unsigned int i = 2; i <= 10; i++)
		assert_int_equal(listed(i, (uint8_t)i), i != 7);
	assert_false(listed(1, 0));
	assert_false(listed(2, 5));
	assert_false(listed(5, 2));
}

/* VRRP has its virtual address on a macvlan; frames for it come in by the device below. */
static void test_macvlans_above_a_device_count(void **state)
{
	assert_true(listed(2, 3));
	assert_false(listed(3, 2));
	/* a virtual machine's */
	assert_false(listed(2, 12));
	/* its frames carry a tag; the address is that of the device in any case */
	assert_true(listed(13, 2));
}

/* It has programs of its own, which a packet must meet alone. */
static void test_a_macvlan_that_is_served_itself_does_not(void **state)
{
	static const char *const vrrp[] = {"vrrp"};

	rules = (struct fl_device_rules){.external = vrrp, .n_external = 1};
	assert_false(listed(2, 3));
	assert_true(listed(3, 3));
	assert_true(listed(4, 6));
	rules = (struct fl_device_rules){0};
}

static void test_ports_take_what_their_bridge_or_bond_takes(void **state)
{
	assert_true(listed(5, 4));
	assert_true(listed(5, 6));
	assert_true(listed(11, 10));
	/* a VRF's own address is on no wire */
	assert_false(listed(9, 8));
	assert_false(listed(4, 5));
}

static __u64 expected(unsigned int ifindex)
{
	const uint8_t mac[8] = MAC((uint8_t)ifindex);
	__u32 low;
	__u16 high;

	memcpy(&low, mac, 4);
	memcpy(&high, mac + 4, 2);
	return fl_own_mac(ifindex, low, high);
}

static void test_the_lowest_ifindex_has_a_shared_place(void **state)
{
	struct fl_netdev two[] = {
		{.ifindex = 3, .name = "eth0", .mac = MAC(3)},
		{.ifindex = FL_OWN_MACS + 3, .name = "veth1", .kind = "veth", .mac = MAC(9)},
	};
	struct fl_network net = {two, 2, NULL, 0};
	static __u64 macs[FL_OWN_MACS];

	macs[5] = 1;
	assert_int_equal(fl_own_macs_write(&net, macs, FL_OWN_MACS), 0);
	assert_true(macs[3] == expected(3));
	assert_true(macs[5] == 0);
	/* the number of the device is part of the value */
	net = (struct fl_network){two + 1, 1, NULL, 0};
	memcpy(two[1].mac, two[0].mac, sizeof(two[0].mac));
	assert_int_equal(fl_own_macs_write(&net, macs, FL_OWN_MACS), 0);
	assert_true(macs[3] != 0 && macs[3] != expected(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_device_takes_its_own_address),
		cmocka_unit_test(test_macvlans_above_a_device_count),
		cmocka_unit_test(test_a_macvlan_that_is_served_itself_does_not),
		cmocka_unit_test(test_ports_take_what_their_bridge_or_bond_takes),
		cmocka_unit_test(test_the_lowest_ifindex_has_a_shared_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
