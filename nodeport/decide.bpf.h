/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's walk. The fast path finds an established flow and sends its packet on, all inline. A
 * change of state, a new next hop or a new flow takes the slow path, in functions of its own, so
 * that the fast one stays short.
 */
#pragma once

#include "conntrack/track.bpf.h"
#include "nodeport/new_flow.bpf.h"

enum fl_known {
	FL_KNOWN,	  /* *d is filled in, but for the next hop */
	FL_UNKNOWN,	  /* no flow (any more) */
	FL_UNKNOWN_REPLY, /* a reply that passes: its flow is over, or it is translated later */
	FL_BROKEN,	  /* half of the flow is gone: fl_flow_mend() comes first */
	FL_REFUSED,	  /* *d says what becomes of the packet */
};

/*
 * The reply of a local backend is translated where it leaves the node or reaches a pod, not where
 * it comes from; and what comes from the network as such a reply is forged.
 */
static __always_inline bool fl_flow_translated_later(enum fl_hook hook, __u8 flags)
{
	const __u8 unmasqueraded = flags & (FL_FLOW_IS_REPLY | FL_FLOW_SNAT);

	if (unmasqueraded != FL_FLOW_IS_REPLY)
		return false;
	return hook == FL_HOOK_POD_INGRESS || (hook == FL_HOOK_INGRESS && flags & FL_FLOW_LOCAL);
}

/*
 * The backend of a TCP flow is gone. Who goes on with the connection, by its numbers, is told by a
 * reset, and the flow is over; a SYN begins another one; what somebody else made up is dropped.
 */
static __always_inline enum fl_known fl_flow_give_up(bool v6, const struct fl_packet *p,
						     const struct fl_flow_ref *ref,
						     struct fl_decision *d)
{
	const bool believed = fl_flow_believes(ref->head, p);

	/* another flow has taken the entry */
	if (!fl_flow_unchanged(ref, believed))
		return FL_UNKNOWN;
	if (fl_packet_opens(p)) {
		fl_flow_remove(v6, ref);
		fl_count(FL_COUNTER_FLOW_RESTARTED);
		return FL_UNKNOWN;
	}
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_FLOW);
	if (!believed)
		return FL_REFUSED;
	fl_flow_remove(v6, ref);
	/* a reset is not answered by one */
	if (!(p->tcp_flags & FL_TCP_RST))
		fl_decision_set(d, FL_ACT_REJECT, FL_REASON_RESET_BACKEND_GONE);
	return FL_REFUSED;
}

/* The flow of a packet, whatever its state, which is brought up to date. */
static __always_inline enum fl_known fl_flow_known(bool v6, const struct fl_packet *p,
						   enum fl_hook hook, __u32 now,
						   struct fl_flow_ref *ref, struct fl_decision *d)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	bool reply;

	/* a new flow, as a rule: the frontend's line comes from memory beside the flow's bucket */
	if (p->tcp_flags & FL_TCP_SYN)
		fl_frontend_expect(v6, &p->tuple.daddr, p->tuple.dport, p->proto);
	if (!fl_flow_find(v6, &p->tuple, p->proto, hash, ref))
		return FL_UNKNOWN;
	if (fl_flow_translated_later(hook, ref->head->flags))
		return FL_UNKNOWN_REPLY;
	reply = ref->head->flags & FL_FLOW_IS_REPLY;
	if (hook != FL_HOOK_EGRESS && unlikely(fl_flow_abandoned(ref->head, p->proto)))
		return fl_flow_give_up(v6, p, ref, d);
	if (fl_flow_over(v6, p, reply, now, ref))
		return reply ? FL_UNKNOWN_REPLY : FL_UNKNOWN;
	if (unlikely(fl_flow_broken(v6, ref, now))) {
		if (fl_flow_open(fl_flow_state(ref->word)))
			return FL_BROKEN;
		fl_flow_remove(v6, ref);
		if (!reply && fl_flow_state(ref->word) < FL_FLOW_ESTABLISHED)
			fl_count(FL_COUNTER_FLOW_EVICTED);
		return reply ? FL_UNKNOWN_REPLY : FL_UNKNOWN;
	}
	fl_flow_rewrite(v6, ref->head, &d->to);
	if (!v6) {
		fl_addr_map4(&d->to.saddr);
		fl_addr_map4(&d->to.daddr);
	}
	fl_flow_track(v6, ref, p, now);
	return fl_flow_unchanged(ref, d->to.sport) ? FL_KNOWN : FL_UNKNOWN;
}

