/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answering a ping of a Service's address (rule 2.24), in the address's stead, since no machine has
 * it: the request goes back as its own answer (RFC 792, RFC 4443), as large as it came.
 */
#pragma once

#include "bpf/lib/rewrite.bpf.h"
#include "nodeport/own.bpf.h"

/* What becomes of an echo request; *d is FL_ACT_PASS. */
static __always_inline void fl_echo_decide(bool v6, const struct fl_packet *p, enum fl_hook hook,
					   struct fl_decision *d)
{
	if (!fl_config.answer_echo)
		return;
	/* with IPv4 options, which may name a route, it is left to the stack */
	if (p->l4 != fl_l4_offset(v6) || !fl_stands_for(v6, &p->tuple.daddr, hook))
		return;
	if (fl_source_is_itself(v6, &p->tuple, hook)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_FRONTEND_SOURCE);
		return;
	}
	/* never from a wire: the kernel drops these itself */
	if (fl_packet_martian(v6, &p->tuple) ||
	    (!fl_hook_is_leaving(hook) && fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE))
		return;
	if (fl_addr_is_cluster_ip(v6, &p->tuple.saddr) || fl_addr_is_external(v6, &p->tuple.saddr))
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_FRONTEND_SOURCE);
	else
		fl_decision_set(d, FL_ACT_ECHO, FL_REASON_NONE);
}

/* Turn the request into its answer, MAC addresses swapped. -1: nothing was changed. */
static __always_inline int fl_echo_answer(fl_ctx *ctx, bool v6, const struct fl_packet *p)
{
	const __u32 l4 = fl_l4_offset(v6);
	struct fl_icmp_header *icmp;
	void *data, *data_end;
	__u16 hop[2], asked;
	__u8 mac[6];

	fl_ctx_pull(ctx, l4 + sizeof(*icmp));
	data = fl_ctx_data(ctx);
	data_end = fl_ctx_data_end(ctx);
	icmp = data + l4;
	if ((void *)(icmp + 1) > data_end)
		return -1;
	__builtin_memcpy(mac, data, 6);
	__builtin_memcpy(data, data + 6, 6);
	__builtin_memcpy(data + 6, mac, 6);
	if (v6) {
		struct ipv6hdr *ip = data + FL_L3;

		__builtin_memcpy(&ip->saddr, &p->tuple.daddr, 16);
		__builtin_memcpy(&ip->daddr, &p->tuple.saddr, 16);
		hop[0] = *(__u16 *)&ip->nexthdr;
		ip->hop_limit = FL_ICMP_TTL;
		hop[1] = *(__u16 *)&ip->nexthdr;
	} else {
		struct iphdr *ip = data + FL_L3;

		ip->saddr = p->tuple.daddr.w[3];
		ip->daddr = p->tuple.saddr.w[3];
		hop[0] = *(__u16 *)&ip->ttl;
		ip->ttl = FL_ICMP_TTL;
		hop[1] = *(__u16 *)&ip->ttl;
		ip->check = fl_csum_apply(ip->check, fl_csum_diff(0, hop[0], hop[1]));
	}
	/* the pseudo header has the same sum both ways */
	asked = *(__u16 *)icmp;
	icmp->type = v6 ? FL_ICMP6_ECHO_REPLY : FL_ICMP4_ECHO_REPLY;
	icmp->checksum = fl_csum_apply(icmp->checksum, fl_csum_diff(0, asked, *(__u16 *)icmp));
	/* of a message of zeroes 0 would be wrong, and elsewhere the two are the same (RFC 1071) */
	if (!icmp->checksum)
		icmp->checksum = 0xffff;
	if (v6)
		fl_ctx_sum_changed(ctx, fl_csum_fold32(fl_csum_diff(0, hop[0], hop[1])));
	fl_count(FL_COUNTER_ECHO);
	return 0;
}
