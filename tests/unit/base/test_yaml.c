/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* YAML: types of scalars, aliases and their bounds, and what is refused (robustness C5). */
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
#include "lb/base/doc.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define _cleanup_doc_ _cleanup_(fl_doc_free)

static int parse(const char *text, struct fl_doc **ret_doc, struct fl_err *err)
{
	return fl_doc_parse(text, strlen(text), FL_DOC_YAML, ret_doc, err);
}

static void test_yaml_scalar_types(void **state)
{
	static const struct {
		const char *text;
		enum fl_value_type type;
	} cases[] = {
		{"", FL_VALUE_NULL},
		{"~", FL_VALUE_NULL},
		{"null", FL_VALUE_NULL},
		{"NULL", FL_VALUE_NULL},
		{"nULL", FL_VALUE_STRING},
		{"'null'", FL_VALUE_STRING},
		{"true", FL_VALUE_BOOL},
		{"False", FL_VALUE_BOOL},
		{"yes", FL_VALUE_BOOL},
		{"OFF", FL_VALUE_BOOL},
		{"\"true\"", FL_VALUE_STRING},
		{"tRue", FL_VALUE_STRING},
		{"0", FL_VALUE_INT},
		{"80", FL_VALUE_INT},
		{"-80", FL_VALUE_INT},
		{"+80", FL_VALUE_INT},
		{"'80'", FL_VALUE_STRING},
		{"030080", FL_VALUE_STRING}, /* octal to one reader, decimal to the next */
		{"0x50", FL_VALUE_STRING},
		{"1_000", FL_VALUE_STRING},
		{"1:20", FL_VALUE_STRING},
		{"-x", FL_VALUE_STRING},
		{"1.5", FL_VALUE_FLOAT},
		{".5", FL_VALUE_FLOAT},
		{"1e3", FL_VALUE_FLOAT},
		{".", FL_VALUE_STRING},
		{"1e", FL_VALUE_STRING},
		{"10.96.0.1", FL_VALUE_STRING},
		{"fd00::1", FL_VALUE_STRING},
		{"2024-05-01T10:00:00Z", FL_VALUE_STRING},
		{"|\n  text", FL_VALUE_STRING},
		{">\n  80", FL_VALUE_STRING},
		{"!!str 80", FL_VALUE_STRING},
		{"! 80", FL_VALUE_STRING},
		{"!!binary aGk=", FL_VALUE_STRING},
		{"!!int \"80\"", FL_VALUE_INT},
		{"!!float 80", FL_VALUE_FLOAT},
		{"[]", FL_VALUE_LIST},
		{"{}", FL_VALUE_MAP},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_doc_ struct fl_doc *doc = NULL;
		struct fl_err err = {.text = ""};
		char text[64];

		snprintf(text, sizeof(text), "v: %s\n", cases[i].text);
		if (parse(text, &doc, &err))
			fail_msg("%s: %s", text, err.text);
		if (fl_value_type(fl_value_first(fl_doc_root(doc))) != cases[i].type)
			fail_msg("%s is %s", text,
				 fl_value_type_name(
					 fl_value_type(fl_value_first(fl_doc_root(doc)))));
	}
}

static void test_yaml_booleans(void **state)
{
	static const char *const truths[] = {"true", "True", "TRUE", "yes", "Yes",
					     "YES",  "on",   "On",   "ON"};
	static const char *const falsehoods[] = {"false", "False", "FALSE", "no", "No",
						 "NO",	  "off",   "Off",   "OFF"};

	for (int want = 0; want < 2; want++)
		for (size_t i = 0; i < N(truths); i++) {
			_cleanup_doc_ struct fl_doc *doc = NULL;
			bool flag = !want;
			char text[32];

			snprintf(text, sizeof(text), "v: %s", want ? truths[i] : falsehoods[i]);
			assert_int_equal(parse(text, &doc, NULL), 0);
			assert_true(fl_value_bool(fl_value_get(fl_doc_root(doc), "v"), &flag));
			assert_int_equal(flag, want);
		}
}

