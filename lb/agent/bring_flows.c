// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bringing over the flows of a datapath that ours replaces, and saying what became of them. */
#include "lb/agent/bring_flows.h"

#include <errno.h>

#include "conntrack/migrate.h"
#include "lb/base/clock.h"
#include "lb/base/log.h"

int fl_agent_bring_flows(struct fl_dp *dp, bool live, struct fl_err *err)
{
	struct fl_mono t0 = fl_mono_now();
	struct fl_migrated sum = {0};
	size_t n;
	const struct fl_old_flows *old = fl_dp_old_flows(dp, &n);

	if (!n)
		return 0;
	if (live)
		fl_dp_wait_for_programs();
	for (size_t i = 0; i < n; i++) {
		struct fl_migrated one;

		if (fl_flow_migrate(fl_dp_maps(dp), &old[i], &one))
			return fl_err_set(err, -ENOMEM, "out of memory");
		sum.moved += one.moved;
		sum.renewed += one.renewed;
		sum.kept += one.kept;
		sum.lost += one.lost;
		sum.records += one.records;
	}
	fl_log_info("flows of the datapath before, which had other maps: %zu brought over, %zu "
		    "brought up to date, %zu newer here, %zu records of clients and own flows, in "
		    "%.3f s%s",
		    sum.moved, sum.renewed, sum.kept, sum.records,
		    fl_mono_s_between(t0, fl_mono_now()),
		    live ? ", after the change of programs" : "");
	if (sum.lost)
		fl_log_warn("%zu flows are lost: the new tables have no room for them", sum.lost);
	return live ? fl_dp_forget_old_flows(dp, err) : 0;
}
