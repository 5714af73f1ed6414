/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets: what their peers were translated to, and which ports the node's own ones are bound to.
 */
#pragma once

#include "bpf/abi/addr.h"

#define FL_SOCKET_WAYS 4 /* records per bucket */

/* What a record of a socket says, and by what it is found. */
enum fl_socket_kind {
	FL_SOCKET_NONE,
	/* The socket is connected: by cookie alone. Valid while its peer is the backend. */
	FL_SOCKET_CONNECTED,
	/* An unconnected socket sends what it has for the frontend to the backend: by cookie and
	 * frontend. */
	FL_SOCKET_SENDS,
	/* What an unconnected socket gets from the backend is shown as the frontend that it asked
	 * last there: by cookie and backend. */
	FL_SOCKET_SHOWS,
};

/*
 * fl_socket.word: generation << 8 | state. Taken by cmpxchg to FL_SOCKET_BUSY and the next
 * generation, filled, and published by an atomic exchange; a reader looks at the word before and
 * after.
 */
enum fl_socket_state {
	FL_SOCKET_FREE,
	FL_SOCKET_BUSY,
	FL_SOCKET_USED,
};
#define FL_SOCKET_STATE_MASK 0xffU
#define FL_SOCKET_GENERATION_SHIFT 8

static __always_inline __u32 fl_socket_word(__u32 word, __u32 state)
{
	/* the generation after that of `word` */
	return ((word >> FL_SOCKET_GENERATION_SHIFT) + 1) << FL_SOCKET_GENERATION_SHIFT | state;
}

/* A frontend that a socket asked for, and the backend that it was sent to. */
struct fl_socket_record {
	__u32 word;
	__u32 last; /* jiffies of its last use, written at most once a second */
	__u64 cookie;
	struct fl_addr frontend, backend;
	__be16 frontend_port, backend_port;
	__u32 backend_id;
	__u16 backend_generation;
	__u8 proto;
	__u8 kind; /* enum fl_socket_kind */
	/* Of a connected socket: while this is `word`, its frontend does not serve the backend, and
	 * what it sends there is refused. Written by the agent alone. */
	__u32 stale;
};

/* Element of array fl_sockets; the number of buckets is a power of two. */
struct fl_socket_bucket {
	struct fl_socket_record way[FL_SOCKET_WAYS];
};

/*
 * Elements of array fl_bound_ports: a bit for each port of TCP, then of UDP, that a socket of the
 * node's network namespace may be bound to. The bind hooks set them, and the agent for sockets that
 * the hooks have not seen. While fl_meta.bound_ports_stamp is no more than FL_BOUND_PORTS_S old, a
 * port of ours whose bit is clear has no socket. Index by FL_BOUND_WORD, bit port % 64; of TCP (6)
 * the low bit is clear, of UDP (17) set.
 */
#define FL_BOUND_WORDS (2 * 65536 / 64)
#define FL_BOUND_WORD(proto, port) (((proto)&1) << 10 | (port) >> 6)
#define FL_BOUND_PORTS_S 3 /* seconds */

_Static_assert(sizeof(struct fl_socket_record) == 64, "abi");
_Static_assert(sizeof(struct fl_socket_bucket) == 64 * FL_SOCKET_WAYS, "abi");
