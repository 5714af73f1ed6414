// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is sent: mostly conversations as real ends have them, so that flows get into every state;
 * and in between what nobody should send.
 */
#include <netinet/in.h>
#include <string.h>

#include "tests/model/make.h"
#include "tests/model/wire.h"

static uint64_t add(uint64_t sum, const uint8_t *p, uint32_t len)
{
	for (; len >= 2; len -= 2, p += 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint32_t finish(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~(uint32_t)sum & 0xffff;
}

uint32_t make_sum(uint64_t sum, const uint8_t *p, uint32_t len)
{
	return finish(add(sum, p, len));
}

void make_frame(const struct make *k, struct model_frame *f)
{
	const bool v6 = k->family == FL_IPV6, tcp = k->proto == IPPROTO_TCP;
	const uint32_t options = tcp && k->mss ? 8 : 0;
	const uint32_t header = (v6 ? 40 : 20) + k->n_extra, l4_header = tcp ? 20 + options : 8;
	const uint32_t len = l4_header + k->payload;
	uint8_t *ip = f->b + ETHER, *l4 = ip + header;
	uint64_t sum;

	memset(f->b, 0, ETHER + header + l4_header);
	f->len = ETHER + header + len;
	memcpy(f->b, k->dst_mac, 6);
	memcpy(f->b + 6, k->src_mac, 6);
	put16(f->b + 12, v6 ? 0x86dd : 0x0800);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, k->n_extra + len);
		ip[6] = k->n_extra ? k->extra_first : k->proto;
		ip[7] = k->ttl;
		memcpy(ip + 8, k->t.src.b, 16);
		memcpy(ip + 24, k->t.dst.b, 16);
		memcpy(ip + 40, k->extra, k->n_extra);
	} else {
		ip[0] = (uint8_t)(0x40 | header / 4);
		put16(ip + 2, header + len);
		ip[6] = k->df ? 0x40 : 0;
		ip[8] = k->ttl;
		ip[9] = k->proto;
		memcpy(ip + 12, k->t.src.b + 12, 4);
		memcpy(ip + 16, k->t.dst.b + 12, 4);
		memcpy(ip + 20, k->extra, k->n_extra);
		put16(ip + 10, finish(add(0, ip, header)));
	}
	put16(l4, k->t.sport);
	put16(l4 + 2, k->t.dport);
	if (tcp) {
		put32(l4 + 4, k->seq);
		put32(l4 + 8, k->ack);
		l4[12] = (uint8_t)(l4_header / 4 << 4);
		l4[13] = k->flags;
		put16(l4 + 14, 0x7210);
		if (options) {
			/* in front of it or behind, "selective acknowledgements permitted" */
			uint8_t *sack = l4 + 20 + (k->mss & 1 ? 4 : 0),
				*mss = l4 + 24 - (k->mss & 1 ? 4 : 0);

			put32(sack, 0x04020101);
			put16(mss, 0x0204);
			put16(mss + 2, k->mss);
		}
	} else {
		put16(l4 + 4, len);
	}
	for (uint32_t i = 0; i < k->payload; i++)
		l4[l4_header + i] = (uint8_t)(i * 7 + k->t.sport);
	if (k->no_sum && !v6 && !tcp)
		return;
	sum = add(k->proto + len, ip + (v6 ? 8 : 12), v6 ? 32 : 8);
	sum = finish(add(sum, l4, len));
	put16(l4 + (tcp ? 16 : 6), sum || tcp ? (uint32_t)sum : 0xffff);
}

struct make make_for(const struct scenario *s, int device, struct rng *r)
{
	const uint32_t sizes = rng_below(r, 100);

	return (struct make){
		.ttl = rng_percent(r, 96) ? (uint8_t)(2 + rng_below(r, 254))
					  : (uint8_t)rng_below(r, 3),
		.payload = sizes < 45	? 0
			   : sizes < 92 ? rng_below(r, 64)
			   : sizes < 96 ? 1340 + rng_below(r, 40)
					: 1200 + rng_below(r, 240),
		.df = rng_percent(r, 92),
		.no_sum = rng_percent(r, 5),
		.dst_mac = s->world->net.mac[device],
		.src_mac = s->world->net.gateway_mac[AT_OUTSIDE],
	};
}

