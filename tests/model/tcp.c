// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The states of a flow (ARCHITECTURE.md, "States" and "Proof"): a connection is proven by
 * acknowledging the other end's initial number and ended by segments that its own end may have
 * sent; all else is forwarded and changes nothing.
 */
#include <string.h>

#include "tests/model/model.h"

/* Sequence numbers go round; which of two comes first is said by their distance. */
static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* low <= x <= high, going round */
static bool between(uint32_t low, uint32_t x, uint32_t high)
{
	return x - low <= high - low;
}

uint32_t model_end_of(const struct model_packet *p)
{
	return p->seq + p->payload + (p->flags & M_SYN ? 1 : 0) + (p->flags & M_FIN ? 1 : 0);
}

#define NEAR 65536

/* Where the last one ended, or within 64 KiB of that with an acknowledgement that goes on by no
 * more than that. */
static bool believed(const struct model_end *own, const struct model_packet *p)
{
	int32_t off = (int32_t)(p->seq - own->sent);

	return !off || (off >= -NEAR && off <= NEAR && p->ack - own->acked <= NEAR);
}

static void go_on(struct model_end *own, const struct model_packet *p)
{
	if (after(model_end_of(p), own->sent))
		own->sent = model_end_of(p);
	if (p->flags & M_ACK && after(p->ack, own->acked))
		own->acked = p->ack;
}

/* Not far from where the client was when it was sent first: at most what a window may be. */
#define WINDOW (64 << 20)

void model_believes(const struct model_flow *f, const struct model_packet *p, bool *ret_may,
		    bool *ret_may_not)
{
	*ret_may = *ret_may_not = false;
	for (int i = 0; i < f->n_memories; i++) {
		const struct model_end *client = &f->memory[i].client;

		if (believed(client, p) ||
		    (client->sent - p->seq <= WINDOW && p->ack - client->acked <= NEAR))
			*ret_may = true;
		else
			*ret_may_not = true;
	}
}

void model_close(struct model_flow *f)
{
	if (f->state != STATE_ESTABLISHED && f->state != STATE_HALF_CLOSED)
		return;
	for (int i = 0; i < f->n_memories; i++)
		f->memory[i].state = STATE_RESET;
	f->state = STATE_RESET;
}

static bool is_proven(enum model_state state)
{
	return state >= STATE_ESTABLISHED;
}

static void track_syn(struct model_memory *f, bool reply, const struct model_packet *p)
{
	if (is_proven(f->state) || p->flags & M_FIN)
		return;
	if (!reply && !(p->flags & M_ACK)) {
		/* the client tries again, perhaps with another number */
		f->client.sent = model_end_of(p);
		f->backend.acked = p->seq + 1;
	} else if (reply && p->flags & M_ACK && between(f->backend.acked, p->ack, f->client.sent)) {
		f->backend.sent = model_end_of(p);
		f->client.acked = p->seq + 1;
		f->state = STATE_REPLIED;
	}
}

static void track_reset(struct model_memory *f, struct model_end *own,
			const struct model_end *other, const struct model_packet *p)
{
	if (!is_proven(f->state))
		return;
	if (after(other->acked, own->sent))
		own->sent = other->acked;
	if (!between(other->acked, p->seq, own->sent))
		return;
	own->rst = true;
	f->state = STATE_RESET;
}

