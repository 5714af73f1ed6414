/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet as tc sees it: an skb, perhaps with its checksum still to be filled in by the device,
 * perhaps many segments at once, perhaps not linear. The same verbs as ctx/xdp.bpf.h.
 */
#pragma once

#include <linux/pkt_cls.h>

#include "bpf/lib/rewrite.bpf.h"

typedef struct __sk_buff fl_ctx;
#define FL_CTX_SECTION "tc"

static const bool fl_ctx_is_xdp = false;

/* What a program returns. A packet that passes is seen by other programs on the hook too. One whose
 * bytes wait is dropped: tcx does not know TC_ACT_STOLEN, and would let it pass. */
enum { FL_CTX_PASS = TC_ACT_UNSPEC, FL_CTX_DROP = TC_ACT_SHOT, FL_CTX_HELD = TC_ACT_SHOT };

/* Out by a device; where its frame has no addresses yet, the kernel finds them. */
static __always_inline int fl_ctx_redirect(fl_ctx *ctx, __u32 ifindex, bool resolved)
{
	return resolved ? bpf_redirect(ifindex, 0) : bpf_redirect_neigh(ifindex, NULL, 0, 0);
}

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
	return ctx->len;
}

/* Segments that were, or are to be, packets of their own. */
static __always_inline bool fl_ctx_merged(fl_ctx *ctx)
{
	return ctx->gso_size;
}

static __always_inline __u32 fl_ctx_ifindex(fl_ctx *ctx)
{
	return ctx->ifindex;
}

static __always_inline void fl_ctx_pull(fl_ctx *ctx, __u32 len)
{
	if (fl_ctx_data(ctx) + len > fl_ctx_data_end(ctx) && ctx->len >= len)
		bpf_skb_pull_data(ctx, len);
}

/* The largest IP packet that this one is on the wire. */
static __always_inline __u32 fl_ctx_wire_len(fl_ctx *ctx, const struct fl_packet *p)
{
	return ctx->gso_size ? p->headers + ctx->gso_size : p->len;
}

static __always_inline int fl_ctx_rewrite(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_tuple6 *to, bool forward)
{
	__u32 check_off = fl_l4_offset(v6), from_ports = fl_ports(&p->tuple),
	      to_ports = fl_ports(to);
	__u64 flags = 0, diff;
	__u16 *check;

	if (fl_l4_check(fl_ctx_data(ctx), fl_ctx_data_end(ctx), fl_l4_offset(v6), p->proto, &check))
		return -1;
	diff = fl_rewrite(fl_ctx_data(ctx), v6, p, to, forward);
	if (p->proto == IPPROTO_TCP) {
		check_off += offsetof(struct tcphdr, check);
	} else {
		check_off += offsetof(struct udphdr, check);
		flags = BPF_F_MARK_MANGLED_0; /* a zero UDP checksum stays zero */
	}
	/* the helper knows whether the device is still to fill the checksum in (then only the
	 * pseudo header counts) */
	if (bpf_l4_csum_replace(ctx, check_off, 0, fl_csum_fold32(diff), BPF_F_PSEUDO_HDR | flags))
		return -1;
	/*
	 * Where the device summed the packet up (CHECKSUM_COMPLETE), the helper takes the
	 * addresses' change off that sum: right for IPv4, whose header checksum makes up for them,
	 * but nothing does in IPv6. Give it back, and take off the hop. Without such a sum this
	 * fails, and nothing is lost.
	 */
	if (v6)
		bpf_csum_update(ctx, fl_csum_fold32(diff + (forward ? bpf_htons(0xfffe) : 0)));
	if (from_ports != to_ports &&
	    bpf_l4_csum_replace(ctx, check_off, from_ports, to_ports, sizeof(__u32) | flags))
		return -1;
	return 0;
}

/*
 * Tell the kernel what a change of the packet adds to the sum of all its bytes, where the device
 * took one (CHECKSUM_COMPLETE). Otherwise this fails, and nothing is lost.
 */
static __always_inline void fl_ctx_sum_changed(fl_ctx *ctx, __u32 diff)
{
	bpf_csum_update(ctx, diff);
}