/* Ends of conversations */

static struct fl_ip client_address(enum fl_family f, bool pod, struct rng *r)
{
	if (pod)
		return rng_percent(r, 93) ? addr(f, AT_POD, 1 + rng_below(r, 8))
					  : addr(f, AT_OUTSIDE, 70);
	if (rng_percent(r, 80))
		return addr(f, AT_OUTSIDE,
			    rng_percent(r, 50) ? 10 + rng_below(r, 4) : 1 + rng_below(r, 140));
	switch (rng_below(r, 4)) {
	case 0:
		return addr(f, AT_TX, 200);
	case 1:
		return addr(f, AT_REDIRECT, 200);
	case 2:
		return addr(f, AT_NARROW, 90);
	default:
		return addr(f, AT_FOREIGN, 1 + rng_below(r, 3));
	}
}

void make_target(const struct model *m, struct rng *r, struct conversation *c)
{
	const struct model_port *p = &m->port[rng_below(r, (uint32_t)m->n_ports)];
	const uint32_t n = (uint32_t)(p->n_external + p->n_balancer);
	const uint32_t how = rng_below(r, 100);

	c->family = p->family;
	c->proto = p->proto;
	c->asked.dport = p->port;
	if (p->node_port && how < 30) {
		c->asked.dst = addr(p->family, (enum network)rng_below(r, 3), 1);
		c->asked.dport = p->node_port;
	} else if (n && how < 65) {
		const uint32_t i = rng_below(r, n);

		c->asked.dst = i < (uint32_t)p->n_external
				       ? p->external[i]
				       : p->balancer[i - (uint32_t)p->n_external];
	} else {
		c->asked.dst = p->cluster_ip;
	}
	if (rng_percent(r, 4))
		c->asked.dport++;
	if (rng_percent(r, 2))
		c->asked.dst = addr(p->family, AT_FOREIGN, 9);
	if (rng_percent(r, 2))
		c->proto = c->proto == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
}

void make_conversation(const struct model *m, struct conversation *c, struct rng *r)
{
	const uint32_t where = rng_below(r, 100);

	memset(c, 0, sizeof(*c));
	c->used = true;
	make_target(m, r, c);
	c->hook = where < 62 ? MEETS_XDP : where < 76 ? MEETS_TC : MEETS_POD_IN;
	c->device = c->hook == MEETS_POD_IN ? DEV_POD : where % 8 == 0 ? DEV_EXT1 : DEV_EXT0;
	c->asked.src = client_address(c->family, c->hook == MEETS_POD_IN, r);
	c->asked.sport =
		(uint16_t)(rng_percent(r, 70) ? 4000 + rng_below(r, 6) : 1 + rng_below(r, 65535));
	c->client_next = rng_next(r);
	c->backend_next = rng_next(r);
	if (rng_percent(r, 10))
		c->client_next = 0xfffffff0 + rng_below(r, 32);
	if (c->hook != MEETS_POD_IN && rng_percent(r, 25))
		make_by_node(m, c, r);
}

bool make_has_flow(const struct conversation *c)
{
	return c->flow && c->flow->live && c->flow->number == c->flow_number;
}

static uint8_t flags_of(const struct conversation *c, bool by_backend, struct rng *r)
{
	static const uint8_t any[] = {M_ACK,	     M_ACK | 8,	    M_SYN,	   M_SYN | M_ACK,
				      M_FIN | M_ACK, M_RST,	    M_RST | M_ACK, 0,
				      M_SYN | M_FIN, M_SYN | M_RST, M_FIN,	   0x3f,
				      M_ACK | 0x20,  M_ACK | 0xc0};
	const struct model_flow *f = c->flow;
	const uint32_t how = rng_below(r, 100);

	if (how < 8)
		return any[rng_below(r, sizeof(any))];
	if (!make_has_flow(c))
		return by_backend ? M_SYN | M_ACK : M_SYN;
	if (f->given_up && !by_backend && how < 40)
		return how < 25 ? M_RST : M_SYN;
	switch (f->state) {
	case STATE_NEW:
		return by_backend ? M_SYN | M_ACK : M_SYN;
	case STATE_REPLIED:
		return by_backend ? (how < 30 ? M_SYN | M_ACK : M_ACK) : M_ACK;
	case STATE_TIME_WAIT:
	case STATE_RESET:
		return by_backend ? M_ACK : how < 55 ? M_SYN : M_ACK;
	default:
		return how < 20	  ? M_FIN | M_ACK
		       : how < 26 ? M_RST | (how & 1 ? M_ACK : 0)
		       : how < 60 ? M_ACK | 8
				  : M_ACK;
	}
}

