// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Fragments follow the first one of their datagram (robustness D3; ARCHITECTURE.md, "Odd packets"):
 * those before it wait for it, each byte is taken once, and what makes no sense is refused.
 */
#include "tests/model/fragments.h"

#include <string.h>

#include "tests/model/wire.h"

#define ETHER 14
#define LIVES_MS 5000

void model_fragments_clear(struct model_fragments *f)
{
	for (uint32_t i = 0; i <= f->turn && i < MODEL_PLACES; i++)
		f->place[i].live = false;
	f->n = f->n_besides = 0;
	f->turn = 0;
	f->alone = f->refused = f->too_big = f->translated = 0;
}

/* Bytes */

static void bytes_add(struct model_bytes *b, uint32_t at, uint32_t size)
{
	for (uint32_t i = at / 8; i < (at + size + 7) / 8; i++)
		b->word[i / 64] |= 1ULL << i % 64;
}

static bool bytes_have(const struct model_bytes *b, uint32_t at, uint32_t size)
{
	for (uint32_t i = at / 8; i < (at + size + 7) / 8; i++)
		if (b->word[i / 64] >> i % 64 & 1)
			return true;
	return false;
}

static void note(struct model_datagram *d, const struct model_packet *p)
{
	bytes_add(&d->had, p->at, p->size);
	d->seen += p->size;
	d->last |= !p->more;
	if (d->end < p->at + p->size)
		d->end = p->at + p->size;
}

static bool complete(const struct model_datagram *d)
{
	return d->last && d->seen >= d->end;
}

/* A byte comes once, and none behind the last one. */
static bool contradicts(const struct model_datagram *d, const struct model_packet *p)
{
	const uint32_t end = p->at + p->size;

	return bytes_have(&d->had, p->at, p->size) || (d->last && (end > d->end || !p->more)) ||
	       (!p->more && end < d->end);
}

/* Datagrams */

static bool is_over(const struct model *m, const struct model_datagram *d)
{
	return m->now_ms - d->since_ms > LIVES_MS;
}

static struct model_datagram *find(const struct model *m, const struct model_packet *p,
				   enum model_fragment_side side)
{
	for (int i = 0; i < m->fragments->n; i++) {
		struct model_datagram *d = &m->fragments->datagram[i];

		if (d->live && d->id == p->id && d->side == side &&
		    d->proto == (p->family == FL_IPV4 ? p->proto : 0) &&
		    fl_ip_equal(&d->src, &p->t.src) && fl_ip_equal(&d->dst, &p->t.dst) &&
		    !is_over(m, d))
			return d;
	}
	return NULL;
}

static struct model_datagram *add(struct model *m, const struct model_packet *p,
				  const struct model_tuple *t, uint32_t id,
				  enum model_fragment_side side)
{
	struct model_fragments *all = m->fragments;
	struct model_datagram *d =
		&all->datagram[all->n < MODEL_DATAGRAMS ? all->n++ : MODEL_DATAGRAMS - 1];

	memset(d, 0, sizeof(*d));
	d->live = true;
	d->src = t->src;
	d->dst = t->dst;
	d->id = id;
	d->proto = p->family == FL_IPV4 ? p->proto : 0;
	d->side = side;
	d->since_ms = m->now_ms;
	return d;
}

bool model_fragments_may_wait(const struct model *m, int64_t ms)
{
	for (int i = 0; i < m->fragments->n; i++) {
		const struct model_datagram *d = &m->fragments->datagram[i];
		const int64_t age = m->now_ms + ms - d->since_ms;

		if (d->live && age > LIVES_MS - 300 && age < LIVES_MS + 300)
			return false;
	}
	return true;
}

/* Judging */

static bool is_leaving(enum model_hook hook)
{
	return hook == MEETS_WAY_OUT || hook == MEETS_POD_OUT;
}

static enum model_fragment_side side_of(const struct model_verdicts *v, enum model_hook hook)
{
	return v->encapsulated ? SIDE_UNPACKED : is_leaving(hook) ? SIDE_LEAVES : SIDE_ARRIVES;
}

