// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What commits have changed, counted for a line in the log. */
#include <string.h>

#include "lb/sync/internal.h"

int fl_report_init(struct fl_report *report, uint32_t n_backends)
{
	report->number = 1;
	report->marks = calloc(n_backends / 64 + 1, sizeof(*report->marks));
	return report->marks ? 0 : -ENOMEM;
}

void fl_report_fini(struct fl_report *report)
{
	free(report->marks);
	report->marks = NULL;
}

/* Of found states only what is in lists is known; their ids do not say in which. */
static bool counts(const struct fl_state *state, uint32_t i, bool in_lists)
{
	return !in_lists || state->found || state->ids[i] & ~FL_STATE_ID_MASK;
}

static void count_endpoints(struct fl_report *report, const struct fl_state *old,
			    const struct fl_state *cur, size_t *ret_added, size_t *ret_removed)
{
	const bool in_lists = old && old->found;
	size_t n_old = 0, n_cur = 0, n_both = 0;

	for (uint32_t i = 0; old && i < old->n_ids; i++) {
		const uint32_t id = old->ids[i] & FL_STATE_ID_MASK;

		report->marks[id / 64] |= 1ULL << id % 64;
		n_old++;
	}
	for (uint32_t i = 0; cur && i < cur->n_ids; i++) {
		const uint32_t id = cur->ids[i] & FL_STATE_ID_MASK;

		if (!counts(cur, i, in_lists))
			continue;
		n_both += report->marks[id / 64] >> id % 64 & 1;
		n_cur++;
	}
	for (uint32_t i = 0; old && i < old->n_ids; i++)
		report->marks[(old->ids[i] & FL_STATE_ID_MASK) / 64] = 0;
	*ret_added = n_cur - n_both;
	*ret_removed = n_old - n_both;
}

void fl_report_add(struct fl_report *report, struct fl_sync_service_port *port)
{
	struct fl_sync_changes *changes = &report->changes;
	size_t added, removed;

	count_endpoints(report, port->old, port->cur, &added, &removed);
	/* what an earlier agent left was taken over as it is */
	if (port->cur && port->old && port->old->found && !added && !removed &&
	    !port->change.n_done)
		return;
	changes->service_ports++;
	changes->services += port->service->counted != report->number;
	port->service->counted = report->number;
	changes->endpoints_added += added;
	changes->endpoints_removed += removed;
}

void fl_sync_take_changes(struct fl_sync *sync, struct fl_sync_changes *ret_changes)
{
	struct fl_report *report = &sync->report;
	const uint64_t writes = sync->contents.frontends.table.writes;

	*ret_changes = report->changes;
	ret_changes->frontends = writes - report->frontends_before;
	report->changes = (struct fl_sync_changes){0};
	report->frontends_before = writes;
	report->number++;
}