/* The numbers that this end would write, and now and then others. */
static void number(struct conversation *c, bool by_backend, struct make *k, struct rng *r)
{
	uint32_t *own = by_backend ? &c->backend_next : &c->client_next;
	const uint32_t other = by_backend ? c->client_next : c->backend_next;
	static const uint32_t offs[] = {1,	    0xffffffff, 65535,	    65536,	65537,
					70000,	    0xffff0000, 0xfffeffff, 0xffff0001, 0x50000000,
					0xb0000000, 1400,	0x80000000, 100};
	const uint32_t how = rng_below(r, 100);

	if (k->proto != IPPROTO_TCP)
		return;
	k->seq = *own;
	k->ack = k->flags & M_ACK ? other : 0;
	/*
	 * A client that proves itself by a number far from its SYN's is only followed again when
	 * both directions' entries are looked at, and a plain segment looks at one of them. So that
	 * is left out, as are holes that no segment reaches over.
	 */
	if (how < 8 && make_has_flow(c) && c->flow->state >= STATE_ESTABLISHED)
		k->seq += offs[rng_below(r, sizeof(offs) / sizeof(offs[0]))];
	else if (how >= 8 && how < 14)
		k->ack += offs[rng_below(r, sizeof(offs) / sizeof(offs[0]))];
	else if (how >= 14 && how < 17) /* a hole: what it says from now on goes on behind it */
		k->seq = *own += 1 + rng_below(r, 50000);
	if (how < 14)
		return; /* not its own */
	*own = k->seq + k->payload + (k->flags & M_SYN ? 1 : 0) + (k->flags & M_FIN ? 1 : 0);
}

/* What a SYN asks for. */
static void make_mss(struct make *k, struct rng *r)
{
	static const uint32_t usual[] = {1460, 1440, 1400, 1421,  1380,
					 1361, 536,  8961, 65535, 1220};

	if (k->proto == IPPROTO_TCP && k->flags & M_SYN && rng_percent(r, 70))
		k->mss = rng_percent(r, 85) ? usual[rng_below(r, sizeof(usual) / sizeof(usual[0]))]
					    : 1 + rng_below(r, 65535);
}

bool make_from_client(const struct scenario *s, struct conversation *c, struct rng *r,
		      uint32_t payload, struct step *to)
{
	struct make k = make_for(s, c->device, r);
	const bool by_dsr = make_by_dsr(s, c);

	k.family = c->family;
	k.proto = c->proto;
	k.t = c->asked;
	k.flags = flags_of(c, false, r);
	if (by_dsr && rng_percent(r, 80))
		k.flags = make_dsr_flags(r);
	if (make_has_flow(c)) {
		k.df = rng_percent(r, 90);
		if (!k.df && rng_percent(r, 60))
			k.payload = 1340 + rng_below(r, 110);
	}
	if (c->hook == MEETS_POD_IN)
		k.src_mac = s->world->net.gateway_mac[AT_POD];
	if (payload)
		k.payload = payload;
	number(c, false, &k, r);
	if (!payload)
		make_mss(&k, r);
	if (!payload && rng_percent(r, 3))
		make_extra(&k, r);
	to->hook = c->hook;
	to->device = c->device;
	to->of = c;
	to->by_backend = false;
	make_frame(&k, &to->frame);
	if (by_dsr && rng_percent(r, 30))
		make_class(&to->frame, (uint8_t)rng_next(r));
	return true;
}

