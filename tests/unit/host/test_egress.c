/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Backends that are reached by a device that is not served are an error while that lasts. */
#include "tests/unit/host/fake_host.h"

#define BACKENDS 600

static struct fake fake;
static struct fl_backend backends[BACKENDS];

static int setup(void **state)
{
	fake_init(&fake);
	memset(backends, 0, sizeof(backends));
	fake.maps.backends = backends;
	fake.maps.n_backends = BACKENDS;
	fake_start(&fake);
	return 0;
}

static int teardown(void **state)
{
	fake_fini(&fake);
	return 0;
}

static void put_backend(size_t id, const char *address, uint8_t flags)
{
	const struct fl_ip value = ip(address);

	memcpy(&backends[id].addr, &value, sizeof(value));
	backends[id].flags = flags;
}

/* As many calls as a whole pass takes at most. */
static void pass(void)
{
	for (int i = 0; i < 10; i++)
		fl_host_check_egress(fake.host);
}

static void test_the_served_device_is_fine(void **state)
{
	put_backend(1, "10.1.7.2", FL_BACKEND_LIVE); /* eth0 */
	put_backend(2, "10.1.7.1", FL_BACKEND_LIVE); /* lo: this node */
	put_backend(3, "10.1.7.0", FL_BACKEND_LIVE); /* no route */
	pass();
	assert_false(fl_health_has(fake.health, FL_CONDITION_EGRESS));
}

static void test_a_device_that_is_not_served_is_named(void **state)
{
	/* more than one call can ask for */
	for (size_t id = 1; id < BACKENDS; id++)
		put_backend(id, id % 2 ? "10.1.0.3" : "10.1.0.2", FL_BACKEND_LIVE);
	pass();
	expect_condition(&fake, FL_CONDITION_EGRESS, "eth1", FL_HEALTH_ERROR,
			 "300 backends, 10.1.0.3 among them, are reached by device eth1, which is "
			 "not served: connections that are balanced to them break (name it in "
			 "--devices)");
	memset(backends, 0, sizeof(backends));
	pass();
	assert_false(fl_health_has(fake.health, FL_CONDITION_EGRESS));
}

static void test_backends_of_this_machine_and_those_gone_do_not_count(void **state)
{
	put_backend(1, "10.1.7.3", FL_BACKEND_LIVE | FL_BACKEND_LOCAL);
	put_backend(2, "10.1.7.3", 0);
	pass();
	assert_false(fl_health_has(fake.health, FL_CONDITION_EGRESS));
}

/* A container whose endpoint names no node hangs on a bridge or a veth; behind a gateway there are
 * other machines whatever the device is. */
static void test_containers_of_this_machine_do_not_count(void **state)
{
	snprintf(fake.devices[2].kind, sizeof(fake.devices[2].kind), "bridge");
	fl_host_update(fake.host);
	put_backend(1, "10.1.0.3", FL_BACKEND_LIVE);
	pass();
	assert_false(fl_health_has(fake.health, FL_CONDITION_EGRESS));
	put_backend(1, "10.1.7.3", FL_BACKEND_LIVE);
	pass();
	assert_int_equal(fake_level(&fake, FL_CONDITION_EGRESS, "eth1"), FL_HEALTH_ERROR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_served_device_is_fine),
		TEST(test_a_device_that_is_not_served_is_named),
		TEST(test_backends_of_this_machine_and_those_gone_do_not_count),
		TEST(test_containers_of_this_machine_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
