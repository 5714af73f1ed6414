/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the store holds, and which Services a change marks (rules 1.16, 4.3, 4.4, 4.12, 10.12). */
#include "tests/unit/model/fixture.h"

#include "lb/model/nodes.h"

#include "lb/model/plan_store.h"

static int setup(void **state)
{
	return fl_store_new("node-1", (struct fl_store **)state);
}

static int teardown(void **state)
{
	fl_store_free((struct fl_store **)state);
	assert_null(*state);
	return 0;
}

static void put_service(struct fl_store *store, struct fl_service *service)
{
	struct fl_object object = {FL_KIND_SERVICE, {.service = service}};

	assert_int_equal(fl_store_put(store, &object), 0);
	assert_null(object.service);
}

static void put_slice(struct fl_store *store, struct fl_slice *slice)
{
	struct fl_object object = {FL_KIND_SLICE, {.slice = slice}};

	assert_int_equal(fl_store_put(store, &object), 0);
	assert_null(object.slice);
}

static void put_node(struct fl_store *store, const char *name, const char *zone,
		     const char *address)
{
	struct fl_node *node = calloc(1, sizeof(*node));
	struct fl_object object = {FL_KIND_NODE, {.node = node}};

	node->name = strdup(name);
	node->zone = strdup(zone);
	if (address) {
		struct fl_ip value = ip(address);

		*GROW(node->addresses, node->n_addresses) = value;
	}
	assert_int_equal(fl_store_put(store, &object), 0);
}

/* Take everything marked: "ns/name ns/name". */
static void expect_dirty(struct fl_store *store, const char *expected)
{
	struct fl_service_key key;
	char text[512] = "";
	size_t len = 0, n = fl_store_dirty_count(store);

	while (fl_store_take_dirty(store, &key)) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s/%s", len ? " " : "",
					key.ns, key.name);
		n--;
	}
	assert_string_equal(text, expected);
	assert_int_equal(n, 0);
	assert_int_equal(fl_store_dirty_count(store), 0);
}

static size_t n_slices(struct fl_store *store, const char *name)
{
	size_t n = 99;
	const struct fl_slice *const *slices = fl_store_slices(store, "default", name, &n);

	assert_int_equal(!slices, !n);
	return n;
}

static void test_1_16_equal_service_marks_nothing(void **state)
{
	struct fl_store *store = *state;

	put_service(store, service_web(0));
	expect_dirty(store, "default/web");
	put_service(store, service_web(0));
	expect_dirty(store, "");
	put_service(store, service_web(30080));
	expect_dirty(store, "default/web");
	assert_int_equal(fl_store_service(store, "default", "web")->ports[0].node_port, 30080);
	assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), 1);
}

static void test_4_12_equal_slice_marks_nothing(void **state)
{
	struct fl_store *store = *state;
	struct fl_slice *newer;
	size_t n;

	put_service(store, service_web(0));
	put_slice(store, slice_web("a", 80, "10.1.1.1 rs-"));
	expect_dirty(store, "default/web");
	newer = slice_web("a", 80, "10.1.1.1 rs-");
	newer->version = 7;
	put_slice(store, newer);
	expect_dirty(store, "");
	assert_int_equal(fl_store_slices(store, "default", "web", &n)[0]->version, 7);
	put_slice(store, slice_web("a", 80, "10.1.1.1 ---"));
	expect_dirty(store, "default/web");
	assert_int_equal(n_slices(store, "web"), 1);
	assert_int_equal(fl_store_count(store, FL_KIND_SLICE), 1);
}

static void test_marks_are_taken_once_and_in_order(void **state)
{
	struct fl_store *store = *state;

	put_service(store, service_named("z", "first", "10.96.0.1"));
	put_service(store, service_named("a", "second", "10.96.0.2"));
	put_service(store, service_web(0));
	put_slice(store, slice_web("a", 80, ""));
	put_service(store, service_named("z", "first", "10.96.0.3"));
	assert_int_equal(fl_store_dirty_count(store), 3);
	expect_dirty(store, "z/first a/second default/web");
}

