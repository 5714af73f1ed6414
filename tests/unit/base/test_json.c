/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON: what is accepted and what is refused, and where (robustness C5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define _cleanup_doc_ _cleanup_(fl_doc_free)

static int parse(const char *text, size_t len, struct fl_doc **ret_doc, struct fl_err *err)
{
	/* a copy without anything behind it, so that a sanitizer sees the first byte too many */
	_cleanup_free_ char *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, text, len);
	return fl_doc_parse(exact, len, FL_DOC_JSON, ret_doc, err);
}

static void test_json_accepts(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" \t\r\n{ \n} \n",
		"[1]",
		"[1,2]",
		"[ 1 , 2 ]",
		"{\"a\":1}",
		"{\"a\" : 1 , \"b\":[{}]}",
		"[true,false,null]",
		"[0,-0,1,-1,10,1.5,-1.5e10,1E+2,1e-2,0.0]",
		"[\"\"]",
		"{\"\":0}",
		"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
		"[\"\\u0041\\u00e9\\u20AC\"]",
		"[\"\\ud83d\\ude00\"]",
		"[\"h\xc3\xa9\xf0\x9f\x98\x80\"]",
		"[\"\x7f\"]",
		"\xef\xbb\xbf{}",
		"[[[[[]]]]]",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[\"{\",\"}\",\"[\",\",\",\":\"]",
		"[123456789012345678901234567890]",
	};

	for (size_t i = 0; i < N(good); i++) {
		_cleanup_doc_ struct fl_doc *doc = NULL;
		struct fl_err err = {.text = ""};

		if (parse(good[i], strlen(good[i]), &doc, &err))
			fail_msg("%s: %s", good[i], err.text);
	}
}

static void test_json_refuses(void **state)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		/* what jsmn by itself lets through */
		{"{\"a\":1,}", "line 1: '}' where a key was expected"},
		{"[1,]", "line 1: ']' where a value was expected"},
		{"[,1]", "line 1: ',' where a value was expected"},
		{"[1,,2]", "line 1: ',' where a value was expected"},
		{"[1 2]", "line 1: '2' where ',' or ']' was expected"},
		{"[\"a\" \"b\"]", "line 1: '\"' where ',' or ']' was expected"},
		{"{\"a\"}", "line 1: '}' where ':' was expected"},
		{"{\"a\":}", "line 1: '}' where a value was expected"},
		{"{\"a\" 1}", NULL},
		{"{\"a\",1}", NULL},
		{"{\"a\",\"b\"}", "line 1: ',' where ':' was expected"},
		{"{\"a\":1:2}", NULL},
		{"{:1}", NULL},
		{"{\"a\":1 \"b\":2}", NULL},
		{"{1:2}", NULL},
		{"{{}:1}", NULL},
		{"[tru]", "line 1: \"tru\" is no value"},
		{"[nul]", "line 1: \"nul\" is no value"},
		{"[falsey]", "line 1: \"falsey\" is no value"},
		{"[True]", NULL},
		{"[NaN]", NULL},
		{"[-]", "line 1: \"-\" is no value"},
		{"[01]", "line 1: \"01\" is no value"},
		{"[1.]", NULL},
		{"[.5]", NULL},
		{"[1e]", NULL},
		{"[+1]", NULL},
		{"[0x10]", NULL},
		{"[1-2]", NULL},
		{"[--1]", NULL},
		{"[Infinity]", NULL},
		/* strings */
		{"[\"\\x\"]", "line 1: a bad escape in a string"},
		{"[\"\\u12\"]", NULL},
		{"[\"\\u12g4\"]", NULL},
		{"[\"\\u0000\"]", "line 1: a bad escape in a string"},
		{"[\"\\ud800\"]", "line 1: a bad escape in a string"},
		{"[\"\\udc00\"]", "line 1: a bad escape in a string"},
		{"[\"\\ud800\\u0041\"]", "line 1: a bad escape in a string"},
		{"[\"a\nb\"]", "line 1: a control character (0x0a) in a string"},
		{"[\"\x01\"]", "line 1: a control character (0x01) in a string"},
		{"[\"\xff\"]", "line 1: a string is not valid UTF-8 (0xff)"},
		{"[\"\xc0\x80\"]", "line 1: a string is not valid UTF-8 (0xc0)"},
		{"[\"\xed\xa0\x80\"]", "line 1: a string is not valid UTF-8 (0xed)"},
		{"[\"\xe2\x82\"]", "line 1: a string is not valid UTF-8 (0xe2)"},
		{"{\"\xff\":1}", "line 1: a string is not valid UTF-8 (0xff)"},
		{"['a']", NULL},
		/* truncated or mismatched */
		{"", "line 1: the text ends where an object or an array was expected"},
		{" \n ", "line 2: the text ends where an object or an array was expected"},
		{"{", "line 1: the text ends inside an object, array or string"},
		{"[1", NULL},
		{"[\"abc", NULL},
		{"[\"abc\\", NULL},
		{"{\"a\":\n{\"b\":1}\n", "line 3: the text ends inside an object, array or string"},
		{"[1}", NULL},
		{"{\"a\":1]", NULL},
		{"]", NULL},
		{"}", NULL},
		{"[]]", NULL},
		{"{}\nx", "line 2: 'x' where a value, ',' or a closing bracket was expected"},
		{"1 ", "line 1: '1' where an object or an array was expected"},
		{"\"a\"", "line 1: '\"' where an object or an array was expected"},
		{"null ", "line 1: 'n' where an object or an array was expected"},
		{"// x\n{}", NULL},
		{"{/*x*/}", NULL},
		{"\xff\xfe{\x00}", NULL},
		{"{\"a\":1,\n\"b\":2,\n\"a\":3}", "line 3: key \"a\" occurs twice"},
		{"{\"a\":1,\"\\u0061\":2}", "line 1: key \"a\" occurs twice"},
	};

	for (size_t i = 0; i < N(bad); i++) {
		struct fl_doc *doc = NULL;
		struct fl_err err = {.text = ""};

		if (!parse(bad[i].text, strlen(bad[i].text), &doc, &err))
			fail_msg("accepted: %s", bad[i].text);
		assert_null(doc);
		assert_memory_equal(err.text, "line ", 5);
		if (bad[i].reason)
			assert_string_equal(err.text, bad[i].reason);
	}
}

