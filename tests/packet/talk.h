/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A client and a backend that talk to each other through the datapath, with sequence numbers as
 * real ends would have them. Where the packets of each pass is a function of the trial's hook and
 * of where the backend is.
 */
#pragma once

#include "tests/packet/trial.h"

/* One end's sequence numbers. */
struct end {
	uint32_t initial, next;
	bool over; /* it has sent FIN or RST: its next SYN begins another connection */
};

struct talk {
	struct trial *t;
	struct packet client; /* the client's packet, as it wrote it last */
	struct packet inner;  /* the same as the backend gets it: addresses and ports */
	struct packet reply;  /* the backend's packet, as it wrote it last */
	struct end client_end, backend_end;
	enum hook hook, reply_hook;
	enum dev dev, reply_dev;
	bool masqueraded;
	/* the frontend is an address of this node, which the stack takes from no wire: we send */
	bool own_frontend;
};

/* Between the usual client and t->to. */
struct talk talk_begin(struct trial *t);
/* Of another client, or with another frontend. */
struct talk talk_from(struct trial *t, unsigned int host, uint16_t port,
		      const struct frontend *frontend);

/*
 * One packet from the client, and one from the backend; flags matter for TCP only. `client.payload`
 * and `client.ttl` are for the test to set, `inner.payload` and `inner.ttl` likewise for replies.
 */
#define talk_send(talk, flags) do_talk_send((AT_LINE((talk)->t), (talk)), flags)
#define talk_reply(talk, flags) do_talk_reply((AT_LINE((talk)->t), (talk)), flags)
/* The last packet of the client came out as the backend must get it, on the right way. */
#define talk_expect_request(talk) do_talk_expect_request((AT_LINE((talk)->t), (talk)))
/* The last packet of the backend came out as the client must get it. */
#define talk_expect_reply(talk) do_talk_expect_reply((AT_LINE((talk)->t), (talk)))
/* One each way, translated as it was when the flow was made. */
#define talk_expect_both(talk) do_talk_expect_both((AT_LINE((talk)->t), (talk)))

/* The packets that make an established flow; fails if they do not. */
#define talk_establish(talk) do_talk_establish((AT_LINE((talk)->t), (talk)))
/* Just so many of them that the flow gets this state. */
#define talk_bring_to(talk, state) do_talk_bring_to((AT_LINE((talk)->t), (talk)), state)
/* UDP: the flow began some seconds earlier than it did, so that going on proves it. */
void talk_grow_old(const struct talk *talk);
#define talk_expect_state(talk, state) do_talk_expect_state((AT_LINE((talk)->t), (talk)), state)

enum outcome do_talk_send(struct talk *talk, uint8_t flags);
enum outcome do_talk_reply(struct talk *talk, uint8_t flags);
void do_talk_expect_request(struct talk *talk);
void do_talk_expect_reply(struct talk *talk);
void do_talk_expect_both(struct talk *talk);
void do_talk_establish(struct talk *talk);
void do_talk_bring_to(struct talk *talk, enum fl_flow_state state);
void do_talk_expect_state(const struct talk *talk, enum fl_flow_state state);
enum fl_flow_state talk_state(const struct talk *talk); /* FL_FLOW_FREE: no flow */

/*
 * The quick form for thousands of flows: to the only backend, AT_POD, by XDP, without a look into
 * the table. False: the first packet was dropped.
 */
bool talk_establish_at_pod(struct talk *talk);
/* A segment each way of such a flow is translated as it was then. */
void talk_expect_at_pod(struct talk *talk);
