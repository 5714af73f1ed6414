/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * New flows: taking two entries. In a bucket a free entry is best, then an expired one, then the
 * oldest that has proved nothing; when others leave at most one of them, the key's next bucket is
 * tried. If none of its buckets has such an entry, one is taken that can be missed: of a TCP flow
 * that is closed, or of a UDP flow that has been idle for a while. An open TCP flow is never
 * evicted by a newcomer, so floods and scans only displace one another.
 */
#pragma once

#include "conntrack/flow.bpf.h"

/* How willingly an entry is given up: the highest number first, then the longest idle. */
enum fl_flow_rank {
	FL_RANK_NEVER = 0,
	FL_RANK_LAST = 1 << 0,
	FL_RANK_EMBRYONIC = 1 << 1,
	FL_RANK_EXPIRED = 1 << 2,
	FL_RANK_FREE = 1 << 3,
};
#define FL_RANK_SHIFT 32
#define FL_RANK_LAST_IDLE_S 10 /* one that was in use later than that is FL_RANK_NEVER */

/* The rank of each state before its age is looked at, four bits each. */
#define FL_RANKS                                                                                   \
	((__u64)FL_RANK_FREE << 4 * FL_FLOW_FREE | (__u64)FL_RANK_EMBRYONIC << 4 * FL_FLOW_NEW |   \
	 (__u64)FL_RANK_EMBRYONIC << 4 * FL_FLOW_REPLIED |                                         \
	 (__u64)FL_RANK_LAST << 4 * FL_FLOW_TIME_WAIT |                                            \
	 (__u64)FL_RANK_LAST << 4 * FL_FLOW_CLOSING)
#define FL_RANKS_OF(proto) (FL_RANKS | (__u64)((proto)&1) << 4 * FL_FLOW_ESTABLISHED)
_Static_assert(FL_RANK_LAST == 1 && (IPPROTO_UDP & 1) && !(IPPROTO_TCP & 1), "FL_RANKS_OF");

/*
 * Rank << FL_RANK_SHIFT | jiffies idle. Judged by this direction alone; whether the other one has
 * been idle for as long is checked for the chosen entry only. Without branches, which would be
 * unpredictable: a misprediction costs as much as ten of these instructions.
 */
static __always_inline __u64 fl_flow_score(const struct fl_flow_head *head, __u32 word, __u32 now)
{
	__u32 state = fl_flow_state(word);
	__s64 idle = (__s32)(now - head->last_seen), left;
	__u64 rank = FL_RANKS_OF(head->proto) >> (state & 7) * 4 & 0xf;

	left = idle - FL_RANK_LAST_IDLE_S * (__s64)fl_config.hz;
	rank &= ~fl_opaque((__u64)left >> 63); /* FL_RANK_LAST */
	left = fl_flow_timeout(state, head->proto) - idle;
	rank |= fl_opaque((__u64)left >> 63) << 2; /* FL_RANK_EXPIRED */
	idle &= ~fl_opaque(idle >> 63);
	idle &= fl_opaque(rank >> 3) - 1; /* free entries are all equal */
	return rank << FL_RANK_SHIFT | idle;
}

/*
 * Of the best so far and the entry `step` ways after home: the one to take, as score << 2 | 3 -
 * step. Counts in *kept those that cannot be had, or only as the last resort.
 */
static __always_inline __u64 fl_flow_prefer(__u64 best, __u64 score, __u32 step, __u32 *kept)
{
	__s64 more;

	/* 1 if the rank is FL_RANK_LAST or less */
	*kept += ((score >> FL_RANK_SHIFT) - FL_RANK_EMBRYONIC) >> 63;
	score = score << 2 | (FL_FLOW_WAYS - 1 - step);
	more = score - best;
	return best + (more & ~fl_opaque(more >> 63)); /* the larger one */
}

/*
 * Look through a bucket. Returns the best score << 2 | 3 - how many ways after `home` it has; in
 * *ret_kept how many entries cannot be had, or only as the last resort.
 */
static __always_inline __u64 fl_flow_consider(bool v6, void *bucket, __u32 home, __u32 now,
					      __u32 *ret_kept)
{
	__u64 best = 0;
	__u32 kept = 0;

	for (__u32 i = 0; i < FL_FLOW_WAYS; i++) {
		struct fl_flow_head *head = fl_flow_way(v6, bucket, fl_flow_way_after(home, i));

		best = fl_flow_prefer(best, fl_flow_score(head, READ_ONCE(head->word), now), i,
				      &kept);
	}
	*ret_kept = kept;
	return best;
}

/* What taking an entry gives: its slot, or one of these. */
#define FL_TAKE_AGAIN (-1LL)   /* another CPU was quicker, or the other direction is still in use */
#define FL_TAKE_CROWDED (-2LL) /* too many entries of the bucket cannot be had */

/*
 * Take an entry of this rank at least, of a bucket of which at most `most_kept` are kept.
 *
 * An embryonic one is taken by itself: a look at its other direction is a look at cold memory. What
 * is left is over, and whoever comes upon it sees that (fl_flow_broken(), fl_flow_prove()). But the
 * reply's key is what keeps a source port from being given away, and datagrams of a client are sent
 * on without a look at the reply; so there the original goes first.
 */
