/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DSR on the backend's side: what another node has encapsulated for a pod of this one is unpacked,
 * gets the pod's address and port as its destination, and goes to the stack. Its flow is known by
 * the inner packet, so replies leave with the frontend's address, and two frontends of one backend
 * are kept apart. That is so for either dispatch, whichever this node itself sends by.
 *
 * Unpacked is only what a node of the cluster has encapsulated, for a frontend that is known and a
 * backend of it that is here: otherwise this were a way into the node for everybody, under any
 * source (CVE-2020-10136). What is for no frontend passes: whoever it is for may know what it is.
 */
#pragma once

#include "nodeport/decide.bpf.h"
#include "nodeport/outer.bpf.h"

/* How many backends of a frontend are compared, where the table does not lead to the pod at once:
 * with session affinity, or while nodes do not agree about the endpoints. */
#define FL_UNPACK_LINES 256 /* of FL_LINE_IDS backends each */

/* The frontend that a node has found for this packet; a node port is at its address. */
static __always_inline bool fl_unpack_frontend(bool v6, const struct fl_packet *p,
					       struct fl_frontend_packed *ret_fe)
{
	__u32 local;

	if (fl_frontend_find(v6, &p->tuple.daddr, p->tuple.dport, p->proto, false, &local, ret_fe))
		return true;
	return fl_node_is(v6, &p->tuple.daddr) &&
	       fl_frontend_get_node_port(v6, p->tuple.dport, p->proto, ret_fe);
}

static __always_inline bool fl_unpack_matches(__u32 id, const struct fl_outer *o)
{
	struct fl_backend *backend = fl_backend_get(id);
	const __u8 here = FL_BACKEND_LIVE | FL_BACKEND_LOCAL;

	return id && backend && backend->generation && (READ_ONCE(backend->flags) & here) == here &&
	       fl_addr_equal(&backend->addr, &o->pod) && (!o->port || o->port == backend->port);
}

/* Among the first `n` of a line of ids. Global functions, so that each loop is verified once. */
__u32 fl_unpack_line(const struct fl_outer *o, __u32 at, __u32 n);

__noinline __u32 fl_unpack_line(const struct fl_outer *o, __u32 at, __u32 n)
{
	struct fl_line *line = bpf_map_lookup_elem(&fl_lines, &at);

	if (!o || !line)
		return 0;
	for (__u32 i = 0; i < FL_LINE_IDS && i < n; i++) {
		__u32 id = line->id[i];

		if (fl_unpack_matches(id, o))
			return id;
	}
	return 0;
}

/* The id of a list's backend that the outer header names, if it is on this node; 0: none. */
__u32 fl_unpack_backend(const struct fl_outer *o, __u64 side, __u64 hash);

__noinline __u32 fl_unpack_backend(const struct fl_outer *o, __u64 side, __u64 hash)
{
	struct fl_list list = fl_packed_list(side, 0);
	__u32 id, lines = FL_ID_LINES(list.count);

	if (!o)
		return 0;
	id = fl_list_choose(&list, hash);
	if (fl_unpack_matches(id, o))
		return id;
	for (__u32 i = 0; i < FL_UNPACK_LINES && i < lines; i++) {
		id = fl_unpack_line(o, list.slab + i, list.count - i * FL_LINE_IDS);
		if (id)
			return id;
	}
	return 0;
}

/* Whether a segment may be another node's, which fl_unpack_pass_on() finds out. Not a fragment or
 * the like, whose outer header is off already. */
static __always_inline bool fl_unpack_may_pass(const struct fl_packet *p, const struct fl_outer *o)
{
	return o->front && p->proto == IPPROTO_TCP && !(p->tcp_flags & FL_TCP_SYN);
}