static void test_yaml_refuses(void **state)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{"a: 1\na: 2\n", "line 2: key \"a\" occurs twice"},
		{"a: 1\n\"a\": 2\n", "line 2: key \"a\" occurs twice"},
		{"x:\n  b: 1\n  b: 1\n", "line 3: key \"b\" occurs twice"},
		{"a: *nowhere\n", "line 1: alias \"nowhere\" without an anchor"},
		{"a: &x [*x]\n", "line 1: alias \"x\" inside of what it stands for"},
		{"a: &x\n  b:\n    c: *x\n", "line 3: alias \"x\" inside of what it stands for"},
		{"v:\n  <<: 1\n",
		 "line 2: a merge key (<<) wants a map or a list of maps, not an integer"},
		{"v:\n  <<: [{a: 1}, b]\n",
		 "line 2: a merge key (<<) wants a map or a list of maps, not a string"},
		{"<<: {a: 1}\n<<: {b: 1}\n", "line 2: key \"<<\" occurs twice"},
		{"v: &x\n  <<: *x\n", "line 2: alias \"x\" inside of what it stands for"},
		{"[a]: 1\n", "line 1: a list as a key"},
		{"{a: 1}: 1\n", "line 1: a map as a key"},
		{"a: &x 1\n*x : 2\n", "line 2: an alias as a key"},
		{"&k a: 1\n", "line 1: an anchor on a key"},
		{"a: \"\\0\"\n", "line 1: a NUL character in a string"},
		{"a: !!int abc\n", "line 1: tag \"tag:yaml.org,2002:int\" does not fit \"abc\""},
		{"a: !local x\n", "line 1: tag \"!local\" does not fit \"x\""},
		{"a: [1\nb: 2\n", NULL},
		{"a: 'open\n", NULL},
		{"\tx: 1\n", NULL},
		{"a:\n\t- 1\n", NULL},
		{"a: b: c\n", NULL},
		{"- a\nb: 1\n", NULL},
		{"a: \"\\q\"\n", NULL},
		{"a: @x\n", NULL},
		{"%BAD\n---\na: 1\n", NULL},
		{"a: \x01\n", NULL},
		{"a: \xff\xfe\n", NULL},
		{"}", NULL},
		{"a: 1\n...\ngarbage: [\n", NULL},
	};

	for (size_t i = 0; i < N(bad); i++) {
		struct fl_doc *doc = NULL;
		struct fl_err err = {.text = ""};

		if (!parse(bad[i].text, &doc, &err))
			fail_msg("accepted: %s", bad[i].text);
		assert_null(doc);
		assert_memory_equal(err.text, "line ", 5);
		if (bad[i].reason)
			assert_string_equal(err.text, bad[i].reason);
	}
}

static void test_yaml_aliases_are_copies(void **state)
{
	_cleanup_doc_ struct fl_doc *doc = NULL;
	const struct fl_value *root, *b;

	assert_int_equal(parse("a: &x {n: 1, l: [a, b]}\nb: *x\nc: &x again\nd: *x\n", &doc, NULL),
			 0);
	root = fl_doc_root(doc);
	b = fl_value_get(root, "b");
	assert_int_equal(fl_value_count(b), 2);
	assert_int_equal(fl_value_count(fl_value_get(b, "l")), 2);
	assert_string_equal(fl_value_text(fl_value_get(b, "n")), "1");
	assert_string_equal(fl_value_string(fl_value_get(root, "d")), "again");
	assert_string_equal(fl_value_key(fl_value_next(b)), "c");
}

/* What a document says once its merge keys are resolved: "a=1 b={c=2}". */
static void write_value(const struct fl_value *value, char *to, size_t size)
{
	size_t len = strlen(to);

	if (fl_value_key(value))
		snprintf(to + len, size - len, "%s=", fl_value_key(value));
	len = strlen(to);
	if (fl_value_text(value)) {
		snprintf(to + len, size - len, "%s ", fl_value_text(value));
		return;
	}
	snprintf(to + len, size - len, "{");
	FL_VALUE_EACH(member, value)
	write_value(member, to, size);
	len = strlen(to);
	snprintf(to + len, size - len, "}");
}