static void test_4_4_slices_before_their_service(void **state)
{
	struct fl_store *store = *state;
	struct fl_plan_options options;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};

	put_slice(store, slice_web("a", 80, "10.1.1.1 rs-"));
	put_slice(store, slice_web("b", 80, "10.1.1.2 rs-"));
	expect_dirty(store, "");
	assert_int_equal(n_slices(store, "web"), 2);
	assert_null(fl_store_service(store, "default", "web"));
	put_service(store, service_web(0));
	expect_dirty(store, "default/web");
	options = fl_plan_options_of(store);
	assert_int_equal(fl_plan_stored(store, "default", "web", &options, &plan), 0);
	expect_list("both slices", &plan.ports[0], FL_PLAN_IN_CLUSTER, "10.1.1.1:80 10.1.1.2:80");
}

static void test_4_4_service_deleted_and_created_again(void **state)
{
	struct fl_store *store = *state;

	put_service(store, service_web(0));
	put_slice(store, slice_web("a", 80, "10.1.1.1 rs-"));
	expect_dirty(store, "default/web");
	fl_store_del(store, FL_KIND_SERVICE, "default", "web");
	assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), 0);
	expect_dirty(store, "default/web");
	assert_int_equal(n_slices(store, "web"), 1);
	put_service(store, service_web(0));
	expect_dirty(store, "default/web");
	assert_int_equal(n_slices(store, "web"), 1);
}

static void test_4_3_slice_deleted(void **state)
{
	struct fl_store *store = *state;

	put_service(store, service_web(0));
	put_slice(store, slice_web("a", 80, "10.1.1.1 rs-"));
	put_slice(store, slice_web("b", 80, "10.1.1.2 rs-"));
	put_slice(store, slice_web("c", 80, "10.1.1.3 rs-"));
	expect_dirty(store, "default/web");
	fl_store_del(store, FL_KIND_SLICE, "default", "b");
	expect_dirty(store, "default/web");
	assert_int_equal(n_slices(store, "web"), 2);
	fl_store_del(store, FL_KIND_SLICE, "default", "b");
	expect_dirty(store, "");
	fl_store_del(store, FL_KIND_SLICE, "default", "a");
	fl_store_del(store, FL_KIND_SLICE, "default", "c");
	assert_int_equal(n_slices(store, "web"), 0);
	assert_int_equal(fl_store_count(store, FL_KIND_SLICE), 0);
}

static void test_4_1_slice_changes_its_service(void **state)
{
	struct fl_store *store = *state;
	struct fl_slice *moved = slice_web("a", 80, "10.1.1.1 rs-"),
			*lost = slice_web("a", 80, "10.1.1.1 rs-");

	free(moved->service);
	moved->service = strdup("api");
	free(lost->service);
	lost->service = strdup("");
	put_service(store, service_web(0));
	put_service(store, service_named("default", "api", "10.96.0.11"));
	put_slice(store, slice_web("a", 80, "10.1.1.1 rs-"));
	expect_dirty(store, "default/web default/api");
	put_slice(store, moved);
	expect_dirty(store, "default/web default/api");
	assert_int_equal(n_slices(store, "web"), 0);
	assert_int_equal(n_slices(store, "api"), 1);
	put_slice(store, lost);
	expect_dirty(store, "default/api");
	assert_int_equal(fl_store_count(store, FL_KIND_SLICE), 0);
}

static void test_slices_are_found_in_their_own_namespace(void **state)
{
	struct fl_store *store = *state;
	struct fl_slice *slice = slice_web("a", 80, "10.1.1.1 rs-");

	free(slice->ns);
	slice->ns = strdup("other");
	put_service(store, service_web(0));
	expect_dirty(store, "default/web");
	put_slice(store, slice);
	expect_dirty(store, "");
	assert_int_equal(n_slices(store, "web"), 0);
}

