/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The servers themselves, asked over loopback: codes, headers and bodies as kube-proxy has them
 * (6.1, 6.2, 6.3), ports that come and go, and what cannot be bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lb/base/json_write.h"
#include "lb/duties/duties.h"
#include "lb/duties/sockets.h"
#include "tests/unit/agent/health_fixture.h"
#include "tests/unit/duties/plans.h"
#include "tests/unit/http/http_fixture.h"
#include "tests/unit/http/own_loopback.h"

static const struct fl_node_ports everywhere = {.match_all = {true, true}};

struct scene {
	struct http_state http;
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_proxy_health proxy_health;
	struct fl_local_services *services;
	struct fl_duties *duties;
	bool eligible;
	uint16_t free_port; /* nobody has it in either family */
};

static bool is_eligible(void *arg)
{
	return ((struct scene *)arg)->eligible;
}

static void put_config(struct fl_json *json, void *arg)
{
	fl_json_member_string(json, "fairlead.dev", "all of it");
}

static char *put_metrics(void *arg)
{
	return strdup("a_metric 1\n");
}

static int64_t scene_unix_ns(void *arg)
{
	return 1700000000 * (int64_t)FL_NSEC_PER_SEC;
}

/* A socket that is bound, so that its port is free for others when it is closed. */
static int hold_port(enum fl_family family, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *addr = family == FL_IPV4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == FL_IPV4 ? sizeof(v4) : sizeof(v6);
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1; /* connections that are over do not hold it, a listening socket does */

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, addr, len) || getsockname(fd, addr, &len)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (ret_port)
		*ret_port = ntohs(((struct sockaddr_in *)addr)->sin_port);
	return fd;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const struct fl_clock clock = {
		.mono = hands_mono, .unix_ns = scene_unix_ns, .arg = &s->hands};
	struct fl_duties_options options = {.proxy_mode = "fairlead",
					    .eligible = is_eligible,
					    .metrics = put_metrics,
					    .configz = put_config,
					    .arg = s};
	int fd;

	http_setup(&s->http, NULL);
	s->hands.ns = FL_NSEC_PER_SEC;
	s->health = health_with(&s->hands);
	s->proxy_health = fl_proxy_health_of(&clock, 30);
	s->eligible = true;
	assert_int_equal(fl_local_services_new(&s->services), 0);
	options.http = s->http.http;
	options.health = s->health;
	options.proxy_health = &s->proxy_health;
	options.services = s->services;
	assert_int_equal(fl_duties_new(&options, &s->duties, NULL), 0);
	fd = hold_port(FL_IPV4, 0, &s->free_port);
	assert_true(fd >= 0);
	close(fd);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	fl_duties_free(&s->duties);
	http_teardown(&s->http);
	fl_local_services_free(&s->services);
	fl_health_free(&s->health);
	free(s);
	return 0;
}

static bool has_ipv6(void)
{
	const int fd = hold_port(FL_IPV6, 0, NULL);

	if (fd < 0) {
		fprintf(stderr, "SKIP this family: no IPv6 here\n");
		return false;
	}
	close(fd);
	return true;
}

static int ask(struct scene *s, enum fl_family family, const char *request, char *buf, size_t size)
{
	return http_ask(&s->http, http_dial_tcp(family, s->free_port), request, buf, size);
}

static void make_stale(struct scene *s)
{
	fl_proxy_health_queued(&s->proxy_health);
	s->hands = fl_mono_plus_ms(s->hands, 60000);
}

static void expect_socket(struct scene *s, bool open)
{
	const int fd = hold_port(FL_IPV4, s->free_port, NULL);

	assert_int_equal(fd < 0, open);
	if (fd >= 0)
		close(fd);
}

