/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an API server says, and when it takes effect; and what stays when it says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>

#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/read_file.h"
#include "lb/source/kept.h"
#include "lb/source/kube.h"
#include "tests/unit/kube/server_fixture.h"

#define SERVICES "/api/v1/services?"
#define SLICES "/endpointslices?"
#define NODES "/api/v1/nodes?"
#define PODS "/api/v1/pods?"

#define META(name, more) "\"metadata\":{\"namespace\":\"default\",\"name\":\"" name "\"" more "}"
#define SERVICE(name, port)                                                                        \
	"{" META(name, "") ",\"spec\":{\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":" port    \
			   "}]}}"
#define SLICE_HEAD(name) "{" META(name, ",\"labels\":{\"kubernetes.io/service-name\":\"web\"}")
#define SLICE(name, ip)                                                                            \
	SLICE_HEAD(name)                                                                           \
	",\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"port\":80}],\"endpoints\":[{"       \
	"\"addresses\":[\"" ip "\"]}]}"
#define NODE                                                                                       \
	"{\"metadata\":{\"name\":\"node-1\"},\"status\":{\"addresses\":[{\"type\":\"InternalIP\"," \
	"\"address\":\"192.0.2.1\"}]}}"
#define ADDED(object) "{\"type\":\"ADDED\",\"object\":" object "}\n"
#define OTHER_NODE(name, address)                                                                  \
	"{\"metadata\":{\"name\":\"" name                                                          \
	"\"},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","                                 \
	"\"address\":\"" address "\"},{\"type\":\"Hostname\",\"address\":\"x\"}]}}"
#define MODIFIED(object) "{\"type\":\"MODIFIED\",\"object\":" object "}\n"
#define DELETED(object) "{\"type\":\"DELETED\",\"object\":" object "}\n"
#define END(version)                                                                               \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version          \
	"\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"

struct scene {
	struct fake_server server;
	struct fl_store *store;
	struct fl_definitions *definitions;
	struct fl_definer file; /* stands for a manifest */
	struct fl_health *health;
	struct fl_source *source;
	struct fake_connection *services, *slices, *nodes;
	char problems[2048];
	size_t n_unread;
};

static void on_problem(const struct fl_problem *problem, void *arg)
{
	struct scene *s = arg;
	size_t len = strlen(s->problems);

	snprintf(s->problems + len, sizeof(s->problems) - len, "%s: %s\n", problem->object,
		 problem->reason);
}

static int on_unread(const struct fl_unread *unread, void *arg)
{
	((struct scene *)arg)->n_unread++;
	return 0;
}

/* An agent's first look. */
static void open_source(struct scene *s, struct fl_kube_source_options options)
{
	struct fl_kube_access access = {0};
	struct fl_err err = {""};

	assert_int_equal(fl_store_new("node-1", &s->store), 0);
	assert_int_equal(fl_definitions_new(s->store, &s->definitions), 0);
	assert_int_equal(fl_health_new(&fl_clock_system, NULL, NULL, &s->health), 0);
	s->file = (struct fl_definer){.path = "web.yaml"};
	options.node = "node-1";
	options.store = s->store;
	options.definitions = s->definitions;
	options.health = s->health;
	options.report = on_problem;
	options.arg = s;
	access.server = strdup(s->server.url);
	if (fl_kube_source_new(&access, &options, &s->source, &err))
		fail_msg("%s", err.text);
	assert_null(access.server);
	assert_int_equal(fl_source_load(s->source, &err), 0);
}

static void close_source(struct scene *s)
{
	fl_source_free(&s->source);
	fl_definitions_forget(s->definitions, &s->file);
	fl_definitions_free(&s->definitions);
	fl_store_free(&s->store);
	fl_health_free(&s->health);
}

static int setup_with(void **state, struct fl_kube_source_options options)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fake_open(&s->server);
	open_source(s, options);
	*state = s;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){0});
}

