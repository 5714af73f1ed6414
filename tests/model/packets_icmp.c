// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is sent of ICMP: errors by the ends of a conversation and by routers between them, which
 * quote more or less; pings; and options and extension headers, which go with any packet. */
#include <netinet/in.h>
#include <string.h>

#include "tests/model/make.h"
#include "tests/model/wire.h"

#define HEADER 8 /* of ICMP */

/* Most make sense; a route that is named, or a length that is none, does not. */
static void options4(struct make *k, struct rng *r)
{
	static const uint8_t all[][8] = {
		{1, 1, 1, 1, 1, 1, 1, 0},	{148, 4, 0, 0, 1, 148, 4, 0},
		{7, 7, 4, 0, 0, 0, 0, 0},	{0, 131, 7, 4, 0, 0, 0, 0},
		{1, 131, 7, 4, 0, 0, 0, 0},	{137, 7, 4, 0, 0, 0, 0, 0},
		{68, 1, 5, 0, 0, 0, 0, 0},	{1, 1, 1, 7, 0, 0, 0, 0},
		{68, 8, 5, 0, 9, 9, 9, 9},	{130, 2, 1, 1, 1, 1, 137, 3},
		{148, 200, 0, 0, 137, 7, 4, 0},
	};
	const uint32_t pieces = 1 + rng_below(r, 3);

	for (uint32_t i = 0; i < pieces; i++)
		memcpy(k->extra + 8 * i,
		       all[rng_percent(r, 50) ? 0 : rng_below(r, sizeof(all) / sizeof(all[0]))], 8);
	k->n_extra = 8 * pieces - (rng_percent(r, 30) ? 4 : 0);
}

static void extensions6(struct make *k, struct rng *r)
{
	static const uint8_t kinds[] = {60, 60, 60, 60, 43, 0, 51};
	uint8_t *next = &k->extra_first;
	uint32_t n = 1 + rng_below(r, 3);

	if (rng_percent(r, 8))
		n = 5;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *header = k->extra + k->n_extra;
		const uint32_t size = n == 1 && rng_percent(r, 40) ? 16 : 8;

		*next = !i && rng_percent(r, 40)
				? 0
				: kinds[rng_percent(r, 85) ? 0 : rng_below(r, sizeof(kinds))];
		memset(header, 0, size);
		header[1] = (uint8_t)(size / 8 - 1);
		header[2] = 1; /* PadN */
		header[3] = (uint8_t)(size - 4);
		k->n_extra += size;
		next = header;
	}
	*next = k->proto;
}

void make_extra(struct make *k, struct rng *r)
{
	if (k->family == FL_IPV4)
		options4(k, r);
	else
		extensions6(k, r);
}

static void message(const struct make *k, uint8_t type, uint8_t code, const uint8_t *body,
		    uint32_t len, struct model_frame *f)
{
	const bool v6 = k->family == FL_IPV6;
	const uint32_t header = v6 ? 40 : 20;
	uint8_t *ip = f->b + ETHER, *icmp = ip + header;
	uint32_t sum = 0;

	memset(f->b, 0, ETHER + header + HEADER);
	f->len = ETHER + header + HEADER + len;
	memcpy(f->b, k->dst_mac, 6);
	memcpy(f->b + 6, k->src_mac, 6);
	put16(f->b + 12, v6 ? 0x86dd : 0x0800);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, HEADER + len);
		ip[6] = IPPROTO_ICMPV6;
		ip[7] = k->ttl;
		memcpy(ip + 8, k->t.src.b, 16);
		memcpy(ip + 24, k->t.dst.b, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, header + HEADER + len);
		ip[8] = k->ttl;
		ip[9] = IPPROTO_ICMP;
		memcpy(ip + 12, k->t.src.b + 12, 4);
		memcpy(ip + 16, k->t.dst.b + 12, 4);
		put16(ip + 10, make_sum(0, ip, 20));
	}
	icmp[0] = type;
	icmp[1] = code;
	put16(icmp + 6, k->payload);
	memcpy(icmp + HEADER, body, len);
	if (v6)
		sum = IPPROTO_ICMPV6 + HEADER + len + (0xffff & ~make_sum(0, ip + 8, 32));
	put16(icmp + 2, k->no_sum ? 0x1234 : make_sum(sum, icmp, HEADER + len));
}

static void ping(const struct scenario *s, const struct model *m, const struct conversation *c,
		 struct rng *r, struct step *to)
{
	struct make k = make_for(s, c->device, r);
	struct conversation other;
	uint8_t body[600];

	k.family = c->family;
	k.t = c->asked;
	if (rng_percent(r, 10)) {
		make_conversation(m, &other, r);
		if (other.family == c->family)
			k.t.src = other.asked.dst;
	}
	for (uint32_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 3 + k.ttl);
	message(&k,
		k.family == FL_IPV6  ? (rng_percent(r, 90) ? 128 : 129)
		: rng_percent(r, 90) ? 8
				     : 0,
		0, body, rng_below(r, sizeof(body)), &to->frame);
	to->hook = rng_percent(r, 85)	     ? c->hook
		   : c->hook == MEETS_POD_IN ? MEETS_POD_OUT
					     : MEETS_WAY_OUT;
	to->device = c->device;
}

/* A packet of the conversation as it was where it could not go on. */
static void quoted(const struct scenario *s, const struct conversation *c, bool reply, bool known,
		   struct rng *r, struct model_frame *ret)
{
	struct make k = make_for(s, c->device, r);
	const struct model_tuple *t = known && !reply ? &c->flow->inner : &c->asked;

