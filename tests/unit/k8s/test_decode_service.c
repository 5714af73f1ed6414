/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services: defaults, what is left out, and what is said about nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/k8s/result.h"

static const struct fl_service *one_service(struct result *r, const char *text)
{
	decode(r, text);
	if (r->n != 1)
		fail_msg("%zu objects, %s", r->n, r->problems);
	assert_int_equal(r->objects[0].kind, FL_KIND_SERVICE);
	return r->objects[0].service;
}

/* As `kubectl get -o yaml` prints it, with every field of rule 10.2. */
static void test_decode_service_in_full(void **state)
{
	static const char text[] =
		"apiVersion: v1\nkind: Service\nmetadata:\n"
		"  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      "
		"{\"a\": 1}\n"
		"  creationTimestamp: \"2024-05-01T10:00:00Z\"\n  labels:\n    app: web\n"
		"  name: web\n  namespace: shop\n  resourceVersion: \"4711\"\n  uid: x\nspec:\n"
		"  allocateLoadBalancerNodePorts: true\n  clusterIP: 10.96.0.10\n  clusterIPs:\n"
		"  - 10.96.0.10\n  - fd00:96::a\n  externalIPs:\n  - 203.0.113.7\n"
		"  externalTrafficPolicy: Local\n  healthCheckNodePort: 32000\n"
		"  internalTrafficPolicy: Local\n  ipFamilies:\n  - IPv4\n  - IPv6\n"
		"  ipFamilyPolicy: PreferDualStack\n  loadBalancerSourceRanges:\n  - 192.0.2.0/24\n"
		"  ports:\n  - name: http\n    nodePort: 30080\n    port: 80\n    protocol: TCP\n"
		"    targetPort: 8080\n  - name: dns\n    port: 53\n    protocol: UDP\n    "
		"targetPort: dns\n"
		"  selector:\n    app: web\n  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n"
		"    clientIP:\n      timeoutSeconds: 600\n  type: LoadBalancer\nstatus:\n  "
		"loadBalancer:\n"
		"    ingress:\n    - ip: 198.51.100.1\n      ipMode: VIP\n    - ip: 198.51.100.2\n"
		"      ipMode: Proxy\n    - hostname: lb.example\n";
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_service *s = one_service(&r, text);

	assert_string_equal(r.problems, "");
	assert_string_equal(s->ns, "shop");
	assert_string_equal(s->name, "web");
	assert_int_equal(s->created, 1714557600);
	assert_false(s->other_proxy);
	assert_int_equal(s->type, FL_SERVICE_LOAD_BALANCER);
	assert_false(s->headless);
	assert_ip(&s->cluster_ip[FL_IPV4], "10.96.0.10");
	assert_ip(&s->cluster_ip[FL_IPV6], "fd00:96::a");
	assert_int_equal(s->n_ports, 2);
	assert_string_equal(s->ports[0].name, "http");
	assert_int_equal(s->ports[0].proto, IPPROTO_TCP);
	assert_int_equal(s->ports[0].port, 80);
	assert_int_equal(s->ports[0].node_port, 30080);
	assert_int_equal(s->ports[1].proto, IPPROTO_UDP);
	assert_int_equal(s->ports[1].node_port, 0);
	assert_int_equal(s->n_external_ips, 1);
	assert_ip(&s->external_ips[0], "203.0.113.7");
	assert_int_equal(s->n_ingress, 3);
	assert_true(s->ingress[0].has_ip && !s->ingress[0].proxy);
	assert_true(s->ingress[1].has_ip && s->ingress[1].proxy);
	assert_false(s->ingress[2].has_ip);
	assert_true(s->external_local && s->internal_local);
	assert_int_equal(s->health_check_node_port, 32000);
	assert_true(s->affinity);
	assert_int_equal(s->affinity_timeout_s, 600);
	assert_int_equal(s->n_source_ranges, 1);
}

