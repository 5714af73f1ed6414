// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The flow table: whether it has what the model has, and no more. */
#include <netinet/in.h>
#include <string.h>

#include "conntrack/table.h"
#include "tests/model/run.h"

static bool key_is(const struct fl_addr *saddr, const struct fl_addr *daddr, uint16_t sport,
		   uint16_t dport, const struct model_tuple *t)
{
	return ntohs(sport) == t->sport && ntohs(dport) == t->dport &&
	       !memcmp(saddr, t->src.b, 16) && !memcmp(daddr, t->dst.b, 16);
}

static struct fl_flow_head *find_entry(const struct plane *p, const struct model_flow *f,
				       const struct model_tuple *t)
{
	const bool v6 = f->family == FL_IPV6;
	const size_t n = v6 ? p->maps.n_flows6 : p->maps.n_flows4;
	struct fl_tuple6 key = {.sport = htons(t->sport), .dport = htons(t->dport)};
	uint64_t hash;

	memcpy(&key.saddr, t->src.b, 16);
	memcpy(&key.daddr, t->dst.b, 16);
	hash = fl_hash_tuple(v6, &key, f->proto, p->config.flow_seed[0]);
	for (uint32_t choice = 0; choice < FL_FLOW_CHOICES; choice++) {
		const uint32_t bucket = fl_hash_bucket(hash, choice, (uint32_t)n - 1);

		for (uint32_t way = 0; way < FL_FLOW_WAYS; way++) {
			struct fl_flow_head *head =
				plane_head(p, f->family, bucket * FL_FLOW_WAYS + way);
			const struct fl_flow6 *six = (const struct fl_flow6 *)head;
			const struct fl_flow4 *four = (const struct fl_flow4 *)head;
			bool found;

			if (fl_flow_state(head->word) < FL_FLOW_NEW || head->proto != f->proto)
				continue;
			if (v6)
				found = key_is(&six->key.saddr, &six->key.daddr, six->key.sport,
					       six->key.dport, t);
			else
				found = four->key.sport == key.sport &&
					four->key.dport == key.dport &&
					four->key.saddr == key.saddr.w[3] &&
					four->key.daddr == key.daddr.w[3];
			if (found)
				return head;
		}
	}
	return NULL;
}

/* False: the table's word is that of no whole flow. */
static bool state_of(uint32_t word, enum model_state *ret_state)
{
	static const enum fl_flow_state states[MODEL_STATES] = {
		FL_FLOW_NEW,	     FL_FLOW_REPLIED,	FL_FLOW_ESTABLISHED,
		FL_FLOW_HALF_CLOSED, FL_FLOW_TIME_WAIT, FL_FLOW_CLOSING};

	for (int i = 0; i < MODEL_STATES; i++)
		if (states[i] == fl_flow_state(word)) {
			*ret_state = i;
			return true;
		}
	return false;
}

void run_check_flow(struct run *r, const struct step *step, const struct model_verdicts *v,
		    struct model_flow *f)
{
	const struct place *at = &r->place[f - r->m.flow];
	enum model_state state;

	if (f->uncounted && at->head) {
		const struct fl_flow_head *head = v->reply ? at->reply : at->head;

		f->packets[v->reply] -= head && head->packets + 1 == (uint32_t)f->packets[v->reply];
		f->uncounted = false;
	}
	if (!at->head || !at->reply != f->tunnelled)
		run_differs(r, step, v, "entries of the flow: %s",
			    !at->head	? "no original"
			    : at->reply ? "a reply"
					: "no reply");
	else if ((at->reply && fl_flow_state(at->head->word) != fl_flow_state(at->reply->word)) ||
		 !state_of(at->head->word, &state) || !model_settle_state(f, state))
		run_differs(r, step, v,
			    "state of the flow: %s in the model, %u and %u in the table",
			    run_state_names[f->state], fl_flow_state(at->head->word),
			    at->reply ? fl_flow_state(at->reply->word) : 0);
	else if (at->head->packets != (uint32_t)f->packets[0] ||
		 (at->reply && at->reply->packets != (uint32_t)f->packets[1]))
		run_differs(r, step, v,
			    "packets of the flow: %u and %u in the model, %u and %u in the table",
			    (unsigned)f->packets[0], (unsigned)f->packets[1], at->head->packets,
			    at->reply ? at->reply->packets : 0);
}

/* What is new has its entries, and names its backend. */
void run_place_flow(struct run *r, const struct step *step, const struct model_verdicts *v,
		    const struct model_flow *f)
{
	struct place *at = &r->place[f - r->m.flow];
	const struct model_tuple back = {f->inner.dst, f->inner.src, f->inner.dport,
					 f->inner.sport};
	const struct model_packet packet = {.family = f->family, .proto = f->proto};
	const struct fl_backend *b;

	at->head = find_entry(r->s->p, f, &f->asked);
	/* of one that goes by DSR it would be another one's, straight to that backend */
	at->reply = f->tunnelled && model_holder(&r->m, &packet, &f->inner)
			    ? NULL
			    : find_entry(r->s->p, f, &back);
	if (at->head && f->port >= 0) {
		b = &r->s->p->maps.backends[fl_flow_backend(at->head)];
		if (memcmp(&b->addr, f->inner.dst.b, 16) || ntohs(b->port) != f->inner.dport)
			run_differs(r, step, v, "the flow names another backend than it goes to");
		if (!(at->head->flags & FL_FLOW_SNAT) == f->masqueraded)
			run_differs(r, step, v, "the flow is%s said to be masqueraded",
				    f->masqueraded ? " not" : "");
		if (fl_flow_is_tunnelled(at->head->flags) != f->tunnelled)
			run_differs(r, step, v, "the flow is%s said to be tunnelled",
				    f->tunnelled ? " not" : "");
	}
}