static void listen_healthz(struct scene *s)
{
	const struct fl_socket_want wants[] = {
		{.ip = fl_ip_unspecified(FL_IPV4), .port = s->free_port, .what = "/healthz"},
		{.ip = fl_ip_unspecified(FL_IPV6),
		 .port = s->free_port,
		 .v6_only = true,
		 .implied = true,
		 .what = "/healthz"},
	};
	struct fl_err err = {""};

	assert_int_equal(fl_duties_listen(s->duties, wants, 2, NULL, 0), 0);
	if (fl_duties_error(s->duties, &err))
		fail_msg("%s", err.text);
}

static void test_6_2_healthz_and_livez(void **state)
{
	struct scene *s = *state;
	struct fl_duties_counts counts;
	char buf[4096];

	listen_healthz(s);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		if (family == FL_IPV6 && !has_ipv6())
			continue;
		assert_int_equal(ask(s, family, "GET /healthz" END, buf, sizeof(buf)), 200);
		assert_non_null(strstr(buf, "Content-Type: application/json\r\n"));
		assert_non_null(strstr(buf, "X-Content-Type-Options: nosniff\r\n"));
		assert_non_null(strstr(buf, "\"nodeEligible\":true,\"healthy\":true"));
	}
	/* 6.2.1: any method; other paths are 404 */
	assert_int_equal(ask(s, FL_IPV4, "POST /livez?verbose" END, buf, sizeof(buf)), 200);
	assert_null(strstr(buf, "nodeEligible"));
	assert_int_equal(ask(s, FL_IPV4, "GET /metrics" END, buf, sizeof(buf)), 404);
	assert_int_equal(ask(s, FL_IPV4, "GET /healthz/x" END, buf, sizeof(buf)), 404);
	/* 6.2.6, 6.2.7: only traffic minds that the node is about to go */
	s->eligible = false;
	assert_int_equal(ask(s, FL_IPV4, "GET /healthz" END, buf, sizeof(buf)), 503);
	assert_non_null(strstr(buf, "\"nodeEligible\":false,\"healthy\":true"));
	assert_int_equal(ask(s, FL_IPV4, "GET /livez" END, buf, sizeof(buf)), 200);
	s->eligible = true;
	make_stale(s);
	assert_int_equal(ask(s, FL_IPV4, "GET /healthz" END, buf, sizeof(buf)), 503);
	assert_non_null(strstr(buf, "\"nodeEligible\":true,\"healthy\":false"));
	assert_int_equal(ask(s, FL_IPV4, "GET /livez" END, buf, sizeof(buf)), 503);
	counts = fl_duties_count(s->duties);
	assert_int_equal(counts.healthz[FL_HEALTH_CODE_503], 2);
	assert_int_equal(counts.livez[FL_HEALTH_CODE_200], 2);
	assert_int_equal(counts.livez[FL_HEALTH_CODE_503], 1);
}

#define BODY(n, healthy)                                                                           \
	"\r\n\r\n{\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": "             \
	"\"web\"\n\t},\n\t\"localEndpoints\": " n ",\n\t\"serviceProxyHealthy\": " healthy "\n}"

static void expect_end(const char *buf, const char *end)
{
	assert_true(strlen(buf) >= strlen(end));
	assert_string_equal(buf + strlen(buf) - strlen(end), end);
}

