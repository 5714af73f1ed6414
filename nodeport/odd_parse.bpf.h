/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking odd packets apart, for tc: by helpers, since nothing lies at a constant offset. */
#pragma once

#include "nodeport/odd.bpf.h"

#define FL_EXTENSIONS 4	  /* headers of IPv6 that are walked, at most */
#define FL_IP4_OPTIONS 40 /* bytes, at most */
#define FL_L4_MAX 180	  /* where TCP or UDP begins in the frame, at most */

enum {
	FL_IP4_OPTION_END = 0,
	FL_IP4_OPTION_NOP = 1,
	FL_IP4_OPTION_LOOSE_ROUTE = 131,
	FL_IP4_OPTION_STRICT_ROUTE = 137,
};

/* Whether the options of an IPv4 header name no route and make sense: others are the stack's.
 * Global, as the others below. */
int fl_odd_options(fl_ctx *ctx, __u32 end);

__noinline int fl_odd_options(fl_ctx *ctx, __u32 end)
{
	__u32 at = FL_L3 + sizeof(struct iphdr);
	__u8 option[2];

	for (int i = 0; i < FL_IP4_OPTIONS; i++) {
		if (at >= end || bpf_skb_load_bytes(ctx, at, option, 1) ||
		    option[0] == FL_IP4_OPTION_END)
			return true;
		if (option[0] == FL_IP4_OPTION_NOP) {
			at = fl_forget(at + 1, end);
			continue;
		}
		if (option[0] == FL_IP4_OPTION_LOOSE_ROUTE ||
		    option[0] == FL_IP4_OPTION_STRICT_ROUTE ||
		    bpf_skb_load_bytes(ctx, at, option, 2) || option[1] < 2 || at + option[1] > end)
			return false;
		at = fl_forget(at + option[1], end);
	}
	return true;
}

static __always_inline bool fl_odd_parse4(fl_ctx *ctx, struct fl_packet *p, struct fl_odd *odd)
{
	struct iphdr *ip = fl_ctx_data(ctx) + FL_L3;
	__u32 size, word;

	if ((void *)(ip + 1) > fl_ctx_data_end(ctx) || ip->version != 4 || ip->ihl < 5)
		return false;
	fl_packet_read_l3(ip, false, p);
	fl_packet_read_hop(ip, false, p);
	size = ip->ihl * 4;
	word = bpf_ntohs(ip->frag_off);
	odd->id = ip->id;
	odd->at = (word << 3) & 0xfff8;
	odd->more = !!(word & FL_IP4_MF);
	odd->fragment = !!(word & FL_IP4_FRAGMENT);
	p->l4 = FL_L3 + size;
	if (p->len < size)
		return false;
	odd->size = p->len - size;
	return size == sizeof(*ip) || fl_odd_options(ctx, FL_L3 + size);
}

static __always_inline bool fl_odd_parse6(fl_ctx *ctx, struct fl_packet *p, struct fl_odd *odd)
{
	struct ipv6hdr *ip = fl_ctx_data(ctx) + FL_L3;
	struct fl_ip6_fragment fragment;
	__u32 at = FL_L3 + sizeof(*ip), next;
	__u8 header[2];

	if ((void *)(ip + 1) > fl_ctx_data_end(ctx) || ip->version != 6)
		return false;
	fl_packet_read_l3(ip, true, p);
	fl_packet_read_hop(ip, true, p);
	next = p->proto;
	for (int i = 0; i < FL_EXTENSIONS; i++) {
		if (next == IPPROTO_FRAGMENT && !odd->header) {
			if (bpf_skb_load_bytes(ctx, at, &fragment, sizeof(fragment)))
				return false;
			odd->id = fragment.id;
			odd->at = bpf_ntohs(fragment.offset_flags) & 0xfff8;
			odd->more = bpf_ntohs(fragment.offset_flags) & 1;
			odd->fragment = odd->at || odd->more;
			odd->header = at;
			next = fragment.nexthdr;
			at = fl_forget(at + sizeof(fragment), next);
			/* what follows is in the first one only */
			if (odd->at)
				break;
		} else if (next == FL_IP6_DESTINATION || (next == FL_IP6_HOP_BY_HOP && !i)) {
			if (bpf_skb_load_bytes(ctx, at, header, sizeof(header)))
				return false;
			next = header[0];
			at = fl_forget(at + (header[1] + 1) * 8, next);
		} else {
			break;
		}
	}
	if (p->len < at - FL_L3 || at > FL_L4_MAX)
		return false;
	p->proto = next;
	p->l4 = at;
	odd->size = p->len - (at - FL_L3);
	return true;
}

/*
 * Read it into *p, but not what TCP or UDP says, and *odd, which is zero. False: it is to be left
 * alone. Global, so that it is verified once.
 */
int fl_odd_parse(fl_ctx *ctx, bool v6, struct fl_packet *p, struct fl_odd *odd);

__noinline int fl_odd_parse(fl_ctx *ctx, bool v6, struct fl_packet *p, struct fl_odd *odd)
{
	if (!p || !odd || !(v6 ? fl_odd_parse6(ctx, p, odd) : fl_odd_parse4(ctx, p, odd)))
		return false;
	/* later fragments of IPv6 name the header that the first one begins with */
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP &&
	    !(odd->at && p->proto == FL_IP6_DESTINATION))
		return false;
	return FL_L3 + p->len <= fl_ctx_len(ctx);
}

/* And what TCP or UDP says: false, and the header is not all there. */
int fl_odd_parse_l4(fl_ctx *ctx, struct fl_packet *p, const struct fl_odd *odd);

__noinline int fl_odd_parse_l4(fl_ctx *ctx, struct fl_packet *p, const struct fl_odd *odd)
{
	__u32 header = sizeof(struct udphdr), words[4] = {};

	if (!p || !odd || odd->size < header)
		return false;
	if (p->proto == IPPROTO_TCP) {
		if (odd->size < sizeof(struct tcphdr) ||
		    bpf_skb_load_bytes(ctx, p->l4, words, sizeof(words)))
			return false;
		header = (((__u8 *)words)[12] >> 4) * 4;
		if (header < sizeof(struct tcphdr) || odd->size < header)
			return false;
		p->seq = bpf_ntohl(words[1]);
		p->ack = bpf_ntohl(words[2]);
		p->tcp_flags = ((__u8 *)words)[13];
	} else if (bpf_skb_load_bytes(ctx, p->l4, words, sizeof(struct udphdr))) {
		return false;
	}
	fl_ports_set(&p->tuple, words[0]);
	p->headers = p->l4 - FL_L3 + header;
	p->kind = FL_PACKET_FLOW;
	return true;
}