/* Where a flow's packets have gone the next one goes without a look at the kernel's routes; but a
 * SYN may have one for the flow that it does not begin. */
void run_check_way(struct run *r, const struct step *step, const struct model_verdicts *v,
		   const struct model_outcome *o)
{
	struct place *at = v->flow ? &r->place[v->flow - r->m.flow] : NULL;

	if (!at || o->verdict != SENT_OUT || o->any_mac)
		return;
	if (at->number != v->flow->number)
		*at = (struct place){at->head, at->reply, v->flow->number, {false, false}};
	if (at->way_known[v->reply] && r->counters && !(v->packet.flags & M_SYN) &&
	    run_counter(r, FL_COUNTER_FIB_LOOKUP) != r->lookups)
		run_differs(r, step, v, "the way is looked up again");
	at->way_known[v->reply] = true;
}

void run_forget_ways(struct run *r)
{
	for (int i = 0; i < MODEL_FLOWS; i++)
		r->place[i].way_known[0] = r->place[i].way_known[1] = false;
}

bool run_has_begun(const struct run *r, const struct model_verdicts *v)
{
	const struct model_flow asked = {.family = v->packet.family, .proto = v->packet.proto};

	return find_entry(r->s->p, &asked, &v->packet.t);
}

/*
 * A flow that has begun, whose packet is dropped all the same: the outcome of the backend that its
 * entry names, and the tuple that it has there.
 */
const struct model_outcome *run_begun_besides(struct run *r, const struct model_verdicts *v,
					      const struct model_outcome *o,
					      struct model_packet *ret_got)
{
	const struct model_flow asked = {.family = v->packet.family, .proto = v->packet.proto};
	const struct fl_flow_head *head = find_entry(r->s->p, &asked, &v->packet.t);

	/* it has not begun: then it was to be dropped anyhow */
	for (int i = 0; !head && i < v->n; i++)
		if (!v->v[i].begins && v->v[i].verdict == o->verdict && v->v[i].reason == o->reason)
			return &v->v[i];
	if (!head)
		return o;
	if (asked.family == FL_IPV6) {
		const struct fl_tuple6 *to = &((const struct fl_flow6 *)head)->rewrite;

		memcpy(ret_got->t.src.b, &to->saddr, 16);
		memcpy(ret_got->t.dst.b, &to->daddr, 16);
		ret_got->t.sport = ntohs(to->sport);
		ret_got->t.dport = ntohs(to->dport);
	} else {
		const struct fl_tuple4 *to = &((const struct fl_flow4 *)head)->rewrite;

		ret_got->t.src = fl_ip_from_ipv4(&to->saddr);
		ret_got->t.dst = fl_ip_from_ipv4(&to->daddr);
		ret_got->t.sport = ntohs(to->sport);
		ret_got->t.dport = ntohs(to->dport);
	}
	for (int i = 0; i < v->n; i++) {
		const struct model_outcome *other = &v->v[i];

		if (other->begins && other->verdict == o->verdict && other->reason == o->reason &&
		    fl_ip_equal(&other->to.dst, &ret_got->t.dst) &&
		    fl_ip_equal(&other->to.src, &ret_got->t.src) &&
		    other->to.dport == ret_got->t.dport)
			return other;
	}
	return o;
}

void run_age_table(struct run *r, uint32_t jiffies)
{
	struct plane *p = r->s->p;

	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++) {
		const size_t n = f == FL_IPV4 ? p->maps.n_flows4 : p->maps.n_flows6;

		for (uint32_t slot = 0; slot < n * FL_FLOW_WAYS; slot++) {
			struct fl_flow_head *head = plane_head(p, f, slot);

			if (fl_flow_state(head->word) < FL_FLOW_NEW)
				continue;
			head->last_seen -= jiffies;
			if (head->proto == IPPROTO_UDP && !(head->flags & FL_FLOW_IS_REPLY))
				head->seq -= jiffies;
		}
	}
}

/* What an episode has written is cleared behind it: most entries it has not. */
static size_t take_entries(const struct plane *p, enum fl_family f)
{
	const size_t n = f == FL_IPV4 ? p->maps.n_flows4 : p->maps.n_flows6;
	const size_t size = f == FL_IPV4 ? sizeof(struct fl_flow4) : sizeof(struct fl_flow6);
	size_t live = 0;

	for (uint32_t slot = 0; slot < n * FL_FLOW_WAYS; slot++) {
		struct fl_flow_head *head = plane_head(p, f, slot);

		if (!head->word)
			continue;
		live += fl_flow_state(head->word) != FL_FLOW_FREE;
		memset(head, 0, size);
	}
	return live;
}

/* And make it empty for the next episode. */
void run_check_table(struct run *r)
{
	const struct plane *p = r->s->p;
	size_t want[FL_FAMILIES] = {0};

	for (int i = 0; i < MODEL_FLOWS; i++)
		if (r->m.flow[i].live)
			want[r->m.flow[i].family] += r->m.flow[i].tunnelled ? 1 : 2;
	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++) {
		const size_t got = take_entries(p, f);

		if (got != want[f])
			run_differs(r, NULL, NULL,
				    "entries of IPv%d: %zu in the model, %zu in the table",
				    f == FL_IPV4 ? 4 : 6, want[f], got);
	}
	memset(p->maps.overflow4, 0, p->maps.n_overflow4 * sizeof(*p->maps.overflow4));
	memset(p->maps.overflow6, 0, p->maps.n_overflow6 * sizeof(*p->maps.overflow6));
	memset(p->maps.port_spaces, 0, p->maps.n_port_spaces * sizeof(*p->maps.port_spaces));
}
