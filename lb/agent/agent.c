// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The agent's life: read everything, open the datapath, fill the maps, attach, then follow changes.
 * Maps are filled before programs go live, so that a node that starts never serves a part; programs
 * of an earlier agent run on until ours take their places.
 */
#include "lb/agent/agent.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "lb/base/cleanup.h"
#include "lb/base/clock.h"
#include "lb/base/log.h"
#include "lb/source/manifest.h"
#include "nodeport/ports.h"

#define SWEEP_MS 100
#define SWEEP_SLICES 64 /* the whole table in some 6 seconds */
#define SLOW_MS 10000	/* try again what failed */
#define CHECK_MS 1000	/* are all programs still where we put them? */
#define VERIFY_MS (3600 * 1000)

static double seconds_since(struct fl_mono t)
{
	return fl_mono_s_between(t, fl_mono_now());
}

/* Those that are more than a note become conditions when the reading is done. */
static void on_problem(const struct fl_problem *p, void *arg)
{
	_cleanup_free_ char *text = NULL;

	if (p->level != FL_PROBLEM_NOTE)
		return;
	text = fl_problem_text(p, false);
	if (text)
		fl_log_debug("%s", text);
}

static int load_objects(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	struct fl_mono t0 = fl_mono_now();
	int r = fl_store_new(s->node, &agent->store);

	if (r)
		return fl_err_set(err, r, "out of memory");
	r = fl_manifest_new((const char *const *)s->manifests.items, s->manifests.n, agent->store,
			    on_problem, agent, &agent->source, err);
	if (!r)
		r = fl_source_load(agent->source, err);
	if (r)
		return r;
	fl_agent_input_health(agent);
	fl_agent_read_node(agent);
	fl_log_info("read %zu Services and %zu EndpointSlices in %.3f s%s%s",
		    fl_store_count(agent->store, FL_KIND_SERVICE),
		    fl_store_count(agent->store, FL_KIND_SLICE), seconds_since(t0),
		    *agent->plan_options.zone ? ", this node is in zone " : "",
		    agent->plan_options.zone);
	if (!fl_store_node(agent->store))
		fl_log_info("no Node object named %s: no zone, no node addresses known", s->node);
	return 0;
}

static void say_source_ports(const struct fl_port_range ranges[FL_PORT_RANGES])
{
	char text[200] = "";

	for (size_t i = 0, used = 0; i < FL_PORT_RANGES && ranges[i].count && used < sizeof(text);
	     i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u-%u", i ? ", " : "",
					 ranges[i].first, ranges[i].first + ranges[i].count - 1);
	fl_log_info("source ports for masquerading: %s", text);
}

static struct fl_device_rules device_rules(const struct fl_settings *s)
{
	return (struct fl_device_rules){
		.external = (const char *const *)s->devices.items,
		.n_external = s->devices.n,
		.pod = (const char *const *)s->pod_devices.items,
		.n_pod = s->pod_devices.n,
	};
}

static int make_config(struct fl_agent *agent, struct fl_config *ret_config, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	_cleanup_(fl_network_fini) struct fl_network network = {0};
	struct fl_device_rules rules = device_rules(s);
	struct fl_port_span node_ports;
	struct fl_ip ip;
	int r = fl_agent_detector(agent, err);

	if (!r)
		r = fl_network_scan(&network, err);
	if (r)
		return r;
	rules.node_ips = agent->node_ips;
	rules.n_node_ips = agent->n_node_ips;
	*ret_config = fl_agent_config(agent);
	ret_config->maglev_seed = XXH64(s->maglev_seed, strlen(s->maglev_seed), 0);
	if (fl_node_address(&network, &rules, FL_IPV4, &ip))
		memcpy(&ret_config->node_addr4, &ip, sizeof(ip));
	if (fl_node_address(&network, &rules, FL_IPV6, &ip))
		memcpy(&ret_config->node_addr6, &ip, sizeof(ip));
	fl_port_span_parse(s->node_port_range, &node_ports); /* was checked with the settings */
	r = fl_source_ports_read(&node_ports, ret_config->snat, NULL, err);
	if (!r)
		say_source_ports(ret_config->snat);
	return r;
}

static void on_report(enum fl_log_level level, const char *text, void *arg)
{
	fl_log(level, "%s", text);
}

