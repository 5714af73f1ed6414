// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What comes in an outer header, IP in IP or Geneve: from other nodes for pods of this one, and
 * from anybody else, for whatever destination; whole, or as nobody should write it.
 */
#include <netinet/in.h>
#include <string.h>

#include "tests/model/make.h"
#include "tests/model/wire.h"

static struct fl_ip in_range(const struct fl_prefix *range, struct rng *r)
{
	struct fl_ip ip = range->ip;

	ip.b[14] = (uint8_t)rng_next(r);
	ip.b[15] = (uint8_t)rng_next(r);
	return ip;
}

static struct fl_ip node_address(enum fl_family f, struct rng *r)
{
	return addr(f, AT_EXT0, 2 + rng_below(r, MODEL_NODES / FL_FAMILIES));
}

static struct fl_ip outer_source(const struct model *m, enum fl_family f, struct rng *r)
{
	const uint32_t how = rng_below(r, 100);

	if (m->settings.has_outer_sources[f] && how < 60)
		return in_range(&m->settings.outer_sources[f], r);
	if (how < 92)
		return node_address(f, r);
	if (how < 93) /* an IPv4 address in an IPv6 header is none */
		return node_address(FL_IPV4, r);
	return rng_percent(r, 50)   ? addr(f, AT_OUTSIDE, 1 + rng_below(r, 140))
	       : rng_percent(r, 50) ? addr(f, AT_EXT0, 77)
	       : rng_percent(r, 50) ? addr(f, AT_EXT0, 1)
				    : addr(f, AT_POD, 1 + rng_below(r, 6));
}

static int port_asked(const struct model *m, enum fl_family family, uint8_t proto,
		      const struct model_tuple *t)
{
	enum model_kind kind;
	const int port = model_find(m, &t->dst, t->dport, proto, &kind);

	return port >= 0 ? port : model_find_node_port(m, family, t->dport, proto);
}

/* Mostly a backend of this node that the frontend has. */
static struct fl_ip pod_of(const struct model *m, enum fl_family family, uint8_t proto,
			   const struct model_tuple *t, struct rng *r, uint16_t *ret_port)
{
	const int port = port_asked(m, family, proto, t);

	*ret_port = 8080;
	for (int tries = 0; port >= 0 && m->port[port].n_endpoints && tries < 6; tries++) {
		const struct model_port *p = &m->port[port];
		const struct model_endpoint *e =
			&p->endpoint[rng_below(r, (uint32_t)p->n_endpoints)];

		*ret_port = e->port;
		if (e->on_node || rng_percent(r, 3))
			return e->ip;
	}
	return addr(family, AT_POD, 1 + rng_below(r, 8));
}

void make_by_node(const struct model *m, struct conversation *c, struct rng *r)
{
	enum model_kind kind;
	int port = model_find(m, &c->asked.dst, c->asked.dport, c->proto, &kind);

	c->by_node = true;
	/* a node port at the node that was asked; or at what is no node's address */
	if (port >= 0 && kind == KIND_NODE_PORT && rng_percent(r, 85))
		c->asked.dst = node_address(c->family, r);
	if (port >= 0 && kind == KIND_NODE_PORT && rng_percent(r, 5) &&
	    m->settings.has_outer_sources[c->family])
		c->asked.dst = in_range(&m->settings.outer_sources[c->family], r);
	c->node = outer_source(m, c->family, r);
	c->pod = pod_of(m, c->family, c->proto, &c->asked, r, &c->pod_port);
	c->geneve = rng_percent(r, 40);
	/* the pod is its own client */
	if (rng_percent(r, 2))
		c->asked.src = c->pod;
}

/* Another frontend of the same pod, asked by the same client from the same port. */
void make_sibling(const struct model *m, const struct talkers *t, struct conversation *c,
		  struct rng *r)
{
	const struct conversation *other = &t->slot[rng_below(r, SLOTS)];
	struct conversation one = *c;
	int port;

	port = port_asked(m, other->family, other->proto, &other->asked);
	if (!other->used || !other->by_node || port < 0)
		return;
	for (int tries = 0; tries < 40; tries++) {
		make_target(m, r, &one);
		if (one.family != other->family || one.proto != other->proto ||
		    port_asked(m, one.family, one.proto, &one.asked) != port)
			continue;
		*c = one;
		make_by_node(m, c, r);
		c->hook = other->hook;
		c->device = other->device;
		c->asked.src = other->asked.src;
		c->asked.sport = other->asked.sport;
		c->pod = other->pod;
		c->pod_port = other->pod_port;
		return;
	}
}

