// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Running an episode in both, and comparing: verdicts, bytes, flows, counters. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "conntrack/table.h"
#include "lb/dp/frontend_table.h"
#include "tests/model/fuzz.h"

#define MARK_FOR_TC 0x464c5443U

static const char *const tokens[FL_COUNTER_MAX] = {
#define X(name, token, text) [FL_REASON_##name] = token,
	FL_REASONS(X)
#undef X
#define X(name, token, text) [FL_COUNTER_##name] = token,
		FL_COUNTERS(X)
#undef X
};

static const char *const hook_names[MODEL_HOOKS] = {"XDP", "tc", "pod in", "way out", "pod out"};
static const char *const verdict_names[] = {"passes", "is left to tc", "is sent", "is dropped",
					    "is answered"};
static const char *const state_names[MODEL_STATES] = {"new",	     "replied",	  "established",
						      "half closed", "time wait", "reset"};

/* Where the entries of a flow lie. */
struct place {
	struct fl_flow_head *head, *reply;
	uint32_t number;   /* of the flow */
	bool way_known[2]; /* a request, a reply has been sent on */
};

struct run {
	struct scenario *s;
	struct model m;
	struct talkers talkers;
	struct place place[MODEL_FLOWS];
	uint64_t expected[FL_COUNTER_MAX], before[FL_COUNTER_MAX];
	struct totals *totals;
	struct found *found;
	FILE *trace;
	int step;
	bool counters;
	uint64_t lookups; /* of the kernel's routes, before the last packet */
	/* the last packet */
	struct model_frame out;
	int raw;
	bool marked, known; /* known: it was of a flow */
};

static void say_packet(FILE *out, enum model_hook hook, int device, const struct model_frame *f)
{
	char a[FL_IP_PORT_STRLEN], b[FL_IP_PORT_STRLEN];
	struct model_packet p;

	fprintf(out, "%s of device %d, ", hook_names[hook], device);
	if (!model_parse(f, &p)) {
		fprintf(out, "a frame of %u bytes:", f->len);
		for (uint32_t i = 0; i < f->len && i < 64; i++)
			fprintf(out, "%s%02x", i % 4 ? "" : " ", f->b[i]);
		return;
	}
	fprintf(out, "%s %s > %s", p.proto == IPPROTO_TCP ? "TCP" : "UDP",
		fl_ip_port_format(&p.t.src, p.t.sport, a),
		fl_ip_port_format(&p.t.dst, p.t.dport, b));
	if (p.proto == IPPROTO_TCP)
		fprintf(out, " flags %#x seq %u ack %u", p.flags, p.seq, p.ack);
	fprintf(out, " ttl %u payload %u%s", p.ttl, p.payload, p.df ? "" : ", no DF");
}

/* The first difference counts. */
static void differs(struct run *r, const struct step *step, const struct model_verdicts *v,
		    const char *format, ...)
{
	FILE *out;
	va_list args;

	if (r->found->differs)
		return;
	r->found->differs = true;
	r->found->step = r->step;
	out = fmemopen(r->found->text, sizeof(r->found->text) - 1, "w");
	if (!out)
		return;
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	if (step) {
		fprintf(out, "\n  packet: ");
		say_packet(out, step->hook, step->device, &step->frame);
		fprintf(out, "\n  out:    verdict %d%s, ", r->raw, r->marked ? ", marked" : "");
		say_packet(out, step->hook, step->device, &r->out);
	}
	for (int i = 0; v && i < v->n; i++) {
		const struct model_outcome *o = &v->v[i];
		char a[FL_IP_PORT_STRLEN], b[FL_IP_PORT_STRLEN];

		fprintf(out, "\n  model:  %s %s", verdict_names[o->verdict],
			o->reason ? o->reason : "");
		if (o->translated)
			fprintf(out, " as %s > %s%s, device %d",
				fl_ip_port_format(&o->to.src, o->any_port ? 0 : o->to.sport, a),
				fl_ip_port_format(&o->to.dst, o->to.dport, b),
				o->any_port ? " (any port)" : "", o->device);
	}
	if (v && v->flow)
		fprintf(out, "\n  flow:   %s, %s, port %d%s", v->reply ? "reply" : "request",
			state_names[v->flow->state], v->flow->port,
			v->flow->direct ? ", direct" : "");
	fclose(out);
}

