/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The JSON writer: shape, escaping, numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define _cleanup_json_ _cleanup_(fl_json_free)

static void write_sample(struct fl_json *json)
{
	fl_json_object_begin(json);
	fl_json_member_string(json, "name", "web");
	fl_json_key(json, "ports");
	fl_json_array_begin(json);
	fl_json_uint(json, 80);
	fl_json_int(json, -1);
	fl_json_array_end(json);
	fl_json_key(json, "empty");
	fl_json_object_begin(json);
	fl_json_object_end(json);
	fl_json_key(json, "none");
	fl_json_array_begin(json);
	fl_json_array_end(json);
	fl_json_member_bool(json, "ok", true);
	fl_json_key(json, "nothing");
	fl_json_null(json);
	fl_json_object_end(json);
}

static void test_json_compact(void **state)
{
	_cleanup_json_ struct fl_json *json = fl_json_new(false);
	size_t len;

	write_sample(json);
	assert_string_equal(fl_json_text(json, &len),
			    "{\"name\":\"web\",\"ports\":[80,-1],\"empty\":{},"
			    "\"none\":[],\"ok\":true,\"nothing\":null}");
	assert_int_equal(len, strlen(fl_json_text(json, NULL)));
}

static void test_json_pretty(void **state)
{
	_cleanup_json_ struct fl_json *json = fl_json_new(true);

	write_sample(json);
	assert_string_equal(fl_json_text(json, NULL), "{\n"
						      "  \"name\": \"web\",\n"
						      "  \"ports\": [\n"
						      "    80,\n"
						      "    -1\n"
						      "  ],\n"
						      "  \"empty\": {},\n"
						      "  \"none\": [],\n"
						      "  \"ok\": true,\n"
						      "  \"nothing\": null\n"
						      "}");
}

static void test_json_string_escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\"\""},
		{"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
		{"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
		{"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
		{"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		 "\"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"x\xffy", "\"x\xef\xbf\xbdy\""},
		{"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},		      /* overlong NUL */
		{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
		{"\xf4\x90\x80\x80",
		 "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* above U+10FFFF */
		{"cut\xe2\x82", "\"cut\xef\xbf\xbd\xef\xbf\xbd\""},
		{NULL, "null"},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_json_ struct fl_json *json = fl_json_new(false);

		fl_json_string(json, cases[i].in);
		assert_string_equal(fl_json_text(json, NULL), cases[i].out);
	}
}

static void test_json_numbers(void **state)
{
	_cleanup_json_ struct fl_json *json = fl_json_new(false);

	fl_json_array_begin(json);
	fl_json_int(json, INT64_MIN);
	fl_json_uint(json, UINT64_MAX);
	fl_json_double(json, 0.5);
	fl_json_double(json, INFINITY);
	fl_json_double(json, NAN);
	fl_json_stringf(json, "%d-%s", 7, "x");
	fl_json_array_end(json);
	assert_string_equal(fl_json_text(json, NULL),
			    "[-9223372036854775808,18446744073709551615,0.5,null,null,\"7-x\"]");
}

/* A caller without memory for a writer still runs to its end and finds out there. */
static void test_json_null_writer(void **state)
{
	write_sample(NULL);
	assert_null(fl_json_text(NULL, NULL));
}

static void test_json_large(void **state)
{
	_cleanup_json_ struct fl_json *json = fl_json_new(false);
	size_t len;

	fl_json_array_begin(json);
	for (int i = 0; i < 100000; i++)
		fl_json_string(json, "0123456789");
	fl_json_array_end(json);
	assert_non_null(fl_json_text(json, &len));
	assert_int_equal(len, 2 + 100000 * 13 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_compact),	    cmocka_unit_test(test_json_pretty),
		cmocka_unit_test(test_json_string_escapes), cmocka_unit_test(test_json_numbers),
		cmocka_unit_test(test_json_null_writer),    cmocka_unit_test(test_json_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
