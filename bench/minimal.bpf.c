// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Floors. `empty` does nothing and is what the others are measured net of; `tx` exchanges the MAC
 * addresses; `bare` is a flow table and nothing else: one hash, one 64-byte line of a flat array,
 * the rewrite, incremental checksums. It has no state, no second direction, no service, no next
 * hop, and forgets what collides: nothing that finds a flow in memory can be quicker.
 * `bare-insert` is the same for new flows: both addresses are known at once, and in each of two
 * buckets the oldest of four entries is written over. `bare-encap` and `bare-decap` put an outer
 * header before a packet and take it off, whatever the packet is. `bits` is the least that tells
 * what is not a load balancer's: a bit for the destination and one for the source in a bitmap of
 * 128 KB.
 */
#include "bench/packet.bpf.h"

struct line {
	__be32 saddr, daddr;
	__u32 ports;
	__u32 used;
	__be32 to_saddr, to_daddr;
	__u32 to_ports;
	__u32 packets;
	__u64 bytes;
	__u64 pad[3];
};

struct flow {
	__be32 saddr, daddr;
	__u32 ports;
	__u32 stamp; /* jiffies */
	__be32 to_saddr, to_daddr;
	__u32 to_ports;
	__u32 packets;
	__u64 bytes;
	__u64 pad[3];
};

#define WAYS 4

struct bucket {
	struct flow way[WAYS];
};

const volatile __u32 line_bits = 20;
const volatile __u32 bucket_bits = 18;
__u64 bits[1 << 14];

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 20);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 18);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

static __always_inline __u64 hash(__be32 saddr, __be32 daddr, __u32 ports)
{
	__u64 h = ((__u64)saddr << 32 | daddr) * 0x9e3779b97f4a7c15ULL;

	return (h ^ h >> 32 ^ ports) * 0xff51afd7ed558ccdULL;
}

static __always_inline __u16 apply(__u16 check, __u64 diff)
{
	diff += (__u16)~check;
	return bench_fold(diff);
}