/* A flow that begins in here: d->to, all but the source port. False: *d says why there is none. */
static __always_inline bool fl_unpack_served(bool v6, const struct fl_packet *p,
					     const struct fl_outer *o, struct fl_decision *d,
					     struct fl_new *ret_new)
{
	struct fl_frontend_packed fe = {};
	struct fl_backend *backend;
	enum fl_reason reason;
	__u64 side;

	if (!fl_unpack_frontend(v6, p, &fe)) {
		fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
		return false;
	}
	/* the source of a client, of which the first node has thought so too; who gets what it has
	 * sent itself is masqueraded there */
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_TUNNEL_CONTENT);
	if (fl_packet_martian(v6, &p->tuple) || fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE ||
	    fl_addr_equal(&p->tuple.saddr, &o->pod) || fl_source_is_frontend(v6, p))
		return false;
	reason = fl_packet_opens(p) ? fl_frontend_refuses(&fe, FL_SIDE_EXTERNAL, &p->tuple.saddr)
				    : FL_REASON_NO_FLOW;
	if (!reason && !fl_rate_take(FL_RATE_NEW_FLOW, fl_config.new_flow_rate))
		reason = FL_REASON_NEW_FLOW_RATE;
	if (reason) {
		/* the first node answers, to which its client has written */
		fl_decision_set(d, FL_ACT_DROP, reason);
		if (reason == FL_REASON_NO_FLOW && fe.flags & FL_TUNNEL && fl_unpack_may_pass(p, o))
			d->action = FL_ACT_TUNNEL;
		return false;
	}
	side = fl_frontend_side(&fe, FL_SIDE_EXTERNAL);
	ret_new->backend = fl_unpack_backend(
		o, side, fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.maglev_seed));
	backend = fl_backend_get(ret_new->backend);
	if (!ret_new->backend || !backend) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_TUNNEL_FRONTEND);
		return false;
	}
	ret_new->local = true;
	d->to.saddr = p->tuple.saddr;
	d->to.daddr = backend->addr;
	d->to.dport = backend->port;
	return true;
}

/* What the SYN that answers this one may name as its MSS: segments of that size fit into the
 * tunnel. Of the way there the node before has told, by the SYN. l4: where TCP is in the frame.
 * Global, so that its loops are apart. */
int fl_unpack_mss(fl_ctx *ctx, bool v6, __u32 dispatch, __u32 l4);

__noinline int fl_unpack_mss(fl_ctx *ctx, bool v6, __u32 dispatch, __u32 l4)
{
	const __u32 outer = fl_outer_size(v6, dispatch);
	struct fl_device *device = fl_device_get(fl_ctx_ifindex(ctx));
	__u32 most = fl_mss_of(v6, (device && device->mtu ? device->mtu : 0xffff) - outer);
	__u16 mss = 0;

	if (fl_mss_find(ctx, l4, &mss) > 0 && mss < most)
		most = mss;
	return most < 0xffff ? most : 0xffff;
}

/* Not zero: another CPU makes the flow at the same moment (fl_new_flow()). */
static __always_inline int fl_unpack_new(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					 const struct fl_outer *o, struct fl_decision *d,
					 bool insist)
{
	struct fl_new new = {};
	struct fl_tuple6 reply;
	enum fl_reason reason;
	__u64 hash;

	if (!fl_unpack_served(v6, p, o, d, &new))
		return 0;
	hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	fl_tuple_reverse(&d->to, &reply);
	reply.dport = p->tuple.sport;
	if (!fl_snat_choose(ctx, v6, &reply, p->proto, 0)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_SOURCE_PORT);
		return 0;
	}
	d->to.sport = reply.dport;
	if (p->proto == IPPROTO_TCP)
		new.mss = fl_unpack_mss(ctx, v6, o->dispatch, p->l4 + o->front);
	reason = fl_new_enter(v6, p, d, &reply, &new, hash, fl_now(), insist);
	if (reason == FL_NEW_GAVE_WAY)
		return 1;
	fl_decision_set(d, reason ? FL_ACT_DROP : FL_ACT_STACK, reason);
	if (!reason)
		fl_count(FL_COUNTER_FLOW_UNPACKED);
	return 0;
}