/* The datapath */

static bool run_packet(struct run *r, enum model_hook hook, int device,
		       const struct model_frame *in)
{
	static const enum prog progs[MODEL_HOOKS] = {PROG_XDP, PROG_TC_INGRESS, PROG_POD_INGRESS,
						     PROG_TC_EGRESS, PROG_POD_EGRESS};
	const struct plane *p = r->s->p;
	struct xdp_md xdp = {.data_end = in->len, .ingress_ifindex = p->net->ifindex[device]},
		      after;
	struct __sk_buff skb = {.ifindex = p->net->ifindex[device]};
	uint8_t out[MODEL_FRAME + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_size_in = in->len,
		    .data_out = out, .data_size_out = sizeof(out));
	uint32_t from = 0;

	if (hook == MEETS_XDP) {
		opts.ctx_in = &xdp;
		opts.ctx_size_in = sizeof(xdp);
		opts.ctx_out = &after;
		opts.ctx_size_out = sizeof(after);
	} else {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	r->totals->packets++;
	r->totals->by_hook[hook]++;
	if (bpf_prog_test_run_opts(p->prog_fd[progs[hook]], &opts))
		return false;
	r->raw = (int)opts.retval;
	r->marked = false;
	r->out.len = opts.data_size_out;
	if (hook == MEETS_XDP) {
		from = after.data;
		r->out.len = after.data_end - after.data;
		if (from) {
			uint32_t mark;

			memcpy(&mark, out, sizeof(mark));
			r->marked = mark == MARK_FOR_TC;
		}
	}
	if (r->out.len > sizeof(r->out.b))
		return false;
	memcpy(r->out.b, out + from, r->out.len);
	return true;
}

static bool verdict_is(const struct run *r, const struct step *step, const struct model_outcome *o)
{
	const bool xdp = step->hook == MEETS_XDP;

	switch (o->verdict) {
	case PASSES:
		return r->raw == (xdp ? XDP_PASS : TC_ACT_UNSPEC) && !r->marked;
	case LEFT_TO_TC:
		return xdp && r->raw == XDP_PASS && r->marked;
	case IS_DROPPED:
		return r->raw == (xdp ? XDP_DROP : TC_ACT_SHOT);
	case IS_ANSWERED:
		return r->raw == (xdp ? XDP_TX : TC_ACT_REDIRECT);
	case SENT_OUT:
		if (!xdp)
			return r->raw == TC_ACT_REDIRECT;
		return r->raw == (o->device == step->device ? XDP_TX : XDP_REDIRECT);
	}
	return false;
}

static uint64_t counter(const struct run *r, uint32_t c)
{
	return plane_total(r->s->p, c);
}

static uint32_t counter_of(const char *token)
{
	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++)
		if (!strcmp(tokens[c], token))
			return c;
	return 0;
}

static void put_macs(const struct run *r, const struct model_outcome *o, struct model_frame *ret)
{
	memcpy(ret->b, o->mac, 6);
	memcpy(ret->b + 6, r->m.device[o->device].mac, 6);
	if (o->any_mac)
		memcpy(ret->b, r->out.b, 12);
}

/* The frame that this outcome gives; with a free port the one that was chosen. */
static void expected_frame(const struct run *r, const struct step *step,
			   const struct model_verdicts *v, const struct model_outcome *o,
			   struct model_frame *ret)
{
	struct model_tuple to = o->to;
	uint32_t l4 = v->packet.l4;

	if (o->made) {
		*ret = v->made;
		if (o->forward)
			put_macs(r, o, ret);
		return;
	}
	if (o->verdict == IS_ANSWERED) {
		model_answer(&step->frame, &v->packet, o->answer, o->mtu, ret);
		return;
	}
	if (!o->translated) {
		ret->len = step->frame.len;
		memcpy(ret->b, step->frame.b, ret->len);
		return;
	}
	if (o->any_port && r->out.len >= l4 + 2)
		to.sport = (uint16_t)(r->out.b[l4] << 8 | r->out.b[l4 + 1]);
	model_rewrite(&step->frame, &v->packet, &to, o->forward, ret);
	if (o->forward)
		put_macs(r, o, ret);
}