/* `both`: the other direction's memory is looked at as well. */
static void track_tcp(struct model_memory *f, bool reply, bool both, const struct model_packet *p)
{
	struct model_end *own = reply ? &f->backend : &f->client;
	struct model_end *other = reply ? &f->client : &f->backend;
	bool proves;

	if (p->flags & M_RST) {
		track_reset(f, own, other, p);
		return;
	}
	if (p->flags & M_SYN) {
		track_syn(f, reply, p);
		return;
	}
	proves = f->state == STATE_REPLIED && !reply && p->flags & M_ACK &&
		 between(own->acked, p->ack, other->sent);
	if (proves) {
		own->sent = p->seq;
		own->acked = p->ack;
	} else {
		if (!is_proven(f->state) && !reply)
			return;
		if (both && after(other->acked, own->sent))
			own->sent = other->acked;
		if (!believed(own, p))
			return;
	}
	go_on(own, p);
	if (!is_proven(f->state) && !proves)
		return;
	own->fin |= !!(p->flags & M_FIN);
	if (f->state == STATE_RESET) {
		if (!own->rst)
			return;
		own->rst = false; /* it was not its own */
	}
	f->state = own->fin && other->fin   ? STATE_TIME_WAIT
		   : own->fin || other->fin ? STATE_HALF_CLOSED
					    : STATE_ESTABLISHED;
}

/* Whether that need not be so: nothing that this segment says can change the state. */
static bool is_plain(const struct model_memory *f, bool reply, const struct model_packet *p)
{
	const struct model_end *own = reply ? &f->backend : &f->client;
	const struct model_end *other = reply ? &f->client : &f->backend;

	return !(p->flags & (M_SYN | M_FIN | M_RST)) &&
	       (f->state == STATE_ESTABLISHED || f->state == STATE_HALF_CLOSED) &&
	       after(other->acked, own->sent);
}

static bool same_end(const struct model_end *a, const struct model_end *b)
{
	return a->sent == b->sent && a->acked == b->acked && a->fin == b->fin && a->rst == b->rst;
}

/* One memory more, unless it is known. Beyond the last there is a difference, not a doubt. */
static void may_remember(struct model_flow *f, const struct model_memory *memory)
{
	for (int i = 0; i < f->n_memories; i++)
		if (f->memory[i].state == memory->state &&
		    same_end(&f->memory[i].client, &memory->client) &&
		    same_end(&f->memory[i].backend, &memory->backend))
			return;
	if (f->n_memories < MODEL_MEMORIES)
		f->memory[f->n_memories++] = *memory;
}

/* By DSR: what the backend answers is not seen, nor where it begins but by what the client
 * acknowledges. */
static void track_tunnelled(struct model_end *client, const struct model_packet *p)
{
	const bool first = !client->acked;

	if (model_opens(p)) {
		*client = (struct model_end){.sent = model_end_of(p)};
		return;
	}
	if (p->flags & (M_SYN | M_RST) || !believed(client, p))
		return;
	go_on(client, p);
	if (first && p->flags & M_ACK)
		client->acked = p->ack;
}

static void track_memories(struct model_flow *f, bool reply, const struct model_packet *p)
{
	struct model_memory before[MODEL_MEMORIES];
	const int n = f->n_memories;

	memcpy(before, f->memory, sizeof(before));
	f->n_memories = 0;
	for (int i = 0; i < n; i++) {
		struct model_memory one = before[i];

		if (is_plain(&one, reply, p)) {
			track_tcp(&one, reply, false, p);
			may_remember(f, &one);
			one = before[i];
		}
		track_tcp(&one, reply, true, p);
		may_remember(f, &one);
	}
	f->state = f->memory[0].state;
}

bool model_settle_state(struct model_flow *f, enum model_state state)
{
	int n = 0;

	if (f->proto != 6)
		return f->state == state;
	for (int i = 0; i < f->n_memories; i++)
		if (f->memory[i].state == state)
			f->memory[n++] = f->memory[i];
	if (!n)
		return false;
	f->n_memories = n;
	f->state = state;
	return true;
}

void model_track(const struct model *m, struct model_flow *f, bool reply,
		 const struct model_packet *p)
{
	if (p->proto == 6 && f->tunnelled)
		track_tunnelled(&f->memory[0].client, p);
	else if (p->proto == 6)
		track_memories(f, reply, p);
	else if (reply && f->state == STATE_NEW)
		f->state = STATE_REPLIED;
	else if (!reply && f->state == STATE_REPLIED &&
		 m->now_ms - f->began_ms >= MODEL_UDP_PROOF_MS)
		f->state = STATE_ESTABLISHED;
}