int fl_unpack_new4(fl_ctx *ctx, const struct fl_packet *p, const struct fl_outer *o,
		   struct fl_decision *d, bool insist);
int fl_unpack_new6(fl_ctx *ctx, const struct fl_packet *p, const struct fl_outer *o,
		   struct fl_decision *d, bool insist);

__noinline int fl_unpack_new4(fl_ctx *ctx, const struct fl_packet *p, const struct fl_outer *o,
			      struct fl_decision *d, bool insist)
{
	return p && o && d ? fl_unpack_new(ctx, false, p, o, d, insist) : 0;
}

__noinline int fl_unpack_new6(fl_ctx *ctx, const struct fl_packet *p, const struct fl_outer *o,
			      struct fl_decision *d, bool insist)
{
	return p && o && d ? fl_unpack_new(ctx, true, p, o, d, insist) : 0;
}

/* Whether it is for a frontend, of which the flow may be older; whatever else it is, is not ours.
 * Not zero: yes. Global, so that it takes no stack from what comes next. */
int fl_unpack_concerns4(const struct fl_packet *p);
int fl_unpack_concerns6(const struct fl_packet *p);

static __always_inline bool fl_unpack_concerns(bool v6, const struct fl_packet *p)
{
	struct fl_frontend_packed fe = {};
	struct fl_flow_ref ref;
	struct fl_tuple6 to;

	if (fl_unpack_frontend(v6, p, &fe))
		return true;
	if (!fl_flow_find(v6, &p->tuple, p->proto,
			  fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]), &ref) ||
	    READ_ONCE(ref.head->flags) & FL_FLOW_IS_REPLY)
		return false;
	fl_flow_rewrite(v6, ref.head, &to);
	/* another flow's by now: looked up once more, and judged as what it is then */
	if (!fl_flow_unchanged(&ref, to.dport))
		return true;
	return (v6 ? !fl_addr_equal(&to.daddr, &p->tuple.daddr)
		   : to.daddr.w[3] != p->tuple.daddr.w[3]) ||
	       to.dport != p->tuple.dport;
}

__noinline int fl_unpack_concerns4(const struct fl_packet *p)
{
	return p && fl_unpack_concerns(false, p);
}

__noinline int fl_unpack_concerns6(const struct fl_packet *p)
{
	return p && fl_unpack_concerns(true, p);
}

/* A SYN that is repeated may name a smaller MSS than the first one, for which the way was another:
 * `mss`, of fl_unpack_mss(). Not of a connection that is there. */
static __always_inline void fl_unpack_retell(bool v6, const struct fl_packet *p, __u16 mss)
{
	const __u8 kind = FL_FLOW_IS_REPLY | FL_FLOW_LOCAL;
	struct fl_flow_ref ref;
	struct fl_flow_head *reply;
	__u16 told[2], tell[2] = {mss};
	__u32 word = 0;

	if (!fl_flow_find(v6, &p->tuple, p->proto,
			  fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]), &ref))
		return;
	reply = fl_flow_twin(v6, ref.head, &word);
	if (!reply || fl_flow_state(word) >= FL_FLOW_ESTABLISHED ||
	    (reply->flags & (kind | FL_FLOW_SNAT)) != kind || !fl_flow_unchanged(&ref, word))
		return;
	*(fl_hop_ref *)told = READ_ONCE(*(fl_hop_ref *)&reply->next_hop);
	/* with the generation of the entry: it is not another flow's by now */
	tell[1] = fl_flow_generation(word);
	if (told[1] == tell[1] && (!told[0] || mss < told[0]))
		__sync_val_compare_and_swap((fl_hop_ref *)&reply->next_hop, *(fl_hop_ref *)told,
					    *(fl_hop_ref *)tell);
}

