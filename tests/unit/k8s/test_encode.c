/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is written is read as the same object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/k8s/encode.h"
#include "tests/unit/k8s/result.h"

static void json_freep(struct fl_json **json)
{
	fl_json_free(json);
}

/* Decode, encode, decode: the objects of both, one each. */
static void there_and_back(const char *text, struct result *ret_first, struct result *ret_second)
{
	_cleanup_(json_freep) struct fl_json *json = fl_json_new(false);
	const struct fl_object *o = ret_first->objects;

	decode(ret_first, text);
	if (ret_first->n != 1)
		fail_msg("%zu objects, %s", ret_first->n, ret_first->problems);
	if (o->kind == FL_KIND_SERVICE)
		fl_encode_service(o->service, json);
	else if (o->kind == FL_KIND_SLICE)
		fl_encode_slice(o->slice, json);
	else if (o->kind == FL_KIND_NODE)
		fl_encode_node(o->node, json);
	else
		fl_encode_pod(o->pod, json);
	assert_non_null(fl_json_text(json, NULL));
	assert_null(strchr(fl_json_text(json, NULL), '\n')); /* one line */
	decode(ret_second, fl_json_text(json, NULL));
	if (ret_second->n != 1)
		fail_msg("%zu objects, %s", ret_second->n, ret_second->problems);
	assert_null(strstr(ret_second->problems, "error"));
	assert_null(strstr(ret_second->problems, "warning"));
}

#define SERVICE(spec)                                                                              \
	"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, "                  \
	"creationTimestamp: \"2024-05-01T10:00:00Z\"}, spec: {ports: [{port: 80}], " spec "}"

static void test_services(void **state)
{
	static const char *const texts[] = {
		SERVICE("clusterIP: 10.96.0.10}"),
		SERVICE("clusterIP: None}"),
		SERVICE("type: ExternalName, externalName: a.example}"),
		SERVICE("clusterIP: fd00:96::a, clusterIPs: [\"fd00:96::a\", 10.96.0.10], "
			"ipFamilies: [IPv6, IPv4]}"),
		SERVICE("clusterIPs: [\"fd00:96::a\"], ipFamilies: [IPv6, IPv4]}"),
		SERVICE("clusterIP: 10.96.0.10, ipFamilyPolicy: PreferDualStack}"),
		SERVICE("type: LoadBalancer, clusterIP: 10.96.0.10, externalIPs: [203.0.113.7], "
			"externalTrafficPolicy: Local, internalTrafficPolicy: Local, "
			"healthCheckNodePort: 32000, sessionAffinity: ClientIP, "
			"sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}, "
			"loadBalancerSourceRanges: [192.0.2.0/24, \"2001:db8::/64\"]}, status: "
			"{loadBalancer: {ingress: [{ip: 198.51.100.1, ipMode: VIP}, {ip: "
			"198.51.100.2, ipMode: Proxy}, {hostname: lb.example}]}}"),
		"{apiVersion: v1, kind: Service, metadata: {name: r, annotations: "
		"{fairlead.dev/reset-on-backend-removal: 'true'}}, spec: {clusterIP: 10.96.0.12, "
		"ports: [{port: 80}]}}",
		"{apiVersion: v1, kind: Service, metadata: {name: r, annotations: "
		"{fairlead.dev/reset-on-backend-removal: 'false'}}, spec: {clusterIP: 10.96.0.12, "
		"ports: [{port: 80}]}}",
		"{apiVersion: v1, kind: Service, metadata: {name: f, annotations: "
		"{fairlead.dev/reset-on-backend-removal: 'true', fairlead.dev/forwarding-mode: "
		"hybrid}}, spec: {clusterIP: 10.96.0.12, ports: [{port: 80}]}}",
		"{apiVersion: v1, kind: Service, metadata: {name: p, labels: "
		"{service.kubernetes.io/service-proxy-name: other}}, spec: {clusterIP: "
		"10.96.0.11, type: NodePort, ports: [{name: a, port: 80, nodePort: 30080}, {name: "
		"b, port: 53, protocol: UDP}, {name: c, port: 54, protocol: SCTP}]}}",
	};

	for (size_t i = 0; i < N(texts); i++) {
		_cleanup_result_ struct result first = {.n = 0}, second = {.n = 0};

		there_and_back(texts[i], &first, &second);
		if (!fl_service_equal(first.objects[0].service, second.objects[0].service))
			fail_msg("another Service: %s", texts[i]);
	}
}

