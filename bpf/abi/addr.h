/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses as every map and both worlds hold them. */
#pragma once

#include <linux/types.h>

/* IPv4 addresses are held in their IPv6-mapped form ::ffff:a.b.c.d, so that one key serves both. */
struct fl_addr {
	__be32 w[4];
};

_Static_assert(sizeof(struct fl_addr) == 16, "abi");
