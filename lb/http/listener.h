/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Listening sockets with their routes, their connections and a libmicrohttpd daemon of their own,
 * so that many clients of one listener take nothing from another.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/clock.h"
#include "lb/base/err.h"
#include "lb/http/connection.h"
#include "lb/http/http.h"
#include "lb/http/route.h"
#include "lb/http/socket.h"

struct MHD_Daemon;

/* What the listeners of one server share. */
struct fl_http_shared {
	struct fl_http_limits limits; /* none is 0 */
	struct fl_clock clock;
	int epoll_fd;
};

struct fl_http_listener {
	const struct fl_http_shared *shared;
	struct fl_http_routes routes;
	struct fl_http_socket **sockets; /* owned; they do not move */
	size_t n_sockets, sockets_room;
	int sockets_fd; /* an epoll descriptor that holds them */
	struct MHD_Daemon *daemon;
	struct fl_http_connections connections;
	bool watched;		  /* sockets_fd is: not while nothing can be accepted */
	struct fl_mono turn_ends; /* no handler is called after it */
	struct fl_http_listener *next;
};

int fl_http_listener_new(const struct fl_http_shared *shared, const struct fl_http_routes *routes,
			 struct fl_http_listener **ret_listener, struct fl_err *err);
/* Serve on `sock` too, which is the listener's from then on, also after a failure. */
int fl_http_listener_take(struct fl_http_listener *listener, struct fl_http_socket *sock,
			  struct fl_err *err);
void fl_http_listener_free(struct fl_http_listener **listener);
/* Do what is due. Returns in how many milliseconds something will be, UINT64_MAX: never. */
uint64_t fl_http_listener_turn(struct fl_http_listener *listener);
int fl_http_listener_repair(struct fl_http_listener *listener, struct fl_err *err);

/* request.c: a libmicrohttpd daemon that asks the listener's routes; NULL: it cannot start. */
struct MHD_Daemon *fl_http_listener_daemon(struct fl_http_listener *listener,
					   unsigned int max_connections);

/* Watch a descriptor for reading; `ptr` is what epoll_wait() tells. */
int fl_http_watch(int epoll_fd, int fd, void *ptr, struct fl_err *err);