SEC("xdp.frags")
int bench_empty(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp.frags")
int bench_tx(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u8 mac[6];

	if (data + BENCH_ETH_LEN > data_end)
		return XDP_ABORTED;
	__builtin_memcpy(mac, data, 6);
	__builtin_memcpy(data, data + 6, 6);
	__builtin_memcpy(data + 6, mac, 6);
	return XDP_TX;
}

SEC("xdp.frags")
int bench_bare(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + BENCH_ETH_LEN;
	struct tcphdr *th = (void *)(ip + 1);
	struct line *line;
	__u64 diff;
	__u32 ports, at;
	__u16 *check;

	if ((void *)(th + 1) > data_end || ip->version != 4)
		return XDP_PASS;
	ports = *(__u32 *)th;
	at = hash(ip->saddr, ip->daddr, ports) >> (64 - line_bits);
	line = bpf_map_lookup_elem(&lines, &at);
	if (!line)
		return XDP_ABORTED;
	if (line->saddr != ip->saddr || line->daddr != ip->daddr || line->ports != ports) {
		/* colliding flows share the line: the cost is that of a hit */
		line->saddr = ip->saddr;
		line->daddr = ip->daddr;
		line->ports = ports;
		line->to_saddr = ip->daddr;
		line->to_daddr = ip->saddr;
		line->to_ports = ports;
	}
	line->packets++;
	line->bytes += bpf_ntohs(ip->tot_len);
	diff = (__u64)line->to_saddr + (__u32)~ip->saddr + line->to_daddr + (__u32)~ip->daddr;
	ip->check = apply(ip->check, diff);
	ip->saddr = line->to_saddr;
	ip->daddr = line->to_daddr;
	ip->ttl--;
	diff += (__u64)line->to_ports + (__u32)~ports;
	check = ip->protocol == IPPROTO_TCP ? &th->check : &((struct udphdr *)th)->check;
	*check = apply(*check, diff);
	*(__u32 *)th = line->to_ports;
	return XDP_TX;
}

static __always_inline struct flow *oldest(struct bucket *bucket)
{
	struct flow *flow = &bucket->way[0];

	for (int i = 1; i < WAYS; i++)
		if ((__s32)(bucket->way[i].stamp - flow->stamp) < 0)
			flow = &bucket->way[i];
	return flow;
}

SEC("xdp.frags")
int bench_bare_insert(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + BENCH_ETH_LEN;
	struct tcphdr *th = (void *)(ip + 1);
	const __u32 now = bpf_jiffies64();
	struct flow *flow, *reply;
	struct bucket *b, *reply_b;
	__u32 ports, turned, at;
	__u64 diff;

	if ((void *)(th + 1) > data_end || ip->version != 4)
		return XDP_PASS;
	ports = *(__u32 *)th;
	turned = ports << 16 | ports >> 16;
	at = hash(ip->saddr, ip->daddr, ports) >> (64 - bucket_bits);
	b = bpf_map_lookup_elem(&buckets, &at);
	at = hash(ip->daddr, ip->saddr, turned) >> (64 - bucket_bits);
	reply_b = bpf_map_lookup_elem(&buckets, &at);
	if (!b || !reply_b)
		return XDP_ABORTED;
	flow = oldest(b);
	reply = oldest(reply_b);
	*flow = (struct flow){
		.saddr = ip->saddr,
		.daddr = ip->daddr,
		.ports = ports,
		.stamp = now,
		.to_saddr = ip->daddr,
		.to_daddr = ip->saddr,
		.to_ports = turned,
		.packets = 1,
		.bytes = bpf_ntohs(ip->tot_len),
	};
	*reply = (struct flow){
		.saddr = ip->daddr,
		.daddr = ip->saddr,
		.ports = turned,
		.stamp = now,
		.to_saddr = ip->saddr,
		.to_daddr = ip->daddr,
		.to_ports = ports,
	};
	diff = (__u64)ip->daddr + (__u32)~ip->saddr + ip->saddr + (__u32)~ip->daddr;
	ip->check = apply(ip->check, diff);
	ip->saddr = reply->saddr;
	ip->daddr = reply->daddr;
	ip->ttl--;
	diff += (__u64)turned + (__u32)~ports;
	th->check = apply(th->check, diff);
	*(__u32 *)th = turned;
	return XDP_TX;
}

static __always_inline bool bit(__be32 addr, __be16 port, __u8 proto)
{
	__u64 h = ((__u64)addr << 32 | (__u32)proto << 16 | port) * 0x9e3779b97f4a7c15ULL;

	h >>= 44;
	return bits[h / 64 & ((1 << 14) - 1)] >> (h & 63) & 1;
}

/* Whether a packet may be a load balancer's; here none is. */
static __always_inline bool is_known(void *data, void *data_end)
{
	struct iphdr *ip = data + BENCH_ETH_LEN;
	struct udphdr *uh = (void *)(ip + 1);

	if ((void *)(uh + 1) > data_end || *(__u8 *)ip != 0x45 ||
	    (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return false;
	return bit(ip->daddr, uh->dest, ip->protocol) || bit(ip->saddr, uh->source, ip->protocol);
}

SEC("xdp.frags")
int bench_bits(struct xdp_md *ctx)
{
	return is_known((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int bench_empty_skb(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

SEC("tc")
int bench_bits_skb(struct __sk_buff *skb)
{
	return is_known((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT
									      : TC_ACT_UNSPEC;
}

/* What `bare-encap` puts before every packet. */
const volatile __u32 outer_len = 20;
const volatile bool outer_v6, outer_udp;
__u32 frame_macs[3], outer_words[BENCH_OUTER_MAX / 4];

static __always_inline void write_ethernet(void *data, const __u32 macs[3])
{
	__u32 *word = data;

	word[0] = macs[0];
	word[1] = macs[1];
	word[2] = macs[2];
	*(__be16 *)(data + 12) = outer_v6 ? bpf_htons(0x86dd) : bpf_htons(0x0800);
}

/* Into the room that there is for it. */
static __always_inline bool write_outer(void *data, void *data_end)
{
	__u32 *word = data + BENCH_ETH_LEN;

	if (data + BENCH_ETH_LEN + BENCH_OUTER_MAX > data_end)
		return false;
	write_ethernet(data, frame_macs);
#pragma unroll
	for (__u32 i = 0; i < BENCH_OUTER_MAX / 4; i++)
		if (i < outer_len / 4)
			word[i] = outer_words[i];
	return true;
}

SEC("xdp.frags")
int bench_bare_encap(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, -(int)outer_len) ||
	    !write_outer((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_ABORTED;
	return XDP_TX;
}

SEC("xdp.frags")
int bench_bare_decap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u32 macs[3];

	if (data + BENCH_ETH_LEN > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(macs, data, sizeof(macs));
	if (bpf_xdp_adjust_head(ctx, (int)outer_len))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if (data + BENCH_ETH_LEN > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_ethernet(data, macs);
	return XDP_PASS;
}

SEC("tc")
int bench_bare_encap_skb(struct __sk_buff *skb)
{
	const __u64 flags =
		BPF_F_ADJ_ROOM_FIXED_GSO |
		(outer_v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) |
		(outer_udp ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0);

	if (bpf_skb_adjust_room(skb, (int)outer_len, BPF_ADJ_ROOM_MAC, flags) ||
	    !write_outer((void *)(long)skb->data, (void *)(long)skb->data_end))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

SEC("tc")
int bench_bare_decap_skb(struct __sk_buff *skb)
{
	if (bpf_skb_adjust_room(skb, -(int)outer_len, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
