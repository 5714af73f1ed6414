// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which of the kernel's news are about the network as a whole, in a network namespace of this
 * test's own. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lb/host/watch.h"

static struct fl_watch *watch;

static int enter(void **state)
{
	const bool able = (!unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET)) &&
			  /* without addresses of the link, which become valid some time later */
			  !system("ip link add v0 type veth peer name v1 2>/dev/null &&"
				  "ip link set v0 addrgenmode none &&"
				  "ip link set v1 addrgenmode none &&"
				  "ip link set v0 up && ip link set v1 up &&"
				  "ip addr add 192.0.2.1/24 dev v0 &&"
				  "ip addr add 198.51.100.1/24 dev v1");

	if (able && fl_watch_open(&watch, NULL))
		return -1;
	return 0;
}

static int leave(void **state)
{
	fl_watch_close(&watch);
	return 0;
}

/* What a command makes of news. It has ended, so the kernel has sent what there is. */
static struct fl_watch_news news_of(const char *command)
{
	struct fl_watch_news news;

	/* what the devices' coming up has led to meanwhile */
	assert_int_equal(fl_watch_handle(watch, &news, NULL), 0);
	if (system(command))
		fail_msg("%s", command);
	assert_int_equal(fl_watch_handle(watch, &news, NULL), 0);
	return news;
}

/* A router may learn a million routes: only the first at a device says anything about that. */
static void test_the_first_route_to_a_gateway_at_a_device_is_news(void **state)
{
	static const struct {
		const char *command;
		bool network;
	} rows[] = {
		{"ip route add 203.0.113.0/28 dev v0", false},
		{"ip route add 203.0.113.16/28 via 192.0.2.2", true},
		{"ip route add 203.0.113.32/28 via 192.0.2.3", false},
		{"ip route del 203.0.113.32/28", false},
		{"ip route add 203.0.113.48/28 nexthop via 192.0.2.3 nexthop via 198.51.100.2",
		 true},
		{"ip route add 203.0.113.64/28 via 198.51.100.3", false},
		{"ip route add default via 192.0.2.2", true},
	};

	if (!watch) {
		print_message("SKIP: no network namespace of one's own, or no ip command\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_watch_news news = news_of(rows[i].command);

		if (news.network != rows[i].network || !news.next_hops)
			fail_msg("%s: network %d, next hops %d", rows[i].command, news.network,
				 news.next_hops);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_route_to_a_gateway_at_a_device_is_news),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
