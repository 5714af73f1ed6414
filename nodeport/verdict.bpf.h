/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is to be done with a packet: decided here without knowing XDP or tc, carried out by the
 * entry programs. */
#pragma once

#include "bpf/lib/fib.bpf.h"
#include "bpf/lib/service.bpf.h"
#include "conntrack/create.bpf.h"

enum fl_hook {
	FL_HOOK_INGRESS,     /* from the network */
	FL_HOOK_EGRESS,	     /* to the network */
	FL_HOOK_POD_INGRESS, /* from a pod's device */
	FL_HOOK_POD_EGRESS,  /* to a pod's device */
};

enum fl_action {
	FL_PASS,    /* not ours: unchanged */
	FL_STACK,   /* rewrite, then the stack goes on with it */
	FL_FORWARD, /* rewrite, then out by `hop` */
	FL_TO_TC,   /* unchanged to the tc program, which can use devices that XDP cannot */
	FL_DROP,
	FL_REJECT,  /* answer "port unreachable" */
	FL_TOO_BIG, /* answer with the MTU of the way out */
};

struct fl_verdict {
	__u32 action;	     /* enum fl_action */
	__u32 reason;	     /* enum fl_reason of a drop, a rejection, or too big */
	struct fl_tuple6 to; /* what the packet becomes */
	struct fl_hop hop;
};

static __always_inline void fl_verdict_set(struct fl_verdict *v, __u32 action, __u32 reason)
{
	v->action = action;
	v->reason = reason;
}

/* The way out is known: can this packet take it? */
static __always_inline void fl_verdict_forward(fl_ctx *ctx, const struct fl_packet *p,
					       struct fl_verdict *v)
{
	if (p->ttl <= 1)
		fl_verdict_set(v, FL_DROP, FL_REASON_TTL_EXCEEDED);
	else if (fl_ctx_is_xdp && (!v->hop.resolved || !(v->hop.flags & FL_DEVICE_XDP_TX)))
		fl_verdict_set(v, FL_TO_TC, FL_REASON_NONE);
	else if (fl_ctx_wire_len(ctx, p) > v->hop.mtu)
		fl_verdict_set(v, FL_TOO_BIG, FL_REASON_TOO_BIG);
	else
		fl_verdict_set(v, FL_FORWARD, FL_REASON_NONE);
}
