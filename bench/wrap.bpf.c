// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The wrappers of rows 1 and 2: they write the next flow's packet and tail-call the program under
 * test. One test run with a repeat count then walks over any number of flows, and the cost of the
 * wrapper is known by wrapping a program that does nothing.
 */
#include "bench/packet.bpf.h"

#define TARGETS(name)                                                                              \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                             \
		__uint(max_entries, 16);                                                           \
		__type(key, __u32);                                                                \
		__type(value, __u32);                                                              \
	} name SEC(".maps")

TARGETS(targets);
TARGETS(targets_skb);

/* A packet that was turned into an ICMP error has been cut, and has that much in front of it. */
static __always_inline void restore(struct xdp_md *ctx, const struct bench_job *job)
{
	int grown = (job->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + 8;

	if (bpf_xdp_adjust_head(ctx, grown))
		return;
	bpf_xdp_adjust_tail(ctx, BENCH_FRAME_LEN - (int)(ctx->data_end - ctx->data));
}

SEC("xdp.frags")
int bench_wrap(struct xdp_md *ctx)
{
	struct bench_job *job = bench_job_get();

	if (ctx->data_end - ctx->data != BENCH_FRAME_LEN)
		restore(ctx, job);
	if (bench_write_next((void *)(long)ctx->data, (void *)(long)ctx->data_end, job))
		bpf_tail_call(ctx, &targets, job->target);
	return XDP_ABORTED;
}

SEC("tc")
int bench_wrap_skb(struct __sk_buff *skb)
{
	struct bench_job *job = bench_job_get();

	if (bench_write_next((void *)(long)skb->data, (void *)(long)skb->data_end, job))
		bpf_tail_call(skb, &targets_skb, job->target);
	return TC_ACT_SHOT;
}

/* The packet of flow x behind the outer header that another node has put before it. */
static __always_inline bool write_behind(void *data, void *data_end, struct bench_job *job, bool v6,
					 enum bench_outer_kind kind)
{
	const __u64 x = job->next;
	const bool geneve = kind == BENCH_GENEVE;
	struct bench_outer o = {
		.from_net6 = BENCH_PEER_NET6,
		.from = v6 ? BENCH_PEER_LOW6 : BENCH_PEER,
		.to_net6 = BENCH_POD_NET6,
		.to = bench_endpoint(x, job->endpoints),
		.pod_net6 = BENCH_POD_NET6,
		.pod_port = BENCH_POD_PORT,
		.sport = BENCH_GENEVE_SPORT,
		.inner =
			(v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
			(job->proto == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr)),
	};

	if (data + BENCH_ETH_LEN + bench_outer_size(v6, kind) > data_end ||
	    !bench_write_next(data + bench_outer_size(v6, kind), data_end, job))
		return false;
	if (geneve) {
		o.pod = o.to;
		o.to_net6 = BENCH_NODE_NET6;
		o.to = v6 ? BENCH_NODE_LOW6 : BENCH_NODE;
	}
	/* in words, as both addresses are read: a load of what two stores have written waits */
	*(__u32 *)data = *(__u32 *)job->dst_mac;
	*(__u32 *)(data + 4) = *(__u16 *)(job->dst_mac + 4);
	*(__u32 *)(data + 8) = 0;
	*(__be16 *)(data + 12) = v6 ? bpf_htons(0x86dd) : bpf_htons(0x0800);
	bench_outer_write(data + BENCH_ETH_LEN, v6, kind, &o);
	return true;
}

static __always_inline bool write_any(void *data, void *data_end, struct bench_job *job)
{
	if (job->outer == BENCH_NO_OUTER)
		return bench_write_next(data, data_end, job);
	if (job->outer == BENCH_IPIP)
		return job->v6 ? write_behind(data, data_end, job, true, BENCH_IPIP)
			       : write_behind(data, data_end, job, false, BENCH_IPIP);
	return job->v6 ? write_behind(data, data_end, job, true, BENCH_GENEVE)
		       : write_behind(data, data_end, job, false, BENCH_GENEVE);
}

/*
 * Wrappers for programs that make a frame longer or shorter. It is put right before the next
 * packet, by nothing too where it is right: so `empty` pays for that as the others do.
 */
SEC("xdp.frags")
int bench_wrap_dsr(struct xdp_md *ctx)
{
	struct bench_job *job = bench_job_get();
	long len = (void *)(long)ctx->data_end - (void *)(long)ctx->data;

	/* the verifier allows no 32-bit arithmetic on pointers */
	asm volatile("" : "+r"(len));
	if (bpf_xdp_adjust_head(ctx, (int)len - job->frame_len))
		return XDP_ABORTED;
	if (write_any((void *)(long)ctx->data, (void *)(long)ctx->data_end, job))
		bpf_tail_call(ctx, &targets, job->target);
	return XDP_ABORTED;
}

SEC("tc")
int bench_wrap_dsr_skb(struct __sk_buff *skb)
{
	struct bench_job *job = bench_job_get();

	if (bpf_skb_adjust_room(skb, job->frame_len - (int)skb->len, BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;
	if (write_any((void *)(long)skb->data, (void *)(long)skb->data_end, job))
		bpf_tail_call(skb, &targets_skb, job->target);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
