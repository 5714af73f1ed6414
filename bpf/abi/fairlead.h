/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the datapath and userspace agree on: the layout of every map, the limits, and the names of
 * what can happen to a packet. This file is compiled by clang for BPF and by gcc and clang for the
 * agent; both assert the same sizes. Any change of a layout since the last release raises
 * FL_ABI_VERSION.
 */
#pragma once

#include <linux/types.h>

#include "bpf/abi/reasons.h"

#define FL_ABI_VERSION 1

/* IPv4 addresses are held in their IPv6-mapped form ::ffff:a.b.c.d, so that one key serves both. */
struct fl_addr {
	__be32 w[4];
};

/* ---- frontends ------------------------------------------------------------------------------ */

enum fl_frontend_type {
	FL_FRONTEND_NONE,
	FL_FRONTEND_CLUSTER_IP,
	FL_FRONTEND_EXTERNAL_IP,
	FL_FRONTEND_LOAD_BALANCER,
	FL_FRONTEND_NODE_PORT,
	FL_FRONTEND_VIP, /* the address itself, at port 0 and protocol 0: it belongs to some service
			  */
	FL_FRONTEND_TYPES,
};

/*
 * Key of map fl_frontends. A node port has the unspecified address of its family
 * (::ffff:0.0.0.0 or ::). An address entry (FL_FRONTEND_VIP) has port 0 and protocol 0.
 */
struct fl_frontend_key {
	struct fl_addr addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	__u8 pad;
};

/* Who is asking: it selects the endpoint list and whether the source is masqueraded. */
enum fl_client {
	FL_CLIENT_OUTSIDE,
	FL_CLIENT_POD,
	FL_CLIENT_NODE,
	FL_CLIENTS,
};

/* Index into fl_frontend.list and .verdict. Pod and node clients are internal. */
enum fl_side {
	FL_SIDE_INTERNAL,
	FL_SIDE_EXTERNAL,
	FL_SIDES,
};

enum fl_service_verdict {
	FL_VERDICT_NONE, /* zero is never valid */
	FL_VERDICT_FORWARD,
	FL_VERDICT_DROP,
	FL_VERDICT_REJECT,
};

enum fl_frontend_flags {
	/* masquerade flows to remote backends that come from such a client: bit = 1 << enum
	   fl_client */
	FL_MASQUERADE_OUTSIDE = 1 << FL_CLIENT_OUTSIDE,
	FL_MASQUERADE_POD = 1 << FL_CLIENT_POD,
	FL_MASQUERADE_NODE = 1 << FL_CLIENT_NODE,
	FL_AFFINITY = 1 << 3,	   /* ClientIP session affinity */
	/*
	 * The source must be in fl_ranges (5.6: loadBalancerSourceRanges). Where a VIP of the
	 * service is let in as a source (5.6.5), the agent puts it there too.
	 */
	FL_SOURCE_RANGES = 1 << 4,
};

/*
 * A backend set in map fl_lines: `count` backend ids in ceil(count / FL_LINE_IDS) lines starting at
 * `slab`, then `lut_len` ordinals (indexes into the ids) in ceil(lut_len / FL_LINE_ORDINALS) lines.
 * `id` is the same as long as service port and policy class are (for affinity): service_id * 2,
 * plus 1 for the local list. count == 0: no list.
 */
struct fl_list {
	__u32 slab;
	__u32 lut_len;
	__u32 count;
	__u32 id;
};

/* Value of map fl_frontends; replaced as a whole, so that a packet sees the old one or the new one.
 */
struct fl_frontend {
	__u32 service_id; /* 1.., stable for (namespace, name, port name, protocol, family); 0 for
			     FL_FRONTEND_VIP */
	__u16 flags;	  /* enum fl_frontend_flags */
	__u8 type;	  /* enum fl_frontend_type */
	__u8 pad0;
	__u8 verdict[FL_SIDES]; /* enum fl_service_verdict */
	__u8 pad1[2];
	__u32 affinity_timeout; /* jiffies */
	struct fl_list list[FL_SIDES];
};

/* ---- backends -------------------------------------------------------------------------------- */

enum fl_backend_flags {
	FL_BACKEND_LIVE =
		1 << 0, /* a serving endpoint of some service port; cleared when it goes */
	FL_BACKEND_LOCAL = 1 << 1, /* on this node */
};

/*
 * Element of array fl_backends, index = backend id, 0 unused. One element per (address, port,
 * protocol), whatever number of services use it. Written by the agent through its mapping:
 * everything but `flags` first, `flags` with FL_BACKEND_LIVE last. `generation` is raised each time
 * an id is given to another backend; an id is not reused while a flow may still name it.
 */
