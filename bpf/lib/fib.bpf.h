/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a packet goes next: the kernel's own routing and neighbour tables, asked once and
 * remembered in an array, because asking for every packet costs more than all the rest together.
 */
#pragma once

#include "bpf/lib/packet_maps.bpf.h"

#define FL_AF_INET 2
#define FL_AF_INET6 10

struct fl_hop {
	__u32 ifindex;		 /* 0: none */
	__u32 macs[3];		 /* destination and source, as they lie in a frame */
	__u16 mtu;		 /* 0xffff: packets of any size may try */
	__u16 flags;		 /* enum fl_device_flags */
	__u16 index, generation; /* where it is remembered; index 0: nowhere */
	bool resolved;		 /* the MAC addresses are known */
};

enum fl_fib_result {
	FL_FIB_OK,
	FL_FIB_LOCAL, /* not to be forwarded: for this node's stack */
	FL_FIB_NO_ROUTE,
};

/* The remembered next hop, if it is the same one and still fresh. Index 0 is never filled, and so
 * never fresh. */
static __always_inline bool fl_hop_get(__u32 index, __u16 generation, __u32 now,
				       struct fl_hop *ret_hop)
{
	struct fl_next_hop *nh;
	__u32 word;

	nh = bpf_map_lookup_elem(&fl_next_hops, &index);
	if (!nh)
		return false;
	word = READ_ONCE(nh->word);
	if (word & 1 || (__u16)(word >> 1) != generation)
		return false;
	nh = fl_after_load(nh, word);
	ret_hop->ifindex = nh->ifindex;
	__builtin_memcpy(ret_hop->macs, nh->dst_mac, 12);
	ret_hop->mtu = nh->mtu;
	ret_hop->flags = nh->flags;
	if (!nh->epoch || now - nh->stamp > fl_config.next_hop_ttl)
		return false;
	nh = fl_after_load(nh, ret_hop->ifindex ^ ret_hop->macs[2]);
	if (READ_ONCE(nh->word) != word)
		return false;
	ret_hop->index = index;
	ret_hop->generation = generation;
	ret_hop->resolved = true;
	return true;
}

static __always_inline bool fl_hop_same(const struct fl_next_hop *nh, const struct fl_hop *hop)
{
	__u32 macs[3];

	__builtin_memcpy(macs, nh->dst_mac, sizeof(macs));
	return nh->ifindex == hop->ifindex && macs[0] == hop->macs[0] && macs[1] == hop->macs[1] &&
	       macs[2] == hop->macs[2];
}

/* The epoch of a lookup that begins now. Once in 2^32 changes it is 0, and next hops are not
 * remembered. */
static __always_inline __u32 fl_hop_epoch(void)
{
	struct fl_meta *meta = fl_meta_get();

	return meta ? READ_ONCE(meta->next_hop_epoch) + 1 : 0;
}

/* If the agent has raised the epoch meanwhile, what was looked up may be out of date. */
static __always_inline void fl_hop_recheck(struct fl_next_hop *nh, __u32 epoch)
{
	if (fl_hop_epoch() != epoch)
		WRITE_ONCE(nh->epoch, 0);
}

/*
 * Remember a next hop that was looked up since `epoch`: at its own place or the one after it,
 * unless others use both.
 */
static __always_inline void fl_hop_remember(struct fl_hop *hop, __u32 epoch, __u32 now)
{
	__u32 start = (hop->macs[0] ^ hop->macs[1] ^ hop->ifindex) * 0x9e3779b1U >> 20;

	hop->index = 0;
#pragma unroll
	for (__u32 i = 0; i < 2; i++) {
		__u32 index = (start + i) & (FL_NEXT_HOPS - 1), word;
		struct fl_next_hop *nh;

		if (!index)
			continue;
		nh = bpf_map_lookup_elem(&fl_next_hops, &index);
		if (!nh)
			continue;
		word = READ_ONCE(nh->word);
		if (word & 1)
			continue;
		if (word && fl_hop_same(nh, hop) && nh->mtu == hop->mtu &&
		    nh->flags == hop->flags) {
			WRITE_ONCE(nh->stamp, now);
			WRITE_ONCE(nh->epoch, epoch);
			fl_hop_recheck(nh, epoch);
			hop->index = index;
			hop->generation = word >> 1;
			return;
		}
		if (word && !fl_hop_same(nh, hop) && nh->epoch == epoch &&
		    now - nh->stamp <= fl_config.next_hop_ttl)
			continue; /* another next hop, and fresh */
		if (__sync_val_compare_and_swap(&nh->word, word, word | 1) != word)
			continue;
		nh->ifindex = hop->ifindex;
		__builtin_memcpy(nh->dst_mac, hop->macs, 12);
		nh->mtu = hop->mtu;
		nh->flags = hop->flags;
		nh->stamp = now;
		nh->epoch = epoch;
		word = (word & ~1U) + 2;
		/* generation 0 would read as "none" in an entry that was never filled */
		if (!(__u16)(word >> 1))
			word += 2;
		__sync_lock_test_and_set(&nh->word, word);
		fl_hop_recheck(nh, epoch);
		hop->index = index;
		hop->generation = word >> 1;
		return;
	}
}

/*
 * Ask the kernel how to reach `dst`; a mapped address is IPv4. Returns enum fl_fib_result. Global,
 * so that it is verified once.
 */
int fl_fib_lookup(fl_ctx *ctx, const struct fl_addr *dst, struct fl_hop *ret_hop);

__noinline int fl_fib_lookup(fl_ctx *ctx, const struct fl_addr *dst, struct fl_hop *ret_hop)
{
	struct bpf_fib_lookup fib = {};
	__u32 epoch = fl_hop_epoch();
	struct fl_device *device;
	bool v6;
	long rc;

	if (!dst || !ret_hop)
		return FL_FIB_NO_ROUTE;
	v6 = !fl_addr_is_mapped(dst);
	fl_count(FL_COUNTER_FIB_LOOKUP);
	fib.ifindex = fl_ctx_ifindex(ctx);
	fib.tot_len = 1; /* makes the kernel report the route's MTU */
	if (v6) {
		fib.family = FL_AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, dst, 16);
	} else {
		fib.family = FL_AF_INET;
		fib.ipv4_dst = dst->w[3];
	}
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (rc == BPF_FIB_LKUP_RET_NOT_FWDED)
		return FL_FIB_LOCAL;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return FL_FIB_NO_ROUTE;
	ret_hop->ifindex = fib.ifindex;
	ret_hop->resolved = rc == BPF_FIB_LKUP_RET_SUCCESS;
	/* without a neighbour the kernel stops before it fills in the MTU, and leaves tot_len */
	ret_hop->mtu = 0xffff;
	if (ret_hop->resolved && fl_config.check_mtu && fib.mtu_result)
		ret_hop->mtu = fib.mtu_result;
	ret_hop->flags = 0;
	ret_hop->index = 0;
	device = bpf_map_lookup_elem(&fl_devices, &ret_hop->ifindex);
	if (device)
		ret_hop->flags = device->flags;
	if (ret_hop->resolved) {
		__builtin_memcpy(ret_hop->macs, fib.dmac, 6);
		__builtin_memcpy((__u8 *)ret_hop->macs + 6, fib.smac, 6);
		fl_hop_remember(ret_hop, epoch, fl_now());
	}
	return FL_FIB_OK;
}
