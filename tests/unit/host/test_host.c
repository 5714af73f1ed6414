// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From devices and addresses to maps and programs, in the order that traffic needs, and again when
 * something failed or changed. */
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

static const uint32_t *map_address(const char *text)
{
	struct fl_ip key = ip(text);

	return fl_map_mirror_get(fake.host->addresses, &key);
}

static void test_the_node_is_in_the_maps_and_its_device_has_programs(void **state)
{
	const struct fl_host_device *devices;
	struct fl_ip eth0 = ip("192.0.2.1");
	size_t n;

	fake_start(&fake);
	assert_non_null(map_address("192.0.2.1"));
	assert_int_equal(*map_address("198.51.100.1"), FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS);
	assert_int_equal(fake_map_device(&fake, 2)->flags, FL_DEVICE_EXTERNAL | FL_DEVICE_XDP_TX);
	assert_memory_equal(&fake_map_device(&fake, 2)->addr4, &eth0, sizeof(eth0));
	assert_int_equal(fake_map_device(&fake, 3)->flags, 0);
	assert_null(fake_map_device(&fake, 1)); /* lo */
	assert_int_equal(fake_count(&fake, "attach 2 external"), 1);
	assert_int_equal(fake.n_calls, 2); /* and prune */
	devices = fl_host_devices(fake.host, &n);
	assert_int_equal(n, 1);
	assert_string_equal(devices[0].name, "eth0");
	assert_true(devices[0].attached);
	assert_string_equal(fake.reported, "info device eth0: native XDP and tcx\n");
	assert_false(fl_host_failed(fake.host));
	assert_true(fl_health_is_good(fake.health));
}

static void expect_known(struct fake *f, unsigned int ifindex)
{
	assert_non_null(map_address("192.0.2.1"));
	assert_true(fake_map_device(f, ifindex)->flags & (FL_DEVICE_EXTERNAL | FL_DEVICE_POD));
}

/* A program that does not know a device would let flows leave by it unmasqueraded. */
static void test_maps_are_written_before_programs_are_attached(void **state)
{
	static const char *const pod[] = {"veth*"};

	fake.options.rules.pod = pod;
	fake.options.rules.n_pod = 1;
	fake.on_attach = expect_known;
	fake_start(&fake);
	assert_int_equal(fake_count(&fake, "attach 4 pod"), 1);
	assert_non_null(strstr(fake.reported, "debug device veth1: pod side, tcx\n"));
}

static void expect_no_frames(struct fake *f, unsigned int ifindex)
{
	assert_false(fake_map_device(f, ifindex)->flags & FL_DEVICE_XDP_TX);
}

static void expect_frames(struct fake *f, unsigned int ifindex)
{
	assert_true(fake_map_device(f, ifindex)->flags & FL_DEVICE_XDP_TX);
}

static void test_what_a_device_takes_is_known_once_it_has_its_programs(void **state)
{
	fake.on_attach = expect_frames; /* about to be tried */
	fake.gets = FL_DP_TC;
	fake_start(&fake);
	expect_no_frames(&fake, 2);
	assert_string_equal(fake.reported, "info device eth0: tcx\n");
	fl_host_free(&fake.host);
	fake.options.mode = FL_DP_TC;
	fake.on_attach = expect_no_frames;
	fake_start(&fake);
}

/*
 * What XDP sends out of a veth is lost unless its other end has a program too: `auto` leaves it to
 * tc, native XDP is refused with the reason, generic XDP does not send that way.
 */
