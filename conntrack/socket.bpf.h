/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets' table: what a frontend that a socket asked for was translated to, so that the socket
 * is shown the frontend again, and an unconnected one stays with its backend. conntrack/sockets.c
 * forgets the records of backends that their service has lost.
 */
#pragma once

#include "bpf/lib/service.bpf.h"

FL_MAPS_OF_SOCKETS(FL_MAP_DEFINE)

/* Where a socket wants to go, or what it is shown. */
struct fl_peer {
	struct fl_addr addr;
	__be16 port;
	__u8 proto;
	bool v6; /* by the address, so false for a mapped IPv4 address on an IPv6 socket */
};

static __always_inline struct fl_socket_peer *
fl_socket_get(__u64 cookie, enum fl_socket_direction direction, const struct fl_peer *p)
{
	struct fl_socket_key key = {
		.cookie = cookie,
		.addr = p->addr,
		.port = p->port,
		.proto = p->proto,
		.direction = direction,
	};

	return bpf_map_lookup_elem(&fl_sockets, &key);
}

static __always_inline void fl_socket_put(__u64 cookie, enum fl_socket_direction direction,
					  const struct fl_addr *addr, __be16 port, __u8 proto,
					  const struct fl_socket_peer *peer)
{
	struct fl_socket_key key = {
		.cookie = cookie,
		.addr = *addr,
		.port = port,
		.proto = proto,
		.direction = direction,
	};

	bpf_map_update_elem(&fl_sockets, &key, peer, BPF_ANY);
}

/* The backend that a socket keeps for the frontend *p, while it is live: *p becomes that. */
static __always_inline bool fl_socket_kept(__u64 cookie, struct fl_peer *p)
{
	struct fl_socket_peer *kept = fl_socket_get(cookie, FL_SOCKET_FORWARD, p);

	if (!kept || !fl_backend_is(fl_backend_get(kept->backend), kept->generation))
		return false;
	p->addr = kept->addr;
	p->port = kept->port;
	return true;
}

/* The frontend that the socket was sent to the backend *p for: *p becomes that. */
static __always_inline bool fl_socket_restore(__u64 cookie, struct fl_peer *p)
{
	struct fl_socket_peer *peer = fl_socket_get(cookie, FL_SOCKET_REVERSE, p);

	if (!peer)
		return false;
	p->addr = peer->addr;
	p->port = peer->port;
	return true;
}

/* Send the socket from the frontend *p to a backend; with `keep` also its later packets. */
static __always_inline void fl_socket_translate(__u64 cookie, struct fl_peer *p, __u32 id,
						const struct fl_backend *backend, bool keep)
{
	struct fl_socket_peer to = {
		.addr = backend->addr,
		.port = backend->port,
		.backend = id,
		.generation = backend->generation,
	};
	struct fl_socket_peer from = {
		.addr = p->addr,
		.port = p->port,
		.backend = id,
		.generation = to.generation,
	};

	if (keep)
		fl_socket_put(cookie, FL_SOCKET_FORWARD, &from.addr, from.port, p->proto, &to);
	fl_socket_put(cookie, FL_SOCKET_REVERSE, &to.addr, to.port, p->proto, &from);
	p->addr = to.addr;
	p->port = to.port;
}
