// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sockets of the node under the hooks: 5.1.4, 5.5, 5.6, 5.7.4, 2.12, 2.16, 2.19, 2.22. */
#include "tests/packet/packet.h"
#include "tests/packet/sockets.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct variant {
	struct kind kind;
	bool mapped;
};

static const struct variant variants[] = {
	{{FL_IPV4, IPPROTO_TCP}, false}, {{FL_IPV4, IPPROTO_UDP}, false},
	{{FL_IPV6, IPPROTO_TCP}, false}, {{FL_IPV6, IPPROTO_UDP}, false},
	{{FL_IPV4, IPPROTO_TCP}, true},	 {{FL_IPV4, IPPROTO_UDP}, true},
};

/* connect(), and for datagrams one send; returns the server that heard it. */
static int reach(const struct servers *s, const struct variant *v, const struct fl_ip *ip,
		 uint16_t port)
{
	int fd = client_socket(&v->kind, v->mapped), server;
	union sockaddr_any peer, from;
	socklen_t len = sizeof(peer);
	int error = client_connect(fd, ip, port, v->mapped);

	if (error)
		fail_msg("connect: %s", strerror(error));
	if (v->kind.proto == IPPROTO_UDP)
		assert_int_equal(send(fd, "x", 1, 0), 1);
	server = servers_hear(s, &from);
	if (server < 0)
		fail_msg("no server heard it");
	assert_int_equal(getpeername(fd, &peer.sa, &len), 0);
	expect_sockaddr(&peer, ip, port);
	close(fd);
	return server;
}

static void test_connect_reaches_a_backend_and_shows_the_frontend(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		struct plane *p = USUAL(state);
		struct servers s;

		servers_begin(p, &variants[i].kind, 0, &s);
		for (int f = 0; f < SCENE_FRONTENDS; f++)
			reach(&s, &variants[i], &s.fe[f].ip, s.fe[f].port);
		assert_int_equal(plane_counter(p, FL_COUNTER_SOCKET_CONNECT), SCENE_FRONTENDS);
		assert_int_equal(plane_counter(p, FL_COUNTER_SOCKET_REFUSED), 0);
		servers_end(&s);
	}
}

/* 5.1.1 */
static void test_connects_spread_over_all_backends(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		int heard[SERVERS] = {0};
		struct servers s;

		servers_begin(USUAL(state), &variants[i].kind, 0, &s);
		for (int n = 0; n < 40; n++)
			heard[reach(&s, &variants[i], &s.fe[0].ip, s.fe[0].port)]++;
		for (int n = 0; n < SERVERS; n++)
			assert_true(heard[n] > 3);
		servers_end(&s);
	}
}

/* 5.5.1: the node is one client, whichever frontend it asks. */
static void test_affinity(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		struct servers s;
		int first;

		servers_begin(USUAL(state), &variants[i].kind, FL_AFFINITY, &s);
		first = reach(&s, &variants[i], &s.fe[0].ip, s.fe[0].port);
		for (int n = 0; n < 12; n++) {
			const struct frontend *fe = &s.fe[n % SCENE_FRONTENDS];

			assert_int_equal(reach(&s, &variants[i], &fe->ip, fe->port), first);
		}
		/* 5.5.4: it goes, and the other one is chosen */
		backend_remove(USUAL(state), (uint32_t)first + 1);
		service_add(USUAL(state), &(struct service){.id = 1,
							    .type = FL_FRONTEND_CLUSTER_IP,
							    .ip = s.fe[0].ip,
							    .port = s.fe[0].port,
							    .proto = s.kind.proto,
							    .flags = FL_AFFINITY,
							    .affinity_timeout = 100000,
							    .ids = {{2U - (uint32_t)first}, {0}}});
		assert_int_equal(reach(&s, &variants[i], &s.fe[0].ip, s.fe[0].port), 1 - first);
		servers_end(&s);
	}
}

