/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* EndpointSlices: defaults, refused endpoints, and what is said about nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/k8s/result.h"

static const struct fl_slice *one_slice(struct result *r, const char *text)
{
	decode(r, text);
	if (r->n != 1)
		fail_msg("%zu objects, %s", r->n, r->problems);
	assert_int_equal(r->objects[0].kind, FL_KIND_SLICE);
	return r->objects[0].slice;
}

static void test_decode_slice_in_full(void **state)
{
	static const char text[] =
		"addressType: IPv4\napiVersion: discovery.k8s.io/v1\nendpoints:\n- addresses:\n"
		"  - 10.1.2.3\n  - 10.1.2.99\n  conditions:\n    ready: false\n    serving: true\n"
		"    terminating: true\n  hints:\n    forNodes:\n    - name: node-1\n    "
		"forZones:\n"
		"    - name: zone-a\n    - name: zone-b\n  nodeName: node-1\n  targetRef:\n    "
		"kind: Pod\n"
		"  zone: zone-a\n- addresses: [10.1.2.4]\n- addresses: []\n- conditions: {ready: "
		"true}\n"
		"- addresses: [10.1.2.5]\n  conditions: {ready: false}\n"
		"- addresses: [10.1.2.6]\n  conditions: {ready: null, serving: null, terminating: "
		"null}\n"
		"kind: EndpointSlice\nmetadata:\n"
		"  labels:\n    kubernetes.io/service-name: web\n  name: web-abcde\n  namespace: "
		"shop\n"
		"  resourceVersion: \"4712\"\nports:\n- name: http\n  port: 8080\n  protocol: TCP\n"
		"- name: \"\"\n  port: 53\n  protocol: UDP\n- name: nil\n  port: null\n- port: 9\n"
		"- {name: zero, port: 0}\n";
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_slice *s = one_slice(&r, text);
	struct fl_hints hints;

	assert_string_equal(s->ns, "shop");
	assert_string_equal(s->name, "web-abcde");
	assert_string_equal(s->service, "web");
	assert_int_equal(s->version, 4712);
	assert_int_equal(s->family, FL_IPV4);
	assert_int_equal(s->n_endpoints, 4); /* rule 4.5: without an address there is no endpoint */
	assert_ip(&s->endpoints[0].ip, "10.1.2.3");
	assert_true(!s->endpoints[0].ready && s->endpoints[0].serving &&
		    s->endpoints[0].terminating);
	assert_string_equal(s->endpoints[0].node_name, "node-1");
	hints = fl_endpoint_zone_hints(&s->endpoints[0]);
	assert_int_equal(hints.n, 2);
	assert_string_equal(fl_hint_next(hints.first), "zone-b");
	hints = fl_endpoint_node_hints(&s->endpoints[0]);
	assert_int_equal(hints.n, 1);
	assert_string_equal(hints.first, "node-1");
	/* rule 3.1.1: what an absent condition means */
	assert_true(s->endpoints[1].ready && s->endpoints[1].serving &&
		    !s->endpoints[1].terminating);
	assert_string_equal(s->endpoints[1].node_name, "");
	assert_true(!s->endpoints[2].ready && s->endpoints[2].serving);
	assert_true(s->endpoints[3].ready && s->endpoints[3].serving &&
		    !s->endpoints[3].terminating);
	/* rules 4.6, 4.17: no number, no port */
	assert_int_equal(s->n_ports, 3);
	assert_int_equal(s->ports[1].proto, IPPROTO_UDP);
	assert_string_equal(s->ports[2].name, "");
	assert_int_equal(s->ports[2].port, 9);
	assert_string_equal(
		r.problems,
		"warning 45 EndpointSlice shop/web-abcde: ports[4].port: 0 is no port, left out\n");
}

/* Robustness C6: such an endpoint is refused, the rest of its slice is applied. */
static void test_decode_slice_refuses_endpoints(void **state)
{
	static const struct {
		const char *type, *addresses, *good;
		int refused;
	} cases[] = {
		{"IPv4",
		 "127.0.0.1 127.9.9.9 169.254.1.1 169.254.169.254 224.0.0.1 239.1.1.1 "
		 "255.255.255.255 "
		 "0.0.0.0 0.1.2.3",
		 "10.0.0.1", 9},
		{"IPv6", "::1 :: fe80::1 febf::1 ff02::1 ff05::2", "fd00::1", 6},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		char text[2048], list[512], *word, *save = NULL;
		const struct fl_slice *s;
		size_t len;
		int refused = 0;

		len = (size_t)snprintf(
			text, sizeof(text),
			"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "
			"a, labels: {kubernetes.io/service-name: s}}, addressType: %s, endpoints: "
			"[",
			cases[i].type);
		snprintf(list, sizeof(list), "%s", cases[i].addresses);
		for (word = strtok_r(list, " ", &save); word; word = strtok_r(NULL, " ", &save))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"{addresses: ['%s']},", word);
		snprintf(text + len, sizeof(text) - len, "{addresses: ['%s']}]}", cases[i].good);
		s = one_slice(&r, text);
		assert_int_equal(s->n_endpoints, 1);
		assert_ip(&s->endpoints[0].ip, cases[i].good);
		for (const char *p = r.problems; (p = strstr(p, "and never a backend, refused\n"));
		     p++)
			refused++;
		assert_int_equal(refused, cases[i].refused);
	}
}