bool model_fragment_waits(const struct model *m, const struct model_packet *p, enum model_hook hook)
{
	const struct model_datagram *d = find(m, p, is_leaving(hook) ? SIDE_LEAVES : SIDE_ARRIVES);

	return p->fragment && p->at && (!d || !d->known);
}

bool model_fragment_is_wrapped(const struct model *m, const struct model_packet *p,
			       enum model_hook hook)
{
	const struct model_datagram *d = find(m, p, is_leaving(hook) ? SIDE_LEAVES : SIDE_ARRIVES);

	return p->fragment && p->at && d && d->known && d->way.wrapped;
}

/* What is wrong with a fragment by itself. */
static const char *fault(const struct model_packet *p)
{
	/* RFC 791: all but the last one are of eights, and a datagram has 64 KB at most */
	if (!p->size || (p->more && p->size % 8) || p->at + p->size + p->l4 - ETHER > 0xffff)
		return "fragment-malformed";
	/* RFC 3128: it would be laid over the header in the first one */
	if (p->at && p->proto == 6 && p->at < 20)
		return "fragment-tiny";
	return NULL;
}

/* Without a first one, and without a place to wait: dropped only where it is certainly a
 * Service's. */
static void alone(const struct model *m, struct model_verdicts *v, enum model_fragment_side side)
{
	const struct fl_ip *to = &v->packet.t.dst;

	if (side == SIDE_UNPACKED)
		model_may_drop(v, "fragment-alone");
	else if (side == SIDE_ARRIVES && !model_is_local(m, to) &&
		 (model_is_cluster_ip(m, to) || model_is_external(m, to)))
		model_may_drop(v, "fragment-alone");
	else
		model_may(v, PASSES);
}

/* As the first one, but for what each packet has for itself. */
static void follow(struct model *m, struct model_verdicts *v, const struct model_datagram *d)
{
	const int from = v->n;
	struct model_outcome *o;

	if (d->way.verdict == SENT_OUT && d->way.wrapped) {
		model_send_wrapped(m, v, false, &d->way.to);
	} else if (d->way.verdict == SENT_OUT) {
		model_send_on(m, v, false, &d->way.to);
	} else {
		o = model_may(v, d->way.verdict);
		o->translated = d->way.verdict == PASSES && d->way.translated;
		o->to = d->way.to;
		o->reason = d->way.verdict == IS_DROPPED ? "fragment-refused" : NULL;
	}
	for (int i = from; i < v->n; i++) {
		o = &v->v[i];
		o->id = d->new_id;
		/* RFC 1812, 4.3.2.7: no error about a later one; RFC 4443 has no such rule */
		if (o->verdict == IS_ANSWERED && v->packet.family == FL_IPV4)
			o->verdict = IS_DROPPED;
	}
}

/* It is complete, and what comes or goes another way with its name has taken the place. */
static bool may_be_forgotten(const struct model *m, const struct model_datagram *d)
{
	for (int i = 0; complete(d) && i < m->fragments->n; i++) {
		const struct model_datagram *other = &m->fragments->datagram[i];

		if (other->live && other->side != d->side && other->id == d->id &&
		    other->proto == d->proto && fl_ip_equal(&other->src, &d->src) &&
		    fl_ip_equal(&other->dst, &d->dst))
			return true;
	}
	return false;
}

static void judge_later(struct model *m, struct model_verdicts *v, enum model_fragment_side side)
{
	const struct model_packet *p = &v->packet;
	struct model_datagram *d = find(m, p, side);

	if (d && d->known && d->way.verdict == PASSES && !d->way.translated) {
		model_may(v, PASSES)->unheeded = true;
		if (!d->perhaps && !may_be_forgotten(m, d))
			return;
		d = NULL;
	}
	if (d && d->known && complete(d) && contradicts(d, p)) {
		d->live = false; /* another datagram has the number by now */
		d = NULL;
	}
	v->datagram = d;
	v->part = PART_LATER;
	if (d && contradicts(d, p)) {
		model_may_drop(v, "fragment-overlap");
		return;
	}
	if (d && bytes_have(&d->maybe, p->at, p->size)) {
		model_may_drop(v, d->known && complete(d) ? "fragments-held" : "fragment-overlap");
		v->v[v->n - 1].fresh = d->known && complete(d);
	}
	if (d && d->known)
		follow(m, v, d);
	else if (d && d->n_waiters >= MODEL_WAITERS)
		alone(m, v, side);
	else
		model_may_drop(v, "fragments-held");
}

