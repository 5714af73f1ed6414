/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * New flows: taking two entries. In a bucket a free entry is best, then an expired one, then the
 * oldest embryonic one; when established flows leave at most one of them, the key's next bucket is
 * tried. An established flow is never evicted by a newcomer, so floods and scans only displace one
 * another.
 */
#pragma once

#include "conntrack/flow.bpf.h"

/* An entry that is ours to fill. */
struct fl_flow_slot {
	__u32 slot;
	__u32 word; /* as taken: next generation, BUSY */
};

/* How willingly an entry is given up; among embryonic ones the longest idle goes first. */
enum fl_flow_rank {
	FL_RANK_NEVER,
	FL_RANK_EMBRYONIC,
	FL_RANK_EXPIRED,
	FL_RANK_FREE,
};
#define FL_RANK_SHIFT 32

/* Plain numbers, no pointers: the verifier can then forget by which way a candidate was found. */
struct fl_flow_candidate {
	__u64 score; /* rank << FL_RANK_SHIFT | jiffies idle */
	__u32 slot;
	__u32 word;
};

/* By this direction alone; whether the other one has been idle for as long is asked of the chosen
 * entry only. */
static __always_inline __u64 fl_flow_score(const struct fl_flow_head *head, __u32 word, __u32 now)
{
	__u32 state = fl_flow_state(word), idle = now - head->last_seen;
	__u64 rank = FL_RANK_NEVER;

	if (state == FL_FLOW_FREE)
		return (__u64)FL_RANK_FREE << FL_RANK_SHIFT;
	if ((__s32)idle < 0)
		idle = 0;
	if (state == FL_FLOW_NEW || state == FL_FLOW_REPLIED)
		rank = FL_RANK_EMBRYONIC;
	if (idle > fl_flow_timeout(state, head->proto))
		rank = FL_RANK_EXPIRED;
	return rank && state != FL_FLOW_BUSY ? rank << FL_RANK_SHIFT | idle : 0;
}

/* Look through a bucket. Returns how many of its entries cannot be had. */
static __always_inline __u32 fl_flow_consider(bool v6, __u32 bucket, __u32 home, __u32 now,
					      struct fl_flow_candidate *best)
{
	void *b = fl_flow_bucket_get(v6, bucket);
	__u32 kept = 0;

	if (!b)
		return FL_FLOW_WAYS;
	for (__u32 i = 0; i < FL_FLOW_WAYS; i++) {
		__u32 way = (home ^ i) & (FL_FLOW_WAYS - 1);
		struct fl_flow_head *head = fl_flow_way(v6, b, way);
		__u32 word = READ_ONCE(head->word);
		__u64 score = fl_forget(fl_flow_score(head, word, now), now);

		if (score > best->score) {
			best->score = score;
			best->slot = bucket * FL_FLOW_WAYS + way;
			best->word = word;
		}
		kept += (score - 1) >> 63; /* 1 if it is zero, without a branch */
	}
	return kept;
}

enum fl_take {
	FL_TAKE_OK,
	FL_TAKE_AGAIN,	 /* another CPU was quicker, or the candidate's other direction is still in
			    use */
	FL_TAKE_CROWDED, /* more entries than `most_kept` cannot be had, or there is nothing to be
			    had */
};

/* Take an entry of a bucket of which at most `most_kept` entries cannot be had. */
static __always_inline enum fl_take fl_flow_take(bool v6, __u32 bucket, __u32 home, __u32 most_kept,
						 __u32 now, struct fl_flow_slot *ret_slot)
{
	struct fl_flow_candidate best = {
		.score = fl_forget(0, now),
		.slot = fl_forget(0, now),
		.word = fl_forget(0, now),
	};
	struct fl_flow_head *head, *twin = NULL;
	__u32 twin_word = 0, taken, rank, kept;

	kept = fl_flow_consider(v6, bucket, home, now, &best);
	rank = best.score >> FL_RANK_SHIFT;
	head = fl_flow_at(v6, best.slot);
	if (!rank || !head || kept > most_kept)
		return FL_TAKE_CROWDED;
	if (rank != FL_RANK_FREE) {
		twin = fl_flow_twin(v6, head, &twin_word);
		if (twin && rank == FL_RANK_EXPIRED && !fl_flow_expired(v6, head, best.word, now)) {
			WRITE_ONCE(head->last_seen, twin->last_seen);
			return FL_TAKE_AGAIN;
		}
	}
	taken = fl_flow_word(fl_flow_generation(best.word) + 1, FL_FLOW_BUSY);
	if (!fl_flow_swap(head, best.word, taken))
		return FL_TAKE_AGAIN;
	if (twin)
		fl_flow_free(twin, twin_word);
	if (rank != FL_RANK_FREE)
		fl_count(rank == FL_RANK_EXPIRED ? FL_COUNTER_FLOW_EXPIRED
						 : FL_COUNTER_FLOW_EVICTED);
	ret_slot->slot = best.slot;
	ret_slot->word = taken;
	return FL_TAKE_OK;
}

/* Say that this choice has to be looked into for entries of this first bucket. */
static __always_inline void fl_flow_set_overflow(bool v6, __u32 first, __u32 choice)
{
	__u32 shift;
	struct fl_overflow *overflow = fl_flow_overflow(v6, first, &shift);
	__u64 bit = 1ULL << (shift + choice - 1);

	if (!overflow)
		return;
	for (int i = 0; i < 2; i++)
		if (!(READ_ONCE(overflow->half[i]) & bit))
			__sync_fetch_and_or(&overflow->half[i], bit);
}

/*
 * Where a newcomer looks, in this order: a bucket with room to spare among its choices, then one
 * with any room. `step` counts through both.
 */
