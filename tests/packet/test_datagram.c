// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Unconnected datagram sockets: one backend from send to send, answers that seem to come from the
 * frontend. */
#include "tests/packet/packet.h"
#include "tests/packet/sockets.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

struct variant {
	struct kind kind;
	bool mapped;
};

static const struct variant variants[] = {
	{{FL_IPV4, IPPROTO_UDP}, false},
	{{FL_IPV6, IPPROTO_UDP}, false},
	{{FL_IPV4, IPPROTO_UDP}, true},
};

static int send_one(int fd, const struct servers *s, const struct variant *v,
		    const struct frontend *fe, union sockaddr_any *ret_from)
{
	union sockaddr_any sa;
	socklen_t len = to_sockaddr(&fe->ip, fe->port, v->mapped, &sa);
	int server;

	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), 1);
	server = servers_hear(s, ret_from);
	if (server < 0)
		fail_msg("no server heard it");
	return server;
}

/* The server answers; the client must see the frontend. */
static void answer(int fd, const struct servers *s, int server, const union sockaddr_any *to,
		   const struct frontend *fe)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	union sockaddr_any from;
	socklen_t len = sizeof(from);
	char byte;

	assert_int_equal(sendto(s->fd[server], "y", 1, 0, &to->sa,
				to->sa.sa_family == AF_INET ? sizeof(to->in4) : sizeof(to->in6)),
			 1);
	assert_int_equal(poll(&pfd, 1, 1000), 1);
	assert_int_equal(recvfrom(fd, &byte, 1, 0, &from.sa, &len), 1);
	expect_sockaddr(&from, &fe->ip, fe->port);
}

static void test_sends_keep_one_backend(void **state)
{
	for (size_t i = 0; i < N(variants); i++)
		for (int f = 0; f < SCENE_FRONTENDS; f++) {
			const struct variant *v = &variants[i];
			union sockaddr_any from;
			struct servers s;
			int fd, first;

			servers_begin(USUAL(state), &v->kind, 0, &s);
			fd = client_socket(&v->kind, v->mapped);
			first = send_one(fd, &s, v, &s.fe[f], &from);
			answer(fd, &s, first, &from, &s.fe[f]);
			for (int n = 0; n < 15; n++) {
				assert_int_equal(send_one(fd, &s, v, &s.fe[f], &from), first);
				answer(fd, &s, first, &from, &s.fe[f]);
			}
			assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_SOCKET_SEND), 16);
			close(fd);
			servers_end(&s);
		}
}

/* 7.1 to 7.3: when it goes, the next send finds another. */
static void test_send_after_the_backend_went(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		const struct variant *v = &variants[i];
		union sockaddr_any from;
		struct servers s;
		int fd, first;

		servers_begin(USUAL(state), &v->kind, 0, &s);
		fd = client_socket(&v->kind, v->mapped);
		first = send_one(fd, &s, v, &s.fe[0], &from);
		backend_remove(USUAL(state), (uint32_t)first + 1);
		service_add(USUAL(state), &(struct service){.id = 1,
							    .type = FL_FRONTEND_CLUSTER_IP,
							    .ip = s.fe[0].ip,
							    .port = s.fe[0].port,
							    .proto = s.kind.proto,
							    .ids = {{2U - (uint32_t)first}, {0}}});
		for (int n = 0; n < 5; n++) {
			assert_int_equal(send_one(fd, &s, v, &s.fe[0], &from), 1 - first);
			answer(fd, &s, 1 - first, &from, &s.fe[0]);
		}
		close(fd);
		servers_end(&s);
	}
}

/* Two sockets choose each for itself, and one socket for each frontend. */
static void test_sockets_spread(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		const struct variant *v = &variants[i];
		int heard[SERVERS] = {0};
		struct servers s;

		servers_begin(USUAL(state), &v->kind, 0, &s);
		for (int n = 0; n < 40; n++) {
			union sockaddr_any from;
			int fd = client_socket(&v->kind, v->mapped);

			heard[send_one(fd, &s, v, &s.fe[0], &from)]++;
			close(fd);
		}
		for (int n = 0; n < SERVERS; n++)
			assert_true(heard[n] > 3);
		servers_end(&s);
	}
}

/* An answer of somebody the socket did not ask through a service shows its own address. */
static void test_answers_of_others_are_shown_as_they_are(void **state)
{
	for (size_t i = 0; i < N(variants); i++) {
		const struct variant *v = &variants[i];
		struct frontend direct = {.ip = addr(v->kind.family, AT_EXT0, 1), .port = 18081};
		union sockaddr_any from;
		struct servers s;
		int fd;

		servers_begin(USUAL(state), &v->kind, 0, &s);
		fd = client_socket(&v->kind, v->mapped);
		assert_int_equal(send_one(fd, &s, v, &direct, &from), 1);
		answer(fd, &s, 1, &from, &direct);
		close(fd);
		servers_end(&s);
	}
}

int datagram_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sends_keep_one_backend),
		cmocka_unit_test(test_send_after_the_backend_went),
		cmocka_unit_test(test_sockets_spread),
		cmocka_unit_test(test_answers_of_others_are_shown_as_they_are),
	};
	struct hooks hooks;
	struct fl_err err;
	int failed;

	if (hooks_begin(&world->plane[PLANE_USUAL], &hooks, &err)) {
		fprintf(stderr, "packet: %s\n", err.text);
		return 1;
	}
	failed = run_topic("datagrams", tests, N(tests), world);
	hooks_end(&hooks);
	return failed;
}