bool model_judge_fragment(struct model *m, struct model_verdicts *v, enum model_hook hook,
			  bool concerns)
{
	const struct model_packet *p = &v->packet;
	const enum model_fragment_side side = side_of(v, hook);
	struct model_datagram *d;
	const char *wrong;

	if (!p->fragment)
		return false;
	/* a bit of the filter may be another address's */
	d = find(m, p, side);
	if (!concerns && (!d || d->perhaps || d->again))
		model_may(v, PASSES)->unheeded = true;
	if (side != SIDE_LEAVES && (model_impossible(&p->t) || model_is_local(m, &p->t.src))) {
		model_may(v, PASSES)->unheeded = true;
		return true;
	}
	wrong = fault(p);
	if (!wrong && !p->at && !p->has_ports)
		wrong = "fragment-tiny";
	if (wrong) {
		model_may_drop(v, wrong);
		return true;
	}
	if (p->at) {
		judge_later(m, v, side);
		return true;
	}
	if (!v->understood) { /* there is no port 0 */
		model_may(v, PASSES)->unheeded = true;
		return true;
	}
	if (d && d->known) {
		if ((d->way.verdict != PASSES || d->way.translated) && !complete(d)) {
			model_may_drop(v, "fragment-overlap");
			return true;
		}
		d->live = false;
		d = NULL;
	}
	v->datagram = d;
	v->part = PART_FIRST;
	return false;
}

void model_judged_fragment(struct model *m, struct model_verdicts *v)
{
	const struct model_packet *p = &v->packet;
	const struct model_datagram *d = v->datagram;
	const bool overlaps = d && contradicts(d, p);
	const int n = v->n;

	(void)m;
	if (v->part != PART_FIRST)
		return;
	for (int i = 0; i < n; i++) {
		struct model_outcome *o = &v->v[i];

		/* RFC 6864: others send from that address, with numbers of their own */
		o->any_id = o->translated && !fl_ip_equal(&o->to.src, &p->t.src);
		o->id = p->id;
		if (o->unheeded || (!overlaps && !(d && bytes_have(&d->maybe, p->at, p->size))))
			continue;
		if (!overlaps && v->n < MODEL_OUTCOMES) {
			v->v[v->n] = *o;
			o = &v->v[v->n++];
		}
		o->verdict = IS_DROPPED;
		o->reason = "fragment-overlap";
		/* nothing shows which one it was that the client's record names */
		if (o->wrapped && !o->begins)
			o->backend = (struct fl_ip){0};
	}
}

/* What was chosen */

static void lose(struct model_fragments *all, int place)
{
	all->place[place % MODEL_PLACES].live = false;
}

/* The next place in turn whose holder waits no more; or else that of one that is lost. */
static int take_place(const struct model *m)
{
	struct model_fragments *all = m->fragments;
	const struct model_waiter *w;

	for (int i = 0; i < MODEL_TURNS; i++) {
		w = &all->place[++all->turn % MODEL_PLACES];
		if (!w->live || !w->of->live || is_over(m, w->of))
			break;
	}
	all->alone += w->live;
	lose(all, (int)(all->turn % MODEL_PLACES));
	return (int)all->turn;
}

/* It waits, or finds 48 waiting already: a place is taken all the same. */
static void wait_there(const struct model *m, struct model_datagram *d,
		       const struct model_packet *p, const struct model_frame *in)
{
	struct model_fragments *all = m->fragments;
	const int turn = take_place(m);
	struct model_waiter *w = &all->place[turn % MODEL_PLACES];

	if (d->n_waiters >= MODEL_WAITERS)
		return;
	d->waiters[d->n_waiters++] = turn;
	w->live = true;
	w->turn = turn;
	w->of = d;
	w->at = p->at;
	w->size = p->size;
	w->more = p->more;
	memcpy(w->bytes, in->b + p->l4, p->size);
}

