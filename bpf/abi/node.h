/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The node: its addresses, its devices, and the next hops it has looked up. */
#pragma once

#include "bpf/abi/addr.h"

/* Value of map fl_local, a __u32 by struct fl_addr. */
enum fl_local_flags {
	FL_LOCAL_NODE = 1 << 0, /* an address of this node: a client that has it is a node client */
	FL_LOCAL_NODE_PORTS = 1 << 1, /* node ports are served on it */
};

/*
 * Map fl_peers, key struct fl_addr, value __u32 1: addresses of the cluster's nodes. Only packets
 * that one of them has encapsulated are unpacked.
 */

/*
 * Element of array fl_backend_nodes, index = backend id: where the node is that this backend of
 * another node is on. Written by the agent before the backend is live. word: odd while the address
 * is being written; whoever finds it odd, or changed, knows no address.
 */
struct fl_backend_node {
	struct fl_addr addr; /* zero: not known, or not asked for */
	__u32 word;
	/* the datapath's own cache of the way there; userspace leaves it alone */
	__u16 next_hop, next_hop_generation;
};

enum fl_device_flags {
	FL_DEVICE_XDP_TX = 1 << 0, /* XDP programs may send frames out of it */
	FL_DEVICE_EXTERNAL = 1 << 1,
	FL_DEVICE_POD = 1 << 2,
	FL_DEVICE_INSIDE = 1 << 3, /* not served, and containers of this machine hang on it */
};

/*
 * Key of map fl_macs, value __u32: frames to this address that come in by this device are for this
 * node. Besides the device's own address these are the address of the bridge or bond it belongs to
 * and those of macvlan devices above it, such as VRRP has.
 */
struct fl_mac_key {
	__u32 ifindex;
	__u8 mac[6];
	__u8 pad[2];
};

/*
 * Element of array fl_own_macs, at ifindex % FL_OWN_MACS: the address of that device in the lower
 * 48 bits, ifindex / FL_OWN_MACS above them, so that one comparison tells both. Of devices that
 * share a place the one with the lowest ifindex has it; map fl_macs has all.
 */
#define FL_OWN_MACS 1024 /* a power of two */

/* low, high: the first four bytes of the address and the other two, as they lie in memory. */
static __always_inline __u64 fl_own_mac(__u32 ifindex, __u32 low, __u16 high)
{
	return low | (__u64)high << 32 | (__u64)(ifindex / FL_OWN_MACS) << 48;
}

#define FL_DEVICE_POOL 8 /* a power of two */

/* Value of map fl_devices, key ifindex: what to masquerade with when leaving by that device. */
struct fl_device {
	struct fl_addr addr4; /* zero: none */
	struct fl_addr addr6; /* zero: none */
	__u32 flags;	      /* enum fl_device_flags */
	__u32 mtu;
	/* how many there are of the following, of which each flow gets one; 0: it gets the above */
	__u32 n_pool4, n_pool6;
	struct fl_addr pool4[FL_DEVICE_POOL], pool6[FL_DEVICE_POOL];
};

#define FL_NEXT_HOPS 4096 /* a power of two */

/*
 * Element of array fl_next_hops, index 0 unused. Filled by the datapath from bpf_fib_lookup, and
 * not changed while the generation lasts in which that was looked up (fl_meta.next_hops). Flows and
 * backends remember index and generation (16 bits) of their own look-up, so that one's look-up
 * never makes another's good. word: generation << 1 | busy.
 */
struct fl_next_hop {
	__u32 word;
	__u32 ifindex;
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__u16 mtu;   /* 0xffff: packets of any size may try */
	__u16 flags; /* enum fl_device_flags of the device */
	__u64 pad;
};

#define FL_PORT_SPACES 4096 /* a power of two */

/*
 * Element of array fl_port_spaces: where the search for source ports goes on, of one of our
 * addresses towards a backend. By a hash of these: where two share an element they just get other
 * candidates. Outlives the agent and its programs as the flows do: begun anew it would lead to the
 * ports that were given away last.
 */
struct fl_port_space {
	__u32 cursor;	  /* the next in turn of the ports that no hash leads to */
	__u32 cursor_all; /* and of all ports */
	__u32 gave_up;	  /* jiffies: when no candidate was free; 0 never */
	__u32 pad;
};

_Static_assert(sizeof(struct fl_mac_key) == 12, "abi");
_Static_assert(sizeof(struct fl_backend_node) == 24, "abi");
_Static_assert(sizeof(struct fl_device) == 304, "abi");
_Static_assert(sizeof(struct fl_next_hop) == 32, "abi");
_Static_assert(sizeof(struct fl_port_space) == 16, "abi");
