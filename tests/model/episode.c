// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Running an episode in both: packets, time, changes of endpoints. */
#include <errno.h>
#include <string.h>

#include "tests/model/run.h"

static void count_pick(struct run *r, const struct model_outcome *o, int port)
{
	const struct model_port *p = &r->m.port[port];

	for (int i = 0; i < p->n_endpoints; i++)
		if (p->endpoint[i].port == o->backend_port &&
		    fl_ip_equal(&p->endpoint[i].ip, &o->backend))
			r->s->picks[port][i]++;
}

/* What becomes of the datagram that it is a fragment of. */
static void take_fragment(struct run *r, const struct step *step, const struct model_verdicts *v,
			  const struct model_outcome *o)
{
	struct model_fragments *f = r->m.fragments;
	const char *wrong;

	if (v->part == PART_NONE)
		return;
	wrong = model_settle_fragment(&r->m, v, o, step->hook, step->device,
				      v->encapsulated ? &v->inner : &step->frame, &r->out);
	if (wrong)
		run_differs(r, step, v, "%s", wrong);
	r->expected[FL_REASON_FRAGMENT_ALONE] += f->alone;
	r->expected[FL_REASON_FRAGMENT_REFUSED] += f->refused;
	r->expected[FL_REASON_TOO_BIG] += f->too_big;
	r->expected[FL_COUNTER_FRAGMENT] += f->translated;
	f->alone = f->refused = f->too_big = f->translated = 0;
	run_check_besides(r, step, v);
}

/* Those that leave before the last one, which is what comes out. */
static void take_divided(struct run *r, const struct step *step, const struct model_verdicts *v,
			 const struct model_outcome *o)
{
	const uint32_t outer = model_outer_of(&r->m, v->packet.family, o);
	struct model_fragments *f = r->m.fragments;
	static struct model_frame whole;

	if (!o->divide || o->verdict != SENT_OUT)
		return;
	run_expected(r, step, v, o, &whole);
	for (uint32_t n = 0; f->n_besides < MODEL_BESIDES; n++) {
		struct model_besides *b = &f->besides[f->n_besides];

		if (n + 1 >= model_divide(&whole, outer, o->divide, n, &b->frame))
			break;
		b->device = o->device;
		b->arrives = false;
		f->n_besides++;
	}
	r->totals->divided++;
	run_check_besides(r, step, v);
}

static void take_outcome(struct run *r, const struct step *step, const struct model_verdicts *v,
			 const struct model_outcome *o)
{
	struct model_flow *begun = NULL;
	struct model_packet got = v->packet;
	struct model_outcome begins_not;
	const char *wrong;

	if (o->verdict == IS_DROPPED && (v->part == PART_FIRST || v->encapsulated) && !v->flow)
		o = run_begun_besides(r, v, o, &got);
	else if (o->begins && !o->wrapped && !model_parse(&r->out, &got)) {
		run_differs(r, step, v, "what came out is no packet");
		return;
	}
	if (o->unsure && o->begins && !run_has_begun(r, v)) {
		begins_not = *o;
		begins_not.begins = false;
		o = &begins_not;
	}
	take_fragment(r, step, v, o);
	take_divided(r, step, v, o);
	if (o->reason) {
		const uint32_t c = run_counter_of(o->reason);

		r->expected[c]++;
		/* otherwise all of them at the end of the episode, which is one call */
		if (r->counters && run_counter(r, c) - r->before[c] != r->expected[c])
			run_differs(r, step, v, "%s is not counted as %s",
				    run_verdict_names[o->verdict], o->reason);
	}
	r->expected[FL_COUNTER_SEGMENT_PASSED_ON] += o->outer_ttl && o->verdict == SENT_OUT;
	r->totals->passed_on += o->outer_ttl && o->verdict == SENT_OUT;
	r->expected[FL_COUNTER_TO_TC] += o->verdict == LEFT_TO_TC;
	r->expected[FL_COUNTER_ECHO] += o->echo;
	r->expected[FL_COUNTER_ICMP_ERROR] += o->error;
	r->totals->by_verdict[o->verdict]++;
	wrong = model_settle_choice(&r->m, v, o, &r->out);
	if (!wrong)
		wrong = model_settle(&r->m, v, o, &got, &begun);
	if (wrong) {
		run_differs(r, step, v, "%s", wrong);
		return;
	}
	if (begun) {
		r->totals->flows++;
		r->totals->unpacked += v->encapsulated;
		r->expected[FL_COUNTER_FLOW_NEW]++;
		r->expected[FL_COUNTER_FLOW_TUNNELLED] += o->wrapped;
		r->expected[FL_COUNTER_FLOW_TAKEN_OVER] += !model_begins(&v->packet);
		r->expected[FL_COUNTER_FLOW_UNPACKED] += v->encapsulated;
		run_place_flow(r, step, v, begun);
		if (v->port >= 0)
			count_pick(r, o, v->port);
		if (step->of) {
			step->of->flow = begun;
			step->of->flow_number = begun->number;
		}
		run_check_flow(r, step, v, begun);
	} else if (v->flow) {
		if (v->flow == r->half) {
			run_place_flow(r, step, v, v->flow);
			r->place[v->flow - r->m.flow].way_known[!v->reply] = false;
		}
		run_check_way(r, step, v, o);
		run_check_flow(r, step, v, v->flow);
	}
}

