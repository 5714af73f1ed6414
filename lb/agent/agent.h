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
#include "lb/host/devices.h"
#include "lb/dp/map_mirror.h"
#include "lb/host/network.h"
#include "lb/host/watch.h"

/* A device that has our programs, or should have. */
struct fl_agent_device {
	unsigned int ifindex;
	char name[IF_NAMESIZE];
	enum fl_device_role role;
	bool attached; /* else the last attempt failed */
	struct fl_dp_device got;
};

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
	bool attach_failed;
	bool pruned;		      /* what earlier agents left on other devices is gone */
	struct fl_mono ports_scanned; /* when sockets were last listed, if they are known */
	/* the node */
	struct fl_watch *watch;
	struct fl_network network;
	struct fl_map_mirror *local, *device_map;
	struct fl_agent_device *devices; /* sorted by ifindex */
	size_t n_devices;
	bool network_changed; /* scan again in this turn of the loop */
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
	uv_poll_t source_poll, watch_poll, http_poll;
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
/* Read what a Node object says about us; true if it changed. */
bool fl_agent_read_node(struct fl_agent *agent);
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

/* net.c: from devices and addresses to programs and maps */
int fl_agent_net_start(struct fl_agent *agent, struct fl_err *err);
/* Scan, write the addresses, attach where something changed or failed, write the devices. */
void fl_agent_net_update(struct fl_agent *agent);
struct fl_device_rules fl_agent_device_rules(const struct fl_agent *agent);
void fl_agent_next_hops_changed(struct fl_agent *agent);

/* doubts.c: what of the node stands in the way, by the network as last scanned */
void fl_agent_doubts_update(struct fl_agent *agent);

/* watchdog.c: once a second, what somebody removed is put back */
void fl_agent_mend(struct fl_agent *agent);

/* ports.c: whether the datapath may believe that it knows the ports of all sockets */
void fl_agent_ports_forget(struct fl_agent *agent);
/* To be called once a second. */
void fl_agent_ports_check(struct fl_agent *agent);

/* status.c: what the API shows of the agent itself */
void fl_agent_status(struct fl_api_status *ret_status, void *arg);
void fl_agent_status_fini(struct fl_agent *agent);

/* privileges.c: leave what is not needed any more. 0 or -errno. */
int fl_agent_drop_privileges(struct fl_err *err);
