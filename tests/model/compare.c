// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A frame through the datapath, and which of the outcomes that the model allows came of it: by
 * verdict, bytes and counters. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "tests/model/run.h"
#include "tests/model/wire.h"

#define MARK_FOR_TC 0x464c5443U
#define ETHER 14

static const char *const tokens[FL_COUNTER_MAX] = {
#define X(name, token, text) [FL_REASON_##name] = token,
	FL_REASONS(X)
#undef X
#define X(name, token, text) [FL_COUNTER_##name] = token,
		FL_COUNTERS(X)
#undef X
};

bool run_frame(struct run *r, enum model_hook hook, int device, const struct model_frame *in)
{
	static const enum prog progs[MODEL_HOOKS] = {PROG_XDP, PROG_TC_INGRESS, PROG_POD_INGRESS,
						     PROG_TC_EGRESS, PROG_POD_EGRESS};
	const struct plane *p = r->s->p;
	struct xdp_md xdp = {.data_end = in->len, .ingress_ifindex = p->net->ifindex[device]},
		      after;
	struct __sk_buff skb = {.ifindex = p->net->ifindex[device]};
	uint8_t out[MODEL_FRAME + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_size_in = in->len,
		    .data_out = out, .data_size_out = sizeof(out));
	uint32_t from = 0;

	if (hook == MEETS_XDP) {
		opts.ctx_in = &xdp;
		opts.ctx_size_in = sizeof(xdp);
		opts.ctx_out = &after;
		opts.ctx_size_out = sizeof(after);
	} else {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	r->totals->packets++;
	r->totals->by_hook[hook]++;
	if (bpf_prog_test_run_opts(p->prog_fd[progs[hook]], &opts))
		return false;
	r->raw = (int)opts.retval;
	r->marked = false;
	r->out.len = opts.data_size_out;
	if (hook == MEETS_XDP) {
		from = after.data;
		r->out.len = after.data_end - after.data;
		if (from) {
			uint32_t mark;

			memcpy(&mark, out, sizeof(mark));
			r->marked = mark == MARK_FOR_TC;
		}
	}
	if (r->out.len > sizeof(r->out.b))
		return false;
	memcpy(r->out.b, out + from, r->out.len);
	return true;
}

static bool verdict_is(const struct run *r, const struct step *step, const struct model_outcome *o)
{
	const bool xdp = step->hook == MEETS_XDP;

	switch (o->verdict) {
	case PASSES:
		return r->raw == (xdp ? XDP_PASS : TC_ACT_UNSPEC) && !r->marked;
	case LEFT_TO_TC:
		return xdp && r->raw == XDP_PASS && r->marked;
	case IS_DROPPED:
		return r->raw == (xdp ? XDP_DROP : TC_ACT_SHOT);
	case IS_ANSWERED:
		return r->raw == (xdp ? XDP_TX : TC_ACT_REDIRECT);
	case SENT_OUT:
		if (!xdp)
			return r->raw == TC_ACT_REDIRECT;
		return r->raw == (o->device == step->device ? XDP_TX : XDP_REDIRECT);
	}
	return false;
}

uint64_t run_counter(const struct run *r, uint32_t c)
{
	return plane_total(r->s->p, c);
}

uint32_t run_counter_of(const char *token)
{
	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++)
		if (!strcmp(tokens[c], token))
			return c;
	return 0;
}

static void put_macs(const struct run *r, const struct model_outcome *o, struct model_frame *ret)
{
	memcpy(ret->b, o->mac, 6);
	memcpy(ret->b + 6, r->m.device[o->device].mac, 6);
	if (o->any_mac)
		memcpy(ret->b, r->out.b, 12);
}

static uint32_t fragment_id(const struct model_packet *p, const struct model_frame *f)
{
	return p->family == FL_IPV4 ? get16(f->b + 18) : get32(f->b + p->fragment_header + 4);
}

void run_expected(const struct run *r, const struct step *step, const struct model_verdicts *v,
		  const struct model_outcome *o, struct model_frame *ret)
{
	const struct model_frame *in = o->unpacked ? &v->inner : &step->frame;
	struct model_tuple to = o->to;
	uint32_t l4 = v->packet.l4;

	if (o->made) {
		*ret = v->made;
		if (o->forward)
			put_macs(r, o, ret);
		return;
	}
	if (o->verdict == IS_ANSWERED) {
		model_answer(&step->frame, &v->packet, o->answer, o->mtu, ret);
		return;
	}
	if (!o->translated) {
		ret->len = step->frame.len;
		memcpy(ret->b, step->frame.b, ret->len);
		return;
	}
	if (o->wrapped) {
		model_wrap(&r->m, o->outer_ttl ? &v->as_sent : &step->frame, &v->packet, o, &r->out,
			   ret);
		put_macs(r, o, ret);
		return;
	}
	if (o->any_port && r->out.len >= l4 + 2)
		to.sport = (uint16_t)(r->out.b[l4] << 8 | r->out.b[l4 + 1]);
	model_rewrite(in, &v->packet, &to, o->forward,
		      o->any_id ? fragment_id(&v->packet, &r->out) : o->id, ret);
	/* what pads a frame is none of the packet, and goes when others are made of a fragment */
	if (v->packet.fragment && r->out.len == ETHER + v->packet.ip_len && ret->len > r->out.len)
		ret->len = r->out.len;
	if (o->mss)
		model_lower_mss(ret, &v->packet, o->mss);
	if (o->forward)
		put_macs(r, o, ret);
}

