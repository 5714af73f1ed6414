/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changes that wait, and the words for it. */
#include "lb/duties/proxy_health.h"

#include <stdio.h>
#include <time.h>

#include "lb/base/json_write.h"
#include "lb/model/names.h"

static int64_t unix_ns(const struct fl_proxy_health *health)
{
	return health->clock.unix_ns(health->clock.arg);
}

struct fl_proxy_health fl_proxy_health_of(const struct fl_clock *clock, uint32_t sync_period_s)
{
	struct fl_proxy_health health = {
		.clock = *clock,
		.patience_ms = 2 * 1000 * (uint64_t)sync_period_s,
	};

	health.updated_unix_ns = unix_ns(&health);
	return health;
}

void fl_proxy_health_queued(struct fl_proxy_health *health)
{
	if (!health->queued.ns)
		health->queued = fl_clock_now(&health->clock);
	health->queued_unix_ns = unix_ns(health);
}

void fl_proxy_health_updated(struct fl_proxy_health *health)
{
	health->queued = (struct fl_mono){0};
	health->updated_unix_ns = unix_ns(health);
}

bool fl_proxy_health_is_good(const struct fl_proxy_health *health)
{
	return !health->queued.ns ||
	       fl_mono_ms_between(health->queued, fl_clock_now(&health->clock)) <
		       health->patience_ms;
}

bool fl_node_is_eligible(const struct fl_node *node, bool seen)
{
	return node ? !node->deleting && !node->autoscaler_taint : !seen;
}

const char *fl_time_format(int64_t ns, char buf[static FL_TIME_STRLEN])
{
	const time_t seconds = (time_t)(ns / (int64_t)FL_NSEC_PER_SEC);
	struct tm tm;
	size_t len = strftime(buf, FL_TIME_STRLEN, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));

	snprintf(buf + len, FL_TIME_STRLEN - len, ".%09dZ", (int)(ns % (int64_t)FL_NSEC_PER_SEC));
	return buf;
}

void fl_proxy_health_json(const struct fl_proxy_health *health, const bool *eligible,
			  struct fl_json *json)
{
	const bool good = fl_proxy_health_is_good(health);
	char updated[FL_TIME_STRLEN], now[FL_TIME_STRLEN];

	fl_time_format(health->updated_unix_ns, updated);
	fl_time_format(unix_ns(health), now);
	fl_json_object_begin(json);
	/* 6.2.8: while all is well, now; else when it last was */
	fl_json_member_string(json, "lastUpdated",
			      good && (!eligible || *eligible) ? now : updated);
	fl_json_member_string(json, "currentTime", now);
	if (eligible)
		fl_json_member_bool(json, "nodeEligible", *eligible);
	fl_json_member_bool(json, "healthy", good);
	fl_json_key(json, "status");
	fl_json_object_begin(json);
	/* one sync serves both families */
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		fl_json_key(json, fl_family_name(family));
		fl_json_object_begin(json);
		fl_json_member_string(json, "lastUpdated", updated);
		fl_json_member_bool(json, "healthy", good);
		fl_json_object_end(json);
	}
	fl_json_object_end(json);
	fl_json_object_end(json);
}