int fl_unpack_retell4(const struct fl_packet *p, __u16 mss);
int fl_unpack_retell6(const struct fl_packet *p, __u16 mss);

__noinline int fl_unpack_retell4(const struct fl_packet *p, __u16 mss)
{
	if (p)
		fl_unpack_retell(false, p, mss);
	return 0;
}

__noinline int fl_unpack_retell6(const struct fl_packet *p, __u16 mss)
{
	if (p)
		fl_unpack_retell(true, p, mss);
	return 0;
}

static __always_inline void fl_unpack_again(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					    const struct fl_outer *o)
{
	const __u16 mss = fl_unpack_mss(ctx, v6, o->dispatch, p->l4 + o->front);

	v6 ? fl_unpack_retell6(p, mss) : fl_unpack_retell4(p, mss);
}

/*
 * The inner packet of one that a node has encapsulated: FL_ACT_STACK, FL_ACT_DROP, FL_ACT_PASS as
 * it came, or FL_ACT_TUNNEL: fl_unpack_pass_on().
 */
static __always_inline void fl_unpack_decide(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					     const struct fl_outer *o, struct fl_decision *d)
{
	__builtin_memset(d, 0, sizeof(*d));
	if (!(v6 ? fl_unpack_concerns6(p) : fl_unpack_concerns4(p)))
		return;
	for (int i = 0; i < FL_DECIDE_TRIES; i++) {
		const bool insist = i >= FL_DECIDE_TRIES / 2;
		int known = v6 ? fl_decide_known6(ctx, p, FL_HOOK_UNPACKED, d)
			       : fl_decide_known4(ctx, p, FL_HOOK_UNPACKED, d);

		if (known == FL_BROKEN) {
			v6 ? fl_flow_mend6(p) : fl_flow_mend4(p);
			continue;
		}
		if (known != FL_UNKNOWN) {
			/* of a flow to yet another node, or a reply: if it is no segment of a
			 * connection that was taken over, no node sends that so */
			if (d->action != FL_ACT_STACK && d->action != FL_ACT_DROP)
				fl_decision_set(
					d, fl_unpack_may_pass(p, o) ? FL_ACT_TUNNEL : FL_ACT_DROP,
					FL_REASON_TUNNEL_FRONTEND);
			else if (d->action == FL_ACT_STACK && p->tcp_flags & FL_TCP_SYN &&
				 fl_packet_opens(p))
				fl_unpack_again(ctx, v6, p, o);
			return;
		}
		if (!(v6 ? fl_unpack_new6(ctx, p, o, d, insist)
			 : fl_unpack_new4(ctx, p, o, d, insist)))
			return;
	}
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_SOURCE_PORT);
}

/*
 * The backend of another node that a segment is passed on to: if this node has sent the connection
 * there itself, before its client's packets came by another one, or the next one that may know it.
 * 0: none, and *ret_reason says why. Global, so that it takes no stack from what comes next.
 */
__u32 fl_unpack_next4(const struct fl_packet *p, const struct fl_outer *o, __u32 *ret_reason);
__u32 fl_unpack_next6(const struct fl_packet *p, const struct fl_outer *o, __u32 *ret_reason);

static __always_inline __u32 fl_unpack_next(bool v6, const struct fl_packet *p,
					    const struct fl_outer *o, __u32 *ret_reason)
{
	struct fl_frontend_packed fe = {};
	struct fl_flow_ref ref;
	__u32 id = 0;
	__u8 flags;

	*ret_reason = FL_REASON_NO_FLOW;
	if (fl_flow_find(v6, &p->tuple, p->proto,
			 fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]), &ref)) {
		flags = READ_ONCE(ref.head->flags);
		if (fl_flow_is_tunnelled(flags))
			id = fl_flow_backend(ref.head);
		*ret_reason = FL_REASON_TUNNEL_FRONTEND;
		return fl_flow_unchanged(&ref, flags ^ id) ? id : 0;
	}
	return fl_unpack_frontend(v6, p, &fe) ? fl_former_next(v6, p, &fe, &o->pod) : 0;
}

