/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first packet of a flow. fl_new_decide() finds out, in order, whose frontend it is for,
 * whether that lets it in, which backend, which source address, and which port to try first; it
 * changes nothing. fl_new_commit() takes from the budget, and makes the two entries to remember the
 * flow by.
 */
#pragma once

#include "nodeport/backend.bpf.h"
#include "nodeport/intent.bpf.h"
#include "nodeport/own.bpf.h"
#include "nodeport/snat.bpf.h"
#include "nodeport/source.bpf.h"
#include "nodeport/tunnel.bpf.h"

/* The frontend this packet is for. False: none, and *d says what that means. */
static __always_inline bool fl_new_frontend(bool v6, const struct fl_packet *p, enum fl_hook hook,
					    struct fl_decision *d,
					    struct fl_frontend_packed *ret_fe)
{
	__u32 local;

	if (fl_frontend_find(v6, &p->tuple.daddr, p->tuple.dport, p->proto, false, &local, ret_fe))
		return true;
	if (fl_packet_opens(p) &&
	    fl_frontend_unknown_port(v6, &p->tuple.daddr, local, hook == FL_HOOK_INGRESS) &&
	    !(fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE))
		fl_decision_set(d, FL_ACT_REJECT, FL_REASON_REJECT_UNKNOWN_PORT);
	else
		fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	return false;
}

/*
 * A client that talks to a backend directly, from a port it also uses through a frontend, would get
 * replies translated as that frontend's. A flow that was reset, or has proven nothing, makes way;
 * beside one that lives the newcomer needs a flow of its own, with another source port: true. So it
 * does after FINs of both ends: the last one may not be acknowledged yet, or the backend has the
 * connection in TIME-WAIT, and answers a SYN with the same ports by an ACK. Where the newcomer
 * cannot have a flow (`failed`), such a one makes way too.
 */
static __always_inline bool fl_new_direct(bool v6, const struct fl_tuple6 *reply, __u8 proto,
					  bool failed)
{
	struct fl_flow_ref ref;
	__u32 state;

	if (!fl_flow_find(v6, reply, proto, fl_hash_tuple(v6, reply, proto, fl_config.flow_seed[0]),
			  &ref))
		return false;
	/* behind an address of ours there is no such client: somebody pretends */
	if (!(ref.head->flags & FL_FLOW_IS_REPLY) || ref.head->flags & FL_FLOW_SNAT)
		return false;
	state = fl_flow_state(ref.word);
	if ((proto == IPPROTO_UDP || fl_flow_open(state) ||
	     (state == FL_FLOW_TIME_WAIT && !failed)) &&
	    !fl_flow_lone(v6, ref.head) && !fl_flow_expired(v6, ref.head, ref.word, fl_now()))
		return true;
	fl_flow_remove(v6, &ref);
	if (proto == IPPROTO_TCP)
		fl_count(FL_COUNTER_FLOW_RESTARTED);
	return false;
}

/* Global, so that it is verified once. */
int fl_new_direct4(const struct fl_tuple6 *reply, __u32 proto, bool failed);
int fl_new_direct6(const struct fl_tuple6 *reply, __u32 proto, bool failed);

__noinline int fl_new_direct4(const struct fl_tuple6 *reply, __u32 proto, bool failed)
{
	return reply && fl_new_direct(false, reply, proto, failed);
}

__noinline int fl_new_direct6(const struct fl_tuple6 *reply, __u32 proto, bool failed)
{
	return reply && fl_new_direct(true, reply, proto, failed);
}

/*
 * A segment of no flow, for a backend that is of another node (`away`) or of this one, which would
 * know the connection: if it began under another table, it is another backend's. What may be one
 * of several backends' leaves neither an entry nor a record.
 */
static __always_inline void fl_new_goes_on(bool v6, const struct fl_packet *p,
					   const struct fl_frontend_packed *fe,
					   const struct fl_backend *backend, bool away,
					   struct fl_intent *in)
{
	const __u32 next = fl_former_next(v6, p, fe, &backend->addr);

	if (!away && !next) {
		fl_decision_set(&in->d, FL_ACT_DROP, FL_REASON_NO_FLOW);
		return;
	}
	fl_decision_set(&in->d, FL_ACT_TUNNEL, FL_REASON_NONE);
	in->d.tunnel_backend = away ? in->new.backend : next;
	if (next) {
		in->d.unsure = true;
		in->sticky = 0;
	}
}

/* A flow through a frontend: in->d.to, all but the source port, and the backend. False: in->d says
 * what becomes of the packet. */
