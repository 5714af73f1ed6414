/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The start: read everything, open the datapath, fill the maps, attach. Maps are filled before
 * programs go live, so that a node that starts never serves a part; programs of an earlier agent
 * run on until ours take their places.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lb/agent/bring_flows.h"
#include "lb/agent/datapath.h"
#include "lb/agent/internal.h"
#include "lb/agent/peers.h"
#include "lb/agent/privileges.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/http/http.h"
#include "lb/model/explain.h"
#include "lb/model/names.h"

/* Services that one turn of the loop plans and writes: a change of all of them must not keep the
 * API, the watchdog and the network's news waiting for long. */
#define APPLY_STEP 256

static double seconds_since(struct fl_mono t)
{
	return fl_mono_s_between(t, fl_mono_now());
}

static int load_input(struct fl_agent *agent, struct fl_err *err)
{
	struct fl_input *input = &agent->input;
	struct fl_mono t0 = fl_mono_now();
	const char *zone;
	int r = fl_input_init(input, agent->settings, agent->health, err);

	if (r)
		return r;
	r = fl_agent_drains_open(&agent->drains, agent->settings->state_dir, agent->settings->node,
				 input->store, agent->health);
	if (r)
		return fl_err_set(err, r, "out of memory");
	input->drains = &agent->drains.set;
	r = fl_input_load(input, err);
	if (r)
		return r;
	zone = input->plan_options.zone;
	fl_log_info("read %zu Services and %zu EndpointSlices in %.3f s%s%s",
		    fl_store_count(input->store, FL_KIND_SERVICE),
		    fl_store_count(input->store, FL_KIND_SLICE), seconds_since(t0),
		    *zone ? ", this node is in zone " : "", zone);
	if (!fl_store_node(input->store))
		fl_log_info("no Node object named %s: no zone, no node addresses known",
			    agent->settings->node);
	return 0;
}

/* The datapath */

/* What the machine says to the configuration of the programs. */
static int make_config(struct fl_agent *agent, const struct fl_device_rules *rules,
		       const struct fl_port_span *node_ports, struct fl_config *ret_config,
		       struct fl_err *err)
{
	_cleanup_(fl_network_fini) struct fl_network network = {0};
	struct fl_port_range ports[FL_PORT_RANGES] = {0};
	struct fl_ip node_addrs[FL_FAMILIES] = {0};
	struct fl_live live;
	int r = fl_network_scan(&network, err);

	if (!r)
		r = fl_source_ports_read(node_ports, ports, NULL, err);
	if (r)
		return r;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_node_address(&network, rules, family, &node_addrs[family]);
	fl_agent_log_source_ports(ports);
	live = fl_datapath_live(agent->settings, &agent->detect, node_addrs, ports);
	*ret_config =
		fl_datapath_config(agent->settings, &live, fl_devices_have_veth(&network, rules));
	return 0;
}

/* UDP clients follow their frontends */

static void on_touched(const struct fl_frontend_key *frontend, void *arg)
{
	struct fl_agent *agent = arg;

	fl_resteer_touch(&agent->resteer, frontend);
}

static enum fl_serving serving(const struct fl_frontend_key *frontend,
			       const struct fl_addr *backend, __be16 port, void *ctx)
{
	return fl_sync_serving(((struct fl_agent *)ctx)->sync, frontend, backend, port);
}

static bool has_node_ports(const struct fl_addr *addr, void *ctx)
{
	return fl_maps_has_node_ports(fl_dp_maps(((struct fl_agent *)ctx)->dp), addr);
}

static const struct fl_resteer_ops resteer_ops = {serving, has_node_ports};

static int see_datagrams(void *ctx, bool on, struct fl_err *err)
{
	return fl_dp_see_datagrams(ctx, on, err);
}

static bool sees_datagrams(void *ctx)
{
	return fl_dp_sees_datagrams(ctx);
}

static const struct fl_stale_sockets_ops stale_sockets_ops = {see_datagrams, sees_datagrams};

