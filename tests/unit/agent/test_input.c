/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Manifests in a directory become objects, and their faults conditions that last as long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/agent/input.h"
#include "tests/unit/agent/health_fixture.h"

struct scene {
	char dir[64];
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_settings settings;
	struct fl_input input;
};

#define SERVICE(name, port)                                                                        \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\n"                              \
	"spec: {clusterIP: 10.96.0.10, ports: [{port: " port "}]}\n"
#define SLICE(service, node)                                                                       \
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n"                \
	"metadata: {name: s-1, labels: {kubernetes.io/service-name: " service "}}\n"               \
	"ports: [{name: \"\", port: 80}]\n"                                                        \
	"endpoints: [{addresses: [10.1.0.1], nodeName: " node "}]\n"
#define NODE(address)                                                                              \
	"apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n"                                   \
	"status: {addresses: [{type: InternalIP, address: " address "}]}\n"

/* As a careful writer does it: the file is there as a whole, or not at all. */
static void put(const struct scene *s, const char *name, const char *text)
{
	char path[128], temporary[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	snprintf(temporary, sizeof(temporary), "%s/.%s.new", s->dir, name);
	file = fopen(temporary, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(temporary, path), 0);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct fl_err err = {""};

	strcpy(s->dir, "/tmp/fairlead-input-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->hands.ns = 1;
	s->health = health_with(&s->hands);
	assert_int_equal(fl_settings_init(&s->settings), 0);
	s->settings.node = strdup("node-1");
	fl_strings_add(&s->settings.manifests, strdup(s->dir));
	assert_int_equal(fl_input_init(&s->input, &s->settings, s->health, &err), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"a.yaml", "node.yaml"};
	struct scene *s = *state;
	char path[128];

	fl_input_fini(&s->input);
	fl_settings_fini(&s->settings);
	fl_health_free(&s->health);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static void load(struct scene *s)
{
	struct fl_err err = {""};

	if (fl_input_load(&s->input, &err))
		fail_msg("%s", err.text);
}

static void test_everything_read_is_marked(void **state)
{
	struct scene *s = *state;

	put(s, "a.yaml", SERVICE("web", "80"));
	load(s);
	assert_int_equal(fl_store_count(s->input.store, FL_KIND_SERVICE), 1);
	assert_int_equal(fl_store_dirty_count(s->input.store), 1);
	assert_true(fl_health_is_good(s->health));
}

static void test_a_faulty_object_is_an_error_until_it_is_corrected(void **state)
{
	struct scene *s = *state;
	char subject[256];
	struct fl_mono since;

	snprintf(subject, sizeof(subject), "%s/a.yaml: Service default/web: spec.ports[0].port",
		 s->dir);
	put(s, "a.yaml", SERVICE("web", "0"));
	load(s);
	assert_non_null(condition_text(s->health, FL_CONDITION_OBJECT, subject));
	assert_false(fl_health_is_good(s->health));
	since = fl_health_find(s->health, FL_CONDITION_OBJECT, subject)->since;

	/* other lines, the same fault */
	s->hands.ns += 1000;
	put(s, "a.yaml", "\n\n" SERVICE("web", "0"));
	fl_input_handle(&s->input);
	assert_non_null(condition_text(s->health, FL_CONDITION_OBJECT, subject));
	assert_int_equal(fl_health_find(s->health, FL_CONDITION_OBJECT, subject)->since.ns,
			 since.ns);

	put(s, "a.yaml", SERVICE("web", "80"));
	fl_input_handle(&s->input);
	assert_false(fl_health_has(s->health, FL_CONDITION_OBJECT));
	assert_true(fl_health_is_good(s->health));
}

/* 5.6.5: source ranges pass the node's own addresses, so every Service is planned again. */
static void test_node_addresses_that_change_mark_every_service(void **state)
{
	struct scene *s = *state;
	struct fl_service_key key;

	put(s, "a.yaml", SERVICE("web", "80"));
	load(s);
	while (fl_store_take_dirty(s->input.store, &key))
		;
	assert_int_equal(s->input.n_node_ips, 0);
	put(s, "node.yaml", NODE("192.0.2.1"));
	fl_input_handle(&s->input);
	assert_true(fl_input_update_node(&s->input));
	assert_int_equal(s->input.n_node_ips, 1);
	assert_int_equal(fl_store_dirty_count(s->input.store), 1);
	assert_false(fl_input_update_node(&s->input));
}

/* 9.6: node IPs are bindAddress where that is a specific address, else of the Node object. */
static void test_bind_address_beats_the_node_object(void **state)
{
	struct scene *s = *state;
	struct fl_ip expected;

	put(s, "node.yaml", NODE("192.0.2.1"));
	s->settings.bind_address = strdup("192.0.2.99");
	load(s);
	assert_int_equal(s->input.n_node_ips, 1);
	assert_int_equal(fl_ip_parse("192.0.2.99", &expected), 0);
	assert_memory_equal(&s->input.node_ips[0], &expected, sizeof(expected));
}

static void test_slices_of_a_service_that_is_not_there_are_a_warning(void **state)
{
	struct scene *s = *state;

	put(s, "a.yaml", SERVICE("web", "80") "---\n" SLICE("wbe", "node-1"));
	load(s);
	assert_non_null(condition_text(s->health, FL_CONDITION_SLICES, "default/wbe"));
	assert_true(fl_health_is_good(s->health));
	put(s, "a.yaml", SERVICE("web", "80") "---\n" SLICE("web", "node-1"));
	fl_input_handle(&s->input);
	fl_input_review(&s->input);
	assert_false(fl_health_has(s->health, FL_CONDITION_SLICES));
}

static void test_a_node_name_that_nothing_knows_is_a_warning(void **state)
{
	static const struct {
		const char *text;
		bool warning;
	} rows[] = {
		{SERVICE("web", "80"), false}, /* nothing has a node's name */
		{SERVICE("web", "80") "---\n" SLICE("web", "node-2"), true},
		{SERVICE("web", "80") "---\n" SLICE("web", "node-1"), false},
		{SERVICE("web", "80") "---\n" SLICE("web", "node-2") "---\n" NODE("192.0.2.1"),
		 false},
	};
	struct scene *s = *state;

	load(s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put(s, "a.yaml", rows[i].text);
		fl_input_handle(&s->input);
		fl_input_review(&s->input);
		assert_int_equal(fl_health_has(s->health, FL_CONDITION_NODE), rows[i].warning);
	}
}

static void test_settings_reach_the_planner(void **state)
{
	struct scene *s = *state;

	s->settings.node_hints = false;
	s->settings.external_ips = false;
	load(s);
	assert_false(s->input.plan_options.node_hints);
	assert_true(s->input.plan_options.no_external_ips);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_everything_read_is_marked),
		TEST(test_a_faulty_object_is_an_error_until_it_is_corrected),
		TEST(test_node_addresses_that_change_mark_every_service),
		TEST(test_bind_address_beats_the_node_object),
		TEST(test_slices_of_a_service_that_is_not_there_are_a_warning),
		TEST(test_a_node_name_that_nothing_knows_is_a_warning),
		TEST(test_settings_reach_the_planner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