static __always_inline __s64 fl_flow_take(bool v6, __u32 bucket, __u32 home, __u32 most_kept,
					  __u32 least_rank, __u32 now)
{
	void *b = fl_flow_bucket_get(v6, bucket);
	struct fl_flow_head *head, *twin = NULL;
	__u32 twin_word = 0, word, rank, kept;
	__u64 best;

	if (!b)
		return FL_TAKE_CROWDED;
	best = fl_flow_consider(v6, b, home, now, &kept);
	rank = best >> (FL_RANK_SHIFT + 2);
	if (rank < least_rank || kept > most_kept)
		return FL_TAKE_CROWDED;
	home = fl_flow_way_after(home, ~(__u32)best);
	head = fl_flow_way(v6, b, home);
	word = READ_ONCE(head->word);
	/* another CPU may have taken it since */
	if (fl_flow_score(head, word, now) != best >> 2)
		return FL_TAKE_AGAIN;
	if (rank != FL_RANK_FREE && (rank != FL_RANK_EMBRYONIC || (head->flags & FL_FLOW_IS_REPLY &&
								   head->proto == IPPROTO_UDP))) {
		twin = fl_flow_twin(v6, head, &twin_word);
		/* or it is that of another flow, which has taken the entry */
		fl_loads_in_order();
		if (READ_ONCE(head->word) != word)
			return FL_TAKE_AGAIN;
		if (twin && rank & (FL_RANK_EXPIRED | FL_RANK_LAST) &&
		    (__s32)(twin->last_seen - head->last_seen) > 0 &&
		    !(rank & FL_RANK_EXPIRED && fl_flow_expired(v6, head, word, now))) {
			/* in use the other way */
			WRITE_ONCE(head->last_seen, twin->last_seen);
			return FL_TAKE_AGAIN;
		}
		if (rank == FL_RANK_EMBRYONIC) {
			/* the other direction is still being written */
			if (!twin && !fl_flow_lone(v6, head))
				return FL_TAKE_AGAIN;
			/* the flow has just proved itself; here it will show in a moment */
			if (twin && fl_flow_state(twin_word) > FL_FLOW_REPLIED) {
				fl_flow_swap(head, word,
					     fl_flow_word(fl_flow_generation(word),
							  fl_flow_state(twin_word)));
				return FL_TAKE_AGAIN;
			}
			/* the original goes first: a flow proves itself there */
			if (twin) {
				if (!fl_flow_free(twin, twin_word))
					return FL_TAKE_AGAIN;
				fl_count(FL_COUNTER_FLOW_EVICTED);
				twin = NULL;
			}
		}
	}
	if (!fl_flow_swap(head, word, fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_BUSY)))
		return FL_TAKE_AGAIN;
	if (twin)
		fl_flow_free(twin, twin_word);
	/* a flow that loses its entries one by one is counted by its original; nobody writes here
	 * yet */
	if (rank != FL_RANK_FREE && !(rank == FL_RANK_EMBRYONIC && head->flags & FL_FLOW_IS_REPLY))
		fl_count(rank & FL_RANK_EXPIRED ? FL_COUNTER_FLOW_EXPIRED
						: FL_COUNTER_FLOW_EVICTED);
	return (__u64)bucket * FL_FLOW_WAYS + home;
}

/* Record that entries with this first bucket may lie in this choice. */
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
 * with any room, then one with an entry that can be missed. `step` counts through all three.
 */
#define FL_TAKE_STEPS (3 * FL_FLOW_CHOICES)

static __always_inline __s64 fl_flow_take_step(bool v6, __u64 hash, __u32 step, __u32 now)
{
	__u32 choice = step % FL_FLOW_CHOICES, round = step / FL_FLOW_CHOICES;
	__s64 slot = fl_flow_take(v6, fl_flow_bucket(v6, hash, choice), fl_flow_home(hash),
				  FL_FLOW_WAYS - 2 + round,
				  round < 2 ? FL_RANK_EMBRYONIC : FL_RANK_LAST, now);

	/* set before the entry can be seen, so that a program that looks for it looks there too */
	if (slot >= 0 && choice)
		fl_flow_set_overflow(v6, fl_flow_bucket(v6, hash, 0), choice);
	return slot;
}

/* Global functions are verified once, by themselves; inlined, the paths through them would multiply
 * with the caller's. */
__s64 fl_flow_take4(__u64 hash, __u32 step, __u32 now);
__s64 fl_flow_take6(__u64 hash, __u32 step, __u32 now);

__noinline __s64 fl_flow_take4(__u64 hash, __u32 step, __u32 now)
{
	return fl_flow_take_step(false, hash, step, now);
}

__noinline __s64 fl_flow_take6(__u64 hash, __u32 step, __u32 now)
{
	return fl_flow_take_step(true, hash, step, now);
}

/* The other direction of a candidate may turn out to be in use; it is refreshed then, and the next
 * candidate is tried. */
