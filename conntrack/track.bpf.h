/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of a flow: what a packet does to it, when the flow is over, and the traces that packets
 * leave in its entries.
 */
#pragma once

#include "bpf/lib/service.bpf.h"
#include "conntrack/flow.bpf.h"

static __always_inline void fl_flow_see(struct fl_flow_head *head, __u32 now)
{
	if ((__s32)(now - head->last_seen) >= (__s32)fl_config.hz)
		WRITE_ONCE(head->last_seen, now);
}

static __always_inline void fl_flow_count(struct fl_flow_head *head, __u32 len)
{
	head->packets += 1;
	head->bytes += len;
}

static __always_inline void fl_flow_touch(struct fl_flow_head *head, __u32 now, __u32 len)
{
	fl_flow_see(head, now);
	fl_flow_count(head, len);
}

/*
 * Atomic, on the word that the flags are in: stored plainly, the other flags might by now be those
 * of another flow that took the entry.
 */
static __always_inline void fl_flow_set_fin(struct fl_flow_head *head)
{
	_Static_assert(offsetof(struct fl_flow_head, flags) % 4 == 1,
		       "second byte of an aligned word");
	__sync_fetch_and_or((__u32 *)&head->proto, bpf_htonl((__u32)FL_FLOW_FIN << 16));
}

/* The other direction has seen a FIN, too. */
static __always_inline bool fl_flow_twin_fin(bool v6, const struct fl_flow_head *head)
{
	__u32 word;
	struct fl_flow_head *twin = fl_flow_twin(v6, head, &word);

	return twin && twin->flags & FL_FLOW_FIN;
}

/* The state of a flow after a TCP segment or UDP datagram; notes a FIN. */
static __always_inline __u32 fl_flow_next_state(bool v6, struct fl_flow_head *head, __u32 state,
						const struct fl_packet *p)
{
	/* an embryonic flow stays one: made a closing one, the next packet would take it for
	 * proven */
	if (p->tcp_flags & FL_TCP_RST)
		return state == FL_FLOW_ESTABLISHED ? FL_FLOW_CLOSING : state;
	if (p->tcp_flags & FL_TCP_FIN) {
		if (!(head->flags & FL_FLOW_FIN))
			fl_flow_set_fin(head);
		if (fl_flow_twin_fin(v6, head))
			return FL_FLOW_CLOSING;
	}
	switch (state) {
	case FL_FLOW_NEW:
		return head->flags & FL_FLOW_IS_REPLY ? FL_FLOW_REPLIED : state;
	case FL_FLOW_REPLIED:
		/* the client proves itself: TCP by acknowledging the reply, UDP by going on */
		if (!(head->flags & FL_FLOW_IS_REPLY) &&
		    (p->proto == IPPROTO_UDP ||
		     (p->tcp_flags & (FL_TCP_SYN | FL_TCP_ACK)) == FL_TCP_ACK))
			return FL_FLOW_ESTABLISHED;
		return state;
	case FL_FLOW_CLOSING:
		/* neither end believed the reset (blind, out of window): the flow goes on */
		if (!(p->tcp_flags & FL_TCP_SYN) &&
		    !(head->flags & FL_FLOW_FIN && fl_flow_twin_fin(v6, head)))
			return FL_FLOW_ESTABLISHED;
		return state;
	}
	return state;
}

static __always_inline void fl_flow_track(bool v6, struct fl_flow_ref *ref,
					  const struct fl_packet *p)
{
	__u32 state = fl_flow_state(ref->word), next = fl_flow_next_state(v6, ref->head, state, p);

	/* for the verifier, one way on instead of one per state */
	next = fl_forget(next, ref->word);
	if (next != state)
		fl_flow_set_state(v6, ref, next);
}

/* 7.3: a UDP flow does not stay with a backend that is no serving endpoint any more. */
static __always_inline bool fl_flow_backend_lost(const struct fl_flow_head *head, __u8 proto)
{
	return proto == IPPROTO_UDP && head->backend &&
	       !fl_backend_is(fl_backend_get(head->backend), head->backend_generation);
}

/*
 * Whether this packet finds its flow over; then the flow is removed. A reply ends none but an
 * expired one.
 */
static __always_inline bool fl_flow_over(bool v6, const struct fl_packet *p, bool reply, __u32 now,
					 const struct fl_flow_ref *ref)
{
	const __u8 flags = FL_TCP_SYN | FL_TCP_ACK | FL_TCP_RST | FL_TCP_FIN;
	struct fl_flow_head *head = ref->head;

	if (fl_flow_expired(v6, head, ref->word, now)) {
		fl_flow_remove(v6, ref);
		return true;
	}
	if (reply)
		return false;
	/* 7.9: a SYN on a closing flow begins a new one */
	if (fl_flow_state(ref->word) == FL_FLOW_CLOSING && (p->tcp_flags & flags) == FL_TCP_SYN) {
		fl_flow_remove(v6, ref);
		fl_count(FL_COUNTER_FLOW_RESTARTED);
		return true;
	}
	if (fl_flow_backend_lost(head, p->proto)) {
		fl_flow_remove(v6, ref);
		fl_count(FL_COUNTER_FLOW_RESTEERED);
		return true;
	}
	return false;
}
