/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From an address and port to a service, and from a service to a backend, for packets and sockets
 * alike. Consistent choice by table lookup: Eisenbud et al., "Maglev: A Fast and Reliable Software
 * Network Load Balancer", NSDI 2016, section 3.4; the agent builds the tables.
 */
#pragma once

#include "bpf/lib/frontend.bpf.h"

#define FL_ID_LINES(count) (((count) + FL_LINE_IDS - 1) / FL_LINE_IDS)

/* The node port served on a local address. */
static __always_inline bool fl_frontend_get_node_port(bool v6, __be16 port, __u8 proto,
						      struct fl_frontend_packed *ret_fe)
{
	struct fl_addr any = {};

	if (!v6)
		fl_addr_map4(&any);
	return fl_frontend_get(v6, &any, port, proto, ret_fe);
}

static __always_inline __u32 fl_local_flags(const struct fl_addr *addr)
{
	struct fl_addr key =
		*addr; /* on the stack: before 6.2 no argument of a function is a key */
	__u32 *flags = bpf_map_lookup_elem(&fl_local, &key);

	return flags ? *flags : 0;
}

/*
 * The frontend at an address and port: a service's own, or a node port. `loopback`: the address is
 * localhost, and the client at hand is served node ports there. False: there is none. *ret_local:
 * fl_local_flags() of the address, if they were needed.
 */
static __always_inline bool fl_frontend_find(bool v6, const struct fl_addr *addr, __be16 port,
					     __u8 proto, bool loopback, __u32 *ret_local,
					     struct fl_frontend_packed *ret_fe)
{
	*ret_local = 0;
	if (fl_frontend_get(v6, addr, port, proto, ret_fe))
		return true; /* 2.19: a Service's own address and port beat a node port */
	*ret_local = fl_local_flags(addr);
	return (*ret_local & FL_LOCAL_NODE_PORTS || loopback) &&
	       fl_frontend_get_node_port(v6, port, proto, ret_fe);
}

/*
 * For an address and port without a frontend: whether a connection is refused all the same, because
 * the address is a Service's (2.22: the nftables mode rejects what a cluster IP has no port for).
 */
static __always_inline bool fl_frontend_unknown_port(bool v6, const struct fl_addr *addr,
						     __u32 local, bool from_network)
{
	return fl_config.reject_unknown_port && !local &&
	       (fl_frontend_is(v6, addr, 0, 0) ||
		(from_network && fl_frontend_is(v6, addr, 0, IPPROTO_ICMP)));
}

/*
 * Whether an address is a Service's and not this node's own: a cluster IP, or one of the others,
 * which may be those of other machines.
 */
static __always_inline bool fl_addr_is_cluster_ip(bool v6, const struct fl_addr *addr)
{
	return fl_frontend_is(v6, addr, 0, 0) && !fl_local_flags(addr);
}

static __always_inline bool fl_addr_is_external(bool v6, const struct fl_addr *addr)
{
	return fl_frontend_is(v6, addr, 0, IPPROTO_ICMP) && !fl_local_flags(addr);
}

/* Either, also if it is an address of this node. */
static __always_inline bool fl_addr_is_vip(bool v6, const struct fl_addr *addr)
{
	return fl_frontend_is(v6, addr, 0, 0) || fl_frontend_is(v6, addr, 0, IPPROTO_ICMP);
}

/* Whether a source is a pod's by its address (detectLocalMode ClusterCIDR or NodeCIDR). */
static __always_inline bool fl_addr_is_pod(bool v6, const struct fl_addr *a)
{
	const struct fl_live *live = fl_live_now();
	__u32 differs = 0;

	if (!v6)
		return live->pod_detector4 &&
		       (a->w[3] & live->pod_mask4.w[3]) == live->pod_cidr4.w[3];
	/* without a branch for each word, of which the verifier would follow every one */
	for (int i = 0; i < 4; i++)
		differs |= (a->w[i] & live->pod_mask6.w[i]) ^ live->pod_cidr6.w[i];
	return live->pod_detector6 && !differs;
}

/* 5.6: with loadBalancerSourceRanges only sources within them are let in. */
static __always_inline bool fl_source_allowed(const struct fl_frontend_packed *fe,
					      const struct fl_addr *source)
{
	struct fl_range_key key = {.prefix_len = 32 + 128};

	if (!(fe->flags & FL_SOURCE_RANGES))
		return true;
	key.service_id = fe->service_id;
	key.addr = *source;
	return bpf_map_lookup_elem(&fl_ranges, &key) != NULL;
}