struct fl_backend {
	struct fl_addr addr;
	__be16 port;
	__u16 generation; /* never 0 for an id in use */
	__u8 proto;
	__u8 flags;   /* enum fl_backend_flags */
	__u16 weight; /* 1 by default; 0 = drain: no place in a lookup table */
	__u32 node;   /* hash of the node's name, 0 unknown */
	__u16 next_hop,
		next_hop_generation; /* the datapath's own cache; userspace leaves it alone */
};

#define FL_LINE_IDS 16
#define FL_LINE_ORDINALS 32

/* Element of array fl_lines. */
struct fl_line {
	union {
		__u32 id[FL_LINE_IDS];
		__u16 ordinal[FL_LINE_ORDINALS];
	};
};

/* Key of map fl_ranges (LPM): prefix_len counts the 32 bits of service_id. */
struct fl_range_key {
	__u32 prefix_len;
	__u32 service_id;
	struct fl_addr addr;
};

/* Key and value of map fl_affinity (LRU): rule 5.5.1. `last` is the jiffies of the last new flow.
 */
struct fl_affinity_key {
	struct fl_addr client;
	__u32 service_id;
};

struct fl_affinity {
	__u32 backend;
	__u16 generation;
	__u16 pad;
	__u32 last;
};

/* Key of map fl_members, value __u32 1: backend is in list. Filled for services with affinity only.
 */
struct fl_member_key {
	__u32 list_id;
	__u32 backend;
};

/* ---- the node -------------------------------------------------------------------------------- */

enum fl_local_flags {
	FL_LOCAL_NODE = 1 << 0, /* an address of this node: a client that has it is a node client */
	FL_LOCAL_NODE_PORTS = 1 << 1, /* node ports are served on it */
};
/* map fl_local: struct fl_addr -> __u32 enum fl_local_flags */

enum fl_device_flags {
	FL_DEVICE_XDP_TX = 1 << 0, /* XDP programs may send frames out of it */
	FL_DEVICE_EXTERNAL = 1 << 1,
	FL_DEVICE_POD = 1 << 2,
};

/* Value of map fl_devices, key ifindex: what to masquerade with when leaving by that device. */
struct fl_device {
	struct fl_addr addr4; /* zero: none */
	struct fl_addr addr6; /* zero: none */
	__u32 flags;	      /* enum fl_device_flags */
	__u32 mtu;
};

/*
 * Element of array fl_next_hops, index 0 unused. Filled by the datapath from bpf_fib_lookup; valid
 * while younger than fl_config.next_hop_ttl and until the agent makes `epoch` zero. word:
 * generation << 1 | busy; the generation is raised when the element is given to another next hop,
 * so that whoever remembers (index, generation) never uses a stranger's.
 */
struct fl_next_hop {
	__u32 word;
	__u32 epoch; /* fl_meta.next_hop_epoch + 1 of when it was looked up; 0: to be forgotten */
	__u32 stamp; /* jiffies */
	__u32 ifindex;
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__u16 mtu;   /* 0xffff: packets of any size may try */
	__u16 flags; /* enum fl_device_flags of the device */
};

/* ---- flows ----------------------------------------------------------------------------------- */

#define FL_FLOW_WAYS 4	  /* entries per bucket */
#define FL_FLOW_CHOICES 5 /* buckets an entry may lie in; the first unless that is crowded */

/*
 * fl_flow_head.word: generation << 8 | state. A writer takes an entry with cmpxchg to FL_FLOW_BUSY
 * and the next generation, fills it, and publishes it by an atomic exchange of the word; a reader
 * looks at the word before and after.
 */
enum fl_flow_state {
	FL_FLOW_FREE,
	FL_FLOW_BUSY,
	FL_FLOW_NEW,	 /* embryonic: the original direction was seen */
	FL_FLOW_REPLIED, /* embryonic: the reply was seen */
	FL_FLOW_ESTABLISHED,
	FL_FLOW_CLOSING, /* TCP: RST, or FIN both ways */
	FL_FLOW_STATES,
};
#define FL_FLOW_STATE_MASK 0xffU
#define FL_FLOW_GENERATION_SHIFT 8

enum fl_flow_flags {
	FL_FLOW_IS_REPLY = 1 << 0, /* this entry is the reply direction */
	FL_FLOW_TO_STACK = 1 << 1, /* after the rewrite the packet is for this node's stack */
	FL_FLOW_SNAT = 1 << 2,	   /* the source was given one of our addresses */
	FL_FLOW_FIN = 1 << 3,	   /* a FIN was seen in this direction */
};

struct fl_flow_head {
	__u32 word;
	__u32 twin;	       /* slot of the other direction: bucket * FL_FLOW_WAYS + way */
	__u32 twin_generation; /* 24 bits, as in the twin's word >> FL_FLOW_GENERATION_SHIFT */
	__u32 backend;	       /* id; 0 unknown (imported) */
	__u16 backend_generation;
	__u16 next_hop;	 /* index into fl_next_hops, 0 none */
	__u32 last_seen; /* jiffies, written at most once a second */
	__u8 proto;
	__u8 flags; /* enum fl_flow_flags */
	__u16 next_hop_generation;
	__u32 packets; /* approximate: racing CPUs may lose a count */
	__u64 bytes;
};

