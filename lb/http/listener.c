/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A listener's turn: accept, let requests be answered, end those whose time is up. */
#include "lb/http/listener.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

/* per turn, so that many newcomers do not starve the loop */
#define MAX_ACCEPTS 16
#define PAUSE_MS 500
#define TURN_MS 10 /* handlers are called for so long in one turn */

static struct fl_mono now(const struct fl_http_listener *listener)
{
	return fl_clock_now(&listener->shared->clock);
}

int fl_http_watch(int epoll_fd, int fd, void *ptr, struct fl_err *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};

	if (!epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return 0;
	return fl_err_set(err, -errno, "cannot watch a descriptor: %s", strerror(errno));
}

static void resume_all(struct fl_http_listener *listener)
{
	for (struct fl_http_connection *c = listener->connections.first; c; c = c->next) {
		if (c->suspended)
			MHD_resume_connection(c->mhd);
		c->suspended = false;
	}
}

static void drop(struct fl_http_socket *sock)
{
	fl_http_socket_close(sock);
	free(sock);
}

void fl_http_listener_free(struct fl_http_listener **listener)
{
	struct fl_http_listener *l = *listener;

	if (!l)
		return;
	for (size_t i = 0; i < l->n_sockets; i++)
		drop(l->sockets[i]);
	free(l->sockets);
	if (l->daemon) {
		resume_all(l);
		MHD_stop_daemon(l->daemon);
	}
	fl_closep(&l->sockets_fd);
	free(l);
	*listener = NULL;
}

static int start(struct fl_http_listener *listener, struct fl_err *err)
{
	const union MHD_DaemonInfo *info = NULL;
	int rc;

	/* the limit is held where connections are accepted; some that have ended linger */
	listener->daemon = fl_http_listener_daemon(
		listener, 2 * listener->shared->limits.connections + MAX_ACCEPTS);
	if (listener->daemon)
		info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return fl_err_set(err, -ENOMEM, "cannot start the HTTP server");
	rc = fl_http_watch(listener->shared->epoll_fd, listener->sockets_fd, NULL, err);
	if (!rc)
		rc = fl_http_watch(listener->shared->epoll_fd, info->epoll_fd, NULL, err);
	listener->watched = !rc;
	return rc;
}

int fl_http_listener_new(const struct fl_http_shared *shared, const struct fl_http_routes *routes,
			 struct fl_http_listener **ret_listener, struct fl_err *err)
{
	_cleanup_(fl_http_listener_free) struct fl_http_listener *listener =
		calloc(1, sizeof(*listener));
	int rc;

	if (!listener)
		return fl_err_set(err, -ENOMEM, "no memory");
	listener->shared = shared;
	listener->routes = *routes;
	listener->sockets_fd = epoll_create1(EPOLL_CLOEXEC);
	if (listener->sockets_fd < 0)
		return fl_err_set(err, -errno, "cannot make an epoll descriptor: %s",
				  strerror(errno));
	rc = start(listener, err);
	if (!rc)
		*ret_listener = TAKE_PTR(listener);
	return rc;
}

/* Sockets */

int fl_http_listener_take(struct fl_http_listener *listener, struct fl_http_socket *sock,
			  struct fl_err *err)
{
	struct fl_http_socket *taken = malloc(sizeof(*taken));
	int rc = 0;

	if (!taken ||
	    FL_ARRAY_ROOM(listener->sockets, listener->sockets_room, listener->n_sockets + 1)) {
		fl_http_socket_close(sock);
		free(taken);
		return fl_err_set(err, -ENOMEM, "no memory");
	}
	*taken = *sock;
	sock->fd = -1;
	rc = fl_http_watch(listener->sockets_fd, taken->fd, taken, err);
	if (rc)
		drop(taken);
	else
		listener->sockets[listener->n_sockets++] = taken;
	return rc;
}

int fl_http_listener_open(struct fl_http_listener *listener, const struct fl_ip *ip, uint16_t port,
			  bool v6_only, uint16_t *ret_port, struct fl_err *err)
{
	struct fl_http_socket sock;
	int rc = fl_http_socket_open_tcp(ip, port, v6_only, &sock, ret_port, err);

	return rc ? rc : fl_http_listener_take(listener, &sock, err);
}

void fl_http_listener_close(struct fl_http_listener *listener, const struct fl_ip *ip,
			    uint16_t port)
{
	for (size_t i = 0; i < listener->n_sockets; i++) {
		struct fl_http_socket *sock = listener->sockets[i];

		if (*sock->path || sock->port != port || !fl_ip_equal(&sock->ip, ip))
			continue;
		drop(sock);
		listener->sockets[i] = listener->sockets[--listener->n_sockets];
		return;
	}
}

