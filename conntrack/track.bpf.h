/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of a flow: what a packet does to it, when the flow is over, and the traces that packets
 * leave in its entries.
 *
 * TCP is believed by its numbers, so that somebody who sees nothing of a connection can neither
 * prove nor end it (RFC 5961): a handshake by acknowledging the other end's initial number, a later
 * segment by following what its direction has sent before. Other segments are forwarded, since it
 * is for the endpoint to judge them, but change nothing.
 */
#pragma once

#include "bpf/lib/service.bpf.h"
#include "conntrack/flow.bpf.h"

static __always_inline void fl_flow_see(struct fl_flow_head *head, __u32 now)
{
	if ((__s32)(now - head->last_seen) >= (__s32)fl_config.hz)
		WRITE_ONCE(head->last_seen, now);
}

/*
 * For the fast paths: whether there is nothing to do for the flow but to write, once a second, that
 * it was seen. Then both directions are looked at.
 */
static __always_inline bool fl_flow_goes_on(bool v6, const struct fl_flow_ref *ref, __u8 proto,
					    __u32 now)
{
	const __s32 idle = now - ref->head->last_seen;

	return likely(idle < (__s32)fl_config.hz) ||
	       (idle <= (__s32)fl_flow_timeout(fl_flow_state(ref->word), proto) &&
		!fl_flow_lone(v6, ref->head));
}

/*
 * Both counters are one number to be added to: where packets wrap, at 2^32, that is a byte more. On
 * a big-endian machine they lie the other way round, and bytes wrap at 2^32, which is a packet
 * more.
 */
typedef __u64 __attribute__((may_alias)) fl_two_counters;

_Static_assert(offsetof(struct fl_flow_head, packets) % 8 == 0 &&
		       offsetof(struct fl_flow_head, bytes_low) ==
			       offsetof(struct fl_flow_head, packets) + 4,
	       "counted as one");

