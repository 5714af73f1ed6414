/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the generator's program and its driver share. Addresses are in network byte order, IPv4 ones
 * in the first four bytes. */
#pragma once

#include <linux/types.h>

#define FLOOD_TARGETS 8
#define FLOOD_FLOWS 2048
#define FLOOD_FLAGS 8

/* Packets of a flood have this window, or begin with this word: pods answer them without a stack
 * (flood_answer), so that a flood exhausts nothing but what is between it and them. */
#define FLOOD_WINDOW 0xf10d
#define FLOOD_WORD 0x666c6f6f /* "floo" */
#define FLOOD_PAYLOAD 8

/* Spoofed sources: 198.18.0.0/15 and 2001:db8:f::/64. */
#define FLOOD_NET4 0xc6120000
#define FLOOD_BITS4 17
#define FLOOD_NET6 0x20010db8000f0000ULL

struct flood_tuple {
	__u8 saddr[16], daddr[16];
	__be16 sport, dport;
};

/* What became of the packets of the process `pid` where the device was to take them. */
struct flood_fate {
	__u64 sent, dropped;
	__u32 pid;
};

/* Written by the driver between runs; the program moves the cursors on. */
struct flood_job {
	__u64 seed;
	__u64 first;		  /* number of the next newcomer */
	__u64 second, second_end; /* newcomers whose second packet is due */
	__u64 sent;
	__u32 device;
	__u32 n_targets, n_flows;	     /* of the family that is sent */
	__u8 v6, proto, second_flags, share; /* share: of 256 packets, onto flows of others */
	__u8 flags[FLOOD_FLAGS];	     /* of first packets, in turn */
	__u8 dst_mac[6], src_mac[6];
};
