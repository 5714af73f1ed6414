/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real sockets under the socket hooks: a cgroup of the tests' own, servers as backends, clients
 * that ask. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/packet/trial.h"

#define SERVERS 2
#define SERVER_PORT 18080 /* of server 0; the next has the next */

/* For struct topic: the hooks of the usual plane on a cgroup that this process then lives in. */
int hooks_begin(struct world *world, struct fl_err *err);
void hooks_end(struct world *world);

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};
/* `mapped`: an IPv4 address as an IPv6 socket has it. Returns the length. */
socklen_t to_sockaddr(const struct fl_ip *ip, uint16_t port, bool mapped,
		      union sockaddr_any *ret_sa);
/* The address and port are these, in whichever form. */
void expect_sockaddr(const union sockaddr_any *sa, const struct fl_ip *ip, uint16_t port);

/*
 * Backends 1..SERVERS of the trial's service, on the node's own address, with servers behind them;
 * server 0 is backend 1.
 */
void servers_begin(struct trial *t, uint16_t more_flags);
/* The number of the server that has a connection or a datagram waiting, which is taken; fails if
 * there is none within a second. */
int servers_hear(struct trial *t, union sockaddr_any *ret_from);
/* A datagram back. */
void server_answer(int server, const union sockaddr_any *to);

/* In the form of the trial's hook: IPv4, IPv6 or IPv4-mapped. */
int client_socket(const struct trial *t);
socklen_t client_sockaddr(const struct trial *t, const struct fl_ip *ip, uint16_t port,
			  union sockaddr_any *ret_sa);
/* connect() without waiting: 0, or the error. */
int client_connect(const struct trial *t, int fd, const struct fl_ip *ip, uint16_t port);
/* connect(), and for datagrams one send; returns the server that heard it. Fails if the client is
 * not shown the address it asked for. */
int client_reach(struct trial *t, const struct fl_ip *ip, uint16_t port);

/* For struct test: closes every socket of a trial, servers' and clients'. */
void sockets_end(struct trial *t);
