/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An episode that is under way: what the files that run, compare and report share. */
#pragma once

#include "tests/model/fragments.h"
#include "tests/model/fuzz.h"

/* Where the entries of a flow lie. */
struct place {
	struct fl_flow_head *head, *reply;
	uint32_t number;   /* of the flow */
	bool way_known[2]; /* a request, a reply has been sent on */
};

/* A flow that has lost an entry. */
struct half {
	struct model_flow *flow;
	uint32_t number; /* of the flow */
	bool replies;	 /* have the other one */
	struct fl_flow_head *lost;
	struct fl_flow6 kept; /* what it was; also of IPv4, which is smaller */
};

#define RUN_HEARD 64

struct run_heard {
	struct model_packet packet[RUN_HEARD];
	int n;
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
	struct model_flow *half; /* has lost an entry */
	bool counters;
	uint64_t lookups;	/* of the kernel's routes, before the last packet */
	struct run_heard heard; /* what was given to the kernel's stack besides */
	/* the last packet */
	struct model_frame out;
	int raw;
	bool marked, known; /* known: it was of a flow */
};

/* report.c */

extern const char *const run_verdict_names[], *const run_state_names[MODEL_STATES];

void run_say_packet(FILE *out, enum model_hook hook, int device, const struct model_frame *frame);
/* The first difference counts. */
void run_differs(struct run *r, const struct step *step, const struct model_verdicts *v,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* compare.c */

/* False: the program does not run. What came out is in *r. */
bool run_frame(struct run *r, enum model_hook hook, int device, const struct model_frame *in);
/* The frame that this outcome gives; with a free port or number the one that was chosen. Of what
 * goes in fragments the whole. */
void run_expected(const struct run *r, const struct step *step, const struct model_verdicts *v,
		  const struct model_outcome *o, struct model_frame *ret);
uint64_t run_counter(const struct run *r, uint32_t counter);
uint32_t run_counter_of(const char *token);
/* NULL: none that the model has. */
const struct model_outcome *run_which(struct run *r, const struct step *step,
				      const struct model_verdicts *v);
const struct model_outcome *run_by_counter(struct run *r, const struct model_verdicts *v,
					   const struct model_outcome *found);
void run_check_counters(struct run *r);

/* table.c */

void run_check_flow(struct run *r, const struct step *step, const struct model_verdicts *v,
		    struct model_flow *f);
void run_place_flow(struct run *r, const struct step *step, const struct model_verdicts *v,
		    const struct model_flow *f);
void run_check_way(struct run *r, const struct step *step, const struct model_verdicts *v,
		   const struct model_outcome *o);
/* What was remembered of ways is forgotten. */
void run_forget_ways(struct run *r);
/* Whether the table has a flow of this packet now. */
bool run_has_begun(const struct run *r, const struct model_verdicts *v);
const struct model_outcome *run_begun_besides(struct run *r, const struct model_verdicts *v,
					      const struct model_outcome *o,
					      struct model_packet *ret_got);
void run_age_table(struct run *r, uint32_t jiffies);
/* And make it empty for the next episode. */
void run_check_table(struct run *r);

/* halves.c: false, there is none that may. What is not of its other direction is not to be sent
 * until run_end_half(), which gives back the entry that nobody has looked for. */
bool run_lose_half(struct run *r, struct rng *g, struct half *ret_half);
bool run_is_of_half(struct run *r, const struct half *half, const struct step *step);
void run_end_half(struct run *r, const struct half *half);

/* passing.c */

void run_wait(struct run *r, struct rng *g);
void run_forget_maps(struct run *r);

/* pieces.c: what the datapath keeps of fragments, and what it sends besides the packet at hand */

void run_begin_fragments(const struct run *r);
/* All of that came which the model expects, and nothing else. */
void run_check_besides(struct run *r, const struct step *step, const struct model_verdicts *v);
void run_age_fragments(struct run *r, uint32_t jiffies);
/* Nothing else came in this episode; and nothing is kept for the next one. */
void run_forget_fragments(struct run *r);
