/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: bucketed hashing with several choices over flat arrays (Azar, Broder, Karlin,
 * Upfal: "Balanced Allocations", 1994), FL_FLOW_WAYS entries a bucket, one cache line an IPv4
 * entry. The choices after the first are used, and looked into, only when established flows crowd
 * the ones before. A flow is two entries, original and reply, that name each other by slot and
 * generation: two that do not are no pair.
 *
 * Protocol of head.word (generation << 8 | state):
 * - take: compare-and-exchange from what was seen to (generation + 1, BUSY). The one that wins owns
 * the entry.
 * - fill: plain stores.
 * - claim: atomic exchange to (generation + 1, BUSY | CLAIM): a full barrier, so that the stores
 * before it are seen by every CPU that sees the new word, and of two that claim one key at least
 * one sees the other.
 * - publish: compare-and-exchange from the claim to (the same generation, NEW), the reply first
 * (fl_flow_claim()).
 * - read: load the word, then the rest through an address that depends on it, then the word again
 * through an address that depends on the rest. Another generation, or no live state, the second
 * time: a miss.
 * - change of state: compare-and-exchange, same generation.
 * - remove: compare-and-exchange to (generation + 1, FREE), then the same for the twin if its
 * generation is the one remembered, so that a new tenant of the slot is never removed; the original
 * first.
 *
 * A flow that has not proved itself may lose its entries one by one (create.bpf.h): one that is
 * embryonic and has no twin is over, whatever its state says.
 */
#pragma once

#include "bpf/abi/hash.h"
#include "bpf/lib/packet.bpf.h"
#include "bpf/lib/packet_maps.bpf.h"

struct fl_flow_ref {
	struct fl_flow_head *head;
	__u32 word;
	__u32 slot;
};

static __always_inline __u32 fl_flow_mask(bool v6)
{
	return v6 ? fl_config.flow6_mask : fl_config.flow4_mask;
}

static __always_inline __u32 fl_flow_bucket(bool v6, __u64 hash, __u32 choice)
{
	return fl_hash_bucket(hash, choice, fl_flow_mask(v6));
}

/* The way of a bucket that is tried first. */
static __always_inline __u32 fl_flow_home(__u64 hash)
{
	return hash >> 62;
}

static __always_inline void *fl_flow_bucket_get(bool v6, __u32 bucket)
{
	return v6 ? bpf_map_lookup_elem(&fl_flows6, &bucket)
		  : bpf_map_lookup_elem(&fl_flows4, &bucket);
}

/* `step` ways after `home`. Masked last: to verifiers before 6.10 an XOR has no bounds. */
static __always_inline __u32 fl_flow_way_after(__u32 home, __u32 step)
{
	return (__u32)fl_opaque(home ^ step) & (FL_FLOW_WAYS - 1);
}

static __always_inline struct fl_flow_head *fl_flow_way(bool v6, void *bucket, __u32 way)
{
	way &= FL_FLOW_WAYS - 1;
	return v6 ? &((struct fl_bucket6 *)bucket)->way[way].head
		  : &((struct fl_bucket4 *)bucket)->way[way].head;
}

static __always_inline struct fl_flow_head *fl_flow_at(bool v6, __u32 slot)
{
	void *bucket = fl_flow_bucket_get(v6, slot / FL_FLOW_WAYS);

	return bucket ? fl_flow_way(v6, bucket, slot) : NULL;
}

/* Both addresses of an IPv4 key, as fl_pair() of them. By way of a number, since the compiler takes
 * the alignment of the struct, and would load the halves. */
static __always_inline __u64 fl_flow_addrs(const struct fl_flow4 *f)
{
	typedef const __u64 __attribute__((may_alias)) two_addrs;

	_Static_assert(offsetof(struct fl_flow4, key) % 8 == 0, "loaded as one");
	return *(two_addrs *)fl_opaque((long)f + (long)offsetof(struct fl_flow4, key));
}

