/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What others take away from a running agent is put back. */
#include "lb/agent/watchdog.h"

#include "lb/base/log.h"

/* Without pins the datapath dies with the agent. Links that could not be pinned may be those of
 * devices that were attached meanwhile: these are looked at again once it works. */
static bool check_pins(struct fl_watchdog *w)
{
	const bool failed = fl_health_find(w->health, FL_CONDITION_PINS, "");
	struct fl_err err = {""};
	int n = 0, r = w->ops->repair_pins(w->ctx, &n, &err);

	if (n)
		fl_log_warn("%d pins were removed from %s: pinned again", n, w->bpffs);
	if (r)
		fl_health_set(w->health, FL_CONDITION_PINS, "", FL_HEALTH_ERROR,
			      "cannot pin again what was removed: %s", err.text);
	else
		fl_health_clear(w->health, FL_CONDITION_PINS, "");
	return failed && !r;
}

/* A node whose agent cannot be asked looks like one without. */
static void check_socket(struct fl_watchdog *w)
{
	struct fl_err err = {""};

	if (w->ops->repair_socket(w->ctx, &err))
		fl_health_set(w->health, FL_CONDITION_SOCKET, "", FL_HEALTH_WARNING,
			      "cannot make the socket again: %s", err.text);
	else
		fl_health_clear(w->health, FL_CONDITION_SOCKET, "");
}

static void attach_cgroup(struct fl_watchdog *w)
{
	struct fl_err err = {""};

	if (w->ops->attach_cgroup(w->ctx, &err))
		fl_health_set(w->health, FL_CONDITION_CGROUP, "", FL_HEALTH_ERROR, "%s", err.text);
	else
		fl_health_clear(w->health, FL_CONDITION_CGROUP, "");
}

unsigned int fl_watchdog_tick(struct fl_watchdog *w)
{
	/* first, so that links without a device are not pinned again */
	const int lost = w->ops->lost_programs(w->ctx);
	unsigned int found = check_pins(w) ? FL_WATCHDOG_PROGRAMS : 0;

	check_socket(w);
	if (lost)
		fl_log_warn("%d programs were detached: attaching them again", lost);
	if (lost || fl_health_has(w->health, FL_CONDITION_CGROUP)) {
		attach_cgroup(w);
		found |= FL_WATCHDOG_PROGRAMS | FL_WATCHDOG_HOOKS;
	}
	return found;
}
