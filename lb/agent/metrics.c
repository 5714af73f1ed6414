/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Measuring changes on their way. */
#include "lb/agent/metrics.h"

#include "lb/dp/usage.h"

struct fl_agent_metrics fl_agent_metrics_of(int64_t started_unix_ns)
{
	return (struct fl_agent_metrics){
		.sync = fl_histogram_sync(),
		.programming = {fl_histogram_programming(), fl_histogram_programming()},
		.started_unix_ns = started_unix_ns,
		.process.start_s = (double)started_unix_ns / 1e9,
	};
}

struct measuring {
	struct fl_agent_metrics *metrics;
	int64_t now_unix_ns;
};

/* 8.1: what happened before the start says nothing about this agent. */
static void measure(enum fl_family family, int64_t trigger_unix_ns, void *arg)
{
	const struct measuring *m = arg;
	const int64_t took = m->now_unix_ns - trigger_unix_ns;

	if (trigger_unix_ns >= m->metrics->started_unix_ns)
		/* the clock of the API server may be ahead */
		fl_histogram_observe(&m->metrics->programming[family],
				     took > 0 ? (double)took / 1e9 : 0);
}

void fl_agent_metrics_applied(struct fl_agent_metrics *metrics, struct fl_store *store,
			      int64_t now_unix_ns)
{
	struct measuring measuring = {metrics, now_unix_ns};

	for (enum fl_kind kind = 0; kind < FL_KINDS; kind++)
		metrics->applied[kind] = fl_store_changes(store, kind);
	fl_store_take_triggers(store, measure, &measuring);
}

static bool exists(const char *ns, const char *name, void *arg)
{
	return fl_store_service(arg, ns, name);
}

void fl_agent_metrics_forget(struct fl_agent_metrics *metrics, const struct fl_store *store)
{
	fl_service_series_forget(fl_service_traffic_series(metrics->traffic), exists,
				 (void *)store);
}

void fl_agent_metrics_look(struct fl_agent_metrics *metrics, const struct fl_maps *maps)
{
	uint64_t connects, sends;

	if (!fl_stats_count(maps->stats_fd, FL_COUNTER_SOCKET_CONNECT, &connects) &&
	    !fl_stats_count(maps->stats_fd, FL_COUNTER_SOCKET_SEND, &sends))
		fl_socket_traffic_look(metrics->sockets, connects + sends);
}

void fl_agent_metrics_sample(struct fl_agent_metrics *metrics, const struct fl_maps *maps,
			     const struct fl_store *store)
{
	/* a scrape does so too, but who knows whether there are any */
	if (fl_service_series_is_short(fl_service_traffic_series(metrics->traffic)))
		fl_agent_metrics_forget(metrics, store);
	fl_agent_metrics_look(metrics, maps);
	metrics->next_hops = 0;
	for (size_t i = 0; i < maps->n_next_hops; i++)
		metrics->next_hops += maps->next_hops[i].ifindex != 0;
}
