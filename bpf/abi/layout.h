/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the pins say about the layout of their tables of flows and sockets, in map maps/layout
 * beside them: an agent whose tables look otherwise, older or newer, reads them by it. Only
 * userspace looks at it. Places are only ever added at the end of a list; whatever else changes
 * raises FL_LAYOUT_VERSION, and such a description is not read by agents before.
 */
#pragma once

#include <linux/types.h>

#define FL_LAYOUT_VERSION 1

/* Numbers in the order of the machine; addresses and ports in that of the network. */
enum fl_layout_field {
	FL_LAYOUT_WORD,
	FL_LAYOUT_TWIN,
	FL_LAYOUT_TWIN_GENERATION,
	FL_LAYOUT_PROTO,
	FL_LAYOUT_FLAGS,
	FL_LAYOUT_LAST_SEEN,
	FL_LAYOUT_SEQ,
	FL_LAYOUT_ACK,
	FL_LAYOUT_BACKEND_LOW, /* 0, and so are the others of it: no backend of ours */
	FL_LAYOUT_BACKEND_HIGH,
	FL_LAYOUT_PACKETS,
	FL_LAYOUT_BYTES_LOW, /* 32 bits */
	FL_LAYOUT_BYTES_HIGH,
	FL_LAYOUT_KEY_SADDR,
	FL_LAYOUT_KEY_DADDR,
	FL_LAYOUT_KEY_SPORT,
	FL_LAYOUT_KEY_DPORT,
	FL_LAYOUT_REWRITE_SADDR,
	FL_LAYOUT_REWRITE_DADDR,
	FL_LAYOUT_REWRITE_SPORT,
	FL_LAYOUT_REWRITE_DPORT,
	FL_LAYOUT_FIELDS,
};
#define FL_LAYOUT_FIELDS_MAX 32
#define FL_LAYOUT_ENTRY_MAX 1024

enum fl_layout_state {
	FL_LAYOUT_NEW,
	FL_LAYOUT_REPLIED,
	FL_LAYOUT_ESTABLISHED,
	FL_LAYOUT_HALF_CLOSED,
	FL_LAYOUT_TIME_WAIT,
	FL_LAYOUT_CLOSING,
	FL_LAYOUT_STATES,
};

enum fl_layout_flag {
	FL_LAYOUT_IS_REPLY,
	FL_LAYOUT_TO_STACK,
	FL_LAYOUT_SNAT,
	FL_LAYOUT_FIN,
	FL_LAYOUT_RST,
	FL_LAYOUT_LOCAL,
	FL_LAYOUT_STALE,
	FL_LAYOUT_KERNEL,
	FL_LAYOUT_FLAGS_N,
};
#define FL_LAYOUT_VALUES_MAX 16

enum fl_layout_socket_field {
	FL_LAYOUT_SOCKET_WORD,
	FL_LAYOUT_SOCKET_LAST,
	FL_LAYOUT_SOCKET_COOKIE,
	FL_LAYOUT_SOCKET_FRONTEND,
	FL_LAYOUT_SOCKET_BACKEND,
	FL_LAYOUT_SOCKET_FRONTEND_PORT,
	FL_LAYOUT_SOCKET_BACKEND_PORT,
	FL_LAYOUT_SOCKET_PROTO,
	FL_LAYOUT_SOCKET_KIND,
	FL_LAYOUT_SOCKET_FIELDS,
};

enum fl_layout_socket_kind {
	FL_LAYOUT_CONNECTED,
	FL_LAYOUT_SENDS,
	FL_LAYOUT_SHOWS,
	FL_LAYOUT_SOCKET_KINDS,
};

/* In bytes from the beginning of an entry. Size 0: it is not there. */
struct fl_layout_place {
	__u16 offset, size;
};

/* A bucket is `ways` entries, one behind the other. */
struct fl_layout_table {
	__u32 bucket_size;
	__u16 entry_size, ways;
	struct fl_layout_place field[FL_LAYOUT_FIELDS_MAX];
};

struct fl_layout {
	__u32 version; /* FL_LAYOUT_VERSION */
	__u32 abi_version;
	/* of the word: generation << shift | state, in the bits of the mask */
	__u32 state_mask, generation_shift;
	__u8 state[FL_LAYOUT_VALUES_MAX]; /* enum fl_layout_state: the number that it has */
	__u8 flag[FL_LAYOUT_VALUES_MAX];  /* enum fl_layout_flag: its bit, 0 none */
	struct fl_layout_table family[2]; /* IPv4, IPv6 */
	/* the same of the sockets' table; the word of a record that is in use */
	__u32 socket_state_mask, socket_used;
	__u8 socket_kind[FL_LAYOUT_VALUES_MAX]; /* enum fl_layout_socket_kind */
	struct fl_layout_table sockets;
};

_Static_assert(FL_LAYOUT_FIELDS <= FL_LAYOUT_FIELDS_MAX, "abi");
_Static_assert(FL_LAYOUT_STATES <= FL_LAYOUT_VALUES_MAX, "abi");
_Static_assert(FL_LAYOUT_FLAGS_N <= FL_LAYOUT_VALUES_MAX, "abi");
_Static_assert(sizeof(struct fl_layout) == 480, "abi");