static void test_json_refuses_nul(void **state)
{
	struct fl_doc *doc = NULL;
	struct fl_err err;

	assert_int_equal(parse("{}\n\0", 4, &doc, &err), -EINVAL);
	assert_string_equal(err.text, "line 2: a NUL byte");
	assert_int_equal(parse("[\"a\0b\"]", 7, &doc, &err), -EINVAL);
}

static void test_json_unescapes(void **state)
{
	static const char text[] =
		"[\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"]";
	_cleanup_doc_ struct fl_doc *doc = NULL;
	struct fl_err err;

	assert_int_equal(parse(text, strlen(text), &doc, &err), 0);
	assert_string_equal(fl_value_string(fl_value_first(fl_doc_root(doc))),
			    "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
}

/* A good text cut anywhere is refused, and never read beyond its end. */
static void test_json_truncated_everywhere(void **state)
{
	static const char text[] =
		"{\"kind\":\"List\",\"items\":[{\"a\":[1,-2.5e3,true,null],\"b\":\"x\\u00e9"
		"\\ud83d\\ude00\\n\"},{}]}";

	for (size_t len = 0; len < strlen(text); len++) {
		struct fl_doc *doc = NULL;
		struct fl_err err;

		assert_int_equal(parse(text, len, &doc, &err), -EINVAL);
	}
}

/* Every single byte replaced by every other one: accepted or refused, but never out of bounds. */
static void test_json_survives_any_byte(void **state)
{
	static const char text[] = "{\"a\":[1,\"b\\u0041\",{\"c\":null}],\"d\":-1.5}";
	char copy[sizeof(text)];

	for (size_t at = 0; at < strlen(text); at++)
		for (int byte = 0; byte < 256; byte++) {
			_cleanup_doc_ struct fl_doc *doc = NULL;
			struct fl_err err;

			memcpy(copy, text, sizeof(text));
			copy[at] = (char)byte;
			parse(copy, strlen(text), &doc, &err);
		}
}

