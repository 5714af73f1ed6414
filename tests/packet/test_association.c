// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a datagram socket is told and shown: no refusal at connect(), and what it is shown ends with
 * the association it was for. */
#include "conntrack/sockets.h"
#include "tests/packet/packet.h"
#include "tests/packet/sockets.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

struct unserved {
	struct row row;
	bool tcp_only; /* the Service has no UDP port; otherwise it has no endpoint */
};

static const struct unserved unserveds[] = {
	{ROW("the Service is TCP only"), true},
	{ROW("the Service has no endpoint"), false},
};

/* glibc connects a datagram socket to learn which address it may use: a refusal would say that the
 * whole family cannot be reached. */
static void connect_of_datagrams_is_not_refused(struct trial *t)
{
	const struct unserved *unserved = t->row;
	int error;

	servers_begin(t, 0);
	for (int i = 0; i < SCENE_FRONTENDS && unserved->tcp_only; i++)
		service_add(t->p, &(struct service){.id = 1,
						    .type = t->fe[i].type,
						    .family = t->family,
						    .ip = t->fe[i].ip,
						    .port = 81,
						    .proto = IPPROTO_TCP,
						    .ids = {{1, 2}, {1, 2}}});
	if (!unserved->tcp_only)
		service_replace(t->p, t->fe,
				(struct service){.id = 1, .family = t->family, .proto = t->proto});
	error = client_connect(t, client_socket(t), &t->to->ip,
			       unserved->tcp_only ? 81 : t->to->port);
	if (error)
		trial_fail(t, "connect: %s", strerror(error));
}

static void expect_peer(struct trial *t, int fd, const struct fl_ip *ip, uint16_t port)
{
	union sockaddr_any peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(getpeername(fd, &peer.sa, &len), 0);
	expect_sockaddr(&peer, ip, port);
}

/* Connected through the Service, then to the pod itself, which must be shown as what it is. */
static void going_over_to_the_pod_shows_the_pod(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	union sockaddr_any from;
	int fd, server;

	servers_begin(t, 0);
	fd = client_socket(t);
	assert_int_equal(client_connect(t, fd, &t->to->ip, t->to->port), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	server = servers_hear(t, &from);
	expect_peer(t, fd, &t->to->ip, t->to->port);
	assert_int_equal(client_connect(t, fd, &node, (uint16_t)(SERVER_PORT + server)), 0);
	expect_peer(t, fd, &node, (uint16_t)(SERVER_PORT + server));
}

/* The server that heard the datagram answers; the client must be shown this address. */
static void answer_is_shown_as(struct trial *t, int fd, const struct fl_ip *ip, uint16_t port)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	union sockaddr_any from;
	socklen_t len = sizeof(from);
	char byte;

	server_answer(servers_hear(t, &from), &from);
	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	assert_int_equal(recvfrom(fd, &byte, 1, 0, &from.sa, &len), 1);
	expect_sockaddr(&from, ip, port);
}

/* Ask and get an answer, which must come from where was asked. */
static void ask(struct trial *t, int fd, const struct fl_ip *ip, uint16_t port)
{
	union sockaddr_any sa;
	socklen_t len = client_sockaddr(t, ip, port, &sa);

	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), 1);
	answer_is_shown_as(t, fd, ip, port);
}

/* All frontends, and another Service's, lead to server 0 alone. */
static struct frontend one_backend(struct trial *t)
{
	struct frontend other = {FL_FRONTEND_CLUSTER_IP, addr(t->family, AT_SERVICE, 12), 99};
	struct service service = {
		.id = 1, .family = t->family, .proto = t->proto, .ids = {{1}, {1}}};

	servers_begin(t, 0);
	service_replace(t->p, t->fe, service);
	service.id = 2;
	service.type = other.type;
	service.ip = other.ip;
	service.port = other.port;
	service_add(t->p, &service);
	return other;
}

/* Asked in turn from one socket. */
static void services_on_one_pod_are_told_apart(struct trial *t)
{
	struct frontend other = one_backend(t);
	int fd = client_socket(t);

	for (int i = 0; i < 3; i++) {
		ask(t, fd, &t->to->ip, t->to->port);
		ask(t, fd, &other.ip, other.port);
	}
	for (int i = 0; i < SCENE_FRONTENDS; i++)
		ask(t, fd, &t->fe[i].ip, t->fe[i].port);
}

/* What two answers that come after both questions belong to cannot be known. */
static void the_one_asked_last_is_shown(struct trial *t)
{
	struct frontend other = one_backend(t);
	union sockaddr_any sa;
	socklen_t len;
	int fd = client_socket(t);

	len = client_sockaddr(t, &t->to->ip, t->to->port, &sa);
	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), 1);
	len = client_sockaddr(t, &other.ip, other.port, &sa);
	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), 1);
	answer_is_shown_as(t, fd, &other.ip, other.port);
	answer_is_shown_as(t, fd, &other.ip, other.port);
	ask(t, fd, &t->to->ip, t->to->port);
}

