/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about packets that this node has encapsulated. They come back to it, since the outer
 * source is its own, and quote the outer header and the beginning of the client's packet; the
 * client is told what that means for its packet (RFC 2003, section 4; RFC 2473, section 8).
 */
#pragma once

#include "bpf/lib/icmp.bpf.h"
#include "nodeport/icmp_error.bpf.h"
#include "nodeport/slow.bpf.h"

#define FL_IP4_MTU_MIN 68
#define FL_IP4_MTU_OLD 576 /* of routers that do not say (RFC 1191, section 5) */
#define FL_IP6_MTU_MIN 1280

/* What is said about the outer packet. */
struct fl_tunnel_error {
	__u32 kind;  /* enum fl_icmp_kind, about the inner one */
	__u32 mtu;   /* of FL_ICMP_TOO_BIG: what the outer one may have */
	__u32 ports; /* of the inner one */
	__u8 proto;
	__u8 pad[3];
	struct fl_tuple6 tuple; /* of the inner one */
	struct fl_addr end;	/* outer destination */
	struct fl_addr backend; /* by Geneve its option's, else the same */
};

/* What it takes to be at the packet inside. */
static __always_inline __u32 fl_tunnel_error_skip(bool v6)
{
	return fl_l4_offset(v6) - FL_L3 + sizeof(struct fl_icmp_header) + fl_tunnel_overhead(v6);
}

/* Whether a packet of Geneve is quoted there as this node sends it. */
static __always_inline bool fl_packet_quotes_geneve(fl_ctx *ctx, bool v6)
{
	const __u32 at =
		fl_l4_offset(v6) + sizeof(struct fl_icmp_header) + fl_l4_offset(v6) - FL_L3;
	const struct fl_geneve *g;

	fl_ctx_pull(ctx, at + sizeof(*g));
	g = fl_ctx_data(ctx) + at;
	return (void *)(g + 1) <= fl_ctx_data_end(ctx) && fl_geneve_is_ours(g, v6);
}

/* Whether it is an ICMP error, without options before it, about a packet in a packet as this node
 * sends them. */
static __always_inline bool fl_packet_quotes_tunnel(fl_ctx *ctx, bool v6)
{
	const bool geneve = fl_config.dispatch == FL_DISPATCH_GENEVE;
	const __u32 at = fl_l4_offset(v6), quoted = at + sizeof(struct fl_icmp_header);
	void *data = fl_ctx_data(ctx), *data_end = fl_ctx_data_end(ctx);
	const __u8 *proto =
		data + quoted +
		(v6 ? offsetof(struct ipv6hdr, nexthdr) : offsetof(struct iphdr, protocol));

	return (void *)(proto + 1) <= data_end &&
	       *proto == (geneve ? IPPROTO_UDP
			  : v6	 ? IPPROTO_IPV6
				 : IPPROTO_IPIP) &&
	       fl_icmp_kind_of(v6, *(__u8 *)(data + at)) == FL_PACKET_ICMP_ERROR &&
	       (!geneve || fl_packet_quotes_geneve(ctx, v6));
}

/* False: it says nothing that the client could use. */
static __always_inline bool fl_tunnel_error_kind(bool v6, const struct fl_icmp_header *icmp,
						 struct fl_tunnel_error *ret_e)
{
	const bool unreachable = icmp->type == (v6 ? FL_ICMP6_UNREACHABLE : FL_ICMP4_UNREACHABLE),
		   expired = icmp->type == (v6 ? FL_ICMP6_TIME_EXCEEDED : FL_ICMP4_TIME_EXCEEDED),
		   too_big = v6 ? icmp->type == FL_ICMP6_TOO_BIG
				: unreachable && icmp->code == FL_ICMP4_CODE_FRAG_NEEDED;

	ret_e->kind = too_big ? FL_ICMP_TOO_BIG : FL_ICMP_HOST_UNREACHABLE;
	ret_e->mtu = bpf_ntohl(icmp->info);
	if (!v6)
		ret_e->mtu = ret_e->mtu & 0xffff ?: FL_IP4_MTU_OLD;
	return too_big || unreachable || expired;
}