static int setup_waiting(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.node_wait_ms = 3600000});
}

static int setup_impatient(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.node_wait_ms = 30});
}

static int setup_node_cidr(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.pod_cidrs = true});
}

static int setup_all_nodes(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.all_nodes = true});
}

static int setup_host_ports(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.host_ports = true});
}

static int teardown(void **state)
{
	struct scene *s = *state;

	close_source(s);
	fake_close(&s->server);
	free(s);
	return 0;
}

static char state_dir[] = "/tmp/fairlead-state-XXXXXX", state_file[64];

static struct fl_kube_source_options with_state(void)
{
	return (struct fl_kube_source_options){
		.state = state_file, .load_ms = 1, .keep_after_ms = 1, .keep_every_ms = 1};
}

static int setup_state(void **state)
{
	strcpy(state_dir + strlen(state_dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	snprintf(state_file, sizeof(state_file), "%s/api-state", state_dir);
	return setup_with(state, with_state());
}

static int teardown_state(void **state)
{
	unlink(state_file);
	assert_int_equal(rmdir(state_dir), 0); /* nothing is left beside it */
	return teardown(state);
}

static void turn(struct scene *s)
{
	fake_turn(&s->server, fl_source_fd(s->source), 20);
	assert_int_equal(fl_source_handle(s->source, NULL), 0);
}

static const char *condition_words(const struct scene *s)
{
	const struct fl_condition *c = fl_health_find(s->health, FL_CONDITION_API, "services");

	return c ? c->text : "no trouble";
}

/* Turns the loop until `condition`, which may use `s`. */
#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		const struct fl_mono _until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);         \
		while (!(condition)) {                                                             \
			if (fl_mono_now().ns > _until.ns)                                          \
				fail_msg("still not: %s (%s)", #condition, condition_words(s));    \
			turn(s);                                                                   \
		}                                                                                  \
	} while (0)

static struct fake_connection *asked(struct scene *s, const char *what)
{
	struct fake_connection *c;

	UNTIL((c = fake_asked(&s->server, what)));
	return c;
}

/* All of it, and then the events go on. */
static struct fake_connection *list(struct scene *s, const char *what, const char *events)
{
	struct fake_connection *c = asked(s, what);

	fake_begin(c);
	fake_say(c, events);
	return c;
}

static void start(struct scene *s)
{
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, ADDED(NODE) END("12"));
	UNTIL(fl_source_complete(s->source));
}

static const char *condition(const struct scene *s, const char *subject)
{
	const struct fl_condition *c = fl_health_find(s->health, FL_CONDITION_API, subject);

	return c ? c->text : "";
}

static uint16_t port_of(const struct scene *s, const char *name)
{
	const struct fl_service *service = fl_store_service(s->store, "default", name);

	return service && service->n_ports ? service->ports[0].port : 0;
}

/* The watch of services loses its place, and does not wait before it lists again. */
static struct fake_connection *lose_place(struct scene *s)
{
	fake_say(s->services, "garbage");
	UNTIL(*condition(s, "services"));
	s->services->asked = false;
	assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	return asked(s, SERVICES);
}

/* 10.3: nothing takes effect before every kind was listed in full. */
static void test_10_3_all_or_nothing(void **state)
{
	struct scene *s = *state;

	s->services = list(s, SERVICES,
			   ADDED(SERVICE("web", "80")) ADDED(SERVICE("old", "81")) END("10"));
	s->nodes = list(s, NODES, ADDED(NODE) END("12"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")));
	/* what changes meanwhile counts, too */
	fake_say(s->services, MODIFIED(SERVICE("web", "8080")) DELETED(SERVICE("old", "81")));
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
	assert_null(fl_store_node(s->store));
	assert_false(fl_source_complete(s->source));
	fake_say(s->slices, END("11"));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 1);
	assert_int_equal(port_of(s, "web"), 8080);
	assert_non_null(fl_store_slice(s->store, "default", "web-1"));
	assert_non_null(fl_store_node(s->store));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
}

/* All but the Node. */
static void start_without_node(struct scene *s)
{
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, END("12"));
}

/* 10.11: a node whose Node appears later waits for it, and says so. */
static void test_10_11_waits_for_node(void **state)
{
	struct scene *s = *state;

	start_without_node(s);
	UNTIL(strstr(condition(s, "nodes"), "has no Node named node-1 yet"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 1);
	assert_false(fl_source_complete(s->source));
	assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
	fake_say(s->nodes, ADDED(NODE));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 80);
	assert_non_null(fl_store_node(s->store));
	assert_string_equal(condition(s, "nodes"), "");
}

/* The same: not for ever. */
static void test_10_11_goes_on_without_node(void **state)
{
	struct scene *s = *state;

	start_without_node(s);
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 80);
	UNTIL(strstr(condition(s, "nodes"), "no zone, no node addresses known"));
}

