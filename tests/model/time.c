// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How long what is remembered lasts, and how long nothing may happen without it being a matter of
 * milliseconds whether it still does. */
#include "tests/model/model.h"

uint32_t model_timeout_s(const struct model *m, const struct model_flow *f)
{
	static const enum model_timeout tcp[MODEL_STATES] = {
		TIMEOUT_TCP_NEW,	 TIMEOUT_TCP_NEW,	TIMEOUT_TCP_ESTABLISHED,
		TIMEOUT_TCP_HALF_CLOSED, TIMEOUT_TCP_TIME_WAIT, TIMEOUT_TCP_RESET};

	if (f->proto == 6)
		return m->timeout_s[tcp[f->state]];
	return m->timeout_s[f->state == STATE_NEW ? TIMEOUT_UDP_NEW : TIMEOUT_UDP];
}

/* What is seen is noted at most once a second, so the edge is that wide. */
#define EDGE_MS 1300
#define SILENT_MS 3000 /* an unproven flow keeps its source port */

static bool on_edge(int64_t idle_ms, int64_t limit_ms)
{
	return idle_ms > limit_ms - EDGE_MS && idle_ms < limit_ms + 300;
}

bool model_may_wait(const struct model *m, int64_t ms)
{
	for (int i = 0; i < MODEL_FLOWS; i++) {
		const struct model_flow *f = &m->flow[i];
		int64_t idle = m->now_ms + ms - f->seen_ms;

		if (!f->live)
			continue;
		for (int t = 0; t < MODEL_TIMEOUTS; t++)
			if (on_edge(idle, m->timeout_s[t] * 1000LL))
				return false;
		if (on_edge(idle, SILENT_MS) ||
		    on_edge(m->now_ms + ms - f->began_ms, MODEL_UDP_PROOF_MS))
			return false;
	}
	for (int i = 0; i < MODEL_RECORDS; i++) {
		const struct model_record *r = &m->record[i];

		if (r->live &&
		    on_edge(m->now_ms + ms - r->last_ms, m->port[r->port].affinity_s * 1000LL))
			return false;
	}
	for (int i = 0; i < m->n_own; i++)
		if (on_edge(m->now_ms + ms - m->own[i].seen_ms, m->timeout_s[TIMEOUT_UDP] * 1000LL))
			return false;
	for (int i = 0; i < MODEL_PATHS; i++)
		if (m->path[i].live && on_edge(m->now_ms + ms - m->path[i].since_ms, MODEL_PATH_MS))
			return false;
	return model_fragments_may_wait(m, ms);
}

bool model_is_over(const struct model *m, const struct model_flow *f)
{
	return m->now_ms - f->seen_ms > model_timeout_s(m, f) * 1000LL;
}
