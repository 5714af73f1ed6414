// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What has to become of a packet: flows first, then the rules for one that begins a flow. */
#include <string.h>

#include "tests/model/model.h"

bool model_same(const struct model_tuple *a, const struct model_tuple *b)
{
	return a->sport == b->sport && a->dport == b->dport && fl_ip_equal(&a->src, &b->src) &&
	       fl_ip_equal(&a->dst, &b->dst);
}

struct model_tuple model_mirror(const struct model_tuple *t)
{
	return (struct model_tuple){t->dst, t->src, t->dport, t->sport};
}

struct model_outcome *model_may(struct model_verdicts *v, enum model_verdict verdict)
{
	struct model_outcome *o = &v->v[v->n < MODEL_OUTCOMES - 1 ? v->n++ : MODEL_OUTCOMES - 1];

	memset(o, 0, sizeof(*o));
	o->verdict = verdict;
	o->to = v->packet.t;
	return o;
}

void model_may_drop(struct model_verdicts *v, const char *reason)
{
	model_may(v, IS_DROPPED)->reason = reason;
}

void model_may_answer(struct model_verdicts *v, const char *reason, enum model_answer answer,
		      uint32_t mtu)
{
	struct model_outcome *o = model_may(v, IS_ANSWERED);

	o->reason = reason;
	o->answer = answer;
	o->mtu = mtu;
}

/* `by`: where its way leads; `outer`: bytes that come in front of it. */
static struct model_outcome *send_on(const struct model *m, struct model_verdicts *v, bool xdp,
				     const struct model_tuple *to, const struct fl_ip *by,
				     uint32_t outer)
{
	const struct model_way way = m->way(m->way_arg, by);
	const struct model_packet *p = &v->packet;
	bool too_big, tc;
	struct model_outcome *o;

	if (p->ttl <= 1)
		model_may_answer(v, "ttl-exceeded", ANSWER_TTL_EXCEEDED, 0);
	if (way.none) {
		model_may_drop(v, "no-route");
		return NULL;
	}
	too_big = m->settings.check_mtu && p->ip_len + outer > way.mtu;
	tc = way.unknown || !m->device[way.device].xdp_may_send || (too_big && !p->df);
	if (too_big && p->df)
		model_may_answer(v, "too-big", ANSWER_TOO_BIG, way.mtu - outer);
	if (xdp && tc) {
		model_may(v, LEFT_TO_TC);
		return NULL;
	}
	if (p->ttl <= 1 || (too_big && p->df))
		return NULL;
	o = model_may(v, SENT_OUT);
	o->translated = o->forward = true;
	o->xdp = xdp;
	o->divide = too_big ? way.mtu - outer : 0;
	o->to = *to;
	o->device = way.device;
	o->any_mac = way.unknown;
	memcpy(o->mac, way.mac, 6);
	return o;
}

struct model_outcome *model_send_on(const struct model *m, struct model_verdicts *v, bool xdp,
				    const struct model_tuple *to)
{
	return send_on(m, v, xdp, to, &to->dst, 0);
}

/* Nobody knows the way, which is neither counted for its flow nor a sign of life. */
static void may_have_no_route(struct model_verdicts *v)
{
	model_may_drop(v, "no-route");
	v->v[v->n - 1].uncounted = v->v[v->n - 1].unseen = true;
}

struct model_outcome *model_send_wrapped(const struct model *m, struct model_verdicts *v, bool xdp,
					 const struct model_tuple *to)
{
	const uint32_t outer = model_outer_size(v->packet.family, m->settings.geneve);
	const struct fl_ip by = model_outer_to(m, &to->dst);
	struct model_outcome *o;

	if (fl_ip_is_unspecified(&by)) {
		may_have_no_route(v);
		return NULL;
	}
	o = send_on(m, v, xdp, to, &by, outer);
	if (o)
		o->wrapped = true;
	return o;
}

void model_remove(struct model_flow *f)
{
	f->live = false;
}

/* 7.3, 7.7: datagrams leave a backend that does not serve, as those of a deleted Service do; and
 * so does a SYN that goes on by DSR, where the end of the connection before it is not seen */
static bool backend_lost(const struct model_flow *f, const struct model_packet *p)
{
	return f->lost && (f->proto == 17 || (f->tunnelled && model_opens(p)));
}

static bool serves(const struct model *m, const struct model_flow *f)
{
	bool serves = false;

	if (f->proto == 17)
		return f->port < 0 ||
		       model_serves(&m->port[f->port], &f->inner.dst, f->inner.dport);
	for (int i = 0; i < m->n_ports; i++)
		serves |= m->port[i].proto == f->proto &&
			  model_serves(&m->port[i], &f->inner.dst, f->inner.dport);
	return serves;
}

