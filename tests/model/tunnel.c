// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Direct server return by IP in IP (RFC 2003, RFC 2473) or by Geneve (RFC 8926; docs/edge.md): a
 * packet of a client from outside goes to a backend of another node as it is, behind an outer
 * header. Which backend it is, and how the outer header spreads flows, is free, but the same for
 * each packet of a tuple.
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/wire.h"

#define ETHER 14
#define OUTER_TTL 64
#define FIRST_SPORT 49152 /* of Geneve: RFC 6335 has no service there */

bool model_is_wrapped(const struct model *m, const struct model_port *port,
		      const struct model_packet *p, const struct model_endpoint *backend)
{
	/* pods of other nodes are masqueraded */
	const bool pod = m->settings.detector &&
			 fl_prefix_contains(&m->settings.pod_cidr[p->family], &p->t.src);

	/* 5.3.3: nor does a backend get from itself what it has sent */
	return port->dsr && !pod && !backend->on_node && !fl_ip_equal(&p->t.src, &backend->ip);
}

struct fl_ip model_outer_to(const struct model *m, const struct fl_ip *pod)
{
	return m->settings.geneve ? m->node_of(pod) : *pod;
}

/* One hop less: all that changes inside. */
static void count_hop(uint8_t *ip, bool v6)
{
	const uint32_t header = (ip[0] & 15) * 4U, sum = v6 ? 0 : model_sum(0, ip, header);

	ip[v6 ? 7 : 8]--;
	if (v6)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, model_makes_up(sum, model_sum(0, ip, header)));
}

/* Without checkMTU only what devices take is known. */
static uint32_t room(const struct model *m, const struct model_outcome *o)
{
	const struct fl_ip to = model_outer_to(m, &o->to.dst);

	return model_path_mtu(m, o->xdp, &to,
			      m->settings.check_mtu ? m->way(m->way_arg, &to).mtu
						    : m->device[o->device].mtu);
}

static struct fl_ip source_of(const struct model *m, enum fl_family family,
			      const struct model_outcome *o, const uint8_t *got)
{
	const struct model_settings *s = &m->settings;
	struct fl_ip ip;

	/* Geneve is spread by its ports */
	if (s->geneve || !s->has_outer_sources[family])
		return s->has_node_address[family] ? s->node_address[family]
						   : m->device[o->device].address[family];
	ip = address(family == FL_IPV6, got);
	return fl_prefix_contains(&s->outer_sources[family], &ip) ? ip
								  : s->outer_sources[family].ip;
}

/* UDP, Geneve and its option; the port that it is from is free. */
static void put_geneve(uint8_t *udp, const struct model_packet *p, const struct model_tuple *to,
		       const uint8_t *got)
{
	const bool v6 = p->family == FL_IPV6;
	const uint32_t words = v6 ? 5 : 2;
	uint8_t *geneve = udp + 8, *option = geneve + 8, *data = option + 4;

	memcpy(udp, got, 2);
	put16(udp + 2, MODEL_GENEVE_PORT);
	put16(udp + 4, p->ip_len + 8 + 8 + 4 + 4 * words);
	geneve[0] = (uint8_t)(words + 1); /* version 0; its options have so many words */
	geneve[1] = 0x40;		  /* one of them is critical */
	put16(geneve + 2, v6 ? 0x86dd : 0x0800);
	put32(geneve + 4, MODEL_GENEVE_VNI << 8);
	put32(option, 0xff468100 | words);
	put_address(v6, data, &to->dst);
	put16(data + (v6 ? 16 : 4), to->dport);
}

