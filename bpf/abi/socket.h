/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets: what their peers were translated to, and which ports the node's own ones are bound to.
 */
#pragma once

#include "bpf/abi/addr.h"

/*
 * Map fl_sockets (LRU): what the address that a socket asked for was translated to.
 * FL_SOCKET_REVERSE: (cookie, backend) -> the frontend to show.
 * FL_SOCKET_FORWARD: (cookie, frontend) -> the backend that an unconnected UDP socket keeps.
 */
enum fl_socket_direction {
	FL_SOCKET_FORWARD = 1,
	FL_SOCKET_REVERSE = 2,
};

struct fl_socket_key {
	__u64 cookie;
	struct fl_addr addr;
	__be16 port;
	__u8 proto;
	__u8 direction; /* enum fl_socket_direction */
	__u32 pad;
};

struct fl_socket_peer {
	struct fl_addr addr;
	__be16 port;
	__u16 generation;
	__u32 backend;
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

_Static_assert(sizeof(struct fl_socket_key) == 32, "abi");
_Static_assert(sizeof(struct fl_socket_peer) == 24, "abi");
