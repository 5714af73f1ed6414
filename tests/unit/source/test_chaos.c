/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A network between the agent and the API server that cuts, stalls, delays, splits, corrupts and
 * repeats, and a server that refuses, forgets and answers by pages, by plan: a seed makes a plan,
 * and a failure names it. Whatever happens, the store holds nothing that the server has not had,
 * goes back in time with no object, and loses none that was not deleted (10.3, 10.10.1); and once
 * the trouble is over it is what the server has.
 *
 * FL_CHAOS_PLANS plans (0: without end), from FL_CHAOS_SEED on, or from one that no run had before.
 * Most of the time a plan waits, so some run side by side, each in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/source/kube.h"
#include "tests/unit/kube/server_fixture.h"

#define PLANS 400
#define JOBS 8
#define STEPS 60      /* of a plan, before the trouble ends */
#define IDLE_MS 120   /* the agent takes a silent connection for dead */
#define AT_ONCE_MS 1  /* words so far apart came when they were said */
#define NAMES 8	      /* objects of a kind, of which some exist */
#define ALIVE_MIN 3   /* so many at least */
#define LOG 1024      /* changes in a plan at most */
#define PAGE_ITEMS 2  /* of a list */
#define DELAY_STEPS 6 /* a delayed answer waits at most */
#define BOOKMARK_STEPS 10

/* What the server has */

struct change {
	uint8_t kind, name;
	bool gone;
};

/* Version v of the server is what changes 1..v have made. */
struct world {
	struct change log[LOG];
	uint32_t version, oldest; /* a watch from before `oldest` is refused */
};

/* The version of the last change of an object up to `version`; 0: it does not exist then. */
static uint32_t world_has(const struct world *w, uint32_t version, unsigned int kind,
			  unsigned int name)
{
	for (uint32_t v = version; v; v--)
		if (w->log[v].kind == kind && w->log[v].name == name)
			return w->log[v].gone ? 0 : v;
	return 0;
}

static bool world_deleted_since(const struct world *w, uint32_t version, unsigned int kind,
				unsigned int name)
{
	for (uint32_t v = version + 1; v <= w->version; v++)
		if (w->log[v].kind == kind && w->log[v].name == name && w->log[v].gone)
			return true;
	return false;
}

static unsigned int world_count(const struct world *w, unsigned int kind)
{
	unsigned int n = 0;

	for (unsigned int name = 0; name < NAMES; name++)
		n += world_has(w, w->version, kind, name) != 0;
	return n;
}

static unsigned int names_of(unsigned int kind)
{
	return kind == FL_KIND_NODE ? 1 : NAMES;
}

static void world_change(struct world *w, unsigned int kind, unsigned int name, bool gone)
{
	const bool exists = world_has(w, w->version, kind, name);

	if (w->version + 1 == LOG ||
	    (gone && (!exists || kind == FL_KIND_NODE || world_count(w, kind) <= ALIVE_MIN)))
		return;
	w->log[++w->version] = (struct change){(uint8_t)kind, (uint8_t)name, gone};
}

/* What tells one version of an object from another: a port, an address, a zone. */
static void object_text(unsigned int kind, unsigned int name, uint32_t v, char *text, size_t size)
{
	switch (kind) {
	case FL_KIND_SERVICE:
		snprintf(text, size,
			 "{\"metadata\":{\"namespace\":\"default\",\"name\":\"s%u\","
			 "\"resourceVersion\":\"%u\"},\"spec\":{\"clusterIP\":\"10.96.0.%u\","
			 "\"ports\":[{\"port\":%u}]}}",
			 name, v, name + 1, v);
		break;
	case FL_KIND_SLICE:
		snprintf(text, size,
			 "{\"metadata\":{\"namespace\":\"default\",\"name\":\"s%u\","
			 "\"resourceVersion\":\"%u\",\"labels\":{"
			 "\"kubernetes.io/service-name\":\"s%u\"}},\"addressType\":\"IPv4\","
			 "\"ports\":[{\"name\":\"\",\"port\":%u}],"
			 "\"endpoints\":[{\"addresses\":[\"10.1.0.1\"]}]}",
			 name, v, name, v);
		break;
	default:
		snprintf(text, size,
			 "{\"metadata\":{\"name\":\"node-1\",\"resourceVersion\":\"%u\",\"labels\":"
			 "{\"topology.kubernetes.io/zone\":\"%u\"}}}",
			 v, v);
	}
}

