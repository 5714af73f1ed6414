// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Direct server return on the backend's side (docs/edge.md, "Direct server return"; robustness D5):
 * what another node has encapsulated for a pod of this one loses its outer header, and its flow is
 * one to that pod, which sees the client and whose answers leave as the frontend's. What is for no
 * Service stays as it is, and so does IP in IP for this node's own addresses, and Geneve for
 * others. Either is understood, whatever this node itself sends by.
 */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/wire.h"

#define ETHER 14
#define CONGESTED 3 /* of ECN */

struct outer {
	bool v6, geneve;
	bool ours; /* by all of Geneve that is the same in each packet of ours */
	struct fl_ip from, to;
	struct fl_ip pod; /* of Geneve the option's, else `to` */
	uint16_t port;	  /* 0: it names none */
	uint32_t len;	  /* of the whole, as it says; no more than came */
	uint32_t size;	  /* of all that is in front of the packet inside */
	uint8_t ecn, ttl;
};

/* One of ours: only what differs from packet to packet may differ. `udp`: where it begins. */
static bool parse_geneve(const struct model_frame *f, uint32_t udp, struct outer *ret)
{
	const uint8_t *b = f->b + udp, *geneve = b + 8, *option = geneve + 8;
	const uint32_t words = ret->v6 ? 5 : 2;

	ret->geneve = true;
	ret->size = model_outer_size(ret->v6 ? FL_IPV6 : FL_IPV4, true);
	ret->ours =
		f->len >= udp + 8 + 8 + 4 && get16(b + 2) == MODEL_GENEVE_PORT && !get16(b + 6) &&
		get32(geneve) == ((words + 1) << 24 | 0x400000 | (ret->v6 ? 0x86dd : 0x0800)) &&
		get32(geneve + 4) == MODEL_GENEVE_VNI << 8 && get32(option) == (0xff468100 | words);
	if (!ret->ours || f->len < ETHER + ret->size || get16(b + 4) != ret->len - (udp - ETHER))
		return false;
	ret->pod = address(ret->v6, option + 4);
	ret->port = (uint16_t)get16(option + 4 * words);
	return true;
}

/* IPv4 in IPv4 or IPv6 in IPv6, or in Geneve, by a header without options that is no fragment's. */
static bool parse_outer(const struct model_frame *f, struct outer *ret)
{
	const uint32_t type = f->len >= ETHER ? get16(f->b + 12) : 0;
	const uint8_t *ip = f->b + ETHER;
	uint8_t proto;

	memset(ret, 0, sizeof(*ret));
	ret->v6 = type == 0x86dd;
	ret->size = ret->v6 ? 40 : 20;
	if ((!ret->v6 && type != 0x0800) || f->len < ETHER + ret->size)
		return false;
	ret->from = address(ret->v6, ip + (ret->v6 ? 8 : 12));
	ret->pod = ret->to = address(ret->v6, ip + (ret->v6 ? 24 : 16));
	proto = ip[ret->v6 ? 6 : 9];
	ret->ttl = ip[ret->v6 ? 7 : 8];
	if (ret->v6) {
		ret->len = 40 + get16(ip + 4);
		ret->ecn = ip[1] >> 4 & 3;
		if (ip[0] >> 4 != 6)
			return false;
	} else {
		ret->len = get16(ip + 2);
		ret->ecn = ip[1] & 3;
		if (ip[0] != 0x45 || get16(ip + 6) & 0x3fff)
			return false;
	}
	if (ETHER + ret->len > f->len)
		return false;
	return proto == 17 ? parse_geneve(f, ETHER + ret->size, ret) : proto == (ret->v6 ? 41 : 4);
}

/* A packet of Geneve is all there is in the outer one; behind another one there may be padding. */
static bool outer_fits(const struct outer *o, const struct model_packet *inner)
{
	const uint32_t len = o->size + inner->ip_len;

	return o->geneve ? o->len == len : o->len >= len;
}

/* The frame without it. */
static void strip(const struct model_frame *f, const struct outer *o, struct model_frame *ret)
{
	const uint32_t size = o->size;

	ret->len = f->len - size;
	memcpy(ret->b, f->b, ETHER);
	memcpy(ret->b + ETHER, f->b + ETHER + size, ret->len - ETHER);
}

static uint8_t ecn_of(const struct model_frame *f, bool v6)
{
	return v6 ? f->b[ETHER + 1] >> 4 & 3 : f->b[ETHER + 1] & 3;
}

/* RFC 6040: a mark of congestion goes over to a packet that takes such marks. */
static void mark(struct model_frame *f, bool v6)
{
	uint8_t *ip = f->b + ETHER;
	const uint32_t sum = v6 ? 0 : model_sum(0, ip, 20);

	ip[1] |= v6 ? CONGESTED << 4 : CONGESTED;
	if (v6)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, model_makes_up(sum, model_sum(0, ip, 20)));
}

