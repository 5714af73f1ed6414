// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Floors. `empty` does nothing and is what the others are measured net of; `tx` exchanges the MAC
 * addresses; `bare` is a flow table and nothing else: one hash, one 64-byte line of a flat array,
 * the rewrite, incremental checksums. It has no state, no second direction, no service, no next
 * hop, and forgets what collides: nothing that finds a flow in memory can be quicker.
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

const volatile __u32 line_bits = 20;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 20);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

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
	__u64 h, diff;
	__u32 ports, at;
	__u16 *check;

	if ((void *)(th + 1) > data_end || ip->version != 4)
		return XDP_PASS;
	ports = *(__u32 *)th;
	h = ((__u64)ip->saddr << 32 | ip->daddr) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ h >> 32 ^ ports) * 0xff51afd7ed558ccdULL;
	at = h >> (64 - line_bits);
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

char _license[] SEC("license") = "Dual BSD/GPL";
