/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a packet may be the datapath's concern at all: a few bits, before any table is looked
 * into. bpf/abi/filter.h says what they stand for.
 */
#pragma once

#include "bpf/lib/packet.bpf.h"
#include "bpf/lib/packet_maps.bpf.h"

/* The word of a bit; there is no bit beyond the last. */
static __always_inline struct fl_filter_word *fl_filter_word(__u64 bit)
{
	return &fl_filter[bit / 64 & (FL_FILTER_WORDS - 1)];
}

/* The half that is read. Either has all bits that a packet needs, so two looks may differ in it. */
static __always_inline __u64 fl_filter_read(const struct fl_filter_word *word)
{
	return READ_ONCE(word->half[fl_meta_get()->filter_half & 1]);
}

/* The bit and those above it in its word. */
static __always_inline __u64 fl_filter_get(__u64 bit)
{
	return fl_filter_read(fl_filter_word(bit)) >> (bit & 63);
}

static __always_inline bool fl_filter_has_port(__u64 hash, __be16 port, __u8 proto)
{
	return fl_filter_get(fl_filter_port(hash, port, proto)) & 1;
}

/* enum fl_filter_kind of an address; what is not set is certain. */
static __always_inline __u32 fl_filter_kinds(__u64 hash)
{
	return fl_filter_get(fl_filter_addr(hash)) & 3;
}

static __always_inline __u64 fl_filter_hash_of(bool v6, const struct fl_addr *addr)
{
	return fl_filter_hash(v6, addr, fl_config.flow_seed[1]);
}

/* first: 0, or FL_BOUND_WORDS for node ports. */
static __always_inline bool fl_own_port_has(__u32 first, __u8 proto, __be16 port)
{
	__u32 host_port = bpf_ntohs(port), at = first + FL_BOUND_WORD(proto, host_port);
	struct fl_filter_word *word = bpf_map_lookup_elem(&fl_own_ports, &at);

	return word && fl_filter_read(word) >> (host_port & 63) & 1;
}

/*
 * A packet that arrives is ours by its destination, or as the reply of a backend that sees the
 * client's own address.
 */
static __always_inline bool fl_filter_arriving(bool v6, const struct fl_packet *p)
{
	const struct fl_tuple6 *t = &p->tuple;
	__u64 to = fl_filter_hash_of(v6, &t->daddr);
	__u32 kinds;

	if (likely(fl_filter_has_port(to, t->dport, p->proto)))
		return true;
	kinds = fl_filter_kinds(to);
	if (kinds & FL_FILTER_VIP)
		return true;
	if (kinds && fl_own_port_has(0, p->proto, t->dport))
		return true;
	return fl_filter_has_port(fl_filter_hash_of(v6, &t->saddr), t->sport, p->proto);
}

/* One that leaves is ours by its source, or for what its destination is refused. */
static __always_inline bool fl_filter_leaving(bool v6, const struct fl_packet *p)
{
	const struct fl_tuple6 *t = &p->tuple;
	__u64 from = fl_filter_hash_of(v6, &t->saddr), to;

	if (likely(fl_filter_has_port(from, t->sport, p->proto)))
		return true;
	to = fl_filter_hash_of(v6, &t->daddr);
	if (fl_filter_has_port(to, t->dport, p->proto) ||
	    (fl_packet_opens(p) && fl_filter_kinds(to) & FL_FILTER_VIP))
		return true;
	return p->proto == IPPROTO_UDP && fl_own_port_has(FL_BOUND_WORDS, p->proto, t->sport) &&
	       fl_filter_kinds(from) & FL_FILTER_OWN;
}

static __always_inline void fl_filter_set_in(struct fl_filter_word *word, __u64 mask)
{
	for (int half = 0; half < 2; half++)
		if (!(READ_ONCE(word->half[half]) & mask))
			__sync_fetch_and_or(&word->half[half], mask);
}

static __always_inline void fl_filter_set(__u32 bit)
{
	fl_filter_set_in(fl_filter_word(bit), 1ULL << (bit & 63));
}

/* Before a flow can be seen: its replies will come from this backend. */
static __always_inline void fl_filter_add_backend(bool v6, const struct fl_addr *addr, __be16 port,
						  __u8 proto)
{
	fl_filter_set(fl_filter_port(fl_filter_hash_of(v6, addr), port, proto));
}

/* Before a flow can be seen: its replies will come to this address and port of ours. */
static __always_inline void fl_filter_add_source(bool v6, const struct fl_addr *addr, __be16 port,
						 __u8 proto)
{
	__u32 host_port = bpf_ntohs(port), at = FL_BOUND_WORD(proto, host_port);
	struct fl_filter_word *word = bpf_map_lookup_elem(&fl_own_ports, &at);

	fl_filter_set(fl_filter_addr(fl_filter_hash_of(v6, addr)));
	if (word)
		fl_filter_set_in(word, 1ULL << (host_port & 63));
}