/* What the agent's store has of it */

static uint32_t store_has(const struct fl_store *store, unsigned int kind, unsigned int name)
{
	const struct fl_service *service;
	const struct fl_slice *slice;
	const struct fl_node *node;
	char text[8];

	snprintf(text, sizeof(text), "s%u", name);
	switch (kind) {
	case FL_KIND_SERVICE:
		service = fl_store_service(store, "default", text);
		return service && service->n_ports ? service->ports[0].port : 0;
	case FL_KIND_SLICE:
		slice = fl_store_slice(store, "default", text);
		return slice && slice->n_ports ? slice->ports[0].port : 0;
	}
	node = fl_store_node(store);
	return node ? (uint32_t)strtoul(node->zone, NULL, 10) : 0;
}

/* What befalls an answer */

enum fault {
	FAULT_NONE,
	FAULT_CUT,     /* the connection ends at `at` */
	FAULT_RESET,   /* the same, by a RST */
	FAULT_SHORT,   /* the answer ends there as if that were all */
	FAULT_STALL,   /* nothing comes any more */
	FAULT_CORRUPT, /* one byte is another */
	FAULT_DELAY,   /* what is behind waits for some steps: watches overtake each other */
	FAULT_TWICE,   /* each event comes twice */
	FAULT_CRUMBS,  /* byte by byte */
	FAULT_STATUS,  /* refused with an error */
	FAULT_HTML,    /* a captive portal: 200, and no JSON */
	FAULTS,
};

struct answer {
	int fd; /* of which connection; 0: none */
	unsigned int kind;
	uint32_t told; /* a watch: up to this version */
	bool watching; /* else the answer is complete */
	bool stuck;
	enum fault fault;
	size_t at, sent;     /* body bytes */
	unsigned int delay;  /* steps */
	char waiting[65536]; /* body bytes that are delayed */
	size_t n_waiting;
};

struct scene {
	struct fake_server server;
	struct answer answers[CONNECTIONS]; /* by the connection's place */
	struct world world;
	uint32_t seed;
	bool trouble, no_streams;
	struct fl_store *store;
	struct fl_definitions *definitions;
	struct fl_health *health;
	struct fl_source *source;
	uint32_t seen[3][NAMES]; /* in the store, by version; 0: not there */
};

/* xorshift (Marsaglia 2003). */
static uint32_t draw(struct scene *s, uint32_t below)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 17;
	s->seed ^= s->seed << 5;
	return s->seed % below;
}

static void hang_up(struct fake_connection *c, struct answer *a, bool reset)
{
	const struct linger at_once = {.l_onoff = 1};

	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	fake_cut(c);
	a->fd = 0;
}

