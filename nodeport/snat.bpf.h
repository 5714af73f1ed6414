/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports. The first candidate is a hash of the tuple, so that a lost flow is rebuilt the
 * same; then a few more are tried in turn, going on where the last flow that needed them stopped. A
 * candidate is refused when a socket of this node has it, or a flow towards the same backend,
 * unless that has proved nothing for seconds.
 *
 * Hashes lead to a quarter of the ports, turns to the others: there ports come round in the order
 * in which they were given away, and what was given away first is over first. So the next in turn
 * are free, with few exceptions, until most ports are in use. Among ports that are in use at
 * random, as those that hashes lead to are, eight looks are not enough: with half of them in use,
 * one flow in 300 would get none. The last candidate is in turn of all ports, so that a client
 * that tries again finds what is left.
 */
#pragma once

#include "nodeport/bound.bpf.h"
#include "nodeport/decision.bpf.h"

#define FL_SNAT_PROBES 8
#define FL_SNAT_PROBES_ALL 1	   /* the last of them, in turn of all ports */
#define FL_SNAT_PROBES_EXHAUSTED 3 /* just after none was free: a refusal is cheap */

/*
 * How long an unproven flow keeps its port. last_seen is written once a second, so it has in fact
 * been silent for at least two: a handshake that is under way is not disturbed.
 */
#define FL_SNAT_UNPROVEN_S 3

/* The index-th port of those we may use, network byte order; 0 where there are none. */
static __always_inline __be16 fl_snat_port(const struct fl_live *live, __u32 index)
{
	__u32 first = live->snat[0].first, from = live->snat_from[0];

	if (!live->snat_ports)
		return 0;
#pragma unroll
	for (int i = 1; i < FL_PORT_RANGES; i++) {
		if (index < live->snat_from[i])
			continue;
		first = live->snat[i].first;
		from = live->snat_from[i];
	}
	return bpf_htons(fl_forget(first + index - from, index));
}

/* How many ports hashes lead to: the first ones. */
static __always_inline __u32 fl_snat_hashed(const struct fl_live *live)
{
	return (live->snat_ports + 3) / 4;
}

/* The first candidate of a flow whose tuple has this hash. */
static __always_inline __be16 fl_snat_first(__u64 hash)
{
	const struct fl_live *live = fl_live_now();

	return fl_snat_port(live, (hash >> 32) * fl_snat_hashed(live) >> 32);
}

enum fl_snat_flags {
	FL_SNAT_SOCKETS = 1 << 0, /* the address is one of ours, so sockets count */
};

/* Remove the flow of a reply entry if it has proved nothing and has been silent for a while. */
static __always_inline bool fl_snat_take_over(bool v6, const struct fl_flow_ref *ref, __u32 now)
{
	const __s32 idle = FL_SNAT_UNPROVEN_S * fl_config.hz;
	struct fl_flow_head *reply = ref->head, *original;
	__u32 word;

	if (fl_flow_state(ref->word) > FL_FLOW_REPLIED || !(reply->flags & FL_FLOW_IS_REPLY) ||
	    (__s32)(now - reply->last_seen) < idle)
		return false;
	original = fl_flow_twin(v6, reply, &word);
	/* the original goes first: a flow proves itself there */
	if (!original || fl_flow_state(word) > FL_FLOW_REPLIED ||
	    (__s32)(now - original->last_seen) < idle || !fl_flow_free(original, word))
		return false;
	fl_count(FL_COUNTER_FLOW_EVICTED);
	return fl_flow_free(reply, ref->word);
}

/*
 * Whether a flow has this key. One that is over, or whose other direction is gone, is removed: it
 * would be found instead of the new one. proto_flags: protocol | enum fl_snat_flags << 8.
 */
static __always_inline int fl_snat_taken(bool v6, const struct fl_tuple6 *key, __u32 proto_flags)
{
	__u32 now = fl_now();
	__u8 proto = proto_flags;
	struct fl_flow_ref ref;

	if (!fl_flow_find(v6, key, proto, fl_hash_tuple(v6, key, proto, fl_config.flow_seed[0]),
			  &ref))
		return 0;
	if (!fl_flow_lone(v6, ref.head) && !fl_flow_expired(v6, ref.head, ref.word, now))
		return !fl_snat_take_over(v6, &ref, now);
	fl_flow_remove(v6, &ref);
	return 0;
}

/* Whether a socket of this node would get packets with this key: from the backend to our address
 * and port. */
