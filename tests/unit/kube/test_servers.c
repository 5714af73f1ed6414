/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * 11.8: several API servers, each with a certificate of its own, of which some are none: which is
 * asked next, and whose certificate is good.
 */
#include "tests/unit/http/own_loopback.h"
#include "tests/unit/kube/tls_fixture.h"

#include <signal.h>

#define OWN_NAME "Host: kubernetes.default.svc:"
#define WRONG_NAME "no alternative certificate subject name matches"

/* The configured one, at 127.0.0.1, and others. */
struct servers {
	struct scene *scene;
	struct tls_authority authority, stranger;
	struct tls_server configured, other[3];
	char url[64], host[64], where[3][32];
};

static void add_server(struct servers *v, size_t i, const struct tls_authority *by,
		       const char *names)
{
	tls_open(&v->other[i], by, names, &v->scene->server);
	snprintf(v->where[i], sizeof(v->where[i]), "127.0.0.1:%u", v->other[i].port);
}

static void learn(struct servers *v, size_t first, size_t n)
{
	const char *places[3];

	for (size_t i = 0; i < n; i++)
		places[i] = v->where[first + i];
	assert_int_equal(fl_kube_client_learn(v->scene->client, places, n), 0);
}

static void set_server(struct servers *v, const char *names)
{
	tls_open(&v->configured, &v->authority, names, &v->scene->server);
	snprintf(v->url, sizeof(v->url), "https://127.0.0.1:%u", v->configured.port);
	snprintf(v->host, sizeof(v->host), "Host: 127.0.0.1:%u\r\n", v->configured.port);
	v->scene->access.server = v->url;
}

static int open_servers(void **state)
{
	struct servers *v = calloc(1, sizeof(*v));
	static char token[] = "secret";
	void *scene;

	assert_non_null(v);
	assert_int_equal(setup(&scene), 0);
	v->scene = scene;
	tls_authority_init(&v->authority, "cluster");
	tls_authority_init(&v->stranger, "another cluster");
	v->scene->access.ca =
		(struct fl_kube_pem){.data = v->authority.pem, .len = strlen(v->authority.pem)};
	v->scene->access.token = token;
	v->configured.fd = -1;
	for (size_t i = 0; i < 3; i++)
		v->other[i].fd = -1;
	set_server(v, "IP:127.0.0.1");
	*state = v;
	return 0;
}

static int close_servers(void **state)
{
	struct servers *v = *state;
	void *scene = v->scene;

	v->scene->access.token = NULL;
	tls_close(&v->configured);
	for (size_t i = 0; i < 3; i++)
		tls_close(&v->other[i]);
	teardown(&scene);
	tls_authority_fini(&v->authority);
	tls_authority_fini(&v->stranger);
	free(v);
	return 0;
}

/* What is wrong now, and with which server ("": the configured one); then the next is tried. */
static void until_refused(struct servers *v, const char *where, const char *why)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), PATIENCE_MS);
	struct fl_kube_watch *watch = v->scene->watch;
	const char *trouble;
	char text[160];

	snprintf(text, sizeof(text), ": %s%s%s", where, *where ? ": " : "", why);
	while (!(trouble = fl_kube_watch_trouble(watch)) || !fl_kube_watch_due(watch).ns ||
	       !strstr(trouble, text)) {
		if (fl_mono_now().ns > until.ns)
			fail_msg("trouble is \"%s\" and not \"%s\"", trouble ? trouble : "none",
				 text);
		turn(v->scene);
	}
	fl_kube_watch_hurry(watch);
}

static void follow(struct scene *s, struct fake_connection *c)
{
	fake_begin(c);
	fake_say(c, EVENT("ADDED", "b", "11"));
	until_said(s, "+b ");
	until_well(s);
	s->said[0] = '\0';
}

/*
 * A server has its own address in its certificate and the Service's name; a kubelet its address
 * only. One that is refused, or is none, is not kept; what was read last goes on from its version.
 */