#define FL_TAKE_TRIES (FL_TAKE_STEPS + FL_FLOW_CHOICES * FL_FLOW_WAYS)

static __always_inline __s64 fl_flow_take_any(bool v6, __u64 hash, __u32 now)
{
	__u32 step = fl_forget(0, now);

	for (int i = 0; i < FL_TAKE_TRIES && step < FL_TAKE_STEPS; i++) {
		__s64 slot = v6 ? fl_flow_take6(hash, step, now) : fl_flow_take4(hash, step, now);

		if (slot >= 0)
			return slot;
		step = fl_forget(step + (slot == FL_TAKE_CROWDED), now);
	}
	return FL_TAKE_CROWDED;
}

__s64 fl_flow_take_any4(__u64 hash, __u32 now);
__s64 fl_flow_take_any6(__u64 hash, __u32 now);

__noinline __s64 fl_flow_take_any4(__u64 hash, __u32 now)
{
	return fl_flow_take_any(false, hash, now);
}

__noinline __s64 fl_flow_take_any6(__u64 hash, __u32 now)
{
	return fl_flow_take_any(true, hash, now);
}

/*
 * Take an entry for a key with this hash. Its word has the next generation and is BUSY: no other
 * CPU changes the entry, and this one fills it. NULL: every candidate is an open flow.
 */
static __always_inline struct fl_flow_head *fl_flow_new(bool v6, __u64 hash, __u32 now,
							__u32 *ret_slot)
{
	__s64 slot = v6 ? fl_flow_take6(hash, 0, now) : fl_flow_take4(hash, 0, now);

	if (unlikely(slot < 0))
		slot = v6 ? fl_flow_take_any6(hash, now) : fl_flow_take_any4(hash, now);
	if (slot < 0)
		return NULL;
	*ret_slot = slot;
	return fl_flow_at(v6, slot);
}

/*
 * What packets of this direction become: `to`, or for a reply the mirror image of what was asked.
 */
static __always_inline void fl_flow_fill_rewrite(bool v6, struct fl_flow_head *head,
						 const struct fl_tuple6 *to, bool mirror)
{
	const struct fl_addr *saddr = mirror ? &to->daddr : &to->saddr,
			     *daddr = mirror ? &to->saddr : &to->daddr;
	__be16 sport = mirror ? to->dport : to->sport, dport = mirror ? to->sport : to->dport;

	if (v6) {
		struct fl_flow6 *f = (void *)head;

		f->rewrite.saddr = *saddr;
		f->rewrite.daddr = *daddr;
		f->rewrite.sport = sport;
		f->rewrite.dport = dport;
	} else {
		struct fl_flow4 *f = (void *)head;

		f->rewrite.saddr = saddr->w[3];
		f->rewrite.daddr = daddr->w[3];
		f->rewrite.sport = sport;
		f->rewrite.dport = dport;
	}
}

/* All but the rewrite. twin: the entry of the other direction, taken as well. */
static __always_inline void fl_flow_fill(bool v6, struct fl_flow_head *head, __u32 twin_slot,
					 const struct fl_flow_head *twin,
					 const struct fl_tuple6 *key, __u8 proto, __u8 flags,
					 __u32 now)
{
	head->twin = twin_slot;
	head->twin_generation = fl_flow_generation(READ_ONCE(twin->word));
	head->proto = proto;
	head->flags = flags;
	head->last_seen = now;
	/* none; with the entry's own generation, so that a packet of the flow that had the entry
	 * before does not take this for its own none (fl_hop_replace()) */
	head->next_hop = 0;
	head->next_hop_generation = fl_flow_generation(READ_ONCE(head->word));
	head->seq = 0;
	head->ack = 0;
	head->backend_low = 0;
	head->backend_high = 0;
	head->bytes_high = 0;
	head->packets = 0;
	head->bytes_low = 0;
	if (v6) {
		((struct fl_flow6 *)head)->key = *key;
	} else {
		struct fl_flow4 *f = (void *)head;

		f->key.saddr = key->saddr.w[3];
		f->key.daddr = key->daddr.w[3];
		f->key.sport = key->sport;
		f->key.dport = key->dport;
	}
}

/* Of an entry that was taken: claim it, or give it back (FL_FLOW_FREE); returns its word. An atomic
 * exchange is a full barrier: the entry is filled before. What is claimed becomes visible by
 * fl_flow_appear(). */
static __always_inline __u32 fl_flow_publish(struct fl_flow_head *head, __u32 state)
{
	__u32 word = fl_flow_word(fl_flow_generation(READ_ONCE(head->word)), state);

	__sync_lock_test_and_set(&head->word, word);
	return word;
}

/* The reply's key and rewrite: the mirror image of the original's rewrite and key. */
static __always_inline void fl_tuple_reverse(const struct fl_tuple6 *t, struct fl_tuple6 *ret_t)
{
	ret_t->saddr = t->daddr;
	ret_t->daddr = t->saddr;
	ret_t->sport = t->dport;
	ret_t->dport = t->sport;
}
