// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel and the datapath as a host uses them. */
#include "lb/host/host.h"
#include "lb/host/veth.h"
#include "nodeport/bound.h"

static int scan(void *ctx, struct fl_network *ret_network, struct fl_err *err)
{
	return fl_network_scan(ret_network, err);
}

static int attach(void *ctx, unsigned int ifindex, enum fl_dp_role role, enum fl_dp_mode mode,
		  struct fl_dp_device *ret_device, struct fl_err *err)
{
	return fl_dp_attach_device(ctx, ifindex, role, mode, ret_device, err);
}

static int veth_peer_has_xdp(void *ctx, unsigned int ifindex, bool *ret_has)
{
	return fl_veth_peer_has_xdp(ifindex, ret_has);
}

static void detach(void *ctx, unsigned int ifindex)
{
	fl_dp_detach_device(ctx, ifindex);
}

static void prune(void *ctx)
{
	fl_dp_prune(ctx);
}

static uint64_t now(void *ctx)
{
	return fl_dp_now(ctx);
}

static int source_ports(void *ctx, const struct fl_port_span *node_ports,
			struct fl_port_range ret_ranges[static FL_PORT_RANGES], bool *ret_known)
{
	return fl_source_ports_read(node_ports, ret_ranges, ret_known, NULL);
}

static int routes(void *ctx, const struct fl_ip *ips, size_t n, struct fl_route *ret_routes)
{
	return fl_routes_get(ips, n, ret_routes);
}

static int scan_sockets(void *ctx, __u64 words[static FL_BOUND_WORDS], struct fl_err *err)
{
	return fl_bound_ports_scan(words, err);
}

const struct fl_host_ops fl_host_kernel_ops = {
	.scan = scan,
	.attach = attach,
	.veth_peer_has_xdp = veth_peer_has_xdp,
	.detach = detach,
	.prune = prune,
	.now = now,
	.source_ports = source_ports,
	.routes = routes,
	.scan_sockets = scan_sockets,
};