/* Find a known flow's next hop, and remember it, unless another flow has taken the entry since. */
static __always_inline void fl_flow_route(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_flow_ref *ref, __u32 now,
					  struct fl_decision *d)
{
	struct fl_flow_head *head = ref->head;
	const fl_hop_ref kept = READ_ONCE(*(const fl_hop_ref *)&head->next_hop);
	const bool own = fl_flow_unchanged(ref, kept);

	if (!own || !fl_hop_get((const __u16 *)&kept, now, &d->hop)) {
		switch (fl_fib_lookup(ctx, &d->to.daddr, &d->hop)) {
		case FL_FIB_LOCAL:
			fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
			return;
		case FL_FIB_NO_ROUTE:
			fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
			return;
		case FL_FIB_OK:
			break;
		}
		if (own)
			fl_hop_replace(&head->next_hop, kept, &d->hop);
	}
	fl_decision_forward(ctx, p, d);
}

static __always_inline enum fl_known fl_decide_known(fl_ctx *ctx, bool v6,
						     const struct fl_packet *p, enum fl_hook hook,
						     struct fl_decision *d)
{
	struct fl_flow_ref ref;
	enum fl_known known;
	__u32 now = fl_now();

	known = fl_flow_known(v6, p, hook, now, &ref, d);
	if (known != FL_KNOWN)
		return known;
	if (ref.head->flags & FL_FLOW_TO_STACK)
		fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
	else
		fl_flow_route(ctx, v6, p, &ref, now, d);
	/* tc will count the packet; but it must not find the flow expired because this packet has
	 * just given it a state with a shorter timeout */
	if (d->action == FL_ACT_TO_TC)
		fl_flow_see(ref.head, now);
	else
		fl_flow_touch(ref.head, now, p->len);
	return FL_KNOWN;
}

/* The slow path, in two parts: enum fl_known, and what follows FL_UNKNOWN, which is to be tried
 * again if it is not zero. Global, so that each is verified once. */
int fl_decide_known4(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
		     struct fl_decision *d);
int fl_decide_known6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
		     struct fl_decision *d);
int fl_decide_new4(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook, struct fl_decision *d,
		   bool insist);
int fl_decide_new6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook, struct fl_decision *d,
		   bool insist);

__noinline int fl_decide_known4(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
				struct fl_decision *d)
{
	return p && d ? fl_decide_known(ctx, false, p, hook, d) : FL_UNKNOWN;
}

__noinline int fl_decide_known6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
				struct fl_decision *d)
{
	return p && d ? fl_decide_known(ctx, true, p, hook, d) : FL_UNKNOWN;
}

__noinline int fl_decide_new4(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
			      struct fl_decision *d, bool insist)
{
	return p && d ? fl_new_flow(ctx, false, p, hook, fl_now(), d, insist) : 0;
}

__noinline int fl_decide_new6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
			      struct fl_decision *d, bool insist)
{
	return p && d ? fl_new_flow(ctx, true, p, hook, fl_now(), d, insist) : 0;
}

/* What the fast path does. Constants that its caller goes on from at once, each on a way of its
 * own: kept in a decision, they cost more than what they say. */
enum fl_fast {
	FL_FAST_SLOW, /* nothing: the slow path decides */
	FL_FAST_PASS, /* unchanged to the stack */
	FL_FAST_TO_TC,
	FL_FAST_STACK,	 /* rewritten to the stack: fast->to; then fl_fast_done() */
	FL_FAST_FORWARD, /* rewritten, and on to fast->hop; then fl_fast_done() */
};

struct fl_fast_flow {
	struct fl_flow_head *head;
	struct fl_tuple6 to;
	struct fl_hop hop;
};