static __always_inline bool fl_new_served(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_frontend_packed *fe, enum fl_hook hook,
					  __u32 now, struct fl_intent *in)
{
	enum fl_client client = FL_CLIENT_OUTSIDE;
	struct fl_decision *d = &in->d;
	enum fl_new_source source;
	struct fl_backend *backend;
	enum fl_reason reason;
	enum fl_side side;
	bool away;

	/* never from a wire: our own address */
	if (fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE)
		return false;
	if ((hook == FL_HOOK_POD_INGRESS && fl_live_now()->pod_by_device) ||
	    fl_addr_is_pod(v6, &p->tuple.saddr))
		client = FL_CLIENT_POD;
	/* 5.3.6: a pod of another node has come over the network, and counts as outside there */
	side = client == FL_CLIENT_POD && hook == FL_HOOK_POD_INGRESS ? FL_SIDE_INTERNAL
								      : FL_SIDE_EXTERNAL;
	reason = fl_frontend_refuses(fe, side, &p->tuple.saddr);
	if (reason) {
		fl_decision_refuse(d, reason);
		return false;
	}
	backend = fl_new_backend(v6, p, fe, side, now, &in->new.backend);
	if (!backend) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_BACKEND);
		return false;
	}
	if (fe->flags & FL_AFFINITY)
		in->sticky = fe->service_id;
	d->to.daddr = backend->addr;
	d->to.dport = backend->port;
	away = fl_tunnel_wanted(p, fe, client, hook, backend);
	if (!fl_packet_opens(p)) {
		if (client == FL_CLIENT_OUTSIDE)
			fl_new_goes_on(v6, p, fe, backend, away, in);
		else
			fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_FLOW);
		return false;
	}
	if (away) {
		fl_decision_set(d, FL_ACT_TUNNEL, FL_REASON_NONE);
		d->tunnel_backend = in->new.backend;
		return false;
	}
	source = fl_new_source(ctx, v6, p, fe, client, hook, backend, now, in);
	if (source == FL_SOURCE_FAILED)
		return false;
	if (source == FL_SOURCE_KEEP) {
		d->to.saddr = p->tuple.saddr;
		/* of a masqueraded one fl_new_source() has said how it goes on */
		fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
	}
	in->new.masquerade = source == FL_SOURCE_MASQUERADE;
	in->new.local = backend->flags &FL_BACKEND_LOCAL;
	return true;
}

/*
 * A segment for a frontend, of a connection that is not known. Where an address of this node is
 * meant it may be one of the node's own, which the stack knows; elsewhere nobody does.
 */
static __always_inline void fl_new_stray(bool v6, const struct fl_packet *p,
					 const struct fl_frontend_packed *fe, struct fl_decision *d)
{
	if (fe->type != FL_FRONTEND_NODE_PORT && !(fl_local_flags(&p->tuple.daddr) & FL_LOCAL_NODE))
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_FLOW);
}

/*
 * Whether a segment of a connection that is not known may be one that another node has forwarded
 * until now: the table is the same on all nodes, so this one finds the same backend. Should that be
 * one of this node's, the connection would be known. An address of this node is no other node's.
 */
static __always_inline bool
fl_new_takes_over(const struct fl_packet *p, const struct fl_frontend_packed *fe, enum fl_hook hook)
{
	return fe->flags & FL_TUNNEL && hook == FL_HOOK_INGRESS &&
	       fe->type != FL_FRONTEND_NODE_PORT &&
	       !(fl_local_flags(&p->tuple.daddr) & FL_LOCAL_NODE);
}

/* Nothing is changed. */
static __always_inline void fl_new_decide(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  enum fl_hook hook, __u32 now, struct fl_intent *in)
{
	struct fl_frontend_packed fe = {};
	bool served;

	in->kind = FL_INTENT_NOTHING;
	in->sticky = 0;
	in->hop_asked = false;
	in->unserved_exit = false;
	in->d.unsure = false;
	__builtin_memset(&in->new, 0, sizeof(in->new));
	fl_decision_set(&in->d, FL_ACT_PASS, FL_REASON_NONE);
	if (fl_source_is_itself(v6, &p->tuple, hook)) {
		fl_decision_set(&in->d, FL_ACT_DROP, FL_REASON_FRONTEND_SOURCE);
		return;
	}
	/* never from a wire: the kernel drops these itself */
	if (fl_packet_martian(v6, &p->tuple))
		return;
	in->hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	served = fl_new_frontend(v6, p, hook, &in->d, &fe);
	in->d.to = p->tuple;
	if (served || in->d.action != FL_ACT_PASS) {
		if (fl_source_is_frontend(v6, p)) {
			fl_decision_set(&in->d, FL_ACT_DROP, FL_REASON_FRONTEND_SOURCE);
			return;
		}
		if (fl_own_answer(ctx, p, v6, now)) {
			fl_decision_set(&in->d, FL_ACT_PASS, FL_REASON_NONE);
			in->kind = FL_INTENT_OWN;
			return;
		}
	}
	if (served && !fl_packet_opens(p) && !fl_new_takes_over(p, &fe, hook)) {
		fl_new_stray(v6, p, &fe, &in->d);
		return;
	}
	if (served ? !fl_new_served(ctx, v6, p, &fe, hook, now, in)
		   : in->d.action != FL_ACT_PASS || !fl_packet_opens(p))
		return;
	in->kind = served ? FL_INTENT_SERVE : FL_INTENT_DIRECT;
	fl_tuple_reverse(&in->d.to, &in->reply);
	if (in->new.masquerade)
		in->reply.dport = fl_snat_first(in->hash);
}

