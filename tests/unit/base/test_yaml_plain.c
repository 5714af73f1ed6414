/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML that is read without libyaml: what is taken is what libyaml makes of it, to the line, for
 * what manifests look like and for a hundred thousand texts that are nearly so; and what manifests
 * look like is taken.
 */
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
#include "lb/base/doc_build.h"
#include "lb/base/yaml_plain.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define _cleanup_doc_ _cleanup_(fl_doc_free)

/* All documents of a stream as text, one value in a line. */
struct shown {
	char text[65536];
	size_t len;
	unsigned int documents;
};

static void show(struct shown *s, const struct fl_value *value, unsigned int depth)
{
	const char *key = value ? fl_value_key(value) : NULL, *text = fl_value_text(value);

	s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len,
				   "%*s%u %s %d %zu <%s>\n", (int)depth, "", fl_value_line(value),
				   key ? key : "-", fl_value_type(value), fl_value_count(value),
				   text ? text : "");
	assert_true(s->len < sizeof(s->text));
	FL_VALUE_EACH(member, value)
	show(s, member, depth + 1);
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	struct shown *s = arg;

	s->documents++;
	show(s, fl_doc_root(doc), 0);
	return 0;
}

/* Returns how many documents were plain; *ret_all: whether there were no others. */
static unsigned int compare(const char *text, size_t len, bool *ret_all)
{
	_cleanup_doc_ struct fl_doc *doc = calloc(1, sizeof(*doc));
	_cleanup_free_ struct shown *plain = calloc(1, sizeof(*plain)),
				    *whole = calloc(1, sizeof(*whole));
	/* of its very size, so that a sanitizer sees what is read behind it */
	_cleanup_free_ char *copy = malloc(len ? len : 1);
	struct fl_err err = {""}, why = {""};
	unsigned int lines, line, n;
	size_t used;
	int rc = 0;

	assert_true(doc && plain && whole && copy);
	memcpy(copy, text, len);
	assert_int_equal(fl_yaml_plain_each(doc, copy, len, on_document, plain, &used, &lines), 0);
	assert_true(used <= len);
	n = plain->documents;
	*ret_all = used == len;
	/* as the reader does: libyaml goes on behind what was plain */
	if (used < len)
		rc = fl_libyaml_each(doc, copy + used, len - used, lines, on_document, NULL, plain,
				     &err);
	line = doc->error_line;
	if (fl_libyaml_each(doc, copy, len, 0, on_document, NULL, whole, &why) != rc ||
	    (rc && (doc->error_line != line || strcmp(err.text, why.text))) ||
	    plain->documents != whole->documents || strcmp(plain->text, whole->text))
		fail_msg(
			"\n%.*s\n%u plain documents, all:\n%s\n%d, %u: %s; by libyaml:\n%s\n%u: %s",
			(int)len, text, n, plain->text, rc, line, err.text, whole->text,
			doc->error_line, why.text);
	return n;
}

static const char service[] = "apiVersion: v1\n"
			      "kind: Service\n"
			      "metadata: {name: web, namespace: default}\n"
			      "spec:\n"
			      "  clusterIP: 10.96.0.10 # the first one\n"
			      "  ipFamilies: [IPv4]\n"
			      "  ports: [{name: http, port: 80, targetPort: 8080}]\n"
			      "  selector:\n"
			      "    app.kubernetes.io/name: web\n"
			      "  type: ClusterIP\n"
			      "status:\n"
			      "  loadBalancer: {}\n";
static const char slice[] =
	"---\n"
	"# as kubectl prints it\n"
	"addressType: IPv6\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"endpoints:\n"
	"- addresses:\n"
	"  - fd00::1\n"
	"  conditions:\n"
	"    ready: true\n"
	"    serving: yes\n"
	"  nodeName: 'n1'\n"
	"  zone:\n"
	"- {addresses: [fd00::2], conditions: {ready: false}, nodeName: \"n 2\"}\n"
	"kind: EndpointSlice\n"
	"metadata:\n"
	"  creationTimestamp: \"2024-05-01T10:00:00Z\"\n"
	"  generation: 2\n"
	"  labels:\n"
	"    kubernetes.io/service-name: web\n"
	"  name: web-abc\n"
	"ports:\n"
	"  -   name: a - b:c\n"
	"  - - 1\n"
	"    - -1.5e3\n"
	"    - ~\n"
	"  - port: 8080\n"
	"\n"
	"    protocol: TCP  \n"
	"  - http://[x]:80/{y}#z & more, \"so\"\n";

static void test_manifests_are_plain(void **state)
{
	char text[4096];
	bool all;

	assert_int_equal(compare(service, strlen(service), &all), 1);
	assert_true(all);
	assert_int_equal(compare(slice, strlen(slice), &all), 1);
	assert_true(all);
	snprintf(text, sizeof(text), "%s%s", service, slice);
	assert_int_equal(compare(text, strlen(text), &all), 2);
	assert_true(all);
	/* without the end of the last line */
	assert_int_equal(compare(text, strlen(text) - 1, &all), 2);
	assert_true(all);
}

