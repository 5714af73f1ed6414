/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DSR on the client's side: a packet goes to its backend's node as it is, behind an outer IP header
 * to the backend (RFC 2003, RFC 2473), or in Geneve to its node where the network does not route
 * backends' addresses, and the backend answers the client directly. Nothing of the answers is seen
 * here, so the flow's entry proves nothing: it is kept for as long as the client goes on, so that
 * the flow stays where it is when the table changes, and whoever has none finds the same backend by
 * the table.
 */
#pragma once

#include "bpf/lib/geneve.bpf.h"
#include "bpf/lib/mss.bpf.h"
#include "conntrack/track.bpf.h"
#include "nodeport/decision.bpf.h"
#include "nodeport/former.bpf.h"

/* What encapsulation adds to a packet. */
static __always_inline __u32 fl_outer_size(bool v6, __u32 dispatch)
{
	return dispatch == FL_DISPATCH_GENEVE ? fl_geneve_size(v6) : fl_l4_offset(v6) - FL_L3;
}

/* The same of what this node sends. */
static __always_inline __u32 fl_tunnel_overhead(bool v6)
{
	return fl_outer_size(v6, fl_config.dispatch);
}

/* A word of the address of the range of outer sources. */
static __always_inline __u32 fl_tunnel_range(bool v6, __u32 word)
{
	return v6 ? fl_config.tunnel_addr6.w[word] : fl_config.tunnel_addr4.w[word];
}

/* What of its last word differs from flow to flow. */
static __always_inline __u32 fl_tunnel_mask(bool v6)
{
	return v6 ? fl_config.tunnel_mask6 : fl_config.tunnel_mask4;
}

static __always_inline bool fl_tunnel_has_range(bool v6)
{
	return fl_tunnel_range(v6, 0) | fl_tunnel_range(v6, 1) | fl_tunnel_range(v6, 2) |
	       fl_tunnel_range(v6, 3);
}

static __always_inline bool fl_tunnel_in_range(bool v6, const struct fl_addr *addr)
{
	__u32 differs;

	if (!fl_tunnel_has_range(v6))
		return false;
	differs = fl_tunnel_range(v6, 3) ^ (addr->w[3] & ~fl_tunnel_mask(v6));
	for (__u32 i = 0; i < 3; i++)
		differs |= fl_tunnel_range(v6, i) ^ addr->w[i];
	return !differs;
}

/*
 * The outer source: the node's own address, or with a range one that differs from flow to flow,
 * since network cards spread what arrives by the outer addresses alone. False: there is none.
 */
static __always_inline bool fl_tunnel_source(bool v6, __u32 ifindex, __u32 hash,
					     struct fl_addr *ret_addr)
{
	struct fl_device *device;

	/* Geneve is spread by its ports */
	if (fl_config.dispatch == FL_DISPATCH_IPIP && fl_tunnel_has_range(v6)) {
		for (__u32 i = 0; i < 4; i++)
			ret_addr->w[i] = fl_tunnel_range(v6, i);
		ret_addr->w[3] |= hash & fl_tunnel_mask(v6);
		return true;
	}
	fl_node_addr(v6, ret_addr);
	if (!fl_addr_is_zero(ret_addr))
		return true;
	device = fl_device_get(ifindex);
	if (device)
		*ret_addr = v6 ? device->addr6 : device->addr4;
	return !fl_addr_is_zero(ret_addr);
}

static __always_inline void fl_tunnel_write4(struct iphdr *ip, __u8 proto, __u8 ttl, __u8 tos,
					     __u32 len, const struct fl_addr *from,
					     const struct fl_addr *to)
{
	__be32 *word = (__be32 *)ip;
	/* what is inside goes in fragments rather than this, which the other end does not
	 * reassemble */
	const __be32 first = bpf_htonl(0x45U << 24 | (__u32)tos << 16 | (len & 0xffff)),
		     second = bpf_htonl(FL_IP4_DF),
		     third = bpf_htonl((__u32)ttl << 24 | (__u32)proto << 16);

	word[0] = first;
	word[1] = second;
	word[2] = third;
	word[3] = from->w[3];
	word[4] = to->w[3];
	/* of what was to be written: read back in other pieces than it was stored in, it would
	 * have to get to memory first */
	ip->check = ~fl_csum_fold16((__u64)first + second + third + from->w[3] + to->w[3]);
}

