/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conditions in the log: a line when one begins, gets worse or better, or changes its words, and a
 * line with its duration when it is resolved. Thousands at once are some lines and a number.
 */
#pragma once

#include "lb/base/health.h"

struct fl_health_log {
	/* lines of this turn, written or not: those of conditions that stand, those resolved */
	size_t n_standing[FL_CONDITION_KINDS], n_resolved[FL_CONDITION_KINDS];
};

/* The fl_health_edge_fn; `arg` is the struct fl_health_log, zero-initialised. */
void fl_health_log_edge(enum fl_health_edge edge, const struct fl_condition *condition,
			uint64_t lasted_ms, void *arg);
/* At the end of a turn of the loop: write how many lines were left out, and begin again. */
void fl_health_log_turn(struct fl_health_log *log);

/* "250 ms", "12 s", "3m20s", "2h5m", "3d4h". */
#define FL_LASTED_STRLEN 32
const char *fl_lasted_format(uint64_t ms, char buf[static FL_LASTED_STRLEN]);
