/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Section 4 of the behaviour rules: how slices become the endpoints of a service port. */
#include "tests/unit/model/fixture.h"

/* Plan default/web (ports http and p2) with up to three slices, and compare the cluster list of a
 * port. */
static void expect_cluster(const char *name, const struct fl_slice *const *slices, size_t n,
			   size_t port, const char *expected)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_port(service, "p2", IPPROTO_TCP, 81, 0);
	plan = plan_slices(service, slices, n);
	assert_int_equal(plan.n_ports, 2);
	expect_list(name, &plan.ports[port], FL_PLAN_IN_CLUSTER, expected);
}

static void test_4_17_same_ip_with_two_ports_is_two_endpoints(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a = slice_web("a", 80, "10.1.1.1 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *b = slice_web("b", 8080, "10.1.1.1 rs-");
	const struct fl_slice *slices[] = {a, b};

	expect_cluster("two slices", slices, 2, 0, "10.1.1.1:80 10.1.1.1:8080");
}

static void test_4_6_port_without_number_gives_no_endpoint(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a = slice_web("a", 0, "10.1.1.1 rs-");
	const struct fl_slice *slices[] = {a};

	expect_cluster("port 0", slices, 1, 0, "");
}

static void test_4_17_renamed_port_moves_all_endpoints(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a =
		slice_web("a", 80, "10.1.1.1 rs-; 10.1.1.2 rs-");
	const struct fl_slice *slices[] = {a};

	expect_cluster("before, http", slices, 1, 0, "10.1.1.1:80 10.1.1.2:80");
	expect_cluster("before, p2", slices, 1, 1, "");
	free(a->ports[0].name);
	a->ports[0].name = strdup("p2");
	expect_cluster("after, http", slices, 1, 0, "");
	expect_cluster("after, p2", slices, 1, 1, "10.1.1.1:80 10.1.1.2:80");
}

static void test_4_17_update_that_drops_one_address(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a =
		slice_web("a", 80, "10.1.1.1 rs-; 10.1.1.2 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *a2 = slice_web("a", 80, "10.1.1.2 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *b = slice_web("b", 80, "10.1.1.3 rs-");
	const struct fl_slice *before[] = {a, b}, *after[] = {a2, b};

	expect_cluster("before", before, 2, 0, "10.1.1.1:80 10.1.1.2:80 10.1.1.3:80");
	expect_cluster("after", after, 2, 0, "10.1.1.2:80 10.1.1.3:80");
}

static void test_4_2_slice_of_the_other_family_does_not_count(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a = slice_web("a", 80, "10.1.1.1 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *b = slice_named("b", "web", FL_IPV6);
	const struct fl_slice *slices[] = {a, b};

	add_slice_port(b, "http", IPPROTO_TCP, 80);
	add_endpoints(b, "fd00::1 rs-; 10.1.1.2 rs-",
		      "node-1"); /* the second contradicts its addressType */
	expect_cluster("IPv4", slices, 2, 0, "10.1.1.1:80");
}

static void test_1_9_joined_by_name_and_protocol(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a = slice_web("a", 80, "10.1.1.1 rs-");
	const struct fl_slice *slices[] = {a};

	add_slice_port(a, "http", IPPROTO_UDP, 53);
	add_slice_port(a, "http", IPPROTO_TCP, 8080);
	add_slice_port(a, "", IPPROTO_TCP, 9090);
	expect_cluster("http/TCP only", slices, 1, 0, "10.1.1.1:80 10.1.1.1:8080");
}

static void test_4_9_sorted_by_text(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a = slice_web(
		"a", 80, "10.0.0.9 rs-; 10.0.0.10 rs-; 9.0.0.1 rs-; 10.0.0.255 rs-; 100.0.0.1 rs-");
	const struct fl_slice *slices[] = {a};

	expect_cluster("order", slices, 1, 0,
		       "10.0.0.10:80 10.0.0.255:80 10.0.0.9:80 100.0.0.1:80 9.0.0.1:80");
}

/* 4.8, and its advice: not terminating, then ready, then newest; in either order of arrival. */
static void test_4_8_duplicates(void **state)
{
	static const struct {
		const char *name, *winner, *loser;
		uint64_t winner_version, loser_version;
	} rows[] = {
		{"ready beats terminating", "10.1.1.1 rs- local", "10.1.1.1 -st", 1, 2},
		{"unready beats ready but terminating", "10.1.1.1 --- local", "10.1.1.1 rst", 1, 2},
		{"ready beats unready", "10.1.1.1 rs- local", "10.1.1.1 ---", 1, 2},
		{"serving beats not serving", "10.1.1.1 -s- local", "10.1.1.1 ---", 1, 2},
		{"newest of equals", "10.1.1.1 rs- local", "10.1.1.1 rs-", 9, 2},
		{"terminating: newest of equals", "10.1.1.1 -st local", "10.1.1.1 -st", 9, 2},
		{"the slice's name at last", "10.1.1.1 rs- local", "10.1.1.1 rs-", 2, 2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_service_free) struct fl_service *service = service_web(30080);
		_cleanup_(fl_slice_free) struct fl_slice *winner =
			slice_web("a", 80, rows[i].winner);
		_cleanup_(fl_slice_free) struct fl_slice *loser = slice_web("b", 80, rows[i].loser);
		const struct fl_slice *orders[2][2] = {{winner, loser}, {loser, winner}};
		const struct fl_endpoint *expected = &winner->endpoints[0];

		service->external_local = true;
		winner->version = rows[i].winner_version;
		loser->version = rows[i].loser_version;
		for (int order = 0; order < 2; order++) {
			_cleanup_(fl_plan_fini) struct fl_plan plan =
				plan_slices(service, orders[order], 2);
			const struct fl_plan_port *port = &plan.ports[0];
			bool used = expected->ready || (expected->serving && expected->terminating);

			expect_list(rows[i].name, port, FL_PLAN_IN_CLUSTER,
				    used ? "10.1.1.1:80" : "");
			expect_list(rows[i].name, port, FL_PLAN_IN_LOCAL,
				    used ? "10.1.1.1:80" : "");
			if (port->n_endpoints != (used || expected->serving) ||
			    port->has_any != used)
				fail_msg("%s: %zu endpoints, any %d", rows[i].name,
					 port->n_endpoints, port->has_any);
		}
	}
}

static void test_4_3_duplicates_within_one_slice_are_one(void **state)
{
	_cleanup_(fl_slice_free) struct fl_slice *a =
		slice_web("a", 80, "10.1.1.1 rs-; 10.1.1.1 -st; 10.1.1.1 rs-");
	const struct fl_slice *slices[] = {a, a};

	expect_cluster("same slice", slices, 2, 0, "10.1.1.1:80");
}

/* Addresses that must never be backends are left out even if the decoder let them through. */
static void test_addresses_that_are_no_backends_are_refused(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *a =
		slice_web("a", 80,
			  "127.0.0.1 rs-; 169.254.169.254 rs-; 224.0.0.1 rs-; 255.255.255.255 rs-; "
			  "0.0.0.0 rs-; 10.1.1.1 rs-");
	_cleanup_(fl_slice_free) struct fl_slice *b = slice_named("b", "web", FL_IPV6);
	const struct fl_slice *slices[] = {a, b};
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	add_second_family(service, "fd00:96::10");
	add_slice_port(b, "http", IPPROTO_TCP, 80);
	add_endpoints(b, "::1 rs-; fe80::1 rs-; ff02::1 rs-; :: rs-; fd00::1 rs-; 10.1.1.9 rs-",
		      "node-1");
	plan = plan_slices(service, slices, 2);
	assert_int_equal(plan.n_ports, 2);
	expect_list("IPv4", &plan.ports[0], FL_PLAN_IN_CLUSTER, "10.1.1.1:80");
	expect_list("IPv6", &plan.ports[1], FL_PLAN_IN_CLUSTER, "[fd00::1]:80");
}

/* An empty name matches no empty name: neither a node that is not named nor a zone that is not
 * known. */
static void test_4_10_and_3_4_5_empty_names_match_nothing(void **state)
{
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_slice_free) struct fl_slice *slice =
		slice_web("a", 80, "10.1.1.1 rs- nowhere Z=a; 10.1.1.2 rs- nowhere Z=b");
	const struct fl_slice *slices[] = {slice};
	struct fl_plan_options options = {.node_name = "", .zone = ""};
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	free(slice->endpoints[0].node_name);
	assert_int_equal(
		fl_endpoint_name(&slice->endpoints[0], "", (const char *[]){""}, 1, NULL, 0), 0);
	assert_int_equal(fl_plan_service(service, slices, 1, &options, &plan), 0);
	expect_list("empty zone", &plan.ports[0], FL_PLAN_IN_CLUSTER, "10.1.1.1:80 10.1.1.2:80");
	assert_int_equal(plan.ports[0].endpoints[0].flags & FL_PLAN_ON_NODE, 0);
}

/* Thousands of endpoints over many slices, each twice: one list, sorted, nothing lost. */
static void test_large_service(void **state)
{
	enum { SLICES = 40, PER_SLICE = 100 };
	_cleanup_(fl_service_free) struct fl_service *service = service_web(0);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	struct fl_slice *slices[SLICES];

	for (int i = 0; i < SLICES; i++) {
		slices[i] = slice_web("s", 80, "");
		for (int j = 0; j < PER_SLICE; j++) {
			char text[32];
			int n = i / 2 * PER_SLICE + j;

			snprintf(text, sizeof(text), "10.2.%d.%d rs-", n / 250, n % 250 + 1);
			add_endpoint(slices[i], text, "node-1");
		}
	}
	plan = plan_slices(service, (const struct fl_slice *const *)slices, SLICES);
	assert_int_equal(plan.ports[0].n_endpoints, SLICES / 2 * PER_SLICE);
	for (size_t i = 1; i < plan.ports[0].n_endpoints; i++) {
		char a[FL_IP_PORT_STRLEN], b[FL_IP_PORT_STRLEN];

		fl_ip_port_format(&plan.ports[0].endpoints[i - 1].ip, 80, a);
		fl_ip_port_format(&plan.ports[0].endpoints[i].ip, 80, b);
		assert_true(strcmp(a, b) < 0);
	}
	for (int i = 0; i < SLICES; i++)
		fl_slice_free(&slices[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_4_17_same_ip_with_two_ports_is_two_endpoints),
		cmocka_unit_test(test_4_6_port_without_number_gives_no_endpoint),
		cmocka_unit_test(test_4_17_renamed_port_moves_all_endpoints),
		cmocka_unit_test(test_4_17_update_that_drops_one_address),
		cmocka_unit_test(test_4_2_slice_of_the_other_family_does_not_count),
		cmocka_unit_test(test_1_9_joined_by_name_and_protocol),
		cmocka_unit_test(test_4_9_sorted_by_text),
		cmocka_unit_test(test_4_8_duplicates),
		cmocka_unit_test(test_4_3_duplicates_within_one_slice_are_one),
		cmocka_unit_test(test_addresses_that_are_no_backends_are_refused),
		cmocka_unit_test(test_4_10_and_3_4_5_empty_names_match_nothing),
		cmocka_unit_test(test_large_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
