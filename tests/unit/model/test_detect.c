/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pod clients (5.2) and the tables of reach and masquerade (5.3), cell by cell. */
#include "tests/unit/model/fixture.h"

#include <errno.h>

#include "lb/model/detect.h"

static void test_numbers_are_those_of_the_abi(void **state)
{
	assert_int_equal(FL_PLAN_CLUSTER_IP, FL_FRONTEND_CLUSTER_IP);
	assert_int_equal(FL_PLAN_EXTERNAL_IP, FL_FRONTEND_EXTERNAL_IP);
	assert_int_equal(FL_PLAN_LOAD_BALANCER, FL_FRONTEND_LOAD_BALANCER);
	assert_int_equal(FL_PLAN_NODE_PORT, FL_FRONTEND_NODE_PORT);
	assert_int_equal(FL_PLAN_FORWARD, FL_VERDICT_FORWARD);
	assert_int_equal(FL_PLAN_DROP, FL_VERDICT_DROP);
	assert_int_equal(FL_PLAN_REJECT, FL_VERDICT_REJECT);
}

/*
 * A cell is the list ("C"luster or "L"ocal) and "m" for masquerade. Columns: both policies Cluster,
 * eTP Local, iTP Local, both Local.
 */
struct cell_row {
	const char *name;
	bool external; /* NodePort, LB VIP and externalIP alike */
	enum fl_client client;
	const char *cells[4];
};

#define COLUMNS 4
static const struct {
	const char *name;
	bool internal_local, external_local;
} columns[COLUMNS] = {
	{"Cluster", false, false},
	{"eTP Local", false, true},
	{"iTP Local", true, false},
	{"both Local", true, true},
};

static void check_cell(const struct cell_row *row, int column, enum fl_plan_frontend_type type,
		       bool detector, bool masquerade_all)
{
	bool internal_local = columns[column].internal_local,
	     external_local = columns[column].external_local;
	struct fl_reach reach = fl_reach_decide(type, row->client, internal_local, external_local,
						detector, masquerade_all);
	uint16_t clients = fl_masquerade_clients(type, internal_local, external_local, detector,
						 masquerade_all);
	char name[128], got[3];

	snprintf(name, sizeof(name), "%s (frontend type %d), %s", row->name, type,
		 columns[column].name);
	snprintf(got, sizeof(got), "%c%s", reach.list == FL_PLAN_LIST_LOCAL ? 'L' : 'C',
		 reach.masquerade ? "m" : "");
	expect_text(name, "reach", got, row->cells[column]);
	if (!!(clients & 1 << row->client) != reach.masquerade || clients >= 1 << FL_CLIENTS)
		fail_msg("%s: clients to masquerade are %#x", name, clients);
}

static void check_rows(const struct cell_row *rows, size_t n, bool detector, bool masquerade_all)
{
	for (size_t i = 0; i < n; i++) {
		int first = rows[i].external ? FL_PLAN_EXTERNAL_IP : FL_PLAN_CLUSTER_IP;
		int last = rows[i].external ? FL_PLAN_NODE_PORT : FL_PLAN_CLUSTER_IP;

		for (int column = 0; column < COLUMNS; column++) {
			for (int type = first; type <= last; type++)
				check_cell(&rows[i], column, type, detector, masquerade_all);
		}
	}
}
#define CHECK_ROWS(rows, detector, all)                                                            \
	check_rows(rows, sizeof(rows) / sizeof((rows)[0]), detector, all)

static void test_5_3_with_detector(void **state)
{
	static const struct cell_row rows[] = {
		{"pod -> ClusterIP", false, FL_CLIENT_POD, {"C", "C", "L", "L"}},
		{"pod -> external", true, FL_CLIENT_POD, {"Cm", "C", "Cm", "C"}},
		{"node -> ClusterIP", false, FL_CLIENT_NODE, {"Cm", "Cm", "Lm", "Lm"}},
		{"node -> external", true, FL_CLIENT_NODE, {"Cm", "Cm", "Cm", "Cm"}},
		{"outside -> ClusterIP", false, FL_CLIENT_OUTSIDE, {"Cm", "Cm", "Lm", "Lm"}},
		{"outside -> external", true, FL_CLIENT_OUTSIDE, {"Cm", "L", "Cm", "L"}},
	};

	CHECK_ROWS(rows, true, false);
}

static void test_5_3_1_masquerade_all(void **state)
{
	static const struct cell_row rows[] = {
		{"pod -> ClusterIP", false, FL_CLIENT_POD, {"Cm", "Cm", "Lm", "Lm"}},
		{"pod -> external", true, FL_CLIENT_POD, {"Cm", "C", "Cm", "C"}},
		{"node -> ClusterIP", false, FL_CLIENT_NODE, {"Cm", "Cm", "Lm", "Lm"}},
		{"node -> external", true, FL_CLIENT_NODE, {"Cm", "Cm", "Cm", "Cm"}},
		{"outside -> ClusterIP", false, FL_CLIENT_OUTSIDE, {"Cm", "Cm", "Lm", "Lm"}},
		{"outside -> external", true, FL_CLIENT_OUTSIDE, {"Cm", "L", "Cm", "L"}},
	};

	CHECK_ROWS(rows, true, true);
}

