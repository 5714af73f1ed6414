/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an API server says, and when it takes effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>

#include "tests/unit/source/kube_fixture.h"

/* 10.3: nothing takes effect before every kind was listed in full. */
static void test_10_3_all_or_nothing(void **state)
{
	struct scene *s = *state;

	s->services = list(s, SERVICES,
			   ADDED(SERVICE("web", "80")) ADDED(SERVICE("old", "81")) END("10"));
	s->nodes = list(s, NODES, ADDED(NODE) END("12"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")));
	/* what changes meanwhile counts, too */
	fake_say(s->services, MODIFIED(SERVICE("web", "8080")) DELETED(SERVICE("old", "81")));
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
	assert_null(fl_store_node(s->store));
	assert_false(fl_source_complete(s->source));
	fake_say(s->slices, END("11"));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 1);
	assert_int_equal(port_of(s, "web"), 8080);
	assert_non_null(fl_store_slice(s->store, "default", "web-1"));
	assert_non_null(fl_store_node(s->store));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
}

/* All but the Node. */
static void start_without_node(struct scene *s)
{
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, END("12"));
}

/* 10.11: a node whose Node appears later waits for it, and says so. */
static void test_10_11_waits_for_node(void **state)
{
	struct scene *s = *state;

	start_without_node(s);
	UNTIL(strstr(condition(s, "nodes"), "has no Node named node-1 yet"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 1);
	assert_false(fl_source_complete(s->source));
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
	fake_say(s->nodes, ADDED(NODE));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 80);
	assert_non_null(fl_store_node(s->store));
	assert_string_equal(condition(s, "nodes"), "");
}

/* The same: not for ever. */
static void test_10_11_goes_on_without_node(void **state)
{
	struct scene *s = *state;

	start_without_node(s);
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 80);
	UNTIL(strstr(condition(s, "nodes"), "no zone, no node addresses known"));
}

/* The same: NodeCIDR cannot do without podCIDRs. */
static void test_10_11_waits_for_pod_cidrs(void **state)
{
	struct scene *s = *state;

	start_without_node(s);
	fake_say(s->nodes, ADDED(NODE));
	UNTIL(strstr(condition(s, "nodes"), "with podCIDRs yet"));
	assert_false(fl_source_complete(s->source));
	fake_say(s->nodes, MODIFIED("{\"metadata\":{\"name\":\"node-1\"},\"spec\":{\"podCIDRs\":["
				    "\"10.1.0.0/24\"]}}"));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(fl_store_node(s->store)->n_pod_cidrs, 1);
	assert_string_equal(condition(s, "nodes"), "");
}

static size_t n_addresses(const struct scene *s)
{
	const struct fl_ip *list;
	size_t n;

	assert_int_equal(fl_store_node_addresses(s->store, &list, &n), 0);
	return n;
}

/* Of other Nodes what their addresses are, where that is asked for. */
static void test_all_nodes(void **state)
{
	struct scene *s = *state;
	uint64_t changes;

	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, ADDED(OTHER_NODE("node-0", "192.0.2.10")) ADDED(NODE) END("12"));
	assert_null(strstr(s->nodes->request, "fieldSelector"));
	UNTIL(fl_source_complete(s->source));
	assert_string_equal(fl_store_node(s->store)->name, "node-1");
	assert_int_equal(n_addresses(s), 2);
	while (fl_store_take_dirty(s->store, &(struct fl_service_key){NULL, NULL}))
		;
	fake_say(s->nodes, ADDED(OTHER_NODE("node-2", "192.0.2.2")));
	UNTIL(n_addresses(s) == 3);
	fake_say(s->nodes, DELETED(OTHER_NODE("node-0", "192.0.2.10")));
	UNTIL(n_addresses(s) == 2);
	assert_int_equal(fl_store_dirty_count(s->store), 0);
	/* 1.16: a list of the same is no change */
	changes = fl_store_changes(s->store, FL_KIND_NODE);
	fake_say(s->nodes, "garbage");
	UNTIL(*condition(s, "nodes"));
	s->nodes->asked = false;
	assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	s->nodes = list(s, NODES, ADDED(OTHER_NODE("node-2", "192.0.2.2")) ADDED(NODE) END("20"));
	UNTIL(!*condition(s, "nodes"));
	assert_int_equal(fl_store_changes(s->store, FL_KIND_NODE), changes);
	/* our Node's absence is noticed among others */
	fake_say(s->nodes, DELETED(NODE));
	UNTIL(strstr(condition(s, "nodes"), "has no Node named node-1"));
	assert_int_equal(n_addresses(s), 1);
}