void model_wrap(const struct model *m, const struct model_frame *in, const struct model_packet *p,
		const struct model_outcome *o, const struct model_frame *got,
		struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6;
	const bool geneve = m->settings.geneve;
	const uint32_t size = model_outer_size(p->family, geneve), ip_size = v6 ? 40 : 20;
	const uint32_t headers = size + ip_size + 20;
	const struct fl_ip to = model_outer_to(m, &o->to.dst);
	struct model_frame told = *in;
	const uint8_t *inner = told.b + ETHER;
	uint8_t *ip = out->b + ETHER;
	struct fl_ip source;

	/* a SYN names at most the MSS that fits into the tunnel */
	if (p->flags & M_SYN)
		model_lower_mss(&told, p, room(m, o) - headers);
	memset(out->b, 0, ETHER + size);
	out->len = in->len + size;
	memcpy(out->b, in->b, ETHER);
	memcpy(ip + size, inner, in->len - ETHER);
	count_hop(ip + size, v6);
	source = source_of(m, p->family, o, got->b + ETHER + (v6 ? 8 : 12));
	put_address(v6, ip + (v6 ? 8 : 12), &source);
	put_address(v6, ip + (v6 ? 24 : 16), &to);
	if (geneve)
		put_geneve(ip + ip_size, p, &o->to, got->b + ETHER + ip_size);
	if (v6) {
		/* version and class as inside, then the label, which is free */
		ip[0] = inner[0];
		ip[1] = (uint8_t)((inner[1] & 0xf0) | (o->congested ? 0x30 : 0) |
				  (got->b[ETHER + 1] & 0x0f));
		memcpy(ip + 2, got->b + ETHER + 2, 2);
		put16(ip + 4, p->ip_len + size - 40);
		ip[6] = geneve ? 17 : 41;
		ip[7] = o->outer_ttl ? o->outer_ttl : OUTER_TTL;
		return;
	}
	ip[0] = 0x45;
	ip[1] = inner[1] | (o->congested ? 3 : 0);
	put16(ip + 2, p->ip_len + size);
	ip[6] = 0x40; /* nobody reassembles it */
	ip[8] = o->outer_ttl ? o->outer_ttl : OUTER_TTL;
	ip[9] = geneve ? 17 : 4;
	put16(ip + 10, ~model_sum(0, ip, 20));
}

static struct model_choice *choice_of(struct model *m, uint8_t proto, const struct model_tuple *t)
{
	struct model_choice *c;

	for (int i = 0; i < MODEL_CHOICES; i++)
		if (m->choice[i].live && m->choice[i].proto == proto &&
		    model_same(&m->choice[i].t, t))
			return &m->choice[i];
	c = &m->choice[m->n_choices++ % MODEL_CHOICES];
	*c = (struct model_choice){.live = true, .proto = proto, .t = *t};
	return c;
}

/* Every node finds the same one by the table, and this one does again. */
static const char *settle_backend(struct model *m, const struct model_verdicts *v,
				  const struct model_outcome *o)
{
	struct model_choice *c = v->by_proto ? choice_of(m, v->by_proto, &v->by)
					     : choice_of(m, v->packet.proto, &v->packet.t);
	const uint32_t version = m->port[v->port].version;

	if (c->chosen && c->version == version && !fl_ip_equal(&c->backend, &o->backend))
		return "the table had another backend for this tuple before";
	c->chosen = true;
	c->version = version;
	c->backend = o->backend;
	return NULL;
}

const char *model_settle_spread(const struct model *m, enum fl_family family, bool known,
				const struct model_frame *got, struct model_spread *spread)
{
	const bool v6 = family == FL_IPV6;
	const uint8_t *ip = got->b + ETHER, *udp = ip + (v6 ? 40 : 20);
	const struct model_spread is = {
		.source = address(v6, ip + (v6 ? 8 : 12)),
		.label = v6 ? get32(ip) & 0xfffff : 0,
		.sport = m->settings.geneve ? (uint16_t)get16(udp) : FIRST_SPORT,
	};

	if (is.sport < FIRST_SPORT)
		return "the source port of Geneve may be some service's";
	if (known && (spread->label != is.label || spread->sport != is.sport ||
		      !fl_ip_equal(&spread->source, &is.source)))
		return "packets of one flow differ by their outer headers";
	*spread = is;
	return NULL;
}

static const char *settle_outer(struct model *m, const struct model_packet *p,
				const struct model_frame *got)
{
	struct model_choice *c = choice_of(m, p->proto, &p->t);
	const bool known = c->wrapped;

	c->wrapped = true;
	return model_settle_spread(m, p->family, known, got, &c->spread);
}

const char *model_settle_choice(struct model *m, const struct model_verdicts *v,
				const struct model_outcome *o, const struct model_frame *got)
{
	const char *wrong = NULL;

	if (v->by_table && !fl_ip_is_unspecified(&o->backend) && (o->begins || !o->unsure))
		wrong = settle_backend(m, v, o);
	/* a later fragment has no ports */
	if (!wrong && o->wrapped && o->verdict == SENT_OUT && v->part != PART_LATER)
		wrong = settle_outer(m, &v->packet, got);
	return wrong;
}
