/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frontends whose flows have to be judged, since what they serve has changed. Each is judged by
 * two passes over the flow table: one soon, and one that begins FL_TOUCHED_GRACE_MS after the
 * change, for what a program that had begun before it wrote behind the first one's back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/clock.h"

#define FL_TOUCHED_GRACE_MS 1000
#define FL_TOUCHED_MAX 4096 /* beyond that all flows are judged */

struct fl_touched_mark {
	struct fl_mono since; /* zero: not marked */
	struct fl_mono first; /* of several changes that no pass has judged, the first */
	bool judged;	      /* by a pass since then */
	bool in_pass;	      /* by the pass under way */
	bool last;	      /* which is the second one */
};

struct fl_touched_frontend {
	struct fl_frontend_key key;
	struct fl_touched_mark mark;
};

/* All zero: none. */
struct fl_touched {
	struct fl_touched_frontend *all;
	size_t n, room;
	uint32_t *index; /* by hash; number + 1, 0 none */
	size_t n_index;	 /* a power of two, more than n */
	struct fl_touched_mark everything;
	bool tcp;		    /* one of them is of TCP */
	uint64_t ports[65536 / 64]; /* a bit for each port that one of them has */
};

void fl_touched_fini(struct fl_touched *touched);
/* `frontend` NULL: all there are. Without memory it is all, too. */
void fl_touched_add(struct fl_touched *touched, const struct fl_frontend_key *frontend,
		    struct fl_mono now);
/* Whether one of them may have this port; most flows are told apart by that. */
static inline bool fl_touched_has_port(const struct fl_touched *touched, uint16_t port)
{
	return touched->everything.since.ns || touched->ports[port / 64] >> (port & 63) & 1;
}
bool fl_touched_has(const struct fl_touched *touched, const struct fl_frontend_key *frontend);
/* By name, and not only since all were. */
bool fl_touched_names(const struct fl_touched *touched, const struct fl_frontend_key *frontend);

/* How many are to be judged yet, for the first or the second time; all there are count as one. */
static inline size_t fl_touched_count(const struct fl_touched *touched)
{
	return touched->n + (touched->everything.since.ns != 0);
}
/* When the first of those was touched that no pass has judged since; zero: there is none. */
struct fl_mono fl_touched_oldest(const struct fl_touched *touched);

/* Whether there is something for a pass to do. */
bool fl_touched_due(const struct fl_touched *touched, struct fl_mono now);
/* A pass goes over everything between these two. What is added meanwhile is for the next one. */
void fl_touched_begin(struct fl_touched *touched, struct fl_mono now);
void fl_touched_end(struct fl_touched *touched);