/* What comes out of the program: of fragments the last one. */
static void expected_frame(const struct run *r, const struct step *step,
			   const struct model_verdicts *v, const struct model_outcome *o,
			   struct model_frame *ret)
{
	const uint32_t outer = model_outer_of(&r->m, v->packet.family, o);
	static struct model_frame whole;
	uint32_t n;

	run_expected(r, step, v, o, ret);
	if (!o->divide || o->verdict != SENT_OUT)
		return;
	whole = *ret;
	n = model_divide(&whole, outer, o->divide, 0, ret);
	model_divide(&whole, outer, o->divide, n - 1, ret);
}

static bool fits(const struct run *r, const struct step *step, const struct model_verdicts *v,
		 const struct model_outcome *o, struct model_frame *want)
{
	if (!verdict_is(r, step, o))
		return false;
	if (o->verdict == IS_DROPPED)
		return true;
	expected_frame(r, step, v, o, want);
	return want->len == r->out.len && !memcmp(want->b, r->out.b, want->len);
}

const struct model_outcome *run_which(struct run *r, const struct step *step,
				      const struct model_verdicts *v)
{
	struct model_frame want;
	bool named = false;

	for (int i = 0; i < v->n; i++)
		if (fits(r, step, v, &v->v[i], &want))
			return &v->v[i];
	for (int i = 0; i < v->n; i++) {
		if (!verdict_is(r, step, &v->v[i]) || v->v[i].verdict == IS_DROPPED)
			continue;
		expected_frame(r, step, v, &v->v[i], &want);
		if (want.len == r->out.len && !named) {
			uint32_t at = 0;

			while (want.b[at] == r->out.b[at])
				at++;
			run_differs(r, step, v,
				    "byte %u: %#x in the model, %#x came out (%#x came in)", at,
				    want.b[at], r->out.b[at], step->frame.b[at]);
			named = true;
		}
	}
	if (!named)
		run_differs(r, step, v, "the verdict is none that the model has");
	return NULL;
}

/* Several drops look alike: the one that was counted. */
const struct model_outcome *run_by_counter(struct run *r, const struct model_verdicts *v,
					   const struct model_outcome *found)
{
	int n = 0;

	for (int i = 0; i < v->n; i++)
		n += v->v[i].verdict == IS_DROPPED;
	if (!found || found->verdict != IS_DROPPED || n < 2)
		return found;
	for (int i = 0; i < v->n; i++) {
		const uint32_t c = v->v[i].reason ? run_counter_of(v->v[i].reason) : 0;

		if (v->v[i].verdict == IS_DROPPED &&
		    run_counter(r, c) - r->before[c] != r->expected[c])
			return &v->v[i];
	}
	return found;
}

static bool compared(uint32_t c)
{
	return c < FL_REASON_MAX || c == FL_COUNTER_FLOW_NEW || c == FL_COUNTER_FLOW_RESTEERED ||
	       c == FL_COUNTER_FLOW_RESTARTED || c == FL_COUNTER_FLOW_EVICTED ||
	       c == FL_COUNTER_TO_TC || c == FL_COUNTER_ECHO || c == FL_COUNTER_ICMP_ERROR ||
	       c == FL_COUNTER_FRAGMENT || c == FL_COUNTER_FRAGMENT_HELD ||
	       c == FL_COUNTER_FLOW_TUNNELLED || c == FL_COUNTER_FLOW_TAKEN_OVER ||
	       c == FL_COUNTER_FLOW_UNPACKED || c == FL_COUNTER_SEGMENT_PASSED_ON;
}

void run_check_counters(struct run *r)
{
	uint64_t *totals = r->s->counted;

	plane_totals(r->s->p, totals);
	for (uint32_t c = 1; c < FL_COUNTER_MAX; c++) {
		const uint64_t got = totals[c] - r->before[c];

		if (compared(c) && got != r->expected[c])
			run_differs(r, NULL, NULL,
				    "counter %s: %llu in the model, %llu were counted", tokens[c],
				    (unsigned long long)r->expected[c], (unsigned long long)got);
	}
}
