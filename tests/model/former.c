// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Direct server return: a segment of no flow may be of a connection that began under another table
 * (docs/edge.md). Which backend a table has is free, so it may be any that the list has had; its
 * node knows, and the others send the segment on, each with a TTL that is one step less.
 */
#include "tests/model/model.h"

#define FIRST_TTL 64
#define STEP 16

void model_note_list(struct model_port *port)
{
	struct model_port all = *port;
	struct model_side side;

	all.internal_local = false;
	side = model_side_of(&all, KIND_CLUSTER_IP, false);
	for (int i = 0; i < side.n; i++) {
		bool known = false;

		for (int j = 0; j < port->n_ever; j++)
			known |= fl_ip_equal(&port->ever[j].ip, &side.list[i]->ip) &&
				 port->ever[j].port == side.list[i]->port;
		if (!known && port->n_ever < MODEL_EVER)
			port->ever[port->n_ever++] = *side.list[i];
	}
}

bool model_may_be_older(const struct model_port *port, const struct model_side *side,
			const struct model_packet *p)
{
	return port->dsr && !side->local && p->proto == 6 && !(p->flags & M_SYN);
}

static bool may_have_it(const struct model_packet *p, const struct model_endpoint *e,
			const struct fl_ip *but)
{
	return !fl_ip_equal(&e->ip, but) && !e->on_node && !fl_ip_equal(&e->ip, &p->t.src);
}

bool model_may_be_anothers(const struct model_port *port, const struct model_side *side,
			   const struct model_packet *p, const struct fl_ip *backend)
{
	/* a client's record is this node's own: elsewhere the table has chosen */
	if ((!port->changed && !port->affinity) || !model_may_be_older(port, side, p))
		return false;
	for (int i = 0; i < port->n_ever; i++)
		if (may_have_it(p, &port->ever[i], backend))
			return true;
	return false;
}

void model_may_be_asked(const struct model *m, struct model_verdicts *v, bool xdp,
			const struct model_port *port, const struct fl_ip *but)
{
	for (int i = 0; i < port->n_ever; i++) {
		const struct model_endpoint *e = &port->ever[i];
		const struct model_tuple to = {v->packet.t.src, e->ip, v->packet.t.sport, e->port};
		struct model_outcome *o;

		if (!may_have_it(&v->packet, e, but))
			continue;
		o = model_send_wrapped(m, v, xdp, &to);
		if (!o)
			continue;
		o->unsure = o->asked = true;
	}
}

uint8_t model_outer_ttl(uint8_t came)
{
	const int most = FIRST_TTL - STEP, steps = (came + STEP - 1) / STEP - 1;

	return (uint8_t)(steps <= 0 ? 0 : steps * STEP < most ? steps * STEP : most);
}
