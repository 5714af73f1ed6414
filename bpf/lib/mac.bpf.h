/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which frames are for this node. A switch floods what it does not know the way to, and a device in
 * promiscuous mode takes in everything: what is for another host is not ours, whatever address it
 * asks for.
 */
#pragma once

#include "bpf/lib/packet_maps.bpf.h"

/* The destination of a frame whose first 6 bytes are readable, as fl_own_mac() has it. */
static __always_inline __u64 fl_mac_of(const void *frame)
{
	return *(const __u32 *)frame | (__u64)((const __u16 *)frame)[2] << 32;
}

/*
 * By map: the address may be that of a bridge, bond or macvlan. Global, so that it is verified once
 * and its key takes no stack from others.
 */
int fl_mac_is_listed(__u32 ifindex, __u64 mac);

__noinline int fl_mac_is_listed(__u32 ifindex, __u64 mac)
{
	struct fl_mac_key key = {.ifindex = ifindex};
	const __u32 low = mac;
	const __u16 high = mac >> 32;

	__builtin_memcpy(key.mac, &low, sizeof(low));
	__builtin_memcpy(key.mac + sizeof(low), &high, sizeof(high));
	return bpf_map_lookup_elem(&fl_macs, &key) != NULL;
}

/* Whether a frame with this destination, which came in by this device, is for this node. */
static __always_inline bool fl_mac_is_own(__u32 ifindex, const void *frame)
{
	__u32 at = ifindex % FL_OWN_MACS;
	__u64 *own = bpf_map_lookup_elem(&fl_own_macs, &at), mac = fl_mac_of(frame);

	if (likely(own && *own == fl_own_mac(ifindex, mac, mac >> 32)))
		return true;
	/* a group of stations: no router sends such frames on */
	return !(*(const __u8 *)frame & 1) && fl_mac_is_listed(ifindex, mac);
}

/*
 * The same where it is known with which address a frame leaves by a device, which is that device's
 * own. As the first 4 bytes and the other 2, which is how the frame is read elsewhere, too.
 */
static __always_inline bool fl_mac_is_source(const struct fl_next_hop *nh, const void *frame)
{
	/* by way of a number, since of this alignment the compiler would load the halves */
	const __u32 *first = (const __u32 *)fl_opaque((long)nh->src_mac);

	return *first == *(const __u32 *)frame &&
	       ((const __u16 *)first)[2] == ((const __u16 *)frame)[2];
}