#define FL_TAKE_STEPS (2 * FL_FLOW_CHOICES)

static __always_inline int fl_flow_take_step(bool v6, __u64 hash, __u32 step, __u32 now,
					     struct fl_flow_slot *ret_slot)
{
	__u32 choice = step % FL_FLOW_CHOICES,
	      most_kept = FL_FLOW_WAYS - 2 + step / FL_FLOW_CHOICES;
	enum fl_take took = fl_flow_take(v6, fl_flow_bucket(v6, hash, choice), fl_flow_home(hash),
					 most_kept, now, ret_slot);

	/* said before the entry can be seen, so that whoever looks for it looks there too */
	if (took == FL_TAKE_OK && choice)
		fl_flow_set_overflow(v6, fl_flow_bucket(v6, hash, 0), choice);
	return took;
}

/* Global functions are verified once, by themselves; inlined, the ways through them would multiply
 * with the caller's. enum fl_take. */
int fl_flow_take4(__u64 hash, __u32 step, __u32 now, struct fl_flow_slot *ret_slot);
int fl_flow_take6(__u64 hash, __u32 step, __u32 now, struct fl_flow_slot *ret_slot);

__noinline int fl_flow_take4(__u64 hash, __u32 step, __u32 now, struct fl_flow_slot *ret_slot)
{
	return ret_slot ? fl_flow_take_step(false, hash, step, now, ret_slot) : FL_TAKE_CROWDED;
}

__noinline int fl_flow_take6(__u64 hash, __u32 step, __u32 now, struct fl_flow_slot *ret_slot)
{
	return ret_slot ? fl_flow_take_step(true, hash, step, now, ret_slot) : FL_TAKE_CROWDED;
}

/* Each candidate of a bucket may turn out to be in use by its other direction; then it is none any
 * more, and the next one is tried. */
#define FL_TAKE_TRIES (FL_TAKE_STEPS + FL_FLOW_CHOICES * FL_FLOW_WAYS)

/* Take an entry for a key with this hash. 0: every candidate is an established flow. */
static __always_inline int fl_flow_take_any(bool v6, __u64 hash, __u32 now,
					    struct fl_flow_slot *ret_slot)
{
	__u32 step = fl_forget(0, now);

	for (int i = 0; i < FL_TAKE_TRIES && step < FL_TAKE_STEPS; i++) {
		int took = v6 ? fl_flow_take6(hash, step, now, ret_slot)
			      : fl_flow_take4(hash, step, now, ret_slot);

		if (took == FL_TAKE_OK)
			return 1;
		step = fl_forget(step + (took == FL_TAKE_CROWDED), now);
	}
	return 0;
}

int fl_flow_take_any4(__u64 hash, __u32 now, struct fl_flow_slot *ret_slot);
int fl_flow_take_any6(__u64 hash, __u32 now, struct fl_flow_slot *ret_slot);

__noinline int fl_flow_take_any4(__u64 hash, __u32 now, struct fl_flow_slot *ret_slot)
{
	return ret_slot ? fl_flow_take_any(false, hash, now, ret_slot) : 0;
}

__noinline int fl_flow_take_any6(__u64 hash, __u32 now, struct fl_flow_slot *ret_slot)
{
	return ret_slot ? fl_flow_take_any(true, hash, now, ret_slot) : 0;
}

static __always_inline struct fl_flow_head *fl_flow_new(bool v6, __u64 hash, __u32 now,
							struct fl_flow_slot *ret_slot)
{
	if (!(v6 ? fl_flow_take_any6(hash, now, ret_slot) : fl_flow_take_any4(hash, now, ret_slot)))
		return NULL;
	return fl_flow_at(v6, ret_slot->slot);
}

static __always_inline void fl_flow_fill(bool v6, struct fl_flow_head *head,
					 const struct fl_flow_slot *twin,
					 const struct fl_tuple6 *key, const struct fl_tuple6 *to,
					 __u8 proto, __u8 flags, __u32 now)
{
	head->twin = twin->slot;
	head->twin_generation = fl_flow_generation(twin->word);
	head->backend = 0;
	head->backend_generation = 0;
	head->next_hop = 0;
	head->next_hop_generation = 0;
	head->last_seen = now;
	head->proto = proto;
	head->flags = flags;
	head->packets = 0;
	head->bytes = 0;
	if (v6) {
		struct fl_flow6 *f = (void *)head;

		f->key = *key;
		f->rewrite = *to;
	} else {
		struct fl_flow4 *f = (void *)head;

		f->key.saddr = key->saddr.w[3];
		f->key.daddr = key->daddr.w[3];
		f->key.sport = key->sport;
		f->key.dport = key->dport;
		f->rewrite.saddr = to->saddr.w[3];
		f->rewrite.daddr = to->daddr.w[3];
		f->rewrite.sport = to->sport;
		f->rewrite.dport = to->dport;
	}
}

/* Let readers see the entry. An atomic exchange is a full barrier: what was filled in comes before
 * it. */
static __always_inline void fl_flow_publish(struct fl_flow_head *head,
					    const struct fl_flow_slot *slot, __u32 state)
{
	__sync_lock_test_and_set(&head->word, fl_flow_word(fl_flow_generation(slot->word), state));
}

/* The reply's key and rewrite: the mirror image of the original's rewrite and key. */
static __always_inline void fl_tuple_reverse(const struct fl_tuple6 *t, struct fl_tuple6 *ret_t)
{
	ret_t->saddr = t->daddr;
	ret_t->daddr = t->saddr;
	ret_t->sport = t->dport;
	ret_t->dport = t->sport;
}