/* Where a reply to this flow meets the datapath. */
void make_reply_way(const struct model *m, const struct conversation *c, struct rng *r,
		    struct step *to)
{
	const struct model_flow *f = c->flow;
	const struct model_way way = m->way(m->way_arg, &f->inner.dst);

	if (f->reply_leaves_here) {
		to->hook = c->hook == MEETS_POD_IN ? MEETS_POD_OUT : MEETS_WAY_OUT;
		to->device = c->device;
	} else {
		to->device = way.device;
		to->hook = way.device == DEV_POD ? MEETS_POD_IN
			   : rng_percent(r, 80)	 ? MEETS_XDP
						 : MEETS_TC;
	}
	if (!rng_percent(r, 3))
		return;
	/* somewhere else */
	to->hook = rng_below(r, MODEL_HOOKS);
	to->device = to->hook == MEETS_POD_IN || to->hook == MEETS_POD_OUT ? DEV_POD
									   : (int)rng_below(r, 3);
}

bool make_from_backend(const struct scenario *s, const struct model *m, struct conversation *c,
		       struct rng *r, uint32_t payload, struct step *to)
{
	const struct model_tuple *inner = &c->flow->inner;
	struct make k;

	make_reply_way(m, c, r, to);
	k = make_for(s, to->device, r);
	k.family = c->family;
	k.proto = c->proto;
	k.t = (struct model_tuple){inner->dst, inner->src, inner->dport, inner->sport};
	k.flags = flags_of(c, true, r);
	k.df = rng_percent(r, 92);
	if (payload)
		k.payload = payload;
	number(c, true, &k, r);
	if (!payload)
		make_mss(&k, r);
	if (!payload && rng_percent(r, 3))
		make_extra(&k, r);
	to->of = c;
	to->by_backend = true;
	make_frame(&k, &to->frame);
	return true;
}

static bool is_odd(const struct model_frame *f)
{
	struct model_packet p;

	return !model_parse(f, &p) || p.odd;
}

static bool by_network(const struct step *step)
{
	return step->hook == MEETS_XDP || step->hook == MEETS_TC;
}

/* True: of so many of a hundred. */
static bool perhaps_outer(const struct model *m, const struct conversation *c, uint32_t percent,
			  struct rng *r, struct step *to)
{
	if (by_network(to) && rng_percent(r, percent))
		make_outer(m, c, r, to);
	return true;
}

bool packets_make(const struct scenario *s, struct model *m, struct talkers *t, struct rng *r,
		  struct step *to)
{
	struct conversation *c = &t->slot[rng_below(r, SLOTS)];
	const uint32_t how = rng_below(r, 100);

	to->of = NULL;
	to->node_sends = to->by_backend = false;
	to->goes_on = NULL;
	if (rng_percent(r, 6))
		return make_piece(s, m, t, c, r, to);
	if (how < 4)
		return make_strange(s, m, r, to) && perhaps_outer(m, NULL, 30, r, to);
	if (how < 8)
		return make_leaving(s, m, c, r, to);
	if (how < 11 && make_has_flow(c))
		return make_straight(s, c, r, to) && perhaps_outer(m, NULL, 10, r, to);
	if (how < 14 && c->used) {
		make_icmp(s, m, c, r, to);
		return perhaps_outer(m, c, c->by_node ? 75 : 3, r, to);
	}
	if (!c->used || how < 24) {
		make_conversation(m, c, r);
		if (c->by_node && rng_percent(r, 30))
			make_sibling(m, t, c, r);
	} else if (how < (make_has_flow(c) && c->flow->tunnelled ? 30 : 55) && make_has_flow(c)) {
		return make_from_backend(s, m, c, r, 0, to) && perhaps_outer(m, NULL, 2, r, to);
	}
	if (!make_from_client(s, c, r, 0, to))
		return false;
	if (how >= 96 && !is_odd(&to->frame)) {
		make_spoilt(&to->frame, r);
		to->of = NULL;
	}
	return perhaps_outer(m, c, c->by_node ? 94 : 3, r, to);
}
