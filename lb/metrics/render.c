/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From facts to text, in the order of the table. */
#include <stdio.h>

#include "lb/base/cleanup.h"
#include "lb/metrics/facts.h"
#include "lb/metrics/text.h"
#include "lb/model/names.h"

static const char *const codes[] = {"200", "503"};
static const char *const directions[] = {"request", "reply"};
static const char *const verbs[] = {"list", "watch"};
static const char *const policies[] = {"internal", "external"};

static const struct {
	uint32_t index;
	const char *token;
} reasons[] =
	{
#define X(name, token, text) {FL_REASON_##name, token},
		FL_REASONS(X)
#undef X
},
  events[] = {
#define X(name, token, text) {FL_COUNTER_##name, token},
	  FL_COUNTERS(X)
#undef X
};

static void put(struct fl_metrics_text *t, enum fl_metric metric, uint64_t value)
{
	fl_metric_put_uint(t, metric, NULL, value);
}

static void put_of(struct fl_metrics_text *t, enum fl_metric metric, const char *label,
		   uint64_t value)
{
	fl_metric_put_uint(t, metric, FL_LABELS(label), value);
}

static void put_families(struct fl_metrics_text *t, enum fl_metric metric, uint64_t v4, uint64_t v6)
{
	put_of(t, metric, fl_family_name(FL_IPV4), v4);
	put_of(t, metric, fl_family_name(FL_IPV6), v6);
}

static void put_codes(struct fl_metrics_text *t, enum fl_metric metric, const uint64_t counts[2])
{
	for (size_t i = 0; i < 2; i++)
		put_of(t, metric, codes[i], counts[i]);
}

static void put_node(struct fl_metrics_text *t, const struct fl_metrics_facts *f)
{
	char abi[16];

	snprintf(abi, sizeof(abi), "%u", FL_ABI_VERSION);
	fl_metric_put_uint(t, FL_METRIC_BUILD, FL_LABELS(FL_VERSION, abi), 1);
	put(t, FL_METRIC_HEALTHY, f->healthy);
	put(t, FL_METRIC_SYNCED, f->synced);
	put(t, FL_METRIC_PROXY_HEALTHY, f->proxy_healthy);
	put(t, FL_METRIC_NODE_ELIGIBLE, f->eligible);
	put(t, FL_METRIC_TAKEN_OVER, f->taken_over);
	for (enum fl_condition_kind kind = 0; kind < FL_CONDITION_KINDS; kind++)
		for (enum fl_health_level level = 0; level < FL_HEALTH_LEVELS; level++)
			fl_metric_put_uint(
				t, FL_METRIC_CONDITIONS,
				FL_LABELS(fl_condition_token(kind), fl_health_level_name(level)),
				fl_health_count_of(f->health, kind, level));
	if (f->drift >= 0)
		put(t, FL_METRIC_DRIFT, (uint64_t)f->drift);
}

static void put_counters(struct fl_metrics_text *t, const struct fl_metrics_facts *f)
{
	if (!f->stats)
		return;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].index != FL_REASON_NONE)
			put_of(t, FL_METRIC_NOT_FORWARDED, reasons[i].token,
			       f->stats[reasons[i].index]);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		put_of(t, FL_METRIC_EVENTS, events[i].token, f->stats[events[i].index]);
}

static void put_flows(struct fl_metrics_text *t, const struct fl_metrics_flows flows[FL_FAMILIES])
{
	const struct fl_metrics_flows *v4 = &flows[FL_IPV4], *v6 = &flows[FL_IPV6];

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		for (uint32_t state = FL_FLOW_NEW; state < FL_FLOW_STATES; state++)
			fl_metric_put_uint(
				t, FL_METRIC_FLOWS,
				FL_LABELS(fl_family_name(family), fl_flow_state_name(state)),
				flows[family].states[state]);
	put_families(t, FL_METRIC_FLOWS_UNANSWERED, v4->unanswered, v6->unanswered);
	put_families(t, FL_METRIC_FLOW_ENTRIES, v4->used, v6->used);
	put_families(t, FL_METRIC_FLOW_OPEN, v4->open, v6->open);
	put_families(t, FL_METRIC_FLOW_SLOTS, v4->slots, v6->slots);
}

