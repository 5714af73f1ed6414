/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc: the way out, the way in where XDP is absent or cannot use a device, and both ways of pod-side
 * devices. Packets that are not ours return TC_ACT_UNSPEC, so that other programs on the hook see
 * them too.
 */
#include <linux/if_packet.h>

#include "bpf/ctx/skb.bpf.h"

#include "bpf/entry.bpf.h"
#include "bpf/lib/mac.bpf.h"
#include "bpf/odd.bpf.h"
#include "nodeport/answer.bpf.h"
#include "nodeport/egress.bpf.h"
#include "nodeport/icmp_error.bpf.h"

/* clang-format off */
#define SLOW_ARRAY fl_tc_slow
#define SLOW_LIST(X) \
	X(ARRIVING,      fl_arriving) \
	X(LEAVING,       fl_leaving) \
	X(ICMP,          fl_icmp) \
	X(ODD,           fl_odd) \
	X(ODD_DECIDED,   fl_odd_decided) \
	X(ODD_TUNNEL,    fl_odd_tunnel) \
	X(UNPACK_ODD,    fl_unpack_odd) \
	X(UNPACK_DECIDE, fl_unpack_decide) \
	X(TUNNEL,        fl_tunnel) \
	X(UNPACK,        fl_unpack) \
	X(GENEVE,        fl_geneve) \
	X(UNPACK_SLOW,   fl_unpack_slow) \
	X(UNPACK_REST,   fl_unpack_rest) \
	X(PASS_ON,       fl_pass_on) \
	X(TUNNEL_ERROR,  fl_tunnel_error)
/* clang-format on */

#include "bpf/slow.bpf.h"

/* Send a packet on its way: FL_ACT_PASS, FL_ACT_STACK, FL_ACT_FORWARD. */
static __always_inline int send(struct __sk_buff *skb, bool v6, const struct fl_packet *p,
				const struct fl_decision *d)
{
	switch (d->action) {
	case FL_ACT_FORWARD:
		return forward(skb, v6, p, &d->to, &d->hop);
	case FL_ACT_TUNNEL:
		return tunnel(skb, v6, p, d);
	case FL_ACT_STACK:
		if (d->mss && fl_mss_lower(skb, p->l4, d->mss))
			return drop(FL_REASON_REWRITE_FAILED);
		return to_stack(skb, v6, p, &d->to);
	}
	return TC_ACT_UNSPEC;
}

static __noinline int finish(struct __sk_buff *skb, bool v6, const struct fl_packet *p,
			     const struct fl_decision *d, enum fl_hook hook)
{
	enum fl_reason reason;

	if (d->action == FL_ACT_DROP)
		return drop(d->reason);
	if (d->action == FL_ACT_FRAGMENT) {
		if (fl_ctx_rewrite(skb, false, p, &d->to, true) ||
		    (d->hop.resolved && fl_ctx_set_macs(skb, d->hop.macs)))
			return drop(FL_REASON_REWRITE_FAILED);
		if (send_fragments(skb, p, &d->hop, d->hop.mtu, 0))
			return drop(FL_REASON_TOO_BIG);
		return fl_ctx_redirect(skb, d->hop.ifindex, d->hop.resolved);
	}
	if (!fl_is_answered(d->action))
		return send(skb, v6, p, d);
	reason = fl_answer(skb, v6, p, d);
	return reason ? drop(reason) : send_back(skb, hook);
}

/* No TC_ACT_* either: a packet of no flow. */
#define NO_FLOW -101
#define TUNNEL -102   /* a packet of a flow, for which there is an order */
#define GENEVE -105   /* perhaps one that another node has encapsulated */
#define VLAN_ID 0xfff /* 0: a priority, no VLAN */

/* The assembly keeps the compiler from loading these values ahead of each of the many tests. */
static __always_inline int no_fast_path(int action)
{
	asm volatile("");
	return action;
}