/* Key and rewrite of one direction: what the packet has on the wire, and what it gets. */
struct fl_tuple4 {
	__be32 saddr, daddr;
	__be16 sport, dport;
};

struct fl_tuple6 {
	struct fl_addr saddr, daddr;
	__be16 sport, dport;
};

struct fl_flow4 {
	struct fl_flow_head head;
	struct fl_tuple4 key, rewrite;
};

struct fl_flow6 {
	struct fl_flow_head head;
	struct fl_tuple6 key, rewrite;
	__u8 pad[16];
};

/* Elements of arrays fl_flows4 and fl_flows6; the number of buckets is a power of two. */
struct fl_bucket4 {
	struct fl_flow4 way[FL_FLOW_WAYS];
};

struct fl_bucket6 {
	struct fl_flow6 way[FL_FLOW_WAYS];
};

/*
 * Elements of arrays fl_overflow4 and fl_overflow6: FL_FLOW_CHOICES - 1 bits for each of
 * FL_OVERFLOW_BUCKETS buckets. Bit i is set when an entry whose first bucket it is was put into
 * choice i + 1 instead; where it is clear, a look into that bucket is saved. Who puts an entry sets
 * the bit in both halves, before the entry can be seen; who looks for one reads the half that
 * fl_meta.overflow_half says. The agent makes the other one anew from the entries there are.
 */
struct fl_overflow {
	__u64 half[2];
};
#define FL_OVERFLOW_BUCKETS (64 / (FL_FLOW_CHOICES - 1))

/* ---- sockets --------------------------------------------------------------------------------- */

/*
 * map fl_sockets (LRU): what a socket was told about a peer.
 * FL_SOCKET_REVERSE: (cookie, backend) -> the frontend to show; FL_SOCKET_FORWARD: (cookie,
 * frontend)
 * -> the backend an unconnected UDP socket keeps.
 */
enum fl_socket_direction {
	FL_SOCKET_FORWARD = 1,
	FL_SOCKET_REVERSE = 2,
};

struct fl_socket_key {
	__u64 cookie;
	struct fl_addr addr;
	__be16 port;
	__u8 proto;
	__u8 direction; /* enum fl_socket_direction */
	__u32 pad;
};

struct fl_socket_peer {
	struct fl_addr addr;
	__be16 port;
	__u16 generation;
	__u32 backend;
};

/*
 * Elements of array fl_bound_ports: a bit for each port of TCP, then of UDP, that a socket of the
 * node's network namespace may be bound to. The bind hooks set them, and the agent for sockets that
 * the hooks have not seen. While fl_meta.bound_ports_stamp is no more than FL_BOUND_PORTS_S old, a
 * port of ours whose bit is clear has no socket. Index by FL_BOUND_WORD, bit port % 64; of TCP (6)
 * the low bit is clear, of UDP (17) set.
 */
#define FL_BOUND_WORDS (2 * 65536 / 64)
#define FL_BOUND_WORD(proto, port) (((proto)&1) << 10 | (port) >> 6)
#define FL_BOUND_PORTS_S 3 /* seconds */

/* ---- settings -------------------------------------------------------------------------------- */

/* Element 0 of the mappable array fl_meta: what outlives the agent and changes while running. */
struct fl_meta {
	__u32 abi_version;
	__u32 next_hop_epoch;	 /* raised by the agent when routes, links or neighbours change */
	__u64 flow_seed[2];	 /* of the flow table's hash; secret, per node */
	__u64 maglev_seed;	 /* of tables and of the choice in them; the same on all nodes */
	__u64 now_jiffies;	 /* written by program fl_clock */
	__u64 now_ns;		 /* written by program fl_clock: bpf_ktime_get_ns() */
	__u64 revision;		 /* of the last complete sync */
	__u32 overflow_half;	 /* of struct fl_overflow, 0 or 1: the one to read */
	__u32 bound_ports_stamp; /* jiffies of when the agent last saw that fl_bound_ports has all;
				    0: it has not */
};

struct fl_port_range {
	__u16 first;
	__u16 count;
};
#define FL_PORT_RANGES 8

enum fl_timeout {
	FL_TIMEOUT_TCP_EMBRYONIC,
	FL_TIMEOUT_TCP_ESTABLISHED,
	FL_TIMEOUT_TCP_CLOSING,
	FL_TIMEOUT_UDP_EMBRYONIC,
	FL_TIMEOUT_UDP_ESTABLISHED,
	FL_TIMEOUTS,
};

