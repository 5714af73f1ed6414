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

static void may_answer(struct model_verdicts *v, const char *reason, enum model_answer answer,
		       uint32_t mtu)
{
	struct model_outcome *o = model_may(v, IS_ANSWERED);

	o->reason = reason;
	o->answer = answer;
	o->mtu = mtu;
}

struct model_outcome *model_send_on(const struct model *m, struct model_verdicts *v, bool xdp,
				    const struct model_tuple *to)
{
	const struct model_way way = m->way(m->way_arg, &to->dst);
	const struct model_packet *p = &v->packet;
	bool too_big, tc;
	struct model_outcome *o;

	if (p->ttl <= 1)
		may_answer(v, "ttl-exceeded", ANSWER_TTL_EXCEEDED, 0);
	if (way.none) {
		model_may_drop(v, "no-route");
		return NULL;
	}
	too_big = m->settings.check_mtu && p->ip_len > way.mtu;
	tc = way.unknown || !m->device[way.device].xdp_may_send || (too_big && !p->df);
	if (too_big && p->df)
		may_answer(v, "too-big", ANSWER_TOO_BIG, way.mtu);
	if (xdp && tc) {
		model_may(v, LEFT_TO_TC);
		return NULL;
	}
	if (p->ttl <= 1 || (too_big && p->df))
		return NULL;
	o = model_may(v, SENT_OUT);
	o->translated = o->forward = true;
	o->to = *to;
	o->device = way.device;
	o->any_mac = way.unknown;
	memcpy(o->mac, way.mac, 6);
	return o;
}

static void remove_flow(struct model_flow *f)
{
	f->live = false;
}

/* 7.3, 7.7: datagrams leave a backend that does not serve, as those of a deleted Service do */
static bool backend_lost(const struct model *m, const struct model_flow *f)
{
	return f->proto == 17 && f->port >= 0 &&
	       !model_serves(&m->port[f->port], &f->inner.dst, f->inner.dport);
}

static bool opens(const struct model_packet *p)
{
	return p->proto == 17 || model_opens(p);
}

/* False: it is over, and the packet begins another, if it can. */
static bool judge_request(struct model *m, struct model_verdicts *v, struct model_flow *f, bool xdp)
{
	if (model_is_over(m, f)) {
		remove_flow(f);
		return false;
	}
	if (f->proto == 6 && f->state >= STATE_TIME_WAIT && model_opens(&v->packet)) {
		remove_flow(f);
		v->restarted = 1;
		return false;
	}
	if (backend_lost(m, f)) {
		remove_flow(f);
		v->resteered = 1;
		return false;
	}
	v->flow = f;
	if (f->to_stack) {
		struct model_outcome *o = model_may(v, PASSES);

		o->translated = true;
		o->to = f->inner;
		return true;
	}
	model_send_on(m, v, xdp, &f->inner);
	return true;
}

static bool judge_reply(struct model *m, struct model_verdicts *v, struct model_flow *f, bool xdp)
{
	const struct model_tuple to = model_mirror(&f->asked);
	struct model_outcome *o;

	if (model_is_over(m, f)) {
		remove_flow(f);
		return false;
	}
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
		remove_flow(f);
		return false;
	}
	v->flow = f;
	v->reply = true;
	o = model_may(v, PASSES);
	o->translated = true;
	o->to = model_mirror(&f->asked);
	return true;
}

bool model_impossible(const struct model_tuple *t)
{
	const struct fl_ip *ip = &t->src;

	return fl_ip_is_unspecified(ip) || fl_ip_is_loopback(ip) || fl_ip_is_link_local(ip) ||
	       fl_ip_is_multicast(ip) || fl_ip_equal(ip, &t->dst);
}

/* The source port is another's at that backend, and cannot be taken over. */
static struct model_flow *holder(struct model *m, const struct model_packet *p,
				 const struct model_tuple *inner)
{
	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &m->flow[i];

		if (f->live && f->family == p->family && f->proto == p->proto &&
		    model_same(&f->inner, inner))
			return f;
	}
	return NULL;
}

static bool gives_way(const struct model *m, const struct model_flow *f)
{
	return model_is_over(m, f) || (f->state <= STATE_REPLIED && m->now_ms - f->seen_ms >= 3000);
}

