/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about packets of our flows (5.1.5; what RFC 5508 asks of a NAT). An error quotes a
 * packet as it was where it could not go on. Turned round, the quoted tuple is that of a packet
 * which goes the way of the error: the flow that has it says what both the error and the quotation
 * become, and where it goes. An error changes nothing of a flow; what it says is for the ends to
 * believe.
 */
#pragma once

#include "bpf/lib/parse.bpf.h"
#include "nodeport/decide.bpf.h"
#include "nodeport/echo.bpf.h"
#include "nodeport/tunnel.bpf.h"

#define FL_QUOTE_MAX 160 /* bytes of a frame in which all that is rewritten lies */

/* Of UDP and TCP: where the checksum lies. */
#define FL_CHECK_OFFSET(proto)                                                                     \
	((proto) == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check))

/* The packet that an error quotes: its tuple turned round, and where its headers lie. */
struct fl_quote {
	struct fl_tuple6 tuple;
	__u16 l3, l4;
	__u32 proto;
};

/*
 * Read it, as far as routers must quote it: the IP header and the ports behind it. It may be
 * truncated, so ihl tells where the ports are, and lengths are not looked at. False: it is of no
 * flow, or not of the one that gets the error.
 */
static __always_inline bool fl_quote_parse(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					   struct fl_quote *ret_q)
{
	const __u32 end = FL_L3 + p->len, l3 = p->l4 + sizeof(struct fl_icmp_header);
	void *data = fl_ctx_data(ctx), *data_end = fl_ctx_data_end(ctx), *l4;
	struct fl_tuple6 *t = &ret_q->tuple;
	__u32 size;

	if (v6) {
		struct ipv6hdr *ip = data + l3;

		if ((void *)(ip + 1) > data_end || ip->version != 6)
			return false;
		size = sizeof(*ip);
		ret_q->proto = ip->nexthdr;
		if (ret_q->proto == IPPROTO_FRAGMENT) {
			struct fl_ip6_fragment *f = (void *)(ip + 1);

			if ((void *)(f + 1) > data_end || f->offset_flags & bpf_htons(0xfff8))
				return false;
			ret_q->proto = f->nexthdr;
			size += sizeof(*f);
		}
		__builtin_memcpy(&t->daddr, &ip->saddr, 16);
		__builtin_memcpy(&t->saddr, &ip->daddr, 16);
	} else {
		struct iphdr *ip = data + l3;

		if ((void *)(ip + 1) > data_end || ip->version != 4 ||
		    ip->frag_off & bpf_htons(FL_IP4_FRAGMENT & ~FL_IP4_MF))
			return false;
		size = ip->ihl * 4;
		if (size < sizeof(*ip))
			return false;
		ret_q->proto = ip->protocol;
		fl_addr_map4(&t->saddr);
		fl_addr_map4(&t->daddr);
		t->daddr.w[3] = ip->saddr;
		t->saddr.w[3] = ip->daddr;
	}
	l4 = data + l3 + size;
	if ((ret_q->proto != IPPROTO_TCP && ret_q->proto != IPPROTO_UDP) ||
	    l4 + sizeof(__u32) > data_end || l3 + size + sizeof(__u32) > end)
		return false;
	t->dport = ((__be16 *)l4)[0];
	t->sport = ((__be16 *)l4)[1];
	ret_q->l3 = l3;
	ret_q->l4 = l3 + size;
	/* it goes back to where the quoted packet came from */
	return fl_addr_equal(&t->daddr, &p->tuple.daddr);
}

/* The slot of the entry with this key, or -1. Global: inlined it would spill what verifiers before
 * 6.10 do not know again. */
int fl_quote_slot4(const struct fl_tuple6 *t, __u8 proto);
int fl_quote_slot6(const struct fl_tuple6 *t, __u8 proto);

