/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which Services are ours and as what (section 1), verdicts (5.7), and the health-check count
 * (6.1). */
#include "tests/unit/model/fixture.h"

#include "lb/model/store.h"

static size_t ports_planned(const struct fl_service *service)
{
	_cleanup_(fl_plan_fini) struct fl_plan plan = plan_one(service, NULL);

	return plan.n_ports;
}

static void test_1_1_to_1_3_services_that_are_not_ours(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);

	add_external_ip(service, "192.0.2.1");
	add_ingress(service, "192.0.2.2", false);
	assert_int_equal(ports_planned(service), 1);
	service->headless = true;
	assert_int_equal(ports_planned(service), 0);
	service->headless = false;
	service->type = FL_SERVICE_EXTERNAL_NAME;
	assert_int_equal(ports_planned(service), 0);
	service->type = FL_SERVICE_LOAD_BALANCER;
	service->other_proxy = true;
	assert_int_equal(ports_planned(service), 0);
	service->other_proxy = false;
	assert_int_equal(ports_planned(service), 1);
}

static void test_service_without_ports_gives_nothing(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_named("default", "web", "10.96.0.10");

	assert_int_equal(ports_planned(service), 0);
}

static void test_1_8_identity_is_name_and_protocol(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_named("default", "web", "10.96.0.10");
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "p", IPPROTO_TCP, 80, 0);
	add_port(service, "", IPPROTO_TCP, 81, 0);
	add_port(service, "p", IPPROTO_UDP, 80, 0);
	add_port(service, "p", IPPROTO_TCP, 82, 0); /* the later one wins */
	plan = plan_one(service, NULL);
	assert_int_equal(plan.n_ports, 3);
	assert_int_equal(plan.ports[0].port, 81);
	assert_string_equal(plan.ports[0].port_name, "");
	assert_int_equal(plan.ports[1].proto, IPPROTO_UDP);
	expect_frontends("1.10 same number, other protocol", &plan.ports[1], "C/10.96.0.10:80");
	assert_int_equal(plan.ports[2].port, 82);
}