/* The daemon and its connections stay. */
static int repair(struct fl_http_listener *listener, struct fl_http_socket *sock,
		  struct fl_err *err)
{
	struct fl_http_socket made = {.fd = -1};
	int rc;

	if (!fl_http_socket_is_lost(sock))
		return 0;
	rc = fl_http_socket_open_unix(sock->path, sock->mode, &made, err);
	if (rc)
		return rc;
	rc = fl_http_watch(listener->sockets_fd, made.fd, sock, err);
	if (rc) {
		fl_http_socket_close(&made);
		return rc;
	}
	fl_closep(&sock->fd); /* nothing is left there to unlink */
	*sock = made;
	return 0;
}

int fl_http_listener_repair(struct fl_http_listener *listener, struct fl_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < listener->n_sockets; i++) {
		int r = repair(listener, listener->sockets[i], err);

		rc = r ? r : rc;
	}
	return rc;
}

/* A socket that is readable but cannot be accepted from would keep the loop spinning. */
static void pause_accepting(struct fl_http_listener *listener)
{
	listener->watched = epoll_ctl(listener->shared->epoll_fd, EPOLL_CTL_DEL,
				      listener->sockets_fd, NULL) != 0;
}

/*
 * Accept one connection. When the listener is full the client that has been receiving for longest
 * makes room; if none is, because all are being answered, newcomers wait in the kernel's queue.
 */
static int accept_one(struct fl_http_listener *listener, const struct fl_http_socket *sock,
		      int *ret_fd)
{
	struct pollfd pending = {.fd = sock->fd, .events = POLLIN};

	if (listener->connections.n >= listener->shared->limits.connections) {
		if (poll(&pending, 1, 0) <= 0)
			return -EAGAIN;
		if (!fl_http_connections_evict(&listener->connections, now(listener)))
			return -EMFILE;
	}
	return fl_http_socket_accept(sock, ret_fd);
}

/* False: nothing more can be accepted in this turn. */
static bool accept_from(struct fl_http_listener *listener, struct epoll_event *ready)
{
	/* libmicrohttpd needs an address, which is never read */
	const struct sockaddr peer = {.sa_family = AF_UNIX};
	int fd, rc = accept_one(listener, ready->data.ptr, &fd);

	if (!rc)
		/* closes fd in any case */
		MHD_add_connection(listener->daemon, fd, &peer, sizeof(peer));
	else if (rc == -EAGAIN)
		ready->data.ptr = NULL;
	else if (rc != -EACCES && rc != -EINTR && rc != -ECONNABORTED)
		return false;
	return true;
}

/* One of each socket that has some, in turn, so that none waits behind another. */
static void accept_all(struct fl_http_listener *listener)
{
	struct epoll_event ready[MAX_ACCEPTS];
	int n, tried = 0, last;

	if (!listener->watched)
		listener->watched = !fl_http_watch(listener->shared->epoll_fd, listener->sockets_fd,
						   NULL, NULL);
	n = epoll_wait(listener->sockets_fd, ready, MAX_ACCEPTS, 0);
	do {
		last = tried;
		for (int i = 0; i < n && tried < MAX_ACCEPTS; i++) {
			if (!ready[i].data.ptr)
				continue;
			tried++;
			if (accept_from(listener, &ready[i]))
				continue;
			if (listener->watched)
				pause_accepting(listener);
			return;
		}
	} while (tried > last && tried < MAX_ACCEPTS);
}

uint64_t fl_http_listener_turn(struct fl_http_listener *listener)
{
	const struct fl_http_limits *limits = &listener->shared->limits;
	MHD_UNSIGNED_LONG_LONG ms = 0;
	uint64_t soonest;

	accept_all(listener);
	resume_all(listener);
	listener->turn_ends = fl_mono_plus_ms(now(listener), TURN_MS);
	MHD_run(listener->daemon);
	/* after reading: a request that arrived in time counts, however late this turn is */
	soonest = fl_http_connections_expire(&listener->connections, limits->receive_ms,
					     limits->send_ms, now(listener));
	if (listener->connections.n_waiting)
		return 0;
	if (MHD_get_timeout(listener->daemon, &ms) == MHD_YES && ms < soonest)
		soonest = ms;
	return !listener->watched && soonest > PAUSE_MS ? PAUSE_MS : soonest;
}
