/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where health (6.2) and metrics (6.3) are served: the addresses as they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/settings/bind.h"

static int read_list(const char *list, enum fl_bind_server server, char *ret_text, size_t size,
		     struct fl_err *err)
{
	struct fl_bind binds[FL_BINDS_MAX];
	struct fl_strings setting = {0};
	char copy[512], *save, *word;
	size_t n, len = 0;
	int r;

	snprintf(copy, sizeof(copy), "%s", list);
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		assert_int_equal(fl_strings_add(&setting, strdup(word)), 0);
	r = fl_binds_read(&setting, server, binds, &n, err);
	fl_strings_clear(&setting);
	*ret_text = '\0';
	for (size_t i = 0; !r && i < n; i++) {
		char text[FL_IP_PORT_STRLEN];

		len += (size_t)snprintf(ret_text + len, size - len, "%s%s%s%s", i ? " " : "",
					fl_ip_port_format(&binds[i].ip, binds[i].port, text),
					binds[i].v6_only ? " only" : "",
					binds[i].implied ? " implied" : "");
	}
	return r;
}

static void test_addresses(void **state)
{
	static const struct {
		const char *setting;
		enum fl_bind_server server;
		const char *want;
	} rows[] = {
		{"", FL_BIND_HEALTHZ, "0.0.0.0:10256 only implied [::]:10256 only implied"},
		{"", FL_BIND_METRICS, "127.0.0.1:10249 only implied [::1]:10249 only implied"},
		{"none", FL_BIND_HEALTHZ, ""},
		{"10.0.0.1", FL_BIND_METRICS, "10.0.0.1:10249 only"},
		{"10.0.0.1:9", FL_BIND_METRICS, "10.0.0.1:9 only"},
		{"[::]:10256", FL_BIND_HEALTHZ, "[::]:10256"},
		{"::", FL_BIND_HEALTHZ, "[::]:10256"},
		{"[fd00::1]", FL_BIND_HEALTHZ, "[fd00::1]:10256"},
		{"0.0.0.0:1,[::]:2", FL_BIND_HEALTHZ, "0.0.0.0:1 only [::]:2"},
		{"[::]:2,0.0.0.0:2", FL_BIND_HEALTHZ, "[::]:2 only 0.0.0.0:2 only"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_err err = {""};
		char text[512];

		if (read_list(rows[i].setting, rows[i].server, text, sizeof(text), &err))
			fail_msg("%s: %s", rows[i].setting, err.text);
		assert_string_equal(text, rows[i].want);
	}
}

static void test_what_is_no_address(void **state)
{
	static const char *const rows[] = {
		"localhost", "10.0.0.1:0",    "10.0.0.1:65536", "10.0.0.1:", "[::1",
		"[::1]9",    "[::1]:x",	      "10.0.0.1:+9",	"1.2.3",     "none,10.0.0.1",
		":10256",    "10.0.0.0/8:99", "fd00::1:zz",	"10256",     "[::1]:99999999999",
		"::1,[::1]",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_err err = {""};
		char text[512];

		if (read_list(rows[i], FL_BIND_HEALTHZ, text, sizeof(text), &err) != -EINVAL)
			fail_msg("%s is taken for %s", rows[i], text);
		assert_non_null(strstr(err.text, "healthzBindAddress"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_what_is_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
