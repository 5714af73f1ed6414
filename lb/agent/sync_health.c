/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conditions of what the maps do not hold as wanted: conflicts, refused service ports, drift. */
#include "lb/agent/sync_health.h"

#include <stdio.h>

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

static void add_refused(const struct fl_sync_refusal *refusal, void *arg)
{
	const struct fl_service_port_info *port = refusal->port;
	_cleanup_free_ char *subject = NULL;

	if (asprintf(&subject, "%s/%s port \"%s\" (%s)", port->ns, port->name, port->port_name,
		     fl_family_name(port->family)) < 0)
		subject = NULL;
	if (subject)
		fl_health_set(arg, FL_CONDITION_REFUSED, subject, FL_HEALTH_ERROR,
			      "%s is not served as wanted%s: %s", subject,
			      refusal->serves_old ? ", but as before" : "", refusal->why);
}

void fl_sync_health_update(struct fl_sync *sync, struct fl_health *health)
{
	struct fl_sync_stats stats;

	if (fl_sync_conflicts_changed(sync)) {
		fl_health_scan_begin(health, FL_CONDITION_CONFLICT);
		fl_sync_each_conflict(sync, add_conflict, health);
		fl_health_scan_end(health, FL_CONDITION_CONFLICT);
	}
	fl_sync_stats(sync, &stats);
	if (!stats.failed_ports && !fl_health_has(health, FL_CONDITION_REFUSED))
		return;
	fl_health_scan_begin(health, FL_CONDITION_REFUSED);
	fl_sync_each_refused(sync, add_refused, health);
	fl_health_scan_end(health, FL_CONDITION_REFUSED);
}

void fl_sync_health_drift(long drift, const char *why, struct fl_health *health)
{
	if (drift > 0)
		fl_health_set(health, FL_CONDITION_DRIFT, "", FL_HEALTH_ERROR,
			      "%ld differences between what is wanted and what the maps hold%s%s",
			      drift, *why ? ": " : "", why);
	else
		fl_health_clear(health, FL_CONDITION_DRIFT, "");
}