/* Why a Service is planned as it is: only put into words where they are read. */
static void explain(const struct fl_plan *plan)
{
	for (size_t i = 0; i < plan->n_ports; i++) {
		_cleanup_free_ char *text = fl_plan_explain(&plan->ports[i]);

		if (text)
			fl_log_debug("%s", text);
	}
}

static void on_plan(const char *ns, const char *name, const struct fl_plan *plan, void *arg)
{
	struct fl_agent *agent = arg;

	if (agent->settings->log_level == FL_LOG_DEBUG)
		explain(plan);
	fl_local_services_plan(agent->local_services, ns, name, plan);
}

static int open_sync(struct fl_agent *agent, struct fl_err *err)
{
	struct fl_sync_options options =
		fl_datapath_sync_options(agent->settings, &agent->detect, fl_dp_config(agent->dp));
	int r;

	options.hz = fl_dp_hz(agent->dp);
	options.touched = on_touched;
	options.touched_arg = agent;
	fl_resteer_init(&agent->resteer, &resteer_ops, agent, &fl_clock_system,
			fl_dp_maps(agent->dp));
	agent->resteer.reset_orphans = agent->settings->reset_removed;
	agent->stale_sockets = (struct fl_stale_sockets){
		.ops = &stale_sockets_ops,
		.ctx = agent->dp,
		.health = agent->health,
		.table = fl_socket_table_of(fl_dp_maps(agent->dp)),
		.counted = fl_mono_now(),
	};
	r = fl_sync_new(fl_dp_maps(agent->dp), &options, &agent->sync, err);
	if (r)
		return r;
	r = fl_applier_new(&(struct fl_applier_options){.store = agent->input.store,
							.plan_options = &agent->input.plan_options,
							.sync = agent->sync,
							.health = agent->health,
							.plan = fl_plan_stored,
							.planned = on_plan,
							.planned_arg = agent,
							.adopted = fl_dp_adopted(agent->dp),
							.step = APPLY_STEP},
			   &agent->applier);
	return r ? fl_err_set(err, r, "out of memory") : 0;
}

static void report_device(enum fl_log_level level, const char *text, void *arg)
{
	fl_log(level, "%s", text);
}

static int open_host(struct fl_agent *agent, const struct fl_device_rules *rules,
		     const struct fl_port_span *node_ports, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	struct fl_host_options options = {
		.ops = &fl_host_kernel_ops,
		.ctx = agent->dp,
		.maps = fl_dp_maps(agent->dp),
		.health = agent->health,
		.clock = fl_clock_system,
		.report = report_device,
		.rules = *rules,
		.node_port_addresses = (const char *const *)s->node_port_addresses.items,
		.n_node_port_addresses = s->node_port_addresses.n,
		.node_ports = *node_ports,
		.mode = s->mode,
		.unfinished_sums = fl_dp_config(agent->dp)->unfinished_sums,
	};
	int r;

	memcpy(options.source_ports, fl_dp_config(agent->dp)->live.snat,
	       sizeof(options.source_ports));
	r = fl_host_new(&options, &agent->host, err);
	if (r)
		return r;
	fl_host_set_node_ips(agent->host, agent->input.node_ips, agent->input.n_node_ips);
	fl_datapath_set_masquerade(agent->host, s);
	return fl_peers_set(agent->host, agent->settings, agent->input.store, err);
}

