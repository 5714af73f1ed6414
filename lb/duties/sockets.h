/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets of a listener as they should be, and as they are. What cannot be bound is a condition
 * that names it, and is tried again until it works or nobody wants it any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/health.h"
#include "lb/base/ip.h"

struct fl_err;
struct fl_http_listener;

struct fl_socket_want {
	struct fl_ip ip;
	uint16_t port;
	bool v6_only;
	bool implied; /* no condition where the machine lacks the address or its family */
	/* "the health checks of Service" and "default/web", borrowed for the call; NULL: it is of
	 * no Service */
	const char *what, *service;
};

struct fl_sockets {
	/* borrowed */
	struct fl_http_listener *listener;
	struct fl_health *health;
	enum fl_health_level level; /* of what cannot be bound */
	const char *server;	    /* begins the subjects: several may want one address */
	struct fl_socket *sockets;  /* sorted by port, then address */
	size_t n;
};
void fl_sockets_fini(struct fl_sockets *sockets);

/* Open what is missing, close what nobody wants. 0 or -ENOMEM: all is as before. */
int fl_sockets_set(struct fl_sockets *sockets, const struct fl_socket_want *wants, size_t n);
/* Try again what could not be bound. */
void fl_sockets_retry(struct fl_sockets *sockets);
/* The error of one that could not be bound and should have been, with words; 0: all could. */
int fl_sockets_error(const struct fl_sockets *sockets, struct fl_err *err);
