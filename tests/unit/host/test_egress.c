/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A device that leads to backends is served from then on; backends behind one that cannot be are an
 * error while that lasts. */
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
	fake.meta.revision++;
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

/* A device without Ethernet headers cannot have our programs. */
static void test_a_device_that_cannot_be_served_is_named(void **state)
{
	fake.devices[2].headerless = true;
	fl_host_update(fake.host);
	/* more than one call can ask for */
	for (size_t id = 1; id < BACKENDS; id++)
		put_backend(id, id % 2 ? "10.1.0.3" : "10.1.0.2", FL_BACKEND_LIVE);
	pass();
	expect_condition(&fake, FL_CONDITION_EGRESS, "eth1", FL_HEALTH_ERROR,
			 "300 backends, 10.1.0.3 among them, are reached by device eth1, which is "
			 "not served: connections that are balanced to them break (its packets "
			 "have no Ethernet header; a VXLAN device has)");
	memset(backends, 0, sizeof(backends));
	pass();
	assert_false(fl_health_has(fake.health, FL_CONDITION_EGRESS));
}

/* Whatever it is, and although another device was named: by tc, as it may be of any kind. */
static void test_a_device_with_backends_behind_it_is_served(void **state)
{
	static const char *const named[] = {"eth0"};

	fl_host_free(&fake.host);
	fake.options.rules.external = named;
	fake.options.rules.n_external = 1;
	fake.options.mode = FL_DP_XDP;
	fake_start(&fake);
	put_backend(1, "10.1.0.3", FL_BACKEND_LIVE);
	fake_forget_calls(&fake);
	pass();
	fl_host_turn(fake.host);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 1);
	assert_int_equal(fake.asked, FL_DP_TC);
	assert_int_equal(fake_map_device(&fake, 3)->flags & ~FL_DEVICE_XDP_TX, FL_DEVICE_EXTERNAL);
	assert_non_null(strstr(fake.reported,
			       "info device eth1: the route to backend 10.1.0.3 leaves by it\n"));
	pass();
	assert_false(fl_health_has(fake.health, FL_CONDITION_EGRESS));
	/* flows still need it when the backend has gone */
	memset(backends, 0, sizeof(backends));
	pass();
	fake_forget_calls(&fake);
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 1);
	assert_int_equal(fake_count(&fake, "detach 3"), 0);
}

/* Its programs come with the first ones: a flow that left unmasqueraded stays so. */
static void test_what_is_known_at_the_start_is_served_at_the_start(void **state)
{
	fl_host_free(&fake.host);
	for (size_t id = 1; id < BACKENDS; id++)
		put_backend(id, id < BACKENDS - 1 ? "10.1.0.2" : "10.1.0.3", FL_BACKEND_LIVE);
	fake_forget_calls(&fake);
	fake_start(&fake);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 1);
}

/* A look that comes before the devices are known has found nothing, and is not to count. */
static void test_a_look_before_the_start_does_not_count(void **state)
{
	fl_host_free(&fake.host);
	for (size_t id = 1; id < BACKENDS; id++)
		put_backend(id, id > 1 ? "10.1.0.2" : "10.1.0.3", FL_BACKEND_LIVE);
	assert_int_equal(fl_host_new(&fake.options, &fake.host, NULL), 0);
	fl_host_check_egress(fake.host);
	fake_forget_calls(&fake);
	fl_host_turn(fake.host);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 1);
}

/* Another device may get its number. */
static void test_a_device_that_is_gone_is_forgotten(void **state)
{
	put_backend(1, "10.1.0.3", FL_BACKEND_LIVE);
	pass();
	fl_host_turn(fake.host);
	put_backend(1, "10.1.0.2", FL_BACKEND_LIVE);
	fake.n_devices = 2; /* lo, eth0 */
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "detach 3"), 1);
	fake.n_devices = 4;
	fake_forget_calls(&fake);
	fl_host_update(fake.host);
	assert_int_equal(fake_count(&fake, "attach 3 external"), 0);
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
	/* it is not served by itself, since at its ports may be pods of this node */
	assert_int_equal(fake_level(&fake, FL_CONDITION_EGRESS, "eth1"), FL_HEALTH_ERROR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_served_device_is_fine),
		TEST(test_a_device_that_cannot_be_served_is_named),
		TEST(test_a_device_with_backends_behind_it_is_served),
		TEST(test_what_is_known_at_the_start_is_served_at_the_start),
		TEST(test_a_look_before_the_start_does_not_count),
		TEST(test_a_device_that_is_gone_is_forgotten),
		TEST(test_backends_of_this_machine_and_those_gone_do_not_count),
		TEST(test_containers_of_this_machine_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