static void test_11_8_a_certificate_each(void **state)
{
	struct servers *v = *state;
	struct fake_connection *c;
	unsigned int requests;

	add_server(v, 0, &v->authority, "DNS:node-3,IP:127.0.0.1");
	add_server(v, 1, NULL, NULL);
	add_server(v, 2, &v->authority, "DNS:kubernetes.default.svc,IP:127.0.0.2");
	listed(v->scene);
	learn(v, 0, 3);
	requests = v->scene->server.requests;
	tls_stop(&v->configured);
	until_refused(v, "", "Couldn't connect");
	until_refused(v, v->where[0], "SSL: " WRONG_NAME);
	until_refused(v, v->where[1], "");
	c = asked(v->scene, OWN_NAME);
	assert_non_null(strstr(c->request, "resourceVersion=10"));
	assert_non_null(strstr(c->request, "Authorization: Bearer secret"));
	assert_int_equal(atomic_load(&v->other[2].taken), 1);
	assert_int_equal(v->scene->server.requests, requests + 1);
	follow(v->scene, c);
}

/* Where none of the others is any good, the configured one is found when it is back. */
static void test_11_8_the_configured_one_comes_back(void **state)
{
	struct servers *v = *state;
	struct fake_connection *c;

	add_server(v, 0, &v->authority, "IP:127.0.0.1");
	add_server(v, 1, NULL, NULL);
	listed(v->scene);
	learn(v, 0, 2);
	tls_stop(&v->configured);
	for (int round = 0; round < 2; round++) {
		until_refused(v, "", "Couldn't connect");
		until_refused(v, v->where[0], "SSL: " WRONG_NAME);
		if (round)
			tls_start(&v->configured);
		until_refused(v, v->where[1], "");
	}
	c = asked(v->scene, v->host);
	assert_non_null(strstr(c->request, "resourceVersion=10"));
	follow(v->scene, c);
}

/* The name alone proves nothing, and who is not proven is told nothing. */
static void test_11_8_another_authority(void **state)
{
	struct servers *v = *state;
	unsigned int requests;

	add_server(v, 0, &v->stranger, "DNS:kubernetes.default.svc,IP:127.0.0.1");
	listed(v->scene);
	learn(v, 0, 1);
	requests = v->scene->server.requests;
	tls_stop(&v->configured);
	until_refused(v, "", "Couldn't connect");
	until_refused(v, v->where[0], "SSL certificate problem");
	until_refused(v, "", "Couldn't connect");
	assert_int_equal(v->scene->server.requests, requests);
	assert_int_equal(atomic_load(&v->other[0].taken), 0);
}

/* tls-server-name is the name of all. */
static void test_11_8_server_name(void **state)
{
	struct servers *v = *state;
	char name[] = "api.example";
	struct fake_connection *c;

	tls_close(&v->configured);
	set_server(v, "DNS:api.example");
	v->scene->access.tls_server_name = name;
	add_server(v, 0, &v->authority, "DNS:kubernetes.default.svc,IP:127.0.0.1");
	add_server(v, 1, &v->authority, "DNS:api.example");
	listed(v->scene);
	learn(v, 0, 2);
	tls_stop(&v->configured);
	until_refused(v, "", "Couldn't connect");
	until_refused(v, v->where[0], "SSL: " WRONG_NAME);
	c = asked(v->scene, "Host: api.example:");
	assert_int_equal(atomic_load(&v->other[1].taken), 1);
	follow(v->scene, c);
	v->scene->access.tls_server_name = NULL;
}