static bool is_node(const struct model *m, const struct fl_ip *ip)
{
	for (int i = 0; i < m->n_nodes; i++)
		if (fl_ip_equal(&m->node[i], ip))
			return true;
	return false;
}

/* A node that is known, or an outer source that one may use. */
static bool is_tunnel_source(const struct model *m, enum fl_family family, const struct fl_ip *ip)
{
	/* RFC 4291: an IPv4 address in an IPv6 header is none of the network's */
	return fl_ip_family(ip) == family &&
	       (is_node(m, ip) || (m->settings.has_outer_sources[family] &&
				   fl_prefix_contains(&m->settings.outer_sources[family], ip)));
}

/* The service port whose client has sent it; of a node port the one of any node. -1: none. */
static int served(const struct model *m, const struct model_packet *p, enum model_kind *ret_kind)
{
	const int port = model_find(m, &p->t.dst, p->t.dport, p->proto, ret_kind);

	if (port >= 0 || !is_node(m, &p->t.dst))
		return port;
	*ret_kind = KIND_NODE_PORT;
	return model_find_node_port(m, p->family, p->t.dport, p->proto);
}

/* It was congested, and its ends would not understand the mark. */
static bool is_lost(const struct outer *o, const struct model_frame *inner)
{
	return o->ecn == CONGESTED && !ecn_of(inner, o->v6);
}

/* It goes to the pod, unless it was congested and does not know the mark. */
static struct model_outcome *unpack(struct model_verdicts *v, const struct outer *o,
				    const struct model_tuple *to)
{
	const bool lost = is_lost(o, &v->inner);
	struct model_outcome *may = model_may(v, lost ? IS_DROPPED : PASSES);

	may->reason = lost ? "tunnel-content" : NULL;
	may->translated = may->unpacked = true;
	may->to = *to;
	return may;
}

/* Not of fragments and the like. */
static bool may_pass(const struct model *m, const struct model_packet *p, const struct outer *outer)
{
	return !p->odd && p->proto == 6 && !(p->flags & M_SYN) && model_outer_ttl(outer->ttl) &&
	       outer->geneve == m->settings.geneve;
}

/* What is sent from the first of these outcomes on goes in another outer header, in which a mark of
 * congestion stays; nobody is told if it cannot. */
static void pass_on(struct model_verdicts *v, const struct outer *outer, int first)
{
	for (int i = first; i < v->n; i++) {
		struct model_outcome *o = &v->v[i];

		o->outer_ttl = model_outer_ttl(outer->ttl);
		o->congested = outer->ecn == CONGESTED;
		o->unpacked = o->translated;
		if (o->verdict == SENT_OUT && o->divide)
			o->reason = "too-big";
		if (!o->reason)
			continue;
		o->verdict = IS_DROPPED;
		o->translated = o->wrapped = o->unpacked = false;
	}
}

/* Of a flow that goes elsewhere no node sends anything here, but segments of a connection that this
 * node has sent there before: it is balanced once (D7). */
static void refuse_to_send_on(struct model *m, struct model_verdicts *v, const struct outer *outer,
			      bool wrapped, bool xdp, const struct model_tuple *to)
{
	if (wrapped && may_pass(m, &v->packet, outer)) {
		model_send_wrapped(m, v, xdp, to);
		pass_on(v, outer, 0);
		for (int i = 0; i < v->n; i++)
			v->v[i].uncounted = true;
		return;
	}
	if (wrapped)
		model_send_wrapped(m, v, xdp, to);
	else
		model_send_on(m, v, xdp, to);
	for (int i = 0; i < v->n; i++) {
		struct model_outcome *o = &v->v[i];

		o->uncounted = true;
		if (o->verdict != IS_DROPPED)
			o->reason = "tunnel-frontend";
		o->verdict = IS_DROPPED;
		o->wrapped = false;
	}
}

static void take_mark(const struct outer *o, struct model_frame *inner)
{
	if (o->ecn == CONGESTED && ecn_of(inner, o->v6))
		mark(inner, o->v6);
}

/* The backend's SYN asks for no more than fits into the tunnel of the node before, which has told
 * by the client's, and through the device that it came by. */
static uint32_t mss_of(const struct model *m, const struct model_packet *p,
		       const struct outer *outer, int device)
{
	const uint32_t headers = outer->size + (p->family == FL_IPV6 ? 40 : 20) + 20;
	const uint32_t most = m->device[device].mtu - headers;

	return p->mss_at && p->mss < most ? p->mss : most;
}