/* 6.1.3 to 6.1.5: code, headers and body for any method and path; 6.1.10: by family */
static void test_6_1_health_check_node_port(void **state)
{
	struct scene *s = *state;
	char buf[4096];

	plan_both(s->services, "web", s->free_port, 2, 0);
	fl_duties_turn(s->duties, &everywhere, true);
	assert_int_equal(ask(s, FL_IPV4, "PUT /any/path" END, buf, sizeof(buf)), 200);
	assert_non_null(strstr(buf, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(buf, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(buf, "X-Load-Balancing-Endpoint-Weight: 2\r\n"));
	expect_end(buf, BODY("2", "true"));
	if (has_ipv6()) {
		assert_int_equal(ask(s, FL_IPV6, "GET /" END, buf, sizeof(buf)), 503);
		assert_non_null(strstr(buf, "X-Load-Balancing-Endpoint-Weight: 0\r\n"));
		expect_end(buf, BODY("0", "true"));
	}
	/* 6.1.7: whether the node is about to go plays no part */
	s->eligible = false;
	assert_int_equal(ask(s, FL_IPV4, "GET /" END, buf, sizeof(buf)), 200);
	/* 6.2.10: a proxy that is not healthy has no healthy Service */
	make_stale(s);
	assert_int_equal(ask(s, FL_IPV4, "GET /" END, buf, sizeof(buf)), 503);
	expect_end(buf, BODY("2", "false"));
	fl_proxy_health_updated(&s->proxy_health);
	/* the last endpoint goes: the balancer drains the node */
	plan_both(s->services, "web", s->free_port, 0, 0);
	fl_duties_turn(s->duties, &everywhere, false);
	assert_int_equal(ask(s, FL_IPV4, "GET /" END, buf, sizeof(buf)), 503);
	expect_end(buf, BODY("0", "true"));
}

static void test_6_1_8_sockets_follow_services(void **state)
{
	struct scene *s = *state;

	expect_socket(s, false);
	plan_both(s->services, "web", s->free_port, 1, 1);
	fl_duties_turn(s->duties, &everywhere, false);
	expect_socket(s, true);
	assert_int_equal(fl_duties_count(s->duties).health_ports, 1);
	plan_none(s->services, "web");
	fl_duties_turn(s->duties, &everywhere, false);
	expect_socket(s, false);
	assert_int_equal(fl_duties_count(s->duties).health_ports, 0);
}

/* 6.1.2: the accepted addresses alone, and others when these change */
static void test_6_1_2_accepted_addresses(void **state)
{
	struct scene *s = *state;
	struct fl_ip first, second, *one = &first, *two = &second;
	struct fl_node_ports node_ports = {.accepted = {one}, .n_accepted = {1, 0}};
	char buf[4096], subject[80];

	fl_ip_parse("127.0.0.1", &first);
	fl_ip_parse("192.0.2.77", &second); /* nobody's */
	plan_both(s->services, "web", s->free_port, 1, 1);
	fl_duties_turn(s->duties, &node_ports, true);
	assert_int_equal(ask(s, FL_IPV4, "GET /" END, buf, sizeof(buf)), 200);
	assert_int_equal(fl_health_count(s->health, FL_HEALTH_ERROR), 0);
	node_ports.accepted[FL_IPV4] = two;
	fl_duties_turn(s->duties, &node_ports, true);
	expect_socket(s, false);
	snprintf(subject, sizeof(subject), "health-check 192.0.2.77:%u default/web", s->free_port);
	assert_non_null(condition_text(s->health, FL_CONDITION_LISTEN, subject));
	node_ports.n_accepted[FL_IPV4] = 0;
	fl_duties_turn(s->duties, &node_ports, true);
	assert_null(condition_text(s->health, FL_CONDITION_LISTEN, subject));
}

/* 6.1.9: a port that somebody else has is named, and taken as soon as it is free. */
static void test_6_1_9_a_port_that_cannot_be_bound(void **state)
{
	struct scene *s = *state;
	struct fl_node_ports v4_only = {.match_all = {true, false}};
	int fd = hold_port(FL_IPV4, s->free_port, NULL);
	char subject[80], want[200], buf[4096];

	assert_int_equal(listen(fd, 1), 0);
	plan_both(s->services, "web", s->free_port, 1, 1);
	fl_duties_turn(s->duties, &v4_only, true);
	snprintf(subject, sizeof(subject), "health-check 0.0.0.0:%u default/web", s->free_port);
	snprintf(want, sizeof(want),
		 "cannot listen on 0.0.0.0:%u for the health checks of Service default/web: "
		 "Address already in use",
		 s->free_port);
	assert_string_equal(condition_text(s->health, FL_CONDITION_LISTEN, subject), want);
	assert_int_equal(fl_health_find(s->health, FL_CONDITION_LISTEN, subject)->level,
			 FL_HEALTH_ERROR);
	fl_duties_retry(s->duties);
	assert_non_null(condition_text(s->health, FL_CONDITION_LISTEN, subject));
	close(fd);
	fl_duties_retry(s->duties);
	assert_null(condition_text(s->health, FL_CONDITION_LISTEN, subject));
	assert_int_equal(ask(s, FL_IPV4, "GET /" END, buf, sizeof(buf)), 200);
}

static void test_6_3_the_metrics_server(void **state)
{
	struct scene *s = *state;
	const struct fl_socket_want want = {
		.ip = fl_ip_unspecified(FL_IPV4), .port = s->free_port, .what = "/metrics"};
	char buf[4096];

	assert_int_equal(fl_duties_listen(s->duties, NULL, 0, &want, 1), 0);
	assert_int_equal(ask(s, FL_IPV4, "GET /proxyMode" END, buf, sizeof(buf)), 200);
	expect_end(buf, "\r\n\r\nfairlead");
	assert_int_equal(ask(s, FL_IPV4, "GET /healthz" END, buf, sizeof(buf)), 200);
	expect_end(buf, "\r\n\r\nok");
	assert_int_equal(ask(s, FL_IPV4, "GET /configz" END, buf, sizeof(buf)), 200);
	expect_end(buf, "\r\n\r\n{\"fairlead.dev\":\"all of it\"}");
	assert_int_equal(ask(s, FL_IPV4, "GET /metrics" END, buf, sizeof(buf)), 200);
	assert_non_null(strstr(buf, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	expect_end(buf, "\r\n\r\na_metric 1\n");
	assert_int_equal(ask(s, FL_IPV4, "POST /proxyMode" END, buf, sizeof(buf)), 405);
	assert_int_equal(ask(s, FL_IPV4, "GET /livez" END, buf, sizeof(buf)), 404);
}

/* Clients that say nothing, or half of it, hold nobody up, however many they are. */
static void test_slow_clients_are_harmless(void **state)
{
	struct scene *s = *state;
	int slow[200];
	char buf[4096];

	listen_healthz(s);
	for (size_t i = 0; i < 200; i++) {
		slow[i] = http_dial_tcp(FL_IPV4, s->free_port);
		http_send(slow[i], i % 2 ? "GET /healthz HTTP/1.1\r\nHo" : "G");
		http_settle(&s->http);
	}
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(ask(s, FL_IPV4, "GET /healthz" END, buf, sizeof(buf)), 200);
	for (size_t i = 0; i < 200; i++)
		close(slow[i]);
}

/* Of many probes at once each gets its answer. */
static void test_many_probes_at_once(void **state)
{
	struct scene *s = *state;
	int probes[300];
	char buf[4096];

	plan_both(s->services, "web", s->free_port, 1, 1);
	fl_duties_turn(s->duties, &everywhere, true);
	for (size_t i = 0; i < 300; i++) {
		probes[i] = http_dial_tcp(FL_IPV4, s->free_port);
		http_send(probes[i], "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	}
	for (size_t i = 0; i < 300; i++) {
		http_receive(&s->http, probes[i], NULL, buf, sizeof(buf));
		assert_non_null(strstr(buf, "HTTP/1.1 200 OK"));
		close(probes[i]);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_6_2_healthz_and_livez),
		T(test_6_1_health_check_node_port),
		T(test_6_1_8_sockets_follow_services),
		T(test_6_1_2_accepted_addresses),
		T(test_6_1_9_a_port_that_cannot_be_bound),
		T(test_6_3_the_metrics_server),
		T(test_slow_clients_are_harmless),
		T(test_many_probes_at_once),
	};

	return cmocka_run_group_tests(tests, own_loopback, NULL);
}
