/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running the programs on bytes, and looking at what they left in the flow table. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "tests/packet/frame.h"
#include "tests/packet/plane.h"

#define MARK_FOR_TC 0x464c5443U

struct result {
	int verdict;   /* XDP_* or TC_ACT_* */
	uint32_t mark; /* what XDP left in front of the packet for tc; 0 nothing */
	struct frame out;
};

/*
 * Run fl_xdp, or another program with an skb, as if the frame had come in by (gone out of) `dev`.
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

/* The flow whose original direction has this packet's tuple. False: there is none. */
bool find_flow(const struct plane *p, const struct packet *packet, struct fl_flow *ret_flow);
/* The packet as the backend gets it: addresses and ports. */
struct packet translated(const struct packet *packet, const struct fl_flow *flow);
/* Let both directions look idle for so long. */
void flow_age(struct plane *p, const struct fl_flow *flow, uint32_t jiffies);

/* xorshift: the same numbers in every run. */
uint32_t next_random(uint64_t *seed);
