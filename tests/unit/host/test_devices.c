// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which device is what, and with which address it masquerades, over a made-up node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lb/host/addresses.h"
#include "lb/host/devices.h"

static struct fl_netdev devices[] = {
	{.ifindex = 1, .name = "lo", .loopback = true, .up = true, .mtu = 65536},
	{.ifindex = 2, .name = "eth0", .up = true, .mtu = 1500, .default_route = {true, false}},
	{.ifindex = 3, .name = "eth1", .up = true, .mtu = 9000},
	{.ifindex = 4, .name = "cni0", .kind = "bridge", .up = true, .mtu = 1500},
	{.ifindex = 5, .name = "veth12", .kind = "veth", .up = true, .mtu = 1400, .master = 4},
};

static struct fl_netaddr addresses[10];
static struct fl_network network = {devices, 5, addresses, 0};

static struct fl_ip ip(const char *text)
{
	struct fl_ip i;

	assert_int_equal(fl_ip_parse(text, &i), 0);
	return i;
}

static void add(unsigned int ifindex, const char *text, bool global, bool primary)
{
	addresses[network.n_addresses++] = (struct fl_netaddr){.ifindex = ifindex,
							       .ip = ip(text),
							       .prefix_len = 24,
							       .global = global,
							       .usable = true,
							       .primary = primary};
}

static int setup(void **state)
{
	network.n_addresses = 0;
	add(1, "127.0.0.1", false, true);
	add(1, "::1", false, true);
	add(2, "fe80::2", false, true);
	add(2, "192.0.2.9", true, false); /* secondary */
	add(2, "192.0.2.1", true, true);
	add(2, "192.0.2.7", true, true);
	add(2, "2001:db8::2", true, true);
	add(3, "198.51.100.1", true, true);
	add(4, "10.244.1.1", true, true);
	return 0;
}

static enum fl_device_role role(unsigned int ifindex, const struct fl_device_rules *rules)
{
	return fl_device_role(&network, fl_network_device(&network, ifindex), rules);
}

static void test_default_routes_and_node_addresses_make_external(void **state)
{
	struct fl_device_rules rules = {0};
	struct fl_ip node = ip("198.51.100.1");

	assert_int_equal(role(1, &rules), FL_ROLE_NONE);
	assert_int_equal(role(2, &rules), FL_ROLE_EXTERNAL);
	assert_int_equal(role(3, &rules), FL_ROLE_NONE);
	assert_int_equal(role(4, &rules), FL_ROLE_NONE);
	rules.node_ips = &node;
	rules.n_node_ips = 1;
	assert_int_equal(role(3, &rules), FL_ROLE_EXTERNAL);
}

static void test_patterns_replace_what_is_found(void **state)
{
	static const char *const external[] = {"eth[1-9]"}, *const pod[] = {"veth*"};
	struct fl_device_rules rules = {
		.external = external, .n_external = 1, .pod = pod, .n_pod = 1};

	assert_int_equal(role(2, &rules), FL_ROLE_NONE);
	assert_int_equal(role(3, &rules), FL_ROLE_EXTERNAL);
	assert_int_equal(role(5, &rules), FL_ROLE_POD);
}

/* Of stacked devices one is served: a packet passes both. */
static void test_a_bridge_is_served_at_its_ports(void **state)
{
	static const char *const bridge[] = {"cni0"}, *const both[] = {"cni0", "veth12"};
	struct fl_device_rules rules = {.pod = bridge, .n_pod = 1};
	struct fl_network without_ports = {devices, 4, NULL, 0};

	assert_int_equal(role(4, &rules), FL_ROLE_NONE);
	assert_int_equal(role(5, &rules), FL_ROLE_POD);
	/* it still is what it leads to, for what leaves by it */
	assert_int_equal(fl_device_own_role(&network, &devices[3], &rules), FL_ROLE_POD);
	assert_true(fl_device_yields(&network, &devices[3], &rules));
	assert_false(fl_device_yields(&network, &devices[4], &rules));
	rules = (struct fl_device_rules){.external = both, .n_external = 2};
	assert_int_equal(role(4, &rules), FL_ROLE_NONE);
	assert_int_equal(role(5, &rules), FL_ROLE_EXTERNAL);
	/* what a port is named as beats what its bridge is */
	rules = (struct fl_device_rules){
		.external = bridge, .n_external = 1, .pod = both + 1, .n_pod = 1};
	assert_int_equal(role(5, &rules), FL_ROLE_POD);
	assert_int_equal(fl_device_role(&without_ports, &devices[3], &rules), FL_ROLE_EXTERNAL);
}

