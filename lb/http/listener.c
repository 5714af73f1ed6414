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

#include "lb/base/cleanup.h"

/* per turn, so that many newcomers do not starve the loop */
#define MAX_ACCEPTS 16
#define PAUSE_MS 500
#define TURN_MS 10 /* handlers are called for so long in one turn */

static struct fl_mono now(const struct fl_http_listener *listener)
{
	return fl_clock_now(&listener->shared->clock);
}

int fl_http_watch(const struct fl_http_shared *shared, int fd, struct fl_err *err)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (!epoll_ctl(shared->epoll_fd, EPOLL_CTL_ADD, fd, &event))
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

void fl_http_listener_free(struct fl_http_listener **listener)
{
	struct fl_http_listener *l = *listener;

	if (!l)
		return;
	fl_http_socket_close(&l->socket);
	if (l->daemon) {
		resume_all(l);
		MHD_stop_daemon(l->daemon);
	}
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
	rc = fl_http_watch(listener->shared, listener->socket.fd, err);
	if (!rc)
		rc = fl_http_watch(listener->shared, info->epoll_fd, err);
	listener->watched = !rc;
	return rc;
}

int fl_http_listener_new(const struct fl_http_shared *shared, const struct fl_http_routes *routes,
			 struct fl_http_socket *sock, struct fl_http_listener **ret_listener,
			 struct fl_err *err)
{
	_cleanup_(fl_http_listener_free) struct fl_http_listener *listener =
		calloc(1, sizeof(*listener));
	int rc;

	if (!listener) {
		fl_http_socket_close(sock);
		return fl_err_set(err, -ENOMEM, "no memory");
	}
	listener->shared = shared;
	listener->routes = *routes;
	listener->socket = *sock;
	sock->fd = -1;
	rc = start(listener, err);
	if (!rc)
		*ret_listener = TAKE_PTR(listener);
	return rc;
}

/* The daemon and its connections stay. */
int fl_http_listener_repair(struct fl_http_listener *listener, struct fl_err *err)
{
	struct fl_http_socket made = {.fd = -1};
	int rc;

	if (!fl_http_socket_is_lost(&listener->socket))
		return 0;
	rc = fl_http_socket_open_unix(listener->socket.path, listener->socket.mode, &made, err);
	if (rc)
		return rc;
	rc = fl_http_watch(listener->shared, made.fd, err);
	if (rc) {
		fl_http_socket_close(&made);
		return rc;
	}
	fl_closep(&listener->socket.fd); /* nothing is left there to unlink */
	listener->socket = made;
	listener->watched = true;
	return 0;
}

/* A socket that is readable but cannot be accepted from would keep the loop spinning. */
static void pause_accepting(struct fl_http_listener *listener)
{
	int fd = listener->socket.fd;

	listener->watched = epoll_ctl(listener->shared->epoll_fd, EPOLL_CTL_DEL, fd, NULL) != 0;
}

/*
 * Accept one connection. When the listener is full the client that has been receiving for longest
 * makes room; if none is, because all are being answered, newcomers wait in the kernel's queue.
 */
static int accept_one(struct fl_http_listener *listener, int *ret_fd)
{
	struct pollfd pending = {.fd = listener->socket.fd, .events = POLLIN};

	if (listener->connections.n >= listener->shared->limits.connections) {
		if (poll(&pending, 1, 0) <= 0)
			return -EAGAIN;
		if (!fl_http_connections_evict(&listener->connections, now(listener)))
			return -EMFILE;
	}
	return fl_http_socket_accept(&listener->socket, ret_fd);
}

static void accept_all(struct fl_http_listener *listener)
{
	/* libmicrohttpd needs an address, which is never read */
	const struct sockaddr peer = {.sa_family = AF_UNIX};

	if (!listener->watched)
		listener->watched = !fl_http_watch(listener->shared, listener->socket.fd, NULL);
	for (int i = 0; i < MAX_ACCEPTS; i++) {
		int fd, rc = accept_one(listener, &fd);

		if (rc == -EACCES || rc == -EINTR || rc == -ECONNABORTED)
			continue;
		if (rc) {
			if (rc != -EAGAIN && listener->watched)
				pause_accepting(listener);
			return;
		}
		/* closes fd in any case */
		MHD_add_connection(listener->daemon, fd, &peer, sizeof(peer));
	}
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
