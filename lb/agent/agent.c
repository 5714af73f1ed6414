/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's life, and what its parts do for each other. */
#include "lb/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/backend_ports.h"
#include "lb/agent/datapath.h"
#include "lb/agent/internal.h"
#include "lb/agent/seccomp.h"
#include "lb/agent/slice.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/dp/mountinfo.h"
#include "lb/dp/usage.h"
#include "lb/http/http.h"

#define PORTS_COUNT_MS 30000 /* a walk over all flows, not for each sample */

int fl_agent_start(struct fl_settings *settings, struct fl_reread *reread,
		   struct fl_agent **ret_agent, struct fl_err *err)
{
	_cleanup_(fl_agent_free) struct fl_agent *agent = calloc(1, sizeof(*agent));
	int r;

	if (!agent)
		return fl_err_set(err, -ENOMEM, "out of memory");
	agent->settings = settings;
	agent->reread = reread;
	agent->started = fl_mono_now();
	agent->notify = fl_notify_open(getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
				       getenv("WATCHDOG_PID"));
	fl_log_info("fairleadd " FL_VERSION ", node %s", settings->node);
	r = fl_agent_open(agent, err);
	fl_health_log_turn(&agent->health_log);
	if (r)
		return r;
	fl_log_info("ready after %.3f s", fl_mono_s_between(agent->started, fl_mono_now()));
	*ret_agent = TAKE_PTR(agent);
	return 0;
}

int fl_agent_run(struct fl_agent *agent, struct fl_err *err)
{
	return fl_loop_run(agent, err);
}

bool fl_agent_is_complete(const struct fl_agent *agent)
{
	return fl_applier_settled(agent->applier) && !fl_applier_failed(agent->applier) &&
	       !fl_host_failed(agent->host);
}

void fl_agent_free(struct fl_agent **ptr)
{
	struct fl_agent *agent = TAKE_PTR(*ptr);

	if (!agent)
		return;
	fl_duties_free(&agent->duties);
	fl_http_free(&agent->http);
	fl_status_lists_fini(&agent->api_lists);
	fl_host_free(&agent->host);
	fl_applier_free(&agent->applier);
	fl_local_services_free(&agent->local_services);
	fl_port_use_fini(&agent->metrics.ports);
	fl_socket_traffic_free(&agent->metrics.sockets);
	fl_service_traffic_free(&agent->metrics.traffic);
	fl_node_ports_fini(&agent->health_ports_at);
	fl_resteer_fini(&agent->resteer);
	fl_kernel_flows_fini(&agent->kernel_flows);
	fl_sync_free(&agent->sync);
	fl_dp_close(&agent->dp);
	fl_agent_events_close(&agent->events);
	fl_input_fini(&agent->input);
	fl_agent_drains_close(&agent->drains);
	fl_health_free(&agent->health);
	fl_notify_close(&agent->notify);
	free(agent);
}

/* Returns whether there is more to do at once. */
static bool resteer(struct fl_agent *agent)
{
	const struct fl_resteered before = agent->resteer.done;
	const bool more = fl_resteer_run(&agent->resteer);
	const struct fl_resteered *now = &agent->resteer.done;

	fl_stale_sockets_turn(&agent->stale_sockets, now->connected, fl_mono_now());
	if (now->passes != before.passes)
		fl_log_debug("all flows judged in %llu us: so far %zu UDP flows and %zu sockets "
			     "have left backends that their frontend does not serve, and %zu TCP "
			     "connections are to be reset",
			     (unsigned long long)(now->ns - before.ns) / 1000, now->flows,
			     now->sockets, now->resets);
	return more;
}

/* What stands in the way of a family without Services is no error. */
static void update_served(struct fl_agent *agent)
{
	struct fl_sync_stats stats;

	fl_sync_stats(agent->sync, &stats);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_host_set_served(agent->host, family, stats.ports_of[family]);
	/* flows remember the way to where a node was */
	if (stats.nodes_moved != agent->nodes_moved)
		fl_host_forget_next_hops(agent->host);
	agent->nodes_moved = stats.nodes_moved;
}

static int keep_unread(const struct fl_unread *unread, void *arg)
{
	const char *service = unread->kind == FL_KIND_SERVICE ? unread->name : unread->service;

	if (*service)
		fl_applier_keep(arg, unread->ns, service, unread->sketch);
	return 0;
}