static __always_inline void fl_tunnel_write6(struct ipv6hdr *ip, __u8 proto, __u8 ttl, __u32 class,
					     __u32 len, __u32 hash, const struct fl_addr *from,
					     const struct fl_addr *to)
{
	*(__be32 *)ip = bpf_htonl(6U << 28 | class << 20 | (hash & 0xfffff));
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = proto;
	ip->hop_limit = ttl;
	__builtin_memcpy(&ip->saddr, from, 16);
	__builtin_memcpy(&ip->daddr, to, 16);
}

/* Where an encapsulated packet goes. */
struct fl_tunnel_end {
	const struct fl_addr *to; /* the outer destination */
	/* for Geneve: the backend */
	const struct fl_addr *pod;
	__be16 port;
	__u32 ifindex;
	const __u32 *macs; /* as fl_hop has them */
	__u32 ttl;	   /* of the outer header */
};

/* What the outer header takes over from the inner one. */
struct fl_tunnel_inner {
	__u32 class, len; /* as the outer header says it */
};

/* Count the packet's own TTL down. -1: no outer header can say how long it is. `front`: bytes of
 * one that is there already. */
static __always_inline int fl_tunnel_open(fl_ctx *ctx, bool v6, __u32 front,
					  struct fl_tunnel_inner *ret_inner)
{
	void *data = fl_ctx_data(ctx) + front;

	if (data + fl_l4_offset(v6) > fl_ctx_data_end(ctx))
		return -1;
	if (v6) {
		struct ipv6hdr *ip = data + FL_L3;

		ret_inner->class = bpf_ntohl(*(__be32 *)ip) >> 20 & 0xff;
		ret_inner->len = bpf_ntohs(ip->payload_len);
		ip->hop_limit--;
	} else {
		struct iphdr *ip = data + FL_L3;

		ret_inner->class = ip->tos;
		ret_inner->len = bpf_ntohs(ip->tot_len);
		ip->check = fl_csum_apply(ip->check, bpf_htons(0xfeff));
		ip->ttl--;
	}
	ret_inner->len += fl_tunnel_overhead(v6);
	/* what was merged of segments may be as long as the header can say */
	return ret_inner->len > 0xffff ? -1 : 0;
}

/* Write the outer header, for which there is room. The class of service is copied, with the mark of
 * congestion (RFC 6040). */
static __always_inline int fl_tunnel_close(fl_ctx *ctx, bool v6,
					   const struct fl_tunnel_inner *inner,
					   const struct fl_addr *from,
					   const struct fl_tunnel_end *end, __u32 hash)
{
	const bool geneve = fl_config.dispatch == FL_DISPATCH_GENEVE;
	const __u8 proto = geneve ? IPPROTO_UDP : v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	void *data = fl_ctx_data(ctx);

	if (data + FL_L3 + fl_tunnel_overhead(v6) > fl_ctx_data_end(ctx))
		return -1;
	fl_write_macs(data, end->macs);
	*(__be16 *)(data + 12) = bpf_htons(v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP);
	if (v6)
		fl_tunnel_write6(data + FL_L3, proto, end->ttl, inner->class, inner->len, hash,
				 from, end->to);
	else
		fl_tunnel_write4(data + FL_L3, proto, end->ttl, inner->class, inner->len, from,
				 end->to);
	if (geneve)
		fl_geneve_write(data + fl_l4_offset(v6), v6,
				inner->len - (v6 ? 0 : sizeof(struct iphdr)), hash, end->pod,
				end->port);
	return 0;
}

/* Put the packet behind an outer header. -1: it may be damaged, drop it. */
static __always_inline int fl_tunnel_wrap(fl_ctx *ctx, bool v6, const struct fl_tunnel_end *end,
					  __u32 hash)
{
	struct fl_tunnel_inner inner;
	struct fl_addr from;

	if (!fl_tunnel_source(v6, end->ifindex, hash, &from) ||
	    fl_tunnel_open(ctx, v6, 0, &inner) ||
	    fl_ctx_grow(ctx, v6, fl_config.dispatch == FL_DISPATCH_GENEVE, fl_tunnel_overhead(v6)))
		return -1;
	return fl_tunnel_close(ctx, v6, &inner, &from, end, hash);
}

/*
 * Put another outer header in the place of one by the same dispatch; so nothing changes its length,
 * which the kernel would not let everybody do with what it knows to be encapsulated. A mark of
 * congestion in the old one stays (RFC 6040). -1: it may be damaged, drop it.
 */
