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

char _license[] SEC("license") = "Dual BSD/GPL";
