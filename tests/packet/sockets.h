/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real sockets under the socket hooks: a cgroup of the test's own, servers as backends, clients
 * that ask. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/packet/plane.h"
#include "tests/packet/service.h"

#define HOOKS 10
#define SERVERS 2

/* The hooks of a plane on a cgroup that this process lives in. */
struct hooks {
	char cgroup[512];
	char home[512]; /* cgroup.procs of where the process was */
	int link_fd[HOOKS];
};
int hooks_begin(struct plane *p, struct hooks *ret_hooks, struct fl_err *err);
void hooks_end(struct hooks *hooks);

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

/* Backends 1..SERVERS of a scene, on the node's own address, with servers behind them. */
struct servers {
	struct kind kind;
	int fd[SERVERS]; /* listening, or bound for datagrams */
	struct frontend fe[SCENE_FRONTENDS];
};
void servers_begin(struct plane *p, const struct kind *kind, uint16_t more_flags,
		   struct servers *ret_servers);
void servers_end(struct servers *servers);
/* Which server has a connection or a datagram waiting; takes it. -1: none within a second. */
int servers_hear(const struct servers *servers, union sockaddr_any *ret_from);

int client_socket(const struct kind *kind, bool mapped);
/* connect() without waiting: 0, or the error. */
int client_connect(int fd, const struct fl_ip *ip, uint16_t port, bool mapped);
