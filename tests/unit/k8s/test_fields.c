/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * docs/manifests.md lists the fields that are read, and no others: objects with every field in them
 * are decoded, and what the decoder looked at is compared with the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/strings.h"
#include "lb/k8s/decode.h"

/* Every list has an item and every choice the value that leads on. */
static const char *const objects[] = {
	"{apiVersion: v1, kind: List, items: []}",
	"{apiVersion: v1, kind: Service, metadata: {name: a, labels: {x: y}}, spec: {type: "
	"LoadBalancer, sessionAffinity: ClientIP, ports: [{port: 80}]}, status: {loadBalancer: "
	"{ingress: [{ip: 192.0.2.1}]}}}",
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: "
	"{name: a, labels: {kubernetes.io/service-name: a}}, ports: [{port: 80}], endpoints: "
	"[{addresses: [10.0.0.1], hints: {forZones: [{name: a}], forNodes: [{name: b}]}}]}",
	/* In parentheses, or clang suspects a forgotten comma. */
	("{apiVersion: v1, kind: Node, metadata: {name: a, labels: {x: y}}, spec: {taints: [{key: "
	 "a}]}, status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}}"),
	("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {initContainers: [{restartPolicy: "
	 "Always, ports: [{containerPort: 1, hostPort: 1}]}], containers: [{ports: "
	 "[{containerPort: 2, hostPort: 2}]}]}, status: {podIPs: [{ip: 10.0.0.1}]}}"),
	"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{ports: "
	"[{containerPort: 2, hostPort: 2}]}]}, status: {podIP: 10.0.0.1}}",
};

static bool has(const struct fl_strings *strings, const char *text)
{
	for (size_t i = 0; i < strings->n; i++)
		if (!strcmp(strings->items[i], text))
			return true;
	return false;
}

/* Fields that every kind has stand in a table of their own. */
static bool is_common(const char *path)
{
	static const char *const common[] = {"apiVersion", "kind", "items", "metadata",
					     "metadata.name"};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (!strcmp(path, common[i]))
			return true;
	return false;
}

static void add(struct fl_strings *strings, const char *kind, const char *path)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s", is_common(path) ? "Any object" : kind, path);
	if (!has(strings, text))
		assert_int_equal(fl_strings_add(strings, strdup(text)), 0);
}

/* "spec.ports[0].port" is "spec.ports.port". */
static void on_field(const char *kind, const char *path, void *arg)
{
	char plain[256];
	size_t n = 0;

	for (; *path && n < sizeof(plain) - 1; path++) {
		if (*path == '[')
			path += strcspn(path, "]");
		else
			plain[n++] = *path;
	}
	plain[n] = '\0';
	add(arg, kind, plain);
}

static int on_object(struct fl_object *object, unsigned int line, void *arg)
{
	fl_object_free(object);
	return 0;
}

static int on_problem(const struct fl_problem *problem, void *arg)
{
	fail_msg("%s: %s", problem->object, problem->reason);
	return 0;
}

static void look(struct fl_strings *fields)
{
	const struct fl_decode_sink sink = {.object = on_object,
					    .problem = on_problem,
					    .arg = fields,
					    .field = on_field,
					    .pods = true};

	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
		struct fl_err err = {""};

		if (fl_doc_parse(objects[i], strlen(objects[i]), FL_DOC_YAML, &doc, &err))
			fail_msg("%s", err.text);
		assert_int_equal(fl_decode(doc, "", &sink), 0);
	}
}

/* Rows "| `PATH` |" below a heading "### KIND". */
static void read_tables(struct fl_strings *fields)
{
	_cleanup_fclose_ FILE *page = fopen("docs/manifests.md", "re");
	char line[512], kind[64] = "", path[128];

	assert_non_null(page);
	while (fgets(line, sizeof(line), page)) {
		if (!strncmp(line, "## ", 3))
			kind[0] = '\0';
		else if (sscanf(line, "### %63[^\n]", kind) != 1 && *kind &&
			 sscanf(line, "| `%127[^`]` |", path) == 1)
			add(fields, kind, path);
	}
}

static void expect_all(const struct fl_strings *some, const struct fl_strings *all,
		       const char *what)
{
	for (size_t i = 0; i < some->n; i++)
		if (!has(all, some->items[i]))
			fail_msg("%s: %s", some->items[i], what);
}

static void test_fields_are_documented(void **state)
{
	_cleanup_(fl_strings_clear) struct fl_strings read = {0}, documented = {0};

	look(&read);
	read_tables(&documented);
	assert_true(read.n > 50);
	expect_all(&read, &documented, "read, but not in docs/manifests.md");
	expect_all(&documented, &read, "in docs/manifests.md, but not read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
