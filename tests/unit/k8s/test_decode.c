/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kinds, lists and Nodes, and how one bad object leaves the others alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "tests/unit/k8s/result.h"

static void test_decode_node(void **state)
{
	static const char text[] =
		"apiVersion: v1\nkind: Node\nmetadata:\n  name: node-1\n  deletionTimestamp: "
		"\"2024-05-01T10:00:00Z\"\n"
		"  labels:\n    topology.kubernetes.io/zone: zone-a\nspec:\n  podCIDR: "
		"10.1.1.0/24\n  podCIDRs:\n"
		"  - 10.1.1.0/24\n  - fd00:1::/64\n  taints:\n  - effect: NoSchedule\n"
		"    key: ToBeDeletedByClusterAutoscaler\nstatus:\n  addresses:\n  - address: "
		"203.0.113.9\n"
		"    type: ExternalIP\n  - address: node-1\n    type: Hostname\n  - address: "
		"192.0.2.1\n"
		"    type: InternalIP\n  - address: fd00::1\n    type: InternalIP\n";
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_node *n;

	decode(&r, text);
	assert_string_equal(r.problems, "");
	assert_int_equal(r.n, 1);
	n = r.objects[0].node;
	assert_string_equal(n->name, "node-1");
	assert_string_equal(n->zone, "zone-a");
	assert_int_equal(n->n_pod_cidrs, 2);
	assert_int_equal(n->n_addresses, 3); /* InternalIP first */
	assert_ip(&n->addresses[0], "192.0.2.1");
	assert_ip(&n->addresses[1], "fd00::1");
	assert_ip(&n->addresses[2], "203.0.113.9");
	assert_true(n->deleting && n->autoscaler_taint);
}

static void test_decode_node_minimal_and_bad(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};

	decode(&r, "{apiVersion: v1, kind: Node, metadata: {name: n}, spec: {podCIDR: 10.1.0.0/16, "
		   "taints: "
		   "[{key: other}]}}\n---\n"
		   "{apiVersion: v1, kind: Node, metadata: {name: m}, spec: {podCIDRs: [x]}}\n---\n"
		   "{apiVersion: v1, kind: Node, metadata: {name: k}, status: {addresses: [{type: "
		   "InternalIP, "
		   "address: x}]}}\n");
	assert_int_equal(r.n, 1);
	assert_string_equal(r.objects[0].node->zone, "");
	assert_int_equal(r.objects[0].node->n_pod_cidrs, 1);
	assert_false(r.objects[0].node->deleting || r.objects[0].node->autoscaler_taint);
	assert_string_equal(
		r.problems,
		"error 3 Node m: spec.podCIDRs[0]: \"x\" is no address range\n"
		"error 5 Node k: status.addresses[0].address: \"x\" is no IP address\n");
}

/*
 * Kinds: ours, other people's, lists of them, and none. One bad object does not touch the others.
 */
static void test_decode_kinds(void **state)
{
	static const char svc[] = "metadata: {name: a}, spec: {clusterIP: 10.0.0.1}";
	static const struct {
		const char *text; /* '%' stands for the Service above */
		size_t n;
		const char *problems;
	} cases[] = {
		{"", 0, ""},
		{"---\n---\n# nothing\n", 0, ""},
		{"null", 0, ""},
		/* what is no Kubernetes object: patches, kustomization.yaml, values.yaml */
		{"[]", 0, "note 1 : not a Kubernetes object, skipped\n"},
		{"{resources: [web.yaml]}", 0, "note 1 : not a Kubernetes object, skipped\n"},
		{"404 page not found", 0,
		 "warning 1 : plain text instead of a Kubernetes object, skipped\n"},
		{"42", 0, "warning 1 : plain text instead of a Kubernetes object, skipped\n"},
		{"{apiVersion: v2, name: chart}", 0, "note 1 : not a Kubernetes object, skipped\n"},
		{"{%}", 0, "error 1 : kind: missing\n"},
		{"{kind: Service, %}", 0, "error 1 Service: apiVersion: missing\n"},
		{"{kind: [], apiVersion: v1}", 0,
		 "error 1 : kind: expected a string, found a list\n"},
		{"{apiVersion: v1, kind: Service, %}", 1, ""},
		{"{apiVersion: apps/v1, kind: Deployment, %}", 0,
		 "note 1 Deployment default/a: kind \"Deployment\" (apps/v1) skipped\n"},
		{"{apiVersion: v1, kind: Secret, %}", 0,
		 "note 1 Secret default/a: kind \"Secret\" (v1) skipped\n"},
		{"{kind: Kustomization, %}", 0,
		 "note 1 Kustomization default/a: kind \"Kustomization\" () skipped\n"},
		/* of our groups, and nearly ours */
		{"{apiVersion: v1, kind: Servcie, %}", 0,
		 "warning 1 Servcie default/a: kind: unknown kind \"Servcie\" (v1) (did you mean "
		 "Service?), skipped\n"},
		{"{apiVersion: v1, kind: EndpointSlice, %}", 0,
		 "warning 1 EndpointSlice default/a: apiVersion: \"v1\" has no kind "
		 "\"EndpointSlice\" (did you mean discovery.k8s.io/v1?), skipped\n"},
		{"{apiVersion: apps/v1, kind: Service, %}", 0,
		 "warning 1 Service default/a: apiVersion: \"apps/v1\" has no kind \"Service\" "
		 "(did you mean v1?), skipped\n"},
		{"{apiVersion: serving.knative.dev/v1, kind: Service, %}", 0,
		 "note 1 Service default/a: kind \"Service\" (serving.knative.dev/v1) skipped\n"},
		{"{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, %}", 0,
		 "error 1 EndpointSlice default/a: apiVersion: \"discovery.k8s.io/v1beta1\" "
		 "is not "
		 "supported, use "
		 "discovery.k8s.io/v1\n"},
		{"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: "
		 "Service, %},\n"
		 " {apiVersion: v1, kind: ConfigMap}, 5, {apiVersion: v1, kind: "
		 "Service, %}]}",
		 2,
		 "note 2 ConfigMap: kind \"ConfigMap\" (v1) skipped\n"
		 "warning 2 : plain text instead of a Kubernetes object, skipped\n"},
		{"{apiVersion: v1, kind: ServiceList, items: [{%}, {metadata: "
		 "{name: '!'}}, "
		 "{apiVersion: v1, "
		 "kind: Service, %}]}",
		 2, "error 1 Service: metadata.name: \"!\" is not a valid name\n"},
		{"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: "
		 "List, items: "
		 "[{apiVersion: v1, "
		 "kind: Service, %}]}]}",
		 1, ""},
		{"{apiVersion: v1, kind: List, items: {}}", 0,
		 "error 1 List: items: expected a list, found a map\n"},
		{"{apiVersion: v1, kind: List}", 0, ""},
		{"{apiVersion: v1, kind: List, items: null}", 0, ""},
		{"{apiVersion: v1, kind: List, items: [{%}]}", 0, "error 1 : kind: missing\n"},
		{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSliceList, "
		 "items: [{metadata: "
		 "{name: e, labels: "
		 "{kubernetes.io/service-name: s}}, addressType: IPv4}]}",
		 1, ""},
		{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		 "{name: e}, "
		 "addressType: FQDN}",
		 0,
		 "note 1 EndpointSlice default/e: slice of addressType FQDN, "
		 "skipped\n"}, /* rule 4.2: FQDN slices never count */
		{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		 "{name: e, labels: {kubernetes.io/service-name: s, "
		 "service.kubernetes.io/headless: ''}}, addressType: IPv4}",
		 0,
		 "note 1 EndpointSlice default/e: slice of a headless Service, "
		 "skipped\n"}, /* rule 1.4: that label takes it out */
		/* rule 4.1: legal, programs of their own make some */
		{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		 "{name: e}, addressType: IPv4}",
		 0,
		 "note 1 EndpointSlice default/e: slice without label kubernetes.io/service-name, "
		 "skipped\n"},
		{"{apiVersion: v1, kind: NodeList, items: [{metadata: {name: n}}]}", 1, ""},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		char text[1024] = "";

		for (const char *c = cases[i].text; *c; c++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s",
				 *c == '%' ? 200 : 1, *c == '%' ? svc : c);
		decode(&r, text);
		assert_string_equal(r.problems, cases[i].problems);
		assert_int_equal(r.n, cases[i].n);
	}
}

