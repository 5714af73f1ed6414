/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DSR: whose a connection may be that this node does not know. By the table in force it goes to one
 * backend; if it began under an earlier one it may have another, since a table that changes moves
 * some places without need. Only that backend's node knows. So the candidates are asked one after
 * the other, and each of their nodes finds the next one by its own tables (fl_formers).
 */
#pragma once

#include "bpf/lib/packet_maps.bpf.h"
#include "bpf/lib/service.bpf.h"

#define FL_CANDIDATES (1 + FL_FORMERS)

/*
 * The outer TTL counts the nodes that are asked: each gives its packet one step less than the one
 * before, so none is sent on for ever, whatever nodes disagree about. Routers between two nodes may
 * take less than a step.
 */
#define FL_TUNNEL_TTL 64 /* of the first one: the inner TTL has counted this hop */
#define FL_TUNNEL_STEP 16

/* What a packet is sent on with that came with `ttl`; 0: it is not. */
static __always_inline __u32 fl_former_ttl(__u32 ttl)
{
	const __u32 most = FL_TUNNEL_TTL - FL_TUNNEL_STEP;
	const __u32 less = ttl ? (ttl - 1) & ~(FL_TUNNEL_STEP - 1) : 0;

	return less < most ? less : most;
}

/* The table of a candidate, as fl_frontend_packed has it; 0: none. */
static __always_inline __u64 fl_former_side(const struct fl_former *former, __u64 side, __u32 i)
{
	return i ? READ_ONCE(former->side[i - 1]) : side;
}

/*
 * Of the backends that the tables of this frontend lead a segment to, the next one that is of
 * another node: the one behind that at `asked`, or the first if that is not among them, since nodes
 * do not see a change at the same moment. An id, or 0. Global, so that it is verified once.
 */
__u32 fl_former_next(bool v6, const struct fl_packet *p, const struct fl_frontend_packed *fe,
		     const struct fl_addr *asked);

__noinline __u32 fl_former_next(bool v6, const struct fl_packet *p,
				const struct fl_frontend_packed *fe, const struct fl_addr *asked)
{
	__u32 ids[FL_CANDIDATES] = {}, next = 0, at;
	const struct fl_former *former;
	__u64 hash, side;

	if (!p || !fe || !asked || p->proto != IPPROTO_TCP || p->tcp_flags & FL_TCP_SYN)
		return 0;
	side = fe->side[FL_SIDE_EXTERNAL];
	at = fe->service_id % FL_FORMER_LISTS;
	former = bpf_map_lookup_elem(&fl_formers, &at);
	/* the local list is another one on each node */
	if (!former || side >> FL_SIDE_LOCAL_SHIFT)
		return 0;
	hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.maglev_seed);
	for (__u32 i = 0; i < FL_CANDIDATES; i++) {
		const bool here = !i || READ_ONCE(former->service_id) == fe->service_id;
		const struct fl_list list =
			fl_packed_list(here ? fl_former_side(former, side, i) : 0, 0);
		const __u32 id = list.count ? fl_list_choose(&list, hash) : 0;
		const struct fl_backend *backend = fl_backend_get(id);

		if (!id || !backend || !backend->generation || id == ids[0] || id == ids[1] ||
		    id == ids[2])
			continue;
		ids[i] = id;
		if (fl_addr_equal(&backend->addr, asked))
			next = 0;
		else if (!next && !(READ_ONCE(backend->flags) & FL_BACKEND_LOCAL) &&
			 !fl_addr_equal(&backend->addr, &p->tuple.saddr))
			next = id;
	}
	return next;
}