/* What is in front of the packet inside, but for the IP header. */
static uint32_t geneve_size(bool v6)
{
	return 8 + 8 + 4 + (v6 ? 16 : 4) + 4;
}

/* The packet is so long, and is for this pod, or for whatever is at its port. */
static void put_geneve(uint8_t *udp, bool v6, uint32_t len, const struct fl_ip *pod, uint16_t port,
		       struct rng *r)
{
	uint8_t *geneve = udp + 8, *option = geneve + 8;

	put16(udp, 0xc000 | (rng_next(r) & 0x3fff));
	put16(udp + 2, 6081);
	put16(udp + 4, geneve_size(v6) + len);
	geneve[0] = v6 ? 6 : 3;
	geneve[1] = 0x40;
	put16(geneve + 2, v6 ? 0x86dd : 0x0800);
	put32(geneve + 4, 0x464c4400);
	put32(option, v6 ? 0xff468105 : 0xff468102);
	put_address(v6, option + 4, pod);
	put16(option + (v6 ? 20 : 8), rng_percent(r, 93) ? port : rng_below(r, 3) * 4545);
}

/* In front of what there is; `extra`: bytes more than an IP header, of that protocol. */
static void wrap_as(struct model_frame *f, const struct fl_ip *from, const struct fl_ip *to,
		    uint8_t class, uint8_t proto, uint32_t extra)
{
	const bool v6 = f->b[12] == 0x86;
	const uint32_t size = (v6 ? 40 : 20) + extra, len = f->len - ETHER;
	uint8_t *ip = f->b + ETHER;

	memmove(ip + size, ip, len);
	memset(ip, 0, size);
	f->len += size;
	put_address(v6, ip + (v6 ? 8 : 12), from);
	put_address(v6, ip + (v6 ? 24 : 16), to);
	if (v6) {
		ip[0] = (uint8_t)(0x60 | class >> 4);
		ip[1] = (uint8_t)(class << 4);
		put16(ip + 4, extra + len);
		ip[6] = proto;
		ip[7] = 64;
		return;
	}
	ip[0] = 0x45;
	ip[1] = class;
	put16(ip + 2, len + size);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	put16(ip + 10, make_sum(0, ip, 20));
}

/* Of what has gone over other nodes or routers before; of most it is what nodes write. */
static void change_ttl(struct model_frame *f, struct rng *r)
{
	static const uint8_t some[] = {48, 48, 32, 16, 63, 49, 47, 33, 17, 15, 1, 255};
	const bool v6 = f->b[12] == 0x86;
	uint8_t *ip = f->b + ETHER;

	if (!rng_percent(r, 30))
		return;
	ip[v6 ? 7 : 8] = some[rng_below(r, sizeof(some))];
	if (v6)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, make_sum(0, ip, 20));
}

static void wrap(struct model_frame *f, const struct fl_ip *from, const struct fl_ip *to,
		 uint8_t class)
{
	wrap_as(f, from, to, class, f->b[12] == 0x86 ? IPPROTO_IPV6 : IPPROTO_IPIP, 0);
}

static void wrap_in_geneve_to(struct model_frame *f, const struct fl_ip *from,
			      const struct fl_ip *to, const struct fl_ip *pod, uint16_t port,
			      uint8_t class, struct rng *r)
{
	const bool v6 = f->b[12] == 0x86;
	const uint32_t len = f->len - ETHER;

	wrap_as(f, from, to, class, IPPROTO_UDP, geneve_size(v6));
	put_geneve(f->b + ETHER + (v6 ? 40 : 20), v6, len, pod, port, r);
}

/* It goes to an address of this node. */
static void wrap_in_geneve(const struct model *m, struct model_frame *f, const struct fl_ip *from,
			   const struct fl_ip *pod, uint16_t port, uint8_t class, struct rng *r)
{
	const enum fl_family family = f->b[12] == 0x86 ? FL_IPV6 : FL_IPV4;
	struct fl_ip to = addr(family, (enum network)rng_below(r, 3), 1);

	if (rng_percent(r, 4))
		to = m->local[rng_below(r, (uint32_t)m->n_local)];
	if (rng_percent(r, 4) || fl_ip_family(&to) != family)
		to = *pod;
	wrap_in_geneve_to(f, from, &to, pod, port, class, r);
}