/* Which of them a live flow waits for. */
static __always_inline enum fl_timeout fl_timeout_of(_Bool udp, __u32 state)
{
	if (udp)
		return state == FL_FLOW_NEW ? FL_TIMEOUT_UDP_EMBRYONIC : FL_TIMEOUT_UDP_ESTABLISHED;
	if (state == FL_FLOW_ESTABLISHED)
		return FL_TIMEOUT_TCP_ESTABLISHED;
	return state == FL_FLOW_CLOSING ? FL_TIMEOUT_TCP_CLOSING : FL_TIMEOUT_TCP_EMBRYONIC;
}

/* The .rodata of every datapath program: constants to the verifier, set before load. */
struct fl_config {
	__u64 flow_seed[2];
	__u64 maglev_seed;
	__u64 host_netns; /* cookie of the network namespace the agent serves (node clients) */
	__u32 flow4_mask; /* number of buckets - 1 */
	__u32 flow6_mask;
	__u32 timeout[FL_TIMEOUTS]; /* jiffies */
	__u32 state_timeout[16];    /* the same by FL_STATE_TIMEOUT, fl_config_spread_timeouts() */
	__u32 hz;		    /* jiffies per second */
	__u32 next_hop_ttl;	    /* jiffies */
	__u32 new_flow_rate;	    /* per CPU and second; 0 = no limit */
	__u32 reject_rate;	    /* per CPU and second */
	struct fl_port_range
		snat[FL_PORT_RANGES]; /* source ports for masquerading; unused: count 0 */
	__u32 snat_ports;	      /* sum of the counts */
	/* pod clients by source address (detectLocalMode); mask 0 in all words: no detector */
	struct fl_addr pod_cidr4, pod_mask4;
	struct fl_addr pod_cidr6, pod_mask6;
	__u8 pod_detector4, pod_detector6;
	__u8 masquerade_local; /* section 13 of the design: also masquerade flows to local backends
				*/
	__u8 reject_unknown_port;
	__u8 pod_by_device; /* packets from pod-side devices are pod clients, whatever their source
			     */
	__u8 check_mtu;	 /* answer what is too big for the way out by ICMP; off in generic XDP (GRO)
			  */
	__u8 set_retval; /* bpf_set_retval() may be called from socket hooks */
	__u8 pad;
	/* masquerade with these when the device has no address of the family; zero: none */
	struct fl_addr node_addr4, node_addr6;
};

/* Index of fl_config.state_timeout. Of TCP (6) the low bit is clear, of UDP (17) set. */
#define FL_STATE_TIMEOUT(proto, state) (((proto)&1) << 3 | ((state)&7))

static __always_inline void fl_config_spread_timeouts(struct fl_config *config)
{
	for (__u32 udp = 0; udp < 2; udp++)
		for (__u32 state = 0; state < 8; state++)
			config->state_timeout[FL_STATE_TIMEOUT(udp, state)] =
				state < FL_FLOW_NEW ? 0xffffffffU /* no flow, never over */
						    : config->timeout[fl_timeout_of(udp, state)];
}

/* clang-format off */
#define FL_MAP_NAMES(X) \
	X(frontends) X(backends) X(lines) X(ranges) X(affinity) X(members) X(local) \
	X(devices) X(next_hops) X(flows4) X(flows6) X(overflow4) X(overflow6) \
	X(bound_ports) X(sockets) X(stats) X(meta)
/* clang-format on */

#define FL_NEXT_HOPS 4096 /* a power of two */

_Static_assert(FL_FLOW_STATES <= 8, "abi");
_Static_assert(sizeof(struct fl_frontend_key) == 20, "abi");
_Static_assert(sizeof(struct fl_frontend) == 48, "abi");
_Static_assert(sizeof(struct fl_backend) == 32, "abi");
_Static_assert(sizeof(struct fl_line) == 64, "abi");
_Static_assert(sizeof(struct fl_range_key) == 24, "abi");
_Static_assert(sizeof(struct fl_next_hop) == 32, "abi");
_Static_assert(sizeof(struct fl_device) == 40, "abi");
_Static_assert(sizeof(struct fl_flow_head) == 40, "abi");
_Static_assert(sizeof(struct fl_flow4) == 64, "abi");
_Static_assert(sizeof(struct fl_flow6) == 128, "abi");
_Static_assert(sizeof(struct fl_bucket4) == 64 * FL_FLOW_WAYS, "abi");
_Static_assert(sizeof(struct fl_bucket6) == 128 * FL_FLOW_WAYS, "abi");
_Static_assert(sizeof(struct fl_socket_key) == 32, "abi");
_Static_assert(sizeof(struct fl_socket_peer) == 24, "abi");
_Static_assert(sizeof(struct fl_meta) == 64, "abi");
_Static_assert(sizeof(struct fl_overflow) == 16, "abi");