static __always_inline int handle_proto(struct __sk_buff *skb, void *data, bool v6, __u8 proto,
					enum fl_hook hook, struct fl_packet *p)
{
	struct fl_fast_flow fast;
	enum fl_fast way;

	if (!fl_packet_parse_key(data, fl_ctx_data_end(skb), fl_ctx_len(skb), v6, proto, p))
		return no_fast_path(NO_FLOW);
	/* never from a pod: nodes are not behind those devices */
	if (proto == IPPROTO_UDP && hook == FL_HOOK_INGRESS &&
	    p->tuple.dport == bpf_htons(FL_GENEVE_PORT) &&
	    fl_packet_is_geneve(data, fl_ctx_data_end(skb), v6))
		return no_fast_path(GENEVE);
	if (fl_hook_is_leaving(hook)) {
		if (!fl_filter_leaving(v6, p))
			return TC_ACT_UNSPEC;
		way = fl_fast_leaving(v6, p, &fast);
	} else {
		if (!fl_filter_arriving(v6, p))
			return TC_ACT_UNSPEC;
		way = fl_fast_arriving(skb, data, v6, p, hook, &fast);
	}
	switch (way) {
	case FL_FAST_FORWARD:
		fl_fast_done(&fast, data, v6, p);
		if (fl_ctx_rewrite(skb, v6, p, &fast.to, true) || fl_ctx_set_macs(skb, fast.macs))
			return drop(FL_REASON_REWRITE_FAILED);
		return bpf_redirect(fast.ifindex, 0);
	case FL_FAST_STACK:
		fl_fast_done(&fast, data, v6, p);
		return to_stack(skb, v6, p, &fast.to);
	case FL_FAST_TUNNEL:
		fl_fast_done(&fast, data, v6, p);
		return no_fast_path(TUNNEL);
	case FL_FAST_PASS:
		return TC_ACT_UNSPEC;
	default:
		return no_fast_path(SLOW_PATH);
	}
}

static __always_inline int handle_fast(struct __sk_buff *skb, bool v6, enum fl_hook hook)
{
	struct fl_packet p;
	void *data;

	fl_ctx_pull(skb, fl_l4_offset(v6) + sizeof(struct tcphdr));
	data = fl_ctx_data(skb);
	if (!fl_packet_parse_ip(data, fl_ctx_data_end(skb), fl_ctx_len(skb), fl_ctx_merged(skb), v6,
				&p))
		return no_fast_path(NO_FLOW);
	if (likely(p.proto == IPPROTO_TCP))
		return handle_proto(skb, data, v6, IPPROTO_TCP, hook, &p);
	if (p.proto == IPPROTO_UDP)
		return handle_proto(skb, data, v6, IPPROTO_UDP, hook, &p);
	return no_fast_path(NO_FLOW);
}

/* Whether a packet that arrives may be ours to send on. */
static __always_inline bool for_us(struct __sk_buff *skb)
{
	/*
	 * The kernel compares with the device's own address only; a bridge or macvlan that has the
	 * frame's comes later.
	 */
	if (skb->pkt_type != PACKET_HOST &&
	    (skb->pkt_type != PACKET_OTHERHOST ||
	     fl_ctx_data(skb) + FL_ETH_LEN > fl_ctx_data_end(skb) ||
	     !fl_mac_is_listed(skb->ifindex, fl_mac_of(fl_ctx_data(skb)))))
		return false;
	/* its tag was taken off already: for the device that has this VLAN, not for this one */
	return !(skb->vlan_present && skb->vlan_tci & VLAN_ID);
}

/* What programs leave in skb->cb for those that they call. */
enum { CB_HOOK, CB_WORK };

static __always_inline void decide(struct __sk_buff *skb, bool v6, bool leaving)
{
	if (leaving)
		slow_call(skb, v6, LEAVING);
	else
		slow_call(skb, v6, ARRIVING);
}