/* Datapaths of this node that were not in our directory. */
static void report_takeover(const struct fl_agent *agent)
{
	const struct fl_dp_takeover *t = fl_dp_takeover(agent->dp);
	const char *where = t->dir[0] ? t->dir : "somewhere else";

	if (t->taken)
		fl_log_warn("%zu programs that an agent with pins in %s left are taken over%s",
			    t->taken, where,
			    t->maps ? ", and their flows" : "; the flows they had are lost");
	if (t->detached)
		fl_log_warn("%zu programs that an agent with pins in %s left beside ours are "
			    "detached",
			    t->detached, where);
	if (t->unknown)
		fl_health_set(agent->health, FL_CONDITION_PROGRAMS, "unknown", FL_HEALTH_WARNING,
			      "%zu programs at our hooks are of others; if an earlier agent left "
			      "them (only CAP_SYS_ADMIN can tell), connections go astray: "
			      "`fairlead cleanup` finds them",
			      t->unknown);
	if (t->shared_cgroup)
		fl_health_set(agent->health, FL_CONDITION_PROGRAMS, "cgroup", FL_HEALTH_WARNING,
			      "sockets below %s are also translated for another network "
			      "namespace, by its agent: give each a --cgroup of its own",
			      fl_dp_cgroup(agent->dp));
}

static int open_datapath(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	struct fl_device_rules rules = fl_datapath_device_rules(s);
	struct fl_mono t0 = fl_mono_now();
	struct fl_port_span node_ports;
	struct fl_dp_options options;
	struct fl_config config;
	int r = fl_datapath_detector(s, fl_store_node(agent->input.store), &agent->detect, err);

	if (r)
		return r;
	rules.node_ips = agent->input.node_ips;
	rules.n_node_ips = agent->input.n_node_ips;
	fl_port_span_parse(s->node_port_range, &node_ports); /* was checked with the settings */
	r = make_config(agent, &rules, &node_ports, &config, err);
	if (r)
		return r;
	options = fl_datapath_options(s, &config);
	r = fl_dp_open(&options, &agent->dp, err);
	if (r)
		return r;
	fl_log_info("datapath in %s: %s, opened in %.3f s", s->bpffs,
		    fl_dp_kept_programs(agent->dp)
			    ? "taken over from an earlier agent, programs too"
		    : fl_dp_adopted(agent->dp) ? "taken over from an earlier agent"
					       : "new",
		    seconds_since(t0));
	if (fl_dp_found_remains(agent->dp))
		fl_log_warn("maps of an earlier datapath were missing in %s: new ones were made, "
			    "the flows "
			    "it had are lost",
			    s->bpffs);
	report_takeover(agent);
	agent->upkeep = fl_upkeep_of(fl_dp_maps(agent->dp), fl_dp_config(agent->dp));
	agent->upkeep.sweep.kernel = fl_kernel_flows_state;
	agent->upkeep.sweep.kernel_arg = &agent->kernel_flows;
	r = open_sync(agent, err);
	if (!r) {
		agent->sampler = fl_sampler_of(fl_dp_maps(agent->dp), agent->sync,
					       agent->upkeep.sweep.tally);
		agent->gauges.health = agent->health;
		r = fl_port_use_init(&agent->metrics.ports, fl_dp_maps(agent->dp),
				     fl_dp_config(agent->dp)->live.snat_ports,
				     &agent->upkeep.sweep);
		if (!r)
			r = fl_agent_open_traffic(agent);
		if (r)
			fl_err_set(err, r, "out of memory");
	}
	return r ? r : open_host(agent, &rules, &node_ports, err);
}

/* Being asked */

static void refresh_clock(void *arg)
{
	fl_dp_now(((struct fl_agent *)arg)->dp);
}

static void reload(bool now, void *arg)
{
	fl_agent_reload(arg, now);
}

static int drain(const struct fl_api_drain_request *request, struct fl_api_drain_result *ret_result,
		 struct fl_err *err, void *arg)
{
	struct fl_agent *agent = arg;
	int r = fl_agent_drains_change(&agent->drains, request, &agent->input.plan_options,
				       ret_result, err);

	if (!r)
		fl_agent_review_drains(agent);
	return r;
}

