/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entering a new flow, of which everything has been chosen, into the flow table. */
#pragma once

#include "conntrack/track.bpf.h"
#include "nodeport/decision.bpf.h"

/* What a new flow is to be, besides its two tuples. */
struct fl_new {
	__u32 backend; /* id; 0: none of ours */
	bool masquerade;
	bool local; /* the backend is on this node */
};

/* What the first packet says of the numbers that follow, in entries that are being filled. */
static __always_inline void fl_flow_begin(struct fl_flow_head *head,
					  struct fl_flow_head *reply_head,
					  const struct fl_packet *p, __u32 now)
{
	if (p->proto == IPPROTO_UDP) {
		head->seq = now;
		return;
	}
	head->seq = fl_packet_seq_end(p);
	reply_head->ack = p->seq + 1;
}

/*
 * Record the flow p->tuple -> d->to in both directions, in two entries; `reply` is the mirror image
 * of d->to, `hash` that of p->tuple. Returns why that could not be, or FL_REASON_NONE.
 */
static __always_inline enum fl_reason fl_new_enter(bool v6, const struct fl_packet *p,
						   const struct fl_decision *d,
						   const struct fl_tuple6 *reply,
						   const struct fl_new *new, __u64 hash, __u32 now)
{
	__u64 reply_hash = fl_hash_tuple(v6, reply, p->proto, fl_config.flow_seed[0]);
	struct fl_flow_head *head, *reply_head;
	__u32 slot = 0, reply_slot = 0;
	__u8 reply_flags;

	head = fl_flow_new(v6, hash, now, &slot);
	if (!head)
		return FL_REASON_FLOW_TABLE_FULL;
	reply_head = fl_flow_new(v6, reply_hash, now, &reply_slot);
	if (!reply_head) {
		fl_flow_publish(head, FL_FLOW_FREE);
		return FL_REASON_FLOW_TABLE_FULL;
	}
	reply_flags = FL_FLOW_IS_REPLY;
	if (new->masquerade)
		reply_flags |= FL_FLOW_SNAT;
	else if (!(fl_local_flags(&p->tuple.daddr) & FL_LOCAL_NODE))
		/* the stack would drop a source that is an address of its own */
		reply_flags |= FL_FLOW_TO_STACK;
	if (new->local)
		reply_flags |= FL_FLOW_LOCAL;
	fl_flow_fill(v6, head, reply_slot, reply_head, &p->tuple, &d->to, p->proto,
		     new->masquerade ? FL_FLOW_SNAT : FL_FLOW_TO_STACK, now);
	fl_flow_fill(v6, reply_head, slot, head, reply, &p->tuple, p->proto, reply_flags, now);
	head->packets = 1;
	head->bytes_low = p->len;
	fl_flow_set_backend(head, new->backend);
	fl_flow_set_backend(reply_head, new->backend);
	fl_flow_begin(head, reply_head, p, now);
	if (new->masquerade) {
		fl_hop_keep(&head->next_hop, &d->hop);
	}
	if (new->masquerade)
		fl_filter_add_source(v6, &reply->daddr, reply->dport, p->proto);
	else
		fl_filter_add_backend(v6, &reply->saddr, reply->sport, p->proto);
	fl_flow_publish(reply_head, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (!(v6 ? fl_flow_alone6(reply, p->proto, reply_hash, reply_slot)
		 : fl_flow_alone4(reply, p->proto, reply_hash, reply_slot))) {
		/* another processor has given this source port away since it was found free */
		fl_flow_publish(reply_head, FL_FLOW_FREE);
		fl_flow_publish(head, FL_FLOW_FREE);
		return FL_REASON_NO_SOURCE_PORT;
	}
	fl_flow_publish(reply_head, FL_FLOW_NEW);
	fl_flow_publish(head, FL_FLOW_NEW);
	fl_count(FL_COUNTER_FLOW_NEW);
	return FL_REASON_NONE;
}
