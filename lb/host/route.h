/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which way the kernel would send a packet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/ip.h"

struct fl_route {
	unsigned int ifindex; /* 0: no route, or to this node itself */
	bool gateway;	      /* by another router, not to a neighbour */
};

/* Ask for each of `n` addresses. 0 or -errno. */
int fl_routes_get(const struct fl_ip *ips, size_t n, struct fl_route *ret_routes);
