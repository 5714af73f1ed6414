// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What may become of a packet that begins a flow: by the rules of its frontend, or because it is
 * for none. */
#include <string.h>

#include "tests/model/model.h"

/* The source port is another's at that backend, and cannot be taken over. */
struct model_flow *model_holder(struct model *m, const struct model_packet *p,
				const struct model_tuple *inner)
{
	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &m->flow[i];

		if (f->live && !f->tunnelled && f->family == p->family && f->proto == p->proto &&
		    model_same(&f->inner, inner))
			return f;
	}
	return NULL;
}

/* Addresses that a new flow may be masqueraded with, at most `MODEL_POOL`; which of several it
 * gets is for the datapath to say. */
static int sources(const struct model *m, const struct model_way *way, enum fl_family family,
		   struct fl_ip ret_sources[static MODEL_POOL])
{
	const struct model_device *device = way->none ? NULL : &m->device[way->device];

	if (device && device->n_pool[family]) {
		memcpy(ret_sources, device->pool[family], sizeof(device->pool[family]));
		return device->n_pool[family];
	}
	if (!device || device->has_address[family])
		ret_sources[0] = m->device[way->device].address[family];
	else if (m->settings.has_node_address[family])
		ret_sources[0] = m->settings.node_address[family];
	else
		return 0;
	return 1;
}

/* One backend that a new flow may get. */
static void may_get(struct model *m, struct model_verdicts *v, bool xdp,
		    const struct model_endpoint *b, bool masquerade)
{
	const struct model_packet *p = &v->packet;
	struct model_tuple to = {p->t.src, b->ip, p->t.sport, b->port};
	const bool hairpin = fl_ip_equal(&p->t.src, &b->ip);
	const struct model_way way = m->way(m->way_arg, &b->ip);
	struct fl_ip source[MODEL_POOL] = {p->t.src};
	int n = 1;

	if (b->on_node)
		masquerade &= m->settings.masquerade_local;
	else if (masquerade && !way.none)
		masquerade = m->device[way.device].external;
	masquerade |= hairpin;
	if (masquerade)
		n = sources(m, &way, p->family, source);
	if (!n)
		model_may_drop(v, "no-masquerade-address");
	for (int i = 0; i < n; i++) {
		struct model_outcome *o;

		to.src = source[i];
		if (masquerade) {
			o = model_send_on(m, v, xdp, &to);
			if (!o)
				return;
			o->any_port = true;
		} else {
			o = model_may(v, PASSES);
			o->translated = true;
			o->to = to;
			o->any_port = model_holder(m, p, &to);
		}
		o->begins = true;
		o->backend = b->ip;
		o->backend_port = b->port;
		o->backend_local = b->on_node;
		o->masqueraded = masquerade;
		o->source = to.src;
	}
	if (n)
		model_may_drop(v, "no-source-port");
}

/* DSR: the same, and what opens no connection may be of one that another node has forwarded. */
static void may_be_wrapped(struct model *m, struct model_verdicts *v, bool xdp,
			   const struct model_endpoint *b, const struct model_endpoint *here,
			   const struct model_side *side)
{
	const struct model_packet *p = &v->packet;
	const struct model_tuple to = {p->t.src, b->ip, p->t.sport, b->port};
	struct model_outcome *o = model_send_wrapped(m, v, xdp, &to);

	if (!o)
		return;
	/* what ends a connection begins none */
	o->begins = model_begins(p) || !(p->flags & (M_SYN | M_FIN | M_RST));
	o->backend = b->ip;
	o->backend_port = b->port;
	/* the table's choice may have been the pod here, and this the next one that was asked */
	o->unsure = model_may_be_anothers(&m->port[v->port], side, p, &b->ip) ||
		    (here && model_may_be_anothers(&m->port[v->port], side, p, &here->ip));
}

/* It would be known, if it were for a pod of this node. */
static void may_be_elsewhere(const struct model *m, struct model_verdicts *v, bool xdp,
			     const struct model_endpoint *b, const struct model_side *side)
{
	const struct model_port *port = &m->port[v->port];
	const bool pod =
		m->settings.detector &&
		fl_prefix_contains(&m->settings.pod_cidr[v->packet.family], &v->packet.t.src);

	model_may_drop(v, "no-flow");
	if (!pod && model_may_be_anothers(port, side, &v->packet, &b->ip))
		model_may_be_asked(m, v, xdp, port, &b->ip);
}

const struct model_record *model_record_of(const struct model *m, const struct fl_ip *client,
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
	const struct model_record *r = p->affinity ? model_record_of(m, client, port) : NULL;

	if (!r || r->unsure || m->now_ms - r->last_ms >= p->affinity_s * 1000LL)
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
		model_may_answer(v, "reject-no-endpoint", ANSWER_PORT_UNREACHABLE, 0);
	else if (!side->forward)
		model_may_drop(v, "no-local-endpoint");
	else
		return false;
	return true;
}

