/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the entry files of XDP and tc have in common: sending a packet to the stack, and both sides
 * of DSR. Only bpf/ctx knows which of the two it is.
 */
#pragma once

#include "bpf/lib/parse.bpf.h"
#include "nodeport/slow.bpf.h"
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

/* No verdict: another program of the slow path goes on. */
#define SLOW_PATH -100

/* DSR: out to the backend's node. */
static __always_inline int run_tunnel(fl_ctx *ctx, bool v6)
{
	__u32 ifindex = fl_tunnel_obey(ctx, v6);

	return ifindex ? fl_ctx_redirect(ctx, ifindex) : drop(FL_REASON_REWRITE_FAILED);
}

/* Unpacked, to the stack. */
static __always_inline int unpack(fl_ctx *ctx, bool v6, const struct fl_packet *p,
				  const struct fl_tuple6 *to)
{
	enum fl_reason reason = fl_unpack_strip(ctx, v6);

	return reason ? drop(reason) : to_stack(ctx, v6, p, to);
}

/*
 * DSR: in from another node. An ordinary packet of an established flow; SLOW_PATH: it is another
 * one.
 */
static __always_inline int unpack_fast(fl_ctx *ctx, bool v6)
{
	struct fl_addr from, pod;
	struct fl_flow_ref ref;
	struct fl_packet p;
	struct fl_tuple6 to;

	fl_ctx_pull(ctx, fl_l4_offset(v6) + fl_tunnel_overhead(v6) + sizeof(struct tcphdr));
	if (!fl_unpack_outer(ctx, v6, &from, &pod) || fl_local_flags(&pod) & FL_LOCAL_NODE ||
	    !fl_unpack_inner(ctx, v6, &p))
		return FL_CTX_PASS;
	/* a rewrite in XDP would take the sum for a finished one; tc knows which it is */
	if (fl_ctx_is_xdp && fl_config.unfinished_sums &&
	    fl_packet_sum_unfinished(fl_ctx_data(ctx) + fl_tunnel_overhead(v6),
				     fl_ctx_data_end(ctx), v6, &p))
		return leave_to_tc(ctx);
	if (!fl_unpack_fast(v6, &p, &ref, &to) || !fl_peer_is(v6, &from))
		return SLOW_PATH;
	fl_flow_follow(ref.head, &p);
	fl_flow_count(ref.head, p.len);
	return unpack(ctx, v6, &p, &to);
}

static __always_inline int unpack_slow(fl_ctx *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action = FL_CTX_PASS;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	if (fl_unpack_outer(ctx, v6, &w->from, &w->pod) && fl_unpack_inner(ctx, v6, &w->p)) {
		if (fl_peer_is(v6, &w->from))
			fl_unpack_decide(ctx, v6, &w->p, &w->pod, &w->d);
		else
			fl_unpack_foreign(v6, &w->p, &w->d);
		if (w->d.action == FL_ACT_DROP)
			action = drop(w->d.reason);
		else if (w->d.action == FL_ACT_STACK)
			action = unpack(ctx, v6, &w->p, &w->d.to);
	}
	fl_work_put(w);
	return action;
}
