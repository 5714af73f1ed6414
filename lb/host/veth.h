/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The other end of a veth pair, which may be in another network namespace. */
#pragma once

#include <stdbool.h>

/*
 * Whether the other end of this veth has an XDP program. Then it polls its ring, so that frames
 * which XDP sends out of this end arrive; without one that depends on its GRO, which cannot be
 * asked from here. 0, or -errno: the kernel does not tell about that end.
 */
int fl_veth_peer_has_xdp(unsigned int ifindex, bool *ret_has);
