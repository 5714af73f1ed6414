/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Documents made from maps, which are the truth: recorded in tests/golden/api, from where the CLI's
 * tests are served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "lb/api/api.h"
#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/health.h"
#include "lb/base/json_write.h"
#include "lb/model/drains.h"
#include "tests/golden/golden.h"
#include "tests/unit/api/map_fixture.h"

struct state {
	struct map_fixture f;
	struct fl_view view;
	struct fl_json *json;
	struct fl_health *health;
};

static struct fl_mono fixed_mono(void *arg)
{
	return (struct fl_mono){1000};
}

static int64_t fixed_unix_s(void *arg)
{
	return 1700000000;
}

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	fixture_maps(&s->f);
	fixture_view(&s->f, &s->view);
	s->json = fl_json_new(true);
	assert_int_equal(
		fl_health_new(&(struct fl_clock){.mono = fixed_mono, .unix_s = fixed_unix_s}, NULL,
			      NULL, &s->health),
		0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	fl_view_fini(&s->view);
	fl_json_free(&s->json);
	fl_health_free(&s->health);
	free(s);
	return 0;
}

static void start_again(struct state *s)
{
	fl_json_free(&s->json);
	s->json = fl_json_new(true);
}

static void check(struct state *s, const char *path)
{
	const char *text = fl_json_text(s->json, NULL);

	assert_non_null(text);
	assert_int_equal(golden_check(path, text), 0);
}

static void test_services(void **state)
{
	struct state *s = *state;
	struct fl_service_filter all = {0};
	size_t n;

	assert_int_equal(fl_render_services(&s->view, &all, s->json, &n), 0);
	assert_int_equal(n, 2); /* the address entry (rule 2.22) is no service */
	check(s, "tests/golden/api/services.json");
}

static void test_one_service(void **state)
{
	struct state *s = *state;
	struct fl_service_filter one = {.ns = "default", .name = "web"},
				 none = {.ns = "other", .name = "web"};
	size_t n;

	assert_int_equal(fl_render_services(&s->view, &none, s->json, &n), 0);
	assert_int_equal(n, 0);
	start_again(s);
	assert_int_equal(fl_render_services(&s->view, &one, s->json, &n), 0);
	assert_int_equal(n, 1);
	check(s, "tests/golden/api/service-web.json");
}

/* A Service that forwards inside and drops what comes from outside must not look as if all was well
 * (3.3: Local policies without a local backend). */