/* Four bytes of the frame. */
static __always_inline int fl_ctx_load_word(fl_ctx *ctx, __u32 at, __u32 *ret_word)
{
	return bpf_skb_load_bytes(ctx, at, ret_word, sizeof(*ret_word));
}

/* Write two bytes of the TCP header at `l4`, which are at `at`, and correct its checksum. */
static __always_inline int fl_ctx_tcp_set(fl_ctx *ctx, __u32 l4, __u32 at, __u16 from, __u16 to)
{
	const bool odd = (at - l4) & 1;

	if (bpf_skb_store_bytes(ctx, at, &to, sizeof(to), 0))
		return -1;
	return bpf_l4_csum_replace(ctx, l4 + offsetof(struct tcphdr, check),
				   odd ? __builtin_bswap16(from) : from,
				   odd ? __builtin_bswap16(to) : to, sizeof(to));
}

static __always_inline int fl_ctx_set_macs(fl_ctx *ctx, const __u32 macs[3])
{
	return fl_rewrite_macs(fl_ctx_data(ctx), fl_ctx_data_end(ctx), macs);
}

/*
 * Whether the L4 checksum is still to be filled in by a device. `len` must end within that checksum
 * or before it: the kernel refuses to cut such a packet there, and cuts any other.
 */
static __always_inline bool fl_ctx_sum_pending(fl_ctx *ctx, __u32 len)
{
	return bpf_skb_change_tail(ctx, len, 0) != 0;
}

static __always_inline int fl_ctx_reshape(fl_ctx *ctx, __u32 keep, __u32 grow)
{
	if (bpf_skb_change_tail(ctx, keep, 0))
		return -1;
	return bpf_skb_change_head(ctx, grow, 0);
}

/*
 * Make room for an outer header of the same family, with UDP or without. Segments that were merged
 * keep their size: whether they still fit has been looked at.
 */
static __always_inline int fl_ctx_grow(fl_ctx *ctx, bool v6, bool udp, __u32 len)
{
	const __u64 l3 = v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
		    l4 = udp ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0;

	return bpf_skb_adjust_room(ctx, (int)len, BPF_ADJ_ROOM_MAC,
				   BPF_F_ADJ_ROOM_FIXED_GSO | l3 | l4);
}

/* The same for a packet that is to become others: the kernel changes the length of none that it
 * knows to be encapsulated. Not for merged segments. */
static __always_inline int fl_ctx_grow_plain(fl_ctx *ctx, __u32 len)
{
	return bpf_skb_adjust_room(ctx, (int)len, BPF_ADJ_ROOM_MAC, 0);
}

static __always_inline int fl_ctx_shrink(fl_ctx *ctx, __u32 len)
{
	return bpf_skb_adjust_room(ctx, -(int)len, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/*
 * bpf_clone_redirect() cannot look for a neighbour. So copies whose neighbour is not known yet
 * carry this mark to the egress program of the device, which can (fl_ctx_find_neighbour()). The
 * packet's own mark is put back when they are made.
 */
static __always_inline __u32 fl_ctx_copies_begin(fl_ctx *ctx, bool resolved)
{
	const __u32 mark = ctx->mark;

	if (!resolved)
		ctx->mark = FL_CTX_MARK;
	return mark;
}

static __always_inline void fl_ctx_copies_end(fl_ctx *ctx, __u32 mark)
{
	ctx->mark = mark;
}

/* A copy on its way out: the kernel finds its neighbour, and it comes by once more. */
static __always_inline bool fl_ctx_seeks_neighbour(fl_ctx *ctx)
{
	return ctx->mark == FL_CTX_MARK;
}

static __always_inline int fl_ctx_find_neighbour(fl_ctx *ctx)
{
	ctx->mark = 0;
	return fl_ctx_redirect(ctx, ctx->ifindex, false);
}

static __always_inline int fl_ctx_mark(fl_ctx *ctx)
{
	return -1; /* no program comes after this one */
}

/* Whether the XDP program before this one left the packet to it. */
static __always_inline bool fl_ctx_is_marked(fl_ctx *ctx)
{
	__u32 *meta = (void *)(long)ctx->data_meta;

	return (void *)(meta + 1) <= fl_ctx_data(ctx) && *meta == FL_CTX_MARK;
}