static void test_a_veth_has_native_xdp_only_if_that_works(void **state)
{
	static const struct {
		enum fl_dp_mode mode;
		bool sums, has_xdp;
		int error;
		enum fl_dp_mode asked;
		const char *refused;
	} rows[] = {
		{FL_DP_AUTO, true, true, 0, FL_DP_TC, NULL},
		{FL_DP_TC, false, false, 0, FL_DP_TC, NULL},
		{FL_DP_XDP_GENERIC, true, false, 0, FL_DP_XDP_GENERIC, NULL},
		{FL_DP_XDP, true, true, 0, FL_DP_XDP, NULL},
		{FL_DP_XDP, true, false, 0, 0, "other end does not have an XDP program"},
		{FL_DP_XDP, true, true, -EIO, 0, "other end cannot be asked"},
		{FL_DP_XDP, false, true, 0, 0, "came after the agent"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_host_device *devices;
		size_t n;

		strcpy(fake.devices[1].kind, "veth");
		fake.options.mode = rows[i].mode;
		fake.options.unfinished_sums = rows[i].sums;
		fake.peer_has_xdp = rows[i].has_xdp;
		fake.peer_error = rows[i].error;
		fake.n_calls = 0;
		fake_start(&fake);
		devices = fl_host_devices(fake.host, &n);
		assert_int_equal(devices[0].attached, !rows[i].refused);
		assert_int_equal(fake_count(&fake, "attach 2 external"), !rows[i].refused);
		if (rows[i].refused)
			assert_non_null(strstr(devices[0].error, rows[i].refused));
		else
			assert_int_equal(fake.asked, rows[i].asked);
		fl_host_free(&fake.host);
	}
}

/* So is a bond by one of whose ports frames would be lost. */
static void test_a_bond_of_veths_is_one(void **state)
{
	static const struct {
		enum fl_dp_mode mode;
		unsigned int master; /* of the veth */
		bool has_xdp;
		enum fl_dp_mode asked;
		const char *refused;
	} rows[] = {
		{FL_DP_AUTO, 2, false, FL_DP_TC, NULL},
		{FL_DP_XDP, 2, true, FL_DP_XDP, NULL},
		{FL_DP_XDP, 2, false, 0, "device port0: a veth, whose other end does not"},
		{FL_DP_AUTO, 0, false, FL_DP_AUTO, NULL},
		{FL_DP_XDP, 0, false, FL_DP_XDP, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_netdev *port = &fake.devices[fake.n_devices];
		const struct fl_host_device *devices;
		size_t n;

		strcpy(fake.devices[1].kind, "bond");
		*port = (struct fl_netdev){.ifindex = 77, .master = rows[i].master};
		strcpy(port->name, "port0");
		strcpy(port->kind, "veth");
		fake.n_devices++;
		fake.options.mode = rows[i].mode;
		fake.options.unfinished_sums = true;
		fake.peer_has_xdp = rows[i].has_xdp;
		fake_start(&fake);
		devices = fl_host_devices(fake.host, &n);
		assert_int_equal(devices[0].attached, !rows[i].refused);
		if (rows[i].refused)
			assert_non_null(strstr(devices[0].error, rows[i].refused));
		else
			assert_int_equal(fake.asked, rows[i].asked);
		fl_host_free(&fake.host);
		fake.n_devices--;
	}
}

/* Where pods of other nodes are behind it too, it stays what it was when its default route goes. */
static void test_a_device_keeps_its_mode_when_its_default_route_goes(void **state)
{
	fake_start(&fake);
	assert_int_equal(fake.asked, FL_DP_AUTO);
	strcpy(fake.devices[1].kind, "vxlan");
	fake.devices[1].default_route[FL_IPV4] = false;
	fake.devices[1].leads_on[FL_IPV4] = true;
	fl_host_update(fake.host);
	assert_int_equal(fake.asked, FL_DP_AUTO);
	assert_int_equal(fake_map_device(&fake, 2)->flags, FL_DEVICE_EXTERNAL | FL_DEVICE_XDP_TX);
}

/* A second look asks for what the first one did, so that `auto` may still fall back to tc; and a
 * veth that was proven is not asked about again. */
static void test_a_second_look_asks_for_the_same_mode(void **state)
{
	fake.options.mode = FL_DP_AUTO;
	fake_start(&fake);
	assert_int_equal(fake.asked, FL_DP_AUTO);
	fl_host_update(fake.host);
	assert_int_equal(fake.asked, FL_DP_AUTO);
	fl_host_free(&fake.host);

	strcpy(fake.devices[1].kind, "veth");
	fake.options.mode = FL_DP_XDP;
	fake.options.unfinished_sums = fake.peer_has_xdp = true;
	fake_start(&fake);
	fake.peer_has_xdp = false;
	fake.n_calls = 0;
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "attach 2 external"), 1);
	assert_int_equal(fake.asked, FL_DP_XDP);
}