/* 2.12, 2.16: localhost is the node for those who live there. */
static void test_node_port_on_localhost(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		struct fl_ip localhost;
		struct servers s;

		assert_int_equal(
			fl_ip_parse(variants[i].kind.family == FL_IPV4 ? "127.0.0.1" : "::1",
				    &localhost),
			0);
		servers_begin(USUAL(state), &variants[i].kind, 0, &s);
		reach(&s, &variants[i], &localhost, NODE_PORT);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_SOCKET_CONNECT), 1);
		servers_end(&s);
	}
}

/* ... and not for those who live in another namespace, as pods do. */
static void test_localhost_of_a_pod_is_its_own(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		struct fl_ip localhost;
		struct servers s;
		int status;
		pid_t pid;

		assert_int_equal(
			fl_ip_parse(variants[i].kind.family == FL_IPV4 ? "127.0.0.1" : "::1",
				    &localhost),
			0);
		servers_begin(USUAL(state), &variants[i].kind, 0, &s);
		pid = fork();
		if (!pid) {
			if (unshare(CLONE_NEWNET))
				_exit(1);
			client_connect(client_socket(&variants[i].kind, variants[i].mapped),
				       &localhost, NODE_PORT, variants[i].mapped);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_SOCKET_CONNECT), 0);
		servers_end(&s);
	}
}

static bool bound_bit(const struct plane *p, uint8_t proto, uint16_t port)
{
	return p->maps.bound_ports[FL_BOUND_WORD(proto, port)] >> (port & 63) & 1;
}

/* A socket on a port of any address; -1: the port was not to be had. */
static int bind_any(const struct variant *v, uint16_t port)
{
	struct fl_ip any = {0};
	union sockaddr_any sa;
	socklen_t len;
	int fd = client_socket(&v->kind, v->mapped);

	if (v->kind.family == FL_IPV4)
		any.b[10] = any.b[11] = 0xff;
	len = to_sockaddr(&any, port, v->mapped, &sa);
	return bind(fd, &sa.sa, len) ? -1 : fd;
}

