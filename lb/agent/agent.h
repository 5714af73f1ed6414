/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent: objects come in, are planned and synced; devices and addresses of the node come in,
 * and programs are attached. One thread, one loop.
 */
#pragma once

#include <uv.h>

#include "bpf/abi/fairlead.h"
#include "conntrack/resteer.h"
#include "lb/api/api.h"
#include "lb/agent/health_log.h"
#include "lb/base/clock.h"
#include "lb/http/http.h"
#include "lb/base/err.h"
#include "lb/base/health.h"
#include "lb/base/ip.h"
#include "lb/dp/dp.h"
#include "lb/model/detect.h"
#include "lb/model/plan_store.h"
#include "lb/model/store.h"
#include "lb/settings/settings.h"
#include "lb/source/source.h"
#include "lb/sync/sync.h"
#include "lb/host/host.h"

struct fl_agent {
	const struct fl_settings *settings;
	struct fl_mono started;
	/* objects */
	struct fl_store *store;
	struct fl_source *source;
	struct fl_plan_options plan_options; /* borrows from store and node_ips */
	struct fl_ip node_ips[FL_FAMILIES];
	size_t n_node_ips;
	struct fl_detect detect;
	/* kernel */
	struct fl_dp *dp;
	struct fl_sync *sync;
	bool settled;		      /* what no Service asked for was removed */
	bool retry;		      /* something was refused and is to be tried again */
	struct fl_lost_backends lost; /* reported by the commit under way */
	struct fl_host *host;
	/* serving */
	struct fl_http *http;
	struct fl_api_source api;
	struct fl_api_device *api_devices; /* for the status callback, remade each time */
	struct fl_health *health;
	struct fl_health_log health_log;
	long drift;
	struct fl_sweep sweep;
	struct fl_overflow_rebuild rebuild;
	struct fl_flow_table flows;
	/* loop */
	uv_loop_t loop;
	bool loop_ready;
	uv_poll_t source_poll, host_poll, http_poll;
	uv_timer_t sweep_timer, slow_timer, check_timer, verify_timer;
	uv_signal_t term_signal, int_signal, hup_signal;
	uv_check_t turn; /* the end of each turn: what came in together is applied together */
};

/* agent.c */
int fl_agent_start(struct fl_agent *agent, const struct fl_settings *settings, struct fl_err *err);
/* Serve until SIGTERM or SIGINT. */
int fl_agent_run(struct fl_agent *agent, struct fl_err *err);
void fl_agent_stop(struct fl_agent *agent); /* the datapath stays */

/* apply.c: from marked Services to maps */
void fl_agent_apply(struct fl_agent *agent);
/* After each commit, settling and retry. */
void fl_agent_sync_done(struct fl_agent *agent, int rc, const struct fl_err *err);
/* Read what a Node object says about us. */
void fl_agent_read_node(struct fl_agent *agent);
struct fl_config fl_agent_config(const struct fl_agent *agent);
int fl_agent_detector(struct fl_agent *agent, struct fl_err *err);

/* sync_health.c: conditions of what the maps do not hold as wanted */
void fl_agent_sync_health(struct fl_agent *agent);
/* `why` of a drift that stays; NULL or "" unknown */
void fl_agent_drift_health(struct fl_agent *agent, const char *why);

/* input_health.c: conditions of what is read */
void fl_agent_input_health(struct fl_agent *agent);

/* stale.c: UDP flows leave a backend that their Service lost */
void fl_agent_stale(const struct fl_lost_backend *lost, void *arg);
void fl_agent_flush_stale(struct fl_agent *agent);

/* watchdog.c: once a second, what somebody removed is put back */
void fl_agent_mend(struct fl_agent *agent);
void fl_agent_check_ports(struct fl_agent *agent);

/* status.c: what the API shows of the agent itself */
void fl_agent_status(struct fl_api_status *ret_status, void *arg);
void fl_agent_status_fini(struct fl_agent *agent);

/* privileges.c: leave what is not needed any more. 0 or -errno. */
int fl_agent_drop_privileges(struct fl_err *err);
