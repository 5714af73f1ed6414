/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table: entries, their states, their timeouts. conntrack/ has the protocol over it. */
#pragma once

#include "bpf/abi/addr.h"

#define FL_FLOW_WAYS 4	  /* entries per bucket */
#define FL_FLOW_CHOICES 5 /* buckets an entry may lie in; the first unless that is crowded */

/*
 * fl_flow_head.word: generation << 8 | state. A writer takes an entry with cmpxchg to FL_FLOW_BUSY
 * and the next generation, fills it, and publishes it by an atomic exchange of the word; a reader
 * looks at the word before and after. FL_FLOW_CLAIM, together with FL_FLOW_BUSY, says that the key
 * is there, and that its writer is looking for other entries with that key before it publishes.
 */
enum fl_flow_state {
	FL_FLOW_FREE,
	FL_FLOW_BUSY,
	FL_FLOW_NEW,	     /* the original direction was seen */
	FL_FLOW_REPLIED,     /* the reply was seen */
	FL_FLOW_ESTABLISHED, /* TCP: the client acknowledged it; UDP: it went on for seconds */
	FL_FLOW_HALF_CLOSED, /* TCP: one end has sent FIN */
	FL_FLOW_TIME_WAIT,   /* TCP: both ends have */
	FL_FLOW_CLOSING,     /* TCP: reset */
	FL_FLOW_STATES,
};
#define FL_FLOW_STATE_MASK 0x7fU
#define FL_FLOW_CLAIM 0x80U
#define FL_FLOW_GENERATION_SHIFT 8

static __always_inline __u32 fl_flow_state(__u32 word)
{
	return word & FL_FLOW_STATE_MASK;
}

static __always_inline __u32 fl_flow_generation(__u32 word)
{
	return word >> FL_FLOW_GENERATION_SHIFT;
}

static __always_inline __u32 fl_flow_word(__u32 generation, __u32 state)
{
	return generation << FL_FLOW_GENERATION_SHIFT | state;
}

/* A TCP flow that is proven and not over. */
static __always_inline _Bool fl_flow_open(__u32 state)
{
	return state == FL_FLOW_ESTABLISHED || state == FL_FLOW_HALF_CLOSED;
}

enum fl_flow_flags {
	FL_FLOW_IS_REPLY = 1 << 0, /* this entry is the reply direction */
	FL_FLOW_TO_STACK = 1 << 1, /* after the rewrite the packet is for this node's stack */
	FL_FLOW_SNAT = 1 << 2,	   /* the source was given one of our addresses */
	FL_FLOW_FIN = 1 << 3,	   /* a FIN was believed in this direction */
	FL_FLOW_RST = 1 << 4,	   /* a RST was, and nothing after it */
	FL_FLOW_LOCAL = 1 << 6,	   /* of a reply: it comes from this node */
	FL_FLOW_STALE =
		1 << 5, /* the agent has found its backend gone: UDP chooses again, TCP is reset */
	/*
	 * The kernel's own NAT translates this flow, which began before the datapath was there. The
	 * rewrite is the key, so packets go to the stack as they are; the reply's key says which
	 * backend it is. For the agent: programs need not know.
	 */
	FL_FLOW_KERNEL = 1 << 7,
	/*
	 * Of an original, always with FL_FLOW_TO_STACK, whose packets the fast path handles apart
	 * anyway: packets go to the backend's node encapsulated, as they are. Replies do not come
	 * this way, so there is no other entry: the entry is its own twin, and stays FL_FLOW_NEW.
	 */
	FL_FLOW_TUNNEL = FL_FLOW_LOCAL,
};

static __always_inline _Bool fl_flow_is_tunnelled(__u8 flags)
{
	return (flags & (FL_FLOW_TUNNEL | FL_FLOW_IS_REPLY)) == FL_FLOW_TUNNEL;
}

/*
 * Counters wrap: packets at 2^32, bytes at 2^40.
 *
 * seq and ack are what this direction's packets have shown to be true (TCP, host byte order): the
 * end of what was sent in sequence, and the highest acknowledgement. Before the handshake is over
 * ack is the lowest number that an acknowledgement of this direction may have; where the flow is
 * tunnelled, so that nobody sees the handshake, it is 0 until the client acknowledges something. In
 * the original of a UDP flow seq is when it began, in jiffies.
 */
struct fl_flow_head {
	__u32 word;
	__u32 twin;	       /* slot of the other direction: bucket * FL_FLOW_WAYS + way */
	__u16 twin_generation; /* of the twin's word, the lower 16 bits; the twin has ours */
	__u8 proto;
	__u8 flags;	 /* enum fl_flow_flags; changed with atomic operations only */
	__u32 last_seen; /* jiffies, written at most once a second */
	/*
	 * Index into fl_next_hops, 0 none. In the reply of a flow that came encapsulated, which is
	 * not forwarded by it: the most that the backend's SYN may name as its MSS, 0 anything.
	 */
	__u16 next_hop;
	__u16 next_hop_generation;
#ifdef FL_TEST_LAYOUT
	__u64 other;
	__u32 packets;
	__u32 bytes_low;
	__u16 backend_low;
	__u8 backend_high;
	__u8 bytes_high;
	__u32 ack;
	__u32 seq;
#else
	__u32 seq;
	__u32 ack;
	__u16 backend_low; /* id; 0: none of ours */
	__u8 backend_high;
	__u8 bytes_high;
	__u32 packets; /* approximate: racing CPUs may lose a count */
	__u32 bytes_low;
#endif
};

