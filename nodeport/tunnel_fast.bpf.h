/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Encapsulation on the fast path: the flow is found where all are, what becomes of the packet is
 * left in an order, and a program of its own carries that out, so that the fast path has none of it
 * to carry along.
 */
#pragma once

#include "nodeport/tunnel.bpf.h"

struct fl_tunnel_order {
	struct fl_addr pod; /* where the backend is */
	__u32 macs[3];
	__u32 ifindex;
	__u32 hash;
	__u32 ports;   /* of the packet that it is for: another one would be in the midst of this */
	__u32 backend; /* its id */
	__be16 port;
	__u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_tunnel_order);
} fl_tunnel_orders SEC(".maps");

static __always_inline struct fl_tunnel_order *fl_tunnel_order_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fl_tunnel_orders, &zero);
}

/*
 * The order for an ordinary packet of a tunnelled flow. `hop`: what is remembered, as
 * fl_hop_begin() has found it. False: there is more to it, or no place for the order.
 */
static __always_inline bool fl_tunnel_order(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					    const struct fl_flow_head *head,
					    const struct fl_next_hop *nh, __u64 hash)
{
	struct fl_tunnel_order *order = fl_tunnel_order_get();

	if (!order || p->ttl <= 1 || fl_ctx_wire_len(ctx, p) + fl_tunnel_overhead(v6) > nh->mtu)
		return false;
	if (v6) {
		order->pod = ((const struct fl_flow6 *)head)->rewrite.daddr;
		order->port = ((const struct fl_flow6 *)head)->rewrite.dport;
	} else {
		order->pod.w[3] = ((const struct fl_flow4 *)head)->rewrite.daddr;
		order->port = ((const struct fl_flow4 *)head)->rewrite.dport;
	}
	order->backend = fl_flow_backend(head);
	__builtin_memcpy(order->macs, nh->dst_mac, sizeof(order->macs));
	order->ifindex = nh->ifindex;
	order->hash = hash >> 32;
	order->ports = fl_ports(&p->tuple);
	return true;
}

/* Carry it out: out of *ret_ifindex. Returns the reason to drop the packet. */
static __always_inline enum fl_reason fl_tunnel_obey(fl_ctx *ctx, bool v6, __u32 *ret_ifindex)
{
	struct fl_tunnel_order *order = fl_tunnel_order_get();
	void *ports = fl_ctx_data(ctx) + fl_l4_offset(v6);
	struct fl_tunnel_end end;
	struct fl_addr node;

	if (!order || ports + sizeof(__u32) > fl_ctx_data_end(ctx) ||
	    *(__u32 *)ports != order->ports)
		return FL_REASON_REWRITE_FAILED;
	end = (struct fl_tunnel_end){&order->pod,    &order->pod, order->port,
				     order->ifindex, order->macs, FL_TUNNEL_TTL};
	if (fl_config.dispatch == FL_DISPATCH_GENEVE) {
		if (!fl_tunnel_node(v6, order->backend, &order->pod, &node))
			return FL_REASON_NO_ROUTE;
		end.to = &node;
	}
	*ret_ifindex = order->ifindex;
	return fl_tunnel_wrap(ctx, v6, &end, order->hash) ? FL_REASON_REWRITE_FAILED
							  : FL_REASON_NONE;
}