/* Of which backend the outer header is, that begins at `outer`. False: of none. */
static __always_inline bool fl_tunnel_error_outer(void *outer, bool v6, struct fl_addr *ret_source,
						  struct fl_tunnel_error *ret_e)
{
	const bool geneve = fl_config.dispatch == FL_DISPATCH_GENEVE;
	const struct fl_geneve *g = outer + fl_l4_offset(v6) - FL_L3;
	__u8 proto;

	if (v6) {
		struct ipv6hdr *ip = outer;

		proto = ip->nexthdr;
		__builtin_memcpy(ret_source, &ip->saddr, 16);
		__builtin_memcpy(&ret_e->end, &ip->daddr, 16);
	} else {
		struct iphdr *ip = outer;

		if (*(__u8 *)ip != 0x45)
			return false;
		proto = ip->protocol;
		fl_addr_map4(ret_source);
		fl_addr_map4(&ret_e->end);
		ret_source->w[3] = ip->saddr;
		ret_e->end.w[3] = ip->daddr;
	}
	ret_e->backend = ret_e->end;
	if (!geneve)
		return proto == (v6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
	if (v6)
		__builtin_memcpy(&ret_e->backend, g + 1, 16);
	else
		ret_e->backend.w[3] = *(const __be32 *)(g + 1);
	return proto == IPPROTO_UDP && fl_geneve_is_ours(g, v6);
}

/* Read it: false, and it is none, or quotes too little. `p`: the message. */
static __always_inline bool fl_tunnel_error_parse(fl_ctx *ctx, bool v6, const struct fl_packet *p,
						  struct fl_tunnel_error *ret_e)
{
	const __u32 outer_at = fl_l4_offset(v6) + sizeof(struct fl_icmp_header),
		    inner_at = FL_L3 + fl_tunnel_error_skip(v6),
		    end = inner_at + fl_l4_offset(v6) - FL_L3 + sizeof(struct udphdr);
	struct fl_addr source;
	void *data;