/* Absent fields, and those kubectl prints as null or empty. */
static void test_decode_service_defaults(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_service *s = one_service(
		&r,
		"apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  creationTimestamp: null\n"
		"  labels: null\nspec:\n  clusterIP: 10.96.0.10\n  externalIPs: null\n  ports:\n"
		"  - port: 80\n    name: null\n  sessionAffinity: ClientIP\nstatus:\n  "
		"loadBalancer: {}\n");

	assert_string_equal(r.problems, "");
	assert_string_equal(s->ns, "default");
	assert_int_equal(s->created, 0);
	assert_int_equal(s->type, FL_SERVICE_CLUSTER_IP);
	assert_true(s->has_cluster_ip[FL_IPV4]);
	assert_false(s->has_cluster_ip[FL_IPV6]);
	assert_string_equal(s->ports[0].name, "");
	assert_int_equal(s->ports[0].proto, IPPROTO_TCP);
	assert_false(s->external_local || s->internal_local);
	assert_int_equal(s->affinity_timeout_s, 10800); /* rule 1.19: the default */
	assert_int_equal(s->n_ingress + s->n_external_ips + s->n_source_ranges, 0);
}

/* Rules 1.1, 1.2, 1.12, 1.13: which ClusterIP belongs to which family. */
static void test_decode_cluster_ips(void **state)
{
	static const struct {
		const char *spec, *v4, *v6; /* NULL: none */
		bool headless;
	} cases[] = {
		{"{clusterIP: 10.96.0.1}", "10.96.0.1", NULL, false},
		{"{clusterIP: 'fd00::1'}", NULL, "fd00::1", false},
		{"{clusterIP: 010.096.000.001}", "10.96.0.1", NULL, false}, /* rule 1.20: decimal */
		{"{clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1']}", "10.96.0.1", NULL,
		 false},
		{"{clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], ipFamilies: [IPv4, "
		 "IPv6]}",
		 "10.96.0.1", "fd00::1", false},
		{"{clusterIP: 'fd00::1', clusterIPs: ['fd00::1', 10.96.0.1], ipFamilies: [IPv6, "
		 "IPv4]}",
		 "10.96.0.1", "fd00::1", false},
		{"{clusterIP: 10.96.0.1, ipFamilies: [IPv4]}", "10.96.0.1", NULL, false},
		{"{clusterIP: 10.96.0.1, ipFamilies: [IPv4, IPv6], clusterIPs: [10.96.0.1]}",
		 "10.96.0.1", NULL, false},
		{"{clusterIP: None}", NULL, NULL, true},
		{"{clusterIP: None, clusterIPs: [None], ipFamilies: [IPv4]}", NULL, NULL, true},
		{"{clusterIPs: [None]}", NULL, NULL, true},
		/* as no API server has completed it: not headless, only without a ClusterIP */
		{"{clusterIP: ''}", NULL, NULL, false},
		{"{}", NULL, NULL, false},
		{"{type: ExternalName, externalName: x.example}", NULL, NULL, false},
		{"{clusterIPs: [10.96.0.1, 'fd00::1']}", "10.96.0.1", "fd00::1", false},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const struct fl_service *s;
		char text[512];

		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: %s}",
			 cases[i].spec);
		s = one_service(&r, text);
		assert_int_equal(s->headless, cases[i].headless);
		assert_int_equal(s->has_cluster_ip[FL_IPV4], !!cases[i].v4);
		assert_int_equal(s->has_cluster_ip[FL_IPV6], !!cases[i].v6);
		if (cases[i].v4)
			assert_ip(&s->cluster_ip[FL_IPV4], cases[i].v4);
		if (cases[i].v6)
			assert_ip(&s->cluster_ip[FL_IPV6], cases[i].v6);
	}
}

static void test_decode_service_without_address_is_noted(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};

	one_service(
		&r,
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}");
	assert_string_equal(r.problems,
			    "note 1 Service default/a: no clusterIP, externalIPs, load balancer "
			    "address or nodePort, so it has no frontends\n");
}

