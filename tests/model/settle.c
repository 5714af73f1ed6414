// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What was chosen: it is held to the rules, and remembered. */
#include "tests/model/model.h"

static bool gives_way(const struct model *m, const struct model_flow *f)
{
	return model_is_over(m, f) || (f->state <= STATE_REPLIED && m->now_ms - f->seen_ms >= 3000);
}

static bool may_use(const struct model *m, uint16_t port)
{
	for (int i = 0; i < 4; i++)
		if (port >= m->settings.ports[i].first &&
		    port - m->settings.ports[i].first < m->settings.ports[i].count)
			return true;
	return false;
}

/* A socket of the node would get what is for its port. */
static bool is_bound(const struct model *m, uint16_t port)
{
	for (int i = 0; i < m->settings.n_bound; i++)
		if (m->settings.bound[i] == port)
			return true;
	return false;
}

static void note_record(struct model *m, const struct model_verdicts *v,
			const struct model_outcome *o)
{
	const bool unsure = fl_ip_is_unspecified(&o->backend) || (o->unsure && !o->begins);
	struct model_record *r = (struct model_record *)model_record_of(m, &v->client, v->port);

	for (int i = 0; !r && i < MODEL_RECORDS; i++)
		if (!m->record[i].live)
			r = &m->record[i];
	if (!r)
		r = &m->record[0];
	*r = (struct model_record){.live = true,
				   .unsure = unsure,
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
	struct model_flow *f = o->wrapped ? NULL : model_holder(m, p, inner);
	bool kept = inner->sport == p->t.sport;

	if (f && !gives_way(m, f))
		return "the source port is another flow's at that backend";
	if (f) {
		m->evicted += !model_is_over(m, f);
		model_remove(f);
	}
	if (!o->masqueraded && !o->any_port && !kept)
		return "the source port of a client that keeps its address was changed";
	if ((o->masqueraded || !kept) && !may_use(m, inner->sport))
		return "the source port is none of those for masquerading";
	if (o->masqueraded && is_bound(m, inner->sport))
		return "a socket of the node has the source port";
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
		.to_stack = !o->masqueraded && !o->wrapped,
		.reply_leaves_here = o->backend_local && !o->masqueraded,
		.forwards_reply = o->masqueraded || (v->own_frontend && !o->backend_local),
		.comes_from_pod = o->masqueraded &&
				  !m->device[m->way(m->way_arg, &inner->dst).device].external,
		.tunnelled = o->wrapped,
		.direct = v->direct,
		.state = STATE_NEW,
		.began_ms = m->now_ms,
		.seen_ms = m->now_ms,
		.elsewhere = v->elsewhere,
		.mss = v->mss,
		.port = v->port,
		.packets = {1, 0},
		.number = m->flows_made++,
	};
	/* the lowest number that an answer may acknowledge is that of the SYN itself */
	f->n_memories = 1;
	f->memory[0].state = STATE_NEW;
	f->memory[0].client.sent = model_end_of(p);
	f->memory[0].backend.acked = p->seq + 1;
	if (o->wrapped)
		f->memory[0].client.acked = p->ack;
	/* session affinity is each node's own: who has forwarded it has chosen */
	if (v->port >= 0 && m->port[v->port].affinity && !v->encapsulated)
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
	if (o->learns)
		model_learn_path(m, &v->learnt);
	if (o->ends)
		model_remove(v->given_up);
	if (o->closes)
		model_close(v->given_up);
	if (o->begins) {
		if (o->any_port)
			inner.sport = got->t.sport;
		return begin(m, v, o, &inner, ret_flow);
	}
	if (v->by_record && o->wrapped && !o->asked)
		note_record(m, v, o);
	/* a packet is tracked before it is known whether it can be sent on ("A packet's walk") */
	if (v->flow) {
		if (v->flow->half)
			model_mend(v->flow, v->reply);
		if (v->mss && v->flow->state < STATE_ESTABLISHED && o->verdict != LEFT_TO_TC)
			v->flow->mss = v->mss;
		model_track(m, v->flow, v->reply, &v->packet);
		if (!o->unseen)
			v->flow->seen_ms = m->now_ms;
		v->flow->packets[v->reply] += o->verdict != LEFT_TO_TC; /* tc will count it */
		v->flow->uncounted = o->uncounted;
	}
	return NULL;
}
