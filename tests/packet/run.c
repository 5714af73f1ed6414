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

struct spec client_spec(const struct plane *p, enum fl_family family, uint8_t proto,
			unsigned int host, uint16_t sport, const struct frontend *to)
{
	return (struct spec){
		.family = family,
		.proto = proto,
		.src = addr(family, AT_OUTSIDE, host),
		.dst = to->ip,
		.sport = sport,
		.dport = to->port,
		.flags = SYN,
		.ttl = 64,
		.payload = proto == IPPROTO_UDP ? 33 : 0,
		.dst_mac = p->net->mac[DEV_EXT0],
		.src_mac = p->net->gateway_mac[AT_OUTSIDE],
	};
}

int xdp(const struct plane *p, const struct spec *spec, struct result *ret_result)
{
	struct frame in;

	frame_build(spec, &in);
	run_xdp(p, DEV_EXT0, &in, ret_result);
	return ret_result->verdict;
}

void expect_packet(const struct result *result, const struct spec *spec, const char *what)
{
	struct frame want;

	frame_build(spec, &want);
	frame_expect(&result->out, &want, what);
}

void expect_untouched(const struct result *result, const struct frame *in, const char *what)
{
	assert_int_equal(result->mark, 0);
	frame_expect(&result->out, in, what);
}

struct wanted {
	const struct spec *spec;
	struct fl_flow *flow;
	unsigned int found;
};

static int match(const struct fl_flow *flow, void *arg)
{
	struct wanted *w = arg;
	const struct spec *s = w->spec;

	if (flow->family != s->family || flow->proto != s->proto || flow->slot == UINT32_MAX ||
	    flow->client_port != s->sport || flow->frontend_port != s->dport ||
	    !fl_ip_equal(&flow->client, &s->src) || !fl_ip_equal(&flow->frontend, &s->dst))
		return 0;
	*w->flow = *flow;
	w->found++;
	return 0;
}

bool find_flow(const struct plane *p, const struct spec *spec, struct fl_flow *ret_flow)
{
	struct fl_flow_table table = plane_flows(p);
	struct wanted w = {.spec = spec, .flow = ret_flow};

	fl_flow_walk(&table, 0, match, &w);
	assert_true(w.found <= 1);
	return w.found;
}

struct fl_flow expect_flow(const struct plane *p, const struct spec *spec)
{
	struct fl_flow flow;

	if (!find_flow(p, spec, &flow))
		fail_msg("the packet left no flow");
	assert_true(flow.reply_known);
	assert_false(flow.flags & FL_FLOW_IS_REPLY);
	assert_true(flow.reply_flags & FL_FLOW_IS_REPLY);
	return flow;
}

void expect_no_flow(const struct plane *p, const struct spec *spec)
{
	struct fl_flow flow;

	if (find_flow(p, spec, &flow))
		fail_msg("there is a flow (state %d) where none should be", flow.state);
}

struct spec translated(const struct spec *spec, const struct fl_flow *flow)
{
	struct spec s = *spec;

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

struct talk talk_begin(struct plane *p, const struct scene *scene, const struct frontend *fe,
		       unsigned int client_host, uint16_t sport)
{
	return (struct talk){
		.p = p,
		.client = client_spec(p, scene->family, scene->proto, client_host, sport, fe),
		.back = scene->place == AT_REDIRECT ? DEV_EXT1 : DEV_EXT0,
		.local = scene->place == AT_POD,
	};
}

int talk_send(struct talk *t, uint8_t flags, struct result *ret_result)
{
	struct fl_flow flow;

	t->client.flags = flags;
	xdp(t->p, &t->client, ret_result);
	if (find_flow(t->p, &t->client, &flow))
		t->inner = translated(&t->client, &flow);
	return ret_result->verdict;
}

int talk_reply(struct talk *t, uint8_t flags, struct result *ret_result)
{
	struct spec reply = spec_reverse(&t->inner);
	struct frame in;

	reply.flags = flags;
	frame_build(&reply, &in);
	run(t->p, t->local ? PROG_TC_EGRESS : PROG_XDP, t->back, &in, ret_result);
	return ret_result->verdict;
}

void talk_establish(struct talk *t)
{
	struct result r;

	talk_send(t, SYN, &r);
	talk_reply(t, SYN | ACK, &r);
	talk_send(t, ACK, &r);
	assert_int_equal(talk_state(t), FL_FLOW_ESTABLISHED);
}

bool talk_establish_at_pod(struct talk *t)
{
	struct result r;

	if (xdp(t->p, &t->client, &r) == XDP_DROP)
		return false;
	t->inner = t->client;
	t->inner.dst = addr(t->client.family, AT_POD, 1);
	t->inner.dport = BACKEND_PORT;
	talk_reply(t, SYN | ACK, &r);
	t->client.flags = ACK;
	assert_int_equal(xdp(t->p, &t->client, &r), XDP_PASS);
	return true;
}

void talk_expect_at_pod(struct talk *t)
{
	struct spec want = spec_reverse(&t->client);
	struct result r;

	t->client.flags = want.flags = t->inner.flags = ACK;
	assert_int_equal(xdp(t->p, &t->client, &r), XDP_PASS);
	expect_packet(&r, &t->inner, "request");
	talk_reply(t, ACK, &r);
	expect_packet(&r, &want, "reply");
}

enum fl_flow_state talk_state(const struct talk *t)
{
	struct fl_flow flow;

	return find_flow(t->p, &t->client, &flow) ? flow.state : FL_FLOW_FREE;
}

uint32_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 16);
}