/* By sends instead of connect(). */
static void asking_the_pod_itself_shows_the_pod(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	int fd;

	one_backend(t);
	fd = client_socket(t);
	for (int i = 0; i < 2; i++) {
		ask(t, fd, &t->to->ip, t->to->port);
		ask(t, fd, &node, SERVER_PORT);
	}
}

static void connect_and_ask(struct trial *t, int fd, const struct fl_ip *ip, uint16_t port)
{
	assert_int_equal(client_connect(t, fd, ip, port), 0);
	expect_peer(t, fd, ip, port);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	answer_is_shown_as(t, fd, ip, port);
}

static void each_association_shows_its_own(struct trial *t)
{
	struct frontend other = one_backend(t);
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	int fd = client_socket(t);

	for (int i = 0; i < 2; i++) {
		connect_and_ask(t, fd, &t->to->ip, t->to->port);
		connect_and_ask(t, fd, &other.ip, other.port);
		connect_and_ask(t, fd, &node, SERVER_PORT);
	}
}

static void disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
}

#define CLIENT_BOUND 20011

/* The port is kept by bind(), so that the backend can still reach the socket. */
static void nothing_is_shown_of_a_dissolved_association(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1), any = fl_ip_unspecified(t->family);
	struct frontend other = one_backend(t);
	union sockaddr_any sa;
	socklen_t len = client_sockaddr(t, &any, CLIENT_BOUND, &sa);
	int fd = client_socket(t);

	assert_int_equal(bind(fd, &sa.sa, len), 0);
	assert_int_equal(client_connect(t, fd, &t->to->ip, t->to->port), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	disconnect(fd);
	answer_is_shown_as(t, fd, &node, SERVER_PORT);
	/* what it asks from now on it is shown */
	ask(t, fd, &other.ip, other.port);
	connect_and_ask(t, fd, &node, SERVER_PORT);
	disconnect(fd);
	ask(t, fd, &t->to->ip, t->to->port);
}

/* A connected socket gets datagrams of its peer alone, which it is shown as what it connected to,
 * though it asks another frontend of that backend in between. */
static void a_connected_socket_shows_its_peer(struct trial *t)
{
	struct frontend other = one_backend(t);
	union sockaddr_any sa;
	socklen_t len = client_sockaddr(t, &other.ip, other.port, &sa);
	int fd = client_socket(t);

	assert_int_equal(client_connect(t, fd, &t->to->ip, t->to->port), 0);
	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), 1);
	answer_is_shown_as(t, fd, &t->to->ip, t->to->port);
	expect_peer(t, fd, &t->to->ip, t->to->port);
	disconnect(fd);
	ask(t, fd, &other.ip, other.port);
}

/* What the agent does when the frontends of connected sockets do not serve their backends, or do
 * again. Returns how many records of connected sockets there are. */
static size_t mark_connected(struct trial *t, bool stale)
{
	const struct fl_socket_table table = fl_socket_table_of(&t->p->maps);
	struct fl_socket_record record;
	size_t n = 0;

	for (size_t slot = 0; slot < table.n * FL_SOCKET_WAYS; slot++) {
		if (!fl_socket_copy(&table, slot, &record) || record.kind != FL_SOCKET_CONNECTED)
			continue;
		fl_socket_set_stale(&table, slot, &record, stale);
		n++;
	}
	return n;
}

