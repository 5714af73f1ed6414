// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel's list of sockets: whatever they do, their ports are found, and no others. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "nodeport/bound.h"

#define FIRST_PORT 21000
#define PORTS 2000

static bool bit(const __u64 *words, uint8_t proto, unsigned int port)
{
	return words[FL_BOUND_WORD(proto, port)] >> (port & 63) & 1;
}

/* A socket on a free port of the loopback address, which is returned in host byte order. */
static unsigned int bind_somewhere(int family, int type, int *ret_fd)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	for (unsigned int port = FIRST_PORT + (unsigned int)getpid() % PORTS;
	     port < FIRST_PORT + 2 * PORTS; port++) {
		struct sockaddr_in in4 = {.sin_family = AF_INET,
					  .sin_port = htons((uint16_t)port),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
					   .sin6_port = htons((uint16_t)port),
					   .sin6_addr = IN6ADDR_LOOPBACK_INIT};

		if (!(family == AF_INET ? bind(fd, (struct sockaddr *)&in4, sizeof(in4))
					: bind(fd, (struct sockaddr *)&in6, sizeof(in6)))) {
			*ret_fd = fd;
			return port;
		}
	}
	fail_msg("no free port");
	return 0;
}

static void test_sockets_are_found(void **state)
{
	static const struct {
		int family, type;
		uint8_t proto;
	} kinds[] = {
		{AF_INET, SOCK_STREAM, IPPROTO_TCP},
		{AF_INET6, SOCK_STREAM, IPPROTO_TCP},
		{AF_INET, SOCK_DGRAM, IPPROTO_UDP},
		{AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		__u64 words[FL_BOUND_WORDS] = {0};
		struct fl_err err = {""};
		unsigned int port;
		int fd = -1, set = 0;

		port = bind_somewhere(kinds[i].family, kinds[i].type, &fd);
		if (kinds[i].proto == IPPROTO_TCP)
			assert_int_equal(listen(fd, 1), 0);
		if (fl_bound_ports_scan(words, &err))
			fail_msg("%s", err.text);
		assert_true(bit(words, kinds[i].proto, port));
		for (int w = 0; w < FL_BOUND_WORDS; w++)
			set += __builtin_popcountll(words[w]);
		assert_in_range(set, 1, FL_BOUND_WORDS * 64 / 2);
		close(fd);
	}
}

/* What is there already stays. */
static void test_bits_are_added(void **state)
{
	__u64 words[FL_BOUND_WORDS];

	memset(words, 0x55, sizeof(words));
	assert_int_equal(fl_bound_ports_scan(words, NULL), 0);
	for (int w = 0; w < FL_BOUND_WORDS; w++)
		assert_true((words[w] & 0x5555555555555555) == 0x5555555555555555);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets_are_found),
		cmocka_unit_test(test_bits_are_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
