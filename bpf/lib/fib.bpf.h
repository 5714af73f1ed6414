/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a packet goes next: the kernel's own routing and neighbour tables, asked once and
 * remembered in an array, because asking for every packet costs more than all the rest together.
 */
#pragma once

#include "bpf/lib/packet_maps.bpf.h"
#include "bpf/lib/service.bpf.h"

#define FL_AF_INET 2
#define FL_AF_INET6 10

struct fl_hop {
	__u32 ifindex;		 /* 0: none */
	__u32 macs[3];		 /* destination and source, as they lie in a frame */
	__u16 mtu;		 /* 0xffff: packets of any size may try */
	__u16 flags;		 /* enum fl_device_flags */
	__u16 index, generation; /* where it is remembered, and its look-up; index 0: nowhere */
	bool resolved;		 /* the MAC addresses are known */
};

enum fl_fib_result {
	FL_FIB_OK,
	FL_FIB_LOCAL, /* not to be forwarded: for this node's stack */
	FL_FIB_NO_ROUTE,
};

/* Index and generation as flows and backends have them, side by side: read and written as one, lest
 * the generation of one look-up vouch for the index of another. */
typedef __u32 __attribute__((may_alias)) fl_hop_ref;

static __always_inline void fl_hop_keep(__u16 *index, const struct fl_hop *hop)
{
	const __u16 pair[2] = {hop->index, hop->generation};

	WRITE_ONCE(*(fl_hop_ref *)index, *(const fl_hop_ref *)pair);
}

/* The same, if what is there is still `kept`. */
static __always_inline void fl_hop_replace(__u16 *index, fl_hop_ref kept, const struct fl_hop *hop)
{
	const __u16 pair[2] = {hop->index, hop->generation};

	__sync_val_compare_and_swap((fl_hop_ref *)index, kept, *(const fl_hop_ref *)pair);
}

/*
 * The remembered next hop, if it was looked up in the generation that is in force; what is read of
 * it counts if nh->word is *ret_word afterwards. *ret_kept: *pair. Of generations 16 bits are
 * remembered: one in 65,536 that are long gone looks like it, and then another next hop may be
 * found there, until the generation ends.
 */
static __always_inline bool fl_hop_begin(const __u16 *pair, __u32 now, struct fl_next_hop **ret_nh,
					 fl_hop_ref *ret_kept, __u32 *ret_word)
{
	const fl_hop_ref kept = READ_ONCE(*(const fl_hop_ref *)pair);
	const __u64 current = READ_ONCE(fl_meta_get()->next_hops);
	struct fl_next_hop *nh;
	__u32 word;

	if ((__u16)fl_hops_generation(current) != ((const __u16 *)&kept)[1] ||
	    fl_hops_over(current, now))
		return false;
	nh = &fl_next_hops[((const __u16 *)&kept)[0] & (FL_NEXT_HOPS - 1)];
	word = READ_ONCE(nh->word);
	if (word != fl_hops_generation(current) << 1)
		return false;
	*ret_nh = fl_after_load(nh, word);
	*ret_kept = kept;
	*ret_word = word;
	return true;
}

/* All of it. */
static __always_inline bool fl_hop_get(const __u16 *pair, __u32 now, struct fl_hop *ret_hop)
{
	struct fl_next_hop *nh;
	fl_hop_ref kept;
	__u32 word;

	if (!fl_hop_begin(pair, now, &nh, &kept, &word))
		return false;
	ret_hop->ifindex = nh->ifindex;
	__builtin_memcpy(ret_hop->macs, nh->dst_mac, 12);
	ret_hop->mtu = nh->mtu;
	ret_hop->flags = nh->flags;
	fl_loads_in_order();
	if (READ_ONCE(nh->word) != word)
		return false;
	ret_hop->index = ((const __u16 *)&kept)[0];
	ret_hop->generation = ((const __u16 *)&kept)[1];
	ret_hop->resolved = true;
	return true;
}

static __always_inline bool fl_hop_same(const struct fl_next_hop *nh, const struct fl_hop *hop)
{
	__u32 macs[3];

	__builtin_memcpy(macs, nh->dst_mac, sizeof(macs));
	return nh->ifindex == hop->ifindex && macs[0] == hop->macs[0] && macs[1] == hop->macs[1] &&
	       macs[2] == hop->macs[2] && nh->mtu == hop->mtu && nh->flags == hop->flags;
}

/*
 * The generation that a look-up beginning now belongs to; 0: not to be remembered. The kernel's
 * tables are read behind the fence, so that what they said before a change is never remembered in
 * the generation that the change began.
 */
