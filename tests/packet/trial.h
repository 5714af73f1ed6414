/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One run of a test: what it runs in, packets in, and what must come out. Whatever a test expects,
 * these are looked at after each packet or at the end of each trial: checksums that were right stay
 * right; each dropped packet is counted under one name; no reason is counted that the test did not
 * expect; and each entry of a flow has its twin.
 */
#pragma once

#include "tests/packet/frame.h"
#include "tests/packet/run.h"
#include "tests/packet/runner.h"

enum outcome {
	PASSED, /* to the stack, translated or not */
	LEFT,	/* unchanged to tc, with a mark (XDP only) */
	SENT,	/* out of a device */
	DROPPED,
	HELD, /* put aside until its first fragment comes */
};

#define CLIENT_HOST 10
#define CLIENT_PORT 4000
#define CLIENT_ISN 1000000 /* initial sequence numbers, TCP */
#define BACKEND_ISN 5000000
#define DEADLINE_MS 20000 /* what is waited for is there long before, unless it never comes */

struct trial {
	/* the combination */
	const struct topic *topic;
	const struct test *test;
	const void *row; /* of test->rows; NULL if it has none */
	enum fl_family family;
	uint8_t proto;
	enum hook hook;
	enum network network;  /* of the backends */
	unsigned int frontend; /* index into fe */
	char *name;
	/* what it runs in */
	struct world *world;
	struct plane *p;
	struct frontend fe[SCENE_FRONTENDS];
	const struct frontend *to; /* the one that is asked for */
	/* the last packet */
	struct frame in;
	struct result r;
	enum outcome outcome;
	enum hook at; /* where it was fed */
	enum dev dev;
	/* all of them */
	uint64_t dropped, left, held;	   /* packets */
	uint64_t not_answered;		   /* dropped for a reason that others are answered for */
	uint64_t expected[FL_COUNTER_MAX]; /* what the test expects counters to be */
	bool looked_at[FL_COUNTER_MAX], allowed[FL_COUNTER_MAX];
	const char *file; /* of the line of the test that runs */
	int line;
};

/* What the runner does around a test. */
void trial_begin(struct trial *t);
void trial_end(struct trial *t);

/* Set up a service in the trial's family, protocol and network of backends. */
void serve(struct trial *t, struct scene scene);

/* Packets in */

/* From a client to t->to: SYN, or a datagram with some payload. Clients are outside, or for
 * HOOK_POD_INGRESS pods of this node. */
struct packet from_client(const struct trial *t, unsigned int host, uint16_t port);
/* The same from the usual one. */
struct packet packet_of(const struct trial *t);

/* Feed it to the trial's hook. */
#define feed(t, packet) feed_at(t, (t)->hook, packet)
/* Feed it to another hook, at the device that this hook usually stands for. */
#define feed_at(t, hook, packet) do_feed(AT_LINE(t), hook, hook_dev(hook), packet)
/* ... at another device */
#define feed_dev(t, hook, dev, packet) do_feed(AT_LINE(t), hook, dev, packet)
#define feed_frame(t, hook, dev, frame) do_feed_frame(AT_LINE(t), hook, dev, frame)

/* What must come out */

#define expect_outcome(t, outcome) do_expect_outcome(AT_LINE(t), outcome)
/* To the stack, as exactly this packet. */
#define expect_stack(t, packet) do_expect_stack(AT_LINE(t), packet)
/* To the stack, as it came in. */
#define expect_untouched(t) do_expect_untouched(AT_LINE(t))
/* Out of this device, as exactly this packet. */
#define expect_sent(t, dev, packet) do_expect_sent(AT_LINE(t), dev, packet)
#define expect_sent_frame(t, dev, frame) do_expect_sent_frame(AT_LINE(t), dev, frame)
#define expect_frame(t, frame) do_expect_frame(AT_LINE(t), frame)
/* Unchanged and marked for tc. */
#define expect_left_to_tc(t) do_expect_left(AT_LINE(t))
/* Dropped, under this name. */
#define expect_drop(t, reason) do_expect_drop(AT_LINE(t), reason)
/* Sent back as an ICMP error about `asked`, under this name. */
#define expect_answer(t, asked, kind, mtu, reason)                                                 \
	do_expect_answer(AT_LINE(t), asked, kind, mtu, reason)
/* Sent back as the reset that answers `asked`: its backend is gone. */
#define expect_reset(t, asked) do_expect_reset(AT_LINE(t), asked)
/* Since the trial began. */
#define expect_counter(t, counter, n) do_expect_counter(AT_LINE(t), counter, n)
/* It may be anything. */
void allow_counter(struct trial *t, uint32_t counter);
/* The flow of a packet, with both of its entries. */
#define expect_flow(t, packet) do_expect_flow(AT_LINE(t), packet)
#define expect_no_flow(t, packet) do_expect_no_flow(AT_LINE(t), packet)
/* Flows of the trial's family. */
#define expect_flows(t, n) do_expect_flows(AT_LINE(t), n)

/* An address of a flow is this one. */
#define expect_address(t, got, want) do_expect_address(AT_LINE(t), #got, got, want)

/* Fail, naming the rule, the trial and what was counted. */
#define trial_fail(t, ...) do_fail(AT_LINE(t), __VA_ARGS__)

/* The line that a failure is reported for. */
static inline struct trial *trial_at(struct trial *t, const char *file, int line)
{
	t->file = file;
	t->line = line;
	return t;
}
#define AT_LINE(t) trial_at(t, __FILE__, __LINE__)

enum dev hook_dev(enum hook hook);
/* Where clients of a hook are. */
enum network client_network(enum hook hook);

enum outcome do_feed(struct trial *t, enum hook hook, enum dev dev, const struct packet *packet);
enum outcome do_feed_frame(struct trial *t, enum hook hook, enum dev dev,
			   const struct frame *frame);
void do_expect_outcome(struct trial *t, enum outcome outcome);
void do_expect_stack(struct trial *t, const struct packet *packet);
void do_expect_untouched(struct trial *t);
void do_expect_sent(struct trial *t, enum dev dev, const struct packet *packet);
void do_expect_sent_frame(struct trial *t, enum dev dev, const struct frame *frame);
void do_expect_frame(struct trial *t, const struct frame *frame);
void do_expect_left(struct trial *t);
void do_expect_drop(struct trial *t, enum fl_reason reason);
void do_expect_answer(struct trial *t, const struct packet *asked, enum icmp_kind kind,
		      uint32_t mtu, enum fl_reason reason);
void do_expect_reset(struct trial *t, const struct packet *asked);
void do_expect_counter(struct trial *t, uint32_t counter, uint64_t n);
struct fl_flow do_expect_flow(struct trial *t, const struct packet *packet);
void do_expect_no_flow(struct trial *t, const struct packet *packet);
void do_expect_flows(struct trial *t, size_t n);
void do_expect_address(struct trial *t, const char *what, const struct fl_ip *got,
		       const struct fl_ip *want);
_Noreturn void do_fail(struct trial *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
