// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ICMP (rules 2.24, 5.1.5; RFC 792, 4443, 5508): errors about packets of flows are translated as
 * the flow's packets are that go the same way, with what they quote; pings of a Service's address
 * are answered. An error changes nothing of a flow. By DSR it goes to the backend as it is
 * (docs/edge.md, "Direct server return").
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/wire.h"

#define ETHER 14
#define HEADER 8 /* of ICMP */

/* Where the source address is in an IP header; the destination is behind it. */
static uint32_t at_source(bool v6)
{
	return v6 ? 8 : 12;
}

struct message {
	bool v6, echo, error;
	struct fl_ip src, dst;
	uint32_t ip_len, icmp;
	uint8_t ttl;
	/* what an error quotes */
	bool quotes;
	uint32_t ip, l4; /* offsets */
	uint8_t proto;
	struct model_tuple t; /* turned round: of a packet that goes the way of the error */
};

static bool is_error(bool v6, uint8_t type)
{
	/* not a redirect, which is for this node alone */
	return v6 ? type < 128 : type == 3 || type == 4 || type == 11 || type == 12;
}

static void parse_quotation(const struct model_frame *f, struct message *x)
{
	const uint8_t *ip = f->b + x->icmp + HEADER;
	const uint32_t end = ETHER + x->ip_len, source = at_source(x->v6);
	uint32_t header = x->v6 ? 40 : 20;

	x->ip = x->icmp + HEADER;
	if (x->ip + header > end || ip[0] >> 4 != (x->v6 ? 6 : 4))
		return;
	if (!x->v6) {
		header = (ip[0] & 15) * 4U;
		/* of the first fragment, or the whole */
		if (header < 20 || get16(ip + 6) & 0x1fff)
			return;
	}
	x->proto = ip[x->v6 ? 6 : 9];
	if (x->v6 && x->proto == 44) {
		if (x->ip + header + 8 > end || get16(ip + 42) & 0xfff8)
			return;
		x->proto = ip[40];
		header += 8;
	}
	x->l4 = x->ip + header;
	if ((x->proto != 6 && x->proto != 17) || x->l4 + 4 > end)
		return;
	x->t.dst = address(x->v6, ip + source);
	x->t.src = address(x->v6, ip + source + (x->v6 ? 16 : 4));
	x->t.dport = (uint16_t)get16(f->b + x->l4);
	x->t.sport = (uint16_t)get16(f->b + x->l4 + 2);
	/* it goes back to where the quoted packet came from */
	x->quotes = fl_ip_equal(&x->t.dst, &x->dst);
}

static bool parse(const struct model_frame *f, struct message *x)
{
	const uint8_t *ip = f->b + ETHER;
	const uint32_t type = f->len >= ETHER ? get16(f->b + 12) : 0;
	uint32_t header;

	memset(x, 0, sizeof(*x));
	x->v6 = type == 0x86dd;
	header = x->v6 ? 40 : 20;
	if ((!x->v6 && type != 0x0800) || f->len < ETHER + header ||
	    ip[x->v6 ? 6 : 9] != (x->v6 ? 58 : 1) || ip[0] != (x->v6 ? 0x60 : 0x45) ||
	    (!x->v6 && get16(ip + 6) & 0x3fff))
		return false;
	x->ip_len = x->v6 ? 40 + get16(ip + 4) : get16(ip + 2);
	x->ttl = ip[x->v6 ? 7 : 8];
	x->icmp = ETHER + header;
	x->src = address(x->v6, ip + at_source(x->v6));
	x->dst = address(x->v6, ip + at_source(x->v6) + (x->v6 ? 16 : 4));
	if (x->ip_len < header + HEADER || f->len < ETHER + x->ip_len)
		return true;
	x->echo = f->b[x->icmp] == (x->v6 ? 128 : 8);
	x->error = is_error(x->v6, f->b[x->icmp]);
	if (x->error)
		parse_quotation(f, x);
	return true;
}

