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
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

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

static __always_inline __u16 bench_write_ip4(void *data, const struct bench_job *job,
					     const struct bench_tuple *t, __u32 len)
{
	struct iphdr *ip = data + BENCH_ETH_LEN;
	__u64 addresses;

	*(__be16 *)(data + 12) = bpf_htons(0x0800);
	*(__u32 *)ip = bpf_htonl(0x45000000 | len);
	*((__u32 *)ip + 1) = bpf_htonl(0x00014000);
	ip->ttl = 64;
	ip->protocol = job->proto;
	ip->check = 0;
	ip->saddr = bpf_htonl(t->client);
	ip->daddr = bpf_htonl(t->vip);
	if (!job->checksums)
		return 0;
	addresses = (__u64)ip->saddr + ip->daddr;
	ip->check = bench_fold(addresses + *(__u32 *)ip + *((__u32 *)ip + 1) + *((__u32 *)ip + 2));
	return ~bench_fold(addresses + bpf_htons(job->proto) + bpf_htons(len - sizeof(*ip)));
}

static __always_inline void bench_write_ip6(void *data, const struct bench_job *job,
					    const struct bench_tuple *t, __u32 len)
{
	struct ipv6hdr *ip = data + BENCH_ETH_LEN;

	*(__be16 *)(data + 12) = bpf_htons(0x86dd);
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(len - sizeof(*ip));
	ip->nexthdr = job->proto;
	ip->hop_limit = 64;
	ip->saddr.in6_u.u6_addr32[0] = bpf_htonl(BENCH_CLIENT_NET6);
	ip->saddr.in6_u.u6_addr32[1] = 0;
	ip->saddr.in6_u.u6_addr32[2] = 0;
	ip->saddr.in6_u.u6_addr32[3] = bpf_htonl(t->client);
	ip->daddr.in6_u.u6_addr32[0] = bpf_htonl(BENCH_VIP_NET6);
	ip->daddr.in6_u.u6_addr32[1] = 0;
	ip->daddr.in6_u.u6_addr32[2] = 0;
	ip->daddr.in6_u.u6_addr32[3] = bpf_htonl(t->vip);
}

/* Write the headers of the next flow's packet. False: the buffer is too short. */
static __always_inline bool bench_write_next(struct xdp_md *ctx, struct bench_job *job)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end, *l4;
	__u32 l4_off = BENCH_ETH_LEN + (job->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)),
	      ports;
	bool tcp = job->proto == IPPROTO_TCP;
	__u32 len = l4_off - BENCH_ETH_LEN + (tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	struct bench_tuple t;
	__u64 x = job->next;
	__u16 sum = 0;

	if (data + BENCH_ETH_LEN + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) > data_end)
		return false;
	t = bench_tuple(x, job->services);
	job->next = job->flows ? bench_next(x, job->flows) : x + 1;
	*(__u32 *)data = *(__u32 *)job->dst_mac;
	*(__u16 *)(data + 4) = *(__u16 *)(job->dst_mac + 4);
	if (job->v6)
		bench_write_ip6(data, job, &t, len);
	else
		sum = bench_write_ip4(data, job, &t, len);
	l4 = data + (job->v6 ? BENCH_ETH_LEN + sizeof(struct ipv6hdr)
			     : BENCH_ETH_LEN + sizeof(struct iphdr));
	ports = bpf_htonl((__u32)t.client_port << 16 | BENCH_PORT);
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
