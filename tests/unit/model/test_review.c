/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects that are sound one by one and cannot mean what their author wanted. */
#include "tests/unit/model/fixture.h"

#include "lb/model/nodes.h"
#include "lb/model/plan_store.h"
#include "lb/model/review.h"

static struct fl_plan_options options = {.node_name = "node-1", .zone = ""};

static enum fl_finding review(const struct fl_service *service, const struct fl_slice *slice,
			      char **ret_text)
{
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	const struct fl_slice *slices[] = {slice};

	if (service)
		assert_int_equal(fl_plan_service(service, slices, !!slice, &options, &plan), 0);
	return fl_review("default", "web", service, slices, !!slice, &plan, ret_text);
}

static void expect(const struct fl_service *service, const struct fl_slice *slice,
		   enum fl_finding finding, const char *words)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(review(service, slice, &text), finding);
	if (!words)
		assert_null(text);
	else if (!text || !strstr(text, words))
		fail_msg("\"%s\" has no \"%s\"", text, words);
}

static struct fl_slice *slice_with(const char *port)
{
	struct fl_slice *slice = slice_named("web-1", "web", FL_IPV4);

	if (port)
		add_slice_port(slice, port, IPPROTO_TCP, 8080);
	add_endpoints(slice, "10.1.1.1 rs-", "node-2");
	return slice;
}

static void test_a_service_that_is_served_is_fine(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_with("http");

	expect(service, slice, FL_FINDING_NONE, NULL);
}

/* 1.10: SCTP is planned; that its packets pass unchanged is not to be found out by trying. */
static void test_a_protocol_that_is_not_balanced_is_found(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_with("http");

	add_port(service, "s", IPPROTO_SCTP, 3868, 0);
	expect(service, slice, FL_FINDING_NO_PROTOCOL,
	       "Service default/web: SCTP is not balanced yet, so that packets to port 3868");
}

/* DSR by Geneve goes to nodes, of which one is not known here. */
static void test_an_endpoint_of_an_unknown_node_is_found(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_with("http");
	const struct fl_nodes nodes = {0};

	service->forwarding = FL_FORWARDING_DSR;
	expect(service, slice, FL_FINDING_NONE, NULL);
	options.nodes = &nodes;
	expect(service, slice, FL_FINDING_NO_NODE,
	       "Service default/web: of 1 endpoints of port 80 (TCP, IPv4) the node's address is "
	       "not "
	       "known");
	options.nodes = NULL;
}

/* Scaled to zero, or not started yet. */
static void test_a_service_without_endpoints_is_nobodys_mistake(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *empty = slice_named("web-1", "web", FL_IPV4);

	expect(service, NULL, FL_FINDING_NONE, NULL);
	expect(service, empty, FL_FINDING_NONE, NULL);
}

static void test_a_service_that_nobody_can_reach(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_named("default", "web", NULL);

	add_port(service, "http", IPPROTO_TCP, 80, 0);
	expect(service, NULL, FL_FINDING_NO_FRONTEND, "Service default/web has no cluster IP");
	/* 1.1 to 1.3: what is no Service to a node needs no address */
	service->headless = true;
	expect(service, NULL, FL_FINDING_NONE, NULL);
	service->headless = false;
	service->other_proxy = true;
	expect(service, NULL, FL_FINDING_NONE, NULL);
}

static void test_ports_that_no_endpoint_has(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *other = slice_with("web");
	_cleanup_(fl_slice_free) struct fl_slice *none = slice_with(NULL);
	_cleanup_(fl_slice_free) struct fl_slice *udp = slice_with(NULL);

	expect(service, other, FL_FINDING_NO_PORT,
	       "no EndpointSlice has a port \"http\" (TCP), so that nobody is served there; web-1 "
	       "has \"web\" (TCP)");
	expect(service, none, FL_FINDING_NO_PORT, "web-1 has no ports");
	add_slice_port(udp, "http", IPPROTO_UDP, 8080);
	expect(service, udp, FL_FINDING_NO_PORT, "web-1 has \"http\" (UDP)");
}

/* While new pods take over, slices of old ones lack the new port. */
static void test_one_slice_with_the_port_is_enough(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *old = slice_with("web");
	_cleanup_(fl_slice_free) struct fl_slice *new = slice_with("http");
	const struct fl_slice *slices[] = {old, new};
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(fl_plan_service(service, slices, 2, &options, &plan), 0);
	assert_int_equal(fl_review("default", "web", service, slices, 2, &plan, &text),
			 FL_FINDING_NONE);
}

static void test_slices_of_a_service_that_is_not_there(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_with("http");

	expect(NULL, slice, FL_FINDING_NO_SERVICE, "Service default/web, which is not there");
	expect(NULL, NULL, FL_FINDING_NONE, NULL);
}

static void count(enum fl_finding finding, const char *text, void *arg)
{
	((int *)arg)[finding]++;
}

static void test_all_of_a_store(void **state)
{
	int found[FL_FINDING_NO_SERVICE + 1] = {0};
	struct fl_store *store;
	struct fl_service *lost = service_named("default", "lost", NULL);
	struct fl_slice *orphan = slice_named("x-1", "x", FL_IPV4);

	add_port(lost, "http", IPPROTO_TCP, 80, 0);
	assert_int_equal(fl_store_new("node-1", &store), 0);
	assert_int_equal(fl_store_put(store, &(struct fl_object){.kind = FL_KIND_SERVICE,
								 .service = service_web(0)}),
			 0);
	assert_int_equal(
		fl_store_put(store, &(struct fl_object){.kind = FL_KIND_SERVICE, .service = lost}),
		0);
	assert_int_equal(
		fl_store_put(store, &(struct fl_object){.kind = FL_KIND_SLICE, .slice = orphan}),
		0);
	assert_int_equal(fl_store_put(store, &(struct fl_object){.kind = FL_KIND_SLICE,
								 .slice = slice_with("web")}),
			 0);
	assert_int_equal(fl_review_each(store, &options, count, found), 0);
	assert_int_equal(found[FL_FINDING_NO_FRONTEND], 1);
	assert_int_equal(found[FL_FINDING_NO_PORT], 1);
	assert_int_equal(found[FL_FINDING_NO_SERVICE], 1);
	fl_store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_service_that_is_served_is_fine),
		cmocka_unit_test(test_a_protocol_that_is_not_balanced_is_found),
		cmocka_unit_test(test_an_endpoint_of_an_unknown_node_is_found),
		cmocka_unit_test(test_a_service_without_endpoints_is_nobodys_mistake),
		cmocka_unit_test(test_a_service_that_nobody_can_reach),
		cmocka_unit_test(test_ports_that_no_endpoint_has),
		cmocka_unit_test(test_one_slice_with_the_port_is_enough),
		cmocka_unit_test(test_slices_of_a_service_that_is_not_there),
		cmocka_unit_test(test_all_of_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