static void test_the_ports_of_a_bond_are_served_at_the_bond(void **state)
{
	static const char *const all[] = {"*"}, *const ports[] = {"eth*"};
	struct fl_device_rules rules = {.external = all, .n_external = 1};
	struct fl_netdev stack[] = {
		{.ifindex = 2, .name = "br0", .kind = "bridge"},
		{.ifindex = 3, .name = "bond0", .kind = "bond", .master = 2},
		{.ifindex = 4, .name = "eth0", .master = 3},
		{.ifindex = 5, .name = "eth0.7", .kind = "vlan"},
	};
	const struct fl_network net = {stack, 4, NULL, 0};

	assert_int_equal(fl_device_role(&net, &stack[0], &rules), FL_ROLE_NONE);
	assert_int_equal(fl_device_role(&net, &stack[1], &rules), FL_ROLE_EXTERNAL);
	assert_int_equal(fl_device_role(&net, &stack[2], &rules), FL_ROLE_NONE);
	/* tagged frames are nobody else's */
	assert_int_equal(fl_device_role(&net, &stack[3], &rules), FL_ROLE_EXTERNAL);
	rules.external = ports;
	assert_int_equal(fl_device_role(&net, &stack[1], &rules), FL_ROLE_NONE);
	assert_int_equal(fl_device_role(&net, &stack[2], &rules), FL_ROLE_EXTERNAL);
}

/* A program that takes the first 14 bytes for an Ethernet header would read garbage. */
static void test_devices_without_ethernet_header_are_never_served(void **state)
{
	static const char *const all[] = {"*"};
	struct fl_device_rules named = {.external = all, .n_external = 1}, found = {0};
	struct fl_netdev tunnel = {.ifindex = 2,
				   .name = "tun0",
				   .up = true,
				   .headerless = true,
				   .default_route = {true, true}};

	assert_int_equal(fl_device_role(&network, &tunnel, &named), FL_ROLE_NONE);
	assert_int_equal(fl_device_role(&network, &tunnel, &found), FL_ROLE_NONE);
	assert_true(fl_device_lacks_ethernet(&network, &tunnel, &named));
	assert_true(fl_device_lacks_ethernet(&network, &tunnel, &found));
	tunnel.default_route[FL_IPV4] = tunnel.default_route[FL_IPV6] = false;
	assert_false(
		fl_device_lacks_ethernet(&network, &tunnel, &found)); /* not to be served anyway */
	tunnel.headerless = false;
	assert_false(fl_device_lacks_ethernet(&network, &tunnel, &named));
}

