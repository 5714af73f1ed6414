/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A scrape: what the agent's parts know, put together. */
#include <stdlib.h>

#include "lb/agent/internal.h"
#include "lb/base/cleanup.h"
#include "lb/dp/usage.h"

static void add_flows(const struct fl_agent *agent, struct fl_metrics_facts *facts)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		const struct fl_flow_tally *tally = &agent->upkeep.sweep.tally[family];
		struct fl_metrics_flows *flows = &facts->flows[family];

		*flows = (struct fl_metrics_flows){.slots = tally->slots,
						   .used = tally->used,
						   .open = tally->proven,
						   .unanswered = tally->unanswered};
		for (size_t state = 0; state < FL_FLOW_STATES; state++)
			flows->states[state] = tally->flows[state];
		facts->ports[family] = agent->metrics.ports.counts[family].report;
	}
}

static void add_sync(const struct fl_agent *agent, struct fl_metrics_facts *facts)
{
	struct fl_sync_stats stats;

	fl_sync_stats(agent->sync, &stats);
	facts->map_writes = stats.map_writes;
	facts->revision = stats.revision;
	facts->service_ports[FL_IPV4] = stats.ports_of[FL_IPV4];
	facts->service_ports[FL_IPV6] = stats.ports_of[FL_IPV6];
	facts->refused_ports = stats.failed_ports;
	facts->frontends = stats.frontends;
	facts->backends = stats.backends;
	facts->drained_backends = stats.drained_backends;
	facts->backend_sets = stats.backend_sets;
	facts->drains = agent->drains.set.n;
	facts->judged.frontends = fl_touched_count(&agent->resteer.touched);
	facts->judged.passes = agent->resteer.done.passes;
	facts->judged.seconds = (double)agent->resteer.done.ns / (double)FL_NSEC_PER_SEC;
	facts->judged.longest_s = (double)agent->resteer.done.longest_ns / (double)FL_NSEC_PER_SEC;
}

static void add_input(const struct fl_agent *agent, struct fl_metrics_facts *facts)
{
	const struct fl_store *store = agent->input.store;
	const uint64_t *applied = agent->metrics.applied;

	facts->services = fl_store_count(store, FL_KIND_SERVICE);
	facts->slices = fl_store_count(store, FL_KIND_SLICE);
	facts->service_changes = fl_store_changes(store, FL_KIND_SERVICE);
	facts->services_pending = facts->service_changes - applied[FL_KIND_SERVICE];
	facts->slice_changes = fl_store_changes(store, FL_KIND_SLICE);
	facts->slices_pending = facts->slice_changes - applied[FL_KIND_SLICE];
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		for (size_t policy = 0; policy < FL_LOCAL_POLICIES; policy++)
			facts->without_local[family][policy] =
				fl_local_services_without(agent->local_services, family, policy);
}

static void add_duties(const struct fl_agent *agent, struct fl_metrics_facts *facts)
{
	const struct fl_duties_counts counts = fl_duties_count(agent->duties);

	facts->health_ports = counts.health_ports;
	for (size_t code = 0; code < FL_HEALTH_CODES; code++) {
		facts->health_answers[code] = counts.health_port[code];
		facts->healthz[code] = counts.healthz[code];
		facts->livez[code] = counts.livez[code];
	}
	facts->proxy_healthy = fl_proxy_health_is_good(&agent->proxy_health);
	facts->eligible = fl_agent_is_eligible(agent);
	facts->last_sync_s = (double)agent->proxy_health.updated_unix_ns / 1e9;
	facts->last_queued_s = (double)agent->proxy_health.queued_unix_ns / 1e9;
}

/* Lists that the status has in another form. Without memory they stay empty. */
struct lists {
	struct fl_metrics_map *maps;
	struct fl_metrics_device *devices;
	struct fl_metrics_api api[FL_KINDS];
	size_t n_api;
};

static void lists_fini(struct lists *lists)
{
	free(lists->maps);
	free(lists->devices);
}

static void add_status(struct fl_agent *agent, struct lists *lists, struct fl_metrics_facts *facts)
{
	struct fl_api_status status = {.agent = FL_AGENT_RUNNING, .drift = -1};

	fl_agent_fill_status(&status, agent);
	facts->healthy = fl_api_status_is_healthy(&status);
	facts->synced = status.synced;
	facts->drift = status.drift;
	facts->source_ports = status.source_ports;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		facts->masquerade_addresses[family] =
			fl_host_masquerade_addresses(agent->host, family);
	lists->maps = calloc(status.n_maps + 1, sizeof(*lists->maps));
	lists->devices = calloc(status.n_devices + 1, sizeof(*lists->devices));
	for (size_t i = 0; lists->maps && i < status.n_maps; i++)
		lists->maps[facts->n_maps++] = (struct fl_metrics_map){
			status.maps[i].name, status.maps[i].used, status.maps[i].size};
	for (size_t i = 0; lists->devices && i < status.n_devices; i++)
		lists->devices[facts->n_devices++] = (struct fl_metrics_device){
			status.devices[i].name, status.devices[i].role, status.devices[i].hook};
	facts->maps = lists->maps;
	facts->devices = lists->devices;
}

static void add_traffic(struct fl_agent *agent, struct fl_metrics_facts *facts)
{
	fl_agent_metrics_look(&agent->metrics, fl_dp_maps(agent->dp));
	fl_agent_metrics_forget(&agent->metrics, agent->input.store);
	facts->traffic = fl_service_series_all(fl_service_traffic_series(agent->metrics.traffic),
					       &facts->n_traffic);
}

static void add_followed(const struct fl_followed *followed, void *arg)
{
	struct lists *lists = arg;

	if (lists->n_api < FL_KINDS)
		lists->api[lists->n_api++] =
			(struct fl_metrics_api){.resource = followed->resource,
						.current = followed->current,
						.requests = {followed->lists, followed->watches},
						.events = followed->events,
						.failures = followed->failures};
}

static void add_api(const struct fl_agent *agent, struct lists *lists,
		    struct fl_metrics_facts *facts)
{
	fl_source_each_followed(agent->input.source, add_followed, lists);
	facts->api = lists->api;
	facts->n_api = lists->n_api;
}

char *fl_agent_scrape(struct fl_agent *agent)
{
	const struct fl_mono before = fl_mono_now();
	const struct fl_maps *maps = fl_dp_maps(agent->dp);
	struct fl_agent_metrics *metrics = &agent->metrics;
	_cleanup_(lists_fini) struct lists lists = {0};
	uint64_t stats[FL_COUNTER_MAX];
	struct fl_metrics_facts facts = {
		.health = agent->health,
		.taken_over = fl_dp_adopted(agent->dp),
		.stats = fl_stats_read(maps->stats_fd, stats) ? NULL : stats,
		.next_hops = metrics->next_hops,
		.next_hops_max = maps->n_next_hops,
		.sync = &metrics->sync,
		.programming = metrics->programming,
		.scrape_s = metrics->scrape_s,
	};
	char *text;

	add_flows(agent, &facts);
	add_sync(agent, &facts);
	add_input(agent, &facts);
	add_traffic(agent, &facts);
	add_api(agent, &lists, &facts);
	add_duties(agent, &facts);
	add_status(agent, &lists, &facts);
	fl_metrics_process_read(&metrics->process);
	facts.process = metrics->process;
	text = fl_metrics_render(&facts);
	metrics->scrape_s = fl_mono_s_between(before, fl_mono_now());
	return text;
}