static int open_host(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	struct fl_host_options options = {
		.ops = &fl_host_kernel_ops,
		.ctx = agent->dp,
		.maps = fl_dp_maps(agent->dp),
		.health = agent->health,
		.clock = fl_clock_system,
		.report = on_report,
		.rules = device_rules(s),
		.node_port_addresses = (const char *const *)s->node_port_addresses.items,
		.n_node_port_addresses = s->node_port_addresses.n,
		.mode = s->mode,
	};
	int r;

	fl_port_span_parse(s->node_port_range, &options.node_ports); /* was checked before */
	memcpy(options.source_ports, fl_dp_config(agent->dp)->snat, sizeof(options.source_ports));
	r = fl_host_new(&options, &agent->host, err);
	if (!r)
		fl_host_set_node_ips(agent->host, agent->node_ips, agent->n_node_ips);
	return r;
}

static int open_datapath(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	struct fl_dp_options options = {
		.dir = s->bpffs,
		.cgroup = s->cgroup && !strcmp(s->cgroup, "none") ? "" : s->cgroup,
		.mode = s->mode,
		.no_tcx = s->tc_hook == FL_TC_HOOK_CLSACT,
		.sizes = s->sizes,
		.next_hop_ttl_ms = s->next_hop_ttl_ms,
	};
	struct fl_sync_options sync = {.maglev_ratio = s->maglev_ratio,
				       .maglev_length = s->maglev_length,
				       .reject_unknown_port = s->reject_unknown_port,
				       .masquerade_all = s->masquerade_all,
				       .stale = fl_agent_stale,
				       .stale_arg = agent};
	struct fl_mono t0 = fl_mono_now();
	struct fl_maps *maps;
	int r = make_config(agent, &options.config, err);

	if (r)
		return r;
	memcpy(options.timeout_s, s->timeout_s, sizeof(options.timeout_s));
	r = fl_dp_open(&options, &agent->dp, err);
	if (r)
		return r;
	maps = fl_dp_maps(agent->dp);
	fl_log_info("datapath in %s: %s, loaded in %.3f s", s->bpffs,
		    fl_dp_adopted(agent->dp) ? "taken over from an earlier agent" : "new",
		    seconds_since(t0));
	if (fl_dp_found_remains(agent->dp))
		fl_log_warn("maps of an earlier datapath were missing in %s: made anew, the flows "
			    "it had are lost",
			    s->bpffs);
	agent->flows = fl_flow_table_of(maps);
	memcpy(agent->sweep.timeout, fl_dp_config(agent->dp)->timeout,
	       sizeof(agent->sweep.timeout));
	sync.maglev_seed = options.config.maglev_seed;
	sync.hz = fl_dp_hz(agent->dp);
	memcpy(sync.detector, agent->detect.on, sizeof(sync.detector));
	r = fl_sync_new(maps, &sync, &agent->sync, err);
	return r ? r : open_host(agent, err);
}

static void refresh_clock(void *arg)
{
	fl_dp_now(((struct fl_agent *)arg)->dp);
}

static int open_api(struct fl_agent *agent, struct fl_err *err)
{
	int r;

	agent->api = (struct fl_api_source){.maps = fl_dp_maps(agent->dp),
					    .store = agent->store,
					    .sync = agent->sync,
					    .plan_options = &agent->plan_options,
					    .hz = fl_dp_hz(agent->dp),
					    .status = fl_agent_status,
					    .refresh_clock = refresh_clock,
					    .arg = agent};
	r = fl_http_new(NULL, &fl_clock_system, &agent->http, err);
	return r ? r : fl_api_listen(agent->http, agent->settings->socket, &agent->api, err);
}

static void fill_maps(struct fl_agent *agent)
{
	struct fl_mono t0 = fl_mono_now();
	struct fl_sync_stats stats;

	fl_store_mark_all(agent->store);
	fl_agent_apply(agent);
	fl_sync_stats(agent->sync, &stats);
	fl_log_info(
		"%zu service ports at %zu frontends with %zu backends, %llu map writes in %.3f s",
		stats.service_ports, stats.frontends, stats.backends,
		(unsigned long long)stats.map_writes, seconds_since(t0));
	if (!agent->settled)
		fl_log_warn("not everything could be read: what the datapath already serves stays");
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
	if (!agent->settings->once)
		fl_agent_check_ports(agent);
	if (*fl_dp_cgroup(agent->dp))
		fl_log_info("sockets below %s: connect, sendmsg, recvmsg, getpeername, bind",
			    fl_dp_cgroup(agent->dp));
	fl_host_update(agent->host);
	return 0;
}

