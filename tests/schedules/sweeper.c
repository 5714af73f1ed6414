// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The agent's half of the protocol, over the memory of tests/schedules/processor.c. */
#include "conntrack/table.h"
#include "tests/schedules/schedules.h"

static struct fl_flow_table table(void)
{
	struct fl_flow_table t = {0};
	void *memory;
	size_t size;

	processor_memory(&memory, &size);
	if (table_is_v6()) {
		t.flows6 = memory;
		t.n_flows6 = table_buckets();
	} else {
		t.flows4 = memory;
		t.n_flows4 = table_buckets();
	}
	return t;
}

void sweep_run(void)
{
	const struct fl_flow_table t = table();
	struct fl_sweep sweep = {0};

	timeouts_get(sweep.timeout, FL_TIMEOUTS);
	fl_flow_sweep(&t, &sweep, clock_now(), TICKS_PER_SECOND, table_buckets());
}

void flush_run(void)
{
	const struct fl_flow_table t = table();

	fl_flow_flush(&t, clock_now(), NULL, NULL);
}