static __always_inline bool fl_flow_matches(bool v6, const struct fl_flow_head *head,
					    const struct fl_tuple6 *t, __u8 proto)
{
	if (v6) {
		const struct fl_flow6 *f = (const void *)head;

		return *(__u32 *)&f->key.sport == fl_ports(t) && head->proto == proto &&
		       fl_addr_equal(&f->key.saddr, &t->saddr) &&
		       fl_addr_equal(&f->key.daddr, &t->daddr);
	} else {
		const struct fl_flow4 *f = (const void *)head;

		return *(__u32 *)&f->key.sport == fl_ports(t) && head->proto == proto &&
		       fl_flow_addrs(f) == fl_pair(t->saddr.w[3], t->daddr.w[3]);
	}
}

static __always_inline void fl_flow_rewrite(bool v6, const struct fl_flow_head *head,
					    struct fl_tuple6 *ret_to)
{
	if (v6) {
		*ret_to = ((const struct fl_flow6 *)head)->rewrite;
	} else {
		const struct fl_flow4 *f = (const void *)head;

		ret_to->saddr.w[3] = f->rewrite.saddr;
		ret_to->daddr.w[3] = f->rewrite.daddr;
		fl_ports_set(ret_to, *(const __u32 *)&f->rewrite.sport);
	}
}

static __always_inline void fl_flow_key(bool v6, const struct fl_flow_head *head,
					struct fl_tuple6 *ret_key)
{
	if (v6) {
		*ret_key = ((const struct fl_flow6 *)head)->key;
	} else {
		const struct fl_flow4 *f = (const void *)head;

		ret_key->saddr.w[3] = f->key.saddr;
		ret_key->daddr.w[3] = f->key.daddr;
		fl_ports_set(ret_key, *(const __u32 *)&f->key.sport);
	}
}

static __always_inline bool fl_flow_find_in(bool v6, __u32 bucket, __u32 home,
					    const struct fl_tuple6 *t, __u8 proto,
					    struct fl_flow_ref *ret_ref)
{
	void *b = fl_flow_bucket_get(v6, bucket);

	if (!b)
		return false;
#pragma unroll
	for (__u32 i = 0; i < FL_FLOW_WAYS; i++) {
		__u32 way = fl_flow_way_after(home, i);
		struct fl_flow_head *head = fl_flow_way(v6, b, way);
		__u32 word = READ_ONCE(head->word);

		head = fl_after_load(head, word);
		if (!fl_flow_matches(v6, head, t, proto) || fl_flow_state(word) < FL_FLOW_NEW)
			continue;
		ret_ref->head = head;
		ret_ref->word = word;
		ret_ref->slot = bucket * FL_FLOW_WAYS + way;
		return true;
	}
	return false;
}

/* The words with the overflow bits of a bucket, and where in them they begin. */
static __always_inline struct fl_overflow *fl_flow_overflow(bool v6, __u32 bucket, __u32 *ret_shift)
{
	__u32 at = bucket / FL_OVERFLOW_BUCKETS;

	*ret_shift = bucket % FL_OVERFLOW_BUCKETS * (FL_FLOW_CHOICES - 1);
	return v6 ? bpf_map_lookup_elem(&fl_overflow6, &at)
		  : bpf_map_lookup_elem(&fl_overflow4, &at);
}

/* Bit i: look into choice i + 1. What lies above is another bucket's. */
static __always_inline __u32 fl_flow_overflow_get(bool v6, __u32 bucket)
{
	struct fl_meta *meta = fl_meta_get();
	struct fl_overflow *overflow;
	__u32 shift;

	overflow = fl_flow_overflow(v6, bucket, &shift);
	if (!overflow)
		return 0;
	return READ_ONCE(overflow->half[READ_ONCE(meta->overflow_half) & 1]) >> shift;
}

/*
 * The entry with this key. What the caller then reads of it counts only if fl_flow_unchanged()
 * still holds afterwards.
 */
static __always_inline bool fl_flow_find(bool v6, const struct fl_tuple6 *t, __u8 proto, __u64 hash,
					 struct fl_flow_ref *ret_ref)
{
	__u32 bucket = fl_flow_bucket(v6, hash, 0), stride = fl_hash_stride(hash), bits;
	bool found = fl_flow_find_in(v6, bucket, fl_flow_home(hash), t, proto, ret_ref);