/* The slow path. Of an odd packet other programs begin it, with numbered work, and end it. */
static __always_inline int run_slow(struct __sk_buff *skb, bool v6, bool leaving)
{
	enum fl_hook hook = skb->cb[CB_HOOK];
	const __u32 odd = skb->cb[CB_WORK];
	struct fl_work *w = odd ? fl_work_again(odd) : fl_work_get();
	int action = TC_ACT_UNSPEC;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	if (odd || fl_parse_flow(skb, v6, &w->p)) {
		if (leaving)
			fl_decide_egress_slow(v6, &w->p, &w->d);
		else
			fl_decide_slow(skb, v6, &w->p, hook, &w->intent, &w->d);
		if (odd) {
			slow_call(skb, v6, ODD_DECIDED);
			action = drop(FL_REASON_SLOW_PATH);
		} else if (!v6 && !leaving && w->d.action == FL_ACT_TUNNEL_FRAGMENTS) {
			__builtin_memset(&w->odd, 0, sizeof(w->odd));
			w->odd.place = -1;
			skb->cb[CB_WORK] = w->number;
			slow_call(skb, v6, ODD_TUNNEL);
			action = drop(FL_REASON_SLOW_PATH);
		} else {
			action = finish(skb, v6, &w->p, &w->d, hook);
		}
	}
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_arriving, run_slow, false)

PROGRAMS(fl_leaving, run_slow, true)

static __always_inline int finish_icmp(struct __sk_buff *skb, bool v6, const struct fl_packet *p,
				       const struct fl_decision *d, enum fl_hook hook)
{
	const bool on = d->action == FL_ACT_FORWARD;

	switch (d->action) {
	case FL_ACT_PASS:
		return TC_ACT_UNSPEC;
	case FL_ACT_DROP:
		return drop(d->reason);
	case FL_ACT_ECHO:
		return fl_echo_answer(skb, v6, p) ? drop(FL_REASON_REWRITE_FAILED)
						  : send_back(skb, hook);
	case FL_ACT_TUNNEL:
		return tunnel(skb, v6, p, d);
	}
	if (fl_icmp_rewrite(skb, v6, p, &d->to, on))
		return drop(FL_REASON_REWRITE_FAILED);
	return on ? leave(skb, &d->hop) : TC_ACT_UNSPEC;
}

/* ICMP of both directions. */
static __always_inline int run_icmp(struct __sk_buff *skb, bool v6)
{
	enum fl_hook hook = skb->cb[CB_HOOK];
	struct fl_work *w = fl_work_get();
	int action;

	if (!w)
		return TC_ACT_UNSPEC;
	fl_icmp_decide(skb, v6, &w->p, hook, &w->d);
	action = finish_icmp(skb, v6, &w->p, &w->d, hook);
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_icmp, run_icmp)

static __always_inline int tunnel_odd(struct __sk_buff *skb, bool v6)
{
	slow_call(skb, v6, ODD_TUNNEL);
	return drop(FL_REASON_SLOW_PATH);
}

/* An odd packet, from its beginning: the slow path decides it, if it has the ports. */
static __always_inline int begin_odd(struct __sk_buff *skb, bool v6, struct fl_work *w,
				     enum fl_odd_side side)
{
	skb->cb[CB_WORK] = w->number;
	switch (fl_frag_begin(skb, v6, w, side)) {
	case FL_FRAG_DECIDE:
		if (side == FL_ODD_UNPACKED)
			slow_call(skb, v6, UNPACK_DECIDE);
		else
			decide(skb, v6, side == FL_ODD_LEAVES);
		return drop(FL_REASON_SLOW_PATH);
	case FL_FRAG_FOLLOW:
		if (is_tunnelled(&w->d))
			return tunnel_odd(skb, v6);
		if (is_translated(&w->d) && translate_odd(skb, v6, w))
			return drop(FL_REASON_REWRITE_FAILED);
		return finish_odd(skb, v6, w, skb->cb[CB_HOOK]);
	case FL_FRAG_DROP:
		return drop(w->d.reason);
	case FL_FRAG_STOLEN:
		return FL_CTX_HELD;
	}
	/* no node sends such to a pod of this one */
	return side == FL_ODD_UNPACKED ? drop(FL_REASON_TUNNEL_CONTENT) : TC_ACT_UNSPEC;
}

