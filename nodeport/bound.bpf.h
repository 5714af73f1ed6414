/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ports that sockets of the node are bound to: written by the bind hooks (and by nodeport/bound.c
 * for sockets that the hooks have not seen), read where a source port is chosen. And how the kernel
 * is asked for such a socket.
 */
#pragma once

#include "bpf/lib/maps.bpf.h"

/* host_port: in host byte order. */
static __always_inline void fl_bound_add(__u8 proto, __u32 host_port)
{
	__u32 at = FL_BOUND_WORD(proto, host_port);
	__u64 *word = bpf_map_lookup_elem(&fl_bound_ports, &at), bit = 1ULL << (host_port & 63);

	if (word && !(READ_ONCE(*word) & bit))
		__sync_fetch_and_or(word, bit);
}

/* Whether a socket of this node may have this port; true as well while the bits are out of date. */
static __always_inline bool fl_bound_has(__u8 proto, __be16 port)
{
	__u32 host_port = bpf_ntohs(port), at = FL_BOUND_WORD(proto, host_port), stamp, hz, age;
	__u64 *word = bpf_map_lookup_elem(&fl_bound_ports, &at);
	struct fl_meta *meta = fl_meta_get();

	if (!word)
		return true;
	hz = fl_config.hz;
	stamp = READ_ONCE(meta->bound_ports_stamp);
	age = fl_now() - stamp + hz; /* another CPU's clock may be ahead */
	return !stamp || age > (FL_BOUND_PORTS_S + 1) * hz ||
	       READ_ONCE(*word) >> (host_port & 63) & 1;
}

/* A tuple as the kernel's socket look-ups take it; returns how long that is. *ret_t is zero. */
static __always_inline __u32 fl_sock_tuple(bool v6, const struct fl_tuple6 *t,
					   struct bpf_sock_tuple *ret_t)
{
	if (v6) {
		__builtin_memcpy(ret_t->ipv6.saddr, &t->saddr, 16);
		__builtin_memcpy(ret_t->ipv6.daddr, &t->daddr, 16);
		ret_t->ipv6.sport = t->sport;
		ret_t->ipv6.dport = t->dport;
		return sizeof(ret_t->ipv6);
	}
	ret_t->ipv4.saddr = t->saddr.w[3];
	ret_t->ipv4.daddr = t->daddr.w[3];
	ret_t->ipv4.sport = t->sport;
	ret_t->ipv4.dport = t->dport;
	return sizeof(ret_t->ipv4);
}