static void put_ports(struct fl_metrics_text *t, const struct fl_metrics_facts *f)
{
	put(t, FL_METRIC_SOURCE_PORTS, f->source_ports);
	put_families(t, FL_METRIC_MASQUERADE_ADDRESSES, f->masquerade_addresses[FL_IPV4],
		     f->masquerade_addresses[FL_IPV6]);
	put_families(t, FL_METRIC_PORTS_MOST, f->ports[FL_IPV4].most, f->ports[FL_IPV6].most);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		for (size_t i = 0; i < f->ports[family].n; i++)
			fl_metric_put_uint(
				t, FL_METRIC_PORTS_USED,
				FL_LABELS(fl_family_name(family), f->ports[family].top[i].backend),
				f->ports[family].top[i].used);
	put(t, FL_METRIC_NEXT_HOPS, f->next_hops);
	put(t, FL_METRIC_NEXT_HOPS_MAX, f->next_hops_max);
}

static void put_maps(struct fl_metrics_text *t, const struct fl_metrics_facts *f)
{
	for (size_t i = 0; i < f->n_maps; i++)
		put_of(t, FL_METRIC_MAP_ELEMENTS, f->maps[i].name, f->maps[i].used);
	for (size_t i = 0; i < f->n_maps; i++)
		put_of(t, FL_METRIC_MAP_MAX, f->maps[i].name, f->maps[i].size);
	put(t, FL_METRIC_MAP_WRITES, f->map_writes);
	put(t, FL_METRIC_REVISION, f->revision);
	put_of(t, FL_METRIC_OBJECTS, "Service", f->services);
	put_of(t, FL_METRIC_OBJECTS, "EndpointSlice", f->slices);
	put_families(t, FL_METRIC_SERVICE_PORTS, f->service_ports[FL_IPV4],
		     f->service_ports[FL_IPV6]);
	put(t, FL_METRIC_REFUSED_PORTS, f->refused_ports);
	put(t, FL_METRIC_FRONTENDS, f->frontends);
	put(t, FL_METRIC_BACKENDS, f->backends);
	put(t, FL_METRIC_DRAINED, f->drained_backends);
	put(t, FL_METRIC_DRAINS, f->drains);
	put(t, FL_METRIC_BACKEND_SETS, f->backend_sets);
	put(t, FL_METRIC_STALE_FRONTENDS, f->judged.frontends);
	put(t, FL_METRIC_STALE_PASSES, f->judged.passes);
	fl_metric_put(t, FL_METRIC_STALE_SECONDS, NULL, f->judged.seconds);
	fl_metric_put(t, FL_METRIC_STALE_LONGEST, NULL, f->judged.longest_s);
	for (size_t i = 0; i < f->n_devices; i++)
		fl_metric_put_uint(
			t, FL_METRIC_DEVICE,
			FL_LABELS(f->devices[i].name, f->devices[i].role, f->devices[i].hook), 1);
}

static void put_directions(struct fl_metrics_text *t, enum fl_metric metric,
			   const struct fl_metrics_service *service, const uint64_t counts[2])
{
	for (size_t i = 0; i < 2; i++)
		fl_metric_put_uint(t, metric, FL_LABELS(service->ns, service->name, directions[i]),
				   counts[i]);
}

static void put_traffic(struct fl_metrics_text *t, const struct fl_metrics_service *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fl_metric_put_uint(t, FL_METRIC_SERVICE_CONNECTIONS,
				   FL_LABELS(all[i].ns, all[i].name), all[i].connections);
	for (size_t i = 0; i < n; i++)
		fl_metric_put_uint(t, FL_METRIC_SERVICE_SOCKETS, FL_LABELS(all[i].ns, all[i].name),
				   all[i].socket_connections);
	for (size_t i = 0; i < n; i++)
		put_directions(t, FL_METRIC_SERVICE_PACKETS, &all[i], all[i].packets);
	for (size_t i = 0; i < n; i++)
		put_directions(t, FL_METRIC_SERVICE_BYTES, &all[i], all[i].bytes);
}

