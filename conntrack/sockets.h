/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Userspace's half of the sockets' table (map fl_sockets), which the socket hooks write. */
#pragma once

#include "conntrack/lost.h"

/*
 * Delete the records by which unconnected UDP sockets keep a lost backend: they choose again with
 * their next send. 0 or -errno, with what was deleted until then.
 */
int fl_sockets_resteer(int sockets_fd, const struct fl_lost *lost, size_t *ret_n);

/* Whether it is such a record. What shows a socket the frontend again (FL_SOCKET_REVERSE) stays,
 * for replies that are under way. */
bool fl_socket_wants(const struct fl_socket_key *key, const struct fl_socket_peer *peer,
		     const struct fl_lost *lost);
