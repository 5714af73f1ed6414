/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which packet belongs to flow number x: the one rule that the generator programs, the preparation
 * in userspace and the rules of iptables and nftables share. Numbers are in host byte order; the
 * low 32 bits of IPv6 addresses follow the IPv4 ones.
 */
#pragma once

#include <linux/types.h>

#define BENCH_CLIENT_NET 0x0b000000U /* 11.0.0.0/8: clients */
#define BENCH_VIP_NET 0x0a600000U    /* 10.96.0.0/12: service addresses, service s at .. + 1 + s */
#define BENCH_POD_NET 0x0a800000U    /* 10.128.0.0/9: endpoints, endpoint e at .. + 1 + e */
#define BENCH_PORT 80		     /* of every service */
#define BENCH_POD_PORT 8080	     /* of every endpoint */
/* first 96 bits of the three IPv6 networks: fd00:b::, fd00:60::, fd00:80:: */
#define BENCH_CLIENT_NET6 0xfd00000bU
#define BENCH_VIP_NET6 0xfd000060U
#define BENCH_POD_NET6 0xfd000080U
#define BENCH_STRANGER_NET 0x0c000000U /* 12.0.0.0/8: hosts that are nobody's here; fd00:c:: */
#define BENCH_STRANGER_NET6 0xfd00000cU
#define BENCH_NODE 0xc6120001U /* 198.18.0.1, fd00:12::1: the node */
#define BENCH_NODE_NET6 0xfd000012U
#define BENCH_NODE_LOW6 1
#define BENCH_PEER 0xc6130001U /* 198.19.0.1, fd00:13::1: another node, of the other end of DSR */
#define BENCH_PEER_NET6 0xfd000013U
#define BENCH_PEER_LOW6 1
#define BENCH_GENEVE_SPORT 50123 /* from there */

#define BENCH_FRAME_LEN 128	 /* of a test run, whatever the packet is long */
#define BENCH_LONG_FRAME_LEN 192 /* of one with an outer header */

#define BENCH_PORTS_PER_CLIENT 1024

struct bench_tuple {
	__u32 client, vip;
	__u16 client_port;
};

/* 2^34 different clients; neighbouring flows differ in the port, so that an address alone spreads
 * badly. */
static inline __attribute__((always_inline)) struct bench_tuple bench_tuple(__u64 x, __u32 services)
{
	struct bench_tuple t = {
		.client = BENCH_CLIENT_NET + 256 + (__u32)(x / BENCH_PORTS_PER_CLIENT),
		.vip = BENCH_VIP_NET + 1 + (services > 1 ? (__u32)x % services : 0),
		.client_port = 1024 + (__u16)(x % BENCH_PORTS_PER_CLIENT) * 61,
	};

	return t;
}

/* The next flow of n (a power of two) in a scattered order that visits each once: a full-period
 * linear congruence. */
static inline __attribute__((always_inline)) __u64 bench_next(__u64 x, __u64 n)
{
	return (x * 0x5851f42d4c957f2dULL + 0x14057b7ef767814fULL) & (n - 1);
}

/* Which endpoint another node has chosen for flow x. */
static inline __attribute__((always_inline)) __u32 bench_endpoint(__u64 x, __u32 endpoints)
{
	return BENCH_POD_NET + 1 + ((__u32)x & (endpoints - 1));
}

/* Between whom a packet is. */
enum bench_way {
	BENCH_TO_SERVICE,  /* a client, its service */
	BENCH_TO_CLIENT,   /* the only endpoint, a client that asked it directly or by a service */
	BENCH_TO_STRANGER, /* a client, a stranger: two that the node only forwards for, or sees */
	BENCH_TO_NODE,	   /* a client, the node */
	BENCH_FROM_NODE,   /* the node, a stranger */
};

/* The parameters of a generator program; one per CPU, written between runs. Fills a cache line. */
struct bench_job {
	__u64 next;  /* flow number */
	__u64 flows; /* established: visit these many in turn; 0: every packet is a new flow */
	__u32 services;
	__u32 target; /* wrapper: index into the program array; generator: device */
	__u8 proto;   /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 tcp_flags;
	__u8 v6;
	__u8 checksums; /* fill them in */
	__u8 dst_mac[6];
	__u8 way;	 /* enum bench_way */
	__u8 outer;	 /* enum bench_outer_kind: what the packet comes in */
	__u16 port;	 /* the other end's */
	__u16 frame_len; /* of the frame, for a wrapper that keeps it so long */
	__u16 endpoints; /* a power of two: how many the outer headers name in turn */
	__u8 pad[22];
};

_Static_assert(sizeof(struct bench_job) == 64, "one cache line");

#define BENCH_CPUS 64
