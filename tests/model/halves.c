// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Flows that have lost one of their two entries, as newcomers take one in a table that is full. The
 * next packet of the other direction makes an open flow whole again, and ends one that is not; what
 * else may happen before it is left to tests/schedules.
 */
#include <string.h>

#include "tests/model/run.h"

bool model_is_open(const struct model_flow *f)
{
	return f->state == STATE_ESTABLISHED || f->state == STATE_HALF_CLOSED;
}

/* What the other entry says is all that is known of the lost one's end. */
void model_mend(struct model_flow *f, bool reply)
{
	f->half = false;
	f->packets[!reply] = 0;
	if (!reply)
		f->mss = 0;
	for (int i = 0; i < f->n_memories; i++) {
		struct model_end *own = reply ? &f->memory[i].backend : &f->memory[i].client;
		struct model_end *other = reply ? &f->memory[i].client : &f->memory[i].backend;

		*other = (struct model_end){
			.sent = own->acked,
			.acked = own->sent,
			.fin = f->memory[i].state == STATE_HALF_CLOSED && !own->fin,
		};
	}
}

/* The one that is left was seen last, so that the flow lasts as long as it did. */
static bool may_lose(const struct run *r, const struct model_flow *f, bool original)
{
	const struct place *at = &r->place[f - r->m.flow];
	uint32_t reply_later;

	if (!at->head || !at->reply)
		return false;
	reply_later = at->reply->last_seen - at->head->last_seen;
	return f->live && !f->tunnelled && !f->lost && !f->given_up && f->port >= 0 &&
	       !model_is_over(&r->m, f) && (int32_t)(original ? reply_later : -reply_later) >= 0;
}

static size_t size_of(const struct model_flow *f)
{
	return f->family == FL_IPV4 ? sizeof(struct fl_flow4) : sizeof(struct fl_flow6);
}

bool run_lose_half(struct run *r, struct rng *g, struct half *half)
{
	const int first = (int)rng_below(g, MODEL_FLOWS);
	const bool original = rng_percent(g, 50);

	for (int i = 0; i < MODEL_FLOWS; i++) {
		struct model_flow *f = &r->m.flow[(first + i) % MODEL_FLOWS];
		const struct place *at = &r->place[f - r->m.flow];

		if (!may_lose(r, f, original))
			continue;
		*half = (struct half){.flow = f, .number = f->number, .replies = original};
		half->lost = half->replies ? at->head : at->reply;
		memcpy(&half->kept, half->lost, size_of(f));
		plane_forget_entry(half->lost);
		f->half = true;
		if (r->trace)
			fprintf(r->trace, "# %d: flow %u loses its %s\n", r->step, f->number,
				half->replies ? "original" : "reply");
		return true;
	}
	return false;
}

bool run_is_of_half(struct run *r, const struct half *half, const struct step *step)
{
	struct model_flow *asked, *reply;
	struct model_packet p;

	if (!model_parse(&step->frame, &p) || p.odd || p.fragment)
		return false;
	model_find_flows(&r->m, &p, &asked, &reply);
	return half->replies ? reply == half->flow && !asked : asked == half->flow;
}

void run_end_half(struct run *r, const struct half *half)
{
	struct model_flow *f = half->flow;

	if (!f->live || f->number != half->number || !f->half)
		return;
	memcpy(half->lost, &half->kept, size_of(f));
	f->half = false;
	if (r->trace)
		fprintf(r->trace, "# %d: and has it again\n", r->step);
}
