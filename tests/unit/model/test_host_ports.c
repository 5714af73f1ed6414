/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Host ports of pods, from the store to the plan. */
#include "tests/unit/model/fixture.h"

#include "lb/model/conflict.h"
#include "lb/model/host_ports.h"
#include "lb/model/plan_store.h"

static int setup(void **state)
{
	return fl_store_new("node-1", (struct fl_store **)state);
}

static int teardown(void **state)
{
	fl_store_free((struct fl_store **)state);
	return 0;
}

/* "192.0.2.1:8080/80" or "8080/80"; all TCP */
static void add_host_port(struct fl_pod *pod, const char *at, uint16_t host_port, uint16_t port)
{
	struct fl_pod_port *added = GROW(pod->ports, pod->n_ports);

	*added = (struct fl_pod_port){.host_port = host_port, .port = port, .proto = IPPROTO_TCP};
	if (at) {
		added->has_ip = true;
		added->ip = ip(at);
	}
}

static struct fl_pod *pod_named(const char *name, const char *v4, const char *v6)
{
	struct fl_pod *pod = calloc(1, sizeof(*pod));

	assert_non_null(pod);
	pod->ns = strdup("default");
	pod->name = strdup(name);
	pod->node_name = strdup("node-1");
	pod->created = 100;
	if (v4)
		*GROW(pod->ips, pod->n_ips) = ip(v4);
	if (v6)
		*GROW(pod->ips, pod->n_ips) = ip(v6);
	return pod;
}

static void put_pod(struct fl_store *store, struct fl_pod *pod)
{
	struct fl_object object = {FL_KIND_POD, {.pod = pod}};

	assert_int_equal(fl_store_put(store, &object), 0);
	assert_null(object.pod);
}

static int append_plan(const struct fl_service *service, void *arg)
{
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	const struct fl_store *store = ((const struct fl_store **)arg)[0];
	char *text = ((char **)arg)[1], frontend[FL_IP_PORT_STRLEN], to[FL_IP_PORT_STRLEN];
	const struct fl_plan_options options = {
		.node_name = "node-1", .zone = "", .no_external_ips = true};

	assert_int_equal(fl_plan_stored(store, service->ns, service->name, &options, &plan), 0);
	for (size_t i = 0; i < plan.n_ports; i++) {
		const struct fl_plan_port *port = &plan.ports[i];

		assert_int_equal(port->n_frontends, 1);
		assert_int_equal(port->n_endpoints, 1);
		/* clients outside are not masqueraded */
		assert_true(port->external_local);
		assert_int_equal(port->external, FL_PLAN_FORWARD);
		assert_int_equal(port->internal_to_external, FL_PLAN_FORWARD);
		snprintf(text + strlen(text), 900 - strlen(text), "%s %s -> %s\n", port->name,
			 fl_frontend_format(&port->frontends[0].ip, port->frontends[0].port,
					    frontend),
			 fl_ip_port_format(&port->endpoints[0].ip, port->endpoints[0].port, to));
	}
	return 0;
}

/* What is planned, a line each; `dirty`: how many Services were marked since. */
static void expect(struct fl_store *store, size_t dirty, const char *expected)
{
	char text[1000] = "";
	void *arg[] = {store, text};

	assert_int_equal(fl_store_dirty_count(store), dirty);
	while (fl_store_take_dirty(store, &(struct fl_service_key){NULL, NULL}))
		;
	assert_int_equal(fl_store_each_service(store, append_plan, arg), 0);
	assert_string_equal(text, expected);
}

#define WEB_1 "pod@web-1 *:8080 -> 10.1.0.1:80\npod@web-1 *:8080 -> [fd01::1]:80\n"

static void test_a_pod_comes_changes_and_goes(void **state)
{
	struct fl_store *store = *state;
	struct fl_pod *pod = pod_named("web-1", "10.1.0.1", "fd01::1");

	add_host_port(pod, NULL, 8080, 80);
	put_pod(store, pod);
	expect(store, 1, WEB_1);
	assert_int_equal(fl_store_count(store, FL_KIND_POD), 1);
	assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), 0);
	assert_int_equal(fl_store_count(store, FL_KIND_SLICE), 0);
	assert_string_equal(fl_store_pod(store, "default", "web-1")->name, "web-1");
	/* 1.16: the same again */
	pod = pod_named("web-1", "10.1.0.1", "fd01::1");
	add_host_port(pod, NULL, 8080, 80);
	put_pod(store, pod);
	expect(store, 0, WEB_1);
	/* it was started anew, with another address */
	pod = pod_named("web-1", "10.1.0.9", NULL);
	add_host_port(pod, NULL, 8080, 80);
	put_pod(store, pod);
	expect(store, 1, "pod@web-1 *:8080 -> 10.1.0.9:80\n");
	fl_store_del(store, FL_KIND_POD, "default", "web-1");
	expect(store, 1, "");
	assert_int_equal(fl_store_count(store, FL_KIND_POD), 0);
	fl_store_del(store, FL_KIND_POD, "default", "web-1");
	expect(store, 0, "");
}

