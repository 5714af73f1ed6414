/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Odd packets: those of TCP and UDP whose header is not right behind a plain IP header. These are
 * fragments, IPv4 packets with options, and IPv6 packets with extension headers. The fast path does
 * not know them, XDP leaves them to tc, and that takes them apart (odd_parse.bpf.h).
 */
#pragma once

#include "bpf/lib/filter.bpf.h"

enum {
	FL_IP6_HOP_BY_HOP = 0,
	FL_IP6_DESTINATION = 60,
};

/* How it came: what one hook has translated, another may see again, and what goes on encapsulated
 * to another node must not be taken for what has come so. */
enum fl_odd_side {
	FL_ODD_ARRIVES,
	FL_ODD_LEAVES,
	FL_ODD_UNPACKED, /* from another node, without its outer header by now */
};

/* How an odd packet lies in its frame. */
struct fl_odd {
	__u32 id;	     /* of the datagram that a fragment is of */
	__u16 at;	     /* bytes of the datagram before this fragment */
	__u16 size;	     /* bytes of it in this packet: TCP or UDP, and what that carries */
	__u16 header;	     /* IPv6: where the fragment header is; 0 none */
	__u8 fragment, more; /* it is one; others follow it */
	__u32 new_id;	     /* what the number becomes */
	__u32 hash;	     /* of the flow, for an outer header */
	__u8 side;	     /* enum fl_odd_side */
	__u8 pad[3];
	__s32 place;  /* of the record of a first fragment, for which others may wait; or -1 */
	__u64 record; /* fl_frag_name() of that */
};

/* Whether a packet that fl_packet_parse_key() refused is such a one. */
static __always_inline bool fl_packet_is_odd(void *data, void *data_end, bool v6)
{
	if (v6) {
		struct ipv6hdr *ip = data + FL_L3;

		return (void *)(ip + 1) <= data_end && ip->version == 6 &&
		       (ip->nexthdr == IPPROTO_FRAGMENT || ip->nexthdr == FL_IP6_HOP_BY_HOP ||
			ip->nexthdr == FL_IP6_DESTINATION);
	} else {
		struct iphdr *ip = data + FL_L3;

		return (void *)(ip + 1) <= data_end && ip->version == 4 &&
		       (ip->ihl > 5 || ip->frag_off & bpf_htons(FL_IP4_FRAGMENT)) &&
		       (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP);
	}
}

/*
 * Whether addresses alone may make it the datapath's concern: those of a Service or of this node,
 * or of a backend, whose replies are translated. Later fragments have nothing else to go by.
 */
static __always_inline bool fl_odd_concerns(bool v6, const struct fl_tuple6 *t, bool leaving)
{
	const __u32 kinds = fl_filter_kinds(fl_filter_hash_of(v6, &t->daddr));

	if (leaving ? kinds & FL_FILTER_VIP : kinds)
		return true;
	return fl_filter_get(fl_filter_backend(fl_filter_hash_of(v6, &t->saddr))) & 1;
}

/* Both, of a frame that arrives. */
static __always_inline bool fl_odd_arrives(void *data, void *data_end, bool v6)
{
	struct fl_packet p;

	if (!fl_packet_is_odd(data, data_end, v6))
		return false;
	fl_packet_read_l3(data + FL_L3, v6, &p);
	return fl_odd_concerns(v6, &p.tuple, false);
}