	if (!found) {
		bits = fl_flow_overflow_get(v6, bucket) & ((1 << (FL_FLOW_CHOICES - 1)) - 1);
		for (; bits && !found; bits >>= 1) {
			bucket += stride;
			found = bits & 1 && fl_flow_find_in(v6, bucket & fl_flow_mask(v6), 0, t,
							    proto, ret_ref);
		}
	}
	if (!found)
		return false;
	/* for the verifier, one way of having found it instead of one per bucket and way */
	ret_ref->slot = fl_forget(ret_ref->slot, hash);
	ret_ref->word = fl_forget(ret_ref->word, hash);
	ret_ref->head = fl_flow_at(v6, ret_ref->slot);
	return ret_ref->head;
}

/* The same for the fast paths, which are inlined, in the first two choices only: in a table that is
 * half full, 97 % of the entries are there. */
static __always_inline bool fl_flow_find_near(bool v6, const struct fl_tuple6 *t, __u8 proto,
					      __u64 hash, struct fl_flow_ref *ret_ref)
{
	__u32 home = fl_flow_home(hash), first = fl_flow_bucket(v6, hash, 0);

	if (likely(fl_flow_find_in(v6, first, home, t, proto, ret_ref)))
		return true;
	/* opaque, or the compiler works out beforehand what is needed here only */
	hash = fl_opaque(hash);
	return fl_flow_overflow_get(v6, fl_flow_bucket(v6, hash, 0)) & 1 &&
	       fl_flow_find_in(v6, fl_flow_bucket(v6, hash, 1), fl_flow_home(hash), t, proto,
			       ret_ref);
}

static __always_inline bool fl_flow_swap(struct fl_flow_head *head, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&head->word, from, to) == from;
}

/* False: it has changed. */
static __always_inline bool fl_flow_free(struct fl_flow_head *head, __u32 word)
{
	return fl_flow_swap(head, word, fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_FREE));
}

/* Two entries with one key that do the same to a packet. */
static __always_inline bool fl_flow_same(bool v6, const struct fl_flow_head *a,
					 const struct fl_flow_head *b)
{
	if ((a->flags ^ b->flags) & FL_FLOW_IS_REPLY)
		return false;
	if (v6) {
		const struct fl_tuple6 *x = &((const struct fl_flow6 *)a)->rewrite,
				       *y = &((const struct fl_flow6 *)b)->rewrite;

		return fl_ports(x) == fl_ports(y) && fl_addr_equal(&x->saddr, &y->saddr) &&
		       fl_addr_equal(&x->daddr, &y->daddr);
	} else {
		const struct fl_tuple4 *x = &((const struct fl_flow4 *)a)->rewrite,
				       *y = &((const struct fl_flow4 *)b)->rewrite;

		return x->saddr == y->saddr && x->daddr == y->daddr && x->sport == y->sport &&
		       x->dport == y->dport;
	}
}

/* Of a bucket: another entry with this key, in use or claimed, and its slot; -1: none. Global, so
 * that the verifier sees one bucket instead of five. */
static __always_inline __s64 fl_flow_rival_in(bool v6, const struct fl_tuple6 *t, __u8 proto,
					      __u32 bucket, __u32 slot)
{
	void *b = fl_flow_bucket_get(v6, bucket);

	if (!b)
		return -1;
#pragma unroll
	for (__u32 way = 0; way < FL_FLOW_WAYS; way++) {
		struct fl_flow_head *head = fl_flow_way(v6, b, way);
		__u32 word = READ_ONCE(head->word);

		head = fl_after_load(head, word);
		if (fl_flow_matches(v6, head, t, proto) && bucket * FL_FLOW_WAYS + way != slot &&
		    (fl_flow_state(word) >= FL_FLOW_NEW || word & FL_FLOW_CLAIM))
			return bucket * FL_FLOW_WAYS + way;
	}
	return -1;
}