/* What is over needs no reset. */
static bool is_given_up(const struct model *m, const struct model_flow *f, uint32_t service)
{
	const struct model_port *p = f->port < 0 ? NULL : &m->port[f->port];

	return f->proto == 6 && p && p->resets && p->service == service &&
	       f->state < STATE_TIME_WAIT && !model_serves(p, &f->inner.dst, f->inner.dport);
}

void model_notice_lost(struct model *m, uint32_t service)
{
	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &m->flow[i];

		if (!f->live)
			continue;
		f->lost |= !serves(m, f);
		f->given_up |= is_given_up(m, f, service);
	}
}

bool model_gives_up(struct model *m, struct model_verdicts *v, struct model_flow **asked)
{
	struct model_flow *f = *asked;
	struct model_outcome *o;
	bool may, may_not;

	if (!f || !f->given_up)
		return false;
	if (model_opens(&v->packet)) {
		model_remove(f);
		v->restarted = 1;
		*asked = NULL;
		return false;
	}
	v->given_up = f;
	model_believes(f, &v->packet, &may, &may_not);
	if (may_not)
		model_may_drop(v, "no-flow");
	if (!may)
		return true;
	if (v->packet.flags & M_RST) {
		model_may_drop(v, "no-flow");
		v->v[v->n - 1].ends = true;
	} else if (v->encapsulated) {
		model_may_drop(v,
			       "tunnel-frontend"); /* the node that the client writes to tells it */
		v->v[v->n - 1].closes = true;
	} else {
		o = model_may(v, IS_ANSWERED);
		o->reason = "reset-backend-gone";
		o->answer = ANSWER_RESET;
		o->ends = !f->tunnelled;
	}
	return true;
}

bool model_begins(const struct model_packet *p)
{
	return p->proto == 17 || model_opens(p);
}

/* Without one of its entries it is over, unless it is open. */
static bool broken(struct model *m, struct model_flow *f, bool reply)
{
	if (!f->half || model_is_open(f))
		return false;
	m->evicted += !reply && f->state < STATE_ESTABLISHED;
	model_remove(f);
	return true;
}

bool model_goes_on(struct model *m, struct model_verdicts *v, struct model_flow *f)
{
	if (model_is_over(m, f)) {
		model_remove(f);
		return false;
	}
	if (f->proto == 6 && f->state >= STATE_TIME_WAIT && model_opens(&v->packet)) {
		model_remove(f);
		v->restarted = 1;
		return false;
	}
	if (backend_lost(f, &v->packet)) {
		model_remove(f);
		v->resteered = 1;
		return false;
	}
	if (broken(m, f, false))
		return false;
	v->flow = f;
	return true;
}

/* By DSR; which node a backend was on is forgotten some time after it is no backend any more. */
void model_send_to_backend(const struct model *m, struct model_verdicts *v,
			   const struct model_flow *f, bool xdp)
{
	model_send_wrapped(m, v, xdp, &f->inner);
	if (m->settings.geneve && f->lost)
		may_have_no_route(v);
}

static bool judge_request(struct model *m, struct model_verdicts *v, struct model_flow *f, bool xdp)
{
	if (!model_goes_on(m, v, f))
		return false;
	if (f->to_stack) {
		struct model_outcome *o = model_may(v, PASSES);

		o->translated = true;
		o->to = f->inner;
		return true;
	}
	if (f->tunnelled)
		model_send_to_backend(m, v, f, xdp);
	else
		model_send_on(m, v, xdp, &f->inner);
	return true;
}

static bool judge_reply(struct model *m, struct model_verdicts *v, struct model_flow *f, bool xdp)
{
	const struct model_tuple to = model_mirror(&f->asked);
	struct model_outcome *o;

	if (model_is_over(m, f)) {
		model_remove(f);
		return false;
	}
	if (broken(m, f, true))
		return false;
	v->flow = f;
	v->reply = true;
	if (f->forwards_reply) {
		model_send_on(m, v, xdp, &to);
		return true;
	}
	o = model_may(v, PASSES);
	o->translated = true;
	o->to = to;
	return true;
}

static bool judge_reply_leaving(struct model *m, struct model_verdicts *v, struct model_flow *f)
{
	struct model_outcome *o;

	if (model_is_over(m, f)) {
		model_remove(f);
		return false;
	}
	if (broken(m, f, true))
		return false;
	v->flow = f;
	v->reply = true;
	o = model_may(v, PASSES);
	o->translated = true;
	o->to = model_mirror(&f->asked);
	if (v->packet.flags & M_SYN)
		o->mss = f->mss;
	return true;
}

bool model_impossible(const struct model_tuple *t)
{
	const struct fl_ip *ip = &t->src;

	return fl_ip_is_unspecified(ip) || fl_ip_is_loopback(ip) || fl_ip_is_link_local(ip) ||
	       fl_ip_is_multicast(ip) || fl_ip_equal(ip, &t->dst);
}