/* The same: NodeCIDR cannot do without podCIDRs. */
static void test_10_11_waits_for_pod_cidrs(void **state)
{
	struct scene *s = *state;

	start_without_node(s);
	fake_say(s->nodes, ADDED(NODE));
	UNTIL(strstr(condition(s, "nodes"), "with podCIDRs yet"));
	assert_false(fl_source_complete(s->source));
	fake_say(s->nodes, MODIFIED("{\"metadata\":{\"name\":\"node-1\"},\"spec\":{\"podCIDRs\":["
				    "\"10.1.0.0/24\"]}}"));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(fl_store_node(s->store)->n_pod_cidrs, 1);
	assert_string_equal(condition(s, "nodes"), "");
}

static size_t n_addresses(const struct scene *s)
{
	const struct fl_ip *list;
	size_t n;

	assert_int_equal(fl_store_node_addresses(s->store, &list, &n), 0);
	return n;
}

/* Of other Nodes what their addresses are, where that is asked for. */
static void test_all_nodes(void **state)
{
	struct scene *s = *state;
	uint64_t changes;

	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, ADDED(OTHER_NODE("node-0", "192.0.2.10")) ADDED(NODE) END("12"));
	assert_null(strstr(s->nodes->request, "fieldSelector"));
	UNTIL(fl_source_complete(s->source));
	assert_string_equal(fl_store_node(s->store)->name, "node-1");
	assert_int_equal(n_addresses(s), 2);
	while (fl_store_take_dirty(s->store, &(struct fl_service_key){NULL, NULL}))
		;
	fake_say(s->nodes, ADDED(OTHER_NODE("node-2", "192.0.2.2")));
	UNTIL(n_addresses(s) == 3);
	fake_say(s->nodes, DELETED(OTHER_NODE("node-0", "192.0.2.10")));
	UNTIL(n_addresses(s) == 2);
	assert_int_equal(fl_store_dirty_count(s->store), 0);
	/* 1.16: a list of the same is no change */
	changes = fl_store_changes(s->store, FL_KIND_NODE);
	fake_say(s->nodes, "garbage");
	UNTIL(*condition(s, "nodes"));
	s->nodes->asked = false;
	assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	s->nodes = list(s, NODES, ADDED(OTHER_NODE("node-2", "192.0.2.2")) ADDED(NODE) END("20"));
	UNTIL(!*condition(s, "nodes"));
	assert_int_equal(fl_store_changes(s->store, FL_KIND_NODE), changes);
	/* our Node's absence is noticed among others */
	fake_say(s->nodes, DELETED(NODE));
	UNTIL(strstr(condition(s, "nodes"), "has no Node named node-1"));
	assert_int_equal(n_addresses(s), 1);
}

