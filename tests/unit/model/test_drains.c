/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Backends drained by command: how one is written, which covers which, and what is planned. */
#include "tests/unit/model/fixture.h"

#include <errno.h>

static struct fl_drain drain(const char *text)
{
	struct fl_err err = {""};
	struct fl_drain value;

	if (fl_drain_parse(text, &value, &err))
		fail_msg("%s: %s", text, err.text);
	return value;
}

static void test_as_it_is_written(void **state)
{
	/* NULL: refused */
	static const struct {
		const char *text, *formatted;
	} rows[] = {
		{"10.1.2.3", "10.1.2.3"},
		{"10.1.2.3:80", "10.1.2.3:80"},
		{"10.1.2.3:80/tcp", "10.1.2.3:80/TCP"},
		{"10.1.2.3:80/UDP", "10.1.2.3:80/UDP"},
		{"fd00::1", "fd00::1"},
		{"[fd00::1]", "fd00::1"},
		{"[fd00:0::1]:65535", "[fd00::1]:65535"},
		{"[fd00::1]:53/UDP", "[fd00::1]:53/UDP"},
		{"", NULL},
		{"10.1.2", NULL},
		{"10.1.2.3:", NULL},
		{"10.1.2.3:0", NULL},
		{"10.1.2.3:65536", NULL},
		{"10.1.2.3:+80", NULL},
		{"10.1.2.3:http", NULL},
		{"10.1.2.3/24", NULL},
		{"10.1.2.3/TCP", NULL}, /* a protocol without a port is no backend's */
		{"10.1.2.3:80/ICMP", NULL},
		{"10.1.2.3:80/", NULL},
		{"[10.1.2.3]:80", NULL},
		{"[fd00::1", NULL},
		{"[fd00::1]80", NULL},
		{"[]:80", NULL},
		{"0.0.0.0", NULL},
		{"::", NULL},
		{"web", NULL},
		{"[fd00::1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee]:80",
		 NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_err err = {""};
		struct fl_drain value;
		char buf[FL_DRAIN_STRLEN];
		int rc = fl_drain_parse(rows[i].text, &value, &err);

		if (!rows[i].formatted != !!rc)
			fail_msg("\"%s\": %d", rows[i].text, rc);
		if (rc)
			assert_non_null(strstr(err.text, "such as 10.1.2.3"));
		else
			assert_string_equal(fl_drain_format(&value, buf), rows[i].formatted);
	}
}

static bool has(const struct fl_drains *drains, const char *text)
{
	const struct fl_drain value = drain(text);

	return fl_drains_find(drains, &value.ip, value.port, value.proto);
}

static int add(struct fl_drains *drains, const char *text)
{
	const struct fl_drain value = drain(text);

	return fl_drains_add(drains, &value);
}

static size_t del(struct fl_drains *drains, const char *text)
{
	const struct fl_drain value = drain(text);

	return fl_drains_del(drains, &value);
}

static void test_the_wider_covers_the_narrower(void **state)
{
	struct fl_drains drains = {0};

	assert_false(has(&drains, "10.1.2.3"));
	assert_false(has(NULL, "10.1.2.3"));
	assert_int_equal(add(&drains, "10.1.2.3:80/TCP"), 0);
	assert_true(has(&drains, "10.1.2.3:80/TCP"));
	assert_false(has(&drains, "10.1.2.3:80/UDP"));
	assert_false(has(&drains, "10.1.2.3:80"));
	assert_int_equal(add(&drains, "10.1.2.3:81"), 0);
	assert_int_equal(add(&drains, "10.1.2.4"), 0);
	assert_int_equal(drains.n, 3);
	/* it takes the two in */
	assert_int_equal(add(&drains, "10.1.2.3"), 0);
	assert_int_equal(drains.n, 2);
	assert_int_equal(add(&drains, "10.1.2.3"), 1);
	assert_int_equal(add(&drains, "10.1.2.3:443/TCP"), 1);
	assert_true(has(&drains, "10.1.2.3:80/UDP"));
	/* a part of it cannot be taken out */
	assert_int_equal(del(&drains, "10.1.2.3:80"), 0);
	assert_true(has(&drains, "10.1.2.3:80/TCP"));
	assert_int_equal(del(&drains, "10.1.2.3"), 1);
	assert_false(has(&drains, "10.1.2.3:80/TCP"));
	assert_true(has(&drains, "10.1.2.4:1/TCP"));
	assert_int_equal(add(&drains, "10.1.2.4:1/TCP"), 1);
	assert_int_equal(add(&drains, "[fd00::1]:1/TCP"), 0);
	assert_int_equal(add(&drains, "[fd00::1]:2/TCP"), 0);
	assert_int_equal(del(&drains, "fd00::1"), 2);
	fl_drains_fini(&drains);
}

static void test_there_is_a_limit(void **state)
{
	struct fl_drains drains = {0};
	struct fl_drain one = {.ip = ip("10.0.0.0")};

	for (int i = 0; i < FL_DRAINS_MAX; i++) {
		one.ip.b[14] = (uint8_t)(i >> 8);
		one.ip.b[15] = (uint8_t)i;
		assert_int_equal(fl_drains_add(&drains, &one), 0);
	}
	assert_int_equal(add(&drains, "10.9.9.9"), -ENOSPC);
	assert_int_equal(add(&drains, "10.0.0.9:80"), 1);
	assert_int_equal(drains.n, FL_DRAINS_MAX);
	assert_int_equal(del(&drains, "10.0.0.9"), 1);
	assert_int_equal(add(&drains, "10.9.9.9"), 0);
	fl_drains_fini(&drains);
}

/* Against a list that is looked through one by one. */
static void test_random_sets(void **state)
{
	unsigned seed = 3;

	for (int round = 0; round < 200; round++) {
		struct fl_drains drains = {0};
		bool drained[3][3][2] = {{{false}}}; /* by address, port and protocol */

		for (int step = 0; step < 60; step++) {
			const int a = rand_r(&seed) % 3, p = rand_r(&seed) % 4 - 1;
			const int q = p < 0 ? -1 : rand_r(&seed) % 3 - 1;
			const bool undrain = rand_r(&seed) % 2;
			struct fl_drain one = {.ip = ip("10.0.0.0")};

			one.ip.b[15] = (uint8_t)a;
			one.port = p < 0 ? 0 : (uint16_t)(80 + p);
			one.proto = q < 0 ? 0 : q ? IPPROTO_UDP : IPPROTO_TCP;
			if (undrain) {
				fl_drains_del(&drains, &one);
				/* what a wider one has stays, as the agent says */
				if (fl_drains_find(&drains, &one.ip, one.port, one.proto))
					continue;
			} else {
				assert_true(fl_drains_add(&drains, &one) >= 0);
			}
			for (int i = 0; i < 3; i++)
				for (int j = 0; j < 2; j++)
					if ((p < 0 || p == i) && (q < 0 || q == j))
						drained[a][i][j] = !undrain;
			for (int x = 0; x < 18; x++) {
				one.ip.b[15] = (uint8_t)(x / 6);
				if (!!fl_drains_find(&drains, &one.ip, (uint16_t)(80 + x / 2 % 3),
						     x % 2 ? IPPROTO_UDP : IPPROTO_TCP) !=
				    drained[x / 6][x / 2 % 3][x % 2])
					fail_msg("round %d, step %d", round, step);
			}
		}
		fl_drains_fini(&drains);
	}
}

/* As weight 0: in no list, still serving, and the node is no reason to come to it. */
static void test_a_drained_endpoint_is_as_one_of_weight_0(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice =
		slice_web("a", 8080, "10.1.1.1 rs- local; 10.1.1.2 rs- W=5; 10.1.1.3 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *weightless =
		slice_web("a", 8080, "10.1.1.1 rs- local W=0; 10.1.1.2 rs- W=0; 10.1.1.3 rs-");
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0}, wanted = {0};
	struct fl_plan_options options = OPTIONS_NODE_1;
	const struct fl_slice *const slices[] = {slice};
	struct fl_drains drains = {0};

	options.drains = &drains;
	/* another port and another protocol are not this one */
	assert_int_equal(add(&drains, "10.1.1.3:80"), 0);
	assert_int_equal(add(&drains, "10.1.1.3:8080/UDP"), 0);
	assert_int_equal(add(&drains, "10.1.1.1"), 0);
	assert_int_equal(add(&drains, "10.1.1.2:8080/TCP"), 0);
	assert_int_equal(fl_plan_service(service, slices, 1, &options, &plan), 0);
	wanted = plan_one(service, weightless);
	expect_list("drained", &plan.ports[0], FL_PLAN_IN_CLUSTER, "10.1.1.3:8080");
	assert_int_equal(plan.ports[0].reason.n_drained, 2);
	assert_int_equal(plan.ports[0].local_ready, 0);
	assert_int_equal(plan.ports[0].n_endpoints, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct fl_plan_endpoint *got = &plan.ports[0].endpoints[i];
		const struct fl_plan_endpoint *want = &wanted.ports[0].endpoints[i];

		assert_true(fl_ip_equal(&got->ip, &want->ip));
		assert_int_equal(got->flags, want->flags);
		assert_int_equal(got->weight, want->weight);
	}
	fl_drains_fini(&drains);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_it_is_written),
		cmocka_unit_test(test_the_wider_covers_the_narrower),
		cmocka_unit_test(test_there_is_a_limit),
		cmocka_unit_test(test_random_sets),
		cmocka_unit_test(test_a_drained_endpoint_is_as_one_of_weight_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