static void test_slices(void **state)
{
	static const char text[] =
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, "
		"namespace: shop, resourceVersion: \"4711\", labels: {kubernetes.io/service-name: "
		"web}, annotations: {fairlead.dev/endpoint-weights: \"fd00::2=7\"}}, addressType: "
		"IPv6, ports: [{name: a, port: 80}, {port: 53, protocol: "
		"UDP}], "
		"endpoints: [{addresses: [\"fd00::1\"], nodeName: n1, hints: {forZones: [{name: "
		"a}, {name: b}], forNodes: [{name: n1}]}}, {addresses: [\"fd00::2\"], conditions: "
		"{ready: false, serving: true, terminating: true}}]}";
	_cleanup_result_ struct result first = {.n = 0}, second = {.n = 0};

	there_and_back(text, &first, &second);
	assert_true(fl_slice_equal(first.objects[0].slice, second.objects[0].slice));
	assert_int_equal(second.objects[0].slice->version, 4711); /* 4.8: it breaks ties */
}

static void test_nodes(void **state)
{
	static const char text[] =
		"{apiVersion: v1, kind: Node, metadata: {name: n1, deletionTimestamp: "
		"\"2024-05-01T10:00:00Z\", labels: {topology.kubernetes.io/zone: a}}, spec: "
		"{podCIDRs: [10.1.0.0/24, \"fd00:1::/64\"], taints: [{key: "
		"ToBeDeletedByClusterAutoscaler}]}, status: {addresses: [{type: ExternalIP, "
		"address: 192.0.2.9}, {type: InternalIP, address: 192.0.2.1}]}}";
	_cleanup_result_ struct result first = {.n = 0}, second = {.n = 0};
	const struct fl_node *a, *b;

	there_and_back(text, &first, &second);
	a = first.objects[0].node;
	b = second.objects[0].node;
	assert_string_equal(b->zone, "a");
	assert_true(b->deleting && b->autoscaler_taint);
	assert_int_equal(b->n_pod_cidrs, 2);
	assert_memory_equal(a->pod_cidrs, b->pod_cidrs, 2 * sizeof(*a->pod_cidrs));
	assert_int_equal(b->n_addresses, 2);
	assert_memory_equal(a->addresses, b->addresses, 2 * sizeof(*a->addresses));
}

static void test_pods(void **state)
{
#define POD(more, spec, status)                                                                    \
	"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop" more "}, spec: {" spec   \
	"}, status: {" status "}}"
	static const char *const texts[] = {
		POD("", "", ""),
		POD(", creationTimestamp: '2024-05-01T10:00:00Z'",
		    "nodeName: n, containers: [{ports: [{containerPort: 1, hostPort: 2}]}, "
		    "{ports: [{containerPort: 3, hostPort: 4, hostIP: '::', protocol: UDP}]}]",
		    "podIPs: [{ip: 10.1.0.1}, {ip: 'fd01::1'}]"),
		POD("", "containers: [{ports: [{containerPort: 1, hostPort: 2}]}]",
		    "phase: Failed, podIP: 10.1.0.1"),
		POD("",
		    "hostNetwork: true, containers: [{ports: [{containerPort: 1, hostPort: 1}]}]",
		    "podIP: 10.1.0.1"),
	};

	for (size_t i = 0; i < N(texts); i++) {
		_cleanup_result_ struct result first = {.pods = true}, second = {.pods = true};

		there_and_back(texts[i], &first, &second);
		if (!fl_pod_equal(first.objects[0].pod, second.objects[0].pod))
			fail_msg("another Pod: %s", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
