/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who has a frontend that several service ports claim (rule 2.21), and the words for it. */
#include "tests/unit/model/fixture.h"

#include "lb/model/conflict.h"
#include "lb/model/plan_store.h"

static int setup(void **state)
{
	return fl_store_new("node-1", (struct fl_store **)state);
}

static int teardown(void **state)
{
	fl_store_free((struct fl_store **)state);
	return 0;
}

static void put(struct fl_store *store, struct fl_service *service, int64_t created)
{
	struct fl_object object = {FL_KIND_SERVICE, {.service = service}};

	service->created = created;
	assert_int_equal(fl_store_put(store, &object), 0);
}

static void add_line(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *text = fl_conflict_text(conflict);
	char *lines = arg;

	assert_non_null(text);
	assert_true(strlen(lines) + strlen(text) + 2 < 4096);
	strcat(strcat(lines, text), "\n");
}

static void expect_conflicts(const struct fl_store *store, bool no_external_ips,
			     const char *expected)
{
	struct fl_plan_options options = fl_plan_options_of(store);
	char lines[4096] = "";

	options.no_external_ips = no_external_ips;
	assert_int_equal(fl_conflict_each(store, &options, add_line, lines), 0);
	assert_string_equal(lines, expected);
}

static struct fl_service *with_external_ip(const char *name, const char *cluster_ip,
					   const char *external_ip)
{
	struct fl_service *service = service_named("default", name, cluster_ip);

	add_port(service, "http", IPPROTO_TCP, 80, 0);
	add_external_ip(service, external_ip);
	return service;
}

static void test_2_21_oldest_then_namespace_name_and_port(void **state)
{
	static const struct fl_claimant order[] = {
		{"z", "z", "z", 1}, {"a", "y", "z", 2}, {"b", "x", "z", 2},
		{"b", "y", "a", 2}, {"b", "y", "b", 2},
	};
	const size_t n = sizeof(order) / sizeof(order[0]);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			int rc = fl_claimant_cmp(&order[i], &order[k]);

			if ((rc > 0) - (rc < 0) != (i > k) - (i < k))
				fail_msg("%zu against %zu gives %d", i, k, rc);
		}
	}
}

static void test_nothing_without_a_conflict(void **state)
{
	expect_conflicts(*state, false, "");
	put(*state, with_external_ip("a", "10.96.0.1", "192.0.2.7"), 0);
	put(*state, with_external_ip("b", "10.96.0.2", "192.0.2.8"), 0);
	expect_conflicts(*state, false, "");
}

static void test_2_21_between_services(void **state)
{
	put(*state, with_external_ip("a", "10.96.0.1", "192.0.2.7"), 300);
	put(*state, with_external_ip("b", "10.96.0.2", "192.0.2.7"), 100);
	put(*state, with_external_ip("c", "10.96.0.3", "192.0.2.7"), 200);
	/* another one's cluster IP */
	put(*state, with_external_ip("d", "10.96.0.4", "10.96.0.1"), 400);
	expect_conflicts(*state, false,
			 "TCP 10.96.0.1:80 belongs to default/a:http, default/d:http wants it too\n"
			 "TCP 192.0.2.7:80 belongs to default/b:http, default/c:http wants it too\n"
			 "TCP 192.0.2.7:80 belongs to default/b:http, default/a:http wants it "
			 "too\n");
	expect_conflicts(*state, true, "");
}

static void test_2_21_node_ports_by_protocol_and_family(void **state)
{
	struct fl_service *both = service_named("default", "both", "10.96.0.1"),
			  *second = service_named("default", "second", "10.96.0.2");

	add_second_family(both, "fd00:96::1");
	add_port(both, "", IPPROTO_TCP, 80, 30200);
	add_second_family(second, "fd00:96::2");
	add_port(second, "tcp", IPPROTO_TCP, 80, 30200);
	add_port(second, "udp", IPPROTO_UDP, 80, 30200);
	put(*state, both, 0);
	put(*state, second, 0);
	expect_conflicts(
		*state, false,
		"TCP *:30200 (IPv6) belongs to default/both, default/second:tcp wants it too\n"
		"TCP *:30200 (IPv4) belongs to default/both, default/second:tcp wants it too\n");
}

/* The earlier port has it, whatever the names; and where both lose, the one who has it is named. */
static void test_2_21_inside_one_service(void **state)
{
	struct fl_service *web = service_named("default", "web", "10.96.0.1");

	add_port(web, "z", IPPROTO_TCP, 80, 30080);
	add_port(web, "a", IPPROTO_TCP, 80, 30081);
	add_port(web, "b", IPPROTO_TCP, 81, 30080);
	put(*state, web, 200);
	expect_conflicts(*state, false,
			 "TCP *:30080 (IPv4) belongs to default/web:z, default/web:b wants it too\n"
			 "TCP 10.96.0.1:80 belongs to default/web:z, default/web:a wants it too\n");
	put(*state, with_external_ip("older", "10.96.0.2", "10.96.0.1"), 100);
	expect_conflicts(
		*state, false,
		"TCP *:30080 (IPv4) belongs to default/web:z, default/web:b wants it too\n"
		"TCP 10.96.0.1:80 belongs to default/older:http, default/web:z wants it too\n"
		"TCP 10.96.0.1:80 belongs to default/older:http, default/web:a wants it too\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_2_21_oldest_then_namespace_name_and_port),
		TEST(test_nothing_without_a_conflict),
		TEST(test_2_21_between_services),
		TEST(test_2_21_node_ports_by_protocol_and_family),
		TEST(test_2_21_inside_one_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