static void test_verdicts_are_of_each_kind_of_client(void **state)
{
	static const struct {
		uint8_t cluster_ip[FL_SIDES], vip[FL_SIDES], node_port[FL_SIDES], proto;
		const char *verdicts;
	} rows[] = {
		{{FL_VERDICT_FORWARD, FL_VERDICT_FORWARD},
		 {FL_VERDICT_FORWARD, FL_VERDICT_DROP},
		 {FL_VERDICT_FORWARD, FL_VERDICT_DROP},
		 IPPROTO_TCP,
		 "{\"clusterIP\":\"forward\",\"external\":\"drop\","
		 "\"internalToExternal\":\"forward\"}"},
		{{FL_VERDICT_REJECT, FL_VERDICT_REJECT},
		 {FL_VERDICT_REJECT, FL_VERDICT_FORWARD},
		 {FL_VERDICT_NONE, FL_VERDICT_DROP}, /* the worst counts */
		 IPPROTO_UDP,
		 "{\"clusterIP\":\"reject\",\"external\":\"drop\","
		 "\"internalToExternal\":\"reject\"}"},
		{{FL_VERDICT_FORWARD, FL_VERDICT_NONE},
		 {FL_VERDICT_NONE, FL_VERDICT_NONE},
		 {FL_VERDICT_NONE, FL_VERDICT_NONE},
		 IPPROTO_TCP,
		 "{\"clusterIP\":\"forward\",\"external\":null,\"internalToExternal\":null}"},
		{{FL_VERDICT_FORWARD, FL_VERDICT_FORWARD},
		 {FL_VERDICT_FORWARD, FL_VERDICT_FORWARD},
		 {FL_VERDICT_NONE, FL_VERDICT_NONE},
		 IPPROTO_SCTP, /* whose packets pass unchanged */
		 "{\"clusterIP\":\"unserved\",\"external\":\"unserved\","
		 "\"internalToExternal\":\"unserved\"}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_frontend value = {.service_id = 1, .type = FL_FRONTEND_CLUSTER_IP};
		struct fl_service_filter all = {0};
		struct fl_json *json = fl_json_new(false);
		struct map_fixture f;
		struct fl_view view;
		size_t n;

		fixture_maps(&f);
		f.n_frontends = 0;
		memcpy(value.verdict, rows[i].cluster_ip, FL_SIDES);
		fixture_frontend(&f, "10.96.0.10", 80, rows[i].proto, &value);
		value.type = FL_FRONTEND_LOAD_BALANCER;
		memcpy(value.verdict, rows[i].vip, FL_SIDES);
		fixture_frontend(&f, "192.0.2.80", 80, rows[i].proto, &value);
		value.type = FL_FRONTEND_NODE_PORT;
		memcpy(value.verdict, rows[i].node_port, FL_SIDES);
		fixture_frontend(&f, "0.0.0.0", 30080, rows[i].proto, &value);
		fixture_view(&f, &view);
		assert_int_equal(fl_render_services(&view, &all, json, &n), 0);
		if (!strstr(fl_json_text(json, NULL), rows[i].verdicts))
			fail_msg("%zu: no %s in %s", i, rows[i].verdicts, fl_json_text(json, NULL));
		fl_view_fini(&view);
		fl_json_free(&json);
	}
}

static void test_names_are_ids_when_nobody_knows_them(void **state)
{
	struct state *s = *state;
	struct fl_service_filter two = {.name = "#2"};
	struct fl_view_name name;
	char ref[FL_SERVICE_REF_MAX];
	size_t n;

	s->view.names.port = NULL;
	fl_view_name(&s->view, 7, &name);
	assert_string_equal(name.ns, "");
	assert_string_equal(name.name, "#7");
	assert_string_equal(fl_view_ref(&s->view, 7, ref), "#7");
	assert_int_equal(fl_render_services(&s->view, &two, s->json, &n), 0);
	assert_int_equal(n, 1);
	assert_non_null(strstr(fl_json_text(s->json, NULL), "\"fd96::53\""));
}

/* 10.1.1.6 by command. */
static struct fl_drains drains_of_test(void)
{
	struct fl_drains drains = {0};
	struct fl_drain one;

	assert_int_equal(fl_drain_parse("10.1.1.6", &one, NULL), 0);
	one.since_unix_s = fixed_unix_s(NULL);
	assert_int_equal(fl_drains_add(&drains, &one), 0);
	return drains;
}

static void test_backends(void **state)
{
	struct state *s = *state;
	struct fl_drains drains = drains_of_test();

	assert_int_equal(fl_render_backends(&s->view, &drains, s->json), 0);
	fl_drains_fini(&drains);
	check(s, "tests/golden/api/backends.json");
}

/* Drained by whom only an agent can tell. */
static void test_who_drains_a_backend(void **state)
{
	struct state *s = *state;
	const struct fl_drains none = {0};

	assert_int_equal(fl_render_backends(&s->view, &none, s->json), 0);
	assert_non_null(strstr(fl_json_text(s->json, NULL), "\"drainedBy\": \"weight\""));
	start_again(s);
	assert_int_equal(fl_render_backends(&s->view, NULL, s->json), 0);
	assert_non_null(strstr(fl_json_text(s->json, NULL), "\"state\": \"drained\""));
	assert_null(strstr(fl_json_text(s->json, NULL), "\"drainedBy\": \""));
}

static void test_weights_and_drained_backends_of_a_service(void **state)
{
	struct state *s = *state;
	struct fl_service_filter web = {"default", "web", "http"};
	const char *text;
	size_t n;

	/* 10.1.0.3 has twice the share: ids in a row */
	for (size_t i = 0; i < s->view.contents.n_frontends; i++) {
		struct fl_frontend *value = &s->view.contents.frontends[i].value;

		for (int side = 0; side < FL_SIDES; side++)
			if (value->list[side].id == 2)
				value->list[side].count = 3;
	}
	s->f.lines[0].id[0] = s->f.lines[0].id[1] = 1;
	s->f.lines[0].id[2] = 2;
	assert_int_equal(fl_render_services(&s->view, &web, s->json, &n), 0);
	text = fl_json_text(s->json, NULL);
	assert_non_null(strstr(text, "\"clusterWeights\": {\n        \"10.1.0.3:8080\": 2\n"));
	assert_non_null(strstr(text, "\"localWeights\": {}"));
	assert_non_null(strstr(text, "\"drainedBackends\": [\n        \"10.1.1.6:8080\"\n"));
	s->view.names.drained = NULL;
	start_again(s);
	assert_int_equal(fl_render_services(&s->view, &web, s->json, &n), 0);
	assert_non_null(strstr(fl_json_text(s->json, NULL), "\"drainedBackends\": null"));
}

static void test_flows(void **state)
{
	struct state *s = *state;
	struct fl_flow_filter filter = {0};

	assert_int_equal(fl_render_flows(&s->view, &filter, s->json), 0);
	check(s, "tests/golden/api/flows.json");
}

static void test_flows_beyond_the_limit_are_counted(void **state)
{
	struct state *s = *state;
	struct fl_flow_filter filter = {.limit = 1};

	assert_int_equal(fl_render_flows(&s->view, &filter, s->json), 0);
	assert_non_null(strstr(fl_json_text(s->json, NULL), "\"total\": 3"));
	assert_null(strstr(fl_json_text(s->json, NULL), "50002"));
}

static void test_maglev(void **state)
{
	struct state *s = *state;
	struct fl_service_filter web = {"default", "web", "http"},
				 by_number = {"default", "web", "80"};
	struct fl_service_filter node_port = {"default", "web", "30080"};
	size_t n;

	assert_int_equal(fl_render_maglev(&s->view, &node_port, s->json, &n), 0);
	assert_int_equal(n, 0);
	start_again(s);
	assert_int_equal(fl_render_maglev(&s->view, &by_number, s->json, &n), 0);
	assert_int_equal(n, 1);
	start_again(s);
	assert_int_equal(fl_render_maglev(&s->view, &web, s->json, &n), 0);
	assert_int_equal(n, 1);
	check(s, "tests/golden/api/maglev-web.json");
}

static void test_maglev_digest_is_of_addresses_not_of_ids(void **state)
{
	struct state *s = *state;
	struct fl_service_filter web = {"default", "web", "http"};
	char digest[2][64];
	size_t n;

	for (int i = 0; i < 2; i++) {
		start_again(s);
		assert_int_equal(fl_render_maglev(&s->view, &web, s->json, &n), 0);
		snprintf(digest[i], sizeof(digest[i]), "%.40s",
			 strstr(fl_json_text(s->json, NULL), "digest"));
		/* another node: the same backends under other ids */
		s->f.backends[6] = s->f.backends[2];
		s->f.lines[0].id[1] = 6;
	}
	assert_string_equal(digest[0], digest[1]);
}

static void test_status_of_an_agent(void **state)
{
	struct state *s = *state;
	const struct fl_api_device devices[] = {{"eth0", 2, "external", "xdp"},
						{"veth1", 5, "pod", "tc"}};
	const struct fl_api_map maps[] = {{"frontends", 5, 65536}, {"lines", 3, 8}};
	struct fl_drains drains = drains_of_test();
	struct fl_api_status agent = {
		.agent = FL_AGENT_RUNNING,
		.drains = &drains,
		.node = "node-1",
		.zone = "zone-a",
		.bpffs = "/sys/fs/bpf/fairlead",
		.cgroup = "/sys/fs/cgroup",
		.forwarding_mode = "hybrid",
		.dispatch = "geneve",
		.uptime_s = 93784,
		.synced = true,
		.drift = 0,
		.devices = devices,
		.n_devices = 2,
		.maps = maps,
		.n_maps = 2,
		.source_ports = 28232,
		.health = s->health,
	};

	fl_health_set(s->health, FL_CONDITION_OBJECT,
		      "svc.yaml: Service default/bad: spec.ports[0].port", FL_HEALTH_WARNING,
		      "svc.yaml:7: Service default/bad: spec.ports[0].port: 0 is no port");
	assert_int_equal(fl_render_status(&s->view, &agent, NULL, s->json), 0);
	fl_drains_fini(&drains);
	check(s, "tests/golden/api/status.json");
}

static void test_unhealthy_when_not_synced_in_error_or_drifting(void **state)
{
	struct state *s = *state;
	const struct fl_api_status rows[] = {
		{.agent = FL_AGENT_RUNNING, .synced = false, .drift = -1},
		{.agent = FL_AGENT_RUNNING, .synced = true, .health = s->health},
		{.agent = FL_AGENT_RUNNING, .synced = true, .drift = 2},
		{.agent = "unreachable", .synced = true},
	};

	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_ERROR,
		      "device eth0 is gone");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_again(s);
		assert_int_equal(fl_render_status(&s->view, &rows[i], NULL, s->json), 0);
		assert_non_null(strstr(fl_json_text(s->json, NULL), "\"healthy\": false"));
	}
}

