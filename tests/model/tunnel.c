// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Direct server return by IP in IP (RFC 2003, RFC 2473): a packet of a client from outside goes to
 * a backend of another node as it is, behind an outer header. Which backend it is, and how the
 * outer header spreads flows, is free, but the same for each packet of a tuple.
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/wire.h"

#define ETHER 14
#define OUTER_TTL 64

bool model_is_wrapped(const struct model *m, const struct model_port *port,
		      const struct model_packet *p, const struct model_endpoint *backend)
{
	/* pods of other nodes are masqueraded */
	const bool pod = m->settings.detector &&
			 fl_prefix_contains(&m->settings.pod_cidr[p->family], &p->t.src);

	/* 5.3.3: nor does a backend get from itself what it has sent */
	return port->dsr && !pod && !backend->on_node && !fl_ip_equal(&p->t.src, &backend->ip);
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
	return m->settings.check_mtu ? m->way(m->way_arg, &o->to.dst).mtu
				     : m->device[o->device].mtu;
}

static struct fl_ip source_of(const struct model *m, enum fl_family family,
			      const struct model_outcome *o, const uint8_t *got)
{
	const struct model_settings *s = &m->settings;
	struct fl_ip ip;

	if (!s->has_outer_sources[family])
		return s->has_node_address[family] ? s->node_address[family]
						   : m->device[o->device].address[family];
	ip = address(family == FL_IPV6, got);
	return fl_prefix_contains(&s->outer_sources[family], &ip) ? ip
								  : s->outer_sources[family].ip;
}

void model_wrap(const struct model *m, const struct model_frame *in, const struct model_packet *p,
		const struct model_outcome *o, const struct model_frame *got,
		struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6;
	const uint32_t size = model_outer_size(p->family);
	const uint32_t headers = size + (v6 ? 40 : 20) + 20;
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
	put_address(v6, ip + (v6 ? 24 : 16), &o->to.dst);
	if (v6) {
		/* version and class as inside, then the label, which is free */
		ip[0] = inner[0];
		ip[1] = (uint8_t)((inner[1] & 0xf0) | (got->b[ETHER + 1] & 0x0f));
		memcpy(ip + 2, got->b + ETHER + 2, 2);
		put16(ip + 4, p->ip_len);
		ip[6] = 41;
		ip[7] = OUTER_TTL;
		return;
	}
	ip[0] = 0x45;
	ip[1] = inner[1];
	put16(ip + 2, p->ip_len + size);
	ip[6] = 0x40; /* nobody reassembles it */
	ip[8] = OUTER_TTL;
	ip[9] = 4;
	put16(ip + 10, ~model_sum(0, ip, 20));
}

static struct model_choice *choice_of(struct model *m, const struct model_packet *p)
{
	struct model_choice *c;

	for (int i = 0; i < MODEL_CHOICES; i++)
		if (m->choice[i].live && m->choice[i].proto == p->proto &&
		    model_same(&m->choice[i].t, &p->t))
			return &m->choice[i];
	c = &m->choice[m->n_choices++ % MODEL_CHOICES];
	*c = (struct model_choice){.live = true, .proto = p->proto, .t = p->t};
	return c;
}

/* Every node finds the same one by the table, and this one does again. */
static const char *settle_backend(struct model *m, const struct model_verdicts *v,
				  const struct model_outcome *o)
{
	struct model_choice *c = choice_of(m, &v->packet);
	const uint32_t version = m->port[v->port].version;

	if (c->chosen && c->version == version && !fl_ip_equal(&c->backend, &o->backend))
		return "the table had another backend for this tuple before";
	c->chosen = true;
	c->version = version;
	c->backend = o->backend;
	return NULL;
}

static const char *settle_outer(struct model *m, const struct model_packet *p,
				const struct model_frame *got)
{
	struct model_choice *c = choice_of(m, p);
	const bool v6 = p->family == FL_IPV6;
	const uint8_t *ip = got->b + ETHER;
	const struct fl_ip source = address(v6, ip + (v6 ? 8 : 12));
	const uint32_t label = v6 ? get32(ip) & 0xfffff : 0;

	if (c->wrapped && (c->label != label || !fl_ip_equal(&c->source, &source)))
		return "packets of one flow differ by their outer headers";
	c->wrapped = true;
	c->source = source;
	c->label = label;
	return NULL;
}

const char *model_settle_choice(struct model *m, const struct model_verdicts *v,
				const struct model_outcome *o, const struct model_frame *got)
{
	const char *wrong = NULL;

	if (v->by_table && !fl_ip_is_unspecified(&o->backend))
		wrong = settle_backend(m, v, o);
	if (!wrong && o->wrapped)
		wrong = settle_outer(m, &v->packet, got);
	return wrong;
}
