/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports. The first candidate is a hash of the tuple, so that a lost flow is rebuilt the
 * same; then a few more are tried in turn, going on where the last flow that needed them stopped,
 * so that a client that tries again finds what is left. A candidate is refused when a socket of
 * this node has it, or a flow towards the same backend, unless that has proved nothing for seconds.
 */
#pragma once

#include "nodeport/bound.bpf.h"
#include "nodeport/decision.bpf.h"

#define FL_SNAT_PROBES 8
#define FL_SNAT_PROBES_EXHAUSTED 2 /* while none was free lately: a refusal is cheap */

/*
 * How long an unproven flow keeps its port. last_seen is written once a second, so it has in fact
 * been silent for at least two: a handshake that is under way is not disturbed.
 */
#define FL_SNAT_UNPROVEN_S 3

/*
 * What has been found out about the ports of one of our addresses towards a backend. By a hash of
 * these: where two share an element they just get other candidates.
 */
struct fl_port_space {
	__u32 cursor;	 /* the next candidate */
	__u32 exhausted; /* jiffies: until then nothing is expected to be free; 0 never */
};
#define FL_PORT_SPACES 4096 /* a power of two */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FL_PORT_SPACES);
	__type(key, __u32);
	__type(value, struct fl_port_space);
} fl_port_spaces SEC(".maps");

/* The index-th port of those we may use, network byte order; 0 beyond the last. */
static __always_inline __be16 fl_snat_port(__u32 index)
{
	__u32 port = 0, begin = 0;

#pragma unroll
	for (int i = 0; i < FL_PORT_RANGES; i++) {
		__u32 at = index - begin;

		if (at < fl_config.snat[i].count)
			port = fl_config.snat[i].first + at;
		begin += fl_config.snat[i].count;
	}
	return bpf_htons(fl_forget(port, index));
}

/* The same as a global function, which is verified once: a loop around it costs the verifier
 * little. */
__u32 fl_snat_port_far(__u32 index);

__noinline __u32 fl_snat_port_far(__u32 index)
{
	return fl_snat_port(index);
}

/* The index of the first candidate. */
static __always_inline __u32 fl_snat_index(__u64 hash)
{
	return (hash >> 32) * fl_config.snat_ports >> 32;
}

enum fl_snat_flags {
	FL_SNAT_KEEP =
		1 << 0, /* try first the port that is there already: the source keeps its address */
	FL_SNAT_SOCKETS = 1 << 1, /* the address is one of ours, so sockets count */
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
	struct bpf_sock *sk;
	__u32 size;

	if (v6) {
		__builtin_memcpy(t.ipv6.saddr, &key->saddr, 16);
		__builtin_memcpy(t.ipv6.daddr, &key->daddr, 16);
		t.ipv6.sport = key->sport;
		t.ipv6.dport = key->dport;
		size = sizeof(t.ipv6);
	} else {
		t.ipv4.saddr = key->saddr.w[3];
		t.ipv4.daddr = key->daddr.w[3];
		t.ipv4.sport = key->sport;
		t.ipv4.dport = key->dport;
		size = sizeof(t.ipv4);
	}
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

static __always_inline struct fl_port_space *fl_port_space_of(bool v6, const struct fl_tuple6 *key,
							      __u8 proto, __u32 *ret_begin)
{
	__u64 hash = fl_config.flow_seed[1] ^ proto;
	__u32 at;

	hash = fl_hash_addr(v6, hash, &key->saddr);
	hash = fl_hash_addr(v6, hash, &key->daddr);
	hash = fl_hash_finish(fl_hash_round(hash, key->sport));
	at = hash & (FL_PORT_SPACES - 1);
	*ret_begin = hash >> 32; /* nobody can tell where the first round begins */
	return bpf_map_lookup_elem(&fl_port_spaces, &at);
}

/* Where the candidates after the first begin, and in the upper half how many there may be. */
static __always_inline __u64 fl_snat_more(bool v6, const struct fl_tuple6 *key, __u8 proto)
{
	__u32 probes = FL_SNAT_PROBES - 1, at, begin;
	struct fl_port_space *space = fl_port_space_of(v6, key, proto, &begin);

	if (!space)
		return 0;
	if (space->exhausted && (__s32)(space->exhausted - fl_now()) > 0)
		probes = FL_SNAT_PROBES_EXHAUSTED - 1;
	at = READ_ONCE(space->cursor);
	WRITE_ONCE(space->cursor, at + probes);
	return (__u64)probes << 32 | (at + begin);
}

/* None of them was free. */
static __always_inline void fl_snat_give_up(bool v6, const struct fl_tuple6 *key, __u8 proto)
{
	__u32 begin;
	struct fl_port_space *space = fl_port_space_of(v6, key, proto, &begin);

	/* for two ticks of the clock, and some milliseconds where it is fast */
	if (space)
		WRITE_ONCE(space->exhausted, (fl_now() + 2 + fl_config.hz / 256) ?: 1);
}

/* Global functions are small frames of their own: their callers' stack is full. */
__u64 fl_snat_more4(const struct fl_tuple6 *key, __u32 proto);
__u64 fl_snat_more6(const struct fl_tuple6 *key, __u32 proto);
int fl_snat_give_up4(const struct fl_tuple6 *key, __u32 proto);
int fl_snat_give_up6(const struct fl_tuple6 *key, __u32 proto);

__noinline __u64 fl_snat_more4(const struct fl_tuple6 *key, __u32 proto)
{
	return key ? fl_snat_more(false, key, proto) : 0;
}

__noinline __u64 fl_snat_more6(const struct fl_tuple6 *key, __u32 proto)
{
	return key ? fl_snat_more(true, key, proto) : 0;
}

__noinline int fl_snat_give_up4(const struct fl_tuple6 *key, __u32 proto)
{
	if (key)
		fl_snat_give_up(false, key, proto);
	return 0;
}

__noinline int fl_snat_give_up6(const struct fl_tuple6 *key, __u32 proto)
{
	if (key)
		fl_snat_give_up(true, key, proto);
	return 0;
}

/* Fill in key->dport, the port that replies will come to. False: none is free. */
static __always_inline bool fl_snat_choose(fl_ctx *ctx, bool v6, struct fl_tuple6 *key, __u8 proto,
					   __u64 hash, __u32 flags)
{
	__u32 proto_flags = proto | flags << 8, total = fl_config.snat_ports;
	__u64 more;

	if (!(flags & FL_SNAT_KEEP))
		key->dport = fl_snat_port(fl_snat_index(hash));
	if (likely(key->dport) && likely(v6 ? fl_snat_free6(ctx, key, proto_flags)
					    : fl_snat_free4(ctx, key, proto_flags)))
		return true;
	if (!total)
		return false;
	more = v6 ? fl_snat_more6(key, proto) : fl_snat_more4(key, proto);
	for (__u32 i = 0; i < FL_SNAT_PROBES - 1 && i < more >> 32; i++) {
		key->dport = fl_snat_port_far(((__u32)more + i) % total);
		if (v6 ? fl_snat_free6(ctx, key, proto_flags)
		       : fl_snat_free4(ctx, key, proto_flags))
			return true;
	}
	v6 ? fl_snat_give_up6(key, proto) : fl_snat_give_up4(key, proto);
	return false;
}
