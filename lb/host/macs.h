/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which destination addresses of frames are this node's, device by device. Pure. */
#pragma once

#include "bpf/abi/fairlead.h"
#include "lb/host/devices.h"

/* An element of map fl_macs, as struct fl_map_mirror wants it. */
struct fl_mac_pair {
	struct fl_mac_key key;
	uint32_t value;
};

/*
 * All of them, for every device but the loopback: what the kernel takes for its own stack when it
 * comes in there. A macvlan that is served by itself counts only as what it is. Sorted by key, each
 * once; to be freed. 0 or -ENOMEM.
 */
int fl_mac_pairs(const struct fl_network *network, const struct fl_device_rules *rules,
		 struct fl_mac_pair **ret_pairs, size_t *ret_n);

/*
 * Write array fl_own_macs, of which `macs` is the memory; each element changes as a whole. 0 or
 * -ENOMEM.
 */
int fl_own_macs_write(const struct fl_network *network, __u64 *macs, size_t n);
