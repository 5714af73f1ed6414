// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a difference is, in words. */
#include <netinet/in.h>
#include <stdarg.h>

#include "tests/model/run.h"

static const char *const hook_names[MODEL_HOOKS] = {"XDP", "tc", "pod in", "way out", "pod out"};
const char *const run_verdict_names[] = {"passes", "is left to tc", "is sent", "is dropped",
					 "is answered"};
const char *const run_state_names[MODEL_STATES] = {"new",	  "replied",   "established",
						   "half closed", "time wait", "reset"};

void run_say_packet(FILE *out, enum model_hook hook, int device, const struct model_frame *f)
{
	char a[FL_IP_PORT_STRLEN], b[FL_IP_PORT_STRLEN];
	struct model_packet p;

	fprintf(out, "%s of device %d, ", hook_names[hook], device);
	if (!model_parse(f, &p) && !p.fragment) {
		fprintf(out, "a frame of %u bytes:", f->len);
		for (uint32_t i = 0; i < f->len && i < 64; i++)
			fprintf(out, "%s%02x", i % 4 ? "" : " ", f->b[i]);
		return;
	}
	fprintf(out, "%s ", p.proto == IPPROTO_TCP ? "TCP" : "UDP");
	fprintf(out, "%s > ", fl_ip_port_format(&p.t.src, p.t.sport, a));
	fprintf(out, "%s", fl_ip_port_format(&p.t.dst, p.t.dport, b));
	if (p.has_ports && p.proto == IPPROTO_TCP)
		fprintf(out, " flags %#x seq %u ack %u", p.flags, p.seq, p.ack);
	fprintf(out, " ttl %u payload %u%s", p.ttl, p.payload, p.df ? "" : ", no DF");
	if (p.fragment)
		fprintf(out, ", fragment of %#x: %u at %u%s", p.id, p.size, p.at,
			p.more ? "" : ", the last");
}

/* The first difference counts. */
void run_differs(struct run *r, const struct step *step, const struct model_verdicts *v,
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
		run_say_packet(out, step->hook, step->device, &step->frame);
		fprintf(out, "\n  out:    verdict %d%s, ", r->raw, r->marked ? ", marked" : "");
		run_say_packet(out, step->hook, step->device, &r->out);
	}
	for (int i = 0; v && i < v->n; i++) {
		const struct model_outcome *o = &v->v[i];
		char a[FL_IP_PORT_STRLEN], b[FL_IP_PORT_STRLEN];

		fprintf(out, "\n  model:  %s %s", run_verdict_names[o->verdict],
			o->reason ? o->reason : "");
		if (o->translated)
			fprintf(out, " as %s > %s%s, device %d",
				fl_ip_port_format(&o->to.src, o->any_port ? 0 : o->to.sport, a),
				fl_ip_port_format(&o->to.dst, o->to.dport, b),
				o->any_port ? " (any port)" : "", o->device);
	}
	if (v && v->flow)
		fprintf(out, "\n  flow:   %s, %s, port %d%s", v->reply ? "reply" : "request",
			run_state_names[v->flow->state], v->flow->port,
			v->flow->direct ? ", direct" : "");
	fclose(out);
}