__s64 fl_flow_rival_in4(const struct fl_tuple6 *t, __u32 proto, __u32 bucket, __u32 slot);
__s64 fl_flow_rival_in6(const struct fl_tuple6 *t, __u32 proto, __u32 bucket, __u32 slot);

__noinline __s64 fl_flow_rival_in4(const struct fl_tuple6 *t, __u32 proto, __u32 bucket, __u32 slot)
{
	return t ? fl_flow_rival_in(false, t, proto, bucket, slot) : -1;
}

__noinline __s64 fl_flow_rival_in6(const struct fl_tuple6 *t, __u32 proto, __u32 bucket, __u32 slot)
{
	return t ? fl_flow_rival_in(true, t, proto, bucket, slot) : -1;
}

/* The same in all buckets of a key. */
static __always_inline __s64 fl_flow_rival_any(bool v6, const struct fl_tuple6 *t, __u8 proto,
					       __u64 hash, __u32 slot)
{
	__u32 bucket = fl_flow_bucket(v6, hash, 0), stride = fl_hash_stride(hash),
	      bits = (fl_flow_overflow_get(v6, bucket) << 1 | 1) & ((1 << FL_FLOW_CHOICES) - 1);
	__s64 rival = -1;

	/* counted: verifiers of 6.1 see no end of it otherwise */
	for (__u32 choice = 0; choice < FL_FLOW_CHOICES && rival < 0; choice++, bucket += stride) {
		if (bits >> choice & 1)
			rival = v6 ? fl_flow_rival_in6(t, proto, bucket & fl_flow_mask(v6), slot)
				   : fl_flow_rival_in4(t, proto, bucket & fl_flow_mask(v6), slot);
	}
	return rival;
}

__s64 fl_flow_rival_any4(const struct fl_tuple6 *t, __u32 proto, __u64 hash, __u32 slot);
__s64 fl_flow_rival_any6(const struct fl_tuple6 *t, __u32 proto, __u64 hash, __u32 slot);

__noinline __s64 fl_flow_rival_any4(const struct fl_tuple6 *t, __u32 proto, __u64 hash, __u32 slot)
{
	return t ? fl_flow_rival_any(false, t, proto, hash, slot) : -1;
}

__noinline __s64 fl_flow_rival_any6(const struct fl_tuple6 *t, __u32 proto, __u64 hash, __u32 slot)
{
	return t ? fl_flow_rival_any(true, t, proto, hash, slot) : -1;
}

/* Another entry with the key of the one at `slot`: its slot. -1: none. */
static __always_inline __s64 fl_flow_rival(bool v6, const struct fl_tuple6 *t, __u8 proto,
					   __u64 hash, __u32 slot)
{
	return v6 ? fl_flow_rival_any6(t, proto, hash, slot)
		  : fl_flow_rival_any4(t, proto, hash, slot);
}

/*
 * Whether no other flow has an entry with this key, which is that of the entry at `slot`. Of two
 * CPUs that claim a key and check afterwards, at least one sees the other's claim: it is a full
 * barrier. Claims are not found by packets, which would get the rewrite of a flow that is about to
 * give way. The same flow may be there twice, when two CPUs had its first packets: both entries do
 * the same, until one of the originals gives way.
 */
static __always_inline bool fl_flow_alone(bool v6, const struct fl_tuple6 *t, __u8 proto,
					  __u64 hash, __u32 slot, const struct fl_flow_head *own)
{
	__s64 rival = fl_flow_rival(v6, t, proto, hash, slot);
	struct fl_flow_head *head;

	if (likely(rival < 0))
		return true;
	head = fl_flow_at(v6, rival);
	return head && fl_flow_same(v6, head, own);
}

/* Publish an entry that was claimed with the word `claim`. False: another CPU has taken the claim
 * away. */
static __always_inline bool fl_flow_appear(struct fl_flow_head *head, __u32 claim)
{
	return fl_flow_swap(head, claim, fl_flow_word(fl_flow_generation(claim), FL_FLOW_NEW));
}

#define FL_RIVALS 3

