/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services: their frontends, the backend sets behind these, and what belongs to a service port:
 * source ranges, affinity records.
 */
#pragma once

#include "bpf/abi/addr.h"

enum fl_frontend_type {
	FL_FRONTEND_NONE,
	FL_FRONTEND_CLUSTER_IP,
	FL_FRONTEND_EXTERNAL_IP,
	FL_FRONTEND_LOAD_BALANCER,
	FL_FRONTEND_NODE_PORT,
	FL_FRONTEND_VIP,     /* the address itself: a cluster IP whose unknown ports are refused */
	FL_FRONTEND_ADDRESS, /* another address of some service */
	FL_FRONTEND_TYPES,
};

static __always_inline _Bool fl_frontend_is_address(__u8 type)
{
	return type == FL_FRONTEND_VIP || type == FL_FRONTEND_ADDRESS;
}

/*
 * Key in the table of frontends. A node port has the unspecified address of its family
 * (::ffff:0.0.0.0 or ::). An address entry has port 0 and protocol 0 (FL_FRONTEND_VIP), or port 0
 * and IPPROTO_ICMP in both families (FL_FRONTEND_ADDRESS).
 */
struct fl_frontend_key {
	struct fl_addr addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	__u8 pad;
};

/* The kind of client: it selects the endpoint list and whether the source is masqueraded. */
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

/* What a service does with the connections of one side. */
enum fl_service_verdict {
	FL_VERDICT_NONE, /* zero is never valid */
	FL_VERDICT_FORWARD,
	FL_VERDICT_DROP,
	FL_VERDICT_REJECT,
};

enum fl_frontend_flags {
	/* masquerade flows to remote backends that come from such a client: 1 << enum fl_client */
	FL_MASQUERADE_OUTSIDE = 1 << FL_CLIENT_OUTSIDE,
	FL_MASQUERADE_POD = 1 << FL_CLIENT_POD,
	FL_MASQUERADE_NODE = 1 << FL_CLIENT_NODE,
	FL_AFFINITY = 1 << 3, /* ClientIP session affinity */
	/*
	 * The source must be in fl_ranges (5.6: loadBalancerSourceRanges). Where a VIP of the
	 * service is let in as a source (5.6.5), the agent puts it there too.
	 */
	FL_SOURCE_RANGES = 1 << 4,
	/* DSR: flows of outside clients go to backends of other nodes encapsulated */
	FL_TUNNEL = 1 << 5,
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

/*
 * What applies to a frontend; replaced as a whole: a packet sees the old one or the new one.
 * frontend.h has the form in which it lies in the table.
 */
struct fl_frontend {
	/* 1.., stable for (namespace, name, port name, protocol, family); address entries: 0 */
	__u32 service_id;
	__u16 flags; /* enum fl_frontend_flags */
	__u8 type;   /* enum fl_frontend_type */
	__u8 pad0;
	__u8 verdict[FL_SIDES]; /* enum fl_service_verdict */
	__u8 pad1[2];
	__u32 affinity_timeout; /* jiffies */
	struct fl_list list[FL_SIDES];
};

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
	/* the datapath's own cache; userspace leaves it alone */
	__u16 next_hop, next_hop_generation;
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

#define FL_FORMER_LISTS 4096
#define FL_FORMERS 3

/*
 * Element of array fl_formers, index = service id modulo FL_FORMER_LISTS: the tables that a service
 * port with DSR has had before the one in force, as sides of struct fl_frontend_packed, the newest
 * first; 0: none. Written by the agent through its mapping, each word in one store. What they name
 * is kept as long as they stand here. Who reads half of a change is led to a wrong backend, whose
 * node does not know the connection.
 */
struct fl_former {
	__u32 service_id; /* 0: none */
	__u32 pad;
	__u64 side[FL_FORMERS];
};

/* Key of map fl_ranges (LPM): prefix_len counts the 32 bits of service_id. */
struct fl_range_key {
	__u32 prefix_len;
	__u32 service_id;
	struct fl_addr addr;
};

/* Key of map fl_affinity (LRU; 5.5.1: one record per client address and service port). */
struct fl_affinity_key {
#ifdef FL_TEST_LAYOUT /* made up for tests, as in flow.h */
	__u32 service_id;
	struct fl_addr client;
#else
	struct fl_addr client;
	__u32 service_id;
#endif
};

struct fl_affinity {
#ifdef FL_TEST_LAYOUT
	__u64 other;
	__u32 last;
	__u16 pad;
	__u16 generation;
	__u32 backend;
	__u32 gap;
#else
	__u32 backend;
	__u16 generation;
	__u16 pad;
	__u32 last; /* jiffies of the last new flow */
#endif
};

/* Key of map fl_members, value __u32 1: the backend is in the list. Services with affinity only. */
struct fl_member_key {
	__u32 list_id;
	__u32 backend;
};

_Static_assert(sizeof(struct fl_frontend_key) == 20, "abi");
_Static_assert(sizeof(struct fl_frontend) == 48, "abi");
_Static_assert(sizeof(struct fl_backend) == 32, "abi");
_Static_assert(__builtin_offsetof(struct fl_backend, next_hop) == 28, "abi: written as one word");
_Static_assert(sizeof(struct fl_line) == 64, "abi");
_Static_assert(sizeof(struct fl_former) == 32, "abi");
_Static_assert(sizeof(struct fl_range_key) == 24, "abi");
_Static_assert(sizeof(struct fl_affinity_key) == 20, "abi");
#ifndef FL_TEST_LAYOUT
_Static_assert(sizeof(struct fl_affinity) == 12, "abi");
#endif
_Static_assert(sizeof(struct fl_member_key) == 8, "abi");