static void expect_refused(struct trial *t, int fd)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	union sockaddr_any sa;
	socklen_t len = client_sockaddr(t, &node, SERVER_PORT, &sa);

	assert_int_equal(send(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	/* the same without saying that it is connected */
	assert_int_equal(sendto(fd, "x", 1, 0, &sa.sa, len), -1);
	assert_int_equal(errno, EPERM);
}

/* 7.3, 7.5: until it connects again, or the backend is served again. */
static void a_connected_socket_leaves_its_backend(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	int fd = client_socket(t), later, direct = client_socket(t);

	one_backend(t);
	connect_and_ask(t, fd, &t->to->ip, t->to->port);
	connect_and_ask(t, direct, &node, SERVER_PORT);
	assert_int_equal(mark_connected(t, true), 1);
	expect_refused(t, fd);
	expect_peer(t, fd, &t->to->ip, t->to->port);
	/* others go on, a socket that has connected since and one that asked for the pod itself */
	later = client_socket(t);
	connect_and_ask(t, later, &t->to->ip, t->to->port);
	assert_int_equal(send(direct, "x", 1, 0), 1);
	answer_is_shown_as(t, direct, &node, SERVER_PORT);
	mark_connected(t, false);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	answer_is_shown_as(t, fd, &t->to->ip, t->to->port);
	mark_connected(t, true);
	expect_refused(t, fd);
	connect_and_ask(t, fd, &t->to->ip, t->to->port);
	expect_counter(t, FL_COUNTER_SOCKET_BACKEND_GONE, 4);
}

/* What it does without its association is no business of the Service. */
static void a_disconnected_socket_sends_where_it_wants(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	int fd = client_socket(t);

	one_backend(t);
	connect_and_ask(t, fd, &t->to->ip, t->to->port);
	mark_connected(t, true);
	disconnect(fd);
	ask(t, fd, &node, SERVER_PORT);
}

static void the_record_goes_with_the_socket(struct trial *t)
{
	int fd = client_socket(t), copy = dup(fd);

	one_backend(t);
	connect_and_ask(t, fd, &t->to->ip, t->to->port);
	assert_int_equal(mark_connected(t, false), 1);
	close(copy);
	assert_int_equal(mark_connected(t, false), 1);
	close(fd);
	assert_int_equal(mark_connected(t, false), 0);
}

/* Records of sockets that are not there any more fill the table. */
static void fill(struct trial *t, enum fl_socket_state state)
{
	const uint32_t now = plane_now(t->p);

	for (size_t i = 0; i < t->p->maps.n_sockets; i++)
		for (uint32_t way = 0; way < FL_SOCKET_WAYS; way++)
			t->p->maps.sockets[i].way[way] = (struct fl_socket_record){
				.word = state,
				.last = now - (way == 2 ? 10 : 5) * t->p->config.hz,
				.cookie = 1ULL << 63 | i,
				.proto = t->proto,
				.kind = FL_SOCKET_CONNECTED,
			};
}

static void the_oldest_record_makes_way(struct trial *t)
{
	size_t n[FL_SOCKET_WAYS] = {0};
	int fd;

	one_backend(t);
	fill(t, FL_SOCKET_USED);
	fd = client_socket(t);
	assert_int_equal(client_connect(t, fd, &t->to->ip, t->to->port), 0);
	expect_peer(t, fd, &t->to->ip, t->to->port);
	for (size_t i = 0; i < t->p->maps.n_sockets; i++)
		for (uint32_t way = 0; way < FL_SOCKET_WAYS; way++)
			n[way] += !(t->p->maps.sockets[i].way[way].cookie >> 63);
	assert_int_equal(n[2], 1);
	assert_int_equal(n[0] + n[1] + n[3], 0);
}

/* No record can be had at this moment: the connection is made all the same. */
static void without_a_record_the_backend_is_shown(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	int fd;

	one_backend(t);
	fill(t, FL_SOCKET_BUSY);
	fd = client_socket(t);
	assert_int_equal(client_connect(t, fd, &t->to->ip, t->to->port), 0);
	expect_peer(t, fd, &node, SERVER_PORT);
}

#define SOCKETS .undo = sockets_end, .hooks = ON_SOCKETS, .networks = IN(AT_POD)
#define DATAGRAMS SOCKETS, .protos = ONLY_UDP

static const struct test tests[] = {
	{"connect() of a datagram socket is not refused",
	 CHECK(connect_of_datagrams_is_not_refused), DATAGRAMS, ROWS(unserveds)},
	{"a socket that goes over to the pod itself is shown the pod",
	 CHECK(going_over_to_the_pod_shows_the_pod), DATAGRAMS, .frontends = EVERY_FRONTEND},
	{"two Services on one pod are told apart", CHECK(services_on_one_pod_are_told_apart),
	 DATAGRAMS, .frontends = EVERY_FRONTEND},
	{"of two that were asked at once the last is shown", CHECK(the_one_asked_last_is_shown),
	 DATAGRAMS},
	{"a socket that asks the pod itself is shown the pod",
	 CHECK(asking_the_pod_itself_shows_the_pod), DATAGRAMS, .frontends = EVERY_FRONTEND},
	{"a socket that connects again is shown what it is connected to",
	 CHECK(each_association_shows_its_own), DATAGRAMS, .frontends = EVERY_FRONTEND},
	{"connect() to AF_UNSPEC ends an association",
	 CHECK(nothing_is_shown_of_a_dissolved_association), DATAGRAMS,
	 .frontends = EVERY_FRONTEND},
	{"a connected socket is shown its peer", CHECK(a_connected_socket_shows_its_peer),
	 DATAGRAMS},
	{"7.3: a connected socket leaves its backend", CHECK(a_connected_socket_leaves_its_backend),
	 DATAGRAMS, .frontends = EVERY_FRONTEND},
	{"a disconnected socket sends where it wants",
	 CHECK(a_disconnected_socket_sends_where_it_wants), DATAGRAMS},
	{"the record of a connected socket goes with it", CHECK(the_record_goes_with_the_socket),
	 DATAGRAMS},
	{"in a full table the oldest record makes way", CHECK(the_oldest_record_makes_way),
	 SOCKETS},
	{"without a record a connection shows its backend",
	 CHECK(without_a_record_the_backend_is_shown), SOCKETS},
};

const struct topic association_topic = {"associations", TESTS(tests), .begin = hooks_begin,
					.end = hooks_end};