void fl_agent_fill_status(struct fl_api_status *ret_status, struct fl_agent *agent)
{
	struct fl_status_facts facts = {
		.node = agent->settings->node,
		.zone = agent->input.plan_options.zone,
		.bpffs = agent->settings->bpffs,
		.cgroup = fl_dp_cgroup(agent->dp),
		.forwarding_mode =
			fl_word_of(fl_forwarding_words, (int)agent->settings->forwarding),
		.dispatch = fl_word_of(fl_dispatch_words, (int)agent->settings->dispatch),
		.started = agent->started,
		.now = fl_mono_now(),
		.settled = fl_applier_settled(agent->applier),
		.drift = fl_applier_drift(agent->applier),
		.health = agent->health,
		.maps = agent->sampler.uses,
		.n_maps = FL_SAMPLED_MAPS,
		.source_ports = fl_dp_config(agent->dp)->live.snat_ports,
	};

	facts.devices = fl_host_devices(agent->host, &facts.n_devices);
	fl_status_fill(&facts, &agent->api_lists, ret_status);
}

static void fill_status(struct fl_api_status *ret_status, void *arg)
{
	fl_agent_fill_status(ret_status, arg);
}

static char *scrape(void *arg)
{
	return fl_agent_scrape(arg);
}

/* What is asked before the start is done waits in the socket. */
static int open_api(struct fl_agent *agent, struct fl_err *err)
{
	int r = fl_http_new(NULL, &fl_clock_system, &agent->http, err);

	return r ? r : fl_api_listen(agent->http, agent->settings->socket, &agent->api, err);
}

static void fill_api(struct fl_agent *agent)
{
	agent->api = (struct fl_api_source){.maps = fl_dp_maps(agent->dp),
					    .store = agent->input.store,
					    .sync = agent->sync,
					    .plan_options = &agent->input.plan_options,
					    .hz = fl_dp_hz(agent->dp),
					    .status = fill_status,
					    .metrics = scrape,
					    .refresh_clock = refresh_clock,
					    .reload = reload,
					    .drains = &agent->drains.set,
					    .drain = drain,
					    .arg = agent};
}

/* Being watched */

static int lost_programs(void *ctx)
{
	return fl_dp_forget_lost(((struct fl_agent *)ctx)->dp);
}

static int repair_pins(void *ctx, int *ret_n, struct fl_err *err)
{
	return fl_dp_repair_pins(((struct fl_agent *)ctx)->dp, ret_n, err);
}

static int repair_socket(void *ctx, struct fl_err *err)
{
	return fl_http_repair(((struct fl_agent *)ctx)->http, err);
}

static int attach_cgroup(void *ctx, struct fl_err *err)
{
	return fl_dp_attach_cgroup(((struct fl_agent *)ctx)->dp, err);
}

static const struct fl_watchdog_ops watchdog_ops = {
	.lost_programs = lost_programs,
	.repair_pins = repair_pins,
	.repair_socket = repair_socket,
	.attach_cgroup = attach_cgroup,
};

/* All together */

static void fill_maps(struct fl_agent *agent)
{
	struct fl_mono t0 = fl_mono_now();
	struct fl_sync_changes changes; /* the line below tells of them */
	struct fl_sync_stats stats;

	do
		fl_agent_apply(agent);
	while (fl_applier_more(agent->applier));
	fl_sync_take_changes(agent->sync, &changes);
	fl_sync_stats(agent->sync, &stats);
	fl_log_info(
		"%zu service ports at %zu frontends with %zu backends, %llu map writes in %.3f s",
		stats.service_ports, stats.frontends, stats.backends,
		(unsigned long long)stats.map_writes, seconds_since(t0));
}

/* What began before a datapath was here; one that is taken over has the flows it needs. */
static void take_kernel_flows(struct fl_agent *agent)
{
	if (!fl_dp_adopted(agent->dp))
		fl_kernel_flows_take(&agent->kernel_flows, &agent->upkeep.flows,
				     fl_dp_now(agent->dp));
}