/* What an earlier agent found out holds while its programs are there. */
static void test_the_map_says_what_an_earlier_agent_found(void **state)
{
	struct {
		uint32_t ifindex;
		struct fl_device device;
	} earlier = {2, {.flags = FL_DEVICE_EXTERNAL}};

	fake.on_attach = expect_no_frames;
	assert_int_equal(fl_host_new(&fake.options, &fake.host, NULL), 0);
	assert_int_equal(fl_map_mirror_apply(fake.host->device_map, &earlier, 1, NULL, NULL), 0);
	fl_host_turn(fake.host);
	expect_frames(&fake, 2);
}

static void test_nothing_is_done_without_a_reason(void **state)
{
	uint64_t hops;

	fake_start(&fake);
	fake_forget_calls(&fake);
	hops = fake.meta.next_hops;
	fl_host_turn(fake.host);
	fl_host_retry(fake.host);
	fl_host_turn(fake.host);
	assert_int_equal(fake.n_calls, 0);
	/* a look that finds nothing new leaves next hops alone and removes nothing */
	fl_host_mark(fake.host);
	fl_host_turn(fake.host);
	assert_int_equal(fake.n_calls, 1);
	assert_string_equal(fake.reported, "");
	assert_true(fake.meta.next_hops == hops);
}

static void test_next_hops_are_forgotten_when_the_network_changes(void **state)
{
	uint32_t generation;

	fake_start(&fake);
	generation = fl_hops_generation(fake.meta.next_hops);
	fake.devices[1].mtu = 1400;
	fl_host_update(fake.host);
	assert_true(fl_hops_generation(fake.meta.next_hops) > generation);
}

/* The datapath remembers as long as next hops whose outer headers it has found to be good. */
static void test_next_hops_are_forgotten_when_nodes_change(void **state)
{
	const struct fl_ip nodes[] = {ip("192.0.2.1"), ip("192.0.2.2")};
	uint32_t generation;

	fake_start(&fake);
	assert_int_equal(fl_host_set_peers(fake.host, nodes, 2, NULL), 0);
	generation = fl_hops_generation(fake.meta.next_hops);
	assert_int_equal(fl_host_set_peers(fake.host, nodes, 2, NULL), 0);
	assert_int_equal(fl_hops_generation(fake.meta.next_hops), generation);
	assert_int_equal(fl_host_set_peers(fake.host, nodes, 1, NULL), 0);
	assert_true(fl_hops_generation(fake.meta.next_hops) > generation);
}

/* Likewise, but for the link: of an address that comes or goes. */
static void test_next_hops_are_forgotten_when_addresses_are_written(void **state)
{
	uint32_t generation;

	fake_start(&fake);
	generation = fl_hops_generation(fake.meta.next_hops);
	fake.n_addresses--;
	fl_host_update(fake.host);
	/* once before the maps are written, once after */
	assert_true(fl_hops_generation(fake.meta.next_hops) > generation + 1);
}

static void test_next_hops_are_kept_only_while_the_network_is_watched(void **state)
{
	uint32_t generation;

	fake_start(&fake);
	generation = fl_hops_generation(fake.meta.next_hops);
	fl_host_keep_next_hops(fake.host);
	assert_int_equal(fake.meta.next_hops >> 32, 0);
	fake.host->watch = (struct fl_watch *)&fake;
	fl_host_keep_next_hops(fake.host);
	assert_int_equal(fake.meta.next_hops >> 32, fake.jiffies + 3 * fl_dp_kernel_hz());
	assert_int_equal(fl_hops_generation(fake.meta.next_hops), generation);
	/* nor for ever without a change, for what nobody was told of */
	for (int i = 0; i < FL_NEXT_HOPS_S; i++)
		fl_host_keep_next_hops(fake.host);
	assert_int_equal(fl_hops_generation(fake.meta.next_hops), generation + 1);
	fake.host->watch = NULL;
}

