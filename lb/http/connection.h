/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connections of a listener, oldest first, and how long each may stay as it is. libmicrohttpd's
 * own time-out starts again with every byte; these do not, so a client that trickles gains nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/clock.h"

struct MHD_Connection;

enum fl_http_phase {
	FL_HTTP_RECEIVING, /* nothing yet, or a part of a request */
	FL_HTTP_WAITING,   /* a whole request, for a turn of the loop with time for it */
	FL_HTTP_SENDING,
	FL_HTTP_ENDED, /* shut down; libmicrohttpd has not noticed yet */
};

struct fl_http_connection {
	struct MHD_Connection *mhd;
	int fd; /* libmicrohttpd's */
	enum fl_http_phase phase;
	struct fl_mono since; /* when the phase began */
	bool suspended;	      /* WAITING, and libmicrohttpd knows it */
	size_t body_bytes;
	struct fl_http_connection *prev, *next;
};

/* Zero-initialise. */
struct fl_http_connections {
	struct fl_http_connection *first, *last;
	size_t n; /* that have not ended */
	size_t n_waiting;
};

/* NULL: no memory. */
struct fl_http_connection *fl_http_connection_add(struct fl_http_connections *all,
						  struct MHD_Connection *mhd, int fd,
						  struct fl_mono now);
void fl_http_connection_remove(struct fl_http_connections *all,
			       struct fl_http_connection *connection);
/* No-op for one that has ended. */
void fl_http_connection_enter(struct fl_http_connections *all,
			      struct fl_http_connection *connection, enum fl_http_phase phase,
			      struct fl_mono now);
/* Make room for a newcomer: end the one that has been receiving for longest. False: none is. */
bool fl_http_connections_evict(struct fl_http_connections *all, struct fl_mono now);
/* End those whose time is up. Returns milliseconds until the next one's is, UINT64_MAX: none. */
uint64_t fl_http_connections_expire(struct fl_http_connections *all, uint64_t receive_ms,
				    uint64_t send_ms, struct fl_mono now);
