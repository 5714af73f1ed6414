/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bits that tell what the datapath has nothing to do with before it looks anywhere else: most
 * packets of a node. A bit that is clear is certain, one that is set only says to go on and look.
 * Bits are set before what they stand for exists, in both halves of their word; one half is read
 * (fl_meta.filter_half). What is left of flows and frontends that are no more goes when the agent
 * makes the other half anew (conntrack/rebuild.h).
 */
#pragma once

#include "bpf/abi/hash.h"
#include "bpf/abi/socket.h"

/* Element of fl_filter and fl_own_ports. */
struct fl_filter_word {
	__u64 half[2];
};

/* Of array fl_filter: which addresses and ports; both families share them. */
#define FL_FILTER_BITS (1U << 20)
#define FL_FILTER_WORDS (FL_FILTER_BITS / 64)

/* What is known of an address alone: two bits beside each other. */
enum fl_filter_kind {
	FL_FILTER_OWN = 1 << 0, /* of this node */
	FL_FILTER_VIP = 1 << 1, /* a Service's, refused where it has no port: address entries */
};

/* In place of a protocol, with port 0: a backend's address. */
#define FL_FILTER_BACKEND 255

/*
 * The part of the hash that is the address's; seed: fl_meta.flow_seed[1]. Every packet pays for
 * this, so it is the least that spreads: the last product does most of it.
 */
static __always_inline __u64 fl_filter_hash(_Bool v6, const struct fl_addr *addr, __u64 seed)
{
	if (!v6)
		return seed ^ (__u64)addr->w[3] << 32;
	return fl_hash_round(seed, fl_pair(addr->w[2], addr->w[3])) ^
	       fl_pair(addr->w[0], addr->w[1]);
}

/* The bit of an address, port and protocol: of a frontend, or of a backend that answers itself. */
static __always_inline __u32 fl_filter_port(__u64 hash, __be16 port, __u8 proto)
{
	return (hash ^ ((__u32)proto << 16 | port)) * 0xff51afd7ed558ccdULL /
	       (~0ULL / FL_FILTER_BITS + 1);
}

/* The first of the two bits of an address. */
static __always_inline __u32 fl_filter_addr(__u64 hash)
{
	return fl_filter_port(hash, 0, 0) & ~1U;
}

/* The bit of a backend's address: fragments that it sends may be replies. */
static __always_inline __u32 fl_filter_backend(__u64 hash)
{
	return fl_filter_port(hash, 0, FL_FILTER_BACKEND);
}

/*
 * Of array fl_own_ports: ports that are the datapath's at addresses of the node, bits by
 * FL_BOUND_WORD(); after them those that are node ports.
 */
#define FL_OWN_PORT_WORDS (2 * FL_BOUND_WORDS)
