// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Switching the hook of the datagrams on when it is needed, and off when it is not any more. */
#include "lb/agent/stale_sockets.h"

#include "lb/base/log.h"

#define COUNT_MS 60000

static void see(struct fl_stale_sockets *stale, bool on)
{
	struct fl_err err = {""};

	if (stale->ops->see(stale->ctx, on, &err))
		fl_health_set(stale->health, FL_CONDITION_CGROUP, "", FL_HEALTH_ERROR, "%s",
			      err.text);
}

void fl_stale_sockets_turn(struct fl_stale_sockets *stale, size_t marked, struct fl_mono now)
{
	if (marked != stale->marked) {
		fl_log_info("%zu connected UDP sockets have to leave backends that their Service "
			    "does not serve: what they send is refused until they connect again",
			    marked - stale->marked);
		stale->marked = marked;
		stale->counted = now;
		see(stale, true);
		return;
	}
	if (fl_mono_ms_between(stale->counted, now) < COUNT_MS || !stale->ops->sees(stale->ctx))
		return;
	stale->counted = now;
	if (fl_sockets_stale_count(&stale->table))
		return;
	fl_log_debug("no connected UDP socket has to leave its backend any more");
	see(stale, false);
}
