// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Unconnected datagram sockets: one backend from send to send, answers that seem to come from the
 * frontend. */
#include "tests/packet/follow.h"
#include "tests/packet/packet.h"
#include "tests/packet/sockets.h"

#include <poll.h>

/* A send to a frontend; returns the server that heard it. */
static int send_one(struct trial *t, int fd, const struct frontend *frontend,
		    union sockaddr_any *ret_from)
{
	union sockaddr_any sa;
	socklen_t len = client_sockaddr(t, &frontend->ip, frontend->port, &sa);

	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), 1);
	return servers_hear(t, ret_from);
}

/* The server answers; the client must see the frontend. */
static void answer(int fd, int server, const union sockaddr_any *to,
		   const struct frontend *frontend)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	union sockaddr_any from;
	socklen_t len = sizeof(from);
	char byte;

	server_answer(server, to);
	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	assert_int_equal(recvfrom(fd, &byte, 1, 0, &from.sa, &len), 1);
	expect_sockaddr(&from, &frontend->ip, frontend->port);
}

static void sends_keep_one_backend(struct trial *t)
{
	union sockaddr_any from;
	int fd, first;

	servers_begin(t, 0);
	fd = client_socket(t);
	first = send_one(t, fd, t->to, &from);
	answer(fd, first, &from, t->to);
	for (int n = 0; n < 15; n++) {
		assert_int_equal(send_one(t, fd, t->to, &from), first);
		answer(fd, first, &from, t->to);
	}
	expect_counter(t, FL_COUNTER_SOCKET_SEND, 16);
}

struct loss {
	struct row row;
	bool replaced;	/* its id was given to another endpoint */
	bool shared;	/* another Service keeps it */
	uint32_t owner; /* the Service that has the frontend now */
};

static const struct loss losses[] = {
	{ROW("the backend goes"), false, false, 1},
	{ROW("its id is given to another"), true, false, 1},
	{ROW("another Service keeps it"), false, true, 1},
	{ROW("the frontend is another Service's"), false, true, 3},
};

static void send_after_the_backend_went(struct trial *t)
{
	const struct loss *loss = t->row;
	union sockaddr_any from;
	int fd, first;
	uint32_t other;

	servers_begin(t, 0);
	fd = client_socket(t);
	first = send_one(t, fd, t->to, &from);
	other = 2U - (uint32_t)first;
	if (!loss->shared)
		backend_remove(t->p, 3 - other);
	if (loss->replaced) {
		struct fl_ip elsewhere = addr(t->family, AT_POD, 9);

		backend_add(t->p, 3 - other, &elsewhere, BACKEND_PORT, t->proto, FL_BACKEND_LOCAL);
	}
	service_replace(t->p, t->fe,
			(struct service){.id = loss->owner,
					 .family = t->family,
					 .proto = t->proto,
					 .ids = {{other}, {0}}});
	if (loss->shared)
		assert_int_equal(clients_follow(t->p), 1);
	for (int n = 0; n < 5; n++) {
		assert_int_equal(send_one(t, fd, t->to, &from), 1 - first);
		answer(fd, 1 - first, &from, t->to);
	}
}

/* Each for itself. */
static void sockets_spread(struct trial *t)
{
	int heard[SERVERS] = {0};

	servers_begin(t, 0);
	for (int n = 0; n < 40; n++) {
		union sockaddr_any from;

		heard[send_one(t, client_socket(t), t->to, &from)]++;
	}
	for (int n = 0; n < SERVERS; n++)
		assert_true(heard[n] > 3);
}

static void answers_of_others_are_shown_as_they_are(struct trial *t)
{
	struct frontend direct = {.ip = addr(t->family, AT_EXT0, 1), .port = SERVER_PORT + 1};
	union sockaddr_any from;
	int fd;

	servers_begin(t, 0);
	fd = client_socket(t);
	assert_int_equal(send_one(t, fd, &direct, &from), 1);
	answer(fd, 1, &from, &direct);
	expect_counter(t, FL_COUNTER_SOCKET_SEND, 0);
}

#define DATAGRAMS                                                                                  \
	.undo = sockets_end, .protos = ONLY_UDP, .hooks = ON_SOCKETS, .networks = IN(AT_POD)

static const struct test tests[] = {
	{"5.1.2: a socket keeps its backend from send to send", CHECK(sends_keep_one_backend),
	 DATAGRAMS, .frontends = EVERY_FRONTEND},
	{"7.1 to 7.3: when the backend goes, the next send finds another",
	 CHECK(send_after_the_backend_went), DATAGRAMS, .frontends = EVERY_FRONTEND, ROWS(losses)},
	{"5.1.1: sockets choose each for itself", CHECK(sockets_spread), DATAGRAMS},
	{"an answer of an address that was asked directly shows that address",
	 CHECK(answers_of_others_are_shown_as_they_are), DATAGRAMS},
};

const struct topic datagram_topic = {"datagrams", TESTS(tests), .begin = hooks_begin,
				     .end = hooks_end};