static bool fits(const struct run *r, const struct step *step, const struct model_verdicts *v,
		 const struct model_outcome *o, struct model_frame *want)
{
	if (!verdict_is(r, step, o))
		return false;
	if (o->verdict == IS_DROPPED)
		return true;
	expected_frame(r, step, v, o, want);
	return want->len == r->out.len && !memcmp(want->b, r->out.b, want->len);
}

/* The table */

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

static void check_flow(struct run *r, const struct step *step, const struct model_verdicts *v,
		       struct model_flow *f)
{
	const struct place *at = &r->place[f - r->m.flow];
	enum model_state state;

	if (!at->head || !at->reply)
		differs(r, step, v, "the flow is not in the table (%s)",
			at->head ? "no reply" : "no original");
	else if (fl_flow_state(at->head->word) != fl_flow_state(at->reply->word) ||
		 !state_of(at->head->word, &state) || !model_settle_state(f, state))
		differs(r, step, v, "state of the flow: %s in the model, %u and %u in the table",
			state_names[f->state], fl_flow_state(at->head->word),
			fl_flow_state(at->reply->word));
	else if (at->head->packets != (uint32_t)f->packets[0] ||
		 at->reply->packets != (uint32_t)f->packets[1])
		differs(r, step, v,
			"packets of the flow: %u and %u in the model, %u and %u in the table",
			(unsigned)f->packets[0], (unsigned)f->packets[1], at->head->packets,
			at->reply->packets);
}

/* What is new has its entries, and names its backend. */
static void place_flow(struct run *r, const struct step *step, const struct model_verdicts *v,
		       const struct model_flow *f)
{
	struct place *at = &r->place[f - r->m.flow];
	const struct model_tuple back = {f->inner.dst, f->inner.src, f->inner.dport,
					 f->inner.sport};
	const struct fl_backend *b;

	at->head = find_entry(r->s->p, f, &f->asked);
	at->reply = find_entry(r->s->p, f, &back);
	if (at->head && f->port >= 0) {
		b = &r->s->p->maps.backends[fl_flow_backend(at->head)];
		if (memcmp(&b->addr, f->inner.dst.b, 16) || ntohs(b->port) != f->inner.dport)
			differs(r, step, v, "the flow names another backend than it goes to");
		if (!(at->head->flags & FL_FLOW_SNAT) == f->masqueraded)
			differs(r, step, v, "the flow is%s said to be masqueraded",
				f->masqueraded ? " not" : "");
	}
}

static void count_pick(struct run *r, const struct model_outcome *o, int port)
{
	const struct model_port *p = &r->m.port[port];

	for (int i = 0; i < p->n_endpoints; i++)
		if (p->endpoint[i].port == o->backend_port &&
		    fl_ip_equal(&p->endpoint[i].ip, &o->backend))
			r->s->picks[port][i]++;
}

/* Where a flow's packets have gone the next one goes without a look at the kernel's routes; but a
 * SYN may have one for the flow that it does not begin. */
static void check_way(struct run *r, const struct step *step, const struct model_verdicts *v,
		      const struct model_outcome *o)
{
	struct place *at = v->flow ? &r->place[v->flow - r->m.flow] : NULL;

	if (!at || o->verdict != SENT_OUT || o->any_mac)
		return;
	if (at->number != v->flow->number)
		*at = (struct place){at->head, at->reply, v->flow->number, {false, false}};
	if (at->way_known[v->reply] && r->counters && !(v->packet.flags & M_SYN) &&
	    counter(r, FL_COUNTER_FIB_LOOKUP) != r->lookups)
		differs(r, step, v, "the way is looked up again");
	at->way_known[v->reply] = true;
}

