/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One look through a newcomer's bucket, which says all that is needed in the ordinary case: no
 * entry has its key, none has overflowed, and this one can be had without a look at its other
 * direction. Whatever is not ordinary is left to the general way (create.bpf.h), so nothing here
 * waits, loops or tries again.
 *
 * The words of the bucket are kept. An entry is not claimed, published or given to another flow
 * without a change of its word, so those that are the same afterwards are no rivals: to look for
 * these once more is to compare four words (fl_scan_still()).
 */
#pragma once

#include "conntrack/create.bpf.h"

/* What is no pointer: it lies in memory that functions share, for the stack is small. */
struct fl_scan {
	__u32 word[FL_FLOW_WAYS]; /* as they were */
	__u32 bucket;
	__u32 home;
	__u32 way; /* the entry that is given up first */
	__u32 pad;
	__u64 rank; /* its enum fl_flow_rank */
};

/* All ones if the entry that is given up is this one. */
static __always_inline __u32 fl_scan_chosen(const struct fl_scan *s, __u32 way)
{
	return fl_opaque((__s64)(s->way ^ way) - 1) >> 63;
}

/*
 * Load the words. Of two buckets both are begun before one is looked at: their lines come from
 * memory side by side. fl_loads_in_order() is to follow: what is read of an entry comes after its
 * word.
 */
static __always_inline void *fl_scan_begin(bool v6, __u64 hash, struct fl_scan *s)
{
	void *bucket;

	s->bucket = fl_flow_bucket(v6, hash, 0);
	s->home = fl_flow_home(hash);
	bucket = fl_flow_bucket_get(v6, s->bucket);
	if (!bucket)
		return NULL;
#pragma unroll
	for (__u32 way = 0; way < FL_FLOW_WAYS; way++)
		s->word[way] = READ_ONCE(fl_flow_way(v6, bucket, way)->word);
	return bucket;
}

static __always_inline bool fl_scan_overflowed(bool v6, const struct fl_scan *s)
{
	return fl_flow_overflow_get(v6, s->bucket) & ((1 << (FL_FLOW_CHOICES - 1)) - 1);
}

typedef const __u64 __attribute__((may_alias)) fl_half_addr;

_Static_assert(offsetof(struct fl_flow6, key.saddr.w[2]) % 8 == 0 &&
		       offsetof(struct fl_flow6, key.daddr.w[2]) % 8 == 0,
	       "halves of addresses are loaded as one");

/*
 * 0: the entry may be of a flow, or claimed for one, that has this key. Of IPv6 addresses half is
 * looked at. A number, so that all of it is one branch.
 */
static __always_inline __u64 fl_scan_differs(bool v6, const struct fl_flow_head *head, __u32 word,
					     const struct fl_tuple6 *t)
{
	/* 1 if it is free, or busy without a claim */
	__u64 differs = ((word & (FL_FLOW_CLAIM | FL_FLOW_STATE_MASK)) - (__u64)FL_FLOW_NEW) >> 63;

	if (v6) {
		const struct fl_flow6 *f = (const void *)head;
		const long at = fl_opaque((long)f);

		differs |= *(fl_half_addr *)(at + offsetof(struct fl_flow6, key.saddr.w[2])) ^
			   fl_pair(t->saddr.w[2], t->saddr.w[3]);
		differs |= *(fl_half_addr *)(at + offsetof(struct fl_flow6, key.daddr.w[2])) ^
			   fl_pair(t->daddr.w[2], t->daddr.w[3]);
		differs |= *(const fl_two_ports *)&f->key.sport ^ fl_ports(t);
	} else {
		const struct fl_flow4 *f = (const void *)head;

		differs |= fl_flow_addrs(f) ^ fl_pair(t->saddr.w[3], t->daddr.w[3]);
		differs |= *(const fl_two_ports *)&f->key.sport ^ fl_ports(t);
	}
	return fl_opaque(differs);
}

/*
 * False: an entry may have this key, or there is none that could be had just so. Those are free
 * ones, and embryonic ones that fl_flow_take() would take alone.
 */
static __always_inline bool fl_scan_look(bool v6, void *bucket, const struct fl_tuple6 *t,
					 __u32 now, struct fl_scan *s)
{
	struct fl_flow_head *head;
	__u64 best = 0;
	__u32 kept = 0;

#pragma unroll
	for (__u32 way = 0; way < FL_FLOW_WAYS; way++) {
		const __u32 word = s->word[way];

		head = fl_flow_way(v6, bucket, way);
		if (!fl_scan_differs(v6, head, word, t))
			return false;
		best = fl_flow_prefer(best, fl_flow_score(head, word, now), s->home ^ way, &kept);
	}
	s->way = fl_flow_way_after(s->home, ~(__u32)best);
	s->rank = best >> (FL_RANK_SHIFT + 2);
	if (kept > FL_FLOW_WAYS - 2 || fl_scan_overflowed(v6, s))
		return false;
	if (s->rank == FL_RANK_FREE)
		return true;
	head = fl_flow_way(v6, bucket, s->way);
	return s->rank == FL_RANK_EMBRYONIC &&
	       !(head->proto == IPPROTO_UDP && head->flags & FL_FLOW_IS_REPLY);
}

/* Take the entry. NULL: it has changed. */
static __always_inline struct fl_flow_head *fl_scan_take(bool v6, void *bucket,
							 const struct fl_scan *s)
{
	struct fl_flow_head *head = fl_flow_way(v6, bucket, s->way);
	__u32 word = 0;

#pragma unroll
	for (__u32 way = 0; way < FL_FLOW_WAYS; way++)
		word |= s->word[way] & fl_scan_chosen(s, way);
	if (!fl_flow_swap(head, word, fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_BUSY)))
		return NULL;
	/* counted by its original; nobody writes here yet */
	if (s->rank != FL_RANK_FREE && !(head->flags & FL_FLOW_IS_REPLY))
		fl_count(FL_COUNTER_FLOW_EVICTED);
	return head;
}

/* To be called once the entry that was taken is claimed, which is a full barrier: whether nothing
 * else has changed, so that no other flow has its key. */
static __always_inline bool fl_scan_still(bool v6, void *bucket, const struct fl_scan *s)
{
	__u32 differs = 0;

#pragma unroll
	for (__u32 way = 0; way < FL_FLOW_WAYS; way++)
		differs |= (READ_ONCE(fl_flow_way(v6, bucket, way)->word) ^ s->word[way]) &
			   ~fl_scan_chosen(s, way);
	return !differs && !fl_scan_overflowed(v6, s);
}