static bool refuses(struct model_verdicts *v, const struct model_port *port, enum model_kind kind,
		    const struct model_side *side)
{
	if (kind == KIND_LOAD_BALANCER && !model_in_ranges(port, &v->packet.t.src))
		model_may_drop(v, "source-range");
	else if (side->reject) /* the node that the client has written to answers */
		model_may_drop(v, "reject-no-endpoint");
	else if (!side->forward)
		model_may_drop(v, "no-local-endpoint");
	else
		return false;
	return true;
}

/* D6, D11: no client has this source. */
static bool no_client(const struct model *m, const struct model_packet *p)
{
	return p->mapped || model_impossible(&p->t) || model_is_local(m, &p->t.src) ||
	       model_from_frontend(m, p);
}

/* Another node may know it: it goes on in another outer header, and nobody is told if it cannot. */
static void may_go_on(const struct model *m, struct model_verdicts *v, enum model_hook hook,
		      const struct outer *outer, const struct model_port *port,
		      const struct model_side *side)
{
	const int first = v->n;

	if (!may_pass(m, &v->packet, outer) || !model_may_be_older(port, side, &v->packet))
		return;
	model_may_be_asked(m, v, hook == MEETS_XDP, port, &outer->pod);
	pass_on(v, outer, first);
}

static void judge_new(struct model *m, struct model_verdicts *v, enum model_hook hook,
		      const struct outer *outer, int port, enum model_kind kind, int device)
{
	const struct model_packet *p = &v->packet;
	const struct model_side side = model_side_of(&m->port[port], kind, false);
	const struct model_endpoint *b = NULL;
	struct model_outcome *o;
	struct model_tuple to;

	/* who is its own backend is masqueraded where it has asked (5.3.3) */
	if (no_client(m, p) || fl_ip_equal(&p->t.src, &outer->pod)) {
		model_may_drop(v, "tunnel-content");
		return;
	}
	if (!model_begins(p)) {
		model_may_drop(v, "no-flow");
		may_go_on(m, v, hook, outer, &m->port[port], &side);
		return;
	}
	if (refuses(v, &m->port[port], kind, &side))
		return;
	for (int i = 0; i < side.n; i++)
		if (side.list[i]->on_node && fl_ip_equal(&side.list[i]->ip, &outer->pod) &&
		    (!outer->port || outer->port == side.list[i]->port))
			b = side.list[i];
	if (!b) {
		model_may_drop(v, "tunnel-frontend");
		return;
	}
	to = (struct model_tuple){p->t.src, b->ip, p->t.sport, b->port};
	v->port = port;
	v->client = p->t.src;
	v->elsewhere = kind == KIND_NODE_PORT && !model_is_local(m, &p->t.dst);
	v->mss = p->proto == 6 ? mss_of(m, p, outer, device) : 0;
	o = unpack(v, outer, &to);
	o->begins = o->backend_local = true;
	o->backend = b->ip;
	o->backend_port = b->port;
	o->source = p->t.src;
	/* another frontend's flow from there is to the same backend: they are kept apart */
	o->any_port = model_holder(m, p, &to);
	if (o->verdict == IS_DROPPED)
		model_may_drop(v, o->reason); /* without a flow */
}

/* A SYN that is repeated may ask for less; one for a connection that is there says nothing. */
static void tell_again(struct model *m, struct model_verdicts *v, const struct model_flow *f,
		       const struct outer *outer, int device)
{
	const struct model_packet *p = &v->packet;
	uint32_t most;

	if (p->proto != 6 || !model_opens(p) || !f->reply_leaves_here)
		return;
	most = mss_of(m, p, outer, device);
	v->mss = !f->mss || most < f->mss ? most : f->mss;
}

/* What a known node has sent, of TCP or UDP; port -1: for no Service, and it stays as it is,
 * whoever else it may be of. */
static void judge_inner(struct model *m, struct model_verdicts *v, enum model_hook hook,
			const struct outer *outer, int port, enum model_kind kind, int device)
{
	struct model_flow *asked, *reply;

	take_mark(outer, &v->inner);
	model_find_flows(m, &v->packet, &asked, &reply);
	if (model_gives_up(m, v, &asked))
		return;
	if (port < 0 && (!asked || asked->direct || !model_goes_on(m, v, asked))) {
		model_may(v, PASSES);
	} else if (!asked || !model_goes_on(m, v, asked)) {
		judge_new(m, v, hook, outer, port, kind, device);
	} else if (asked->to_stack) {
		tell_again(m, v, asked, outer, device);
		unpack(v, outer, &asked->inner);
	} else {
		refuse_to_send_on(m, v, outer, asked->tunnelled, hook == MEETS_XDP, &asked->inner);
	}
}

