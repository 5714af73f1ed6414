/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turning a packet into the ICMP error that answers it (RFC 792, RFC 4443): the offending IP header
 * and the first eight bytes behind it go back to the sender, from the address that was asked.
 */
#pragma once

#include "bpf/lib/rewrite.bpf.h"

enum {
	FL_ICMP4_CODE_HOST = 1,
	FL_ICMP4_CODE_PORT = 3,
	FL_ICMP4_CODE_FRAG_NEEDED = 4,
	FL_ICMP6_CODE_ADDRESS = 3,
	FL_ICMP6_CODE_PORT = 4,
};

/* What is quoted of the offending packet behind its IP header. */
struct fl_icmp_quote {
	__u8 ports[8];
	__u32 len;    /* bytes; with a pending checksum as many as reach behind it */
	__u16 pseudo; /* what the checksum field holds while the checksum is pending */
	bool pending; /* a device will fill the checksum in, from the L4 header to the end */
};

struct fl_icmp4 {
	struct iphdr ip;
	struct fl_icmp_header icmp;
	struct iphdr inner;
	__u8 ports[8];
};

struct fl_icmp6 {
	struct ipv6hdr ip;
	struct fl_icmp_header icmp;
	struct ipv6hdr inner;
	__u8 ports[8];
};

_Static_assert(sizeof(struct fl_icmp4) == 56 && sizeof(struct fl_icmp6) == 96,
	       "no padding on the wire");

enum fl_icmp_kind {
	FL_ICMP_PORT_UNREACHABLE,
	FL_ICMP_TOO_BIG,
	FL_ICMP_EXPIRED, /* on its way */
	FL_ICMP_HOST_UNREACHABLE,
};

/*
 * The sum of what is quoted. Once a device has filled the checksum in, the bytes it covers add up
 * to the complement of what the field held before.
 */
static __always_inline __u64 fl_icmp_quote_sum(const struct fl_icmp_quote *q)
{
	const __u32 *ports = (const void *)q->ports;

	return q->pending ? (__u16)~q->pseudo : (__u64)ports[0] + ports[1];
}

static __always_inline int fl_icmp_answer4(fl_ctx *ctx, const struct fl_packet *p,
					   const struct fl_icmp_quote *q, enum fl_icmp_kind kind,
					   __u32 mtu)
{
	const __u32 summed = offsetof(struct fl_icmp4, ports) - offsetof(struct fl_icmp4, icmp);
	struct fl_icmp4 *h;
	void *data;
	__u64 sum;

	data = fl_ctx_data(ctx);
	if (data + FL_ETH_LEN + sizeof(*h) > fl_ctx_data_end(ctx))
		return -1;
	h = data + FL_ETH_LEN;
	__builtin_memset(h, 0, sizeof(h->ip) + sizeof(h->icmp));
	h->ip.version = 4;
	h->ip.ihl = 5;
	h->ip.tot_len = bpf_htons(offsetof(struct fl_icmp4, ports) + q->len);
	h->ip.ttl = FL_ICMP_TTL;
	h->ip.protocol = IPPROTO_ICMP;
	h->ip.saddr = p->tuple.daddr.w[3];
	h->ip.daddr = p->tuple.saddr.w[3];
	if (kind == FL_ICMP_EXPIRED) {
		h->icmp.type = FL_ICMP4_TIME_EXCEEDED;
	} else if (kind == FL_ICMP_TOO_BIG) {
		h->icmp.type = FL_ICMP4_UNREACHABLE;
		h->icmp.code = FL_ICMP4_CODE_FRAG_NEEDED;
		h->icmp.info = bpf_htonl(mtu);
	} else {
		h->icmp.type = FL_ICMP4_UNREACHABLE;
		h->icmp.code =
			kind == FL_ICMP_HOST_UNREACHABLE ? FL_ICMP4_CODE_HOST : FL_ICMP4_CODE_PORT;
	}
	h->ip.check = ~fl_csum_fold16(bpf_csum_diff(NULL, 0, (__be32 *)&h->ip, sizeof(h->ip), 0));
	__builtin_memcpy(h->ports, q->ports, sizeof(h->ports));
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&h->icmp, summed, 0);
	h->icmp.checksum = ~fl_csum_fold16(sum + fl_icmp_quote_sum(q));
	return 0;
}