#define POD(name, ip)                                                                              \
	"{" META(name,                                                                             \
		 "") ",\"spec\":{\"nodeName\":\"node-1\",\"containers\":[{\"ports\":[{"            \
		     "\"containerPort\":80,\"hostPort\":8080}]}]},\"status\":{\"podIP\":\"" ip     \
		     "\"}}"

/* This node's Pods are followed where that is asked for, and only then. */
static void test_host_ports(void **state)
{
	struct scene *s = *state;
	struct fake_connection *pods;

	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, ADDED(NODE) END("12"));
	for (int i = 0; i < 20; i++)
		turn(s);
	/* 10.3: all kinds together */
	assert_false(fl_source_complete(s->source));
	pods = list(s, PODS, ADDED(POD("a", "10.1.0.1")) END("13"));
	assert_non_null(strstr(pods->request, "fieldSelector=spec.nodeName%3Dnode-1"));
	UNTIL(fl_source_complete(s->source));
	assert_non_null(fl_store_pod(s->store, "default", "a"));
	assert_non_null(fl_store_service(s->store, "default", "pod@a"));
	fake_say(pods, DELETED(POD("a", "10.1.0.1")) ADDED(POD("b", "10.1.0.2")));
	UNTIL(fl_store_service(s->store, "default", "pod@b"));
	assert_null(fl_store_service(s->store, "default", "pod@a"));
	fake_say(pods, "garbage");
	UNTIL(strstr(condition(s, "pods"), "pods of "));
	assert_non_null(fl_store_service(s->store, "default", "pod@b"));
}

static void test_no_host_ports(void **state)
{
	struct scene *s = *state;

	start(s);
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_null(fake_asked(&s->server, PODS));
}

static void test_1_4_selectors(void **state)
{
	struct scene *s = *state;

	assert_non_null(strstr(asked(s, SERVICES)->request,
			       "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name"));
	assert_non_null(strstr(asked(s, SLICES)->request,
			       "labelSelector=%21service.kubernetes.io%2Fheadless"));
	assert_non_null(strstr(asked(s, NODES)->request, "fieldSelector=metadata.name%3Dnode-1"));
}

static void test_changes(void **state)
{
	struct scene *s = *state;

	start(s);
	while (fl_store_take_dirty(s->store, &(struct fl_service_key){NULL, NULL}))
		;
	fake_say(s->services, ADDED(SERVICE("new", "443")) MODIFIED(SERVICE("web", "81")));
	UNTIL(port_of(s, "new") == 443);
	assert_int_equal(port_of(s, "web"), 81);
	assert_int_equal(fl_store_dirty_count(s->store), 2);
	fake_say(s->services, DELETED(SERVICE("web", "81")));
	UNTIL(!port_of(s, "web"));
	fake_say(s->slices, DELETED(SLICE("web-1", "10.1.0.1")));
	UNTIL(!fl_store_slice(s->store, "default", "web-1"));
}

/* 10.10.1: what a list lacks is gone when the list is whole, and not before. */
static void test_10_10_1_relist(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	start(s);
	c = lose_place(s);
	fake_begin(c);
	fake_say(c, ADDED(SERVICE("new", "82")));
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(port_of(s, "new"), 0);
	fake_say(c, END("20"));
	UNTIL(port_of(s, "new") == 82);
	assert_int_equal(port_of(s, "web"), 0);
	UNTIL(!*condition(s, "services"));
}

/* 1.16: what is listed again as it was is no work for anybody. */
static void test_1_16_relist_of_the_same(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	start(s);
	while (fl_store_take_dirty(s->store, &(struct fl_service_key){NULL, NULL}))
		;
	c = lose_place(s);
	fake_begin(c);
	fake_say(c, ADDED(SERVICE("web", "80")) END("20"));
	UNTIL(!*condition(s, "services"));
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(fl_store_dirty_count(s->store), 0);
}

