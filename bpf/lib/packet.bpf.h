/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parsing: from bytes to what kind of packet this is, where its headers lie, and the tuple of one
 * that can be part of a flow. Frames are Ethernet without a VLAN tag.
 */
#pragma once

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/lib/csum.bpf.h"

enum fl_tcp_flags {
	FL_TCP_FIN = 1 << 0,
	FL_TCP_SYN = 1 << 1,
	FL_TCP_RST = 1 << 2,
	FL_TCP_ACK = 1 << 4,
};

#define FL_ICMP_TTL 64 /* of messages of ours */

/* The kernel's ICMP headers pull in libc's socket headers, which have no BPF flavour. */
struct fl_icmp_header {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 info; /* MTU; IPv4 has it in the lower half */
};

enum {
	FL_ICMP4_ECHO_REPLY = 0,
	FL_ICMP4_UNREACHABLE = 3,
	FL_ICMP4_SOURCE_QUENCH = 4,
	FL_ICMP4_ECHO = 8,
	FL_ICMP4_TIME_EXCEEDED = 11,
	FL_ICMP4_PARAMETER_PROBLEM = 12,
	FL_ICMP6_UNREACHABLE = 1,
	FL_ICMP6_TOO_BIG = 2,
	FL_ICMP6_TIME_EXCEEDED = 3,
	FL_ICMP6_INFORMATIONAL = 128, /* and all above; errors are below */
	FL_ICMP6_ECHO = 128,
	FL_ICMP6_ECHO_REPLY = 129,
};

struct fl_ip6_fragment {
	__u8 nexthdr;
	__u8 reserved;
	__be16 offset_flags;
	__be32 id;
};

/* Of frag_off. */
#define FL_IP4_DF 0x4000
#define FL_IP4_MF 0x2000
#define FL_IP4_FRAGMENT 0x3fff /* the offset, and "more fragments" */

enum fl_packet_kind {
	FL_PACKET_OTHER, /* nothing that the datapath knows; passes unchanged */
	FL_PACKET_FLOW,	 /* TCP or UDP with both ports: the only kind that the fast path takes */
	FL_PACKET_ICMP_ERROR, /* quotes the packet that it is about */
	FL_PACKET_ECHO,	      /* asks for an answer */
	FL_PACKET_FRAGMENT,   /* the first, or a later one; of whatever protocol */
};

/*
 * IPv4 addresses are in their mapped form, so w[3] alone tells them apart. Of another kind than a
 * flow the ports, the flags and `headers` are 0; of FL_PACKET_OTHER nothing can be relied upon.
 */
struct fl_packet {
	struct fl_tuple6 tuple;
	__u32 len;	/* of the IP packet, bytes */
	__u32 seq, ack; /* TCP, host byte order */
	__u8 proto;	/* behind the IP header, and behind the fragment header of IPv6 */
	__u8 tcp_flags; /* enum fl_tcp_flags; 0 for UDP */
	__u8 ttl;
	__u8 headers;	/* bytes, IP and L4 */
	__u8 kind;	/* enum fl_packet_kind */
	__u8 l3, l4;	/* where the headers begin in the frame */
	__u8 divisible; /* IPv4 without DF: a router may send it on in fragments */
};

#define FL_L3 FL_ETH_LEN /* where the IP header begins */

/* In front of a packet (XDP metadata): the tc program behind the XDP program is to handle it. */
#define FL_CTX_MARK 0x464c5443 /* "FLTC" */