/* Ports that sockets of this namespace get are remembered, those of other namespaces are not. */
static void test_bound_ports_are_remembered(void **state)
{
	struct plane *p = USUAL(state);
	int status;
	pid_t pid;

	for (size_t i = 0; i < N(variants); i++) {
		uint8_t proto = variants[i].kind.proto;
		uint16_t port = (uint16_t)(20000 + 7 * i);
		int fd;

		plane_reset(p);
		fd = bind_any(&variants[i], port);
		assert_true(fd >= 0);
		close(fd);
		assert_true(bound_bit(p, proto, port));
		assert_false(bound_bit(p, proto ^ IPPROTO_TCP ^ IPPROTO_UDP, port));
		for (int n = -3; n <= 3; n++)
			assert_int_equal(bound_bit(p, proto, (uint16_t)(port + n)), !n);
		pid = fork();
		if (!pid)
			_exit(unshare(CLONE_NEWNET) ||
			      bind_any(&variants[i], (uint16_t)(port + 1)) < 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_false(bound_bit(p, proto, (uint16_t)(port + 1)));
	}
}

struct outcome {
	const char *what;
	uint16_t port;
	uint8_t verdict; /* enum fl_service_verdict of the internal side */
	uint16_t more_flags;
	bool refused;
};

static const struct outcome outcomes[] = {
	{"5.7.4: REJECT", SERVICE_PORT, FL_VERDICT_REJECT, 0, true},
	{"5.7.4: DROP is a timeout", SERVICE_PORT, FL_VERDICT_DROP, 0, false},
	{"2.22: unknown port", 81, FL_VERDICT_FORWARD, 0, true},
	{"5.6.4: not in the ranges", SERVICE_PORT, FL_VERDICT_FORWARD, FL_SOURCE_RANGES, false},
};

static void test_refusals(void **state)
{
	for (size_t o = 0; o < N(outcomes); o++)
		for (size_t i = 0; i < N(variants); i++) {
			const struct variant *v = &variants[i];
			struct plane *p = USUAL(state);
			union sockaddr_any sa;
			struct servers s;
			int error, fd;
			socklen_t len;
			ssize_t n;

			servers_begin(p, &v->kind, 0, &s);
			service_add(p, &(struct service){
					       .id = 1,
					       .type = FL_FRONTEND_CLUSTER_IP,
					       .ip = s.fe[0].ip,
					       .port = s.fe[0].port,
					       .proto = v->kind.proto,
					       .flags = outcomes[o].more_flags,
					       .verdict = {outcomes[o].verdict, FL_VERDICT_FORWARD},
					       .ids = {{1, 2}, {1, 2}}});
			fd = client_socket(&v->kind, v->mapped);
			error = client_connect(fd, &s.fe[0].ip, outcomes[o].port, v->mapped);
			if ((error == ECONNREFUSED) != outcomes[o].refused)
				fail_msg("%s: %s", outcomes[o].what, strerror(error));
			close(fd);
			if (v->kind.proto == IPPROTO_UDP) {
				fd = client_socket(&v->kind, v->mapped);
				len = to_sockaddr(&s.fe[0].ip, outcomes[o].port, v->mapped, &sa);
				n = sendto(fd, "x", 1, 0, &sa.sa, len);
				error = n < 0 ? errno : 0;
				if (error != (outcomes[o].refused ? ECONNREFUSED : 0))
					fail_msg("%s: sendto: %s", outcomes[o].what,
						 strerror(error));
				close(fd);
			}
			assert_int_equal(plane_counter(p, FL_COUNTER_SOCKET_REFUSED),
					 outcomes[o].refused *
						 (1 + (v->kind.proto == IPPROTO_UDP)));
			assert_int_equal(plane_counter(p, FL_COUNTER_SOCKET_CONNECT), 0);
			servers_end(&s);
		}
}

/* 5.6: the node's own address decides, whether the socket is bound to it or not. */
static void test_source_ranges(void **state)
{
	for (size_t i = 0; i < N(variants); i++)
		for (int bound = 0; bound < 2; bound++) {
			const struct variant *v = &variants[i];
			struct fl_ip node = addr(v->kind.family, AT_EXT0, 1);
			union sockaddr_any sa;
			struct servers s;
			socklen_t len;
			int fd;

			servers_begin(USUAL(state), &v->kind, FL_SOURCE_RANGES, &s);
			range_add(USUAL(state), 1,
				  v->kind.family == FL_IPV4 ? "10.0.0.0/24" : "fd00::/64");
			fd = client_socket(&v->kind, v->mapped);
			len = to_sockaddr(&node, 0, v->mapped, &sa);
			if (bound)
				assert_int_equal(bind(fd, &sa.sa, len), 0);
			assert_int_equal(client_connect(fd, &s.fe[2].ip, s.fe[2].port, v->mapped),
					 0);
			assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_SOCKET_CONNECT), 1);
			close(fd);
			servers_end(&s);
		}
}

/* Whatever is no service's is connected to as it is. */
static void test_others_are_left_alone(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		struct fl_ip node = addr(variants[i].kind.family, AT_EXT0, 1);
		struct servers s;

		servers_begin(USUAL(state), &variants[i].kind, 0, &s);
		assert_int_equal(reach(&s, &variants[i], &node, 18081), 1);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_SOCKET_CONNECT), 0);
		servers_end(&s);
	}
}

int socket_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_reaches_a_backend_and_shows_the_frontend),
		cmocka_unit_test(test_connects_spread_over_all_backends),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_node_port_on_localhost),
		cmocka_unit_test(test_localhost_of_a_pod_is_its_own),
		cmocka_unit_test(test_bound_ports_are_remembered),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_source_ranges),
		cmocka_unit_test(test_others_are_left_alone),
	};
	struct hooks hooks;
	struct fl_err err;
	int failed;

	if (hooks_begin(&world->plane[PLANE_USUAL], &hooks, &err)) {
		fprintf(stderr, "packet: %s\n", err.text);
		return 1;
	}
	failed = run_topic("sockets", tests, N(tests), world);
	hooks_end(&hooks);
	return failed;
}