/* One backend that a new flow may get. */
static void may_get(struct model *m, struct model_verdicts *v, bool xdp,
		    const struct model_endpoint *b, bool masquerade)
{
	const struct model_packet *p = &v->packet;
	struct model_tuple to = {p->t.src, b->ip, p->t.sport, b->port};
	const bool hairpin = fl_ip_equal(&p->t.src, &b->ip);
	const struct model_way way = m->way(m->way_arg, &b->ip);
	const enum fl_family v6 = p->family;
	struct model_outcome *o;

	if (b->on_node)
		masquerade &= m->settings.masquerade_local;
	else if (masquerade && !way.none)
		masquerade = m->device[way.device].external;
	masquerade |= hairpin;
	if (masquerade) {
		if (way.none || m->device[way.device].has_address[v6])
			to.src = m->device[way.device].address[v6];
		else if (m->settings.has_node_address[v6])
			to.src = m->settings.node_address[v6];
		else {
			model_may_drop(v, "no-masquerade-address");
			return;
		}
		o = model_send_on(m, v, xdp, &to);
		if (!o)
			return;
		o->any_port = true;
	} else {
		const struct model_flow *f = holder(m, p, &to);

		o = model_may(v, PASSES);
		o->translated = true;
		o->to = to;
		o->any_port = f;
	}
	model_may_drop(v, "no-source-port");
	o->begins = true;
	o->backend = b->ip;
	o->backend_port = b->port;
	o->backend_local = b->on_node;
	o->masqueraded = masquerade;
	o->source = to.src;
}

static const struct model_record *record_of(const struct model *m, const struct fl_ip *client,
					    int port)
{
	for (int i = 0; i < MODEL_RECORDS; i++)
		if (m->record[i].live && m->record[i].port == port &&
		    fl_ip_equal(&m->record[i].client, client))
			return &m->record[i];
	return NULL;
}

/* 5.5: the record counts if it is young enough and its endpoint in the list in force. */
static const struct model_endpoint *sticky(const struct model *m, const struct model_side *side,
					   const struct fl_ip *client, int port)
{
	const struct model_port *p = &m->port[port];
	const struct model_record *r = p->affinity ? record_of(m, client, port) : NULL;

	if (!r || m->now_ms - r->last_ms >= p->affinity_s * 1000LL)
		return NULL;
	for (int i = 0; i < side->n; i++)
		if (side->list[i]->port == r->backend_port &&
		    fl_ip_equal(&side->list[i]->ip, &r->backend))
			return side->list[i];
	return NULL;
}

static enum model_client client_of(const struct model *m, enum model_hook hook,
				   const struct fl_ip *ip)
{
	const enum fl_family family = fl_ip_family(ip);

	if (hook == MEETS_POD_IN && m->settings.pod_by_device)
		return CLIENT_POD;
	/* 5.3.6: over the network comes no pod of this node */
	if (hook == MEETS_POD_IN && m->settings.detector &&
	    fl_prefix_contains(&m->settings.pod_cidr[family], ip))
		return CLIENT_POD;
	return CLIENT_OUTSIDE;
}

/*
 * A pod of another node is outside, so that what a backend elsewhere answers comes back this way
 * (5.3.6); a backend of this node answers by this node anyhow, and sees the pod's own address
 * (5.3).
 */
static enum model_client class_for(const struct model *m, enum model_client client,
				   const struct model_endpoint *b, const struct fl_ip *ip)
{
	if (b->on_node && m->settings.detector &&
	    fl_prefix_contains(&m->settings.pod_cidr[fl_ip_family(ip)], ip))
		return CLIENT_POD;
	return client;
}

/* The verdict of a frontend, if it is not to forward. */
static bool refuse(struct model_verdicts *v, const struct model_port *port, enum model_kind kind,
		   const struct model_side *side)
{
	if (kind == KIND_LOAD_BALANCER && !model_in_ranges(port, &v->packet.t.src))
		model_may_drop(v, "source-range");
	else if (side->reject)
		may_answer(v, "reject-no-endpoint", ANSWER_PORT_UNREACHABLE, 0);
	else if (!side->forward)
		model_may_drop(v, "no-local-endpoint");
	else
		return false;
	return true;
}

/* From a client straight to a backend, from the port of a flow through a frontend: the answers
 * could not be told apart. */
static void judge_direct(struct model *m, struct model_verdicts *v)
{
	const struct model_packet *p = &v->packet;
	struct model_flow *f = holder(m, p, &p->t);
	struct model_outcome *o;

	if (!f || f->masqueraded || model_is_local(m, &p->t.src) || !opens(p)) {
		model_may(v, PASSES);
		return;
	}
	if (model_is_over(m, f) ||
	    (p->proto == 6 && f->state != STATE_ESTABLISHED && f->state != STATE_HALF_CLOSED)) {
		remove_flow(f);
		v->restarted = p->proto == 6;
		model_may(v, PASSES);
		return;
	}
	o = model_may(v, PASSES);
	o->translated = o->begins = o->any_port = true;
	o->backend = p->t.dst;
	o->backend_port = p->t.dport;
	o->backend_local = f->reply_leaves_here;
	o->source = p->t.src;
	v->direct = true;
}

