/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Status, Version and Error documents, and the opening that all documents share. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lb/api/api.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/health.h"
#include "lb/base/json_write.h"
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
	int cpus = libbpf_num_possible_cpus(), fd = view->maps->stats_fd;
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;

	fl_json_key(json, key);
	fl_json_object_begin(json);
	for (size_t i = 0; values && fd >= 0 && i < sizeof(counters) / sizeof(counters[0]); i++) {
		uint64_t sum = 0;

		if (counters[i].reason != reasons || counters[i].index == FL_REASON_NONE ||
		    bpf_map_lookup_elem(fd, &counters[i].index, values))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu];
		fl_json_member_uint(json, counters[i].token, sum);
	}
	fl_json_object_end(json);
}

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
		fl_json_object_end(json);
	}
	fl_json_member_uint(json, "total", total);
	fl_json_member_uint(json, "lone", counts.lone);
	fl_json_member_uint(json, "slots", counts.slots);
	fl_json_object_end(json);
}

static int write_programmed(const struct fl_view *view, struct fl_sync *sync, struct fl_json *json)
{
	_cleanup_free_ struct fl_view_service *services = NULL;
	struct fl_sync_stats stats = {0};
	size_t n, backends = 0;

	if (fl_view_services(view, &services, &n))
		return -ENOMEM;
	for (size_t id = 1; view->maps->backends && id < view->maps->n_backends; id++)
		backends += view->maps->backends[id].flags & FL_BACKEND_LIVE;
	fl_json_key(json, "programmed");
	fl_json_object_begin(json);
	fl_json_member_uint(json, "servicePorts", n);
	fl_json_member_uint(json, "frontends", view->n_frontends);
	fl_json_member_uint(json, "backends", backends);
	fl_json_member_uint(json, "revision", view->maps->meta ? view->maps->meta->revision : 0);
	if (sync) {
		fl_sync_stats(sync, &stats);
		fl_json_member_uint(json, "services", stats.services);
		fl_json_member_uint(json, "backendSets", stats.backend_sets);
		fl_json_member_uint(json, "linesUsed", stats.lines_used);
		fl_json_member_uint(json, "mapWrites", stats.map_writes);
		fl_json_member_uint(json, "failedPorts", stats.failed_ports);
	}
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
	const time_t since = (time_t)condition->since_unix_s;
	struct fl_json *json = arg;
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&since, &tm));
	fl_json_object_begin(json);
	fl_json_member_string(json, "kind", fl_condition_token(condition->kind));
	fl_json_member_string(json, "subject", condition->subject);
	fl_json_member_string(json, "level", fl_health_level_name(condition->level));
	fl_json_member_string(json, "text", condition->text);
	fl_json_member_string(json, "since", when);
	fl_json_object_end(json);
	return 0;
}

static void write_agent(const struct fl_api_status *agent, struct fl_json *json)
{
	fl_json_member_string(json, "node", agent->node);
	fl_json_member_string(json, "zone", agent->zone);
	fl_json_member_string(json, "bpffs", agent->bpffs);
	fl_json_member_string(json, "cgroup", agent->cgroup);
	fl_json_member_uint(json, "uptimeSeconds", agent->uptime_s);
	fl_json_member_bool(json, "synced", agent->synced);
	fl_json_key(json, "drift");
	if (agent->drift >= 0)
		fl_json_int(json, agent->drift);
	else
		fl_json_null(json);
	fl_json_key(json, "devices");
	fl_json_array_begin(json);
	for (size_t i = 0; i < agent->n_devices; i++) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "name", agent->devices[i].name);
		fl_json_member_uint(json, "ifindex", agent->devices[i].ifindex);
		fl_json_member_string(json, "role", agent->devices[i].role);
		fl_json_member_string(json, "hook", agent->devices[i].hook);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
	fl_json_key(json, "conditions");
	fl_json_array_begin(json);
	if (agent->health)
		fl_health_each(agent->health, write_condition, json);
	fl_json_array_end(json);
	fl_json_member_uint(json, "moreConditions",
			    agent->health ? fl_health_count_unkept(agent->health) : 0);
}

int fl_render_status(const struct fl_view *view, const struct fl_api_status *agent,
		     struct fl_sync *sync, struct fl_json *json)
{
	fl_render_begin(json, "Status");
	fl_json_member_string(json, "version", FL_VERSION);
	fl_json_member_string(json, "agent", agent ? "running" : "unreachable");
	fl_json_member_bool(json, "healthy",
			    agent && agent->synced && agent->drift <= 0 &&
				    (!agent->health || fl_health_is_good(agent->health)));
	if (agent)
		write_agent(agent, json);
	if (write_programmed(view, sync, json))
		return -ENOMEM;
	write_flow_counts(view, json);
	write_counters(view, true, "notForwarded", json);
	write_counters(view, false, "counters", json);
	if (sync) {
		fl_json_key(json, "conflicts");
		fl_json_array_begin(json);
		fl_sync_each_conflict(sync, write_conflict, json);
		fl_json_array_end(json);
	}
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