/* Refused: which of its bytes count as had does not matter any more. */
static bool is_overlap(const struct model_outcome *o)
{
	return o->reason && !strcmp(o->reason, "fragment-overlap");
}

static const char *settle_later(struct model *m, const struct model_verdicts *v,
				const struct model_outcome *o, enum model_fragment_side side,
				const struct model_frame *in, const struct model_frame *out)
{
	const struct model_packet *p = &v->packet;
	struct model_datagram *d = v->datagram, *other = d ? NULL : find(m, p, side);

	if (other)
		other->live = false;
	if (is_overlap(o)) {
		bytes_add(&d->maybe, p->at, p->size);
		return NULL;
	}
	if (d && o->fresh)
		d->live = false;
	if (!d || o->fresh)
		d = add(m, p, &p->t, p->id, side);
	note(d, p);
	if (!d->known)
		wait_there(m, d, p, in);
	else
		m->fragments->translated += o->translated;
	return o->wrapped && o->verdict == SENT_OUT
		       ? model_settle_spread(m, p->family, true, out, &d->spread)
		       : NULL;
}

/* The outer header says how long the packet inside is. */
static void resize_outer(uint8_t *ip, bool v6, uint32_t outer, uint32_t len)
{
	const uint32_t ip_size = v6 ? 40 : 20;

	if (outer > ip_size)
		put16(ip + ip_size + 4, outer - ip_size + len);
	if (v6) {
		put16(ip + 4, outer - ip_size + len);
		return;
	}
	put16(ip + 2, outer + len);
	put16(ip + 10, 0);
	put16(ip + 10, ~model_sum(0, ip, 20));
}

/* A copy of the first one, with other bytes; `outer`: of them in front of it. */
static void send_copy(struct model_fragments *all, const struct model_packet *p, uint32_t outer,
		      const struct model_frame *first, const struct model_waiter *w, uint32_t from,
		      uint32_t size, int device, bool arrives)
{
	const bool v6 = p->family == FL_IPV6, more = w->more || from + size < w->size;
	struct model_besides *b = &all->besides[all->n_besides];
	uint8_t *ip = b->frame.b + ETHER + outer;
	const uint32_t header = p->l4 - ETHER, at = w->at + from;

	if (all->n_besides >= MODEL_BESIDES)
		return;
	all->n_besides++;
	b->device = device;
	b->arrives = arrives;
	b->frame.len = outer + p->l4 + size;
	memcpy(b->frame.b, first->b, outer + p->l4);
	memcpy(b->frame.b + outer + p->l4, w->bytes + from, size);
	if (outer)
		resize_outer(b->frame.b + ETHER, v6, outer, header + size);
	if (v6) {
		put16(ip + 4, header - 40 + size);
		put16(b->frame.b + outer + p->fragment_header + 2, at | more);
		return;
	}
	put16(ip + 2, header + size);
	put16(ip + 6, (get16(ip + 6) & 0x4000) | at / 8 | (more ? 0x2000 : 0));
	put16(ip + 10, 0);
	put16(ip + 10, ~model_sum(0, ip, header));
}

/* What has waited goes the way of the first one, in smaller ones where it is too big. */
static void release(struct model *m, const struct model_packet *p, struct model_datagram *d,
		    const struct model_frame *first, int device, enum model_fragment_side side)
{
	struct model_fragments *all = m->fragments;
	const bool sent_out = d->way.verdict == SENT_OUT,
		   arrives = !sent_out && side != SIDE_LEAVES;
	const uint32_t header = p->l4 - ETHER;
	const struct fl_ip to = d->way.wrapped ? model_outer_to(m, &d->way.to.dst) : d->way.to.dst;
	const struct model_way way = m->way(m->way_arg, &to);
	const uint32_t outer = model_outer_of(m, p->family, &d->way);
	const uint32_t mtu = sent_out && m->settings.check_mtu ? way.mtu - outer : 0xffff;

	for (int i = 0; i < d->n_waiters; i++) {
		struct model_waiter *w = &all->place[d->waiters[i] % MODEL_PLACES];
		uint32_t each = w->size;

		/* another one has its place by now */
		if (!w->live || w->turn != d->waiters[i])
			continue;
		lose(all, d->waiters[i]);
		if (d->way.verdict == IS_DROPPED) {
			all->refused++;
			continue;
		}
		if (header + w->size > mtu) {
			if (p->df) {
				all->too_big++;
				continue;
			}
			each = (mtu - header) & ~7U;
		}
		all->translated += d->way.translated;
		/* without checkMTU the device has it, which takes no more than that */
		if (sent_out && outer + header + each > m->device[d->way.device].mtu)
			continue;
		for (uint32_t at = 0; at < w->size; at += each)
			send_copy(all, p, outer, first, w, at,
				  w->size - at < each ? w->size - at : each,
				  sent_out ? d->way.device : device, arrives);
	}
	d->n_waiters = 0;
}

