/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answering a packet that a decision refuses, instead of sending it on. */
#pragma once

#include "bpf/lib/icmp.bpf.h"
#include "nodeport/decision.bpf.h"
#include "nodeport/reset.bpf.h"

/* The packet becomes its answer: FL_REASON_NONE. Otherwise the reason to drop it for. */
static __always_inline enum fl_reason fl_answer(fl_ctx *ctx, bool v6, const struct fl_packet *p,
						const struct fl_decision *d)
{
	enum fl_icmp_kind kind = d->action == FL_ACT_TOO_BIG   ? FL_ICMP_TOO_BIG
				 : d->action == FL_ACT_EXPIRED ? FL_ICMP_EXPIRED
							       : FL_ICMP_PORT_UNREACHABLE;

	/* no more than one for each segment that goes on with a connection */
	if (d->reason == FL_REASON_RESET_BACKEND_GONE) {
		if (fl_reset_answer(ctx, v6, p))
			return FL_REASON_REWRITE_FAILED;
		fl_count(d->reason);
		return FL_REASON_NONE;
	}
	if (!fl_rate_take(FL_RATE_REJECT, fl_config.reject_rate))
		return FL_REASON_REJECT_RATE;
	if (fl_icmp_answer(ctx, v6, p, kind, d->hop.mtu))
		return FL_REASON_REWRITE_FAILED;
	fl_count(d->reason);
	return FL_REASON_NONE;
}
