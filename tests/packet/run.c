// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* BPF_PROG_TEST_RUN: bytes in; verdict, bytes and what XDP left for tc out. */
#include "tests/packet/run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "tests/packet/packet.h"

#define TEST_CHECKSUM_COMPLETE (1U << 2) /* BPF_F_TEST_SKB_CHECKSUM_COMPLETE, Linux 6.16 */

void run_xdp(const struct plane *p, enum dev dev, const struct frame *in, struct result *ret_result)
{
	uint8_t out[sizeof(in->b) + 64] = {0};
	struct xdp_md ctx_in = {.data_end = in->len, .ingress_ifindex = p->net->ifindex[dev]}, ctx;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_size_in = in->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx_in,
		    .ctx_size_in = sizeof(ctx_in), .ctx_out = &ctx, .ctx_size_out = sizeof(ctx));

	if (bpf_prog_test_run_opts(p->prog_fd[PROG_XDP], &opts))
		fail_msg("cannot run the XDP program on %u bytes: %s", in->len, strerror(errno));
	memset(ret_result, 0, sizeof(*ret_result));
	ret_result->verdict = (int)opts.retval;
	if (ctx.data)
		memcpy(&ret_result->mark, out, sizeof(ret_result->mark));
	ret_result->out.len = ctx.data_end - ctx.data;
	assert_true(ret_result->out.len <= sizeof(ret_result->out.b));
	memcpy(ret_result->out.b, out + ctx.data, ret_result->out.len);
}

static void tc(const struct plane *p, enum prog prog, enum dev dev, const struct frame *in,
	       uint32_t flags, struct result *ret_result)
{
	struct __sk_buff ctx = {.ifindex = p->net->ifindex[dev]};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_size_in = in->len,
		    .data_out = ret_result->out.b, .data_size_out = sizeof(ret_result->out.b),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .flags = flags);

	memset(ret_result, 0, sizeof(*ret_result));
	if (bpf_prog_test_run_opts(p->prog_fd[prog], &opts))
		fail_msg("cannot run a tc program on %u bytes: %s", in->len, strerror(errno));
	ret_result->verdict = (int)opts.retval;
	ret_result->out.len = opts.data_size_out;
}

void run_tc(const struct plane *p, enum prog prog, enum dev dev, const struct frame *in,
	    struct result *ret_result)
{
	tc(p, prog, dev, in, 0, ret_result);
}

void run_tc_hardware_sum(const struct plane *p, enum prog prog, enum dev dev,
			 const struct frame *in, struct result *ret_result)
{
	tc(p, prog, dev, in, TEST_CHECKSUM_COMPLETE, ret_result);
}

void run(const struct plane *p, enum prog prog, enum dev dev, const struct frame *in,
	 struct result *ret_result)
{
	if (prog == PROG_XDP)
		run_xdp(p, dev, in, ret_result);
	else
		run_tc(p, prog, dev, in, ret_result);
}

struct wanted {
	const struct packet *packet;
	struct fl_flow *flow;
	unsigned int found;
};

static int match(const struct fl_flow *flow, void *arg)
{
	struct wanted *w = arg;
	const struct packet *s = w->packet;

	if (flow->family != s->family || flow->proto != s->proto || flow->slot == UINT32_MAX ||
	    flow->client_port != s->sport || flow->frontend_port != s->dport ||
	    !fl_ip_equal(&flow->client, &s->src) || !fl_ip_equal(&flow->frontend, &s->dst))
		return 0;
	*w->flow = *flow;
	w->found++;
	return 0;
}

bool find_flow(const struct plane *p, const struct packet *packet, struct fl_flow *ret_flow)
{
	struct fl_flow_table table = plane_flows(p);
	struct wanted w = {.packet = packet, .flow = ret_flow};

	fl_flow_walk(&table, 0, match, &w);
	assert_true(w.found <= 1);
	return w.found;
}

struct packet translated(const struct packet *packet, const struct fl_flow *flow)
{
	struct packet s = *packet;

	s.src = flow->source;
	s.sport = flow->source_port;
	s.dst = flow->backend;
	s.dport = flow->backend_port;
	return s;
}

void flow_age(struct plane *p, const struct fl_flow *flow, uint32_t jiffies)
{
	uint32_t then = plane_now(p) - jiffies;

	plane_head(p, flow->family, flow->slot)->last_seen = then;
	plane_head(p, flow->family, flow->reply_slot)->last_seen = then;
}

uint32_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 16);
}
