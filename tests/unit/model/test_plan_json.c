/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The JSON of `fairlead plan -o json`: every key, null where something does not apply, order. */
#include "tests/unit/model/fixture.h"

#include "lb/model/plan_json.h"
#include "lb/model/plan_store.h"

static void put(struct fl_store *store, struct fl_object object)
{
	assert_int_equal(fl_store_put(store, &object), 0);
}

static struct fl_store *new_store(void)
{
	struct fl_node *node = calloc(1, sizeof(*node));
	struct fl_store *store = NULL;

	assert_int_equal(fl_store_new("node-1", &store), 0);
	node->name = strdup("node-1");
	node->zone = strdup("zone-a");
	put(store, (struct fl_object){FL_KIND_NODE, {.node = node}});
	return store;
}

static void expect_json(const struct fl_store *store, bool node_hints, const char *expected)
{
	struct fl_plan_options options = fl_plan_options_of(store);
	_cleanup_free_ char *text = NULL;

	options.node_hints = node_hints;
	assert_int_equal(fl_plan_json_text(store, &options, false, &text), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, expected);
}

#define HEAD                                                                                       \
	"{\"apiVersion\":\"fairlead.dev/"                                                          \
	"v1\",\"kind\":\"Plan\",\"node\":\"node-1\",\"zone\":\"zone-a\",\"items\":["

static void test_empty_store(void **state)
{
	_cleanup_(fl_store_free) struct fl_store *store = new_store();

	expect_json(store, true, HEAD "]}");
}

static void test_everything_set(void **state)
{
	_cleanup_(fl_store_free) struct fl_store *store = new_store();
	struct fl_service *service = service_web(30080);

	service->type = FL_SERVICE_LOAD_BALANCER;
	service->external_local = true;
	service->affinity = true;
	service->affinity_timeout_s = 600;
	service->reset = FL_RESET_ON;
	add_external_ip(service, "192.0.2.1");
	add_ingress(service, "203.0.113.1", false);
	add_range(service, "198.51.100.0/24");
	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = service}});
	put(store,
	    (struct fl_object){
		    FL_KIND_SLICE,
		    {.slice = slice_web("a", 8080,
					"10.1.2.10 rs- local; 10.1.2.9 rs-; 10.1.2.3 rs- local")}});
	expect_json(store, true,
		    HEAD
		    "{\"namespace\":\"default\",\"name\":\"web\",\"port\":\"http\",\"protocol\":"
		    "\"TCP\","
		    "\"family\":\"IPv4\",\"frontends\":["
		    "{\"type\":\"ClusterIP\",\"ip\":\"10.96.0.10\",\"port\":80},"
		    "{\"type\":\"ExternalIP\",\"ip\":\"192.0.2.1\",\"port\":80},"
		    "{\"type\":\"LoadBalancer\",\"ip\":\"203.0.113.1\",\"port\":80},"
		    "{\"type\":\"NodePort\",\"ip\":\"*\",\"port\":30080}],"
		    "\"internalTrafficPolicy\":\"Cluster\",\"externalTrafficPolicy\":\"Local\","
		    "\"sessionAffinity\":{\"type\":\"ClientIP\",\"timeoutSeconds\":600},"
		    "\"sourceRanges\":[\"198.51.100.0/24\"],"
		    "\"resetOnBackendRemoval\":true,\"forwarding\":\"snat\","
		    "\"usesClusterEndpoints\":true,"
		    "\"usesLocalEndpoints\":true,"
		    "\"clusterEndpoints\":[\"10.1.2.10:8080\",\"10.1.2.3:8080\",\"10.1.2.9:8080\"],"
		    "\"localEndpoints\":[\"10.1.2.10:8080\",\"10.1.2.3:8080\"],\"weights\":{},"
		    "\"hasAnyEndpoints\":"
		    "true,"
		    "\"verdicts\":{\"clusterIP\":\"forward\",\"external\":\"forward\","
		    "\"internalToExternal\":\"forward\"}}]}");
}

