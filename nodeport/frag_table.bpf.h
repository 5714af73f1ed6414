/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is remembered of datagrams whose fragments are on their way (robustness D3): what the first
 * one, which has the ports, was translated to; which bytes have been seen; and which fragments came
 * before it and wait. Of a fixed size: a datagram that finds no place takes that of the oldest one
 * in its bucket. Of the tc programs alone and not pinned, since it is of no use after seconds.
 */
#pragma once

#include "nodeport/decision.bpf.h"
#include "nodeport/odd_parse.bpf.h"

#define FL_FRAGS 2048	  /* datagrams at a time; a power of two */
#define FL_FRAG_WAYS 4	  /* a power of two */
#define FL_FRAG_SECONDS 5 /* from the fragment that is seen first to the last one */
#define FL_FRAG_HELD 48	  /* fragments of a datagram that wait for the first one */
#define FL_FRAG_WORDS (65536 / 8 / 64)
#define FL_FRAG_TRIES 3
#define FL_FRAG_LAST (1U << 31)
#define FL_FRAG_END_TRIES 8 /* while other processors move it */

enum fl_frag_state {
	FL_FRAG_FREE,
	FL_FRAG_FILLING,  /* the key is being written */
	FL_FRAG_WAITING,  /* for the first fragment */
	FL_FRAG_DECIDING, /* it is here; what it becomes is being written */
	FL_FRAG_READY,
};
#define FL_FRAG_STATES 8 /* states in a word; the rest is the generation */

/* RFC 791: the protocol counts, RFC 8200: it does not. */
struct fl_frag_key {
	struct fl_addr saddr, daddr;
	__u32 id;
	__u8 proto;
	__u8 side; /* enum fl_odd_side */
	__u8 pad[2];
};

/* What becomes of the fragments of a datagram. */
struct fl_frag_way {
	struct fl_addr saddr, daddr;
	struct fl_hop hop;
	__u32 action, reason; /* as in struct fl_decision */
	__u32 id;	      /* that they get */
	__u32 hash;	      /* of the flow, for outer headers */
	struct fl_addr pod;   /* likewise */
	__u32 pod_port;
};

struct fl_frag {
	__u64 word; /* generation * FL_FRAG_STATES + enum fl_frag_state */
	struct fl_frag_key key;
	__u32 since; /* jiffies */
	/* bytes of the datagram. Those of the first fragment count when what has waited for it is
	 * on its way: until then the record is needed. */
	__u32 seen;
	__u32 end; /* of what was seen, bytes; with FL_FRAG_LAST that of the datagram */
	struct fl_frag_way way;
	__u64 held[FL_FRAG_HELD];  /* places of fl_frag_held; 0 none */
	__u64 bits[FL_FRAG_WORDS]; /* a bit for every 8 bytes */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FL_FRAGS);
	__type(key, __u32);
	__type(value, struct fl_frag);
} fl_frags SEC(".maps");

static __always_inline __u32 fl_frag_state(__u64 word)
{
	return word % FL_FRAG_STATES;
}

static __always_inline struct fl_frag *fl_frag_at(__u32 at)
{
	return bpf_map_lookup_elem(&fl_frags, &at);
}

static __always_inline void fl_frag_key_of(bool v6, const struct fl_packet *p,
					   const struct fl_odd *odd, struct fl_frag_key *ret_key)
{
	ret_key->saddr = p->tuple.saddr;
	ret_key->daddr = p->tuple.daddr;
	ret_key->id = odd->id;
	ret_key->proto = v6 ? 0 : p->proto;
	ret_key->side = odd->side;
	ret_key->pad[0] = ret_key->pad[1] = 0;
}

static __always_inline bool fl_frag_key_equal(const struct fl_frag_key *a,
					      const struct fl_frag_key *b)
{
	return a->id == b->id && a->proto == b->proto && a->side == b->side &&
	       fl_addr_equal(&a->saddr, &b->saddr) && fl_addr_equal(&a->daddr, &b->daddr);
}