/* What the kernel has said of the way is remembered whatever becomes of the packet. */
static __always_inline void fl_new_keep_hop(const struct fl_intent *in)
{
	struct fl_backend *backend;

	if (!in->hop_asked)
		return;
	backend = fl_backend_get(in->new.backend);
	if (backend)
		fl_hop_keep(&backend->next_hop, &in->d.hop);
}

/* And of the flow, once it is made. */
static __always_inline void fl_new_begun(const struct fl_packet *p, const struct fl_intent *in)
{
	if (in->sticky)
		fl_new_sticky_keep(p, in->sticky, in->new.backend);
	if (in->unserved_exit)
		fl_count(FL_COUNTER_FLOW_UNSERVED_EXIT);
}

/*
 * The ordinary case of what follows: no flow has either key, both buckets have an entry to give,
 * and the port is nobody's. False: it is another case, and nothing was changed that fl_new_commit()
 * would mind.
 */
static __always_inline bool fl_new_commit_scanned(bool v6, const struct fl_packet *p, __u32 now,
						  struct fl_intent *in)
{
	const __u64 reply_hash = fl_hash_tuple(v6, &in->reply, p->proto, fl_config.flow_seed[0]);
	void *const bucket[2] = {fl_scan_begin(v6, in->hash, &in->scan[0]),
				 fl_scan_begin(v6, reply_hash, &in->scan[1])};

	if (!in->reply.dport || !bucket[0] || !bucket[1] ||
	    in->scan[0].bucket == in->scan[1].bucket)
		return false;
	fl_loads_in_order();
	if (!fl_scan_look(v6, bucket[0], &p->tuple, now, &in->scan[0]) ||
	    !fl_scan_look(v6, bucket[1], &in->reply, now, &in->scan[1]) ||
	    (in->new.masquerade &&fl_bound_has(p->proto, in->reply.dport)) ||
	    !fl_rate_take(FL_RATE_NEW_FLOW, fl_config.new_flow_rate))
		return false;
	in->d.to.sport = in->reply.dport;
	if (!fl_new_enter_scanned(v6, p, &in->d, &in->reply, &in->new, bucket, in->scan, now))
		return false;
	fl_new_keep_hop(in);
	fl_new_begun(p, in);
	return true;
}

/* Not zero: another CPU makes the flow at the same moment, and the packet is one of that; unless
 * `insist`, which takes it from a CPU that does not come to an end. in->d: what became of it. */
static __always_inline int fl_new_commit(fl_ctx *ctx, bool v6, const struct fl_packet *p, __u32 now,
					 struct fl_intent *in, bool insist)
{
	/* what was to go straight to a backend still does */
	const __u32 failed = in->kind == FL_INTENT_DIRECT ? FL_ACT_PASS : FL_ACT_DROP;
	struct fl_tuple6 reply = in->reply;
	enum fl_reason reason;

	fl_new_keep_hop(in);
	if (in->kind == FL_INTENT_OWN)
		fl_own_flow(&p->tuple, now, true);
	if (in->kind != FL_INTENT_SERVE && in->kind != FL_INTENT_DIRECT)
		return 0;
	if (in->kind == FL_INTENT_DIRECT && !(v6 ? fl_new_direct6(&in->reply, p->proto, false)
						 : fl_new_direct4(&in->reply, p->proto, false)))
		return 0;
	if (!fl_rate_take(FL_RATE_NEW_FLOW, fl_config.new_flow_rate)) {
		reason = FL_REASON_NEW_FLOW_RATE;
	} else if (!fl_snat_choose(ctx, v6, &reply, p->proto,
				   in->new.masquerade ? FL_SNAT_SOCKETS : 0)) {
		reason = FL_REASON_NO_SOURCE_PORT;
	} else {
		in->d.to.sport = reply.dport;
		reason = fl_new_enter(v6, p, &in->d, &reply, &in->new, in->hash, now, insist);
		if (reason == FL_NEW_GAVE_WAY)
			return 1;
	}
	if (reason) {
		fl_decision_set(&in->d, failed, reason);
		if (in->kind == FL_INTENT_DIRECT)
			v6 ? fl_new_direct6(&in->reply, p->proto, true)
			   : fl_new_direct4(&in->reply, p->proto, true);
	} else if (in->kind == FL_INTENT_DIRECT) {
		fl_decision_set(&in->d, FL_ACT_STACK, FL_REASON_NONE);
	} else {
		fl_new_begun(p, in);
	}
	return 0;
}