/* The whole message, with what counts of the IP header in IPv6. */
static uint32_t sum_message(const struct model_frame *f, const struct message *x)
{
	const uint32_t len = x->ip_len - (x->icmp - ETHER);
	const uint32_t sum = x->v6 ? model_sum(58 + len, f->b + ETHER + 8, 32) : 0;

	return model_sum(sum, f->b + x->icmp, len);
}

/* Addresses of an IP header at `ip`; its own sum is as right as it was. */
static void put_addresses(uint8_t *ip, bool v6, const struct fl_ip *src, const struct fl_ip *dst)
{
	const uint32_t header = v6 ? 40 : (ip[0] & 15) * 4U;
	const uint32_t sum = v6 ? 0 : model_sum(0, ip, header);

	put_address(v6, ip + at_source(v6), src);
	put_address(v6, ip + at_source(v6) + (v6 ? 16 : 4), dst);
	if (v6)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, model_makes_up(sum, model_sum(0, ip, header)));
}

/* A part of what the checksum of TCP or UDP covers: all of it that changes. */
static uint32_t sum_quoted(const struct model_frame *f, const struct message *x)
{
	const uint32_t sum = model_sum(0, f->b + x->ip + at_source(x->v6), x->v6 ? 32 : 8);

	return model_sum(sum, f->b + x->l4, 4);
}

/* `to`: what packets of the flow become that go this way. */
static void translate(const struct model_frame *in, const struct message *x,
		      const struct model_tuple *to, bool forward, struct model_frame *out)
{
	const uint32_t all = sum_message(in, x), end = ETHER + x->ip_len;
	const uint32_t at = x->l4 + (x->proto == 6 ? 16 : 6), quoted = sum_quoted(in, x);
	/* a router keeps its address, where the sender of the flow's packets keeps its own */
	const struct fl_ip *from = fl_ip_equal(&x->t.src, &to->src) ? &x->src : &to->src;
	uint8_t *ip = out->b + ETHER, *icmp = out->b + x->icmp, *check = out->b + at;
	uint32_t ip_sum = x->v6 ? 0 : model_sum(0, in->b + ETHER, 20), sum;

	*out = *in;
	put_addresses(out->b + x->ip, x->v6, &to->dst, &to->src);
	put16(out->b + x->l4, to->dport);
	put16(out->b + x->l4 + 2, to->sport);
	if (at + 2 <= end && (x->proto == 6 || get16(check))) {
		sum = model_sum(quoted, check, 2);
		sum = model_makes_up(sum, sum_quoted(out, x));
		put16(check, sum || x->proto == 6 ? sum : 0xffff);
	}
	put_address(x->v6, ip + at_source(x->v6), from);
	put_address(x->v6, ip + at_source(x->v6) + (x->v6 ? 16 : 4), &to->dst);
	if (forward)
		ip[x->v6 ? 7 : 8]--;
	if (!x->v6) {
		put16(ip + 10, 0);
		put16(ip + 10, model_makes_up(ip_sum, model_sum(0, ip, 20)));
	}
	put16(icmp + 2, 0);
	put16(icmp + 2, model_makes_up(all, sum_message(out, x)));
}

static void answer_echo(const struct model_frame *in, const struct message *x,
			struct model_frame *out)
{
	uint32_t all = sum_message(in, x);
	const uint32_t ip_sum = x->v6 ? 0 : model_sum(0, in->b + ETHER, 20);
	uint8_t *ip = out->b + ETHER, *icmp = out->b + x->icmp;

	*out = *in;
	memcpy(out->b, in->b + 6, 6);
	memcpy(out->b + 6, in->b, 6);
	put_address(x->v6, ip + at_source(x->v6), &x->dst);
	put_address(x->v6, ip + at_source(x->v6) + (x->v6 ? 16 : 4), &x->src);
	ip[x->v6 ? 7 : 8] = 64;
	if (!x->v6) {
		put16(ip + 10, 0);
		put16(ip + 10, model_makes_up(ip_sum, model_sum(0, ip, 20)));
	}
	icmp[0] = x->v6 ? 129 : 0;
	put16(icmp + 2, 0);
	all = model_makes_up(all, sum_message(out, x));
	put16(icmp + 2, all ? all : 0xffff); /* RFC 1071: 0 is right only where there is a 1 */
}