static __always_inline int fl_tunnel_rewrap(fl_ctx *ctx, bool v6, const struct fl_tunnel_end *end,
					    __u32 hash)
{
	struct fl_tunnel_inner inner;
	struct fl_addr from;
	void *data;

	if (!fl_tunnel_source(v6, end->ifindex, hash, &from) ||
	    fl_tunnel_open(ctx, v6, fl_tunnel_overhead(v6), &inner))
		return -1;
	data = fl_ctx_data(ctx);
	if (data + fl_l4_offset(v6) > fl_ctx_data_end(ctx))
		return -1;
	if ((v6 ? bpf_ntohl(*(__be32 *)(data + FL_L3)) >> 20 & 3
		: *(__u8 *)(data + FL_L3 + 1) & 3) == 3)
		inner.class |= 3;
	return fl_tunnel_close(ctx, v6, &inner, &from, end, hash);
}

/* The address of the node that backend `id` is on, if that is still the one at `pod`. False: it is
 * not known. */
static __always_inline bool fl_tunnel_node(bool v6, __u32 id, const struct fl_addr *pod,
					   struct fl_addr *ret_addr)
{
	struct fl_backend_node *node = bpf_map_lookup_elem(&fl_backend_nodes, &id);
	struct fl_backend *backend = fl_backend_get(id);
	__u32 word;

	if (!id || !node || !backend || backend->addr.w[3] != pod->w[3] ||
	    (v6 && !fl_addr_equal(&backend->addr, pod)))
		return false;
	word = READ_ONCE(node->word);
	node = fl_after_load(node, word);
	*ret_addr = node->addr;
	fl_loads_in_order();
	return !(word & 1) && READ_ONCE(node->word) == word && !fl_addr_is_zero(ret_addr);
}

/*
 * By Geneve a packet for the backend `id`, which is d->to, goes to its node: that becomes
 * d->to.daddr, where the way is asked for and kept. Not zero: the node is not known. Global, so
 * that it is verified once.
 */
int fl_tunnel_aim(bool v6, __u32 id, struct fl_decision *d);

__noinline int fl_tunnel_aim(bool v6, __u32 id, struct fl_decision *d)
{
	struct fl_addr pod;

	if (!d)
		return -1;
	pod = d->to.daddr;
	if (!fl_tunnel_node(v6, id, &pod, &d->to.daddr))
		return -1;
	d->pod = pod;
	d->pod_port = d->to.dport;
	return 0;
}

/* The same of any dispatch. False: *d says that the packet is dropped. */
static __always_inline bool fl_tunnel_aimed(bool v6, __u32 id, struct fl_decision *d)
{
	if (fl_config.dispatch != FL_DISPATCH_GENEVE || !fl_tunnel_aim(v6, id, d))
		return true;
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
	return false;
}

/* Where the way to the outer destination of a backend's packets is kept; NULL: nowhere. */
static __always_inline __u16 *fl_tunnel_hop(__u32 id, struct fl_backend *backend)
{
	struct fl_backend_node *node;

	if (fl_config.dispatch != FL_DISPATCH_GENEVE)
		return &backend->next_hop;
	node = bpf_map_lookup_elem(&fl_backend_nodes, &id);
	if (!node)
		return NULL;
	/* or the compiler adds first and looks then, which the verifier refuses */
	asm volatile("" : "+r"(node));
	return &node->next_hop;
}

/* Whether a new flow of this frontend goes to the backend so; not one of the backend itself
 * (5.3.3), which would get packets from its own address. */
static __always_inline bool fl_tunnel_wanted(const struct fl_packet *p,
					     const struct fl_frontend_packed *fe,
					     enum fl_client client, enum fl_hook hook,
					     const struct fl_backend *backend)
{
	return fe->flags & FL_TUNNEL && client == FL_CLIENT_OUTSIDE && hook == FL_HOOK_INGRESS &&
	       !(backend->flags & FL_BACKEND_LOCAL) &&
	       !fl_addr_equal(&p->tuple.saddr, &backend->addr);
}

