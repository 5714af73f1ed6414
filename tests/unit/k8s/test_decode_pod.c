/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is read of a Pod, where Pods are asked for: its host ports and what they need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/k8s/result.h"

#define POD(spec, status)                                                                          \
	"{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, creationTimestamp: " \
	"\"2024-05-01T10:00:00Z\"}, spec: {nodeName: node-1, " spec "}, status: {" status "}}"
#define PORTS(ports) "containers: [{name: a, ports: [" ports "]}]"
#define IPS "phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: 'fd01::1'}]"

static void test_fields(void **state)
{
	_cleanup_result_ struct result r = {.pods = true};
	const struct fl_pod *p;

	decode(&r, POD("initContainers: [{ports: [{containerPort: 1, hostPort: 11}]}, "
		       "{restartPolicy: Always, ports: [{containerPort: 2, hostPort: 12}]}], "
		       "containers: [{ports: [{containerPort: 80, hostPort: 8080}, "
		       "{containerPort: 81}]}, {}, {ports: [{containerPort: 53, hostPort: 53, "
		       "protocol: UDP, hostIP: 192.0.2.1}]}]",
		       IPS));
	assert_string_equal(r.problems, "");
	assert_int_equal(r.n, 1);
	assert_int_equal(r.objects[0].kind, FL_KIND_POD);
	p = r.objects[0].pod;
	assert_string_equal(p->ns, "shop");
	assert_string_equal(p->name, "web-1");
	assert_string_equal(p->node_name, "node-1");
	assert_int_equal(p->created, 1714557600);
	assert_false(p->host_network || p->ended);
	assert_int_equal(p->n_ips, 2);
	assert_ip(&p->ips[1], "fd01::1");
	assert_int_equal(p->n_ports, 3);
	assert_int_equal(p->ports[0].host_port, 8080);
	assert_int_equal(p->ports[0].port, 80);
	assert_int_equal(p->ports[0].proto, IPPROTO_TCP);
	assert_false(p->ports[0].has_ip);
	assert_int_equal(p->ports[1].proto, IPPROTO_UDP);
	assert_true(p->ports[1].has_ip);
	assert_ip(&p->ports[1].ip, "192.0.2.1");
	/* of init containers those that go on beside the others */
	assert_int_equal(p->ports[2].host_port, 12);
}

static void test_rows(void **state)
{
	static const struct {
		const char *text, *problem;
		size_t n_ports, n_ips;
		bool ended, host_network;
	} rows[] = {
		{POD(PORTS("{containerPort: 80, hostPort: 8080}"), "podIP: 10.1.0.1"), "", 1, 1,
		 false, false},
		{POD(PORTS("{containerPort: 80, hostPort: 8080}"), ""), "", 1, 0, false, false},
		{POD(PORTS("{containerPort: 80, hostPort: 0}"), IPS), "", 0, 0, false, false},
		{POD(PORTS("{containerPort: 80, hostPort: 8080}"),
		     "phase: Failed, podIP: 10.1.0.1"),
		 "", 1, 1, true, false},
		{POD("hostNetwork: true, " PORTS("{containerPort: 80, hostPort: 80}"), IPS), "", 1,
		 0, false, true},
		{POD(PORTS("{containerPort: 80, hostPort: 8080, hostIP: '::1'}"), IPS),
		 "hostIP: host port 8080 is not served at ::1", 0, 0, false, false},
	};

	for (size_t i = 0; i < N(rows); i++) {
		_cleanup_result_ struct result r = {.pods = true};
		const struct fl_pod *p;

		decode(&r, rows[i].text);
		assert_int_equal(r.n, 1);
		p = r.objects[0].pod;
		assert_int_equal(p->n_ports, rows[i].n_ports);
		assert_int_equal(p->n_ips, rows[i].n_ips);
		assert_int_equal(p->ended, rows[i].ended);
		assert_int_equal(p->host_network, rows[i].host_network);
		if (*rows[i].problem ? !strstr(r.problems, rows[i].problem) : *r.problems)
			fail_msg("row %zu: %s", i, r.problems);
	}
}

static void test_faults(void **state)
{
	static const char *const rows[][2] = {
		{POD(PORTS("{containerPort: 80, hostPort: 70000}"), IPS),
		 "spec.containers[0].ports[0].hostPort"},
		{POD(PORTS("{hostPort: 8080}"), IPS), "containerPort: missing"},
		{POD(PORTS("{containerPort: 80, hostPort: 8080, hostIP: x}"), IPS),
		 "hostIP: \"x\" is no IP address"},
		{POD(PORTS("{containerPort: 80, hostPort: 8080}"), "podIPs: [{ip: y}]"),
		 "status.podIPs[0].ip: \"y\" is no IP address"},
		{POD(PORTS("{containerPort: 80, hostPort: 8080}"), "podIP: 127.0.0.1"),
		 "status.podIP: 127.0.0.1: "},
	};

	for (size_t i = 0; i < N(rows); i++) {
		_cleanup_result_ struct result r = {.pods = true};

		decode(&r, rows[i][0]);
		assert_int_equal(r.n, 0);
		if (!strstr(r.problems, rows[i][1]) || strncmp(r.problems, "error", 5))
			fail_msg("row %zu: %s", i, r.problems);
	}
}

/* Otherwise a Pod is as any other kind, whatever is in it. */
static void test_pods_that_nobody_asks_for(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};

	decode(&r, POD(PORTS("{containerPort: 80, hostPort: 70000}"), IPS));
	assert_int_equal(r.n, 0);
	assert_non_null(strstr(r.problems, "note"));
	assert_non_null(strstr(r.problems, "kind \"Pod\" (v1) skipped"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_pods_that_nobody_asks_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
