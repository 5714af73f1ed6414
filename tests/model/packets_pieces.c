// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is sent of fragments: packets of conversations in pieces, in any order and mixed with
 * others; and some that nobody should send, such as two that overlap, or more than can wait. */
#include <string.h>

#include "tests/model/make.h"
#include "tests/model/wire.h"

#define FLOOD 300 /* more than can wait at all, 50 of each datagram */

/* Where it is cut: at multiples of eight. */
static void cut(struct sent_datagram *d, struct rng *r)
{
	const uint32_t size = d->whole.frame.len - d->l4, eights = size / 8;
	const uint32_t most = eights < SENT_PIECES ? eights : SENT_PIECES;

	d->n = 2 + rng_below(r, most < 4 ? most - 1 : 4);
	if (rng_percent(r, 15))
		d->n = 2 + rng_below(r, most - 1);
	for (uint32_t i = 0; i < d->n; i++)
		d->begin[i] = 8 * (eights * i / d->n);
	/* not all of the same size */
	for (uint32_t i = 1; i < d->n; i++)
		if (d->begin[i] > d->begin[i - 1] + 16 && rng_percent(r, 60))
			d->begin[i] -= 8 * rng_below(r, (d->begin[i] - d->begin[i - 1]) / 8 - 1);
	d->begin[d->n] = size;
}

static bool begin(const struct scenario *s, const struct model *m, struct talkers *t,
		  struct conversation *c, struct rng *r, struct sent_datagram *d)
{
	/* a piece that is nearly all of it, and larger than some ways out */
	const bool large = rng_percent(r, 12);
	const uint32_t payload = large		      ? 1430 + rng_below(r, 20)
				 : rng_percent(r, 30) ? 1200 + rng_below(r, 230)
						      : 60 + rng_below(r, 600);
	bool made;

	memset(d, 0, sizeof(*d));
	if (!c->used)
		make_conversation(m, c, r);
	made = make_has_flow(c) && rng_percent(r, c->flow->tunnelled ? 5 : 55)
		       ? make_from_backend(s, m, c, r, payload, &d->whole)
		       : make_from_client(s, c, r, payload, &d->whole);
	if (!made)
		return false;
	d->used = true;
	d->l4 = ETHER + (c->family == FL_IPV6 ? 40 : 20);
	/* of one sender no two have the same number */
	d->id = (c->family == FL_IPV6 ? 0x12340000 : 0) + 0x100 + t->n_datagrams++;
	cut(d, r);
	if (large) {
		d->begin[2] = d->begin[d->n];
		d->begin[1] = 24 + 8 * rng_below(r, 3);
		d->n = 2;
	}
	d->flood = rng_percent(r, 1);
	d->tiny = rng_percent(r, 3);
	return true;
}

/* The fragment with these bytes of the packet; beyond it they are zero. */
static void piece(const struct sent_datagram *d, uint32_t id, uint32_t at, uint32_t size, bool more,
		  bool df, struct model_frame *f)
{
	const struct model_frame *whole = &d->whole.frame;
	const bool v6 = whole->b[12] == 0x86;
	const uint32_t extra = v6 ? 8 : 0;
	uint8_t *ip = f->b + ETHER;

	memset(f->b, 0, d->l4 + extra + size);
	memcpy(f->b, whole->b, d->l4);
	if (d->l4 + at < whole->len) {
		const uint32_t there = whole->len - d->l4 - at;

		memcpy(f->b + d->l4 + extra, whole->b + d->l4 + at, there < size ? there : size);
	}
	f->len = d->l4 + extra + size;
	if (v6) {
		put16(ip + 4, extra + size);
		ip[40] = ip[6];
		ip[6] = 44;
		put16(ip + 42, (at & 0xfff8) | more);
		put32(ip + 44, id);
		return;
	}
	put16(ip + 2, 20 + size);
	put16(ip + 4, id);
	put16(ip + 6, (df ? 0x4000 : 0) | (more ? 0x2000 : 0) | at / 8);
	put16(ip + 10, 0);
	put16(ip + 10, make_sum(0, ip, 20));
}

/* Which of them comes next: mostly one that was not sent. */
static uint32_t next(struct sent_datagram *d, struct rng *r)
{
	uint32_t i = rng_below(r, d->n);

	for (uint32_t tries = 0; d->sent >> i & 1 && tries < 8 && rng_percent(r, 94); tries++)
		i = (i + 1) % d->n;
	d->sent |= 1U << i;
	return i;
}