static void test_what_does_not_apply_is_null(void **state)
{
	_cleanup_(fl_store_free) struct fl_store *store = new_store();
	struct fl_service *service = service_named("default", "dns", "fd00:96::a");

	service->internal_local = true;
	add_port(service, "", IPPROTO_UDP, 53, 0);
	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = service}});
	expect_json(
		store, true,
		HEAD
		"{\"namespace\":\"default\",\"name\":\"dns\",\"port\":\"\",\"protocol\":\"UDP\","
		"\"family\":\"IPv6\",\"frontends\":["
		"{\"type\":\"ClusterIP\",\"ip\":\"fd00:96::a\",\"port\":53}],"
		"\"internalTrafficPolicy\":\"Local\",\"externalTrafficPolicy\":\"Cluster\","
		"\"sessionAffinity\":{\"type\":\"None\",\"timeoutSeconds\":0},\"sourceRanges\":[],"
		"\"resetOnBackendRemoval\":false,\"forwarding\":\"snat\",\"usesClusterEndpoints\":"
		"false,"
		"\"usesLocalEndpoints\":true,"
		"\"clusterEndpoints\":null,\"localEndpoints\":[],\"weights\":{},"
		"\"hasAnyEndpoints\":false,"
		"\"verdicts\":{\"clusterIP\":\"reject\",\"external\":null,"
		"\"internalToExternal\":null}}]}");
}

/* Services by namespace and name, ports as written, IPv4 before IPv6; those that are not ours are
 * not there. */
static void test_order_of_items(void **state)
{
	_cleanup_(fl_store_free) struct fl_store *store = new_store();
	struct fl_plan_options options = fl_plan_options_of(store);
	struct fl_service *two = service_named("b", "two", "10.96.0.2"),
			  *one = service_named("b", "one", "10.96.0.3");
	struct fl_service *headless = service_named("a", "headless", NULL);
	_cleanup_free_ char *text = NULL;
	static const char *const order[] = {
		"\"name\":\"one\"", "\"port\":\"z\",\"protocol\":\"TCP\",\"family\":\"IPv4\"",
		"\"port\":\"z\",\"protocol\":\"TCP\",\"family\":\"IPv6\"",
		"\"port\":\"a\",\"protocol\":\"TCP\",\"family\":\"IPv4\"",
		"\"port\":\"a\",\"protocol\":\"TCP\",\"family\":\"IPv6\""};
	const char *at;

	headless->headless = true;
	add_port(headless, "p", IPPROTO_TCP, 80, 0);
	add_port(one, "p", IPPROTO_TCP, 80, 0);
	add_second_family(two, "fd00:96::2");
	add_port(two, "z", IPPROTO_TCP, 80, 0);
	add_port(two, "a", IPPROTO_TCP, 81, 0);
	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = two}});
	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = one}});
	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = headless}});
	assert_int_equal(fl_plan_json_text(store, &options, false, &text), 0);
	assert_null(strstr(text, "headless"));
	at = text;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		at = strstr(at, order[i]);
		if (!at)
			fail_msg("%s is not where it should be", order[i]);
	}
}

static void test_3_4_2_node_hints_can_be_switched_off(void **state)
{
	_cleanup_(fl_store_free) struct fl_store *store = new_store();
	struct fl_plan_options options = fl_plan_options_of(store);

	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = service_web(0)}});
	put(store,
	    (struct fl_object){
		    FL_KIND_SLICE,
		    {.slice = slice_web("a", 80, "10.1.2.3 rs- Z=a N=1; 10.1.2.4 rs- Z=a N=2")}});
	for (int hints = 0; hints < 2; hints++) {
		_cleanup_free_ char *text = NULL;

		options.node_hints = hints;
		assert_int_equal(fl_plan_json_text(store, &options, false, &text), 0);
		assert_non_null(strstr(
			text, hints ? "\"clusterEndpoints\":[\"10.1.2.3:80\"]"
				    : "\"clusterEndpoints\":[\"10.1.2.3:80\",\"10.1.2.4:80\"]"));
	}
}

/* 1.10: `forward` would be wrong of a protocol whose packets pass unchanged. */
static void test_a_protocol_that_is_not_balanced(void **state)
{
	_cleanup_(fl_store_free) struct fl_store *store = new_store();
	struct fl_plan_options options = fl_plan_options_of(store);
	struct fl_service *service = service_named("default", "s", "10.96.0.1");
	_cleanup_free_ char *text = NULL;

	add_port(service, "s", IPPROTO_SCTP, 3868, 0);
	put(store, (struct fl_object){FL_KIND_SERVICE, {.service = service}});
	assert_int_equal(fl_plan_json_text(store, &options, false, &text), 0);
	assert_non_null(strstr(text, "\"verdicts\":{\"clusterIP\":\"unserved\",\"external\":null,"
				     "\"internalToExternal\":null}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_store),
		cmocka_unit_test(test_everything_set),
		cmocka_unit_test(test_what_does_not_apply_is_null),
		cmocka_unit_test(test_order_of_items),
		cmocka_unit_test(test_a_protocol_that_is_not_balanced),
		cmocka_unit_test(test_3_4_2_node_hints_can_be_switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
