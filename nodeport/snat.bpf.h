/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports. The first candidate is a hash of the tuple, so that a lost flow is rebuilt the
 * same; then more hashes, or where there are few ports all of them in turn. A candidate is refused
 * when a flow or a socket of this node has it towards the same backend.
 */
#pragma once

#include "nodeport/bound.bpf.h"
#include "nodeport/decision.bpf.h"

#define FL_SNAT_PROBES 128

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

/*
 * Whether a flow has this key. One that is over, or whose other direction is gone, is removed: it
 * would be found instead of the new one. proto_flags: protocol | enum fl_snat_flags << 8.
 */
static __always_inline int fl_snat_taken(bool v6, const struct fl_tuple6 *key, __u32 proto_flags)
{
	__u8 proto = proto_flags;
	struct fl_flow_ref ref;

	if (!fl_flow_find(v6, key, proto, fl_hash_tuple(v6, key, proto, fl_config.flow_seed[0]),
			  &ref))
		return 0;
	if (!fl_flow_lone(v6, ref.head) && !fl_flow_expired(v6, ref.head, ref.word, fl_now()))
		return 1;
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

static __always_inline int fl_snat_search(fl_ctx *ctx, bool v6, struct fl_tuple6 *key,
					  __u32 proto_flags, __u64 hash)
{
	__u32 total = fl_config.snat_ports, index = fl_snat_index(hash);

	if (!total)
		return 0;
	for (int i = 0; i < FL_SNAT_PROBES; i++) {
		if (total <= FL_SNAT_PROBES) {
			index = (index + 1) % total;
		} else {
			hash = fl_hash_round(hash, i);
			index = fl_snat_index(hash);
		}
		key->dport = fl_snat_port_far(index);
		if (v6 ? fl_snat_free6(ctx, key, proto_flags)
		       : fl_snat_free4(ctx, key, proto_flags))
			return 1;
	}
	return 0;
}

int fl_snat_search4(fl_ctx *ctx, struct fl_tuple6 *key, __u32 proto_flags, __u64 hash);
int fl_snat_search6(fl_ctx *ctx, struct fl_tuple6 *key, __u32 proto_flags, __u64 hash);

__noinline int fl_snat_search4(fl_ctx *ctx, struct fl_tuple6 *key, __u32 proto_flags, __u64 hash)
{
	return key ? fl_snat_search(ctx, false, key, proto_flags, hash) : 0;
}

__noinline int fl_snat_search6(fl_ctx *ctx, struct fl_tuple6 *key, __u32 proto_flags, __u64 hash)
{
	return key ? fl_snat_search(ctx, true, key, proto_flags, hash) : 0;
}

/* Fill in key->dport, the port that replies will come to. False: none is free. */
static __always_inline bool fl_snat_choose(fl_ctx *ctx, bool v6, struct fl_tuple6 *key, __u8 proto,
					   __u64 hash, __u32 flags)
{
	__u32 proto_flags = proto | flags << 8;

	if (!(flags & FL_SNAT_KEEP))
		key->dport = fl_snat_port(fl_snat_index(hash));
	if (likely(key->dport) && likely(v6 ? fl_snat_free6(ctx, key, proto_flags)
					    : fl_snat_free4(ctx, key, proto_flags)))
		return true;
	return v6 ? fl_snat_search6(ctx, key, proto_flags, hash)
		  : fl_snat_search4(ctx, key, proto_flags, hash);
}