/* Where TCP or UDP begins in a packet of a flow: there are no options or extension headers. */
static __always_inline __u32 fl_l4_offset(bool v6)
{
	return FL_L3 + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* Whether this may be the first packet of a flow. */
static __always_inline bool fl_packet_opens(const struct fl_packet *p)
{
	const __u8 flags = FL_TCP_SYN | FL_TCP_ACK | FL_TCP_RST | FL_TCP_FIN;

	return p->proto == IPPROTO_UDP || (p->tcp_flags & flags) == FL_TCP_SYN;
}

static __always_inline void fl_ports_set(struct fl_tuple6 *t, __u32 ports)
{
	*(fl_two_ports *)&t->sport = ports;
}

/* What the IP header says, whose fixed part is readable: all but fl_packet_read_hop(). */
static __always_inline void fl_packet_read_l3(void *l3, bool v6, struct fl_packet *p)
{
	if (v6) {
		struct ipv6hdr *ip = l3;

		p->proto = ip->nexthdr;
		p->len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
		__builtin_memcpy(&p->tuple.saddr, &ip->saddr, 16);
		__builtin_memcpy(&p->tuple.daddr, &ip->daddr, 16);
	} else {
		struct iphdr *ip = l3;

		p->proto = ip->protocol;
		p->len = bpf_ntohs(ip->tot_len);
		fl_addr_map4(&p->tuple.saddr);
		fl_addr_map4(&p->tuple.daddr);
		p->tuple.saddr.w[3] = ip->saddr;
		p->tuple.daddr.w[3] = ip->daddr;
	}
	p->l3 = FL_L3;
}

/* What the IP header says to routers. */
static __always_inline void fl_packet_read_hop(void *l3, bool v6, struct fl_packet *p)
{
	if (v6) {
		p->ttl = ((struct ipv6hdr *)l3)->hop_limit;
		p->divisible = 0;
	} else {
		struct iphdr *ip = l3;

		p->ttl = ip->ttl;
		p->divisible = !(ip->frag_off & bpf_htons(FL_IP4_DF));
	}
}

/*
 * What may be a packet of a flow, by its IP header: no IPv4 options, fragments, IPv6 extension
 * headers, and all of a UDP header readable. `len`: of the whole frame, of which data to data_end
 * is what can be read. False: another kind.
 */
static __always_inline bool fl_packet_parse_ip(void *data, void *data_end, __u32 len, bool merged,
					       bool v6, struct fl_packet *p)
{
	void *l3 = data + FL_L3, *l4 = data + fl_l4_offset(v6);

	if (l4 + sizeof(struct udphdr) > data_end)
		return false;
	if (v6) {
		if (((struct ipv6hdr *)l3)->version != 6)
			return false;
	} else {
		if (*(__u8 *)l3 != 0x45 ||
		    ((struct iphdr *)l3)->frag_off & bpf_htons(FL_IP4_FRAGMENT))
			return false;
	}
	fl_packet_read_l3(l3, v6, p);
	/* BIG TCP: more than the header's 16 bits can say */
	if (!v6 && merged && !p->len)
		p->len = len - FL_L3;
	p->kind = FL_PACKET_FLOW;
	p->l4 = fl_l4_offset(v6);
	fl_ports_set(&p->tuple, *(__u32 *)l4);
	return true;
}

/*
 * The rest that finding a flow needs, of one of the two protocols; false also of a header that is
 * longer than the packet. fl_packet_read_hop() and
 * fl_packet_read_l4() read what would only be in the way of the fast path's few registers here.
 */
static __always_inline bool fl_packet_parse_key(void *data, void *data_end, __u32 len, bool v6,
						__u8 proto, struct fl_packet *p)
{
	void *l4 = data + fl_l4_offset(v6);
	__u32 need = fl_l4_offset(v6) - FL_L3;

	p->proto = proto;
	p->tcp_flags = 0;
	if (proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > data_end)
			return false;
		p->tcp_flags = ((__u8 *)l4)[13];
		/* D1: the header says how long it is, with its options */
		if (((__u8 *)l4)[12] >> 4 < sizeof(struct tcphdr) / 4)
			return false;
		need += (((__u8 *)l4)[12] >> 4) * 4;
	} else {
		need += sizeof(struct udphdr);
	}
	return p->len >= need && FL_L3 + p->len <= len;
}

/*
 * What TCP or UDP says of such a packet besides. again: look once more how long it is, where the
 * protocol may have been spilled: to verifiers before 6.10 it is another one then.
 */
static __always_inline void fl_packet_read_l4(void *data, void *data_end, bool again, bool v6,
					      struct fl_packet *p)
{
	void *l4 = data + fl_l4_offset(v6), *end = l4 + sizeof(struct tcphdr);

	if (p->proto == IPPROTO_TCP) {
		if (again) {
			/* or the compiler, which knows better, drops it */
			asm volatile("" : "+r"(end));
			if (end > data_end)
				return;
		}
		p->seq = bpf_ntohl(((__be32 *)l4)[1]);
		p->ack = bpf_ntohl(((__be32 *)l4)[2]);
		p->headers = fl_l4_offset(v6) - FL_L3 + (((__u8 *)l4)[12] >> 4) * 4;
	} else {
		p->seq = 0;
		p->ack = 0;
		p->headers = fl_l4_offset(v6) - FL_L3 + sizeof(struct udphdr);
	}
	/* the compiler knows that nobody asks for these of UDP, and would leave anything there */
	if (again) {
		p->seq = fl_opaque(p->seq);
		p->ack = fl_opaque(p->ack);
	}
}

/* All of it, for a packet that has ports, as that of a flow has. */
static __always_inline bool fl_packet_parse_flow(void *data, void *data_end, __u32 len, bool merged,
						 bool v6, struct fl_packet *p)
{
	if (!fl_packet_parse_ip(data, data_end, len, merged, v6, p) ||
	    (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP) ||
	    !fl_packet_parse_key(data, data_end, len, v6, p->proto, p) || !p->tuple.sport ||
	    !p->tuple.dport)
		return false;
	fl_packet_read_hop(data + FL_L3, v6, p);
	fl_packet_read_l4(data, data_end, true, v6, p);
	return true;
}