static void test_10_12_zone_change_marks_every_service(void **state)
{
	struct fl_store *store = *state;

	put_service(store, service_web(0));
	put_service(store, service_named("default", "api", "10.96.0.11"));
	put_slice(store, slice_named("orphan", "nobody", FL_IPV4));
	expect_dirty(store, "default/web default/api");
	put_node(store, "node-2", "zone-b", NULL); /* not ours */
	assert_null(fl_store_node(store));
	expect_dirty(store, "");
	put_node(store, "node-1", "", NULL); /* says no more than a missing Node */
	expect_dirty(store, "");
	put_node(store, "node-1", "zone-a", NULL);
	expect_dirty(store, "default/web default/api");
	assert_string_equal(fl_plan_options_of(store).zone, "zone-a");
	put_node(store, "node-1", "zone-a", NULL);
	expect_dirty(store, "");
	put_node(store, "node-1", "zone-a",
		 "192.168.0.2"); /* rule 5.6.5: ranges look at the node's addresses */
	expect_dirty(store, "default/web default/api");
	assert_int_equal(fl_store_count(store, FL_KIND_NODE), 2);
	fl_store_del(store, FL_KIND_NODE, "", "node-2");
	expect_dirty(store, "");
	assert_int_equal(fl_store_count(store, FL_KIND_NODE), 1);
	fl_store_del(store, FL_KIND_NODE, "", "node-1");
	expect_dirty(store, "default/web default/api");
	assert_int_equal(fl_store_count(store, FL_KIND_NODE), 0);
	assert_string_equal(fl_plan_options_of(store).zone, "");
}

/* DSR by Geneve: plans name the nodes of endpoints. */
static void test_other_nodes_mark_services_where_plans_name_them(void **state)
{
	struct fl_store *store = *state;
	const struct fl_nodes *nodes;

	put_service(store, service_web(0));
	put_node(store, "node-2", "zone-b", "192.168.0.2");
	expect_dirty(store, "default/web");
	put_node(store, "node-2", "zone-b", "192.168.0.3");
	expect_dirty(store, "");
	nodes = fl_store_nodes(store);
	put_node(store, "node-2", "zone-c", "192.168.0.3");
	expect_dirty(store, "");
	assert_true(fl_ip_equal(fl_nodes_address(nodes, "node-2", FL_IPV4),
				&(struct fl_ip){.b = {[10] = 255, 255, 192, 168, 0, 3}}));
	assert_null(fl_nodes_address(nodes, "node-2", FL_IPV6));
	assert_null(fl_nodes_address(nodes, "node-3", FL_IPV4));
	put_node(store, "node-2", "zone-c", "192.168.0.4");
	expect_dirty(store, "default/web");
	put_node(store, "node-3", "zone-c", "192.168.0.5");
	expect_dirty(store, "default/web");
	fl_store_del(store, FL_KIND_NODE, "", "node-2");
	expect_dirty(store, "default/web");
	assert_null(fl_nodes_address(nodes, "node-2", FL_IPV4));
}

/* The addresses of all Nodes: "A B". `news`: there may be others since the last call. */
static void expect_addresses(struct fl_store *store, bool news, const char *expected)
{
	static uint64_t seen;
	const uint64_t changes = fl_store_changes(store, FL_KIND_NODE);
	const struct fl_ip *list;
	char text[200] = "", one[FL_IP_STRLEN];
	size_t n;

	assert_int_equal(fl_store_node_addresses(store, &list, &n), 0);
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 fl_ip_format(&list[i], one));
	assert_string_equal(text, expected);
	assert_int_equal(changes != seen, news);
	seen = changes;
}

