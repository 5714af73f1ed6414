/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects are equal when every field is (rules 1.16, 4.12), and can be freed half-built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/doc.h"
#include "lb/k8s/decode.h"
#include "lb/model/object.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static int take(struct fl_object *object, unsigned int line, void *arg)
{
	*(struct fl_object *)arg = *object;
	return 0;
}

static int complain(const struct fl_problem *problem, void *arg)
{
	fail_msg("%s", problem->reason);
	return 0;
}

/* The object that this text describes, with `from` replaced by `to`. */
static struct fl_object object(const char *text, const char *from, const char *to)
{
	struct fl_object result = {0};
	const struct fl_decode_sink sink = {.object = take, .problem = complain, .arg = &result};
	const char *at = strstr(text, from);
	struct fl_doc *doc = NULL;
	char changed[1024];

	assert_non_null(at);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to,
		 at + strlen(from));
	assert_int_equal(fl_doc_parse(changed, strlen(changed), FL_DOC_YAML, &doc, NULL), 0);
	assert_int_equal(fl_decode(doc, "", &sink), 0);
	fl_doc_free(&doc);
	assert_non_null(result.service);
	return result;
}

static bool equal(const struct fl_object *a, const struct fl_object *b)
{
	return a->kind == FL_KIND_SERVICE ? fl_service_equal(a->service, b->service)
					  : fl_slice_equal(a->slice, b->slice);
}

struct change {
	const char *from, *to;
};

static void check(const char *text, const struct change *changes, size_t n,
		  const struct change *irrelevant)
{
	struct fl_object a = object(text, "", ""),
			 b = object(text, irrelevant->from, irrelevant->to);

	assert_true(equal(&a, &b));
	fl_object_free(&b);
	for (size_t i = 0; i < n; i++) {
		b = object(text, changes[i].from, changes[i].to);
		if (equal(&a, &b) || equal(&b, &a))
			fail_msg("%s -> %s goes unnoticed", changes[i].from, changes[i].to);
		fl_object_free(&b);
		assert_null(b.service);
	}
	fl_object_free(&a);
}

static void test_service_equal(void **state)
{
	static const char text[] =
		"apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, uid: x, "
		"labels: {a: b},\n"
		" creationTimestamp: '2024-05-01T10:00:00Z'}\n"
		"spec: {type: LoadBalancer, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, "
		"'fd00::1'],\n"
		" ipFamilies: [IPv4, IPv6], externalIPs: [203.0.113.1], externalTrafficPolicy: "
		"Local,\n"
		" internalTrafficPolicy: Cluster, healthCheckNodePort: 32000, sessionAffinity: "
		"ClientIP,\n"
		" sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}},\n"
		" loadBalancerSourceRanges: [192.0.2.0/24],\n"
		" ports: [{name: http, port: 80, nodePort: 30080, protocol: TCP}]}\n"
		"status: {loadBalancer: {ingress: [{ip: 198.51.100.1, ipMode: VIP}]}}\n";
	static const struct change changes[] = {
		{"name: web", "name: wob"},
		{"shop", "shed"},
		{"10:00:00Z", "10:00:01Z"},
		{"{a: b}", "{service.kubernetes.io/service-proxy-name: ''}"},
		{"LoadBalancer", "NodePort"},
		{"clusterIP: 10.0.0.1", "clusterIP: None"},
		{"[10.0.0.1,", "[10.0.0.2,"},
		{"fd00::1", "fd00::2"},
		{", IPv6]", "]"},
		{"203.0.113.1", "203.0.113.2"},
		{"[203.0.113.1]", "[203.0.113.1, 203.0.113.2]"},
		{"externalTrafficPolicy: Local", "externalTrafficPolicy: Cluster"},
		{"internalTrafficPolicy: Cluster", "internalTrafficPolicy: Local"},
		{"32000", "32001"},
		{"ClientIP,", "None,"},
		{"60", "61"},
		{"192.0.2.0/24", "192.0.2.0/25"},
		{"192.0.2.0/24", "192.0.3.0/24"},
		{"[192.0.2.0/24]", "[]"},
		{"name: http", "name: https"},
		{"port: 80", "port: 81"},
		{"30080", "30081"},
		{"TCP}", "UDP}"},
		{"TCP}", "TCP}, {name: x, port: 1}"},
		{"198.51.100.1", "198.51.100.2"},
		{"VIP", "Proxy"},
		{"ip: 198.51.100.1", "hostname: x"},
		{"[{ip: 198.51.100.1, ipMode: VIP}]", "[]"},
	};

	check(text, changes, N(changes), &(struct change){"uid: x", "uid: y"});
}