/* The families of a Service without a ClusterIP. */
static void test_decode_families(void **state)
{
	static const struct {
		const char *spec;
		bool v4, v6;
	} cases[] = {
		{"{}", false, false},
		{"{ipFamilies: [IPv6]}", false, true},
		{"{ipFamilies: [IPv6, IPv4]}", true, true},
		{"{ipFamilyPolicy: SingleStack}", false, false},
		{"{ipFamilyPolicy: PreferDualStack}", true, true},
		{"{ipFamilyPolicy: RequireDualStack}", true, true},
		{"{ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4]}", true, false},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const struct fl_service *s;
		char text[512];

		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: %s}",
			 cases[i].spec);
		s = one_service(&r, text);
		assert_int_equal(s->families[FL_IPV4], cases[i].v4);
		assert_int_equal(s->families[FL_IPV6], cases[i].v6);
	}
}

/* spec.loadBalancerIP is the address where no status has any. */
static void test_decode_load_balancer_ip(void **state)
{
	static const struct {
		const char *type, *status, *ip; /* NULL: none */
	} cases[] = {
		{"LoadBalancer", "", "198.51.100.7"},
		{"LoadBalancer", ", status: {}", "198.51.100.7"},
		{"LoadBalancer", ", status: {loadBalancer: {}}", "198.51.100.7"},
		{"LoadBalancer", ", status: {loadBalancer: {ingress: []}}", "198.51.100.7"},
		{"LoadBalancer", ", status: {loadBalancer: {ingress: [{ip: 198.51.100.8}]}}",
		 "198.51.100.8"},
		{"NodePort", "", NULL},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const struct fl_service *s;
		char text[512];

		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: %s, "
			 "loadBalancerIP: 198.51.100.7, ports: [{port: 80, nodePort: 30080}]}%s}",
			 cases[i].type, cases[i].status);
		s = one_service(&r, text);
		assert_string_equal(r.problems, "");
		assert_int_equal(s->n_ingress, !!cases[i].ip);
		if (cases[i].ip) {
			assert_true(s->ingress[0].has_ip);
			assert_ip(&s->ingress[0].ip, cases[i].ip);
		}
	}
}

static void test_decode_bad_load_balancer_ip_is_left_out(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_service *s =
		one_service(&r, "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: "
				"LoadBalancer, clusterIP: 10.0.0.1, loadBalancerIP: 127.0.0.1}}");

	assert_int_equal(s->n_ingress, 0);
	assert_string_equal(r.problems, "warning 1 Service default/a: spec.loadBalancerIP: "
					"127.0.0.1 is a loopback address, refused\n");
}

/* Fields that look like mistyped ones; those the API knows, or that resemble nothing, pass. */
static void test_decode_mistyped_fields(void **state)
{
	static const struct {
		const char *object, *problems;
	} cases[] = {
		{"spec: {clusterIP: 10.0.0.1, selector: {a: b}, externalName: x, "
		 "loadBalancerClass: y, "
		 "trafficDistribution: PreferClose, ports: [{port: 1, targetPort: 2, appProtocol: "
		 "x}]}",
		 ""},
		{"spec: {clusterIP: 10.0.0.1, something: else}", ""},
		{"spec: {clusterIP: 10.0.0.1, exteralIPs: [203.0.113.1]}",
		 "warning 1 Service default/a: spec: unknown field \"exteralIPs\" (did you mean "
		 "externalIPs?), ignored\n"},
		{"spec: {clusterIP: 10.0.0.1, ports: [{port: 1, nodeport: 30000}]}",
		 "warning 1 Service default/a: spec.ports[0]: unknown field \"nodeport\" (did you "
		 "mean nodePort?), ignored\n"},
		{"spec: {clusterIP: 10.0.0.1}, staus: {}",
		 "warning 1 Service default/a: unknown field \"staus\" (did you mean status?), "
		 "ignored\n"},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		char text[512];

		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: a}, %s}",
			 cases[i].object);
		one_service(&r, text);
		assert_string_equal(r.problems, cases[i].problems);
	}
}

