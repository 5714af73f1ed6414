/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A watch of things, its sink, which writes down what it is told, and a server that the test plays
 * (server_fixture.h).
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/base/cleanup.h"
#include "lb/kube/watch.h"
#include "tests/unit/kube/server_fixture.h"

#define STREAM "sendInitialEvents=true"
#define LIST "limit="
#define WATCH "watch=true"

#define OBJECT(name, version)                                                                      \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
#define BOOKMARK(version)                                                                          \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version "\"}}}"  \
	"\n"
#define INITIAL_END(version)                                                                       \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version          \
	"\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define PAGE(version, next, items)                                                                 \
	"{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"" version                     \
	"\",\"continue\":\"" next "\"},\"items\":[" items "]}"
#define STATUS(code, reason)                                                                       \
	"{\"kind\":\"Status\",\"code\":" code ",\"reason\":\"" reason "\",\"message\":"            \
	"\"because\"}"
#define EXPIRED "{\"type\":\"ERROR\",\"object\":" STATUS("410", "Expired") "}\n"

struct scene {
	struct fake_server server;
	struct fl_kube_access access;
	struct fl_kube_client *client;
	struct fl_kube_watch *watch;
	char said[4096]; /* to the sink */
	int fail_with;
};

static inline int say(struct scene *s, const char *what, const struct fl_value *object)
{
	const struct fl_value *metadata = fl_value_get(object, "metadata");
	const char *name = fl_value_string(fl_value_get(metadata, "name"));
	size_t len = strlen(s->said);

	snprintf(s->said + len, sizeof(s->said) - len, "%s%s%s", what, name ? name : "",
		 name ? " " : "");
	return s->fail_with;
}

static inline int on_begin(void *arg)
{
	say(arg, "begin ", NULL);
	return 0;
}

static inline int on_listed(const struct fl_value *object, void *arg)
{
	return say(arg, "=", object);
}

static inline int on_unlisted(const struct fl_value *object, void *arg)
{
	return say(arg, "!", object);
}

static inline int on_complete(void *arg)
{
	return say(arg, "complete ", NULL);
}

static inline int on_changed(const struct fl_value *object, void *arg)
{
	return say(arg, "+", object);
}

static inline int on_deleted(const struct fl_value *object, void *arg)
{
	return say(arg, "-", object);
}

static const struct fl_kube_sink sink = {
	.begin = on_begin,
	.listed = on_listed,
	.unlisted = on_unlisted,
	.complete = on_complete,
	.changed = on_changed,
	.deleted = on_deleted,
};

static inline void open_watch(struct scene *s, uint64_t idle_ms)
{
	const struct fl_kube_watch_options options = {
		.client = s->client,
		.path = "/api/v1/things",
		.labels = "!a,b=c",
		.sink = &sink,
		.arg = s,
		.watch_idle_ms = idle_ms,
		.list_idle_ms = idle_ms,
		.page = 2,
	};

	assert_int_equal(fl_kube_watch_new(&options, &s->watch), 0);
}

static inline int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct fl_err err = {""};

	assert_non_null(s);
	fake_open(&s->server);
	s->access.server = s->server.url;
	if (fl_kube_client_new(&s->access, &s->client, &err))
		fail_msg("%s", err.text);
	open_watch(s, 0);
	*state = s;
	return 0;
}

static inline int teardown(void **state)
{
	struct scene *s = *state;

	fl_kube_watch_free(&s->watch);
	fl_kube_client_free(&s->client);
	fake_close(&s->server);
	free(s);
	return 0;
}

static inline void turn(struct scene *s)
{
	fake_turn(&s->server, fl_kube_client_fd(s->client), 20);
	fl_kube_client_handle(s->client);
	fl_kube_watch_tick(s->watch, fl_mono_now());
	fl_kube_client_wake(s->client, fl_kube_watch_due(s->watch));
}

/* The request that comes in next, which has this in it. */
static inline struct fake_connection *asked(struct scene *s, const char *what)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);
	struct fake_connection *c;

	while (!(c = fake_asked(&s->server, what))) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("no request with \"%s\"; the last was \"%.200s\"; %s", what,
				 s->server.last,
				 fl_kube_watch_trouble(s->watch) ? fl_kube_watch_trouble(s->watch)
								 : "no trouble");
		turn(s);
	}
	return c;
}

static inline void until_said(struct scene *s, const char *what)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);

	while (strcmp(s->said, what)) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("said \"%s\" and not \"%s\"", s->said, what);
		turn(s);
	}
}

/* Something fails; waits for that, and then not for the back-off. Returns that, in ms. */
static inline uint64_t until_trouble(struct scene *s, const char *what)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);
	uint64_t delay_ms;

	while (!fl_kube_watch_trouble(s->watch) || !fl_kube_watch_due(s->watch).ns) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("no trouble, where \"%s\" was due", what);
		turn(s);
	}
	if (!strstr(fl_kube_watch_trouble(s->watch), what))
		fail_msg("\"%s\" lacks \"%s\"", fl_kube_watch_trouble(s->watch), what);
	delay_ms = fl_mono_ms_between(fl_mono_now(), fl_kube_watch_due(s->watch));
	/* the server has not seen yet that its client has hung up */
	for (size_t i = 0; i < CONNECTIONS; i++)
		s->server.connections[i].asked = false;
	fl_kube_watch_hurry(s->watch);
	return delay_ms;
}

static inline void until_well(struct scene *s)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);

	while (fl_kube_watch_trouble(s->watch)) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("still in trouble: %s", fl_kube_watch_trouble(s->watch));
		turn(s);
	}
}

/* The server refuses connections, and then is there again; the watch has seen that. */
static inline void server_restarts(struct scene *s)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(s->server.port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	close(s->server.fd);
	s->server.fd = -1;
	for (size_t i = 0; i < CONNECTIONS; i++)
		fake_cut(&s->server.connections[i]);
	until_trouble(s, "watch: ");
	s->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fake_reuse(s->server.fd);
	assert_int_equal(bind(s->server.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->server.fd, 16), 0);
}

/* Listed by a stream, with one object, at version 10; the watch goes on. */
static inline struct fake_connection *listed(struct scene *s)
{
	struct fake_connection *c = asked(s, STREAM);

	fake_begin(c);
	fake_say(c, EVENT("ADDED", "a", "7") INITIAL_END("10"));
	until_said(s, "begin =a complete ");
	s->said[0] = '\0';
	return c;
}

static inline void expect_query(const char *request, const char *const *parts)
{
	for (; *parts; parts++)
		if (!strstr(request, *parts))
			fail_msg("\"%.300s\" lacks %s", request, *parts);
}