static void take_outcome(struct run *r, const struct step *step, const struct model_verdicts *v,
			 const struct model_outcome *o)
{
	struct model_flow *begun = NULL;
	struct model_packet got = v->packet;
	const char *wrong;

	if (o->begins && !model_parse(&r->out, &got)) {
		differs(r, step, v, "what came out is no packet");
		return;
	}
	if (o->reason) {
		const uint32_t c = counter_of(o->reason);

		r->expected[c]++;
		/* otherwise all of them at the end of the episode, which is one call */
		if (r->counters && counter(r, c) - r->before[c] != r->expected[c])
			differs(r, step, v, "%s is not counted as %s", verdict_names[o->verdict],
				o->reason);
	}
	r->expected[FL_COUNTER_TO_TC] += o->verdict == LEFT_TO_TC;
	r->expected[FL_COUNTER_ECHO] += o->echo;
	r->expected[FL_COUNTER_ICMP_ERROR] += o->error;
	r->totals->by_verdict[o->verdict]++;
	wrong = model_settle(&r->m, v, o, &got, &begun);
	if (wrong) {
		differs(r, step, v, "%s", wrong);
		return;
	}
	if (begun) {
		r->totals->flows++;
		r->expected[FL_COUNTER_FLOW_NEW]++;
		place_flow(r, step, v, begun);
		if (v->port >= 0)
			count_pick(r, o, v->port);
		if (step->of) {
			step->of->flow = begun;
			step->of->flow_number = begun->number;
		}
		check_flow(r, step, v, begun);
	} else if (v->flow) {
		check_way(r, step, v, o);
		check_flow(r, step, v, v->flow);
	}
}

static const struct model_outcome *which(struct run *r, const struct step *step,
					 const struct model_verdicts *v)
{
	struct model_frame want;
	bool named = false;

	for (int i = 0; i < v->n; i++)
		if (fits(r, step, v, &v->v[i], &want))
			return &v->v[i];
	for (int i = 0; i < v->n; i++) {
		if (!verdict_is(r, step, &v->v[i]) || v->v[i].verdict == IS_DROPPED)
			continue;
		expected_frame(r, step, v, &v->v[i], &want);
		if (want.len == r->out.len && !named) {
			uint32_t at = 0;

			while (want.b[at] == r->out.b[at])
				at++;
			differs(r, step, v, "byte %u: %#x in the model, %#x came out (%#x came in)",
				at, want.b[at], r->out.b[at], step->frame.b[at]);
			named = true;
		}
	}
	if (!named)
		differs(r, step, v, "the verdict is none that the model has");
	return NULL;
}

/* Several drops look alike: the one that was counted. */
static const struct model_outcome *by_counter(struct run *r, const struct model_verdicts *v,
					      const struct model_outcome *found)
{
	int n = 0;

	for (int i = 0; i < v->n; i++)
		n += v->v[i].verdict == IS_DROPPED;
	if (!found || found->verdict != IS_DROPPED || n < 2)
		return found;
	for (int i = 0; i < v->n; i++) {
		const uint32_t c = v->v[i].reason ? counter_of(v->v[i].reason) : 0;

		if (v->v[i].verdict == IS_DROPPED && counter(r, c) - r->before[c] != r->expected[c])
			return &v->v[i];
	}
	return found;
}

static void one_packet(struct run *r, struct step *step)
{
	static struct model_verdicts v;
	const struct model_outcome *o;

	model_judge(&r->m, step->hook, step->device, &step->frame, &v);
	if (r->counters)
		r->lookups = counter(r, FL_COUNTER_FIB_LOOKUP);
	if (!run_packet(r, step->hook, step->device, &step->frame)) {
		differs(r, step, &v, "the program does not run: %s", strerror(errno));
		return;
	}
	r->expected[FL_COUNTER_FLOW_RESTARTED] += (uint64_t)v.restarted;
	r->expected[FL_COUNTER_FLOW_RESTEERED] += (uint64_t)v.resteered;
	o = by_counter(r, &v, which(r, step, &v));
	if (r->trace) {
		fprintf(r->trace, "# %d: ", r->step);
		say_packet(r->trace, step->hook, step->device, &step->frame);
		fprintf(r->trace, "\n#    %s%s%s, ", o ? verdict_names[o->verdict] : "?",
			o && o->reason ? " " : "", o && o->reason ? o->reason : "");
		say_packet(r->trace, step->hook, step->device, &r->out);
		if (v.flow)
			fprintf(r->trace, "; flow %u was %s", v.flow->number,
				state_names[v.flow->state]);
		fputs("\n", r->trace);
	}
	r->known = v.flow;
	if (o)
		take_outcome(r, step, &v, o);
	if (step->node_sends && v.understood && o && o->verdict == PASSES)
		model_note_own(&r->m, &v.packet);
}

