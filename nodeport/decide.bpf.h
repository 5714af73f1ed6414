/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's walk where the fast path (fast.bpf.h) does not go: a change of state, a new next hop,
 * a new flow. In functions of its own, so that the fast one stays short.
 */
#pragma once

#include "conntrack/track.bpf.h"
#include "nodeport/fast.bpf.h"
#include "nodeport/new_flow.bpf.h"

enum fl_known {
	FL_KNOWN,	  /* *d is filled in, but for the next hop */
	FL_UNKNOWN,	  /* no flow (any more) */
	FL_UNKNOWN_REPLY, /* a reply that passes: its flow is over, or it is translated later */
	FL_BROKEN,	  /* half of the flow is gone: fl_flow_mend() comes first */
	FL_REFUSED,	  /* *d says what becomes of the packet */
};

/*
 * The backend of a TCP flow is gone. Who goes on with the connection, by its numbers, is told by a
 * reset, and the flow is over; a SYN begins another one; what somebody else made up is dropped. The
 * entry of a tunnelled flow is kept until it expires, for else what is still under way would go to
 * the backend that the table has now. To a client whose packets come by another node, that node
 * says so; here what the backend has still sent leaves as the frontend's.
 */
static __always_inline enum fl_known fl_flow_give_up(bool v6, const struct fl_packet *p,
						     enum fl_hook hook, struct fl_flow_ref *ref,
						     struct fl_decision *d)
{
	const bool believed = fl_flow_believes(ref->head, p) || fl_flow_repeats(ref->head, p);
	const bool tunnelled = fl_flow_is_tunnelled(READ_ONCE(ref->head->flags));

	/* another flow has taken the entry */
	if (!fl_flow_unchanged(ref, believed ^ tunnelled))
		return FL_UNKNOWN;
	if (fl_packet_opens(p)) {
		fl_flow_remove(v6, ref);
		fl_count(FL_COUNTER_FLOW_RESTARTED);
		return FL_UNKNOWN;
	}
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_FLOW);
	if (!believed)
		return FL_REFUSED;
	/* a reset is not answered by one */
	if (p->tcp_flags & FL_TCP_RST) {
		fl_flow_remove(v6, ref);
		return FL_REFUSED;
	}
	if (hook == FL_HOOK_UNPACKED) {
		if (fl_flow_open(fl_flow_state(ref->word)))
			fl_flow_set_state(v6, ref, FL_FLOW_CLOSING);
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_TUNNEL_FRONTEND);
		return FL_REFUSED;
	}
	if (!tunnelled)
		fl_flow_remove(v6, ref);
	fl_decision_set(d, FL_ACT_REJECT, FL_REASON_RESET_BACKEND_GONE);
	return FL_REFUSED;
}

/* Global, so that it is verified once. enum fl_known: */
int fl_flow_give_up4(const struct fl_packet *p, enum fl_hook hook, __u32 slot, __u32 word,
		     struct fl_decision *d);
int fl_flow_give_up6(const struct fl_packet *p, enum fl_hook hook, __u32 slot, __u32 word,
		     struct fl_decision *d);

__noinline int fl_flow_give_up4(const struct fl_packet *p, enum fl_hook hook, __u32 slot,
				__u32 word, struct fl_decision *d)
{
	struct fl_flow_ref ref = {fl_flow_at(false, slot), word, slot};

	return p && d && ref.head ? fl_flow_give_up(false, p, hook, &ref, d) : FL_UNKNOWN;
}

__noinline int fl_flow_give_up6(const struct fl_packet *p, enum fl_hook hook, __u32 slot,
				__u32 word, struct fl_decision *d)
{
	struct fl_flow_ref ref = {fl_flow_at(true, slot), word, slot};

	return p && d && ref.head ? fl_flow_give_up(true, p, hook, &ref, d) : FL_UNKNOWN;
}

/* What is translated by another hook, if at all. On the way out only replies are, and of these the
 * ones that no ingress hook sees, as fl_fast_leaving() has it. */
static __always_inline bool fl_flow_not_here(enum fl_hook hook, __u8 flags)
{
	if (hook == FL_HOOK_EGRESS)
		return (flags & (FL_FLOW_IS_REPLY | FL_FLOW_SNAT)) != FL_FLOW_IS_REPLY;
	return fl_flow_translated_later(hook, flags);
}