void make_encapsulated(const struct model *m, const struct conversation *c, struct rng *r,
		       struct model_frame *f)
{
	const enum fl_family family = c->family;
	const struct fl_ip pod =
		rng_percent(r, 93) ? c->flow->inner.dst : addr(family, AT_TX, 1 + rng_below(r, 6));
	const struct fl_ip to = model_outer_to(m, &pod),
			   from = m->settings.has_outer_sources[family] && !m->settings.geneve
					  ? in_range(&m->settings.outer_sources[family], r)
					  : addr(family, AT_EXT0, 1);

	if (m->settings.geneve)
		wrap_in_geneve_to(f, &from, &to, &pod, c->flow->inner.dport, 0, r);
	else
		wrap(f, &from, &to, 0);
}

/* Where it is for. */
static struct fl_ip other_destination(const struct model *m, enum fl_family f,
				      const struct fl_ip *usual, struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return addr(f, (enum network)rng_below(r, 3), 1);
	case 1:
		return m->port[rng_below(r, (uint32_t)m->n_ports)].family == f
			       ? m->port[0].cluster_ip
			       : *usual;
	case 2:
		return addr(f, AT_TX, 1 + rng_below(r, 6));
	case 3:
		return node_address(f, r);
	default:
		return addr(f, AT_POD, 1 + rng_below(r, 8));
	}
}

/* An outer header that is another one, or is wrong. */
static void change(struct model_frame *f, struct rng *r)
{
	static const uint8_t protos[] = {47, 41, 4, 50, 0, 60, 44, 97};
	const bool v6 = f->b[12] == 0x86;
	const uint32_t size = v6 ? 40 : 20;
	uint8_t *ip = f->b + ETHER;

	if (ip[v6 ? 6 : 9] == IPPROTO_UDP && rng_percent(r, 70)) {
		/* a bit of Geneve, but of the ports of UDP only that of the destination */
		ip[size + 2 + rng_below(r, geneve_size(v6) - 2)] ^= (uint8_t)(1 << rng_below(r, 8));
		return;
	}
	switch (rng_below(r, 5)) {
	case 0:
		ip[v6 ? 6 : 9] = protos[rng_below(r, sizeof(protos))];
		break;
	case 1:
		if (!v6)
			put16(ip + 6, rng_percent(r, 50) ? 0x2000 : 1 + rng_below(r, 100));
		break;
	case 2: /* its length */
		put16(ip + (v6 ? 4 : 2), get16(ip + (v6 ? 4 : 2)) + rng_below(r, 5) - 2);
		break;
	default:
		make_spoilt(f, r);
	}
	if (v6 || rng_percent(r, 20))
		return;
	put16(ip + 10, 0);
	put16(ip + 10, make_sum(0, ip, (ip[0] & 15) * 4U));
}

/* Room for two of them, and padding. */
static bool has_room(const struct model_frame *f)
{
	return f->len + 2 * 80 + 6 <= MODEL_FRAME;
}

void make_outer(const struct model *m, const struct conversation *c, struct rng *r, struct step *to)
{
	const bool v6 = to->frame.b[12] == 0x86;
	const enum fl_family f = v6 ? FL_IPV6 : FL_IPV4;
	const bool by_node = c && c->by_node && c->family == f;
	struct model_packet p;
	struct fl_ip from, pod;
	uint16_t port;
	uint8_t class;

	if (!has_room(&to->frame))
		return;
	model_parse(&to->frame, &p);
	from = by_node && rng_percent(r, 90) ? c->node : outer_source(m, f, r);
	pod = pod_of(m, f, p.proto, &p.t, r, &port);
	if (by_node && rng_percent(r, 95)) {
		pod = c->pod;
		port = c->pod_port;
	}
	if (rng_percent(r, 5))
		pod = other_destination(m, f, &pod, r);
	if (rng_percent(r, 3))
		wrap(&to->frame, &from, &pod, 0);
	class = rng_percent(r, 20) ? (uint8_t)rng_next(r) : 0;
	if (by_node ? c->geneve : rng_percent(r, 30))
		wrap_in_geneve(m, &to->frame, &from, &pod, port, class, r);
	else
		wrap(&to->frame, &from, &pod, class);
	change_ttl(&to->frame, r);
	if (rng_percent(r, 4))
		change(&to->frame, r);
}
