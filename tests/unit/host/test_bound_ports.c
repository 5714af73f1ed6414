// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The datapath relies on the bits of bound ports only while everything that fills them works. */
#include "tests/unit/host/fake_host.h"

static struct fake fake;

static int setup(void **state)
{
	fake_init(&fake);
	fake_start(&fake);
	fake_forget_calls(&fake);
	return 0;
}

static int teardown(void **state)
{
	fake_fini(&fake);
	return 0;
}

static void test_the_stamp_is_refreshed_and_never_zero(void **state)
{
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake.meta.bound_ports_stamp, 5001);
	fake.jiffies = 6000;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake.meta.bound_ports_stamp, 6001);
	fake.jiffies = 0x100000000;
	fl_host_check_ports(fake.host, true);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
	fake.jiffies = 0; /* the clock cannot be read */
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
}

static void test_sockets_are_listed_first_and_then_once_a_minute(void **state)
{
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_count(&fake, "sockets"), 1);
	assert_int_equal(fake.bound_ports[1], 2);
	fake.now_ms += 59999;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_count(&fake, "sockets"), 1);
	fake.now_ms++;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_count(&fake, "sockets"), 2);
}

/* B3: the kernel's socket of a VXLAN device is bound by no bind(), but it is in the list. */
static void test_a_tunnel_that_comes_up_has_a_socket(void **state)
{
	struct fl_netdev *tunnel, *pod;

	fl_host_check_ports(fake.host, true);
	tunnel = fake_add_device(&fake, 90, "vxlan0");
	strcpy(tunnel->kind, "vxlan");
	tunnel->up = false;
	pod = fake_add_device(&fake, 91, "veth9");
	strcpy(pod->kind, "veth");
	fl_host_update(fake.host);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
	tunnel->up = true;
	fl_host_update(fake.host);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_count(&fake, "sockets"), 2);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
	fl_host_update(fake.host);
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_count(&fake, "sockets"), 2);
}

/* What was bound without our hooks has to be found before the bits are relied upon again. */
static void test_without_hooks_nothing_is_known(void **state)
{
	fl_host_check_ports(fake.host, true);
	fl_host_check_ports(fake.host, false);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	assert_int_equal(fake_count(&fake, "sockets"), 1);
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_count(&fake, "sockets"), 2);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
}

static void test_sockets_that_cannot_be_listed(void **state)
{
	fake.sockets_error = -EIO;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	expect_condition(&fake, FL_CONDITION_SOURCE_PORTS, "sockets", FL_HEALTH_NOTE,
			 "a socket is looked for with every new masqueraded flow: sockets cannot "
			 "be listed");
	fake.sockets_error = 0;
	fl_host_check_ports(fake.host, true);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
	assert_int_equal(fake_level(&fake, FL_CONDITION_SOURCE_PORTS, "sockets"), -1);
}

static void test_ranges_that_were_changed_under_the_programs(void **state)
{
	const struct fl_port_range was = fake.source_ports;
	const uint64_t news = fl_host_changes(fake.host);

	fl_host_check_ports(fake.host, true);
	assert_int_equal(fl_host_changes(fake.host), news);
	/* also where a bind() may escape the hooks */
	fake.source_ports.count -= 10;
	fl_host_check_ports(fake.host, false);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	assert_int_not_equal(fl_host_changes(fake.host), news);
	assert_int_equal(fl_host_source_ports(fake.host)->count, was.count - 10);
	/* the programs have followed: what has such a port already is looked for first */
	fl_host_set_source_ports(fake.host, fl_host_source_ports(fake.host));
	fake_forget_calls(&fake);
	fl_host_check_ports(fake.host, true);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
	assert_int_equal(fake_count(&fake, "sockets"), 1);
	fake.source_ports = was;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	fake.ports_error = -ENOSPC;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake_level(&fake, FL_CONDITION_SOURCE_PORTS, "ranges"), FL_HEALTH_WARNING);
	assert_int_equal(fl_host_source_ports(fake.host)->count, was.count);
	fake.ports_error = -EINVAL;
	fl_host_check_ports(fake.host, true);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	assert_int_equal(fake_level(&fake, FL_CONDITION_SOURCE_PORTS, "ranges"), -1);
}

static void test_the_end_of_the_agent_ends_the_belief(void **state)
{
	fl_host_check_ports(fake.host, true);
	assert_int_not_equal(fake.meta.bound_ports_stamp, 0);
	fl_host_free(&fake.host);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
}

static void test_bits_are_cleared_before_the_hooks_come(void **state)
{
	fake.meta.bound_ports_stamp = 77;
	memset(fake.bound_ports, 0xff, sizeof(fake.bound_ports));
	fl_host_clear_ports(fake.host);
	assert_int_equal(fake.meta.bound_ports_stamp, 0);
	for (size_t i = 0; i < FL_BOUND_WORDS; i++)
		assert_true(!fake.bound_ports[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_stamp_is_refreshed_and_never_zero),
		TEST(test_sockets_are_listed_first_and_then_once_a_minute),
		TEST(test_a_tunnel_that_comes_up_has_a_socket),
		TEST(test_without_hooks_nothing_is_known),
		TEST(test_sockets_that_cannot_be_listed),
		TEST(test_ranges_that_were_changed_under_the_programs),
		TEST(test_the_end_of_the_agent_ends_the_belief),
		TEST(test_bits_are_cleared_before_the_hooks_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
