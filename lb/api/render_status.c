/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Status, Version and Error documents, and the opening that all documents share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/api.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/health.h"
#include "lb/base/json_write.h"
#include "lb/dp/usage.h"
#include "lb/sync/sync.h"

/* Index into map fl_stats, token, and whether it counts packets that were not forwarded. */
static const struct {
	uint32_t index;
	const char *token;
	bool reason;
} counters[] = {
#define X(name, token, text) {FL_REASON_##name, token, true},
	FL_REASONS(X)
#undef X
#define X(name, token, text) {FL_COUNTER_##name, token, false},
		FL_COUNTERS(X)
#undef X
};

void fl_render_begin(struct fl_json *json, const char *kind)
{
	fl_json_object_begin(json);
	fl_json_member_string(json, "apiVersion", FL_API_VERSION);
	fl_json_member_string(json, "kind", kind);
}

static void write_counters(const struct fl_view *view, bool reasons, const char *key,
			   struct fl_json *json)
{
	uint64_t values[FL_COUNTER_MAX];
	const bool known =
		view->maps->stats_fd >= 0 && !fl_stats_read(view->maps->stats_fd, values);

	fl_json_key(json, key);
	fl_json_object_begin(json);
	for (size_t i = 0; known && i < sizeof(counters) / sizeof(counters[0]); i++)
		if (counters[i].reason == reasons && counters[i].index != FL_REASON_NONE)
			fl_json_member_uint(json, counters[i].token, values[counters[i].index]);
	fl_json_object_end(json);
}

/* There is a table per family; one can be full while the other is empty. */
static void write_flow_counts(const struct fl_view *view, struct fl_json *json)
{
	struct fl_flow_table table = fl_flow_table_of(view->maps);
	struct fl_flow_counts counts;
	size_t total = 0;

	fl_flow_count(&table, &counts);
	fl_json_key(json, "flows");
	fl_json_object_begin(json);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		fl_json_key(json, family == FL_IPV4 ? "ipv4" : "ipv6");
		fl_json_object_begin(json);
		for (enum fl_flow_state state = FL_FLOW_NEW; state < FL_FLOW_STATES; state++) {
			total += counts.flows[family][state];
			fl_json_member_uint(json, fl_flow_state_name(state),
					    counts.flows[family][state]);
		}
		fl_json_member_uint(json, "slots", counts.slots[family]);
		fl_json_object_end(json);
	}
	fl_json_member_uint(json, "total", total);
	fl_json_member_uint(json, "lone", counts.lone);
	fl_json_object_end(json);
}

/* A number that only an agent knows. */
static void write_known(struct fl_json *json, const char *key, bool known, uint64_t value)
{
	fl_json_key(json, key);
	if (known)
		fl_json_uint(json, value);
	else
		fl_json_null(json);
}

static int write_programmed(const struct fl_view *view, struct fl_sync *sync, struct fl_json *json)
{
	_cleanup_free_ struct fl_view_service *services = NULL;
	struct fl_sync_stats stats = {0};
	size_t n, backends = 0;

	if (fl_view_services(view, NULL, &services, &n))
		return -ENOMEM;
	for (size_t id = 1; view->maps->backends && id < view->maps->n_backends; id++)
		backends += view->maps->backends[id].flags & FL_BACKEND_LIVE;
	if (sync)
		fl_sync_stats(sync, &stats);
	fl_json_key(json, "programmed");
	fl_json_object_begin(json);
	fl_json_member_uint(json, "servicePorts", n);
	fl_json_member_uint(json, "frontends", view->contents.n_frontends);
	fl_json_member_uint(json, "backends", backends);
	fl_json_member_uint(json, "revision", view->maps->meta ? view->maps->meta->revision : 0);
	write_known(json, "services", sync, stats.services);
	write_known(json, "backendSets", sync, stats.backend_sets);
	write_known(json, "linesUsed", sync, stats.lines_used);
	write_known(json, "mapWrites", sync, stats.map_writes);
	write_known(json, "failedPorts", sync, stats.failed_ports);
	fl_json_member_uint(json, "lines", view->maps->n_lines);
	fl_json_object_end(json);
	return 0;
}

static void write_conflict(const struct fl_conflict *conflict, void *arg)
{
	struct fl_json *json = arg;
	char buf[FL_FRONTEND_STRLEN];

	fl_json_object_begin(json);
	fl_json_member_string(json, "frontend", fl_conflict_frontend(conflict, buf));
	fl_json_key(json, "winner");
	fl_json_stringf(json, FL_CLAIMANT, FL_CLAIMANT_ARGS(&conflict->winner));
	fl_json_key(json, "loser");
	fl_json_stringf(json, FL_CLAIMANT, FL_CLAIMANT_ARGS(&conflict->loser));
	fl_json_object_end(json);
}

