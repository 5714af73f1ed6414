/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses and prefixes: what is accepted, how it is written, which class it is in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lb/base/ip.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Rule 1.20 (leading zeros are decimal) and RFC 5952 (how IPv6 is written). */
static void test_ip_parse_and_format(void **state)
{
	static const struct {
		const char *in, *out;
		enum fl_family family;
	} cases[] = {
		{"10.0.0.1", "10.0.0.1", FL_IPV4},
		{"010.008.000.001", "10.8.0.1", FL_IPV4},
		{"255.255.255.255", "255.255.255.255", FL_IPV4},
		{"0.0.0.0", "0.0.0.0", FL_IPV4},
		{"::ffff:10.1.2.3", "10.1.2.3", FL_IPV4},
		{"::", "::", FL_IPV6},
		{"::1", "::1", FL_IPV6},
		{"fd00::", "fd00::", FL_IPV6},
		{"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1", FL_IPV6},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", FL_IPV6},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1", FL_IPV6},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", FL_IPV6},
		{"0:1::", "0:1::", FL_IPV6},
		{"::1.2.3.4", "::102:304", FL_IPV6},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", FL_IPV6},
	};

	for (size_t i = 0; i < N(cases); i++) {
		char buf[FL_IP_STRLEN];
		struct fl_ip ip, again;

		assert_int_equal(fl_ip_parse(cases[i].in, &ip), 0);
		assert_string_equal(fl_ip_format(&ip, buf), cases[i].out);
		assert_int_equal(fl_ip_family(&ip), cases[i].family);
		assert_int_equal(fl_ip_parse(buf, &again), 0);
		assert_true(fl_ip_equal(&ip, &again));
	}
}

static void test_ip_refuses_nonsense(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.-4",
		"1..2.3",
		"1.2.3.",
		".1.2.3",
		"0x1.2.3.4",
		"a.b.c.d",
		"1.2.3.4/24",
		":",
		":::",
		"1::2::3",
		"fe80::1%eth0",
		"12345::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::g",
		"[::1]",
		"4294967297.0.0.1",
		"1.2.3.99999999999999999999",
	};
	struct fl_ip ip = {.b = {42}};

	for (size_t i = 0; i < N(bad); i++) {
		assert_int_equal(fl_ip_parse(bad[i], &ip), -EINVAL);
		assert_int_equal(ip.b[0], 42); /* outputs are written on success only */
	}
}

static void test_ip_port_format(void **state)
{
	char buf[FL_IP_PORT_STRLEN];
	struct fl_ip ip;

	assert_int_equal(fl_ip_parse("10.0.0.1", &ip), 0);
	assert_string_equal(fl_ip_port_format(&ip, 80, buf), "10.0.0.1:80");
	assert_int_equal(fl_ip_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &ip), 0);
	assert_string_equal(fl_ip_port_format(&ip, 65535, buf),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535");
}

static void test_ip_classes(void **state)
{
	enum { LO = 1, LL = 2, MC = 4, UN = 8 };
	static const struct {
		const char *text;
		int class;
	} cases[] = {
		{"127.0.0.1", LO},
		{"127.255.0.9", LO},
		{"128.0.0.1", 0},
		{"::1", LO},
		{"::2", 0},
		{"169.254.0.1", LL},
		{"169.253.0.1", 0},
		{"fe80::1", LL},
		{"febf::1", LL},
		{"fec0::1", 0},
		{"224.0.0.1", MC},
		{"239.1.1.1", MC},
		{"223.255.255.255", 0},
		{"255.255.255.255", MC},
		{"255.255.255.254", 0},
		{"ff02::1", MC},
		{"fe00::1", 0},
		{"0.0.0.0", UN},
		{"0.1.2.3", UN},
		{"1.0.0.0", 0},
		{"::", UN},
		{"::ffff:127.0.0.1", LO},
		{"10.0.0.1", 0},
		{"fd00::1", 0},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct fl_ip ip;

		assert_int_equal(fl_ip_parse(cases[i].text, &ip), 0);
		assert_int_equal((fl_ip_is_loopback(&ip) ? LO : 0) |
					 (fl_ip_is_link_local(&ip) ? LL : 0) |
					 (fl_ip_is_multicast(&ip) ? MC : 0) |
					 (fl_ip_is_unspecified(&ip) ? UN : 0),
				 cases[i].class);
	}
}

