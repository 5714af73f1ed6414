/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The server: its listeners, and one epoll descriptor that holds their sockets, the epoll
 * descriptors of their libmicrohttpd daemons, and a timer for what is due.
 */
#include "lb/http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/http/listener.h"

struct fl_http {
	struct fl_http_shared shared;
	int timer_fd;
	struct fl_http_listener *listeners; /* in the order they were added */
};

int fl_http_new(const struct fl_http_limits *limits, const struct fl_clock *clock,
		struct fl_http **ret_http, struct fl_err *err)
{
	_cleanup_(fl_http_free) struct fl_http *http = calloc(1, sizeof(*http));
	struct fl_http_limits *l;
	int rc;

	if (!http)
		return fl_err_set(err, -ENOMEM, "no memory");
	l = &http->shared.limits;
	if (limits)
		*l = *limits;
	l->connections = l->connections ? l->connections : 64;
	l->receive_ms = l->receive_ms ? l->receive_ms : 5000;
	l->send_ms = l->send_ms ? l->send_ms : 30000;
	l->body_bytes = l->body_bytes ? l->body_bytes : 4096;
	http->shared.clock = *clock;
	http->timer_fd = -1;
	http->shared.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (http->shared.epoll_fd < 0)
		return fl_err_set(err, -errno, "cannot make an epoll descriptor: %s",
				  strerror(errno));
	http->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (http->timer_fd < 0)
		return fl_err_set(err, -errno, "cannot make a timer: %s", strerror(errno));
	rc = fl_http_watch(http->shared.epoll_fd, http->timer_fd, NULL, err);
	if (!rc)
		*ret_http = TAKE_PTR(http);
	return rc;
}

void fl_http_free(struct fl_http **http)
{
	struct fl_http *h = *http;

	if (!h)
		return;
	while (h->listeners) {
		struct fl_http_listener *first = h->listeners;

		h->listeners = first->next;
		fl_http_listener_free(&first);
	}
	fl_closep(&h->timer_fd);
	fl_closep(&h->shared.epoll_fd);
	free(h);
	*http = NULL;
}

int fl_http_add_listener(struct fl_http *http, const struct fl_http_routes *routes,
			 struct fl_http_listener **ret_listener, struct fl_err *err)
{
	struct fl_http_listener **at = &http->listeners;
	int rc;

	while (*at)
		at = &(*at)->next;
	rc = fl_http_listener_new(&http->shared, routes, at, err);
	if (!rc)
		*ret_listener = *at;
	return rc;
}

/* A listener that could not be made leaves no socket. */
static int add(struct fl_http *http, struct fl_http_socket *sock,
	       const struct fl_http_routes *routes, struct fl_err *err)
{
	struct fl_http_listener *listener;
	int rc = fl_http_add_listener(http, routes, &listener, err);

	if (!rc)
		return fl_http_listener_take(listener, sock, err);
	fl_http_socket_close(sock);
	return rc;
}

int fl_http_listen_unix(struct fl_http *http, const char *path, mode_t mode,
			const struct fl_http_routes *routes, struct fl_err *err)
{
	struct fl_http_socket sock;
	int rc = fl_http_socket_open_unix(path, mode, &sock, err);

	return rc ? rc : add(http, &sock, routes, err);
}

int fl_http_listen_tcp(struct fl_http *http, const struct fl_ip *ip, uint16_t port,
		       const struct fl_http_routes *routes, uint16_t *ret_port, struct fl_err *err)
{
	struct fl_http_socket sock;
	int rc = fl_http_socket_open_tcp(ip, port, false, &sock, ret_port, err);

	return rc ? rc : add(http, &sock, routes, err);
}

int fl_http_fd(const struct fl_http *http)
{
	return http->shared.epoll_fd;
}

static void set_timer(struct fl_http *http, uint64_t ms)
{
	struct itimerspec when = {0};
	uint64_t expirations;

	while (read(http->timer_fd, &expirations, sizeof(expirations)) > 0)
		continue;
	if (ms != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(ms / 1000);
		/* an all-zero value would disarm it */
		when.it_value.tv_nsec = (long)(ms % 1000 * FL_NSEC_PER_MSEC) + 1;
	}
	timerfd_settime(http->timer_fd, 0, &when, NULL);
}

void fl_http_handle(struct fl_http *http)
{
	uint64_t soonest = UINT64_MAX;

	for (struct fl_http_listener *l = http->listeners; l; l = l->next) {
		uint64_t ms = fl_http_listener_turn(l);

		if (ms < soonest)
			soonest = ms;
	}
	set_timer(http, soonest);
}

int fl_http_repair(struct fl_http *http, struct fl_err *err)
{
	int rc = 0;

	for (struct fl_http_listener *l = http->listeners; l; l = l->next) {
		int r = fl_http_listener_repair(l, err);

		rc = r ? r : rc;
	}
	return rc;
}
