/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Documents: the getters over both syntaxes, and the limits both share (robustness C5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define _cleanup_doc_ _cleanup_(fl_doc_free)

static struct fl_doc *parse(const char *text, enum fl_doc_syntax syntax)
{
	struct fl_doc *doc = NULL;
	struct fl_err err = {""};

	if (fl_doc_parse(text, strlen(text), syntax, &doc, &err))
		fail_msg("%s", err.text);
	return doc;
}

/* The same document in both syntaxes reads the same. */
static void test_doc_getters(void **state)
{
	static const char *const texts[] = {
		[FL_DOC_YAML] =
			"kind: Service\nn: -42\nf: 1.5\nyes: true\nno: false\nnothing: null\n"
			"list:\n- a\n- {b: 1}\n- []\nempty: {}\nquoted: \"80\"\n"
			"big: 99999999999999999999\n",
		[FL_DOC_JSON] =
			"{\"kind\":\"Service\",\n\"n\":-42,\n\"f\":1.5,\n\"yes\":true,\n\"no\":"
			"false,\n\"nothing\":null,\n\"list\":[\"a\",{\"b\":1},[]],\n\"empty\":{},\n"
			"\"quoted\":\"80\",\"big\":99999999999999999999}",
	};

	for (int syntax = 0; syntax < 2; syntax++) {
		_cleanup_doc_ struct fl_doc *doc = parse(texts[syntax], (enum fl_doc_syntax)syntax);
		const struct fl_value *root = fl_doc_root(doc), *list, *member;
		int64_t number = 0;
		bool flag = false;

		assert_int_equal(fl_value_type(root), FL_VALUE_MAP);
		assert_int_equal(fl_value_count(root), 10);
		assert_string_equal(fl_value_string(fl_value_get(root, "kind")), "Service");
		assert_true(fl_value_int(fl_value_get(root, "n"), &number));
		assert_int_equal(number, -42);
		assert_int_equal(fl_value_line(fl_value_get(root, "n")), 2);
		assert_int_equal(fl_value_type(fl_value_get(root, "f")), FL_VALUE_FLOAT);
		assert_false(fl_value_int(fl_value_get(root, "f"), &number));
		assert_true(fl_value_bool(fl_value_get(root, "yes"), &flag));
		assert_true(flag);
		assert_true(fl_value_bool(fl_value_get(root, "no"), &flag));
		assert_false(flag);
		assert_null(fl_value_get(root, "nothing"));
		assert_null(fl_value_get(root, "absent"));
		assert_null(fl_value_string(fl_value_get(root, "n")));
		assert_string_equal(fl_value_text(fl_value_get(root, "n")), "-42");
		assert_string_equal(fl_value_string(fl_value_get(root, "quoted")), "80");
		assert_int_equal(fl_value_type(fl_value_get(root, "big")), FL_VALUE_INT);
		assert_false(fl_value_int(fl_value_get(root, "big"), &number));
		assert_int_equal(fl_value_count(fl_value_get(root, "empty")), 0);
		assert_null(fl_value_first(fl_value_get(root, "empty")));

		list = fl_value_get(root, "list");
		assert_int_equal(fl_value_count(list), 3);
		member = fl_value_first(list);
		assert_string_equal(fl_value_string(member), "a");
		assert_null(fl_value_key(member));
		member = fl_value_next(member);
		assert_string_equal(fl_value_key(fl_value_first(member)), "b");
		member = fl_value_next(member);
		assert_int_equal(fl_value_type(member), FL_VALUE_LIST);
		assert_null(fl_value_next(member));
	}
}

static void test_doc_absent_values_are_harmless(void **state)
{
	int64_t number;
	bool flag;

	assert_null(fl_value_get(NULL, "x"));
	assert_null(fl_value_string(NULL));
	assert_null(fl_value_text(NULL));
	assert_null(fl_value_first(NULL));
	assert_false(fl_value_int(NULL, &number));
	assert_false(fl_value_bool(NULL, &flag));
	assert_int_equal(fl_value_count(NULL), 0);
	assert_int_equal(fl_value_line(NULL), 0);
	assert_int_equal(fl_value_type(NULL), FL_VALUE_NULL);
}

static char *repeat(const char *unit, size_t times, const char *tail)
{
	size_t len = strlen(unit);
	char *text = malloc(len * times + strlen(tail) + 1);

	assert_non_null(text);
	for (size_t i = 0; i < times; i++)
		memcpy(text + i * len, unit, len);
	strcpy(text + len * times, tail);
	return text;
}

static void test_doc_depth_limit(void **state)
{
	for (int syntax = 0; syntax < 2; syntax++)
		for (size_t depth = FL_DOC_MAX_DEPTH; depth <= FL_DOC_MAX_DEPTH + 1; depth++) {
			_cleanup_free_ char *tail = repeat("]", depth, "");
			_cleanup_free_ char *text = repeat("[", depth, tail);
			_cleanup_doc_ struct fl_doc *doc = NULL;
			struct fl_err err;
			int rc = fl_doc_parse(text, strlen(text), (enum fl_doc_syntax)syntax, &doc,
					      &err);

			assert_int_equal(rc, depth > FL_DOC_MAX_DEPTH ? -E2BIG : 0);
			if (rc)
				assert_string_equal(err.text,
						    "line 1: nested deeper than 64 levels");
		}
}

/* Nesting without an end, in every shape: refused at once, not at the end of memory or stack. */
static void test_doc_nesting_bombs(void **state)
{
	static const struct {
		const char *unit;
		enum fl_doc_syntax syntax;
		const char *end; /* the parser underneath needs the square of the depth for it */
	} bombs[] = {
		{"[", FL_DOC_JSON, ""},	       {"{\"a\":", FL_DOC_JSON, ""},
		{"[{\"a\":", FL_DOC_JSON, ""}, {"[", FL_DOC_JSON, "]"},
		{"{\"a\":", FL_DOC_JSON, "}"}, {"[", FL_DOC_YAML, ""},
		{"{a: ", FL_DOC_YAML, ""},     {"- ", FL_DOC_YAML, ""},
		{"? ", FL_DOC_YAML, ""},       {"[{a: ", FL_DOC_YAML, ""},
	};

	for (size_t i = 0; i < N(bombs); i++) {
		_cleanup_free_ char *end = repeat(bombs[i].end, 500000, "");
		_cleanup_free_ char *text = repeat(bombs[i].unit, 500000, end);
		_cleanup_doc_ struct fl_doc *doc = NULL;
		struct fl_err err;

		assert_in_range(-fl_doc_parse(text, strlen(text), bombs[i].syntax, &doc, &err), 1,
				4095);
		assert_null(doc);
	}
}

static void test_doc_value_limit(void **state)
{
	_cleanup_free_ char *text = repeat("0,", FL_DOC_MAX_VALUES, "0]");
	struct fl_doc *doc = NULL;
	struct fl_err err;

	text[0] = '[';
	text[1] = ' ';
	assert_int_equal(fl_doc_parse(text, strlen(text), FL_DOC_JSON, &doc, &err), -E2BIG);
	assert_string_equal(err.text, "line 1: more than 4194304 values in one document");
}

static void test_doc_byte_limit(void **state)
{
	struct fl_doc *doc = NULL;
	struct fl_err err;

	/* the length is refused before the text is looked at */
	assert_int_equal(fl_doc_parse("[]", (size_t)FL_DOC_MAX_BYTES + 1, FL_DOC_JSON, &doc, &err),
			 -E2BIG);
	assert_string_equal(err.text, "67108865 bytes are more than the limit of 67108864");
}

/* Duplicate keys (C5), in small maps and in those that are sorted to find them. */
static void test_doc_duplicate_keys(void **state)
{
	static const int sizes[] = {2, 16, 17, 1000, 50000};

	for (size_t i = 0; i < N(sizes); i++)
		for (int twice = 0; twice < 2; twice++) {
			size_t room = (size_t)sizes[i] * 16 + 64, len = 0;
			_cleanup_free_ char *text = malloc(room);
			_cleanup_doc_ struct fl_doc *doc = NULL;
			struct fl_err err;
			char expected[64];
			int rc;

			for (int k = 0; k < sizes[i]; k++)
				len += (size_t)snprintf(text + len, room - len, "k%d: 1\n", k);
			if (twice)
				len += (size_t)snprintf(text + len, room - len, "k0: 1\n");
			rc = fl_doc_parse(text, len, FL_DOC_YAML, &doc, &err);
			assert_int_equal(rc, twice ? -EINVAL : 0);
			snprintf(expected, sizeof(expected), "line %d: key \"k0\" occurs twice",
				 sizes[i] + 1);
			if (twice)
				assert_string_equal(err.text, expected);
		}
}

static int count(const struct fl_doc *doc, void *arg)
{
	(*(int *)arg)++;
	return fl_value_get(fl_doc_root(doc), "stop") ? 7 : 0;
}

static void test_doc_streams(void **state)
{
	static const struct {
		const char *text;
		enum fl_doc_syntax syntax;
		int rc, documents;
		unsigned int line;
	} cases[] = {
		{"", FL_DOC_YAML, 0, 0, 0},
		{"# only words\n", FL_DOC_YAML, 0, 0, 0},
		{"a: 1\n", FL_DOC_YAML, 0, 1, 0},
		{"---\na: 1\n---\nb: 2\n...\n---\nc: 3\n", FL_DOC_YAML, 0, 3, 0},
		{"---\n---\n", FL_DOC_YAML, 0, 2, 0},
		{"a: 1\n---\nb: [\n---\nc: 3\n", FL_DOC_YAML, -EINVAL, 1, 4},
		{"stop: 1\n---\nb: 1\n", FL_DOC_YAML, 7, 1, 0},
		{"{}", FL_DOC_JSON, 0, 1, 0},
		{"{}\n{}", FL_DOC_JSON, 0, 2, 0},
		{" [1] {}[]\n\n", FL_DOC_JSON, 0, 3, 0},
		{"{}\n{} {", FL_DOC_JSON, -EINVAL, 0, 2},
		{"{}\n{\"a\":1,\"a\":2}", FL_DOC_JSON, -EINVAL, 1, 2},
		{"{\"stop\": 1}{}", FL_DOC_JSON, 7, 1, 0},
	};

	for (size_t i = 0; i < N(cases); i++) {
		unsigned int line = 0;
		struct fl_err err;
		int n = 0;

		assert_int_equal(fl_doc_each(cases[i].text, strlen(cases[i].text), cases[i].syntax,
					     count, &n, &line, &err),
				 cases[i].rc);
		assert_int_equal(n, cases[i].documents);
		assert_int_equal(line, cases[i].line);
	}
}

static void test_doc_parse_wants_one_document(void **state)
{
	_cleanup_doc_ struct fl_doc *doc = parse("", FL_DOC_YAML);
	struct fl_doc *none = NULL;
	struct fl_err err;

	assert_int_equal(fl_value_type(fl_doc_root(doc)), FL_VALUE_NULL);
	assert_int_equal(fl_doc_parse("a: 1\n---\nb: 1\n", 14, FL_DOC_YAML, &none, &err), -EINVAL);
	assert_string_equal(err.text, "more than one document");
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doc_getters),
		cmocka_unit_test(test_doc_absent_values_are_harmless),
		cmocka_unit_test(test_doc_depth_limit),
		cmocka_unit_test(test_doc_nesting_bombs),
		cmocka_unit_test(test_doc_value_limit),
		cmocka_unit_test(test_doc_byte_limit),
		cmocka_unit_test(test_doc_duplicate_keys),
		cmocka_unit_test(test_doc_streams),
		cmocka_unit_test(test_doc_parse_wants_one_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