/* False: the other end is gone. */
static bool put(struct fake_connection *c, struct answer *a, const char *text, size_t len)
{
	while (len) {
		const ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);

		if (n <= 0) {
			hang_up(c, a, false);
			return false;
		}
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool put_chunk(struct fake_connection *c, struct answer *a, const char *text, size_t len)
{
	char size[24];

	snprintf(size, sizeof(size), "%zx\r\n", len);
	return !len ||
	       (put(c, a, size, strlen(size)) && put(c, a, text, len) && put(c, a, "\r\n", 2));
}

static void end_answer(struct fake_connection *c, struct answer *a)
{
	if (put(c, a, "0\r\n\r\n", 5)) {
		c->asked = false;
		c->len = 0;
		a->fd = 0;
	}
}

/* The fault is due behind what was sent: false if there is nothing to be sent any more. */
static bool befall(struct fake_connection *c, struct answer *a)
{
	switch (a->fault) {
	case FAULT_CUT:
	case FAULT_RESET:
		hang_up(c, a, a->fault == FAULT_RESET);
		return false;
	case FAULT_SHORT:
		end_answer(c, a);
		return false;
	case FAULT_STALL:
		a->stuck = true;
		return false;
	default:
		return true;
	}
}

static void say(struct fake_connection *c, struct answer *a, const char *text, size_t len)
{
	const size_t before = a->at > a->sent ? a->at - a->sent : 0;
	const char bad = 1; /* a control character is no JSON, wherever it stands */

	if (!a->fd || a->stuck)
		return;
	if (a->fault == FAULT_DELAY && a->delay && a->sent >= a->at) {
		assert_true(a->n_waiting + len <= sizeof(a->waiting));
		memcpy(a->waiting + a->n_waiting, text, len);
		a->n_waiting += len;
		return;
	}
	a->sent += len;
	if (a->fault == FAULT_CRUMBS) {
		for (size_t i = 0; i < len; i++)
			if (!put_chunk(c, a, text + i, 1))
				return;
	} else if (a->fault == FAULT_NONE || before >= len) {
		put_chunk(c, a, text, len);
	} else if (a->fault == FAULT_CORRUPT && a->at != SIZE_MAX) {
		a->at = SIZE_MAX; /* once */
		if (put_chunk(c, a, text, before) && put_chunk(c, a, &bad, 1))
			put_chunk(c, a, text + before + 1, len - before - 1);
	} else if (put_chunk(c, a, text, before) && befall(c, a)) {
		put_chunk(c, a, text + before, len - before);
	}
}

static void say_event(struct fake_connection *c, struct answer *a, const char *type,
		      const char *object)
{
	char text[1024];
	const int len =
		snprintf(text, sizeof(text), "{\"type\":\"%s\",\"object\":%s}\n", type, object);

	for (int i = 0; i < (a->fault == FAULT_TWICE ? 2 : 1); i++)
		say(c, a, text, (size_t)len);
}

static void say_object(struct fake_connection *c, struct answer *a, const char *type,
		       unsigned int name, uint32_t version)
{
	char object[768];

	object_text(a->kind, name, version, object, sizeof(object));
	say_event(c, a, type, object);
}

static void say_bookmark(struct fake_connection *c, struct answer *a, bool initial)
{
	char object[256];

	snprintf(object, sizeof(object), "{\"metadata\":{\"resourceVersion\":\"%u\"%s}}", a->told,
		 initial ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
	say_event(c, a, "BOOKMARK", object);
}

/* Answering */

static bool argument(const char *request, const char *name, uint32_t *ret_value)
{
	const char *at = strstr(request, name);

	if (!at || at > strchr(request, '\n'))
		return false;
	*ret_value = (uint32_t)strtoul(at + strlen(name), NULL, 10);
	return true;
}

static void refuse(struct fake_connection *c, struct answer *a, unsigned int code,
		   const char *reason)
{
	char body[256], head[256];

	snprintf(body, sizeof(body),
		 "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"%s\",\"code\":%u,"
		 "\"message\":\"by plan\"}",
		 reason, code);
	snprintf(head, sizeof(head), "HTTP/1.1 %u %s\r\nContent-Length: %zu\r\n\r\n", code, reason,
		 strlen(body));
	if (put(c, a, head, strlen(head)) && put(c, a, body, strlen(body))) {
		c->asked = false;
		c->len = 0;
		a->fd = 0;
	}
}

static void refuse_by_plan(struct scene *s, struct fake_connection *c, struct answer *a)
{
	static const struct {
		unsigned int code;
		const char *reason;
	} refusals[] = {{500, "InternalError"}, {429, "TooManyRequests"},    {401, "Unauthorized"},
			{403, "Forbidden"},	{503, "ServiceUnavailable"}, {404, "NotFound"},
			{504, "Timeout"}};
	const unsigned int i = draw(s, sizeof(refusals) / sizeof(*refusals));

	refuse(c, a, refusals[i].code, refusals[i].reason);
}

/* All there is, and what comes after it. */
static void answer_stream(struct scene *s, struct fake_connection *c, struct answer *a)
{
	a->told = s->world.version;
	for (unsigned int name = 0; name < names_of(a->kind); name++) {
		const uint32_t v = world_has(&s->world, a->told, a->kind, name);

		if (v)
			say_object(c, a, "ADDED", name, v);
	}
	say_bookmark(c, a, true);
	a->watching = true;
}

/* A page: the token is the version of the list, and the name that it goes on with. */
static void answer_list(struct scene *s, struct fake_connection *c, struct answer *a,
			uint32_t token)
{
	const uint32_t version = token ? token / NAMES : s->world.version;
	unsigned int name = token % NAMES, items = 0;
	char text[1024];
	int len;

	if (token && version < s->world.oldest) {
		refuse(c, a, 410, "Expired");
		return;
	}
	len = snprintf(text, sizeof(text), "{\"kind\":\"List\",\"items\":[");
	say(c, a, text, (size_t)len);
	for (; name < names_of(a->kind) && items < PAGE_ITEMS; name++) {
		const uint32_t v = world_has(&s->world, version, a->kind, name);
		char object[768];

		if (!v)
			continue;
		object_text(a->kind, name, v, object, sizeof(object));
		len = snprintf(text, sizeof(text), "%s%s", items++ ? "," : "", object);
		say(c, a, text, (size_t)len);
	}
	len = snprintf(text, sizeof(text), "],\"metadata\":{\"resourceVersion\":\"%u\"", version);
	if (name < names_of(a->kind))
		len += snprintf(text + len, sizeof(text) - (size_t)len, ",\"continue\":\"%u\"",
				version * NAMES + name);
	len += snprintf(text + len, sizeof(text) - (size_t)len, "}}");
	say(c, a, text, (size_t)len);
}

static void answer(struct scene *s, struct fake_connection *c, struct answer *a)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char html[] = "<html>please log in</html>";
	const char *request = c->request;
	const bool watch = strstr(request, "watch=true"),
		   stream = strstr(request, "sendInitialEvents=true");
	uint32_t version = 0, token = 0;

	*a = (struct answer){.fd = c->fd};
	a->kind = strstr(request, "/services?")		? FL_KIND_SERVICE
		  : strstr(request, "/endpointslices?") ? FL_KIND_SLICE
							: FL_KIND_NODE;
	/* half of all answers are good, else nothing would ever be listed */
	a->fault = s->trouble && draw(s, 2) ? draw(s, FAULTS) : FAULT_NONE;
	a->at = draw(s, 3) ? draw(s, 400) : draw(s, 3000);
	a->delay = 1 + draw(s, DELAY_STEPS);
	argument(request, "resourceVersion=", &version);
	argument(request, "continue=", &token);
	if (a->fault == FAULT_STATUS) {
		refuse_by_plan(s, c, a);
	} else if (stream && s->no_streams) {
		refuse(c, a, 422, "Invalid");
	} else if (watch && !stream && version < s->world.oldest) {
		refuse(c, a, 410, "Expired");
	} else if (put(c, a, head, sizeof(head) - 1)) {
		if (a->fault == FAULT_HTML)
			say(c, a, html, sizeof(html) - 1);
		else if (stream)
			answer_stream(s, c, a);
		else if (watch)
			a->watching = true, a->told = version;
		else
			answer_list(s, c, a, token);
	}
}

/* What has happened since, to a watch. */
static void go_on(struct scene *s, struct fake_connection *c, struct answer *a, bool bookmark)
{
	while (a->fd && a->told < s->world.version) {
		const struct change *change = &s->world.log[++a->told];

		if (change->kind != a->kind)
			continue;
		say_object(c, a, change->gone ? "DELETED" : "MODIFIED", change->name, a->told);
	}
	if (bookmark)
		say_bookmark(c, a, false);
	/* as the server does after some minutes */
	if (a->fd && !a->stuck && s->trouble && !draw(s, 40))
		end_answer(c, a);
}

static void serve(struct scene *s, bool bookmark)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct fake_connection *c = &s->server.connections[i];
		struct answer *a = &s->answers[i];

		if (!c->fd || !c->asked) {
			a->fd = 0;
			continue;
		}
		if (!a->fd)
			answer(s, c, a);
		else if (a->fault == FAULT_DELAY && a->delay && !--a->delay)
			put_chunk(c, a, a->waiting, a->n_waiting);
		if (a->fd && a->watching)
			go_on(s, c, a, bookmark);
		else if (a->fd && !a->stuck && !(a->fault == FAULT_DELAY && a->delay))
			end_answer(c, a);
	}
}