static void test_prefix_parse_and_format(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
		int len;
	} cases[] = {
		{"10.1.2.3/8", "10.0.0.0/8", 104},
		{"0.0.0.0/0", "0.0.0.0/0", 96},
		{"1.2.3.4/32", "1.2.3.4/32", 128},
		{"::/0", "::/0", 0},
		{"2001:db8::1/64", "2001:db8::/64", 64},
		{"fd00::7/127", "fd00::6/127", 127},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", 104},
		{"010.0.0.0/08", "10.0.0.0/8", 104},
		{"10.0.0.0", NULL, 0},
		{"10.0.0.0/", NULL, 0},
		{"10.0.0.0/33", NULL, 0},
		{"::/129", NULL, 0},
		{"10.0.0.0/-1", NULL, 0},
		{"10.0.0.0/8 ", NULL, 0},
		{" 10.0.0.0/8", NULL, 0},
		{"/8", NULL, 0},
		{"10.0.0.0/8/8", NULL, 0},
		{"::/9999999999", NULL, 0},
		{"10.0.0.0/00000008", NULL, 0},
		{"", NULL, 0},
	};

	for (size_t i = 0; i < N(cases); i++) {
		char buf[FL_PREFIX_STRLEN];
		struct fl_prefix prefix;

		if (!cases[i].out) {
			assert_int_equal(fl_prefix_parse(cases[i].in, &prefix), -EINVAL);
			continue;
		}
		assert_int_equal(fl_prefix_parse(cases[i].in, &prefix), 0);
		assert_int_equal(prefix.len, cases[i].len);
		assert_string_equal(fl_prefix_format(&prefix, buf), cases[i].out);
	}
}

static void test_prefix_contains_its_family_only(void **state)
{
	static const struct {
		const char *prefix, *ip;
		bool in;
	} cases[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"0.0.0.0/0", "203.0.113.1", true},
		{"0.0.0.0/0", "fd00::1", false},
		{"::/0", "fd00::1", true},
		{"::/0", "10.0.0.1", false},
		{"10.0.0.128/25", "10.0.0.127", false},
		{"10.0.0.128/25", "10.0.0.200", true},
		{"fd00::/127", "fd00::1", true},
		{"fd00::/127", "fd00::2", false},
		{"1.2.3.4/32", "1.2.3.4", true},
		{"1.2.3.4/32", "1.2.3.5", false},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct fl_prefix prefix;
		struct fl_ip ip;

		assert_int_equal(fl_prefix_parse(cases[i].prefix, &prefix), 0);
		assert_int_equal(fl_ip_parse(cases[i].ip, &ip), 0);
		assert_int_equal(fl_prefix_contains(&prefix, &ip), cases[i].in);
	}
}

static void test_ip_from_bytes(void **state)
{
	static const uint8_t v4[] = {10, 1, 2, 3}, v6[16] = {0xfd, 0, [15] = 1};
	char text[FL_IP_STRLEN];
	struct fl_ip ip;

	assert_int_equal(fl_ip_from_bytes(v4, 4, &ip), 0);
	assert_string_equal(fl_ip_format(&ip, text), "10.1.2.3");
	assert_int_equal(fl_ip_from_bytes(v6, 16, &ip), 0);
	assert_string_equal(fl_ip_format(&ip, text), "fd00::1");
	assert_int_equal(fl_ip_from_bytes(v6, 6, &ip), -EINVAL);
	ip = fl_ip_unspecified(FL_IPV4);
	assert_string_equal(fl_ip_format(&ip, text), "0.0.0.0");
	ip = fl_ip_unspecified(FL_IPV6);
	assert_string_equal(fl_ip_format(&ip, text), "::");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_from_bytes),
		cmocka_unit_test(test_ip_parse_and_format),
		cmocka_unit_test(test_ip_refuses_nonsense),
		cmocka_unit_test(test_ip_port_format),
		cmocka_unit_test(test_ip_classes),
		cmocka_unit_test(test_prefix_parse_and_format),
		cmocka_unit_test(test_prefix_contains_its_family_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