#define POD(name, ip)                                                                              \
	"{" META(name,                                                                             \
		 "") ",\"spec\":{\"nodeName\":\"node-1\",\"containers\":[{\"ports\":[{"            \
		     "\"containerPort\":80,\"hostPort\":8080}]}]},\"status\":{\"podIP\":\"" ip     \
		     "\"}}"

/* This node's Pods are followed where that is asked for, and only then. */
static void test_host_ports(void **state)
{
	struct scene *s = *state;
	struct fake_connection *pods;

	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, ADDED(NODE) END("12"));
	for (int i = 0; i < 20; i++)
		turn(s);
	/* 10.3: all kinds together */
	assert_false(fl_source_complete(s->source));
	pods = list(s, PODS, ADDED(POD("a", "10.1.0.1")) END("13"));
	assert_non_null(strstr(pods->request, "fieldSelector=spec.nodeName%3Dnode-1"));
	UNTIL(fl_source_complete(s->source));
	assert_non_null(fl_store_pod(s->store, "default", "a"));
	assert_non_null(fl_store_service(s->store, "default", "pod@a"));
	fake_say(pods, DELETED(POD("a", "10.1.0.1")) ADDED(POD("b", "10.1.0.2")));
	UNTIL(fl_store_service(s->store, "default", "pod@b"));
	assert_null(fl_store_service(s->store, "default", "pod@a"));
	fake_say(pods, "garbage");
	UNTIL(strstr(condition(s, "pods"), "pods of "));
	assert_non_null(fl_store_service(s->store, "default", "pod@b"));
}

static void test_no_host_ports(void **state)
{
	struct scene *s = *state;

	start(s);
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_null(fake_asked(&s->server, PODS));
}

static void test_1_4_selectors(void **state)
{
	struct scene *s = *state;

	assert_non_null(strstr(asked(s, SERVICES)->request,
			       "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name"));
	assert_non_null(strstr(asked(s, SLICES)->request,
			       "labelSelector=%21service.kubernetes.io%2Fheadless"));
	assert_non_null(strstr(asked(s, NODES)->request, "fieldSelector=metadata.name%3Dnode-1"));
}

static void test_changes(void **state)
{
	struct scene *s = *state;

	start(s);
	while (fl_store_take_dirty(s->store, &(struct fl_service_key){NULL, NULL}))
		;
	fake_say(s->services, ADDED(SERVICE("new", "443")) MODIFIED(SERVICE("web", "81")));
	UNTIL(port_of(s, "new") == 443);
	assert_int_equal(port_of(s, "web"), 81);
	assert_int_equal(fl_store_dirty_count(s->store), 2);
	fake_say(s->services, DELETED(SERVICE("web", "81")));
	UNTIL(!port_of(s, "web"));
	fake_say(s->slices, DELETED(SLICE("web-1", "10.1.0.1")));
	UNTIL(!fl_store_slice(s->store, "default", "web-1"));
}

/* 10.10.1: what a list lacks is gone when the list is whole, and not before. */
static void test_10_10_1_relist(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	start(s);
	c = lose_place(s);
	fake_begin(c);
	fake_say(c, ADDED(SERVICE("new", "82")));
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(port_of(s, "new"), 0);
	fake_say(c, END("20"));
	UNTIL(port_of(s, "new") == 82);
	assert_int_equal(port_of(s, "web"), 0);
	UNTIL(!*condition(s, "services"));
}

/* 1.16: what is listed again as it was is no work for anybody. */
static void test_1_16_relist_of_the_same(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	start(s);
	while (fl_store_take_dirty(s->store, &(struct fl_service_key){NULL, NULL}))
		;
	c = lose_place(s);
	fake_begin(c);
	fake_say(c, ADDED(SERVICE("web", "80")) END("20"));
	UNTIL(!*condition(s, "services"));
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(fl_store_dirty_count(s->store), 0);
}