/* Flows to containers of this machine may leave unmasqueraded: their replies pass by us. */
static void test_what_hangs_on_a_device_that_is_not_served(void **state)
{
	static const struct {
		const char *kind, *address;
		uint8_t prefix_len;
		bool faces, inside;
	} rows[] = {
		{"", "198.51.100.1", 24, true, false},
		{"", "198.51.100.1", 32, false, false}, /* floating only */
		{"", NULL, 0, false, false},
		{"veth", "198.51.100.1", 24, true, false}, /* a container's card */
		{"veth", "10.244.1.1", 32, false, true},
		{"veth", "2001:db8:7::1", 128, false, true},
		{"veth", "2001:db8:7::1", 64, true, false},
		{"veth", NULL, 0, false, true},
		{"bridge", "172.17.0.1", 16, false, true},
		{"vlan", "198.51.100.1", 24, true, false},
		{"vxlan", "10.244.1.0", 24, false, false}, /* pods of other nodes */
		{"dummy", "10.96.0.10", 24, false, false},
	};
	const struct fl_device_rules rules = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_netdev dev = {.ifindex = 9};

		snprintf(dev.kind, sizeof(dev.kind), "%s", rows[i].kind);
		network.n_addresses = 0;
		if (rows[i].address)
			add(9, rows[i].address, true, true);
		addresses[0].prefix_len = rows[i].prefix_len;
		assert_int_equal(fl_device_faces_network(&network, &dev), rows[i].faces);
		assert_int_equal(fl_device_is_inside(&network, &dev), rows[i].inside);
		assert_int_equal(fl_device_entry(&network, &dev, &rules, FL_ROLE_NONE, false).flags,
				 rows[i].inside ? FL_DEVICE_INSIDE : 0);
		assert_int_equal(fl_device_entry(&network, &dev, &rules, FL_ROLE_POD, false).flags,
				 FL_DEVICE_POD);
	}
}

static void test_forwarding_matters_where_there_are_addresses(void **state)
{
	struct fl_netdev dev = {.ifindex = 3, .forwarding = {true, true}};

	assert_false(fl_device_lacks_forwarding(&network, &dev, FL_IPV4));
	dev.forwarding[FL_IPV4] = dev.forwarding[FL_IPV6] = false;
	assert_true(fl_device_lacks_forwarding(&network, &dev, FL_IPV4));
	assert_false(
		fl_device_lacks_forwarding(&network, &dev, FL_IPV6)); /* no IPv6 address there */
}

/* As flannel and Calico have them, whatever else is named: by kind and route. */
static void test_an_overlay_leads_to_remote_pods(void **state)
{
	static const char *const named[] = {"eth0"}, *const pod[] = {"flannel*"};
	static const struct {
		const char *kind;
		bool leads_on, headerless;
		enum fl_device_role role;
	} rows[] = {
		{"vxlan", true, false, FL_ROLE_REMOTE_PODS},
		{"geneve", true, false, FL_ROLE_REMOTE_PODS},
		{"vxlan", false, false, FL_ROLE_NONE},
		{"ipip", true, true, FL_ROLE_NONE},
		{"vlan", true, false, FL_ROLE_NONE}, /* needs a backend */
	};
	struct fl_device_rules rules = {.external = named, .n_external = 1};
	struct fl_netdev dev = {.ifindex = 9, .name = "flannel.1"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(dev.kind, sizeof(dev.kind), "%s", rows[i].kind);
		dev.headerless = rows[i].headerless;
		for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
			dev.leads_on[family] = rows[i].leads_on;
			assert_int_equal(fl_device_role(&network, &dev, &rules), rows[i].role);
			dev.leads_on[family] = false;
		}
	}
	rules.remote = &dev.ifindex;
	rules.n_remote = 1;
	assert_int_equal(fl_device_role(&network, &dev, &rules), FL_ROLE_REMOTE_PODS);
	assert_int_equal(fl_device_entry(&network, &dev, &rules, FL_ROLE_REMOTE_PODS, false).flags,
			 FL_DEVICE_EXTERNAL);
	rules.pod = pod;
	rules.n_pod = 1;
	assert_int_equal(fl_device_role(&network, &dev, &rules), FL_ROLE_POD);
}

/* flannel.1 has the first address of the node's block and no subnet, as a floating one has. */
static void test_the_address_of_an_overlay_is_masqueraded_with(void **state)
{
	const struct fl_device_rules rules = {0};
	struct fl_netdev dev = {.ifindex = 9, .name = "flannel.1", .kind = "vxlan"};
	struct fl_ip got;

	add(9, "10.244.1.0", true, true);
	addresses[network.n_addresses - 1].prefix_len = 32;
	assert_true(fl_device_address(&network, &dev, &rules, FL_IPV4, &got));
	assert_memory_equal(&got, ip("10.244.1.0").b, 16);
}