/* Of other Nodes the addresses are known, and change nothing of what is planned. */
static void test_addresses_of_all_nodes(void **state)
{
	struct fl_store *store = *state;
	struct fl_object taken;

	put_service(store, service_web(0));
	expect_dirty(store, "default/web");
	expect_addresses(store, false, "");
	put_node(store, "node-3", "zone-b", "192.168.0.3");
	put_node(store, "node-2", "zone-b", "192.168.0.2");
	expect_addresses(store, true, "192.168.0.2 192.168.0.3");
	expect_dirty(store, "");
	put_node(store, "node-1", "", "192.168.0.1");
	expect_dirty(store, "default/web");
	expect_addresses(store, true, "192.168.0.1 192.168.0.2 192.168.0.3");
	put_node(store, "node-1", "", "192.168.0.1");
	put_node(store, "node-2", "zone-b", "192.168.0.2");
	expect_addresses(store, false, "192.168.0.1 192.168.0.2 192.168.0.3");
	/* two may have one, as while an address moves */
	put_node(store, "node-2", "zone-b", "192.168.0.3");
	expect_addresses(store, true, "192.168.0.1 192.168.0.3");
	fl_store_del(store, FL_KIND_NODE, "", "node-3");
	expect_addresses(store, true, "192.168.0.1 192.168.0.3");
	put_node(store, "node-1", "", "192.168.0.9");
	expect_addresses(store, true, "192.168.0.3 192.168.0.9");
	assert_string_equal(fl_store_node_named(store, "node-1")->name, "node-1");
	assert_null(fl_store_node_named(store, "node-3"));
	taken = fl_store_take(store, FL_KIND_NODE, "", "node-2");
	assert_string_equal(taken.node->name, "node-2");
	assert_int_equal(fl_store_put(store, &taken), 0);
	expect_addresses(store, true, "192.168.0.3 192.168.0.9");
	fl_store_del(store, FL_KIND_NODE, "", "node-1");
	fl_store_del(store, FL_KIND_NODE, "", "node-2");
	expect_addresses(store, true, "");
	assert_int_equal(fl_store_count(store, FL_KIND_NODE), 0);
}

/* The key stays good while the taker looks things up, also that of a Service which is gone. */
static void test_taken_key_of_a_deleted_service(void **state)
{
	struct fl_store *store = *state;
	struct fl_service_key key;

	put_service(store, service_web(0));
	fl_store_del(store, FL_KIND_SERVICE, "default", "web");
	assert_true(fl_store_take_dirty(store, &key));
	assert_null(fl_store_service(store, key.ns, key.name));
	assert_string_equal(key.name, "web");
	fl_store_del(store, FL_KIND_SERVICE, key.ns, key.name);
	assert_false(fl_store_take_dirty(store, &key));
	fl_store_mark_all(store);
	assert_int_equal(fl_store_dirty_count(store), 0);

	/* the record's last slice goes while its name is lent out */
	put_service(store, service_web(0));
	put_slice(store, slice_web("a", 80, ""));
	fl_store_del(store, FL_KIND_SERVICE, "default", "web");
	assert_true(fl_store_take_dirty(store, &key));
	fl_store_del(store, FL_KIND_SLICE, key.ns, "a");
	assert_int_equal(n_slices(store, "web"), 0);
	expect_dirty(store, "");
	put_service(store, service_web(0));
	expect_dirty(store, "default/web");
}

static void test_unknown_names_are_no_error(void **state)
{
	struct fl_store *store = *state;

	fl_store_del(store, FL_KIND_SERVICE, "default", "x");
	fl_store_del(store, FL_KIND_SLICE, "default", "x");
	fl_store_del(store, FL_KIND_NODE, "", "x");
	expect_dirty(store, "");
	assert_int_equal(n_slices(store, "x"), 0);
	assert_string_equal(fl_store_node_name(store), "node-1");
}

static int append(const struct fl_service *service, void *arg)
{
	char *text = arg;

	snprintf(text + strlen(text), 64, "%s/%s ", service->ns, service->name);
	return strcmp(service->name, "stop") ? 0 : 7;
}

