// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The constants of the programs: the caller's settings, brought into the datapath's units, and what
 * is known only when the maps are.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "lb/base/cleanup.h"
#include "lb/dp/netns.h"
#include "lb/dp/state.h"

static const uint32_t default_timeout_s[FL_TIMEOUTS] = {
	[FL_TIMEOUT_TCP_EMBRYONIC] = 60,
	[FL_TIMEOUT_TCP_ESTABLISHED] = 24 * 3600, /* 9.5: as kube-proxy sets conntrack */
	[FL_TIMEOUT_TCP_CLOSE_WAIT] = 3600,	  /* likewise */
	[FL_TIMEOUT_TCP_TIME_WAIT] = 120,
	[FL_TIMEOUT_TCP_CLOSING] = 10,
	[FL_TIMEOUT_UDP_EMBRYONIC] = 30,
	[FL_TIMEOUT_UDP_ESTABLISHED] = 120,
};

#define DEFAULT_NEXT_HOP_TTL_MS 1000
/* jiffies are compared as signed 32-bit differences: a timeout must stay well below half their
 * range */
#define MAX_TIMEOUT_JIFFIES 0x3fffffffU

static uint32_t to_jiffies(uint64_t ms, uint32_t hz)
{
	uint64_t j = (ms * hz + 999) / 1000;

	return j > MAX_TIMEOUT_JIFFIES ? MAX_TIMEOUT_JIFFIES : (uint32_t)j;
}

int fl_dp_config_make(struct fl_dp *dp, const struct fl_dp_options *options,
		      const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	struct fl_config c = options->config;
	const struct fl_meta *meta = dp->maps.meta;
	uint32_t ttl_ms =
		options->next_hop_ttl_ms ? options->next_hop_ttl_ms : DEFAULT_NEXT_HOP_TTL_MS;

	c.hz = dp->hz;
	for (int i = 0; i < FL_TIMEOUTS; i++) {
		uint32_t s = options->timeout_s[i] ? options->timeout_s[i] : default_timeout_s[i];

		c.timeout[i] = to_jiffies((uint64_t)s * 1000, dp->hz);
	}
	fl_config_spread_timeouts(&c);
	c.next_hop_ttl = to_jiffies(ttl_ms, dp->hz);
	c.host_netns = fl_netns_cookie();
	c.flow4_mask = fl_dp_map_size(dp, FL_MAP_flows4, sizes) - 1;
	c.flow6_mask = fl_dp_map_size(dp, FL_MAP_flows6, sizes) - 1;
	c.socket_mask = fl_dp_map_size(dp, FL_MAP_sockets, sizes) - 1;
	c.frontend_mask = fl_dp_map_size(dp, FL_MAP_frontends, sizes) - 1;
	if ((c.flow4_mask & (c.flow4_mask + 1)) || (c.flow6_mask & (c.flow6_mask + 1)) ||
	    (c.socket_mask & (c.socket_mask + 1)) || (c.frontend_mask & (c.frontend_mask + 1)))
		return fl_err_set(err, -EINVAL, "the number of buckets is no power of two");
	fl_live_count_ports(&c.live);
	/* a generic XDP program sees packets after GRO has merged them: their size means nothing */
	c.check_mtu = options->mode != FL_DP_XDP_GENERIC;
	/* GRO gives the packets it has joined such a sum */
	c.unfinished_sums |= options->mode == FL_DP_XDP_GENERIC;
#if defined(__x86_64__) || defined(__i386__)
	c.weak_loads = 0;
#else
	c.weak_loads = 1;
#endif
	/* This helper came with such frames. A generic program sees what GRO has merged: to it the
	 * kernel gives that in one buffer, unless it takes several. */
	c.xdp_frags = options->mode != FL_DP_XDP_GENERIC &&
		      fl_dp_probe_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len);
	c.set_retval = fl_dp_probe_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval);
	if (meta && (meta->flow_seed[0] || meta->flow_seed[1])) {
		c.flow_seed[0] = meta->flow_seed[0];
		c.flow_seed[1] = meta->flow_seed[1];
	} else if (getrandom(c.flow_seed, sizeof(c.flow_seed), 0) != sizeof(c.flow_seed)) {
		return fl_err_set(err, -EIO, "cannot get random numbers for the flow table");
	}
	dp->config = c;
	return 0;
}