static int stop(struct fl_object *object, unsigned int line, void *arg)
{
	fl_object_free(object);
	return 42;
}

static int stop_document(const struct fl_doc *doc, void *arg)
{
	return fl_decode(
		doc, "test.yaml",
		&(struct fl_decode_sink){.object = stop, .problem = on_problem, .arg = arg});
}

static void test_decode_sink_can_stop(void **state)
{
	static const char text[] =
		"{apiVersion: v1, kind: NodeList, items: [{metadata: {name: n}}, 5]}";
	_cleanup_result_ struct result r = {.n = 0};

	assert_int_equal(
		fl_doc_each(text, strlen(text), FL_DOC_YAML, stop_document, &r, NULL, NULL), 42);
	assert_string_equal(r.problems, "");
}

static int count_object(struct fl_object *object, unsigned int line, void *arg)
{
	fl_object_free(object);
	++*(size_t *)arg;
	return 0;
}

static int count_document(const struct fl_doc *doc, void *arg)
{
	return fl_decode(doc, "test.yaml",
			 &(struct fl_decode_sink){
				 .object = count_object, .problem = on_problem, .arg = arg});
}

/* 10,000 Services with their slices take about a second at most; here with room for sanitizers. */
static void test_decode_many_in_time(void **state)
{
	const size_t n = 10000, room = n * 1024;
	_cleanup_free_ char *text = malloc(room);
	size_t len = (size_t)snprintf(text, room,
				      "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":["),
	       count = 0;
	clock_t from = clock();

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, room - len,
					"%s{\"apiVersion\":\"v1\",\"kind\":\"Service\","
					"\"metadata\":{\"name\":\"s%zu\"},\"spec\":{"
					"\"clusterIP\":\"10.96.%zu.%zu\",\"ports\":[{\"name\":"
					"\"http\",\"port\":80}]}},"
					"{\"apiVersion\":\"discovery.k8s.io/"
					"v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":"
					"\"e%zu\",\"labels\":{\"kubernetes.io/"
					"service-name\":\"s%zu\"}},\"addressType\":\"IPv4\","
					"\"endpoints\":[{\"addresses\":[\"10.1.%zu.%zu\"],"
					"\"nodeName\":\"n\"}],\"ports\":[{\"name\":"
					"\"http\",\"port\":8080}]}",
					i ? "," : "", i, i / 256, i % 256, i, i, i / 256, i % 256);
	len += (size_t)snprintf(text + len, room - len, "]}");
	assert_int_equal(fl_doc_each(text, len, FL_DOC_JSON, count_document, &count, NULL, NULL),
			 0);
	assert_int_equal(count, 2 * n);
	assert_true(clock() - from < 10 * CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_node),
		cmocka_unit_test(test_decode_node_minimal_and_bad),
		cmocka_unit_test(test_decode_kinds),
		cmocka_unit_test(test_decode_sink_can_stop),
		cmocka_unit_test(test_decode_many_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