static void test_conditions(void **state)
{
	struct scene *s = *state;

	fake_answer(asked(s, SERVICES), "403 Forbidden", "",
		    "{\"kind\":\"Status\",\"message\":\"may not list\"}");
	UNTIL(*condition(s, "services"));
	assert_non_null(strstr(condition(s, "services"),
			       "are not known yet: list: HTTP 403: may not list"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 1);
	assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, END("11"));
	s->nodes = list(s, NODES, END("12"));
	UNTIL(fl_source_complete(s->source));
	turn(s);
	assert_string_equal(condition(s, "services"), "");
	assert_non_null(strstr(condition(s, "nodes"), "has no Node named node-1"));
	fake_say(s->nodes, ADDED(NODE));
	UNTIL(fl_store_node(s->store));
	turn(s);
	assert_string_equal(condition(s, "nodes"), "");
	lose_place(s);
	assert_non_null(strstr(condition(s, "services"), "may be out of date"));
	assert_non_null(strstr(condition(s, "services"), "what was read last stays"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
	assert_int_equal(port_of(s, "web"), 80);
}

#define FAULTY                                                                                     \
	"{" META("web", "") ",\"spec\":{\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":0}]}}"

/* A faulty object keeps its own last good state, and nobody else's waits for it. */
static void test_faulty_object(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	start(s);
	fake_say(s->services, MODIFIED(FAULTY) ADDED(SERVICE("new", "82")));
	UNTIL(port_of(s, "new") == 82);
	assert_int_equal(port_of(s, "web"), 80);
	fl_source_each_problem(s->source, on_problem, s);
	assert_non_null(strstr(s->problems, "Service default/web: spec.ports[0].port: "));
	/* the same in a list */
	c = lose_place(s);
	fake_begin(c);
	fake_say(c, ADDED(FAULTY) ADDED(SERVICE("newer", "83")) END("20"));
	UNTIL(port_of(s, "newer") == 83);
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(port_of(s, "new"), 0);
	fl_source_each_unread(s->source, on_unread, s);
	assert_int_equal(s->n_unread, 0);
	fake_say(c, MODIFIED(SERVICE("web", "84")));
	UNTIL(port_of(s, "web") == 84);
	s->problems[0] = '\0';
	fl_source_each_problem(s->source, on_problem, s);
	assert_string_equal(s->problems, "");
}

/* One that was faulty from the first is told, for what an earlier agent may serve of it. */
static void test_unread(void **state)
{
	struct scene *s = *state;

	s->services = list(s, SERVICES, ADDED(FAULTY) END("10"));
	s->slices = list(s, SLICES, END("11"));
	s->nodes = list(s, NODES, END("12"));
	UNTIL(fl_source_complete(s->source));
	fl_source_each_unread(s->source, on_unread, s);
	assert_int_equal(s->n_unread, 1);
	fake_say(s->services, DELETED(FAULTY) ADDED(SERVICE("a", "1")));
	UNTIL(port_of(s, "a"));
	s->n_unread = 0;
	fl_source_each_unread(s->source, on_unread, s);
	assert_int_equal(s->n_unread, 0);
}

/* A manifest's definition of an object counts, until it goes. */
static void test_beside_manifests(void **state)
{
	struct scene *s = *state;
	struct fl_staged staged = {.line = 3};
	struct fl_object_key key = {FL_KIND_SERVICE, "default", "web"};

	start(s);
	staged.object.service = calloc(1, sizeof(*staged.object.service));
	staged.object.service->ns = strdup("default");
	staged.object.service->name = strdup("web");
	assert_int_equal(fl_definitions_put(s->definitions, &s->file, &staged), 0);
	assert_int_equal(port_of(s, "web"), 0);
	fl_source_each_problem(s->source, on_problem, s);
	assert_string_equal(s->problems,
			    "Service default/web: the API server has it too; web.yaml, "
			    "line 3, comes first\n");
	fake_say(s->services, MODIFIED(SERVICE("web", "85")) ADDED(SERVICE("new", "82")));
	UNTIL(port_of(s, "new") == 82);
	assert_int_equal(port_of(s, "web"), 0);
	assert_int_equal(fl_definitions_remove(s->definitions, &s->file, &key), 0);
	assert_int_equal(port_of(s, "web"), 85);
}

#define TEST_OF(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_10_3_all_or_nothing),
		TEST_OF(test_10_11_waits_for_node, setup_waiting),
		TEST_OF(test_10_11_goes_on_without_node, setup_impatient),
		TEST_OF(test_10_11_waits_for_pod_cidrs, setup_node_cidr),
		TEST_OF(test_all_nodes, setup_all_nodes),
		TEST_OF(test_host_ports, setup_host_ports),
		TEST(test_no_host_ports),
		TEST(test_1_4_selectors),
		TEST(test_changes),
		TEST(test_10_10_1_relist),
		TEST(test_1_16_relist_of_the_same),
		TEST(test_conditions),
		TEST(test_faulty_object),
		TEST(test_unread),
		TEST(test_beside_manifests),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