__noinline __u32 fl_unpack_next4(const struct fl_packet *p, const struct fl_outer *o,
				 __u32 *ret_reason)
{
	return p && o && ret_reason ? fl_unpack_next(false, p, o, ret_reason) : 0;
}

__noinline __u32 fl_unpack_next6(const struct fl_packet *p, const struct fl_outer *o,
				 __u32 *ret_reason)
{
	return p && o && ret_reason ? fl_unpack_next(true, p, o, ret_reason) : 0;
}

/*
 * Where a segment goes on to that this node has no pod's flow for: FL_ACT_TUNNEL, FL_ACT_TO_TC;
 * else it is dropped. No entry is made. Only by the dispatch that it came by.
 */
static __always_inline void fl_unpack_pass_on(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					      const struct fl_outer *o, struct fl_decision *d)
{
	__u32 reason = FL_REASON_NO_FLOW;

	d->unsure = true;
	d->tunnel_backend = v6 ? fl_unpack_next6(p, o, &reason) : fl_unpack_next4(p, o, &reason);
	fl_decision_set(d, FL_ACT_DROP, reason);
	if (d->tunnel_backend && o->dispatch == fl_config.dispatch && fl_former_ttl(o->ttl))
		v6 ? fl_tunnel_begin6(ctx, p, d) : fl_tunnel_begin4(ctx, p, d);
}

/* An inner packet that no flow's is, read as if it lay where the outer one does: enum
 * fl_packet_kind. Global, as fl_parse_rest(). */
int fl_unpack_parse_rest(fl_ctx *ctx, bool v6, __u32 dispatch, struct fl_packet *p);

__noinline int fl_unpack_parse_rest(fl_ctx *ctx, bool v6, __u32 dispatch, struct fl_packet *p)
{
	const __u32 outer = fl_outer_size(v6, dispatch);

	if (!p)
		return FL_PACKET_OTHER;
	return fl_packet_parse_rest(fl_ctx_data(ctx) + outer, fl_ctx_data_end(ctx),
				    fl_ctx_len(ctx) - outer, v6, p);
}

/* Whether an address is one that clients of Services write to, also if it is one of this node's;
 * for node ports, another node's. */
static __always_inline bool fl_unpack_serves(bool v6, const struct fl_addr *addr)
{
	return fl_addr_is_vip(v6, addr) || fl_node_is(v6, addr);
}

/*
 * An ICMP error that a node has sent on, since it is for a backend that answers its clients itself:
 * FL_ACT_STACK, and it is to be unpacked; FL_ACT_DROP; FL_ACT_PASS as it came.
 */
static __always_inline void fl_unpack_error(fl_ctx *ctx, bool v6, struct fl_packet *p,
					    const struct fl_outer *o, struct fl_decision *d)
{
	fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	if (fl_unpack_parse_rest(ctx, v6, o->dispatch, p) != FL_PACKET_ICMP_ERROR ||
	    !fl_unpack_fits(o->dispatch, o, p->len + o->front) ||
	    !fl_unpack_serves(v6, &p->tuple.daddr))
		return;
	if (fl_peer_is(v6, &o->from))
		fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
	else
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_TUNNEL_SOURCE);
}

/* What somebody else has encapsulated is dropped if it pretends to be a frontend's client: not
 * zero. Global, likewise. */
int fl_unpack_pretends4(const struct fl_packet *p);
int fl_unpack_pretends6(const struct fl_packet *p);

__noinline int fl_unpack_pretends4(const struct fl_packet *p)
{
	struct fl_frontend_packed fe = {};

	return p && fl_unpack_frontend(false, p, &fe);
}