static void one_packet(struct run *r, struct step *step)
{
	static struct model_verdicts v;
	const struct model_outcome *o;

	model_judge(&r->m, step->hook, step->device, &step->frame, &v);
	if (r->counters)
		r->lookups = run_counter(r, FL_COUNTER_FIB_LOOKUP);
	if (!run_frame(r, step->hook, step->device, &step->frame)) {
		run_differs(r, step, &v, "the program does not run: %s", strerror(errno));
		return;
	}
	r->expected[FL_COUNTER_FLOW_RESTARTED] += (uint64_t)v.restarted;
	r->expected[FL_COUNTER_FLOW_RESTEERED] += (uint64_t)v.resteered;
	o = run_by_counter(r, &v, run_which(r, step, &v));
	if (r->trace) {
		fprintf(r->trace, "# %d: ", r->step);
		run_say_packet(r->trace, step->hook, step->device, &step->frame);
		fprintf(r->trace, "\n#    %s%s%s, ", o ? run_verdict_names[o->verdict] : "?",
			o && o->reason ? " " : "", o && o->reason ? o->reason : "");
		run_say_packet(r->trace, step->hook, step->device, &r->out);
		if (v.flow)
			fprintf(r->trace, "; flow %u was %s", v.flow->number,
				run_state_names[v.flow->state]);
		fputs("\n", r->trace);
	}
	r->known = v.flow;
	if (o)
		take_outcome(r, step, &v, o);
	if (step->node_sends && v.understood && o && o->verdict == PASSES)
		model_note_own(&r->m, &v.packet);
}

#define OUTER 80 /* bytes that DSR may add */

static bool is_for_dsr(const struct run *r, const struct model_packet *p)
{
	enum model_kind kind;
	const int port = model_find(&r->m, &p->t.dst, p->t.dport, p->proto, &kind);

	return port >= 0 && r->m.port[port].dsr;
}

/* Of what tc divides a test run shows the last piece, which does not say what port was chosen; so
 * that only goes on with a flow, and is no fragment itself: tests/packet/test_size.c looks at those
 * too. */
static bool goes_on(struct run *r, const struct model_packet *p)
{
	struct model_flow *asked, *reply;

	if (p->fragment || p->odd || p->flags & M_SYN)
		return false;
	model_find_flows(&r->m, p, &asked, &reply);
	if (!asked)
		asked = reply;
	/* what has lost an entry and proved nothing begins anew */
	return asked && !asked->lost && !asked->given_up && !model_is_over(&r->m, asked) &&
	       (!asked->half || model_is_open(asked));
}

static bool comes_in_fragments(struct run *r, const struct step *step)
{
	struct model_packet p;

	if (step->frame.len + OUTER <= NARROW_MTU ||
	    (!model_parse(&step->frame, &p) && !p.fragment))
		return false;
	if (step->frame.len <= NARROW_MTU && !is_for_dsr(r, &p) &&
	    !model_fragment_is_wrapped(&r->m, &p, step->hook))
		return false;
	return !p.df && !model_fragment_waits(&r->m, &p, step->hook) && !goes_on(r, &p);
}

