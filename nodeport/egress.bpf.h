/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that leave: replies of local backends get their frontend's address back, and what no
 * socket hook translated but is for a service without endpoints gets its verdict here (5.7.4: what
 * the node itself sends gets the same verdicts).
 */
#pragma once

#include "nodeport/decide.bpf.h"

/*
 * New packets for our frontends that the socket hooks left alone: drop or reject, or let them go as
 * they are. A node port is not asked for: what leaves is for another address than this node's.
 */
static __always_inline void fl_egress_new(bool v6, const struct fl_packet *p, struct fl_decision *d)
{
	struct fl_frontend_packed fe = {};
	enum fl_reason reason;

	fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	if (!fl_packet_opens(p))
		return;
	fl_own_note(v6, p, fl_now());
	if (!fl_frontend_get(v6, &p->tuple.daddr, p->tuple.dport, p->proto, &fe)) {
		/* 2.22; of datagram sockets, whose connect() is not refused, it is the only word */
		if (fl_frontend_unknown_port(v6, &p->tuple.daddr, 0, false) &&
		    !fl_local_flags(&p->tuple.daddr))
			fl_decision_set(d, FL_ACT_REJECT, FL_REASON_REJECT_UNKNOWN_PORT);
		return;
	}
	/* a client here is the node or a pod */
	reason = fl_frontend_refuses(&fe, FL_SIDE_INTERNAL, &p->tuple.saddr);
	if (reason)
		fl_decision_refuse(d, reason);
}

/* What a backend's SYN may name at most as the size of the segments that it gets: those come
 * encapsulated. 0: anything. */
static __always_inline __u32 fl_egress_mss(const struct fl_packet *p, const struct fl_flow_ref *ref)
{
	const __u8 kind = FL_FLOW_IS_REPLY | FL_FLOW_LOCAL;
	__u32 mss;

	if (!(p->tcp_flags & FL_TCP_SYN) || (ref->head->flags & (kind | FL_FLOW_SNAT)) != kind)
		return 0;
	mss = ref->head->next_hop;
	return fl_flow_unchanged(ref, mss) ? mss : 0;
}

/* Not zero: the flow is to be mended first. */
static __always_inline int fl_egress_slow(bool v6, const struct fl_packet *p, struct fl_decision *d)
{
	struct fl_flow_ref ref;
	__u32 now = fl_now();

	switch (fl_flow_known(v6, p, FL_HOOK_EGRESS, now, &ref, d)) {
	case FL_UNKNOWN:
		fl_egress_new(v6, p, d);
		break;
	case FL_UNKNOWN_REPLY:
	case FL_REFUSED:
		fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
		break;
	case FL_KNOWN:
		if (!fl_flow_unchanged(&ref, d->to.sport)) {
			fl_egress_new(v6, p, d);
			break;
		}
		fl_flow_touch(ref.head, now, p->len);
		fl_decision_set(d, FL_ACT_STACK, FL_REASON_NONE);
		d->mss = fl_egress_mss(p, &ref);
		break;
	case FL_BROKEN:
		return 1;
	}
	return 0;
}

int fl_egress_slow4(const struct fl_packet *p, struct fl_decision *d);
int fl_egress_slow6(const struct fl_packet *p, struct fl_decision *d);

__noinline int fl_egress_slow4(const struct fl_packet *p, struct fl_decision *d)
{
	return p && d ? fl_egress_slow(false, p, d) : 0;
}

__noinline int fl_egress_slow6(const struct fl_packet *p, struct fl_decision *d)
{
	return p && d ? fl_egress_slow(true, p, d) : 0;
}

static __always_inline void fl_decide_egress_slow(bool v6, const struct fl_packet *p,
						  struct fl_decision *d)
{
	__builtin_memset(d, 0, sizeof(*d));
	if (!(v6 ? fl_egress_slow6(p, d) : fl_egress_slow4(p, d)))
		return;
	v6 ? fl_flow_mend6(p) : fl_flow_mend4(p);
	v6 ? fl_egress_slow6(p, d) : fl_egress_slow4(p, d);
}