static __always_inline int run_odd(struct __sk_buff *skb, bool v6)
{
	const bool leaving = fl_hook_is_leaving(skb->cb[CB_HOOK]);
	struct fl_work *w = fl_work_get();
	int action;

	if (!w)
		return TC_ACT_UNSPEC;
	action = begin_odd(skb, v6, w, leaving ? FL_ODD_LEAVES : FL_ODD_ARRIVES);
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_odd, run_odd)

/* And to its end, when it is decided. */
static __always_inline int run_odd_decided(struct __sk_buff *skb, bool v6)
{
	enum fl_hook hook = skb->cb[CB_HOOK];
	struct fl_work *w = fl_work_again(skb->cb[CB_WORK]);
	int action;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	settle_odd(v6, w);
	action = is_tunnelled(&w->d) ? tunnel_odd(skb, v6) : end_odd(skb, v6, w, hook);
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_odd_decided, run_odd_decided)

/* What goes on encapsulated: odd packets, and those that are too big for it as a whole. */
static __always_inline int run_odd_tunnel(struct __sk_buff *skb, bool v6)
{
	struct fl_work *w = fl_work_again(skb->cb[CB_WORK]);
	int action;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	action = send_tunnelled(skb, v6, w);
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_odd_tunnel, run_odd_tunnel)

/* And what has come so, for a pod of this node: it is an odd packet without its outer header. */
static __always_inline int run_unpack_odd(struct __sk_buff *skb, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action = TC_ACT_UNSPEC;
	enum fl_reason reason;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	if (fl_unpack_outer_any(skb, v6, &w->outer)) {
		reason = fl_peer_is(v6, &w->outer.from)
				 ? fl_unpack_strip(skb, v6, w->outer.dispatch)
				 : FL_REASON_TUNNEL_SOURCE;
		w->outer.front = 0;
		action = reason ? drop(reason) : begin_odd(skb, v6, w, FL_ODD_UNPACKED);
	}
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_unpack_odd, run_unpack_odd)

static __always_inline void leave_to_others(struct __sk_buff *skb, bool v6, enum fl_hook hook)
{
	void *data = fl_ctx_data(skb), *data_end = fl_ctx_data_end(skb);

	if (fl_packet_is_icmp(data, data_end, v6)) {
		if (hook == FL_HOOK_INGRESS && fl_packet_quotes_tunnel(skb, v6)) {
			slow_call(skb, v6, TUNNEL_ERROR);
			return;
		}
		slow_call(skb, v6, ICMP);
	} else if (fl_packet_is_odd(data, data_end, v6)) {
		slow_call(skb, v6, ODD);
	}
}

PROGRAMS(fl_tunnel, run_tunnel)

PROGRAMS(fl_unpack_rest, unpack_rest)

PROGRAMS(fl_tunnel_error, run_tunnel_error)

/* An odd packet that another node has sent, and has the ports. A program of its own, since with the
 * one below it there would be too little stack for both. */
static __always_inline int run_unpack_decide(struct __sk_buff *skb, bool v6)
{
	struct fl_work *w = fl_work_again(skb->cb[CB_WORK]);

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	fl_unpack_decide(skb, v6, &w->p, &w->outer, &w->d);
	/* it cannot go on as it came any more */
	if (w->d.action == FL_ACT_PASS)
		fl_decision_set(&w->d, FL_ACT_DROP, FL_REASON_TUNNEL_FRONTEND);
	slow_call(skb, v6, ODD_DECIDED);
	fl_work_put(w);
	return drop(FL_REASON_SLOW_PATH);
}

PROGRAMS(fl_unpack_decide, run_unpack_decide)

