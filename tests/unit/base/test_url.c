/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Paths and queries: what is encoded, and that no part is ever lost in silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lb/base/url.h"

static void test_values_are_encoded(void **state)
{
	struct fl_url url = {0};

	fl_url_path(&url, "/v1/maglev");
	fl_url_arg(&url, "client", "[2001:db8::1]:80");
	fl_url_arg(&url, "service", "a/b c&d=\xe2\x82\xac%");
	fl_url_arg(&url, "all", "");
	assert_string_equal(fl_url_text(&url), "/v1/maglev?client=%5B2001%3Adb8%3A%3A1%5D%3A80"
					       "&service=a%2Fb%20c%26d%3D%E2%82%AC%25&all=");
}

/*
 * A flush whose "all=true", or whose filter, does not fit any more must not become a flush of
 * something else: wherever the limit falls, the whole is there or nothing is.
 */
static void test_a_part_that_does_not_fit_spoils_the_whole(void **state)
{
	static const char end[] = "?client=%3A80&all=true";
	char path[FL_URL_MAX];

	for (size_t len = FL_URL_MAX - 40; len < FL_URL_MAX - 1; len++) {
		struct fl_url url = {0};
		const char *text;

		memset(path, 'x', len);
		path[len] = '\0';
		fl_url_path(&url, path);
		fl_url_arg(&url, "client", ":80");
		fl_url_arg(&url, "all", "true");
		text = fl_url_text(&url);
		if (len + strlen(end) < FL_URL_MAX)
			assert_string_equal(text + len, end);
		else
			assert_null(text);
	}
}

static void test_a_short_part_after_one_that_did_not_fit_is_no_success(void **state)
{
	struct fl_url url = {0};
	char path[FL_URL_MAX + 1];

	memset(path, 'x', FL_URL_MAX);
	path[FL_URL_MAX] = '\0';
	fl_url_path(&url, "/v1/flows");
	fl_url_arg(&url, "flow", path);
	fl_url_arg(&url, "a", "b");
	assert_null(fl_url_text(&url));
}

static void test_a_base(void **state)
{
	static const char *const schemes[] = {"https://", "http://", NULL};
	static const char *const good[] = {"https://a",
					   "http://a:1/",
					   "https://10.0.0.1:65535/b/c",
					   "https://[fd00::1]:6443",
					   "https://[fd00::1]",
					   "http://me:word@a:80"};
	static const char *const bad[] = {"",
					  "a",
					  "https://",
					  "https:///a",
					  "ftp://a",
					  "https://a?b",
					  "https://a#b",
					  "https://a b",
					  "https://a:",
					  "https://a:0",
					  "https://a:65536",
					  "https://a:99999999999",
					  "https://a:80a",
					  "https://:80",
					  "https://fd00::1:6443",
					  "https://[]:1",
					  "https://[fd00::1",
					  "https://[fd00::1]6443",
					  "https://me@"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!fl_url_is_base(good[i], schemes))
			fail_msg("\"%s\" is refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fl_url_is_base(bad[i], schemes))
			fail_msg("\"%s\" is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_are_encoded),
		cmocka_unit_test(test_a_part_that_does_not_fit_spoils_the_whole),
		cmocka_unit_test(test_a_short_part_after_one_that_did_not_fit_is_no_success),
		cmocka_unit_test(test_a_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
