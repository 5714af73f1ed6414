/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* XDP: packets from the network, before the kernel spends anything on them. */
#include "bpf/ctx/xdp.bpf.h"

#include "bpf/entry.bpf.h"
#include "bpf/lib/mac.bpf.h"
#include "nodeport/answer.bpf.h"
#include "nodeport/icmp_error.bpf.h"

/* clang-format off */
#define SLOW_ARRAY fl_xdp_slow
#define SLOW_LIST(X) \
	X(SLOW,         fl_xdp_slow) \
	X(ICMP,         fl_xdp_icmp) \
	X(TUNNEL,       fl_xdp_tunnel) \
	X(UNPACK,       fl_xdp_unpack) \
	X(GENEVE,       fl_xdp_geneve) \
	X(UNPACK_SLOW,  fl_xdp_unpack_slow) \
	X(UNPACK_REST,  fl_xdp_unpack_rest) \
	X(PASS_ON,      fl_xdp_pass_on) \
	X(TUNNEL_ERROR, fl_xdp_tunnel_error)
/* clang-format on */

#include "bpf/slow.bpf.h"

/* Send a packet on its way: FL_ACT_PASS, FL_ACT_STACK, FL_ACT_FORWARD, FL_ACT_TO_TC. */
static __always_inline int send(struct xdp_md *ctx, bool v6, const struct fl_packet *p,
				const struct fl_decision *d)
{
	switch (d->action) {
	case FL_ACT_FORWARD:
		return forward(ctx, v6, p, &d->to, &d->hop);
	case FL_ACT_STACK:
		return to_stack(ctx, v6, p, &d->to);
	case FL_ACT_TUNNEL:
		return tunnel(ctx, v6, p, d);
	case FL_ACT_TO_TC:
		return leave_to_tc(ctx);
	}
	return XDP_PASS;
}

static __always_inline int finish(struct xdp_md *ctx, bool v6, const struct fl_packet *p,
				  const struct fl_decision *d)
{
	enum fl_reason reason;

	if (d->action == FL_ACT_DROP)
		return drop(d->reason);
	if (!fl_is_answered(d->action))
		return send(ctx, v6, p, d);
	reason = fl_answer(ctx, v6, p, d);
	return reason ? drop(reason) : XDP_TX;
}

/* Where the checksum is in a frame of which fl_packet_parse_key() has read. */
static __always_inline __u16 *check_of(void *data, bool v6, __u8 proto)
{
	return data + fl_l4_offset(v6) +
	       (proto == IPPROTO_TCP ? offsetof(struct tcphdr, check)
				     : offsetof(struct udphdr, check));
}

/* No XDP_* either: a packet of no flow. */
#define NO_FLOW -101
#define TUNNEL -102 /* a packet of a flow, for which there is an order */
#define GENEVE -105 /* perhaps one that another node has encapsulated */

/* The assembly keeps the compiler from loading these values ahead of each of the many tests. */
static __always_inline int no_fast_path(int action)
{
	asm volatile("");
	return action;
}

static __always_inline int rewrite_fast(struct xdp_md *ctx, void *data, bool v6,
					struct fl_packet *p, const struct fl_fast_flow *fast)
{
	fl_fast_done(fast, data, v6, p);
	fl_frame_rewrite(data, check_of(data, v6, p->proto), v6, p, &fast->to, true);
	fl_write_macs(data, fast->macs);
	return XDP_TX;
}