/* Rule 1.3: the label counts by existence alone. */
static void test_decode_proxy_name_label(void **state)
{
	static const char *const values[] = {"other", "''", "null"};

	for (size_t i = 0; i < N(values); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		char text[256];

		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: a, labels: "
			 "{service.kubernetes.io/service-proxy-name: %s}}, spec: {clusterIP: "
			 "10.0.0.1}}",
			 values[i]);
		assert_true(one_service(&r, text)->other_proxy);
	}
}

/*
 * Rules 2.2, 2.3, 5.6.2 and robustness C6: what is left out of a Service that is applied otherwise.
 */
static void test_decode_service_leaves_out(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_service *s = one_service(
		&r,
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, creationTimestamp: "
		"soon}\nspec:\n"
		"  clusterIP: 10.96.0.1\n  externalIPs:\n  - ''\n  - nonsense\n  - 127.0.0.1\n"
		"  - 203.0.113.1\n  - 'fe80::1'\n  - 224.0.0.1\n  - 0.0.0.0\n"
		"  loadBalancerSourceRanges: [' 10.0.0.0/8 ', 10.0.0.1, 'fd00::/8', x/8]\n"
		"status:\n  loadBalancer:\n    ingress:\n    - ip: '::1'\n    - ip: 198.51.100.1\n"
		"    - {ip: 198.51.100.2, ipMode: New}\n");

	assert_int_equal(s->n_external_ips, 1);
	assert_ip(&s->external_ips[0], "203.0.113.1");
	assert_int_equal(s->n_source_ranges, 2);
	assert_int_equal(s->n_ingress, 3);
	assert_false(s->ingress[0].has_ip);
	assert_true(s->ingress[1].has_ip && !s->ingress[1].proxy);
	assert_true(s->ingress[2].has_ip && s->ingress[2].proxy);
	assert_string_equal(
		r.problems,
		"warning 3 Service default/a: metadata.creationTimestamp: \"soon\" is no time\n"
		"warning 8 Service default/a: spec.externalIPs[1]: \"nonsense\" is no IP address, "
		"left out\n"
		"warning 9 Service default/a: spec.externalIPs[2]: 127.0.0.1 is a loopback "
		"address, refused\n"
		"warning 11 Service default/a: spec.externalIPs[4]: fe80::1 is a link-local "
		"address, refused\n"
		"warning 12 Service default/a: spec.externalIPs[5]: 224.0.0.1 is a multicast or "
		"broadcast "
		"address, refused\n"
		"warning 13 Service default/a: spec.externalIPs[6]: 0.0.0.0 is an unspecified "
		"address, refused\n"
		"warning 14 Service default/a: spec.loadBalancerSourceRanges[1]: \"10.0.0.1\" is "
		"no address "
		"range, left out\n"
		"warning 14 Service default/a: spec.loadBalancerSourceRanges[3]: \"x/8\" is no "
		"address range, "
		"left out\n"
		"warning 18 Service default/a: status.loadBalancer.ingress[0].ip: ::1 is a "
		"loopback address, "
		"refused\n"
		"warning 20 Service default/a: status.loadBalancer.ingress[2].ipMode: \"New\" is "
		"unknown, taken "
		"as Proxy\n");
}

/* 1.8: allowed, but reported, since the earlier port is not served. */
static void test_decode_ports_of_one_identity(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};
	const struct fl_service *s = one_service(
		&r, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n"
		    "  clusterIP: 10.96.0.1\n  ports:\n  - {port: 80}\n"
		    "  - {port: 80, protocol: UDP}\n  - {port: 80, name: x}\n  - {port: 81}\n");

	assert_int_equal(s->n_ports, 4);
	assert_string_equal(r.problems,
			    "warning 10 Service default/a: spec.ports[3]: takes the place of "
			    "ports[0], which has the same name and protocol\n");
}

