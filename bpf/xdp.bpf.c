/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* XDP: packets from the network, before the kernel spends anything on them. */
#include "bpf/ctx/xdp.bpf.h"
#include "bpf/lib/icmp.bpf.h"
#include "nodeport/decide.bpf.h"

static __always_inline int drop(__u32 reason)
{
	fl_count(reason);
	return XDP_DROP;
}

static __noinline int answer(struct xdp_md *ctx, bool v6, const struct fl_packet *p, const struct fl_verdict *v)
{
	enum fl_icmp_kind kind = v->action == FL_TOO_BIG ? FL_ICMP_TOO_BIG : FL_ICMP_PORT_UNREACHABLE;

	if (!fl_rate_take(FL_RATE_REJECT, fl_config.reject_rate))
		return drop(FL_REASON_REJECT_RATE);
	if (fl_icmp_answer(ctx, v6, p, kind, v->hop.mtu))
		return drop(FL_REASON_REWRITE_FAILED);
	fl_count(v->reason);
	return XDP_TX;
}

static __always_inline int finish(struct xdp_md *ctx, bool v6, const struct fl_packet *p, const struct fl_verdict *v)
{
	switch (v->action) {
	case FL_FORWARD:
		if (fl_ctx_rewrite(ctx, v6, p->proto, &p->tuple, &v->to, true) ||
		    fl_ctx_set_macs(ctx, v->hop.dst_mac, v->hop.src_mac))
			return drop(FL_REASON_REWRITE_FAILED);
		if (v->hop.ifindex == ctx->ingress_ifindex)
			return XDP_TX;
		return bpf_redirect(v->hop.ifindex, 0);
	case FL_STACK:
		if (fl_ctx_rewrite(ctx, v6, p->proto, &p->tuple, &v->to, false))
			return drop(FL_REASON_REWRITE_FAILED);
		return XDP_PASS;
	case FL_TO_TC:
		if (fl_ctx_mark(ctx))
			return drop(FL_REASON_REWRITE_FAILED);
		fl_count(FL_COUNTER_TO_TC);
		return XDP_PASS;
	case FL_REJECT:
	case FL_TOO_BIG:
		return answer(ctx, v6, p, v);
	case FL_DROP:
		return drop(v->reason);
	}
	return XDP_PASS;
}

/* A function of its own: inlined beside IPv4's it would take more stack than the calls below can spare. */
static __noinline int finish6(struct xdp_md *ctx, const struct fl_packet *p, const struct fl_verdict *v)
{
	return finish(ctx, true, p, v);
}

/* p and v are the caller's, so that both families share their place on the stack */
static __always_inline int handle(struct xdp_md *ctx, bool v6, struct fl_packet *p, struct fl_verdict *v)
{
	if (fl_packet_parse(fl_ctx_data(ctx), fl_ctx_data_end(ctx), v6, p))
		return XDP_PASS;
	fl_decide_ingress(ctx, v6, p, FL_HOOK_INGRESS, v);
	return v6 ? finish6(ctx, p, v) : finish(ctx, false, p, v);
}

SEC("xdp")
int fl_xdp(struct xdp_md *ctx)
{
	void *data = fl_ctx_data(ctx);
	struct fl_verdict v = {};
	struct fl_packet p = {};
	__be16 proto;

	if (data + FL_ETH_LEN > fl_ctx_data_end(ctx))
		return XDP_PASS;
	proto = *(__be16 *)(data + 12);
	if (proto == bpf_htons(FL_ETH_P_IP))
		return handle(ctx, false, &p, &v);
	if (proto == bpf_htons(FL_ETH_P_IPV6))
		return handle(ctx, true, &p, &v);
	return XDP_PASS;
}

/* Run by the agent, never attached: the datapath's own clock, which no time namespace shifts. */
SEC("xdp")
int fl_clock(struct xdp_md *ctx)
{
	struct fl_meta *meta = fl_meta_get();

	if (meta) {
		meta->now_jiffies = bpf_jiffies64();
		meta->now_ns = bpf_ktime_get_ns();
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