int fl_agent_start(struct fl_agent *agent, const struct fl_settings *settings, struct fl_err *err)
{
	struct fl_mono t0 = fl_mono_now();
	int r;

	*agent = (struct fl_agent){.settings = settings, .started = t0, .drift = -1};
	fl_log_info("fairleadd " FL_VERSION ", node %s", settings->node);
	r = fl_health_new(&fl_clock_system, fl_health_log_edge, &agent->health_log, &agent->health);
	if (r)
		return fl_err_set(err, r, "out of memory");
	r = load_objects(agent, err);
	if (!r)
		r = open_datapath(agent, err);
	if (r)
		return r;
	/* before anything is attached: whoever takes another agent's socket is set up wrong */
	r = settings->once ? 0 : open_api(agent, err);
	if (r)
		return r;
	fill_maps(agent);
	r = go_live(agent, err);
	if (!r)
		r = fl_agent_drop_privileges(err);
	if (r)
		return r;
	fl_health_log_turn(&agent->health_log);
	fl_log_info("ready after %.3f s", seconds_since(t0));
	return 0;
}

/* ---- the loop */

static void source_done(struct fl_agent *agent, int rc, const char *what, const struct fl_err *err)
{
	if (rc)
		fl_health_set(agent->health, FL_CONDITION_INPUT, "", FL_HEALTH_ERROR,
			      "cannot %s the manifests: %s", what, err->text);
	else
		fl_health_clear(agent->health, FL_CONDITION_INPUT, "");
	fl_agent_input_health(agent);
}

static void follow_source(struct fl_agent *agent)
{
	struct fl_err err = {""};
	int rc = fl_source_handle(agent->source, &err);

	source_done(agent, rc, "follow", &err);
}

static void refresh_source(struct fl_agent *agent)
{
	struct fl_err err = {""};
	int rc = fl_source_refresh(agent->source, &err);

	source_done(agent, rc, "read", &err);
}

static void on_source(uv_poll_t *poll, int status, int events)
{
	follow_source(poll->data);
}

static void on_host(uv_poll_t *poll, int status, int events)
{
	struct fl_err err = {""};

	if (fl_host_handle(((struct fl_agent *)poll->data)->host, &err))
		fl_log_error("%s", err.text);
}

static void on_http(uv_poll_t *poll, int status, int events)
{
	fl_http_handle(((struct fl_agent *)poll->data)->http);
}

static void on_turn(uv_check_t *check)
{
	struct fl_agent *agent = check->data;

	if (fl_store_dirty_count(agent->store) || !agent->settled)
		fl_agent_apply(agent);
	fl_host_turn(agent->host);
	fl_health_log_turn(&agent->health_log);
}

static void on_sweep(uv_timer_t *timer)
{
	struct fl_agent *agent = timer->data;
	size_t n = agent->flows.n_flows4 > agent->flows.n_flows6 ? agent->flows.n_flows4
								 : agent->flows.n_flows6;
	uint64_t now = fl_dp_now(agent->dp);
	uint32_t hz = fl_dp_hz(agent->dp);

	n = (n + SWEEP_SLICES - 1) / SWEEP_SLICES;
	/* without a reading of the datapath's clock nothing is judged expired */
	if (now) {
		fl_flow_sweep(&agent->flows, &agent->sweep, now, hz, n);
		fl_overflow_rebuild(&agent->flows, &agent->rebuild, now, hz, n);
	}
	fl_sync_reap(agent->sync, fl_mono_now().ns);
}

static void on_slow(uv_timer_t *timer)
{
	struct fl_agent *agent = timer->data;
	struct fl_err err = {""};
	int rc;

	refresh_source(agent);
	if (agent->retry) {
		agent->retry = false;
		rc = fl_sync_retry(agent->sync, &err);
		fl_agent_sync_done(agent, rc, &err);
		if (agent->drift > 0)
			agent->drift = fl_sync_verify(agent->sync, NULL, NULL);
		fl_agent_drift_health(agent, NULL);
		agent->retry |= agent->drift > 0;
	}
	fl_host_retry(agent->host);
}

static void on_check(uv_timer_t *timer)
{
	fl_agent_mend(timer->data);
}