static __always_inline int run_unpack_slow(struct __sk_buff *skb, bool v6)
{
	int action = unpack_slow(skb, v6);

	if (action != PASS_ON)
		return action;
	slow_call(skb, v6, PASS_ON);
	return drop(FL_REASON_SLOW_PATH);
}

PROGRAMS(fl_unpack_slow, run_unpack_slow)

PROGRAMS(fl_pass_on, pass_on)

static __always_inline int run_unpack(struct __sk_buff *skb, bool v6, __u32 dispatch)
{
	int action = unpack_fast(skb, v6, dispatch);

	if (action == UNPACK_REST) {
		slow_call(skb, v6, UNPACK_REST);
		return FL_CTX_PASS;
	}
	if (action == UNPACK_ODD) {
		slow_call(skb, v6, UNPACK_ODD);
		return FL_CTX_PASS;
	}
	if (action != SLOW_PATH)
		return action;
	slow_call(skb, v6, UNPACK_SLOW);
	return drop(FL_REASON_SLOW_PATH);
}

PROGRAMS(fl_unpack, run_unpack, FL_DISPATCH_IPIP)

PROGRAMS(fl_geneve, run_unpack, FL_DISPATCH_GENEVE)

static __always_inline int run(struct __sk_buff *skb, enum fl_hook hook)
{
	const bool leaving = fl_hook_is_leaving(hook);
	bool v6 = skb->protocol == bpf_htons(FL_ETH_P_IPV6);
	int action;

	if (!v6 && skb->protocol != bpf_htons(FL_ETH_P_IP))
		return TC_ACT_UNSPEC;
	if (!leaving && !for_us(skb))
		return TC_ACT_UNSPEC;
	if (leaving && fl_ctx_seeks_neighbour(skb))
		return fl_ctx_find_neighbour(skb);
	action = v6 ? handle_fast(skb, true, hook) : handle_fast(skb, false, hook);
	if (likely(action >= TC_ACT_UNSPEC))
		return action;
	if (action == TUNNEL) {
		slow_call(skb, v6, TUNNEL);
		return drop(FL_REASON_SLOW_PATH);
	}
	if (action == GENEVE) {
		slow_call(skb, v6, GENEVE);
		return TC_ACT_UNSPEC;
	}
	skb->cb[CB_HOOK] = hook;
	skb->cb[CB_WORK] = 0;
	/* of no flow: ICMP may be about one, one may be inside, and odd packets are left to
	 * programs of their own; whatever else it is, and also where the program is not there, it
	 * is not ours to drop */
	if (action == NO_FLOW) {
		/* never from a pod: nodes are not behind those devices */
		if (hook == FL_HOOK_INGRESS &&
		    fl_packet_is_tunnelled(fl_ctx_data(skb), fl_ctx_data_end(skb), v6)) {
			slow_call(skb, v6, UNPACK);
			return TC_ACT_UNSPEC;
		}
		leave_to_others(skb, v6, hook);
		return TC_ACT_UNSPEC;
	}
	decide(skb, v6, leaving);
	return drop(FL_REASON_SLOW_PATH);
}

/* From the network, on devices without XDP. */
SEC("tc")
int fl_tc_ingress(struct __sk_buff *skb)
{
	return run(skb, FL_HOOK_INGRESS);
}

/* From the network, behind fl_xdp: only what that left to us. */
SEC("tc")
int fl_tc_from_xdp(struct __sk_buff *skb)
{
	return fl_ctx_is_marked(skb) ? run(skb, FL_HOOK_INGRESS) : TC_ACT_UNSPEC;
}

/* To the network. */
SEC("tc")
int fl_tc_egress(struct __sk_buff *skb)
{
	return run(skb, FL_HOOK_EGRESS);
}

/* From a pod's device. */
SEC("tc")
int fl_pod_ingress(struct __sk_buff *skb)
{
	return run(skb, FL_HOOK_POD_INGRESS);
}

/* To a pod's device. */
SEC("tc")
int fl_pod_egress(struct __sk_buff *skb)
{
	return run(skb, FL_HOOK_POD_EGRESS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