static double seconds_to_parse(size_t n)
{
	static const char item[] = "{\"name\":\"web\",\"ports\":[80,443],\"ok\":true},";
	_cleanup_free_ char *text = malloc(n * sizeof(item) + 8);
	_cleanup_doc_ struct fl_doc *doc = NULL;
	struct timespec from, to;
	size_t len = 0;

	text[len++] = '[';
	for (size_t i = 0; i < n; i++) {
		memcpy(text + len, item, sizeof(item) - 1);
		len += sizeof(item) - 1;
	}
	text[len - 1] = ']';
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	assert_int_equal(fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* However many tokens there are to a byte, and however many in all. */
static void test_json_of_any_density(void **state)
{
	static const struct {
		size_t items;
		const char *item;
	} rows[] = {{1, "1"},
		    {100, "1"},
		    {5000, "1"},
		    {5000, "{\"a\":\"b\"}"},
		    {100, "[]"},
		    {5000, "[]"},
		    {300, "\"a long string with \u00e9 and \xc3\xa9\""}};

	for (size_t i = 0; i < N(rows); i++) {
		const size_t room = rows[i].items * (strlen(rows[i].item) + 1) + 2;
		_cleanup_free_ char *text = malloc(room);
		_cleanup_doc_ struct fl_doc *doc = NULL;
		struct fl_err err = {.text = ""};
		char *at = text;

		assert_non_null(text);
		for (size_t k = 0; k < rows[i].items; k++)
			at += sprintf(at, "%c%s", k ? ',' : '[', rows[i].item);
		*at++ = ']';
		if (parse(text, (size_t)(at - text), &doc, &err))
			fail_msg("%zu times %s: %s", rows[i].items, rows[i].item, err.text);
		assert_int_equal(fl_value_count(fl_doc_root(doc)), rows[i].items);
	}
}

/* What follows a run of plain characters is looked at as closely as what begins a string. */
static void test_json_strings_that_begin_plainly(void **state)
{
	static const struct {
		const char *text, *string; /* NULL: refused */
	} rows[] = {
		{"[\"plain\"]", "plain"},
		{"[\"plain \\\" not\"]", "plain \" not"},
		{"[\"plain \xc3\xa9 \\u0041 plain\"]", "plain \xc3\xa9 A plain"},
		{"[\"plain \x7f~ \"]", "plain \x7f~ "},
		{"[\"plain \xff\"]", NULL},
		{"[\"plain \x80\"]", NULL},
		{"[\"plain \xc3\"]", NULL},
		{"[\"plain \x1f\"]", NULL},
		{"[\"plain \\x\"]", NULL},
	};

	for (size_t i = 0; i < N(rows); i++) {
		_cleanup_doc_ struct fl_doc *doc = NULL;
		int rc = parse(rows[i].text, strlen(rows[i].text), &doc, NULL);

		assert_int_equal(rc, rows[i].string ? 0 : -EINVAL);
		if (!rc)
			assert_string_equal(fl_value_string(fl_value_first(fl_doc_root(doc))),
					    rows[i].string);
	}
}

/* Without parent links jsmn looks back over all siblings: sixteen times the text would cost 256
 * times. */
static void test_json_time_is_linear(void **state)
{
	double small = seconds_to_parse(5000), large = seconds_to_parse(80000);

	if (large > 64 * small + 0.05)
		fail_msg("16 times the text took %.1f times as long", large / small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_accepts),
		cmocka_unit_test(test_json_refuses),
		cmocka_unit_test(test_json_refuses_nul),
		cmocka_unit_test(test_json_unescapes),
		cmocka_unit_test(test_json_truncated_everywhere),
		cmocka_unit_test(test_json_survives_any_byte),
		cmocka_unit_test(test_json_of_any_density),
		cmocka_unit_test(test_json_strings_that_begin_plainly),
		cmocka_unit_test(test_json_time_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
