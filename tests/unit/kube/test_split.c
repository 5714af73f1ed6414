/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Streams and lists are cut into the same objects however they arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/kube/split.h"

struct parts {
	char text[4096]; /* each in angle brackets */
	size_t n;
	int stop_with;
};

static int on_part(const char *text, size_t len, void *arg)
{
	struct parts *parts = arg;
	size_t used = strlen(parts->text);

	snprintf(parts->text + used, sizeof(parts->text) - used, "<%.*s>", (int)len, text);
	parts->n++;
	return parts->stop_with;
}

static int feed(struct fl_split *split, const char *text, size_t step, struct parts *parts)
{
	size_t len = strlen(text);
	int r = 0;

	for (size_t i = 0; i < len && !r; i += step)
		r = fl_split_feed(split, text + i, len - i < step ? len - i : step, on_part, parts);
	return r;
}

/* In pieces of every size; `rest` NULL: of a stream. */
static void expect(enum fl_split_form form, const char *text, const char *wanted, const char *rest)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		_cleanup_(fl_split_fini) struct fl_split split = {.form = form};
		struct parts parts = {0};

		assert_int_equal(feed(&split, text, step, &parts), 0);
		assert_string_equal(parts.text, wanted);
		assert_true(fl_split_is_whole(&split));
		if (rest)
			assert_string_equal(split.rest.text, rest);
	}
}

static void test_stream(void **state)
{
	expect(FL_SPLIT_STREAM, "{\"a\":1}\n{\"b\":{\"c\":[{}]}}\n{}",
	       "<{\"a\":1}><{\"b\":{\"c\":[{}]}}><{}>", NULL);
	expect(FL_SPLIT_STREAM, "{\"a\":\"}{\\\"}\\\\\"} {\"b\":\"]\"}",
	       "<{\"a\":\"}{\\\"}\\\\\"}><{\"b\":\"]\"}>", NULL);
	expect(FL_SPLIT_STREAM, "\r\n\t ", "", NULL);
}

static void test_list(void **state)
{
	expect(FL_SPLIT_LIST,
	       "{\"kind\":\"L\",\"metadata\":{\"items\":[{}]},\"items\":[{\"a\":[1]}, "
	       "{\"b\":\"]\"}]}\n",
	       "<{\"a\":[1]}><{\"b\":\"]\"}>",
	       "{\"kind\":\"L\",\"metadata\":{\"items\":[{}]},\"items\":[]}\n");
	expect(FL_SPLIT_LIST, "{\"items\":[],\"x\":\"items\"}", "",
	       "{\"items\":[],\"x\":\"items\"}");
	expect(FL_SPLIT_LIST, "{\"items\":null}", "", "{\"items\":null}");
	expect(FL_SPLIT_LIST, "{\"items\" : [ {} ] , \"b\":[1,2]}", "<{}>",
	       "{\"items\" : [] , \"b\":[1,2]}");
}

static void test_not_whole(void **state)
{
	static const struct {
		enum fl_split_form form;
		const char *text;
	} rows[] = {
		{FL_SPLIT_STREAM, "{\"a\":1}{\"b\""},
		{FL_SPLIT_STREAM, "{\"a\":\"}"},
		{FL_SPLIT_LIST, ""},
		{FL_SPLIT_LIST, "{\"items\":["},
		{FL_SPLIT_LIST, "{\"items\":[{}"},
		{FL_SPLIT_LIST, "{\"items\":[{}]"},
		{FL_SPLIT_LIST, "{\"items"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_split_fini) struct fl_split split = {.form = rows[i].form};
		struct parts parts = {0};

		assert_int_equal(feed(&split, rows[i].text, 3, &parts), 0);
		assert_false(fl_split_is_whole(&split));
	}
}

static void test_no_json(void **state)
{
	static const struct {
		enum fl_split_form form;
		const char *text;
	} rows[] = {
		{FL_SPLIT_STREAM, "<html>"},
		{FL_SPLIT_STREAM, "{} ]"},
		{FL_SPLIT_STREAM, "[{}]"},
		{FL_SPLIT_LIST, "<html>"},
		{FL_SPLIT_LIST, "[{}]"},
		{FL_SPLIT_LIST, "{\"items\":[{}{}]}"},
		{FL_SPLIT_LIST, "{\"items\":[1]}"},
		{FL_SPLIT_LIST, "{\"items\":[{},]}"},
		{FL_SPLIT_LIST, "{\"items\":[,{}]}"},
		{FL_SPLIT_LIST, "{}{}"},
		{FL_SPLIT_LIST, "{}x"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 4; step++) {
			_cleanup_(fl_split_fini) struct fl_split split = {.form = rows[i].form};
			struct parts parts = {0};

			if (feed(&split, rows[i].text, step, &parts) != -EINVAL)
				fail_msg("\"%s\" is taken", rows[i].text);
		}
}

static void test_stops(void **state)
{
	_cleanup_(fl_split_fini) struct fl_split split = {.form = FL_SPLIT_STREAM};
	struct parts parts = {.stop_with = -ECANCELED};

	assert_int_equal(feed(&split, "{}{}{}", 6, &parts), -ECANCELED);
	assert_int_equal(parts.n, 1);
}

/* An object that is damaged where its end is told from its middle is no endless one: what comes
 * behind it would never be seen. */
static void test_damaged_object(void **state)
{
	static const char *const texts[] = {
		"{\"a\":\"b}\n{\"c\":1}\n", /* a quote is missing */
		"{\"a\":{\"b\":1 }\n{\"c\":1}\n", "{\"a\":\"\1\"}\n{\"c\":1}\n",
		"{\"a\":\1b\"}\n{\"c\":1}\n",	  "{\"a\":1\n{\"c\":1}\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_(fl_split_fini) struct fl_split split = {.form = FL_SPLIT_STREAM};
		struct parts parts = {0};

		assert_int_equal(feed(&split, texts[i], 1, &parts), -EINVAL);
		assert_int_equal(parts.n, 0);
	}
}

/* Robustness C4: what is kept does not grow with the list; an object has a limit. */
static void test_memory(void **state)
{
	_cleanup_(fl_split_fini) struct fl_split list = {.form = FL_SPLIT_LIST};
	_cleanup_(fl_split_fini) struct fl_split stream = {.form = FL_SPLIT_STREAM};
	static char item[64 * 1024];
	struct parts parts = {0};
	int r = 0;

	memset(item, ' ', sizeof(item));
	memcpy(item, "{\"a\":1", 6);
	assert_int_equal(fl_split_feed(&list, "{\"items\":[", 10, on_part, &parts), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(fl_split_feed(&list, item, sizeof(item), on_part, &parts), 0);
		assert_int_equal(fl_split_feed(&list, "},", 2, on_part, &parts), 0);
	}
	assert_int_equal(parts.n, 1000);
	assert_in_range(list.part.room + list.rest.room, 1, 4 * sizeof(item));
	for (size_t i = 0; i <= FL_SPLIT_MAX_BYTES / sizeof(item) && !r; i++) {
		memset(item, ' ', 6);
		item[0] = i ? ' ' : '{';
		r = fl_split_feed(&stream, item, sizeof(item), on_part, &parts);
	}
	assert_int_equal(r, -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),	       cmocka_unit_test(test_list),
		cmocka_unit_test(test_not_whole),      cmocka_unit_test(test_no_json),
		cmocka_unit_test(test_stops),	       cmocka_unit_test(test_memory),
		cmocka_unit_test(test_damaged_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