#define HINTS_8                                                                                    \
	"{name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, "

static void test_decode_slice_refuses(void **state)
{
	static const char meta[] = "metadata: {name: a, labels: {kubernetes.io/service-name: s}}";
	static const struct {
		const char *object, *reason;
	} bad[] = {
		{"metadata: {labels: {kubernetes.io/service-name: s}}, addressType: IPv4",
		 "EndpointSlice: metadata.name: missing"},
		{NULL, "EndpointSlice default/a: addressType: missing"},
		{"addressType: IPX",
		 "EndpointSlice default/a: addressType: \"IPX\" is none of IPv4, IPv6, FQDN"},
		{"addressType: IPv4, endpoints: [{addresses: [nonsense]}]",
		 "EndpointSlice default/a: endpoints[0].addresses[0]: \"nonsense\" is no IP "
		 "address"},
		{"addressType: IPv4, endpoints: [{addresses: ['fd00::1']}]",
		 "EndpointSlice default/a: endpoints[0].addresses[0]: fd00::1 does not fit "
		 "addressType IPv4"},
		{"addressType: IPv6, endpoints: [{addresses: ['::ffff:10.0.0.1']}]",
		 "EndpointSlice default/a: endpoints[0].addresses[0]: ::ffff:10.0.0.1 does not fit "
		 "addressType "
		 "IPv6"},
		{"addressType: IPv4, endpoints: [{addresses: 10.0.0.1}]",
		 "EndpointSlice default/a: endpoints[0].addresses: expected a list, found a "
		 "string"},
		{"addressType: IPv4, endpoints: [10.0.0.1]",
		 "EndpointSlice default/a: endpoints[0]: expected a map, found a string"},
		{"addressType: IPv4, endpoints: [{addresses: [10.0.0.1], conditions: {ready: "
		 "'yes'}}]",
		 "EndpointSlice default/a: endpoints[0].conditions.ready: expected true or false, "
		 "found a string"},
		{"addressType: IPv4, endpoints: [{addresses: [10.0.0.1], nodeName: [x]}]",
		 "EndpointSlice default/a: endpoints[0].nodeName: expected a string, found a list"},
		{"addressType: IPv4, endpoints: [{addresses: [10.0.0.1], hints: {forZones: [a]}}]",
		 "EndpointSlice default/a: endpoints[0].hints.forZones[0]: expected a map, found a "
		 "string"},
		{"addressType: IPv4, endpoints: [{addresses: [10.0.0.1], hints: {forNodes: "
		 "[" HINTS_8 HINTS_8 "{name: a}]}}]",
		 "EndpointSlice default/a: endpoints[0].hints.forNodes: 17 entries are more than "
		 "the limit of 16"},
		{"addressType: IPv4, endpoints: [{addresses: [10.0.0.1], nodeName: \"a\\nb\"}]",
		 "EndpointSlice default/a: endpoints[0].nodeName: a control character (0x0a)"},
		{"addressType: IPv4, ports: [{port: 70000}]",
		 "EndpointSlice default/a: ports[0].port: 70000 is not between 0 and 65535"},
		{"addressType: IPv4, ports: [{port: 80, protocol: tcp}]",
		 "EndpointSlice default/a: ports[0].protocol: \"tcp\" is none of TCP, UDP, SCTP"},
	};

	for (size_t i = 0; i < N(bad); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const char *object = bad[i].object ? bad[i].object : "x: y";
		char text[512], expected[512];

		snprintf(text, sizeof(text),
			 "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, %s%s%s}",
			 strstr(object, "metadata") ? "" : meta,
			 strstr(object, "metadata") ? "" : ", ", object);
		snprintf(expected, sizeof(expected), "error 1 %s\n", bad[i].reason);
		decode(&r, text);
		assert_int_equal(r.n, 0);
		assert_string_equal(r.problems, expected);
	}
}

#define WEIGHTED(annotations, addresses)                                                           \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, labels: "      \
	"{kubernetes.io/service-name: s}, annotations: {" annotations                              \
	"}}, addressType: IPv4, endpoints: [" addresses "]}"
#define TWO "{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}"

