// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frontends that several service ports claim. `fairlead status` lists them while they last. */
#include "lb/agent/agent.h"

/* Without memory a conflict is not told. */
static void add(const struct fl_conflict *conflict, void *arg)
{
	fl_strings_add(arg, fl_conflict_text(conflict));
}

void fl_agent_conflicts_update(struct fl_agent *agent)
{
	struct fl_strings now = {0};

	if (!fl_sync_conflicts_changed(agent->sync))
		return;
	fl_sync_each_conflict(agent->sync, add, &now);
	fl_agent_tell(&agent->conflicts, &now);
}
