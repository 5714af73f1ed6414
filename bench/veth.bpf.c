// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rows 3 to 5: the generator that live frames run through, the sink that counts what arrives, and
 * the floor of the way between: a program that knows neither service nor flow and sends every frame
 * on to one device.
 */
#include "bench/packet.bpf.h"

__u64 received SEC(".data.sink");
__u64 translated SEC(".data.sink"); /* of these: with the address of an endpoint */
__u32 floor_device SEC(".data.floor");

SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	struct bench_job *job = bench_job_get();

	if (!bench_write_next((void *)(long)ctx->data, (void *)(long)ctx->data_end, job))
		return XDP_ABORTED;
	return bpf_redirect(job->target, 0);
}

SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	struct iphdr *ip = data + BENCH_ETH_LEN;

	/* not what the stack sends on its own account, such as neighbour discovery */
	if ((void *)(ip + 1) > data_end || ip->version != 4 || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	received++; /* all of a run is on one CPU */
	if ((bpf_ntohl(ip->daddr) & 0xff800000) == BENCH_POD_NET)
		translated++;
	return XDP_DROP;
}

SEC("xdp")
int bench_floor(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (data + BENCH_ETH_LEN > data_end)
		return XDP_ABORTED;
	/* as if the addresses were exchanged: what a router does to every frame */
	*(__u32 *)data ^= 1;
	return bpf_redirect(floor_device, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