/* Time */

static void age_table(struct run *r, uint32_t jiffies)
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

static struct fl_affinity_key record_key(const struct run *r, const struct model_record *record)
{
	const struct model_port *p = &r->m.port[record->port];
	struct fl_frontend_key key = {.port = htons(p->port), .proto = p->proto};
	const struct fl_frontend_table frontends = fl_frontend_table_of(&r->s->p->maps);
	struct fl_affinity_key affinity = {0};
	struct fl_frontend fe;

	memcpy(&key.addr, p->cluster_ip.b, 16);
	if (fl_frontend_table_get(&frontends, &key, &fe))
		affinity.service_id = fe.service_id;
	memcpy(&affinity.client, record->client.b, 16);
	return affinity;
}

static struct fl_own_key own_key(const struct model_own *own)
{
	const struct model_tuple *t = &own->answer;
	struct fl_own_key key = {.tuple = {.sport = htons(t->sport), .dport = htons(t->dport)}};

	memcpy(&key.tuple.saddr, t->src.b, 16);
	memcpy(&key.tuple.daddr, t->dst.b, 16);
	return key;
}

/* What records say of when they were used, in maps that are not mapped. */
static void age_records(struct run *r, uint32_t jiffies)
{
	const struct plane *p = r->s->p;

	for (int i = 0; i < MODEL_RECORDS; i++) {
		struct fl_affinity_key key;
		struct fl_affinity value;

		if (!r->m.record[i].live)
			continue;
		key = record_key(r, &r->m.record[i]);
		if (bpf_map_lookup_elem(p->maps.affinity_fd, &key, &value))
			continue;
		value.last -= jiffies;
		bpf_map_update_elem(p->maps.affinity_fd, &key, &value, 0);
	}
	for (int i = 0; i < r->m.n_own; i++) {
		const struct fl_own_key key = own_key(&r->m.own[i]);
		uint32_t seen;

		if (bpf_map_lookup_elem(p->maps.own_flows_fd, &key, &seen))
			continue;
		seen -= jiffies;
		bpf_map_update_elem(p->maps.own_flows_fd, &key, &seen, BPF_EXIST);
	}
}

static void wait_for(struct run *r, struct rng *g)
{
	static const uint32_t seconds[] = {1,  2,  3,	4,   5,	   11,	 20,   33,
					   50, 65, 100, 140, 1000, 4000, 90000};
	int64_t ms = seconds[rng_below(g, sizeof(seconds) / sizeof(seconds[0]))] * 1000LL + 500;
	const struct plane *p = r->s->p;

	for (int tries = 0; !model_may_wait(&r->m, ms); tries++) {
		if (tries > 50)
			return;
		ms += 1700;
	}
	r->totals->waits++;
	r->m.now_ms += ms;
	age_table(r, (uint32_t)(ms * p->config.hz / 1000));
	age_records(r, (uint32_t)(ms * p->config.hz / 1000));
	if (r->trace)
		fprintf(r->trace, "# %d: %lld ms pass\n", r->step, (long long)ms);
}

/* An episode */

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

static void forget_maps(struct run *r)
{
	const struct plane *p = r->s->p;

	for (int i = 0; i < MODEL_RECORDS; i++) {
		struct fl_affinity_key key;

		if (!r->m.record[i].live)
			continue;
		key = record_key(r, &r->m.record[i]);
		bpf_map_delete_elem(p->maps.affinity_fd, &key);
	}
	for (int i = 0; i < r->m.n_own; i++) {
		const struct fl_own_key key = own_key(&r->m.own[i]);

		bpf_map_delete_elem(p->maps.own_flows_fd, &key);
	}
}