static void test_yaml_merge_keys(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"base: &b {x: 1, y: 2}\nv:\n  <<: *b\n  y: 3\n", "{base={x=1 y=2 }v={y=3 x=1 }}"},
		{"v:\n  y: 3\n  <<: {x: 1, y: 2}\n  z: 4\n", "{v={y=3 z=4 x=1 }}"},
		/* of a list the earlier map comes first */
		{"a: &a {x: 1}\nb: &b {x: 2, y: 2}\nv: {<<: [*a, *b]}\n",
		 "{a={x=1 }b={x=2 y=2 }v={x=1 y=2 }}"},
		{"v: {<<: []}\n", "{v={}}"},
		{"v: {<<: {}, a: 1}\n", "{v={a=1 }}"},
		/* a copy brings what was merged into it, however deep */
		{"a: &a {m: {n: 1}}\nb: &b {<<: *a, o: 2}\nc: {<<: *b}\n",
		 "{a={m={n=1 }}b={o=2 m={n=1 }}c={o=2 m={n=1 }}}"},
		{"v: {<<: {<<: {a: 1}, b: 2}}\n", "{v={b=2 a=1 }}"},
		{"v: {!!merge <<: {a: 1}}\n", "{v={a=1 }}"},
		/* quoted it is a key like others */
		{"v: {'<<': {a: 1}}\n", "{v={<<={a=1 }}}"},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_doc_ struct fl_doc *doc = NULL;
		struct fl_err err = {.text = ""};
		char text[256] = "";

		if (parse(cases[i].text, &doc, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		write_value(fl_doc_root(doc), text, sizeof(text));
		assert_string_equal(text, cases[i].expected);
	}
}

static int count_good(const struct fl_doc *doc, void *arg)
{
	char *text = arg;

	strcat(text, fl_value_string(fl_value_get(fl_doc_root(doc), "v")));
	return 0;
}

static int count_fault(unsigned int line, const char *reason, void *arg)
{
	char *text = arg;

	snprintf(text + strlen(text), 128, " [%u %s] ", line, reason);
	return 0;
}

/* A document that is refused for what it says, not for its syntax, leaves the others alone. */
static void test_yaml_tolerates_documents_at_fault(void **state)
{
	static const char text[] = "v: a\n---\nx: 1\nx: 2\n---\nv: b\n---\n[[*z]]\n"
				   "---\nv: c\n";
	char got[512] = "";
	struct fl_err err = {""};
	unsigned int line = 7;

	assert_int_equal(fl_doc_each_tolerant(text, strlen(text), FL_DOC_YAML, count_good,
					      count_fault, got, &line, &err),
			 0);
	assert_string_equal(got, "a [4 key \"x\" occurs twice] b [8 alias \"z\" without an "
				 "anchor] c");
	/* bad syntax ends the stream */
	got[0] = '\0';
	assert_int_equal(fl_doc_each_tolerant("v: a\n---\nv: [\n", 14, FL_DOC_YAML, count_good,
					      count_fault, got, &line, &err),
			 -EINVAL);
	assert_string_equal(got, "a");
	assert_int_equal(line, 4);
}

/* Beyond a limit the stream ends: the rest of such a document would take libyaml minutes. */
static void test_yaml_does_not_read_on_beyond_a_limit(void **state)
{
	char *text = malloc(200001), got[512] = "";
	struct fl_err err = {""};
	unsigned int line = 0;

	memset(text, '[', 200000);
	text[200000] = '\0';
	assert_int_equal(fl_doc_each_tolerant(text, 200000, FL_DOC_YAML, count_good, count_fault,
					      got, &line, &err),
			 -E2BIG);
	assert_string_equal(err.text, "nested deeper than 64 levels");
	assert_int_equal(line, 1);
	assert_string_equal(got, "");
	free(text);
}

static int ignore(const struct fl_doc *doc, void *arg)
{
	return 0;
}

/* An anchor is of its own document only. */
static void test_yaml_anchors_end_with_the_document(void **state)
{
	static const char text[] = "a: &x 1\n---\nb: *x\n";
	unsigned int line = 0;
	struct fl_err err;

	assert_int_equal(fl_doc_each(text, strlen(text), FL_DOC_YAML, ignore, NULL, &line, &err),
			 -EINVAL);
	assert_int_equal(line, 3);
}

