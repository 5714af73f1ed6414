/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Batches of Services into maps that are no kernel's: what fails is a condition and is tried again,
 * and nothing of an earlier agent is removed before everything is read (10.3: no kind's absence
 * counts before it is fully listed).
 */
#include "tests/unit/sync/sync_fixture.h"

#include "lb/agent/apply.h"
#include "lb/agent/sync_health.h"
#include "tests/unit/agent/health_fixture.h"

struct scene {
	struct fake *fake;
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_store *store;
	struct fl_plan_options options;
	struct fl_applier *applier;
};

/* A planner that fails as often as it is told to */

static unsigned int planner_fails;

static int plan_or_fail(const struct fl_store *store, const char *ns, const char *name,
			const struct fl_plan_options *options, struct fl_plan *ret_plan)
{
	if (planner_fails) {
		planner_fails--;
		return -ENOMEM;
	}
	return fl_plan_stored(store, ns, name, options, ret_plan);
}

/* Objects */

static struct fl_ip ip_of(const char *text)
{
	struct fl_ip ip;

	assert_int_equal(fl_ip_parse(text, &ip), 0);
	return ip;
}

/* A Service default/NAME at this address, port 80. */
static void put_service(struct scene *s, const char *name, const char *cluster_ip)
{
	struct fl_service *service = calloc(1, sizeof(*service));
	struct fl_object object = {.kind = FL_KIND_SERVICE, .service = service};

	service->ns = strdup("default");
	service->name = strdup(name);
	service->has_cluster_ip[FL_IPV4] = true;
	service->cluster_ip[FL_IPV4] = ip_of(cluster_ip);
	service->ports = calloc(1, sizeof(*service->ports));
	service->n_ports = 1;
	service->ports[0] = (struct fl_service_port){strdup("http"), IPPROTO_TCP, 80, 0};
	assert_int_equal(fl_store_put(s->store, &object), 0);
}

/* Its one endpoint, with a port of that name. */
static void put_slice_with(struct scene *s, const char *service, const char *address,
			   const char *port)
{
	struct fl_slice *slice = calloc(1, sizeof(*slice));
	struct fl_object object = {.kind = FL_KIND_SLICE, .slice = slice};

	slice->ns = strdup("default");
	slice->name = strdup(service);
	slice->service = strdup(service);
	slice->family = FL_IPV4;
	slice->endpoints = calloc(1, sizeof(*slice->endpoints));
	slice->n_endpoints = 1;
	slice->endpoints[0].ip = ip_of(address);
	slice->endpoints[0].weight = FL_WEIGHT_DEFAULT;
	slice->endpoints[0].node_name = strdup("");
	slice->endpoints[0].ready = slice->endpoints[0].serving = true;
	slice->ports = calloc(1, sizeof(*slice->ports));
	slice->n_ports = 1;
	slice->ports[0] = (struct fl_slice_port){strdup(port), IPPROTO_TCP, 8080};
	assert_int_equal(fl_store_put(s->store, &object), 0);
}

static void put_slice(struct scene *s, const char *service, const char *address)
{
	put_slice_with(s, service, address, "http");
}

static void delete_service(struct scene *s, const char *name)
{
	fl_store_del(s->store, FL_KIND_SERVICE, "default", name);
}

static bool is_served(const struct scene *s, const char *ip)
{
	return fake_frontend(s->fake, ip, 80, IPPROTO_TCP);
}

static void start_in_steps(struct scene *s, bool adopted, size_t step)
{
	fl_applier_free(&s->applier);
	assert_int_equal(fl_applier_new(&(struct fl_applier_options){.store = s->store,
								     .plan_options = &s->options,
								     .sync = s->fake->sync,
								     .health = s->health,
								     .plan = plan_or_fail,
								     .adopted = adopted,
								     .step = step},
					&s->applier),
			 0);
}

static void start(struct scene *s, bool adopted)
{
	start_in_steps(s, adopted, 0);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	planner_fails = 0;
	fake_setup((void **)&s->fake);
	s->hands.ns = 1;
	s->health = health_with(&s->hands);
	assert_int_equal(fl_store_new("node-1", &s->store), 0);
	s->options = fl_plan_options_of(s->store);
	start(s, false);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	fl_applier_free(&s->applier);
	fl_store_free(&s->store);
	fl_health_free(&s->health);
	fake_teardown((void **)&s->fake);
	free(s);
	return 0;
}

