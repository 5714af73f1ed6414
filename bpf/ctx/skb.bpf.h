/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet as tc sees it: an skb, perhaps with its checksum still to be filled in by the device,
 * perhaps many segments at once, perhaps not linear. The same verbs as ctx/xdp.bpf.h.
 */
#pragma once

#include "bpf/lib/csum.bpf.h"
#include "bpf/lib/packet.bpf.h"

typedef struct __sk_buff fl_ctx;

static const bool fl_ctx_is_xdp = false;

static __always_inline void *fl_ctx_data(fl_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *fl_ctx_data_end(fl_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline int fl_ctx_parse(fl_ctx *ctx, bool v6, struct fl_packet *ret_p)
{
	return fl_packet_parse(fl_ctx_data(ctx), fl_ctx_data_end(ctx), ctx->len, v6, ret_p);
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

static __always_inline int fl_ctx_rewrite(fl_ctx *ctx, bool v6, __u8 proto,
					  const struct fl_tuple6 *from, const struct fl_tuple6 *to,
					  bool forward)
{
	void *data = fl_ctx_data(ctx), *data_end = fl_ctx_data_end(ctx);
	__u32 l4_off = fl_l4_offset(v6), check_off, from_ports = fl_ports(from),
	      to_ports = fl_ports(to);
	void *l4 = data + l4_off;
	__u64 flags = 0, diff = 0;

	if (proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > data_end)
			return -1;
		check_off = l4_off + offsetof(struct tcphdr, check);
	} else {
		if (l4 + sizeof(struct udphdr) > data_end)
			return -1;
		check_off = l4_off + offsetof(struct udphdr, check);
		flags = BPF_F_MARK_MANGLED_0; /* a zero UDP checksum stays zero */
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
	*(__u32 *)l4 = to_ports;
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

static __always_inline int fl_ctx_mark(fl_ctx *ctx)
{
	return -1; /* there is nobody behind us */
}

/* Whether the XDP program in front of us left this packet to us. */
#define FL_CTX_MARK 0x464c5443 /* "FLTC" */

static __always_inline bool fl_ctx_is_marked(fl_ctx *ctx)
{
	__u32 *meta = (void *)(long)ctx->data_meta;

	return (void *)(meta + 1) <= fl_ctx_data(ctx) && *meta == FL_CTX_MARK;
}