static void test_conditions(void **state)
{
	struct scene *s = *state;

	fake_answer(asked(s, SERVICES), "403 Forbidden", "",
		    "{\"kind\":\"Status\",\"message\":\"may not list\"}");
	UNTIL(*condition(s, "services"));
	assert_non_null(strstr(condition(s, "services"),
			       "are not known yet: list: HTTP 403: may not list"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 1);
	assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, END("11"));
	s->nodes = list(s, NODES, END("12"));
	UNTIL(fl_source_complete(s->source));
	turn(s);
	assert_string_equal(condition(s, "services"), "");
	assert_non_null(strstr(condition(s, "nodes"), "has no Node named node-1"));
	fake_say(s->nodes, ADDED(NODE));
	UNTIL(fl_store_node(s->store));
	turn(s);
	assert_string_equal(condition(s, "nodes"), "");
	lose_place(s);
	assert_non_null(strstr(condition(s, "services"), "may be out of date"));
	assert_non_null(strstr(condition(s, "services"), "what was read last stays"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
	assert_int_equal(port_of(s, "web"), 80);
}

#define FAULTY                                                                                     \
	"{" META("web", "") ",\"spec\":{\"clusterIP\":\"10.96.0.10\",\"ports\":[{\"port\":0}]}}"

/* A faulty object keeps its own last good state, and nobody else's waits for it. */
static void test_faulty_object(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	start(s);
	fake_say(s->services, MODIFIED(FAULTY) ADDED(SERVICE("new", "82")));
	UNTIL(port_of(s, "new") == 82);
	assert_int_equal(port_of(s, "web"), 80);
	fl_source_each_problem(s->source, on_problem, s);
	assert_non_null(strstr(s->problems, "Service default/web: spec.ports[0].port: "));
	/* the same in a list */
	c = lose_place(s);
	fake_begin(c);
	fake_say(c, ADDED(FAULTY) ADDED(SERVICE("newer", "83")) END("20"));
	UNTIL(port_of(s, "newer") == 83);
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(port_of(s, "new"), 0);
	fl_source_each_unread(s->source, on_unread, s);
	assert_int_equal(s->n_unread, 0);
	fake_say(c, MODIFIED(SERVICE("web", "84")));
	UNTIL(port_of(s, "web") == 84);
	s->problems[0] = '\0';
	fl_source_each_problem(s->source, on_problem, s);
	assert_string_equal(s->problems, "");
}

/* One that was faulty from the first is told, for what an earlier agent may serve of it. */
static void test_unread(void **state)
{
	struct scene *s = *state;

	s->services = list(s, SERVICES, ADDED(FAULTY) END("10"));
	s->slices = list(s, SLICES, END("11"));
	s->nodes = list(s, NODES, END("12"));
	UNTIL(fl_source_complete(s->source));
	fl_source_each_unread(s->source, on_unread, s);
	assert_int_equal(s->n_unread, 1);
	fake_say(s->services, DELETED(FAULTY) ADDED(SERVICE("a", "1")));
	UNTIL(port_of(s, "a"));
	s->n_unread = 0;
	fl_source_each_unread(s->source, on_unread, s);
	assert_int_equal(s->n_unread, 0);
}

/* A manifest's definition of an object counts, until it goes. */
static void test_beside_manifests(void **state)
{
	struct scene *s = *state;
	struct fl_staged staged = {.line = 3};
	struct fl_object_key key = {FL_KIND_SERVICE, "default", "web"};

	start(s);
	staged.object.service = calloc(1, sizeof(*staged.object.service));
	staged.object.service->ns = strdup("default");
	staged.object.service->name = strdup("web");
	assert_int_equal(fl_definitions_put(s->definitions, &s->file, &staged), 0);
	assert_int_equal(port_of(s, "web"), 0);
	fl_source_each_problem(s->source, on_problem, s);
	assert_string_equal(s->problems,
			    "Service default/web: the API server has it too; web.yaml, "
			    "line 3, comes first\n");
	fake_say(s->services, MODIFIED(SERVICE("web", "85")) ADDED(SERVICE("new", "82")));
	UNTIL(port_of(s, "new") == 82);
	assert_int_equal(port_of(s, "web"), 0);
	assert_int_equal(fl_definitions_remove(s->definitions, &s->file, &key), 0);
	assert_int_equal(port_of(s, "web"), 85);
}

static char *read_state(size_t *ret_len)
{
	char *text = NULL;

	return fl_read_file(state_file, FL_KEPT_MAX_BYTES, &text, ret_len, NULL, NULL) ? NULL
										       : text;
}

static bool state_has(const char *words)
{
	size_t len;
	char *text = read_state(&len);
	const bool has = text && strstr(text, words);

	free(text);
	return has;
}

/* The agent ends, and the server has heard of none. */
static void forget(struct scene *s)
{
	close_source(s);
	fake_accept(&s->server);
	for (size_t i = 0; i < CONNECTIONS; i++)
		fake_cut(&s->server.connections[i]);
}

/* The server says nothing to the next agent. */
static void restart(struct scene *s)
{
	forget(s);
	open_source(s, with_state());
}

/* Robustness A7: a node that starts without an API server serves what was known last, says that it
 * is old, and follows the server when that is back. */
static void test_a7_state_outlives_the_agent(void **state)
{
	struct scene *s = *state;
	struct stat st;

	start(s);
	UNTIL(state_has("\"name\":\"web-1\""));
	assert_int_equal(stat(state_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	fake_say(s->services, ADDED(SERVICE("new", "443")));
	UNTIL(state_has("\"name\":\"new\""));
	restart(s);
	assert_false(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(port_of(s, "new"), 443);
	assert_non_null(fl_store_slice(s->store, "default", "web-1"));
	assert_non_null(fl_store_node(s->store));
	assert_non_null(strstr(condition(s, "state"), "it has not been reached since"));
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
	assert_string_equal(s->problems, "");
	/* what it lists now is what counts */
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "8080")) END("20"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.2")) END("21"));
	for (int i = 0; i < 5; i++)
		turn(s);
	assert_int_equal(port_of(s, "web"), 80);
	s->nodes = list(s, NODES, ADDED(NODE) END("22"));
	UNTIL(fl_source_complete(s->source));
	assert_int_equal(port_of(s, "web"), 8080);
	assert_int_equal(port_of(s, "new"), 0);
	assert_string_equal(condition(s, "state"), "");
	UNTIL(!state_has("\"name\":\"new\""));
}

/* Lists that take longer than one waits for a silent server, though not in silence. */
static void *list_slowly(void *arg)
{
	struct scene *s = arg;
	struct fake_connection *c;

	while (s->server.requests < 3)
		fake_turn(&s->server, -1, 20);
	fake_begin(c = fake_asked(&s->server, SERVICES));
	for (int i = 0; i < 80; i++) {
		if (i % 10 == 0)
			fake_say(c, ADDED(SERVICE("web", "8080")));
		fake_turn(&s->server, -1, 20);
	}
	fake_say(c, END("20"));
	for (int i = 0; i < 2; i++) {
		c = fake_asked(&s->server, i ? NODES : SLICES);
		fake_begin(c);
		fake_say(c,
			 i ? ADDED(NODE) END("22") : ADDED(SLICE("web-1", "10.1.0.2")) END("21"));
	}
	return NULL;
}

/* Robustness A7: what was kept is older than what an earlier agent left in the maps. It is not gone
 * back to while the server is telling what is so now. */
static void test_a7_lists_under_way_are_waited_for(void **state)
{
	struct fl_kube_source_options options = with_state();
	struct scene *s = *state;
	pthread_t server;

	start(s);
	UNTIL(state_has("\"name\":\"web-1\""));
	forget(s);
	s->server.requests = 0;
	options.load_ms = PATIENCE_MS;
	assert_int_equal(pthread_create(&server, NULL, list_slowly, s), 0);
	open_source(s, options);
	assert_int_equal(pthread_join(server, NULL), 0);
	assert_true(fl_source_complete(s->source));
	assert_string_equal(condition(s, "state"), "");
	assert_int_equal(port_of(s, "web"), 8080);
}

/* Each byte of it, and each end: a clear message and an empty start. */
static void test_damaged_state(void **state)
{
	struct scene *s = *state;
	size_t len;
	char *text;

	start(s);
	UNTIL((text = read_state(&len)));
	for (size_t at = 0; at < len; at += 41) {
		FILE *f = fopen(state_file, "w");
		const char was = text[at];

		assert_non_null(f);
		text[at] = (char)(was ^ 1);
		fwrite(text, 1, at % 2 ? len : at, f); /* another byte, or cut there */
		text[at] = was;
		fclose(f);
		restart(s);
		assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
		assert_non_null(strstr(condition(s, "state"), "what was kept is not used: "));
		assert_non_null(strstr(condition(s, "state"), " is damaged"));
	}
	free(text);
}

static void test_state_of_others(void **state)
{
	static const struct {
		struct fl_kept_owner owner;
		const char *words;
	} rows[] = {
		{{"node-2", NULL}, "is of node node-2"},
		{{"node-1", "https://192.0.2.9:6443"}, "is of API server https://192.0.2.9:6443"},
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_kept_owner owner = rows[i].owner;
		struct fl_kept_writer *writer = NULL;
		bool wrote;

		owner.server = owner.server ? owner.server : s->server.url;
		assert_int_equal(fl_kept_writer_new(state_file, &owner, 1, &writer, NULL), 0);
		assert_int_equal(fl_kept_writer_add(writer, SERVICE("web", "80"),
						    strlen(SERVICE("web", "80")), &wrote, NULL),
				 0);
		assert_true(fl_kept_writer_commit(writer, NULL) > 0);
		fl_kept_writer_free(&writer);
		restart(s);
		assert_int_equal(fl_store_count(s->store, FL_KIND_SERVICE), 0);
		if (!strstr(condition(s, "state"), rows[i].words))
			fail_msg("\"%s\" has no \"%s\"", condition(s, "state"), rows[i].words);
	}
}

/* A place that cannot be written is a condition, and no more than that. */
static void test_state_that_cannot_be_written(void **state)
{
	struct scene *s = *state;

	assert_int_equal(rmdir(state_dir), 0);
	start(s);
	UNTIL(strstr(condition(s, "state"), "what is known is not kept: cannot write "));
	assert_int_equal(port_of(s, "web"), 80);
	assert_int_equal(mkdir(state_dir, 0700), 0);
}

#define TEST_STATE(name) cmocka_unit_test_setup_teardown(name, setup_state, teardown_state)
#define TEST_OF(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_10_3_all_or_nothing),
		TEST_OF(test_10_11_waits_for_node, setup_waiting),
		TEST_OF(test_10_11_goes_on_without_node, setup_impatient),
		TEST_OF(test_10_11_waits_for_pod_cidrs, setup_node_cidr),
		TEST_OF(test_all_nodes, setup_all_nodes),
		TEST_OF(test_host_ports, setup_host_ports),
		TEST(test_no_host_ports),
		TEST_STATE(test_a7_state_outlives_the_agent),
		TEST_STATE(test_a7_lists_under_way_are_waited_for),
		TEST_STATE(test_damaged_state),
		TEST_STATE(test_state_of_others),
		TEST_STATE(test_state_that_cannot_be_written),
		TEST(test_1_4_selectors),
		TEST(test_changes),
		TEST(test_10_10_1_relist),
		TEST(test_1_16_relist_of_the_same),
		TEST(test_conditions),
		TEST(test_faulty_object),
		TEST(test_unread),
		TEST(test_beside_manifests),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