	fl_ctx_pull(ctx, end);
	data = fl_ctx_data(ctx);
	if (p->l4 != fl_l4_offset(v6) || data + end > fl_ctx_data_end(ctx) || FL_L3 + p->len < end)
		return false;
	if (!fl_tunnel_error_outer(data + outer_at, v6, &source, ret_e))
		return false;
	if (v6) {
		struct ipv6hdr *inner = data + inner_at;

		if (inner->version != 6)
			return false;
		__builtin_memcpy(&ret_e->tuple.saddr, &inner->saddr, 16);
		__builtin_memcpy(&ret_e->tuple.daddr, &inner->daddr, 16);
		ret_e->proto = inner->nexthdr;
	} else {
		struct iphdr *inner = data + inner_at;

		if (*(__u8 *)inner != 0x45 ||
		    inner->frag_off & bpf_htons(FL_IP4_FRAGMENT & ~FL_IP4_MF))
			return false;
		fl_addr_map4(&ret_e->tuple.saddr);
		fl_addr_map4(&ret_e->tuple.daddr);
		ret_e->tuple.saddr.w[3] = inner->saddr;
		ret_e->tuple.daddr.w[3] = inner->daddr;
		ret_e->proto = inner->protocol;
	}
	ret_e->ports = *(__u32 *)(data + inner_at + fl_l4_offset(v6) - FL_L3);
	fl_ports_set(&ret_e->tuple, ret_e->ports);
	return (ret_e->proto == IPPROTO_TCP || ret_e->proto == IPPROTO_UDP) &&
	       fl_addr_equal(&source, &p->tuple.daddr) &&
	       fl_tunnel_error_kind(v6, data + fl_l4_offset(v6), ret_e);
}

/* Whether the packet inside is of a flow that this node sends to that backend. */
static __always_inline bool fl_tunnel_error_known(bool v6, const struct fl_tunnel_error *e)
{
	int slot = v6 ? fl_quote_slot6(&e->tuple, e->proto) : fl_quote_slot4(&e->tuple, e->proto);
	struct fl_flow_head *head = slot < 0 ? NULL : fl_flow_at(v6, slot);
	struct fl_flow_ref ref = {.head = head};
	struct fl_addr to;
	__u8 flags;

	if (!head)
		return false;
	ref.word = READ_ONCE(head->word);
	flags = READ_ONCE(head->flags);
	if (v6) {
		to = ((struct fl_flow6 *)head)->rewrite.daddr;
	} else {
		fl_addr_map4(&to);
		to.w[3] = ((struct fl_flow4 *)head)->rewrite.daddr;
	}
	return fl_flow_is_tunnelled(flags) && fl_addr_equal(&to, &e->backend) &&
	       fl_flow_unchanged(&ref, flags);
}

/* Remember what the way to a backend takes; of what is worse than any way, nothing (RFC 8201,
 * section 4): the connections of ten minutes would be made of segments without data. */
int fl_tunnel_learn(bool v6, const struct fl_tunnel_error *e);

__noinline int fl_tunnel_learn(bool v6, const struct fl_tunnel_error *e)
{
	struct fl_path path = {.since = fl_now()};
	struct fl_addr key;

	if (!e || e->mtu < (v6 ? FL_IP6_MTU_MIN : FL_IP4_MTU_MIN + fl_tunnel_overhead(false)))
		return 0;
	key = e->end;
	path.mtu = e->mtu;
	return bpf_map_update_elem(&fl_paths, &key, &path, BPF_ANY);
}

/*
 * What becomes of an ICMP message that may be such an error: FL_ACT_FORWARD by the client's hop,
 * after fl_tunnel_error_answer(); FL_ACT_PASS, FL_ACT_TO_TC, FL_ACT_DROP.
 */
static __always_inline void fl_tunnel_error_decide(fl_ctx *ctx, bool v6, const struct fl_packet *p,
						   struct fl_tunnel_error *e, struct fl_decision *d)
{
	fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	if (fl_source_is_itself(v6, &p->tuple, FL_HOOK_INGRESS)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_FRONTEND_SOURCE);
		return;
	}
	/* never from a wire: the kernel drops these itself */
	if (fl_packet_martian(v6, &p->tuple) || fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE)
		return;
	if (!fl_tunnel_error_parse(ctx, v6, p, e) || !fl_tunnel_error_known(v6, e)) {
		fl_icmp_error_stray(v6, p, FL_HOOK_INGRESS, d);
		return;
	}
	if (fl_fib_lookup(ctx, &e->tuple.saddr, &d->hop) != FL_FIB_OK) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
		return;
	}
	if (fl_ctx_is_xdp && (!d->hop.resolved || !(d->hop.flags & FL_DEVICE_XDP_TX))) {
		fl_decision_set(d, FL_ACT_TO_TC, FL_REASON_NONE);
		return;
	}
	if (e->kind == FL_ICMP_TOO_BIG)
		fl_tunnel_learn(v6, e);
	if (fl_rate_take(FL_RATE_REJECT, fl_config.reject_rate))
		fl_decision_set(d, FL_ACT_FORWARD, FL_REASON_NONE);
	else
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_REJECT_RATE);
}

/* What the inner packet may have, for the client to know: no less than every way has to take. */
static __always_inline __u32 fl_tunnel_error_mtu(bool v6, const struct fl_tunnel_error *e)
{
	const __u32 outer = fl_tunnel_overhead(v6), least = v6 ? FL_IP6_MTU_MIN : FL_IP4_MTU_MIN,
		    mtu = e->mtu > outer ? e->mtu - outer : 0;

	return mtu > least ? mtu : least;
}

/*
 * The message becomes the client's: what is in front of the packet inside goes, and that is
 * answered as any other. Not zero: it may be damaged, drop it.
 */
static __always_inline int
fl_tunnel_error_answer(fl_ctx *ctx, bool v6, const struct fl_tunnel_error *e, struct fl_packet *p)
{
	const __u32 skip = fl_tunnel_error_skip(v6);

	p->tuple = e->tuple;
	p->len -= skip;
	/* no more than eight bytes are quoted, and need be there */
	p->proto = IPPROTO_UDP;
	if (fl_ctx_shrink(ctx, skip) ||
	    fl_icmp_answer(ctx, v6, p, e->kind, fl_tunnel_error_mtu(v6, e)))
		return -1;
	fl_count(FL_COUNTER_ICMP_ERROR);
	return 0;
}