static __always_inline int fl_icmp_answer6(fl_ctx *ctx, const struct fl_packet *p,
					   const struct fl_icmp_quote *q, enum fl_icmp_kind kind,
					   __u32 mtu)
{
	const __u32 summed = offsetof(struct fl_icmp6, ports) - offsetof(struct fl_icmp6, icmp);
	struct fl_icmp6 *h;
	__u64 sum;
	void *data;

	data = fl_ctx_data(ctx);
	if (data + FL_ETH_LEN + sizeof(*h) > fl_ctx_data_end(ctx))
		return -1;
	h = data + FL_ETH_LEN;
	__builtin_memset(h, 0, sizeof(h->ip) + sizeof(h->icmp));
	h->ip.version = 6;
	h->ip.payload_len = bpf_htons(summed + q->len);
	h->ip.hop_limit = FL_ICMP_TTL;
	h->ip.nexthdr = IPPROTO_ICMPV6;
	__builtin_memcpy(&h->ip.saddr, &p->tuple.daddr, 16);
	__builtin_memcpy(&h->ip.daddr, &p->tuple.saddr, 16);
	if (kind == FL_ICMP_EXPIRED) {
		h->icmp.type = FL_ICMP6_TIME_EXCEEDED;
	} else if (kind == FL_ICMP_TOO_BIG) {
		h->icmp.type = FL_ICMP6_TOO_BIG;
		h->icmp.info = bpf_htonl(mtu);
	} else {
		h->icmp.type = FL_ICMP6_UNREACHABLE;
		h->icmp.code = kind == FL_ICMP_HOST_UNREACHABLE ? FL_ICMP6_CODE_ADDRESS
								: FL_ICMP6_CODE_PORT;
	}
	__builtin_memcpy(h->ports, q->ports, sizeof(h->ports));
	/* pseudo header: both addresses, length, next header */
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&h->ip.saddr, 32, 0);
	sum += bpf_htonl(summed + q->len) + (__u64)bpf_htonl(IPPROTO_ICMPV6);
	sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&h->icmp, summed, 0);
	h->icmp.checksum = ~fl_csum_fold16(sum + fl_icmp_quote_sum(q));
	return 0;
}

/* Read what will be quoted of a flow's packet. This may cut off the end of the packet. */
static __always_inline int fl_icmp_quote(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					 struct fl_icmp_quote *ret_q)
{
	void *data = fl_ctx_data(ctx), *data_end = fl_ctx_data_end(ctx);
	const __u32 l4_off = fl_l4_offset(v6);
	__u16 *check;

	ret_q->len = sizeof(struct udphdr);
	if (fl_l4_check(data, data_end, l4_off, p->proto, &check))
		return -1;
	ret_q->pseudo = *check;
	__builtin_memcpy(ret_q->ports, data + l4_off, sizeof(ret_q->ports));
	ret_q->pending = fl_ctx_sum_pending(ctx, l4_off + sizeof(ret_q->ports) - 1);
	if (ret_q->pending && p->proto == IPPROTO_TCP)
		ret_q->len = sizeof(struct tcphdr);
	return 0;
}

/* Turn the packet into the answer to itself, MAC addresses swapped. -1: it may be damaged, and must
 * be dropped. */
static __always_inline int fl_icmp_answer(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  enum fl_icmp_kind kind, __u32 mtu)
{
	const __u32 grow = v6 ? sizeof(struct ipv6hdr) + sizeof(struct fl_icmp_header)
			      : sizeof(struct iphdr) + sizeof(struct fl_icmp_header);
	struct fl_icmp_quote q;
	__u8 macs[12];
	void *data = fl_ctx_data(ctx);

	if (data + FL_ETH_LEN > fl_ctx_data_end(ctx))
		return -1;
	__builtin_memcpy(macs, data, 12);
	/* room in front for the new header; the old Ethernet header's place becomes part of it */
	if (fl_icmp_quote(ctx, v6, p, &q) || fl_ctx_reshape(ctx, fl_l4_offset(v6) + q.len, grow))
		return -1;
	data = fl_ctx_data(ctx);
	if (data + FL_ETH_LEN > fl_ctx_data_end(ctx))
		return -1;
	__builtin_memcpy(data, macs + 6, 6);
	__builtin_memcpy(data + 6, macs, 6);
	*(__be16 *)(data + 12) = bpf_htons(v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP);
	return v6 ? fl_icmp_answer6(ctx, p, &q, kind, mtu) : fl_icmp_answer4(ctx, p, &q, kind, mtu);
}
