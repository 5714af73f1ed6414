/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the entry files of XDP and tc have in common: sending a packet to the stack, and both sides
 * of DSR. Only bpf/ctx knows which of the two it is.
 */
#pragma once

#include "bpf/lib/parse.bpf.h"
#include "nodeport/icmp_error.bpf.h"
#include "nodeport/slow.bpf.h"
#include "nodeport/tunnel_error.bpf.h"
#include "nodeport/unpack.bpf.h"

static __always_inline int drop(__u32 reason)
{
	fl_count(reason);
	return FL_CTX_DROP;
}

/* Unchanged to the program behind this one. */
static __always_inline int leave_to_tc(fl_ctx *ctx)
{
	if (fl_ctx_mark(ctx))
		return drop(FL_REASON_REWRITE_FAILED);
	fl_count(FL_COUNTER_TO_TC);
	return FL_CTX_PASS;
}

/* Rewritten to the stack. */
static __always_inline int to_stack(fl_ctx *ctx, bool v6, const struct fl_packet *p,
				    const struct fl_tuple6 *to)
{
	return fl_ctx_rewrite(ctx, v6, p, to, false) ? drop(FL_REASON_REWRITE_FAILED) : FL_CTX_PASS;
}

/* Rewritten already, and out by a device. */
static __always_inline int leave(fl_ctx *ctx, const struct fl_hop *hop)
{
	if (hop->resolved && fl_ctx_set_macs(ctx, hop->macs))
		return drop(FL_REASON_REWRITE_FAILED);
	return fl_ctx_redirect(ctx, hop->ifindex, hop->resolved);
}

/* Rewritten, and out by a device. */
static __always_inline int forward(fl_ctx *ctx, bool v6, const struct fl_packet *p,
				   const struct fl_tuple6 *to, const struct fl_hop *hop)
{
	if (fl_ctx_rewrite(ctx, v6, p, to, true))
		return drop(FL_REASON_REWRITE_FAILED);
	return leave(ctx, hop);
}

/* DSR: behind an outer header, and out by a device. */
static __always_inline int tunnel(fl_ctx *ctx, bool v6, const struct fl_packet *p,
				  const struct fl_decision *d)
{
	if (v6 ? fl_tunnel_send6(ctx, p, d) : fl_tunnel_send4(ctx, p, d))
		return drop(FL_REASON_REWRITE_FAILED);
	return fl_ctx_redirect(ctx, d->hop.ifindex, d->hop.resolved);
}

/* No verdicts: another program of the slow path goes on. */
#define SLOW_PATH -100
#define UNPACK_REST -103 /* one for what is inside and of no flow */
#define UNPACK_ODD -104	 /* tc: one for odd packets */
#define PASS_ON -106	 /* one for segments that another node may know */

/* DSR: out to the backend's node. */
static __always_inline int run_tunnel(fl_ctx *ctx, bool v6)
{
	__u32 ifindex = 0;
	enum fl_reason reason = fl_tunnel_obey(ctx, v6, &ifindex);

	return reason ? drop(reason) : fl_ctx_redirect(ctx, ifindex, true);
}

/* Unpacked, to the stack. */
static __always_inline int unpack(fl_ctx *ctx, bool v6, __u32 dispatch, const struct fl_packet *p,
				  const struct fl_tuple6 *to)
{
	enum fl_reason reason = fl_unpack_strip(ctx, v6, dispatch);

	return reason ? drop(reason) : to_stack(ctx, v6, p, to);
}

/* What is inside is none that a flow could have. */
static __always_inline int unpack_other(fl_ctx *ctx, bool v6, __u32 dispatch,
					const struct fl_outer *o)
{
	const __u32 outer = fl_outer_size(v6, dispatch);
	void *inner = fl_ctx_data(ctx) + outer, *data_end = fl_ctx_data_end(ctx);
	struct fl_packet p;

	if (fl_packet_is_icmp(inner, data_end, v6))
		return UNPACK_REST;
	if (!fl_packet_is_odd(inner, data_end, v6))
		return FL_CTX_PASS;
	fl_packet_read_l3(inner + FL_L3, v6, &p);
	if (!fl_unpack_fits(dispatch, o, p.len + outer) || !fl_unpack_serves(v6, &p.tuple.daddr))
		return FL_CTX_PASS;
	return fl_ctx_is_xdp ? leave_to_tc(ctx) : UNPACK_ODD;
}

/*
 * DSR: in from another node. An ordinary packet of an established flow; SLOW_PATH, UNPACK_REST,
 * UNPACK_ODD: it is another one.
 */
static __always_inline int unpack_fast(fl_ctx *ctx, bool v6, __u32 dispatch)
{
	const __u32 outer = fl_outer_size(v6, dispatch);
	struct fl_flow_ref ref;
	struct fl_packet p;
	struct fl_tuple6 to;
	struct fl_outer o;
	bool seen;

	fl_ctx_pull(ctx, fl_l4_offset(v6) + outer + sizeof(struct tcphdr));
	if (!fl_unpack_header(ctx, v6, dispatch, &o))
		return FL_CTX_PASS;
	seen = fl_unpack_seen(v6, dispatch, &o);
	if (!seen && !fl_unpack_is_here(dispatch, &o))
		return FL_CTX_PASS;
	if (!fl_unpack_inner(ctx, v6, dispatch, &o, &p))
		return unpack_other(ctx, v6, dispatch, &o);
	/* a rewrite in XDP would take the sum for a finished one; tc knows which it is */
	if (fl_ctx_is_xdp && fl_config.unfinished_sums &&
	    fl_packet_sum_unfinished(fl_ctx_data(ctx) + outer, fl_ctx_data_end(ctx), v6, &p))
		return leave_to_tc(ctx);
	if (!seen || !fl_unpack_fast(v6, &p, &ref, &to))
		return SLOW_PATH;
	fl_flow_renew(v6, ref.head, p.proto, fl_now());
	fl_flow_follow(ref.head, &p);
	fl_flow_count(ref.head, p.len);
	return unpack(ctx, v6, dispatch, &p, &to);
}

