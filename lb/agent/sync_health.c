// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Conditions of what the maps do not hold as wanted: conflicts, refused service ports, drift. */
#include "lb/agent/agent.h"
#include "lb/base/cleanup.h"
#include "lb/model/names.h"

static void add_conflict(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *text = fl_conflict_text(conflict), *subject = NULL;
	char frontend[FL_FRONTEND_STRLEN];

	/* several service ports may lose one frontend */
	if (asprintf(&subject, "%s " FL_CLAIMANT, fl_conflict_frontend(conflict, frontend),
		     FL_CLAIMANT_ARGS(&conflict->loser)) < 0)
		subject = NULL;
	if (text && subject)
		fl_health_set(arg, FL_CONDITION_CONFLICT, subject, FL_HEALTH_WARNING, "%s", text);
}

static void add_refused(const struct fl_service_port_info *port, void *arg)
{
	_cleanup_free_ char *subject = NULL;

	if (asprintf(&subject, "%s/%s port \"%s\" (%s)", port->ns, port->name, port->port_name,
		     fl_family_name(port->family)) < 0)
		subject = NULL;
	if (subject)
		fl_health_set(arg, FL_CONDITION_REFUSED, subject, FL_HEALTH_ERROR,
			      "%s did not fit into the maps: its old state stays", subject);
}

void fl_agent_sync_health(struct fl_agent *agent)
{
	if (fl_sync_conflicts_changed(agent->sync)) {
		fl_health_scan_begin(agent->health, FL_CONDITION_CONFLICT);
		fl_sync_each_conflict(agent->sync, add_conflict, agent->health);
		fl_health_scan_end(agent->health, FL_CONDITION_CONFLICT);
	}
	fl_health_scan_begin(agent->health, FL_CONDITION_REFUSED);
	fl_sync_each_refused(agent->sync, add_refused, agent->health);
	fl_health_scan_end(agent->health, FL_CONDITION_REFUSED);
}

void fl_agent_drift_health(struct fl_agent *agent, const char *why)
{
	const char *reason = why ? why : "";

	if (agent->drift > 0)
		fl_health_set(agent->health, FL_CONDITION_DRIFT, "", FL_HEALTH_ERROR,
			      "%ld differences between what is wanted and what the maps hold%s%s",
			      agent->drift, *reason ? ": " : "", reason);
	else
		fl_health_clear(agent->health, FL_CONDITION_DRIFT, "");
}
