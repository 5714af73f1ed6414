/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet as XDP sees it: a frame in memory, no offloads, no skb. The same verbs as
 * ctx/skb.bpf.h; exactly one of the two is included by a program. Verbs return 0 or a negative
 * number, and never leave a half-changed packet.
 */
#pragma once

#include "bpf/lib/config.bpf.h"
#include "bpf/lib/rewrite.bpf.h"

typedef struct xdp_md fl_ctx;
#define FL_CTX_SECTION "xdp"

static const bool fl_ctx_is_xdp = true;

/* What a program returns. */
enum { FL_CTX_PASS = XDP_PASS, FL_CTX_DROP = XDP_DROP };

/* Out by a device. `resolved`: it is; what is not was left to tc. */
static __always_inline int fl_ctx_redirect(fl_ctx *ctx, __u32 ifindex, bool resolved)
{
	return likely(ifindex == ctx->ingress_ifindex) ? XDP_TX : bpf_redirect(ifindex, 0);
}

static __always_inline void *fl_ctx_data(fl_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *fl_ctx_data_end(fl_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Of the frame, as far as it lies in one buffer. */
static __always_inline __u32 fl_ctx_len(fl_ctx *ctx)
{
	long len = fl_ctx_data_end(ctx) - fl_ctx_data(ctx);

	/* the verifier allows no 32-bit arithmetic on pointers, to which the compiler would
	 * reduce this */
	asm volatile("" : "+r"(len));
	return len;
}

/* Frames are not segments of anything. */
static __always_inline bool fl_ctx_merged(fl_ctx *ctx)
{
	return false;
}

/* Of all its buffers, where a frame may have several. */
static __always_inline __u32 fl_ctx_whole_len(fl_ctx *ctx)
{
	return fl_config.xdp_frags ? bpf_xdp_get_buff_len(ctx) : fl_ctx_len(ctx);
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

/*
 * Write the tuple `to` over the packet's, and the checksums; with `forward` count the TTL down. Of
 * a frame whose headers are readable; `check`: the field of TCP or UDP.
 */
static __always_inline void fl_frame_rewrite(void *data, __u16 *check, bool v6,
					     const struct fl_packet *p, const struct fl_tuple6 *to,
					     bool forward)
{
	__u64 diff = fl_rewrite(data, v6, p, to, forward);

	diff = fl_csum_diff(diff, fl_ports(&p->tuple), fl_ports(to));
	/* a zero UDP checksum says there is none, so a sum of zero is sent as its other form */
	if (p->proto == IPPROTO_TCP)
		*check = fl_csum_apply(*check, diff);
	else if (*check)
		*check = fl_csum_apply(*check, diff) ?: 0xffff;
}

static __always_inline int fl_ctx_rewrite(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_tuple6 *to, bool forward)
{
	__u16 *check;

	if (fl_l4_check(fl_ctx_data(ctx), fl_ctx_data_end(ctx), fl_l4_offset(v6), p->proto, &check))
		return -1;
	fl_frame_rewrite(fl_ctx_data(ctx), check, v6, p, to, forward);
	return 0;
}

/* Tell the kernel what a change of the packet adds to the sum of all its bytes: it keeps none. */
static __always_inline void fl_ctx_sum_changed(fl_ctx *ctx, __u32 diff)
{
}

#define FL_CTX_NEAR 0xff /* where words of a frame can be had by a number, at most */

/* Four bytes of the frame. */
static __always_inline int fl_ctx_load_word(fl_ctx *ctx, __u32 at, __u32 *ret_word)
{
	void *word = fl_ctx_data(ctx) + fl_opaque(at & FL_CTX_NEAR);

	if (word + sizeof(*ret_word) > fl_ctx_data_end(ctx))
		return -1;
	*ret_word = *(__u32 *)word;
	return 0;
}

/* Write two bytes of the TCP header at `l4`, which are at `at`, and correct its checksum. */
static __always_inline int fl_ctx_tcp_set(fl_ctx *ctx, __u32 l4, __u32 at, __u16 from, __u16 to)
{
	const bool odd = (at - l4) & 1;
	void *data = fl_ctx_data(ctx);
	__u16 *field = data + fl_opaque(at & FL_CTX_NEAR);
	struct tcphdr *tcp = data + fl_opaque(l4 & FL_CTX_NEAR);

	if ((void *)(field + 1) > fl_ctx_data_end(ctx) || (void *)(tcp + 1) > fl_ctx_data_end(ctx))
		return -1;
	*field = to;
	tcp->check = fl_csum_apply(tcp->check, fl_csum_diff(0, odd ? __builtin_bswap16(from) : from,
							    odd ? __builtin_bswap16(to) : to));
	return 0;
}

static __always_inline int fl_ctx_set_macs(fl_ctx *ctx, const __u32 macs[3])
{
	return fl_rewrite_macs(fl_ctx_data(ctx), fl_ctx_data_end(ctx), macs);
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

/* Room for an outer header of the same family, with UDP or without; the Ethernet header stays
 * behind. */
static __always_inline int fl_ctx_grow(fl_ctx *ctx, bool v6, bool udp, __u32 len)
{
	return bpf_xdp_adjust_head(ctx, -(int)len);
}

/* Take an outer IP header off; likewise. */
static __always_inline int fl_ctx_shrink(fl_ctx *ctx, __u32 len)
{
	return bpf_xdp_adjust_head(ctx, (int)len);
}

/* Mark the packet for the tc program that comes after this one. */
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