static void test_weights(void **state)
{
	static const struct {
		const char *text;
		int one, two;
		const char *problem; /* after the object's name */
	} rows[] = {
		{WEIGHTED("", TWO), 1, 1, NULL},
		{WEIGHTED("fairlead.dev/weight: '5'", TWO), 5, 5, NULL},
		{WEIGHTED("fairlead.dev/weight: '0'", TWO), 0, 0, NULL},
		{WEIGHTED("fairlead.dev/weight: '1000'", TWO), 1000, 1000, NULL},
		{WEIGHTED("fairlead.dev/endpoint-weights: '10.0.0.2=7'", TWO), 1, 7, NULL},
		{WEIGHTED("fairlead.dev/endpoint-weights: ' 10.0.0.2 = 7 , 10.0.0.1=0, '", TWO), 0,
		 7, NULL},
		{WEIGHTED("fairlead.dev/weight: '5', fairlead.dev/endpoint-weights: '10.0.0.1=0'",
			  TWO),
		 0, 5, NULL},
		{WEIGHTED("fairlead.dev/weight: '1001'", TWO), 1, 1,
		 "fairlead.dev/weight: \"1001\" is no whole number from 0 to 1000; weight 1 is "
		 "used"},
		{WEIGHTED("fairlead.dev/weight: '-1'", TWO), 1, 1,
		 "fairlead.dev/weight: \"-1\" is no whole number from 0 to 1000; weight 1 is used"},
		{WEIGHTED("fairlead.dev/weight: ''", TWO), 1, 1,
		 "fairlead.dev/weight: \"\" is no whole number from 0 to 1000; weight 1 is used"},
		{WEIGHTED("fairlead.dev/weight: '99999999999999999999'", TWO), 1, 1,
		 "fairlead.dev/weight: \"99999999999999999999\" is no whole number from 0 to 1000; "
		 "weight 1 is used"},
		{WEIGHTED("fairlead.dev/weight: 5", TWO), 1, 1,
		 "fairlead.dev/weight: annotations are text, write 5 in quotes; weight 1 is used"},
		{WEIGHTED("fairlead.dev/weight: '4', fairlead.dev/endpoint-weights: '10.0.0.2=x'",
			  TWO),
		 4, 4,
		 "fairlead.dev/endpoint-weights: \"x\" of 10.0.0.2 is no whole number from 0 to "
		 "1000; weight 4 is used"},
		{WEIGHTED("fairlead.dev/endpoint-weights: '10.0.0.3=2,10.0.0.1=2'", TWO), 2, 1,
		 "fairlead.dev/endpoint-weights: 10.0.0.3 is no endpoint of this slice, ignored"},
		{WEIGHTED("fairlead.dev/endpoint-weights: '10.0.0.1=2,10.0.0.1=3'", TWO), 2, 1,
		 "fairlead.dev/endpoint-weights: 10.0.0.1 has a weight already, 3 is ignored"},
		{WEIGHTED("fairlead.dev/endpoint-weights: 'web-1=2'", TWO), 1, 1,
		 "fairlead.dev/endpoint-weights: \"web-1\" is no IP address, ignored"},
		{WEIGHTED("fairlead.dev/endpoint-weights: '10.0.0.1:2'", TWO), 1, 1,
		 "fairlead.dev/endpoint-weights: \"10.0.0.1:2\" is not ADDRESS=WEIGHT, ignored"},
	};

	for (size_t i = 0; i < N(rows); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const struct fl_slice *s = one_slice(&r, rows[i].text);
		char expected[512] = "";

		assert_int_equal(s->endpoints[0].weight, rows[i].one);
		assert_int_equal(s->endpoints[1].weight, rows[i].two);
		if (rows[i].problem)
			snprintf(expected, sizeof(expected),
				 "warning 1 EndpointSlice default/a: metadata.annotations.%s\n",
				 rows[i].problem);
		assert_string_equal(r.problems, expected);
	}
}

static void test_weights_of_ipv6(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_slice *s = one_slice(
		&r, "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, "
		    "labels: {kubernetes.io/service-name: s}, annotations: "
		    "{fairlead.dev/endpoint-weights: 'fd00::1=3,fd00:0:0::2=0'}}, addressType: "
		    "IPv6, endpoints: [{addresses: ['fd00::2']}, {addresses: ['fd00::1']}]}");

	assert_int_equal(s->endpoints[0].weight, 0);
	assert_int_equal(s->endpoints[1].weight, 3);
	assert_string_equal(r.problems, "");
}

/* Rule 4.15 and some room: a slice that no API server would accept. */
static void test_decode_slice_caps(void **state)
{
	static const int counts[] = {1000, 2001};

	for (size_t i = 0; i < N(counts); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		size_t room = 128 * 1024, len;
		_cleanup_free_ char *text = malloc(room);

		len = (size_t)snprintf(
			text, room,
			"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "
			"a, labels: {kubernetes.io/service-name: s}}, addressType: IPv4, "
			"endpoints: [");
		for (int k = 0; k < counts[i]; k++)
			len += (size_t)snprintf(text + len, room - len,
						"{addresses: [10.0.%d.%d]},", k / 250, k % 250 + 1);
		snprintf(text + len, room - len, "]}");
		decode(&r, text);
		assert_int_equal(r.n, counts[i] == 1000);
		if (!r.n)
			assert_string_equal(r.problems,
					    "error 1 EndpointSlice default/a: endpoints: 2001 "
					    "entries are more than the limit of 2000\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_slice_in_full),
		cmocka_unit_test(test_decode_slice_refuses_endpoints),
		cmocka_unit_test(test_decode_slice_refuses),
		cmocka_unit_test(test_decode_slice_caps),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_weights_of_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