static void judge_new(struct model *m, struct model_verdicts *v, enum model_hook hook)
{
	const struct model_packet *p = &v->packet;
	enum model_kind kind, source_kind;
	const int port = model_find(m, &p->t.dst, p->t.dport, p->proto, &kind);
	const bool own = model_is_local(m, &p->t.dst);
	const bool network = hook == MEETS_XDP || hook == MEETS_TC;
	/* 2.22 */
	const bool unknown = port < 0 && m->settings.reject_unknown_port && !own && opens(p) &&
			     (model_is_cluster_ip(m, &p->t.dst) ||
			      (network && model_is_external(m, &p->t.dst))) &&
			     !model_is_local(m, &p->t.src);
	const struct model_endpoint *b;
	enum model_client client;
	struct model_side side;

	if (model_impossible(&p->t)) {
		model_may(v, PASSES);
		return;
	}
	if (port < 0 && !unknown) {
		judge_direct(m, v);
		return;
	}
	/* from a node port's address and number it is just one of the node's own */
	if ((model_find(m, &p->t.src, p->t.sport, p->proto, &source_kind) >= 0 &&
	     source_kind != KIND_NODE_PORT) ||
	    (m->settings.reject_unknown_port && model_is_cluster_ip(m, &p->t.src))) {
		model_may_drop(v, "frontend-source"); /* D7 */
		return;
	}
	if (model_own_answers(m, p)) {
		model_may(v, PASSES);
		return;
	}
	if (!opens(p) && port >= 0 && !own) {
		model_may_drop(v, "no-flow");
		return;
	}
	if (!opens(p) || model_is_local(m, &p->t.src)) {
		model_may(v, PASSES);
		return;
	}
	if (unknown) {
		may_answer(v, "reject-unknown-port", ANSWER_PORT_UNREACHABLE, 0);
		return;
	}
	client = client_of(m, hook, &p->t.src);
	side = model_side_of(&m->port[port], kind, client != CLIENT_OUTSIDE);
	if (refuse(v, &m->port[port], kind, &side))
		return;
	v->port = port;
	v->client = p->t.src;
	v->own_frontend = own;
	b = sticky(m, &side, &p->t.src, port);
	for (int i = 0; i < side.n; i++)
		if (!b || b == side.list[i])
			may_get(m, v, hook == MEETS_XDP, side.list[i],
				model_masquerades(m, &m->port[port], kind,
						  class_for(m, client, side.list[i], &p->t.src)));
}

/* 5.7.4: what leaves untranslated and is for one of our frontends. */
static void judge_leaving(struct model *m, struct model_verdicts *v)
{
	const struct model_packet *p = &v->packet;
	enum model_kind kind;
	const int port = model_find(m, &p->t.dst, p->t.dport, p->proto, &kind);
	struct model_side side;

	/* a node port is at addresses of this node, for which nothing leaves it */
	if (!opens(p) || (port >= 0 && kind == KIND_NODE_PORT)) {
		model_may(v, PASSES);
	} else if (port >= 0) {
		side = model_side_of(&m->port[port], kind, true);
		if (!refuse(v, &m->port[port], kind, &side))
			model_may(v, PASSES);
	} else if (m->settings.reject_unknown_port && model_is_cluster_ip(m, &p->t.dst) &&
		   !model_is_local(m, &p->t.dst)) {
		may_answer(v, "reject-unknown-port", ANSWER_PORT_UNREACHABLE, 0);
	} else {
		model_may(v, PASSES);
	}
}

/* Where it reaches the client, not where it begins; and what a backend of this node answers comes
 * from no network (D11). */
bool model_translated_later(const struct model_flow *f, enum model_hook hook)
{
	return f->reply_leaves_here || (hook == MEETS_POD_IN && !f->masqueraded);
}

/* Whether its addresses alone say that it is a Service's, this node's, or a reply. */
static bool odd_concerns(const struct model *m, const struct model_packet *p)
{
	if (model_is_cluster_ip(m, &p->t.dst) || model_is_external(m, &p->t.dst) ||
	    model_is_local(m, &p->t.dst))
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

	if (!p->odd)
		return false;
	if (hook == MEETS_XDP) {
		if (!odd_concerns(m, p))
			model_may(v, PASSES);
		model_may(v, LEFT_TO_TC);
		return true;
	}
	if (v->understood && (hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT ||
			      (!model_impossible(&p->t) && !model_is_local(m, &p->t.src))))
		return false;
	model_may(v, PASSES);
	return true;
}

void model_judge(struct model *m, enum model_hook hook, int device, const struct model_frame *frame,
		 struct model_verdicts *v)
{
	const bool leaving = hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT;
	struct model_flow *asked = NULL, *reply = NULL;

