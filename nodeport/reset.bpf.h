/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turning a TCP segment into the reset that answers it (RFC 9293, 3.10.7.1), from the address and
 * port that was asked. Its number is the one that the segment acknowledges, so that the sender
 * takes it as the next of this direction (RFC 5961, 3.2).
 */
#pragma once

#include "bpf/lib/rewrite.bpf.h"
#include "conntrack/track.bpf.h"

struct fl_reset4 {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct fl_reset6 {
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

_Static_assert(sizeof(struct fl_reset4) == 40 && sizeof(struct fl_reset6) == 60,
	       "no padding on the wire");

static __always_inline void fl_reset_tcp(const struct fl_packet *p, struct tcphdr *tcp)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = p->tuple.dport;
	tcp->dest = p->tuple.sport;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (p->tcp_flags & FL_TCP_ACK) {
		tcp->seq = bpf_htonl(p->ack);
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(fl_packet_seq_end(p));
	}
}

/* Both addresses, protocol and length; a device that is to fill the sum in adds the header. */
static __always_inline void fl_reset_sum(struct tcphdr *tcp, const void *addrs, __u32 addrs_len,
					 bool pending)
{
	__u64 sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)addrs, addrs_len, 0);

	sum += bpf_htonl(sizeof(*tcp)) + (__u64)bpf_htonl(IPPROTO_TCP);
	if (pending) {
		tcp->check = fl_csum_fold16(sum);
		return;
	}
	sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)tcp, sizeof(*tcp), 0);
	tcp->check = ~fl_csum_fold16(sum);
}

static __always_inline int fl_reset_write4(fl_ctx *ctx, const struct fl_packet *p, bool pending)
{
	struct fl_reset4 *h = fl_ctx_data(ctx) + FL_ETH_LEN;

	if ((void *)(h + 1) > fl_ctx_data_end(ctx))
		return -1;
	__builtin_memset(&h->ip, 0, sizeof(h->ip));
	h->ip.version = 4;
	h->ip.ihl = 5;
	h->ip.tot_len = bpf_htons(sizeof(*h));
	h->ip.frag_off = bpf_htons(FL_IP4_DF);
	h->ip.ttl = 64;
	h->ip.protocol = IPPROTO_TCP;
	h->ip.saddr = p->tuple.daddr.w[3];
	h->ip.daddr = p->tuple.saddr.w[3];
	h->ip.check = ~fl_csum_fold16(bpf_csum_diff(NULL, 0, (__be32 *)&h->ip, sizeof(h->ip), 0));
	fl_reset_tcp(p, &h->tcp);
	fl_reset_sum(&h->tcp, &h->ip.saddr, 8, pending);
	return 0;
}

static __always_inline int fl_reset_write6(fl_ctx *ctx, const struct fl_packet *p, bool pending)
{
	struct fl_reset6 *h = fl_ctx_data(ctx) + FL_ETH_LEN;

	if ((void *)(h + 1) > fl_ctx_data_end(ctx))
		return -1;
	__builtin_memset(&h->ip, 0, sizeof(h->ip));
	h->ip.version = 6;
	h->ip.payload_len = bpf_htons(sizeof(h->tcp));
	h->ip.hop_limit = 64;
	h->ip.nexthdr = IPPROTO_TCP;
	__builtin_memcpy(&h->ip.saddr, &p->tuple.daddr, 16);
	__builtin_memcpy(&h->ip.daddr, &p->tuple.saddr, 16);
	fl_reset_tcp(p, &h->tcp);
	fl_reset_sum(&h->tcp, &h->ip.saddr, 32, pending);
	return 0;
}

/* The packet becomes the answer to itself, MAC addresses swapped. -1: it may be damaged, and must
 * be dropped. */
static __always_inline int fl_reset_answer(fl_ctx *ctx, bool v6, const struct fl_packet *p)
{
	const __u32 l4_off = fl_l4_offset(v6);
	const bool pending = fl_ctx_sum_pending(ctx, l4_off + offsetof(struct tcphdr, check));
	__u8 macs[12];
	void *data;

	if (fl_ctx_reshape(ctx, l4_off + sizeof(struct tcphdr), 0))
		return -1;
	data = fl_ctx_data(ctx);
	if (data + FL_ETH_LEN > fl_ctx_data_end(ctx))
		return -1;
	__builtin_memcpy(macs, data, 12);
	__builtin_memcpy(data, macs + 6, 6);
	__builtin_memcpy(data + 6, macs, 6);
	return v6 ? fl_reset_write6(ctx, p, pending) : fl_reset_write4(ctx, p, pending);
}
