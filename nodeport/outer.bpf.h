/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Outer headers, IP in IP and Geneve, as another node has put them before a packet (unpack.bpf.h):
 * what they say, and whether their addresses are this node's and a known node's.
 */
#pragma once

#include "bpf/lib/geneve.bpf.h"
#include "bpf/lib/parse.bpf.h"
#include "nodeport/decision.bpf.h"
#include "nodeport/outer_seen.bpf.h"
#include "nodeport/tunnel.bpf.h"

static __always_inline __u8 fl_tunnel_proto(bool v6)
{
	return v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/* Whether a packet is one of the same family in an outer header. */
static __always_inline bool fl_packet_is_tunnelled(void *data, void *data_end, bool v6)
{
	const __u32 at =
		FL_L3 + (v6 ? offsetof(struct ipv6hdr, nexthdr) : offsetof(struct iphdr, protocol));

	return data + at < data_end && *(__u8 *)(data + at) == fl_tunnel_proto(v6);
}

/* The outer addresses, TTL, and how long the whole is; false: no whole header of the usual length,
 * or another protocol. */
static __always_inline bool fl_unpack_addrs(void *data, bool v6, __u8 proto, struct fl_outer *ret_o)
{
	if (v6) {
		struct ipv6hdr *ip = data + FL_L3;

		__builtin_memcpy(&ret_o->from, &ip->saddr, 16);
		__builtin_memcpy(&ret_o->to, &ip->daddr, 16);
		ret_o->len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
		ret_o->ttl = ip->hop_limit;
		return ip->version == 6 && ip->nexthdr == proto;
	} else {
		struct iphdr *ip = data + FL_L3;

		fl_addr_map4(&ret_o->from);
		fl_addr_map4(&ret_o->to);
		ret_o->from.w[3] = ip->saddr;
		ret_o->to.w[3] = ip->daddr;
		ret_o->len = bpf_ntohs(ip->tot_len);
		ret_o->ttl = ip->ttl;
		return *(__u8 *)ip == 0x45 && ip->protocol == proto &&
		       !(ip->frag_off & bpf_htons(FL_IP4_FRAGMENT));
	}
}

/* The rest of Geneve; false: it is not ours, or no longer as it was sent. */
static __always_inline bool fl_unpack_geneve(void *data, bool v6, struct fl_outer *ret_o)
{
	const struct fl_geneve *g = data + fl_l4_offset(v6);
	const __be32 *option = (const void *)(g + 1);
	const __u16 len = v6 ? ((struct ipv6hdr *)(data + FL_L3))->payload_len
			     : bpf_htons(bpf_ntohs(((struct iphdr *)(data + FL_L3))->tot_len) -
					 sizeof(struct iphdr));

	if (!fl_geneve_is_ours(g, v6) || g->udp.len != len)
		return false;
	if (v6) {
		__builtin_memcpy(&ret_o->pod, option, 16);
		option += 4;
	} else {
		fl_addr_map4(&ret_o->pod);
		ret_o->pod.w[3] = *option++;
	}
	ret_o->port = *(const __be16 *)option;
	return true;
}

/* What the outer header says. False: it is none of ours. */
static __always_inline bool fl_unpack_header(fl_ctx *ctx, bool v6, __u32 dispatch,
					     struct fl_outer *ret_o)
{
	const bool geneve = dispatch == FL_DISPATCH_GENEVE;
	const __u8 proto = geneve ? IPPROTO_UDP : fl_tunnel_proto(v6);
	void *data = fl_ctx_data(ctx);

	ret_o->dispatch = dispatch;
	ret_o->front = fl_outer_size(v6, dispatch);
	ret_o->port = 0;
	if (data + FL_L3 + fl_outer_size(v6, dispatch) > fl_ctx_data_end(ctx) ||
	    !fl_unpack_addrs(data, v6, proto, ret_o) || FL_L3 + ret_o->len > fl_ctx_len(ctx))
		return false;
	ret_o->pod = ret_o->to;
	return !geneve || fl_unpack_geneve(data, v6, ret_o);
}

/* Whether the outer destination is one that this node unpacks: of Geneve it is an address of this
 * node, else the backend, which no address of this node is. */
static __always_inline bool fl_unpack_is_here(__u32 dispatch, const struct fl_outer *o)
{
	return !(fl_local_flags(&o->to) & FL_LOCAL_NODE) == (dispatch != FL_DISPATCH_GENEVE);
}

/* Both. */
static __always_inline bool fl_unpack_outer(fl_ctx *ctx, bool v6, __u32 dispatch,
					    struct fl_outer *ret_o)
{
	return fl_unpack_header(ctx, v6, dispatch, ret_o) && fl_unpack_is_here(dispatch, ret_o);
}

/* Whether the packet, of `len` bytes with its outer header, came in that; and of Geneve, whether it
 * is all that did, since of merged datagrams only the first would be seen. */
static __always_inline bool fl_unpack_fits(__u32 dispatch, const struct fl_outer *o, __u32 len)
{
	return dispatch == FL_DISPATCH_GENEVE ? o->len == len : o->len >= len;
}

/* The inner packet, as if it lay where the outer one does. */
static __always_inline bool fl_unpack_inner(fl_ctx *ctx, bool v6, __u32 dispatch,
					    const struct fl_outer *o, struct fl_packet *p)
{
	const __u32 outer = fl_outer_size(v6, dispatch);

	return fl_packet_parse_flow(fl_ctx_data(ctx) + outer, fl_ctx_data_end(ctx),
				    fl_ctx_len(ctx) - outer, fl_ctx_merged(ctx), v6, p) &&
	       fl_unpack_fits(dispatch, o, p->len + outer);
}

/* Which of the two it is, of a packet that is one. */
static __always_inline bool fl_unpack_is_geneve(fl_ctx *ctx, bool v6)
{
	return !fl_packet_is_tunnelled(fl_ctx_data(ctx), fl_ctx_data_end(ctx), v6);
}

/* The outer header of either. */
static __always_inline bool fl_unpack_outer_any(fl_ctx *ctx, bool v6, struct fl_outer *ret_o)
{
	return fl_unpack_is_geneve(ctx, v6) ? fl_unpack_outer(ctx, v6, FL_DISPATCH_GENEVE, ret_o)
					    : fl_unpack_outer(ctx, v6, FL_DISPATCH_IPIP, ret_o);
}

static __always_inline bool fl_unpack_read_as(fl_ctx *ctx, bool v6, __u32 dispatch,
					      struct fl_outer *ret_o, struct fl_packet *p)
{
	return fl_unpack_outer(ctx, v6, dispatch, ret_o) &&
	       fl_unpack_inner(ctx, v6, dispatch, ret_o, p);
}

/* Both headers; zero: it is none that could be unpacked here. Global, so that it takes no stack
 * from what comes next. */
int fl_unpack_read4(fl_ctx *ctx, struct fl_outer *ret_o, struct fl_packet *p);
int fl_unpack_read6(fl_ctx *ctx, struct fl_outer *ret_o, struct fl_packet *p);

__noinline int fl_unpack_read4(fl_ctx *ctx, struct fl_outer *ret_o, struct fl_packet *p)
{
	if (!ret_o || !p)
		return 0;
	return fl_unpack_is_geneve(ctx, false)
		       ? fl_unpack_read_as(ctx, false, FL_DISPATCH_GENEVE, ret_o, p)
		       : fl_unpack_read_as(ctx, false, FL_DISPATCH_IPIP, ret_o, p);
}

__noinline int fl_unpack_read6(fl_ctx *ctx, struct fl_outer *ret_o, struct fl_packet *p)
{
	if (!ret_o || !p)
		return 0;
	return fl_unpack_is_geneve(ctx, true)
		       ? fl_unpack_read_as(ctx, true, FL_DISPATCH_GENEVE, ret_o, p)
		       : fl_unpack_read_as(ctx, true, FL_DISPATCH_IPIP, ret_o, p);
}

/* Whether a node of the cluster has this address. Global, so that its key takes no stack from
 * others. */
int fl_node_is(bool v6, const struct fl_addr *addr);

__noinline int fl_node_is(bool v6, const struct fl_addr *addr)
{
	struct fl_addr key;

	if (!addr)
		return false;
	key = *addr;
	/* RFC 4291: an IPv4 address in an IPv6 header is nobody's, though it is a node's key */
	if (v6 && fl_addr_is_mapped(&key))
		return false;
	return bpf_map_lookup_elem(&fl_peers, &key) != NULL;
}

/* Whether a node of the cluster encapsulates with this source. */
static __always_inline bool fl_peer_is(bool v6, const struct fl_addr *addr)
{
	return fl_tunnel_in_range(v6, addr) || fl_node_is(v6, addr);
}

static __always_inline enum fl_seen_as fl_unpack_seen_as(__u32 dispatch)
{
	return dispatch == FL_DISPATCH_GENEVE ? FL_SEEN_OWN : FL_SEEN_OTHER;
}

/* Whether both addresses were looked up lately: fl_unpack_is_here(), fl_peer_is(). */
static __always_inline bool fl_unpack_seen(bool v6, __u32 dispatch, const struct fl_outer *o)
{
	const __u64 current = READ_ONCE(fl_meta_get()->next_hops);

	return !fl_hops_over(current, fl_now()) &&
	       fl_seen_is(v6, &o->to, fl_unpack_seen_as(dispatch), current) &&
	       (fl_tunnel_in_range(v6, &o->from) ||
		fl_seen_is(v6, &o->from, FL_SEEN_PEER, current));
}

/* Look them up once more and remember them: of a packet that was unpacked. */
int fl_unpack_see(bool v6, const struct fl_outer *o);

__noinline int fl_unpack_see(bool v6, const struct fl_outer *o)
{
	__u32 generation;

	if (!o || fl_unpack_seen(v6, o->dispatch, o))
		return 0;
	generation = fl_hop_generation(fl_now());
	if (fl_unpack_is_here(o->dispatch, o))
		fl_seen_keep(v6, &o->to, fl_unpack_seen_as(o->dispatch), generation);
	if (!fl_tunnel_in_range(v6, &o->from) && fl_peer_is(v6, &o->from))
		fl_seen_keep(v6, &o->from, FL_SEEN_PEER, generation);
	return 0;
}