/* Plan and write what has changed, and see how long it took and whether all of it is in force. */
static void apply_changes(struct fl_agent *agent)
{
	struct fl_proxy_health *health = &agent->proxy_health;
	struct fl_store *store = agent->input.store;
	const struct fl_mono before = fl_mono_now();

	if (fl_store_dirty_count(store))
		fl_proxy_health_queued(health);
	if (fl_applier_run(agent->applier, fl_source_complete(agent->input.source)))
		fl_histogram_observe(&agent->metrics.sync,
				     fl_mono_s_between(before, fl_mono_now()));
	/* a run takes so many Services and leaves the rest to the next turn */
	if (fl_applier_pending(agent->applier) || fl_store_dirty_count(store)) {
		fl_proxy_health_queued(health);
	} else if (health->queued.ns) {
		fl_proxy_health_updated(health);
		fl_agent_metrics_applied(&agent->metrics, store, health->updated_unix_ns);
	}
}

void fl_agent_apply(struct fl_agent *agent)
{
	struct fl_input *input = &agent->input;

	if (fl_input_update_node(input) && agent->host)
		fl_host_set_node_ips(agent->host, input->node_ips, input->n_node_ips);
	if (fl_applier_keeps(agent->applier)) {
		fl_applier_keep_begin(agent->applier);
		fl_source_each_unread(input->source, keep_unread, agent->applier);
		fl_applier_keep_end(agent->applier);
	}
	/* before their frontends are there */
	if (agent->kernel_flows.awaited && fl_source_complete(input->source)) {
		agent->kernel_flows.awaited = false;
		fl_kernel_flows_take(&agent->kernel_flows, &agent->upkeep.flows,
				     fl_dp_now(agent->dp));
		fl_upkeep_wake(&agent->upkeep);
	}
	apply_changes(agent);
	update_served(agent);
}

unsigned int fl_agent_upkeep(struct fl_agent *agent)
{
	uint64_t created = 0;

	/* what is not known may be anything */
	if (fl_stats_count(fl_dp_maps(agent->dp)->stats_fd, FL_COUNTER_FLOW_NEW, &created))
		fl_upkeep_wake(&agent->upkeep);
	fl_applier_upkeep(agent->applier, fl_mono_now().ns);
	return fl_upkeep_slice(&agent->upkeep, fl_dp_now(agent->dp), fl_dp_hz(agent->dp), created);
}

bool fl_agent_turn(struct fl_agent *agent)
{
	const struct fl_mono before = fl_mono_now();
	struct fl_sync_changes changes;
	struct fl_mono now;
	char text[FL_APPLY_LOG_STRLEN];
	bool more;

	fl_agent_apply(agent);
	/* those of upkeep and of retries since the last turn as well */
	fl_sync_take_changes(agent->sync, &changes);
	now = fl_mono_now();
	fl_apply_log_add(&agent->apply_log, &changes, fl_mono_ns_between(before, now));
	if (fl_apply_log_line(&agent->apply_log, now, text))
		fl_log_info("%s", text);
	fl_host_turn(agent->host);
	fl_agent_follow(agent);
	fl_agent_follow_duties(agent);
	fl_health_log_turn(&agent->health_log);
	more = resteer(agent);
	return fl_applier_more(agent->applier) || more;
}

/* No bind() on the node escapes the hooks. */
static bool hooks_are_everywhere(const struct fl_agent *agent)
{
	const char *cgroup = fl_dp_cgroup(agent->dp);

	return *cgroup && fl_mount_is_cgroup_root(cgroup) &&
	       !fl_health_has(agent->health, FL_CONDITION_CGROUP);
}

static int take_first(const struct fl_condition *condition, void *arg)
{
	*(const struct fl_condition **)arg = condition;
	return 1;
}

/* What `systemctl status` shows: the worst of what is wrong. */
static void notify_status(struct fl_agent *agent)
{
	const struct fl_condition *first = NULL;

	if (!fl_health_is_good(agent->health))
		fl_health_each(agent->health, take_first, &first);
	fl_notify_status(&agent->notify, first ? first->text : "healthy");
}

void fl_agent_watch(struct fl_agent *agent)
{
	const unsigned int found = agent->watchdog.ops ? fl_watchdog_tick(&agent->watchdog) : 0;

	if (found & FL_WATCHDOG_PROGRAMS)
		fl_host_mark(agent->host);
	if (found & FL_WATCHDOG_HOOKS)
		fl_host_forget_ports(agent->host);
	fl_host_check_ports(agent->host, hooks_are_everywhere(agent));
	fl_host_keep_next_hops(agent->host);
	fl_host_check_egress(agent->host);
	fl_agent_events_tick(&agent->events, agent->health);
	notify_status(agent);
	fl_notify_beat(&agent->notify, fl_mono_now());
}

