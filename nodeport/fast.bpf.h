/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path: an established flow, an ordinary packet of it, a fresh next hop, and nothing in
 * the way. All inline, for one protocol at a time (p->proto is a constant), and without a call
 * behind the look into the flow table, since a call takes half of the registers.
 */
#pragma once

#include "bpf/lib/mac.bpf.h"
#include "conntrack/track.bpf.h"
#include "nodeport/tunnel_fast.bpf.h"

/* What the fast path does. Constants that its caller goes on from at once, each on a way of its
 * own: kept in a decision, they cost more than what they say. */
enum fl_fast {
	FL_FAST_SLOW,	 /* nothing: the slow path decides */
	FL_FAST_PASS,	 /* unchanged to the stack */
	FL_FAST_TO_TC,	 /* which will count it; then fl_flow_renew() */
	FL_FAST_STACK,	 /* rewritten to the stack: fast->to; then fl_fast_done() */
	FL_FAST_FORWARD, /* rewritten, and on by fast->ifindex; then fl_fast_done() */
	/* XDP: the same by the device that the frame came in by, to whose own address it came */
	FL_FAST_BACK,
	FL_FAST_TUNNEL, /* as there is an order for: fl_tunnel_obey(); then fl_fast_done() */
};

struct fl_fast_flow {
	struct fl_flow_head *head;
	struct fl_tuple6 to;
	__u32 ifindex;
	__u32 macs[3]; /* as fl_hop has them */
};

/*
 * The reply of a local backend is translated where it leaves the node or reaches a pod, not where
 * it comes from, unless the flow is masqueraded. What comes from the network as the reply of a
 * local backend is forged, and so is what comes from a pod as that of any other (D11); by which of
 * several devices of the network a reply comes is the network's matter.
 */
static __always_inline bool fl_flow_translated_later(enum fl_hook hook, __u8 flags)
{
	const __u8 of_pod = FL_FLOW_IS_REPLY | FL_FLOW_SNAT | FL_FLOW_LOCAL;

	if (hook == FL_HOOK_POD_INGRESS)
		return flags & FL_FLOW_IS_REPLY && (flags & of_pod) != of_pod;
	return (hook == FL_HOOK_INGRESS || hook == FL_HOOK_UNPACKED) &&
	       (flags & (FL_FLOW_IS_REPLY | FL_FLOW_LOCAL)) == (FL_FLOW_IS_REPLY | FL_FLOW_LOCAL);
}

/*
 * Once in a generation of next hops: take over the one that another flow of the same backend has
 * found in it. False: there is none.
 */
static __always_inline bool fl_fast_hop_again(bool v6, const struct fl_flow_ref *ref, __u8 proto)
{
	struct fl_flow_head *head = ref->head;
	fl_hop_ref *kept_at = (fl_hop_ref *)&head->next_hop;
	const fl_hop_ref kept = READ_ONCE(*kept_at);
	const struct fl_backend *backend;
	fl_hop_ref found;

	/* tc's program has no stack left for this; and by Geneve the way leads to the backend's
	 * node, and is kept elsewhere */
	if (!fl_ctx_is_xdp ||
	    (fl_config.dispatch == FL_DISPATCH_GENEVE && fl_flow_is_tunnelled(head->flags)))
		return false;
	backend = fl_flow_backend_of(v6, head, proto);
	if (!backend)
		return false;
	found = READ_ONCE(*(const fl_hop_ref *)&backend->next_hop);
	return found != kept && fl_flow_untouched(ref) &&
	       __sync_val_compare_and_swap(kept_at, kept, found) == kept;
}

/* Of a flow that goes on encapsulated. */
static __always_inline enum fl_fast fl_fast_tunnelled(fl_ctx *ctx, void *data, bool v6,
						      struct fl_packet *p, __u64 hash, __u32 now,
						      const struct fl_flow_ref *ref)
{
	struct fl_next_hop *nh;
	__u32 hop_word;
	fl_hop_ref kept;

	if (!fl_hop_begin(&ref->head->next_hop, now, &nh, &kept, &hop_word) &&
	    (!fl_ctx_is_xdp || fl_config.dispatch == FL_DISPATCH_GENEVE ||
	     !fl_fast_hop_again(v6, ref, p->proto) ||
	     !fl_hop_begin(&ref->head->next_hop, now, &nh, &kept, &hop_word)))
		return FL_FAST_SLOW;
	if (fl_ctx_is_xdp && !(nh->flags & FL_DEVICE_XDP_TX))
		return fl_flow_untouched(ref) ? FL_FAST_TO_TC : FL_FAST_SLOW;
	fl_packet_read_hop(data + FL_L3, v6, p);
	fl_packet_read_l4(data, NULL, false, v6, p); /* for fl_ctx_wire_len() */
	if (!fl_tunnel_order(ctx, v6, p, ref->head, nh, hash))
		return FL_FAST_SLOW;
	return fl_flow_untouched(ref) && READ_ONCE(nh->word) == hop_word ? FL_FAST_TUNNEL
									 : FL_FAST_SLOW;
}