	k.family = c->family;
	k.proto = c->proto;
	k.t = reply ? (struct model_tuple){t->dst, t->src, t->dport, t->sport} : *t;
	k.seq = rng_next(r);
	k.flags = M_ACK;
	if (k.family == FL_IPV4 && rng_percent(r, 10))
		make_extra(&k, r);
	if (rng_percent(r, 4))
		k.t.sport++;
	/* a fragment, a later one or not */
	if (k.family == FL_IPV6 && rng_percent(r, 10)) {
		k.n_extra = 8;
		k.extra_first = IPPROTO_FRAGMENT;
		k.extra[0] = k.proto;
		k.extra[3] = (uint8_t)(rng_percent(r, 75) ? 1 : 8 * rng_below(r, 2));
	}
	make_frame(&k, ret);
	if (k.family == FL_IPV4 && rng_percent(r, 6))
		ret->b[ETHER + 7] = (uint8_t)rng_below(r, 2);
}

/* By a router between the nodes, which quotes what this one has encapsulated. */
static void about_encapsulated(const struct scenario *s, const struct model *m,
			       const struct conversation *c, struct rng *r, struct step *to)
{
	static const uint32_t sizes[] = {1500, 1400, 1399, 1280, 1281, 1100, 600, 576,
					 148,  116,  115,  88,	 68,   40,   0};
	static const uint8_t types[FL_FAMILIES][4] = {{3, 3, 11, 4}, {2, 2, 1, 3}};
	const bool v6 = c->family == FL_IPV6;
	const uint32_t header = v6 ? 40 : 20;
	static struct model_frame about;
	const uint8_t *outer = about.b + ETHER;
	struct make k;
	uint32_t least, len;

	quoted(s, c, false, false, r, &about);
	make_encapsulated(m, c, r, &about);
	if (!v6 && rng_percent(r, 2))
		about.b[ETHER] = 0x46;
	to->hook = rng_percent(r, 70) ? MEETS_XDP : MEETS_TC;
	to->device = (int)rng_below(r, 3);
	k = make_for(s, to->device, r);
	k.family = c->family;
	k.t.dst = v6 ? (struct fl_ip){0} : fl_ip_from_ipv4(outer + 12);
	if (v6)
		memcpy(k.t.dst.b, outer + 8, 16);
	if (rng_percent(r, 3))
		k.t.dst = rng_percent(r, 50) ? c->asked.dst : addr(c->family, AT_EXT1, 1);
	k.t.src = rng_percent(r, 92)   ? addr(c->family, AT_TX, 230)
		  : rng_percent(r, 50) ? k.t.dst
				       : addr(c->family, AT_EXT0, 1);
	k.payload = sizes[rng_below(r, sizeof(sizes) / sizeof(sizes[0]))];
	least = model_outer_size(c->family, m->settings.geneve) + header + 8;
	len = about.len - ETHER;
	if (rng_percent(r, 70))
		len = least + rng_below(r, 24) - (rng_percent(r, 20) ? 12 : 0);
	if (len > about.len - ETHER)
		len = about.len - ETHER;
	if (len > 1200)
		len = 1200;
	message(&k, types[v6][rng_below(r, 4)], v6 ? 0 : (uint8_t)(rng_percent(r, 70) ? 4 : 1),
		about.b + ETHER, len, &to->frame);
}

/* What fills a short frame is none of the message, whatever it quotes. */
static void pad(struct model_frame *f, struct rng *r)
{
	const uint32_t n = 1 + rng_below(r, 24);

	for (uint32_t i = 0; i < n; i++)
		f->b[f->len++] = (uint8_t)rng_next(r);
}

void make_icmp(const struct scenario *s, const struct model *m, const struct conversation *c,
	       struct rng *r, struct step *to)
{
	static const uint8_t types[FL_FAMILIES][8] = {{3, 3, 3, 11, 4, 12, 5, 14},
						      {1, 1, 2, 2, 3, 4, 137, 100}};
	const bool by_dsr = make_by_dsr(s, c), known = make_has_flow(c),
		   reply = rng_percent(r, by_dsr ? 85 : 50);
	const uint32_t header = c->family == FL_IPV6 ? 40 : 20;
	static struct model_frame about;
	struct make k;
	uint32_t len;

	if ((!known && !by_dsr) || rng_percent(r, 15)) {
		ping(s, m, c, r, to);
		if (rng_percent(r, 75))
			return;
	}
	if (known && c->flow->tunnelled && rng_percent(r, 45)) {
		about_encapsulated(s, m, c, r, to);
		return;
	}
	quoted(s, c, reply, known, r, &about);
	/* by the client's side about a reply, by the backend's about what the client sent */
	to->hook = c->hook;
	to->device = c->device;
	if (known && !reply)
		make_reply_way(m, c, r, to);
	k = make_for(s, to->device, r);
	k.family = c->family;
	model_addresses(&about, &k.t.dst, &k.t.src);
	if (rng_percent(r, 60))
		k.t.src = addr(c->family, rng_percent(r, 70) ? AT_OUTSIDE : AT_TX, 230);
	if (rng_percent(r, 3))
		k.t.dst = addr(c->family, AT_VIP, 99);
	if (rng_percent(r, 3))
		k.t.src = addr(c->family, AT_EXT0, rng_percent(r, 50) ? 1 : 2);
	len = about.len - ETHER;
	if (rng_percent(r, 80) && len > header + 8)
		len = header + (rng_percent(r, 15) ? rng_below(r, 8) : 8 + rng_below(r, 30));
	if (len > about.len - ETHER)
		len = about.len - ETHER;
	if (len > 1200)
		len = 1200;
	message(&k, types[c->family][rng_below(r, 8)], (uint8_t)rng_below(r, 5), about.b + ETHER,
		len, &to->frame);
	if (rng_percent(r, 12))
		pad(&to->frame, r);
}
