/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was applied, as lines of the log: a turn of the loop that changed something gets one, or
 * where there are many, those of a second share one.
 */
#pragma once

#include "lb/base/clock.h"
#include "lb/sync/sync.h"

struct fl_apply_log {
	struct fl_sync_changes sum; /* not written yet */
	size_t turns;
	uint64_t took_ns;
	struct fl_mono written;
};

/* A turn is over, which took so long; no-op if nothing was changed. */
void fl_apply_log_add(struct fl_apply_log *log, const struct fl_sync_changes *changes,
		      uint64_t took_ns);

#define FL_APPLY_LOG_STRLEN 256
/* True: a line is due, and is in `text`. */
bool fl_apply_log_line(struct fl_apply_log *log, struct fl_mono now,
		       char text[static FL_APPLY_LOG_STRLEN]);
