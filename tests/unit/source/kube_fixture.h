/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A source that follows a fake API server: what the server says, in a line each, and what the store
 * has of it.
 */
#pragma once

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

static inline void on_problem(const struct fl_problem *problem, void *arg)
{
	struct scene *s = arg;
	size_t len = strlen(s->problems);

	snprintf(s->problems + len, sizeof(s->problems) - len, "%s: %s\n", problem->object,
		 problem->reason);
}

static inline int on_unread(const struct fl_unread *unread, void *arg)
{
	((struct scene *)arg)->n_unread++;
	return 0;
}

/* An agent's first look. */
static inline void open_source(struct scene *s, struct fl_kube_source_options options)
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

static inline void close_source(struct scene *s)
{
	fl_source_free(&s->source);
	fl_definitions_forget(s->definitions, &s->file);
	fl_definitions_free(&s->definitions);
	fl_store_free(&s->store);
	fl_health_free(&s->health);
}

static inline int setup_with(void **state, struct fl_kube_source_options options)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fake_open(&s->server);
	open_source(s, options);
	*state = s;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){0});
}

static inline int setup_waiting(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.node_wait_ms = 3600000});
}

static inline int setup_impatient(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.node_wait_ms = 30});
}

static inline int setup_node_cidr(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.pod_cidrs = true});
}

static inline int setup_all_nodes(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.all_nodes = true});
}

static inline int setup_host_ports(void **state)
{
	return setup_with(state, (struct fl_kube_source_options){.host_ports = true});
}

static inline int teardown(void **state)
{
	struct scene *s = *state;

	close_source(s);
	fake_close(&s->server);
	free(s);
	return 0;
}

static inline void turn(struct scene *s)
{
	fake_turn(&s->server, fl_source_fd(s->source), 20);
	assert_int_equal(fl_source_handle(s->source, NULL), 0);
}

static inline const char *condition_words(const struct scene *s)
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

static inline struct fake_connection *asked(struct scene *s, const char *what)
{
	struct fake_connection *c;

	UNTIL((c = fake_asked(&s->server, what)));
	return c;
}

/* All of it, and then the events go on. */
static inline struct fake_connection *list(struct scene *s, const char *what, const char *events)
{
	struct fake_connection *c = asked(s, what);

	fake_begin(c);
	fake_say(c, events);
	return c;
}

static inline void start(struct scene *s)
{
	s->services = list(s, SERVICES, ADDED(SERVICE("web", "80")) END("10"));
	s->slices = list(s, SLICES, ADDED(SLICE("web-1", "10.1.0.1")) END("11"));
	s->nodes = list(s, NODES, ADDED(NODE) END("12"));
	UNTIL(fl_source_complete(s->source));
}

static inline const char *condition(const struct scene *s, const char *subject)
{
	const struct fl_condition *c = fl_health_find(s->health, FL_CONDITION_API, subject);

	return c ? c->text : "";
}

static inline uint16_t port_of(const struct scene *s, const char *name)
{
	const struct fl_service *service = fl_store_service(s->store, "default", name);

	return service && service->n_ports ? service->ports[0].port : 0;
}

/* The watch of services loses its place, and does not wait before it lists again. */
static inline struct fake_connection *lose_place(struct scene *s)
{
	fake_say(s->services, "garbage");
	UNTIL(*condition(s, "services"));
	s->services->asked = false;
	assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	return asked(s, SERVICES);
}
