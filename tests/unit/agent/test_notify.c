/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a service manager hears, by a socket of this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/agent/notify.h"

static int manager = -1;
static char address[64];

static void listen_at(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(address, sizeof(address), name, getpid());
	memcpy(at.sun_path, address, strlen(address));
	if (at.sun_path[0] == '@')
		at.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address) +
					  (address[0] == '/'))),
			 0);
}

static int setup(void **state)
{
	listen_at("@fairlead-test-%d");
	return 0;
}

static int teardown(void **state)
{
	close(manager);
	return 0;
}

/* What came, or "" when nothing did. */
static const char *heard(void)
{
	static char buf[512];
	ssize_t n = recv(manager, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static struct fl_mono at_ms(uint64_t ms)
{
	return (struct fl_mono){ms * FL_NSEC_PER_MSEC};
}

static void test_states_are_told(void **state)
{
	struct fl_notify n = fl_notify_open(address, NULL, NULL);

	fl_notify_send(&n, "READY=1");
	assert_string_equal(heard(), "READY=1");
	fl_notify_reloading(&n, at_ms(12));
	assert_string_equal(heard(), "RELOADING=1\nMONOTONIC_USEC=12000");
	fl_notify_close(&n);
	fl_notify_send(&n, "READY=1");
	assert_string_equal(heard(), "");
}

static void test_a_socket_with_a_path(void **state)
{
	struct fl_notify n;

	close(manager);
	listen_at("/tmp/fairlead-notify-%d");
	n = fl_notify_open(address, NULL, NULL);
	fl_notify_send(&n, "STOPPING=1");
	unlink(address);
	assert_string_equal(heard(), "STOPPING=1");
	fl_notify_close(&n);
}

static void test_without_a_manager_nothing_is_told(void **state)
{
	static const char *const addresses[] = {NULL, "", "/", "relative", "vsock:2:1234"};
	char longest[200];

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(fl_notify_open(addresses[i], "1000000", NULL).fd, -1);
	assert_int_equal(fl_notify_open(longest, NULL, NULL).fd, -1);
}

static void test_beats_come_at_half_the_time(void **state)
{
	struct fl_notify n = fl_notify_open(address, "4000000", NULL);

	for (uint64_t ms = 10000; ms <= 20000; ms += 1000)
		fl_notify_beat(&n, at_ms(ms));
	for (int i = 0; i < 6; i++)
		assert_string_equal(heard(), "WATCHDOG=1");
	assert_string_equal(heard(), "");
	fl_notify_close(&n);
}

static void test_the_watchdog_of_another_process(void **state)
{
	char own[24];
	struct fl_notify n;

	snprintf(own, sizeof(own), "%d", getpid());
	n = fl_notify_open(address, "4000000", own);
	assert_int_equal(n.beat_ms, 2000);
	fl_notify_close(&n);
	n = fl_notify_open(address, "4000000", "1");
	assert_int_equal(n.beat_ms, 0);
	fl_notify_beat(&n, at_ms(100000));
	assert_string_equal(heard(), "");
	fl_notify_close(&n);
	n = fl_notify_open(address, "nonsense", NULL);
	assert_int_equal(n.beat_ms, 0);
	fl_notify_close(&n);
}

static void test_a_status_is_told_when_it_changes(void **state)
{
	struct fl_notify n = fl_notify_open(address, NULL, NULL);
	char text[400];

	fl_notify_status(&n, "healthy");
	assert_string_equal(heard(), "STATUS=healthy");
	fl_notify_status(&n, "healthy");
	assert_string_equal(heard(), "");
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	fl_notify_status(&n, text);
	assert_int_equal(strlen(heard()), strlen("STATUS=") + sizeof(n.status) - 1);
	fl_notify_status(&n, text);
	assert_string_equal(heard(), "");
	fl_notify_close(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_states_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_socket_with_a_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_a_manager_nothing_is_told, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_beats_come_at_half_the_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_watchdog_of_another_process, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_status_is_told_when_it_changes, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