static __always_inline int fl_quote_slot(bool v6, const struct fl_tuple6 *t, __u8 proto)
{
	__u64 hash = fl_hash_tuple(v6, t, proto, fl_config.flow_seed[0]);
	struct fl_flow_ref ref;

	return fl_flow_find(v6, t, proto, hash, &ref) ? (int)ref.slot : -1;
}

__noinline int fl_quote_slot4(const struct fl_tuple6 *t, __u8 proto)
{
	return t ? fl_quote_slot(false, t, proto) : -1;
}

__noinline int fl_quote_slot6(const struct fl_tuple6 *t, __u8 proto)
{
	return t ? fl_quote_slot(true, t, proto) : -1;
}

/* The living flow of a quoted packet. */
static __always_inline bool fl_quote_flow(bool v6, const struct fl_quote *q, __u32 now,
					  struct fl_flow_ref *ret_ref)
{
	struct fl_flow_head *head;
	__u32 word;
	int slot;

	slot = v6 ? fl_quote_slot6(&q->tuple, q->proto) : fl_quote_slot4(&q->tuple, q->proto);
	head = slot < 0 ? NULL : fl_flow_at(v6, slot);
	if (!head)
		return false;
	word = READ_ONCE(head->word);
	head = fl_after_load(head, word);
	ret_ref->head = head;
	ret_ref->word = word;
	ret_ref->slot = slot;
	/* still, since it was found */
	return fl_flow_state(word) >= FL_FLOW_NEW &&
	       fl_flow_matches(v6, head, &q->tuple, q->proto) &&
	       !fl_flow_expired(v6, head, word, now);
}

/*
 * An error about an answer that a backend of another node has sent to its client itself. It is for
 * the Service's address, and a router may bring it to a node that does not know the flow; by the
 * table it finds the backend all the same, as the flow's packets do. Zero: it is no such one.
 */
static __always_inline int fl_quote_tunnel(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					   const struct fl_quote *q, struct fl_decision *d)
{
	const struct fl_tuple6 *t = &q->tuple;
	struct fl_frontend_packed fe = {};
	struct fl_backend *backend;
	struct fl_list list;
	__u16 *hop;
	__u32 id;

	if (!fl_frontend_get(v6, &t->daddr, t->dport, q->proto, &fe) || !(fe.flags & FL_TUNNEL))
		return 0;
	list = fl_frontend_list(&fe, FL_SIDE_EXTERNAL);
	id = fl_list_choose(&list, fl_hash_tuple(v6, t, q->proto, fl_config.maglev_seed));
	backend = fl_backend_get(id);
	if (!id || !backend || !backend->generation || backend->flags & FL_BACKEND_LOCAL)
		return 0;
	d->to.daddr = backend->addr;
	d->to.dport = backend->port;
	hop = fl_tunnel_hop(id, backend);
	if (!hop || !fl_tunnel_aimed(v6, id, d))
		return 0;
	if (!fl_hop_get(hop, fl_now(), &d->hop) &&
	    fl_fib_lookup(ctx, &d->to.daddr, &d->hop) != FL_FIB_OK)
		return 0;
	fl_decision_forward(ctx, p, d);
	fl_tunnel_decide(ctx, v6, p, d);
	return 1;
}

int fl_quote_tunnel4(fl_ctx *ctx, const struct fl_packet *p, const struct fl_quote *q,
		     struct fl_decision *d);
int fl_quote_tunnel6(fl_ctx *ctx, const struct fl_packet *p, const struct fl_quote *q,
		     struct fl_decision *d);

__noinline int fl_quote_tunnel4(fl_ctx *ctx, const struct fl_packet *p, const struct fl_quote *q,
				struct fl_decision *d)
{
	return p && q && d ? fl_quote_tunnel(ctx, false, p, q, d) : 0;
}

__noinline int fl_quote_tunnel6(fl_ctx *ctx, const struct fl_packet *p, const struct fl_quote *q,
				struct fl_decision *d)
{
	return p && q && d ? fl_quote_tunnel(ctx, true, p, q, d) : 0;
}