/*
 * The fast path: an established flow, an ordinary packet of it, a fresh next hop, and nothing in
 * the way. `data`: the frame, of which fl_packet_parse_key() has read. Nothing is changed.
 */
static __always_inline enum fl_fast fl_decide_fast(fl_ctx *ctx, void *data, bool v6,
						   struct fl_packet *p, enum fl_hook hook,
						   struct fl_fast_flow *ret_fast)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	struct fl_flow_head *head;
	struct fl_flow_ref ref;
	__u32 now, state;
	__s32 idle;
	__u8 flags;

	if (p->tcp_flags & (FL_TCP_SYN | FL_TCP_FIN | FL_TCP_RST))
		return FL_FAST_SLOW;
	if (!fl_flow_find_near(v6, &p->tuple, p->proto, hash, &ref))
		return FL_FAST_SLOW;
	head = ref.head;
	state = fl_flow_state(ref.word);
	flags = head->flags;
	if (fl_flow_translated_later(hook, flags))
		return FL_FAST_PASS;
	now = fl_now();
	if (!fl_flow_steady(head, state, p->proto, now))
		return FL_FAST_SLOW;
	idle = now - head->last_seen;
	/* once a second the slow path looks at both directions; no timeout is shorter */
	if (idle >= (__s32)fl_config.hz)
		return FL_FAST_SLOW;
	if (!(flags & FL_FLOW_IS_REPLY) &&
	    (flags & FL_FLOW_STALE || fl_flow_backend_lost(v6, head, p->proto)))
		return FL_FAST_SLOW;
	ret_fast->head = head;
	fl_flow_rewrite(v6, head, &ret_fast->to);
	if (unlikely(flags & FL_FLOW_TO_STACK))
		return fl_flow_untouched(&ref) ? FL_FAST_STACK : FL_FAST_SLOW;
	if (!fl_hop_get(&head->next_hop, now, &ret_fast->hop))
		return FL_FAST_SLOW;
	if (fl_ctx_is_xdp && !(ret_fast->hop.flags & FL_DEVICE_XDP_TX))
		return FL_FAST_TO_TC;
	fl_packet_read_hop(data + FL_L3, v6, p);
	if (!fl_ctx_is_xdp)
		fl_packet_read_l4(data, NULL, false, v6, p); /* for fl_ctx_wire_len() */
	if (p->ttl <= 1 || fl_ctx_wire_len(ctx, p) > ret_fast->hop.mtu)
		return FL_FAST_SLOW;
	return fl_flow_untouched(&ref) ? FL_FAST_FORWARD : FL_FAST_SLOW;
}

/* The packet is sent as fl_decide_fast() has said. */
static __always_inline void fl_fast_done(const struct fl_fast_flow *fast, void *data, bool v6,
					 struct fl_packet *p)
{
	fl_packet_read_l4(data, NULL, false, v6, p);
	fl_flow_follow(fast->head, p);
	fl_flow_count(fast->head, p->len);
}

/* How often a packet looks for a flow that another CPU has made or mended while this one did. */
#define FL_DECIDE_TRIES 8

/*
 * The slow path of packets that arrive, from the network or from a pod. p and d are handed to
 * functions, so they live in memory; those of the fast path are others, which the compiler keeps in
 * registers.
 */
static __always_inline void fl_decide_slow(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					   enum fl_hook hook, struct fl_decision *d)
{
	__builtin_memset(d, 0, sizeof(*d));
	for (int i = 0; i < FL_DECIDE_TRIES; i++) {
		const bool insist = i >= FL_DECIDE_TRIES / 2;
		int known =
			v6 ? fl_decide_known6(ctx, p, hook, d) : fl_decide_known4(ctx, p, hook, d);

		if (known == FL_BROKEN) {
			v6 ? fl_flow_mend6(p) : fl_flow_mend4(p);
			continue;
		}
		if (known != FL_UNKNOWN)
			return;
		if (!(v6 ? fl_decide_new6(ctx, p, hook, d, insist)
			 : fl_decide_new4(ctx, p, hook, d, insist)))
			return;
	}
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_SOURCE_PORT);
}
