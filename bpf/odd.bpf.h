/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How odd packets leave the tc programs, and with a first fragment those that have waited for it:
 * translated, encapsulated or answered.
 */
#pragma once

#include "bpf/entry.bpf.h"
#include "nodeport/answer.bpf.h"
#include "nodeport/frag.bpf.h"

/* To where it came from: out of the device, or into it when the packet was on its way out. */
static __always_inline int send_back(struct __sk_buff *skb, enum fl_hook hook)
{
	return bpf_redirect(skb->ifindex, fl_hook_is_leaving(hook) ? BPF_F_INGRESS : 0);
}

/* Whether copies of a packet can go there: the neighbour is known, or the egress program of the
 * device has it found. */
static __always_inline bool takes_copies(const struct fl_hop *hop)
{
	return hop->resolved || hop->flags & (FL_DEVICE_EXTERNAL | FL_DEVICE_POD);
}

/* In fragments by `hop`, of which the packet is then the last one: fl_fragment(). */
static __always_inline int send_fragments(struct __sk_buff *skb, const struct fl_packet *p,
					  const struct fl_hop *hop, __u32 mtu, __u32 of)
{
	__u32 mark;
	int rc;

	if (!takes_copies(hop))
		return -1;
	mark = fl_ctx_copies_begin(skb, hop->resolved);
	rc = fl_fragment(skb, p, hop->ifindex, mtu, of);
	fl_ctx_copies_end(skb, mark);
	return rc;
}

/* What waited for the packet leaves as it does; not by a hop that takes no copies. */
static __always_inline int release_by(struct __sk_buff *skb, const struct fl_work *w,
				      struct fl_frag_out *out, const struct fl_hop *hop)
{
	__u32 mark;
	int rc;

	if (takes_copies(hop)) {
		out->ifindex = hop->ifindex;
		out->mtu = hop->mtu;
	}
	mark = fl_ctx_copies_begin(skb, hop->resolved);
	rc = fl_frag_release(skb, w, w->odd.place, out);
	fl_frag_released(w);
	fl_ctx_copies_end(skb, mark);
	return rc;
}

/* What waited for the packet leaves by the way that it takes. */
static __always_inline int release(struct __sk_buff *skb, bool v6, struct fl_work *w,
				   enum fl_hook hook)
{
	struct fl_frag_out out = {.owner = w->odd.record, .mtu = 0xffff};
	int rc;

	switch (w->d.action) {
	case FL_ACT_FORWARD:
	case FL_ACT_FRAGMENT:
		return release_by(skb, w, &out, &w->d.hop);
	case FL_ACT_STACK:
	case FL_ACT_PASS:
		out.ifindex = skb->ifindex;
		if (fl_hook_is_leaving(hook))
			break;
		out.flags = BPF_F_INGRESS;
		if (w->d.action == FL_ACT_STACK)
			fl_frag_expect(v6, w);
	}
	rc = fl_frag_release(skb, w, w->odd.place, &out);
	fl_frag_released(w);
	return rc;
}

/* Whether the packet is to be rewritten, and not answered, dropped or left alone. */
static __always_inline bool is_translated(const struct fl_decision *d)
{
	return d->action == FL_ACT_STACK || d->action == FL_ACT_FORWARD ||
	       d->action == FL_ACT_FRAGMENT;
}

static __always_inline bool is_tunnelled(const struct fl_decision *d)
{
	return d->action == FL_ACT_TUNNEL || d->action == FL_ACT_TUNNEL_FRAGMENTS;
}

/* Write what was decided over an odd packet. */
static __always_inline int translate_odd(struct __sk_buff *skb, bool v6, struct fl_work *w)
{
	const bool forward = w->d.action != FL_ACT_STACK;

	if (fl_odd_rewrite(skb, w, v6, forward) ||
	    (forward && w->d.hop.resolved && fl_ctx_set_macs(skb, w->d.hop.macs)) ||
	    (!forward && w->d.mss && fl_mss_lower(skb, w->p.l4, w->d.mss)))
		return -1;
	if (w->odd.fragment)
		fl_count(FL_COUNTER_FRAGMENT);
	return 0;
}