/* What fl_decision_forward() has said, for a packet that gets an outer header. */
static __always_inline void fl_tunnel_decide(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					     struct fl_decision *d)
{
	const __u32 outer = fl_tunnel_overhead(v6);

	/* a backend of another node, and its address is this node's */
	if (d->action == FL_ACT_STACK)
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
	if (d->action == FL_ACT_FORWARD)
		fl_decision_set(d, FL_ACT_TUNNEL, FL_REASON_NONE);
	if (d->action == FL_ACT_TUNNEL && fl_ctx_wire_len(ctx, p) + outer > d->hop.mtu) {
		/* merged segments cannot be sent in fragments, and are not IPv6's to be */
		if (v6 || fl_ctx_merged(ctx))
			fl_decision_set(d, FL_ACT_TOO_BIG, FL_REASON_TOO_BIG);
		else
			fl_decision_oversize(p, d);
	}
	if (!v6 && d->action == FL_ACT_FRAGMENT)
		fl_decision_set(d, FL_ACT_TUNNEL_FRAGMENTS, FL_REASON_NONE);
	if (d->action == FL_ACT_TOO_BIG)
		d->hop.mtu -= outer;
}

/*
 * Remember a flow p->tuple -> d->to, in one entry. It is a cache: where there is no room, or
 * another CPU has made the flow at the same moment, the packet goes on all the same.
 */
static __always_inline void fl_tunnel_enter(bool v6, const struct fl_packet *p,
					    const struct fl_decision *d)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	struct fl_flow_head *head;
	__u32 slot = 0, claim, now = fl_now();

	/* what ends a connection begins none */
	if (p->tcp_flags & (FL_TCP_FIN | FL_TCP_RST) ||
	    (p->tcp_flags & FL_TCP_SYN && !fl_packet_opens(p)))
		return;
	head = fl_flow_new(v6, hash, now, &slot);
	if (!head)
		return;
	fl_flow_fill(v6, head, slot, head, &p->tuple, p->proto, FL_FLOW_TO_STACK | FL_FLOW_TUNNEL,
		     now);
	fl_flow_fill_rewrite(v6, head, &d->to, false);
	head->packets = 1;
	head->bytes_low = p->len;
	head->seq = p->proto == IPPROTO_UDP ? now : fl_packet_seq_end(p);
	head->ack = p->ack;
	fl_flow_set_backend(head, d->tunnel_backend);
	fl_hop_keep(&head->next_hop, &d->hop);
	claim = fl_flow_publish(head, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (!fl_flow_claim(v6, &p->tuple, p->proto, hash, slot, head, claim, false, NULL, 0)) {
		fl_flow_withdraw(head, claim);
		return;
	}
	fl_count(FL_COUNTER_FLOW_NEW);
	fl_count(FL_COUNTER_FLOW_TUNNELLED);
	if (!fl_packet_opens(p))
		fl_count(FL_COUNTER_FLOW_TAKEN_OVER);
}

/* The first packet of a flow here, whose backend is d->tunnel_backend: the way there, and the entry
 * if the packet takes it. */
static __always_inline void fl_tunnel_begin(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					    struct fl_decision *d)
{
	struct fl_backend *backend = fl_backend_get(d->tunnel_backend);
	struct fl_addr node;
	__u16 *hop;

	if (!backend)
		return;
	if (!d->unsure && !fl_rate_take(FL_RATE_NEW_FLOW, fl_config.new_flow_rate)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NEW_FLOW_RATE);
		return;
	}
	d->to.saddr = p->tuple.saddr;
	d->to.daddr = backend->addr;
	d->to.sport = p->tuple.sport;
	d->to.dport = backend->port;
	hop = fl_tunnel_hop(d->tunnel_backend, backend);
	if (!hop || !fl_tunnel_aimed(v6, d->tunnel_backend, d))
		return;
	if (!fl_hop_get(hop, fl_now(), &d->hop)) {
		if (fl_fib_lookup(ctx, &d->to.daddr, &d->hop) != FL_FIB_OK) {
			fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
			return;
		}
		fl_hop_keep(hop, &d->hop);
	}
	fl_decision_forward(ctx, p, d);
	fl_tunnel_decide(ctx, v6, p, d);
	if (d->unsure ||
	    (d->action != FL_ACT_TUNNEL && (v6 || d->action != FL_ACT_TUNNEL_FRAGMENTS)))
		return;
	/* the flow is one to the backend, whatever it is sent in */
	node = d->to.daddr;
	if (fl_config.dispatch == FL_DISPATCH_GENEVE)
		d->to.daddr = d->pod;
	fl_tunnel_enter(v6, p, d);
	d->to.daddr = node;
}

int fl_tunnel_begin4(fl_ctx *ctx, const struct fl_packet *p, struct fl_decision *d);
int fl_tunnel_begin6(fl_ctx *ctx, const struct fl_packet *p, struct fl_decision *d);