/* hostIP: one address, or all of one family. `externalIPs: false` is about Services. */
static void test_addresses(void **state)
{
	struct fl_store *store = *state;
	struct fl_pod *pod = pod_named("web-1", "10.1.0.1", "fd01::1");

	add_host_port(pod, "192.0.2.1", 8080, 80);
	add_host_port(pod, "192.0.2.1", 8081, 81);
	add_host_port(pod, "0.0.0.0", 8082, 82);
	add_host_port(pod, "::", 8083, 83);
	add_host_port(pod, "2001:db8::1", 8080, 80);
	put_pod(store, pod);
	expect(store, 4,
	       "pod@web-1@0.0.0.0 *:8082 -> 10.1.0.1:82\n"
	       "pod@web-1@192.0.2.1 192.0.2.1:8080 -> 10.1.0.1:80\n"
	       "pod@web-1@192.0.2.1 192.0.2.1:8081 -> 10.1.0.1:81\n"
	       "pod@web-1@2001:db8::1 [2001:db8::1]:8080 -> [fd01::1]:80\n"
	       "pod@web-1@:: *:8083 -> [fd01::1]:83\n");
	assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), 0);
	/* an address of a family that the pod has not */
	pod = pod_named("web-1", "10.1.0.1", NULL);
	add_host_port(pod, "2001:db8::1", 8080, 80);
	put_pod(store, pod);
	expect(store, 4, "");
	fl_store_del(store, FL_KIND_POD, "default", "web-1");
	expect(store, 0, "");
}

static void test_what_is_not_served(void **state)
{
	struct fl_store *store = *state;

	for (int row = 0; row < 5; row++) {
		struct fl_pod *pod = pod_named("web-1", row == 0 ? NULL : "10.1.0.1", NULL);

		if (row != 1)
			add_host_port(pod, NULL, 8080, 80);
		pod->host_network = row == 2;
		pod->ended = row == 3;
		if (row == 4)
			pod->node_name[5] = '2';
		put_pod(store, pod);
		expect(store, 0, "");
		assert_null(fl_store_pod(store, "default", "web-1"));
	}
}

/* One that ends leaves its port to the next. */
static void test_a_pod_ends(void **state)
{
	struct fl_store *store = *state;
	struct fl_pod *pod = pod_named("web-1", "10.1.0.1", NULL);

	add_host_port(pod, NULL, 8080, 80);
	put_pod(store, pod);
	expect(store, 1, "pod@web-1 *:8080 -> 10.1.0.1:80\n");
	pod = pod_named("web-1", "10.1.0.1", NULL);
	add_host_port(pod, NULL, 8080, 80);
	pod->ended = true;
	put_pod(store, pod);
	expect(store, 1, "");
}

static void keep_text(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *text = fl_conflict_text(conflict);

	assert_non_null(text);
	strcat(arg, text);
}

/* 2.21: the oldest has it, be it a Service's node port or a pod's host port. */
static void test_conflicts(void **state)
{
	struct fl_store *store = *state;
	struct fl_service *service = service_named("default", "web", "10.96.0.10");
	struct fl_object object = {FL_KIND_SERVICE, {.service = service}};
	struct fl_pod *pod = pod_named("web-1", "10.1.0.1", NULL);
	const struct fl_plan_options options = {.node_name = "node-1", .zone = ""};
	char text[600] = "";

	service->type = FL_SERVICE_NODE_PORT;
	service->created = 99;
	add_port(service, "", IPPROTO_TCP, 80, 8080);
	assert_int_equal(fl_store_put(store, &object), 0);
	add_host_port(pod, NULL, 8080, 80);
	put_pod(store, pod);
	assert_int_equal(fl_conflict_each(store, &options, keep_text, text), 0);
	assert_string_equal(text, "TCP *:8080 (IPv4) belongs to default/web, "
				  "default/pod@web-1:8080-tcp wants it too");
}

static void test_names(void **state)
{
	size_t len;

	assert_null(fl_host_ports_pod("web-1", &len));
	assert_string_equal(fl_host_ports_pod("pod@web-1", &len), "web-1");
	assert_int_equal(len, 5);
	assert_non_null(fl_host_ports_pod("pod@web-1@192.0.2.1", &len));
	assert_int_equal(len, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_pod_comes_changes_and_goes),
		TEST(test_addresses),
		TEST(test_what_is_not_served),
		TEST(test_a_pod_ends),
		TEST(test_conflicts),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