static __always_inline int handle_proto(struct xdp_md *ctx, void *data, __u32 len, bool v6,
					__u8 proto, struct fl_packet *p)
{
	struct fl_fast_flow fast;

	if (!fl_packet_parse_key(data, fl_ctx_data_end(ctx), len, v6, proto, p))
		return no_fast_path(NO_FLOW);
	if (proto == IPPROTO_UDP && p->tuple.dport == bpf_htons(FL_GENEVE_PORT) &&
	    fl_packet_is_geneve(data, fl_ctx_data_end(ctx), v6))
		return no_fast_path(GENEVE);
	if (!fl_filter_arriving(v6, p))
		return XDP_PASS;
	/* a rewrite here would take the sum for a finished one; tc knows which it is */
	if (fl_config.unfinished_sums &&
	    fl_packet_sum_unfinished(data, fl_ctx_data_end(ctx), v6, p))
		return fl_mac_is_own(ctx->ingress_ifindex, data) ? leave_to_tc(ctx) : XDP_PASS;
	switch (fl_fast_arriving(ctx, data, v6, p, FL_HOOK_INGRESS, &fast)) {
	case FL_FAST_BACK:
		return rewrite_fast(ctx, data, v6, p, &fast);
	case FL_FAST_FORWARD:
		if (!fl_mac_is_own(ctx->ingress_ifindex, data))
			return XDP_PASS;
		rewrite_fast(ctx, data, v6, p, &fast);
		return fast.ifindex == ctx->ingress_ifindex ? XDP_TX
							    : bpf_redirect(fast.ifindex, 0);
	case FL_FAST_STACK:
		if (!fl_mac_is_own(ctx->ingress_ifindex, data))
			return XDP_PASS;
		fl_fast_done(&fast, data, v6, p);
		fl_frame_rewrite(data, check_of(data, v6, proto), v6, p, &fast.to, false);
		return XDP_PASS;
	case FL_FAST_TUNNEL:
		if (!fl_mac_is_own(ctx->ingress_ifindex, data))
			return XDP_PASS;
		fl_fast_done(&fast, data, v6, p);
		return no_fast_path(TUNNEL);
	case FL_FAST_TO_TC:
		if (!fl_mac_is_own(ctx->ingress_ifindex, data))
			return XDP_PASS;
		fl_flow_renew(v6, fast.head, proto, fl_now());
		return leave_to_tc(ctx);
	case FL_FAST_PASS:
		return XDP_PASS;
	default:
		return no_fast_path(SLOW_PATH);
	}
}

static __always_inline int handle_fast(struct xdp_md *ctx, bool v6)
{
	void *data = fl_ctx_data(ctx);
	__u32 len = fl_ctx_len(ctx);
	struct fl_packet p;

	if (!fl_packet_parse_ip(data, fl_ctx_data_end(ctx), len, false, v6, &p))
		return no_fast_path(NO_FLOW);
	if (likely(p.proto == IPPROTO_TCP))
		return handle_proto(ctx, data, len, v6, IPPROTO_TCP, &p);
	if (p.proto == IPPROTO_UDP)
		return handle_proto(ctx, data, len, v6, IPPROTO_UDP, &p);
	return no_fast_path(NO_FLOW);
}

/* The slow path: programs that fl_xdp makes a tail call to. */
static __always_inline int run_slow(struct xdp_md *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action = XDP_PASS;

	if (!w)
		return drop(FL_REASON_SLOW_PATH);
	if (fl_parse_flow(ctx, v6, &w->p)) {
		fl_decide_slow(ctx, v6, &w->p, FL_HOOK_INGRESS, &w->intent, &w->d);
		action = finish(ctx, v6, &w->p, &w->d);
	}
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_xdp_slow, run_slow)

static __always_inline int finish_icmp(struct xdp_md *ctx, bool v6, const struct fl_packet *p,
				       const struct fl_decision *d)
{
	const bool on = d->action == FL_ACT_FORWARD;

	switch (d->action) {
	case FL_ACT_PASS:
		return XDP_PASS;
	case FL_ACT_TO_TC:
		return leave_to_tc(ctx);
	case FL_ACT_DROP:
		return drop(d->reason);
	case FL_ACT_ECHO:
		return fl_echo_answer(ctx, v6, p) ? drop(FL_REASON_REWRITE_FAILED) : XDP_TX;
	case FL_ACT_TUNNEL:
		return tunnel(ctx, v6, p, d);
	}
	if (fl_icmp_rewrite(ctx, v6, p, &d->to, on))
		return drop(FL_REASON_REWRITE_FAILED);
	return on ? leave(ctx, &d->hop) : XDP_PASS;
}

/* And those that ICMP has to itself. */
static __always_inline int run_icmp(struct xdp_md *ctx, bool v6)
{
	struct fl_work *w = fl_work_get();
	int action;

	if (!w)
		return XDP_PASS;
	fl_icmp_decide(ctx, v6, &w->p, FL_HOOK_INGRESS, &w->d);
	action = finish_icmp(ctx, v6, &w->p, &w->d);
	fl_work_put(w);
	return action;
}