static void test_decode_timestamps(void **state)
{
	static const struct {
		const char *text;
		long long seconds;
	} cases[] = {
		{"1970-01-01T00:00:01Z", 1},
		{"2024-05-01T10:00:00.123456Z", 1714557600},
		{"2024-05-01T12:00:00+02:00", 1714557600},
		{"2024-05-01T05:30:00-04:30", 1714557600},
		{"2024-05-01", 0},
		{"2024-05-01T10:00:00", 0},
		{"2024-05-01T10:00:00Zzz", 0},
	};

	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		char text[256];

		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: a, creationTimestamp: "
			 "'%s'}, spec: "
			 "{clusterIP: 10.0.0.1}}",
			 cases[i].text);
		assert_int_equal(one_service(&r, text)->created, cases[i].seconds);
		assert_int_equal(!*r.problems, !!cases[i].seconds);
	}
}

/* Nonsense in a Service: it is not applied, and the message says where and why. */
static void test_decode_service_refuses(void **state)
{
	static const struct {
		const char *object, *reason;
	} bad[] = {
		{"metadata: {}, spec: {}", "Service: metadata.name: missing"},
		{"spec: {}", "Service: metadata.name: missing"},
		{"metadata: [], spec: {}", "Service: metadata: expected a map, found a list"},
		{"metadata: {name: 5}, spec: {}",
		 "Service: metadata.name: expected a string, found an integer"},
		{"metadata: {name: A/b}, spec: {}",
		 "Service: metadata.name: \"A/b\" is not a valid name"},
		{"metadata: {name: '../x'}, spec: {}",
		 "Service: metadata.name: \"../x\" is not a valid name"},
		{"metadata: {name: a, namespace: 'X Y'}, spec: {}",
		 "Service: metadata.namespace: \"X Y\" is not a valid name"},
		{"metadata: {name: a}", "Service default/a: spec: missing"},
		{"metadata: {name: a}, spec: 7",
		 "Service default/a: spec: expected a map, found an integer"},
		{"metadata: {name: a}, spec: {type: Magic}",
		 "Service default/a: spec.type: \"Magic\" is none of ClusterIP, NodePort, "
		 "LoadBalancer, "
		 "ExternalName"},
		{"metadata: {name: a}, spec: {clusterIP: 10.0.0.300}",
		 "Service default/a: spec.clusterIP: \"10.0.0.300\" is no IP address"},
		{"metadata: {name: a}, spec: {clusterIP: 5}",
		 "Service default/a: spec.clusterIP: expected a string, found an integer"},
		{"metadata: {name: a}, spec: {clusterIP: 127.0.0.1}",
		 "Service default/a: spec.clusterIP: 127.0.0.1 is a loopback address"},
		{"metadata: {name: a}, spec: {clusterIP: 10.0.0.1, ipFamilies: [IPv5]}",
		 "Service default/a: spec.ipFamilies[0]: \"IPv5\" is none of IPv4, IPv6"},
		{"metadata: {name: a}, spec: {clusterIP: 10.0.0.1, ipFamilies: [IPv6], clusterIPs: "
		 "[10.0.0.1]}",
		 "Service default/a: spec.clusterIPs[0]: 10.0.0.1 is not of family IPv6"},
		{"metadata: {name: a}, spec: {clusterIP: 10.0.0.1, ipFamilies: [IPv6]}",
		 "Service default/a: spec.clusterIP: 10.0.0.1 is not of family IPv6"},
		{"metadata: {name: a}, spec: {clusterIP: 10.0.0.1, ports: {}}",
		 "Service default/a: spec.ports: expected a list, found a map"},
		{"metadata: {name: a}, spec: {ports: [80]}",
		 "Service default/a: spec.ports[0]: expected a map, found an integer"},
		{"metadata: {name: a}, spec: {ports: [{name: x}]}",
		 "Service default/a: spec.ports[0].port: missing"},
		{"metadata: {name: a}, spec: {ports: [{port: 1}, {port: 0}]}",
		 "Service default/a: spec.ports[1].port: 0 is not between 1 and 65535"},
		{"metadata: {name: a}, spec: {ports: [{port: 70000}]}",
		 "Service default/a: spec.ports[0].port: 70000 is not between 1 and 65535"},
		{"metadata: {name: a}, spec: {ports: [{port: -1}]}",
		 "Service default/a: spec.ports[0].port: -1 is not between 1 and 65535"},
		{"metadata: {name: a}, spec: {ports: [{port: 99999999999999999999}]}",
		 "Service default/a: spec.ports[0].port: 99999999999999999999 is not between 1 and "
		 "65535"},
		{"metadata: {name: a}, spec: {ports: [{port: '80'}]}",
		 "Service default/a: spec.ports[0].port: expected an integer, found a string"},
		{"metadata: {name: a}, spec: {ports: [{port: 80.5}]}",
		 "Service default/a: spec.ports[0].port: expected an integer, found a number"},
		{"metadata: {name: a}, spec: {ports: [{port: 80, nodePort: 65536}]}",
		 "Service default/a: spec.ports[0].nodePort: 65536 is not between 0 and 65535"},
		{"metadata: {name: a}, spec: {ports: [{port: 80, protocol: ICMP}]}",
		 "Service default/a: spec.ports[0].protocol: \"ICMP\" is none of TCP, UDP, SCTP"},
		{"metadata: {name: a}, spec: {ports: [{port: 80, name: 'a b'}]}",
		 "Service default/a: spec.ports[0].name: \"a b\" is not a valid name"},
		{"metadata: {name: a}, spec: {externalTrafficPolicy: Remote}",
		 "Service default/a: spec.externalTrafficPolicy: \"Remote\" is none of Cluster, "
		 "Local"},
		{"metadata: {name: a}, spec: {internalTrafficPolicy: true}",
		 "Service default/a: spec.internalTrafficPolicy: expected a string, found a "
		 "boolean"},
		{"metadata: {name: a}, spec: {sessionAffinity: Cookie}",
		 "Service default/a: spec.sessionAffinity: \"Cookie\" is none of None, ClientIP"},
		{"metadata: {name: a}, spec: {sessionAffinity: ClientIP, sessionAffinityConfig: "
		 "{clientIP: "
		 "{timeoutSeconds: 0}}}",
		 "Service default/a: spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not "
		 "between 1 "
		 "and 86400"},
		{"metadata: {name: a}, spec: {externalIPs: 1.2.3.4}",
		 "Service default/a: spec.externalIPs: expected a list, found a string"},
		{"metadata: {name: a}, spec: {externalIPs: [5]}",
		 "Service default/a: spec.externalIPs[0]: expected a string, found an integer"},
		{"metadata: {name: a}, spec: {healthCheckNodePort: 70000}",
		 "Service default/a: spec.healthCheckNodePort: 70000 is not between 0 and 65535"},
		{"metadata: {name: a, labels: 3}, spec: {}",
		 "Service default/a: metadata.labels: expected a map, found an integer"},
		{"metadata: {name: a}, spec: {clusterIP: None}, status: {loadBalancer: []}",
		 "Service default/a: status.loadBalancer: expected a map, found a list"},
	};

	for (size_t i = 0; i < N(bad); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		char text[512], expected[512];

		snprintf(text, sizeof(text), "\n{apiVersion: v1, kind: Service, %s}",
			 bad[i].object);
		snprintf(expected, sizeof(expected), "error 2 %s\n", bad[i].reason);
		decode(&r, text);
		assert_int_equal(r.n, 0);
		assert_non_null(strstr(r.problems, expected));
	}
}

