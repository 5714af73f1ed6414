/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What DSR puts in front of a packet, written once more, without any code of the datapath: the
 * generator sends what this makes, and what comes out of a node is compared with it. For programs
 * and for userspace.
 */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>

#define BENCH_OUTER_MAX 80 /* bytes: Geneve over IPv6 */
#define BENCH_GENEVE_PORT 6081

enum bench_outer_kind {
	BENCH_NO_OUTER,
	BENCH_IPIP, /* or ip6ip6 */
	BENCH_GENEVE,
};

/* Addresses: the first 32 bits of IPv6 and the last, or IPv4; host byte order. */
struct bench_outer {
	__u32 from_net6, from, to_net6, to;
	__u32 label; /* of IPv6 */
	/* Geneve: what the option says, and what the sender has chosen */
	__u32 pod_net6, pod;
	__u16 pod_port, sport;
	__u16 inner; /* bytes of the packet inside */
};

static inline __attribute__((always_inline)) __u32 bench_outer_size(bool v6,
								    enum bench_outer_kind kind)
{
	const __u32 ip = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (kind == BENCH_NO_OUTER)
		return 0;
	/* UDP, the fixed header, and an option of an address and four bytes more */
	return kind == BENCH_GENEVE ? ip + 8 + 8 + 4 + (v6 ? 16 : 4) + 4 : ip;
}

static inline __attribute__((always_inline)) void
bench_outer_ip4(void *at, __u8 proto, const struct bench_outer *o, __u32 len)
{
	struct iphdr *ip = at;
	const __u16 *half = at;
	__u32 sum = 0;

	*(__be32 *)ip = bpf_htonl(0x45000000 | len);
	*((__be32 *)ip + 1) = bpf_htonl(0x00004000);
	*((__be32 *)ip + 2) = bpf_htonl(64 << 24 | proto << 16);
	ip->saddr = bpf_htonl(o->from);
	ip->daddr = bpf_htonl(o->to);
	for (int i = 0; i < 10; i++)
		sum += half[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
}

static inline __attribute__((always_inline)) void
bench_outer_ip6(void *at, __u8 proto, const struct bench_outer *o, __u32 len)
{
	__be32 *word = at;

	word[0] = bpf_htonl(0x60000000 | o->label);
	word[1] = bpf_htonl((len - sizeof(struct ipv6hdr)) << 16 | proto << 8 | 64);
	word[2] = bpf_htonl(o->from_net6);
	word[3] = 0;
	word[4] = 0;
	word[5] = bpf_htonl(o->from);
	word[6] = bpf_htonl(o->to_net6);
	word[7] = 0;
	word[8] = 0;
	word[9] = bpf_htonl(o->to);
}

/* Write bench_outer_size() bytes. */
static inline __attribute__((always_inline)) void
bench_outer_write(void *at, bool v6, enum bench_outer_kind kind, const struct bench_outer *o)
{
	const __u32 size = bench_outer_size(v6, kind),
		    ip = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u8 proto = kind == BENCH_GENEVE ? IPPROTO_UDP : v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	__be32 *word = (__be32 *)((char *)at + ip);

	if (v6)
		bench_outer_ip6(at, proto, o, size + o->inner);
	else
		bench_outer_ip4(at, proto, o, size + o->inner);
	if (kind != BENCH_GENEVE)
		return;
	/* RFC 8926: a critical option, class 0xff46, type 0x81, of `words` words */
	*word++ = bpf_htonl((__u32)o->sport << 16 | BENCH_GENEVE_PORT);
	*word++ = bpf_htonl((size - ip + o->inner) << 16);
	*word++ = bpf_htonl(((v6 ? 6 : 3) << 24) | 0x400000 | (v6 ? 0x86dd : 0x0800));
	*word++ = bpf_htonl(0x464c4400);
	*word++ = bpf_htonl(0xff468100 | (v6 ? 5 : 2));
	if (v6) {
		*word++ = bpf_htonl(o->pod_net6);
		*word++ = 0;
		*word++ = 0;
	}
	*word++ = bpf_htonl(o->pod);
	*word = bpf_htonl((__u32)o->pod_port << 16);
}
