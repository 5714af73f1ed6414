// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sockets of the node under the hooks: 5.1.4, 5.5, 5.6, 5.7.4, 2.12, 2.16, 2.19, 2.22. */
#include "tests/packet/packet.h"
#include "tests/packet/sockets.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void connect_reaches_a_backend(struct trial *t)
{
	servers_begin(t, 0);
	client_reach(t, &t->to->ip, t->to->port);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, 1);
}

static void connects_spread_over_all_backends(struct trial *t)
{
	int heard[SERVERS] = {0};

	servers_begin(t, 0);
	for (int n = 0; n < 40; n++)
		heard[client_reach(t, &t->to->ip, t->to->port)]++;
	for (int n = 0; n < SERVERS; n++)
		assert_true(heard[n] > 3);
}

/* The only backend left is this one. */
static void leave_backend(struct trial *t, uint32_t id, uint16_t flags)
{
	backend_remove(t->p, 3 - id);
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = flags,
					 .affinity_timeout = 3600 * t->p->config.hz,
					 .ids = {{id}, {0}}});
}

/* The node is one client, whichever frontend it asks. */
static void node_keeps_its_backend(struct trial *t)
{
	int first;

	servers_begin(t, FL_AFFINITY);
	first = client_reach(t, &t->fe[0].ip, t->fe[0].port);
	for (int n = 0; n < 12; n++) {
		const struct frontend *fe = &t->fe[n % SCENE_FRONTENDS];

		assert_int_equal(client_reach(t, &fe->ip, fe->port), first);
	}
	/* 5.5.4: it goes, and the other one is chosen */
	leave_backend(t, 2U - (uint32_t)first, FL_AFFINITY);
	assert_int_equal(client_reach(t, &t->fe[0].ip, t->fe[0].port), 1 - first);
}

struct loopback {
	struct row row;
	const char *address;
};

static const struct loopback loopbacks[] = {
	{ROW("127.0.0.1", .families = ONLY_IPV4), "127.0.0.1"},
	{ROW("127.9.9.9", .families = ONLY_IPV4), "127.9.9.9"},
	{ROW("::1", .families = ONLY_IPV6), "::1"},
};

static struct fl_ip localhost(const struct trial *t)
{
	const struct loopback *loopback = t->row;
	struct fl_ip ip;

	assert_int_equal(fl_ip_parse(loopback->address, &ip), 0);
	return ip;
}

static void node_port_on_localhost(struct trial *t)
{
	struct fl_ip ip = localhost(t);

	servers_begin(t, 0);
	client_reach(t, &ip, NODE_PORT);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, 1);
}

/* Run in a network namespace of its own, as pods do; returns what `fn` does there. */
static int in_another_namespace(struct trial *t, int (*fn)(struct trial *t))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(unshare(CLONE_NEWNET) ? 99 : fn(t));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int connect_to_localhost(struct trial *t)
{
	struct fl_ip ip = localhost(t);

	client_connect(t, client_socket(t), &ip, NODE_PORT);
	return 0;
}

static void localhost_of_a_pod_is_its_own(struct trial *t)
{
	servers_begin(t, 0);
	assert_int_equal(in_another_namespace(t, connect_to_localhost), 0);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, 0);
}

static bool bound_bit(const struct plane *p, uint8_t proto, uint16_t port)
{
	return p->maps.bound_ports[FL_BOUND_WORD(proto, port)] >> (port & 63) & 1;
}

#define BOUND_PORT 20007

/* A socket on a port of any address; false: the port was not to be had. */
static bool bind_any(const struct trial *t, uint16_t port)
{
	const struct fl_ip any = fl_ip_unspecified(t->family);
	union sockaddr_any sa;
	socklen_t len;

	len = client_sockaddr(t, &any, port, &sa);
	return !bind(client_socket(t), &sa.sa, len);
}

static int bind_next_port(struct trial *t)
{
	return !bind_any(t, BOUND_PORT + 1);
}

static void bound_ports_are_remembered(struct trial *t)
{
	uint8_t other = t->proto == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;

	assert_true(bind_any(t, BOUND_PORT));
	assert_int_equal(in_another_namespace(t, bind_next_port), 0);
	for (int n = -3; n <= 3; n++)
		assert_int_equal(bound_bit(t->p, t->proto, (uint16_t)(BOUND_PORT + n)), !n);
	assert_false(bound_bit(t->p, other, BOUND_PORT));
}

struct refusal {
	struct row row;
	uint16_t port;
	uint8_t verdict; /* enum fl_service_verdict of the internal side */
	uint16_t more_flags;
	bool refused;
};

static const struct refusal refusals[] = {
	{ROW("5.7.4: reject is refused"), SERVICE_PORT, FL_VERDICT_REJECT, 0, true},
	{ROW("5.7.4: drop is a timeout"), SERVICE_PORT, FL_VERDICT_DROP, 0, false},
	{ROW("2.22: unknown port is refused"), 81, FL_VERDICT_FORWARD, 0, true},
	{ROW("5.6.4: not in the ranges is a timeout"), SERVICE_PORT, FL_VERDICT_FORWARD,
	 FL_SOURCE_RANGES, false},
};