static void test_slice_equal(void **state)
{
	static const char text[] =
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n"
		"metadata: {name: e, namespace: shop, resourceVersion: '1',\n"
		" labels: {kubernetes.io/service-name: web}}\n"
		"endpoints: [{addresses: [10.1.0.1], nodeName: node-1, zone: z,\n"
		" conditions: {ready: true, serving: true, terminating: false},\n"
		" hints: {forZones: [{name: a}], forNodes: [{name: n}]}}]\n"
		"ports: [{name: http, port: 80, protocol: TCP}]\n";
	static const struct change changes[] = {
		{"name: e", "name: f"},
		{"shop", "shed"},
		{"web", "wob"},
		{"10.1.0.1", "10.1.0.2"},
		{"node-1", "node-2"},
		{"ready: true", "ready: false"},
		{"serving: true", "serving: false"},
		{"terminating: false", "terminating: true"},
		{"name: a}", "name: b}"},
		{"name: a}", "name: a}, {name: b}"},
		{"name: n}", "name: m}"},
		{"endpoints: [", "endpoints: [{addresses: [10.1.0.9]}, "},
		{"http", "https"},
		{"80", "81"},
		{"TCP", "UDP"},
		{"ports: [{name: http, port: 80, protocol: TCP}]", "ports: []"},
	};

	/* the version only breaks ties (rule 4.8) */
	check(text, changes, N(changes), &(struct change){"'1'", "'2'"});
}

static void test_slice_family_counts(void **state)
{
	static const char text[] =
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, "
		"metadata: {name: e, labels: {kubernetes.io/service-name: web}}}";
	static const struct change change = {"IPv4", "IPv6"};

	check(text, &change, 1, &(struct change){"", ""});
}

/* What was in many blocks is in one, with nothing left out, and is freed as one; a sanitizer sees
 * what still points elsewhere. */
