/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of a tuple, and the buckets that it gives a key: the datapath and the agent must agree.
 * A few multiply-and-fold rounds under a secret seed. The multipliers are odd constants with mixed
 * bits (the golden ratio, and a finaliser constant of MurmurHash3, which is public domain).
 */
#pragma once

#include "bpf/abi/flow.h"

static __always_inline __u64 fl_hash_round(__u64 h, __u64 value)
{
	h ^= value;
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

static __always_inline __u64 fl_hash_finish(__u64 h)
{
	h *= 0xff51afd7ed558ccdULL;
	return h ^ (h >> 32);
}

static __always_inline __u64 fl_pair(__u32 low, __u32 high)
{
	return (__u64)high << 32 | low;
}

typedef __u32 __attribute__((may_alias)) fl_two_ports;

/* Both ports as they lie in the header. */
static __always_inline __u32 fl_ports(const struct fl_tuple6 *t)
{
	return *(const fl_two_ports *)&t->sport;
}

static __always_inline __u64 fl_hash_addr(_Bool v6, __u64 h, const struct fl_addr *a)
{
	if (!v6)
		return fl_hash_round(h, a->w[3]);
	h = fl_hash_round(h, fl_pair(a->w[0], a->w[1]));
	return fl_hash_round(h, fl_pair(a->w[2], a->w[3]));
}

/* Of an IPv4 tuple only the last words of its addresses count. */
static __always_inline __u64 fl_hash_tuple(_Bool v6, const struct fl_tuple6 *t, __u8 proto,
					   __u64 seed)
{
	__u64 ports = fl_pair(fl_ports(t), proto);
	__u64 h = seed;

	if (v6) {
		h = fl_hash_addr(1, h, &t->saddr);
		h = fl_hash_addr(1, h, &t->daddr);
	} else {
		h = fl_hash_round(h, fl_pair(t->saddr.w[3], t->daddr.w[3]));
	}
	/* fold the high half of the ports onto the low one: the buckets of a key differ by the low
	 * bits of the last product, and those come from the low bits here; the replies of one
	 * backend would share four sets of buckets */
	h ^= ports;
	return fl_hash_finish(h ^ h >> 16);
}

/*
 * The buckets that a key may be in, choice 0 to FL_FLOW_CHOICES - 1. Choices by double hashing are
 * as good as independent ones (Mitzenmacher: "Balanced Allocations and Double Hashing", 2014); the
 * stride is odd, so they are different buckets where there are at least that many. mask: number of
 * buckets - 1.
 */
static __always_inline __u32 fl_hash_stride(__u64 hash)
{
	return hash >> 32 | 1;
}

static __always_inline __u32 fl_hash_bucket(__u64 hash, __u32 choice, __u32 mask)
{
	return ((__u32)hash + choice * fl_hash_stride(hash)) & mask;
}