static void test_a_device_that_refuses_is_tried_again(void **state)
{
	fake.refuses = 2;
	fake_start(&fake);
	assert_true(fl_host_failed(fake.host));
	expect_condition(&fake, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_ERROR,
			 "device 2: another XDP program is there");
	assert_false(fake_map_device(&fake, 2)->flags & FL_DEVICE_XDP_TX);
	/* the old program of a device that failed just now is better than none */
	assert_int_equal(fake_count(&fake, "prune"), 0);
	fl_host_turn(fake.host);
	assert_int_equal(fake_count(&fake, "attach 2 external"), 1);
	fake.refuses = 0;
	fl_host_retry(fake.host);
	fl_host_turn(fake.host);
	assert_int_equal(fake_count(&fake, "attach 2 external"), 2);
	assert_int_equal(fake_count(&fake, "prune"), 1);
	assert_false(fl_host_failed(fake.host));
	assert_int_equal(fake_level(&fake, FL_CONDITION_DEVICE, "eth0"), -1);
	assert_true(fake_map_device(&fake, 2)->flags & FL_DEVICE_XDP_TX);
}

/* Its routes go with a link that goes down; its flows must not lose their programs. */
static void test_a_device_that_flaps_keeps_its_programs(void **state)
{
	fake_start(&fake);
	fake.devices[1].up = fake.devices[1].default_route[FL_IPV4] = false;
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "detach 2"), 0);
	assert_true(fake_map_device(&fake, 2)->flags & FL_DEVICE_EXTERNAL);
}

static void test_a_device_that_is_gone_is_forgotten(void **state)
{
	fake.devices[2].default_route[FL_IPV6] = true;
	fake_start(&fake);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 1);
	fake_forget_calls(&fake);
	fake.n_devices = 2;
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "detach 3"), 1);
	assert_string_equal(fake.reported, "info device eth1: no longer served, it is gone\n");
	assert_null(fake_map_device(&fake, 3));
}

static void test_what_earlier_agents_left_is_removed_once(void **state)
{
	fake_start(&fake);
	fl_host_update(fake.host);
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "prune"), 1);
}

static void test_the_node_object_brings_devices_and_node_port_addresses(void **state)
{
	static const char *const primary[] = {"primary"};
	struct fl_ip node = ip("198.51.100.1");

	fake.options.node_port_addresses = primary;
	fake.options.n_node_port_addresses = 1;
	fake_start(&fake);
	fl_host_set_node_ips(fake.host, &node, 1);
	fl_host_turn(fake.host);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 1);
	assert_int_equal(*map_address("198.51.100.1"), FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS);
	assert_int_equal(*map_address("192.0.2.1"), FL_LOCAL_NODE);
	fake_forget_calls(&fake);
	fl_host_set_node_ips(fake.host, &node, 1);
	fl_host_turn(fake.host);
	assert_int_equal(fake.n_calls, 0);
}