static void refuse(struct trial *t)
{
	const struct refusal *row = t->row;

	servers_begin(t, 0);
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = row->more_flags,
					 .verdict = {row->verdict, FL_VERDICT_FORWARD},
					 .ids = {{1, 2}, {1, 2}}});
}

static void connect_is_refused(struct trial *t)
{
	const struct refusal *row = t->row;
	/* datagram sockets never are: test_association.c */
	bool refused = row->refused && t->proto == IPPROTO_TCP;
	int error;

	refuse(t);
	error = client_connect(t, client_socket(t), &t->to->ip, row->port);
	if ((error == ECONNREFUSED) != refused)
		trial_fail(t, "connect: %s", strerror(error));
	expect_counter(t, FL_COUNTER_SOCKET_REFUSED, refused);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, 0);
}

static void send_is_refused(struct trial *t)
{
	const struct refusal *row = t->row;
	union sockaddr_any sa;
	socklen_t len;
	int error;

	refuse(t);
	len = client_sockaddr(t, &t->to->ip, row->port, &sa);
	error = sendto(client_socket(t), "x", 1, 0, &sa.sa, len) < 0 ? errno : 0;
	if (error != (row->refused ? ECONNREFUSED : 0))
		trial_fail(t, "sendto: %s", strerror(error));
	expect_counter(t, FL_COUNTER_SOCKET_REFUSED, row->refused);
	expect_counter(t, FL_COUNTER_SOCKET_SEND, 0);
}

/* An external IP that is also an address of the node: other ports of it are the node's. */
static void unknown_port_of_an_own_address_is_not_refused(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);

	servers_begin(t, 0);
	vip_add(t->p, &node, true);
	client_reach(t, &node, SERVER_PORT + 1);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, 0);
}

struct binding {
	struct row row;
	bool bound, allowed; /* to the address that is in the ranges */
};

static const struct binding bindings[] = {
	{ROW("not bound"), false, true},
	{ROW("bound to the allowed address"), true, true},
	{ROW("bound to another address"), true, false},
};

/* The node's own address decides, whether the socket is bound to it or not. */
static void source_ranges_filter_sockets(struct trial *t)
{
	const struct binding *binding = t->row;
	struct fl_ip source = addr(t->family, binding->allowed ? AT_EXT0 : AT_EXT1, 1);
	int fd, error;
	union sockaddr_any sa;
	socklen_t len;

	servers_begin(t, FL_SOURCE_RANGES);
	range_add(t->p, 1, t->family == FL_IPV4 ? "10.0.0.0/24" : "fd00::/64");
	fd = client_socket(t);
	len = client_sockaddr(t, &source, 0, &sa);
	if (binding->bound)
		assert_int_equal(bind(fd, &sa.sa, len), 0);
	error = client_connect(t, fd, &t->to->ip, t->to->port);
	assert_int_equal(binding->allowed && error, 0);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, binding->allowed);
}

static void others_are_left_alone(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);

	servers_begin(t, 0);
	assert_int_equal(client_reach(t, &node, SERVER_PORT + 1), 1);
	expect_counter(t, FL_COUNTER_SOCKET_CONNECT, 0);
}

#define SOCKETS .undo = sockets_end, .hooks = ON_SOCKETS, .networks = IN(AT_POD)

static const struct test tests[] = {
	{"5.1.4: connect() reaches a backend and shows the frontend",
	 CHECK(connect_reaches_a_backend), SOCKETS, .frontends = EVERY_FRONTEND},
	{"5.1.1: connections spread over all backends", CHECK(connects_spread_over_all_backends),
	 SOCKETS},
	{"5.5.1, 5.5.4: the node keeps its backend while that is there",
	 CHECK(node_keeps_its_backend), SOCKETS},
	{"2.12, 2.16: localhost is the node to processes of the node",
	 CHECK(node_port_on_localhost), SOCKETS, ROWS(loopbacks)},
	{"2.12: and not to processes of another namespace, as pods are",
	 CHECK(localhost_of_a_pod_is_its_own), SOCKETS, ROWS(loopbacks)},
	{"ports that sockets of this namespace get are remembered",
	 CHECK(bound_ports_are_remembered), SOCKETS},
	{"5.7.4, 2.22, 5.6.4: what connect() returns", CHECK(connect_is_refused), SOCKETS,
	 ROWS(refusals)},
	{"5.7.4, 2.22, 5.6.4: what sendto() returns", CHECK(send_is_refused), .protos = ONLY_UDP,
	 SOCKETS, ROWS(refusals)},
	{"2.22: an unknown port at the node's own address is not refused",
	 CHECK(unknown_port_of_an_own_address_is_not_refused), SOCKETS},
	{"5.6: the address of a socket decides, or the node's", CHECK(source_ranges_filter_sockets),
	 SOCKETS, .frontends = 1 << 2, ROWS(bindings)},
	{"what is no service's is connected to as it is", CHECK(others_are_left_alone), SOCKETS},
};

const struct topic socket_topic = {"sockets", TESTS(tests), .begin = hooks_begin, .end = hooks_end};