/* A thousand warnings about one object are eleven. */
#define RESETS(value)                                                                              \
	"{apiVersion: v1, kind: Service, metadata: {name: s, annotations: "                        \
	"{fairlead.dev/reset-on-backend-removal: " value "}}, spec: {clusterIP: 10.96.0.10, "      \
	"ports: [{port: 80}]}}"

static void test_reset_on_backend_removal(void **state)
{
	static const struct {
		const char *text;
		enum fl_reset reset;
		const char *problem;
	} rows[] = {
		{RESETS("\"true\""), FL_RESET_ON, NULL},
		{RESETS("\"false\""), FL_RESET_OFF, NULL},
		{RESETS("\"yes\""), FL_RESET_AS_SET,
		 "\"yes\" is neither \"true\" nor \"false\", ignored"},
		{RESETS("true"), FL_RESET_AS_SET, "annotations are text"},
		{RESETS("null"), FL_RESET_AS_SET, NULL},
		{"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: "
		 "10.96.0.10, ports: [{port: 80}]}}",
		 FL_RESET_AS_SET, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const struct fl_service *s = one_service(&r, rows[i].text);

		assert_int_equal(s->reset, rows[i].reset);
		if (rows[i].problem ? !strstr(r.problems, rows[i].problem) : !!*r.problems)
			fail_msg("%s: %s", rows[i].text, r.problems);
	}
}

#define FORWARDS(value)                                                                            \
	"{apiVersion: v1, kind: Service, metadata: {name: s, annotations: "                        \
	"{fairlead.dev/forwarding-mode: " value "}}, spec: {clusterIP: 10.96.0.10, "               \
	"ports: [{port: 80}]}}"

static void test_forwarding_mode(void **state)
{
	static const struct {
		const char *text;
		enum fl_forwarding forwarding;
		const char *problem;
	} rows[] = {
		{FORWARDS("snat"), FL_FORWARDING_SNAT, NULL},
		{FORWARDS("dsr"), FL_FORWARDING_DSR, NULL},
		{FORWARDS("hybrid"), FL_FORWARDING_HYBRID, NULL},
		{FORWARDS("DSR"), FL_FORWARDING_AS_SET, "\"DSR\" is none of snat, dsr, hybrid"},
		{FORWARDS("\"\""), FL_FORWARDING_AS_SET, "\"\" is none of"},
		{FORWARDS("true"), FL_FORWARDING_AS_SET, "is none of snat, dsr, hybrid"},
		{FORWARDS("null"), FL_FORWARDING_AS_SET, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_result_ struct result r = {.n = 0};
		const struct fl_service *s = one_service(&r, rows[i].text);

		assert_int_equal(s->forwarding, rows[i].forwarding);
		if (rows[i].problem ? !strstr(r.problems, rows[i].problem) : !!*r.problems)
			fail_msg("%s: %s", rows[i].text, r.problems);
	}
}

static void test_decode_warnings_are_bounded(void **state)
{
	_cleanup_result_ struct result r = {.n = 0};
	char text[4096];
	size_t len = (size_t)snprintf(text, sizeof(text),
				      "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: "
				      "{clusterIP: 10.0.0.1, externalIPs: [");
	int lines = 0;

	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "127.0.0.%d,", i);
	snprintf(text + len, sizeof(text) - len, "]}}");
	one_service(&r, text);
	for (const char *p = r.problems; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 11);
	assert_non_null(strstr(
		r.problems, "warning 1 Service default/a: 90 more warnings about this object\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_service_in_full),
		cmocka_unit_test(test_decode_service_defaults),
		cmocka_unit_test(test_decode_cluster_ips),
		cmocka_unit_test(test_decode_service_without_address_is_noted),
		cmocka_unit_test(test_decode_families),
		cmocka_unit_test(test_decode_load_balancer_ip),
		cmocka_unit_test(test_decode_bad_load_balancer_ip_is_left_out),
		cmocka_unit_test(test_decode_mistyped_fields),
		cmocka_unit_test(test_decode_proxy_name_label),
		cmocka_unit_test(test_decode_service_leaves_out),
		cmocka_unit_test(test_decode_ports_of_one_identity),
		cmocka_unit_test(test_decode_timestamps),
		cmocka_unit_test(test_decode_service_refuses),
		cmocka_unit_test(test_reset_on_backend_removal),
		cmocka_unit_test(test_forwarding_mode),
		cmocka_unit_test(test_decode_warnings_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
