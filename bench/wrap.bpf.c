// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The wrapper of rows 1 and 2: writes the next flow's packet and tail-calls the program under test.
 * One test run with a repeat count then walks over any number of flows, and the cost of the wrapper
 * is known by wrapping a program that does nothing.
 */
#include "bench/packet.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

SEC("xdp.frags")
int bench_wrap(struct xdp_md *ctx)
{
	struct bench_job *job = bench_job_get();

	if (bench_write_next(ctx, job))
		bpf_tail_call(ctx, &targets, job->target);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