/* What must hold */

static void check(struct scene *s)
{
	for (unsigned int kind = 0; kind < 3; kind++) {
		for (unsigned int name = 0; name < names_of(kind); name++) {
			uint32_t *seen = &s->seen[kind][name];
			const uint32_t has = store_has(s->store, kind, name);
			const struct change *change = &s->world.log[has];

			if (has && (has > s->world.version || change->kind != kind ||
				    change->name != name || change->gone))
				fail_msg("%s %u is at %u, which it never was", fl_kind_name(kind),
					 name, has);
			if (has && has < *seen)
				fail_msg("%s %u goes back from %u to %u", fl_kind_name(kind), name,
					 *seen, has);
			if (!has && *seen && !world_deleted_since(&s->world, *seen, kind, name))
				fail_msg("%s %u is lost, at %u", fl_kind_name(kind), name, *seen);
			*seen = has;
		}
	}
}

static bool is_settled(const struct scene *s)
{
	for (unsigned int kind = 0; kind < 3; kind++)
		for (unsigned int name = 0; name < names_of(kind); name++)
			if (store_has(s->store, kind, name) !=
			    world_has(&s->world, s->world.version, kind, name))
				return false;
	return fl_source_complete(s->source) && !fl_health_count(s->health, FL_HEALTH_ERROR) &&
	       !fl_health_count(s->health, FL_HEALTH_WARNING);
}