/* The first place of a key's bucket. */
static __always_inline __u32 fl_frag_bucket(const struct fl_frag_key *key)
{
	__u64 h = fl_hash_addr(true, fl_config.flow_seed[0], &key->saddr);

	h = fl_hash_finish(fl_hash_addr(true, h, &key->daddr) ^ fl_pair(key->id, key->proto));
	return (h >> 32) & (FL_FRAGS - FL_FRAG_WAYS);
}

static __always_inline bool fl_frag_over(const struct fl_frag *f, __u32 now)
{
	return (__s32)(now - READ_ONCE(f->since)) > (__s32)(FL_FRAG_SECONDS * fl_config.hz);
}

/* All of its bytes have been seen. */
static __always_inline bool fl_frag_complete(const struct fl_frag *f)
{
	const __u32 end = READ_ONCE(f->end);

	return end & FL_FRAG_LAST && READ_ONCE(f->seen) >= (end & ~FL_FRAG_LAST);
}

/* Nothing of the datagram is to come any more, or another one has its number by now. */
static __always_inline void fl_frag_forget(struct fl_frag *f, __u64 word)
{
	__sync_val_compare_and_swap(&f->word, word, word - fl_frag_state(word) + FL_FRAG_FREE);
}

/* The place of a key's record, other than `but`, or -1; its word. Global, as the ones below. */
int fl_frag_find(const struct fl_frag_key *key, int but, __u64 *ret_word);

__noinline int fl_frag_find(const struct fl_frag_key *key, int but, __u64 *ret_word)
{
	__u32 now = fl_now(), first;

	if (!key || !ret_word)
		return -1;
	first = fl_frag_bucket(key);
	for (__u32 i = 0; i < FL_FRAG_WAYS; i++) {
		struct fl_frag *f = fl_frag_at(first + i);
		__u64 word;

		if (!f || (int)(first + i) == but)
			continue;
		word = READ_ONCE(f->word);
		if (fl_frag_state(word) < FL_FRAG_WAITING)
			continue;
		f = fl_after_load(f, word);
		if (!fl_frag_key_equal(&f->key, key) || fl_frag_over(f, now))
			continue;
		*ret_word = word;
		return first + i;
	}
	return -1;
}

/* The way to take for a newcomer, other than `but`: one that is free, or else one that is complete,
 * or else the oldest one; or -1. */
int fl_frag_victim(__u32 first, int but, __u32 now);

__noinline int fl_frag_victim(__u32 first, int but, __u32 now)
{
	__s32 age, oldest = -1;
	int victim = -1;

	for (__u32 i = 0; i < FL_FRAG_WAYS; i++) {
		struct fl_frag *f = fl_frag_at(first + i);
		__u64 word;

		if (!f || (int)(first + i) == but)
			continue;
		word = READ_ONCE(f->word);
		if (fl_frag_state(word) == FL_FRAG_FILLING ||
		    fl_frag_state(word) == FL_FRAG_DECIDING)
			continue;
		age = now - f->since;
		if (fl_frag_state(word) == FL_FRAG_FREE)
			age = 0x7fffffff;
		else if (fl_frag_complete(f))
			age = 0x7ffffffe;
		if (age > oldest) {
			oldest = age;
			victim = first + i;
		}
	}
	return victim;
}

/*
 * Make a record in this state, unless there is one by then: its place, other than `but`, and word,
 * or -1. What waited for another datagram's first fragment at this place is forgotten with it.
 */
int fl_frag_make(const struct fl_frag_key *key, int but, __u32 state, __u64 *ret_word);