/* Which backends have no ports left: looked at when packets were dropped for that, and as long as
 * it lasts. */
static void gauge_backends(struct fl_agent *agent, struct fl_mono now)
{
	if (!fl_gauges_rose(&agent->gauges, FL_REASON_NO_SOURCE_PORT) &&
	    !fl_health_has(agent->health, FL_CONDITION_BACKEND_PORTS))
		return;
	if (agent->ports_counted.ns &&
	    fl_mono_ms_between(agent->ports_counted, now) < PORTS_COUNT_MS)
		return;
	agent->ports_counted = now;
	fl_backend_ports_update(fl_dp_maps(agent->dp), fl_dp_now(agent->dp),
				fl_dp_config(agent->dp)->live.snat_ports, agent->health);
}

void fl_agent_gauge(struct fl_agent *agent)
{
	const struct fl_mono now = fl_mono_now();
	struct fl_gauge_sample sample;

	if (fl_sampler_take(&agent->sampler, now, &sample))
		return;
	fl_agent_metrics_sample(&agent->metrics, fl_dp_maps(agent->dp), agent->input.store);
	fl_gauges_update(&agent->gauges, &sample);
	gauge_backends(agent, now);
}

void fl_agent_review_drains(struct fl_agent *agent)
{
	/* what was not read yet may have them */
	if (fl_applier_settled(agent->applier) && fl_source_complete(agent->input.source))
		fl_agent_drains_review(&agent->drains);
}

void fl_agent_retry(struct fl_agent *agent)
{
	if (agent->reread && fl_reread_is_due(agent->reread, agent->settings))
		fl_agent_reread(agent);
	fl_input_look(&agent->input);
	fl_input_review(&agent->input);
	fl_agent_review_drains(agent);
	fl_applier_retry(agent->applier);
	fl_host_retry(agent->host);
	fl_kernel_conntrack_apply(&agent->kernel_conntrack);
	if (fl_health_has(agent->health, FL_CONDITION_PROGRAMS) &&
	    !fl_dp_has_strange_programs(agent->dp)) {
		fl_health_clear(agent->health, FL_CONDITION_PROGRAMS, "unknown");
		fl_health_clear(agent->health, FL_CONDITION_PROGRAMS, "cgroup");
	}
}

static void on_difference(const char *difference, void *arg)
{
	fl_log_warn("the maps differ from what is wanted: %s", difference);
	*(bool *)arg = true;
}

void fl_agent_verify(struct fl_agent *agent)
{
	bool any = false;

	fl_applier_verify(agent->applier, on_difference, &any);
	if (any && !fl_applier_drift(agent->applier))
		fl_log_info("the maps are as wanted again");
}

static void give_up_calls(const struct fl_agent *agent)
{
#if !defined(__SANITIZE_ADDRESS__) /* what a sanitizer does is not on the list */
	const struct fl_seccomp_needs needs = {.api = fl_input_has_api(&agent->input)};
	const uint32_t calls = agent->settings->system_calls;
	struct fl_err err = {""};

	if (calls != FL_SYSTEM_CALLS_ALL &&
	    fl_seccomp_install(calls == FL_SYSTEM_CALLS_KILL, &needs, &err))
		fl_log_warn("%s", err.text);
#endif
}

void fl_agent_ready(struct fl_agent *agent)
{
	const int rc = fl_slice_shorten();

	if (rc)
		fl_log_debug("the kernel grants no shorter slices: %s", strerror(-rc));
	give_up_calls(agent);
	notify_status(agent);
	fl_notify_send(&agent->notify, "READY=1");
}

void fl_agent_reload(struct fl_agent *agent, bool now)
{
	size_t changed;

	fl_notify_reloading(&agent->notify, fl_mono_now());
	fl_agent_reread(agent);
	if (now)
		fl_input_apply_held(&agent->input);
	else
		fl_input_refresh(&agent->input);
	changed = fl_store_dirty_count(agent->input.store);
	if (changed)
		fl_log_info("reload: %zu Services are to be planned again", changed);
	else
		fl_log_info("reload: no object has changed");
	fl_input_review(&agent->input);
	fl_host_mark(agent->host);
	fl_agent_verify(agent);
	fl_notify_send(&agent->notify, "READY=1");
}
