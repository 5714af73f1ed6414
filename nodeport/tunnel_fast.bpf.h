/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Encapsulation on the fast path: the flow is found where all are, what becomes of the packet is
 * left in an order, and a program of its own carries that out, so that the fast path has none of it
 * to carry along.
 */
#pragma once

#include "nodeport/tunnel.bpf.h"

struct fl_tunnel_order {
	struct fl_addr to; /* the outer destination */
	__u32 macs[3];
	__u32 ifindex;
	__u32 hash;
	__u32 ports; /* of the packet that it is for: another one would be in the midst of this */
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
		order->to = ((const struct fl_flow6 *)head)->rewrite.daddr;
	} else {
		order->to.w[3] = ((const struct fl_flow4 *)head)->rewrite.daddr;
	}
	__builtin_memcpy(order->macs, nh->dst_mac, sizeof(order->macs));
	order->ifindex = nh->ifindex;
	order->hash = hash >> 32;
	order->ports = fl_ports(&p->tuple);
	return true;
}

/* Carry it out. Returns the device to send the packet out of; 0: drop it. */
static __always_inline __u32 fl_tunnel_obey(fl_ctx *ctx, bool v6)
{
	struct fl_tunnel_order *order = fl_tunnel_order_get();
	void *ports = fl_ctx_data(ctx) + fl_l4_offset(v6);

	if (!order || ports + sizeof(__u32) > fl_ctx_data_end(ctx) ||
	    *(__u32 *)ports != order->ports)
		return 0;
	if (fl_tunnel_wrap(ctx, v6, &order->to, order->ifindex, order->hash, order->macs))
		return 0;
	return order->ifindex;
}