/* The Service's word counts before the node's; 7.8 concerns TCP only. */
static void test_who_resets_connections(void **state)
{
	static const struct {
		bool all;
		enum fl_reset reset;
		bool resets;
	} rows[] = {
		{false, FL_RESET_AS_SET, false}, {true, FL_RESET_AS_SET, true},
		{false, FL_RESET_ON, true},	 {true, FL_RESET_ON, true},
		{false, FL_RESET_OFF, false},	 {true, FL_RESET_OFF, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
		struct fl_plan_options options = OPTIONS_NODE_1;

		add_port(service, "dns", IPPROTO_UDP, 53, 0);
		options.reset_removed = rows[i].all;
		service->reset = rows[i].reset;
		assert_int_equal(fl_plan_service(service, NULL, 0, &options, &plan), 0);
		assert_int_equal(plan.ports[0].resets, rows[i].resets);
		assert_false(plan.ports[1].resets);
	}
}

/* The Service's word counts before the node's; "hybrid" is DSR for TCP, as elsewhere. */
static void test_who_is_forwarded_by_dsr(void **state)
{
	static const struct {
		enum fl_forwarding node, service;
		bool tcp, udp;
	} rows[] = {
		{FL_FORWARDING_SNAT, FL_FORWARDING_AS_SET, false, false},
		{FL_FORWARDING_DSR, FL_FORWARDING_AS_SET, true, true},
		{FL_FORWARDING_HYBRID, FL_FORWARDING_AS_SET, true, false},
		{FL_FORWARDING_SNAT, FL_FORWARDING_DSR, true, true},
		{FL_FORWARDING_SNAT, FL_FORWARDING_HYBRID, true, false},
		{FL_FORWARDING_DSR, FL_FORWARDING_SNAT, false, false},
		{FL_FORWARDING_AS_SET, FL_FORWARDING_AS_SET, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
		struct fl_plan_options options = OPTIONS_NODE_1;

		add_port(service, "dns", IPPROTO_UDP, 53, 0);
		add_port(service, "sctp", IPPROTO_SCTP, 3868, 0);
		options.forwarding = rows[i].node;
		service->forwarding = rows[i].service;
		assert_int_equal(fl_plan_service(service, NULL, 0, &options, &plan), 0);
		assert_int_equal(plan.ports[0].dsr, rows[i].tcp);
		assert_int_equal(plan.ports[1].dsr, rows[i].udp);
		assert_false(plan.ports[2].dsr);
	}
}

/* DSR by Geneve: the address of the node that an endpoint is on, of the endpoint's family. */
static void test_where_endpoints_of_other_nodes_are(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_named("a", "web", FL_IPV4);
	_cleanup_(fl_store_free) struct fl_store *store = NULL;
	static const char *const addresses[] = {"fd00::2", "192.168.0.2", "192.168.9.2"};
	struct fl_object node = {FL_KIND_NODE, {.node = calloc(1, sizeof(*node.node))}};
	const struct fl_slice *slices[] = {slice};
	struct fl_plan_options options = OPTIONS_NODE_1;

	assert_int_equal(fl_store_new("node-1", &store), 0);
	node.node->name = strdup("node-2");
	node.node->zone = strdup("");
	for (size_t i = 0; i < 3; i++)
		*GROW(node.node->addresses, node.node->n_addresses) = ip(addresses[i]);
	assert_int_equal(fl_store_put(store, &node), 0);
	add_slice_port(slice, "http", IPPROTO_TCP, 8080);
	add_endpoints(slice, "10.1.1.1 rs- local", "node-1");
	add_endpoints(slice, "10.1.1.2 rs- local", "node-2");
	add_endpoints(slice, "10.1.1.3 rs- local", "node-3");
	options.forwarding = FL_FORWARDING_DSR;
	for (int asked = 0; asked < 2; asked++) {
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
		const struct fl_plan_endpoint *endpoints;
		const struct fl_ip want = ip("192.168.0.2");

		assert_int_equal(fl_plan_service(service, slices, 1, &options, &plan), 0);
		endpoints = plan.ports[0].endpoints;
		assert_int_equal(plan.ports[0].n_endpoints, 3);
		assert_true(fl_ip_is_unspecified(&endpoints[0].node));
		assert_int_equal(fl_ip_equal(&endpoints[1].node, &want), asked);
		assert_true(fl_ip_is_unspecified(&endpoints[2].node));
		assert_int_equal(plan.ports[0].n_lost_nodes, asked);
		options.nodes = fl_store_nodes(store);
	}
	/* what is not forwarded so needs no node */
	options.forwarding = FL_FORWARDING_SNAT;
	{
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		assert_int_equal(fl_plan_service(service, slices, 1, &options, &plan), 0);
		assert_int_equal(plan.ports[0].n_lost_nodes, 0);
	}
}

static void test_1_10_sctp(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_named("default", "web", "10.96.0.10");
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_named("a", "web", FL_IPV4);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "s", IPPROTO_SCTP, 3868, 0);
	add_slice_port(slice, "s", IPPROTO_SCTP, 3868);
	add_endpoints(slice, "10.1.1.1 rs-", "node-1");
	plan = plan_one(service, slice);
	assert_int_equal(plan.ports[0].proto, IPPROTO_SCTP);
	expect_list("SCTP", &plan.ports[0], FL_PLAN_IN_CLUSTER, "10.1.1.1:3868");
}

static void test_1_11_and_1_12_one_port_per_family(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
	_cleanup_(fl_slice_free) struct fl_slice *v4 = slice_web("a", 80, "10.1.1.1 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *v6 = slice_named("b", "web", FL_IPV6);
	const struct fl_slice *slices[] = {v4, v6};
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_second_family(service, "fd00:96::10");
	add_external_ip(service, "192.0.2.1");
	add_external_ip(service, "2001:db8::1");
	add_slice_port(v6, "http", IPPROTO_TCP, 8080);
	add_endpoints(v6, "fd00::1 rs-", "node-1");
	plan = plan_slices(service, slices, 2);
	assert_int_equal(plan.n_ports, 2);
	assert_int_equal(plan.ports[0].family, FL_IPV4);
	expect_frontends("IPv4", &plan.ports[0], "C/10.96.0.10:80 E/192.0.2.1:80 N/0.0.0.0:30080");
	expect_list("IPv4", &plan.ports[0], FL_PLAN_IN_CLUSTER, "10.1.1.1:80");
	assert_int_equal(plan.ports[1].family, FL_IPV6);
	expect_frontends("IPv6", &plan.ports[1],
			 "C/[fd00:96::10]:80 E/[2001:db8::1]:80 N/[::]:30080");
	expect_list("IPv6", &plan.ports[1], FL_PLAN_IN_CLUSTER, "[fd00::1]:8080");
}

static void test_1_13_family_without_cluster_ip_is_ignored_wholly(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_named("default", "web", "fd00:96::10");
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "http", IPPROTO_TCP, 80, 30080);
	add_external_ip(service, "192.0.2.1");
	add_ingress(service, "192.0.2.2", false);
	plan = plan_one(service, NULL);
	assert_int_equal(plan.n_ports, 1);
	assert_int_equal(plan.ports[0].family, FL_IPV6);
	expect_frontends("IPv6 only", &plan.ports[0], "C/[fd00:96::10]:80 N/[::]:30080");
}

/* Manifests that no API server has completed: served by what they name, in its families. */
static void test_without_cluster_ip(void **state)
{
	static const struct {
		const char *name, *external_ip, *ingress;
		uint16_t node_port;
		bool families[FL_FAMILIES];
		const char *slice_v4, *slice_v6;
		const char *expected[2]; /* frontends of each port planned */
	} rows[] = {
		{"nothing leads to it", NULL, NULL, 0, {0}, "10.1.1.1 rs-", NULL, {NULL}},
		{"an externalIP", "192.0.2.1", NULL, 0, {0}, NULL, NULL, {"E/192.0.2.1:80"}},
		{"a load balancer's address",
		 NULL,
		 "2001:db8::1",
		 0,
		 {0},
		 NULL,
		 NULL,
		 {"L/[2001:db8::1]:80"}},
		{"a node port alone is IPv4",
		 NULL,
		 NULL,
		 30080,
		 {0},
		 NULL,
		 NULL,
		 {"N/0.0.0.0:30080"}},
		{"a node port has the families of the endpoints",
		 NULL,
		 NULL,
		 30080,
		 {0},
		 NULL,
		 "fd00::1 rs-",
		 {"N/[::]:30080"}},
		{"of both",
		 NULL,
		 NULL,
		 30080,
		 {0},
		 "10.1.1.1 rs-",
		 "fd00::1 rs-",
		 {"N/0.0.0.0:30080", "N/[::]:30080"}},
		{"and of the addresses",
		 "192.0.2.1",
		 NULL,
		 30080,
		 {0},
		 NULL,
		 "fd00::1 rs-",
		 {"E/192.0.2.1:80 N/0.0.0.0:30080", "N/[::]:30080"}},
		{"ipFamilies decide",
		 "192.0.2.1",
		 "2001:db8::1",
		 30080,
		 {[FL_IPV6] = true},
		 "10.1.1.1 rs-",
		 NULL,
		 {"L/[2001:db8::1]:80 N/[::]:30080"}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service =
			service_named("default", "web", NULL);
		_cleanup_(fl_slice_free) struct fl_slice *v4 = slice_named("a", "web", FL_IPV4);
		_cleanup_(fl_slice_free) struct fl_slice *v6 = slice_named("b", "web", FL_IPV6);
		const struct fl_slice *slices[FL_FAMILIES];
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
		size_t n = 0, ports = 0;

		service->type = FL_SERVICE_LOAD_BALANCER;
		add_port(service, "http", IPPROTO_TCP, 80, rows[i].node_port);
		memcpy(service->families, rows[i].families, sizeof(service->families));
		if (rows[i].external_ip)
			add_external_ip(service, rows[i].external_ip);
		if (rows[i].ingress)
			add_ingress(service, rows[i].ingress, false);
		if (rows[i].slice_v4)
			slices[n++] = v4;
		if (rows[i].slice_v6)
			slices[n++] = v6;
		plan = plan_slices(service, slices, n);
		while (ports < 2 && rows[i].expected[ports])
			ports++;
		if (plan.n_ports != ports)
			fail_msg("%s: %zu ports", rows[i].name, plan.n_ports);
		for (size_t p = 0; p < ports; p++) {
			expect_frontends(rows[i].name, &plan.ports[p], rows[i].expected[p]);
			assert_int_equal(plan.ports[p].cluster_ip, FL_PLAN_NONE);
		}
	}
}

/* A family that ipFamilies names is served without a ClusterIP of its own; one it does not name is
 * not (rule 1.13). */
static void test_second_family_without_cluster_ip(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_external_ip(service, "2001:db8::1");
	service->families[FL_IPV4] = service->families[FL_IPV6] = true;
	plan = plan_one(service, NULL);
	assert_int_equal(plan.n_ports, 2);
	expect_frontends("IPv6", &plan.ports[1], "E/[2001:db8::1]:80 N/[::]:30080");
}

static void test_1_15_node_port_and_status_count_whatever_the_type(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	service->type = FL_SERVICE_CLUSTER_IP;
	add_ingress(service, "192.0.2.2", false);
	plan = plan_one(service, NULL);
	expect_frontends("ClusterIP type", &plan.ports[0],
			 "C/10.96.0.10:80 L/192.0.2.2:80 N/0.0.0.0:30080");
}

static void test_1_17_when_external_local_is_honoured(void **state)
{
	static const struct {
		const char *name;
		enum fl_service_type type;
		bool external_ip, expected;
	} rows[] = {
		{"LoadBalancer", FL_SERVICE_LOAD_BALANCER, false, true},
		{"NodePort", FL_SERVICE_NODE_PORT, false, true},
		{"ClusterIP", FL_SERVICE_CLUSTER_IP, false, false},
		{"ClusterIP with externalIPs", FL_SERVICE_CLUSTER_IP, true, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		service->type = rows[i].type;
		service->external_local = true;
		if (rows[i].external_ip)
			add_external_ip(service, "192.0.2.1");
		plan = plan_one(service, NULL);
		if (plan.ports[0].external_local != rows[i].expected ||
		    plan.ports[0].uses_local != rows[i].expected)
			fail_msg("%s: external_local %d, uses_local %d", rows[i].name,
				 plan.ports[0].external_local, plan.ports[0].uses_local);
	}
}

static void test_1_18_internal_local_is_honoured_for_every_type(void **state)
{
	for (int type = FL_SERVICE_CLUSTER_IP; type <= FL_SERVICE_LOAD_BALANCER; type++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		service->type = type;
		service->internal_local = true;
		plan = plan_one(service, NULL);
		assert_true(plan.ports[0].internal_local);
		assert_true(plan.ports[0].uses_local);
		assert_false(plan.ports[0].uses_cluster);
	}
}

static void test_1_19_affinity_timeout(void **state)
{
	static const struct {
		bool affinity;
		uint32_t timeout_s, expected_s;
	} rows[] = {{false, 0, 0},
		    {false, 100, 0},
		    {true, 0, 10800},
		    {true, 1, 1},
		    {true, 86400, 86400}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		service->affinity = rows[i].affinity;
		service->affinity_timeout_s = rows[i].timeout_s;
		plan = plan_one(service, NULL);
		assert_int_equal(plan.ports[0].affinity, rows[i].affinity);
		assert_int_equal(plan.ports[0].affinity_timeout_s, rows[i].expected_s);
	}
}

/* Every cell of table 5.7, and the plain case; F forward, D drop, R reject, - none. */
static void test_5_7_verdicts(void **state)
{
	static const struct {
		const char *name, *policies;
		bool node_port;
		const char *endpoints, *expected; /* clusterIP, external, internal to external */
	} rows[] = {
		{"no endpoint, CC", "CC", true, "", "RRR"},
		{"no endpoint, LC", "LC", true, "", "RRR"},
		{"no endpoint, CL", "CL", true, "", "RRR"},
		{"no endpoint, LL", "LL", true, "", "RRR"},
		{"iTP Local, some elsewhere", "LC", true, "10.0.0.1 rs-", "DFF"},
		{"iTP Local, some elsewhere, ClusterIP only", "LC", false, "10.0.0.1 rs-", "D--"},
		{"eTP Local, some elsewhere", "CL", true, "10.0.0.1 rs-", "FDF"},
		{"both Local, some elsewhere", "LL", true, "10.0.0.1 rs-", "DDF"},
		{"eTP Local, only remote terminating", "CL", true, "10.0.0.1 -st", "FDF"},
		{"both Local, only remote terminating", "LL", true, "10.0.0.1 -st", "DDF"},
		{"iTP Local, only remote terminating, ClusterIP only", "LC", false, "10.0.0.1 -st",
		 "D--"},
		{"neither ready nor serving, CC", "CC", true, "10.0.0.1 --- local; 10.0.0.2 --t",
		 "RRR"},
		{"neither ready nor serving, LL", "LL", true, "10.0.0.1 --- local; 10.0.0.2 --t",
		 "RRR"},
		{"serving only, LL", "LL", true, "10.0.0.1 -s- local", "RRR"},
		{"both Local, a local one", "LL", true, "10.0.0.1 rs- local", "FFF"},
		{"both Local, a local terminating one", "LL", true, "10.0.0.1 -st local", "FFF"},
		{"both Cluster, a remote one", "CC", true, "10.0.0.1 rs-", "FFF"},
		{"no external frontend", "CL", false, "10.0.0.1 rs-", "F--"},
	};
	static const char words[] = "-FDR";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service =
			service_web(rows[i].node_port ? 30080 : 0);
		_cleanup_(fl_slice_free) struct fl_slice *slice =
			slice_web("a", 80, rows[i].endpoints);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
		const struct fl_plan_port *port;
		char got[4];

		service->type = FL_SERVICE_NODE_PORT;
		service->internal_local = rows[i].policies[0] == 'L';
		service->external_local = rows[i].policies[1] == 'L';
		plan = plan_one(service, slice);
		port = &plan.ports[0];
		snprintf(got, sizeof(got), "%c%c%c", words[port->cluster_ip], words[port->external],
			 words[port->internal_to_external]);
		expect_text(rows[i].name, "verdicts", got, rows[i].expected);
	}
}

static void test_6_1_1_health_check_node_port(void **state)
{
	static const struct {
		enum fl_service_type type;
		bool external_local;
		uint16_t port, expected;
	} rows[] = {
		{FL_SERVICE_LOAD_BALANCER, true, 31000, 31000},
		{FL_SERVICE_LOAD_BALANCER, true, 0, 0},
		{FL_SERVICE_LOAD_BALANCER, false, 31000, 0},
		{FL_SERVICE_NODE_PORT, true, 31000, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
		_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

		service->type = rows[i].type;
		service->external_local = rows[i].external_local;
		service->health_check_node_port = rows[i].port;
		plan = plan_one(service, NULL);
		assert_int_equal(plan.ports[0].health_check_node_port, rows[i].expected);
	}
}

/* Distinct addresses over all ports; terminating, unready and remote ones do not count. */
static void test_6_1_6_local_ready_count(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *a =
		slice_web("a", 80,
			  "10.0.0.1 rs- local; 10.0.0.2 rs- local; 10.0.0.3 rs-; 10.0.0.4 -st "
			  "local; 10.0.0.5 --- local");
	_cleanup_(fl_slice_free) struct fl_slice *b = slice_named("b", "web", FL_IPV4);
	_cleanup_(fl_slice_free) struct fl_slice *v6 = slice_named("c", "web", FL_IPV6);
	const struct fl_slice *slices[] = {a, b, v6};
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_second_family(service, "fd00:96::10");
	add_port(service, "admin", IPPROTO_TCP, 81, 0);
	add_slice_port(b, "admin", IPPROTO_TCP, 81);
	add_endpoints(b, "10.0.0.1 rs- local; 10.0.0.9 rs- local", "node-1");
	add_slice_port(v6, "http", IPPROTO_TCP, 80);
	add_endpoints(v6, "fd00::1 rs- local", "node-1");
	plan = plan_slices(service, slices, 3);
	assert_int_equal(plan.n_ports, 4);
	for (size_t i = 0; i < plan.n_ports; i++)
		assert_int_equal(plan.ports[i].local_ready,
				 plan.ports[i].family == FL_IPV4 ? 3 : 1);
}

/* A drained endpoint is no reason for a load balancer to choose this node. */
static void test_drained_endpoints_are_not_healthy_here(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_web(
		"a", 80, "10.0.0.1 rs- local W=5; 10.0.0.2 rs- local W=0; 10.0.0.3 -s- W=0");
	_cleanup_(fl_plan_fini) struct fl_plan plan = plan_one(service, slice);
	const struct fl_plan_port *port = &plan.ports[0];

	assert_int_equal(port->local_ready, 1);
	assert_int_equal(port->n_endpoints, 3);
	assert_int_equal(port->endpoints[0].weight, 5);
	/* it serves its flows */
	assert_int_equal(port->endpoints[1].weight, 0);
	assert_int_equal(port->endpoints[1].flags,
			 FL_PLAN_DRAINED | FL_PLAN_SERVING | FL_PLAN_ON_NODE);
	/* not ready: in no list, whatever its weight is */
	assert_int_equal(port->endpoints[2].flags, FL_PLAN_SERVING);
	assert_int_equal(port->reason.n_drained, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_1_1_to_1_3_services_that_are_not_ours),
		cmocka_unit_test(test_service_without_ports_gives_nothing),
		cmocka_unit_test(test_1_8_identity_is_name_and_protocol),
		cmocka_unit_test(test_who_resets_connections),
		cmocka_unit_test(test_who_is_forwarded_by_dsr),
		cmocka_unit_test(test_where_endpoints_of_other_nodes_are),
		cmocka_unit_test(test_1_10_sctp),
		cmocka_unit_test(test_1_11_and_1_12_one_port_per_family),
		cmocka_unit_test(test_1_13_family_without_cluster_ip_is_ignored_wholly),
		cmocka_unit_test(test_without_cluster_ip),
		cmocka_unit_test(test_second_family_without_cluster_ip),
		cmocka_unit_test(test_1_15_node_port_and_status_count_whatever_the_type),
		cmocka_unit_test(test_1_17_when_external_local_is_honoured),
		cmocka_unit_test(test_1_18_internal_local_is_honoured_for_every_type),
		cmocka_unit_test(test_1_19_affinity_timeout),
		cmocka_unit_test(test_5_7_verdicts),
		cmocka_unit_test(test_6_1_1_health_check_node_port),
		cmocka_unit_test(test_6_1_6_local_ready_count),
		cmocka_unit_test(test_drained_endpoints_are_not_healthy_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