/* Why a new connection through this frontend is not forwarded; FL_REASON_NONE: it is. */
static __always_inline enum fl_reason fl_frontend_refuses(const struct fl_frontend_packed *fe,
							  enum fl_side side,
							  const struct fl_addr *source)
{
	if (!fl_source_allowed(fe, source))
		return FL_REASON_SOURCE_RANGE;
	switch (fl_packed_verdict(fl_frontend_side(fe, side))) {
	case FL_VERDICT_FORWARD:
		return FL_REASON_NONE;
	case FL_VERDICT_DROP:
		return FL_REASON_NO_LOCAL_ENDPOINT;
	default:
		return FL_REASON_REJECT_NO_ENDPOINT;
	}
}

static __always_inline struct fl_backend *fl_backend_get(__u32 id)
{
	return bpf_map_lookup_elem(&fl_backends, &id);
}

static __always_inline bool fl_backend_is(const struct fl_backend *backend, __u16 generation)
{
	return backend && backend->generation == generation &&
	       READ_ONCE(backend->flags) & FL_BACKEND_LIVE;
}

/* Backend id at an ordinal of a list; 0 when there is none. */
static __always_inline __u32 fl_list_id(const struct fl_list *list, __u32 ordinal)
{
	__u32 at = list->slab + ordinal / FL_LINE_IDS;
	struct fl_line *line = bpf_map_lookup_elem(&fl_lines, &at);

	return line ? line->id[ordinal % FL_LINE_IDS] : 0;
}

/* Backend id by Maglev table; `hash` uses its upper 32 bits. */
static __always_inline __u32 fl_list_choose(const struct fl_list *list, __u64 hash)
{
	__u32 position = (hash >> 32) * list->lut_len >> 32, at = list->slab;
	struct fl_line *line = bpf_map_lookup_elem(&fl_lines, &at);

	/* a short list has all its ids in this line: it is fetched together with the table's */
	if (line)
		(void)READ_ONCE(line->id[0]);
	at = list->slab + FL_ID_LINES(list->count) + position / FL_LINE_ORDINALS;
	line = bpf_map_lookup_elem(&fl_lines, &at);
	return line ? fl_list_id(list, line->ordinal[position % FL_LINE_ORDINALS]) : 0;
}

/* The backend this client had lately, while it is in the list in force (5.5.3: else a new one). */
static __always_inline __u32 fl_affinity_get(const struct fl_affinity_key *key,
					     const struct fl_frontend_packed *fe,
					     const struct fl_list *list, __u32 now)
{
	struct fl_affinity *record = bpf_map_lookup_elem(&fl_affinity, key);
	struct fl_member_key member = {.list_id = list->id};
	__u32 ahead = fl_config.hz; /* how far another CPU's clock may be ahead of ours */

	if (!record || now - record->last + ahead > fe->affinity_timeout + ahead)
		return 0;
	member.backend = READ_ONCE(record->backend);
	if (!fl_backend_is(fl_backend_get(member.backend), record->generation) ||
	    !bpf_map_lookup_elem(&fl_members, &member))
		return 0;
	return member.backend;
}

/* The backend that this client has from now on. */
static __always_inline void fl_affinity_keep(const struct fl_affinity_key *key, __u32 backend,
					     __u32 now)
{
	struct fl_affinity *record = bpf_map_lookup_elem(&fl_affinity, key),
			   fresh = {.backend = backend, .last = now};
	struct fl_backend *b = fl_backend_get(backend);

	if (!b || !b->generation)
		return;
	if (record && record->backend == backend && record->generation == b->generation) {
		record->last = now; /* 5.5.2: each new connection restarts the timeout */
		return;
	}
	fresh.generation = b->generation;
	bpf_map_update_elem(&fl_affinity, key, &fresh, BPF_ANY);
}

/* How a backend is chosen from a list. */
struct fl_choice {
	bool by_table; /* by Maglev table, else by ordinal */
	__u64 hash;    /* of which the upper 32 bits count for a table, the lower for an ordinal */
};

static __always_inline __u32 fl_list_pick(const struct fl_list *list,
					  const struct fl_choice *choice)
{
	if (choice->by_table)
		return fl_list_choose(list, choice->hash);
	return list->count ? fl_list_id(list, (__u32)choice->hash % list->count) : 0;
}

/*
 * 5.5: a client of a service with session affinity keeps its backend; one that has none is given
 * the choice's, to keep (fl_affinity_keep()). 0: there is none.
 */
static __always_inline __u32 fl_list_pick_for(const struct fl_affinity_key *client,
					      const struct fl_frontend_packed *fe,
					      const struct fl_list *list,
					      const struct fl_choice *choice, __u32 now)
{
	__u32 id = 0;

	if (fe->flags & FL_AFFINITY)
		id = fl_affinity_get(client, fe, list, now);
	return id ? id : fl_list_pick(list, choice);
}
