/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet as XDP sees it: a frame in memory, no offloads, no skb. The same verbs as
 * ctx/skb.bpf.h; exactly one of the two is included by a program. Verbs return 0 or a negative
 * number, and never leave a half-changed packet.
 */
#pragma once

#include "bpf/lib/csum.bpf.h"
#include "bpf/lib/packet.bpf.h"

typedef struct xdp_md fl_ctx;

static const bool fl_ctx_is_xdp = true;

static __always_inline void *fl_ctx_data(fl_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *fl_ctx_data_end(fl_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline __u32 fl_ctx_len(fl_ctx *ctx)
{
	long len = fl_ctx_data_end(ctx) - fl_ctx_data(ctx);

	/* the verifier allows no 32-bit arithmetic on pointers, which the compiler would make of
	 * this */
	asm volatile("" : "+r"(len));
	return len;
}

/* What the packet is. 0, or -1: not for us. */
static __always_inline int fl_ctx_parse(fl_ctx *ctx, bool v6, struct fl_packet *ret_p)
{
	return fl_packet_parse(fl_ctx_data(ctx), fl_ctx_data_end(ctx), fl_ctx_len(ctx), v6, ret_p);
}

static __always_inline __u32 fl_ctx_ifindex(fl_ctx *ctx)
{
	return ctx->ingress_ifindex;
}

/* Make the first `len` bytes readable: frames are linear already. */
static __always_inline void fl_ctx_pull(fl_ctx *ctx, __u32 len)
{
}

/* The largest IP packet that this one is on the wire: frames are not segments of anything. */
static __always_inline __u32 fl_ctx_wire_len(fl_ctx *ctx, const struct fl_packet *p)
{
	return p->len;
}

/* Write the tuple `to` over `from`, and the checksums; with `forward` also count the TTL down. */
static __always_inline int fl_ctx_rewrite(fl_ctx *ctx, bool v6, __u8 proto,
					  const struct fl_tuple6 *from, const struct fl_tuple6 *to,
					  bool forward)
{
	void *data = fl_ctx_data(ctx), *data_end = fl_ctx_data_end(ctx);
	void *l4 = data + fl_l4_offset(v6);
	__u64 diff = 0;
	__u16 *check;

	if (proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > data_end)
			return -1;
		check = &((struct tcphdr *)l4)->check;
	} else {
		if (l4 + sizeof(struct udphdr) > data_end)
			return -1;
		check = &((struct udphdr *)l4)->check;
	}
	diff = fl_csum_diff_addr(v6, diff, &from->saddr, &to->saddr);
	diff = fl_csum_diff_addr(v6, diff, &from->daddr, &to->daddr);
	if (v6) {
		struct ipv6hdr *ip = data + FL_ETH_LEN;

		__builtin_memcpy(&ip->saddr, &to->saddr, 16);
		__builtin_memcpy(&ip->daddr, &to->daddr, 16);
		if (forward)
			ip->hop_limit--;
	} else {
		struct iphdr *ip = data + FL_ETH_LEN;
		__u64 ip_diff = diff;

		if (forward) {
			/* TTL is the high byte of its 16-bit word: one less is 0x0100 less */
			ip_diff += bpf_htons(0xfeff);
			ip->ttl--;
		}
		ip->check = fl_csum_apply(ip->check, ip_diff);
		ip->saddr = to->saddr.w[3];
		ip->daddr = to->daddr.w[3];
	}
	diff = fl_csum_diff(diff, fl_ports(from), fl_ports(to));
	*(__u32 *)l4 = fl_ports(to);
	/* a zero UDP checksum says there is none, so a sum of zero is sent as its other form */
	if (proto == IPPROTO_TCP)
		*check = fl_csum_apply(*check, diff);
	else if (*check)
		*check = fl_csum_apply(*check, diff) ?: 0xffff;
	return 0;
}

static __always_inline int fl_ctx_set_macs(fl_ctx *ctx, const __u32 macs[3])
{
	__u32 *data = fl_ctx_data(ctx);

	if ((void *)data + FL_ETH_LEN > fl_ctx_data_end(ctx))
		return -1;
	data[0] = macs[0];
	data[1] = macs[1];
	data[2] = macs[2];
	return 0;
}

/* A frame is complete, whatever `len`. */
static __always_inline bool fl_ctx_sum_pending(fl_ctx *ctx, __u32 len)
{
	return false;
}

/* Cut the packet to `keep` bytes and make room for `grow` more in front of it. */
static __always_inline int fl_ctx_reshape(fl_ctx *ctx, __u32 keep, __u32 grow)
{
	if (bpf_xdp_adjust_tail(ctx, (int)(keep - fl_ctx_len(ctx))))
		return -1;
	return bpf_xdp_adjust_head(ctx, -(int)grow);
}

/* Leave word for the tc program behind us that this packet is for it. */
#define FL_CTX_MARK 0x464c5443 /* "FLTC" */

static __always_inline int fl_ctx_mark(fl_ctx *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return -1;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > fl_ctx_data(ctx))
		return -1;
	*meta = FL_CTX_MARK;
	return 0;
}
