/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was applied, as lines of the log. */
#include "lb/agent/apply_log.h"

#include <stdio.h>

#define LINE_MS 1000 /* at most one line in so long */

void fl_apply_log_add(struct fl_apply_log *log, const struct fl_sync_changes *changes,
		      uint64_t took_ns)
{
	struct fl_sync_changes *sum = &log->sum;

	if (!changes->services && !changes->frontends)
		return;
	sum->services += changes->services;
	sum->service_ports += changes->service_ports;
	sum->endpoints_added += changes->endpoints_added;
	sum->endpoints_removed += changes->endpoints_removed;
	sum->frontends += changes->frontends;
	log->took_ns += took_ns;
	log->turns++;
}

bool fl_apply_log_line(struct fl_apply_log *log, struct fl_mono now,
		       char text[static FL_APPLY_LOG_STRLEN])
{
	const struct fl_sync_changes *sum = &log->sum;
	char turns[40] = "";

	if (!log->turns || (log->written.ns && fl_mono_ms_between(log->written, now) < LINE_MS))
		return false;
	if (log->turns > 1)
		snprintf(turns, sizeof(turns), " in %zu turns", log->turns);
	snprintf(text, FL_APPLY_LOG_STRLEN,
		 "applied changes of %zu Services (%zu service ports): endpoints +%zu -%zu, %zu "
		 "frontends written, %.1f ms%s",
		 sum->services, sum->service_ports, sum->endpoints_added, sum->endpoints_removed,
		 sum->frontends, (double)log->took_ns / (double)FL_NSEC_PER_MSEC, turns);
	*log = (struct fl_apply_log){.written = now};
	return true;
}