static void test_5_3_2_without_detector(void **state)
{
	static const struct cell_row rows[] = {
		{"pod -> ClusterIP", false, FL_CLIENT_POD, {"C", "C", "L", "L"}},
		{"pod -> external", true, FL_CLIENT_POD, {"Cm", "L", "Cm", "L"}},
		{"node -> ClusterIP", false, FL_CLIENT_NODE, {"C", "C", "L", "L"}},
		{"node -> external", true, FL_CLIENT_NODE, {"Cm", "Cm", "Cm", "Cm"}},
		{"outside -> ClusterIP", false, FL_CLIENT_OUTSIDE, {"C", "C", "L", "L"}},
		{"outside -> external", true, FL_CLIENT_OUTSIDE, {"Cm", "L", "Cm", "L"}},
	};

	CHECK_ROWS(rows, false, false);
}

static void test_masquerade_all_needs_no_detector(void **state)
{
	static const struct cell_row rows[] = {
		{"pod -> ClusterIP", false, FL_CLIENT_POD, {"Cm", "Cm", "Lm", "Lm"}},
		{"node -> ClusterIP", false, FL_CLIENT_NODE, {"Cm", "Cm", "Lm", "Lm"}},
		{"outside -> ClusterIP", false, FL_CLIENT_OUTSIDE, {"Cm", "Cm", "Lm", "Lm"}},
		{"outside -> external", true, FL_CLIENT_OUTSIDE, {"Cm", "L", "Cm", "L"}},
	};

	CHECK_ROWS(rows, false, true);
}

static void test_5_4_lists_and_verdicts_by_side(void **state)
{
	struct fl_plan_port port = {
		.external_local = true,
		.cluster_ip = FL_PLAN_FORWARD,
		.external = FL_PLAN_DROP,
		.internal_to_external = FL_PLAN_REJECT,
	};

	assert_int_equal(fl_side_list(&port, FL_PLAN_NODE_PORT, FL_SIDE_EXTERNAL),
			 FL_PLAN_LIST_LOCAL);
	assert_int_equal(fl_side_list(&port, FL_PLAN_NODE_PORT, FL_SIDE_INTERNAL),
			 FL_PLAN_LIST_CLUSTER);
	assert_int_equal(fl_side_list(&port, FL_PLAN_CLUSTER_IP, FL_SIDE_EXTERNAL),
			 FL_PLAN_LIST_CLUSTER);
	assert_int_equal(fl_side_list(&port, FL_PLAN_CLUSTER_IP, FL_SIDE_INTERNAL),
			 FL_PLAN_LIST_CLUSTER);
	port.internal_local = true;
	port.external_local = false;
	assert_int_equal(fl_side_list(&port, FL_PLAN_LOAD_BALANCER, FL_SIDE_EXTERNAL),
			 FL_PLAN_LIST_CLUSTER);
	assert_int_equal(fl_side_list(&port, FL_PLAN_LOAD_BALANCER, FL_SIDE_INTERNAL),
			 FL_PLAN_LIST_CLUSTER);
	assert_int_equal(fl_side_list(&port, FL_PLAN_CLUSTER_IP, FL_SIDE_EXTERNAL),
			 FL_PLAN_LIST_LOCAL);
	assert_int_equal(fl_side_list(&port, FL_PLAN_CLUSTER_IP, FL_SIDE_INTERNAL),
			 FL_PLAN_LIST_LOCAL);

	assert_int_equal(fl_side_verdict(&port, FL_PLAN_CLUSTER_IP, FL_SIDE_EXTERNAL),
			 FL_PLAN_FORWARD);
	assert_int_equal(fl_side_verdict(&port, FL_PLAN_CLUSTER_IP, FL_SIDE_INTERNAL),
			 FL_PLAN_FORWARD);
	assert_int_equal(fl_side_verdict(&port, FL_PLAN_EXTERNAL_IP, FL_SIDE_EXTERNAL),
			 FL_PLAN_DROP);
	assert_int_equal(fl_side_verdict(&port, FL_PLAN_EXTERNAL_IP, FL_SIDE_INTERNAL),
			 FL_PLAN_REJECT);
}

/* 5.2: pods are recognised by address or by device */

static void test_5_2_mode_names(void **state)
{
	static const char *const names[FL_DETECT_MODES] = {
		"ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"};
	enum fl_detect_mode mode = FL_DETECT_NODE_CIDR;

	assert_int_equal(fl_detect_mode_parse("", &mode), 0);
	assert_int_equal(mode, FL_DETECT_CLUSTER_CIDR);
	for (int i = 0; i < FL_DETECT_MODES; i++) {
		assert_int_equal(fl_detect_mode_parse(names[i], &mode), 0);
		assert_int_equal(mode, i);
	}
	assert_int_equal(fl_detect_mode_parse("clustercidr", &mode), -EINVAL);
}