/* Whether ICMP follows the IP header: these packets are no flow's. */
static __always_inline bool fl_packet_is_icmp(void *data, void *data_end, bool v6)
{
	const __u32 at =
		FL_L3 + (v6 ? offsetof(struct ipv6hdr, nexthdr) : offsetof(struct iphdr, protocol));

	return data + at < data_end && *(__u8 *)(data + at) == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/*
 * Messages of RFC 792 and RFC 4443: errors, which are about another packet, and echo requests. A
 * redirect is a router's word to this node alone, and its stack's matter.
 */
static __always_inline enum fl_packet_kind fl_icmp_kind_of(bool v6, __u8 type)
{
	const __u32 errors = 1 << FL_ICMP4_UNREACHABLE | 1 << FL_ICMP4_SOURCE_QUENCH |
			     1 << FL_ICMP4_TIME_EXCEEDED | 1 << FL_ICMP4_PARAMETER_PROBLEM;

	if (type == (v6 ? FL_ICMP6_ECHO : FL_ICMP4_ECHO))
		return FL_PACKET_ECHO;
	if (v6 ? type < FL_ICMP6_INFORMATIONAL : type < 32 && errors >> type & 1)
		return FL_PACKET_ICMP_ERROR;
	return FL_PACKET_OTHER;
}

/*
 * A packet that is no flow's. Options of IPv4 are stepped over; in IPv6 only a fragment header that
 * comes first is, since routers put no other headers into what they fragment or send as errors.
 */
static __always_inline enum fl_packet_kind
fl_packet_parse_rest(void *data, void *data_end, __u32 len, bool v6, struct fl_packet *p)
{
	void *l3 = data + FL_L3, *l4;
	bool fragment = false;
	__u32 size;

	if (v6) {
		struct ipv6hdr *ip = l3;

		if ((void *)(ip + 1) > data_end || ip->version != 6)
			return FL_PACKET_OTHER;
		fl_packet_read_l3(l3, true, p);
		fl_packet_read_hop(l3, true, p);
		size = sizeof(*ip);
		if (p->proto == IPPROTO_FRAGMENT) {
			struct fl_ip6_fragment *f = (void *)(ip + 1);

			if ((void *)(f + 1) > data_end)
				return FL_PACKET_OTHER;
			p->proto = f->nexthdr;
			size += sizeof(*f);
			fragment = true;
		}
	} else {
		struct iphdr *ip = l3;

		if ((void *)(ip + 1) > data_end || ip->version != 4)
			return FL_PACKET_OTHER;
		fl_packet_read_l3(l3, false, p);
		fl_packet_read_hop(l3, false, p);
		size = ip->ihl * 4;
		if (size < sizeof(*ip))
			return FL_PACKET_OTHER;
		fragment = ip->frag_off & bpf_htons(FL_IP4_FRAGMENT);
	}
	if (p->len < size || FL_L3 + p->len > len)
		return FL_PACKET_OTHER;
	p->l4 = FL_L3 + size;
	fl_ports_set(&p->tuple, 0);
	p->tcp_flags = 0;
	p->headers = 0;
	if (fragment)
		return FL_PACKET_FRAGMENT;
	l4 = l3 + size;
	if (p->proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
	    p->len < size + sizeof(struct fl_icmp_header) ||
	    l4 + sizeof(struct fl_icmp_header) > data_end)
		return FL_PACKET_OTHER;
	return fl_icmp_kind_of(v6, ((struct fl_icmp_header *)l4)->type);
}

/* Arguments as above; returns p->kind. */
static __always_inline enum fl_packet_kind
fl_packet_parse(void *data, void *data_end, __u32 len, bool merged, bool v6, struct fl_packet *p)
{
	if (!fl_packet_parse_flow(data, data_end, len, merged, v6, p))
		p->kind = fl_packet_parse_rest(data, data_end, len, v6, p);
	return p->kind;
}

/*
 * Addresses that no packet from a network may have: the kernel drops it, we must not forward it. A
 * mapped destination in IPv6 would find the frontends of IPv4. A sender that writes to itself from
 * afar would have the answer come back as another question, for ever where the service answers
 * anything.
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

/*
 * Whether the L4 checksum of a flow's packet is still to be filled in by a device: the field then
 * holds the folded sum of the pseudo header (CHECKSUM_PARTIAL in the kernel). One finished checksum
 * in 65,536 looks the same.
 */
static __always_inline bool fl_packet_sum_unfinished(void *data, void *data_end, bool v6,
						     const struct fl_packet *p)
{
	const struct fl_addr *from = &p->tuple.saddr, *to = &p->tuple.daddr;
	const __u32 l4 = fl_l4_offset(v6);
	__u16 *check = data + l4 +
		       (p->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check)
						: offsetof(struct udphdr, check));
	__u64 sum = (__u64)from->w[3] + to->w[3] + bpf_htonl(p->len - (l4 - FL_L3)) +
		    bpf_htonl(p->proto);

	if (v6)
		sum += (__u64)from->w[0] + from->w[1] + from->w[2] + to->w[0] + to->w[1] + to->w[2];
	if ((void *)(check + 1) > data_end)
		return false;
	return *check == fl_csum_fold16(sum);
}