static bool compared(uint32_t c)
{
	return c < FL_REASON_MAX || c == FL_COUNTER_FLOW_NEW || c == FL_COUNTER_FLOW_RESTEERED ||
	       c == FL_COUNTER_FLOW_RESTARTED || c == FL_COUNTER_TO_TC || c == FL_COUNTER_ECHO ||
	       c == FL_COUNTER_ICMP_ERROR;
}

static void check_counters(struct run *r)
{
	uint64_t *totals = r->s->counted;

	plane_totals(r->s->p, totals);
	for (uint32_t c = 1; c < FL_COUNTER_MAX; c++) {
		const uint64_t got = totals[c] - r->before[c];

		if (compared(c) && got != r->expected[c])
			differs(r, NULL, NULL, "counter %s: %llu in the model, %llu were counted",
				tokens[c], (unsigned long long)r->expected[c],
				(unsigned long long)got);
	}
}

/* And make it empty for the next episode. */
static void check_table(struct run *r)
{
	const struct plane *p = r->s->p;
	size_t want[FL_FAMILIES] = {0};

	for (int i = 0; i < MODEL_FLOWS; i++)
		if (r->m.flow[i].live)
			want[r->m.flow[i].family] += 2;
	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++) {
		const size_t got = take_entries(p, f);

		if (got != want[f])
			differs(r, NULL, NULL,
				"entries of IPv%d: %zu in the model, %zu in the table",
				f == FL_IPV4 ? 4 : 6, want[f], got);
	}
	memset(p->maps.overflow4, 0, p->maps.n_overflow4 * sizeof(*p->maps.overflow4));
	memset(p->maps.overflow6, 0, p->maps.n_overflow6 * sizeof(*p->maps.overflow6));
	memset(p->maps.port_spaces, 0, p->maps.n_port_spaces * sizeof(*p->maps.port_spaces));
}

/* Of what tc divides a test run shows the last piece: tests/packet/test_size.c looks at that. */
static bool comes_in_fragments(const struct model_frame *frame)
{
	struct model_packet p;

	return frame->len > NARROW_MTU && model_parse(frame, &p) && !p.df;
}

void episode_run(struct scenario *s, uint64_t number, uint64_t steps, FILE *trace, bool counters,
		 struct totals *totals, struct found *ret)
{
	static struct run r;
	static struct step step;
	uint32_t changed = 0;

	memset(&r, 0, sizeof(r));
	r.s = s;
	r.m = s->model;
	r.totals = totals;
	r.found = ret;
	r.trace = trace;
	r.counters = counters;
	ret->differs = false;
	memcpy(r.before, s->counted, sizeof(r.before));
	totals->episodes++;
	for (r.step = 0; r.step < STEPS && !ret->differs; r.step++) {
		struct rng g = rng_of(s->seed ^ number * 0x632be59bd9b4e019ULL, (uint64_t)r.step);
		const uint32_t how = rng_below(&g, 1000);

		if (!(steps >> r.step & 1))
			continue;
		if (how < 30) {
			wait_for(&r, &g);
			continue;
		}
		if (how < 33) {
			const uint32_t service = rng_below(&g, s->n_services);

			scenario_mutate(s, &r.m, service, &g);
			scenario_change(s, &r.m, service);
			changed |= 1U << service;
			totals->changes++;
			if (trace)
				fprintf(trace, "# %d: endpoints of s%u change\n", r.step, service);
			continue;
		}
		if (!packets_make(s, &r.m, &r.talkers, &g, &step))
			continue;
		if (step.hook != MEETS_XDP && comes_in_fragments(&step.frame))
			continue;
		one_packet(&r, &step);
		if (step.hook == MEETS_XDP && r.marked && !ret->differs &&
		    (r.known || rng_percent(&g, 75)) && !comes_in_fragments(&step.frame)) {
			step.hook = MEETS_TC;
			one_packet(&r, &step);
		}
	}
	check_table(&r);
	check_counters(&r);
	forget_maps(&r);
	for (uint32_t i = 0; i < s->n_services; i++)
		if (changed >> i & 1)
			scenario_change(s, &s->model, i);
}