/*
 * Publish an original that was claimed with the word `claim`, and before it its reply, which is
 * claimed too (NULL: it has none), unless another CPU has an entry with the original's key: then it
 * made the flow at the same moment, and ours gives way: false. If both still look, the one in the
 * lower slot goes on: it takes the claim from the other, which finds that out when it wants to
 * publish. With `insist` slots do not count: the other's CPU may be kept from going on for longer
 * than a packet can wait.
 */
static __always_inline bool fl_flow_claim(bool v6, const struct fl_tuple6 *t, __u8 proto,
					  __u64 hash, __u32 slot, struct fl_flow_head *own,
					  __u32 claim, bool insist, struct fl_flow_head *reply,
					  __u32 reply_claim)
{
	for (int i = 0; i < FL_RIVALS; i++) {
		__s64 rival = fl_flow_rival(v6, t, proto, hash, slot);
		struct fl_flow_head *head;
		__u32 word;

		if (likely(rival < 0))
			return (!reply || fl_flow_appear(reply, reply_claim)) &&
			       fl_flow_appear(own, claim);
		head = fl_flow_at(v6, rival);
		if (!head || (rival < slot && !insist))
			return false;
		word = READ_ONCE(head->word);
		if (!(word & FL_FLOW_CLAIM))
			return false;
		fl_flow_free(head, word);
	}
	return false;
}

/*
 * Whether the entry is still the one that was found: all that was read of it before this call is
 * the entry's. Where the processor may load in another order than is written, `seen`, which is made
 * of some of it, would not do.
 */
static __always_inline bool fl_flow_unchanged(const struct fl_flow_ref *ref, __u64 seen)
{
	struct fl_flow_head *head = fl_after_load(ref->head, seen);
	__u32 word;

	fl_loads_in_order();
	word = READ_ONCE(head->word);

	return fl_flow_generation(word) == fl_flow_generation(ref->word) &&
	       fl_flow_state(word) >= FL_FLOW_NEW;
}

/* Not even its state has changed: on the fast path anything else is the slow one's to decide. */
static __always_inline bool fl_flow_untouched(const struct fl_flow_ref *ref)
{
	fl_loads_in_order();
	return READ_ONCE(ref->head->word) == ref->word;
}

static __always_inline __u32 fl_flow_timeout(__u32 state, __u8 proto)
{
	/*
	 * In two steps: to verifiers before 6.10 the OR of two numbers has no bounds. The masks are
	 * for the verifier; the compiler may know better, and would leave them out.
	 */
	const volatile __u32 *of_proto = &fl_config.state_timeout[FL_STATE_TIMEOUT(proto, 0)];

	of_proto = (const volatile __u32 *)fl_opaque((long)of_proto);
	return of_proto[FL_STATE_TIMEOUT(0, (__u32)fl_opaque(state))];
}

/* The other direction, if it is still there. */
static __always_inline struct fl_flow_head *fl_flow_twin(bool v6, const struct fl_flow_head *head,
							 __u32 *ret_word)
{
	struct fl_flow_head *twin = fl_flow_at(v6, head->twin);
	__u32 word;

	if (!twin)
		return NULL;
	word = READ_ONCE(twin->word);
	twin = fl_after_load(twin, word);
	if (!fl_flow_generation_is(word, head->twin_generation) ||
	    !fl_flow_generation_is(READ_ONCE(head->word), twin->twin_generation) ||
	    fl_flow_state(word) < FL_FLOW_NEW)
		return NULL;
	*ret_word = word;
	return twin;
}

/* The other direction is gone for good, not just still being written. */
static __always_inline bool fl_flow_lone(bool v6, const struct fl_flow_head *head)
{
	struct fl_flow_head *twin = fl_flow_at(v6, head->twin);
	__u32 word;

	if (!twin)
		return true;
	word = READ_ONCE(twin->word);
	if (!fl_flow_generation_is(word, head->twin_generation))
		return true;
	twin = fl_after_load(twin, word);
	return fl_flow_state(word) != FL_FLOW_BUSY &&
	       !fl_flow_generation_is(READ_ONCE(head->word), twin->twin_generation);
}