static uint32_t id_of(const struct model_packet *p, const struct model_frame *f)
{
	return p->family == FL_IPV4 ? get16(f->b + ETHER + 4)
				    : get32(f->b + p->fragment_header + 4);
}

/* RFC 6864: what others send from that address to the same one has other numbers. */
static bool is_taken(const struct model *m, const struct model_packet *p,
		     const struct model_tuple *to, uint32_t id)
{
	for (int i = 0; i < m->fragments->n; i++) {
		const struct model_datagram *d = &m->fragments->datagram[i];

		if (d->known && d->way.any_id && d->new_id == id &&
		    d->proto == (p->family == FL_IPV4 ? p->proto : 0) &&
		    fl_ip_equal(&d->way.to.src, &to->src) && fl_ip_equal(&d->way.to.dst, &to->dst))
			return true;
	}
	return false;
}

static const char *settle_first(struct model *m, const struct model_verdicts *v,
				const struct model_outcome *o, enum model_fragment_side side,
				int device, const struct model_frame *out)
{
	const struct model_packet *p = &v->packet;
	struct model_datagram *d = v->datagram;
	const bool sent = o->verdict == PASSES || o->verdict == SENT_OUT;
	const char *wrong = NULL;
	const uint32_t id = sent && o->any_id ? id_of(p, out) : p->id;

	if (sent && o->any_id && is_taken(m, p, &o->to, id))
		return "the number is another datagram's from there";
	if (!d)
		d = add(m, p, &p->t, p->id, side);
	if (is_overlap(o))
		bytes_add(&d->maybe, p->at, p->size);
	else
		note(d, p);
	d->known = true;
	d->way = *o;
	if (!sent)
		d->way.verdict = IS_DROPPED;
	d->new_id = id;
	if (sent && o->wrapped)
		wrong = model_settle_spread(m, p->family, false, out, &d->spread);
	m->fragments->translated += sent && o->translated;
	/* what goes up the stack is seen again there, as it is now, and passes; not where a direct
	 * flow leaves the addresses as they were, since then this record is found */
	if (o->verdict == PASSES && o->translated && side != SIDE_LEAVES &&
	    (!fl_ip_equal(&o->to.src, &p->t.src) || !fl_ip_equal(&o->to.dst, &p->t.dst))) {
		struct model_datagram *again = add(m, p, &o->to, d->new_id, SIDE_ARRIVES);

		again->again = again->known = true;
		again->way.verdict = PASSES;
	}
	release(m, p, d, out, device, side);
	return wrong;
}

/* A first one that passes: whether it was looked at cannot be seen from that. */
static void settle_unheeded(struct model *m, const struct model_verdicts *v,
			    enum model_fragment_side side)
{
	const struct model_packet *p = &v->packet;
	struct model_datagram *d;

	if (v->part != PART_FIRST)
		return;
	d = add(m, p, &p->t, p->id, side);
	d->known = d->perhaps = true;
	d->way.verdict = PASSES;
}

const char *model_settle_fragment(struct model *m, const struct model_verdicts *v,
				  const struct model_outcome *o, enum model_hook hook, int device,
				  const struct model_frame *in, const struct model_frame *out)
{
	if (o->unheeded) {
		settle_unheeded(m, v, side_of(v, hook));
		return NULL;
	}
	if (v->part == PART_FIRST)
		return settle_first(m, v, o, side_of(v, hook), device, out);
	if (v->part == PART_LATER)
		return settle_later(m, v, o, side_of(v, hook), in, out);
	return NULL;
}