static void on_difference(const char *difference, void *arg)
{
	fl_log_warn("the maps differ from what is wanted: %s", difference);
}

/* Somebody else wrote into the maps: mend it at once, then see whether that helped. */
static void verify(struct fl_agent *agent)
{
	struct fl_err err = {""};
	int rc;

	agent->drift = fl_sync_verify(agent->sync, on_difference, agent);
	if (agent->drift <= 0)
		return;
	rc = fl_sync_retry(agent->sync, &err);
	fl_agent_sync_done(agent, rc, &err);
	agent->drift = fl_sync_verify(agent->sync, NULL, NULL);
	agent->retry |= agent->drift > 0;
	fl_agent_drift_health(agent, err.text);
	if (!agent->drift)
		fl_log_info("the maps are as wanted again");
}

static void on_verify(uv_timer_t *timer)
{
	verify(timer->data);
}

static void on_stop(uv_signal_t *signal, int number)
{
	fl_log_info("stopping on %s; the datapath stays at work", strsignal(number));
	uv_stop(signal->loop);
}

static void on_hup(uv_signal_t *signal, int number)
{
	struct fl_agent *agent = signal->data;

	refresh_source(agent);
	fl_host_mark(agent->host);
	verify(agent);
}

static int start_poll(struct fl_agent *agent, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	int r = uv_poll_init(&agent->loop, poll, fd);

	poll->data = agent;
	return r ? r : uv_poll_start(poll, UV_READABLE, callback);
}

static int start_timer(struct fl_agent *agent, uv_timer_t *timer, uint64_t ms, uv_timer_cb callback)
{
	int r = uv_timer_init(&agent->loop, timer);

	timer->data = agent;
	return r ? r : uv_timer_start(timer, callback, ms, ms);
}

static int start_signal(struct fl_agent *agent, uv_signal_t *signal, int number,
			uv_signal_cb callback)
{
	int r = uv_signal_init(&agent->loop, signal);

	signal->data = agent;
	return r ? r : uv_signal_start(signal, callback, number);
}

static int start_loop(struct fl_agent *agent)
{
	int r = uv_loop_init(&agent->loop);

	if (r)
		return r;
	agent->loop_ready = true;
	uv_check_init(&agent->loop, &agent->turn);
	agent->turn.data = agent;
	r = uv_check_start(&agent->turn, on_turn);
	if (!r)
		r = start_signal(agent, &agent->term_signal, SIGTERM, on_stop);
	if (!r)
		r = start_signal(agent, &agent->int_signal, SIGINT, on_stop);
	if (!r)
		r = start_signal(agent, &agent->hup_signal, SIGHUP, on_hup);
	if (!r)
		r = start_poll(agent, &agent->source_poll, fl_source_fd(agent->source), on_source);
	if (!r)
		r = start_poll(agent, &agent->host_poll, fl_host_fd(agent->host), on_host);
	if (!r)
		r = start_poll(agent, &agent->http_poll, fl_http_fd(agent->http), on_http);
	if (!r)
		r = start_timer(agent, &agent->sweep_timer, SWEEP_MS, on_sweep);
	if (!r)
		r = start_timer(agent, &agent->slow_timer, SLOW_MS, on_slow);
	if (!r)
		r = start_timer(agent, &agent->check_timer, CHECK_MS, on_check);
	if (!r)
		r = start_timer(agent, &agent->verify_timer, VERIFY_MS, on_verify);
	return r;
}

int fl_agent_run(struct fl_agent *agent, struct fl_err *err)
{
	int r = start_loop(agent);

	if (r)
		return fl_err_set(err, r, "cannot set up the loop: %s", uv_strerror(r));
	uv_run(&agent->loop, UV_RUN_DEFAULT);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void fl_agent_stop(struct fl_agent *agent)
{
	if (agent->loop_ready) {
		uv_walk(&agent->loop, close_handle, NULL);
		uv_run(&agent->loop, UV_RUN_DEFAULT);
		uv_loop_close(&agent->loop);
	}
	fl_http_free(&agent->http);
	fl_agent_status_fini(agent);
	fl_host_free(&agent->host);
	fl_lost_backends_clear(&agent->lost);
	fl_sync_free(&agent->sync);
	fl_dp_close(&agent->dp);
	fl_source_free(&agent->source);
	fl_store_free(&agent->store);
	fl_health_free(&agent->health);
	agent->loop_ready = false;
}
