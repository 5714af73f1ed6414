/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The line that says why a service port is planned as it is. */
#include "tests/unit/model/fixture.h"

#include "lb/model/explain.h"

static void expect(const struct fl_service *service, const struct fl_slice *slice,
		   const char *expected)
{
	struct fl_plan_options options = OPTIONS_NODE_1;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(fl_plan_service(service, &slice, 1, &options, &plan), 0);
	assert_true(plan.n_ports >= 1);
	text = fl_plan_explain(&plan.ports[0]);
	assert_non_null(text);
	assert_string_equal(text, expected);
}

static void test_a_plain_service(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice =
		slice_web("a", 8080, "10.1.1.1 rs-; 10.1.1.2 ---");

	expect(service, slice,
	       "default/web:http TCP IPv4: 10.96.0.10:80 ClusterIP; endpoints 2, ready 1, on this "
	       "node 0; cluster list 1; cluster IP: forward");
}

/* 5.6 and 5.7: policy Local drops where no endpoint is here, all reject where there is none. */
static void test_why_a_service_is_not_served(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
	_cleanup_(fl_slice_free) struct fl_slice *elsewhere = slice_named("a", "web", FL_IPV4);
	_cleanup_(fl_slice_free) struct fl_slice *none = slice_named("b", "web", FL_IPV4);

	service->external_local = true;
	add_slice_port(elsewhere, "http", IPPROTO_TCP, 8080);
	add_endpoints(elsewhere, "10.1.1.1 rs-", "node-2");
	expect(service, elsewhere,
	       "default/web:http TCP IPv4: 10.96.0.10:80 ClusterIP, *:30080 NodePort; endpoints 1, "
	       "ready 1, on this node 0; cluster list 1; local list 0; cluster IP: forward; "
	       "external from outside: drop (policy Local, none on this node); external from pods "
	       "and node: forward");
	expect(service, none,
	       "default/web:http TCP IPv4: 10.96.0.10:80 ClusterIP, *:30080 NodePort; endpoints 0, "
	       "ready 0, on this node 0; cluster list 0; local list 0; cluster IP: reject (no "
	       "endpoint); external from outside: reject (no endpoint); external from pods and "
	       "node: reject (no endpoint)");
}

/* 3.3: terminating endpoints that serve stand in. */
static void test_the_fallback_is_named(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_web("a", 8080, "10.1.1.1 -st");

	service->affinity = true;
	service->affinity_timeout_s = 60;
	expect(service, slice,
	       "default/web:http TCP IPv4: 10.96.0.10:80 ClusterIP; endpoints 1, ready 0, on this "
	       "node 0; cluster list 1 (none is ready: terminating ones that serve); cluster IP: "
	       "forward; a client stays with its endpoint for 60 s");
}

static void test_a_protocol_that_is_not_balanced(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_named("default", "s", "10.96.0.1");
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_named("a", "s", FL_IPV4);

	add_port(service, "s", IPPROTO_SCTP, 3868, 0);
	expect(service, slice,
	       "default/s:s SCTP IPv4: 10.96.0.1:3868 ClusterIP; endpoints 0, ready 0, on this "
	       "node "
	       "0; cluster list 0; cluster IP: unserved; the datapath does not balance this "
	       "protocol");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_protocol_that_is_not_balanced),
		cmocka_unit_test(test_a_plain_service),
		cmocka_unit_test(test_why_a_service_is_not_served),
		cmocka_unit_test(test_the_fallback_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