/* A packet, at tc too if XDP leaves it to that. */
static void run_step(struct run *r, struct step *step, struct rng *g)
{
	if (step->hook != MEETS_XDP && comes_in_fragments(r, step))
		return;
	one_packet(r, step);
	if (step->hook != MEETS_XDP || !r->marked || r->found->differs ||
	    (!r->known && !rng_percent(g, step->goes_on ? 97 : 75)) || comes_in_fragments(r, step))
		return;
	step->hook = MEETS_TC;
	one_packet(r, step);
}

/* Time passes, for it is found out once a second, and the end whose entry is left goes on. */
static void lose_half(struct run *r, struct step *step, struct rng *g)
{
	struct half half;

	run_wait(r, g);
	if (!run_lose_half(r, g, &half))
		return;
	r->half = half.flow;
	for (int tries = 0; tries < 60; tries++) {
		if (!packets_make(r->s, &r->m, &r->talkers, g, step) ||
		    !run_is_of_half(r, &half, step) || comes_in_fragments(r, step))
			continue;
		one_packet(r, step);
		break;
	}
	r->half = NULL;
	run_end_half(r, &half);
}

void episode_run(struct scenario *s, uint64_t number, uint64_t steps, FILE *trace, bool counters,
		 struct totals *totals, struct found *ret)
{
	static struct model_fragments fragments;
	static struct run r;
	static struct step step;
	uint32_t changed = 0;
	bool nodes_changed = false;

	memset(&r, 0, sizeof(r));
	r.s = s;
	r.m = s->model;
	r.m.fragments = &fragments;
	model_fragments_clear(&fragments);
	run_begin_fragments(&r);
	r.totals = totals;
	r.found = ret;
	r.trace = trace;
	r.counters = counters;
	ret->differs = false;
	ret->text[0] = 0;
	memcpy(r.before, s->counted, sizeof(r.before));
	totals->episodes++;
	for (r.step = 0; r.step < STEPS && !ret->differs; r.step++) {
		struct rng g = rng_of(s->seed ^ number * 0x632be59bd9b4e019ULL, (uint64_t)r.step);
		const uint32_t how = rng_below(&g, 1000);

		if (!(steps >> r.step & 1))
			continue;
		if (how < 30) {
			run_wait(&r, &g);
			continue;
		}
		if (how < 33) {
			const uint32_t service = rng_below(&g, s->n_services);

			scenario_mutate(s, &r.m, service, &g);
			scenario_change(s, &r.m, service);
			model_notice_lost(&r.m, service);
			changed |= 1U << service;
			totals->changes++;
			if (trace)
				fprintf(trace, "# %d: endpoints of s%u change\n", r.step, service);
			continue;
		}
		if (how < 40) {
			lose_half(&r, &step, &g);
			continue;
		}
		if (how < 42) {
			scenario_random_nodes(&r.m, &g);
			scenario_nodes(s, &r.m);
			run_forget_ways(&r);
			nodes_changed = true;
			if (trace)
				fprintf(trace, "# %d: the nodes are others\n", r.step);
			continue;
		}
		if (!packets_make(s, &r.m, &r.talkers, &g, &step))
			continue;
		do {
			run_step(&r, &step, &g);
		} while (!ret->differs && packets_go_on(&r.m, &g, &step));
	}
	r.expected[FL_COUNTER_FLOW_EVICTED] = r.m.evicted;
	run_check_table(&r);
	run_check_counters(&r);
	run_forget_maps(&r);
	run_forget_fragments(&r);
	if (nodes_changed)
		scenario_nodes(s, &s->model);
	for (uint32_t i = 0; i < s->n_services; i++)
		if (changed >> i & 1)
			scenario_change(s, &s->model, i);
	/* the next one knows of no table before */
	if (changed)
		memset(s->p->maps.formers, 0, s->p->maps.n_formers * sizeof(*s->p->maps.formers));
}
