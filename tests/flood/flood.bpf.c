// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A flood, as the program that live frames run through: each frame becomes the next packet of it.
 * And what pods answer it with, at their devices, as a stack would that has no limits.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "tests/flood/flood.h"

#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct flood_job job SEC(".data.job");
struct flood_tuple targets[FLOOD_TARGETS] SEC(".data.targets"); /* daddr and dport only */
struct flood_tuple flows[FLOOD_FLOWS] SEC(".data.flows");
__u64 answered SEC(".data.answered");
struct flood_fate fate SEC(".data.fate");

/* The kernel's, as far as it is looked at. */
struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

/* What a packet of the flood is made of. */
struct content {
	struct flood_tuple tuple;
	__u32 seq, ack;
	__u16 window;
	__u8 flags;
};

struct udp_packet {
	struct udphdr udp;
	__be32 payload[FLOOD_PAYLOAD / 4];
};

/* A permutation of the numbers, so that all bits of a tuple are its own (splitmix64). */
static __always_inline __u64 mix(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static __always_inline void newcomer(struct content *c, __u64 number)
{
	__u64 x = mix(number + job.seed);
	const struct flood_tuple *target;
	__u32 i = (x >> 40) % (job.n_targets ?: 1);

	target = &targets[i & (FLOOD_TARGETS - 1)];
	__builtin_memcpy(c->tuple.daddr, target->daddr, sizeof(c->tuple.daddr));
	c->tuple.dport = target->dport;
	c->tuple.sport = bpf_htons(1024 + (__u16)(x >> FLOOD_BITS4) % 64000);
	if (job.v6) {
		*(__be64 *)c->tuple.saddr = bpf_cpu_to_be64(FLOOD_NET6);
		*(__be64 *)(c->tuple.saddr + 8) = bpf_cpu_to_be64(x);
	} else {
		*(__be32 *)c->tuple.saddr = bpf_htonl(FLOOD_NET4 | (x & ((1U << FLOOD_BITS4) - 1)));
	}
}

static __always_inline void next_content(struct content *c)
{
	__u32 i, turn = job.sent & (FLOOD_FLAGS - 1);

	c->seq = bpf_get_prandom_u32();
	c->ack = bpf_get_prandom_u32();
	c->window = FLOOD_WINDOW;
	if (job.n_flows && (bpf_get_prandom_u32() & 255) < job.share) {
		i = bpf_get_prandom_u32() % job.n_flows;
		c->tuple = flows[i & (FLOOD_FLOWS - 1)];
		c->flags = job.flags[turn];
		c->window = 1024;
	} else if (job.sent & 1 && job.second < job.second_end) {
		newcomer(c, job.second++);
		c->flags = job.second_flags;
	} else {
		newcomer(c, job.first++);
		c->flags = job.flags[turn];
	}
	if (!(c->flags & TCP_ACK))
		c->ack = 0;
	job.sent++;
}

static __always_inline __u16 fold(__s64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32 & 0xffffffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The sum of an L4 header whose checksum field is zero, over addresses of `len` bytes each. */
static __always_inline __u16 sum_l4(void *l4, __u32 l4_len, void *addresses, __u32 addresses_len,
				    __u8 proto)
{
	__be32 rest[2] = {bpf_htonl(l4_len), bpf_htonl(proto)};
	__s64 sum = bpf_csum_diff(NULL, 0, addresses, addresses_len, 0);

	sum = bpf_csum_diff(NULL, 0, rest, sizeof(rest), sum);
	return fold(bpf_csum_diff(NULL, 0, l4, l4_len, sum));
}

static __always_inline void write_ip(void *l3, const struct content *c, __u32 l4_len)
{
	struct iphdr *ip = l3;
	struct ipv6hdr *ip6 = l3;

	if (job.v6) {
		*(__be32 *)ip6 = bpf_htonl(0x60000000);
		ip6->payload_len = bpf_htons(l4_len);
		ip6->nexthdr = job.proto;
		ip6->hop_limit = 64;
		__builtin_memcpy(&ip6->saddr, c->tuple.saddr, 16);
		__builtin_memcpy(&ip6->daddr, c->tuple.daddr, 16);
		return;
	}
	*(__be32 *)ip = bpf_htonl(0x45000000 | (sizeof(*ip) + l4_len));
	*((__be32 *)ip + 1) = bpf_htonl(0x00014000);
	ip->ttl = 64;
	ip->protocol = job.proto;
	ip->check = 0;
	ip->saddr = *(__be32 *)c->tuple.saddr;
	ip->daddr = *(__be32 *)c->tuple.daddr;
	ip->check = fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

/* The addresses of an IP header stand at its end. */
static __always_inline void write_tcp(struct tcphdr *tcp, void *l3, const struct content *c)
{
	tcp->source = c->tuple.sport;
	tcp->dest = c->tuple.dport;
	tcp->seq = bpf_htonl(c->seq);
	tcp->ack_seq = bpf_htonl(c->ack);
	*((__be32 *)tcp + 3) = bpf_htonl(0x50000000 | (__u32)c->flags << 16 | c->window);
	*((__be32 *)tcp + 4) = 0;
	tcp->check = job.v6 ? sum_l4(tcp, sizeof(*tcp), l3 + 8, 32, IPPROTO_TCP)
			    : sum_l4(tcp, sizeof(*tcp), l3 + 12, 8, IPPROTO_TCP);
}

static __always_inline void write_udp(struct udp_packet *u, void *l3, const struct content *c)
{
	u->udp.source = c->tuple.sport;
	u->udp.dest = c->tuple.dport;
	u->udp.len = bpf_htons(sizeof(*u));
	u->udp.check = 0;
	u->payload[0] = bpf_htonl(FLOOD_WORD);
	u->payload[1] = bpf_htonl(c->seq);
	u->udp.check = job.v6 ? sum_l4(u, sizeof(*u), l3 + 8, 32, IPPROTO_UDP)
			      : sum_l4(u, sizeof(*u), l3 + 12, 8, IPPROTO_UDP);
}

SEC("xdp")
int flood_send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	void *l3 = data + ETH_HLEN, *l4;
	struct content c = {};
	struct ethhdr *eth = data;

	l4 = l3 + (job.v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (l3 + sizeof(struct iphdr) + sizeof(struct tcphdr) > data_end ||
	    l4 + sizeof(struct tcphdr) > data_end ||
	    (job.v6 && l3 + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) > data_end))
		return XDP_ABORTED;
	next_content(&c);
	__builtin_memcpy(eth->h_dest, job.dst_mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, job.src_mac, ETH_ALEN);
	eth->h_proto = job.v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (job.proto == IPPROTO_TCP) {
		write_ip(l3, &c, sizeof(struct tcphdr));
		write_tcp(l4, l3, &c);
	} else {
		write_ip(l3, &c, sizeof(struct udp_packet));
		write_udp(l4, l3, &c);
	}
	return bpf_redirect(job.device, 0);
}

/* What the device took of a batch that flood_send() has sent, and what it had no room for. */
SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(flood_sent, const struct net_device *from, const struct net_device *to, int sent,
	     int drops)
{
	if (bpf_get_current_pid_tgid() >> 32 != fate.pid || to->ifindex != (int)job.device)
		return 0;
	fate.sent += sent;
	fate.dropped += drops;
	return 0;
}

/* A packet's headers turned round; checksums stay right, for they do not see the order. */
static __always_inline void turn(struct ethhdr *eth, void *addresses, __u32 len, __be16 *ports)
{
	__u8 mac[ETH_ALEN], address[16];
	__be16 port = ports[0];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	if (len == 4) {
		__builtin_memcpy(address, addresses, 4);
		__builtin_memcpy(addresses, addresses + 4, 4);
		__builtin_memcpy(addresses + 4, address, 4);
	} else {
		__builtin_memcpy(address, addresses, 16);
		__builtin_memcpy(addresses, addresses + 16, 16);
		__builtin_memcpy(addresses + 16, address, 16);
	}
	ports[0] = ports[1];
	ports[1] = port;
}

#define BACK (-1) /* out of the device that it came in by */

/* SYN becomes SYN-ACK, a datagram comes back, and all else has been received. */
static __always_inline int answer(struct ethhdr *eth, void *addresses, __u32 len, void *l4,
				  __u8 proto, void *data_end)
{
	struct tcphdr *tcp = l4;
	struct udp_packet *u = l4;

	if (proto == IPPROTO_UDP) {
		if ((void *)(u + 1) > data_end || u->payload[0] != bpf_htonl(FLOOD_WORD))
			return XDP_PASS;
		turn(eth, addresses, len, (__be16 *)u);
		return BACK;
	}
	if (proto != IPPROTO_TCP || (void *)(tcp + 1) > data_end ||
	    tcp->window != bpf_htons(FLOOD_WINDOW))
		return XDP_PASS;
	if ((((__u8 *)tcp)[13] & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return XDP_DROP;
	turn(eth, addresses, len, (__be16 *)tcp);
	tcp->ack_seq = bpf_htonl(bpf_ntohl(tcp->seq) + 1);
	tcp->seq = bpf_get_prandom_u32();
	((__u8 *)tcp)[13] = TCP_SYN | TCP_ACK;
	tcp->check = 0;
	tcp->check = len == 4 ? sum_l4(tcp, sizeof(*tcp), addresses, 8, IPPROTO_TCP)
			      : sum_l4(tcp, sizeof(*tcp), addresses, 32, IPPROTO_TCP);
	return BACK;
}

SEC("xdp")
int flood_answer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	int action = XDP_PASS;

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && ip->ihl == 5)
		action = answer(eth, &ip->saddr, 4, ip + 1, ip->protocol, data_end);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= data_end)
		action = answer(eth, &ip6->saddr, 16, ip6 + 1, ip6->nexthdr, data_end);
	if (action != BACK)
		return action;
	__sync_fetch_and_add(&answered, 1);
	/* what XDP_TX sends, a veth without a program at its other end does not receive */
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