/* Of a packet that arrives. `data`: the frame, of which fl_packet_parse_key() has read. Nothing is
 * changed. */
static __always_inline enum fl_fast fl_fast_arriving(fl_ctx *ctx, void *data, bool v6,
						     struct fl_packet *p, enum fl_hook hook,
						     struct fl_fast_flow *ret_fast)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	const __u32 now = fl_now();
	struct fl_next_hop *nh;
	struct fl_flow_head *head;
	struct fl_flow_ref ref;
	__u32 hop_word;
	fl_hop_ref kept;
	__u8 flags;

	if (p->tcp_flags & (FL_TCP_SYN | FL_TCP_FIN | FL_TCP_RST))
		return FL_FAST_SLOW;
	if (!fl_flow_find_near(v6, &p->tuple, p->proto, hash, &ref))
		return FL_FAST_SLOW;
	head = ref.head;
	flags = head->flags;
	if (fl_flow_translated_later(hook, flags))
		return fl_flow_untouched(&ref) ? FL_FAST_PASS : FL_FAST_SLOW;
	if (!fl_flow_steady(head, fl_flow_state(ref.word), p->proto, now))
		return FL_FAST_SLOW;
	if (!fl_flow_goes_on(v6, &ref, p->proto, now))
		return FL_FAST_SLOW;
	if (!(flags & FL_FLOW_IS_REPLY) &&
	    (flags & FL_FLOW_STALE || fl_flow_backend_lost(v6, head, p)))
		return FL_FAST_SLOW;
	ret_fast->head = head;
	fl_flow_rewrite(v6, head, &ret_fast->to);
	if (unlikely(flags & FL_FLOW_TO_STACK)) {
		if (fl_flow_is_tunnelled(flags))
			return fl_fast_tunnelled(ctx, data, v6, p, hash, now, &ref);
		return fl_flow_untouched(&ref) ? FL_FAST_STACK : FL_FAST_SLOW;
	}
	if (!fl_hop_begin(&head->next_hop, now, &nh, &kept, &hop_word) &&
	    (!fl_fast_hop_again(v6, &ref, p->proto) ||
	     !fl_hop_begin(&head->next_hop, now, &nh, &kept, &hop_word)))
		return FL_FAST_SLOW;
	fl_packet_read_hop(data + FL_L3, v6, p);
	if (!fl_ctx_is_xdp)
		fl_packet_read_l4(data, NULL, false, v6, p); /* for fl_ctx_wire_len() */
	if (p->ttl <= 1 || fl_ctx_wire_len(ctx, p) > nh->mtu)
		return FL_FAST_SLOW;
	if (fl_ctx_is_xdp && !(nh->flags & FL_DEVICE_XDP_TX))
		return fl_flow_untouched(&ref) ? FL_FAST_TO_TC : FL_FAST_SLOW;
	__builtin_memcpy(ret_fast->macs, nh->dst_mac, sizeof(ret_fast->macs));
	if (fl_ctx_is_xdp &&
	    likely(nh->ifindex == fl_ctx_ifindex(ctx) && fl_mac_is_source(nh, data)))
		return fl_flow_untouched(&ref) && READ_ONCE(nh->word) == hop_word ? FL_FAST_BACK
										  : FL_FAST_SLOW;
	ret_fast->ifindex = nh->ifindex;
	return fl_flow_untouched(&ref) && READ_ONCE(nh->word) == hop_word ? FL_FAST_FORWARD
									  : FL_FAST_SLOW;
}

/* Of one that leaves. */
static __always_inline enum fl_fast fl_fast_leaving(bool v6, const struct fl_packet *p,
						    struct fl_fast_flow *ret_fast)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	const __u32 now = fl_now();
	struct fl_flow_ref ref;
	__u8 flags;

	if (!fl_flow_find_near(v6, &p->tuple, p->proto, hash, &ref))
		return FL_FAST_SLOW;
	flags = ref.head->flags;
	/* only replies to unmasqueraded flows are translated on their way out */
	if (!(flags & FL_FLOW_IS_REPLY) || flags & FL_FLOW_SNAT)
		return FL_FAST_PASS;
	ret_fast->head = ref.head;
	if (p->tcp_flags & (FL_TCP_SYN | FL_TCP_FIN | FL_TCP_RST) ||
	    !fl_flow_steady(ref.head, fl_flow_state(ref.word), p->proto, now) ||
	    !fl_flow_goes_on(v6, &ref, p->proto, now))
		return FL_FAST_SLOW;
	fl_flow_rewrite(v6, ref.head, &ret_fast->to);
	return fl_flow_untouched(&ref) ? FL_FAST_STACK : FL_FAST_SLOW;
}

/* The packet is sent as was said. */
static __always_inline void fl_fast_done(const struct fl_fast_flow *fast, void *data, bool v6,
					 struct fl_packet *p)
{
	fl_packet_read_l4(data, NULL, false, v6, p);
	fl_flow_renew(v6, fast->head, p->proto, fl_now());
	fl_flow_follow(fast->head, p);
	fl_flow_count(fast->head, p->len);
}