/* Nine levels of nine references each stand for 387 million values. */
static void test_yaml_billion_laughs(void **state)
{
	char text[4096] = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
	struct fl_doc *doc = NULL;
	struct fl_err err;

	for (int i = 1; i < 9; i++) {
		size_t len = strlen(text);

		len += (size_t)snprintf(text + len, sizeof(text) - len, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s*a%d",
						k ? "," : "", i - 1);
		snprintf(text + len, sizeof(text) - len, "]\n");
	}
	assert_int_equal(parse(text, &doc, &err), -E2BIG);
	assert_non_null(strstr(err.text, "aliases stand for more than 100000 values"));
}

/* The same in depth: each level is one deeper than what it refers to. */
static void test_yaml_alias_depth_bomb(void **state)
{
	char text[8192] = "a0: &a0 [x]\n";
	struct fl_doc *doc = NULL;
	struct fl_err err;

	for (int i = 1; i < 100; i++) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	}
	assert_int_equal(parse(text, &doc, &err), -E2BIG);
	assert_non_null(strstr(err.text, "nested deeper than 64 levels"));
}

static void test_yaml_anchor_limit(void **state)
{
	_cleanup_free_ char *text = calloc(1, 300 * 16);
	struct fl_doc *doc = NULL;
	struct fl_err err;
	size_t len = 0;

	for (int i = 0; i < 300; i++)
		len += (size_t)snprintf(text + len, 300 * 16 - len, "- &a%d x\n", i);
	assert_int_equal(parse(text, &doc, &err), -E2BIG);
	assert_string_equal(err.text, "line 257: more than 256 anchors");
}

static void test_yaml_lines(void **state)
{
	_cleanup_doc_ struct fl_doc *doc = NULL;
	const struct fl_value *root, *list;

	assert_int_equal(parse("# comment\na: 1\nlist:\n- x\n\n- y:\n    z\n", &doc, NULL), 0);
	root = fl_doc_root(doc);
	list = fl_value_get(root, "list");
	assert_int_equal(fl_value_line(fl_value_get(root, "a")), 2);
	assert_int_equal(fl_value_line(list), 3);
	assert_int_equal(fl_value_line(fl_value_first(list)), 4);
	assert_int_equal(fl_value_line(fl_value_next(fl_value_first(list))), 6);
}

/* JSON is YAML too, so a .yaml file may hold it. */
static void test_yaml_reads_json(void **state)
{
	_cleanup_doc_ struct fl_doc *doc = NULL;
	int64_t port;

	assert_int_equal(
		parse("{\"kind\": \"Service\",\n \"ports\": [{\"port\": 80}]}\n", &doc, NULL), 0);
	assert_true(fl_value_int(
		fl_value_get(fl_value_first(fl_value_get(fl_doc_root(doc), "ports")), "port"),
		&port));
	assert_int_equal(port, 80);
}

static void test_yaml_survives_any_byte(void **state)
{
	static const char text[] =
		"a: &x [1, \"b\"]\nc: {d: *x, e: !!str 1}\nf: |\n  g\n---\nh: 'i'\n";
	char copy[sizeof(text)];

	for (size_t at = 0; at < strlen(text); at++)
		for (int byte = 0; byte < 256; byte += 3) {
			_cleanup_doc_ struct fl_doc *doc = NULL;
			struct fl_err err;

			memcpy(copy, text, sizeof(text));
			copy[at] = (char)byte;
			fl_doc_parse(copy, strlen(text), FL_DOC_YAML, &doc, &err);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml_scalar_types),
		cmocka_unit_test(test_yaml_booleans),
		cmocka_unit_test(test_yaml_merge_keys),
		cmocka_unit_test(test_yaml_tolerates_documents_at_fault),
		cmocka_unit_test(test_yaml_does_not_read_on_beyond_a_limit),
		cmocka_unit_test(test_yaml_refuses),
		cmocka_unit_test(test_yaml_aliases_are_copies),
		cmocka_unit_test(test_yaml_anchors_end_with_the_document),
		cmocka_unit_test(test_yaml_billion_laughs),
		cmocka_unit_test(test_yaml_alias_depth_bomb),
		cmocka_unit_test(test_yaml_anchor_limit),
		cmocka_unit_test(test_yaml_lines),
		cmocka_unit_test(test_yaml_reads_json),
		cmocka_unit_test(test_yaml_survives_any_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
