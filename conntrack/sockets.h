/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Userspace's half of the sockets' table (array fl_sockets), which the socket hooks write. Same
 * protocol as theirs (conntrack/socket.bpf.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi/fairlead.h"
#include "lb/dp/maps.h"

/* Borrowed memory. */
struct fl_socket_table {
	struct fl_socket_bucket *buckets;
	size_t n; /* a power of two */
};

static inline struct fl_socket_table fl_socket_table_of(const struct fl_maps *maps)
{
	return (struct fl_socket_table){maps->sockets, maps->n_sockets};
}

static inline struct fl_socket_record *fl_socket_at(const struct fl_socket_table *table,
						    size_t slot)
{
	return &table->buckets[slot / FL_SOCKET_WAYS].way[slot % FL_SOCKET_WAYS];
}

/* A consistent copy of a record. False: it is free, or being written. */
bool fl_socket_copy(const struct fl_socket_table *table, size_t slot,
		    struct fl_socket_record *ret_copy);
/* Free the record, if it is still the one that was copied. */
bool fl_socket_free(const struct fl_socket_table *table, size_t slot,
		    const struct fl_socket_record *copy);
/* Whether a connected socket has to leave its backend, as the copy says or from now on. */
bool fl_socket_is_stale(const struct fl_socket_record *copy);
void fl_socket_set_stale(const struct fl_socket_table *table, size_t slot,
			 const struct fl_socket_record *copy, bool stale);
/* How many sockets have to leave their backends. */
size_t fl_sockets_stale_count(const struct fl_socket_table *table);
/* How many records there are. */
size_t fl_sockets_count(const struct fl_socket_table *table);