/* Others that are given are tried before anything was learnt, by the names they are given with. */
static void test_11_8_given(void **state)
{
	struct servers *v = *state;
	struct scene *s = v->scene;
	char urls[2][64], *items[] = {urls[0], urls[1]};
	struct fake_connection *c;
	uint64_t failures;

	add_server(v, 0, &v->authority, "DNS:kubernetes.default.svc");
	add_server(v, 1, &v->authority, "IP:127.0.0.1");
	add_server(v, 2, &v->authority, "DNS:kubernetes.default.svc");
	for (size_t i = 0; i < 2; i++)
		snprintf(urls[i], sizeof(urls[i]), "https://%s/", v->where[i]);
	s->access.other_servers = (struct fl_strings){.items = items, .n = 2};
	tls_stop(&v->configured);
	until_refused(v, "", "Couldn't connect");
	until_refused(v, urls[0], "SSL: " WRONG_NAME);
	c = asked(s, STREAM);
	assert_int_equal(atomic_load(&v->other[1].taken), 1);
	assert_non_null(strstr(c->request, "GET /api/v1/things?"));
	fake_begin(c);
	fake_say(c, EVENT("ADDED", "a", "7") INITIAL_END("10"));
	until_well(s);
	/* and what is learnt comes behind them */
	learn(v, 2, 1);
	s->said[0] = '\0';
	tls_stop(&v->other[1]);
	until_refused(v, urls[1], "");
	c = asked(s, OWN_NAME);
	follow(s, c);
	/* the one in use keeps its turn when others are learnt around it: it, then the next */
	failures = fl_kube_watch_counts(s->watch)->failures;
	assert_int_equal(fl_kube_client_learn(
				 s->client,
				 (const char *const[]){"127.0.0.1:1", v->where[2], "127.0.0.1:2"},
				 3),
			 0);
	tls_stop(&v->other[2]);
	until_refused(v, v->where[2], "");
	until_refused(v, "127.0.0.1:2", "Couldn't connect");
	assert_int_equal(fl_kube_watch_counts(s->watch)->failures, failures + 2);
	s->access.other_servers = (struct fl_strings){0};
}

static void on_done(const struct fl_kube_reply *reply, void *arg)
{
	++*(unsigned int *)arg;
}

/* Several requests that fail at one server lead to the next, and not past it. */
static void test_11_8_each_has_its_turn(void **state)
{
	struct servers *v = *state;
	struct scene *s = v->scene;
	unsigned int ended = 0;
	const struct fl_kube_call call = {
		.path = "/other", .idle_ms = 60000, .done = on_done, .arg = &ended};
	struct fl_kube_request *request;

	add_server(v, 0, &v->authority, "DNS:kubernetes.default.svc");
	add_server(v, 1, &v->authority, "DNS:kubernetes.default.svc");
	listed(s);
	learn(v, 0, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fl_kube_ask(s->client, &call, &request), 0);
	asked(s, "GET /other");
	tls_stop(&v->configured);
	while (ended < 2)
		turn(s);
	follow(s, asked(s, OWN_NAME));
	assert_int_equal(atomic_load(&v->other[0].taken), 1);
	assert_int_equal(atomic_load(&v->other[1].taken), 0);
}

/* Who does not know us, or has lost its etcd, is not kept, and neither is any asked more often for
 * it. Who only asks for patience is. */
static void test_11_8_of_no_use(void **state)
{
	struct servers *v = *state;
	struct scene *s = v->scene;
	struct fake_connection *c;

	add_server(v, 0, &v->authority, "DNS:kubernetes.default.svc");
	fake_end(listed(s));
	learn(v, 0, 1);
	fake_answer(asked(s, v->host), "500 Internal Server Error", "", STATUS("500", "etcd"));
	until_trouble(s, "HTTP 500");
	fake_answer(asked(s, OWN_NAME), "401 Unauthorized", "", STATUS("401", "who"));
	until_trouble(s, "HTTP 401");
	fake_answer(asked(s, v->host), "503 Service Unavailable", "Retry-After: 1\r\n",
		    STATUS("503", "ends"));
	assert_in_range(until_trouble(s, "HTTP 503"), 800, 60000);
	fake_answer(asked(s, OWN_NAME), "429 Too Many Requests", "Retry-After: 1\r\n",
		    STATUS("429", "later"));
	until_trouble(s, "HTTP 429");
	c = asked(s, OWN_NAME);
	fake_begin(c);
	fake_say(c, EVENT("ADDED", "a", "7") INITIAL_END("10"));
	until_well(s);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_servers, close_servers)
	const struct CMUnitTest tests[] = {
		TEST(test_11_8_a_certificate_each),
		TEST(test_11_8_the_configured_one_comes_back),
		TEST(test_11_8_another_authority),
		TEST(test_11_8_server_name),
		TEST(test_11_8_given),
		TEST(test_11_8_each_has_its_turn),
		TEST(test_11_8_of_no_use),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, own_loopback, NULL);
}