__noinline int fl_frag_make(const struct fl_frag_key *key, int but, __u32 state, __u64 *ret_word)
{
	__u64 word, filling;
	struct fl_frag *f;
	__u32 now = fl_now();
	int at;

	if (!key || !ret_word)
		return -1;
	at = fl_frag_victim(fl_frag_bucket(key), but, now);
	f = at < 0 ? NULL : fl_frag_at(at);
	if (!f)
		return -1;
	word = READ_ONCE(f->word);
	if (fl_frag_state(word) == FL_FRAG_FILLING || fl_frag_state(word) == FL_FRAG_DECIDING)
		return -1;
	filling = (word / FL_FRAG_STATES + 1) * FL_FRAG_STATES + FL_FRAG_FILLING;
	if (__sync_val_compare_and_swap(&f->word, word, filling) != word)
		return -1;
	f->key = *key;
	f->since = now;
	f->seen = f->end = 0;
	__builtin_memset(&f->way, 0, sizeof(f->way));
	for (int i = 0; i < FL_FRAG_HELD; i++)
		WRITE_ONCE(f->held[i], 0); /* no memset(), which BPF lacks */
	for (int i = 0; i < FL_FRAG_WORDS; i++)
		WRITE_ONCE(f->bits[i], 0);
	word = filling - FL_FRAG_FILLING + state;
	__sync_lock_test_and_set(&f->word, word);
	/* another processor has made one at the same time: both look, so one at least sees it */
	if (fl_frag_find(key, at, &filling) >= 0) {
		__sync_val_compare_and_swap(&f->word, word, word - state);
		return -1;
	}
	*ret_word = word;
	return at;
}

/* Whether the record is still the same one. */
static __always_inline bool fl_frag_is(const struct fl_frag *f, __u64 word)
{
	fl_loads_in_order();
	return READ_ONCE(f->word) / FL_FRAG_STATES == word / FL_FRAG_STATES;
}

/* Note where a fragment ends: false if the datagram ends before that, or is to end here and has
 * bytes behind it. */
static __always_inline bool fl_frag_note_end(struct fl_frag *f, const struct fl_odd *odd)
{
	const __u32 end = odd->at + odd->size;
	__u32 known = READ_ONCE(f->end), next, now;

	for (int i = 0; i < FL_FRAG_END_TRIES; i++) {
		if (known & FL_FRAG_LAST ? end > (known & ~FL_FRAG_LAST) || !odd->more
					 : !odd->more && known > end)
			return false;
		if (odd->more && end <= (known & ~FL_FRAG_LAST))
			return true;
		next = odd->more ? end : end | FL_FRAG_LAST;
		now = __sync_val_compare_and_swap(&f->end, known, next);
		if (now == known)
			return true;
		known = now;
	}
	return false;
}

/* Note which bytes a fragment has; -1: it is refused, since some of them were there before (RFC
 * 5722), or lie behind the datagram's end. */
int fl_frag_note(__u32 place, __u64 word, const struct fl_odd *odd);

__noinline int fl_frag_note(__u32 place, __u64 word, const struct fl_odd *odd)
{
	struct fl_frag *f = fl_frag_at(place);
	__u64 bit, end;

	if (!f || !odd || !fl_frag_is(f, word))
		return 0;
	bit = odd->at / 8;
	end = (odd->at + odd->size + 7U) / 8;
	for (int i = 0; i < FL_FRAG_WORDS; i++) {
		const __u32 at = bit / 64 & (FL_FRAG_WORDS - 1);
		/* without a branch, of which the verifier would follow both ways each time */
		const __s64 spare = (__s64)at * 64 + 64 - end;
		const __u64 mask =
			~0ULL << (bit & 63) & ~0ULL >> (fl_opaque(spare & ~(spare >> 63)) & 63);

		if (bit >= end)
			break;
		if (__sync_fetch_and_or(&f->bits[at], mask) & mask)
			return -1;
		bit = fl_forget((at + 1) * 64, word);
	}
	if (!fl_frag_note_end(f, odd))
		return -1;
	if (odd->at)
		__sync_fetch_and_add(&f->seen, odd->size);
	return 0;
}