static __always_inline __u32 fl_hop_generation(__u32 now)
{
	struct fl_meta *meta = fl_meta_get();
	__u64 word, next;

	word = READ_ONCE(meta->next_hops);
	if (fl_hops_over(word, now)) {
		next = fl_hops_word(fl_hops_next(fl_hops_generation(word)),
				    now + fl_config.next_hop_ttl);
		if (__sync_val_compare_and_swap(&meta->next_hops, word, next) != word)
			return 0;
		word = next;
	}
	fl_fence();
	return fl_hops_generation(word);
}

/*
 * Remember a next hop that was looked up in this generation: at its own place or the one after it,
 * unless others have both.
 */
static __always_inline void fl_hop_remember(struct fl_hop *hop, __u32 generation)
{
	/* by one gateway lead ways of several sizes, which would be in each other's way */
	const __u32 mixed = hop->macs[0] ^ hop->macs[1] ^ hop->ifindex ^ (__u32)hop->mtu << 16;
	__u32 start = mixed * 0x9e3779b1U >> 20, filled = generation << 1;

	hop->index = 0;
	hop->generation = generation;
	if (!generation)
		return;
#pragma unroll
	for (__u32 i = 0; i < 2; i++) {
		__u32 index = (start + i) & (FL_NEXT_HOPS - 1), word;
		struct fl_next_hop *nh;

		if (!index)
			continue;
		nh = &fl_next_hops[index];
		word = READ_ONCE(nh->word);
		if (word == filled) {
			if (!fl_hop_same(fl_after_load(nh, word), hop))
				continue;
			hop->index = index;
			return;
		}
		/* being filled, or of a generation that began after this look-up */
		if (word & 1 || (__s32)(filled - word) < 0)
			continue;
		if (__sync_val_compare_and_swap(&nh->word, word, filled | 1) != word)
			continue;
		nh->ifindex = hop->ifindex;
		__builtin_memcpy(nh->dst_mac, hop->macs, 12);
		nh->mtu = hop->mtu;
		nh->flags = hop->flags;
		__sync_lock_test_and_set(&nh->word, filled);
		hop->index = index;
		return;
	}
}

/* Of a device; 0xffff if it is not known. */
static __always_inline __u16 fl_device_mtu(fl_ctx *ctx, __u32 ifindex)
{
	__u32 mtu = 0;

	/* the result is about the size of this packet */
	if (bpf_check_mtu(ctx, ifindex, &mtu, 0, 0) < 0 || !mtu || mtu > 0xffff)
		return 0xffff;
	return mtu;
}

/*
 * Ask the kernel how to reach `dst`; a mapped address is IPv4. Returns enum fl_fib_result. Global,
 * so that it is verified once.
 */
int fl_fib_lookup(fl_ctx *ctx, const struct fl_addr *dst, struct fl_hop *ret_hop);

__noinline int fl_fib_lookup(fl_ctx *ctx, const struct fl_addr *dst, struct fl_hop *ret_hop)
{
	struct bpf_fib_lookup fib = {};
	__u32 generation = fl_hop_generation(fl_now());
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
	/* also the answer where a rule says "unreachable", or there is no route at all */
	if (rc == BPF_FIB_LKUP_RET_NOT_FWDED)
		return fl_local_flags(dst) & FL_LOCAL_NODE ? FL_FIB_LOCAL : FL_FIB_NO_ROUTE;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return FL_FIB_NO_ROUTE;
	ret_hop->ifindex = fib.ifindex;
	ret_hop->resolved = rc == BPF_FIB_LKUP_RET_SUCCESS;
	ret_hop->mtu = 0xffff;
	/* without a neighbour the kernel stops before it fills in the route's MTU, and leaves
	 * tot_len: what the device takes is known all the same */
	if (fl_config.check_mtu && !ret_hop->resolved)
		ret_hop->mtu = fl_device_mtu(ctx, fib.ifindex);
	else if (fl_config.check_mtu && fib.mtu_result)
		ret_hop->mtu = fib.mtu_result;
	ret_hop->flags = 0;
	ret_hop->index = 0;
	device = fl_device_get(ret_hop->ifindex);
	if (device)
		ret_hop->flags = device->flags;
	if (ret_hop->resolved) {
		__builtin_memcpy(ret_hop->macs, fib.dmac, 6);
		__builtin_memcpy((__u8 *)ret_hop->macs + 6, fib.smac, 6);
		fl_hop_remember(ret_hop, generation);
	}
	return FL_FIB_OK;
}