static void test_packed_is_the_same(void **state)
{
	struct fl_slice *slice = calloc(1, sizeof(*slice)), *packed;
	struct fl_service *service = calloc(1, sizeof(*service)), *one;
	const char *const zones[] = {"a", "bcd"}, *const nodes[] = {"n"};
	struct fl_hints hints;

	*slice = (struct fl_slice){.ns = strdup("shop"), .name = strdup("web-1"), .version = 7};
	slice->service = strdup("web");
	slice->endpoints = calloc(3, sizeof(*slice->endpoints));
	slice->n_endpoints = 3;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fl_endpoint_name(&slice->endpoints[i],
						  i ? "node-with-a-name-of-some-length" : "", zones,
						  i ? 2 : 0, nodes, i == 2),
				 0);
	slice->endpoints[1].ip.b[15] = 9;
	slice->ports = calloc(1, sizeof(*slice->ports));
	slice->ports[slice->n_ports++] = (struct fl_slice_port){strdup("http"), 6, 80};

	packed = calloc(1, sizeof(*packed));
	*packed = *slice;
	fl_slice_pack(&packed); /* frees what `slice` still points to */
	assert_true(packed->packed);
	assert_string_equal(packed->ns, "shop");
	assert_string_equal(packed->name, "web-1");
	assert_string_equal(packed->service, "web");
	assert_int_equal(packed->version, 7);
	assert_int_equal(packed->n_endpoints, 3);
	assert_string_equal(packed->endpoints[0].node_name, "");
	assert_int_equal(fl_endpoint_zone_hints(&packed->endpoints[0]).n, 0);
	assert_int_equal(fl_endpoint_node_hints(&packed->endpoints[0]).n, 0);
	assert_string_equal(packed->endpoints[2].node_name, "node-with-a-name-of-some-length");
	assert_int_equal(packed->endpoints[1].ip.b[15], 9);
	hints = fl_endpoint_zone_hints(&packed->endpoints[1]);
	assert_int_equal(hints.n, 2);
	assert_string_equal(hints.first, "a");
	assert_string_equal(fl_hint_next(hints.first), "bcd");
	assert_int_equal(fl_endpoint_node_hints(&packed->endpoints[1]).n, 0);
	hints = fl_endpoint_node_hints(&packed->endpoints[2]);
	assert_int_equal(hints.n, 1);
	assert_string_equal(hints.first, "n");
	assert_string_equal(packed->ports[0].name, "http");
	free(slice);
	slice = packed;
	fl_slice_pack(&slice); /* again: nothing to do */
	assert_ptr_equal(slice, packed);
	fl_slice_free(&slice);

	*service = (struct fl_service){.ns = strdup("shop"), .name = strdup("web")};
	service->ports = calloc(2, sizeof(*service->ports));
	service->ports[service->n_ports++] = (struct fl_service_port){strdup("h"), 6, 80, 0};
	service->ports[service->n_ports++] = (struct fl_service_port){strdup(""), 17, 81, 0};
	service->external_ips = calloc(1, sizeof(*service->external_ips));
	service->external_ips[service->n_external_ips++].b[0] = 1;
	service->ingress = calloc(1, sizeof(*service->ingress));
	service->ingress[service->n_ingress++].proxy = true;
	service->source_ranges = calloc(1, sizeof(*service->source_ranges));
	service->source_ranges[service->n_source_ranges++].len = 120;
	one = service;
	fl_service_pack(&one);
	assert_true(one->packed);
	assert_string_equal(one->ns, "shop");
	assert_string_equal(one->name, "web");
	assert_string_equal(one->ports[0].name, "h");
	assert_string_equal(one->ports[1].name, "");
	assert_int_equal(one->ports[1].port, 81);
	assert_int_equal(one->external_ips[0].b[0], 1);
	assert_true(one->ingress[0].proxy);
	assert_int_equal(one->source_ranges[0].len, 120);
	fl_service_free(&one);
	assert_null(one);
}

static void test_free_half_built(void **state)
{
	struct fl_service *service = calloc(1, sizeof(*service));
	struct fl_slice *slice = calloc(1, sizeof(*slice));
	struct fl_node *node = calloc(1, sizeof(*node));
	struct fl_object none = {.kind = FL_KIND_NODE};

	service->n_ports = slice->n_ports = slice->n_endpoints = 3; /* counted, never allocated */
	slice->endpoints = calloc(3, sizeof(*slice->endpoints));
	slice->endpoints[1].n_zone_hints = 2;
	fl_service_free(&service);
	fl_slice_free(&slice);
	fl_node_free(&node);
	assert_null(service);
	assert_null(slice);
	assert_null(node);
	fl_service_free(&service);
	fl_slice_free(&slice);
	fl_node_free(&node);
	fl_object_free(&none);
}

/* Rule 9.4: trimmed and in lower case; nothing left is an error. */
static void test_node_name(void **state)
{
	static const char *const names[][2] = {
		{"node-1", "node-1"}, {" \tNode-1.Example \r\n", "node-1.example"},
		{"A b", "a b"},	      {"", ""},
		{" \n", ""},
	};

	for (size_t i = 0; i < N(names); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s", names[i][0]);
		assert_int_equal(fl_node_name_fold(name), *names[i][1] != '\0');
		assert_string_equal(name, names[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service_equal),
		cmocka_unit_test(test_slice_equal),
		cmocka_unit_test(test_slice_family_counts),
		cmocka_unit_test(test_free_half_built),
		cmocka_unit_test(test_node_name),
		cmocka_unit_test(test_packed_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
