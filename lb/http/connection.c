/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections as a list in which the one that changed its phase last stands at the end. */
#include "lb/http/connection.h"

#include <stdlib.h>
#include <sys/socket.h>

static void append(struct fl_http_connections *all, struct fl_http_connection *connection)
{
	connection->prev = all->last;
	connection->next = NULL;
	*(all->last ? &all->last->next : &all->first) = connection;
	all->last = connection;
}

static void detach(struct fl_http_connections *all, struct fl_http_connection *connection)
{
	*(connection->prev ? &connection->prev->next : &all->first) = connection->next;
	*(connection->next ? &connection->next->prev : &all->last) = connection->prev;
}

struct fl_http_connection *fl_http_connection_add(struct fl_http_connections *all,
						  struct MHD_Connection *mhd, int fd,
						  struct fl_mono now)
{
	struct fl_http_connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	*connection = (struct fl_http_connection){.mhd = mhd, .fd = fd, .since = now};
	append(all, connection);
	all->n++;
	return connection;
}

void fl_http_connection_remove(struct fl_http_connections *all,
			       struct fl_http_connection *connection)
{
	detach(all, connection);
	all->n -= connection->phase != FL_HTTP_ENDED;
	all->n_waiting -= connection->phase == FL_HTTP_WAITING;
	free(connection);
}

void fl_http_connection_enter(struct fl_http_connections *all,
			      struct fl_http_connection *connection, enum fl_http_phase phase,
			      struct fl_mono now)
{
	if (connection->phase == FL_HTTP_ENDED)
		return;
	all->n -= phase == FL_HTTP_ENDED;
	all->n_waiting += phase == FL_HTTP_WAITING;
	all->n_waiting -= connection->phase == FL_HTTP_WAITING;
	connection->phase = phase;
	connection->since = now;
	detach(all, connection);
	append(all, connection);
}

/* libmicrohttpd owns the descriptor: it notices the end at its next turn, and closes it. */
static void end(struct fl_http_connections *all, struct fl_http_connection *connection,
		struct fl_mono now)
{
	shutdown(connection->fd, SHUT_RDWR);
	fl_http_connection_enter(all, connection, FL_HTTP_ENDED, now);
}

bool fl_http_connections_evict(struct fl_http_connections *all, struct fl_mono now)
{
	for (struct fl_http_connection *c = all->first; c; c = c->next) {
		if (c->phase == FL_HTTP_RECEIVING) {
			end(all, c, now);
			return true;
		}
	}
	return false;
}

uint64_t fl_http_connections_expire(struct fl_http_connections *all, uint64_t receive_ms,
				    uint64_t send_ms, struct fl_mono now)
{
	struct fl_http_connection *c, *next;
	uint64_t soonest = UINT64_MAX;

	for (c = all->first; c; c = next) {
		uint64_t passed = fl_mono_ms_between(c->since, now), limit;

		next = c->next;
		if (c->phase != FL_HTTP_RECEIVING && c->phase != FL_HTTP_SENDING)
			continue;
		limit = c->phase == FL_HTTP_RECEIVING ? receive_ms : send_ms;
		if (passed >= limit)
			end(all, c, now);
		else if (limit - passed < soonest)
			soonest = limit - passed;
	}
	return soonest;
}
