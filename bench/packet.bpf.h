/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing a packet's headers again, because a test run hands the program the buffer that the last
 * packet left. Checksums are filled in only where a network stack will look at them.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/outer.bpf.h"
#include "bench/tuple.bpf.h"

#define BENCH_ETH_LEN 14

struct bench_job jobs[BENCH_CPUS] SEC(".data.jobs");

static __always_inline struct bench_job *bench_job_get(void)
{
	return &jobs[bpf_get_smp_processor_id() & (BENCH_CPUS - 1)];
}

static __always_inline __u16 bench_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/* An address of either family: the first 32 bits and the last, host byte order. */
struct bench_end {
	__u32 net6, low;
};

struct bench_ends {
	struct bench_end from, to;
	__u16 from_port, to_port;
};

static __always_inline struct bench_end bench_node(const struct bench_job *job)
{
	struct bench_end node = {BENCH_NODE_NET6, job->v6 ? BENCH_NODE_LOW6 : BENCH_NODE};

	return node;
}

static __always_inline struct bench_ends bench_ends(const struct bench_job *job, __u64 x)
{
	const struct bench_tuple t = bench_tuple(x, job->services);
	const struct bench_end client = {BENCH_CLIENT_NET6, t.client};
	const struct bench_end stranger = {BENCH_STRANGER_NET6,
					   BENCH_STRANGER_NET | (t.client & 0xffffff)};
	struct bench_ends ends = {
		.from = client,
		.to = {BENCH_VIP_NET6, t.vip},
		.from_port = t.client_port,
		.to_port = job->port,
	};

	switch (job->way) {
	case BENCH_TO_CLIENT:
		ends.from.net6 = BENCH_POD_NET6;
		ends.from.low = BENCH_POD_NET + 1;
		ends.to = client;
		ends.from_port = BENCH_POD_PORT;
		ends.to_port = t.client_port;
		break;
	case BENCH_TO_STRANGER:
		ends.to = stranger;
		break;
	case BENCH_TO_NODE:
		ends.to = bench_node(job);
		break;
	case BENCH_FROM_NODE:
		ends.from = bench_node(job);
		ends.to = stranger;
		break;
	}
	return ends;
}

static __always_inline __u16 bench_write_ip4(void *data, const struct bench_job *job,
					     const struct bench_ends *ends, __u32 len)
{
	struct iphdr *ip = data + BENCH_ETH_LEN;
	__u64 addresses;

	*(__be16 *)(data + 12) = bpf_htons(0x0800);
	*(__u32 *)ip = bpf_htonl(0x45000000 | len);
	*((__u32 *)ip + 1) = bpf_htonl(0x00014000);
	ip->ttl = 64;
	ip->protocol = job->proto;
	ip->check = 0;
	ip->saddr = bpf_htonl(ends->from.low);
	ip->daddr = bpf_htonl(ends->to.low);
	if (!job->checksums)
		return 0;
	addresses = (__u64)ip->saddr + ip->daddr;
	ip->check = bench_fold(addresses + *(__u32 *)ip + *((__u32 *)ip + 1) + *((__u32 *)ip + 2));
	return ~bench_fold(addresses + bpf_htons(job->proto) + bpf_htons(len - sizeof(*ip)));
}

static __always_inline void bench_write_ip6(void *data, const struct bench_job *job,
					    const struct bench_ends *ends, __u32 len)
{
	struct ipv6hdr *ip = data + BENCH_ETH_LEN;

	*(__be16 *)(data + 12) = bpf_htons(0x86dd);
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(len - sizeof(*ip));
	ip->nexthdr = job->proto;
	ip->hop_limit = 64;
	ip->saddr.in6_u.u6_addr32[0] = bpf_htonl(ends->from.net6);
	ip->saddr.in6_u.u6_addr32[1] = 0;
	ip->saddr.in6_u.u6_addr32[2] = 0;
	ip->saddr.in6_u.u6_addr32[3] = bpf_htonl(ends->from.low);
	ip->daddr.in6_u.u6_addr32[0] = bpf_htonl(ends->to.net6);
	ip->daddr.in6_u.u6_addr32[1] = 0;
	ip->daddr.in6_u.u6_addr32[2] = 0;
	ip->daddr.in6_u.u6_addr32[3] = bpf_htonl(ends->to.low);
}

/* Write the headers of the next flow's packet. False: the buffer is too short. */
static __always_inline bool bench_write_next(void *data, void *data_end, struct bench_job *job)
{
	void *l4;
	__u32 l4_off = BENCH_ETH_LEN + (job->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)),
	      ports;
	bool tcp = job->proto == IPPROTO_TCP;
	__u32 len = l4_off - BENCH_ETH_LEN + (tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	struct bench_ends ends;
	__u64 x = job->next;
	__u16 sum = 0;

	if (data + BENCH_ETH_LEN + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) > data_end)
		return false;
	ends = bench_ends(job, x);
	job->next = job->flows ? bench_next(x, job->flows) : x + 1;
	*(__u32 *)data = *(__u32 *)job->dst_mac;
	*(__u16 *)(data + 4) = *(__u16 *)(job->dst_mac + 4);
	if (job->v6)
		bench_write_ip6(data, job, &ends, len);
	else
		sum = bench_write_ip4(data, job, &ends, len);
	l4 = data + (job->v6 ? BENCH_ETH_LEN + sizeof(struct ipv6hdr)
			     : BENCH_ETH_LEN + sizeof(struct iphdr));
	ports = bpf_htonl((__u32)ends.from_port << 16 | ends.to_port);
	*(__u32 *)l4 = ports;
	if (tcp) {
		struct tcphdr *th = l4;

		/* what comes next in a connection of which both ends began with 0 (prepare.c) */
		th->seq = bpf_htonl(1);
		th->ack_seq = bpf_htonl(1);
		*((__u32 *)th + 3) = bpf_htonl(0x50000000 | (__u32)job->tcp_flags << 16 | 0xffff);
		th->check = bpf_htons(0x1234);
	} else {
		struct udphdr *uh = l4;

		uh->len = bpf_htons(sizeof(*uh));
		uh->check = job->checksums ? bench_fold((__u64)ports + uh->len + sum)
					   : bpf_htons(0x1234);
	}
	return true;
}