static void test_a_marked_service_is_planned_and_written(void **state)
{
	struct scene *s = *state;

	put_service(s, "web", "10.96.0.10");
	put_slice(s, "web", "10.1.0.1");
	assert_int_equal(fl_applier_run(s->applier, true), 1);
	assert_true(is_served(s, "10.96.0.10"));
	assert_false(fl_applier_failed(s->applier));
	assert_int_equal(fl_applier_run(s->applier, true), 0);
}

static void test_a_service_that_cannot_be_planned_is_tried_again(void **state)
{
	struct scene *s = *state;

	put_service(s, "web", "10.96.0.10");
	planner_fails = 2;
	fl_applier_run(s->applier, true);
	assert_false(is_served(s, "10.96.0.10"));
	assert_true(fl_applier_failed(s->applier));
	assert_non_null(condition_text(s->health, FL_CONDITION_SYNC, "default/web"));
	assert_false(fl_health_is_good(s->health));

	/* not at every turn of the loop, but each time the slow timer says so */
	assert_int_equal(fl_applier_run(s->applier, true), 0);
	for (int i = 0; i < 2; i++) {
		fl_applier_retry(s->applier);
		assert_int_equal(fl_applier_run(s->applier, true), 1);
	}
	assert_true(is_served(s, "10.96.0.10"));
	assert_false(fl_applier_failed(s->applier));
	assert_true(fl_health_is_good(s->health));
}

static void test_a_removal_that_fails_is_tried_again(void **state)
{
	struct scene *s = *state;

	put_service(s, "web", "10.96.0.10");
	fl_applier_run(s->applier, true);
	delete_service(s, "web");
	planner_fails = 1;
	fl_applier_run(s->applier, true);
	assert_true(is_served(s, "10.96.0.10"));
	/* the store has forgotten the Service by the time it is tried again */
	put_service(s, "other", "10.96.0.11");
	fl_applier_run(s->applier, true);
	fl_applier_retry(s->applier);
	fl_applier_run(s->applier, true);
	assert_false(is_served(s, "10.96.0.10"));
	assert_true(is_served(s, "10.96.0.11"));
	assert_true(fl_health_is_good(s->health));
}

static void test_one_that_fails_does_not_hold_up_the_others(void **state)
{
	struct scene *s = *state;

	put_service(s, "a", "10.96.0.10");
	put_service(s, "b", "10.96.0.11");
	planner_fails = 1;
	fl_applier_run(s->applier, true);
	assert_int_equal(is_served(s, "10.96.0.10") + is_served(s, "10.96.0.11"), 1);
	fl_applier_retry(s->applier);
	fl_applier_run(s->applier, true);
	assert_int_equal(is_served(s, "10.96.0.10") + is_served(s, "10.96.0.11"), 2);
}

static void test_a_refused_write_is_named_and_tried_again(void **state)
{
	static const int refusals[] = {-E2BIG, -EPERM};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char name[8], address[16];

		snprintf(name, sizeof(name), "s%zu", i);
		snprintf(address, sizeof(address), "10.96.0.%zu", 20 + i);
		put_service(s, name, address);
		s->fake->refuse_at = 1;
		s->fake->refuse_with = refusals[i];
		fl_applier_run(s->applier, true);
		assert_false(is_served(s, address));
		assert_true(fl_applier_failed(s->applier));
		assert_non_null(
			strstr(condition_text(s->health, FL_CONDITION_SYNC, ""), "frontends"));
		assert_true(fl_health_has(s->health, FL_CONDITION_REFUSED));
		assert_false(fl_health_is_good(s->health));

		fl_applier_retry(s->applier);
		fl_applier_run(s->applier, true);
		assert_true(is_served(s, address));
		assert_false(fl_applier_failed(s->applier));
		assert_true(fl_health_is_good(s->health));
	}
}