static int write_condition(const struct fl_condition *condition, void *arg)
{
	struct fl_json *json = arg;

	fl_json_object_begin(json);
	fl_json_member_string(json, "kind", fl_condition_token(condition->kind));
	fl_json_member_string(json, "subject", condition->subject);
	fl_json_member_string(json, "level", fl_health_level_name(condition->level));
	fl_json_member_string(json, "text", condition->text);
	fl_render_time(json, "since", condition->since_unix_s);
	fl_json_object_end(json);
	return 0;
}

static void write_devices(const struct fl_api_status *status, struct fl_json *json)
{
	fl_json_key(json, "devices");
	fl_json_array_begin(json);
	for (size_t i = 0; i < status->n_devices; i++) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "name", status->devices[i].name);
		fl_json_member_uint(json, "ifindex", status->devices[i].ifindex);
		fl_json_member_string(json, "role", status->devices[i].role);
		fl_json_member_string(json, "hook", status->devices[i].hook);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
}

static void write_maps(const struct fl_api_status *status, struct fl_json *json)
{
	fl_json_key(json, "maps");
	fl_json_array_begin(json);
	for (size_t i = 0; i < status->n_maps; i++) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "name", status->maps[i].name);
		fl_json_member_uint(json, "used", status->maps[i].used);
		fl_json_member_uint(json, "size", status->maps[i].size);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
}

static void write_conditions(const struct fl_health *health, struct fl_json *json)
{
	fl_json_key(json, "conditions");
	fl_json_array_begin(json);
	if (health)
		fl_health_each(health, write_condition, json);
	fl_json_array_end(json);
	fl_json_member_uint(json, "moreConditions", health ? fl_health_count_unkept(health) : 0);
}

bool fl_api_status_is_healthy(const struct fl_api_status *status)
{
	return !strcmp(status->agent, FL_AGENT_RUNNING) && status->synced && status->drift <= 0 &&
	       (!status->health || fl_health_is_good(status->health));
}

static void write_agent(const struct fl_api_status *status, struct fl_json *json)
{
	bool running = !strcmp(status->agent, FL_AGENT_RUNNING);

	fl_json_member_string(json, "agent", status->agent);
	fl_json_member_bool(json, "healthy", fl_api_status_is_healthy(status));
	fl_json_member_string(json, "node", status->node);
	fl_json_member_string(json, "zone", status->zone);
	fl_json_member_string(json, "bpffs", status->bpffs);
	fl_json_member_string(json, "cgroup", status->cgroup);
	fl_json_member_string(json, "forwardingMode", status->forwarding_mode);
	fl_json_member_string(json, "dsrDispatch", status->dispatch);
	write_known(json, "uptimeSeconds", running, status->uptime_s);
	fl_json_member_bool(json, "synced", status->synced);
	write_known(json, "drift", status->drift >= 0, (uint64_t)status->drift);
	write_devices(status, json);
	write_known(json, "sourcePorts", status->source_ports, status->source_ports);
	write_maps(status, json);
	write_conditions(status->health, json);
	fl_render_drains(status->drains, json);
}

int fl_render_status(const struct fl_view *view, const struct fl_api_status *status,
		     struct fl_sync *sync, struct fl_json *json)
{
	fl_render_begin(json, "Status");
	fl_json_member_string(json, "version", FL_VERSION);
	write_agent(status, json);
	if (write_programmed(view, sync, json))
		return -ENOMEM;
	write_flow_counts(view, json);
	write_counters(view, true, "notForwarded", json);
	write_counters(view, false, "counters", json);
	fl_json_key(json, "conflicts");
	fl_json_array_begin(json);
	if (sync)
		fl_sync_each_conflict(sync, write_conflict, json);
	fl_json_array_end(json);
	fl_json_object_end(json);
	return 0;
}

void fl_render_version(struct fl_json *json)
{
	fl_render_begin(json, "Version");
	fl_json_member_string(json, "version", FL_VERSION);
	fl_json_member_uint(json, "abiVersion", FL_ABI_VERSION);
	fl_json_object_end(json);
}

void fl_render_error(unsigned int code, const char *message, struct fl_json *json)
{
	fl_render_begin(json, "Error");
	fl_json_member_uint(json, "code", code);
	fl_json_member_string(json, "message", message);
	fl_json_object_end(json);
}
