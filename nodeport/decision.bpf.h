/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of a packet: decided without knowing XDP or tc, carried out by the entry programs.
 */
#pragma once

#include "bpf/lib/fib.bpf.h"
#include "bpf/lib/filter.bpf.h"
#include "bpf/lib/service.bpf.h"
#include "conntrack/create.bpf.h"

enum fl_hook {
	FL_HOOK_INGRESS,     /* from the network */
	FL_HOOK_EGRESS,	     /* to the network */
	FL_HOOK_POD_INGRESS, /* from a pod's device */
	FL_HOOK_POD_EGRESS,  /* to a pod's device */
	FL_HOOK_UNPACKED,    /* from the network, behind the outer header of another node */
};

enum fl_action {
	FL_ACT_PASS,	/* not ours: unchanged */
	FL_ACT_STACK,	/* rewrite, then the stack goes on with it */
	FL_ACT_FORWARD, /* rewrite, then out by `hop` */
	FL_ACT_TUNNEL,	/* as it is, in an outer header for to.daddr, out by `hop` */
	FL_ACT_TO_TC,	/* unchanged to the tc program, which can use devices that XDP cannot */
	/* what the fast path leaves to the slow one */
	FL_ACT_FRAGMENT,	 /* rewrite, then out by `hop` in fragments: tc only */
	FL_ACT_TUNNEL_FRAGMENTS, /* likewise, and each in an outer header */
	FL_ACT_DROP,
	FL_ACT_REJECT,	/* answer "port unreachable" */
	FL_ACT_TOO_BIG, /* answer with the MTU of the way out */
	FL_ACT_EXPIRED, /* answer "time exceeded" */
	FL_ACT_ECHO,	/* answer the echo request that it is (echo.bpf.h) */
};

struct fl_decision {
	__u32 action;	     /* enum fl_action */
	__u32 reason;	     /* enum fl_reason of a drop, a rejection, or too big */
	struct fl_tuple6 to; /* what the packet becomes */
	struct fl_hop hop;
	__u32 tunnel_backend; /* of a new flow with FL_ACT_TUNNEL: its backend */
	__u32 mss;	      /* most that a SYN may name, with FL_ACT_STACK; 0: anything */
	/* FL_ACT_TUNNEL by Geneve: the backend, since to.daddr is its node (fl_tunnel_aim()) */
	struct fl_addr pod;
	__be16 pod_port;
	/* FL_ACT_TUNNEL: the backend is one of several that may have the connection, so no entry is
	 * to name it (former.bpf.h) */
	__u8 unsure;
	__u8 pad;
};

/* What the outer header of a packet says that another node has encapsulated. */
struct fl_outer {
	struct fl_addr from, to; /* as the outer IP header has them: `from` is that node */
	struct fl_addr pod;
	__u32 len;   /* of the whole packet, bytes */
	__be16 port; /* 0: of any */
	__u8 ttl;
	__u8 pad;
	__u32 dispatch; /* enum fl_dispatch */
	__u32 front;	/* bytes of it that are in front of the packet: 0 when it is off */
};

static __always_inline bool fl_hook_is_leaving(enum fl_hook hook)
{
	return hook == FL_HOOK_EGRESS || hook == FL_HOOK_POD_EGRESS;
}

/* The packet becomes an ICMP error to its sender: fl_answer(). */
static __always_inline bool fl_is_answered(__u32 action)
{
	return action >= FL_ACT_REJECT && action <= FL_ACT_EXPIRED;
}

static __always_inline void fl_decision_set(struct fl_decision *d, __u32 action, __u32 reason)
{
	d->action = action;
	d->reason = reason;
}

/* A frontend does not forward: its service's verdict says whether the client gets an answer. */
static __always_inline void fl_decision_refuse(struct fl_decision *d, enum fl_reason reason)
{
	fl_decision_set(d, reason == FL_REASON_REJECT_NO_ENDPOINT ? FL_ACT_REJECT : FL_ACT_DROP,
			reason);
}

/* The sender is told the MTU, unless it lets routers fragment (RFC 791), which XDP cannot do. */
static __always_inline void fl_decision_oversize(const struct fl_packet *p, struct fl_decision *d)
{
	__u32 action = fl_ctx_is_xdp ? FL_ACT_TO_TC : FL_ACT_FRAGMENT;

	fl_decision_set(d, p->divisible ? action : FL_ACT_TOO_BIG,
			p->divisible ? FL_REASON_NONE : FL_REASON_TOO_BIG);
}

/* The way out is known: can this packet take it? */
static __always_inline void fl_decision_forward(fl_ctx *ctx, const struct fl_packet *p,
						struct fl_decision *d)
{
	if (p->ttl <= 1)
		fl_decision_set(d, FL_ACT_EXPIRED, FL_REASON_TTL_EXCEEDED);
	else if (fl_ctx_is_xdp && (!d->hop.resolved || !(d->hop.flags & FL_DEVICE_XDP_TX)))
		fl_decision_set(d, FL_ACT_TO_TC, FL_REASON_NONE);
	else if (fl_ctx_wire_len(ctx, p) > d->hop.mtu)
		fl_decision_oversize(p, d);
	else
		fl_decision_set(d, FL_ACT_FORWARD, FL_REASON_NONE);
}
