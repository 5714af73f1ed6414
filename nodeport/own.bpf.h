/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A frontend claims the packets of flows that begin with it, and no others: not the answers to what
 * this node has asked from such a port itself, nor what pretends to come from a frontend.
 */
#pragma once

#include "nodeport/bound.bpf.h"
#include "nodeport/decision.bpf.h"

/*
 * Whether the source is a frontend's address and port, or a Service's address that has only such
 * ports. Two frontends that answer each other would do so for ever.
 */
static __always_inline bool fl_source_is_frontend(bool v6, const struct fl_packet *p)
{
	const struct fl_tuple6 *t = &p->tuple;
	__u64 from = fl_filter_hash_of(v6, &t->saddr);

	if (fl_filter_has_port(from, t->sport, p->proto) &&
	    fl_frontend_is(v6, &t->saddr, t->sport, p->proto))
		return true;
	return fl_filter_kinds(from) & FL_FILTER_VIP && fl_frontend_is(v6, &t->saddr, 0, 0);
}

/*
 * 2.22, 2.24: whether this node stands for an address: for a cluster IP every node does; of the
 * others, which may be some machine's, only where the network brings packets for them here.
 * Global, so that its look-ups are verified once.
 */
int fl_stands_for(bool v6, const struct fl_addr *addr, enum fl_hook hook);

__noinline int fl_stands_for(bool v6, const struct fl_addr *addr, enum fl_hook hook)
{
	return addr && (fl_addr_is_cluster_ip(v6, addr) ||
			(hook == FL_HOOK_INGRESS && fl_addr_is_external(v6, addr)));
}

/* Whether a packet comes from the very address that it is for, which is a Service's and so
 * nobody's: the kernel, which would drop it if the address were its own, sends it on, and if the
 * way leads back here that goes on until its TTL is used up (D7). */
static __always_inline bool fl_source_is_itself(bool v6, const struct fl_tuple6 *t,
						enum fl_hook hook)
{
	return unlikely(fl_addr_equal(&t->saddr, &t->daddr)) && fl_stands_for(v6, &t->daddr, hook);
}

/* A socket of this node that is connected to the sender, at the port that was asked. */
static __always_inline bool fl_own_socket(fl_ctx *ctx, bool v6, const struct fl_tuple6 *t)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = fl_sock_tuple(v6, t, &tuple);
	struct bpf_sock *sk;
	bool connected;

	sk = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	/* one that is bound but not connected gives way to the frontend, as with kube-proxy */
	connected = sk->dst_port == t->sport;
	bpf_sk_release(sk);
	return connected;
}

/* The record of a flow that the node began; `use`: which is in use. */
static __always_inline bool fl_own_flow(const struct fl_tuple6 *answer, __u32 now, bool use)
{
	struct fl_own_key key = {.tuple = *answer};
	__u32 *seen = bpf_map_lookup_elem(&fl_own_flows, &key);
	__s32 idle;

	if (!seen)
		return false;
	idle = now - *seen;
	if (idle > (__s32)fl_config.timeout[FL_TIMEOUT_UDP_ESTABLISHED])
		return false;
	if (use && idle >= (__s32)fl_config.hz)
		*seen = now;
	return true;
}

/*
 * Whether a datagram for a frontend is the answer to one of the node's own. TCP needs no such look:
 * only a SYN opens a flow.
 */
int fl_own_answer(fl_ctx *ctx, const struct fl_packet *p, bool v6, __u32 now);

__noinline int fl_own_answer(fl_ctx *ctx, const struct fl_packet *p, bool v6, __u32 now)
{
	if (!p || p->proto != IPPROTO_UDP ||
	    !(fl_filter_kinds(fl_filter_hash_of(v6, &p->tuple.daddr)) & FL_FILTER_OWN))
		return false;
	if (fl_own_flow(&p->tuple, now, false))
		return true;
	return fl_bound_has(IPPROTO_UDP, p->tuple.dport) && fl_own_socket(ctx, v6, &p->tuple);
}

/* Remember a datagram that leaves from a frontend's address and port, and is of no flow of its. */
static __always_inline void fl_own_note(bool v6, const struct fl_packet *p, __u32 now)
{
	struct fl_own_key key = {};
	struct fl_frontend_packed fe = {};
	struct fl_flow_ref ref;
	__u32 local;

	if (p->proto != IPPROTO_UDP || !(fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE) ||
	    !fl_frontend_find(v6, &p->tuple.saddr, p->tuple.sport, IPPROTO_UDP, false, &local, &fe))
		return;
	fl_tuple_reverse(&p->tuple, &key.tuple);
	/* a backend's answer, translated by another hook, or by the kernel's NAT, which says itself
	 * when that is over */
	if (fl_flow_find(v6, &key.tuple, IPPROTO_UDP,
			 fl_hash_tuple(v6, &key.tuple, IPPROTO_UDP, fl_config.flow_seed[0]),
			 &ref) &&
	    (ref.head->flags & FL_FLOW_KERNEL || !fl_flow_expired(v6, ref.head, ref.word, now)))
		return;
	if (!fl_own_flow(&key.tuple, now, true))
		bpf_map_update_elem(&fl_own_flows, &key, &now, BPF_ANY);
}