/* B4: the lines of a Service that went are free after a second, not after the slow timer. */
static void test_what_did_not_fit_comes_in_with_the_upkeep(void **state)
{
	struct scene *s = *state;

	s->fake->maps.n_lines = 1 + 9; /* of one set */
	fake_restart(s->fake);
	start(s, false);
	put_service(s, "a", "10.96.0.10");
	put_slice(s, "a", "10.1.0.1");
	put_service(s, "b", "10.96.0.11");
	put_slice(s, "b", "10.1.0.2");
	fl_applier_run(s->applier, true);
	assert_int_equal(is_served(s, "10.96.0.10") + is_served(s, "10.96.0.11"), 1);
	assert_true(fl_health_has(s->health, FL_CONDITION_REFUSED));

	delete_service(s, is_served(s, "10.96.0.10") ? "a" : "b");
	fl_applier_run(s->applier, true);
	fl_applier_upkeep(s->applier, 1);
	assert_int_equal(is_served(s, "10.96.0.10") + is_served(s, "10.96.0.11"), 0);
	fl_applier_upkeep(s->applier, 1000000001);
	assert_int_equal(is_served(s, "10.96.0.10") + is_served(s, "10.96.0.11"), 1);
	assert_false(fl_health_has(s->health, FL_CONDITION_REFUSED));
	assert_true(fl_health_is_good(s->health));
}

static void test_settling_waits_until_everything_is_read(void **state)
{
	struct scene *s = *state;

	put_service(s, "old", "10.96.0.9");
	fl_applier_run(s->applier, true);
	delete_service(s, "old");
	/* another agent on the same maps, whose input is not complete yet */
	fake_restart(s->fake);
	fl_store_free(&s->store);
	assert_int_equal(fl_store_new("node-1", &s->store), 0);
	s->options = fl_plan_options_of(s->store);
	start(s, true);
	put_service(s, "web", "10.96.0.10");
	fl_applier_run(s->applier, false);
	assert_false(fl_applier_settled(s->applier));
	assert_true(is_served(s, "10.96.0.9"));
	assert_true(is_served(s, "10.96.0.10"));
	assert_non_null(condition_text(s->health, FL_CONDITION_INPUT, "complete"));

	fl_applier_run(s->applier, true);
	assert_true(fl_applier_settled(s->applier));
	assert_false(is_served(s, "10.96.0.9"));
	assert_true(is_served(s, "10.96.0.10"));
	assert_true(fl_health_is_good(s->health));
}

static void restart_with_nothing(struct scene *s)
{
	fake_restart(s->fake);
	fl_store_free(&s->store);
	assert_int_equal(fl_store_new("node-1", &s->store), 0);
	s->options = fl_plan_options_of(s->store);
	start(s, true);
}

static void keep(struct scene *s, const char *name, const struct fl_service *sketch)
{
	assert_true(fl_applier_keeps(s->applier));
	fl_applier_keep_begin(s->applier);
	if (name)
		fl_applier_keep(s->applier, "default", name, sketch);
	fl_applier_keep_end(s->applier);
	fl_applier_run(s->applier, true);
}

/* A Service that a restarted agent cannot read is served as it was, and all others settle. */
static void test_a_service_that_cannot_be_read_is_left_as_found(void **state)
{
	static const char address[] = "10.96.0.9";
	struct scene *s = *state;

	for (int fixed = 0; fixed < 2; fixed++) {
		char name[] = "bad", port_name[] = "http", ns[] = "default";
		struct fl_service_port port = {port_name, IPPROTO_TCP, 80, 0};
		struct fl_service sketch = {.ns = ns,
					    .name = name,
					    .type = FL_SERVICE_LOAD_BALANCER,
					    .has_cluster_ip = {[FL_IPV4] = true},
					    .cluster_ip = {[FL_IPV4] = ip_of(address)},
					    .ports = &port,
					    .n_ports = 1};

		put_service(s, "bad", address);
		put_slice(s, "bad", "10.1.0.1");
		put_service(s, "old", "10.96.0.8");
		fl_applier_run(s->applier, true);
		restart_with_nothing(s);
		put_service(s, "web", "10.96.0.10");
		put_slice(s, "bad", "10.1.0.1");
		keep(s, "bad", &sketch);
		assert_true(fl_applier_settled(s->applier));
		assert_false(is_served(s, "10.96.0.8"));
		assert_true(is_served(s, address));
		assert_true(is_served(s, "10.96.0.10"));
		keep(s, "bad", &sketch); /* at every turn */
		assert_true(is_served(s, address));

		/* it is read in the end, or goes from the files */
		if (fixed)
			put_service(s, "bad", "10.96.0.7");
		keep(s, NULL, NULL);
		assert_false(is_served(s, address));
		assert_int_equal(is_served(s, "10.96.0.7"), fixed);
		assert_false(fl_applier_keeps(s->applier));
		delete_service(s, "bad");
		delete_service(s, "web");
		fl_applier_run(s->applier, true);
		restart_with_nothing(s);
	}
}