/* Idle in both directions for longer than its state allows. */
static __always_inline bool fl_flow_expired(bool v6, const struct fl_flow_head *head, __u32 word,
					    __u32 now)
{
	/* what was seen before this is too long ago; not compared with, but taken away from: at a
	 * number of which a copy is on the stack, 6.12's verifier fails (BUG backtracking) */
	__u32 begin = now - fl_flow_timeout(fl_flow_state(word), head->proto), twin_word;
	struct fl_flow_head *twin;

	/* signed: another CPU's clock may be a tick ahead */
	if ((__s32)(begin - head->last_seen) <= 0)
		return false;
	twin = fl_flow_twin(v6, head, &twin_word);
	return !twin || (__s32)(begin - twin->last_seen) > 0;
}

/*
 * Remove the entry and its twin, unless the flow's state has changed since: whoever changed it goes
 * on with it. The original goes first. One that is proven goes on for a second without a look at
 * its reply, whose key is what keeps its source port from being given away; a reply alone does no
 * harm.
 */
static __always_inline void fl_flow_remove(bool v6, const struct fl_flow_ref *ref)
{
	__u32 twin_word = 0, word = READ_ONCE(ref->head->word);
	struct fl_flow_head *twin;

	if (fl_flow_generation(word) != fl_flow_generation(ref->word))
		return; /* it is gone, and another flow may have its place */
	twin = fl_flow_twin(v6, ref->head, &twin_word);
	if (twin && ref->head->flags & FL_FLOW_IS_REPLY) {
		/* or the twin may be that other flow's */
		if (!fl_flow_unchanged(ref, twin_word) || !fl_flow_free(twin, twin_word))
			return;
		twin = NULL;
	}
	if (fl_flow_free(ref->head, word) && twin)
		fl_flow_free(twin, twin_word);
}

/* Take back what was published as `word`, unless it is another flow's by now. */
static __always_inline void fl_flow_withdraw(struct fl_flow_head *head, __u32 word)
{
	__u32 current = READ_ONCE(head->word);

	if (fl_flow_generation(current) == fl_flow_generation(word))
		fl_flow_free(head, current);
}

/*
 * An embryonic flow becomes a proven one. Its reply does so first, after which no newcomer takes
 * that, and the source port is safe with it. If one of the entries is gone by then the flow is
 * over, and so is the other.
 */
static __always_inline void fl_flow_prove(bool v6, struct fl_flow_ref *ref, __u32 state)
{
	__u32 twin_word = 0, word = fl_flow_word(fl_flow_generation(ref->word), state), now_word;
	struct fl_flow_head *twin = fl_flow_twin(v6, ref->head, &twin_word);

	/* or it is that of another flow, which has taken the entry */
	if (!fl_flow_unchanged(ref, twin_word))
		return;
	if (twin &&
	    !fl_flow_swap(twin, twin_word, fl_flow_word(fl_flow_generation(twin_word), state))) {
		/* by another CPU at the same moment, unless it was taken */
		now_word = READ_ONCE(twin->word);
		if (fl_flow_generation(now_word) != fl_flow_generation(twin_word) ||
		    fl_flow_state(now_word) < FL_FLOW_ESTABLISHED)
			twin = NULL;
	}
	if (!twin) {
		fl_flow_withdraw(ref->head, ref->word);
		return;
	}
	if (fl_flow_swap(ref->head, ref->word, word))
		ref->word = word;
	else if (fl_flow_generation(READ_ONCE(ref->head->word)) != fl_flow_generation(word))
		fl_flow_withdraw(twin, twin_word);
}

/* Give both directions a state. */
static __always_inline void fl_flow_set_state(bool v6, struct fl_flow_ref *ref, __u32 state)
{
	struct fl_flow_head *twin;
	__u32 twin_word = 0, word = fl_flow_word(fl_flow_generation(ref->word), state);

	if (fl_flow_swap(ref->head, ref->word, word))
		ref->word = word;
	twin = fl_flow_twin(v6, ref->head, &twin_word);
	if (twin && fl_flow_unchanged(ref, twin_word))
		fl_flow_swap(twin, twin_word, fl_flow_word(fl_flow_generation(twin_word), state));
}