/* The flow of a packet, whatever its state, which is brought up to date. FL_KNOWN counts if the
 * entry is unchanged afterwards. */
static __always_inline enum fl_known fl_flow_known(bool v6, const struct fl_packet *p,
						   enum fl_hook hook, __u32 now,
						   struct fl_flow_ref *ref, struct fl_decision *d)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	__u8 flags;
	bool reply;

	if (!fl_flow_find(v6, &p->tuple, p->proto, hash, ref))
		return FL_UNKNOWN;
	flags = READ_ONCE(ref->head->flags);
	if (!fl_flow_unchanged(ref, flags))
		return FL_UNKNOWN;
	if (fl_flow_not_here(hook, flags))
		return FL_UNKNOWN_REPLY;
	reply = flags & FL_FLOW_IS_REPLY;
	if (hook != FL_HOOK_EGRESS && unlikely(fl_flow_abandoned(ref->head, p->proto)))
		return v6 ? fl_flow_give_up6(p, hook, ref->slot, ref->word, d)
			  : fl_flow_give_up4(p, hook, ref->slot, ref->word, d);
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
	return FL_KNOWN;
}

/* Where the way of all flows to the same backend is kept; NULL: nowhere. */
static __always_inline __u16 *fl_flow_common_hop(bool v6, const struct fl_packet *p,
						 const struct fl_flow_head *head)
{
	struct fl_backend *backend = fl_flow_backend_of(v6, head, p->proto);

	if (!backend)
		return NULL;
	return fl_flow_is_tunnelled(head->flags) ? fl_tunnel_hop(fl_flow_backend(head), backend)
						 : &backend->next_hop;
}

/* Find a known flow's next hop, and remember it, unless another flow has taken the entry since. */
static __always_inline void fl_flow_route(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_flow_ref *ref, __u32 now,
					  struct fl_decision *d)
{
	struct fl_flow_head *head = ref->head;
	__u16 *common;
	const fl_hop_ref kept = READ_ONCE(*(const fl_hop_ref *)&head->next_hop);
	bool own = fl_flow_unchanged(ref, kept);

	if (!own || !fl_hop_get((const __u16 *)&kept, now, &d->hop)) {
		common = own ? fl_flow_common_hop(v6, p, head) : NULL;
		/* or it is the way to another flow's backend */
		own = own && fl_flow_unchanged(ref, kept);
		if (!own)
			common = NULL;
		switch (common && fl_hop_get(common, now, &d->hop)
				? FL_FIB_OK
				: fl_fib_lookup(ctx, &d->to.daddr, &d->hop)) {
		case FL_FIB_LOCAL:
			fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
			return;
		case FL_FIB_NO_ROUTE:
			fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
			return;
		case FL_FIB_OK:
			break;
		}
		if (common)
			fl_hop_keep(common, &d->hop);
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
	__u32 now = fl_now(), backend;
	bool tunnelled;
	__u8 flags;

	known = fl_flow_known(v6, p, hook, now, &ref, d);
	if (known != FL_KNOWN)
		return known;
	flags = READ_ONCE(ref.head->flags);
	backend = fl_flow_backend(ref.head);
	if (!fl_flow_unchanged(&ref, d->to.sport ^ flags ^ backend))
		return FL_UNKNOWN;
	tunnelled = fl_flow_is_tunnelled(flags);
	if (tunnelled && !fl_tunnel_aimed(v6, backend, d))
		return FL_KNOWN;
	if (!tunnelled && flags & FL_FLOW_TO_STACK)
		fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
	else
		fl_flow_route(ctx, v6, p, &ref, now, d);
	if (tunnelled)
		fl_tunnel_decide(ctx, v6, p, d);
	/* tc will count the packet; but it must not find the flow expired because this packet has
	 * just given it a state with a shorter timeout */
	if (d->action == FL_ACT_TO_TC)
		fl_flow_see(ref.head, now);
	else
		fl_flow_touch(ref.head, now, p->len);
	return FL_KNOWN;
}

/* The slow path, in parts. Global, so that each is verified once. enum fl_known: */
int fl_decide_known4(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
		     struct fl_decision *d);
int fl_decide_known6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
		     struct fl_decision *d);