/* Clients of Services write to it, here, also where it is an address of this node, or at another
 * node. */
static bool has_frontends(const struct model *m, const struct fl_ip *ip)
{
	return model_is_cluster_ip(m, ip) || model_is_external(m, ip) || is_node(m, ip);
}

/* An error about what a backend has answered; another node has found out that it is here. */
static bool judge_error_inside(struct model *m, struct model_verdicts *v, enum model_hook hook,
			       const struct outer *outer)
{
	const enum fl_family family = outer->v6 ? FL_IPV6 : FL_IPV4;
	struct fl_ip dst;

	if (!model_is_icmp_error(&v->inner, &dst) || !has_frontends(m, &dst))
		return false;
	v->encapsulated = false; /* no flow begins */
	if (!is_tunnel_source(m, family, &outer->from)) {
		model_may_drop(v, "tunnel-source");
	} else if (is_lost(outer, &v->inner)) {
		model_may_drop(v, "tunnel-content");
	} else {
		take_mark(outer, &v->inner);
		model_judge_icmp_for(m, hook, &outer->pod, &v->inner, v);
	}
	return true;
}

/* It has no outer header any more. */
static void cannot_pass(struct model_verdicts *v, const char *reason)
{
	for (int i = 0; i < v->n; i++) {
		struct model_outcome *o = &v->v[i];

		o->unpacked |= o->translated;
		if (o->verdict != PASSES || o->translated)
			continue;
		o->verdict = IS_DROPPED;
		o->reason = reason;
	}
}

/*
 * Fragments, options and extension headers inside: XDP leaves them to tc, which takes the outer
 * header off before it looks at more than the addresses. So what cannot go to a pod then is
 * dropped.
 */
static bool judge_odd_inside(struct model *m, struct model_verdicts *v, enum model_hook hook,
			     const struct outer *outer, int device)
{
	const struct model_packet *p = &v->packet;
	enum model_kind kind;
	int port;

	if (!has_frontends(m, &p->t.dst))
		return false;
	if (hook == MEETS_XDP) {
		model_may(v, LEFT_TO_TC);
		return true;
	}
	take_mark(outer, &v->inner);
	if (!is_tunnel_source(m, p->family, &outer->from)) {
		model_may_drop(v, "tunnel-source");
	} else if (is_lost(outer, &v->inner)) {
		model_may_drop(v, "tunnel-content");
	} else if (model_judge_fragment(m, v, hook, true)) {
		cannot_pass(v, "tunnel-content");
	} else if (!v->understood || model_impossible(&p->t) || model_is_local(m, &p->t.src)) {
		model_may_drop(v, "tunnel-content");
	} else {
		port = served(m, p, &kind);
		judge_inner(m, v, hook, outer, port, kind, device);
		cannot_pass(v, "tunnel-frontend");
		model_judged_fragment(m, v);
	}
	return true;
}

/* Whatever is not for us of what looks like ours is left alone, a Service's at that port too. */
static bool leave_alone(struct model_verdicts *v, const struct outer *outer)
{
	if (!outer->ours || !v->understood || v->packet.odd)
		return false;
	model_may(v, PASSES);
	return true;
}

bool model_judge_encapsulated(struct model *m, struct model_verdicts *v, enum model_hook hook,
			      int device, const struct model_frame *frame)
{
	const struct model_packet as_it_came = v->packet;
	const bool understood = v->understood && !v->packet.odd;
	enum model_kind kind;
	struct outer outer;
	bool fits;
	int port;

	if (hook != MEETS_XDP && hook != MEETS_TC)
		return false;
	if (!parse_outer(frame, &outer) || model_is_local(m, &outer.to) != outer.geneve)
		return leave_alone(v, &outer);
	strip(frame, &outer, &v->inner);
	v->as_sent = v->inner;
	v->understood = model_parse(&v->inner, &v->packet);
	v->encapsulated = true;
	fits = outer_fits(&outer, &v->packet);
	if (!fits) {
		/* D1: it makes no sense */
	} else if (v->packet.odd) {
		if (judge_odd_inside(m, v, hook, &outer, device))
			return true;
	} else if (v->understood || v->packet.mapped) {
		port = served(m, &v->packet, &kind);
		if (is_tunnel_source(m, v->packet.family, &outer.from)) {
			judge_inner(m, v, hook, &outer, port, kind, device);
			return true;
		}
		if (port >= 0) {
			model_may_drop(v, "tunnel-source");
			return true;
		}
	}
	if (fits && judge_error_inside(m, v, hook, &outer))
		return true;
	/* what makes no sense, and what is not for a Service, may be somebody else's */
	v->packet = as_it_came;
	v->understood = understood;
	v->encapsulated = false;
	return leave_alone(v, &outer);
}