static void test_loopback_is_never_served(void **state)
{
	static const char *const all[] = {"*"};
	struct fl_device_rules rules = {.external = all, .n_external = 1};

	assert_int_equal(role(1, &rules), FL_ROLE_NONE);
	assert_int_equal(role(5, &rules), FL_ROLE_EXTERNAL);
}

static void test_pod_patterns_beat_what_is_found(void **state)
{
	static const char *const pod[] = {"eth0"};
	struct fl_device_rules rules = {.pod = pod, .n_pod = 1};

	assert_int_equal(role(2, &rules), FL_ROLE_POD);
	rules.external = pod;
	rules.n_external = 1;
	assert_int_equal(role(2, &rules), FL_ROLE_EXTERNAL);
}

static void test_masquerade_address_is_primary_and_global(void **state)
{
	struct fl_device_rules rules = {0};
	struct fl_ip got, node = ip("192.0.2.7");
	const struct fl_netdev *eth0 = fl_network_device(&network, 2);

	assert_true(fl_device_address(&network, eth0, &rules, FL_IPV4, &got));
	assert_memory_equal(&got, ip("192.0.2.1").b, 16);
	assert_true(fl_device_address(&network, eth0, &rules, FL_IPV6, &got));
	assert_memory_equal(&got, ip("2001:db8::2").b, 16);
	/* the Node's own address is preferred */
	rules.node_ips = &node;
	rules.n_node_ips = 1;
	assert_true(fl_device_address(&network, eth0, &rules, FL_IPV4, &got));
	assert_memory_equal(&got, node.b, 16);
	assert_false(
		fl_device_address(&network, fl_network_device(&network, 5), &rules, FL_IPV4, &got));
}

static struct fl_ip masquerades(struct fl_netdev *dev, const char *node_ip)
{
	struct fl_ip got = {0}, node = ip(node_ip ? node_ip : "::");
	struct fl_device_rules rules = {.node_ips = &node, .n_node_ips = node_ip ? 1 : 0};
	enum fl_family family = fl_ip_family(&addresses[0].ip);

	fl_device_address(&network, dev, &rules, family, &got);
	return got;
}

/* Without a Node object: the address that the route prefers, never one that floats. */
static void test_a_floating_address_is_not_masqueraded_with(void **state)
{
	struct fl_netdev dev = {.ifindex = 2, .default_route = {true, true}};

	network.n_addresses = 0;
	add(2, "192.0.2.100", true, true);
	add(2, "198.51.100.7", true, true);
	add(2, "192.0.2.1", true, true);
	addresses[0].prefix_len = 32;
	assert_memory_equal(masquerades(&dev, NULL).b, ip("198.51.100.7").b, 16);
	dev.gateway[FL_IPV4] = ip("192.0.2.254");
	assert_memory_equal(masquerades(&dev, NULL).b, ip("192.0.2.1").b, 16);
	dev.preferred_source[FL_IPV4] = ip("198.51.100.7");
	assert_memory_equal(masquerades(&dev, NULL).b, ip("198.51.100.7").b, 16);
	/* the Node's own word counts more, even for such an address */
	assert_memory_equal(masquerades(&dev, "192.0.2.100").b, ip("192.0.2.100").b, 16);
	/* a preferred source that is not here any more */
	dev.preferred_source[FL_IPV4] = ip("203.0.113.9");
	assert_memory_equal(masquerades(&dev, NULL).b, ip("192.0.2.1").b, 16);
	/* where there is nothing else */
	network.n_addresses = 1;
	assert_memory_equal(masquerades(&dev, NULL).b, ip("192.0.2.100").b, 16);
}

static void test_a_floating_ipv6_address_is_not_masqueraded_with(void **state)
{
	struct fl_netdev dev = {.ifindex = 2, .default_route = {true, true}};

	network.n_addresses = 0;
	add(2, "2001:db8::100", true, true);
	add(2, "2001:db8::1", true, true);
	addresses[0].prefix_len = 128;
	addresses[1].prefix_len = 64;
	dev.gateway[FL_IPV6] = ip("fe80::1");
	assert_memory_equal(masquerades(&dev, NULL).b, ip("2001:db8::1").b, 16);
}