static void test_healthy_in_spite_of_warnings(void **state)
{
	struct state *s = *state;
	const struct fl_api_status agent = {
		.agent = FL_AGENT_RUNNING, .synced = true, .health = s->health};

	fl_health_set(s->health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_WARNING, "eth0 is down");
	assert_int_equal(fl_render_status(&s->view, &agent, NULL, s->json), 0);
	assert_non_null(strstr(fl_json_text(s->json, NULL), "\"healthy\": true"));
}

/* A reader of the document finds the same members with an agent and without. */
static void test_status_without_an_agent_has_the_same_shape(void **state)
{
	struct state *s = *state;
	const struct fl_api_device devices[] = {{"eth0", 2, "external", "xdp"}};
	const struct fl_api_status none = {.agent = "unreachable",
					   .bpffs = "/sys/fs/bpf/fairlead",
					   .drift = -1,
					   .devices = devices,
					   .n_devices = 1};
	char *agents = golden_read("tests/golden/api/status.json");
	const char *text;

	assert_int_equal(fl_render_status(&s->view, &none, NULL, s->json), 0);
	text = fl_json_text(s->json, NULL);
	check(s, "tests/golden/api/status-no-agent.json");
	assert_non_null(agents);
	for (char *key = strtok(agents, "\n"); key; key = strtok(NULL, "\n")) {
		char *colon = strchr(key, ':');

		/* members of the document and of its objects; lists are shorter */
		if (!colon || strspn(key, " ") > 4 || strstr(key, "      "))
			continue;
		colon[1] = '\0';
		if (!strstr(text, key))
			fail_msg("no %s", key);
	}
	free(agents);
}

