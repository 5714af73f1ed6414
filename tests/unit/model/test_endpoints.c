/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Section 3 of the behaviour rules: conditions, lists, hints. The table is rule 3.6, row by row. */
#include "tests/unit/model/fixture.h"

#define C3 "10.1.2.3:80"
#define C4 "10.1.2.4:80"
#define C5 "10.1.2.5:80"
#define C6 "10.1.2.6:80"
#define E0 "10.0.0.0:80"
#define E1 "10.0.0.1:80"
#define E2 "10.0.0.2:80"
#define E3 "10.0.0.3:80"

#define U02_ENDPOINTS                                                                              \
	"10.1.2.3 rs- local Z=a; 10.1.2.4 rs- local Z=b; 10.1.2.5 rs- Z=c; 10.1.2.6 rs- Z=a"
#define NODE_HINTED                                                                                \
	"10.1.2.3 rs- Z=a N=1; 10.1.2.4 rs- Z=b N=2; 10.1.2.5 rs- Z=c N=3; 10.1.2.6 rs- Z=a N=4"

static const struct row {
	const char *name, *node, *zone;
	const char *policies; /* iTP eTP, as in "CL"; "-": node hints off */
	bool external;
	const char *endpoints;
	const char *cluster, *local; /* NULL: not used */
	const char *reachable;
	bool any;
} rows[] = {
	{"U01 zone hints honoured", "node-1", "zone-a", "CC", false,
	 "10.1.2.3 rs- Z=a; 10.1.2.4 rs- Z=b; 10.1.2.5 rs- Z=c; 10.1.2.6 rs- Z=a", C3 " " C6, NULL,
	 C3 " " C6, true},
	{"U02 external Local ignores hints", "node-1", "zone-a", "CL", true, U02_ENDPOINTS,
	 C3 " " C6, C3 " " C4, C3 " " C4 " " C6, true},
	{"U03 internal Local ignores hints", "node-1", "zone-a", "LC", true, U02_ENDPOINTS,
	 C3 " " C6, C3 " " C4, C3 " " C4 " " C6, true},
	{"U04 node without zone", "node-1", NULL, "CC", false, "10.1.2.3 rs- Z=a", C3, NULL, C3,
	 true},
	{"U05 node with empty zone", "node-1", "", "CC", false, "10.1.2.3 rs- Z=a", C3, NULL, C3,
	 true},
	{"U06 no hint for this zone", "node-1", "zone-b", "CC", false, "10.1.2.3 rs- Z=a", C3, NULL,
	 C3, true},
	{"U06b no hint for this zone, two", "node-1", "zone-b", "CC", false,
	 "10.1.2.3 rs- Z=a; 10.1.2.5 rs- Z=c", C3 " " C5, NULL, C3 " " C5, true},
	{"U07 one same-zone unready", "node-1", "zone-a", "CC", false,
	 "10.1.2.3 rs- Z=a; 10.1.2.4 rs- Z=b; 10.1.2.5 rs- Z=c; 10.1.2.6 --- Z=a", C3, NULL, C3,
	 true},
	{"U08 all same-zone unready", "node-1", "zone-a", "CC", false,
	 "10.1.2.3 --- Z=a; 10.1.2.4 rs- Z=b; 10.1.2.5 rs- Z=c; 10.1.2.6 --- Z=a", C4 " " C5, NULL,
	 C4 " " C5, true},
	{"U09 one ready without hints", "node-1", "zone-a", "CC", false,
	 "10.1.2.3 rs- Z=a; 10.1.2.4 rs- Z=b; 10.1.2.5 rs-; 10.1.2.6 rs- Z=a",
	 C3 " " C4 " " C5 " " C6, NULL, C3 " " C4 " " C5 " " C6, true},
	{"U10 several zones per endpoint", "node-1", "zone-c", "CC", false,
	 "10.1.2.3 rs- Z=a+b+c; 10.1.2.4 rs- Z=b+c; 10.1.2.5 rs- Z=b+d; 10.1.2.6 rs- Z=c",
	 C3 " " C4 " " C6, NULL, C3 " " C4 " " C6, true},
	{"U11 hints, external Local, mixed", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs- local Z=a; 10.0.0.1 rs- local Z=b; 10.0.0.2 rs- Z=a; 10.0.0.3 rs- Z=b",
	 E0 " " E2, E0 " " E1, E0 " " E1 " " E2, true},
	{"U12 internal Local, none", "node-1", "zone-a", "LC", false, "", NULL, "", "", false},
	{"U13 internal Local, remote only", "node-1", "zone-a", "LC", false,
	 "10.0.0.0 rs-; 10.0.0.1 rs-", NULL, "", "", true},
	{"U14 internal Local, all local", "node-1", "zone-a", "LC", false,
	 "10.0.0.0 rs- local; 10.0.0.1 rs- local", NULL, E0 " " E1, E0 " " E1, true},
	{"U15 internal Local, some local", "node-1", "zone-a", "LC", false,
	 "10.0.0.0 rs- local; 10.0.0.1 rs-", NULL, E0, E0, true},
	{"U16 all unready", "node-1", "zone-a", "CC", false, "10.0.0.0 ---; 10.0.0.1 ---", "", NULL,
	 "", false},
	{"U17 some unready", "node-1", "zone-a", "CC", false, "10.0.0.0 ---; 10.0.0.1 rs-", E1,
	 NULL, E1, true},
	{"U18 all serving-terminating", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 -st local; 10.0.0.1 -st", E0 " " E1, NULL, E0 " " E1, true},
	{"U19 internal Local, node port", "node-1", "zone-a", "LC", true,
	 "10.0.0.0 rs- local; 10.0.0.1 rs-", E0 " " E1, E0, E0 " " E1, true},
	{"U20 external Local, node port", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs- local; 10.0.0.1 rs-", E0 " " E1, E0, E0 " " E1, true},
	{"U21 both Local, mixed", "node-1", "zone-a", "LL", true,
	 "10.0.0.0 rs- local; 10.0.0.1 rs-", E0 " " E1, E0, E0 " " E1, true},
	{"U22 both Local, all remote", "node-1", "zone-a", "LL", true, "10.0.0.0 rs-; 10.0.0.1 rs-",
	 E0 " " E1, "", E0 " " E1, true},
	{"U23 both Local, remote terminating", "node-1", "zone-a", "LL", true,
	 "10.0.0.0 -st; 10.0.0.1 -st", E0 " " E1, "", E0 " " E1, true},
	{"U24 local list falls back alone", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs-; 10.0.0.1 --- local; 10.0.0.2 -st local; 10.0.0.3 -st", E0, E2, E0 " " E2,
	 true},
	{"U25 external Local without external access", "node-1", "zone-a", "CL", false,
	 "10.0.0.0 rs-; 10.0.0.1 rs- local", E0 " " E1, NULL, E0 " " E1, true},
	{"U26 internal Local without external access", "node-1", "zone-a", "LC", false,
	 "10.0.0.0 rs-; 10.0.0.1 rs- local", NULL, E1, E1, true},
	{"U27 node hints switched off", "node-1", "zone-a", "CC-", false, NODE_HINTED, C3 " " C6,
	 NULL, C3 " " C6, true},
	{"U28 node hints honoured", "node-1", "zone-a", "CC", false, NODE_HINTED, C3, NULL, C3,
	 true},
	{"U29 one ready without any hint", "node-1", "zone-a", "CC", false,
	 "10.1.2.3 rs- Z=a N=1; 10.1.2.4 rs-; 10.1.2.5 rs- Z=c N=3; 10.1.2.6 rs- Z=a N=4",
	 C3 " " C4 " " C5 " " C6, NULL, C3 " " C4 " " C5 " " C6, true},
	{"U30 no hint for this node", "node-0", "zone-a", "CC", false, NODE_HINTED, C3 " " C6, NULL,
	 C3 " " C6, true},
	{"A01 external Local, none", "node-1", "zone-a", "CL", true, "", "", "", "", false},
	{"A02 external Local, all remote", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs-; 10.0.0.1 rs-", E0 " " E1, "", E0 " " E1, true},
	{"A03 external Local, all local", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs- local; 10.0.0.1 rs- local", E0 " " E1, E0 " " E1, E0 " " E1, true},
	{"A04 external Local, some local", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs- local; 10.0.0.1 rs-", E0 " " E1, E0, E0 " " E1, true},
	/* beyond upstream's cases */
	{"3.1.2 ready wins over the other conditions", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 r-t; 10.0.0.1 r--", E0 " " E1, NULL, E0 " " E1, true},
	{"3.1.3 serving alone is never used", "node-1", "zone-a", "LL", true,
	 "10.0.0.0 -s- local; 10.0.0.1 -s-", "", "", "", false},
	{"3.1.3 terminating alone is never used", "node-1", "zone-a", "LL", true,
	 "10.0.0.0 --t local", "", "", "", false},
	{"3.3.2 the fallback ignores hints", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 -st Z=a; 10.0.0.1 -st Z=b", E0 " " E1, NULL, E0 " " E1, true},
	{"3.3.2 no fallback beside a ready one", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs-; 10.0.0.1 -st local", E0, NULL, E0, true},
	{"3.3.4 a remote terminating one counts", "node-1", "zone-a", "LC", false, "10.0.0.1 -st",
	 NULL, "", "", true},
	{"3.3.5 local ready before local terminating", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs- local; 10.0.0.1 -st local", E0, E0, E0, true},
	{"3.4 unready and terminating do not block hints", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- Z=a; 10.0.0.1 rs- Z=b; 10.0.0.2 ---; 10.0.0.3 -st", E0, NULL, E0, true},
	{"3.4 unready and terminating do not enable hints", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 --- Z=a; 10.0.0.1 rs- Z=b; 10.0.0.2 -st Z=a; 10.0.0.3 rs- Z=c", E1 " " E3, NULL,
	 E1 " " E3, true},
	{"3.4.2 node mode needs node hints on every ready one", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- Z=a N=1; 10.0.0.1 rs- Z=a; 10.0.0.2 rs- Z=b", E0 " " E1, NULL, E0 " " E1,
	 true},
	{"3.4.5 node mode works without a zone", "node-1", "", "CC", false,
	 "10.0.0.0 rs- Z=a N=1; 10.0.0.1 rs- Z=a N=2", E0, NULL, E0, true},
	/* weight 0: for new connections as one that is not there */
	{"drained", "node-1", "zone-a", "CC", false, "10.0.0.0 rs- W=0; 10.0.0.1 rs- W=3", E1, NULL,
	 E1, true},
	{"all drained", "node-1", "zone-a", "CL", true, "10.0.0.0 rs- local W=0; 10.0.0.1 rs- W=0",
	 "", "", "", false},
	{"drained here, not elsewhere", "node-1", "zone-a", "CL", true,
	 "10.0.0.0 rs- local W=0; 10.0.0.1 rs-", E1, "", E1, true},
	{"a drained one neither gives nor blocks hints", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- Z=a W=0; 10.0.0.1 rs- Z=b; 10.0.0.2 rs- Z=c", E1 " " E2, NULL, E1 " " E2,
	 true},
	{"without hints, but drained", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- W=0; 10.0.0.1 rs- Z=a; 10.0.0.2 rs- Z=b", E1, NULL, E1, true},
	{"all ready ones drained: terminating ones stand in", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- W=0; 10.0.0.1 -st", E1, NULL, E1, true},
	{"a drained terminating one does not", "node-1", "zone-a", "CC", false, "10.0.0.1 -st W=0",
	 "", NULL, "", false},
	{"3.4.6 hints by content, not placement", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- local N=2; 10.0.0.1 rs- N=1", E1, NULL, E1, true},
	{"3.4.6 names match exactly", "node-1", "zone-a", "CC", false,
	 "10.0.0.0 rs- N=11; 10.0.0.1 rs- N=2", E0 " " E1, NULL, E0 " " E1, true},
	{"4.10 no node name is never local", "node-1", "zone-a", "LC", false,
	 "10.0.0.0 rs- nowhere", NULL, "", "", true},
};

static void check_row(const struct row *row)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_web(row->external ? 30080 : 0);
	_cleanup_(fl_slice_free) struct fl_slice *slice = slice_named("web-1", "web", FL_IPV4);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	const struct fl_slice *slices[] = {slice};
	struct fl_plan_options options = {
		.node_name = row->node,
		.zone = row->zone,
		.node_hints = !strchr(row->policies, '-'),
	};
	const struct fl_plan_port *port;

	service->type = FL_SERVICE_NODE_PORT;
	service->internal_local = row->policies[0] == 'L';
	service->external_local = row->policies[1] == 'L';
	add_slice_port(slice, "http", IPPROTO_TCP, 80);
	add_endpoints(slice, row->endpoints, row->node);
	assert_int_equal(fl_plan_service(service, slices, 1, &options, &plan), 0);
	assert_int_equal(plan.n_ports, 1);
	port = &plan.ports[0];

	if (port->uses_cluster != !!row->cluster || port->uses_local != !!row->local)
		fail_msg("%s: uses cluster %d, local %d", row->name, port->uses_cluster,
			 port->uses_local);
	expect_list(row->name, port, FL_PLAN_IN_CLUSTER, row->cluster ? row->cluster : "");
	expect_list(row->name, port, FL_PLAN_IN_LOCAL, row->local ? row->local : "");
	expect_list(row->name, port, FL_PLAN_IN_CLUSTER | FL_PLAN_IN_LOCAL, row->reachable);
	if (port->has_any != row->any)
		fail_msg("%s: has_any is %d", row->name, port->has_any);
}

static void test_every_row_of_3_6(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

/* 3.4.8: the mode is per service port; here one port's endpoint without hints is not ready. */
static void test_3_4_8_mode_is_per_port(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *http =
		slice_web("a", 80, "10.0.0.0 rs- Z=a; 10.0.0.1 rs- Z=b; 10.0.0.2 ---");
	_cleanup_(fl_slice_free) struct fl_slice *admin = slice_named("b", "web", FL_IPV4);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	const struct fl_slice *slices[] = {http, admin};

	add_port(service, "admin", IPPROTO_TCP, 81, 0);
	add_slice_port(admin, "admin", IPPROTO_TCP, 81);
	add_endpoints(admin, "10.0.0.0 rs- Z=a; 10.0.0.1 rs- Z=b; 10.0.0.2 rs-", "node-1");
	plan = plan_slices(service, slices, 2);
	assert_int_equal(plan.n_ports, 2);
	expect_list("http", &plan.ports[0], FL_PLAN_IN_CLUSTER, E0);
	expect_list("admin", &plan.ports[1], FL_PLAN_IN_CLUSTER,
		    "10.0.0.0:81 10.0.0.1:81 10.0.0.2:81");
}

/*
 * Serving endpoints outside every list are kept for rule 7.3, and say so; the others are left out.
 */
static void test_serving_endpoints_outside_the_lists_are_kept(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice =
		slice_web("a", 80,
			  "10.0.0.0 rs- Z=a local; 10.0.0.1 rs- Z=b; 10.0.0.2 -st; 10.0.0.3 --t; "
			  "10.0.0.4 r-- Z=a");
	_cleanup_(fl_plan_fini) struct fl_plan plan = plan_one(service, slice);
	const struct fl_plan_port *port = &plan.ports[0];

	assert_int_equal(port->n_endpoints, 4);
	assert_int_equal(port->endpoints[0].flags,
			 FL_PLAN_IN_CLUSTER | FL_PLAN_ON_NODE | FL_PLAN_SERVING);
	assert_int_equal(port->endpoints[1].flags, FL_PLAN_SERVING);
	assert_int_equal(port->endpoints[2].flags, FL_PLAN_SERVING);
	assert_int_equal(port->endpoints[3].flags, FL_PLAN_IN_CLUSTER);
	expect_list("ready", port, FL_PLAN_IN_CLUSTER, "10.0.0.0:80 10.0.0.4:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_of_3_6),
		cmocka_unit_test(test_3_4_8_mode_is_per_port),
		cmocka_unit_test(test_serving_endpoints_outside_the_lists_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
