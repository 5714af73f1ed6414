/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Routes are asked for by the real kernel, which lets anybody ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lb/host/route.h"

#define N 50 /* more than are asked at once */

/* Nearly all of the loopback network are this node; between them is what leaves, if anything does,
 * and what has no route. */
static void ask_for(size_t i, struct fl_ip *ret_ip)
{
	char text[FL_IP_STRLEN];

	if (i % 3 == 0)
		snprintf(text, sizeof(text), "127.0.0.%zu", i + 1);
	else if (i % 3 == 1)
		snprintf(text, sizeof(text), "198.51.100.%zu", i + 1);
	else
		snprintf(text, sizeof(text), "2001:db8::%zu", i + 1);
	assert_int_equal(fl_ip_parse(text, ret_ip), 0);
}

static void test_each_address_gets_its_own_answer(void **state)
{
	struct fl_ip ips[N];
	struct fl_route routes[N], one;

	for (size_t i = 0; i < N; i++)
		ask_for(i, &ips[i]);
	assert_int_equal(fl_routes_get(ips, N, routes), 0);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(fl_routes_get(&ips[i], 1, &one), 0);
		assert_int_equal(routes[i].ifindex, one.ifindex);
		assert_int_equal(routes[i].gateway, one.gateway);
		if (i % 3 == 0)
			assert_int_equal(routes[i].ifindex, 0);
	}
}

static void test_nothing_is_asked_for(void **state)
{
	assert_int_equal(fl_routes_get(NULL, 0, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_address_gets_its_own_answer),
		cmocka_unit_test(test_nothing_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