/*
 * An error of no flow. A Service's address is nobody's host: sent on, it would come back by the way
 * that it came, and go round.
 */
static __always_inline void fl_icmp_error_stray(bool v6, const struct fl_packet *p,
						enum fl_hook hook, struct fl_decision *d)
{
	if (!fl_hook_is_leaving(hook) && fl_stands_for(v6, &p->tuple.daddr, hook))
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_FLOW);
}

/* RFC 1122, 3.2.2: no error about an error; nor fragments of one. */
static __always_inline void fl_icmp_error_last(struct fl_decision *d)
{
	if (fl_is_answered(d->action))
		d->action = FL_ACT_DROP;
	else if (d->action == FL_ACT_FRAGMENT || d->action == FL_ACT_TUNNEL_FRAGMENTS)
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_TOO_BIG);
}

/* What becomes of an ICMP error; *d is FL_ACT_PASS. */
static __always_inline void fl_icmp_error(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  enum fl_hook hook, struct fl_decision *d)
{
	struct fl_flow_ref ref;
	struct fl_quote q = {};
	__u32 now = fl_now();
	bool tunnelled;
	__u32 backend;
	__u8 flags;

	if (!fl_hook_is_leaving(hook) && fl_source_is_itself(v6, &p->tuple, hook)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_FRONTEND_SOURCE);
		return;
	}
	/* never from a wire: the kernel drops these itself */
	if (!fl_hook_is_leaving(hook) &&
	    (fl_packet_martian(v6, &p->tuple) || fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE))
		return;
	fl_ctx_pull(ctx, FL_L3 + p->len < FL_QUOTE_MAX ? FL_L3 + p->len : FL_QUOTE_MAX);
	if (!fl_quote_parse(ctx, v6, p, &q)) {
		fl_icmp_error_stray(v6, p, hook, d);
		return;
	}
	if (!fl_quote_flow(v6, &q, now, &ref)) {
		if (hook != FL_HOOK_INGRESS ||
		    !(v6 ? fl_quote_tunnel6(ctx, p, &q, d) : fl_quote_tunnel4(ctx, p, &q, d)))
			fl_icmp_error_stray(v6, p, hook, d);
		else
			fl_icmp_error_last(d);
		return;
	}
	flags = READ_ONCE(ref.head->flags);
	backend = fl_flow_backend(ref.head);
	fl_flow_rewrite(v6, ref.head, &d->to);
	if (!fl_flow_unchanged(&ref, d->to.sport ^ flags ^ backend)) {
		fl_icmp_error_stray(v6, p, hook, d);
		return;
	}
	tunnelled = fl_flow_is_tunnelled(flags);
	/* as with packets of the flow: only replies to unmasqueraded ones are translated on their
	 * way out, and these nowhere else */
	if (fl_hook_is_leaving(hook) ? !(flags & FL_FLOW_IS_REPLY) || flags & FL_FLOW_SNAT
				     : fl_flow_translated_later(hook, flags))
		return;
	if (!v6) {
		fl_addr_map4(&d->to.saddr);
		fl_addr_map4(&d->to.daddr);
	}
	if (tunnelled && !fl_tunnel_aimed(v6, backend, d))
		return;
	if (fl_hook_is_leaving(hook) || (flags & FL_FLOW_TO_STACK && !tunnelled))
		fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
	else
		fl_flow_route(ctx, v6, p, &ref, now, d);
	if (tunnelled)
		fl_tunnel_decide(ctx, v6, p, d);
	fl_icmp_error_last(d);
}

