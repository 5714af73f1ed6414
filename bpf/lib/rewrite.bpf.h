/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing another tuple over a packet's own: what XDP and tc have in common. The checksum of TCP or
 * UDP is left to the caller: only tc has to ask the kernel whether a device is still to fill it in.
 */
#pragma once

#include "bpf/lib/csum.bpf.h"
#include "bpf/lib/packet.bpf.h"

/* The checksum field of TCP or UDP. -1: the packet is too short. */
static __always_inline int fl_l4_check(void *data, void *data_end, __u32 l4_off, __u8 proto,
				       __u16 **ret_check)
{
	void *l4 = data + l4_off;

	if (proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > data_end)
			return -1;
		*ret_check = &((struct tcphdr *)l4)->check;
	} else {
		if (l4 + sizeof(struct udphdr) > data_end)
			return -1;
		*ret_check = &((struct udphdr *)l4)->check;
	}
	return 0;
}

/*
 * Write addresses over those of an IP header that is readable, with `forward` also count the TTL
 * down. `diff`: what the addresses add to a sum, for IPv4's own.
 */
static __always_inline void fl_rewrite_l3(void *data, bool v6, const struct fl_addr *saddr,
					  const struct fl_addr *daddr, __u64 diff, bool forward)
{
	if (v6) {
		struct ipv6hdr *ip = data + FL_L3;

		__builtin_memcpy(&ip->saddr, saddr, 16);
		__builtin_memcpy(&ip->daddr, daddr, 16);
		if (forward)
			ip->hop_limit--;
	} else {
		struct iphdr *ip = data + FL_L3;

		if (forward) {
			/* TTL is the high byte of its 16-bit word: one less is 0x0100 less */
			diff += bpf_htons(0xfeff);
			ip->ttl--;
		}
		ip->check = fl_csum_apply(ip->check, diff);
		ip->saddr = saddr->w[3];
		ip->daddr = daddr->w[3];
	}
}

/*
 * Write the tuple `to` over that of a flow's packet, with `forward` also count the TTL down, and
 * correct IPv4's own checksum. Both headers are readable up to the ports. Returns what the
 * addresses add to the checksum of TCP or UDP.
 */
static __always_inline __u64 fl_rewrite(void *data, bool v6, const struct fl_packet *p,
					const struct fl_tuple6 *to, bool forward)
{
	__u64 diff = 0;

	diff = fl_csum_diff_addr(v6, diff, &p->tuple.saddr, &to->saddr);
	diff = fl_csum_diff_addr(v6, diff, &p->tuple.daddr, &to->daddr);
	fl_rewrite_l3(data, v6, &to->saddr, &to->daddr, diff, forward);
	*(__u32 *)(data + fl_l4_offset(v6)) = fl_ports(to);
	return diff;
}

static __always_inline void fl_write_macs(void *data, const __u32 macs[3])
{
	__u32 *word = data;

	word[0] = macs[0];
	word[1] = macs[1];
	word[2] = macs[2];
}

static __always_inline int fl_rewrite_macs(void *data, void *data_end, const __u32 macs[3])
{
	if (data + FL_ETH_LEN > data_end)
		return -1;
	fl_write_macs(data, macs);
	return 0;
}