	v->n = 0;
	v->flow = NULL;
	v->reply = v->own_frontend = v->direct = false;
	v->port = -1;
	v->restarted = v->resteered = 0;
	v->understood = model_parse(frame, &v->packet);
	if (!leaving && memcmp(frame->b, m->device[device].mac, 6)) {
		model_may(v, PASSES);
		return;
	}
	if (judge_odd(m, v, hook) || model_judge_icmp(m, hook, frame, v))
		return;
	if (!v->understood) {
		model_may(v, PASSES);
		return;
	}
	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &m->flow[i];
		struct model_tuple back;

		if (!f->live || f->family != v->packet.family || f->proto != v->packet.proto)
			continue;
		back = model_mirror(&f->inner);
		if (model_same(&f->asked, &v->packet.t))
			asked = f;
		else if (model_same(&back, &v->packet.t))
			reply = f;
	}
	if (leaving) {
		/* also one that came in by a device that is not served */
		if (reply && !reply->masqueraded && judge_reply_leaving(m, v, reply))
			return;
		if (asked || reply)
			model_may(v, PASSES);
		else
			judge_leaving(m, v);
		return;
	}
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
	judge_new(m, v, hook);
}

/* What was chosen */

static bool may_use(const struct model *m, uint16_t port)
{
	for (int i = 0; i < 4; i++)
		if (port >= m->settings.ports[i].first &&
		    port - m->settings.ports[i].first < m->settings.ports[i].count)
			return true;
	return false;
}

static void note_record(struct model *m, const struct model_verdicts *v,
			const struct model_outcome *o)
{
	struct model_record *r = (struct model_record *)record_of(m, &v->client, v->port);

	for (int i = 0; !r && i < MODEL_RECORDS; i++)
		if (!m->record[i].live)
			r = &m->record[i];
	if (!r)
		r = &m->record[0];
	*r = (struct model_record){.live = true,
				   .client = v->client,
				   .backend = o->backend,
				   .backend_port = o->backend_port,
				   .port = v->port,
				   .last_ms = m->now_ms};
}

static const char *begin(struct model *m, const struct model_verdicts *v,
			 const struct model_outcome *o, const struct model_tuple *inner,
			 struct model_flow **ret_flow)
{
	const struct model_packet *p = &v->packet;
	struct model_flow *f = holder(m, p, inner);
	bool kept = inner->sport == p->t.sport;

	if (f && !gives_way(m, f))
		return "the source port is another flow's at that backend";
	if (f)
		remove_flow(f);
	if (!o->masqueraded && !o->any_port && !kept)
		return "the source port of a client that keeps its address was changed";
	if ((o->masqueraded || !kept) && !may_use(m, inner->sport))
		return "the source port is none of those for masquerading";
	f = NULL;
	for (int i = 0; i < MODEL_FLOWS && !f; i++)
		if (!m->flow[i].live)
			f = &m->flow[i];
	if (!f)
		return "too many flows for the model";
	*f = (struct model_flow){
		.live = true,
		.family = p->family,
		.proto = p->proto,
		.asked = p->t,
		.inner = *inner,
		.masqueraded = o->masqueraded,
		.to_stack = !o->masqueraded,
		.reply_leaves_here = o->backend_local && !o->masqueraded,
		.forwards_reply = o->masqueraded || (v->own_frontend && !o->backend_local),
		.direct = v->direct,
		.state = STATE_NEW,
		.began_ms = m->now_ms,
		.seen_ms = m->now_ms,
		.port = v->port,
		.packets = {1, 0},
		.number = m->flows_made++,
	};
	/* the lowest number that an answer may acknowledge is that of the SYN itself */
	f->n_memories = 1;
	f->memory[0].state = STATE_NEW;
	f->memory[0].client.sent = p->seq + p->payload + 1;
	f->memory[0].backend.acked = p->seq + 1;
	if (v->port >= 0 && m->port[v->port].affinity)
		note_record(m, v, o);
	*ret_flow = f;
	return NULL;
}

const char *model_settle(struct model *m, const struct model_verdicts *v,
			 const struct model_outcome *o, const struct model_packet *got,
			 struct model_flow **ret_flow)
{
	struct model_tuple inner = o->to;

	*ret_flow = NULL;
	if (o->begins) {
		if (o->any_port)
			inner.sport = got->t.sport;
		return begin(m, v, o, &inner, ret_flow);
	}
	/* a packet is tracked before it is known whether it can be sent on ("A packet's walk") */
	if (v->flow) {
		model_track(m, v->flow, v->reply, &v->packet);
		v->flow->seen_ms = m->now_ms;
		v->flow->packets[v->reply] += o->verdict != LEFT_TO_TC; /* tc will count it */
	}
	return NULL;
}
