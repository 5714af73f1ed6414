/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An HTTP/1.1 server without threads, on any number of Unix and TCP sockets. The caller's loop
 * watches one descriptor and calls fl_http_handle() when it is readable; time-outs are part of it.
 * No client can make it wait, hold a connection for longer than the limits say, or keep newcomers
 * out by holding many.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lb/base/err.h"

struct fl_clock;
struct fl_http;
struct fl_http_listener;
struct fl_http_routes;
struct fl_ip;

/* 0 stands for the default. */
struct fl_http_limits {
	uint32_t connections; /* per listener: 64 */
	uint32_t receive_ms;  /* for a whole request, or between two of them: 5000 */
	uint32_t send_ms;     /* for a whole answer: 30000 */
	uint32_t body_bytes;  /* of a request; it is read and dropped: 4096 */
};

/* `limits` may be NULL; both are copied. 0, -ENOMEM, or the system's error. */
int fl_http_new(const struct fl_http_limits *limits, const struct fl_clock *clock,
		struct fl_http **ret_http, struct fl_err *err);
/* Close all connections and listeners. A Unix socket is removed if it is still ours. */
void fl_http_free(struct fl_http **http);

/*
 * Serve `routes` (copied; the table is borrowed) on a Unix socket with these permissions, to root
 * and to the user this process runs as. Its directory is made (0755) if only that is missing. A
 * socket that no program listens on is replaced. -EADDRINUSE when another program answers there,
 * -EEXIST when something else than a socket lies there, -ENAMETOOLONG, or the system's error.
 */
int fl_http_listen_unix(struct fl_http *http, const char *path, mode_t mode,
			const struct fl_http_routes *routes, struct fl_err *err);
/*
 * The same on a TCP port, to all that reach it. "::" takes IPv4 as well. Port 0: one that
 * is free. *ret_port (may be NULL) is the port.
 */
int fl_http_listen_tcp(struct fl_http *http, const struct fl_ip *ip, uint16_t port,
		       const struct fl_http_routes *routes, uint16_t *ret_port, struct fl_err *err);

/*
 * A listener whose TCP sockets come and go; their clients share its limits. It has none yet, and
 * lives as long as `http`. `routes` as above.
 */
int fl_http_add_listener(struct fl_http *http, const struct fl_http_routes *routes,
			 struct fl_http_listener **ret_listener, struct fl_err *err);
/* `v6_only`: an IPv6 address takes no IPv4. A failure leaves the listener as it was. */
int fl_http_listener_open(struct fl_http_listener *listener, const struct fl_ip *ip, uint16_t port,
			  bool v6_only, uint16_t *ret_port, struct fl_err *err);
/* No-op when there is no such socket. Its connections go on. Not to be called by a handler. */
void fl_http_listener_close(struct fl_http_listener *listener, const struct fl_ip *ip,
			    uint16_t port);

/* The descriptor to watch for reading, the same for the whole life. */
int fl_http_fd(const struct fl_http *http);
/* Accept, read, answer, time out: whatever is due. */
void fl_http_handle(struct fl_http *http);
/* Listen again where a Unix socket was removed from outside; connections stay. */
int fl_http_repair(struct fl_http *http, struct fl_err *err);