/*
 * Robustness: what lies in the maps may be anything; indexes outside the arrays are not followed.
 */
static void test_wild_lists_stay_inside_the_arrays(void **state)
{
	struct state *s = *state;
	const struct fl_list wild[] = {
		{.slab = UINT32_MAX, .lut_len = UINT32_MAX, .count = UINT32_MAX, .id = 2},
		{.slab = 7, .lut_len = 100000, .count = 60000, .id = 2},
		{.slab = 0, .lut_len = 7, .count = 2, .id = 2},
	};
	struct fl_service_filter all = {0};
	size_t n;

	s->f.lines[1].ordinal[3] = 60000;
	s->f.lines[0].id[1] = 4000000;
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		for (size_t j = 0; j < s->view.contents.n_frontends; j++)
			s->view.contents.frontends[j].value.list[0] =
				s->view.contents.frontends[j].value.list[1] = wild[i];
		start_again(s);
		assert_int_equal(fl_render_services(&s->view, &all, s->json, &n), 0);
		start_again(s);
		assert_int_equal(fl_render_maglev(&s->view, &all, s->json, &n), 0);
		start_again(s);
		assert_int_equal(fl_render_backends(&s->view, NULL, s->json), 0);
		assert_non_null(fl_json_text(s->json, NULL));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_services),
		TEST(test_one_service),
		TEST(test_names_are_ids_when_nobody_knows_them),
		TEST(test_backends),
		TEST(test_who_drains_a_backend),
		TEST(test_weights_and_drained_backends_of_a_service),
		TEST(test_flows),
		TEST(test_flows_beyond_the_limit_are_counted),
		TEST(test_maglev),
		TEST(test_maglev_digest_is_of_addresses_not_of_ids),
		TEST(test_status_of_an_agent),
		TEST(test_unhealthy_when_not_synced_in_error_or_drifting),
		TEST(test_healthy_in_spite_of_warnings),
		TEST(test_status_without_an_agent_has_the_same_shape),
		TEST(test_verdicts_are_of_each_kind_of_client),
		TEST(test_wild_lists_stay_inside_the_arrays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