static void test_node_address_is_one_that_is_here(void **state)
{
	struct fl_ip got, node[] = {ip("203.0.113.1"), ip("198.51.100.1")};
	struct fl_device_rules rules = {.node_ips = node, .n_node_ips = 2};

	assert_true(fl_node_address(&network, &rules, FL_IPV4, &got));
	assert_memory_equal(&got, node[1].b, 16);
	/* without: by the default route, which only IPv4 has */
	rules.n_node_ips = 0;
	assert_true(fl_node_address(&network, &rules, FL_IPV4, &got));
	assert_memory_equal(&got, ip("192.0.2.1").b, 16);
	assert_false(fl_node_address(&network, &rules, FL_IPV6, &got));
}

static void test_entry_of_a_device(void **state)
{
	struct fl_device_rules rules = {0};
	struct fl_device e = fl_device_entry(&network, fl_network_device(&network, 2), &rules,
					     FL_ROLE_EXTERNAL, true);
	static const struct fl_addr none;

	assert_int_equal(e.mtu, 1500);
	assert_int_equal(e.flags, FL_DEVICE_EXTERNAL | FL_DEVICE_XDP_TX);
	assert_memory_equal(&e.addr4, ip("192.0.2.1").b, 16);
	e = fl_device_entry(&network, fl_network_device(&network, 5), &rules, FL_ROLE_NONE, false);
	assert_int_equal(e.flags, FL_DEVICE_INSIDE);
	assert_memory_equal(&e.addr4, &none, 16);
}

/* 5.3.4: where an address counts: on the device that has the one taken otherwise. */
static void test_several_addresses_to_masquerade_with(void **state)
{
	const struct fl_ip pool[] = {ip("192.0.2.9"), ip("198.51.100.1"), ip("192.0.2.77"),
				     ip("2001:db8::2"), ip("192.0.2.7")};
	struct fl_device_rules rules = {.masquerade = pool, .n_masquerade = 5};
	struct fl_device e = fl_device_entry(&network, fl_network_device(&network, 2), &rules,
					     FL_ROLE_EXTERNAL, true);

	/* a secondary one too, but none of eth1 or of nobody */
	assert_int_equal(e.n_pool4, 2);
	assert_memory_equal(&e.pool4[0], &pool[0], 16);
	assert_memory_equal(&e.pool4[1], &pool[4], 16);
	assert_int_equal(e.n_pool6, 1);
	assert_memory_equal(&e.pool6[0], &pool[3], 16);
	e = fl_device_entry(&network, fl_network_device(&network, 3), &rules, FL_ROLE_EXTERNAL,
			    true);
	assert_int_equal(e.n_pool4, 1);
	assert_memory_equal(&e.pool4[0], &pool[1], 16);
	/* a device without addresses uses the node's, and so eth0's */
	e = fl_device_entry(&network, fl_network_device(&network, 5), &rules, FL_ROLE_NONE, false);
	assert_int_equal(e.n_pool4, 2);
	/* a bridge of pods has its own */
	e = fl_device_entry(&network, fl_network_device(&network, 4), &rules, FL_ROLE_NONE, false);
	assert_int_equal(e.n_pool4, 0);
	/* a duplicate, or one that may still become one, is nobody's */
	addresses[3].usable = false;
	e = fl_device_entry(&network, fl_network_device(&network, 2), &rules, FL_ROLE_EXTERNAL,
			    true);
	assert_int_equal(e.n_pool4, 1);
}

/* An unnumbered router: the route's source is on the loopback device, and so are the others. */
static void test_addresses_beside_the_preferred_source_count(void **state)
{
	const struct fl_ip pool[] = {ip("203.0.113.2"), ip("192.0.2.9")};
	struct fl_device_rules rules = {.masquerade = pool, .n_masquerade = 2};
	struct fl_netdev dev = *fl_network_device(&network, 2);
	struct fl_device e;

	network.n_addresses--;
	add(1, "203.0.113.1", true, true);
	addresses[0] = addresses[network.n_addresses - 1];
	addresses[1] = (struct fl_netaddr){
		.ifindex = 1, .ip = pool[0], .prefix_len = 32, .global = true, .usable = true};
	dev.preferred_source[FL_IPV4] = ip("203.0.113.1");
	e = fl_device_entry(&network, &dev, &rules, FL_ROLE_EXTERNAL, true);
	assert_int_equal(e.n_pool4, 1);
	assert_memory_equal(&e.pool4[0], &pool[0], 16);
}