__noinline int fl_unpack_pretends6(const struct fl_packet *p)
{
	struct fl_frontend_packed fe = {};

	return p && fl_unpack_frontend(true, p, &fe);
}

static __always_inline void fl_unpack_foreign(bool v6, const struct fl_packet *p,
					      struct fl_decision *d)
{
	if (v6 ? fl_unpack_pretends6(p) : fl_unpack_pretends4(p))
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_TUNNEL_SOURCE);
	else
		fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
}

/* Whether an ordinary packet of an established flow of a pod here goes straight there: *ret_to. */
static __always_inline bool fl_unpack_fast(bool v6, const struct fl_packet *p,
					   struct fl_flow_ref *ret_ref, struct fl_tuple6 *ret_to)
{
	const __u8 ways = FL_FLOW_IS_REPLY | FL_FLOW_TO_STACK | FL_FLOW_TUNNEL | FL_FLOW_STALE;
	const __u32 now = fl_now();
	struct fl_flow_head *head;

	if (p->tcp_flags & (FL_TCP_SYN | FL_TCP_FIN | FL_TCP_RST) ||
	    !fl_flow_find_near(v6, &p->tuple, p->proto,
			       fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]),
			       ret_ref))
		return false;
	head = ret_ref->head;
	if ((head->flags & ways) != FL_FLOW_TO_STACK ||
	    !fl_flow_steady(head, fl_flow_state(ret_ref->word), p->proto, now) ||
	    !fl_flow_goes_on(v6, ret_ref, p->proto, now) || fl_flow_backend_lost(v6, head, p))
		return false;
	fl_flow_rewrite(v6, head, ret_to);
	/* of one that goes straight to a backend no node sends anything: the slow path looks */
	if (ret_to->daddr.w[3] == p->tuple.daddr.w[3] && ret_to->dport == p->tuple.dport)
		return false;
	return fl_flow_untouched(ret_ref);
}

/*
 * Take the outer header off, keeping the frame's addresses. A mark of congestion that was set on
 * the way goes over to a packet that takes such marks; one that does not is dropped (RFC 6040).
 * Returns the reason to drop it.
 */
static __always_inline enum fl_reason fl_unpack_strip(fl_ctx *ctx, bool v6, __u32 dispatch)
{
	const __u32 outer = fl_outer_size(v6, dispatch);
	void *data = fl_ctx_data(ctx);
	bool congested;
	__u32 macs[3];

	if (data + fl_l4_offset(v6) > fl_ctx_data_end(ctx))
		return FL_REASON_REWRITE_FAILED;
	__builtin_memcpy(macs, data, sizeof(macs));
	if (v6)
		congested = (bpf_ntohl(*(__be32 *)(data + FL_L3)) >> 20 & 3) == 3;
	else
		congested = (((struct iphdr *)(data + FL_L3))->tos & 3) == 3;
	if (fl_ctx_shrink(ctx, outer))
		return FL_REASON_REWRITE_FAILED;
	data = fl_ctx_data(ctx);
	if (data + fl_l4_offset(v6) > fl_ctx_data_end(ctx))
		return FL_REASON_REWRITE_FAILED;
	fl_write_macs(data, macs);
	*(__be16 *)(data + 12) = bpf_htons(v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP);
	if (!congested)
		return FL_REASON_NONE;
	if (v6) {
		__be32 *first = data + FL_L3;

		if (!(bpf_ntohl(*first) >> 20 & 3))
			return FL_REASON_TUNNEL_CONTENT;
		*first |= bpf_htonl(3U << 20);
	} else {
		struct iphdr *ip = data + FL_L3;
		const __u16 before = *(__u16 *)ip;

		if (!(ip->tos & 3))
			return FL_REASON_TUNNEL_CONTENT;
		ip->tos |= 3;
		ip->check = fl_csum_apply(ip->check, fl_csum_diff(0, before, *(__u16 *)ip));
	}
	return FL_REASON_NONE;
}