/* From a client straight to a backend, from the port of a flow through a frontend: the answers
 * could not be told apart, or the backend still has the connection (RFC 9293, 3.10.7.4). */
static void judge_direct(struct model *m, struct model_verdicts *v)
{
	const struct model_packet *p = &v->packet;
	struct model_flow *f = model_holder(m, p, &p->t);
	struct model_outcome *o;

	if (!f || f->masqueraded || model_is_local(m, &p->t.src) || !model_begins(p)) {
		model_may(v, PASSES);
		return;
	}
	if (model_is_over(m, f) || (p->proto == 6 && f->state != STATE_ESTABLISHED &&
				    f->state != STATE_HALF_CLOSED && f->state != STATE_TIME_WAIT)) {
		model_remove(f);
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

/* From a node port's address and number it is just one of the node's own. */
bool model_from_frontend(const struct model *m, const struct model_packet *p)
{
	enum model_kind kind;

	return (model_find(m, &p->t.src, p->t.sport, p->proto, &kind) >= 0 &&
		kind != KIND_NODE_PORT) ||
	       (m->settings.reject_unknown_port && model_is_cluster_ip(m, &p->t.src));
}

void model_judge_new(struct model *m, struct model_verdicts *v, enum model_hook hook)
{
	const struct model_packet *p = &v->packet;
	enum model_kind kind;
	const int port = model_find(m, &p->t.dst, p->t.dport, p->proto, &kind);
	const bool own = model_is_local(m, &p->t.dst);
	const bool network = hook == MEETS_XDP || hook == MEETS_TC;
	/* 2.22 */
	const bool unknown = port < 0 && m->settings.reject_unknown_port && !own &&
			     model_begins(p) &&
			     (model_is_cluster_ip(m, &p->t.dst) ||
			      (network && model_is_external(m, &p->t.dst))) &&
			     !model_is_local(m, &p->t.src);
	/* an address of this node is no other node's */
	const bool dsr = port >= 0 && network && m->port[port].dsr,
		   takes_over = dsr && !own && !model_begins(p);
	const struct model_endpoint *b, *here = NULL;
	enum model_client client;
	struct model_side side;

	if (model_from_itself(m, &p->t, hook)) {
		model_may_drop(v, "frontend-source");
		return;
	}
	if (model_impossible(&p->t)) {
		model_may(v, PASSES);
		return;
	}
	if (port < 0 && !unknown) {
		judge_direct(m, v);
		return;
	}
	if (model_from_frontend(m, p)) {
		model_may_drop(v, "frontend-source");
		return;
	}
	if (model_own_answers(m, p)) {
		model_may(v, PASSES);
		return;
	}
	if (!model_begins(p) && port >= 0 && !own && !takes_over) {
		model_may_drop(v, "no-flow");
		return;
	}
	if ((!model_begins(p) && !takes_over) || model_is_local(m, &p->t.src)) {
		model_may(v, PASSES);
		return;
	}
	if (unknown) {
		model_may_answer(v, "reject-unknown-port", ANSWER_PORT_UNREACHABLE, 0);
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
	v->by_table = dsr && !m->port[port].affinity;
	v->by_record = dsr && m->port[port].affinity;
	for (int i = 0; i < side.n; i++)
		if (takes_over && (!b || b == side.list[i]) &&
		    !model_is_wrapped(m, &m->port[port], p, side.list[i]))
			here = side.list[i];
	for (int i = 0; i < side.n; i++) {
		if (b && b != side.list[i])
			continue;
		if (dsr && model_is_wrapped(m, &m->port[port], p, side.list[i]))
			may_be_wrapped(m, v, hook == MEETS_XDP, side.list[i], here, &side);
		else if (!takes_over)
			may_get(m, v, hook == MEETS_XDP, side.list[i],
				model_masquerades(m, &m->port[port], kind,
						  class_for(m, client, side.list[i], &p->t.src)));
	}
	/* behind those that are the table's choice and begin something */
	if (here)
		may_be_elsewhere(m, v, hook == MEETS_XDP, here, &side);
}

/* 5.7.4: what leaves untranslated and is for one of our frontends. */
void model_judge_leaving(struct model *m, struct model_verdicts *v)
{
	const struct model_packet *p = &v->packet;
	enum model_kind kind;
	const int port = model_find(m, &p->t.dst, p->t.dport, p->proto, &kind);
	struct model_side side;

	/* a node port is at addresses of this node, for which nothing leaves it */
	if (!model_begins(p) || (port >= 0 && kind == KIND_NODE_PORT)) {
		model_may(v, PASSES);
	} else if (port >= 0) {
		side = model_side_of(&m->port[port], kind, true);
		if (!refuse(v, &m->port[port], kind, &side))
			model_may(v, PASSES);
	} else if (m->settings.reject_unknown_port && model_is_cluster_ip(m, &p->t.dst) &&
		   !model_is_local(m, &p->t.dst)) {
		model_may_answer(v, "reject-unknown-port", ANSWER_PORT_UNREACHABLE, 0);
	} else {
		model_may(v, PASSES);
	}
}