static const struct fl_local_pair *pair(const struct fl_local_pair *pairs, size_t n,
					const char *text)
{
	struct fl_ip i = ip(text);

	for (size_t k = 0; k < n; k++)
		if (!memcmp(&pairs[k].addr, &i, sizeof(i)))
			return &pairs[k];
	return NULL;
}

/* 2.12: every assigned address but loopback; 2.13: node ports on those inside the CIDRs */
static void test_local_addresses_and_node_ports(void **state)
{
	static const char *const cidrs[] = {"192.0.2.0/24"};
	struct fl_node_ports_input input = {.addresses = cidrs, .n_addresses = 1};
	struct fl_node_ports node_ports;
	struct fl_local_pair *pairs;
	struct fl_ip *ips;
	size_t n;

	addresses[network.n_addresses - 1] = addresses[4]; /* the same address twice */
	assert_int_equal(fl_local_ips(&network, &ips, &n), 0);
	input.local = ips;
	input.n_local = n;
	assert_int_equal(fl_node_ports_init(&input, &node_ports, NULL), 0);
	assert_int_equal(fl_local_pairs(&network, &node_ports, &pairs, &n), 0);
	assert_int_equal(n, 6); /* without loopback and the double */
	assert_null(pair(pairs, n, "127.0.0.1"));
	assert_null(pair(pairs, n, "::1"));
	assert_int_equal(pair(pairs, n, "192.0.2.1")->flags, FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS);
	assert_int_equal(pair(pairs, n, "192.0.2.9")->flags, FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS);
	assert_int_equal(pair(pairs, n, "198.51.100.1")->flags, FL_LOCAL_NODE);
	assert_int_equal(pair(pairs, n, "fe80::2")->flags,
			 FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS); /* 2.10: no CIDR of the family */
	free(pairs);
	free(ips);
	fl_node_ports_fini(&node_ports);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_default_routes_and_node_addresses_make_external, setup),
		cmocka_unit_test_setup(test_patterns_replace_what_is_found, setup),
		cmocka_unit_test_setup(test_an_overlay_leads_to_remote_pods, setup),
		cmocka_unit_test_setup(test_the_address_of_an_overlay_is_masqueraded_with, setup),
		cmocka_unit_test_setup(test_loopback_is_never_served, setup),
		cmocka_unit_test(test_a_bridge_is_served_at_its_ports),
		cmocka_unit_test(test_the_ports_of_a_bond_are_served_at_the_bond),
		cmocka_unit_test_setup(test_devices_without_ethernet_header_are_never_served,
				       setup),
		cmocka_unit_test_setup(test_what_hangs_on_a_device_that_is_not_served, setup),
		cmocka_unit_test_setup(test_forwarding_matters_where_there_are_addresses, setup),
		cmocka_unit_test_setup(test_pod_patterns_beat_what_is_found, setup),
		cmocka_unit_test_setup(test_masquerade_address_is_primary_and_global, setup),
		cmocka_unit_test_setup(test_several_addresses_to_masquerade_with, setup),
		cmocka_unit_test_setup(test_addresses_beside_the_preferred_source_count, setup),
		cmocka_unit_test_setup(test_a_floating_address_is_not_masqueraded_with, setup),
		cmocka_unit_test_setup(test_a_floating_ipv6_address_is_not_masqueraded_with, setup),
		cmocka_unit_test_setup(test_node_address_is_one_that_is_here, setup),
		cmocka_unit_test_setup(test_entry_of_a_device, setup),
		cmocka_unit_test_setup(test_local_addresses_and_node_ports, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
