// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What routers on the way to another node say of packets that this one has encapsulated (RFC 2003,
 * section 4; docs/edge.md, "Direct server return"): the client is told about its own packet, from
 * the address that it has asked, and a size that is too big is remembered for the SYNs to come.
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/wire.h"

#define ETHER 14
#define HEADER 8 /* of ICMP */
#define LEAST4 68
#define LEAST6 1280
#define OLD_MTU 576 /* of routers that do not say */

struct told {
	bool v6, big;
	uint32_t mtu;		 /* of the outer packet */
	struct model_tuple ends; /* of the message */
	uint32_t inner;		 /* offset */
	uint8_t proto;
	struct model_tuple t; /* of the packet inside */
	struct fl_ip end, pod;
};

/* False: the client could do nothing about it. */
static bool parse_kind(const uint8_t *icmp, struct told *x)
{
	if (x->v6) {
		x->big = icmp[0] == 2;
		x->mtu = get32(icmp + 4);
		return icmp[0] == 1 || icmp[0] == 2 || icmp[0] == 3;
	}
	x->big = icmp[0] == 3 && icmp[1] == 4;
	x->mtu = get16(icmp + 6) ? get16(icmp + 6) : OLD_MTU;
	return icmp[0] == 3 || icmp[0] == 11;
}

/* The outer header, as this node writes it. */
static bool parse_outer(const struct model *m, const uint8_t *ip, struct told *x)
{
	const uint32_t size = x->v6 ? 40 : 20, words = x->v6 ? 5 : 2;
	const uint8_t proto = ip[x->v6 ? 6 : 9], *udp = ip + size;
	const struct fl_ip source = address(x->v6, ip + (x->v6 ? 8 : 12));

	if (!x->v6 && ip[0] != 0x45)
		return false;
	x->end = x->pod = address(x->v6, ip + (x->v6 ? 24 : 16));
	if (!fl_ip_equal(&source, &x->ends.dst))
		return false;
	if (!m->settings.geneve)
		return proto == (x->v6 ? 41 : 4);
	x->pod = address(x->v6, udp + 20);
	return proto == 17 && get16(udp + 2) == MODEL_GENEVE_PORT && !get16(udp + 6) &&
	       get32(udp + 8) == ((words + 1) << 24 | 0x400000 | (x->v6 ? 0x86dd : 0x0800)) &&
	       get32(udp + 12) == MODEL_GENEVE_VNI << 8 && get32(udp + 16) == (0xff468100 | words);
}

static bool parse_inner(const uint8_t *ip, struct told *x)
{
	const uint8_t *l4 = ip + (x->v6 ? 40 : 20);

	if (x->v6 ? ip[0] >> 4 != 6 : ip[0] != 0x45 || get16(ip + 6) & 0x1fff)
		return false;
	x->proto = ip[x->v6 ? 6 : 9];
	x->t.src = address(x->v6, ip + (x->v6 ? 8 : 12));
	x->t.dst = address(x->v6, ip + (x->v6 ? 24 : 16));
	x->t.sport = (uint16_t)get16(l4);
	x->t.dport = (uint16_t)get16(l4 + 2);
	return x->proto == 6 || x->proto == 17;
}

static bool parse(const struct model *m, const struct model_frame *f, struct told *x)
{
	const uint32_t type = f->len >= ETHER ? get16(f->b + 12) : 0;
	const uint8_t *ip = f->b + ETHER;
	uint32_t header, len, end;

	memset(x, 0, sizeof(*x));
	x->v6 = type == 0x86dd;
	header = x->v6 ? 40 : 20;
	x->inner = ETHER + header + HEADER +
		   model_outer_size(x->v6 ? FL_IPV6 : FL_IPV4, m->settings.geneve);
	end = x->inner + header + 8;
	if ((!x->v6 && type != 0x0800) || f->len < end || ip[x->v6 ? 6 : 9] != (x->v6 ? 58 : 1) ||
	    ip[0] != (x->v6 ? 0x60 : 0x45) || (!x->v6 && get16(ip + 6) & 0x3fff))
		return false;
	len = x->v6 ? 40 + get16(ip + 4) : get16(ip + 2);
	if (ETHER + len < end || ETHER + len > f->len)
		return false;
	x->ends.src = address(x->v6, ip + (x->v6 ? 8 : 12));
	x->ends.dst = address(x->v6, ip + (x->v6 ? 24 : 16));
	return parse_kind(ip + header, x) && parse_outer(m, ip + header + HEADER, x) &&
	       parse_inner(f->b + x->inner, x);
}