/* Each of them means something else than it seems to, or is refused, and is libyaml's. */
static void test_others_are_left(void **state)
{
	static const char *const texts[] = {
		"",
		"\n# only words\n",
		"---\n",
		"just text\n",
		"a: |\n  text\n",
		"a: >\n  text\n",
		"a: &x 1\nb: *x\n",
		"a: !!str 1\n",
		"a: two\n  lines\n",
		"a: 'it''s'\n",
		"a: \"\\n\"\n",
		"a: 'open\n  and closed'\n",
		"a: b: c\n",
		"a: b:\n",
		"a:b\n",
		"a : b\n",
		"? a\n: b\n",
		"a: - b\n",
		"a: -\n",
		"a: [1, 2,\n  3]\n",
		"a: [1, 2,]\n",
		"a: {b:1}\n",
		"a: {b: }\n",
		"a: {b}\n",
		"a: [b: c]\n",
		"a: [::1]\n",
		"a: [x y]\n",
		"a: {b: c} d\n",
		"a: 'b'c\n",
		"a: 'b'#c\n",
		"a: 1\na: 2\n",
		"<<: {a: 1}\n",
		"a: 1\n b: 2\n",
		"a:\n    b: 1\n  c: 2\n",
		"- a\nb: c\n",
		"a:\n  - b\n- c\n",
		"a: 1\n...\n",
		"a: 1\n--- # next\nb: 1\n",
		"--- a: 1\n",
		"%YAML 1.1\n---\na: 1\n",
		"a:\t1\n",
		"a: 1\r\n",
		"a: \xc3\xa4\n",
		"a: \x7f\n",
		"a: 1\n---x\n",
		"-\n  a: 1\n",
		"- # nothing\n",
		"a: @b\n",
		"a: `b`\n",
		"'a': 1\n",
	};
	bool all;

	for (size_t i = 0; i < N(texts); i++) {
		compare(texts[i], strlen(texts[i]), &all);
		if (all && *texts[i])
			fail_msg("taken: %s", texts[i]);
	}
}

/* What comes behind documents that are plain has the line that it has in the file. */
static void test_lines_go_on(void **state)
{
	static const char text[] = "a: 1\n---\n\nb: 2\n---\nc: 3\nc: 4\n";
	unsigned int line = 0;
	struct fl_err err = {""};
	struct shown *shown = calloc(1, sizeof(*shown));
	bool all;

	assert_non_null(shown);
	assert_int_equal(compare(text, strlen(text), &all), 2);
	assert_false(all);
	assert_int_equal(
		fl_doc_each(text, strlen(text), FL_DOC_YAML, on_document, shown, &line, &err),
		-EINVAL);
	assert_int_equal(shown->documents, 2);
	assert_int_equal(line, 7);
	assert_string_equal(err.text, "key \"c\" occurs twice");
	free(shown);
}

static int refuse_second(const struct fl_doc *doc, void *arg)
{
	return ++*(int *)arg == 2 ? 1 : 0;
}

/* A positive result is its caller's, too. */
static void test_stops_at_the_first_result(void **state)
{
	static const char text[] = "a: 1\n---\nb: 2\n---\nc: 3\n";
	int n = 0;

	assert_int_equal(
		fl_doc_each(text, strlen(text), FL_DOC_YAML, refuse_second, &n, NULL, NULL), 1);
	assert_int_equal(n, 2);
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* A character goes, comes, or is another one; or a piece is elsewhere as well. */
static void damage(char *text, size_t *len, size_t room, uint64_t *random)
{
	static const char odd[] = "\n\n\n    --::##{}[],,'\"\\&*!|>%@`?~<.a1:- \t";
	const size_t at = next(random) % *len, from = next(random) % *len;
	size_t n = 1 + next(random) % 12;

	switch (next(random) % 4) {
	case 0:
		memmove(text + at, text + at + 1, *len - at - 1);
		--*len;
		break;
	case 1:
		text[at] = odd[next(random) % (sizeof(odd) - 1)];
		break;
	case 2:
		if (*len + 1 > room)
			break;
		memmove(text + at + 1, text + at, *len - at);
		text[at] = odd[next(random) % (sizeof(odd) - 1)];
		++*len;
		break;
	default:
		n = n < *len - at ? n : *len - at;
		n = n < *len - from ? n : *len - from;
		memmove(text + at, text + from, n);
	}
}

static void test_means_what_libyaml_says(void **state)
{
	static const char *const seeds[] = {
		service,
		slice,
		"a: 1\n---\nb:\n- c: {d: [1, x], e: 'f g'}\n  h: \"i\"\n- j\n---\n- - k\n  - l: "
		"m\n",
		"a:\n  b:\n    c: d\n  e:\n  - f\n  -  g: h\n     i:\n     - j\nk: l # m\n",
		"- 1\n- a: b\n  c:\n- [a, 1.5, {b: c}]\n- 'x'\n- \"y: z\"\n",
	};
	uint64_t random = 88172645463325252ULL;
	unsigned int plain = 0, taken = 0, rounds = 100000;
	char text[2048];
	bool all;

	if (getenv("FL_YAML_ROUNDS"))
		rounds = (unsigned int)strtoul(getenv("FL_YAML_ROUNDS"), NULL, 10);
	for (unsigned int i = 0; i < rounds; i++) {
		const char *seed = seeds[next(&random) % N(seeds)];
		size_t len = strlen(seed);

		memcpy(text, seed, len);
		for (uint64_t n = next(&random) % 4; n < 4 && len > 1; n++)
			damage(text, &len, sizeof(text), &random);
		plain += compare(text, len, &all);
		taken += all;
	}
	/* the comparison would be of no use if hardly anything was taken, or everything */
	assert_true(taken > rounds / 10 && taken < rounds - rounds / 10);
	assert_true(plain > taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifests_are_plain),
		cmocka_unit_test(test_others_are_left),
		cmocka_unit_test(test_lines_go_on),
		cmocka_unit_test(test_stops_at_the_first_result),
		cmocka_unit_test(test_means_what_libyaml_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
