/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parsing: from bytes to a tuple. Only what the datapath understands in full gets one (TCP and UDP,
 * no IPv4 options, no fragments, no IPv6 extension headers); everything else is not ours and passes
 * unchanged.
 */
#pragma once

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/lib/base.bpf.h"

enum fl_tcp_flags {
	FL_TCP_FIN = 1 << 0,
	FL_TCP_SYN = 1 << 1,
	FL_TCP_RST = 1 << 2,
	FL_TCP_ACK = 1 << 4,
};

/* IPv4 addresses are in their mapped form, so w[3] alone tells them apart. */
struct fl_packet {
	struct fl_tuple6 tuple;
	__u32 len; /* of the IP packet, bytes */
	__u8 proto;
	__u8 tcp_flags; /* enum fl_tcp_flags; 0 for UDP */
	__u8 ttl;
	__u8 headers; /* bytes, IP and L4 */
};

static __always_inline __u32 fl_l4_offset(bool v6)
{
	return FL_ETH_LEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* Whether this may be the first packet of a flow. */
static __always_inline bool fl_packet_opens(const struct fl_packet *p)
{
	return p->proto == IPPROTO_UDP || (p->tcp_flags & (FL_TCP_SYN | FL_TCP_ACK)) == FL_TCP_SYN;
}

/* Both ports as they lie in the header. */
static __always_inline __u32 fl_ports(const struct fl_tuple6 *t)
{
	return *(const __u32 *)&t->sport;
}

static __always_inline void fl_ports_set(struct fl_tuple6 *t, __u32 ports)
{
	*(__u32 *)&t->sport = ports;
}

/* `len`: of the whole packet, of which data to data_end is what can be read. 0, or -1: not for us.
 */
static __always_inline int fl_packet_parse(void *data, void *data_end, __u32 len, bool v6,
					   struct fl_packet *p)
{
	void *l4 = data + fl_l4_offset(v6);
	__u32 l3_len, need;

	/* both L4 headers are at least this long */
	if (l4 + sizeof(struct udphdr) > data_end)
		return -1;
	if (v6) {
		struct ipv6hdr *ip = data + FL_ETH_LEN;

		if (ip->version != 6)
			return -1;
		p->proto = ip->nexthdr;
		p->ttl = ip->hop_limit;
		l3_len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
		__builtin_memcpy(&p->tuple.saddr, &ip->saddr, 16);
		__builtin_memcpy(&p->tuple.daddr, &ip->daddr, 16);
		need = sizeof(*ip);
	} else {
		struct iphdr *ip = data + FL_ETH_LEN;

		if (*(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff))
			return -1;
		p->proto = ip->protocol;
		p->ttl = ip->ttl;
		l3_len = bpf_ntohs(ip->tot_len);
		fl_addr_map4(&p->tuple.saddr);
		fl_addr_map4(&p->tuple.daddr);
		p->tuple.saddr.w[3] = ip->saddr;
		p->tuple.daddr.w[3] = ip->daddr;
		need = sizeof(*ip);
	}
	p->len = l3_len;
	fl_ports_set(&p->tuple, *(__u32 *)l4);
	if (p->proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > data_end)
			return -1;
		p->tcp_flags = ((__u8 *)l4)[13];
		p->headers = need + (((__u8 *)l4)[12] >> 4) * 4;
		need += sizeof(struct tcphdr);
	} else if (p->proto == IPPROTO_UDP) {
		p->tcp_flags = 0;
		need += sizeof(struct udphdr);
		p->headers = need;
	} else {
		return -1;
	}
	if (!p->tuple.sport || !p->tuple.dport || l3_len < need || FL_ETH_LEN + l3_len > len)
		return -1;
	return 0;
}

/*
 * Addresses that no packet from a network may have: the kernel drops it, we must not forward it. A
 * mapped destination in IPv6 would find the frontends of IPv4. Whoever writes to itself from afar
 * would have the answer come back as another question, for ever where the service answers anything.
 */
static __always_inline bool fl_packet_martian(bool v6, const struct fl_tuple6 *t)
{
	if (v6) {
		__u32 first = bpf_ntohl(t->saddr.w[0]);

		if (first >> 24 == 0xff || first >> 22 == 0xfe80 >> 6)
			return true;
		if (fl_addr_is_mapped(&t->saddr) || fl_addr_is_mapped(&t->daddr) ||
		    fl_addr_equal(&t->saddr, &t->daddr))
			return true;
		/* ::, ::1 and the like */
		return !(t->saddr.w[0] | t->saddr.w[1] | t->saddr.w[2]);
	} else {
		__u32 a = bpf_ntohl(t->saddr.w[3]);

		return a >> 24 == 0 || a >> 24 == 127 || a >> 28 == 0xe || a == 0xffffffff ||
		       a >> 16 == 0xa9fe || t->saddr.w[3] == t->daddr.w[3];
	}
}