static __always_inline __u32 fl_flow_backend(const struct fl_flow_head *head)
{
	return head->backend_low | (__u32)head->backend_high << 16;
}

static __always_inline void fl_flow_set_backend(struct fl_flow_head *head, __u32 id)
{
	head->backend_low = id;
	head->backend_high = id >> 16;
}

static __always_inline __u64 fl_flow_bytes(const struct fl_flow_head *head)
{
	return head->bytes_low | (__u64)head->bytes_high << 32;
}

/* Whether this is the generation that a twin was remembered to have. */
static __always_inline _Bool fl_flow_generation_is(__u32 word, __u16 remembered)
{
	return (__u16)fl_flow_generation(word) == remembered;
}

/* Key and rewrite of one direction: what the packet has on the wire, and what it gets. */
struct fl_tuple4 {
	__be32 saddr, daddr;
	__be16 sport, dport;
};

struct fl_tuple6 {
	struct fl_addr saddr, daddr;
	__be16 sport, dport;
};

/*
 * With FL_TEST_LAYOUT sizes and places are made up, all other than those that are released: for the
 * tests of a change of layout.
 */
struct fl_flow4 {
	struct fl_flow_head head;
#ifdef FL_TEST_LAYOUT
	struct fl_tuple4 rewrite;
	__u32 gap;
	struct fl_tuple4 key;
	__u8 pad[44];
#else
	struct fl_tuple4 key, rewrite;
#endif
};

struct fl_flow6 {
	struct fl_flow_head head;
#ifdef FL_TEST_LAYOUT
	struct fl_tuple6 rewrite;
	__u32 gap;
	struct fl_tuple6 key;
	__u8 pad[60];
#else
	struct fl_tuple6 key, rewrite;
	__u8 pad[16];
#endif
};

/*
 * Key of map fl_own_flows (LRU), value __u32: jiffies of when it was last seen. A UDP flow that the
 * node began itself, from an address and port that is a frontend's: its answers are no requests of
 * that Service. The tuple is that of an answer.
 */
struct fl_own_key {
#ifdef FL_TEST_LAYOUT
	__u32 gap;
#endif
	struct fl_tuple6 tuple;
};

/* Elements of arrays fl_flows4 and fl_flows6; the number of buckets is a power of two. */
struct fl_bucket4 {
	struct fl_flow4 way[FL_FLOW_WAYS];
};

struct fl_bucket6 {
	struct fl_flow6 way[FL_FLOW_WAYS];
};

/*
 * Elements of arrays fl_overflow4 and fl_overflow6: FL_FLOW_CHOICES - 1 bits for each of
 * FL_OVERFLOW_BUCKETS buckets. Bit i is set when an entry whose first bucket it is was put into
 * choice i + 1 instead; where it is clear, a look into that bucket is saved. A writer sets the bit
 * in both halves, before the entry can be seen; a reader looks at the half that
 * fl_meta.overflow_half says. The agent rebuilds the other half from the entries there are.
 */
struct fl_overflow {
	__u64 half[2];
};
#define FL_OVERFLOW_BUCKETS (64 / (FL_FLOW_CHOICES - 1))

enum fl_timeout {
	FL_TIMEOUT_TCP_EMBRYONIC,
	FL_TIMEOUT_TCP_ESTABLISHED,
	FL_TIMEOUT_TCP_CLOSE_WAIT, /* one end has closed */
	FL_TIMEOUT_TCP_TIME_WAIT,  /* both have */
	FL_TIMEOUT_TCP_CLOSING,	   /* one end has reset the connection */
	FL_TIMEOUT_UDP_EMBRYONIC,
	FL_TIMEOUT_UDP_ESTABLISHED,
	FL_TIMEOUTS,
};

/* Which of them a live flow waits for. */
static __always_inline enum fl_timeout fl_timeout_of(_Bool udp, __u32 state)
{
	if (udp)
		return state == FL_FLOW_NEW ? FL_TIMEOUT_UDP_EMBRYONIC : FL_TIMEOUT_UDP_ESTABLISHED;
	switch (state) {
	case FL_FLOW_ESTABLISHED:
		return FL_TIMEOUT_TCP_ESTABLISHED;
	case FL_FLOW_HALF_CLOSED:
		return FL_TIMEOUT_TCP_CLOSE_WAIT;
	case FL_FLOW_TIME_WAIT:
		return FL_TIMEOUT_TCP_TIME_WAIT;
	case FL_FLOW_CLOSING:
		return FL_TIMEOUT_TCP_CLOSING;
	default:
		return FL_TIMEOUT_TCP_EMBRYONIC;
	}
}

_Static_assert(__builtin_offsetof(struct fl_flow_head, next_hop) % 4 == 0 &&
		       __builtin_offsetof(struct fl_flow_head, next_hop_generation) ==
			       __builtin_offsetof(struct fl_flow_head, next_hop) + 2,
	       "abi: written as one word");
_Static_assert(FL_FLOW_STATES <= 8, "abi");
#ifndef FL_TEST_LAYOUT
_Static_assert(sizeof(struct fl_flow_head) == 40, "abi");
_Static_assert(sizeof(struct fl_flow4) == 64, "abi");
_Static_assert(sizeof(struct fl_flow6) == 128, "abi");
#endif
_Static_assert(sizeof(struct fl_bucket4) == sizeof(struct fl_flow4) * FL_FLOW_WAYS, "abi");
_Static_assert(sizeof(struct fl_bucket6) == sizeof(struct fl_flow6) * FL_FLOW_WAYS, "abi");
_Static_assert(sizeof(struct fl_overflow) == 16, "abi");