__noinline int fl_tunnel_begin4(fl_ctx *ctx, const struct fl_packet *p, struct fl_decision *d)
{
	if (p && d)
		fl_tunnel_begin(ctx, false, p, d);
	return 0;
}

__noinline int fl_tunnel_begin6(fl_ctx *ctx, const struct fl_packet *p, struct fl_decision *d)
{
	if (p && d)
		fl_tunnel_begin(ctx, true, p, d);
	return 0;
}

/*
 * What routers on the way to a backend have said of encapsulated packets that were too big for
 * them. The kernel keeps that for its own packets only. Of each object its own, not pinned.
 */
struct fl_path {
	__u32 mtu;
	__u32 since; /* jiffies */
};

#define FL_PATH_SECONDS 600 /* as the kernel remembers it (RFC 1191, 6.3) */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct fl_addr);
	__type(value, struct fl_path);
} fl_paths SEC(".maps");

/* Bytes that a packet may have with its outer header. Global, so that the key takes no stack from
 * others. */
__u32 fl_tunnel_path_mtu(const struct fl_decision *d);

__noinline __u32 fl_tunnel_path_mtu(const struct fl_decision *d)
{
	struct fl_device *device;
	struct fl_path *path;
	struct fl_addr key;
	__u32 mtu, learnt;

	if (!d)
		return 0;
	key = d->to.daddr;
	mtu = d->hop.mtu;
	device = fl_device_get(d->hop.ifindex);
	if (device && device->mtu && device->mtu < mtu)
		mtu = device->mtu;
	path = bpf_map_lookup_elem(&fl_paths, &key);
	if (!path)
		return mtu;
	/* once: by the second time it may be another path's */
	learnt = READ_ONCE(path->mtu);
	if (learnt < mtu && fl_now() - path->since < FL_PATH_SECONDS * fl_config.hz)
		mtu = learnt;
	return mtu;
}

/* What spreads flows: all packets of one have the same. */
static __always_inline __u32 fl_tunnel_hash(bool v6, const struct fl_packet *p)
{
	return fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]) >> 32;
}

/* Where fl_tunnel_decide() lets a packet go. */
static __always_inline struct fl_tunnel_end fl_tunnel_end(const struct fl_decision *d, __u32 ttl)
{
	return (struct fl_tunnel_end){&d->to.daddr,   &d->pod,	   d->pod_port,
				      d->hop.ifindex, d->hop.macs, ttl};
}

/*
 * What a SYN is told of the way. Of IPv6 no more than what every way takes, unless the
 * configuration says more: a router could tell the sender to make smaller packets, but none of less
 * than 1280 bytes, and with the outer header those may still be too big.
 */
static __always_inline __u32 fl_tunnel_mtu(bool v6, const struct fl_decision *d)
{
	const __u32 known = fl_tunnel_path_mtu(d), presumed = v6 ? fl_config.tunnel_mtu6 : 0;

	return presumed && presumed < known ? presumed : known;
}

/* A SYN is told what fits into the tunnel: the node of the backend will not let that ask for larger
 * segments. */
static __always_inline int fl_tunnel_tell(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_decision *d)
{
	if (!(p->tcp_flags & FL_TCP_SYN))
		return 0;
	return fl_mss_lower(ctx, p->l4,
			    fl_mss_of(v6, fl_tunnel_mtu(v6, d) - fl_tunnel_overhead(v6)));
}

static __always_inline int fl_tunnel_send(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_decision *d)
{
	const struct fl_tunnel_end end = fl_tunnel_end(d, FL_TUNNEL_TTL);

	if (fl_tunnel_tell(ctx, v6, p, d))
		return -1;
	return fl_tunnel_wrap(ctx, v6, &end, fl_tunnel_hash(v6, p));
}

/* Send on what fl_tunnel_decide() let go, by the program's leave(). Global, so that it is verified
 * once. */
int fl_tunnel_send4(fl_ctx *ctx, const struct fl_packet *p, const struct fl_decision *d);
int fl_tunnel_send6(fl_ctx *ctx, const struct fl_packet *p, const struct fl_decision *d);

__noinline int fl_tunnel_send4(fl_ctx *ctx, const struct fl_packet *p, const struct fl_decision *d)
{
	return p && d ? fl_tunnel_send(ctx, false, p, d) : -1;
}

__noinline int fl_tunnel_send6(fl_ctx *ctx, const struct fl_packet *p, const struct fl_decision *d)
{
	return p && d ? fl_tunnel_send(ctx, true, p, d) : -1;
}