/* What is not so. */
static void explain(const struct scene *s)
{
	static const char *const kinds[] = {"services", "endpointslices", "nodes"};

	for (unsigned int kind = 0; kind < 3; kind++) {
		const struct fl_condition *c =
			fl_health_find(s->health, FL_CONDITION_API, kinds[kind]);

		if (c)
			fprintf(stderr, "%s: %s\n", kinds[kind], c->text);
		for (unsigned int name = 0; name < names_of(kind); name++) {
			const uint32_t has = store_has(s->store, kind, name),
				       is = world_has(&s->world, s->world.version, kind, name);

			if (has != is)
				fprintf(stderr, "%s %u is at %u, and here at %u\n", kinds[kind],
					name, is, has);
		}
	}
}

/* A plan */

static void step(struct scene *s, bool bookmark)
{
	for (uint32_t n = s->trouble ? draw(s, 3) : 0; n; n--) {
		const unsigned int kind = draw(s, 8) ? draw(s, 2) : FL_KIND_NODE;

		world_change(&s->world, kind, draw(s, names_of(kind)), !draw(s, 3));
	}
	if (s->trouble && !draw(s, 20))
		s->world.oldest = s->world.version;
	serve(s, bookmark);
	fake_turn(&s->server, fl_source_fd(s->source), s->trouble ? (int)draw(s, 8) : 2);
	assert_int_equal(fl_source_handle(s->source, NULL), 0);
	/* no waiting for the back-off, most of the time */
	if (draw(s, 8))
		assert_int_equal(fl_source_apply_held(s->source, NULL), 0);
	check(s);
}

