// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* UDP clients leave a backend that their Service has lost: sync reports those of a commit, and
 * after it conntrack moves their flows and sockets. */
#include "lb/agent/agent.h"
#include "lb/base/log.h"

void fl_agent_stale(const struct fl_lost_backend *lost, void *arg)
{
	struct fl_agent *agent = arg;

	if (fl_lost_backends_add(&agent->lost, lost))
		fl_log_error("out of memory: UDP flows may stay at a backend that was removed");
}

void fl_agent_flush_stale(struct fl_agent *agent)
{
	struct fl_resteered done;
	struct fl_err err = {""};

	if (!agent->lost.n)
		return;
	if (fl_resteer(fl_dp_maps(agent->dp), fl_dp_now(agent->dp), &agent->lost, &done, &err))
		fl_log_warn("%s", err.text);
	fl_log_debug("%zu UDP flows and %zu sockets leave backends that their Services lost",
		     done.flows, done.sockets);
	fl_lost_backends_clear(&agent->lost);
}