static void expect_cidr(const struct fl_detect *detect, enum fl_family family, const char *text)
{
	char buf[FL_PREFIX_STRLEN];

	assert_int_equal(detect->on[family], *text != '\0');
	if (*text)
		assert_string_equal(fl_prefix_format(&detect->cidr[family], buf), text);
}

static void test_5_2_first_cidr_of_each_family(void **state)
{
	struct fl_prefix cidrs[] = {prefix("10.244.0.0/16"), prefix("10.245.0.0/16"),
				    prefix("fd00:244::/48")};
	struct fl_detect_input input = {.cluster_cidrs = cidrs, .n_cluster_cidrs = 3};
	struct fl_detect detect;

	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	expect_cidr(&detect, FL_IPV4, "10.244.0.0/16");
	expect_cidr(&detect, FL_IPV6, "fd00:244::/48");

	input.n_cluster_cidrs = 1;
	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	expect_cidr(&detect, FL_IPV4, "10.244.0.0/16");
	expect_cidr(&detect, FL_IPV6, "");

	input.n_cluster_cidrs = 0;
	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	expect_cidr(&detect, FL_IPV4, "");
	expect_cidr(&detect, FL_IPV6, "");
}

static void test_5_2_node_cidr(void **state)
{
	struct fl_prefix cluster = prefix("10.244.0.0/16"), pods[] = {prefix("10.244.7.0/24")};
	struct fl_node node = {.pod_cidrs = pods, .n_pod_cidrs = 1};
	struct fl_detect_input input = {
		.mode = FL_DETECT_NODE_CIDR, .cluster_cidrs = &cluster, .n_cluster_cidrs = 1};
	struct fl_detect detect;

	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	expect_cidr(&detect, FL_IPV4, "");
	input.node = &node;
	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	expect_cidr(&detect, FL_IPV4, "10.244.7.0/24");
	expect_cidr(&detect, FL_IPV6, "");
}

/* 10.13: whether a change of podCIDRs has to be followed */
static void test_10_13_other_pods(void **state)
{
	struct fl_prefix pods[] = {prefix("10.244.7.0/24"), prefix("fd00:244:7::/64")};
	struct fl_node node = {.pod_cidrs = pods, .n_pod_cidrs = 1};
	const struct fl_detect_input input = {.mode = FL_DETECT_NODE_CIDR, .node = &node};
	struct fl_detect before, now;

	assert_int_equal(fl_detect_init(&input, &before, NULL), 0);
	assert_int_equal(fl_detect_init(&input, &now, NULL), 0);
	assert_true(fl_detect_equal(&before, &now));
	node.n_pod_cidrs = 2;
	assert_int_equal(fl_detect_init(&input, &now, NULL), 0);
	assert_false(fl_detect_equal(&before, &now));
	node.n_pod_cidrs = 1;
	pods[0] = prefix("10.244.8.0/24");
	assert_int_equal(fl_detect_init(&input, &now, NULL), 0);
	assert_false(fl_detect_equal(&before, &now));
	pods[0] = prefix("10.244.7.0/25");
	assert_int_equal(fl_detect_init(&input, &now, NULL), 0);
	assert_false(fl_detect_equal(&before, &now));
}

static void test_5_2_interfaces(void **state)
{
	struct fl_detect_input input = {.mode = FL_DETECT_BRIDGE_INTERFACE, .interface = "cni0"};
	struct fl_detect detect;
	struct fl_err err;

	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	assert_true(detect.on[FL_IPV4] && detect.on[FL_IPV6]);
	assert_string_equal(detect.interface, "cni0");
	input.mode = FL_DETECT_INTERFACE_NAME_PREFIX;
	assert_int_equal(fl_detect_init(&input, &detect, NULL), 0);
	assert_string_equal(detect.interface, "cni0");

	input.interface = NULL;
	assert_int_equal(fl_detect_init(&input, &detect, &err), -EINVAL);
	assert_non_null(strstr(err.text, "InterfaceNamePrefix"));
	input.interface = "a-name-of-16-chr";
	assert_int_equal(fl_detect_init(&input, &detect, &err), -EINVAL);
	assert_non_null(strstr(err.text, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_those_of_the_abi),
		cmocka_unit_test(test_5_3_with_detector),
		cmocka_unit_test(test_5_3_1_masquerade_all),
		cmocka_unit_test(test_5_3_2_without_detector),
		cmocka_unit_test(test_masquerade_all_needs_no_detector),
		cmocka_unit_test(test_5_4_lists_and_verdicts_by_side),
		cmocka_unit_test(test_5_2_mode_names),
		cmocka_unit_test(test_5_2_first_cidr_of_each_family),
		cmocka_unit_test(test_5_2_node_cidr),
		cmocka_unit_test(test_10_13_other_pods),
		cmocka_unit_test(test_5_2_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