static __always_inline int unpack_slow(fl_ctx *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action = FL_CTX_PASS;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	if (v6 ? fl_unpack_read6(ctx, &w->outer, &w->p) : fl_unpack_read4(ctx, &w->outer, &w->p)) {
		if (fl_peer_is(v6, &w->outer.from))
			fl_unpack_decide(ctx, v6, &w->p, &w->outer, &w->d);
		else
			fl_unpack_foreign(v6, &w->p, &w->d);
		if (w->d.action == FL_ACT_DROP) {
			action = drop(w->d.reason);
		} else if (w->d.action == FL_ACT_STACK) {
			fl_unpack_see(v6, &w->outer);
			action = unpack(ctx, v6, w->outer.dispatch, &w->p, &w->d.to);
		} else if (w->d.action == FL_ACT_TUNNEL) {
			action = PASS_ON;
		}
	}
	fl_work_put(w);
	return action;
}

/* What unpack_slow() has found to be for another node, in another outer header. */
static __always_inline int send_on(fl_ctx *ctx, bool v6, struct fl_work *w)
{
	struct fl_tunnel_end end;

	fl_unpack_pass_on(ctx, v6, &w->p, &w->outer, &w->d);
	if (w->d.action == FL_ACT_TO_TC)
		return leave_to_tc(ctx);
	/* nobody is told: the client's own node has found that it fits */
	if (w->d.action != FL_ACT_TUNNEL)
		return drop(w->d.reason ? w->d.reason : FL_REASON_TOO_BIG);
	end = fl_tunnel_end(&w->d, fl_former_ttl(w->outer.ttl));
	if (fl_tunnel_rewrap(ctx, v6, &end, fl_tunnel_hash(v6, &w->p)))
		return drop(FL_REASON_REWRITE_FAILED);
	fl_count(FL_COUNTER_SEGMENT_PASSED_ON);
	return fl_ctx_redirect(ctx, w->d.hop.ifindex, w->d.hop.resolved);
}

static __always_inline int pass_on(fl_ctx *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action = FL_CTX_PASS;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	if (v6 ? fl_unpack_read6(ctx, &w->outer, &w->p) : fl_unpack_read4(ctx, &w->outer, &w->p))
		action = send_on(ctx, v6, w);
	fl_work_put(w);
	return action;
}

/* Of no flow, but about one: an ICMP error for a backend that answers its clients itself. */
static __always_inline int unpack_error(fl_ctx *ctx, bool v6, struct fl_work *w)
{
	enum fl_reason reason;

	fl_unpack_error(ctx, v6, &w->p, &w->outer, &w->d);
	if (w->d.action == FL_ACT_PASS)
		return FL_CTX_PASS;
	if (w->d.action == FL_ACT_DROP)
		return drop(w->d.reason);
	reason = fl_unpack_strip(ctx, v6, w->outer.dispatch);
	if (reason)
		return drop(reason);
	fl_icmp_decide(ctx, v6, &w->p, FL_HOOK_INGRESS, &w->d);
	if (w->d.action == FL_ACT_DROP)
		return drop(w->d.reason);
	/* of no flow, or of one that goes elsewhere: no node sends that so */
	if (w->d.action != FL_ACT_STACK || !fl_addr_equal(&w->d.to.daddr, &w->outer.pod))
		return drop(FL_REASON_TUNNEL_FRONTEND);
	return fl_icmp_rewrite(ctx, v6, &w->p, &w->d.to, false) ? drop(FL_REASON_REWRITE_FAILED)
								: FL_CTX_PASS;
}

static __always_inline int unpack_rest(fl_ctx *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action = FL_CTX_PASS;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	fl_ctx_pull(ctx, fl_l4_offset(v6) + fl_geneve_size(v6) + sizeof(struct fl_icmp_header));
	if (fl_unpack_outer_any(ctx, v6, &w->outer))
		action = unpack_error(ctx, v6, w);
	fl_work_put(w);
	return action;
}

/* ICMP that no flow's packets have caused, but perhaps what this node has put them into. */
static __always_inline int run_tunnel_error(fl_ctx *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	struct fl_tunnel_error e = {};
	int action = FL_CTX_PASS;

	if (!w)
		return FL_CTX_PASS;
	if (fl_parse_rest(ctx, v6, &w->p) == FL_PACKET_ICMP_ERROR) {
		fl_tunnel_error_decide(ctx, v6, &w->p, &e, &w->d);
		if (w->d.action == FL_ACT_DROP)
			action = drop(w->d.reason);
		else if (w->d.action == FL_ACT_TO_TC)
			action = leave_to_tc(ctx);
		else if (w->d.action == FL_ACT_FORWARD)
			action = fl_tunnel_error_answer(ctx, v6, &e, &w->p)
					 ? drop(FL_REASON_REWRITE_FAILED)
					 : leave(ctx, &w->d.hop);
	}
	fl_work_put(w);
	return action;
}