/* The flow whose packets go to that backend so. */
static const struct model_flow *flow_of(const struct model *m, const struct told *x)
{
	for (int i = 0; i < MODEL_FLOWS; i++) {
		const struct model_flow *f = &m->flow[i];

		if (f->live && f->tunnelled && f->proto == x->proto &&
		    model_same(&f->asked, &x->t) && fl_ip_equal(&f->inner.dst, &x->pod))
			return f;
	}
	return NULL;
}

/* As if the client's packet had come like this, of which no more is known. */
static void answer(const struct model_frame *in, const struct told *x, uint32_t outer,
		   struct model_frame *out)
{
	const uint32_t header = x->v6 ? 40 : 20, least = x->v6 ? LEAST6 : LEAST4;
	const uint32_t left = x->mtu > outer ? x->mtu - outer : 0;
	const struct model_packet p = {
		.family = x->v6 ? FL_IPV6 : FL_IPV4,
		.proto = 17,
		.t = x->t,
		.l4 = ETHER + header,
	};
	struct model_frame own = {.len = ETHER + header + 8};

	memcpy(own.b, in->b, ETHER);
	memcpy(own.b + ETHER, in->b + x->inner, header + 8);
	model_answer(&own, &p, x->big ? ANSWER_TOO_BIG : ANSWER_HOST_UNREACHABLE,
		     left > least ? left : least, out);
}

bool model_judge_tunnel_error(struct model *m, enum model_hook hook,
			      const struct model_frame *frame, struct model_verdicts *v)
{
	const bool xdp = hook == MEETS_XDP;
	const struct model_flow *f;
	struct model_outcome *o;
	struct model_way way;
	struct told x;
	uint32_t outer;

	if ((!xdp && hook != MEETS_TC) || !parse(m, frame, &x) || model_impossible(&x.ends) ||
	    model_is_local(m, &x.ends.src))
		return false;
	f = flow_of(m, &x);
	if (!f)
		return false;
	way = m->way(m->way_arg, &x.t.src);
	if (way.none) {
		model_may_drop(v, "no-route");
		return true;
	}
	if (xdp && (way.unknown || !m->device[way.device].xdp_may_send)) {
		model_may(v, LEFT_TO_TC);
		return true;
	}
	outer = model_outer_size(x.v6 ? FL_IPV6 : FL_IPV4, m->settings.geneve);
	answer(frame, &x, outer, &v->made);
	o = model_may(v, SENT_OUT);
	o->made = o->forward = o->error = true;
	o->device = way.device;
	o->any_mac = way.unknown;
	memcpy(o->mac, way.mac, 6);
	/* RFC 8201, section 4: what is smaller than any way takes is no size */
	if (x.big && x.mtu >= (x.v6 ? LEAST6 : LEAST4 + outer)) {
		o->learns = true;
		v->learnt = (struct model_path){true, xdp, x.end, x.mtu, m->now_ms};
	}
	/* over, and not forgotten yet */
	return !model_is_over(m, f);
}

static struct model_path *path_to(struct model *m, bool xdp, const struct fl_ip *to)
{
	for (int i = 0; i < MODEL_PATHS; i++)
		if (m->path[i].live && m->path[i].xdp == xdp && fl_ip_equal(&m->path[i].to, to))
			return &m->path[i];
	return NULL;
}

void model_learn_path(struct model *m, const struct model_path *learnt)
{
	struct model_path *p = path_to(m, learnt->xdp, &learnt->to);

	for (int i = 0; !p && i < MODEL_PATHS; i++)
		if (!m->path[i].live)
			p = &m->path[i];
	if (p)
		*p = *learnt;
}

uint32_t model_path_mtu(const struct model *m, bool xdp, const struct fl_ip *to, uint32_t mtu)
{
	const struct model_path *p = path_to((struct model *)m, xdp, to);

	if (!p || p->mtu >= mtu || m->now_ms - p->since_ms >= MODEL_PATH_MS)
		return mtu;
	return p->mtu;
}