static __always_inline bool fl_snat_socket(fl_ctx *ctx, bool v6, const struct fl_tuple6 *key,
					   __u8 proto)
{
	struct bpf_sock_tuple t = {};
	__u32 size = fl_sock_tuple(v6, key, &t);
	struct bpf_sock *sk;

	if (proto == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	bpf_sk_release(sk);
	return true;
}

static __always_inline bool fl_snat_free(fl_ctx *ctx, bool v6, const struct fl_tuple6 *key,
					 __u32 proto_flags)
{
	if (proto_flags >> 8 & FL_SNAT_SOCKETS && fl_bound_has(proto_flags, key->dport) &&
	    fl_snat_socket(ctx, v6, key, proto_flags))
		return false;
	return !fl_snat_taken(v6, key, proto_flags);
}

/* Whether this key may be given to a flow. proto_flags: protocol | enum fl_snat_flags << 8. */
int fl_snat_free4(fl_ctx *ctx, const struct fl_tuple6 *key, __u32 proto_flags);
int fl_snat_free6(fl_ctx *ctx, const struct fl_tuple6 *key, __u32 proto_flags);

__noinline int fl_snat_free4(fl_ctx *ctx, const struct fl_tuple6 *key, __u32 proto_flags)
{
	return key && fl_snat_free(ctx, false, key, proto_flags);
}

__noinline int fl_snat_free6(fl_ctx *ctx, const struct fl_tuple6 *key, __u32 proto_flags)
{
	return key && fl_snat_free(ctx, true, key, proto_flags);
}

/* The ports towards a backend: the index of their element, and in the upper half where turns begin,
 * which nobody can tell. */
static __always_inline __u64 fl_port_space_at(bool v6, const struct fl_tuple6 *key, __u8 proto)
{
	__u64 hash = fl_config.flow_seed[1] ^ proto;

	hash = fl_hash_addr(v6, hash, &key->saddr);
	hash = fl_hash_addr(v6, hash, &key->daddr);
	hash = fl_hash_finish(fl_hash_round(hash, key->sport));
	return hash & (~0ULL << 32 | (FL_PORT_SPACES - 1));
}

static __always_inline struct fl_port_space *fl_port_space_get(__u64 space)
{
	__u32 at = space & (FL_PORT_SPACES - 1);

	return bpf_map_lookup_elem(&fl_port_spaces, &at);
}

#define FL_SNAT_MORE_SHIFT 16
_Static_assert(FL_PORT_SPACES <= 1 << FL_SNAT_MORE_SHIFT, "fl_snat_more()");

/* The candidates after the first: what fl_port_space_at() says, and in between how many. */
static __always_inline __u64 fl_snat_more(bool v6, const struct fl_tuple6 *key, __u8 proto)
{
	__u64 at = fl_port_space_at(v6, key, proto);
	struct fl_port_space *space = fl_port_space_get(at);
	__u32 probes = FL_SNAT_PROBES - 1, gave_up;

	if (!space)
		return 0;
	gave_up = READ_ONCE(space->gave_up);
	/* two ticks of the clock, and some milliseconds where it is fast */
	if (gave_up && fl_now() - gave_up < 2 + fl_config.hz / 256)
		probes = FL_SNAT_PROBES_EXHAUSTED - 1;
	return at | probes << FL_SNAT_MORE_SHIFT;
}

/* The next candidate in turn, which no other CPU gets, when there are `left`; 0: none. */
static __always_inline __be16 fl_snat_turn(__u64 more, __u32 left)
{
	const struct fl_live *live = fl_live_now();
	__u32 total = live->snat_ports, hashed = fl_snat_hashed(live), begin = more >> 32, turn;
	struct fl_port_space *space = fl_port_space_get(more);

	if (!space || !total)
		return 0;
	if (left <= FL_SNAT_PROBES_ALL || total == hashed) {
		turn = __sync_fetch_and_add(&space->cursor_all, 1);
		return fl_snat_port(live, (turn + begin) % total);
	}
	turn = __sync_fetch_and_add(&space->cursor, 1);
	return fl_snat_port(live, hashed + (turn + begin) % (total - hashed));
}

/* None of them was free. */
static __always_inline void fl_snat_give_up(__u64 more)
{
	struct fl_port_space *space = fl_port_space_get(more);

	if (space)
		WRITE_ONCE(space->gave_up, fl_now() ?: 1);
}

/* Global functions are small frames of their own: their callers' stack is full. */
__u64 fl_snat_more4(const struct fl_tuple6 *key, __u32 proto);
__u64 fl_snat_more6(const struct fl_tuple6 *key, __u32 proto);
__be16 fl_snat_turn_far(__u64 more, __u32 left);
int fl_snat_give_up_far(__u64 more);

__noinline __u64 fl_snat_more4(const struct fl_tuple6 *key, __u32 proto)
{
	return key ? fl_snat_more(false, key, proto) : 0;
}

__noinline __u64 fl_snat_more6(const struct fl_tuple6 *key, __u32 proto)
{
	return key ? fl_snat_more(true, key, proto) : 0;
}

__noinline __be16 fl_snat_turn_far(__u64 more, __u32 left)
{
	return fl_snat_turn(more, left);
}

__noinline int fl_snat_give_up_far(__u64 more)
{
	fl_snat_give_up(more);
	return 0;
}

/* The port that replies come to: key->dport if that is free, or else another. False: none is. */
static __always_inline bool fl_snat_choose(fl_ctx *ctx, bool v6, struct fl_tuple6 *key, __u8 proto,
					   __u32 flags)
{
	const struct fl_live *live = fl_live_now();
	__u32 proto_flags = proto | flags << 8, probes;
	__u64 more;

	if (likely(key->dport) && likely(v6 ? fl_snat_free6(ctx, key, proto_flags)
					    : fl_snat_free4(ctx, key, proto_flags)))
		return true;
	if (!live->snat_ports)
		return false;
	more = v6 ? fl_snat_more6(key, proto) : fl_snat_more4(key, proto);
	probes = (__u32)more >> FL_SNAT_MORE_SHIFT;
	for (__u32 i = 0; i < FL_SNAT_PROBES - 1 && i < probes; i++) {
		key->dport = fl_snat_turn_far(more, probes - i);
		if (v6 ? fl_snat_free6(ctx, key, proto_flags)
		       : fl_snat_free4(ctx, key, proto_flags))
			return true;
	}
	fl_snat_give_up_far(more);
	return false;
}
