/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which frames are for this node. A switch floods what it does not know the way to, and a device in
 * promiscuous mode takes in everything: what is for another host is not ours, whatever address it
 * asks for.
 */
#pragma once

#include "bpf/lib/maps.bpf.h"

/* By map: the address may be that of a bridge, bond or macvlan. */
static __always_inline bool fl_mac_is_listed(__u32 ifindex, const __u32 *mac)
{
	struct fl_mac_key key = {.ifindex = ifindex};

	__builtin_memcpy(key.mac, mac, sizeof(key.mac));
	return bpf_map_lookup_elem(&fl_macs, &key);
}

/* Whether a frame with this destination, which came in by this device, is for this node. */
static __always_inline bool fl_mac_is_own(__u32 ifindex, const __u32 *mac)
{
	__u32 at = ifindex % FL_OWN_MACS;
	__u64 *own = bpf_map_lookup_elem(&fl_own_macs, &at);

	if (likely(own && *own == fl_own_mac(ifindex, mac[0], *(const __u16 *)&mac[1])))
		return true;
	/* a group of stations: no router sends such frames on */
	return !(*(const __u8 *)mac & 1) && fl_mac_is_listed(ifindex, mac);
}
