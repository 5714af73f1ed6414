/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the servers of health and metrics are told of the agent. */
#include "lb/agent/internal.h"
#include "lb/duties/sockets.h"
#include "lb/settings/bind.h"
#include "lb/settings/configz.h"

bool fl_agent_is_eligible(const struct fl_agent *agent)
{
	return fl_node_is_eligible(fl_store_node(agent->input.store), agent->input.node_seen);
}

static bool eligible(void *arg)
{
	return fl_agent_is_eligible(arg);
}

static char *metrics(void *arg)
{
	return fl_agent_scrape(arg);
}

static void configz(struct fl_json *json, void *arg)
{
	fl_settings_json(((const struct fl_agent *)arg)->settings, json);
}

static size_t wants_of(const struct fl_strings *setting, enum fl_bind_server server,
		       const char *what, struct fl_socket_want ret_wants[static FL_BINDS_MAX])
{
	struct fl_bind binds[FL_BINDS_MAX];
	size_t n;

	/* was checked with the settings */
	if (fl_binds_read(setting, server, binds, &n, NULL))
		return 0;
	for (size_t i = 0; i < n; i++)
		ret_wants[i] = (struct fl_socket_want){.ip = binds[i].ip,
						       .port = binds[i].port,
						       .v6_only = binds[i].v6_only,
						       .implied = binds[i].implied,
						       .what = what};
	return n;
}

static int listen_on(struct fl_agent *agent, struct fl_err *err)
{
	struct fl_socket_want healthz[FL_BINDS_MAX], monitor[FL_BINDS_MAX];
	const struct fl_settings *s = agent->settings;
	const size_t n_healthz =
		wants_of(&s->healthz_bind, FL_BIND_HEALTHZ, "/healthz and /livez", healthz);
	const size_t n_monitor = wants_of(&s->metrics_bind, FL_BIND_METRICS, "/metrics", monitor);
	int r = fl_duties_listen(agent->duties, healthz, n_healthz, monitor, n_monitor);

	if (r)
		return fl_err_set(err, r, "out of memory");
	return s->bind_hard_fail ? fl_duties_error(agent->duties, err) : 0;
}

int fl_agent_open_duties(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	struct fl_duties_options options = {
		.http = agent->http,
		.health = agent->health,
		.proxy_health = &agent->proxy_health,
		.proxy_mode = s->proxy_mode,
		.eligible = eligible,
		.metrics = metrics,
		.configz = configz,
		.arg = agent,
	};
	int r = fl_local_services_new(&agent->local_services);

	if (r)
		return fl_err_set(err, r, "out of memory");
	agent->proxy_health = fl_proxy_health_of(&fl_clock_system, s->sync_period_s);
	agent->metrics = fl_agent_metrics_of(agent->proxy_health.updated_unix_ns);
	if (s->once)
		return 0;
	options.services = agent->local_services;
	r = fl_duties_new(&options, &agent->duties, err);
	return r ? r : listen_on(agent, err);
}

void fl_agent_follow_duties(struct fl_agent *agent)
{
	const struct fl_node_ports *now = fl_host_node_ports(agent->host);
	const bool moved = !fl_node_ports_equal(now, &agent->health_ports_at);

	if (moved) {
		fl_node_ports_fini(&agent->health_ports_at);
		/* without memory the next turn tries again */
		fl_node_ports_copy(now, &agent->health_ports_at);
	}
	fl_duties_turn(agent->duties, now, moved);
}
