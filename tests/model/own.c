// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A frontend claims only flows that begin with it (ARCHITECTURE.md, "The slow path"): a datagram
 * that the node sends from a frontend's address and port begins one of its own, whose answers pass
 * for as long as a flow of UDP lasts.
 */
#include "tests/model/model.h"

static struct model_own *own_of(struct model *m, const struct model_tuple *answer)
{
	for (int i = 0; i < m->n_own; i++)
		if (model_same(&m->own[i].answer, answer))
			return &m->own[i];
	return NULL;
}

static bool is_over(const struct model *m, const struct model_own *own)
{
	return m->now_ms - own->seen_ms > m->timeout_s[TIMEOUT_UDP] * 1000LL;
}

bool model_own_answers(struct model *m, const struct model_packet *p)
{
	struct model_own *own = p->proto == 17 ? own_of(m, &p->t) : NULL;

	if (!own || is_over(m, own))
		return false;
	own->seen_ms = m->now_ms;
	return true;
}

/* A flow of that client, as long as it lasts, has the datagram for itself: what leaves may be its
 * backend's answer, which another hook has translated. */
static bool is_of_a_flow(const struct model *m, const struct model_tuple *answer)
{
	const struct model_tuple mirrored = model_mirror(answer);

	for (int i = 0; i < MODEL_FLOWS; i++) {
		const struct model_flow *f = &m->flow[i];

		if (f->live && f->proto == 17 && !model_is_over(m, f) &&
		    (model_same(&f->asked, answer) ||
		     (!f->tunnelled && model_same(&f->inner, &mirrored))))
			return true;
	}
	return false;
}

void model_note_own(struct model *m, const struct model_packet *p)
{
	enum model_kind kind;
	const struct model_tuple answer = model_mirror(&p->t);
	struct model_own *own;

	if (p->proto != 17 || !model_is_local(m, &p->t.src) ||
	    model_find(m, &p->t.src, p->t.sport, 17, &kind) < 0 || is_of_a_flow(m, &answer))
		return;
	own = own_of(m, &answer);
	if (!own && m->n_own < MODEL_OWN)
		own = &m->own[m->n_own++];
	if (own)
		*own = (struct model_own){answer, m->now_ms};
}