/* 2.22, 2.24: whether this node stands for the address. Every node does for a cluster IP; others
 * may be some machine's, and only what the network brings is for them here. */
bool model_stands_for(const struct model *m, const struct fl_ip *ip, enum model_hook hook)
{
	const bool network = hook == MEETS_XDP || hook == MEETS_TC;

	if (model_is_local(m, ip))
		return false;
	if (model_is_cluster_ip(m, ip))
		return m->settings.reject_unknown_port || network;
	return network && model_is_external(m, ip);
}

/* D7: nobody's address writes to itself; sent on it may come back, again and again. */
bool model_from_itself(const struct model *m, const struct model_tuple *t, enum model_hook hook)
{
	return fl_ip_equal(&t->src, &t->dst) && model_stands_for(m, &t->dst, hook);
}

static bool is_leaving(enum model_hook hook)
{
	return hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT;
}

static void judge_echo(struct model *m, enum model_hook hook, const struct message *x,
		       const struct model_frame *frame, struct model_verdicts *v)
{
	const struct model_tuple t = {x->src, x->dst, 0, 0};
	struct model_outcome *o;

	if (m->settings.answer_echo && model_from_itself(m, &t, hook)) {
		model_may_drop(v, "frontend-source");
		return;
	}
	if (!m->settings.answer_echo || !model_stands_for(m, &x->dst, hook) ||
	    model_impossible(&t) || (!is_leaving(hook) && model_is_local(m, &x->src))) {
		model_may(v, PASSES);
	} else if (!model_is_local(m, &x->src) &&
		   (model_is_cluster_ip(m, &x->src) || model_is_external(m, &x->src))) {
		model_may_drop(v, "frontend-source"); /* two would answer each other for ever */
	} else {
		o = model_may(v, IS_ANSWERED);
		o->made = o->echo = true;
		answer_echo(frame, x, &v->made);
	}
}

/* The flow that has this tuple, and whether it is the one of its replies. */
static struct model_flow *flow_of(struct model *m, const struct message *x, bool *ret_reply)
{
	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &m->flow[i];
		struct model_tuple back;

		if (!f->live || f->family != (x->v6 ? FL_IPV6 : FL_IPV4) || f->proto != x->proto ||
		    model_is_over(m, f))
			continue;
		back = model_mirror(&f->inner);
		*ret_reply = !f->tunnelled && model_same(&back, &x->t);
		if (*ret_reply || model_same(&f->asked, &x->t))
			return f;
	}
	return NULL;
}

/* RFC 1122, 3.2.2: no error about an error. */
static void answer_nothing(struct model_verdicts *v)
{
	for (int i = 0; i < v->n; i++)
		if (v->v[i].verdict == IS_ANSWERED)
			v->v[i].verdict = IS_DROPPED;
}

/* What counts of it when it is sent on. */
static void prepare(struct model_verdicts *v, const struct message *x)
{
	v->packet.family = x->v6 ? FL_IPV6 : FL_IPV4;
	v->packet.proto = x->v6 ? 58 : 1;
	v->packet.t = (struct model_tuple){x->src, x->dst, 0, 0};
	v->packet.flags = 0;
	v->packet.ttl = x->ttl;
	v->packet.ip_len = x->ip_len;
	v->packet.df = true; /* no piece of an error is of use to anybody */
}

/* Sent on it would come back, since the address is nobody's. */
static void judge_stray(struct model *m, enum model_hook hook, const struct message *x,
			struct model_verdicts *v)
{
	if (!is_leaving(hook) && model_stands_for(m, &x->dst, hook))
		model_may_drop(v, "no-flow");
	else
		model_may(v, PASSES);
}

/* About the answer of a backend that the table leads to, of a connection that another node has
 * forwarded. */
static void judge_by_table(struct model *m, enum model_hook hook, const struct message *x,
			   struct model_verdicts *v)
{
	enum model_kind kind;
	const int port = model_find(m, &x->t.dst, x->t.dport, x->proto, &kind);
	struct model_side side;