static void open_scene(struct scene *s)
{
	struct fl_kube_source_options options = {
		.node = "node-1", .idle_ms = IDLE_MS, .at_once_ms = AT_ONCE_MS};
	struct fl_kube_access access = {0};
	struct fl_err err = {""};

	fake_open(&s->server);
	assert_int_equal(fl_store_new("node-1", &s->store), 0);
	assert_int_equal(fl_definitions_new(s->store, &s->definitions), 0);
	assert_int_equal(fl_health_new(&fl_clock_system, NULL, NULL, &s->health), 0);
	options.store = s->store;
	options.definitions = s->definitions;
	options.health = s->health;
	access.server = strdup(s->server.url);
	if (fl_kube_source_new(&access, &options, &s->source, &err))
		fail_msg("%s", err.text);
	assert_int_equal(fl_source_load(s->source, &err), 0);
}

static void close_scene(struct scene *s)
{
	fl_source_free(&s->source);
	fl_definitions_free(&s->definitions);
	fl_store_free(&s->store);
	fl_health_free(&s->health);
	fake_close(&s->server);
}

static void play(struct scene *s, uint32_t seed)
{
	struct fl_mono until;

	s->seed = seed * 2654435761U | 1;
	s->no_streams = !draw(s, 3);
	world_change(&s->world, FL_KIND_NODE, 0, false);
	for (unsigned int name = 0; name < NAMES; name++) {
		world_change(&s->world, FL_KIND_SERVICE, name, false);
		world_change(&s->world, FL_KIND_SLICE, name, false);
	}
	open_scene(s);
	s->trouble = true;
	for (int i = 0; i < STEPS; i++)
		step(s, i % BOOKMARK_STEPS == 0);
	s->trouble = false;
	until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);
	for (int i = 0; !is_settled(s); i++) {
		if (fl_mono_now().ns > until.ns) {
			explain(s);
			fail_msg("the trouble is over, and the store is not what the server has");
		}
		step(s, i % BOOKMARK_STEPS == 0);
	}
	close_scene(s);
}

static uint32_t number_from(const char *variable, uint32_t usual)
{
	const char *text = getenv(variable);

	return text && *text ? (uint32_t)strtoul(text, NULL, 10) : usual;
}

static struct {
	uint32_t first, plans; /* 0 plans: without end */
	unsigned int job;
	uint32_t at; /* the plan that is being played */
} share;

static void test_share(void **state)
{
	for (uint32_t i = share.job; !share.plans || i < share.plans; i += JOBS) {
		_cleanup_free_ struct scene *s = calloc(1, sizeof(*s));

		assert_non_null(s);
		share.at = share.first + i;
		play(s, share.at);
	}
}

static pid_t start_share(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_share)};
	const pid_t parent = getpid(), pid = fork();
	int failed;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* the lines about its test would be among ours */
	if (getppid() != parent || !freopen("/dev/null", "w", stdout))
		_exit(1);
	failed = cmocka_run_group_tests_name("plans", tests, NULL, NULL);
	if (failed)
		fprintf(stderr, "failed: FL_CHAOS_SEED=%u FL_CHAOS_PLANS=1\n", share.at);
	exit(failed != 0);
}

static void test_every_plan_ends_well(void **state)
{
	pid_t pids[JOBS];
	int failed = 0;

	fprintf(stderr, "plans: FL_CHAOS_SEED=%u FL_CHAOS_PLANS=%u\n", share.first, share.plans);
	fflush(NULL);
	for (share.job = 0; share.job < JOBS; share.job++) {
		pids[share.job] = start_share();
		assert_true(pids[share.job] > 0);
	}
	/* the first that fails ends the others, so that its words are the last ones */
	for (unsigned int left = JOBS; left; left--) {
		int status = 0;
		const pid_t ended = wait(&status);

		assert_true(ended > 0);
		for (unsigned int i = 0; i < JOBS; i++) {
			if (pids[i] == ended)
				pids[i] = 0;
			else if (status && !failed && pids[i])
				kill(pids[i], SIGTERM);
		}
		failed |= status;
	}
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_plan_ends_well)};

	share.plans = number_from("FL_CHAOS_PLANS", PLANS);
	share.first = number_from("FL_CHAOS_SEED", (uint32_t)(time(NULL) % 1000000000));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
