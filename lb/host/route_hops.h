/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ways of a route, of which a multipath route has several, in rtnetlink's message about it. */
#pragma once

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

struct fl_route_hop {
	unsigned int ifindex;
	const struct nlattr *gateway; /* RTA_GATEWAY or RTA_VIA; NULL: to neighbours */
};

/* `attrs`: the message's, by number, RTA_MAX + 1 of them. */
void fl_route_each_hop(struct nlattr *const *attrs,
		       void (*fn)(const struct fl_route_hop *hop, void *arg), void *arg);
