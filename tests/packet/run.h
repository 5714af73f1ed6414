/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running the programs on packets, and conversations made of such runs. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "tests/packet/frame.h"
#include "tests/packet/plane.h"
#include "tests/packet/service.h"

#define MARK_FOR_TC 0x464c5443U

struct result {
	int verdict;   /* XDP_* or TC_ACT_* */
	uint32_t mark; /* what XDP left in front of the packet for tc; 0 nothing */
	struct frame out;
};

/* Run fl_xdp, or another program with an skb, as if the frame had come in by (gone out of) `dev`.
 */
void run_xdp(const struct plane *p, enum dev dev, const struct frame *in,
	     struct result *ret_result);
void run_tc(const struct plane *p, enum prog prog, enum dev dev, const struct frame *in,
	    struct result *ret_result);
/* The same with a checksum by hardware in the skb, which must still be right afterwards. */
void run_tc_hardware_sum(const struct plane *p, enum prog prog, enum dev dev,
			 const struct frame *in, struct result *ret_result);
/* Any of the programs; fl_xdp and fl_clock as XDP. */
void run(const struct plane *p, enum prog prog, enum dev dev, const struct frame *in,
	 struct result *ret_result);

/* The packet of a client outside: SYN, or a datagram. */
struct spec client_spec(const struct plane *p, enum fl_family family, uint8_t proto,
			unsigned int host, uint16_t sport, const struct frontend *to);

/* Build and run through fl_xdp from the outside. */
int xdp(const struct plane *p, const struct spec *spec, struct result *ret_result);

/* What came out is exactly this packet. */
void expect_packet(const struct result *result, const struct spec *spec, const char *what);
/* ... is exactly what went in. */
void expect_untouched(const struct result *result, const struct frame *in, const char *what);

/* The flow whose original direction has this packet's tuple. False: there is none. */
bool find_flow(const struct plane *p, const struct spec *spec, struct fl_flow *ret_flow);
/* The same; none is a failure, and so is a flow without its other half. */
struct fl_flow expect_flow(const struct plane *p, const struct spec *spec);
void expect_no_flow(const struct plane *p, const struct spec *spec);
/* The packet as the backend gets it. */
struct spec translated(const struct spec *spec, const struct fl_flow *flow);
/* Let both directions look idle for so long. */
void flow_age(struct plane *p, const struct fl_flow *flow, uint32_t jiffies);

/* A client of the outside and a backend that talk to each other. */
struct talk {
	struct plane *p;
	struct spec client; /* as the client writes it */
	struct spec inner;  /* as the backend got it last */
	enum dev back;	    /* the backend's packets come in (leave, if local) by it */
	bool local;
};

struct talk talk_begin(struct plane *p, const struct scene *scene, const struct frontend *fe,
		       unsigned int client_host, uint16_t sport);
/* One packet from the client, and one from the backend; flags matter for TCP only. Return the
 * verdict. */
int talk_send(struct talk *t, uint8_t flags, struct result *ret_result);
int talk_reply(struct talk *t, uint8_t flags, struct result *ret_result);
/* Three packets that make an established flow; fails if they don't. */
void talk_establish(struct talk *t);
/* The same with AT_POD's first backend, without looking into the table. False: the first packet was
 * dropped. */
bool talk_establish_at_pod(struct talk *t);
/* A segment each way of a flow that talk_establish_at_pod() made is translated as it was then. */
void talk_expect_at_pod(struct talk *t);
enum fl_flow_state talk_state(const struct talk *t); /* FL_FLOW_FREE: no flow */

/* xorshift: the same numbers in every run. */
uint32_t next_random(uint64_t *seed);