/* Endpoints that cannot be read: the Service keeps those it was found with. */
static void test_endpoints_that_cannot_be_read_stay_as_found(void **state)
{
	struct scene *s = *state;

	put_service(s, "web", "10.96.0.10");
	put_slice(s, "web", "10.1.0.1");
	fl_applier_run(s->applier, true);
	assert_int_equal(fake_frontend(s->fake, "10.96.0.10", 80, IPPROTO_TCP)->verdict[0],
			 FL_VERDICT_FORWARD);
	restart_with_nothing(s);
	put_service(s, "web", "10.96.0.10");
	keep(s, "web", NULL);
	assert_true(fl_applier_settled(s->applier));
	assert_int_equal(fake_frontend(s->fake, "10.96.0.10", 80, IPPROTO_TCP)->verdict[0],
			 FL_VERDICT_FORWARD);
	keep(s, NULL, NULL);
	assert_int_equal(fake_frontend(s->fake, "10.96.0.10", 80, IPPROTO_TCP)->verdict[0],
			 FL_VERDICT_REJECT);
}

/* One that the maps never had is not waited for. */
static void test_nothing_is_kept_where_nothing_was_found(void **state)
{
	struct scene *s = *state;

	put_service(s, "other", "10.96.0.9");
	fl_applier_run(s->applier, true);
	restart_with_nothing(s);
	put_service(s, "web", "10.96.0.10");
	keep(s, "web", NULL);
	assert_true(is_served(s, "10.96.0.10"));
	assert_false(fl_applier_keeps(s->applier));
}

/* Maps that this agent made hold nothing that could be lost. */
static void test_new_maps_settle_at_once(void **state)
{
	struct scene *s = *state;

	fl_applier_run(s->applier, false);
	assert_true(fl_applier_settled(s->applier));
	assert_true(fl_health_is_good(s->health));
}

static void test_frontends_that_two_services_want_are_a_warning(void **state)
{
	struct scene *s = *state;

	put_service(s, "a", "10.96.0.10");
	put_service(s, "b", "10.96.0.10");
	fl_applier_run(s->applier, true);
	assert_true(fl_health_has(s->health, FL_CONDITION_CONFLICT));
	assert_true(fl_health_is_good(s->health));
	delete_service(s, "b");
	fl_applier_run(s->applier, true);
	assert_false(fl_health_has(s->health, FL_CONDITION_CONFLICT));
}

static void test_a_service_that_cannot_be_served_as_written_is_an_error(void **state)
{
	struct scene *s = *state;

	put_service(s, "web", "10.96.0.10");
	put_slice_with(s, "web", "10.1.0.1", "htpp");
	fl_applier_run(s->applier, true);
	assert_non_null(condition_text(s->health, FL_CONDITION_SERVICE, "default/web"));
	assert_false(fl_health_is_good(s->health));
	put_slice(s, "web", "10.1.0.1");
	fl_applier_run(s->applier, true);
	assert_true(fl_health_is_good(s->health));

	put_slice_with(s, "web", "10.1.0.1", "htpp");
	fl_applier_run(s->applier, true);
	assert_false(fl_health_is_good(s->health));
	delete_service(s, "web");
	fl_applier_run(s->applier, true);
	assert_true(fl_health_is_good(s->health));
}