int fl_decide_new4(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook, struct fl_intent *in);
int fl_decide_new6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook, struct fl_intent *in);
/* whether the flow was made, and in->d is what becomes of the packet */
int fl_commit_scanned4(const struct fl_packet *p, struct fl_intent *in);
int fl_commit_scanned6(const struct fl_packet *p, struct fl_intent *in);
/* to be tried again if it is not zero */
int fl_commit_new4(fl_ctx *ctx, const struct fl_packet *p, struct fl_intent *in, bool insist);
int fl_commit_new6(fl_ctx *ctx, const struct fl_packet *p, struct fl_intent *in, bool insist);

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
			      struct fl_intent *in)
{
	if (p && in)
		fl_new_decide(ctx, false, p, hook, fl_now(), in);
	return 0;
}

__noinline int fl_decide_new6(fl_ctx *ctx, const struct fl_packet *p, enum fl_hook hook,
			      struct fl_intent *in)
{
	if (p && in)
		fl_new_decide(ctx, true, p, hook, fl_now(), in);
	return 0;
}

__noinline int fl_commit_scanned4(const struct fl_packet *p, struct fl_intent *in)
{
	return p && in && fl_new_commit_scanned(false, p, fl_now(), in);
}

__noinline int fl_commit_scanned6(const struct fl_packet *p, struct fl_intent *in)
{
	return p && in && fl_new_commit_scanned(true, p, fl_now(), in);
}

__noinline int fl_commit_new4(fl_ctx *ctx, const struct fl_packet *p, struct fl_intent *in,
			      bool insist)
{
	return p && in ? fl_new_commit(ctx, false, p, fl_now(), in, insist) : 0;
}

__noinline int fl_commit_new6(fl_ctx *ctx, const struct fl_packet *p, struct fl_intent *in,
			      bool insist)
{
	return p && in ? fl_new_commit(ctx, true, p, fl_now(), in, insist) : 0;
}

/* How often a packet looks for a flow that another CPU has made or mended while this one did. */
#define FL_DECIDE_TRIES 8

/* Decide about a packet of no flow, and make the flow if nothing is out of the ordinary: true. */
static __always_inline bool fl_decide_begin(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					    enum fl_hook hook, struct fl_intent *in)
{
	if (v6) {
		fl_decide_new6(ctx, p, hook, in);
		return in->kind == FL_INTENT_SERVE && fl_commit_scanned6(p, in);
	}
	fl_decide_new4(ctx, p, hook, in);
	return in->kind == FL_INTENT_SERVE && fl_commit_scanned4(p, in);
}

/*
 * The slow path of packets that arrive, from the network or from a pod. What they work on is handed
 * to functions, so it lives in memory; the fast path has its own, which the compiler keeps in
 * registers. *in is room to work in.
 *
 * What a SYN begins is decided before the flow table is looked into: the two places there are far
 * apart in memory, and the second is known only when the backend is. Datagrams come this way once a
 * second too, so they are looked up first.
 */
static __always_inline void fl_decide_slow(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					   enum fl_hook hook, struct fl_intent *in,
					   struct fl_decision *d)
{
	bool decided = p->proto == IPPROTO_TCP && fl_packet_opens(p);

	__builtin_memset(d, 0, sizeof(*d));
	if (decided && fl_decide_begin(ctx, v6, p, hook, in)) {
		*d = in->d;
		return;
	}
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
		if (!decided && fl_decide_begin(ctx, v6, p, hook, in)) {
			*d = in->d;
			return;
		}
		decided = true;
		if (v6 ? fl_commit_new6(ctx, p, in, insist) : fl_commit_new4(ctx, p, in, insist))
			continue;
		*d = in->d;
		/* here, where there is stack left */
		if (d->action == FL_ACT_TUNNEL)
			v6 ? fl_tunnel_begin6(ctx, p, d) : fl_tunnel_begin4(ctx, p, d);
		if (in->sticky &&
		    (d->action == FL_ACT_TUNNEL || d->action == FL_ACT_TUNNEL_FRAGMENTS))
			fl_new_sticky_keep(p, in->sticky, d->tunnel_backend);
		return;
	}
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_SOURCE_PORT);
}