PROGRAMS(fl_xdp_icmp, run_icmp)

PROGRAMS(fl_xdp_tunnel, run_tunnel)

PROGRAMS(fl_xdp_unpack_rest, unpack_rest)

PROGRAMS(fl_xdp_tunnel_error, run_tunnel_error)

static __always_inline int run_unpack_slow(struct xdp_md *ctx, bool v6)
{
	int action = unpack_slow(ctx, v6);

	if (action != PASS_ON)
		return action;
	slow_call(ctx, v6, PASS_ON);
	return drop(FL_REASON_SLOW_PATH);
}

PROGRAMS(fl_xdp_unpack_slow, run_unpack_slow)

PROGRAMS(fl_xdp_pass_on, pass_on)

static __always_inline int run_unpack(struct xdp_md *ctx, bool v6, __u32 dispatch)
{
	int action = unpack_fast(ctx, v6, dispatch);

	if (action == UNPACK_REST) {
		slow_call(ctx, v6, UNPACK_REST);
		return FL_CTX_PASS;
	}
	if (action != SLOW_PATH)
		return action;
	slow_call(ctx, v6, UNPACK_SLOW);
	return drop(FL_REASON_SLOW_PATH);
}

PROGRAMS(fl_xdp_unpack, run_unpack, FL_DISPATCH_IPIP)

PROGRAMS(fl_xdp_geneve, run_unpack, FL_DISPATCH_GENEVE)

SEC("xdp")
int fl_xdp(struct xdp_md *ctx)
{
	void *data = fl_ctx_data(ctx);
	int action;
	bool v6;

	if (data + FL_ETH_LEN > fl_ctx_data_end(ctx))
		return XDP_PASS;
	switch (*(__be16 *)(data + 12)) {
	case bpf_htons(FL_ETH_P_IP):
		v6 = false;
		action = handle_fast(ctx, false);
		break;
	case bpf_htons(FL_ETH_P_IPV6):
		v6 = true;
		action = handle_fast(ctx, true);
		break;
	default:
		return XDP_PASS;
	}
	if (likely(action >= 0))
		return action;
	if (action == TUNNEL) {
		slow_call(ctx, v6, TUNNEL);
		return drop(FL_REASON_SLOW_PATH);
	}
	if (!fl_mac_is_own(ctx->ingress_ifindex, data))
		return XDP_PASS;
	/* of several buffers: not every device would send it, and the kernel makes one of them */
	if (unlikely(fl_ctx_whole_len(ctx) > fl_ctx_len(ctx)))
		return leave_to_tc(ctx);
	if (action == GENEVE) {
		slow_call(ctx, v6, GENEVE);
		return XDP_PASS;
	}
	/* of no flow: ICMP may be about one, and one may be inside; whatever else it is, and also
	 * where the program is not there, it is not ours to drop */
	if (action == NO_FLOW) {
		if (fl_packet_is_tunnelled(data, fl_ctx_data_end(ctx), v6)) {
			slow_call(ctx, v6, UNPACK);
			return XDP_PASS;
		}
		/* fragments and options are tc's; where it cannot get them, they pass */
		if (fl_odd_arrives(data, fl_ctx_data_end(ctx), v6) && !fl_ctx_mark(ctx)) {
			fl_count(FL_COUNTER_TO_TC);
			return XDP_PASS;
		}
		data = fl_ctx_data(ctx);
		if (!fl_packet_is_icmp(data, fl_ctx_data_end(ctx), v6))
			return XDP_PASS;
		if (fl_packet_quotes_tunnel(ctx, v6)) {
			slow_call(ctx, v6, TUNNEL_ERROR);
			return XDP_PASS;
		}
		slow_call(ctx, v6, ICMP);
		return XDP_PASS;
	}
	slow_call(ctx, v6, SLOW);
	return drop(FL_REASON_SLOW_PATH);
}

/* Run by the agent, never attached: the datapath's own clock, which no time namespace shifts. */
SEC("xdp")
int fl_clock(struct xdp_md *ctx)
{
	struct fl_meta *meta = fl_meta_get();

	meta->now_jiffies = bpf_jiffies64();
	meta->now_ns = bpf_ktime_get_ns();
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