static void on_difference(const char *difference, void *arg)
{
	++*(int *)arg;
}

static void test_differences_are_corrected_or_a_condition(void **state)
{
	struct scene *s = *state;
	int differences = 0;

	put_service(s, "web", "10.96.0.10");
	fl_applier_run(s->applier, true);
	assert_int_equal(fl_applier_drift(s->applier), -1);
	fl_applier_verify(s->applier, on_difference, &differences);
	assert_int_equal(differences, 0);
	assert_int_equal(fl_applier_drift(s->applier), 0);

	/* somebody else removes a frontend, and the map refuses to have it back */
	s->fake->map[FL_SYNC_FRONTENDS].n = 0;
	s->fake->map[FL_SYNC_FRONTENDS].max = 0;
	fl_applier_verify(s->applier, on_difference, &differences);
	assert_true(differences > 0);
	assert_true(fl_applier_failed(s->applier));
	assert_false(fl_health_is_good(s->health));

	s->fake->map[FL_SYNC_FRONTENDS].max = 512;
	fl_applier_retry(s->applier);
	assert_int_equal(fl_applier_drift(s->applier), 0);
	assert_true(is_served(s, "10.96.0.10"));
	assert_true(fl_health_is_good(s->health));
}

static void test_drift_that_stays_is_an_error(void **state)
{
	struct scene *s = *state;

	fl_sync_health_drift(2, "map frontends: full", s->health);
	assert_string_equal(condition_text(s->health, FL_CONDITION_DRIFT, ""),
			    "2 differences between what is wanted and what the maps hold: map "
			    "frontends: full");
	assert_false(fl_health_is_good(s->health));
	fl_sync_health_drift(-1, "", s->health);
	assert_true(fl_health_is_good(s->health));
}

/* Settings of a node with tens of thousands of Services change: each run takes some of them, each
 * Service as a whole, and what no Service asks for goes after the last one only. */
static void test_many_marked_services_are_taken_in_steps(void **state)
{
	struct scene *s = *state;
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	static const char *const ips[] = {"10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4",
					  "10.96.0.5"};

	put_service(s, "gone", "10.96.0.9");
	put_slice(s, "gone", "10.1.0.9");
	fl_applier_run(s->applier, true);
	restart_with_nothing(s);
	start_in_steps(s, true, 2);
	for (size_t i = 0; i < 5; i++) {
		put_service(s, names[i], ips[i]);
		put_slice(s, names[i], "10.1.0.1");
	}
	while (fl_applier_more(s->applier)) {
		size_t served = 0, n = fl_applier_run(s->applier, true);

		assert_in_range(n, 1, 2);
		for (size_t i = 0; i < 5; i++)
			served += is_served(s, ips[i]);
		assert_int_equal(fl_applier_pending(s->applier), fl_applier_more(s->applier));
		assert_int_equal(fl_applier_settled(s->applier), !fl_applier_more(s->applier));
		assert_int_equal(is_served(s, "10.96.0.9"), fl_applier_more(s->applier));
		assert_true(fl_applier_more(s->applier) || served == 5);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_marked_service_is_planned_and_written),
		TEST(test_a_service_that_cannot_be_planned_is_tried_again),
		TEST(test_a_removal_that_fails_is_tried_again),
		TEST(test_one_that_fails_does_not_hold_up_the_others),
		TEST(test_a_refused_write_is_named_and_tried_again),
		TEST(test_what_did_not_fit_comes_in_with_the_upkeep),
		TEST(test_settling_waits_until_everything_is_read),
		TEST(test_many_marked_services_are_taken_in_steps),
		TEST(test_a_service_that_cannot_be_read_is_left_as_found),
		TEST(test_endpoints_that_cannot_be_read_stay_as_found),
		TEST(test_nothing_is_kept_where_nothing_was_found),
		TEST(test_new_maps_settle_at_once),
		TEST(test_frontends_that_two_services_want_are_a_warning),
		TEST(test_a_service_that_cannot_be_served_as_written_is_an_error),
		TEST(test_differences_are_corrected_or_a_condition),
		TEST(test_drift_that_stays_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