/* What it is itself, if it is to be sent in fragments. */
static __always_inline __u32 fragment_of(const struct fl_odd *odd)
{
	return odd->at | (odd->more ? FL_FRAGMENT_MORE : 0);
}

/* Send an odd packet, translated if it is to be, on its way. */
static __always_inline int finish_odd(struct __sk_buff *skb, bool v6, struct fl_work *w,
				      enum fl_hook hook)
{
	enum fl_reason reason;

	switch (w->d.action) {
	case FL_ACT_PASS:
	case FL_ACT_STACK:
		return FL_CTX_PASS;
	case FL_ACT_FORWARD:
		return leave(skb, &w->d.hop);
	case FL_ACT_FRAGMENT:
		if (w->p.l4 != fl_l4_offset(false) ||
		    send_fragments(skb, &w->p, &w->d.hop, w->d.hop.mtu, fragment_of(&w->odd)))
			return drop(FL_REASON_TOO_BIG);
		return leave(skb, &w->d.hop);
	case FL_ACT_DROP:
		return drop(w->d.reason);
	}
	/* RFC 1812, 4.3.2.7: nothing is said of a later fragment, which in IPv6 has no such rule */
	if (w->odd.at && !v6)
		return drop(w->d.reason);
	/* eight bytes are quoted of it, whatever it carries */
	if (w->odd.at)
		w->p.proto = IPPROTO_UDP;
	else if (fl_odd_strip(skb, v6, &w->p))
		return drop(FL_REASON_REWRITE_FAILED);
	reason = fl_answer(skb, v6, &w->p, &w->d);
	return reason ? drop(reason) : send_back(skb, hook);
}

/* Say to the other fragments of its datagram what becomes of the first one. */
static __always_inline void settle_odd(bool v6, struct fl_work *w)
{
	if (!w->odd.fragment)
		return;
	/* others send from the address that it gets, with numbers of their own */
	if (is_translated(&w->d) && !fl_addr_equal(&w->d.to.saddr, &w->p.tuple.saddr))
		w->odd.new_id = fl_frag_id_next(v6);
	w->odd.hash = fl_tunnel_hash(v6, &w->p);
	fl_frag_settle(v6, w);
}

/* An odd packet that is decided, and is not to go on encapsulated. */
static __always_inline int end_odd(struct __sk_buff *skb, bool v6, struct fl_work *w,
				   enum fl_hook hook)
{
	if (is_translated(&w->d) && translate_odd(skb, v6, w))
		return drop(FL_REASON_REWRITE_FAILED);
	if (w->odd.place >= 0 && release(skb, v6, w, hook))
		return drop(FL_REASON_REWRITE_FAILED);
	return finish_odd(skb, v6, w, hook);
}

/*
 * Send it encapsulated, with what waited for it, and in fragments where it is too big. None of
 * these is marked as encapsulated for the kernel, which changes the length of no such packet.
 */
static __always_inline int send_tunnelled(struct __sk_buff *skb, bool v6, struct fl_work *w)
{
	struct fl_frag_out out = {.owner = w->odd.record, .outer = fl_tunnel_overhead(v6)};
	const bool pieces = !v6 && w->d.action == FL_ACT_TUNNEL_FRAGMENTS;
	/* a fragment has none of its own: that of the first one */
	const __u32 hash = w->odd.fragment ? w->odd.hash : fl_tunnel_hash(v6, &w->p);
	struct fl_hop *hop = &w->d.hop;

	if (pieces && w->p.l4 != fl_l4_offset(false))
		return drop(FL_REASON_TOO_BIG);
	if (fl_tunnel_wrap_odd(skb, v6, &w->p, &w->d, hash))
		return drop(FL_REASON_REWRITE_FAILED);
	if (w->odd.fragment)
		fl_count(FL_COUNTER_FRAGMENT);
	if (w->odd.place >= 0 && release_by(skb, w, &out, hop))
		return drop(FL_REASON_REWRITE_FAILED);
	if (pieces && send_fragments(skb, &w->p, hop, hop->mtu - out.outer,
				     fragment_of(&w->odd) | FL_FRAGMENT_OUTER))
		return drop(FL_REASON_TOO_BIG);
	return fl_ctx_redirect(skb, hop->ifindex, hop->resolved);
}
