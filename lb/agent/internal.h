/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's parts, put together here and nowhere else: agent.c and start.c make them and take
 * them apart, loop.c calls them. The parts themselves do not know the agent.
 */
#pragma once

#include "conntrack/resteer.h"
#include "lb/agent/agent.h"
#include "lb/agent/apply.h"
#include "lb/agent/apply_log.h"
#include "lb/agent/drains.h"
#include "lb/agent/events.h"
#include "lb/agent/gauges.h"
#include "lb/agent/health_log.h"
#include "lb/agent/input.h"
#include "lb/agent/kernel_flows.h"
#include "lb/agent/notify.h"
#include "lb/agent/metrics.h"
#include "lb/agent/sampler.h"
#include "lb/agent/stale_sockets.h"
#include "lb/agent/status.h"
#include "lb/agent/upkeep.h"
#include "lb/agent/watchdog.h"
#include "lb/api/api.h"
#include "lb/duties/duties.h"
#include "lb/host/host.h"
#include "lb/host/kernel_conntrack.h"
#include "lb/model/detect.h"
#include "lb/settings/reread.h"

struct fl_http;

struct fl_agent {
	struct fl_settings *settings;
	struct fl_reread *reread; /* NULL: settings are never read again */
	uint64_t rereads;	  /* how often that has changed something */
	struct fl_mono started;
	struct fl_health *health;
	struct fl_health_log health_log;
	struct fl_agent_events events;
	struct fl_agent_drains drains;
	struct fl_input input;
	struct fl_detect detect; /* as the programs have it */
	uint64_t followed;	 /* news of the node that they have */
	uint64_t nodes_moved;	 /* of sync's statistics, when next hops were last forgotten */
	struct fl_dp *dp;
	struct fl_sync *sync;
	struct fl_resteer resteer;
	struct fl_stale_sockets stale_sockets;
	struct fl_applier *applier;
	struct fl_apply_log apply_log;
	struct fl_host *host;
	struct fl_watchdog watchdog;
	struct fl_upkeep upkeep;
	struct fl_kernel_flows kernel_flows;
	struct fl_kernel_conntrack kernel_conntrack;
	struct fl_sampler sampler;
	struct fl_gauges gauges;
	struct fl_mono ports_counted; /* of backends; zero: never */
	struct fl_notify notify;
	struct fl_agent_metrics metrics;
	struct fl_http *http;
	struct fl_proxy_health proxy_health;
	struct fl_local_services *local_services;
	struct fl_node_ports health_ports_at; /* where they were opened last */
	struct fl_duties *duties;	      /* NULL with --once */
	struct fl_api_source api;
	struct fl_status_lists api_lists;
};

/* start.c: from nothing to a node that serves */
int fl_agent_open(struct fl_agent *agent, struct fl_err *err);
/* Strings and lists are borrowed until it is called again. */
void fl_agent_fill_status(struct fl_api_status *ret_status, struct fl_agent *agent);

/* open_duties.c: the servers of health and metrics; with --once only their state */
int fl_agent_open_duties(struct fl_agent *agent, struct fl_err *err);
/* Health-check node ports follow Services and addresses: at the end of each turn. */
void fl_agent_follow_duties(struct fl_agent *agent);

/* follow.c: what changes under running programs, at the end of each turn */
void fl_agent_follow(struct fl_agent *agent);
/* Read the settings again. */
void fl_agent_reread(struct fl_agent *agent);
void fl_agent_log_source_ports(const struct fl_port_range ranges[static FL_PORT_RANGES]);
/* open_traffic.c: what is counted per Service; 0 or -ENOMEM */
int fl_agent_open_traffic(struct fl_agent *agent);

bool fl_agent_is_eligible(const struct fl_agent *agent);
/* scrape.c: the text of /metrics, which is the caller's; NULL: no memory */
char *fl_agent_scrape(struct fl_agent *agent);

/* agent.c: what several events lead to */
/* Bring the maps up to what was read. */
void fl_agent_apply(struct fl_agent *agent);
/* Returns the milliseconds until it is to be called again. */
unsigned int fl_agent_upkeep(struct fl_agent *agent);
/* Once a second. */
void fl_agent_watch(struct fl_agent *agent);
/* Every FL_GAUGES_MS. */
void fl_agent_gauge(struct fl_agent *agent);
/* The end of a turn of the loop: what came in together is applied together, up to a limit. True:
 * the next turn goes on with the rest. */
bool fl_agent_turn(struct fl_agent *agent);
/* Look whether what is drained is known. */
void fl_agent_review_drains(struct fl_agent *agent);
/* Every some seconds: what failed is tried again. */
void fl_agent_retry(struct fl_agent *agent);
/* Compare the maps with what is wanted. */
void fl_agent_verify(struct fl_agent *agent);
/* The loop is about to turn: give up what only the start needed, and tell the service manager. */
void fl_agent_ready(struct fl_agent *agent);
/* Look at everything again; with `now` what was held for the grace time takes effect. */
void fl_agent_reload(struct fl_agent *agent, bool now);

/* loop.c: events become calls of the above; 0 or -errno */
int fl_loop_run(struct fl_agent *agent, struct fl_err *err);