static void set_kernel_conntrack(struct fl_agent *agent)
{
	const struct fl_settings *s = agent->settings;
	const bool is_on = s->kernel_set == FL_KERNEL_SET_AUTO ? fl_input_has_api(&agent->input)
							       : s->kernel_set == FL_KERNEL_SET_ON;
	const long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	agent->kernel_conntrack = (struct fl_kernel_conntrack){
		.sysctls = s->kernel_sysctls,
		.wants = {.max_per_core = s->kernel_max_per_core,
			  .min = s->kernel_min,
			  .tcp_established_s = s->kernel_tcp_established_s,
			  .tcp_close_wait_s = s->kernel_tcp_close_wait_s,
			  .udp_s = s->kernel_udp_s,
			  .udp_stream_s = s->kernel_udp_stream_s,
			  .tcp_be_liberal = s->kernel_tcp_be_liberal},
		.n_cpus = n_cpus > 0 ? (unsigned int)n_cpus : 1,
		.health = agent->health,
		.done = !is_on,
	};
	fl_kernel_conntrack_apply(&agent->kernel_conntrack);
}

static int go_live(struct fl_agent *agent, struct fl_err *err)
{
	int r = fl_host_listen(agent->host, err);

	if (r)
		return r;
	/* sockets first: what an earlier agent attached elsewhere goes when the devices are done */
	fl_host_clear_ports(agent->host);
	r = fl_dp_attach_cgroup(agent->dp, err);
	if (r)
		return r;
	if (*fl_dp_cgroup(agent->dp))
		fl_log_info("sockets below %s: connect, sendmsg, recvmsg, getpeername, bind",
			    fl_dp_cgroup(agent->dp));
	set_kernel_conntrack(agent);
	if (!agent->settings->once)
		fl_agent_watch(agent);
	fl_host_update(agent->host);
	/* what programs of before have remembered since: they may send DSR elsewhere */
	fl_host_forget_next_hops(agent->host);
	/* what is counted from here on is news */
	fl_agent_gauge(agent);
	return 0;
}

static void on_edge(enum fl_health_edge edge, const struct fl_condition *condition,
		    uint64_t lasted_ms, void *arg)
{
	struct fl_agent *agent = arg;

	fl_health_log_edge(edge, condition, lasted_ms, &agent->health_log);
	fl_agent_events_edge(&agent->events, edge, condition);
}

static int open_events(struct fl_agent *agent, struct fl_err *err)
{
	int r = 0;

	if (agent->settings->events && agent->input.client)
		r = fl_agent_events_open(&agent->events, agent->input.client, agent->settings->node,
					 &fl_clock_system);
	return r ? fl_err_set(err, r, "out of memory") : 0;
}

int fl_agent_open(struct fl_agent *agent, struct fl_err *err)
{
	const bool serves = !agent->settings->once;
	int r = fl_health_new(&fl_clock_system, on_edge, agent, &agent->health);

	if (r)
		return fl_err_set(err, r, "out of memory");
	r = load_input(agent, err);
	if (!r && serves)
		r = open_events(agent, err);
	/* before a map is made: an agent that is given another's socket is set up wrong */
	if (!r && serves)
		r = open_api(agent, err);
	if (!r)
		r = fl_agent_open_duties(agent, err);
	if (!r)
		r = open_datapath(agent, err);
	if (r)
		return r;
	fill_api(agent);
	fill_maps(agent);
	r = fl_agent_bring_flows(agent->dp, false, err);
	if (!r) {
		take_kernel_flows(agent);
		r = go_live(agent, err);
	}
	if (!r)
		r = fl_agent_bring_flows(agent->dp, true, err);
	if (!r) {
		/* those that began while programs were being attached */
		take_kernel_flows(agent);
		agent->kernel_flows.awaited =
			!fl_dp_adopted(agent->dp) && !fl_source_complete(agent->input.source);
	}
	if (!r && serves)
		fl_agent_follow_duties(agent);
	if (!r)
		r = fl_privileges_drop(err);
	if (!r && serves)
		agent->watchdog = (struct fl_watchdog){.ops = &watchdog_ops,
						       .ctx = agent,
						       .health = agent->health,
						       .bpffs = agent->settings->bpffs};
	return r;
}
