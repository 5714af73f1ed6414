/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The settings of the programs, those that are fixed when they are loaded and those that follow the
 * node, and the state that outlives them.
 */
#pragma once

#include "bpf/abi/addr.h"
#include "bpf/abi/flow.h"

/* Element 0 of the mappable array fl_meta: what outlives the agent and changes while running. */
struct fl_meta {
	__u32 abi_version;
	__u32 overflow_half; /* of struct fl_overflow, 0 or 1: the one to read */
	__u64 next_hops;     /* which of fl_next_hops are good, and until when: fl_hops_word() */
	__u64 flow_seed[2];  /* of the flow table's hash; secret, per node */
	__u64 maglev_seed;   /* of tables and of the choice in them; the same on all nodes */
	__u64 now_jiffies;   /* written by program fl_clock */
	__u64 now_ns;	     /* written by program fl_clock: bpf_ktime_get_ns() */
	__u64 revision;	     /* of the last complete sync */
	/* jiffies of when the agent last saw that fl_bound_ports is complete; 0: it is not */
	__u32 bound_ports_stamp;
	__u32 filter_half; /* of struct fl_filter_word, 0 or 1: the one to read */
};

/*
 * fl_meta.next_hops, changed by compare-and-exchange: a generation, never 0, and the jiffies until
 * which next hops that were looked up in it are good. The agent begins another generation when
 * routes, links, rules or neighbours change, and puts the end off while it watches for that; past
 * the end the datapath begins another by itself, fl_config.next_hop_ttl long.
 */
static __always_inline __u64 fl_hops_word(__u32 generation, __u32 until)
{
	return (__u64)until << 32 | generation;
}

static __always_inline __u32 fl_hops_generation(__u64 word)
{
	return (__u32)word;
}

static __always_inline _Bool fl_hops_over(__u64 word, __u32 now)
{
	return (__s32)((__u32)(word >> 32) - now) < 0 || !fl_hops_generation(word);
}

static __always_inline __u32 fl_hops_next(__u32 generation)
{
	return generation + 1 ? generation + 1 : 1;
}

struct fl_port_range {
	__u16 first;
	__u16 count;
};
#define FL_PORT_RANGES 8

/* What the node may change under running programs: pods' addresses, its own, the ports it uses. */
struct fl_live {
	struct fl_port_range snat[FL_PORT_RANGES]; /* for masquerading; unused: count 0 */
	__u16 snat_from[FL_PORT_RANGES]; /* how many ports those before it have; unused: 65535 */
	__u32 snat_ports;		 /* sum of the counts */
	__u8 pod_detector4, pod_detector6;
	__u8 pod_by_device; /* a packet from a pod-side device is a pod's, whatever its source */
	__u8 pad;
	/* pod clients by source address (detectLocalMode); mask 0 in all words: no detector */
	struct fl_addr pod_cidr4, pod_mask4;
	struct fl_addr pod_cidr6, pod_mask6;
	/* masquerade with these when the device has no address of the family; zero: none */
	struct fl_addr node_addr4, node_addr6;
};

static __always_inline void fl_live_count_ports(struct fl_live *live)
{
	__u32 n = 0;

	for (int i = 0; i < FL_PORT_RANGES; i++) {
		live->snat_from[i] = live->snat[i].count ? (__u16)n : 65535;
		n += live->snat[i].count;
	}
	live->snat_ports = n;
}

/*
 * The .data.live of every object, which is its own: the agent that has loaded the programs fills
 * the one that is not in force, and then switches. A program that has begun before goes on with the
 * other, so that is left alone for a while.
 */
struct fl_live_pair {
	struct fl_live of[2];
	__u32 current; /* 0 or 1 */
	__u32 pad;
};

/* DSR: what packets to backends of other nodes are put into. */
enum fl_dispatch {
	FL_DISPATCH_IPIP,   /* IP in IP, to the backend's address */
	FL_DISPATCH_GENEVE, /* Geneve, to its node's; the backend is named by an option */
};

/* The .rodata of every datapath program: constants to the verifier, set before load. */
struct fl_config {
	__u64 flow_seed[2];
	__u64 maglev_seed;
	__u64 host_netns; /* cookie of the network namespace the agent serves (node clients) */
	__u32 flow4_mask; /* number of buckets - 1 */
	__u32 flow6_mask;
	__u32 socket_mask;	    /* the same of the sockets' table */
	__u32 frontend_mask;	    /* and number of lines - 1 */
	__u32 timeout[FL_TIMEOUTS]; /* jiffies */
	__u32 state_timeout[16];    /* the same by FL_STATE_TIMEOUT, fl_config_spread_timeouts() */
	__u32 hz;		    /* jiffies per second */
	__u32 next_hop_ttl;	    /* jiffies */
	__u32 new_flow_rate;	    /* per CPU and second; 0 = no limit */
	__u32 reject_rate;	    /* per CPU and second */
	__u8 masquerade_local; /* also masquerade flows to local backends, as kube-proxy does */
	__u8 reject_unknown_port;
	__u8 check_mtu;	 /* answer what is too big by ICMP; not in generic XDP, which sees GRO's */
	__u8 set_retval; /* bpf_set_retval() may be called from socket hooks */
	__u8 xdp_frags;	 /* XDP gets frames of several buffers, as at an MTU of 9000 */
	__u8 weak_loads; /* the processor may load in another order than is written (arm64) */
	__u8 unfinished_sums; /* XDP may see checksums left to a device (veth, generic) */
	__u8 answer_echo;     /* to addresses of Services */
	__u8 dispatch;	      /* enum fl_dispatch */
	__u8 pad1;
	__u16 tunnel_mtu6; /* what ways between nodes are taken to let through of IPv6; 0: no less
			      than known */
	/* outer sources of encapsulated packets: the range's address (zero: the node's own is
	 * used), and of its last word the bits that differ from flow to flow */
	struct fl_addr tunnel_addr4, tunnel_addr6;
	__be32 tunnel_mask4, tunnel_mask6;
	/* as loaded; zero in .rodata: programs have fl_live_now() */
	struct fl_live live;
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

_Static_assert(sizeof(struct fl_meta) == 72, "abi");
_Static_assert(sizeof(struct fl_live) == 152, "abi");
_Static_assert(sizeof(struct fl_live_pair) == 312, "abi");
_Static_assert(sizeof(struct fl_config) == 360, "abi");