static void test_addresses_to_masquerade_with_come_and_go(void **state)
{
	const struct fl_ip pool[] = {ip("192.0.2.1"), ip("192.0.2.2")};

	fake_start(&fake);
	fl_host_set_masquerade(fake.host, pool, 2);
	fl_host_turn(fake.host);
	assert_int_equal(fake_map_device(&fake, 2)->n_pool4, 1);
	assert_int_equal(fl_host_masquerade_addresses(fake.host, FL_IPV4), 1);
	expect_condition(&fake, FL_CONDITION_MASQUERADE, "192.0.2.2", FL_HEALTH_WARNING,
			 "nothing is masqueraded with 192.0.2.2: this node does not have it");
	assert_int_equal(fake_level(&fake, FL_CONDITION_MASQUERADE, "192.0.2.1"), -1);
	/* on a device that is not served */
	fake_add_address(&fake, 3, "192.0.2.2");
	fl_host_update(fake.host);
	expect_condition(&fake, FL_CONDITION_MASQUERADE, "192.0.2.2", FL_HEALTH_WARNING,
			 "nothing is masqueraded with 192.0.2.2: it is not on the device that has "
			 "the address used without masqueradeAddresses");
	fake.addresses[2].ifindex = 2;
	fl_host_update(fake.host);
	assert_true(fl_health_is_good(fake.health));
	assert_int_equal(fake_map_device(&fake, 2)->n_pool4, 2);
	assert_int_equal(fl_host_masquerade_addresses(fake.host, FL_IPV4), 2);
	fake_forget_calls(&fake);
	fl_host_set_masquerade(fake.host, pool, 2);
	fl_host_turn(fake.host);
	assert_int_equal(fake.n_calls, 0);
	fl_host_set_masquerade(fake.host, NULL, 0);
	fl_host_turn(fake.host);
	assert_int_equal(fake_map_device(&fake, 2)->n_pool4, 0);
	assert_true(fl_health_is_good(fake.health));
}

static void test_a_look_that_fails_changes_nothing(void **state)
{
	fake_start(&fake);
	fake_forget_calls(&fake);
	fake.scan_error = -EIO;
	fl_host_update(fake.host);
	assert_int_equal(fake.n_calls, 0);
	assert_true(fl_host_failed(fake.host));
	expect_condition(&fake, FL_CONDITION_NETWORK, "scan", FL_HEALTH_ERROR,
			 "cannot look at this node's network: netlink is out of order");
	assert_non_null(map_address("192.0.2.1"));
	fake.scan_error = 0;
	fl_host_retry(fake.host);
	fl_host_turn(fake.host);
	assert_true(fl_health_is_good(fake.health));
}

static void test_settings_that_cannot_be_understood_are_told(void **state)
{
	static const char *const addresses[] = {"nonsense"};

	fake.options.node_port_addresses = addresses;
	fake.options.n_node_port_addresses = 1;
	fake_start(&fake);
	assert_int_equal(fake_level(&fake, FL_CONDITION_NETWORK, "addresses"), FL_HEALTH_ERROR);
	assert_int_equal(fake_count(&fake, "attach 2 external"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_node_is_in_the_maps_and_its_device_has_programs),
		TEST(test_a_veth_has_native_xdp_only_if_that_works),
		TEST(test_a_bond_of_veths_is_one),
		TEST(test_a_device_keeps_its_mode_when_its_default_route_goes),
		TEST(test_a_second_look_asks_for_the_same_mode),
		TEST(test_maps_are_written_before_programs_are_attached),
		TEST(test_what_a_device_takes_is_known_once_it_has_its_programs),
		TEST(test_the_map_says_what_an_earlier_agent_found),
		TEST(test_nothing_is_done_without_a_reason),
		TEST(test_next_hops_are_forgotten_when_the_network_changes),
		TEST(test_next_hops_are_forgotten_when_nodes_change),
		TEST(test_next_hops_are_forgotten_when_addresses_are_written),
		TEST(test_next_hops_are_kept_only_while_the_network_is_watched),
		TEST(test_a_device_that_refuses_is_tried_again),
		TEST(test_a_device_that_flaps_keeps_its_programs),
		TEST(test_a_device_that_is_gone_is_forgotten),
		TEST(test_what_earlier_agents_left_is_removed_once),
		TEST(test_the_node_object_brings_devices_and_node_port_addresses),
		TEST(test_addresses_to_masquerade_with_come_and_go),
		TEST(test_a_look_that_fails_changes_nothing),
		TEST(test_settings_that_cannot_be_understood_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