	if ((hook != MEETS_XDP && hook != MEETS_TC) || !x->quotes || port < 0 ||
	    kind == KIND_NODE_PORT || !m->port[port].dsr) {
		judge_stray(m, hook, x, v);
		return;
	}
	side = model_side_of(&m->port[port], kind, false);
	if (!side.n)
		judge_stray(m, hook, x, v);
	v->port = port;
	v->by_table = true;
	v->by_proto = x->proto;
	v->by = x->t;
	for (int i = 0; i < side.n; i++) {
		const struct model_endpoint *b = side.list[i];
		const struct model_tuple to = {x->src, b->ip, 0, b->port};
		const struct fl_ip by = model_outer_to(m, &b->ip);
		struct model_outcome *o = NULL;

		if (b->on_node || fl_ip_is_unspecified(&by) || m->way(m->way_arg, &by).none)
			judge_stray(m, hook, x, v);
		else
			o = model_send_wrapped(m, v, hook == MEETS_XDP, &to);
		/* what else may become of it does not say which one it was */
		if (o)
			o->backend = b->ip;
	}
	answer_nothing(v);
}

static void judge_error(struct model *m, enum model_hook hook, const struct message *x,
			const struct model_frame *frame, struct model_verdicts *v)
{
	const struct model_tuple ends = {x->src, x->dst, 0, 0};
	bool reply = false, stack;
	struct model_flow *f = x->quotes ? flow_of(m, x, &reply) : NULL;
	struct model_outcome *o;
	struct model_tuple to;

	if (!is_leaving(hook) && model_from_itself(m, &ends, hook)) {
		model_may_drop(v, "frontend-source");
		return;
	}
	if (!is_leaving(hook) && (model_impossible(&ends) || model_is_local(m, &x->src))) {
		model_may(v, PASSES);
		return;
	}
	prepare(v, x);
	if (!f) {
		judge_by_table(m, hook, x, v);
		return;
	}
	if (is_leaving(hook) ? !reply || f->masqueraded
			     : reply && model_translated_later(f, hook)) {
		model_may(v, PASSES);
		return;
	}
	if (f->tunnelled) {
		model_send_to_backend(m, v, f, hook == MEETS_XDP);
		answer_nothing(v);
		return;
	}
	to = reply ? model_mirror(&f->asked) : f->inner;
	stack = is_leaving(hook) || (reply ? !f->forwards_reply : f->to_stack);
	translate(frame, x, &to, !stack, &v->made);
	if (stack) {
		o = model_may(v, PASSES);
		o->made = o->error = true;
		o->to = to;
		return;
	}
	o = model_send_on(m, v, hook == MEETS_XDP, &to);
	if (o)
		o->made = o->error = true;
	answer_nothing(v);
}

bool model_is_icmp_error(const struct model_frame *frame, struct fl_ip *ret_dst)
{
	struct message x;

	if (!parse(frame, &x) || !x.error)
		return false;
	*ret_dst = x.dst;
	return true;
}

void model_judge_icmp_for(struct model *m, enum model_hook hook, const struct fl_ip *pod,
			  const struct model_frame *frame, struct model_verdicts *v)
{
	struct message x;

	parse(frame, &x);
	judge_error(m, hook, &x, frame, v);
	for (int i = 0; i < v->n; i++) {
		struct model_outcome *o = &v->v[i];

		if (o->verdict == IS_DROPPED ||
		    (o->verdict == PASSES && o->made && fl_ip_equal(&o->to.dst, pod)))
			continue;
		*o = (struct model_outcome){.verdict = IS_DROPPED, .reason = "tunnel-frontend"};
	}
}

bool model_judge_icmp(struct model *m, enum model_hook hook, const struct model_frame *frame,
		      struct model_verdicts *v)
{
	struct message x;

	if (!parse(frame, &x))
		return false;
	if (x.error)
		judge_error(m, hook, &x, frame, v);
	else if (x.echo)
		judge_echo(m, hook, &x, frame, v);
	else
		model_may(v, PASSES);
	return true;
}