/* Something is wrong with it. */
static void spoil(uint32_t *at, uint32_t *size, bool *more, uint32_t *id, struct rng *r)
{
	switch (rng_below(r, 10)) {
	case 9: /* the end, or behind it */
		*at += 8 * rng_below(r, 40);
		*more = rng_percent(r, 50);
		break;
	case 8: /* the last eight of its bytes, or what there is of them */
		*at = (*at + *size - 1) & ~7U;
		*size = 8;
		break;
	case 0:
		*at += 8;
		break;
	case 1:
		*at -= *at >= 8 ? 8 : 0;
		break;
	case 2:
		*size += 8;
		break;
	case 3:
		*size -= 1 + rng_below(r, 7);
		break;
	case 4:
		*more = !*more;
		break;
	case 5:
		*id ^= 0x80;
		break;
	case 6:
		*at = 65400 + 8 * rng_below(r, 16);
		break;
	default:
		*at = 8 * rng_below(r, 4);
		*size = 8 * rng_below(r, 4);
	}
}

/* What was translated and given to the stack comes by once more; a first one might be a packet of
 * its own, straight to the backend. */
static bool seen_again(const struct sent_datagram *d, struct step *to)
{
	const struct conversation *c = d->whole.of;
	const bool v6 = to->frame.b[12] == 0x86;
	uint8_t *ip = to->frame.b + ETHER;

	if (!c || !make_has_flow(c) || !c->flow->to_stack)
		return false;
	to->hook = to->hook == MEETS_XDP ? MEETS_TC : to->hook;
	put_address(v6, ip + (v6 ? 24 : 16), &c->flow->inner.dst);
	if (v6)
		return true;
	put16(ip + 10, 0);
	put16(ip + 10, make_sum(0, ip, 20));
	return true;
}

static void send_piece(const struct model *m, struct sent_datagram *d, struct rng *r,
		       struct step *to)
{
	const uint32_t i = next(d, r);
	uint32_t at = d->begin[i], size = d->begin[i + 1] - at, id = d->id;
	bool more = i + 1 < d->n, again = to->goes_on;

	if (!again) {
		to->hook = d->whole.hook;
		to->device = d->whole.device;
		to->of = d->whole.of;
		to->by_backend = d->whole.by_backend;
	} else if (to->hook == MEETS_TC && d->whole.hook == MEETS_XDP) {
		to->hook = MEETS_XDP;
	}
	if (d->flood) {
		to->hook = to->hook == MEETS_XDP ? MEETS_TC : to->hook;
		id += (uint32_t)(to->n_more / 50) << 8;
		at = 64 + 8 * (uint32_t)(to->n_more % 50);
		size = 8;
		more = true;
	} else if (d->tiny && !i) {
		size = 8 * (1 + rng_below(r, 2));
	} else if (rng_percent(r, 7)) {
		spoil(&at, &size, &more, &id, r);
	}
	piece(d, id, at, size, more, rng_percent(r, 20), &to->frame);
	if (rng_percent(r, 10))
		to->frame.b[ETHER + (to->frame.b[12] == 0x86 ? 7 : 8)] = (uint8_t)rng_below(r, 5);
	if (to->frame.b[12] != 0x86) {
		put16(to->frame.b + ETHER + 10, 0);
		put16(to->frame.b + ETHER + 10, make_sum(0, to->frame.b + ETHER, 20));
	}
	if (!d->flood && !d->whole.by_backend && at &&
	    rng_percent(r, to->hook == MEETS_POD_IN ? 25 : 6) && seen_again(d, to))
		return;
	if (!d->flood && !d->whole.by_backend && (to->hook == MEETS_XDP || to->hook == MEETS_TC) &&
	    rng_percent(r, d->whole.of && d->whole.of->by_node ? 94 : 3))
		make_outer(m, d->whole.of, r, to);
}

bool make_piece(const struct scenario *s, const struct model *m, struct talkers *t,
		struct conversation *c, struct rng *r, struct step *to)
{
	struct sent_datagram *d = &t->datagram[rng_below(r, SENT_DATAGRAMS)];

	if ((!d->used || rng_percent(r, 25)) && !begin(s, m, t, c, r, d))
		return false;
	to->n_more = d->flood ? FLOOD : (int)rng_below(r, d->n + 1);
	send_piece(m, d, r, to);
	to->goes_on = d;
	return true;
}

bool packets_go_on(const struct model *m, struct rng *r, struct step *step)
{
	struct sent_datagram *d = step->goes_on;

	if (!d || !step->n_more)
		return false;
	step->n_more--;
	send_piece(m, d, r, step);
	d->flood &= step->n_more > 0;
	return true;
}