/* Write `to`, turned round, over the quoted packet. Returns what that adds to the error's sum. */
static __always_inline __u64 fl_quote_rewrite(void *data, void *data_end, bool v6, __u32 end,
					      const struct fl_quote *q, const struct fl_tuple6 *to)
{
	__u64 addrs = fl_csum_diff_addr(v6, 0, &q->tuple.saddr, &to->saddr), diff, l4_diff;
	const __u32 check_at = q->l4 + FL_CHECK_OFFSET(q->proto);
	__u16 *ports, *check, before;

	addrs = fl_csum_diff_addr(v6, addrs, &q->tuple.daddr, &to->daddr);
	diff = addrs;
	if (v6) {
		struct ipv6hdr *ip = data + q->l3;

		if ((void *)(ip + 1) > data_end)
			return 0;
		__builtin_memcpy(&ip->saddr, &to->daddr, 16);
		__builtin_memcpy(&ip->daddr, &to->saddr, 16);
	} else {
		struct iphdr *ip = data + q->l3;

		if ((void *)(ip + 1) > data_end)
			return 0;
		before = ip->check;
		ip->check = fl_csum_apply(before, addrs);
		diff = fl_csum_diff(diff, before, ip->check);
		ip->saddr = to->daddr.w[3];
		ip->daddr = to->saddr.w[3];
	}
	ports = data + q->l4;
	if ((void *)(ports + 2) > data_end)
		return diff;
	l4_diff =
		fl_csum_diff(fl_csum_diff(0, q->tuple.dport, to->dport), q->tuple.sport, to->sport);
	ports[0] = to->dport;
	ports[1] = to->sport;
	diff += l4_diff;
	/* the checksum too, where that much of the packet is quoted */
	check = data + check_at;
	if ((void *)(check + 1) > data_end || check_at + sizeof(*check) > end ||
	    (q->proto == IPPROTO_UDP && !*check))
		return diff;
	before = *check;
	*check = fl_csum_apply(before, addrs + l4_diff);
	if (q->proto == IPPROTO_UDP && !*check)
		*check = 0xffff;
	return fl_csum_diff(diff, before, *check);
}

/*
 * Write the error and its quotation anew, for a flow whose packets this way become `to`; with
 * `forward` count the TTL down. A router on the way keeps its own address as the source, unless the
 * flow's sender does not: what is behind us has no address that the other side knows.
 */
static __always_inline int fl_icmp_rewrite(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					   const struct fl_tuple6 *to, bool forward)
{
	struct fl_quote q = {};
	struct fl_icmp_header *icmp;
	const struct fl_addr *from;
	void *data, *data_end;
	__u64 diff, outer;

	if (!fl_quote_parse(ctx, v6, p, &q))
		return -1;
	data = fl_ctx_data(ctx);
	data_end = fl_ctx_data_end(ctx);
	from = fl_addr_equal(&q.tuple.saddr, &to->saddr) ? &p->tuple.saddr : &to->saddr;
	/* one pointer to the compiler, lest it checks one sum and uses another */
	icmp = (void *)fl_opaque((long)(data + p->l4));
	if ((void *)(icmp + 1) > data_end || data + fl_l4_offset(v6) > data_end)
		return -1;
	diff = fl_quote_rewrite(data, data_end, v6, FL_L3 + p->len, &q, to);
	outer = fl_csum_diff_addr(v6, 0, &p->tuple.saddr, from);
	outer = fl_csum_diff_addr(v6, outer, &p->tuple.daddr, &to->daddr);
	icmp->checksum = fl_csum_apply(icmp->checksum, v6 ? diff + outer : diff);
	fl_rewrite_l3(data, v6, from, &to->daddr, outer, forward);
	if (v6 && forward)
		fl_ctx_sum_changed(ctx, bpf_htons(0xfffe));
	fl_count(FL_COUNTER_ICMP_ERROR);
	return 0;
}

/* Any packet of ICMP, which is read into *p. */
static __always_inline void fl_icmp_decide(fl_ctx *ctx, bool v6, struct fl_packet *p,
					   enum fl_hook hook, struct fl_decision *d)
{
	fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	switch (fl_parse_rest(ctx, v6, p)) {
	case FL_PACKET_ICMP_ERROR:
		fl_icmp_error(ctx, v6, p, hook, d);
		break;
	case FL_PACKET_ECHO:
		fl_echo_decide(v6, p, hook, d);
		break;
	}
}
