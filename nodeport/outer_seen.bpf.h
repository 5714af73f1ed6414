/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses of outer headers, and what was found when they were looked up: two look-ups in hash
 * maps cost as much as all the rest of unpacking a packet of a known flow. Kept for a generation of
 * next hops, which the agent ends when nodes or addresses of this one have changed. Of each CPU and
 * object its own, not pinned. Only what a packet that was unpacked has shown gets in, so strangers
 * cannot push anything out.
 */
#pragma once

#include "bpf/lib/fib.bpf.h"

enum fl_seen_as {
	FL_SEEN_PEER = 1, /* a node that encapsulates */
	FL_SEEN_OWN,	  /* an address of this node */
	FL_SEEN_OTHER,	  /* none of this node's */
};

struct fl_seen {
	struct fl_addr addr;
	__u64 word; /* generation and enum fl_seen_as */
};

#define FL_SEEN_BUSY ~0ULL /* a word: the address is being written */
#define FL_SEEN_BITS 9

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << FL_SEEN_BITS);
	__type(key, __u32);
	__type(value, struct fl_seen);
} fl_seen SEC(".maps");

static __always_inline struct fl_seen *fl_seen_at(bool v6, const struct fl_addr *addr)
{
	const __u32 mixed = v6 ? addr->w[0] ^ addr->w[1] ^ addr->w[2] ^ addr->w[3] : addr->w[3];
	__u32 at = mixed * 0x9e3779b1U >> (32 - FL_SEEN_BITS);

	return bpf_map_lookup_elem(&fl_seen, &at);
}

/*
 * Whether the address was found to be that in the generation in force, `current`
 * (fl_meta.next_hops). The word is looked at twice, since where softirqs are preemptible another
 * packet's program may come in between.
 */
static __always_inline bool fl_seen_is(bool v6, const struct fl_addr *addr, enum fl_seen_as as,
				       __u64 current)
{
	const __u64 want = fl_pair(as, fl_hops_generation(current));
	struct fl_seen *seen = fl_seen_at(v6, addr);
	bool same;

	if (!seen || READ_ONCE(seen->word) != want)
		return false;
	asm volatile("" ::: "memory");
	same = seen->addr.w[3] == addr->w[3] && (!v6 || fl_addr_equal(&seen->addr, addr));
	asm volatile("" ::: "memory");
	return same && READ_ONCE(seen->word) == want;
}

/* Remember it. `generation`: from before the look-up, fl_hop_generation(); 0: it is not to be. */
static __always_inline void fl_seen_keep(bool v6, const struct fl_addr *addr, enum fl_seen_as as,
					 __u32 generation)
{
	struct fl_seen *seen = fl_seen_at(v6, addr);

	if (!seen || !generation)
		return;
	/* this program has come into the midst of another one that writes here */
	if (__sync_lock_test_and_set(&seen->word, FL_SEEN_BUSY) == FL_SEEN_BUSY)
		return;
	seen->addr = *addr;
	asm volatile("" ::: "memory");
	WRITE_ONCE(seen->word, fl_pair(as, generation));
}