static void test_each_service_is_sorted_and_stops(void **state)
{
	struct fl_store *store = *state;
	char text[512] = "";

	put_service(store, service_named("b", "a", "10.96.0.1"));
	put_service(store, service_named("a", "b", "10.96.0.2"));
	put_service(store, service_named("a", "a", "10.96.0.3"));
	put_slice(store, slice_web("orphan", 80, ""));
	assert_int_equal(fl_store_each_service(store, append, text), 0);
	assert_string_equal(text, "a/a a/b b/a ");
	put_service(store, service_named("a", "stop", "10.96.0.4"));
	text[0] = '\0';
	assert_int_equal(fl_store_each_service(store, append, text), 7);
	assert_string_equal(text, "a/a a/b a/stop ");
}

/* Enough names to grow the tables, and all of them away again. */
static void test_many_services_come_and_go(void **state)
{
	struct fl_store *store = *state;
	enum { MANY = 2000 };
	struct fl_service_key key;
	char name[32];
	size_t taken = 0;

	for (int i = 0; i < MANY; i++) {
		struct fl_slice *slice;

		snprintf(name, sizeof(name), "s%d", i);
		put_service(store, service_named("default", name, "10.96.0.10"));
		slice = slice_named(name, name, FL_IPV4);
		put_slice(store, slice);
	}
	assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), MANY);
	while (fl_store_take_dirty(store, &key))
		taken++;
	assert_int_equal(taken, MANY);
	fl_store_mark_all(store);
	assert_int_equal(fl_store_dirty_count(store), MANY);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(n_slices(store, name), 1);
		fl_store_del(store, i % 2 ? FL_KIND_SERVICE : FL_KIND_SLICE, "default", name);
		fl_store_del(store, i % 2 ? FL_KIND_SLICE : FL_KIND_SERVICE, "default", name);
	}
	for (taken = 0; fl_store_take_dirty(store, &key); taken++)
		assert_null(fl_store_service(store, key.ns, key.name));
	assert_int_equal(taken, MANY);
	assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), 0);
	assert_int_equal(fl_store_count(store, FL_KIND_SLICE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct triggers {
	size_t n[FL_FAMILIES];
	int64_t last;
};

static void count_trigger(enum fl_family family, int64_t unix_ns, void *arg)
{
	struct triggers *triggers = arg;

	triggers->n[family]++;
	triggers->last = unix_ns;
}

static struct fl_slice *triggered(const char *name, const char *address, int64_t unix_ns)
{
	struct fl_slice *slice = slice_web(name, 80, address);

	slice->trigger_unix_ns = unix_ns;
	return slice;
}

/* 8.1: what changed the endpoints is measured once per Service and time; 4.12: nothing else is. */
static void test_8_1_triggers_of_changes(void **state)
{
	struct fl_store *store = *state;
	struct triggers t = {0};
	struct fl_slice *v6 = slice_named("c", "web", FL_IPV6);

	put_slice(store, triggered("a", "10.1.0.1 rs-", 5));
	put_slice(store, triggered("b", "10.1.0.2 rs-", 5));
	v6->trigger_unix_ns = 5;
	put_slice(store, v6);
	put_slice(store, slice_web("d", 80, "10.1.0.4 rs-")); /* nothing said when */
	fl_store_take_triggers(store, count_trigger, &t);
	assert_int_equal(t.n[FL_IPV4], 1);
	assert_int_equal(t.n[FL_IPV6], 1);
	assert_int_equal(t.last, 5);
	/* the same endpoints at another time are no change */
	put_slice(store, triggered("a", "10.1.0.1 rs-", 6));
	fl_store_take_triggers(store, count_trigger, &t);
	assert_int_equal(t.n[FL_IPV4], 1);
	put_slice(store, triggered("a", "10.1.0.9 rs-", 7));
	fl_store_take_triggers(store, count_trigger, &t);
	assert_int_equal(t.n[FL_IPV4], 2);
	assert_int_equal(t.last, 7);
}

/* 8: changes that were seen, of which those that change nothing are none */
static void test_8_changes_are_counted(void **state)
{
	struct fl_store *store = *state;

	put_service(store, service_web(0));
	put_service(store, service_web(0));
	put_service(store, service_web(30080));
	assert_int_equal(fl_store_changes(store, FL_KIND_SERVICE), 2);
	put_slice(store, slice_web("a", 80, "10.1.0.1 rs-"));
	put_slice(store, slice_web("a", 80, "10.1.0.1 rs-"));
	assert_int_equal(fl_store_changes(store, FL_KIND_SLICE), 1);
	fl_store_del(store, FL_KIND_SLICE, "default", "a");
	fl_store_del(store, FL_KIND_SLICE, "default", "a");
	fl_store_del(store, FL_KIND_SERVICE, "default", "web");
	assert_int_equal(fl_store_changes(store, FL_KIND_SLICE), 2);
	assert_int_equal(fl_store_changes(store, FL_KIND_SERVICE), 3);
}

static void put_slice_on(struct fl_store *store, const char *service, const char *node)
{
	struct fl_slice *slice = slice_named("a", service, FL_IPV4);

	add_slice_port(slice, "http", IPPROTO_TCP, 80);
	add_endpoints(slice, "10.1.0.1 rs- nowhere;10.1.0.2 rs- local", node);
	put_slice(store, slice);
}

/* For the warning that no endpoint has this node's name. */
static void test_slices_on_nodes_are_counted(void **state)
{
	static const struct {
		const char *service, *node;
		size_t any, ours;
	} rows[] = {
		{"web", "node-2", 1, 0}, {"web", "node-1", 1, 1}, {"web", "", 0, 0},
		{"web", "node-1", 1, 1}, {"wbe", "node-2", 1, 0}, {"", "node-2", 0, 0},
		{"wbe", "node-1", 1, 1},
	};
	struct fl_store *store = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_slice_on(store, rows[i].service, rows[i].node);
		assert_int_equal(fl_store_count_named(store, false), rows[i].any);
		assert_int_equal(fl_store_count_named(store, true), rows[i].ours);
	}
	fl_store_del(store, FL_KIND_SLICE, "default", "a");
	assert_int_equal(fl_store_count_named(store, false), 0);
	assert_int_equal(fl_store_count_named(store, true), 0);
}

static int append_name(const char *ns, const char *name, const struct fl_slice *const *slices,
		       size_t n, void *arg)
{
	char *text = arg;

	snprintf(text + strlen(text), 64, "%s/%s %s %zu;", ns, name, slices[0]->name, n);
	return 0;
}

static void test_slices_without_a_service_are_found(void **state)
{
	struct fl_store *store = *state;
	char text[200] = "";

	put_service(store, service_web(0));
	put_slice_on(store, "web", "node-1");
	assert_int_equal(fl_store_each_unserved(store, append_name, text), 0);
	assert_string_equal(text, "");
	put_slice_on(store, "wbe", "node-1");
	assert_int_equal(fl_store_each_unserved(store, append_name, text), 0);
	assert_string_equal(text, "default/wbe a 1;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_1_16_equal_service_marks_nothing),
		TEST(test_4_12_equal_slice_marks_nothing),
		TEST(test_marks_are_taken_once_and_in_order),
		TEST(test_4_4_slices_before_their_service),
		TEST(test_4_4_service_deleted_and_created_again),
		TEST(test_4_3_slice_deleted),
		TEST(test_4_1_slice_changes_its_service),
		TEST(test_slices_are_found_in_their_own_namespace),
		TEST(test_10_12_zone_change_marks_every_service),
		TEST(test_addresses_of_all_nodes),
		TEST(test_other_nodes_mark_services_where_plans_name_them),
		TEST(test_taken_key_of_a_deleted_service),
		TEST(test_unknown_names_are_no_error),
		TEST(test_each_service_is_sorted_and_stops),
		TEST(test_many_services_come_and_go),
		TEST(test_8_1_triggers_of_changes),
		TEST(test_8_changes_are_counted),
		TEST(test_slices_on_nodes_are_counted),
		TEST(test_slices_without_a_service_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