/* Where it reaches the client, not where it begins, unless it is masqueraded; and what a backend of
 * this node answers comes from no network, what another one does from no pod (D11). */
bool model_translated_later(const struct model_flow *f, enum model_hook hook)
{
	if (f->masqueraded)
		return (hook == MEETS_POD_IN) != f->comes_from_pod;
	return f->reply_leaves_here || hook == MEETS_POD_IN;
}

/* Whether its addresses alone say that it is a Service's, this node's, or a reply. */
static bool odd_concerns(const struct model *m, const struct model_packet *p, bool leaving)
{
	if (model_is_cluster_ip(m, &p->t.dst) || model_is_external(m, &p->t.dst) ||
	    (!leaving && model_is_local(m, &p->t.dst)))
		return true;
	for (int i = 0; i < MODEL_FLOWS; i++)
		if (m->flow[i].live && fl_ip_equal(&m->flow[i].inner.dst, &p->t.src))
			return true;
	return false;
}

/* Fragments, options and extension headers: XDP leaves them to tc, which takes them apart. True:
 * nothing else happens here. */
static bool judge_odd(struct model *m, struct model_verdicts *v, enum model_hook hook)
{
	const struct model_packet *p = &v->packet;
	const bool leaving = hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT;

	if (!p->odd)
		return false;
	if (hook == MEETS_XDP) {
		/* and an IPv4 address in an IPv6 header is nobody's: tc will let that pass */
		if (!odd_concerns(m, p, false) || fl_ip_family(&p->t.src) != p->family ||
		    fl_ip_family(&p->t.dst) != p->family)
			model_may(v, PASSES);
		model_may(v, LEFT_TO_TC);
		return true;
	}
	if (p->fragment)
		return model_judge_fragment(m, v, hook, odd_concerns(m, p, leaving));
	if (v->understood &&
	    (leaving || (!model_impossible(&p->t) && !model_is_local(m, &p->t.src))))
		return false;
	model_may(v, PASSES);
	return true;
}

void model_find_flows(struct model *m, const struct model_packet *p, struct model_flow **ret_asked,
		      struct model_flow **ret_reply)
{
	*ret_asked = *ret_reply = NULL;
	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &m->flow[i];
		struct model_tuple back;

		if (!f->live || f->family != p->family || f->proto != p->proto)
			continue;
		back = model_mirror(&f->inner);
		if (model_same(&f->asked, &p->t))
			*ret_asked = f;
		else if (!f->tunnelled && model_same(&back, &p->t))
			*ret_reply = f;
	}
}

/* A packet of TCP or UDP that has its ports. */
static void judge_flow_packet(struct model *m, enum model_hook hook, struct model_verdicts *v)
{
	const bool leaving = hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT;
	struct model_flow *asked, *reply;

	model_find_flows(m, &v->packet, &asked, &reply);
	/* what has no outer header and is for another node is that node's */
	if (asked && asked->elsewhere)
		asked = NULL;
	if (leaving) {
		/* also one that came in by a device that is not served */
		if (reply && !reply->masqueraded && judge_reply_leaving(m, v, reply))
			return;
		if (asked || reply)
			model_may(v, PASSES);
		else
			model_judge_leaving(m, v);
		return;
	}
	if (model_gives_up(m, v, &asked))
		return;
	if (asked && judge_request(m, v, asked, hook == MEETS_XDP))
		return;
	if (reply && !asked) {
		if (model_translated_later(reply, hook)) {
			model_may(v, PASSES);
			return;
		}
		if (judge_reply(m, v, reply, hook == MEETS_XDP))
			return;
		/* nobody answers it any more; it opens nothing either */
		model_may(v, PASSES);
		return;
	}
	model_judge_new(m, v, hook);
}

void model_judge(struct model *m, enum model_hook hook, int device, const struct model_frame *frame,
		 struct model_verdicts *v)
{
	const bool leaving = hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT;

	v->n = 0;
	v->flow = v->given_up = NULL;
	v->reply = v->own_frontend = v->direct = false;
	v->port = -1;
	v->by_table = v->by_record = false;
	v->by_proto = 0;
	v->restarted = v->resteered = 0;
	v->part = PART_NONE;
	v->datagram = NULL;
	v->encapsulated = v->elsewhere = false;
	v->mss = 0;
	v->understood = model_parse(frame, &v->packet);
	if (!leaving && memcmp(frame->b, m->device[device].mac, 6)) {
		model_may(v, PASSES);
		return;
	}
	if (model_judge_encapsulated(m, v, hook, device, frame) || judge_odd(m, v, hook) ||
	    model_judge_tunnel_error(m, hook, frame, v) || model_judge_icmp(m, hook, frame, v))
		return;
	if (!v->understood) {
		model_may(v, PASSES);
		return;
	}
	judge_flow_packet(m, hook, v);
	model_judged_fragment(m, v);
}