static __always_inline void fl_flow_count(struct fl_flow_head *head, __u32 len)
{
	const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
	fl_two_counters *both = (fl_two_counters *)&head->packets;
	__u64 before = *both, after = before + (little ? fl_pair(1, len) : fl_pair(len, 1));

	*both = after;
	/* opaque, or the compiler makes a number of the carry before it asks for that */
	if (little && unlikely((__u64)fl_opaque(after) < before))
		head->bytes_high += 1;
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
_Static_assert(offsetof(struct fl_flow_head, flags) ==
			       offsetof(struct fl_flow_head, twin_generation) + 3 &&
		       offsetof(struct fl_flow_head, twin_generation) % 4 == 0,
	       "last byte of an aligned word");

static __always_inline void fl_flow_set_flag(struct fl_flow_head *head, __u8 flag)
{
	if (!(head->flags & flag))
		__sync_fetch_and_or((__u32 *)&head->twin_generation, bpf_htonl(flag));
}

static __always_inline void fl_flow_clear_flag(struct fl_flow_head *head, __u8 flag)
{
	if (head->flags & flag)
		__sync_fetch_and_and((__u32 *)&head->twin_generation, ~bpf_htonl(flag));
}

/* The sequence number behind a segment. */
static __always_inline __u32 fl_packet_seq_end(const struct fl_packet *p)
{
	return p->seq + p->len - p->headers + !!(p->tcp_flags & FL_TCP_SYN) +
	       !!(p->tcp_flags & FL_TCP_FIN);
}

/* How far a segment may be from the one that is expected. */
#define FL_SEGMENT_SLACK 0x10000U

/*
 * Whether a segment goes on with its direction: it begins exactly where the last one ended, or near
 * there (repeated, or after one that was lost before it got here) with an acknowledgement that is
 * not far from the last. That one of 2^31 guesses is believed is hardly more than the one of 2^32
 * that cannot be helped.
 */
static __always_inline bool fl_flow_believes(const struct fl_flow_head *head,
					     const struct fl_packet *p)
{
	return p->seq == head->seq ||
	       (p->seq - head->seq + FL_SEGMENT_SLACK <= 2 * FL_SEGMENT_SLACK &&
		p->ack - head->ack <= FL_SEGMENT_SLACK);
}

/* Whether a segment has acknowledged more than those before it. `ahead`: p->ack - head->ack. Where
 * the other end of a tunnelled flow begins nobody says but the first segment that acknowledges
 * something; until then ack is 0. */
static __always_inline bool fl_flow_acked_more(const struct fl_flow_head *head,
					       const struct fl_packet *p, __u32 ahead)
{
	return p->tcp_flags & FL_TCP_ACK &&
	       ((__s32)ahead > 0 || (!head->ack && fl_flow_is_tunnelled(head->flags)));
}

/* Take note of a segment that is believed. */
static __always_inline void fl_flow_advance(struct fl_flow_head *head, const struct fl_packet *p)
{
	__u32 end = fl_packet_seq_end(p);

	if ((__s32)(end - head->seq) > 0)
		head->seq = end;
	if (fl_flow_acked_more(head, p, p->ack - head->ack))
		head->ack = p->ack;
}

/* What the other end has acknowledged was sent, even if it did not come by here in order. */
static __always_inline void fl_flow_catch_up(struct fl_flow_head *head,
					     const struct fl_flow_head *twin)
{
	if (twin && (__s32)(twin->ack - head->seq) > 0)
		head->seq = twin->ack;
}

/* For the fast paths, behind fl_flow_goes_on(). */
static __always_inline void fl_flow_renew(bool v6, struct fl_flow_head *head, __u8 proto, __u32 now)
{
	__u32 twin_word;

	if (likely((__s32)(now - head->last_seen) < (__s32)fl_config.hz))
		return;
	WRITE_ONCE(head->last_seen, now);
	/* a tunnelled flow's entry is its own twin: of the other end nothing is seen */
	if (proto == IPPROTO_TCP && !fl_flow_is_tunnelled(head->flags))
		fl_flow_catch_up(head, fl_flow_twin(v6, head, &twin_word));
}

/* The segment acknowledges something of the other direction, and nothing it has not sent. Until the
 * handshake is over head->ack is the lowest number that is true of. */
static __always_inline bool fl_flow_acknowledges(const struct fl_flow_head *head,
						 const struct fl_flow_head *twin,
						 const struct fl_packet *p)
{
	return p->ack - head->ack <= twin->seq - head->ack;
}

/*
 * SYN, from either end. One of the client, until the flow is established, is what the backend's has
 * to acknowledge, which in turn is what the client then has to.
 */
static __always_inline __u32 fl_flow_next_of_syn(struct fl_flow_head *head,
						 struct fl_flow_head *twin, __u32 state,
						 const struct fl_packet *p)
{
	bool reply = head->flags & FL_FLOW_IS_REPLY;

	if (state > FL_FLOW_REPLIED || !twin || p->tcp_flags & FL_TCP_FIN)
		return state;
	if (!reply && !(p->tcp_flags & FL_TCP_ACK)) {
		head->seq = fl_packet_seq_end(p);
		twin->ack = p->seq + 1;
		return state;
	}
	if (!reply || !(p->tcp_flags & FL_TCP_ACK) || !fl_flow_acknowledges(head, twin, p))
		return state;
	head->seq = fl_packet_seq_end(p);
	twin->ack = p->seq + 1;
	return FL_FLOW_REPLIED;
}

/*
 * RST counts where nothing else of its direction has been sent in between: from what the other end
 * has acknowledged to what was sent last. An embryonic flow stays one: made a closing one, it would
 * be taken for proven.
 */
static __always_inline __u32 fl_flow_next_of_rst(struct fl_flow_head *head,
						 struct fl_flow_head *twin, __u32 state,
						 const struct fl_packet *p)
{
	if (state < FL_FLOW_ESTABLISHED || !twin)
		return state;
	fl_flow_catch_up(head, twin);
	if (p->seq - twin->ack > head->seq - twin->ack)
		return state;
	fl_flow_set_flag(head, FL_FLOW_RST);
	return FL_FLOW_CLOSING;
}

static __always_inline __u32 fl_flow_next_of_tcp(struct fl_flow_head *head,
						 struct fl_flow_head *twin, __u32 state,
						 const struct fl_packet *p)
{
	bool proof;

	if (p->tcp_flags & FL_TCP_RST)
		return fl_flow_next_of_rst(head, twin, state, p);
	if (p->tcp_flags & FL_TCP_SYN)
		return fl_flow_next_of_syn(head, twin, state, p);
	proof = state == FL_FLOW_REPLIED && !(head->flags & FL_FLOW_IS_REPLY) &&
		p->tcp_flags & FL_TCP_ACK && twin && fl_flow_acknowledges(head, twin, p);
	if (proof) {
		head->seq = p->seq;
		head->ack = p->ack;
	} else if (state < FL_FLOW_ESTABLISHED && !(head->flags & FL_FLOW_IS_REPLY)) {
		return state;
	} else {
		fl_flow_catch_up(head, twin);
		if (!fl_flow_believes(head, p))
			return state;
	}
	fl_flow_advance(head, p);
	if (state < FL_FLOW_ESTABLISHED && !proof)
		return state;
	if (p->tcp_flags & FL_TCP_FIN)
		fl_flow_set_flag(head, FL_FLOW_FIN);
	if (state == FL_FLOW_CLOSING) {
		/* the end that sent the reset shows, by going on, that it was not its own */
		if (!(head->flags & FL_FLOW_RST))
			return state;
		fl_flow_clear_flag(head, FL_FLOW_RST);
	}
	if (!twin || !((head->flags | twin->flags) & FL_FLOW_FIN))
		return FL_FLOW_ESTABLISHED;
	return head->flags & twin->flags & FL_FLOW_FIN ? FL_FLOW_TIME_WAIT : FL_FLOW_HALF_CLOSED;
}

/* How long a UDP flow has to go on before that is a proof. */
#define FL_UDP_PROOF_S 2

/* Whether a datagram of the client makes no more of a flow that was replied to. */
static __always_inline bool fl_flow_is_young(const struct fl_flow_head *head, __u32 now)
{
	return (__s32)(now - head->seq) < FL_UDP_PROOF_S * (__s32)fl_config.hz;
}

static __always_inline __u32 fl_flow_next_of_udp(const struct fl_flow_head *head, __u32 state,
						 __u32 now)
{
	if (head->flags & FL_FLOW_IS_REPLY)
		return state == FL_FLOW_NEW ? FL_FLOW_REPLIED : state;
	return state == FL_FLOW_REPLIED && !fl_flow_is_young(head, now) ? FL_FLOW_ESTABLISHED
									: state;
}

/* A segment of a tunnelled flow, which stays what it is. A SYN may be a new connection's: the end
 * of the last one was not seen. */
static __always_inline void fl_flow_track_tunnelled(struct fl_flow_head *head,
						    const struct fl_packet *p)
{
	if (fl_packet_opens(p)) {
		head->seq = fl_packet_seq_end(p);
		head->ack = 0;
	} else if (!(p->tcp_flags & (FL_TCP_SYN | FL_TCP_RST)) && fl_flow_believes(head, p)) {
		fl_flow_advance(head, p);
	}
}

static __always_inline void fl_flow_track(bool v6, struct fl_flow_ref *ref,
					  const struct fl_packet *p, __u32 now)
{
	__u32 state = fl_flow_state(ref->word), next, twin_word = 0;
	struct fl_flow_head *twin;
	__u8 flags;

	if (p->proto == IPPROTO_UDP) {
		next = fl_flow_next_of_udp(ref->head, state, now);
	} else {
		flags = READ_ONCE(ref->head->flags);
		if (fl_flow_is_tunnelled(flags)) {
			if (fl_flow_unchanged(ref, flags))
				fl_flow_track_tunnelled(ref->head, p);
			return;
		}
		twin = fl_flow_twin(v6, ref->head, &twin_word);
		/* the numbers of another flow are not ours to write */
		if (!fl_flow_unchanged(ref, twin_word))
			return;
		next = fl_flow_next_of_tcp(ref->head, twin, state, p);
	}
	/* for the verifier, one way on instead of one per state */
	next = fl_forget(next, ref->word);
	if (next == state)
		return;
	if (state < FL_FLOW_ESTABLISHED && next >= FL_FLOW_ESTABLISHED)
		fl_flow_prove(v6, ref, next);
	else
		fl_flow_set_state(v6, ref, next);
}

/* Whether an ordinary packet (no SYN, FIN or RST) leaves a flow in this state as it is. */
static __always_inline bool fl_flow_steady(const struct fl_flow_head *head, __u32 state, __u8 proto,
					   __u32 now)
{
	bool reply = head->flags & FL_FLOW_IS_REPLY;

	if (likely(state == FL_FLOW_ESTABLISHED))
		return true;
	if (proto == IPPROTO_TCP)
		return state == FL_FLOW_HALF_CLOSED ||
		       (state == FL_FLOW_NEW && fl_flow_is_tunnelled(head->flags));
	if (state == FL_FLOW_NEW)
		return !reply;
	return state == FL_FLOW_REPLIED && (reply || fl_flow_is_young(head, now));
}

/* The trace of such a packet: fl_flow_believes() and fl_flow_advance(), with each number loaded
 * once. */
static __always_inline void fl_flow_follow(struct fl_flow_head *head, const struct fl_packet *p)
{
	__u32 seq, ahead, acked;

	if (p->proto != IPPROTO_TCP)
		return;
	seq = head->seq;
	ahead = p->seq - seq;
	acked = p->ack - head->ack;
	if (ahead && (ahead + FL_SEGMENT_SLACK > 2 * FL_SEGMENT_SLACK || acked > FL_SEGMENT_SLACK))
		return;
	ahead += p->len - p->headers;
	if ((__s32)ahead > 0)
		head->seq = seq + ahead;
	if (fl_flow_acked_more(head, p, acked))
		head->ack = p->ack;
}

/* The flow's backend `id`, while it is a serving endpoint; else NULL. The entry has the backend's
 * address, so an id that was given to another since does not deceive. */
static __always_inline struct fl_backend *
fl_flow_backend_at(bool v6, const struct fl_flow_head *head, __u32 id, __u8 proto)
{
	struct fl_backend *backend = fl_backend_get(id);

	if (!backend || !(READ_ONCE(backend->flags) & FL_BACKEND_LIVE) || backend->proto != proto)
		return NULL;
	if (v6) {
		const struct fl_tuple6 *to = &((const struct fl_flow6 *)head)->rewrite;

		if (to->dport != backend->port || !fl_addr_equal(&to->daddr, &backend->addr))
			return NULL;
	} else {
		const struct fl_tuple4 *to = &((const struct fl_flow4 *)head)->rewrite;

		if (to->dport != backend->port || to->daddr != backend->addr.w[3])
			return NULL;
	}
	return backend;
}

/* Whether the flow's backend is no serving endpoint any more. */
static __always_inline bool fl_flow_backend_gone(bool v6, const struct fl_flow_head *head,
						 __u8 proto)
{
	const __u32 id = fl_flow_backend(head);

	if (head->flags & FL_FLOW_STALE)
		return true;
	return id && !fl_flow_backend_at(v6, head, id, proto);
}

/*
 * The backend that the flow's packets go to, as long as it is one; NULL also for replies, and where
 * none is known. What is kept there of the way to its address holds for all of its flows.
 */
static __always_inline struct fl_backend *
fl_flow_backend_of(bool v6, const struct fl_flow_head *head, __u8 proto)
{
	if (head->flags & (FL_FLOW_IS_REPLY | FL_FLOW_STALE))
		return NULL;
	return fl_flow_backend_at(v6, head, fl_flow_backend(head), proto);
}

/*
 * 7.3: a UDP flow does not stay with such a backend. Nor does a TCP client whose flow is
 * tunnelled, once it begins anew: the end of its last connection was not seen here.
 */
static __always_inline bool fl_flow_backend_lost(bool v6, const struct fl_flow_head *head,
						 const struct fl_packet *p)
{
	if (p->proto != IPPROTO_UDP &&
	    !(p->tcp_flags & FL_TCP_SYN && fl_packet_opens(p) && fl_flow_is_tunnelled(head->flags)))
		return false;
	return fl_flow_backend_gone(v6, head, p->proto);
}

/* A TCP client's segment for a backend that is gone, of a Service that resets such connections. The
 * agent has found that out. */
static __always_inline bool fl_flow_abandoned(const struct fl_flow_head *head, __u8 proto)
{
	return proto == IPPROTO_TCP &&
	       (head->flags & (FL_FLOW_STALE | FL_FLOW_IS_REPLY)) == FL_FLOW_STALE;
}

/* A client may have sent so much that its backend has not acknowledged, and repeats it. */
#define FL_WINDOW_MAX (64U << 20)

/* Whether a segment is of what this direction has sent before: with numbers that were not far from
 * the last when it was sent first, and an acknowledgement that is not far from the last now. */
static __always_inline bool fl_flow_repeats(const struct fl_flow_head *head,
					    const struct fl_packet *p)
{
	return head->seq - p->seq <= FL_WINDOW_MAX && p->ack - head->ack <= FL_SEGMENT_SLACK;
}

/*
 * Whether this packet finds its flow over; then the flow is removed. A reply ends none but an
 * expired one.
 */
static __always_inline bool fl_flow_over(bool v6, const struct fl_packet *p, bool reply, __u32 now,
					 const struct fl_flow_ref *ref)
{
	struct fl_flow_head *head = ref->head;

	if (fl_flow_expired(v6, head, ref->word, now)) {
		fl_flow_remove(v6, ref);
		return true;
	}
	if (reply)
		return false;
	/* 7.9: a SYN on a flow that is over begins a new one */
	if (fl_flow_state(ref->word) >= FL_FLOW_TIME_WAIT && fl_packet_opens(p)) {
		fl_flow_remove(v6, ref);
		fl_count(FL_COUNTER_FLOW_RESTARTED);
		return true;
	}
	if (fl_flow_backend_lost(v6, head, p)) {
		fl_flow_remove(v6, ref);
		fl_count(FL_COUNTER_FLOW_RESTEERED);
		return true;
	}
	return false;
}