static void put_api(struct fl_metrics_text *t, const struct fl_metrics_api *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_of(t, FL_METRIC_API_CURRENT, all[i].resource, all[i].current);
	for (size_t i = 0; i < n; i++)
		for (size_t verb = 0; verb < 2; verb++)
			fl_metric_put_uint(t, FL_METRIC_API_REQUESTS,
					   FL_LABELS(all[i].resource, verbs[verb]),
					   all[i].requests[verb]);
	for (size_t i = 0; i < n; i++)
		put_of(t, FL_METRIC_API_EVENTS, all[i].resource, all[i].events);
	for (size_t i = 0; i < n; i++)
		put_of(t, FL_METRIC_API_FAILURES, all[i].resource, all[i].failures);
}

/* One sync serves both families, and so counts for each. */
static void put_syncs(struct fl_metrics_text *t, const struct fl_metrics_facts *f)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_metric_put_histogram(t, FL_METRIC_SYNC, FL_LABELS(fl_family_name(family)),
					f->sync);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_metric_put_histogram(t, FL_METRIC_PROGRAMMING, FL_LABELS(fl_family_name(family)),
					&f->programming[family]);
	put(t, FL_METRIC_ENDPOINTS_PENDING, f->slices_pending);
	put(t, FL_METRIC_ENDPOINTS_TOTAL, f->slice_changes);
	put(t, FL_METRIC_SERVICES_PENDING, f->services_pending);
	put(t, FL_METRIC_SERVICES_TOTAL, f->service_changes);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_metric_put(t, FL_METRIC_LAST_SYNC, FL_LABELS(fl_family_name(family)),
			      f->last_sync_s);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_metric_put(t, FL_METRIC_LAST_QUEUED, FL_LABELS(fl_family_name(family)),
			      f->last_queued_s);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		for (size_t policy = 0; policy < 2; policy++)
			fl_metric_put_uint(t, FL_METRIC_NO_LOCAL,
					   FL_LABELS(fl_family_name(family), policies[policy]),
					   f->without_local[family][policy]);
}

static void put_process(struct fl_metrics_text *t, const struct fl_metrics_process *process)
{
	if (!process->known)
		return;
	fl_metric_put(t, FL_METRIC_PROCESS_START, NULL, process->start_s);
	fl_metric_put(t, FL_METRIC_PROCESS_CPU, NULL, process->cpu_s);
	put(t, FL_METRIC_PROCESS_RESIDENT, process->resident_bytes);
	put(t, FL_METRIC_PROCESS_VIRTUAL, process->virtual_bytes);
	if (process->fds)
		put(t, FL_METRIC_PROCESS_FDS, process->fds);
}

char *fl_metrics_render(const struct fl_metrics_facts *facts)
{
	_cleanup_(fl_metrics_text_fini) struct fl_metrics_text text = {0};

	put_node(&text, facts);
	put_counters(&text, facts);
	put_flows(&text, facts->flows);
	put_ports(&text, facts);
	put_maps(&text, facts);
	put_traffic(&text, facts->traffic, facts->n_traffic);
	put_api(&text, facts->api, facts->n_api);
	put(&text, FL_METRIC_HEALTH_PORTS, facts->health_ports);
	put_codes(&text, FL_METRIC_HEALTH_ANSWERS, facts->health_answers);
	fl_metric_put(&text, FL_METRIC_SCRAPE, NULL, facts->scrape_s);
	put_syncs(&text, facts);
	put_codes(&text, FL_METRIC_HEALTHZ, facts->healthz);
	put_codes(&text, FL_METRIC_LIVEZ, facts->livez);
	put_process(&text, &facts->process);
	return fl_metrics_text_take(&text);
}
