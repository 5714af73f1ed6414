/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A route has one way, in attributes of its own, or several, nested in one. */
#include "lb/host/route_hops.h"

/* A gateway of the other family is an RTA_VIA. */
static const struct nlattr *gateway_of(const struct nlattr *gateway, const struct nlattr *via)
{
	return gateway ? gateway : via;
}

void fl_route_each_hop(struct nlattr *const *attrs,
		       void (*fn)(const struct fl_route_hop *hop, void *arg), void *arg)
{
	struct rtnexthop *nh;
	int left;

	if (attrs[RTA_OIF])
		fn(&(struct fl_route_hop){nla_get_u32(attrs[RTA_OIF]),
					  gateway_of(attrs[RTA_GATEWAY], attrs[RTA_VIA])},
		   arg);
	if (!attrs[RTA_MULTIPATH])
		return;
	nh = nla_data(attrs[RTA_MULTIPATH]);
	left = nla_len(attrs[RTA_MULTIPATH]);
	/* RTNH_OK() reads the length of a hop before it looks whether there is one */
	for (; left >= (int)sizeof(*nh) && RTNH_OK(nh, left);
	     left -= RTNH_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh)) {
		struct nlattr *own = (struct nlattr *)RTNH_DATA(nh);
		const int len = nh->rtnh_len - (int)sizeof(*nh);

		fn(&(struct fl_route_hop){(unsigned int)nh->rtnh_ifindex,
					  gateway_of(nla_find(own, len, RTA_GATEWAY),
						     nla_find(own, len, RTA_VIA))},
		   arg);
	}
}
